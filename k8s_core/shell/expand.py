"""Word expansion: parameters, command substitution, arithmetic, field splitting, globbing, quote removal.

In the order POSIX gives (2.6). Works on pieces that remember whether they were quoted, so that a quoted star
stays a star and a quoted blank does not split.
"""

import fnmatch
import re
from collections.abc import Generator
from typing import TYPE_CHECKING

from k8s_core.shell.fs import Directory
from k8s_core.shell.pipes import Wait
from k8s_core.shell.syntax import Arithmetic, Parameter, Substitution, Text, Word

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


class ExpansionError(Exception):
    """`parameter not set`, `divide by zero`, `argument list too long`."""


def fields(shell: "Shell", words: list[Word]) -> Generator[Wait, None, list[str]]:
    """The arguments that words stand for."""
    result: list[str] = []
    if shell.flavour == "bash":
        words = [each for word in words for each in _braces(word)]
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
        elif isinstance(part, Arithmetic):
            expression = yield from text(shell, part.word)
            pieces.append((str(evaluate(shell, expression)), part.quoted))
    if sum(len(p) for p, _ in pieces) > MAX_TEXT:
        raise ExpansionError("Argument list too long")
    return pieces


def _parameter(shell: "Shell", part: Parameter) -> Generator[Wait, None, Pieces]:
    if part.name == "@" and not part.op:
        return (
            [(BREAK.join(shell.positional), part.quoted)]
            if shell.positional
            else ([(BREAK, False)] if part.quoted else [])
        )
    value = shell.lookup(part.name)
    op = part.op
    if op == "length":
        return [(str(len(value or "")), part.quoted)]
    if op in (":-", "-", ":=", "=", ":?", "?", ":+", "+"):
        assert part.word is not None
        missing = value is None or (op.startswith(":") and value == "")
        if op in (":+", "+"):
            return [] if missing else (yield from _quoted(shell, part))
        if not missing:
            return [(value or "", part.quoted)]
        if op in (":-", "-"):
            return (yield from _quoted(shell, part))
        default = yield from text(shell, part.word)
        if op in (":?", "?"):
            raise ExpansionError(f"{part.name}: {default or 'parameter not set or null'}")
        shell.set(part.name, default)
        return [(default, part.quoted)]
    if value is None and shell.options["u"] and part.name not in "@*":
        raise ExpansionError(f"{part.name}: parameter not set")
    value = value or ""
    if op:
        assert part.word is not None
        if op == ":":
            bounds = (yield from text(shell, part.word)).split(":")
            start = evaluate(shell, bounds[0] or "0")
            length = evaluate(shell, bounds[1]) if len(bounds) > 1 else len(value)
            value = value[start:][:length]
        elif op in ("/", "//"):
            old, _, new = (yield from text(shell, part.word)).partition("/")
            if old:
                value = re.sub(_regex(old), lambda _: new, value, count=0 if op == "//" else 1)
        elif len(value) > MAX_TRIMMED:
            raise ExpansionError("Argument list too long")
        else:
            value = _trim(value, op, (yield from pattern(shell, part.word)))
    return [(value, part.quoted)]


def _quoted(shell: "Shell", part: Parameter) -> Generator[Wait, None, Pieces]:
    assert part.word is not None
    pieces = yield from _expand(shell, part.word)
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


# --- arithmetic ---------------------------------------------------------------------------------------------------
_TOKEN = re.compile(r"\s*(0[xX][0-9a-fA-F]+|\d+|[A-Za-z_]\w*|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%]=|[-+*/%()<>!~&|^?:=,])")
_LEVELS = [
    ("||",),
    ("&&",),
    ("|",),
    ("^",),
    ("&",),
    ("==", "!="),
    ("<", ">", "<=", ">="),
    ("<<", ">>"),
    ("+", "-"),
    ("*", "/", "%"),
]


def evaluate(shell: "Shell", expression: str) -> int:
    """The value of an arithmetic expression, 64 bits; raises ExpansionError."""
    tokens: list[str] = []
    at = 0
    expression = expression.strip()
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if not match or len(tokens) > 10_000:
            raise ExpansionError("arithmetic syntax error")
        tokens.append(match[1])
        at = match.end()
        if not expression[at:].strip():
            break
    if not tokens:
        return 0
    value, rest = _assignment(shell, tokens, 0)
    if rest != len(tokens):
        raise ExpansionError("arithmetic syntax error")
    return value


def _assignment(shell: "Shell", tokens: list[str], at: int) -> tuple[int, int]:
    if at + 1 < len(tokens) and tokens[at + 1] in ("=", "+=", "-=", "*=", "/=", "%=") and tokens[at].isidentifier():
        value, end = _assignment(shell, tokens, at + 2)
        if len(tokens[at + 1]) == 2:
            value = _apply(tokens[at + 1][0], _number(shell, tokens[at]), value)
        shell.set(tokens[at], str(value))
        return value, end
    value, at = _level(shell, tokens, at, 0)
    if at < len(tokens) and tokens[at] == "?":
        yes, at = _assignment(shell, tokens, at + 1)
        if at >= len(tokens) or tokens[at] != ":":
            raise ExpansionError("arithmetic syntax error")
        no, at = _assignment(shell, tokens, at + 1)
        value = yes if value else no
    return value, at


def _level(shell: "Shell", tokens: list[str], at: int, level: int) -> tuple[int, int]:
    if level == len(_LEVELS):
        return _unary(shell, tokens, at)
    value, at = _level(shell, tokens, at, level + 1)
    while at < len(tokens) and tokens[at] in _LEVELS[level]:
        op = tokens[at]
        right, at = _level(shell, tokens, at + 1, level + 1)
        value = _apply(op, value, right)
    return value, at


def _unary(shell: "Shell", tokens: list[str], at: int) -> tuple[int, int]:
    if at >= len(tokens) or at > 5_000:
        raise ExpansionError("arithmetic syntax error")
    token = tokens[at]
    if token in "+-!~":
        value, end = _unary(shell, tokens, at + 1)
        return {"+": value, "-": -value, "!": int(not value), "~": ~value}[token], end
    if token == "(":
        value, end = _assignment(shell, tokens, at + 1)
        if end >= len(tokens) or tokens[end] != ")":
            raise ExpansionError("arithmetic syntax error")
        return value, end + 1
    return _number(shell, token), at + 1


def _number(shell: "Shell", token: str) -> int:
    if len(token) > 100:
        raise ExpansionError("arithmetic syntax error")
    if token[0].isdigit():
        return int(
            token,
            16
            if token[:2] in ("0x", "0X")
            else 8
            if token[0] == "0" and token.isdigit() and not set(token) & set("89")
            else 10,
        )
    if token.isidentifier():
        value = (shell.lookup(token) or "0").strip()
        try:
            return int(value, 0) if not re.fullmatch(r"0\d+", value) else int(value)
        except ValueError:
            return 0
    raise ExpansionError("arithmetic syntax error")


def _apply(op: str, a: int, b: int) -> int:
    if op in "/%" and b == 0:
        raise ExpansionError("divide by zero")
    if op in ("<<", ">>"):
        b &= 63
    value = {
        "+": lambda: a + b,
        "-": lambda: a - b,
        "*": lambda: a * b,
        "/": lambda: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1),
        "%": lambda: abs(a) % abs(b) * (1 if a >= 0 else -1),
        "<<": lambda: a << b,
        ">>": lambda: a >> b,
        "<": lambda: int(a < b),
        ">": lambda: int(a > b),
        "<=": lambda: int(a <= b),
        ">=": lambda: int(a >= b),
        "==": lambda: int(a == b),
        "!=": lambda: int(a != b),
        "&": lambda: a & b,
        "|": lambda: a | b,
        "^": lambda: a ^ b,
        "&&": lambda: int(bool(a and b)),
        "||": lambda: int(bool(a or b)),
    }[op]()
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)
