"""test, [ and [[ (as a program: what stands in [[ ]] is split into words, and && ends it)."""

import fnmatch
from collections.abc import Callable

from k8s_core.shell.commands.filters import compiled, python, search
from k8s_core.shell.commands.options import Table
from k8s_core.shell.fs import Device, Directory, File, Link, Node
from k8s_core.shell.process import Process

COMMANDS = Table()
Part = Callable[[Process, list[str]], tuple[bool, list[str]]]
"""Gives the truth of the first words, and the words that are left."""


@COMMANDS.plain("test [ [[")
def test(process: Process) -> int:
    words = process.argv[1:]
    if process.name != "test":
        end = "]" * len(process.name)
        if not words or words.pop() != end:
            return process.fail(f"missing {end}", 2)
    try:
        value, rest = _or(process, words)
    except (ValueError, IndexError) as error:
        return process.fail(str(error) if isinstance(error, ValueError) else "argument expected", 2)
    if rest:
        return process.fail(f"{rest[0]}: unknown operand", 2)
    return int(not value)


def _or(process: Process, words: list[str]) -> tuple[bool, list[str]]:
    return _chain(process, words, "-o", _and)


def _and(process: Process, words: list[str]) -> tuple[bool, list[str]]:
    return _chain(process, words, "-a", _primary)


def _chain(process: Process, words: list[str], op: str, part: Part) -> tuple[bool, list[str]]:
    value, words = part(process, words)
    while words and words[0] == op:
        right, words = part(process, words[1:])
        value = value and right if op == "-a" else value or right
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
PATTERNS: dict[str, Callable[[str, str], bool]] = {
    "=": fnmatch.fnmatchcase,
    "==": fnmatch.fnmatchcase,
    "!=": lambda a, b: not fnmatch.fnmatchcase(a, b),
    "=~": lambda a, b: bool(search(compiled(python(b, extended=True)), a)),
}
"""What [[ compares otherwise."""
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
    if len(words) >= 3 and process.name == "[[" and words[1] in PATTERNS:
        return PATTERNS[words[1]](words[0], words[2]), words[3:]
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
        node = process.lookup(words[1], follow=words[0] not in ("-L", "-h"))
        return node is not None and FILE_TESTS[words[0]](node), words[2:]
    return words[0] != "", words[1:]
