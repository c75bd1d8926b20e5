"""Commands about the system: env, hostname, date, sleep, id, uname, dd ..."""

import contextlib
import re
from datetime import UTC, datetime

from k8s_core.shell.commands.options import Options, Table
from k8s_core.shell.fs import FileError
from k8s_core.shell.pipes import Discard, Steps
from k8s_core.shell.process import Process

KERNEL = "6.8.0-60-generic"
VERSION = "BusyBox v1.37.0 (2024-09-26 21:31:42 UTC) multi-call binary."
COREUTILS, BUSYBOX = Table(), Table()
MOST_ZEROS = 8 << 20


@COREUTILS.plain("true")
def true(process: Process) -> int:
    return 0


@COREUTILS.plain("false")
def false(process: Process) -> int:
    return 1


def seconds(word: str) -> float | None:
    """How long 5, .5, 1m or infinity is; None for what is no time."""
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)([smhd]?)", word)
    if match:
        return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(match[2], 1)
    return 1e9 if word in ("inf", "infinity") else None


@COREUTILS.plain("sleep")
def sleep(process: Process) -> Steps:
    if len(process.argv) < 2:
        return process.fail("missing operand")
    total = 0.0
    for word in process.argv[1:]:
        time = seconds(word)
        if time is None:
            return process.fail(f"invalid number '{word}'" if process.ash else f"invalid time interval '{word}'")
        total += time
    process.machine.rested()
    yield total
    return 0


def _told(text: str, now: float) -> float:
    """date -d: @seconds, a date, or so long ago. Raises ValueError."""
    text = text.strip()
    found = re.fullmatch(r"([+-]?\d+)\s*(sec|second|min|minute|hour|day|week)s?(\s+ago)?", text)
    if text.startswith("@"):
        return float(text[1:])
    if found:
        unit = {"sec": 1, "second": 1, "min": 60, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}[found[2]]
        return now + int(found[1]) * unit * (-1 if found[3] else 1)
    if text in ("now", "today", "yesterday", "tomorrow", ""):
        return now + {"yesterday": -86400, "tomorrow": 86400}.get(text, 0)
    for form in ("%b %d %H:%M:%S %Y GMT", "%a %b %d %H:%M:%S UTC %Y"):
        with contextlib.suppress(ValueError):
            return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
    moment = datetime.fromisoformat(text.replace(" UTC", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@COREUTILS("date", "uRId:s: utc=u iso-8601=I date=d")
def date(process: Process, options: Options, operands: list[str]) -> int | None:
    now = process.machine.loop.now
    if "d" in options:
        try:
            now = _told(options["d"], now)
        except ValueError:
            quoted = "'{}'" if process.ash else "\u2018{}\u2019"
            return process.fail("invalid date " + quoted.format(options["d"]))
    form = "%a %b %e %H:%M:%S UTC %Y"
    if "R" in options:
        form = "%a, %d %b %Y %H:%M:%S +0000"
    elif "I" in options:
        form = "%Y-%m-%d"
    elif operands and operands[0].startswith("+"):
        form = operands[0][1:].replace("%s", str(int(now))).replace("%N", f"{int(now % 1 * 1e9):09}")
    process.print(datetime.fromtimestamp(now, UTC).strftime(form))
    return None


@COREUTILS.plain("env")
def env(process: Process) -> Steps:
    arguments, environment = process.argv[1:], dict(process.env)
    while arguments and (arguments[0] in ("-i", "-u", "-") or "=" in arguments[0]):
        word = arguments.pop(0)
        if word in ("-i", "-"):
            environment = {}
        elif word == "-u" and arguments:
            environment.pop(arguments.pop(0), None)
        else:
            name, _, environment[name] = word.partition("=")
    if arguments:
        if process.machine.find(arguments[0]) is None:
            return process.fail(not_found(process, arguments[0]), 127)
        return (yield from process.run(arguments, env=environment))
    process.print(*(f"{name}={value}" for name, value in environment.items()))
    return 0


def not_found(process: Process, name: str) -> str:
    """What env, timeout and their like say of a command that is not there."""
    start = "can't execute " if process.ash else ""
    return f"{start}'{name}': No such file or directory"


@COREUTILS.plain("printenv")
def printenv(process: Process) -> int:
    if len(process.argv) == 1:
        process.print(*(f"{name}={value}" for name, value in process.env.items()))
    known = [name for name in process.argv[1:] if name in process.env]
    process.print(*(process.env[name] for name in known))
    return int(len(known) < len(process.argv[1:]))


def _full_name(process: Process) -> str:
    """What /etc/hosts puts first in the line of the machine's own name."""
    name = process.machine.hostname
    try:
        lines = process.fs.read("/etc/hosts").decode(errors="replace").splitlines()
    except FileError:
        return name
    return next((line.split()[1] for line in lines if name in line.split()[1:]), name)


@COREUTILS.plain("hostname")
def hostname(process: Process) -> int | None:
    word, full = (process.argv[1] if len(process.argv) > 1 else "-s"), _full_name(process)
    known = {"-s": process.machine.hostname, "-f": full, "--fqdn": full, "-d": full.partition(".")[2]}
    known |= dict.fromkeys(("-i", "-I"), str(getattr(process.machine.network, "address", "127.0.0.1")))
    if word not in known:
        return process.fail("sethostname: Operation not permitted")
    process.print(known[word])
    return None


@COREUTILS.plain("id")
def id_(process: Process) -> None:
    machine, flags = process.machine, "".join(word for word in process.argv if word.startswith("-"))
    groups = list(dict.fromkeys(getattr(machine, "groups", [machine.gid])))
    named = [f"{g}(root)" if g == 0 else str(g) for g in groups]
    if "G" in flags:
        process.print(" ".join(map(str, groups)))
    elif "u" in flags:
        process.print(machine.user if "n" in flags else machine.uid)
    elif "g" in flags:
        process.print(machine.gid)
    elif machine.uid == 0:
        wheel = ["10(wheel)"] if process.ash else []
        process.print(f"uid=0(root) gid={named[0]} groups={','.join([*named[:1], *wheel, *named[1:]])}")
    else:
        process.print(f"uid={machine.uid} gid={named[0]} groups={','.join(named)}")


@COREUTILS.plain("whoami")
def whoami(process: Process) -> int | None:
    if process.machine.user.isdigit():
        return process.fail(f"unknown uid {process.machine.uid}")
    process.print(process.machine.user)
    return None


@COREUTILS.plain("uname")
def uname(process: Process) -> None:
    flags = "".join(process.argv[1:]).replace("-", "")
    built = "#63-Ubuntu SMP PREEMPT_DYNAMIC Tue Apr 15 19:04:15 UTC 2025"
    values = {"s": "Linux", "n": process.machine.hostname, "r": KERNEL, "v": built,
              "m": "x86_64", "o": "Linux" if process.ash else "GNU/Linux"}  # fmt: skip
    if not process.ash and "a" in flags:  # GNU's says the machine's kind three times
        values = {**values, "m": "x86_64 x86_64 x86_64"}
    process.print(" ".join(value for key, value in values.items() if "a" in flags or key in (flags or "s")))


@COREUTILS.plain("nproc")
def nproc(process: Process) -> None:
    process.print(1)


@COREUTILS.plain("which")
def which(process: Process) -> int:
    found = [name for name in process.argv[1:] if process.machine.find(name)]
    process.print(*(name if "/" in name else f"{process.machine.bin}/{name}" for name in found))
    return int(len(found) < len(process.argv[1:]))


@COREUTILS.plain("dd")
def dd(process: Process) -> Steps:
    words = dict(word.split("=", 1) for word in process.argv[1:] if "=" in word)
    block, source = words.get("bs", "512"), words.get("if")
    size = int(block.rstrip("kKMGB") or 1) << {"k": 10, "K": 10, "M": 20, "G": 30}.get(block.rstrip("B")[-1:], 0)
    total = size * int(words.get("count", 0 if source == "/dev/zero" else 1 << 20))
    if source == "/dev/zero":
        data = bytes(min(total, MOST_ZEROS))
    else:
        data = (process.read(source) if source else (yield from process.stdin.read_all()))[:total]
    output = process.open_output(words["of"]) if "of" in words else process.stdout
    if not isinstance(output, Discard):
        output.write(data)
    whole = f"{len(data) // size}+{int(len(data) % size > 0)} records"
    process.err(f"{whole} in\n{whole} out\n{len(data)} bytes copied\n")
    return 0


@COREUTILS.plain("stty")
def stty(process: Process) -> int | None:
    if process.argv[1:] == ["size"]:
        process.print("24 80")
    return None if process.tty else process.fail("standard input: Inappropriate ioctl for device")


@COREUTILS.plain("clear")
def clear(process: Process) -> None:
    process.out("\033[H\033[J")


@BUSYBOX.plain("busybox")
def busybox(process: Process) -> Steps:
    if len(process.argv) < 2:
        process.print(VERSION)
        return 0
    if process.machine.find(process.argv[1]) is None:
        process.err(f"{process.argv[1]}: applet not found\n")
        return 127
    return (yield from process.run(process.argv[1:]))
