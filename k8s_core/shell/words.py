"""Words and their quoting: literals, $name, ${...}, $(...), $((...)) and "..." as the parser reads them."""

import re

from k8s_core.shell.syntax import (
    Arithmetic,
    List,
    Parameter,
    Part,
    Reading,
    Substitution,
    SyntaxFailure,
    Text,
    Word,
)  # fmt: skip

MAX_DEPTH = 100
MAX_RETRIES = 64
META = frozenset(" \t\n;&|<>()")
NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
PARAMETER = re.compile(r"[A-Za-z_]\w*|[0-9]+|[@*#?$!-]", re.ASCII)
RUN = re.compile(r"""[^ \t\n;&|<>()'"\\$`]+""")
"""Plain characters of a word; within ${...} blanks and operators are plain, too, and inside of quotes even more."""
RUN_IN_BRACES, RUN_IN_QUOTES, RUN_IN_HEREDOC = (
    re.compile(r"""[^}'"\\$`]+"""),
    re.compile(r'[^"\\$`]+'),
    re.compile(r"[^\\$`]+"),
)
OPERATION = re.compile(r":[-=?+]|##|%%|//|\^\^|,,|[-=?+#%/:^,]")
TOKEN = re.compile(r"&&|\|\||;;|<<|>>|[ \t\n;&|<>()]|[^ \t\n;&|<>()]+")
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\033", "f": "\f", "v": "\v"}
"""Of $'...'."""


class Words:
    """A place in a text, and the reading of one word there. The parser adds commands to it."""

    def __init__(self, text: str, depth: int = 0) -> None:
        self.text, self.pos, self.depth = text, 0, depth
        self._retries = 0

    def commands(self, stops: tuple[str, ...]) -> List:
        """The commands up to a stop word, a `)` or the end."""
        raise NotImplementedError

    def substitution(self) -> List:
        """The inside of $( ) and its closing parenthesis."""
        raise NotImplementedError

    def peek(self, n: int = 1) -> str:
        return self.text[self.pos : self.pos + n]

    def match(self, pattern: re.Pattern[str]) -> str:
        """Take what the pattern matches here; "" if it does not."""
        found = pattern.match(self.text, self.pos)
        self.pos += len(found[0]) if found else 0
        return found[0] if found else ""

    def unexpected(self, what: str | None = None) -> SyntaxFailure:
        expecting = f' (expecting "{what}")' if what else ""
        if self.pos >= len(self.text):
            return SyntaxFailure(f"syntax error: unexpected end of file{expecting}", incomplete=True)
        found = "newline" if self.peek() == "\n" else self.match(TOKEN)
        return SyntaxFailure(f'syntax error: unexpected "{found}"{expecting}')

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise SyntaxFailure("syntax error: nested too deeply")

    # --- words ----------------------------------------------------------------------------------------------
    def word(self, *, braces: bool = False) -> Word:
        """One word; in `braces` it ends at the } of ${x:-word}, and blanks belong to it."""
        self.deeper()
        parts: list[Part] = []
        while self.pos < len(self.text):
            char = self.peek()
            if not braces and self.peek(2) == "<(":
                self.pos += 2
                parts.append(Reading(self.substitution()))
                continue
            if char == "}" if braces else char in META:
                break
            if run := self.match(RUN_IN_BRACES if braces else RUN):
                parts.append(Text(run))
            elif char == "'" or self.peek(2) == "$'":
                parts.append(self._single())
            elif char == '"':
                self.pos += 1
                parts += self.quoted_parts('"') or [Text("", True)]
                if self.peek() != '"':
                    raise SyntaxFailure("syntax error: unterminated quoted string", incomplete=True)
                self.pos += 1
            elif char == "\\":
                if self.peek(2) != "\\\n":
                    parts.append(Text(self.peek(2)[1:] or "\\", True))
                self.pos += 2
            else:
                parts.append(self.dollar(False))
        self.depth -= 1
        return Word(tuple(parts))

    def _single(self) -> Text:
        """'...' and $'...'."""
        ansi = self.peek() == "$"
        found = re.compile(r"\$'((?:\\.|[^\\'])*)'" if ansi else "'([^']*)'", re.S).match(self.text, self.pos)
        if not found:
            raise SyntaxFailure("syntax error: unterminated quoted string", incomplete=True)
        self.pos = found.end()
        value = re.sub(r"\\(.)", lambda m: ESCAPES.get(m[1], m[1]), found[1], flags=re.S) if ansi else found[1]
        return Text(value, True)

    def quoted_parts(self, end: str) -> list[Part]:
        """What stands between double quotes (or in a here-document, end "")."""
        parts: list[Part] = []
        while self.pos < len(self.text) and (not end or self.peek() != end):
            if run := self.match(RUN_IN_QUOTES if end else RUN_IN_HEREDOC):
                parts.append(Text(run, True))
            elif self.peek() == "\\":
                following = self.peek(2)[1:]
                escapes = following in tuple('$`"\\\n')
                parts += [] if following == "\n" else [Text(following if escapes else "\\", True)]
                self.pos += 2 if escapes else 1
            else:
                parts.append(self.dollar(True))
        return parts

    def dollar(self, quoted: bool) -> Part:
        """What begins with $ or `."""
        if self.peek() == "`":
            inner = self.match(re.compile(r"`(?:\\.|[^\\`])*`", re.S))
            if not inner:
                raise SyntaxFailure("syntax error: EOF in backquote substitution", incomplete=True)
            nested = type(self)(inner[1:-1].replace("\\`", "`").replace("\\$", "$"), self.depth + 1)
            body = nested.commands(())
            if nested.pos < len(nested.text):
                raise nested.unexpected()
            return Substitution(body, quoted)
        self.pos += 1
        if expression := self.arithmetic():
            return Arithmetic(expression, quoted)
        if self.peek() == "(":
            self.pos += 1
            return Substitution(self.substitution(), quoted)
        if self.peek() == "{":
            return self._braces(quoted)
        name = self.peek() if self.peek().isdigit() else self.match(PARAMETER)
        self.pos += name.isdigit()
        return Parameter(name, quoted=quoted) if name else Text("$", quoted)

    def arithmetic(self) -> Word | None:
        """What stands in (( )), or None when there is none here: ((a); b) is a command in commands."""
        if self.peek(2) != "((":
            return None
        start = self.pos
        self.pos += 2
        expression = self._expression()
        if expression is None:
            self.pos = start
            self._retries += 1  # each nesting doubles the work
            if self._retries > MAX_RETRIES:
                raise SyntaxFailure("syntax error: nested too deeply")
        return expression

    def _expression(self) -> Word | None:
        parts: list[Part] = []
        depth, start = 0, self.pos
        while self.pos < len(self.text):
            char = self.peek()
            if char in {"$", "`"} or (char == ")" and depth == 0):
                parts.append(Text(self.text[start : self.pos], True))
                if char == ")":
                    if self.peek(2) != "))":
                        return None
                    self.pos += 2
                    return Word(tuple(parts))
                parts.append(self.dollar(True))
                start = self.pos
                continue
            depth += (char == "(") - (char == ")")
            self.pos += 1
        raise SyntaxFailure("syntax error: missing '))'", incomplete=True)

    def _braces(self, quoted: bool) -> Parameter:
        self.pos += 1
        op, word = "", None
        if self.peek() == "#" and self.text[self.pos + 1 : self.pos + 2] not in ("}", "", "#", "%", ":"):
            self.pos += 1
            op = "length"
        name = self.match(PARAMETER)
        if name and self.peek() != "}" and not op and self.pos < len(self.text):
            op = self.match(OPERATION)
            if not op:
                raise SyntaxFailure("syntax error: bad substitution")
            word = self.word(braces=True)
        if not name and self.pos < len(self.text):
            raise SyntaxFailure("syntax error: bad substitution")
        if self.peek() != "}":
            raise SyntaxFailure("syntax error: missing '}'", incomplete=True)
        self.pos += 1
        return Parameter(name, op, word, quoted)
