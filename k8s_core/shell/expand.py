"""Word expansion: parameters, command substitution, arithmetic, field splitting, globbing, quote removal.

In the order POSIX gives (2.6). Works on pieces that remember whether they were quoted, so that a quoted star
stays a star and a quoted blank does not split.
"""

import fnmatch
import re
from collections.abc import Generator
from typing import TYPE_CHECKING

from k8s_core.shell.arithmetic import ExpansionError, evaluate
from k8s_core.shell.fs import Directory
from k8s_core.shell.pipes import Wait
from k8s_core.shell.syntax import Arithmetic, Parameter, Reading, Substitution, Text, Word

if TYPE_CHECKING:
    from k8s_core.shell.interpreter import Shell

Pieces = list[tuple[str, bool]]
"""Text with a flag: quoted."""
BLANKS = " \t\n"
MAX_TEXT = 1 << 20
MAX_TRIMMED = 1 << 13
"""${x%pattern} tries every length: longer values are refused."""
BREAK = "\0"
"""Stands between the fields of "$@"."""


def fields(shell: "Shell", words: list[Word]) -> Generator[Wait, None, list[str]]:
    """The arguments that words stand for."""
    result: list[str] = []
    if shell.flavour == "bash":
        words = [each for word in words for each in _braces(word)]
    if words and words[0].literal() == "[[":  # its words are neither split nor globbed
        for before, word in zip([None, *words], words, strict=False):
            compared = before is not None and before.literal() in ("=", "==", "!=")
            result.append((yield from (pattern if compared else text)(shell, word)))
        return result
    for word in words:
        literal = word.literal()
        if literal is not None and not (set(literal) & set("*?[~")):
            result.append(literal)
            continue
        pieces = yield from _expand(shell, word)
        for field_pieces in _split(pieces, shell.get("IFS", BLANKS)):
            result.extend(_glob(shell, field_pieces))
    return result


BRACES = re.compile(r"\{(?:([^{},\s]*(?:,[^{},\s]*)+)|(-?\d+)\.\.(-?\d+))\}")
MOST_BRACES = 1000


def _braces(word: Word) -> list[Word]:
    """bash's brace expansion: {a,b} and {1..5}, of unquoted text."""
    for index, part in enumerate(word.parts):
        match = BRACES.search(part.value) if isinstance(part, Text) and not part.quoted else None
        if match is None:
            continue
        assert isinstance(part, Text)
        if match[1] is not None:
            choices = match[1].split(",")
        else:
            first, last = int(match[2]), int(match[3])
            choices = [str(n) for n in range(first, last + (1 if last >= first else -1), 1 if last >= first else -1)]
        found = []
        for choice in choices[:MOST_BRACES]:
            value = Text(part.value[: match.start()] + choice + part.value[match.end() :])
            found += _braces(Word((*word.parts[:index], value, *word.parts[index + 1 :])))
        return found
    return [word]


def text(shell: "Shell", word: Word) -> Generator[Wait, None, str]:
    """A word as one string: no splitting, no globbing (assignments, redirects, here-documents)."""
    pieces = yield from _expand(shell, word)
    return "".join(p for p, _ in pieces).replace(BREAK, " ")


def pattern(shell: "Shell", word: Word) -> Generator[Wait, None, str]:
    """A word as a pattern: quoted specials are escaped."""
    pieces = yield from _expand(shell, word)
    return "".join(re.sub(r"([*?\[])", r"[\1]", p) if quoted else p for p, quoted in pieces)


def _expand(shell: "Shell", word: Word) -> Generator[Wait, None, Pieces]:
    pieces: Pieces = []
    for index, part in enumerate(word.parts):
        if isinstance(part, Text):
            value = part.value
            if index == 0 and not part.quoted and value.startswith("~") and value[1:2] in ("", "/"):
                value = shell.get("HOME", "/root") + value[1:]
            pieces.append((value, part.quoted))
        elif isinstance(part, Parameter):
            pieces.extend((yield from _parameter(shell, part)))
        elif isinstance(part, Substitution):
            output = yield from shell.capture(part.body)
            pieces.append((output.rstrip("\n"), part.quoted))
        elif isinstance(part, Reading):
            pieces.append((shell.process.pipe_file((yield from shell.capture(part.body)).encode()), True))
        elif isinstance(part, Arithmetic):
            expression = yield from text(shell, part.word)
            pieces.append((str(evaluate(shell, expression)), part.quoted))
    if sum(len(p) for p, _ in pieces) > MAX_TEXT:
        raise ExpansionError("Argument list too long")
    return pieces


def _parameter(shell: "Shell", part: Parameter) -> Generator[Wait, None, Pieces]:
    name, op, quoted = part.name, part.op, part.quoted
    if name == "@" and not op:
        return [(BREAK.join(shell.positional), quoted)] if shell.positional else [(BREAK, False)] * quoted
    value = shell.lookup(name)
    if name == "*" and quoted:
        value = shell.get("IFS", " ")[:1].join(shell.positional)
    if op == "length":
        return [(str(len(value or "")), quoted)]
    if op and op[-1] in "-=?+":
        missing = value is None or (op[0] == ":" and not value)
        if op[-1] == "+":
            return [] if missing else (yield from _quoted(shell, part))
        if not missing:
            return [(value or "", quoted)]
        if op[-1] == "-":
            return (yield from _quoted(shell, part))
        default = yield from text(shell, _word(part))
        if op[-1] == "?":
            raise ExpansionError(f"{name}: {default or 'parameter not set' + ' or null' * (op == ':?')}")
        shell.set(name, default)
        return [(default, quoted)]
    if value is None and shell.options["u"] and name not in "@*":
        raise ExpansionError(f"{name}: parameter not set")
    return [((yield from _cut(shell, value or "", part)) if op else value or "", quoted)]


def _word(part: Parameter) -> Word:
    return part.word or Word(())


def _cut(shell: "Shell", value: str, part: Parameter) -> Generator[Wait, None, str]:
    """What ${x:start:length}, ${x/old/new}, ${x^^} and ${x%pattern} make of a value."""
    if part.op[0] in "^,":
        change = str.upper if part.op[0] == "^" else str.lower
        return change(value) if len(part.op) > 1 else change(value[:1]) + value[1:]
    if part.op == ":":
        bounds = (yield from text(shell, _word(part))).split(":")
        start = evaluate(shell, bounds[0] or "0")
        return value[start:][: evaluate(shell, bounds[1]) if len(bounds) > 1 else len(value)]
    if len(value) > MAX_TRIMMED:
        raise ExpansionError("Argument list too long")
    if part.op[0] == "/":
        old, _, new = (yield from text(shell, _word(part))).partition("/")
        return re.sub(_regex(old), lambda _: new, value, count=int(part.op == "/")) if old else value
    return _trim(value, part.op, (yield from pattern(shell, _word(part))))


def _quoted(shell: "Shell", part: Parameter) -> Generator[Wait, None, Pieces]:
    pieces = yield from _expand(shell, _word(part))
    return [(p, True) for p, _ in pieces] if part.quoted else pieces


def _regex(glob: str) -> str:
    return fnmatch.translate(glob).removeprefix("(?s:").removesuffix(")\\Z").removesuffix(")\\z")


def _trim(value: str, op: str, glob: str) -> str:
    sizes = range(len(value) + 1) if len(op) == 1 else range(len(value), -1, -1)
    for size in sizes:
        if op[0] == "#" and fnmatch.fnmatchcase(value[:size], glob):
            return value[size:]
        if op[0] == "%" and fnmatch.fnmatchcase(value[len(value) - size :], glob):
            return value[: len(value) - size]
    return value


def _split(pieces: Pieces, separators: str) -> list[Pieces]:
    done: list[Pieces] = []
    current: Pieces = []
    started = False
    for value, quoted in pieces:
        for number, chunk in enumerate(value.split(BREAK)):
            if number:
                if started:
                    done.append(current)
                current, started = [], quoted
            if quoted:
                current.append((chunk, True))
                started = True
                continue
            buffer = ""
            for char in chunk:
                if char in separators:
                    if buffer:
                        current.append((buffer, False))
                        buffer, started = "", True
                    if started:
                        done.append(current)
                        current, started = [], False
                else:
                    buffer += char
            if buffer:
                current.append((buffer, False))
                started = True
    if started:
        done.append(current)
    return done


def _glob(shell: "Shell", pieces: Pieces) -> list[str]:
    plain = "".join(p for p, _ in pieces)
    if shell.options["f"] or not any(not quoted and set(p) & set("*?[") for p, quoted in pieces):
        return [plain]
    glob = "".join(re.sub(r"([*?\[])", r"[\1]", p) if quoted else p for p, quoted in pieces)
    found = [""] if not glob.startswith("/") else ["/"]
    for segment in glob.split("/"):
        if not segment:
            continue
        following = []
        for base in found:
            node = shell.process.fs.lookup(base or ".", shell.process.cwd)
            if not isinstance(node, Directory):
                continue
            for name in node.names():
                if fnmatch.fnmatchcase(name, segment) and (not name.startswith(".") or segment.startswith(".")):
                    following.append(f"{base}{name}/")
        found = following
    return [path.rstrip("/") for path in found] or [plain]
