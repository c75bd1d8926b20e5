"""Commands about the system: env, ps, hostname, date, sleep, kill, test, id, uname, timeout ..."""

import re
from datetime import UTC, datetime

from k8s_core.shell.commands.options import parse, table
from k8s_core.shell.fs import FileError
from k8s_core.shell.pipes import Discard, Pipe, Steps
from k8s_core.shell.process import Command, Process

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


def _full_name(process: Process) -> str:
    """What /etc/hosts puts first in the line of the machine's own name."""
    name = process.machine.hostname
    try:
        lines = process.fs.read("/etc/hosts").decode(errors="replace").splitlines()
    except FileError:
        return name
    return next((line.split()[1] for line in lines if name in line.split()[1:]), name)


def hostname(process: Process) -> Steps:
    machine = process.machine
    if len(process.argv) > 1 and process.argv[1] in ("-i", "-I"):
        process.out(f"{getattr(machine.network, 'address', '127.0.0.1')}\n")
    elif len(process.argv) > 1 and process.argv[1] == "-s":
        process.out(f"{machine.hostname}\n")
    elif len(process.argv) > 1 and process.argv[1] in ("-f", "--fqdn", "-d"):
        full = _full_name(process)
        process.out(f"{full.partition('.')[2] if process.argv[1] == '-d' else full}\n")
    elif len(process.argv) > 1:
        return process.fail("sethostname: Operation not permitted")
    else:
        process.out(f"{machine.hostname}\n")
    return 0
    yield 0.0


def id_(process: Process) -> Steps:
    machine = process.machine
    if "-u" in process.argv:
        process.out(f"{machine.user if '-n' in process.argv else machine.uid}\n")
    elif "-g" in process.argv:
        process.out(f"{machine.gid}\n")
    elif machine.uid == 0:
        process.out("uid=0(root) gid=0(root) groups=0(root)" + (",10(wheel)" if machine.shell == "ash" else "") + "\n")
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


def nproc(process: Process) -> Steps:
    process.out("1\n")
    return 0
    yield 0.0


def which(process: Process) -> Steps:
    status = 0
    for name in process.argv[1:]:
        if process.machine.find(name):
            process.out((name if "/" in name else f"{process.machine.bin}/{name}") + "\n")
        else:
            status = 1
    return status
    yield 0.0


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


COREUTILS: dict[str, Command] = table(
    true=true,
    false=false,
    sleep=sleep,
    date=date,
    env=env,
    printenv=printenv,
    hostname=hostname,
    id=id_,
    whoami=whoami,
    uname=uname,
    nproc=nproc,
    which=which,
    dd=dd,
    stty=stty,
    clear=clear,
)
BUSYBOX: dict[str, Command] = table(busybox=busybox)
