"""Reading YAML as kube-apiserver does (sigs.k8s.io/yaml): YAML 1.1 as go-yaml understands it, turned into JSON.

Promises: whatever the text, it ends quickly with JSON or a ValueError in go-yaml's words; alias bombs and deep
nesting are refused before anything is built from them.
"""

import re
from collections.abc import Hashable, Iterable
from typing import Any, Final

import orjson
import yaml

from k8s_core.api.gojson import MAX_DEPTH

STRICT: Final = "yaml: unmarshal errors:\n"
"""How go-yaml begins a list of strict complaints."""

_ALIAS_FREE: Final = 10_000  # expanded nodes that need no explanation
_ALIAS_RATIO: Final = 100
_EXACT: Final = 2.0**63

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    """Go's idea of plain scalars: no timestamps, no sexagesimal numbers; notes keys that come twice."""

    yaml_implicit_resolvers: Final[dict[str, Any]] = {}

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.duplicates: list[str] = []

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        own = sum(key_node.tag != "tag:yaml.org,2002:merge" for key_node, _ in node.value)
        self.flatten_mapping(node)  # puts what << brings in front, where one's own keys may override it
        found: dict[Hashable, Any] = {}
        seen: set[str] = set()
        for index, (key_node, value_node) in enumerate(node.value, own - len(node.value)):
            key = _key(self.construct_object(key_node, deep=True))
            if index >= 0 and key in seen:
                line = key_node.start_mark.line + 1
                self.duplicates.append(f"line {line}: key {orjson.dumps(key).decode()} already set in map")
            if index >= 0:
                seen.add(key)
            found[key] = self.construct_object(value_node, deep=deep)
        return found


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int | float):
        return orjson.dumps(key).decode() if abs(key) < 2**63 else str(key)
    kind = "<nil>" if key is None else f"{'map[interface {}]' if isinstance(key, dict) else '[]'}interface {{}}"
    raise ValueError(f"unsupported map key of type: {kind}, key: {key}, value: <nil>")


_INTEGER = r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|0|[1-9][0-9_]*)"
for _tag, _pattern, _first in (
    ("bool", r"y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF", "yYnNtTfFoO"),
    ("int", _INTEGER, "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.nan|\.NaN|\.NAN",
     "-+0123456789."),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):  # fmt: skip
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


def _bool(loader: Any, node: Any) -> bool:
    return str(node.value).lower() in ("y", "yes", "true", "on")


def _int(loader: Any, node: Any) -> int | float:
    text = str(node.value).replace("_", "")
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.lstrip("+"))
    base = {"0b": 2, "0x": 16, "0o": 8}.get(digits[:2], 8 if digits[0] == "0" and len(digits) > 1 else 10)
    if len(digits) > 70:
        return float("inf") * sign
    number = sign * int(digits[2:] if digits[1:2] in ("b", "x", "o") else digits, base)
    return number if -(2**63) <= number < 2**64 else float(number)


def _float(loader: Any, node: Any) -> int | float:
    text = str(node.value).lower()
    if text.endswith(("inf", "nan")):
        name = "NaN" if text == ".nan" else "-Inf" if text[0] == "-" else "+Inf"
        raise ValueError(f"json: unsupported value: {name}")
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < _EXACT else number


_Loader.add_constructor("tag:yaml.org,2002:bool", _bool)
_Loader.add_constructor("tag:yaml.org,2002:int", _int)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)


def to_json(text: bytes) -> tuple[bytes, list[str]]:
    """The JSON of a YAML document, and what strict reading says against it; ValueError if it cannot be read."""
    try:
        _check_depth(yaml.parse(text, Loader=_Base))
        loader = _Loader(text)
        try:
            value = loader.get_data() if loader.check_node() else None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise ValueError(_words(error)) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"yaml: {error}".splitlines()[0]) from None
    check_aliases(value)
    try:
        found = orjson.dumps(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"yaml: {error}") from None
    said = STRICT + "\n".join(f"  {line}" for line in loader.duplicates)
    return found, [said] if loader.duplicates else []


def _words(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem or "unknown problem parsing YAML content")
    mark = error.context_mark if error.context_mark and error.context_mark.line else error.problem_mark
    line = mark.line if mark else 0
    if isinstance(error, yaml.scanner.ScannerError):
        line += 1
    if isinstance(error, yaml.composer.ComposerError) and problem.startswith("found undefined alias"):
        return f"yaml: unknown anchor '{problem.rsplit(maxsplit=1)[-1].strip(chr(39))}' referenced"
    return f"yaml: line {line}: {problem}" if line else f"yaml: {problem}"


def _check_depth(events: Iterable[Any]) -> None:
    depth = 0
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError("yaml: exceeded max depth of 10000")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentEndEvent):
            return


def check_aliases(value: Any) -> None:
    """Compare the size of what was written with the size that its aliases make of it."""
    sizes: dict[int, int] = {}
    open_: set[int] = set()

    def size(node: Any) -> int:
        if not isinstance(node, dict | list):
            return 1
        if id(node) in open_:
            raise ValueError("yaml: anchor value contains itself")
        if id(node) not in sizes:
            open_.add(id(node))
            sizes[id(node)] = 1 + sum(map(size, node.values() if isinstance(node, dict) else node))
            open_.remove(id(node))
        return sizes[id(node)]

    total = size(value)
    if total > _ALIAS_FREE and total > _ALIAS_RATIO * len(sizes):
        raise ValueError("yaml: document contains excessive aliasing")
