"""Commands about processes: ps, kill, timeout, top, nohup ..."""

import re
import time

from k8s_core.shell.commands.options import table
from k8s_core.shell.fs import Directory
from k8s_core.shell.host_fs import same_place
from k8s_core.shell.pipes import Killed, Steps
from k8s_core.shell.process import SIGNALS, Command, Process, Row


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(seconds))


def ps(process: Process) -> Steps:
    """Both faces of ps: busybox's and procps'."""
    machine = process.machine
    yield 0.0  # the other commands of a pipeline have begun when a real ps looks
    rows = sorted(machine.rows(), key=lambda p: p.pid)
    if machine.shell == "ash":
        process.out("PID   USER     TIME  COMMAND\n")
        for p in rows:
            process.out(f"{p.pid:5} {p.user:8} {_minutes(p.cpu):>5} {_command(p)}\n")
        return 0
    flags = "".join(process.argv[1:]).replace("-", "")
    if ("f" in flags and "e" in flags) or flags == "f":
        process.out("UID          PID    PPID  C STIME TTY          TIME CMD\n")
        for p in rows:
            lived = max(machine.loop.now - p.started, 1.0)
            process.out(
                f"{p.user:8} {p.pid:7} {p.parent:7} {int(100 * p.cpu / lived):2} {_clock(p.started)[:5]} "
                f"{'pts/0' if p.tty else '?':8} {_clock(p.cpu)} {_command(p)}\n"
            )
    elif "u" in flags:
        process.out("USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND\n")
        for p in rows:
            lived = max(machine.loop.now - p.started, 1.0)
            share, memory = 100 * p.cpu / lived, 100 * p.memory / (3840 << 20)
            process.out(
                f"{p.user:8} {p.pid:7} {share:4.1f} {memory:4.1f} {p.memory // 256:6} {p.memory // 1024:5} "
                f"{'pts/0' if p.tty else '?':8} {'Ss' if p.pid == 1 else 'S ':4} {_clock(p.started)[:5]} "
                f"{_minutes(p.cpu):>6} {_command(p)}\n"
            )
    else:
        process.out("    PID TTY          TIME CMD\n")
        for p in rows:
            if set(flags) & set("eAax") or p.tty == process.tty:
                name = p.argv[0].rsplit("/", 1)[-1].lstrip("-").rstrip(":")
                process.out(f"{p.pid:7} {'pts/0' if p.tty else '?':8} {_clock(p.cpu)} {name}\n")
    return 0


def _command(row: Row) -> str:
    return " ".join(row.argv)


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def kill(process: Process) -> Steps:
    arguments, number = process.argv[1:], SIGNALS["TERM"]
    if arguments[:1] == ["-l"]:
        process.out(" ".join(SIGNALS) + "\n")
        return 0
    if arguments and arguments[0].startswith("-"):
        word = arguments.pop(0)[1:]
        if word == "s" and arguments:
            word = arguments.pop(0)
        number = int(word) if word.isdigit() else SIGNALS.get(word.upper().removeprefix("SIG"), -1)
        if number < 0:
            return process.fail(f"bad signal name '{word}'")
    status = 0
    for word in arguments:
        target = process.machine.process(int(word)) if word.lstrip("-").isdigit() else None
        if target is None:
            status = process.fail(f"can't kill pid {word}: No such process")
        elif target is process.machine.processes.get(1) and number == SIGNALS["KILL"]:
            continue  # PID 1 cannot be killed from inside its own namespace
        else:
            process.machine.loop.call_soon(target.signal, number)
    return status
    yield 0.0


def killall(process: Process) -> Steps:
    names = [a for a in process.argv[1:] if not a.startswith("-")]
    hit = False
    for p in list(process.machine.processes.values()):
        if p is not process and p.argv[0].rsplit("/", 1)[-1] in names:
            hit = True
            process.machine.loop.call_soon(p.signal, SIGNALS["TERM"])
    return 0 if hit else process.fail(f"{names[0] if names else ''}: no process killed")
    yield 0.0


def pidof(process: Process) -> Steps:
    found = [
        str(p.pid)
        for p in process.machine.processes.values()
        if p is not process and p.argv[0].rsplit("/", 1)[-1] in process.argv[1:]
    ]
    if found:
        process.out(" ".join(reversed(found)) + "\n")
    return int(not found)
    yield 0.0


def timeout(process: Process) -> Steps:
    arguments = process.argv[1:]
    while arguments and arguments[0].startswith("-"):
        flag = arguments.pop(0)
        if flag in ("-s", "-k", "-t") and arguments and flag != "-t":
            arguments.pop(0)
    match = re.fullmatch(r"(\d+\.?\d*)([smhd]?)", arguments[0]) if arguments else None
    if not match or len(arguments) < 2:
        return process.fail("usage: timeout SECS PROG ARGS", 125)
    machine = process.machine
    if machine.find(arguments[1]) is None:
        return process.fail(f"can't execute '{arguments[1]}': No such file or directory", 127)
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(match[2], 1)
    child = machine.start(
        arguments[1:],
        env=process.env,
        cwd=process.cwd,
        stdin=process.stdin,
        stdout=process.stdout,
        stderr=process.stderr,
        parent=process,
    )
    expired = []

    def end() -> None:
        expired.append(True)
        child.signal(SIGNALS["TERM"])

    timer = machine.loop.call_later(seconds, end, background=process.background())
    try:
        code = yield from child.wait()
    except Killed:
        child.signal(SIGNALS["KILL"])
        raise
    timer.cancel()
    return (143 if machine.shell == "ash" else 124) if expired else code


def top(process: Process) -> Steps:
    process.out(
        "Mem: 2987040K used, 945120K free, 3120K shrd, 93312K buff, 1081384K cached\n"
        "CPU:   0% usr   0% sys   0% nic 100% idle   0% io   0% irq   0% sirq\nLoad average: 0.08 0.03 0.01\n"
        "  PID  PPID USER     STAT   VSZ %VSZ CPU %CPU COMMAND\n"
    )
    for p in sorted(process.machine.rows(), key=lambda p: p.pid):
        process.out(f"{p.pid:5} {p.parent:5} {p.user:8} S     4400   0%   0   0% {_command(p)}\n")
    return 0
    yield 0.0


def free(process: Process) -> Steps:
    process.out(
        "              total        used        free      shared  buff/cache   available\n"
        "Mem:        3932160      812344     1945120        3120     1174696     2893312\n"
        "Swap:             0           0           0\n"
    )
    return 0
    yield 0.0


def uptime(process: Process) -> Steps:
    minutes = int(process.machine.loop.now - process.machine.started) // 60
    process.out(f" {_clock(process.machine.loop.now)} up {minutes} min,  0 users,  load average: 0.08, 0.03, 0.01\n")
    return 0
    yield 0.0


def nohup(process: Process) -> Steps:
    if len(process.argv) < 2:
        return process.fail("missing operand", 125)
    process.on_signal = lambda number: number == SIGNALS["HUP"]
    return (yield from process.run(process.argv[1:]))


def chroot(process: Process) -> Steps:
    """chroot DIR COMMAND: in a container that has its node's root, the node's own programs."""
    if len(process.argv) < 2:
        return process.fail("missing operand", 125)
    top, argv = process.argv[1], process.argv[2:] or ["sh", "-i"]
    node = process.fs.lookup(top, process.cwd)
    if not isinstance(node, Directory):
        return process.fail(f"cannot change root directory to '{top}': No such file or directory", 125)
    outside = getattr(getattr(process.machine, "runtime", None), "node", None)
    machine = outside if outside is not None and same_place(node, outside.fs.root) else process.machine
    if machine.find(argv[0]) is None:
        return process.fail(f"failed to run command '{argv[0]}': No such file or directory", 127)
    child = machine.start(
        argv, env=process.env, cwd="/", stdin=process.stdin, stdout=process.stdout, stderr=process.stderr,
        tty=process.tty, attended=process.attended,
    )  # fmt: skip
    process.at_exit.append(lambda: child.signal(SIGNALS["KILL"]))
    return (yield from child.wait())


COREUTILS: dict[str, Command] = table(chroot=chroot, kill=kill, timeout=timeout, nohup=nohup)
PROCPS: dict[str, Command] = table(ps=ps, top=top, free=free, uptime=uptime, pidof=pidof, killall=killall)
"""What a slim Debian image lacks."""
