#!/usr/bin/env bash
# pack.sh FOLDER [BUILD]: puts the GPU tests of BUILD (default build/release), and every library they need
# except glibc and the CUDA driver, into FOLDER. On another machine of the same architecture, with a glibc no
# older than this one's, bash and python3, FOLDER/run.sh then runs them: it needs no package, no network and
# no particular place. Open MPI 4 is packed as well; without it the ranks are started by the other
# machine's mpirun.
set -euo pipefail

fail() {
    echo "pack.sh: $*" >&2
    exit 1
}

here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
folder=${1:?usage: pack.sh FOLDER [BUILD]}
build=$(readlink -f "${2:-$here/../../build/release}")
[ -x "$build/bin/starlane" ] || fail "there is no build in $build: ./dev build makes one"
[ -x "$build/tests/gpu/gpu_probe" ] && [ -e "$build/lib/libstarlane_cuda.so" ] ||
    fail "$build was built without a CUDA compiler: its tests could only be skipped"
if [ -e "$folder" ] && [ ! -d "$folder/packed" ] && [ -n "$(ls -A "$folder")" ]; then
    fail "$folder holds something else"
fi
rm -rf "$folder"
mkdir -p "$folder"/{bin,lib,libexec/starlane,unit,built/no_driver,tests/gpu,tests/cli,packed}
folder=$(readlink -f "$folder")

# --- what was built, laid out as in the build tree, where it looks for its parts beside itself ---
cp "$build/bin/starlane" "$folder/bin/"
cp -L "$build/lib/libstarlane.so.0" "$build/lib/libstarlane_cuda.so" "$folder/lib/"
cp "$build/libexec/starlane/"* "$folder/libexec/starlane/"
cp "$build/tests/registry_accelerator_test" "$folder/unit/"
cp "$build/tests/gpu/gpu_probe" "$build/tests/gpu/other_plugin.so" "$folder/built/"
cp "$build/tests/gpu/no_driver/libcuda.so.1" "$folder/built/no_driver/"
cp "$here"/*_test.sh "$here/lib.sh" "$here/compare.py" "$folder/tests/gpu/"
cp "$here/../cli/lib.sh" "$folder/tests/cli/"
cp "$here/run.sh" "$folder/"
find "$folder"/{bin,lib,libexec,unit,built} -type f -exec strip --strip-debug {} + 2>/dev/null || :

# --- Open MPI: its launcher, and the components that work within one machine ---
pack_open_mpi() {
    local components file
    components=$(ompi_info --parsable --path pkglibdir | sed -n 's/^path:pkglibdir://p' | head -n 1)
    [ -d "$components" ] || fail "Open MPI says that its components are in '$components'; there is no such folder"
    mkdir -p "$folder/mpi"/{bin,share}
    cp -L "$(command -v mpirun)" "$folder/mpi/bin/mpirun"
    cp -rL "$(ompi_info --parsable --path pkgdatadir | sed -n 's/^path:pkgdatadir://p' | head -n 1)" \
        "$folder/mpi/share/openmpi"
    mkdir -p "$folder/mpi/lib/$(basename "$components")"
    for file in "$components"/mca_*.so; do
        case ${file##*/} in
        *_ucx.so | *_ofi.so | *_openib.so | *_psm*.so | *_portals*.so | *_usnic.so | *_monitoring.so) ;;
        mca_spml_* | mca_scoll_* | mca_memheap_* | mca_sshmem_* | mca_atomic_*) ;; # OpenSHMEM's
        *) cp -L "$file" "$folder/mpi/lib/$(basename "$components")/" ;;
        esac
    done
}

# PMIx, a library of its own in most packages, has components too.
pack_pmix() {
    local pmix components
    pmix=$(ldd "$folder/mpi/lib"/*/mca_pmix_ext*.so 2>/dev/null | awk '/libpmix/ { print $3; exit }')
    [ -n "$pmix" ] || return 0
    components=$(dirname "$(readlink -f "$pmix")")/pmix
    mkdir -p "$folder/mpi/lib/pmix" "$folder/mpi/share/pmix"
    [ ! -d "$components" ] || cp -L "$components"/*.so "$folder/mpi/lib/pmix/"
    cp "$components"/../../share/pmix/*.txt "$folder/mpi/share/pmix/" 2>/dev/null || :
}

if command -v ompi_info >/dev/null && ompi_info --version | grep -q 'Open MPI v4\.'; then
    pack_open_mpi
    pack_pmix
else
    echo "pack.sh: note: no Open MPI 4 here: the other machine has to have this MPI" >&2
fi

# --- libraries: all that any of it needs, but glibc's and the driver's ---
needed() {
    find "$folder" -type f \( -perm -u+x -o -name '*.so*' \) ! -name '*.sh' ! -name '*.py' -print0 |
        LD_LIBRARY_PATH=$folder/lib xargs -0 -n 1 ldd 2>/dev/null || :
}
needed | grep 'not found' | sort -u >"$folder/packed/.missing" || :
[ ! -s "$folder/packed/.missing" ] || fail "not found here: $(xargs <"$folder/packed/.missing")"
rm "$folder/packed/.missing"
needed | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u | while read -r library; do
    case $library in
    "$folder"/* | */libstarlane.so.*) continue ;;
    */libc.so.* | */libm.so.* | */libdl.so.* | */libpthread.so.* | */librt.so.* | */libresolv.so.* | */libcuda.so.*) continue ;;
    esac
    cp -L "$library" "$folder/packed/"
done

echo "packed $(du -sh "$folder" | cut -f1) into $folder; there: $folder/run.sh"
