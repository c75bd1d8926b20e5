"""Arithmetic expansion, $((...)): C's integer expressions on 64 bits."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k8s_core.shell.interpreter import Shell

MAX_TOKENS, MAX_DEPTH, MAX_DIGITS = 10_000, 100, 100
TOKEN = re.compile(
    r"\s*(0[xX][0-9a-fA-F]+|\d+|[A-Za-z_]\w*|<<|>>|<=|>=|==|!=|&&|\|\||\*\*|\+\+|--|[-+*/%]=|[-+*/%()<>!~&|^?:=,])\s*"
)
LEVELS = ("||",), ("&&",), ("|",), ("^",), ("&",), ("==", "!="), ("<", ">", "<=", ">="), ("<<", ">>"), ("+", "-"), (
    "*", "/", "%"), ("**",)  # fmt: skip
POWERS = {op: number for number, level in enumerate(LEVELS, 1) for op in level}


class ExpansionError(Exception):
    """`parameter not set`, `divide by zero`, `argument list too long`."""


def _divide(a: int, b: int) -> int:
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


OPERATORS: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "%": lambda a, b: a - b * _divide(a, b),
    "**": lambda a, b: pow(a, b, 1 << 64) if b >= 0 else 0,
    "<<": lambda a, b: a << (b & 63),
    ">>": lambda a, b: a >> (b & 63),
    "<": lambda a, b: int(a < b),
    ">": lambda a, b: int(a > b),
    "<=": lambda a, b: int(a <= b),
    ">=": lambda a, b: int(a >= b),
    "==": lambda a, b: int(a == b),
    "!=": lambda a, b: int(a != b),
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "&&": lambda a, b: int(bool(a and b)),
    "||": lambda a, b: int(bool(a or b)),
}
UNARY: dict[str, Callable[[int], int]] = {
    "+": lambda a: a,
    "-": lambda a: -a,
    "!": lambda a: int(not a),
    "~": lambda a: ~a,
}


def evaluate(shell: "Shell", expression: str) -> int:
    """The value of an arithmetic expression; raises ExpansionError."""
    tokens: list[str] = []
    at = 0
    while match := TOKEN.match(expression, at):
        tokens.append(match[1])
        at = match.end()
    if expression[at:].strip() or len(tokens) > MAX_TOKENS:
        raise ExpansionError("arithmetic syntax error")
    reader = _Reader(shell, tokens)
    value = reader.sequence() if tokens else 0
    if reader.next:
        raise ExpansionError("arithmetic syntax error")
    return value


class _Reader:
    """Reads tokens by precedence, and computes on the way; `live` is off in a branch that does not count."""

    def __init__(self, shell: "Shell", tokens: list[str]) -> None:
        self.shell, self.tokens = shell, tokens[::-1]
        self.live, self.depth = True, 0

    @property
    def next(self) -> str:
        return self.tokens[-1] if self.tokens else ""

    def take(self, wanted: str = "") -> str:
        if not self.tokens or (wanted and self.next != wanted):
            raise ExpansionError("arithmetic syntax error")
        return self.tokens.pop()

    def sequence(self) -> int:
        value = self.assignment()
        while self.next == ",":
            self.take()
            value = self.assignment()
        return value

    def assignment(self) -> int:
        name, op = (self.tokens[-1], self.tokens[-2]) if len(self.tokens) > 1 else ("", "")
        if name.isidentifier() and re.fullmatch(r"[-+*/%]?=", op):
            del self.tokens[-2:]
            value = self.assignment()
            return self.set(name, self.apply(op[0], self.number(name), value) if len(op) > 1 else value)
        value = self.binary(0)
        if self.next != "?":
            return value
        self.take()
        yes = self.branch(bool(value), self.assignment)
        self.take(":")
        no = self.branch(not value, self.assignment)
        return yes if value else no

    def branch(self, live: bool, read: Callable[[], int]) -> int:
        before, self.live = self.live, self.live and live
        value = read()
        self.live = before
        return value

    def binary(self, level: int) -> int:
        value = self.unary()
        while (power := POWERS.get(self.next, 0)) > level:
            op = self.take()
            counts = not (op == "&&" and not value) and not (op == "||" and value)
            value = self.apply(op, value, self.branch(counts, lambda power=power: self.binary(power)))  # type: ignore[misc]
        return value

    def unary(self) -> int:
        token = self.take()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpansionError("arithmetic syntax error")
        if token in UNARY:
            value = UNARY[token](self.unary())
        elif token == "(":
            value = self.sequence()
            self.take(")")
        elif token in ("++", "--"):
            name = self.take()
            value = self.set(name, self.number(name) + (1 if token == "++" else -1))
        else:
            value = self.number(token)
            if self.next in ("++", "--"):
                self.set(token, value + (1 if self.take() == "++" else -1))
        self.depth -= 1
        return value

    def set(self, name: str, value: int) -> int:
        if not name.isidentifier():
            raise ExpansionError("arithmetic syntax error")
        if self.live:
            self.shell.set(name, str(value))
        return value

    def number(self, token: str) -> int:
        if len(token) > MAX_DIGITS:
            raise ExpansionError("arithmetic syntax error")
        value = (self.shell.lookup(token) or "0").strip() if token.isidentifier() else token
        octal = re.fullmatch(r"(-?)0([0-7]+)", value)
        try:
            return int(octal[1] + octal[2], 8) if octal else int(value, 16 if value[:2] in ("0x", "0X") else 10)
        except ValueError:
            if token.isidentifier():
                return 0
            raise ExpansionError("arithmetic syntax error") from None

    def apply(self, op: str, a: int, b: int) -> int:
        if op in ("/", "%") and b == 0:
            if self.live:
                raise ExpansionError("divide by zero")
            b = 1
        return (OPERATORS[op](a, b) + (1 << 63)) % (1 << 64) - (1 << 63)
