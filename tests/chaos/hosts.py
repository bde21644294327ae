"""Several hosts on this one machine, to be injured: each has a name, processes, a network and a /tmp of its own.

    with Hosts(folder, 3) as hosts: hosts.spawn(["starlane", ...]); hosts["h2"].lose(); hosts.cut("h1", "h3")

Design notes. All lives in one PID, mount and network namespace, whose first process is `head`: when that
one dies, and it dies with this process, the kernel ends every process and drops every mount, interface and
namespace. So nothing can be left behind, and names and addresses are the same in every network of hosts
without getting into each other's way. A host adds namespaces of its own for all of these, so that ranks on
two hosts can neither see each other's processes nor share memory. Between hosts there is a bridge, and a
cable (a veth pair) from each host to it.

`head` is the host that users log in to: mpirun runs there, and reaches the hosts by `rsh`, which enters
their namespaces, as only the processes of an outer PID namespace can.

A cut of one direction needs no packet filter, which kernels often lack: the sender is given another
hardware address for the receiver, and the bridge finds nobody of that address."""
import ctypes
import os
import pathlib
import select
import shutil
import signal
import subprocess

PR_SET_PDEATHSIG = 1
NOBODY = "02:00:00:00:00:fe"
READY_S = 20
NETWORK = "10.77.0"
HEAD_ADDRESS = f"{NETWORK}.100"
HEAD_HARDWARE = "02:00:00:00:01:00"  # else a bridge takes that of one of its cables, and another when that is gone
PROGRAMS = {"ip": "iproute2", "unshare": "util-linux", "nsenter": "util-linux", "mount": "mount"}
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

# Reaps what is left to it, as the first process of a PID namespace must.
STAY = "echo ready; exec >/dev/null 2>&1; while :; do sleep 1000 & wait; done"
OWN_DEVICES = "mount -t tmpfs -o mode=1777 none /tmp && mount -t tmpfs -o mode=1777 none /dev/shm"


class Impossible(Exception):
    """Hosts cannot be made here, and why."""


def check_possible():
    if os.geteuid() != 0:
        raise Impossible("hosts as namespaces need root")
    missing = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program, path=PATH)})
    if missing:
        raise Impossible("packages missing: " + " ".join(missing))


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def enter(pid, *words, what=("mount", "net", "uts", "ipc", "pid")):
    return ["nsenter", f"--target={pid}", *(f"--{name}" for name in what), "--", *words]


def start_first(words):
    """Starts the first process of new namespaces: (its number here, the process to wait for)."""
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={"PATH": PATH}, preexec_fn=die_with_parent, start_new_session=True)
    ready = select.select([process.stdout], [], [], READY_S)[0] and process.stdout.readline() == b"ready\n"
    if not ready:
        process.kill()
        raise Impossible("no namespaces here: " + process.stderr.read().decode(errors="replace").strip())
    process.stdout.close()
    process.stderr.close()
    pid = process.pid
    while True: # down the chain of those that wait: nsenter, unshare, the first process
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        if next(line for line in status.split("\n") if line.startswith("NSpid:")).split()[-1] == "1":
            return pid, process
        pid = int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


UNSHARE = ["unshare", "--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--mount-proc", "--kill-child",
           "sh", "-c"]


class Host:
    def __init__(self, hosts, number):
        self.hosts, self.name, self.cable = hosts, f"h{number}", f"v{number}"
        self.address, self.hardware = f"{NETWORK}.{number}", f"02:00:00:00:00:{number:02x}"
        self.pid = self.process = None

    def boot(self):
        exposed = " ".join(f'&& mkdir -p "{path}" && mount --bind "{self.hosts.folder}/tmp/{path[5:]}" "{path}"'
                           for path in self.hosts.exposed)
        subprocess.run(enter(self.hosts.pid, "ip", "link", "delete", self.cable), check=False, env={"PATH": PATH},
                       stderr=subprocess.DEVNULL)  # of the host that was lost
        self.pid, self.process = start_first(enter(
            self.hosts.pid, *UNSHARE, f"hostname {self.name} && {OWN_DEVICES} {exposed} && ip link set lo up && {STAY}"))
        number = self.hosts.number_in_head(self.pid)
        self.hosts.run("ip", "link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "address",
                       self.hardware, "netns", str(number))
        self.hosts.run("ip", "link", "set", self.cable, "master", "br0", "up")
        self.run("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")

    def run(self, *words):
        subprocess.run(enter(self.pid, *words), check=True, env={"PATH": PATH})

    def pids(self):
        """All its processes but the first."""
        own = os.readlink(f"/proc/{self.pid}/ns/pid")
        found = []
        for pid in os.listdir("/proc"):
            try:
                if pid.isdigit() and os.readlink(f"/proc/{pid}/ns/pid") == own and alive(pid):
                    found.append(int(pid))
            except OSError:
                pass
        return [pid for pid in found if pid != self.pid]

    def link(self, up):
        self.hosts.run("ip", "link", "set", self.cable, "up" if up else "down")

    def lose(self, dark=True):
        """All its processes end at once. `dark`: nothing of that reaches the network, as when power fails;
        else the kernel still closes their connections."""
        if dark:
            self.link(False)
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait()
        self.pid = None

    def freeze(self):
        frozen = set()
        while new := set(self.pids()) - frozen:
            for pid in new:
                self.signal(pid, signal.SIGSTOP)
            frozen |= new

    def thaw(self):
        for pid in self.pids():
            self.signal(pid, signal.SIGCONT)

    @staticmethod
    def signal(pid, number):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


class Hosts:
    """`folder` is seen by all hosts, at the same path, and so is all that does not lie in /tmp; of /tmp they see the
    `exposed` paths. What the agent starts has of `environment` and PATH its environment. With `disk_bytes`,
    folder/disk is a disk of that size, which all share."""

    def __init__(self, folder, count, environment=(), exposed=(), disk_bytes=None):
        check_possible()
        self.folder = str(folder)
        assert not self.folder.startswith("/tmp/"), "hosts do not share /tmp"
        self.exposed = [path for path in exposed if path.startswith("/tmp/")]
        self.disk_bytes = disk_bytes
        self.all = {f"h{i}": Host(self, i) for i in range(1, count + 1)}
        try:
            self.start(dict(environment))
        except BaseException:
            self.close()
            raise

    def start(self, environment):
        for name in ("proc", "tmp", "disk"):
            os.makedirs(f"{self.folder}/{name}", exist_ok=True)
        lines = ["127.0.0.1 localhost", f"{HEAD_ADDRESS} head", *(f"{h.address} {h.name}" for h in self.all.values())]
        pathlib.Path(self.folder, "hosts").write_text("\n".join(lines) + "\n")
        disk = f'mount -t tmpfs -o size={self.disk_bytes} none "{self.folder}/disk" && ' if self.disk_bytes else ""
        self.pid = self.process = None
        self.pid, self.process = start_first([
            *UNSHARE, f'hostname head && mount --bind /proc "{self.folder}/proc" && '
            f'mount --bind /tmp "{self.folder}/tmp" && mount --bind "{self.folder}/hosts" /etc/hosts && {disk}'
            f"ip link set lo up && ip link add br0 address {HEAD_HARDWARE} type bridge && "
            f"ip address add {HEAD_ADDRESS}/24 dev br0 && "
            f'ip link set br0 up && {STAY}'])
        for host in self.all.values():
            host.boot()
        self.write_agent(environment)

    def write_agent(self, environment):
        numbers = "\n".join(f"{host.name}) pid={self.number_in_head(host.pid)} ;;" for host in self.all.values())
        words = " ".join(f"{name}='{value}'" for name, value in {**environment, "PATH": PATH, "HOME": "/root"}.items())
        agent = pathlib.Path(self.folder, "rsh")
        agent.write_text(f"#!/bin/sh\n# rsh HOST COMMAND: as ssh does it, over the namespaces.\ncase $1 in\n{numbers}\n"
                         f'*) echo "rsh: no host $1" >&2; exit 255 ;;\nesac\nshift\n'
                         "exec nsenter --target=$pid --mount --net --uts --ipc --pid -- "
                         f'env -i {words} sh -c "cd \'{self.folder}\'; $*"\n')
        agent.chmod(0o755)

    @staticmethod
    def number_in_head(pid):
        """Of a host's first process: its number where mpirun runs."""
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        return next(line for line in status.split("\n") if line.startswith("NSpid:")).split()[-2]

    def mpirun_words(self, slots):
        """What mpirun needs to hear to start ranks on the hosts, `slots` on each."""
        path = pathlib.Path(self.folder, "hostfile")
        path.write_text("".join(f"{name} slots={slots}\n" for name in self.all))
        return (f"--hostfile {path} --mca plm_rsh_agent {self.folder}/rsh --mca plm_rsh_no_tree_spawn 1 "
                f"--mca oob_tcp_if_include {NETWORK}.0/24 --mca btl_tcp_if_include {NETWORK}.0/24")

    def run(self, *words):
        subprocess.run(enter(self.pid, *words), check=True, env={"PATH": PATH})

    def spawn(self, words, **more):
        """A process on `head`, in `folder`; its parent is the nsenter that is returned."""
        return subprocess.Popen(enter(self.pid, "sh", "-c", 'cd "$0" && exec "$@"', self.folder, *words),
                                preexec_fn=die_with_parent, **more)

    def path(self, path):
        """A path of head's (its disk) as it is reached from outside."""
        return pathlib.Path(f"/proc/{self.pid}/root{path}")

    def __getitem__(self, name):
        return self.all[name]

    def names(self):
        return list(self.all)

    def cut(self, sender, receiver):
        """Nothing of what `sender` sends reaches `receiver`; the other way it does."""
        self.teach(sender, receiver, NOBODY)

    def heal(self, sender, receiver):
        self.teach(sender, receiver, self[receiver].hardware)

    def teach(self, sender, receiver, hardware):
        self[sender].run("ip", "neighbour", "replace", self[receiver].address, "lladdr", hardware, "dev", "eth0",
                         "nud", "permanent")

    def close(self):
        if getattr(self, "process", None):
            os.kill(self.pid, signal.SIGKILL)
            self.process.wait()
        for host in self.all.values():
            if host.process:
                host.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
