"""Commands on text: echo, printf, grep, sed, head, tail, wc, sort, uniq, cut, tr, seq, xargs ..."""

import base64
import hashlib
import re
from collections.abc import Generator

from k8s_core.shell.commands.options import checked, parse
from k8s_core.shell.fs import File, FileError
from k8s_core.shell.pipes import Pipe, Steps, Wait
from k8s_core.shell.process import Command, Process

ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\033"}
ZERO_SECONDS, ZERO_BYTES = 0.1, 64 << 20
"""How fast `tail /dev/zero` eats memory."""
FOLLOW_POLL = 1.0
"""tail -f looks at its file once a second."""


def unescape(text: str) -> str:
    """Backslash escapes of echo -e and printf."""

    def one(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] == "0" or code[0] in "1234567":
            return chr(int(code, 8) & 255)
        if code[0] == "x":
            return chr(int(code[1:], 16))
        return ESCAPES.get(code, "\\" + code)

    return re.sub(r"\\(0[0-7]{1,3}|[1-7][0-7]{0,2}|x[0-9a-fA-F]{1,2}|.)", one, text, flags=re.S)


def sources(process: Process, paths: list[str]) -> Generator[Wait, None, list[tuple[str, str]]]:
    """(name, text) of each file; complaints go to stderr."""
    result = []
    for path in paths or ["-"]:
        if path == "-":
            result.append(("", (yield from process.stdin.read_all()).decode(errors="replace")))
            continue
        try:
            result.append((path, process.fs.read(path, process.cwd).decode(errors="replace")))
        except FileError as error:
            process.fail(f"{path}: {error}")
            result.append((path, "\0"))
    return result


def echo(process: Process) -> Steps:
    words, newline, escapes = process.argv[1:], True, process.machine.shell == "dash"
    while words and re.fullmatch(r"-[neE]+", words[0]) and (process.machine.shell != "dash" or words[0] == "-n"):
        newline &= "n" not in words[0]
        escapes |= "e" in words[0]
        words = words[1:]
    text = " ".join(words)
    process.out((unescape(text) if escapes else text) + ("\n" if newline else ""))
    return 0
    yield 0.0


def printf(process: Process) -> Steps:
    if len(process.argv) < 2:
        return process.fail("usage: printf format [arguments]", 2)
    template, arguments = unescape(process.argv[1]), process.argv[2:]
    while True:
        used = 0

        def one(match: re.Match[str], arguments: list[str] = arguments) -> str:
            nonlocal used
            if match[3] == "%":
                return "%"
            value = arguments[used] if used < len(arguments) else ""
            used += 1
            spec = f"%{match[1]}{match[2]}"
            if match[3] in "di":
                return (spec + "d") % int(float(value or 0)) if re.fullmatch(r"-?\d*\.?\d*", value) else "0"
            if match[3] in "xXo":
                return (spec + match[3]) % int(value or 0)
            if match[3] in "feg":
                return (spec + match[3]) % float(value or 0)
            return (spec + "s") % (unescape(value) if match[3] == "b" else value[:1] if match[3] == "c" else value)

        try:
            process.out(re.sub(r"%([-+ 0#]*\d{0,4})((?:\.\d{1,3})?)([sdibxXofegc%])", one, template))
        except ValueError:
            return process.fail("invalid number")
        arguments = arguments[used:]
        if not arguments or not used:
            return 0
    yield 0.0


def head(process: Process) -> Steps:
    process.argv = [re.sub(r"^-(\d+)$", r"-n\1", a) for a in process.argv]
    options, operands = parse(process, "qv", "nc", {"lines": "n", "bytes": "c"})
    if operands:
        status = 0
        for name, text in (yield from sources(process, operands)):
            status |= int(text == "\0")
            if len(operands) > 1:
                process.out(f"==> {name} <==\n")
            process.out(
                ""
                if text == "\0"
                else text[: int(options["c"])]
                if "c" in options
                else "".join(text.splitlines(True)[: int(options.get("n", "10"))])
            )
        return status
    if "c" in options:
        process.out((yield from process.stdin.read_all())[: int(options["c"])])
        return 0
    for _ in range(int(options.get("n", "10"))):
        line = yield from process.stdin.read_line()
        if not line:
            break
        process.out(line)
    return 0


def tail(process: Process) -> Steps:
    process.argv = [re.sub(r"^-(\d+)$", r"-n\1", a) for a in process.argv]
    options, operands = parse(process, "fFqv", "nc", {"lines": "n", "bytes": "c", "follow": "f"})
    amount = options.get("n", "10")
    status = 0
    while operands[:1] == ["/dev/zero"]:  # it looks for the end of a line, and keeps all that it has read
        yield ZERO_SECONDS
        process.use_memory(process.memory + ZERO_BYTES)
    texts = yield from sources(process, operands)
    for name, text in texts:
        if text == "\0":
            status = 1
            continue
        if len(operands) > 1:
            process.out(f"==> {name} <==\n")
        lines = text.splitlines(True)
        if "c" in options:
            process.out(text[-int(options["c"]) :])
        elif amount.startswith("+"):
            process.out("".join(lines[int(amount) - 1 :]))
        else:
            process.out("".join(lines[-int(amount) :] if int(amount) else []))
    if set(options) & set("fF") and operands:
        if operands == ["/dev/null"]:
            yield from process.wait_signal("INT")
        seen = {path: len(text) for path, text in texts if text != "\0"}
        if not seen and "F" not in options:
            return status
        while True:
            yield FOLLOW_POLL
            for path in operands:
                node = process.fs.lookup(path, process.cwd)
                text = node.read().decode(errors="replace") if isinstance(node, File) else ""
                if len(text) < seen.get(path, 0):
                    seen[path] = 0
                process.out(text[seen.get(path, 0) :])
                seen[path] = len(text)
    return status


def wc(process: Process) -> Steps:
    options, operands = parse(process, "lwcm")
    keys = [k for k in "lwc" if k in options or (k == "c" and "m" in options)] or list("lwc")
    totals = dict.fromkeys("lwc", 0)
    texts = yield from sources(process, operands)
    for name, text in texts:
        if text == "\0":
            continue
        counts = {"l": text.count("\n"), "w": len(text.split()), "c": len(text.encode())}
        totals = {k: totals[k] + counts[k] for k in totals}
        width = 1 if len(keys) == 1 else 9 if not name else 1
        process.out(" ".join(str(counts[k]).rjust(width) for k in keys) + (f" {name}" if name else "") + "\n")
    if len(texts) > 1:
        process.out(" ".join(str(totals[k]) for k in keys) + " total\n")
    return 0


def sort(process: Process) -> Steps:
    options, operands = parse(process, "nrufhVb", "kto")
    lines = [line for _, text in (yield from sources(process, operands)) for line in text.splitlines()]

    def key(line: str) -> tuple[float, str]:
        field = line
        if "k" in options:
            number = int(re.match(r"\d+", options["k"])[0]) if re.match(r"\d+", options["k"]) else 1  # type: ignore[index]
            cells = line.split(options["t"]) if "t" in options else line.split()
            field = cells[number - 1] if number <= len(cells) else ""
        numeric = re.match(r"\s*-?\d+\.?\d*", field) if set(options) & set("nh") else None
        return (float(numeric[0]) if numeric else 0.0), ("" if set(options) & set("nh") else field)

    lines.sort(key=lambda line: (key(line), line), reverse="r" in options)
    if "u" in options:
        lines = list(dict.fromkeys(lines))
    process.out("".join(f"{line}\n" for line in lines))
    return 0


def uniq(process: Process) -> Steps:
    options, operands = parse(process, "cdui")
    last, count = None, 0

    def emit() -> None:
        if last is not None and not ("d" in options and count < 2) and not ("u" in options and count > 1):
            process.out((f"{count:7} " if "c" in options else "") + last + "\n")

    for _, text in (yield from sources(process, operands[:1])):
        for line in text.splitlines():
            if line == last:
                count += 1
                continue
            emit()
            last, count = line, 1
    emit()
    return 0


def cut(process: Process) -> Steps:
    options, operands = parse(process, "s", "dfcb")
    spec = options.get("f") or options.get("c") or options.get("b")
    if not spec:
        return process.fail("expected a list of bytes, characters, or fields")
    wanted = []
    for part in spec.split(","):
        low, dash, high = part.partition("-")
        wanted.append((int(low or 1), int(high or 1 << 30) if dash else int(low)))
    delimiter = options.get("d", "\t")
    for _, text in (yield from sources(process, operands)):
        for line in text.splitlines():
            cells: list[str] = line.split(delimiter) if "f" in options else list(line)
            if "f" in options and delimiter not in line:
                process.out("" if "s" in options else line + "\n")
                continue
            kept = [c for i, c in enumerate(cells, 1) if any(low <= i <= high for low, high in wanted)]
            process.out((delimiter if "f" in options else "").join(kept) + "\n")
    return 0


def tr(process: Process) -> Steps:
    options, operands = parse(process, "dscC")
    classes = {
        "[:upper:]": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "[:lower:]": "abcdefghijklmnopqrstuvwxyz",
        "[:digit:]": "0123456789",
        "[:space:]": " \t\n\r\v\f",
    }

    def chars(spec: str) -> str:
        spec = unescape(classes.get(spec, spec))
        return re.sub(r"(.)-(.)", lambda m: "".join(map(chr, range(ord(m[1]), ord(m[2]) + 1))), spec, flags=re.S)

    if not operands:
        return process.fail("missing operand")
    first, second = chars(operands[0]), chars(operands[1]) if len(operands) > 1 else ""
    text = (yield from process.stdin.read_all()).decode(errors="replace")
    inverse = bool(set(options) & set("cC"))
    if "d" in options:
        text = "".join(c for c in text if (c in first) == inverse)
    elif second:
        table = {ord(c): second[min(i, len(second) - 1)] for i, c in enumerate(first)}
        text = "".join(c if c in first else second[-1] for c in text) if inverse else text.translate(table)
    if "s" in options:
        text = re.sub(f"([{re.escape(second or first)}])\\1+", r"\1", text)
    process.out(text)
    return 0


def seq(process: Process) -> Steps:
    numbers = [a for a in process.argv[1:] if re.fullmatch(r"-?\d+", a)]
    if not 1 <= len(numbers) <= 3:
        return process.fail("invalid number of arguments")
    values = [int(n) for n in numbers]
    start, step, end = (
        (1, 1, values[0])
        if len(values) == 1
        else ((values[0], 1, values[1]) if len(values) == 2 else (values[0], values[1], values[2]))
    )
    if step == 0:
        return process.fail("zero increment")
    for number in range(start, end + (1 if step > 0 else -1), step)[:1_000_000]:
        process.out(f"{number}\n")
        if number % 5000 == 0:
            yield 0.001
    return 0


def yes(process: Process) -> Steps:
    line = (" ".join(process.argv[1:]) or "y") + "\n"
    while True:
        process.out(line * 100)
        yield process.machine.busy()


def xargs(process: Process) -> Steps:
    options, command = {}, process.argv[1:]
    while command and command[0].startswith("-") and len(command[0]) > 1:
        flag = command.pop(0)
        options[flag[1]] = flag[2:] or (command.pop(0) if flag[1] in "nIPL" and command else "")
    words = (yield from process.stdin.read_all()).decode(errors="replace").split()
    command = command or ["echo"]
    size = int(options["n"]) if "n" in options else 1 if "I" in options else max(len(words), 1)
    status = 0
    for index in range(0, len(words), size):
        chunk = words[index : index + size]
        argv = [c.replace(options["I"], chunk[0]) for c in command] if "I" in options else command + chunk
        status |= yield from process.run(argv, stdin=Pipe(closed=True))
    return 123 if status else 0


def rev(process: Process) -> Steps:
    for _, text in (yield from sources(process, process.argv[1:])):
        process.out("".join(line[::-1] + "\n" for line in text.splitlines()))
    return 0


def base64_(process: Process) -> Steps:
    options, operands = parse(process, "di", "w", {"decode": "d"})
    for _, text in (yield from sources(process, operands)):
        if "d" in options:
            try:
                process.out(base64.b64decode("".join(text.split()), validate=True))
            except ValueError:
                return process.fail("invalid input")
        else:
            encoded = base64.b64encode(text.encode()).decode()
            width = int(options.get("w", "76")) or len(encoded) or 1
            process.out("".join(encoded[i : i + width] + "\n" for i in range(0, len(encoded), width)))
    return 0


def checksum(process: Process) -> Steps:
    kind = process.argv[0].rsplit("/", 1)[-1].removesuffix("sum")
    for name, text in (yield from sources(process, process.argv[1:])):
        process.out(f"{hashlib.new(kind, text.encode()).hexdigest()}  {name or '-'}\n")
    return 0


COMMANDS: dict[str, Command] = {
    name: checked(command)
    for name, command in {
        "echo": echo,
        "printf": printf,
        "head": head,
        "tail": tail,
        "wc": wc,
        "sort": sort,
        "uniq": uniq,
        "cut": cut,
        "tr": tr,
        "seq": seq,
        "yes": yes,
        "xargs": xargs,
        "rev": rev,
        "base64": base64_,
        "md5sum": checksum,
        "sha256sum": checksum,
        "sha1sum": checksum,
    }.items()
}
