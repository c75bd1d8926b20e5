"""Commands about processes: ps, kill, timeout, top, nohup ..."""

import time

from k8s_core.shell.commands.options import Table
from k8s_core.shell.commands.system import not_found, seconds
from k8s_core.shell.fs import Directory
from k8s_core.shell.host_fs import same_place
from k8s_core.shell.pipes import Killed, Steps
from k8s_core.shell.process import SIGNALS, Process, Row

COREUTILS, PROCPS = Table(), Table()
"""A slim Debian image lacks what is in PROCPS."""


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(seconds))


@PROCPS.plain("ps")
def ps(process: Process) -> Steps:
    """Both faces of ps: busybox's and procps'."""
    machine = process.machine
    yield 0.0  # the other commands of a pipeline have begun when a real ps looks
    rows, flags = sorted(machine.rows(), key=lambda p: p.pid), "".join(process.argv[1:]).replace("-", "")
    head, line = "    PID TTY          TIME CMD", _short
    if process.ash:
        head, line = "PID   USER     TIME  COMMAND", _busybox
    elif ("f" in flags and "e" in flags) or flags == "f":
        head, line = "UID          PID    PPID  C STIME TTY          TIME CMD", _full
    elif "u" in flags:
        head, line = "USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND", _user
    elif not set(flags) & set("eAax"):
        rows = [p for p in rows if p.tty == process.tty]
    process.print(head, *(line(p, 100 * p.cpu / max(machine.loop.now - p.started, 1.0)) for p in rows))
    return 0


def _busybox(p: Row, share: float) -> str:
    return f"{p.pid:5} {p.user:8} {_minutes(p.cpu):>5} {_command(p)}"


def _full(p: Row, share: float) -> str:
    when = f"{int(share):2} {_clock(p.started)[:5]}"
    return f"{p.user:8} {p.pid:7} {p.parent:7} {when} {_terminal(p)} {_clock(p.cpu)} {_command(p)}"


def _user(p: Row, share: float) -> str:
    memory, state = 100 * p.memory / (3840 << 20), "Ss" if p.pid == 1 else "S "
    size = f"{share:4.1f} {memory:4.1f} {p.memory // 256:6} {p.memory // 1024:5}"
    when = f"{_clock(p.started)[:5]} {_minutes(p.cpu):>6}"
    return f"{p.user:8} {p.pid:7} {size} {_terminal(p)} {state:4} {when} {_command(p)}"


def _short(p: Row, share: float) -> str:
    name = p.argv[0].rsplit("/", 1)[-1].lstrip("-").rstrip(":")
    return f"{p.pid:7} {_terminal(p)} {_clock(p.cpu)} {name}"


def _terminal(row: Row) -> str:
    return f"{'pts/0' if row.tty else '?':8}"


def _command(row: Row) -> str:
    return " ".join(row.argv)


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


@COREUTILS.plain("kill")
def kill(process: Process) -> int | None:
    arguments, number = process.argv[1:], SIGNALS["TERM"]
    if arguments[:1] == ["-l"]:
        process.print(" ".join(SIGNALS))
        return 0
    if arguments and arguments[0].startswith("-"):
        word = arguments.pop(0)[1:]
        if word == "s" and arguments:
            word = arguments.pop(0)
        number = int(word) if word.isdigit() else SIGNALS.get(word.upper().removeprefix("SIG"), -1)
        if number < 0:
            return process.fail(f"bad signal name '{word}'")
    for word in arguments:
        target = process.machine.process(int(word)) if word.lstrip("-").isdigit() else None
        if target is None:
            process.fail(f"can't kill pid {word}: No such process")
        elif target is not process.machine.processes.get(1) or number != SIGNALS["KILL"]:
            process.machine.loop.call_soon(target.signal, number)  # SIGKILL does not reach a namespace's own PID 1
    return None


def _named(process: Process) -> list[Process]:
    """The other processes whose program is named."""
    return [p for p in process.machine.processes.values() if p is not process and p.name in process.argv[1:]]


@PROCPS.plain("killall")
def killall(process: Process) -> int:
    found = _named(process)
    for each in found:
        process.machine.loop.call_soon(each.signal, SIGNALS["TERM"])
    names = [word for word in process.argv[1:] if not word.startswith("-")]
    return 0 if found else process.fail(f"{''.join(names[:1])}: no process killed")


@PROCPS.plain("pidof")
def pidof(process: Process) -> int:
    found = _named(process)
    process.print(*[" ".join(str(p.pid) for p in reversed(found))] if found else [])
    return int(not found)


@COREUTILS.plain("timeout")
def timeout(process: Process) -> Steps:
    arguments, number, machine = process.argv[1:], SIGNALS["TERM"], process.machine
    while arguments and arguments[0].startswith("-"):
        flag = arguments.pop(0)
        value = arguments.pop(0) if flag in ("-s", "-k") and arguments else ""
        if flag == "-s":
            number = int(value) if value.isdigit() else SIGNALS.get(value.upper().removeprefix("SIG"), number)
    limit = seconds(arguments[0]) if arguments else None
    if limit is None or len(arguments) < 2:
        return process.fail("usage: timeout SECS PROG ARGS", 125)
    if machine.find(arguments[1]) is None:
        return process.fail(not_found(process, arguments[1]), 127)
    child = process.start(arguments[1:], parent=process)
    expired = []

    def end() -> None:
        expired.append(True)
        child.signal(number)

    timer = machine.loop.call_later(limit, end, background=process.background())
    try:
        code = yield from child.wait()
    except Killed:
        child.signal(SIGNALS["KILL"])
        raise
    timer.cancel()
    late = 128 + number if process.ash or number == SIGNALS["KILL"] else 124
    return late if expired else code


@PROCPS.plain("top")
def top(process: Process) -> None:
    process.print(
        "Mem: 2987040K used, 945120K free, 3120K shrd, 93312K buff, 1081384K cached",
        "CPU:   0% usr   0% sys   0% nic 100% idle   0% io   0% irq   0% sirq\nLoad average: 0.08 0.03 0.01",
        "  PID  PPID USER     STAT   VSZ %VSZ CPU %CPU COMMAND",
    )
    for p in sorted(process.machine.rows(), key=lambda p: p.pid):
        process.print(f"{p.pid:5} {p.parent:5} {p.user:8} S     4400   0%   0   0% {_command(p)}")


@PROCPS.plain("free")
def free(process: Process) -> None:
    process.print(
        "              total        used        free      shared  buff/cache   available",
        "Mem:        3932160      812344     1945120        3120     1174696     2893312",
        "Swap:             0           0           0",
    )


@PROCPS.plain("uptime")
def uptime(process: Process) -> None:
    now = process.machine.loop.now
    minutes = int(now - process.machine.started) // 60
    process.print(f" {_clock(now)} up {minutes} min,  0 users,  load average: 0.08, 0.03, 0.01")


@COREUTILS.plain("nohup")
def nohup(process: Process) -> Steps:
    if len(process.argv) < 2:
        return process.fail("missing operand", 125)
    process.on_signal = lambda number: number == SIGNALS["HUP"]
    return (yield from process.run(process.argv[1:]))


@COREUTILS.plain("chroot")
def chroot(process: Process) -> Steps:
    """chroot DIR COMMAND: in a container that has its node's root, the node's own programs."""
    if len(process.argv) < 2:
        return process.fail("missing operand", 125)
    top, argv = process.argv[1], process.argv[2:] or ["sh", "-i"]
    node = process.lookup(top)
    if not isinstance(node, Directory):
        return process.fail(f"cannot change root directory to '{top}': No such file or directory", 125)
    outside = getattr(getattr(process.machine, "runtime", None), "node", None)
    machine = outside if outside is not None and same_place(node, outside.fs.root) else process.machine
    if machine.find(argv[0]) is None:
        return process.fail(f"failed to run command '{argv[0]}': No such file or directory", 127)
    child = process.start(argv, machine=machine, cwd="/", tty=process.tty, attended=process.attended)
    process.at_exit.append(lambda: child.signal(SIGNALS["KILL"]))
    return (yield from child.wait())
