"""Commands on text: echo, printf, head, tail, wc, sort, uniq, cut, tr, seq, xargs ..."""

import base64
import hashlib
import itertools
import re
from collections.abc import Callable, Generator

from k8s_core.shell.commands.options import Options, Table
from k8s_core.shell.fs import File, FileError
from k8s_core.shell.pipes import Pipe, Steps, Wait
from k8s_core.shell.process import Process

COMMANDS = Table()
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\033"}
ZERO_SECONDS, ZERO_BYTES = 0.1, 64 << 20
"""How fast `tail /dev/zero` eats memory."""
FOLLOW_POLL = 1.0
"""tail -f looks at its file once a second."""
MOST_NUMBERS = 1_000_000


def unescape(text: str) -> str:
    """Backslash escapes of echo -e and printf."""

    def one(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] in "01234567":
            return chr(int(code, 8) & 255)
        return chr(int(code[1:], 16)) if code[0] == "x" and len(code) > 1 else ESCAPES.get(code, "\\" + code)

    return re.sub(r"\\(0[0-7]{1,3}|[1-7][0-7]{0,2}|x[0-9a-fA-F]{1,2}|.)", one, text, flags=re.S)


def opened(process: Process, paths: list[str]) -> list[tuple[str, Pipe]]:
    """(name, what can be read there) of every file, "" and standard input without any; complains of the others."""
    found = []
    for path in paths or ["-"]:
        try:
            found.append(("", process.stdin) if path == "-" else (path, process.open_input(path)))
        except FileError as error:
            process.fail(f"{path}: {error}")
    return found


def contents(process: Process, paths: list[str]) -> Generator[Wait, None, list[tuple[str, str]]]:
    """(name, text) of every file that can be read."""
    found = []
    for name, source in opened(process, paths):
        found.append((name, (yield from source.read_all()).decode(errors="replace")))
    return found


def lines_of(process: Process, paths: list[str]) -> Generator[Wait, None, list[str]]:
    """The lines of all files."""
    return [line for _, text in (yield from contents(process, paths)) for line in split(text)]


def split(text: str) -> list[str]:
    """Lines as files have them: only a newline ends one."""
    return text.removesuffix("\n").split("\n") if text else []


@COMMANDS.plain("echo")
def echo(process: Process) -> None:
    words, newline, dash = process.argv[1:], "\n", process.machine.shell == "dash"
    escapes = dash
    while words and re.fullmatch("-n" if dash else "-[neE]+", words[0]):
        flags = words.pop(0)
        newline = "" if "n" in flags else newline
        escapes |= "e" in flags
    text = " ".join(words)
    process.out((unescape(text) if escapes else text) + newline)


@COMMANDS.plain("printf")
def printf(process: Process) -> int | None:
    words = process.argv[2:] if process.argv[1:2] == ["--"] else process.argv[1:]
    if not words:
        return process.fail("usage: printf format [arguments]", 2)
    template, arguments = unescape(words[0]), words[1:]
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
            return None


def _heading(process: Process, index: int, name: str, several: bool) -> None:
    if several:
        process.print(f"{chr(10) if index else ''}==> {name or 'standard input'} <==")


@COMMANDS("head", "qvn:c: lines=n bytes=c NUMBER=n")
def head(process: Process, options: Options, operands: list[str]) -> Steps:
    count = int(options.get("c") or options.get("n", "10"))
    for index, (name, source) in enumerate(opened(process, operands)):
        _heading(process, index, name, len(operands) > 1 and "q" not in options)
        if "c" in options:
            process.out((yield from source.read_all())[:count])
        elif count < 0:
            process.print(*split((yield from source.read_all()).decode(errors="replace"))[:count])
        else:
            for _ in range(count):
                line = yield from source.read_line()
                if not line:
                    break
                process.out(line)
    return process.status


@COMMANDS("tail", "fFqvn:c: lines=n bytes=c follow=f NUMBER=n")
def tail(process: Process, options: Options, operands: list[str]) -> Steps:
    while operands[:1] == ["/dev/zero"]:  # it looks for the end of a line, and keeps all that it has read
        yield ZERO_SECONDS
        process.use_memory(process.memory + ZERO_BYTES)
    texts = yield from contents(process, operands)
    amount = options.get("c") or options.get("n", "10")
    count = int(amount)
    for index, (name, text) in enumerate(texts):
        _heading(process, index, name, len(operands) > 1 and "q" not in options)
        units = text if "c" in options else text.splitlines(True)
        process.out("".join(units[count - 1 :] if amount[0] == "+" else units[-abs(count) :] if count else ()))
    if operands and ("F" in options or ("f" in options and texts)):
        yield from _follow(process, operands, {path: len(text) for path, text in texts})
    return process.status


def _follow(process: Process, paths: list[str], seen: dict[str, int]) -> Generator[Wait, None, None]:
    """What is added to the files from now on."""
    if paths == ["/dev/null"]:
        yield from process.wait_signal("INT")
    while True:
        yield FOLLOW_POLL
        for path in paths:
            node = process.lookup(path)
            text = node.read().decode(errors="replace") if isinstance(node, File) else ""
            process.out(text[seen.get(path, 0) if len(text) >= seen.get(path, 0) else 0 :])
            seen[path] = len(text)


@COMMANDS("hexdump hd", "C")
def hexdump(process: Process, options: Options, operands: list[str]) -> Steps:
    data = b""
    for _, source in opened(process, operands):
        data += yield from source.read_all()
    if "C" not in options and process.name != "hd":
        return process.fail("only -C is known here")
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        shown = " ".join(f"{byte:02x}" for byte in row[:8]) + "  " + " ".join(f"{byte:02x}" for byte in row[8:])
        process.print(f"{at:08x}  {shown:<49} |{''.join(chr(b) if 32 <= b < 127 else '.' for b in row)}|")
    process.print(f"{len(data):08x}")
    return process.status


@COMMANDS("wc", "lwcm lines=l words=w bytes=c chars=m")
def wc(process: Process, options: Options, operands: list[str]) -> Steps:
    keys = [k for k in "lwmc" if k in options] or list("lwc")
    rows, totals = [], dict.fromkeys("lwcm", 0)
    for name, text in (yield from contents(process, operands)):
        counts = {"l": text.count("\n"), "w": len(text.split()), "c": len(text.encode()), "m": len(text)}
        totals = {key: totals[key] + counts[key] for key in totals}
        rows.append((counts, name))
    rows += [(totals, "total")] if len(operands) > 1 else []
    width = 9 if process.ash else len(str(totals["c"])) if operands else 7
    for counts, name in rows:
        cells = [str(counts[key]).rjust(1 if len(keys) == len(rows) == 1 else width) for key in keys]
        process.print(" ".join([*cells, name]).rstrip())
    return process.status


@COMMANDS("sort", "nrufhVbk:t:o: numeric-sort=n reverse=r unique=u key=k")
def sort(process: Process, options: Options, operands: list[str]) -> Steps:
    spec = re.match(r"\d+", options.get("k", ""))
    modifiers = set(options) | set(re.sub(r"[\d.,]", "", options.get("k", "")))

    def key(line: str) -> tuple[float, str]:
        if spec:
            cells = line.split(options["t"]) if "t" in options else line.split()
            line = cells[int(spec[0]) - 1] if int(spec[0]) <= len(cells) else ""
        if modifiers & set("nh"):
            number = re.match(r"\s*-?\d+\.?\d*", line)
            unit = (
                "BKMGT".find(line[number.end() : number.end() + 1].upper() or "B") if number and "h" in modifiers else 0
            )
            return (float(number[0]) if number else 0.0) * 1024 ** max(unit, 0), ""
        return 0.0, line.upper() if "f" in modifiers else line

    lines = yield from lines_of(process, operands)
    lines.sort(key=lambda line: (key(line), line), reverse="r" in modifiers)
    if "u" in options:
        lines = list({key(line): line for line in reversed(lines)}.values())[::-1]
    text = "".join(f"{line}\n" for line in lines)
    output = process.open_output(options["o"]) if "o" in options else process.stdout
    output.write(text.encode())
    return 2 * process.status


@COMMANDS("uniq", "cdui")
def uniq(process: Process, options: Options, operands: list[str]) -> Steps:
    groups: list[list[str]] = []
    for line in (yield from lines_of(process, operands[:1])):
        if groups and (line == groups[-1][0] or ("i" in options and line.lower() == groups[-1][0].lower())):
            groups[-1].append(line)
        else:
            groups.append([line])
    for group in groups:
        if not ("d" in options and len(group) < 2) and not ("u" in options and len(group) > 1):
            process.print((f"{len(group):7} " if "c" in options else "") + group[0])
    return process.status


@COMMANDS("cut", "sd:f:c:b: delimiter=d fields=f characters=c bytes=b")
def cut(process: Process, options: Options, operands: list[str]) -> Steps:
    spec = options.get("f") or options.get("c") or options.get("b")
    if not spec:
        return process.fail("expected a list of bytes, characters, or fields")
    wanted = []
    for part in spec.split(","):
        low, dash, high = part.partition("-")
        wanted.append((int(low or 1), int(high or 1 << 30) if dash else int(low)))
    delimiter = options.get("d", "\t") if "f" in options else ""
    for line in (yield from lines_of(process, operands)):
        if delimiter not in line:
            process.print(*[] if "s" in options else [line])
            continue
        cells = line.split(delimiter) if delimiter else list(line)
        process.print(delimiter.join(c for i, c in enumerate(cells, 1) if any(a <= i <= b for a, b in wanted)))
    return process.status


CLASSES = {
    "[:upper:]": "A-Z", "[:lower:]": "a-z", "[:digit:]": "0-9", "[:alpha:]": "A-Za-z", "[:alnum:]": "A-Za-z0-9",
    "[:space:]": " \\t\\n\\r\\v\\f", "[:blank:]": " \\t", "[:punct:]": "!-/:-@[-`{-~",
}  # fmt: skip
"""tr's sets of characters."""


def _characters(spec: str) -> str:
    for name, characters in CLASSES.items():
        spec = spec.replace(name, characters)
    return re.sub(r"(.)-(.)", lambda m: "".join(map(chr, range(ord(m[1]), ord(m[2]) + 1))), unescape(spec), flags=re.S)


@COMMANDS("tr", "dscC")
def tr(process: Process, options: Options, operands: list[str]) -> Steps:
    if not operands:
        return process.fail("missing operand")
    first, second = _characters(operands[0]), "".join(map(_characters, operands[1:2]))
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


@COMMANDS.plain("seq")
def seq(process: Process) -> Steps:
    numbers = [int(word) for word in process.argv[1:] if re.fullmatch(r"-?\d+", word)]
    if not 1 <= len(numbers) <= 3:
        return process.fail("invalid number of arguments")
    start, step, end = [[1, 1, *numbers], [numbers[0], 1, numbers[-1]], numbers][len(numbers) - 1]
    if step == 0:
        return process.fail("zero increment")
    for number in range(start, end + (1 if step > 0 else -1), step)[:MOST_NUMBERS]:
        process.print(number)
        if number % 5000 == 0:
            yield 0.001
    return 0


@COMMANDS.plain("yes")
def yes(process: Process) -> Steps:
    line = (" ".join(process.argv[1:]) or "y") + "\n"
    while True:
        process.out(line * 100)
        yield process.machine.busy()


@COMMANDS.plain("xargs")
def xargs(process: Process) -> Steps:
    options, command = {}, process.argv[1:]
    while command and command[0].startswith("-") and len(command[0]) > 1:
        flag = command.pop(0)
        flag = {"--null": "-0", "--no-run-if-empty": "-r", "--verbose": "-t"}.get(flag, flag)
        options[flag[1]] = flag[2:] or (command.pop(0) if flag[1] in "nIPLd" and command else "")
    text = (yield from process.stdin.read_all()).decode(errors="replace")
    if set(options) & {"0", "d"}:
        mark = "\0" if "0" in options else unescape(options["d"])
        words = [word for word in text.removesuffix("\n").split(mark) if word]
    else:
        words = [line.strip() for line in split(text)] if "I" in options else text.split()
    command = command or ["echo"]
    size = int(options["n"]) if "n" in options else 1 if "I" in options else max(len(words), 1)
    failed = 0
    for index in range(0, len(words) or int("r" not in options and "I" not in options), size):
        chunk = words[index : index + size]
        argv = [c.replace(options["I"], chunk[0]) for c in command] if "I" in options else command + chunk
        if "t" in options:
            process.err(" ".join(argv) + "\n")
        failed |= yield from process.run(argv, stdin=Pipe(closed=True))
    return 123 if failed else 0


@COMMANDS("rev")
def rev(process: Process, options: Options, operands: list[str]) -> Steps:
    process.print(*(line[::-1] for line in (yield from lines_of(process, operands))))
    return process.status


@COMMANDS("base64", "diw: decode=d wrap=w")
def base64_(process: Process, options: Options, operands: list[str]) -> Steps:
    for _, source in opened(process, operands[:1]):
        data = yield from source.read_all()
        if "d" in options:
            try:
                process.out(base64.b64decode(b"".join(data.split()), validate=True))
            except ValueError:
                return process.fail("invalid input")
        else:
            encoded = base64.b64encode(data).decode()
            width = int(options.get("w", "76"))
            process.out(encoded if not width else re.sub(f"(.{{1,{width}}})", r"\1\n", encoded))
    return process.status


@COMMANDS("md5sum sha1sum sha256sum sha512sum")
def checksum(process: Process, options: Options, operands: list[str]) -> Steps:
    for name, source in opened(process, operands):
        digest = hashlib.new(process.name.removesuffix("sum"), (yield from source.read_all())).hexdigest()
        process.print(f"{digest}  {name or '-'}")
    return process.status


@COMMANDS.plain("tac rev")
def tac(process: Process) -> Steps:
    """The lines from the last to the first, or each from its end."""
    lines = yield from lines_of(process, process.argv[1:])
    process.print(*(lines[::-1] if process.name == "tac" else [line[::-1] for line in lines]))
    return process.status


@COMMANDS("nl", "b:w:s:n:")
def nl(process: Process, options: Options, operands: list[str]) -> Steps:
    number = 0
    for line in (yield from lines_of(process, operands)):
        counts = bool(line) or options.get("b") == "a"
        number += counts
        process.print(
            f"{number:{options.get('w', '6')}}{unescape(options.get('s', chr(9)))}{line}" if counts else " " * 7
        )
    return process.status


@COMMANDS("paste", "d:s delimiters=d serial=s")
def paste(process: Process, options: Options, operands: list[str]) -> Steps:
    mark = unescape(options.get("d", "\t"))
    columns = [split(text) for _, text in (yield from contents(process, operands))]
    if "s" in options:
        process.print(*(mark.join(column) for column in columns))
    else:
        process.print(*(mark.join(row) for row in itertools.zip_longest(*columns, fillvalue="")))
    return process.status


@COMMANDS.plain("expr")
def expr(process: Process) -> int:
    """Two numbers and what is between them; a text is itself."""
    words = process.argv[1:]
    value = words[0] if len(words) == 1 else ""
    if len(words) == 3:
        left, op, right = words
        known: dict[str, Callable[[int, int], int]] = {
            "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: int(a / b),
            "%": lambda a, b: a % b, "<": lambda a, b: a < b, ">": lambda a, b: a > b, "=": lambda a, b: a == b,
            "<=": lambda a, b: a <= b, ">=": lambda a, b: a >= b, "!=": lambda a, b: a != b,
        }  # fmt: skip
        if op not in known:
            return process.fail("syntax error", 2)
        try:
            value = str(int(known[op](int(left), int(right))))
        except ValueError:
            if op not in ("=", "!="):
                return process.fail("non-integer argument", 2)
            value = str(int((left == right) == (op == "=")))
        except ZeroDivisionError:
            return process.fail("division by zero", 2)
    elif len(words) != 1:
        return process.fail("syntax error" if words else "missing operand", 2)
    process.print(value)
    return int(value in ("", "0"))
