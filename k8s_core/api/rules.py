"""x-kubernetes-validations: CEL rules in the schema of a custom kind (apiextensions-apiserver schema/cel).

Promises: a rule sees `self`, and `oldSelf` if it is about a change; what it finds wrong carries its message, its
reason and the field it names. A rule that cannot be evaluated refuses the object and says why.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, Final

from k8s_core.api import cel, field
from k8s_core.api.field import OMIT, FieldError

RULES: Final = "x-kubernetes-validations"
VARIABLES: Final = ("self", "oldSelf")
Errors = Iterator[FieldError]


def validate(value: Any, old: Any, spec: dict[str, Any], path: str = "") -> Errors:
    """What the rules of a schema and of all below it say against a value; `old` is None when it is new."""
    for rule in spec.get(RULES) or ():
        yield from _check(rule, value, old, spec, path)
    if isinstance(value, dict):
        properties, extra = spec.get("properties") or {}, spec.get("additionalProperties")
        for name, item in value.items():
            inner = properties.get(name) or (extra if isinstance(extra, dict) else None)
            if inner:
                was = old.get(name) if isinstance(old, dict) else None
                yield from validate(item, was, inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and isinstance(spec.get("items"), dict):
        before = _correlated(value, old, spec)
        for index, item in enumerate(value):
            yield from validate(item, before[index], spec["items"], f"{path}[{index}]")


def _correlated(value: list[Any], old: Any, spec: dict[str, Any]) -> list[Any]:
    """The old item for each new one: only lists with keys tell which is which."""
    keys = spec.get("x-kubernetes-list-map-keys") or ()
    if not keys or not isinstance(old, list):
        return [None] * len(value)
    known = {tuple(str(item.get(key)) for key in keys): item for item in old}
    return [known.get(tuple(str(item.get(key)) for key in keys)) for item in value]


def _check(rule: dict[str, Any], value: Any, old: Any, spec: dict[str, Any], path: str) -> Errors:
    source, kind = rule.get("rule", ""), spec.get("type", "")
    words = (rule.get("message") or source).strip()
    values = {"self": _typed(value, spec)}
    try:
        expression = cel.compiled(source, VARIABLES)
        if "oldSelf" in source:
            if old is None and not rule.get("optionalOldSelf"):
                return
            values["oldSelf"] = _typed(old, spec)
        if expression(values) is True:
            return
    except cel.CelError as error:
        text = str(error)
        why = f"rule compile error: {text}" if text.startswith("compilation failed") else None
        yield field.invalid(path or "<nil>", kind, why or f"{text} evaluating rule: {words}")
        return
    detail = rule.get("message", "").strip() or f"failed rule: {source.strip()}"
    if rule.get("messageExpression"):
        with contextlib.suppress(cel.CelError):  # upstream falls back to the message, too
            detail = str(cel.compiled(rule["messageExpression"], VARIABLES)(values)).strip() or detail
    where = f"{path}{rule['fieldPath']}".lstrip(".") if rule.get("fieldPath") else path
    shown = OMIT if kind in ("object", "array") else value
    reason = rule.get("reason") or "FieldValueInvalid"
    yield FieldError(reason, where or "<nil>", detail, shown)


def _typed(value: Any, spec: dict[str, Any]) -> Any:
    """Numbers as the schema types them: 1 in a `number` field is a double."""
    if isinstance(value, dict):
        properties, extra = spec.get("properties") or {}, spec.get("additionalProperties")
        inner = extra if isinstance(extra, dict) else {}
        return {name: _typed(item, properties.get(name) or inner) for name, item in value.items()}
    if isinstance(value, list):
        return [_typed(item, spec.get("items") or {}) for item in value]
    return float(value) if spec.get("type") == "number" and isinstance(value, int) else value
