#!/usr/bin/env bash
# A real Slurm of four nodes on this one machine: munged, slurmctld and `slurmd -N n1..n4`.
#
#   cluster.sh up         start it (a leftover in the same directory is removed first)
#   cluster.sh run CMD…   run CMD where the cluster's commands work (srun, sbatch, squeue, …)
#   cluster.sh lose NODE  end every process of a node at once, its slurmd too
#   cluster.sh status     its nodes and jobs
#   cluster.sh down       stop it and remove everything it made
#   cluster.sh sweep      remove clusters whose owner (STARLANE_SLURM_OWNER) is gone
#
# Environment:
#   STARLANE_SLURM_DIR     state directory, not under /tmp (default /var/tmp/starlane-slurm.UID)
#   STARLANE_SLURM_EXPOSE  directories, ':' between, that nodes shall see though they are under /tmp
#   STARLANE_SLURM_OWNER   process for whom the cluster is: it goes down when that one is gone
# `run` sets SLURM_CONF, STARLANE_SLURM_SHARED (a directory all nodes share), and the loopback as
# Open MPI's network. Exit code 77: it cannot be started here; why is on standard error.
#
# Design notes. All of it lives in one PID and mount namespace, whose first process is this script
# as `keeper`: when that one is killed the kernel ends every daemon and job step and drops every
# mount, so nothing but files can be left behind. Each node adds a mount namespace with a /tmp of
# its own (Slurm's PMIx plug-in names its directory by job and step alone: nodes that share /tmp
# collide) and a UTS namespace for its host name.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/$(basename "${BASH_SOURCE[0]}")
dir=${STARLANE_SLURM_DIR:-/var/tmp/starlane-slurm.$UID}
export PATH=$PATH:/usr/sbin:/sbin
nodes=(n1 n2 n3 n4)

say() { echo "slurm cluster: $*" >&2; }
skip() { say "cannot start here: $*"; exit 77; }
die() { say "$*"; exit 1; }

# "PID START": a process's identity that survives the reuse of its number. Fails when it is gone.
identity() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    set -- "$1" ${stat##*) }
    [ "$2" != Z ] && echo "$1 ${21}"
}
same_process() { # FILE holding an identity
    [ -s "$1" ] && [ "$(identity "$(cut -d' ' -f1 "$1")")" = "$(cat "$1")" ]
}
running() { same_process "$dir/keeper.id"; }
keeper_pid() { cut -d' ' -f1 "$dir/keeper.id"; }

check_programs() {
    local missing=() pair
    for pair in slurmctld:slurmctld slurmd:slurmd srun:slurm-client munged:munge \
        unshare:util-linux; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
    done
    compgen -G '/usr/lib/*/slurm*/mpi_pmix.so' >/dev/null || missing+=(slurm-wlm-basic-plugins)
    [ ${#missing[@]} = 0 ] ||
        skip "packages missing; apt-get install --no-install-recommends ${missing[*]}"
}

check_possible() {
    [ "$(id -u)" = 0 ] || skip "must be root (namespaces, and slurmd starts steps for users)"
    case $dir in /tmp/*) die "STARLANE_SLURM_DIR is under /tmp: nodes do not share that" ;; esac
    check_programs
    unshare -m -u -i -p -f --mount-proc sh -c 'hostname probe && mount -t tmpfs none /tmp' \
        2>/dev/null || skip "no namespaces with mounts inside (a container without CAP_SYS_ADMIN?)"
}

# Six consecutive ports nobody listens on, below the range the kernel hands out itself.
free_ports() {
    local base try port
    for try in {1..50}; do
        base=$((16000 + (RANDOM % 1500) * 10))
        for port in $(seq $base $((base + 5))); do
            (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue 2
        done
        echo "$base" && return
    done
    die "no free ports found after $try tries"
}

write_config() {
    local port=$1 i
    cat >"$dir/slurm.conf" <<CONF
ClusterName=starlane
SlurmctldHost=ctl(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
# cred_expire is also how long a requeued job must wait: 120 s unless set, and 5 s at least.
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket,cred_expire=6
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool-%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd-%n.pid
SlurmctldLogFile=$dir/log/slurmctld
SlurmdLogFile=$dir/log/slurmd-%n
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
TopologyPlugin=topology/tree
PriorityType=priority/basic
SchedulerType=sched/backfill
# Het jobs are started by the backfill pass alone: let it run every second.
SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=1,bf_hetjob_immediate
SlurmdParameters=config_overrides
GresTypes=gpu
ReturnToService=2
CompleteWait=0
KillWait=5
MinJobAge=600
FirstJobId=101
# More CPUs than the machine has (config_overrides), so that many jobs run side by side.
NodeName=DEFAULT CPUs=32 RealMemory=1024 Gres=gpu:2
CONF
    for i in 1 2 3 4; do
        echo "NodeName=n$i NodeHostname=n$i NodeAddr=127.0.0.1 Port=$((port + i))"
    done >>"$dir/slurm.conf"
    cat >>"$dir/slurm.conf" <<CONF
PartitionName=all Nodes=n[1-4] Default=YES MaxTime=INFINITE OverSubscribe=NO
PartitionName=us-west Nodes=n[1-2]
PartitionName=eu-central Nodes=n3
PartitionName=ap-southeast Nodes=n4
CONF
    cat >"$dir/topology.conf" <<CONF
SwitchName=us-west Nodes=n[1-2]
SwitchName=eu-central Nodes=n3
SwitchName=ap-southeast Nodes=n4
SwitchName=wan Switches=us-west,eu-central,ap-southeast
CONF
    # In Slurm 22.05 a fence over its tree, the default for fences without data, lets ranks go before
    # all have come: then a message may reach an Open MPI still in MPI_Init, which crashes.
    echo 'PMIxCollFence=ring' >"$dir/mpi.conf"
    echo 'NodeName=n[1-4] Name=gpu File=/dev/null,/dev/zero' >"$dir/gres.conf"
    echo '127.0.0.1 localhost ctl n1 n2 n3 n4' >"$dir/hosts"
}

cluster_up() {
    local port keeper
    check_possible
    cluster_down
    mkdir -p "$dir"
    identity "${STARLANE_SLURM_OWNER:-1}" >"$dir/owner.id"
    mkdir -p "$dir"/{munge,state,log,shared,tmp.host}
    chmod 755 "$dir" "$dir/munge"
    (umask 077 && head -c 1024 /dev/urandom >"$dir/munge/key")
    port=$(free_ports)
    write_config "$port"
    # A session of its own, and none of our descriptors: whoever started us may wait for our pipes.
    setsid unshare -m -u -i -p -f --mount-proc --kill-child bash "$self" keeper \
        </dev/null >"$dir/log/keeper" 2>&1 &
    keeper=$!
    [ -z "${STARLANE_SLURM_OWNER:-}" ] || setsid bash "$self" watch </dev/null &>/dev/null &
    wait_ready "$keeper" || {
        show_logs
        cluster_down
        die "the daemons did not come up: their logs are above"
    }
    say "up: n1 and n2 in us-west, n3 in eu-central, n4 in ap-southeast; $dir"
}

wait_ready() { # PID of unshare, whose only child is the keeper
    local deadline=$((SECONDS + 60)) child
    while [ $SECONDS -lt $deadline ]; do
        child=$(cat "/proc/$1/task/$1/children" 2>/dev/null) || return 1
        if [ -n "$child" ] && identity "${child%% *}" >"$dir/keeper.id"; then
            [ "$(idle_nodes)" != 4 ] || return 0
        fi
        sleep 0.3
    done
    return 1
}

idle_nodes() {
    [ -e "$dir/keeper.ready" ] && cluster_run sinfo -h -p all -N -o %t 2>/dev/null | grep -cx idle
}

show_logs() {
    local log
    for log in "$dir"/log/*; do
        echo "--- ${log##*/}" >&2
        tail -n 15 "$log" >&2
    done
}

# First process of the namespace: starts the daemons and stays, reaping what their steps leave.
keeper() {
    local node
    hostname ctl
    mount --bind /tmp "$dir/tmp.host"
    mount --bind "$dir/hosts" /etc/hosts
    munged --foreground --force --socket="$dir/munge/socket" --log-file="$dir/log/munged" \
        --key-file="$dir/munge/key" --pid-file="$dir/munge/pid" --seed-file="$dir/munge/seed" &
    until [ -S "$dir/munge/socket" ]; do sleep 0.05; done
    export SLURM_CONF=$dir/slurm.conf
    slurmctld -D &
    for node in "${nodes[@]}"; do
        unshare -m -u bash "$self" node "$node" &
    done
    touch "$dir/keeper.ready"
    while true; do wait; sleep 1; done
}

node() {
    local path
    hostname "$1"
    mount -t tmpfs -o mode=1777 none /tmp
    mount -t tmpfs -o mode=1777 none /dev/shm
    local IFS=:
    for path in ${STARLANE_SLURM_EXPOSE:-}; do
        [ "${path#/tmp/}" != "$path" ] || continue
        mkdir -p "$path"
        mount --bind "$dir/tmp.host/${path#/tmp/}" "$path"
    done
    exec slurmd -D -N "$1"
}

cluster_run() {
    running || die "not running in $dir: start it with $self up"
    SLURM_CONF=$dir/slurm.conf STARLANE_SLURM_SHARED=$dir/shared \
        OMPI_MCA_btl_tcp_if_include=lo \
        nsenter -t "$(keeper_pid)" -m -u -i -p -- \
        sh -c 'cd "$1" && shift && exec "$@"' run "$PWD" "$@"
}

# A node is known by its UTS namespace, which all it started is in.
lose() {
    local node=$1 slurmd space pid found=yes
    slurmd=$(cat "$dir/slurmd-$node.pid") && space=$(readlink "/proc/$slurmd/ns/uts") || return 1
    while [ -n "$found" ]; do
        found=
        for pid in /proc/[0-9]*; do
            [ "$(readlink "$pid/ns/uts" 2>/dev/null)" = "$space" ] || continue
            kill -KILL "${pid#/proc/}" 2>/dev/null && found=yes
        done
    done
}

cluster_lose() {
    cluster_run bash "$self" inside "$@" || die "node $1 is not there"
}

# Takes the cluster down should its owner die without doing so.
watch() {
    while same_process "$dir/owner.id"; do sleep 1; done
    cluster_down
}

cluster_down() {
    local pid
    [ -e "$dir/owner.id" ] || return 0 # nothing of ours: never remove a directory for its name
    if running; then
        pid=$(keeper_pid)
        kill -KILL "$pid" 2>/dev/null || true
        while running; do sleep 0.05; done
    fi
    rm -rf --one-file-system "$dir"
}

cluster_status() {
    running || { echo "not running ($dir)"; return 1; }
    cluster_run sinfo -N -o '%n %P %t %f'
    cluster_run squeue
}

cluster_sweep() {
    local other
    for other in /var/tmp/starlane-slurm.*; do
        if [ ! -e "$other/owner.id" ] || same_process "$other/owner.id"; then
            continue
        fi
        say "removing what a run that is gone left in $other"
        STARLANE_SLURM_DIR=$other bash "$self" down
    done
}

case ${1:-} in
up | down | status | sweep) "cluster_$1" ;;
run | lose) "cluster_$1" "${@:2}" ;;
inside) shift && lose "$@" ;;
keeper | node | watch) "$@" ;;
*) sed -n '2,15s/^# \{0,1\}//p' "$self" >&2 && exit 2 ;;
esac
