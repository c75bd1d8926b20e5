"""The shape that Go's types give an object on the wire.

kube-apiserver decodes into Go structs and encodes them again, so a client reads back something slightly different
from what it wrote: nulls and empty `omitempty` values are gone (`hostNetwork: false`, `args: []`), structs are
always there (`resources: {}`, `status: {}`), zero timestamps are null and quantities are canonical (`1000m` is
`1`). `data/shape.json` holds those facts, taken from the field tags of k8s.io/api:

    kinds   "apps/v1 Deployment" -> type
    types   type -> field -> 0 (left out when empty), or [left out when empty, container:type of the value,
            whether it holds quantities, the value that is written when it is missing (if any)]

A list or map that Go would write as null when it is missing is left out instead.
"""

import functools
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from k8s_core.api import Object, quantity

_FILE: Final = Path(__file__).parent.parent / "data" / "shape.json"


class Plan:
    """What is special about one type; `always` are the values written when missing, with the plan of a struct."""

    __slots__ = ("always", "rules")

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}
        self.always: list[tuple[str, Any, Plan | None]] = []


class Rule(NamedTuple):
    """What is special about one field."""

    drop: bool
    container: str  # "" an object, "[]" a list, "{}" a map of objects
    plan: Plan | None
    quantities: bool


def normalize(obj: Object, key: tuple[str, str], old: Object | None = None) -> None:
    """Bring an object of a built-in kind into wire shape, in place; top-level parts shared with `old` are skipped."""
    facts = _facts()
    name = facts["kinds"].get(f"{key[0]} {key[1]}")
    if name is None:
        metadata = obj.get("metadata")
        if isinstance(metadata, dict):
            _walk(metadata, _plan("meta/v1.ObjectMeta"))
        return
    plan = _plan(name)
    if old is None:
        _walk(obj, plan)
        return
    kept = {part: obj.pop(part) for part, value in old.items() if value and obj.get(part) is value}
    _walk(obj, plan, kept)
    obj.update(kept)


def _walk(node: Object, plan: Plan, present: Object | None = None) -> None:
    rules = plan.rules
    for name, value in list(node.items()):
        if value is None:
            del node[name]
            continue
        rule = rules.get(name)
        if rule is None:
            continue
        drop, container, child, quantities = rule
        if not value and drop:
            del node[name]
        elif quantities:
            node[name] = _quantities(value)
        elif child is not None:
            _descend(value, container, child)
    for name, zero, child in plan.always:
        if name not in node and (present is None or name not in present):
            if child is None:
                node[name] = zero
            else:
                node[name] = value = {}
                _walk(value, child)


def _descend(value: Any, container: str, plan: Plan) -> None:
    if not container:
        if isinstance(value, dict):
            _walk(value, plan)
    elif container == "[]":
        for item in value:
            if isinstance(item, dict):
                _walk(item, plan)
    else:
        for item in value.values() if container.startswith("{}") else value:
            _descend(item, container[2:], plan)


def _quantities(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _quantities(amount) for name, amount in value.items()}
    return _canonical(str(value))


@functools.lru_cache(maxsize=4096)
def _canonical(text: str) -> str:
    try:
        return quantity.canonical(text)
    except ValueError:
        return text


@functools.cache
def _facts() -> Object:
    facts: Object = orjson.loads(_FILE.read_bytes())
    return facts


_PLANS: Final[dict[str, Plan]] = {}


def _plan(name: str) -> Plan:
    plan = _PLANS.get(name)
    if plan is not None:
        return plan
    plan = _PLANS[name] = Plan()  # known before its fields are: types may contain themselves
    for field, entry in _facts()["types"].get(name, {}).items():
        if entry == 0:
            plan.rules[field] = Rule(True, "", None, False)
            continue
        drop, child, quantities, *zero = entry
        container, _, type_ = child.partition(":")
        inner = _plan(type_) if type_ else None
        plan.rules[field] = Rule(bool(drop), container, inner, bool(quantities))
        if zero:
            struct = inner or _EMPTY if zero[0] == {} else None
            plan.always.append((field, zero[0], struct))
    return plan


_EMPTY: Final = Plan()
