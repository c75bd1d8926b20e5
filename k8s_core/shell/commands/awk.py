"""awk, as far as pipelines on a node go: fields of chosen lines printed, with no variables, functions or loops.

A program is one or more of PATTERN {print WORDS}: the pattern /REGEX/, !/REGEX/, NR or NF or $N compared with a number
or a text, BEGIN, END or nothing; the words $N, $NF, NR, NF, numbers and "texts", with commas or without.
"""

import re
from collections.abc import Callable

from k8s_core.shell.commands.filters import compiled, search
from k8s_core.shell.commands.options import Table
from k8s_core.shell.commands.text import lines_of, unescape
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Process

COMMANDS = Table()
RULE = re.compile(r"\s*(BEGIN|END|!?/(?:\\.|[^/\\])*/|(?:NR|NF|\$NF|\$\d+)\s*(?:[=!]=|[<>]=?)\s*(?:\d+|\"[^\"]*\"))?\s*"
                  r"(?:\{\s*print\b\s*((?:\"[^\"]*\"|[^}\"])*?)\s*;?\s*\})?\s*;?\s*")  # fmt: skip
WORD = re.compile(r"\s*(\$NF|\$\d+|NR|NF|\d+|\"(?:\\.|[^\"\\])*\"|,)\s*")
COMPARE: dict[str, Callable[[object, object], bool]] = {
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b,  # type: ignore[operator]  # both are of one type
    ">": lambda a, b: a > b, "<=": lambda a, b: a <= b, ">=": lambda a, b: a >= b,  # type: ignore[operator]
}  # fmt: skip
Rule = tuple[str, list[str]]


def parse(program: str) -> list[Rule]:
    """The rules as (pattern, words to print); ValueError for what is not known here."""
    rules, at = [], 0
    while at < len(program):
        found = RULE.match(program, at)
        if found is None or found.end() == at or not found[0].strip():
            raise ValueError(program[at:])
        words, end, text = [], 0, found[2] or "$0"
        while end < len(text):
            word = WORD.match(text, end)
            if word is None:
                raise ValueError(text[end:])
            words.append(word[1])
            end = word.end()
        rules.append((found[1] or "", words))
        at = found.end()
    return rules


def value(word: str, line: str, fields: list[str], number: int) -> str:
    """What a word stands for in one line."""
    if word.startswith('"'):
        return unescape(word[1:-1])
    if word.startswith("$"):
        index = len(fields) if word == "$NF" else int(word[1:])
        return line if index == 0 else fields[index - 1] if index <= len(fields) else ""
    return {"NR": str(number), "NF": str(len(fields))}.get(word, word)


def chosen(pattern: str, line: str, fields: list[str], number: int) -> bool:
    if not pattern:
        return True
    if pattern in ("BEGIN", "END"):
        return False
    if pattern.lstrip("!").startswith("/"):
        return bool(search(compiled(pattern.strip("!")[1:-1]), line)) != pattern.startswith("!")
    left, operator, right = re.split(r"\s*([=!<>]=?)\s*", pattern, maxsplit=1)
    one, other = value(left, line, fields, number), value(right, line, fields, number)
    try:
        return (
            COMPARE[operator](float(one), float(other)) if not right.startswith('"') else COMPARE[operator](one, other)
        )
    except ValueError:
        return COMPARE[operator](one, other)


@COMMANDS.plain("awk gawk mawk")
def awk(process: Process) -> Steps:
    words, separator = process.argv[1:], ""
    while words and words[0].startswith("-F"):
        flag = words.pop(0)[2:]
        separator = flag or (words.pop(0) if words else "")
    if not words:
        process.err("usage: awk [-F fs] 'prog' [file ...]\n")
        return 2
    try:
        rules = parse(words[0])
        lines = yield from lines_of(process, words[1:])
        split = compiled(re.escape(separator) if len(separator) == 1 else separator) if separator else None
    except (ValueError, re.error) as error:
        process.err(f"awk: this simulator's awk only prints fields of lines; it does not know: {error}\n")
        return 2

    def show(part: list[str], line: str, fields: list[str], number: int) -> None:
        process.print("".join(" " if word == "," else value(word, line, fields, number) for word in part))

    for pattern, part in rules:
        if pattern == "BEGIN":
            show(part, "", [], 0)
    for number, line in enumerate(lines, 1):
        fields = split.split(line) if split else line.split()
        for pattern, part in rules:
            if chosen(pattern, line, fields, number):
                show(part, line, fields, number)
    for pattern, part in rules:
        if pattern == "END":
            show(part, "", [], len(lines))
    return 0
