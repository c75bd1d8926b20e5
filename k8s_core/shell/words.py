"""Words and their quoting: literals, $name, ${...}, $(...), $((...)) and "..." as the parser reads them."""

from k8s_core.shell.syntax import Arithmetic, List, Parameter, Part, Substitution, SyntaxFailure, Text, Word

MAX_DEPTH = 100
MAX_RETRIES = 64
NAME_START = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
NAME = NAME_START | frozenset("0123456789")
SPECIAL = frozenset("@*#?-$!0123456789")
META = frozenset(" \t\n;&|<>()")
RESERVED = frozenset(
    ("if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "{", "}", "!", "in")
)


class Words:
    """A place in a text, and the reading of one word there. The parser adds commands to it."""

    def __init__(self, text: str) -> None:
        self.text, self.pos, self.depth = text, 0, 0
        self._retries = 0

    def commands(self, stops: tuple[str, ...]) -> List:
        """The commands up to a stop word, a `)` or the end."""
        raise NotImplementedError

    def substitution(self) -> List:
        """The inside of $( ) and its closing parenthesis."""
        raise NotImplementedError

    def skip_blank(self, *, newlines: bool = False) -> None:
        """Pass over blanks and comments."""
        raise NotImplementedError

    def peek(self, n: int = 1) -> str:
        return self.text[self.pos : self.pos + n]

    def unexpected(self, what: str | None = None) -> SyntaxFailure:
        if self.pos >= len(self.text):
            return SyntaxFailure(
                "syntax error: unexpected end of file" + (f' (expecting "{what}")' if what else ""), incomplete=True
            )
        found = "newline" if self.peek() == "\n" else self._token()
        return SyntaxFailure(f'syntax error: unexpected "{found}"' + (f' (expecting "{what}")' if what else ""))

    def _token(self) -> str:
        two = self.peek(2)
        if two in ("&&", "||", ";;", "<<", ">>"):
            return two
        if self.peek() in META:
            return self.peek()
        end = self.pos
        while end < len(self.text) and self.text[end] not in META:
            end += 1
        return self.text[self.pos : end]

    def name(self) -> str:
        end = self.pos
        if end < len(self.text) and self.text[end] in NAME_START:
            while end < len(self.text) and self.text[end] in NAME:
                end += 1
        found = self.text[self.pos : end]
        self.pos = end
        return found

    # --- words ----------------------------------------------------------------------------------------------
    def word(self, stop: str = "") -> Word:
        """One word; `stop` ends it too (the } of ${x:-word}, where blanks belong to the word)."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise SyntaxFailure("syntax error: nested too deeply")
        parts: list[Part] = []
        plain: list[str] = []

        def flush() -> None:
            if plain:
                parts.append(Text("".join(plain)))
                plain.clear()

        text = self.text
        while self.pos < len(text):
            char = text[self.pos]
            if (stop and char in stop) or (not stop and char in META):
                break
            if char == "'":
                flush()
                end = text.find("'", self.pos + 1)
                if end < 0:
                    raise SyntaxFailure("syntax error: unterminated quoted string", incomplete=True)
                parts.append(Text(text[self.pos + 1 : end], True))
                self.pos = end + 1
            elif char == '"':
                flush()
                self.pos += 1
                inner = self.quoted_parts('"')
                if self.peek() != '"':
                    raise SyntaxFailure("syntax error: unterminated quoted string", incomplete=True)
                self.pos += 1
                parts.extend(inner or [Text("", True)])
            elif char == "\\":
                flush()
                if self.pos + 1 < len(text) and text[self.pos + 1] != "\n":
                    parts.append(Text(text[self.pos + 1], True))
                self.pos += 2
            elif char in "$`":
                flush()
                parts.append(self.dollar(False))
            else:
                plain.append(char)
                self.pos += 1
        flush()
        self.depth -= 1
        return Word(tuple(parts))

    def quoted_parts(self, end: str) -> list[Part]:
        """What stands between double quotes (or in a here-document, end "")."""
        parts: list[Part] = []
        plain: list[str] = []
        while self.pos < len(self.text) and (not end or self.peek() != end):
            char = self.peek()
            if char == "\\" and self.text[self.pos + 1 : self.pos + 2] in ("$", "`", '"', "\\", "\n"):
                if self.text[self.pos + 1] != "\n":
                    plain.append(self.text[self.pos + 1])
                self.pos += 2
            elif char in "$`":
                if plain:
                    parts.append(Text("".join(plain), True))
                    plain = []
                parts.append(self.dollar(True))
            else:
                plain.append(char)
                self.pos += 1
        if plain:
            parts.append(Text("".join(plain), True))
        return parts

    def dollar(self, quoted: bool) -> Part:
        if self.peek() == "`":
            end = self.pos + 1
            while end < len(self.text) and self.text[end] != "`":
                end += 2 if self.text[end] == "\\" else 1
            if end >= len(self.text):
                raise SyntaxFailure("syntax error: EOF in backquote substitution", incomplete=True)
            inner = self.text[self.pos + 1 : end].replace("\\`", "`").replace("\\$", "$")
            self.pos = end + 1
            return Substitution(self._nested(inner), quoted)
        self.pos += 1
        if self.peek(2) == "((":
            start = self.pos
            self.pos += 2
            expression = self.arithmetic()
            if expression is not None:
                return Arithmetic(expression, quoted)
            self.pos = start
            self._retries += 1  # each nesting doubles the work
            if self._retries > MAX_RETRIES:
                raise SyntaxFailure("syntax error: nested too deeply")
        if self.peek() == "(":
            self.pos += 1
            return Substitution(self.substitution(), quoted)
        if self.peek() == "{":
            return self.braces(quoted)
        name = self.name()
        if not name and self.peek() and self.peek() in SPECIAL:
            name = self.peek()
            self.pos += 1
        return Parameter(name, quoted=quoted) if name else Text("$", quoted)

    def arithmetic(self) -> Word | None:
        """The inside of $(( )), or None when it is a command substitution after all."""
        parts: list[Part] = []
        depth, plain = 0, ""
        while self.pos < len(self.text):
            char = self.peek()
            if char in {"$", "`"}:
                parts.append(Text(plain, True))
                plain = ""
                parts.append(self.dollar(True))
                continue
            if char == ")" and depth == 0:
                if self.peek(2) != "))":
                    return None
                self.pos += 2
                parts.append(Text(plain, True))
                return Word(tuple(parts))
            depth += (char == "(") - (char == ")")
            plain += char
            self.pos += 1
        raise SyntaxFailure("syntax error: missing '))'", incomplete=True)

    def braces(self, quoted: bool) -> Parameter:
        self.pos += 1
        op, word = "", None
        if self.peek() == "#" and self.text[self.pos + 1 : self.pos + 2] not in ("}", "", "#", "%", ":"):
            self.pos += 1
            op = "length"
        name = self.name()
        if not name and self.peek() and self.peek() in SPECIAL:
            end = self.pos + 1
            while self.text[self.pos].isdigit() and end < len(self.text) and self.text[end].isdigit():
                end += 1
            name = self.text[self.pos : end]
            self.pos = end
        if not name:
            raise SyntaxFailure("syntax error: bad substitution")
        if self.peek() != "}" and not op:
            for candidate in (":-", ":=", ":?", ":+", "##", "%%", "-", "=", "?", "+", "#", "%", "//", "/", ":"):
                if self.text.startswith(candidate, self.pos):
                    op = candidate
                    self.pos += len(candidate)
                    break
            else:
                raise SyntaxFailure("syntax error: bad substitution")
            word = self.word("}")
        if self.peek() != "}":
            raise SyntaxFailure("syntax error: missing '}'", incomplete=True)
        self.pos += 1
        return Parameter(name, op, word, quoted)

    def _nested(self, text: str) -> List:
        parser = type(self)(text)
        parser.depth = self.depth + 1
        body = parser.commands(())
        if parser.pos < len(text):
            raise parser.unexpected()
        return body
