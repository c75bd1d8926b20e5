"""CEL, the expression language of validation rules and admission policies, with Kubernetes' library of functions.

`common-expression-language` (cel-rust) parses and runs. What it cannot say is rewritten into what it can (syntax.py),
what Kubernetes adds is in functions.py, and schemas.py finds fields that a schema does not have. Stands for
apiserver's pkg/cel. Leaves out: types beyond fields' names, and cost limits.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from k8s_core.api.cel import functions, syntax

Functions = dict[str, Callable[..., Any]]


class CelError(Exception):
    """An expression that cannot be compiled or evaluated; the text is for people."""


class Bound(NamedTuple):
    """A variable that brings functions of its own along: the authorizer, who knows who asks."""

    value: Any
    functions: Functions


class Expression:
    """One compiled expression; raises CelError with cel-go's words for what is not declared."""

    def __init__(self, source: str, variables: Iterable[str]):
        import cel  # noqa: PLC0415  only clusters with rules or policies pay for it

        self.source = source
        try:
            cel.compile(syntax.plain(source))  # mistakes are shown where they were made
            self._program = cel.compile(syntax.rewritten(source))
        except ValueError as error:
            raise CelError(f"compilation failed: {_syntax_error(source, str(error))}") from None
        known = {*variables, *_TYPES, *_bound(syntax.read(source))}
        for name in self._program.variables():
            if name not in known:
                raise undeclared(source, name)
        for name in self._program.functions():
            if name not in _BUILT_IN and name not in functions.library() and name not in LATER and name[0].isalpha():
                raise undeclared(source, name)

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """The value for these variables."""
        import cel  # noqa: PLC0415

        library = functions.library()
        for bound in [each for each in values.values() if isinstance(each, Bound)]:
            library = {**library, **bound.functions}
        variables = {name: each.value if isinstance(each, Bound) else each for name, each in values.items()}
        context = cel.Context(variables=variables, functions=library)
        try:
            return self._program.execute(context)
        except Exception as error:
            raise CelError(_reason(error)) from None


@functools.lru_cache(maxsize=4096)
def compiled(source: str, variables: tuple[str, ...]) -> Expression:
    """An expression, compiled once; CelError if it cannot be."""
    return Expression(source, variables)


def undeclared(source: str, name: str, what: str = "undeclared reference to '{}' (in container '')") -> CelError:
    """The error that points at a name."""
    found = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", source)
    return mistake(source, found.start() if found else 0, what.format(name))


def mistake(source: str, at: int, what: str) -> CelError:
    """An error as cel-go shows it, under the place in its line."""
    line, column = source.count("\n", 0, at), at - (source.rfind("\n", 0, at) + 1)
    text = source.split("\n")[line]
    shown = f"ERROR: <input>:{line + 1}:{column + 1}: {what}"
    return CelError(f"compilation failed: {shown}\n | {text}\n | {'.' * column}^")


_TYPES: Final = {"int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type", "optional",
                 "cel", "timestamp", "duration", "dyn", "pair__"}  # fmt: skip
_BUILT_IN: Final = frozenset(
    ("size", "contains", "startsWith", "endsWith", "matches", "has", "int", "uint", "double", "string", "bytes", "type",
     "timestamp", "duration", "dyn", "of", "none", "ofNonZeroValue", "value", "hasValue", "or", "orValue", "all",
     "exists", "exists_one", "existsOne", "map", "filter", "in", "optional")
)  # fmt: skip
LATER: Final = frozenset(
    ("path", "check", "allowed", "reason", "errored", "error", "serviceAccount", "group", "resource", "subresource",
     "namespace", "name", "fieldSelector", "labelSelector")
)  # fmt: skip
"""The authorizer's functions, which come with its value."""
_MACROS: Final = frozenset(
    ("all", "exists", "exists_one", "existsOne", "map", "filter", "transformList", "transformMap", "optMap",
     "optFlatMap", "sortBy", "bind")
)  # fmt: skip


def _bound(tokens: tuple[syntax.Token, ...]) -> set[str]:
    """Names that macros declare: their first arguments, where these are nothing but a name."""
    found: set[str] = set()
    for index, token in enumerate(tokens):
        if token.kind == "group":
            found |= _bound(token.inner)
            if index >= 2 and tokens[index - 1].text in _MACROS and tokens[index - 2].text == ".":
                parts = syntax.split(token.inner)[:2]
                found |= {part[0].text for part in parts if len(part) == 1 and part[0].kind == "name"}
    return found


def _syntax_error(source: str, text: str) -> str:
    if "': ERROR" not in text:
        return f"ERROR: <input>:1:{len(source) + 1}: Syntax error: mismatched input '{text}'\n | {source}"
    return text.split("': ", 1)[-1].strip().replace("\n", "\n ")


def _reason(error: Exception) -> str:
    text = str(error.args[0]) if error.args else str(error)
    if isinstance(error, KeyError):
        return f"no such key: {text}"
    if isinstance(error, TypeError):
        return "no such overload"
    if isinstance(error, ZeroDivisionError):
        return "division by zero"
    if isinstance(error, OverflowError):
        return "integer overflow"
    if "Python function call failed: " in text:  # one of ours: what it said is the reason
        text = text.partition("Python function call failed: ")[2].partition(". Check function")[0]
        return text.partition(": ")[2] or text
    return text.partition(". Check ")[0]
