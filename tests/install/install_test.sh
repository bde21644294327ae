#!/usr/bin/env bash
# install_test.sh BUILD SOURCE CC EXAMPLES MPIRUN...: installs BUILD into an empty prefix and moves that prefix elsewhere (nothing
# in it may point back), then builds and runs SOURCE's program by pkg-config and by find_package(Starlane).
set -euo pipefail
build=$1 source=$2 cc=$3

work=$(mktemp -d "${TMPDIR:-/tmp}/starlane-install-XXXXXX")
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/first" >"$work/log" || { cat "$work/log"; exit 1; }
mv "$work/first" "$work/prefix"
prefix=$work/prefix

for file in include/starlane.h lib/libstarlane.so lib/libstarlane.so.0 lib/pkgconfig/starlane.pc \
    lib/cmake/Starlane/StarlaneConfig.cmake lib/cmake/Starlane/StarlaneTargets.cmake \
    bin/starlane share/man/man1/starlane.1 share/doc/starlane/LICENSE; do
    [ -e "$prefix/$file" ] || { echo "not installed: $file"; exit 1; }
done
if grep -rlF -e "$build/" -e "$work/first" "$prefix"; then
    echo "these files name the build tree or the first prefix"
    exit 1
fi
readelf -d "$prefix/lib/libstarlane.so" | grep -q 'SONAME.*\[libstarlane\.so\.0\]' || { echo "wrong soname"; exit 1; }

expect_version() {
    local version
    version=$("$@") || { echo "$1 failed"; exit 1; }
    case $version in
    *[0-9].[0-9]*) ;;
    *) echo "$1 said '$version', no version"; exit 1 ;;
    esac
}

export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
# shellcheck disable=SC2046 # a list of flags
"$cc" -std=c11 -Wall -Wextra -Wpedantic -Werror "$source/user/version.c" -o "$work/by_pkg_config" \
    $(pkg-config --cflags --libs starlane)
expect_version "$work/by_pkg_config"

# The examples of the application interface, as their users build them; here and on ranks.
examples=$4
shift 4 # what is left starts ranks
printf 'the cat and the dog\n' >"$work/one"
printf 'the end\n' >"$work/two"
declare -A expected=([hello]='12 \* 12 = 144' [pipeline]='largest contrast is 4\.915' [words]='^4 the$' [actor]='the total is right after visits to')
for example in hello pipeline words actor; do
    # shellcheck disable=SC2046 # a list of flags
    "$cc" -std=gnu11 -Wall -Wextra -Werror "$examples/api/$example.c" -o "$work/$example" \
        $(pkg-config --cflags --libs starlane) -lm
    for ranks in 1 3; do
        start=("$@" -n "$ranks")
        [ "$ranks" != 1 ] || start=()
        "${start[@]}" "$work/$example" "$work/one" "$work/two" "$work/two" >"$work/log" 2>&1 ||
            { cat "$work/log"; echo "$example failed on $ranks ranks"; exit 1; }
        grep -q "${expected[$example]}" "$work/log" ||
            { cat "$work/log"; echo "$example said this on $ranks ranks"; exit 1; }
    done
done
# Tasks that are in neither the program nor the library.
# shellcheck disable=SC2046 # a list of flags
"$cc" -std=gnu11 -Wall -Wextra -Werror -shared -fPIC "$examples/api/libmine.c" -o "$work/libmine.so" $(pkg-config --cflags --libs starlane)
# shellcheck disable=SC2046 # a list of flags
"$cc" -std=gnu11 -Wall -Wextra -Werror "$examples/api/module.c" -o "$work/module" $(pkg-config --cflags --libs starlane)
for ranks in 1 3; do
    start=("$@" -n "$ranks")
    [ "$ranks" != 1 ] || start=()
    "${start[@]}" "$work/module" "$work/libmine.so" 10000 >"$work/log" 2>&1 ||
        { cat "$work/log"; echo "module failed on $ranks ranks"; exit 1; }
    grep -q '^1229 primes below 10000' "$work/log" || { cat "$work/log"; echo "module said this on $ranks ranks"; exit 1; }
done
# A client from outside, and a network that it finds.
# shellcheck disable=SC2046 # a list of flags
"$cc" -std=gnu11 -Wall -Wextra -Werror "$examples/api/remote.c" -o "$work/remote" $(pkg-config --cflags --libs starlane)
STARLANE_API_KEY=$("$prefix/bin/starlane" key create --gateway "$work/gateway" --project demo --scope submit,read,module 2>"$work/log")
export STARLANE_API_KEY
"$prefix/bin/starlane" up --gateway "$work/gateway" --listen 127.0.0.1:0 2>"$work/up" &
up=$!
for _ in $(seq 200); do
    url=$(grep '^starlane://' "$work/up") && break
    sleep 0.1
done
"$work/remote" "$url" demo hello world >"$work/log" 2>&1 || { cat "$work/up" "$work/log"; echo "remote failed"; kill "$up"; exit 1; }
"$prefix/bin/starlane" submit --connect "$url" --project demo --module "$work/libmine.so" --function count_primes_in_tenths 10000 >"$work/primes" 2>&1 ||
    { cat "$work/up" "$work/primes"; echo "submit --module failed"; kill "$up"; exit 1; }
[ "$(cat "$work/primes")" = 1229 ] || { cat "$work/primes"; echo "the module said this"; kill "$up"; exit 1; }
kill "$up" && wait "$up"
grep -q 'hello 3610a686' "$work/log" || { cat "$work/log"; echo "remote said this"; exit 1; }
# A network of its own, with actors for clients; it ends with its input.
# shellcheck disable=SC2046 # a list of flags
"$cc" -std=gnu11 -Wall -Wextra -Werror "$examples/api/remote_actor.c" -o "$work/remote_actor" $(pkg-config --cflags --libs starlane)
mkfifo "$work/input"
"$work/remote_actor" serve --starlane-gateway="$work/gateway" --starlane-listen=127.0.0.1:0 <"$work/input" >"$work/up" 2>&1 &
up=$!
exec 9>"$work/input"
for _ in $(seq 200); do
    url=$(grep '^starlane://' "$work/up") && break
    sleep 0.1
done
"$work/remote_actor" "$url" demo >"$work/log" 2>&1 || { cat "$work/up" "$work/log"; echo "remote_actor failed"; kill "$up"; exit 1; }
exec 9>&-
wait "$up" || { cat "$work/up"; echo "the network of remote_actor failed"; exit 1; }
grep -q 'the balance is 500500' "$work/log" || { cat "$work/log"; echo "remote_actor said this"; exit 1; }
unset STARLANE_API_KEY
# A sealed task, with keys of this test's own.
# shellcheck disable=SC2046 # a list of flags
"$cc" -std=gnu11 -Wall -Wextra -Werror "$examples/api/sealed.c" -o "$work/sealed" $(pkg-config --cflags --libs starlane)
starlane() { "$prefix/bin/starlane" "$@"; }
starlane identity create "$work/authority" authority
for who in node client; do
    starlane identity create "$work/$who" "$who" "$who"
    starlane identity sign "$work/authority" "$work/$who/certificate" "$work/signed"
    mv "$work/signed" "$work/$who/certificate"
done
pin=$(starlane identity show "$work/authority" | awk '$1 == "fingerprint" { print $2 }')
for ranks in 1 3; do
    start=("$@" -n "$ranks")
    [ "$ranks" != 1 ] || start=()
    "${start[@]}" "$work/sealed" "$work/client" "$pin" --starlane-keys="$work/node" --starlane-authority="$pin" \
        >"$work/log" 2>&1 || { cat "$work/log"; echo "sealed failed on $ranks ranks"; exit 1; }
    grep -q '^hello, whoever you are$' "$work/log" || { cat "$work/log"; echo "sealed said this on $ranks ranks"; exit 1; }
done

if ! { cmake -S "$source/user" -B "$work/user" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" &&
    cmake --build "$work/user"; } >"$work/log" 2>&1; then
    cat "$work/log"
    exit 1
fi
expect_version "$work/user/version"
expect_version "$prefix/bin/starlane" --version
# A command task needs everything that lies beside the library.
echo 'echo from the prefix' | "$prefix/bin/starlane" run --shell --output "$work/run" - >"$work/log" 2>&1 ||
    { cat "$work/log"; echo "the installed command cannot run a task"; exit 1; }
grep -qr 'from the prefix' "$work/run/stdout" || { echo "the task's output is not in $work/run/stdout"; exit 1; }
echo "installed, moved, and used by pkg-config, by CMake and by the command"
