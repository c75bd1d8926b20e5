"""Commands about processes: kill, timeout, uptime, nohup ... (ps.py has ps and top)."""

import time

from k8s_core.shell.commands import ps
from k8s_core.shell.commands.options import Table
from k8s_core.shell.commands.system import not_found, seconds
from k8s_core.shell.fs import Directory
from k8s_core.shell.host_fs import same_place
from k8s_core.shell.pipes import Killed, Steps
from k8s_core.shell.process import SIGNALS, Process

COREUTILS, PROCPS = Table(), Table(ps.COMMANDS)
"""A slim Debian image lacks what is in PROCPS."""


@COREUTILS.plain("kill")
def kill(process: Process) -> int | None:
    arguments, number = process.argv[1:], SIGNALS["TERM"]
    if arguments[:1] == ["-l"]:
        rows = [f"{number:2}) SIG{name}" for name, number in sorted(SIGNALS.items(), key=lambda each: each[1])]
        process.print(
            *([" ".join(SIGNALS)] if process.ash else ["\t".join(rows[i : i + 5]) for i in range(0, len(rows), 5)])
        )
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
    process.print(
        f" {time.strftime('%H:%M:%S', time.gmtime(now))} up {minutes} min,  0 users,  load average: 0.08, 0.03, 0.01"
    )


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
