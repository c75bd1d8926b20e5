"""The shell's syntax tree: what parser.py makes of a text and interpreter.py runs."""

from dataclasses import dataclass, field


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
class Reading:
    """<(...): the name of a file that holds what the commands print."""

    body: "List"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """$((...))."""

    word: "Word"
    quoted: bool = False


Part = Text | Parameter | Substitution | Reading | Arithmetic


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
class Command:
    """What all commands have."""

    redirects: list[Redirect] = field(default_factory=list, kw_only=True)


@dataclass(slots=True)
class Simple(Command):
    assignments: list[tuple[str, Word]] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)


@dataclass(slots=True)
class If(Command):
    branches: list[tuple["List", "List"]]
    otherwise: "List"


@dataclass(slots=True)
class While(Command):
    """`step` is what for ((...; ...; step)) does after each turn."""

    condition: "List"
    body: "List"
    until: bool = False
    step: "List" = field(default_factory=list)


@dataclass(slots=True)
class For(Command):
    name: str
    words: list[Word] | None
    body: "List"


@dataclass(slots=True)
class Case(Command):
    word: Word
    items: list[tuple[list[Word], "List"]]


@dataclass(slots=True)
class Group(Command):
    body: "List"
    subshell: bool


@dataclass(slots=True)
class Function(Command):
    name: str
    body: Command


@dataclass(slots=True)
class Pipeline:
    commands: list[Command]
    negated: bool


@dataclass(slots=True)
class AndOr:
    first: Pipeline
    rest: list[tuple[str, Pipeline]]
    background: bool = False

    def alone(self) -> Command | None:
        """The one command that this is, if it is no more than that."""
        single = not self.rest and not self.first.negated and len(self.first.commands) == 1
        return self.first.commands[0] if single else None


List = list[AndOr]
