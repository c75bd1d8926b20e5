"""The shell's grammar: text in, a tree of commands out (POSIX sh, as dash reads it).

A recursive descent straight over the characters, because what a character means depends on the quotes around it.
Promises: every text is either parsed or refused with a SyntaxFailure in bounded time; nesting is limited.
Left out: `select`, process substitution, arrays.
"""

from k8s_core.shell.syntax import (
    AndOr,
    Case,
    For,
    Function,
    Group,
    If,
    List,
    Node,
    Pipeline,
    Redirect,
    Simple,
    SyntaxFailure,
    Text,
    While,
    Word,
)
from k8s_core.shell.words import MAX_DEPTH, META, RESERVED, Words


def parse(text: str) -> List:
    """The program; raises SyntaxFailure."""
    parser = Parser(text)
    body = parser.commands(())
    parser.skip_blank(newlines=True)
    if parser.pos < len(text):
        raise parser.unexpected()
    return body


class Parser(Words):
    """Reads commands."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.heredocs: list[tuple[Redirect, str, bool, bool]] = []

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
                inner = Parser(body)
                redirect.target = Word(tuple(inner.quoted_parts("")))
        self.heredocs = []

    def substitution(self) -> List:
        saved, self.heredocs = self.heredocs, []
        body = self.commands(())
        self.skip_blank(newlines=True)
        if self.peek() != ")":
            raise self.unexpected(")")
        self.pos += 1
        self.heredocs = saved
        return body

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
                if self.peek() in META:
                    raise self.unexpected()
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
