"""The shell's grammar: text in, a tree of commands out (POSIX sh, as dash reads it).

A recursive descent straight over the characters, because what a character means depends on the quotes around it.
Promises: every text is either parsed or refused with a SyntaxFailure in bounded time; nesting is limited.
Left out: `select`, arrays, >(...).
"""

import re

from k8s_core.shell.syntax import (
    AndOr,
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    List,
    Pipeline,
    Redirect,
    Simple,
    SyntaxFailure,
    Text,
    While,
    Word,
)  # fmt: skip
from k8s_core.shell.words import META, NAME, Words

RESERVED = frozenset(
    ["if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "{", "}", "!", "in"]
)
KEYWORD = re.compile(r"[^ \t\n;&|<>()'\"\\$`]+(?=[ \t\n;&|<>()]|\Z)")
BLANK, BLANK_LINES = re.compile(r"(?:[ \t\r]|\\\n|#[^\n]*)+"), re.compile(r"(?:[ \t\r]|\\\n|#[^\n]*)*\n?")
REDIRECT = re.compile(r"(\d?|&)(<<<|<<-|<<|<&|<>|>>|>&|>\||<|>)")
COUNTING = re.compile(r"\(\(([^;]*);([^;]*);((?:[^()]|\([^()]*\))*)\)\)")
BOTH = 99
"""The number of &>, which is no descriptor's."""


def parse(text: str, *, typed: bool = False) -> List:
    """The program; raises SyntaxFailure. When it is `typed`, a here-document that has no end yet is incomplete."""
    parser = Parser(text)
    body = parser.commands(())
    parser.skip_blank(newlines=True)
    if parser.pos < len(text):
        raise parser.unexpected()
    if typed and (parser.heredocs or parser.open_ended or text.endswith("\\\n")):
        raise parser.unexpected()
    return body


def _let(expression: str) -> List:
    """A list that computes an expression, as (( )) does. Its names need no dollar, and a dollar changes nothing."""
    words = [Word((Text("let"),)), Word((Text(expression.replace("$", ""), True),))]
    return [AndOr(Pipeline([Simple(words=words)], False), [])]


class Parser(Words):
    """Reads commands."""

    def __init__(self, text: str, depth: int = 0) -> None:
        super().__init__(text, depth)
        self.heredocs: list[tuple[Redirect, str, bool, bool]] = []
        self.open_ended = False
        """Whether a here-document ended with the text."""

    def skip_blank(self, *, newlines: bool = False) -> None:
        """Pass over blanks and comments, and the here-documents that begin behind a newline."""
        if not newlines:
            self.match(BLANK)
            return
        while self.match(BLANK_LINES).endswith("\n"):
            self._read_heredocs()

    def _read_heredocs(self) -> None:
        for redirect, end_word, quoted, strip in self.heredocs:
            lines = []
            while self.pos < len(self.text):
                end = self.text.find("\n", self.pos)
                end = len(self.text) if end < 0 else end
                line = self.text[self.pos : end]
                self.pos = min(end + 1, len(self.text))
                line = line.lstrip("\t") if strip else line
                if line == end_word:
                    break
                lines.append(line + "\n")
            else:
                self.open_ended = True
            body = "".join(lines)
            redirect.target = Word((Text(body, True),) if quoted else tuple(Parser(body, self.depth).quoted_parts("")))
        self.heredocs = []

    def substitution(self) -> List:
        saved, self.heredocs = self.heredocs, []
        body = self.commands(())
        self.expect(")")
        self.heredocs = saved
        return body

    def expect(self, char: str) -> None:
        self.skip_blank(newlines=True)
        if self.peek() != char:
            raise self.unexpected(char)
        self.pos += 1

    def keyword(self) -> str:
        """The reserved word at this place, or ""."""
        self.skip_blank()
        found = KEYWORD.match(self.text, self.pos)
        return found[0] if found and found[0] in RESERVED else ""

    def take(self, *words: str) -> str:
        """One of these reserved words, which must stand here."""
        word = self.keyword()
        if word not in words:
            raise self.unexpected(words[-1])
        self.pos += len(word)
        return word

    # --- lists and pipelines --------------------------------------------------------------------------------
    def commands(self, stops: tuple[str, ...]) -> List:
        self.deeper()
        body: List = []
        while True:
            self.skip_blank(newlines=True)
            ended = self.pos >= len(self.text) or self.peek() == ")" or self.peek(2) == ";;"
            if ended or self.keyword() in stops != ():
                break
            body.append(self.and_or())
            self.skip_blank()
            if self.peek(2) == ";;":
                break
            if self.peek() == ";" or (self.peek() == "&" and self.peek(2) != "&&"):
                body[-1].background = self.peek() == "&"
                self.pos += 1
            elif self.peek() != "\n":
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
    def command(self) -> Command:
        word = self.keyword()
        if not word and self.peek() != "(":
            return self.simple()
        reader = {"if": self.if_, "while": self.while_, "until": self.while_, "for": self.for_, "case": self.case,
                  "{": self.group, "": self.group}.get(word)  # fmt: skip
        if reader is None:
            raise self.unexpected()
        node = reader()
        while (redirect := self.redirect()) is not None:
            node.redirects.append(redirect)
        return node

    def block(self, *stops: str) -> List:
        """Commands, at least one, up to one of these words (which is left there if there are several)."""
        body = self.commands(stops)
        if not body:
            raise self.unexpected(None if self.pos < len(self.text) else stops[-1])
        if len(stops) == 1:
            self.take(*stops)
        return body

    def while_(self) -> While:
        word = self.take("while", "until")
        return While(self.block("do"), self.block("done"), word == "until")

    def group(self) -> Command:
        if self.peek() == "{":
            self.take("{")
            return Group(self.block("}"), False)
        if expression := self.arithmetic():
            return Simple(words=[Word((Text("let"),)), expression])
        self.pos += 1
        body = self.commands(())
        self.expect(")")
        return Group(body, True)

    def if_(self) -> If:
        branches, otherwise = list[tuple[List, List]](), List()
        word = self.take("if")
        while word in ("if", "elif"):
            branches.append((self.block("then"), self.block("elif", "else", "fi")))
            word = self.take("elif", "else", "fi")
        if word == "else":
            otherwise = self.block("fi")
        return If(branches, otherwise)

    def _counting(self) -> Command:
        """for ((start; condition; step)); do ...; done."""
        found = COUNTING.match(self.text, self.pos)
        if not found:
            raise SyntaxFailure("syntax error: bad for loop variable")
        self.pos = found.end()
        start, condition, step = (_let(found[n].strip() or "1") for n in (1, 2, 3))
        self.skip_blank()
        self.pos += self.peek() == ";"
        self.skip_blank(newlines=True)
        self.take("do")
        loop = While(condition, self.block("done"), step=step)
        return Group([*start, AndOr(Pipeline([loop], False), [])], False)

    def for_(self) -> Command:
        self.take("for")
        self.skip_blank()
        if self.peek(2) == "((":
            return self._counting()
        name = self.match(NAME)
        if not name:
            raise SyntaxFailure("syntax error: bad for loop variable")
        self.skip_blank(newlines=True)
        words: list[Word] | None = None
        if self.keyword() == "in":
            self.take("in")
            words = []
            self.skip_blank()
            while self.pos < len(self.text) and self.peek() not in ";\n":
                if self.peek() in META:
                    raise self.unexpected()
                words.append(self.word())
                self.skip_blank()
        self.skip_blank()
        self.pos += self.peek() == ";"
        self.skip_blank(newlines=True)
        self.take("do")
        return For(name, words, self.block("done"))

    def case(self) -> Case:
        self.take("case")
        self.skip_blank()
        word = self.word()
        self.skip_blank(newlines=True)
        self.take("in")
        items: list[tuple[list[Word], List]] = []
        self.skip_blank(newlines=True)
        while self.keyword() != "esac":
            self.pos += self.peek() == "("
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
            self.pos += 2 * (self.peek(2) == ";;")
            self.skip_blank(newlines=True)
        self.take("esac")
        return Case(word, items)

    def simple(self) -> Command:
        command = Simple()
        while True:
            redirect = self.redirect()
            if redirect:
                command.redirects.append(redirect)
                continue
            if self.pos >= len(self.text) or (self.peek() in META and self.peek(2) != "<("):
                break
            start = self.pos
            name = "" if command.words else self.match(NAME)
            if name and self.peek() == "=":
                self.pos += 1
                at_end = self.pos >= len(self.text) or self.peek() in META
                command.assignments.append((name, Word(()) if at_end else self.word()))
                continue
            self.skip_blank()
            keyword = name == "function" and self.match(NAME)
            self.skip_blank()
            if keyword or (name and self.peek() == "("):
                if self.peek() == "(":
                    self.pos += 1
                    self.expect(")")
                self.skip_blank(newlines=True)
                return Function(keyword or name, self.command())
            self.pos = start
            command.words.append(self.word())
        if not (command.words or command.assignments or command.redirects):
            raise self.unexpected()
        return command

    def redirect(self) -> Redirect | None:
        self.skip_blank()
        found = REDIRECT.match(self.text, self.pos)
        if not found or (found[1] == "&" and found[2] not in (">", ">>")) or self.peek(2) == "<(":
            return None
        self.pos = found.end()
        fd, op = found[1], found[2]
        self.skip_blank()
        if (self.pos >= len(self.text) or self.peek() in META) and self.peek(2) != "<(":
            raise self.unexpected("word")
        word = self.word()
        number = BOTH if fd == "&" else int(fd or op[0] == ">")
        if op == "<<<":
            return Redirect(number, "<<", Word((*word.parts, Text("\n", True))))
        if not op.startswith("<<"):
            return Redirect(number, op, word)
        redirect = Redirect(number, "<<", word)
        quoted = any(not isinstance(p, Text) or p.quoted for p in word.parts)
        end = "".join(p.value for p in word.parts if isinstance(p, Text))
        self.heredocs.append((redirect, end, quoted, op == "<<-"))
        return redirect
