"""The walls around learners' code: bubblewrap makes them, a process forked from a warmed parent goes in.

For each submission `Cell` lets bubblewrap make namespaces (users, mounts, processes, network, IPC) in which there is a
read-only system, an empty home and a loopback; bubblewrap itself runs as nobody in particular. `enter` takes a forked
process into them and takes away what it could do there: capabilities, new privileges, and, by resource limits,
memory, processes, processor time and file sizes. The kernel process ends with its first process, so that nothing
that a learner starts outlives the submission. Linux only; `missing` says why there is no sandbox, if there is none.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HOME = "/home/learner"
NODES = "/nodes"
"""Where a learner finds the nodes' files."""
FIRST_UID = 65100
"""Users of no account under which learners' code runs when root grades, one for each submission at a time; the judge
is the user before. Debian reserves these numbers."""
ADVICE = (
    "Learners' code is run in a sandbox, and {reason}.\n"
    "  Debian, Ubuntu: sudo apt-get install bubblewrap\n"
    "  elsewhere:      grade on a Linux machine, or in a virtual machine\n"
    "With --trust-submissions it is run without one, with your own rights. Do that only for people you trust."
)
_MASKED = ("course", "k8s_core")
"""Packages that hold the checks: never to be seen from inside, wherever they are installed."""
MAX_PATH = 2000
"""Letters of a path below the nodes' folders: behind longer ones nobody could see how much there is."""
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one submission may use. Times in seconds, sizes in bytes.

    `cell` is for one cell, `submission` for all of them; `processor` (its time) and `memory` are for each process,
    and for all of them together.
    """

    cell: float = 120.0
    submission: float = 600.0
    processor: int = 120
    memory: int = 1536 * _MIB
    processes: int = 100
    output: int = 1 * _MIB
    file: int = 64 * _MIB
    disk: int = 128 * _MIB


DEFAULT = Limits()


class SandboxError(Exception):
    """The sandbox could not be made."""


@cache
def missing() -> str:
    """Why learners' code cannot be shut in here; empty if it can."""
    if sys.platform != "linux":
        return "that needs Linux"
    if not shutil.which("bwrap"):
        return "bubblewrap (bwrap) is not installed"
    try:
        with Cell(None, uid=FIRST_UID if os.geteuid() == 0 else None):
            pass
    except SandboxError as error:
        return f"bubblewrap does not work here ({error})"
    return ""


class Cell:
    """The walls for one submission; a context manager. `nodes` is a folder that is seen inside as NODES."""

    def __init__(self, nodes: Path | None, *, uid: int | None = None, limits: Limits = DEFAULT):
        self.nodes, self.limits = nodes, limits
        arguments = [
            *(as_user(uid, [nodes] if nodes else []) if uid is not None else ()),
            *("bwrap", "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"),
            *("--hostname", "notebook"),
            *("--size", str(limits.disk), "--tmpfs", "/tmp"),
            *system(),
            *("--dev", "/dev", "--size", str(limits.disk), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"),
            *("--proc", "/proc", "--size", str(limits.disk), "--tmpfs", HOME),
            *(("--bind", str(nodes), NODES) if nodes else ()),
            *("--remount-ro", "/"),
            *("--clearenv", "--setenv", "PATH", "/usr/bin:/bin"),
        ]
        read, write = os.pipe()
        self._bwrap = subprocess.Popen(
            [*arguments, "--info-fd", str(write), "sh", "-c", "echo; exec sleep infinity"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[write],
            env={"PATH": os.environ.get("PATH", os.defpath)},
        )
        os.close(write)
        with open(read, "rb") as info:
            text = info.read()
        assert self._bwrap.stdout
        if not self._bwrap.stdout.read(1):  # everything is in place when the shell speaks
            self._bwrap.kill()
            _, complaint = self._bwrap.communicate()
            raise SandboxError(complaint.decode(errors="replace").strip() or "it gave no reason")
        self.pid = int(json.loads(text)["child-pid"])
        self.processes_namespace = os.readlink(f"/proc/{self.pid}/ns/pid")

    def doors(self) -> list[int]:
        """Open files of the namespaces, for `enter`; to be closed by who asked for them."""
        found = {kind: os.open(f"/proc/{self.pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in _NAMESPACES}
        # The mounts belong to the users' namespace that was made first; there the others can be joined, too.
        first = fcntl.ioctl(found["mnt"], _NS_GET_USERNS)
        return [first, *(found[kind] for kind in _NAMESPACES)]

    def used(self) -> str:
        """What has been used up, in words; empty if nothing has."""
        inside = list(self._processes())
        if sum(map(_share, inside)) > self.limits.memory:
            return "used too much memory"
        if sum(map(_ticks, inside)) > self.limits.processor * os.sysconf("SC_CLK_TCK"):
            return "used up its processor time"
        if self.nodes and _size(self.nodes) + self._unlinked(inside) > self.limits.disk:
            return "wrote too much into the nodes' folders"
        return ""

    def _unlinked(self, inside: Iterable[str]) -> int:
        assert self.nodes
        device = self.nodes.stat().st_dev
        return sum(_unlinked(pid, device) for pid in inside)

    def _processes(self) -> Iterator[str]:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/ns/pid") == self.processes_namespace:
                    yield pid

    def kill(self) -> None:
        """End every process inside. Safe to call twice."""
        if self._bwrap.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)  # the first process of the namespace: all others go with it
            self._bwrap.kill()

    def close(self) -> None:
        """The same, and wait until nothing is left of it: a second on a busy machine."""
        self.kill()
        self._bwrap.communicate()

    def __enter__(self) -> "Cell":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def system(also: Iterable[Path] = ()) -> list[str]:
    """bubblewrap's arguments for a read-only system with this Python in it, and `also`; without the checks."""
    found: list[str] = []
    for name in ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/", name)
        if path.is_symlink():
            found += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            found += ["--ro-bind", str(path), str(path)]
    for name in ("alternatives", "ld.so.cache", "localtime", "ssl", "ca-certificates", "pki"):
        found += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for prefix in map(str, _prefixes()):
        found += ["--ro-bind", prefix, prefix]
    if not also:
        for site in {path for path in sys.path if "site-packages" in path or "dist-packages" in path}:
            for package in _MASKED:
                if Path(site, package).is_dir():
                    found += ["--tmpfs", f"{site}/{package}"]
    for path in also:
        found += ["--ro-bind", str(path), str(path)]
    return found


def as_user(uid: int, needs: Iterable[Path]) -> list[str]:
    """The beginning of a command line that root runs as `uid`, who can then reach `needs` even in a closed folder."""
    found = ["bwrap", "--dev-bind", "/", "/", "--die-with-parent"]
    hidden: set[Path] = set()
    for path in sorted({*_prefixes(), *needs}):
        for folder in reversed(path.parents):
            if not folder.stat().st_mode & 0o001:
                if folder not in hidden:
                    found += ["--tmpfs", str(folder)]
                hidden.add(folder)
                for each in reversed([each for each in path.parents if folder in each.parents]):
                    found += ["--dir", str(each), "--chmod", "0755", str(each)]
                found += ["--bind", str(path), str(path)]
                break
    return [*found, "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]


def _prefixes() -> list[Path]:
    """Where this Python is installed, if not in the system."""
    found = {Path(prefix) for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix)}
    return sorted(path for path in found if not path.is_relative_to("/usr"))


_NAMESPACES = ("pid", "net", "ipc", "uts", "cgroup", "mnt", "user")
_NS_GET_USERNS = 0xB701
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
_CAPABILITY_VERSION_3 = 0x20080522


def enter(doors: list[int], uid: int) -> None:
    """Go into the namespaces; the next fork is inside altogether. For a process of one thread."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() == 0 and uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    for door in doors:
        # EINVAL for the last one, users: the first one was the same, and it is in there already
        if libc.setns(door, 0) and not (door == doors[-1] and ctypes.get_errno() == errno.EINVAL):
            raise SandboxError(f"setns: {os.strerror(ctypes.get_errno())}")
        os.close(door)


def renounce(limits: Limits) -> None:
    """Give up every capability for good, and take on the limits. Inside, before anything of a learner's is run."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(64):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()) or libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise SandboxError(f"capset: {os.strerror(ctypes.get_errno())}")
    limit(limits)
    resource.setrlimit(resource.RLIMIT_NPROC, (limits.processes, limits.processes))


def limit(limits: Limits) -> None:
    """The limits that hold with and without a sandbox."""
    with contextlib.suppress(OSError):  # where memory runs out after all, this goes first, and not the grader
        Path("/proc/self/oom_score_adj").write_text("1000")
    for what, most in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CPU, limits.processor + 1),  # beyond it comes SIGKILL, and at what is set below SIGXCPU
        (resource.RLIMIT_FSIZE, limits.file),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(ValueError):  # macOS has no such limit
            resource.setrlimit(what, (allowed - (what == resource.RLIMIT_CPU), allowed))


def _size(folder: Path) -> int:
    """Bytes of the files below a folder; a file counts as one block at least, and what is too deep to see as no end."""
    total, waiting = 0, [str(folder)]
    while waiting:
        where = waiting.pop()
        if len(where) > len(str(folder)) + MAX_PATH:
            return sys.maxsize
        with contextlib.suppress(OSError), os.scandir(where) as entries:
            for entry in entries:
                total += 4096
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def _unlinked(pid: str, device: int) -> int:
    """Bytes of files on a device that have no name any more, and that a process has open."""
    total = 0
    with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                file = entry.stat()
                total += file.st_size if not file.st_nlink and file.st_dev == device else 0
    return total


def _ticks(pid: str) -> int:
    """Processor time of a process and of its children that have ended, in clock ticks."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return sum(map(int, Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[11:15]))
    return 0


def _share(pid: str) -> int:
    """A process's own memory and its share of what it shares, in bytes."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc", pid, "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    return 0
