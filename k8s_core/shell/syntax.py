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
