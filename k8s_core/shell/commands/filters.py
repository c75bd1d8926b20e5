"""grep and sed, with POSIX basic and extended regular expressions as Python has them."""

import re
from collections.abc import Callable, Generator

from k8s_core.shell.commands.options import parse, table
from k8s_core.shell.commands.text import sources
from k8s_core.shell.fs import File
from k8s_core.shell.pipes import Steps, Wait
from k8s_core.shell.process import Command, Process

Edit = Callable[[str, int, bool], tuple[str, bool, bool, bool]]


ADDRESS = re.compile(r"(\d+|\$|/(?:\\.|[^/])*/)?(?:,(\d+|\$|/(?:\\.|[^/])*/))?\s*(!?)\s*")
"""sed's: which lines a command is for."""
HARD = re.compile(r"([*+}]\??\)+|\|[^()]*\))[*+{]")
"""A repeated group that ends in a repetition or holds a choice: Python's matcher may take for ever over it."""
WILDCARD = re.compile(r"\.[*+]")
MOST_STEPS = 2e8


def compiled(expression: str, flags: int = 0) -> re.Pattern[str]:
    """The pattern; raises re.error, also for one that could hold the loop."""
    if HARD.search(expression) or len(expression) > 1000 or len(WILDCARD.findall(expression)) > 5:
        raise re.error("regular expression is too complex")
    return re.compile(expression, flags)


def search(pattern: re.Pattern[str], line: str) -> re.Match[str] | None:
    """pattern.search, but no match in a line too long for the pattern's wildcards."""
    wildcards = len(WILDCARD.findall(pattern.pattern))
    if wildcards > 1 and len(line) ** (wildcards + 1) > MOST_STEPS:
        return None
    return pattern.search(line)


def grep(process: Process) -> Steps:
    long = {"color": "w", "ignore-case": "i", "invert-match": "v"}
    options, operands = parse(process, "ivcnloqEFrRwhHsxa", "emABC", long, many="e")
    if "e" not in options and not operands:
        return process.fail("missing pattern", 2)
    expression = options["e"] if "e" in options else operands.pop(0)
    each: Callable[[str], str] = basic  # a line is a pattern
    if process.argv[0].endswith("fgrep") or "F" in options:
        each = re.escape
    elif process.argv[0].endswith("egrep") or "E" in options:
        each = str
    expression = "|".join(map(each, expression.split("\n")))
    if "w" in options and options["w"] == "w":
        expression = rf"\b(?:{expression})\b"
    if "x" in options:
        expression = rf"^(?:{expression})$"
    try:
        pattern = compiled(expression, re.I if "i" in options else 0)
    except re.error:
        return process.fail("bad regex", 2)
    if set(options) & set("rR"):
        operands = [
            path
            for start in operands or ["."]
            for path, node in process.fs.walk(start if start.startswith("/") else f"{process.cwd.rstrip('/')}/{start}")
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
            if bool(search(pattern, line)) != ("v" in options):
                found = True
                text = "\n".join(m[0] for m in pattern.finditer(line)) if "o" in options else line
                process.out((f"{number}:" if "n" in options else "") + text + "\n")
                if found and number >= int(options.get("m", "1000000000")):
                    break
        return int(not found)
    for name, content in (yield from sources(process, operands)):
        failed |= content == "\0"
        lines = content.splitlines() if content != "\0" else []
        hits = [i for i, line in enumerate(lines) if bool(search(pattern, line)) != ("v" in options)]
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


def sed(process: Process) -> Steps:
    backup = next((w[2:] for w in process.argv[1:] if re.fullmatch(r"-i\.\w+", w)), "")
    process.argv = [re.sub(r"^-i\.\w+$", "-i", w) for w in process.argv]
    options, operands = parse(process, "nErisz", "ef", {"expression": "e", "in-place": "i", "quiet": "n"}, many="e")
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
            if backup:
                process.fs.write(name + backup, content.encode(), process.cwd)
            process.fs.write(name, result.encode(), process.cwd)
        else:
            process.out(result)
    return status


def _commands(script: str) -> list[str]:
    """Split at ; and newlines that stand outside of s/// and addresses."""
    address = ADDRESS.match(script.lstrip())
    if address and script.lstrip()[address.end() :][:1] in ("a", "i", "c"):
        return [script]  # their text goes to the end
    return re.split(r"[;\n](?=\s*(?:[0-9$/sdpqy]|$))", script)


def _edit(text: str, extended: bool) -> Edit:
    address = ADDRESS.match(text)
    assert address is not None
    first, last, negate = address[1], address[2], bool(address[3])
    command = text[address.end() :]
    inside = False
    convert: Callable[[str], str] = (lambda e: e) if extended else basic

    def matches(spec: str, line: str, number: int, at_end: bool) -> bool:
        if spec == "$":
            return at_end
        return number == int(spec) if spec.isdigit() else bool(search(compiled(convert(spec[1:-1])), line))

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
        pattern = compiled(convert(parts[1]), re.I if "i" in parts[3] else 0)
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
    if command[0] in "aic":
        added = re.sub(r"^[ \t]*\\?\n?", "", command[1:], count=1).replace("\\n", "\n").replace("\\ ", " ")

        def add(line: str, number: int, at_end: bool) -> tuple[str, bool, bool, bool]:
            if chosen(line, number, at_end) == negate:
                return line, False, False, False
            return {"a": f"{line}\n{added}", "i": f"{added}\n{line}", "c": added}[command[0]], False, False, False

        return add
    if command[0] not in "dpq":
        raise ValueError(command)

    def simple(line: str, number: int, at_end: bool) -> tuple[str, bool, bool, bool]:
        hit = chosen(line, number, at_end) != negate
        return line, hit and command[0] == "p", hit and command[0] == "d", hit and command[0] == "q"

    return simple


COMMANDS: dict[str, Command] = table(grep=grep, egrep=grep, fgrep=grep, sed=sed)
