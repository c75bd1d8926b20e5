"""The shell's grammar: text in, a tree of commands out (POSIX sh, as dash reads it).

A recursive descent straight over the characters, because what a character means depends on the quotes around it.
Promises: every text is either parsed or refused with a SyntaxFailure in bounded time; nesting is limited.
Left out: here-documents' `<<-` tab rules beyond stripping, `select`, process substitution, arrays.
"""

from dataclasses import dataclass, field

MAX_DEPTH = 100
NAME_START = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
NAME = NAME_START | frozenset("0123456789")
SPECIAL = frozenset("@*#?-$!0123456789")
META = frozenset(" \t\n;&|<>()")
RESERVED = frozenset(
    ("if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "{", "}", "!", "in")
)


class SyntaxFailure(Exception):
    """The text is not a shell program; `incomplete` when more lines might make it one."""

    def __init__(self, message: str, *, incomplete: bool = False) -> None:
        super().__init__(message)
        self.incomplete = incomplete


@dataclass(frozen=True, slots=True)
class Text:
    """Literal characters; quoted ones are neither split nor globbed."""

    value: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """$name, ${name}, ${name:-word}, ${#name} (op "length"), ${name%word} ..."""

    name: str
    op: str = ""
    word: "Word | None" = None
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Substitution:
    """$(...) or `...`."""

    body: "List"
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """$((...))."""

    word: "Word"
    quoted: bool = False


Part = Text | Parameter | Substitution | Arithmetic


@dataclass(frozen=True, slots=True)
class Word:
    parts: tuple[Part, ...]

    def literal(self) -> str | None:
        """The word's text when it is a single unquoted literal (a reserved word may be one), else None."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Text) and not self.parts[0].quoted:
            return self.parts[0].value
        return None


@dataclass(slots=True)
class Redirect:
    fd: int
    op: str  # < > >> >| <& >& << <>
    target: Word


@dataclass(slots=True)
class Simple:
    assignments: list[tuple[str, Word]] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    redirects: list[Redirect] = field(default_factory=list)


@dataclass(slots=True)
class If:
    branches: list[tuple["List", "List"]]
    otherwise: "List | None"
    redirects: list[Redirect] = field(default_factory=list)


@dataclass(slots=True)
class While:
    condition: "List"
    body: "List"
    until: bool
    redirects: list[Redirect] = field(default_factory=list)


@dataclass(slots=True)
class For:
    name: str
    words: list[Word] | None
    body: "List"
    redirects: list[Redirect] = field(default_factory=list)


@dataclass(slots=True)
class Case:
    word: Word
    items: list[tuple[list[Word], "List"]]
    redirects: list[Redirect] = field(default_factory=list)


@dataclass(slots=True)
class Group:
    body: "List"
    subshell: bool
    redirects: list[Redirect] = field(default_factory=list)


@dataclass(slots=True)
class Function:
    name: str
    body: "Node"
    redirects: list[Redirect] = field(default_factory=list)


Node = Simple | If | While | For | Case | Group | Function


@dataclass(slots=True)
class Pipeline:
    commands: list[Node]
    negated: bool


@dataclass(slots=True)
class AndOr:
    first: Pipeline
    rest: list[tuple[str, Pipeline]]
    background: bool = False


List = list[AndOr]


def parse(text: str) -> List:
    """The program; raises SyntaxFailure."""
    parser = _Parser(text)
    body = parser.commands(())
    parser.skip_blank(newlines=True)
    if parser.pos < len(text):
        raise parser.unexpected()
    return body


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.pos, self.depth = text, 0, 0
        self.heredocs: list[tuple[Redirect, str, bool, bool]] = []
        self.pending_word: list[Redirect] = []

    # --- characters -----------------------------------------------------------------------------------------
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

    def skip_blank(self, *, newlines: bool = False) -> None:
        text = self.text
        while self.pos < len(text):
            char = text[self.pos]
            if char in " \t\r" or text.startswith("\\\n", self.pos):
                self.pos += 2 if char == "\\" else 1
            elif char == "#":
                end = text.find("\n", self.pos)
                self.pos = len(text) if end < 0 else end
            elif char == "\n" and newlines:
                self.pos += 1
                self._read_heredocs()
            else:
                return

    def _read_heredocs(self) -> None:
        for redirect, end_word, quoted, strip in self.heredocs:
            lines = []
            while True:
                if self.pos >= len(self.text):
                    break
                end = self.text.find("\n", self.pos)
                end = len(self.text) if end < 0 else end
                line = self.text[self.pos : end]
                self.pos = min(end + 1, len(self.text))
                if strip:
                    line = line.lstrip("\t")
                if line == end_word:
                    break
                lines.append(line + "\n")
            body = "".join(lines)
            if quoted:
                redirect.target = Word((Text(body, True),))
            else:
                inner = _Parser(body)
                redirect.target = Word(tuple(inner.quoted_parts("")))
        self.heredocs = []

    def keyword(self) -> str:
        """The reserved word at this place, or ""."""
        self.skip_blank()
        end = self.pos
        while end < len(self.text) and self.text[end] not in META and self.text[end] not in "'\"\\$`":
            end += 1
        word = self.text[self.pos : end]
        followed = end >= len(self.text) or self.text[end] in META
        return word if followed and word in RESERVED else ""

    def take(self, word: str) -> None:
        if self.keyword() != word:
            raise self.unexpected(word)
        self.pos += len(word)

    # --- lists and pipelines --------------------------------------------------------------------------------
    def commands(self, stops: tuple[str, ...]) -> List:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise SyntaxFailure("syntax error: nested too deeply")
        body: List = []
        while True:
            self.skip_blank(newlines=True)
            if (
                self.pos >= len(self.text)
                or self.peek() == ")"
                or self.peek(2) == ";;"
                or self.keyword() in stops != ()
            ):
                break
            body.append(self.and_or())
            self.skip_blank()
            if self.peek(2) == ";;":
                break
            if self.peek() == ";" or (self.peek() == "&" and self.peek(2) != "&&"):
                body[-1].background = self.peek() == "&"
                self.pos += 1
            elif self.peek() == "\n":
                self.skip_blank(newlines=True)
            else:
                break
        self.depth -= 1
        return body

    def and_or(self) -> AndOr:
        result = AndOr(self.pipeline(), [])
        while True:
            self.skip_blank()
            op = self.peek(2)
            if op not in ("&&", "||"):
                return result
            self.pos += 2
            self.skip_blank(newlines=True)
            result.rest.append((op, self.pipeline()))

    def pipeline(self) -> Pipeline:
        negated = False
        while self.keyword() == "!":
            self.pos += 1
            negated = not negated
        commands = [self.command()]
        while True:
            self.skip_blank()
            if self.peek() != "|" or self.peek(2) == "||":
                return Pipeline(commands, negated)
            self.pos += 1
            self.skip_blank(newlines=True)
            commands.append(self.command())

    # --- commands -------------------------------------------------------------------------------------------
    def command(self) -> Node:
        self.skip_blank()
        word = self.keyword()
        node: Node
        if word == "if":
            node = self.if_()
        elif word in ("while", "until"):
            self.take(word)
            condition = self.required(("do",), "do")
            self.take("do")
            body = self.required(("done",), "done")
            self.take("done")
            node = While(condition, body, word == "until")
        elif word == "for":
            node = self.for_()
        elif word == "case":
            node = self.case()
        elif word == "{":
            self.take("{")
            node = Group(self.required(("}",), "}"), False)
            self.take("}")
        elif self.peek() == "(":
            self.pos += 1
            node = Group(self.commands(()), True)
            self.skip_blank(newlines=True)
            if self.peek() != ")":
                raise self.unexpected(")")
            self.pos += 1
        elif word:
            raise self.unexpected()
        else:
            return self.simple()
        while (redirect := self.redirect()) is not None:
            node.redirects.append(redirect)
        return node

    def required(self, stops: tuple[str, ...], what: str) -> List:
        body = self.commands(stops)
        if not body:
            raise self.unexpected(None if self.pos < len(self.text) else what)
        return body

    def if_(self) -> If:
        branches, otherwise = [], None
        self.take("if")
        while True:
            condition = self.required(("then",), "then")
            self.take("then")
            branches.append((condition, self.required(("elif", "else", "fi"), "fi")))
            word = self.keyword()
            if word == "elif":
                self.take("elif")
                continue
            if word == "else":
                self.take("else")
                otherwise = self.required(("fi",), "fi")
            self.take("fi")
            return If(branches, otherwise)

    def for_(self) -> For:
        self.take("for")
        self.skip_blank()
        name = self.name()
        if not name:
            raise SyntaxFailure("syntax error: bad for loop variable")
        self.skip_blank(newlines=True)
        words: list[Word] | None = None
        if self.keyword() == "in":
            self.take("in")
            words = []
            while True:
                self.skip_blank()
                if self.pos >= len(self.text) or self.peek() in ";\n":
                    break
                words.append(self.word())
        self.skip_blank()
        if self.peek() == ";":
            self.pos += 1
        self.skip_blank(newlines=True)
        self.take("do")
        body = self.required(("done",), "done")
        self.take("done")
        return For(name, words, body)

    def case(self) -> Case:
        self.take("case")
        self.skip_blank()
        word = self.word()
        self.skip_blank(newlines=True)
        self.take("in")
        items: list[tuple[list[Word], List]] = []
        while True:
            self.skip_blank(newlines=True)
            if self.keyword() == "esac":
                break
            if self.peek() == "(":
                self.pos += 1
            patterns = [self.word()]
            self.skip_blank()
            while self.peek() == "|":
                self.pos += 1
                self.skip_blank()
                patterns.append(self.word())
                self.skip_blank()
            if self.peek() != ")":
                raise self.unexpected(")")
            self.pos += 1
            items.append((patterns, self.commands(("esac",))))
            self.skip_blank(newlines=True)
            if self.peek(2) == ";;":
                self.pos += 2
        self.take("esac")
        return Case(word, items)

    def simple(self) -> Node:
        command = Simple()
        while True:
            self.skip_blank()
            redirect = self.redirect()
            if redirect:
                command.redirects.append(redirect)
                continue
            if self.pos >= len(self.text) or self.peek() in META:
                break
            start = self.pos
            name = self.name()
            if name and not command.words and self.peek() == "=":
                self.pos += 1
                at_end = self.pos >= len(self.text) or self.peek() in META
                command.assignments.append((name, Word(()) if at_end else self.word()))
                continue
            self.skip_blank()
            if name and not command.words and self.peek() == "(":
                self.pos += 1
                self.skip_blank()
                if self.peek() != ")":
                    raise self.unexpected()
                self.pos += 1
                self.skip_blank(newlines=True)
                return Function(name, self.command())
            self.pos = start
            command.words.append(self.word())
        if not (command.words or command.assignments or command.redirects):
            raise self.unexpected()
        return command

    def redirect(self) -> Redirect | None:
        self.skip_blank()
        start, fd = self.pos, -1
        if self.peek().isdigit() and self.text[self.pos + 1 : self.pos + 2] in ("<", ">"):
            fd = int(self.peek())
            self.pos += 1
        both = self.peek(2) == "&>"
        if both:
            self.pos += 1
        for op in ("<<-", "<<", "<&", "<>", ">>", ">&", ">|", "<", ">"):
            if self.text.startswith(op, self.pos):
                self.pos += len(op)
                break
        else:
            self.pos = start
            return None
        if fd < 0:
            fd = 0 if op.startswith("<") else 1
        self.skip_blank()
        if self.pos >= len(self.text) or self.peek() in META:
            raise self.unexpected("word")
        word = self.word()
        redirect = Redirect(99 if both else fd, op, word)
        if op.startswith("<<"):
            quoted = any(not isinstance(p, Text) or p.quoted for p in word.parts)
            end = "".join(p.value for p in word.parts if isinstance(p, Text))
            redirect.op = "<<"
            self.heredocs.append((redirect, end, quoted, op == "<<-"))
        return redirect

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
            return Substitution(_nested(inner, self.depth), quoted)
        self.pos += 1
        if self.peek(2) == "((":
            start = self.pos
            self.pos += 2
            expression = self.arithmetic()
            if expression is not None:
                return Arithmetic(expression, quoted)
            self.pos = start
        if self.peek() == "(":
            self.pos += 1
            saved, self.heredocs = self.heredocs, []
            body = self.commands(())
            self.skip_blank(newlines=True)
            if self.peek() != ")":
                raise self.unexpected(")")
            self.pos += 1
            self.heredocs = saved
            return Substitution(body, quoted)
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


def _nested(text: str, depth: int) -> List:
    parser = _Parser(text)
    parser.depth = depth + 1
    body = parser.commands(())
    if parser.pos < len(text):
        raise parser.unexpected()
    return body
