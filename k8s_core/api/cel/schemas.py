"""Fields that an expression selects and its schema does not have: found when a rule is written, not when it fails.

Only what is certain is said: chains of names from variables with a schema (`self`, `oldSelf`, a policy's `object`) and
from the variables of macros over them. What a schema leaves open (unknown fields kept, no type) can hold anything.
Stands for what cel-go's type checker makes of the schema's declarations.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from k8s_core.api.cel import CelError, mistake, syntax
from k8s_core.api.cel.syntax import Token
from k8s_core.api.schema import Type

Schema = Mapping[str, Any]
Scope = Mapping[str, Schema | None]
_EACH = frozenset(("all", "exists", "exists_one", "existsOne", "map", "filter"))
_ROOT = frozenset(("apiVersion", "kind", "metadata"))


def undefined_fields(source: str, scope: Scope) -> Iterator[CelError]:
    """An error for each field that is not there; `scope` has the schemas of the variables."""
    yield from _walk(source, syntax.read(source), scope)


def whole(schema: Schema) -> Schema:
    """The schema of a whole custom object: it has a kind and metadata, too."""
    return {**schema, "properties": {**{name: {} for name in _ROOT}, **(schema.get("properties") or {})}}


def declared(type: Type) -> Schema:
    """The schema of a built-in type, as deep as somebody looks."""
    if type.kind == "object":
        return {"type": "object", "properties": _Fields(type), "x-kubernetes-preserve-unknown-fields": type.open}
    if type.kind == "map" and type.items:
        return {"type": "object", "additionalProperties": declared(type.items)}
    if type.kind == "list" and type.items:
        return {"type": "array", "items": declared(type.items)}
    return {}


class _Fields(Mapping[str, Schema]):
    """The fields of a type, each made a schema when it is asked for: types may hold themselves."""

    def __init__(self, type: Type) -> None:
        self.type = type

    def __getitem__(self, name: str) -> Schema:
        return declared(self.type.fields[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.type.fields)

    def __len__(self) -> int:
        return len(self.type.fields)


def _walk(source: str, tokens: tuple[Token, ...], scope: Scope) -> Iterator[CelError]:
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if token.kind == "name" and token.text in scope and not _is_key(tokens, index):
            errors, index = _chain(source, tokens, index, scope)
            yield from errors
        else:
            yield from _walk(source, token.inner, scope)
            index += 1


def _is_key(tokens: tuple[Token, ...], index: int) -> bool:
    return index > 0 and tokens[index - 1].text in (".", "?")


def _chain(source: str, tokens: tuple[Token, ...], index: int, scope: Scope) -> tuple[list[CelError], int]:
    """Follow what is selected from a name, as far as the schema tells."""
    here: Schema | None = scope[tokens[index].text]
    errors: list[CelError] = []
    index += 1
    while index < len(tokens):
        token = tokens[index]
        if token.kind == "group" and token.text == "[":
            errors += _walk(source, token.inner, scope)
            here = _item(here)
        elif token.text == "." and token.kind == "sign" and index + 1 < len(tokens):
            index += 1 + (tokens[index + 1].text == "?")
            name = tokens[index]
            after = tokens[index + 1] if index + 1 < len(tokens) else None
            if after and after.kind == "group" and after.text == "(":
                inner: Scope = scope
                parts = syntax.split(after.inner)
                if name.text in _EACH and len(parts) > 1 and len(parts[0]) == 1:
                    inner = {**scope, parts[0][0].text: _item(here) if (here or {}).get("type") == "array" else None}
                    parts = parts[1:]
                for part in parts:
                    errors += _walk(source, part, inner)
                here = here if name.text == "filter" else None
                index += 1
            else:
                here, known = _field(here, syntax.unescaped(name.text))
                if not known:
                    errors.append(mistake(source, tokens[index - 1].at, f"undefined field '{name.text}'"))
        else:
            break
        index += 1
    return errors, index


def _field(schema: Schema | None, name: str) -> tuple[Schema | None, bool]:
    """The schema of a field (None: anything), and whether there is such a field."""
    if not schema or schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-embedded-resource"):
        return None, True
    if isinstance(extra := schema.get("additionalProperties"), Mapping):
        return extra, True
    properties = schema.get("properties")
    if properties is None or schema.get("type") != "object":
        return None, True
    return properties.get(name), name in properties


def _item(schema: Schema | None) -> Schema | None:
    found = (schema or {}).get("items") or (schema or {}).get("additionalProperties")
    return found if isinstance(found, Mapping) else None
