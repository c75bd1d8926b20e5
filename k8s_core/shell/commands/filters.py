"""grep and sed, with POSIX basic and extended regular expressions as Python has them."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from k8s_core.shell.commands.options import Options, Table
from k8s_core.shell.commands.text import opened, split
from k8s_core.shell.fs import File, normalize
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Process

COMMANDS = Table()
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


CLASSES = {"space": r"\s", "blank": r" \t", "digit": r"\d", "alpha": "a-zA-Z", "alnum": "a-zA-Z0-9", "upper": "A-Z",
           "lower": "a-z", "xdigit": "0-9A-Fa-f", "punct": r"!-/:-@\[-`{-~"}  # fmt: skip
TOKEN = re.compile(r"\[\^?\]?(?:\[:\w+:\]|[^\]])*\]|\\.|.", re.S)
"""A bracket expression, an escaped character, or a character."""


def python(expression: str, *, extended: bool) -> str:
    """A POSIX regular expression as Python writes it."""

    def one(match: re.Match[str]) -> str:
        token = match[0]
        if token[0] == "[" and len(token) > 1:
            inner = re.sub(r"\[:(\w+):\]", lambda m: CLASSES.get(m[1], ""), token[1:-1].replace("\\", "\\\\"))
            start = "[^" if inner.startswith("^") else "["
            return start + re.sub(r"\[", r"\\[", inner.removeprefix("^")).replace("]", r"\]", 1) + "]"
        if extended:
            return token
        return token[1:] if token[1:] and token[1] in "(){}|+?" else "\\" + token if token in "(){}|+?" else token

    return TOKEN.sub(one, expression)


@COMMANDS("grep egrep fgrep", "ivcnloqEFrRwhHsxae;m:A:B:C: color=_ ignore-case=i invert-match=v regexp=e max-count=m")
def grep(process: Process, options: Options, operands: list[str]) -> Steps:
    if "e" not in options and not operands:
        return process.fail("missing pattern", 2)
    expression = options["e"] if "e" in options else operands.pop(0)
    fixed, extended = "F" in options or process.name == "fgrep", "E" in options or process.name == "egrep"
    lines = expression.split("\n")  # a line is a pattern
    expression = "|".join(re.escape(line) if fixed else python(line, extended=extended) for line in lines)
    for letter, around in (("w", r"\b(?:{})\b"), ("x", "^(?:{})$")):
        expression = around.format(expression) if letter in options else expression
    try:
        pattern = compiled(expression, re.I if "i" in options else 0)
    except re.error:
        return process.fail("bad regex", 2)
    if set(options) & set("rR"):
        operands = [p for start in operands or ["."] for p in _below(process, start)]
    named = "h" not in options and bool("H" in options or len(operands) > 1 or set(options) & set("rR"))
    found = False
    for name, source in opened(process, operands):
        label = name or "(standard input)"
        search_in = _Search(process, options, pattern, f"{label}:" if named else "")
        while line := (yield from source.read_line()):
            if search_in.line(line.decode(errors="replace").removesuffix("\n")):
                break
        found |= bool(search_in.count)
        if "c" in options and "q" not in options:
            process.print(f"{search_in.prefix}{search_in.count}")
        if "l" in options and search_in.count:
            process.print(label)
    return 2 if process.status and not found else int(not found)


def _below(process: Process, start: str) -> list[str]:
    """The files below a path, by names that begin with it."""
    absolute = normalize(start, process.cwd)
    return [start + path[len(absolute) :] for path, node in process.fs.walk(absolute) if isinstance(node, File)]


class _Search:
    """One file's: what has been found in it, and how many lines around that are still to be shown."""

    def __init__(self, process: Process, options: Options, pattern: re.Pattern[str], prefix: str) -> None:
        self.process, self.options, self.pattern, self.prefix = process, options, pattern, prefix
        self.number = self.count = self.shown = 0
        around = options.get("C", "0")
        self.before, self.after = int(options.get("B", around)), int(options.get("A", around))
        self.kept: list[tuple[int, str]] = []
        self.left = 0
        self.most = int(options.get("m", 1 << 30))

    def line(self, text: str) -> bool:
        """Look at a line; True when no more need be read."""
        self.number += 1
        if self.count < self.most and bool(search(self.pattern, text)) != ("v" in self.options):
            self.count += 1
            if "q" in self.options or "l" in self.options:
                return True
            for number, before in self.kept:
                self._show(number, before, "-")
            self._show(self.number, text, ":")
            self.kept, self.left = [], self.after
        elif self.left:
            self.left -= 1
            self._show(self.number, text, "-")
        elif self.before:
            self.kept = [*self.kept, (self.number, text)][-self.before :]
        return self.count >= self.most and not self.left

    def _show(self, number: int, text: str, mark: str) -> None:
        if "c" in self.options:
            return
        if (self.before or self.after) and self.shown and number > self.shown + 1:
            self.process.print("--")
        self.shown = number
        prefix = (self.prefix[:-1] + mark if self.prefix else "") + (f"{number}{mark}" if "n" in self.options else "")
        found = [m[0] for m in self.pattern.finditer(text) if m[0]] if "o" in self.options else [text]
        self.process.print(*(f"{prefix}{each}" for each in found))


# --- sed -----------------------------------------------------------------------------------------------------------
ADDRESS = re.compile(r"\s*(\d+|\$|/(?:\\.|[^/])*/)?(?:,(\d+|\$|/(?:\\.|[^/])*/))?\s*(!?)\s*")
"""Which lines a command is for."""


@dataclass
class Edit:
    """One of sed's commands: for which lines, what, and with what."""

    first: str | None
    last: str | None
    negated: bool
    name: str
    convert: Callable[[str], str]
    text: str = ""
    pattern: re.Pattern[str] | None = None
    flags: str = ""
    inside: bool = False

    def _matches(self, address: str, line: str, number: int, at_end: bool) -> bool:
        if address == "$":
            return at_end
        if address.isdigit():
            return number == int(address)
        return bool(search(compiled(self.convert(address[1:-1])), line))

    def chosen(self, line: str, number: int, at_end: bool) -> bool:
        """Whether the command is for this line."""
        if self.first is None or self.last is None:
            hit = self.first is None or self._matches(self.first, line, number, at_end)
        elif self.inside:
            hit, over = True, self.last.isdigit() and number >= int(self.last)
            self.inside = not over and not self._matches(self.last, line, number, at_end)
        else:
            hit = self._matches(self.first, line, number, at_end)
            self.inside = hit and not (self.last.isdigit() and int(self.last) <= number)
        return hit != self.negated

    def substitute(self, line: str) -> tuple[str, bool]:
        """The line with its matches replaced, and whether there was one."""
        assert self.pattern is not None
        nth = int(re.sub(r"\D", "", self.flags) or 1)
        count = 0

        def one(match: re.Match[str]) -> str:
            nonlocal count
            count += 1
            return match.expand(self.text) if count == nth or (count > nth and "g" in self.flags) else match[0]

        new = self.pattern.sub(one, line, count=0 if "g" in self.flags else nth)
        return new, count >= nth


@COMMANDS("sed", "nErszi?e;f: expression=e in-place=i quiet=n")
def sed(process: Process, options: Options, operands: list[str]) -> Steps:
    script = options["e"] if "e" in options else operands.pop(0) if operands else ""
    if not script:
        return process.fail("no script specified")
    try:
        edits = [_edit(part, extended=bool(set(options) & set("Er"))) for part in _commands(script) if part.strip()]
    except (re.error, ValueError, IndexError):
        gnu = f"-e expression #1, char {len(script)}: unknown command"
        return process.fail(f"unsupported command: {script}" if process.ash else gnu)
    for name, source in opened(process, operands):
        content = (yield from source.read_all()).decode(errors="replace")
        result = "".join(f"{line}\n" for line in _edited(edits, split(content), quiet="n" in options))
        if not content.endswith("\n"):
            result = result.removesuffix("\n")
        if "i" in options and name:
            if options["i"]:
                process.fs.write(name + options["i"], content.encode(), process.cwd)
            process.fs.write(name, result.encode(), process.cwd)
        else:
            process.out(result)
    return process.status


def _edited(edits: list[Edit], lines: list[str], *, quiet: bool) -> list[str]:
    output: list[str] = []
    for number, line in enumerate(lines, 1):
        text, after, name = line, list[str](), ""
        for edit in edits:
            if not edit.chosen(text, number, number == len(lines)):
                continue
            name = edit.name
            if name == "s":
                text, hit = edit.substitute(text)
                output += [text] if hit and "p" in edit.flags else []
            elif name in "ic":
                output.append(edit.text)
            elif name == "a":
                after.append(edit.text)
            elif name == "p":
                output.append(text)
            if name in "cdq":
                break
        if not quiet and name not in ("c", "d"):
            output.append(text)
        output += after
        if name == "q":
            break
    return output


def _commands(script: str) -> list[str]:
    """Split at ; and newlines that stand outside of s/// and addresses."""
    address = ADDRESS.match(script)
    if address and script[address.end() :][:1] in ("a", "i", "c"):
        return [script]  # their text goes to the end
    return re.split(r"[;\n](?=\s*(?:[0-9$/sdpqy]|$))", script)


def _edit(text: str, *, extended: bool) -> Edit:
    address = ADDRESS.match(text)
    assert address is not None
    command = text[address.end() :].rstrip()
    edit = Edit(address[1], address[2], bool(address[3]), command[0], lambda e: python(e, extended=extended))
    if command[0] == "s":
        separator = re.escape(command[1])
        part = rf"((?:\\.|[^\\{separator}])*){separator}"
        parts = re.fullmatch(rf"s{separator}{part}{part}([gip0-9]*)", command, re.S)
        if not parts:
            raise ValueError(command)
        edit.pattern, edit.flags = compiled(edit.convert(parts[1]), re.I if "i" in parts[3] else 0), parts[3]
        plain = re.sub(r"\\(?![0-9&n\\])(.)", r"\1", parts[2])
        edit.text = re.sub(r"(\\[\\&0-9n])|&", lambda m: (m[1] if m[1] != r"\&" else "&") if m[1] else r"\g<0>", plain)
    elif command[0] in "aic":
        said = re.sub(r"^[ \t]*\\?\n?", "", text[address.end() + 1 :], count=1)
        edit.text = said.replace("\\n", "\n").replace("\\ ", " ")
    elif command not in ("d", "p", "q"):
        raise ValueError(command)
    return edit
