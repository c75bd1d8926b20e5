"""Commands on text: echo, printf, grep, sed, head, tail, wc, sort, uniq, cut, tr, seq, xargs ..."""

import base64
import hashlib
import re
from collections.abc import Callable, Generator

from k8s_core.shell.commands.options import UsageError, parse, usage
from k8s_core.shell.fs import File, FileError
from k8s_core.shell.process import Command, Pipe, Process, Steps, Wait

ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\033"}
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


def grep(process: Process) -> Steps:
    options, operands = parse(
        process, "ivcnloqEFrRwhHsxa", "emABC", {"color": "w", "ignore-case": "i", "invert-match": "v"}
    )
    if "e" not in options and not operands:
        return process.fail("missing pattern", 2)
    expression = options["e"] if "e" in options else operands.pop(0)
    if process.argv[0].endswith("fgrep") or "F" in options:
        expression = re.escape(expression)
    elif not (process.argv[0].endswith("egrep") or "E" in options):
        expression = basic(expression)
    if "w" in options and options["w"] == "w":
        expression = rf"\b(?:{expression})\b"
    if "x" in options:
        expression = rf"^(?:{expression})$"
    try:
        pattern = re.compile(expression, re.I if "i" in options else 0)
    except re.error:
        return process.fail("bad regex", 2)
    if set(options) & set("rR"):
        operands = [
            path
            for start in operands or ["."]
            for path, node in process.fs.walk(
                start if start.startswith("/") else f"{process.cwd.rstrip('/')}/{start}"
            )
            if isinstance(node, File)
        ]
    named = "h" not in options and ("H" in options or len(operands) > 1)
    before = int(options.get("B", options.get("C", "0")))
    after = int(options.get("A", options.get("C", "0")))
    found = failed = False
    stream = not operands and not (before or after)

    def pieces() -> Generator[Wait, None, tuple[str, str] | None]:
        line = yield from process.stdin.read_line()
        return ("", line.decode(errors="replace")) if line else None

    if stream and not set(options) & set("clq"):  # line by line, so that `... | grep x` of a running program shows
        number = 0
        while (piece := (yield from pieces())) is not None:
            number += 1
            line = piece[1].rstrip("\n")
            if bool(pattern.search(line)) != ("v" in options):
                found = True
                text = "\n".join(m[0] for m in pattern.finditer(line)) if "o" in options else line
                process.out((f"{number}:" if "n" in options else "") + text + "\n")
                if found and number >= int(options.get("m", "1000000000")):
                    break
        return int(not found)
    for name, content in (yield from sources(process, operands)):
        failed |= content == "\0"
        lines = content.splitlines() if content != "\0" else []
        hits = [i for i, line in enumerate(lines) if bool(pattern.search(line)) != ("v" in options)]
        hits = hits[: int(options.get("m", len(hits)))]
        found |= bool(hits)
        prefix = f"{name}:" if named else ""
        if "q" in options:
            continue
        if "c" in options:
            process.out(f"{prefix}{len(hits)}\n")
        elif "l" in options:
            process.out(f"{name}\n" if hits else "")
        else:
            shown = sorted({j for i in hits for j in range(max(0, i - before), min(len(lines), i + after + 1))})
            for i in shown:
                texts = [m[0] for m in pattern.finditer(lines[i])] if "o" in options else [lines[i]]
                mark = f"{i + 1}{':' if i in hits else '-'}" if "n" in options else ""
                for text in texts:
                    process.out(f"{prefix}{mark}{text}\n")
    return 2 if failed and not found else int(not found)


def basic(expression: str) -> str:
    """A POSIX basic regular expression as Python writes it."""
    result, at = "", 0
    while at < len(expression):
        char = expression[at]
        if char == "\\" and at + 1 < len(expression):
            following = expression[at + 1]
            result += following if following in "(){}|+?" else char + following
            at += 2
            continue
        if char == "[":
            end = expression.find("]", at + 2)
            if end > 0:
                inner = expression[at : end + 1]
                for name, chars in {
                    "[:space:]": r"\s",
                    "[:digit:]": r"\d",
                    "[:alpha:]": "a-zA-Z",
                    "[:alnum:]": "a-zA-Z0-9",
                }.items():
                    if name in expression[at:]:
                        end = expression.find("]]", at) + 1
                        inner = expression[at : end + 1].replace(name, chars)
                result += inner
                at = end + 1
                continue
        result += "\\" + char if char in "(){}|+?" else char
        at += 1
    return result


Edit = Callable[[str, int, bool], tuple[str, bool, bool, bool]]


def sed(process: Process) -> Steps:
    options, operands = parse(process, "nErisz", "ef", {"expression": "e", "in-place": "i", "quiet": "n"})
    script = options["e"] if "e" in options else operands.pop(0) if operands else ""
    if not script:
        return process.fail("no script specified")
    try:
        edits = [_edit(part.strip(), bool(set(options) & set("Er"))) for part in _commands(script) if part.strip()]
    except (re.error, ValueError, IndexError):
        return process.fail(
            f"unsupported command: {script}"
            if process.machine.shell == "ash"
            else f"-e expression #1, char {len(script)}: unknown command"
        )
    status = 0
    for name, content in (yield from sources(process, operands)):
        if content == "\0":
            status = 1
            continue
        output = []
        lines = content.splitlines()
        for number, line in enumerate(lines, 1):
            text, deleted, quit_ = line, False, False
            for edit in edits:
                text, printed, deleted, quit_ = edit(text, number, number == len(lines))
                if printed:
                    output.append(text)
                if deleted or quit_:
                    break
            if not deleted and "n" not in options:
                output.append(text)
            if quit_:
                break
        result = "".join(f"{line}\n" for line in output)
        if "i" in options and name:
            process.fs.write(name, result.encode(), process.cwd)
        else:
            process.out(result)
    return status


def _commands(script: str) -> list[str]:
    """Split at ; and newlines that stand outside of s/// and addresses."""
    return re.split(r"[;\n](?=\s*(?:[0-9$/sdpqy]|$))", script)


def _edit(text: str, extended: bool) -> Edit:
    address = re.match(r"(\d+|\$|/(?:\\.|[^/])*/)?(?:,(\d+|\$|/(?:\\.|[^/])*/))?\s*(!?)\s*", text)
    assert address is not None
    first, last, negate = address[1], address[2], bool(address[3])
    command = text[address.end() :]
    inside = False
    convert: Callable[[str], str] = (lambda e: e) if extended else basic

    def matches(spec: str, line: str, number: int, at_end: bool) -> bool:
        if spec == "$":
            return at_end
        return number == int(spec) if spec.isdigit() else bool(re.search(convert(spec[1:-1]), line))

    def chosen(line: str, number: int, at_end: bool) -> bool:
        nonlocal inside
        if first is None:
            return True
        if last is None:
            return matches(first, line, number, at_end)
        if inside:
            inside = not matches(last, line, number, at_end) and not (last.isdigit() and number >= int(last))
            return True
        if matches(first, line, number, at_end):
            inside = not (last.isdigit() and int(last) <= number)
            return True
        return False

    if command[0] == "s":
        separator = re.escape(command[1])
        parts = re.match(
            rf"s{separator}((?:\\.|[^\\{separator}])*){separator}((?:\\.|[^\\{separator}])*){separator}"
            r"([gip0-9]*)$",
            command,
            re.S,
        )
        if not parts:
            raise ValueError(command)
        pattern = re.compile(convert(parts[1]), re.I if "i" in parts[3] else 0)
        replacement = re.sub(r"\\(?![0-9&n\\])(.)", r"\1", parts[2])
        replacement = re.sub(
            r"(\\[\\&0-9n])|&", lambda m: (m[1] if m[1] != r"\&" else "&") if m[1] else r"\g<0>", replacement
        )
        count = 0 if "g" in parts[3] else 1

        def substitute(line: str, number: int, at_end: bool) -> tuple[str, bool, bool, bool]:
            if chosen(line, number, at_end) == negate:
                return line, False, False, False
            new, times = pattern.subn(replacement, line, count=count)
            return new, bool(times and "p" in parts[3]), False, False

        return substitute
    if command[0] not in "dpq":
        raise ValueError(command)

    def simple(line: str, number: int, at_end: bool) -> tuple[str, bool, bool, bool]:
        hit = chosen(line, number, at_end) != negate
        return line, hit and command[0] == "p", hit and command[0] == "d", hit and command[0] == "q"

    return simple


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
    return 0
    yield 0.0


def yes(process: Process) -> Steps:
    line = (" ".join(process.argv[1:]) or "y") + "\n"
    while True:
        process.out(line * 100)
        yield process.machine.busy()


def xargs(process: Process) -> Steps:
    options, command = {}, process.argv[1:]
    while command and command[0].startswith("-"):
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


def _checked(command: Command) -> Command:
    def run(process: Process) -> Steps:
        try:
            return (yield from command(process))
        except UsageError as error:
            return usage(process, error)
        except ValueError as error:
            return process.fail(f"invalid argument: {error}")

    return run


COMMANDS: dict[str, Command] = {
    name: _checked(command)
    for name, command in {
        "echo": echo,
        "printf": printf,
        "grep": grep,
        "egrep": grep,
        "fgrep": grep,
        "sed": sed,
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
