"""find: an expression of tests and actions, on every file below the places that are named.

Tests: -name -iname -path -type -empty -size -perm -newer -mtime -mmin; actions: -print -print0 -ls -delete
-exec -prune -quit; -not, !, -a, -o and parentheses join them; -maxdepth and -mindepth bound the walk.
"""

import fnmatch
import re
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from typing import NamedTuple

from k8s_core.shell.commands.listing import blocks, mode, size
from k8s_core.shell.commands.options import Table
from k8s_core.shell.fs import Directory, FileError, Node, normalize
from k8s_core.shell.pipes import Steps, Wait
from k8s_core.shell.process import Process

COMMANDS = Table()
UNITS = {"": 512, "b": 512, "c": 1, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class Found(NamedTuple):
    """A file on the way: its path as it is printed, its real one, and itself."""

    path: str
    real: str
    node: Node


Test = Callable[[Found], Generator[Wait, None, bool]]
"""Whether the rest of the expression is looked at; an action is a test that does something."""


class Wrong(Exception):
    """The expression cannot be read."""


class Quit(Exception):
    """-quit."""


def _measured(word: str, value: float) -> bool:
    """+5, -5 and 5, as -size, -mtime and -mmin mean them."""
    wanted = int(word.lstrip("+-"))
    return value > wanted if word[0] == "+" else value < wanted if word[0] == "-" else value == wanted


class Expression:
    """Reads the words by precedence: -o, then -a, then a single test."""

    def __init__(self, process: Process, words: list[str]) -> None:
        self.process, self.words = process, words
        self.depths, self.acts = [0, 99], False
        self.batches: list[tuple[list[str], list[str]]] = []
        self.pruned = ""
        self.test = self._either() if words else None
        if self.words:
            raise Wrong(f"paths must precede expression: `{self.words[0]}'")

    def holds(self, found: Found) -> Generator[Wait, None, bool]:
        return (yield from self.test(found)) if self.test else True

    def _take(self, of: str) -> str:
        if not self.words:
            raise Wrong(f"missing argument to `{of}'")
        return self.words.pop(0)

    def _either(self) -> Test:
        left = self._both()
        while self.words[:1] in (["-o"], ["-or"]):
            self.words.pop(0)
            left = self._joined(left, self._both(), stop_at=True)
        return left

    def _both(self) -> Test:
        left = self._single()
        while self.words and self.words[0] not in ("-o", "-or", ")"):
            if self.words[0] in ("-a", "-and"):
                self.words.pop(0)
            left = self._joined(left, self._single(), stop_at=False)
        return left

    @staticmethod
    def _joined(left: Test, right: Test, *, stop_at: bool) -> Test:
        def test(found: Found) -> Generator[Wait, None, bool]:
            if (yield from left(found)) == stop_at:
                return stop_at
            return (yield from right(found))

        return test

    def _single(self) -> Test:
        word = self._take("")
        if word in ("!", "-not"):
            inner = self._single()

            def opposite(found: Found) -> Generator[Wait, None, bool]:
                return not (yield from inner(found))

            return opposite
        if word == "(":
            inside = self._either()
            if not self.words or self.words.pop(0) != ")":
                raise Wrong("invalid expression; expected to find a ')' but didn't see one")
            return inside
        if word in ("-exec", "-ok"):
            return self._exec()
        return self._plain(self._predicate(word))

    @staticmethod
    def _plain(holds: Callable[[Found], bool]) -> Test:
        def test(found: Found) -> Generator[Wait, None, bool]:
            return holds(found)
            yield 0.0

        return test

    def _predicate(self, word: str) -> Callable[[Found], bool]:
        process, now = self.process, self.process.machine.loop.now
        if word in ("-maxdepth", "-mindepth"):
            self.depths[word == "-maxdepth"] = int(self._take(word))
            return lambda found: True
        if word in ("-print", "-print0", "-ls", "-delete", "-prune", "-quit"):
            self.acts |= word != "-prune"
            return lambda found: self._act(word, found)
        if word == "-empty":
            return lambda found: not (found.node.names() if isinstance(found.node, Directory) else size(found.node))
        if word in ("-true", "-xdev", "-mount", "-follow"):
            return lambda found: True
        if word not in VALUED:
            raise Wrong(f"unrecognized: {word}" if process.ash else f"unknown predicate `{word}'")
        value = self._take(word)
        if word == "-newer":
            other = process.fs.resolve(value, process.cwd)[0].mtime
            return lambda found: found.node.mtime > other
        if word in ("-size", "-mtime", "-mmin", "-ctime", "-cmin", "-amin", "-atime"):
            read = re.fullmatch(r"([-+]?\d+)([bckMG]?)", value)
            if not read:
                raise Wrong(f"invalid argument `{value}' to `{word}'")
            if word == "-size":
                return lambda found: _measured(read[1], -(-size(found.node) // UNITS[read[2]]))
            unit = 60 if word.endswith("min") else 86400
            return lambda found: _measured(read[1], (now - (found.node.mtime or process.machine.started)) // unit)
        if word == "-perm":
            bits = int(value.lstrip("-/"), 8)
            if value[0] == "/":
                return lambda found: bool(found.node.mode & bits)
            return lambda found: found.node.mode & (bits if value[0] == "-" else 0o7777) == bits
        if word in ("-user", "-group"):
            return lambda found: value in ("root", "0")
        if word == "-type":
            return lambda found: mode(found.node)[0].replace("-", "f") in value.split(",")
        low = word.startswith("-i")
        glob = value.lower() if low else value
        whole = word.endswith("path")

        def named(found: Found) -> bool:
            name = found.path if whole else found.path.rstrip("/").rsplit("/", 1)[-1] or "/"
            return fnmatch.fnmatchcase(name.lower() if low else name, glob)

        return named

    def _act(self, word: str, found: Found) -> bool:
        process = self.process
        if word == "-quit":
            raise Quit
        if word == "-prune":
            self.pruned = found.real
        elif word == "-delete":
            try:
                process.fs.remove(found.real)
            except FileError as error:
                process.fail(f"cannot delete '{found.path}': {error}")
                return False
        elif word == "-ls":
            when = datetime.fromtimestamp(found.node.mtime or process.machine.started, UTC).strftime("%b %e %H:%M")
            links = 2 if isinstance(found.node, Directory) else 1
            bits = f"{mode(found.node)} {links:>3} root     root     {size(found.node):>8}"
            process.print(f"{id(found.node) % 1_000_000:>9} {blocks(found.node):>6} {bits} {when} {found.path}")
        else:
            process.out(found.path + ("\0" if word == "-print0" else "\n"))
        return True

    def _exec(self) -> Test:
        self.acts = True
        end = next((i for i, word in enumerate(self.words) if word == ";" or (word == "+" and i)), None)
        if end is None:
            raise Wrong("missing argument to `-exec'")
        command, many = self.words[:end], self.words[end] == "+"
        del self.words[: end + 1]
        if many:
            batch: list[str] = []
            self.batches.append((command, batch))

            def gather(found: Found) -> bool:
                batch.append(found.path)
                return True

            return self._plain(gather)

        def run(found: Found) -> Generator[Wait, None, bool]:
            return (yield from self.run([word.replace("{}", found.path) for word in command])) == 0

        return run

    def run(self, words: list[str]) -> Steps:
        if self.process.machine.find(words[0]) is None:
            return self.process.fail(f"'{words[0]}': No such file or directory")
        return (yield from self.process.run(words))


VALUED = frozenset(
    ["-name", "-iname", "-path", "-ipath", "-wholename", "-type", "-size", "-perm", "-newer", "-mtime", "-mmin",
     "-ctime", "-cmin", "-atime", "-amin", "-user", "-group"]
)  # fmt: skip


@COMMANDS.plain("find")
def find(process: Process) -> Steps:
    words, starts = process.argv[1:], list[str]()
    while words and words[0] not in ("!", "(") and not words[0].startswith("-"):
        starts.append(words.pop(0))
    try:
        expression = Expression(process, words)
    except Wrong as error:
        return process.fail(str(error))
    try:
        for start in starts or ["."]:
            yield from _walk(process, expression, start)
    except Quit:
        pass
    for command, paths in expression.batches:
        if paths:
            yield from expression.run([*(word for word in command if word != "{}"), *paths])
    return process.status


def _walk(process: Process, expression: Expression, start: str) -> Generator[Wait, None, None]:
    absolute = normalize(start, process.cwd)
    if process.fs.lookup(absolute, follow=False) is None:
        ash = process.ash
        process.fail(f"{start}: No such file or directory" if ash else f"'{start}': No such file or directory")
        return
    least, most = expression.depths
    below = list(process.fs.walk(absolute))
    emptied = "-delete" in process.argv  # what is in a folder goes before it
    for real, node in reversed(below) if emptied else below:
        depth = real.rstrip("/").count("/") - absolute.rstrip("/").count("/")
        if expression.pruned and real.startswith(expression.pruned + "/"):
            continue
        path = start.rstrip("/") + real[len(absolute.rstrip("/")) :] or "/"
        if least <= depth <= most and (yield from expression.holds(Found(path, real, node))) and not expression.acts:
            process.print(path)
