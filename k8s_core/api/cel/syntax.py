"""What Kubernetes' CEL can say and the library cannot, said in what it can.

An expression is cut into tokens, never searched as text, so that what stands in strings stays as it is. Optional
selection (`a.?b`, `a[?k]`, `{?k: v}`), macros with two variables, `optMap`, `cel.bind`, `sortBy`, typed literals
(`Object{...}`), functions in namespaces (`sets.contains`) and escaped field names (`self.foo__dash__bar`) become calls
of the functions in functions.py. Stands for cel-go's ext library and parser options that apiserver switches on.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

NAMESPACES: Final = frozenset(("base64", "format", "ip", "jsonpatch", "lists", "math", "sets", "strings"))
METHODS: Final = {"ip": "ipOf"}  # functions that are other ones as methods
PAIRED: Final = frozenset(("all", "exists", "exists_one", "existsOne"))
CLOSING: Final = {"(": ")", "[": "]", "{": "}"}
_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<text>[rRbB]{0,2}(?:'{3}(?:.|\n)*?'{3}|"{3}(?:.|\n)*?"{3}|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"))
    |(?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:\d+\.\d+|\d+)(?:[eE][-+]?\d+)?[uU]?|\.\d+(?:[eE][-+]?\d+)?)
    |(?P<name>[A-Za-z_]\w*|`[^`\n]+`)
    |(?P<sign>&&|\|\||[<>=!]=|.)""",
    re.VERBOSE,
)
_ESCAPES: Final = {"__underscores__": "__", "__dot__": ".", "__dash__": "-", "__slash__": "/"}
_KEYWORDS: Final = frozenset(
    ("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
     "let", "loop", "package", "namespace", "return", "var", "void", "while")
)  # fmt: skip


class Token(NamedTuple):
    """A piece of the source; `inner` is what stands in a pair of brackets."""

    kind: str
    text: str
    at: int
    inner: "tuple[Token, ...]" = ()


def read(source: str) -> tuple[Token, ...]:
    """The source as tokens, brackets nested. ValueError if they do not fit."""
    stack: list[list[Token]] = [[]]
    opened: list[Token] = []
    for match in _TOKEN.finditer(source):
        kind, text = match.lastgroup or "", match[0]
        if kind == "space":
            continue
        if kind == "sign" and text in CLOSING:
            opened.append(Token("group", text, match.start()))
            stack.append([])
        elif kind == "sign" and text in CLOSING.values():
            if not opened or CLOSING[opened[-1].text] != text:
                raise ValueError(text)
            inner, group = tuple(stack.pop()), opened.pop()
            stack[-1].append(group._replace(inner=inner))
        else:
            stack[-1].append(Token(kind, text, match.start()))
    if opened:
        raise ValueError(opened[-1].text)
    return tuple(stack[0])


def plain(source: str) -> str:
    """The source without its optional marks, column for column: what a parser that knows none can check."""
    chars = list(source)

    def blank(tokens: tuple[Token, ...], opening: bool) -> None:
        for index, token in enumerate(tokens):
            before = tokens[index - 1] if index else None
            first = opening and (before is None or before.text == ",")
            if token.text == "?" and token.kind == "sign" and (first or (before and before.text == ".")):
                chars[token.at] = " "
            blank(token.inner, token.text in "[{")

    blank(read(source), opening=False)
    return "".join(chars)


def unescaped(name: str) -> str:
    """A field's real name: `foo__dash__bar` is "foo-bar", `__namespace__` is "namespace"."""
    if name.startswith("`"):
        return name[1:-1]
    if name.startswith("__") and name.endswith("__") and name[2:-2] in _KEYWORDS:
        return name[2:-2]
    return re.sub("|".join(_ESCAPES), lambda match: _ESCAPES[match[0]], name)


def split(tokens: tuple[Token, ...], sign: str = ",") -> list[tuple[Token, ...]]:
    """The parts between top-level signs; [] for nothing at all."""
    parts: list[tuple[Token, ...]] = [()]
    for token in tokens:
        if token.kind == "sign" and token.text == sign:
            parts.append(())
        else:
            parts[-1] += (token,)
    return [part for part in parts if part]


def rewritten(source: str) -> str:
    """The expression in the library's own language."""
    return _sequence(read(source))


def _sequence(tokens: tuple[Token, ...]) -> str:
    out: list[str] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if token.kind == "sign" or token.text == "in":
            out.append(token.text)
            index += 1
        else:
            operand, index = _operand(tokens, index)
            out.append(operand)
    return " ".join(out)


def _operand(tokens: tuple[Token, ...], index: int) -> tuple[str, int]:
    """A value with all that is selected from it and called on it, and the index after it."""
    token, index = tokens[index], index + 1
    following = tokens[index] if index < len(tokens) else None
    optional, bare = False, ""
    if token.kind == "group":
        text = {"(": _parenthesis, "[": _list, "{": _map}[token.text](token.inner)
    elif token.kind == "name" and following and following.kind == "group" and following.text == "(":
        text, index = _call(token.text, following.inner), index + 1
    else:
        text, bare = token.text, token.text if token.kind == "name" else ""
    while index < len(tokens):
        token = tokens[index]
        if token.kind == "group" and token.text == "[":
            asked = bool(token.inner) and token.inner[0].text == "?" and token.inner[0].kind == "sign"
            key = _sequence(token.inner[1:] if asked else token.inner)
            optional = optional or asked
            text = f"optionalIndex({text}, {key})" if optional else f"{text}[{key}]"
        elif token.kind == "group" and token.text == "{":
            text, optional = _map(token.inner, fields=True), False
        elif token.text == "." and token.kind == "sign" and index + 1 < len(tokens):
            index += 1
            if tokens[index].text == "?":
                optional, index = True, index + 1
            name = tokens[index].text
            after = tokens[index + 1] if index + 1 < len(tokens) else None
            if after and after.kind == "group" and after.text == "(":
                text, optional, index = _method(text, bare, name, after.inner), False, index + 1
            elif optional:
                text = f"optionalIndex({text}, {_quoted(unescaped(name))})"
            else:
                real = unescaped(name)
                text = f"{text}.{name}" if real == name else f"{text}[{_quoted(real)}]"
        else:
            break
        bare, index = "", index + 1
    return text, index


def _parenthesis(tokens: tuple[Token, ...]) -> str:
    return f"({_sequence(tokens)})"


def _list(tokens: tuple[Token, ...]) -> str:
    parts = split(tokens)
    if not any(part[0].text == "?" for part in parts):
        return f"[{', '.join(map(_sequence, parts))}]"
    items = (_sequence(p[1:]) if p[0].text == "?" else f"optional.of({_sequence(p)})" for p in parts)
    return f"present([{', '.join(items)}])"


def _map(tokens: tuple[Token, ...], *, fields: bool = False) -> str:
    entries: list[tuple[str, str, bool]] = []
    for part in split(tokens):
        asked = part[0].text == "?"
        key, value = _halves(part[1:] if asked else part)
        named = fields and len(key) == 1 and key[0].kind == "name"
        entries.append((_quoted(unescaped(key[0].text)) if named else _sequence(key), _sequence(value), asked))
    if not any(asked for *_, asked in entries):
        return "{" + ", ".join(f"{key}: {value}" for key, value, _ in entries) + "}"
    pairs = (f"[{key}, {value if asked else f'optional.of({value})'}]" for key, value, asked in entries)
    return f"presentMap([{', '.join(pairs)}])"


def _halves(tokens: tuple[Token, ...]) -> tuple[tuple[Token, ...], tuple[Token, ...]]:
    """What stands before and after the first colon."""
    at = next((i for i, token in enumerate(tokens) if token.text == ":" and token.kind == "sign"), len(tokens))
    return tokens[:at], tokens[at + 1 :]


def _call(name: str, inner: tuple[Token, ...]) -> str:
    if name == "has" and len(inner) > 2 and inner[-1].kind == "name":
        optional = inner[-2].text == "?"
        owner, real = inner[: -3 if optional else -2], unescaped(inner[-1].text)
        if optional or real != inner[-1].text or any(token.text == "?" for token in owner):
            return f"optionalIndex({_sequence(owner)}, {_quoted(real)}).hasValue()"
    return f"{name}({', '.join(_arguments(inner))})"


def _arguments(inner: tuple[Token, ...]) -> Iterator[str]:
    return (_sequence(part) for part in split(inner))


def _method(owner: str, bare: str, name: str, inner: tuple[Token, ...]) -> str:
    args = list(_arguments(inner))
    if bare == "cel" and name == "bind" and len(args) == 3:
        return f"[{args[1]}].map({args[0]}, {args[2]})[0]"
    if bare in NAMESPACES:
        return f"{bare}_{name}({', '.join(args)})"
    if name in PAIRED and len(args) == 3:
        return f"pairs({owner}).{name}(pair__, {_nested(args[0], args[1], args[2], 'all')})"
    if name in ("transformList", "transformMap") and len(args) in (3, 4):
        pairs = f"pairs({owner})"
        if len(args) == 4:
            pairs += f".filter(pair__, {_nested(args[0], args[1], args[2], 'all')})"
        value = args[-1] if name == "transformList" else f"[{args[0]}, {args[-1]}]"
        mapped = f"{pairs}.map(pair__, {_nested(args[0], args[1], value, 'map')})"
        return mapped if name == "transformList" else f"fromPairs({mapped})"
    if name == "optMap" and len(args) == 2:
        return f"asOptional(asList({owner}).map({args[0]}, {args[1]}))"
    if name == "optFlatMap" and len(args) == 2:
        return f"asOptional(asList({owner}).map({args[0]}, asList({args[1]})).flatten())"
    if name == "sortBy" and len(args) == 2:
        return f"sortedBy({owner}.map({args[0]}, [{args[0]}, {args[1]}]))"
    return f"{owner}.{METHODS.get(name, name) if not args else name}({', '.join(args)})"


def _nested(key: str, value: str, body: str, macro: str) -> str:
    """`body` with two names for the halves of a pair: macros over lists of one."""
    end = "[0]" if macro == "map" else ""
    return f"[pair__[0]].{macro}({key}, [pair__[1]].{macro}({value}, {body}){end}){end}"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
