"""Commands about the system: env, ps, hostname, date, sleep, kill, test, id, uname, timeout ..."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

from k8s_core.shell.commands.options import UsageError, parse, usage
from k8s_core.shell.fs import Device, Directory, File, FileError, Link, Node
from k8s_core.shell.process import SIGNALS, Command, Discard, Killed, Pipe, Process, Steps

KERNEL = "6.8.0-60-generic"


def true(process: Process) -> Steps:
    return 0
    yield 0.0


def false(process: Process) -> Steps:
    return 1
    yield 0.0


def sleep(process: Process) -> Steps:
    total = 0.0
    if len(process.argv) < 2:
        return process.fail("missing operand")
    for word in process.argv[1:]:
        match = re.fullmatch(r"(\d+\.?\d*|\.\d+)([smhd]?)", word)
        if not match and word not in ("inf", "infinity"):
            return process.fail(
                f"invalid number '{word}'" if process.machine.shell == "ash" else f"invalid time interval '{word}'"
            )
        total += float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(match[2], 1) if match else 1e9
    process.machine.rested()
    yield total
    return 0


def date(process: Process) -> Steps:
    options, operands = parse(process, "uRI", "ds", {"utc": "u", "iso-8601": "I"})
    now = process.machine.loop.now
    if options.get("d", "").startswith("@"):
        now = float(options["d"][1:])
    moment = datetime.fromtimestamp(now, UTC)
    if "R" in options:
        process.out(moment.strftime("%a, %d %b %Y %H:%M:%S +0000\n"))
    elif "I" in options:
        process.out(moment.strftime("%Y-%m-%d\n"))
    elif operands and operands[0].startswith("+"):
        template = operands[0][1:].replace("%s", str(int(now))).replace("%N", f"{int(now % 1 * 1e9):09}")
        process.out(moment.strftime(template) + "\n")
    else:
        process.out(moment.strftime("%a %b %e %H:%M:%S UTC %Y\n"))
    return 0
    yield 0.0


def env(process: Process) -> Steps:
    arguments, environment = process.argv[1:], dict(process.env)
    while arguments and (arguments[0] in ("-i", "-u", "-") or "=" in arguments[0]):
        word = arguments.pop(0)
        if word in ("-i", "-"):
            environment = {}
        elif word == "-u" and arguments:
            environment.pop(arguments.pop(0), None)
        else:
            name, _, value = word.partition("=")
            environment[name] = value
    if arguments:
        if process.machine.find(arguments[0]) is None:
            return process.fail(f"can't execute '{arguments[0]}': No such file or directory", 127)
        return (yield from process.run(arguments, env=environment))
    process.out("".join(f"{name}={value}\n" for name, value in environment.items()))
    return 0


def printenv(process: Process) -> Steps:
    if len(process.argv) == 1:
        process.out("".join(f"{name}={value}\n" for name, value in process.env.items()))
    for name in process.argv[1:]:
        if name not in process.env:
            return 1
        process.out(process.env[name] + "\n")
    return 0
    yield 0.0


def hostname(process: Process) -> Steps:
    machine = process.machine
    if len(process.argv) > 1 and process.argv[1] in ("-i", "-I"):
        process.out(f"{getattr(machine.network, 'address', '127.0.0.1')}\n")
    elif len(process.argv) > 1 and process.argv[1] in ("-s", "-f"):
        process.out(f"{machine.hostname}\n")
    elif len(process.argv) > 1:
        return process.fail("sethostname: Operation not permitted")
    else:
        process.out(f"{machine.hostname}\n")
    return 0
    yield 0.0


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(seconds))


def ps(process: Process) -> Steps:
    """Both faces of ps: busybox's and procps'."""
    machine = process.machine
    rows = sorted(machine.processes.values(), key=lambda p: p.pid)
    if machine.shell == "ash":
        process.out("PID   USER     TIME  COMMAND\n")
        for p in rows:
            process.out(f"{p.pid:5} {machine.user:8}  0:00 {_command(p)}\n")
        return 0
    flags = "".join(process.argv[1:]).replace("-", "")
    if ("f" in flags and "e" in flags) or flags == "f":
        process.out("UID          PID    PPID  C STIME TTY          TIME CMD\n")
        for p in rows:
            parent = p.parent.pid if p.parent else 0
            process.out(
                f"{machine.user:8} {p.pid:7} {parent:7}  0 {_clock(p.started)[:5]} {'pts/0' if p.tty else '?':8} "
                f"00:00:00 {_command(p)}\n"
            )
    elif "u" in flags:
        process.out("USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND\n")
        for p in rows:
            process.out(
                f"{machine.user:8} {p.pid:7}  0.0  0.0 {p.memory // 256:6} {p.memory // 1024:5} "
                f"{'pts/0' if p.tty else '?':8} {'Ss' if p.pid == 1 else 'S ':4} {_clock(p.started)[:5]}   0:00 "
                f"{_command(p)}\n"
            )
    else:
        process.out("    PID TTY          TIME CMD\n")
        for p in rows:
            if set(flags) & set("eAax") or p.tty == process.tty:
                process.out(f"{p.pid:7} {'pts/0' if p.tty else '?':8} 00:00:00 {p.argv[0].rsplit('/', 1)[-1]}\n")
    return 0
    yield 0.0


def _command(process: Process) -> str:
    return " ".join(process.argv)


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
        target = process.machine.processes.get(int(word)) if word.lstrip("-").isdigit() else None
        if target is None:
            status = process.fail(f"can't kill pid {word}: No such process")
        elif target.pid == 1 and number == SIGNALS["KILL"]:
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

    timer = machine.loop.call_later(seconds, end, background=machine.background())
    try:
        code = yield from child.wait()
    except Killed:
        child.signal(SIGNALS["KILL"])
        raise
    timer.cancel()
    return (143 if machine.shell == "ash" else 124) if expired else code


def test(process: Process) -> Steps:
    words = process.argv[1:]
    if process.argv[0].rsplit("/", 1)[-1] == "[":
        if not words or words[-1] != "]":
            return process.fail("missing ]", 2)
        words = words[:-1]
    try:
        value, rest = _or(process, words)
    except (ValueError, IndexError) as error:
        return process.fail(str(error) if isinstance(error, ValueError) else "argument expected", 2)
    if rest:
        return process.fail(f"{rest[0]}: unknown operand", 2)
    return int(not value)
    yield 0.0


def _or(process: Process, words: list[str]) -> tuple[bool, list[str]]:
    value, words = _and(process, words)
    while words and words[0] == "-o":
        right, words = _and(process, words[1:])
        value = value or right
    return value, words


def _and(process: Process, words: list[str]) -> tuple[bool, list[str]]:
    value, words = _primary(process, words)
    while words and words[0] == "-a":
        right, words = _primary(process, words[1:])
        value = value and right
    return value, words


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text}: bad number") from None


BINARY: dict[str, Callable[[str, str], bool]] = {
    "=": lambda a, b: a == b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "-eq": lambda a, b: _integer(a) == _integer(b),
    "-ne": lambda a, b: _integer(a) != _integer(b),
    "-lt": lambda a, b: _integer(a) < _integer(b),
    "-le": lambda a, b: _integer(a) <= _integer(b),
    "-gt": lambda a, b: _integer(a) > _integer(b),
    "-ge": lambda a, b: _integer(a) >= _integer(b),
}
FILE_TESTS: dict[str, Callable[[Node], bool]] = {
    "-e": lambda n: True,
    "-f": lambda n: isinstance(n, File),
    "-d": lambda n: isinstance(n, Directory),
    "-L": lambda n: isinstance(n, Link),
    "-h": lambda n: isinstance(n, Link),
    "-c": lambda n: isinstance(n, Device),
    "-r": lambda n: True,
    "-w": lambda n: True,
    "-x": lambda n: bool(n.mode & 0o111),
    "-s": lambda n: isinstance(n, Directory) or (isinstance(n, File) and bool(n.read())),
    "-S": lambda n: False,
    "-b": lambda n: False,
    "-p": lambda n: False,
}


def _primary(process: Process, words: list[str]) -> tuple[bool, list[str]]:
    if not words:
        return False, []
    if words[0] == "!":
        value, rest = _primary(process, words[1:])
        return not value, rest
    if len(words) >= 3 and words[1] in BINARY:
        return BINARY[words[1]](words[0], words[2]), words[3:]
    if words[0] == "(":
        value, rest = _or(process, words[1:])
        if not rest or rest[0] != ")":
            raise ValueError("closing paren expected")
        return value, rest[1:]
    if len(words) >= 2 and words[0] in ("-n", "-z"):
        return (words[1] != "") == (words[0] == "-n"), words[2:]
    if len(words) >= 2 and words[0] == "-t":
        return process.tty, words[2:]
    if len(words) >= 2 and words[0] in FILE_TESTS:
        node = process.fs.lookup(words[1], process.cwd, follow=words[0] not in ("-L", "-h"))
        return node is not None and FILE_TESTS[words[0]](node), words[2:]
    return words[0] != "", words[1:]


def id_(process: Process) -> Steps:
    machine = process.machine
    if "-u" in process.argv:
        process.out(f"{machine.user if '-n' in process.argv else machine.uid}\n")
    elif "-g" in process.argv:
        process.out(f"{machine.gid}\n")
    elif machine.uid == 0:
        process.out(
            "uid=0(root) gid=0(root) groups=0(root)" + (",10(wheel)" if machine.shell == "ash" else "") + "\n"
        )
    else:
        process.out(f"uid={machine.uid} gid={machine.gid} groups={machine.gid}\n")
    return 0
    yield 0.0


def whoami(process: Process) -> Steps:
    if process.machine.user.isdigit():
        return process.fail(f"unknown uid {process.machine.uid}")
    process.out(process.machine.user + "\n")
    return 0
    yield 0.0


def uname(process: Process) -> Steps:
    flags = "".join(process.argv[1:]).replace("-", "")
    host = process.machine.hostname
    values = {"s": "Linux", "n": host, "r": KERNEL, "v": "#63-Ubuntu SMP PREEMPT_DYNAMIC", "m": "x86_64"}
    if "a" in flags:
        process.out(" ".join(values.values()) + (" Linux\n" if process.machine.shell == "ash" else " GNU/Linux\n"))
    else:
        process.out(" ".join(value for key, value in values.items() if key in (flags or "s")) + "\n")
    return 0
    yield 0.0


def uptime(process: Process) -> Steps:
    minutes = int(process.machine.loop.now - process.machine.started) // 60
    process.out(f" {_clock(process.machine.loop.now)} up {minutes} min,  0 users,  load average: 0.08, 0.03, 0.01\n")
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


def nproc(process: Process) -> Steps:
    process.out("1\n")
    return 0
    yield 0.0


def which(process: Process) -> Steps:
    status = 0
    for name in process.argv[1:]:
        if process.machine.find(name):
            process.out((name if "/" in name else f"/bin/{name}") + "\n")
        else:
            status = 1
    return status
    yield 0.0


def top(process: Process) -> Steps:
    process.out(
        "Mem: 2987040K used, 945120K free, 3120K shrd, 93312K buff, 1081384K cached\n"
        "CPU:   0% usr   0% sys   0% nic 100% idle   0% io   0% irq   0% sirq\nLoad average: 0.08 0.03 0.01\n"
        "  PID  PPID USER     STAT   VSZ %VSZ CPU %CPU COMMAND\n"
    )
    for p in sorted(process.machine.processes.values(), key=lambda p: p.pid):
        process.out(
            f"{p.pid:5} {p.parent.pid if p.parent else 0:5} {process.machine.user:8} S     4400   0%   0   0% "
            f"{_command(p)}\n"
        )
    return 0
    yield 0.0


def nohup(process: Process) -> Steps:
    if len(process.argv) < 2:
        return process.fail("missing operand", 125)
    process.on_signal = lambda number: number == SIGNALS["HUP"]
    return (yield from process.run(process.argv[1:]))


def dd(process: Process) -> Steps:
    words = dict(word.split("=", 1) for word in process.argv[1:] if "=" in word)
    units = {"k": 1 << 10, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    block = words.get("bs", "512")
    size = int(block.rstrip("kKMGB") or 1) * units.get(block.rstrip("B")[-1:], 1)
    source = words.get("if")
    count = int(words["count"]) if "count" in words else 0 if source == "/dev/zero" else 1 << 20
    total = size * count
    if source == "/dev/zero":
        data = bytes(min(total, 8 << 20))
    elif source:
        data = process.fs.read(source, process.cwd)[:total]
    else:
        data = (yield from process.stdin.read_all())[:total]
    output = process.open_output(words["of"]) if "of" in words else process.stdout
    if not isinstance(output, Discard):
        output.write(data)
    process.err(f"{len(data) // size}+0 records in\n{len(data) // size}+0 records out\n{len(data)} bytes copied\n")
    return 0


def stty(process: Process) -> Steps:
    if process.argv[1:] == ["size"]:
        process.out("24 80\n")
    return 0 if process.tty else process.fail("standard input: Inappropriate ioctl for device")
    yield 0.0


def clear(process: Process) -> Steps:
    process.out("\033[H\033[J")
    return 0
    yield 0.0


def busybox(process: Process) -> Steps:
    if len(process.argv) < 2:
        process.out("BusyBox v1.37.0 (2024-09-26 21:31:42 UTC) multi-call binary.\n")
        return 0
    if process.machine.find(process.argv[1]) is None:
        process.err(f"{process.argv[1]}: applet not found\n")
        return 127
    return (yield from process.run(process.argv[1:], stdin=process.stdin or Pipe(closed=True)))


def _checked(command: Command) -> Command:
    def run(process: Process) -> Steps:
        try:
            return (yield from command(process))
        except UsageError as error:
            return usage(process, error)
        except FileError as error:
            return process.fail(str(error))
        except ValueError:
            return process.fail("invalid argument")

    return run


def _set(**commands: Command) -> dict[str, Command]:
    return {name: _checked(command) for name, command in commands.items()}


COREUTILS: dict[str, Command] = _set(
    true=true,
    false=false,
    sleep=sleep,
    date=date,
    env=env,
    printenv=printenv,
    hostname=hostname,
    kill=kill,
    timeout=timeout,
    test=test,
    id=id_,
    whoami=whoami,
    uname=uname,
    nproc=nproc,
    which=which,
    nohup=nohup,
    dd=dd,
    stty=stty,
    clear=clear,
) | {"[": test}
DEBIAN: dict[str, Command] = {}
"""What a slim Debian image has beyond coreutils: no ps, no ip, no ping, as in life."""
PROCPS: dict[str, Command] = _set(ps=ps, top=top, free=free, uptime=uptime, pidof=pidof, killall=killall)
BUSYBOX: dict[str, Command] = _set(busybox=busybox)
