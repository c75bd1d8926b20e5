"""Whatever has the shape of the schema can be defaulted and validated without an exception."""

import copy
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k8s_core.api import defaults, schema, validation
from k8s_core.api.field import FieldError
from k8s_core.api.schema import Type
from k8s_core.api.validation import RULES, warnings

TEXTS = (
    "", "a", "x/y", "Bad_Name", "None", "1", "a.b.c", "Always", "RollingUpdate", "NodePort", "10.0.0.1", "*",
    "../x", "é" * 3, "Indexed", "ExternalName", "25%", "*/5 * * * *", "https://h/p", "a" * 300,
)  # fmt: skip
NUMBERS = (0, 1, -1, 80, 70000, 2**31, -(2**40))
SCALARS: dict[str, tuple[Any, ...]] = {
    "string": TEXTS,
    "integer": NUMBERS,
    "number": NUMBERS,
    "boolean": (False, True),
    "int-or-string": NUMBERS + TEXTS,
    "quantity": ("0", "1", "100m", "-1", "64Mi", "1e3"),
    "time": ("2026-01-01T00:00:00Z",),
    "micro-time": ("2026-01-01T00:00:00.000000Z",),
    "bytes": ("", "QQ==", "e30="),
    "any": (None, {}, {"a": 1}, []),
}
KEYS = ("a", "cpu", "hugepages-2Mi", "x/y", "", "storage")
DEPTH = 8


def values(node: Type, depth: int, random: Random) -> Any:
    """Any value of a type: every field may be missing or null, lists may hold nulls."""
    if random.random() < 0.08:
        return None
    if node.kind == "object":
        names = list(node.fields) if depth < DEPTH else []
        chosen = [name for name in names if random.random() < max(0.3, 4 / len(names))]
        return {name: values(node.fields[name], depth + 1, random) for name in chosen}
    if node.kind in ("list", "map"):
        assert node.items is not None
        size = random.randrange(3) if depth < DEPTH else 0
        if node.kind == "list":
            return [values(node.items, depth + 1, random) for _ in range(size)]
        return {random.choice(KEYS): values(node.items, depth + 1, random) for _ in range(size)}
    return copy.copy(random.choice(SCALARS[node.kind]))


def whole(api_version: str, kind: str, random: Random) -> dict[str, Any]:
    group, _, version = api_version.rpartition("/")
    node = schema.load().kind(group, version, kind)
    obj = {name: values(child, 0, random) for name, child in node.fields.items()}
    return {name: value for name, value in obj.items() if value is not None} | {
        "apiVersion": api_version,
        "kind": kind,
    }


@pytest.mark.parametrize("key", RULES, ids="-".join)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**9))
def test_never_raises(key: tuple[str, str], seed: int) -> None:
    """Defaulting and validation of a creation, an update and every subresource give errors, never exceptions."""
    random = Random(seed)
    obj, old = whole(*key, random), whole(*key, random)
    plain = copy.deepcopy(obj)
    found = validation.create(plain) + validation.update(plain, copy.deepcopy(old))
    defaults.apply(obj)
    defaults.apply(old)
    again = copy.deepcopy(obj)
    defaults.apply(again)
    assert again == obj
    found += validation.create(obj)
    for subresource in ("", "status", "ephemeralcontainers", "resize", "finalize"):
        found += validation.update(obj, old, subresource)
    assert all(isinstance(warning, str) for warning in warnings.create(obj) + warnings.update(obj, old))
    assert all(isinstance(error, FieldError) and error.message() for error in found)
