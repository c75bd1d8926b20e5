"""The language of the validation files: what its tags say, and that the files name nothing that is not there."""

import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from k8s_core.api import Object
from k8s_core.api.validation import tags

AT_LEAST = "must be greater than or equal to 1"
STEMS = sorted(path.stem for path in tags.FOLDER.glob("*.yaml"))


def said(fields: Object, node: Object) -> list[str]:
    """What the rules of some fields say about an object."""
    errors: list[Any] = []
    tags._fields(fields, "core")(node, "", None, None, errors)
    return [error.message() for error in errors]


@pytest.mark.parametrize(
    ("fields", "node", "says"),
    [
        ({"a": {"required": "say it", "enum": ["x"]}}, {}, ["a: Required value: say it"]),
        ({"a": {"required": None, "enum": ["x"]}}, {"a": "y"}, ['a: Unsupported value: "y": supported values: "x"']),
        ({"a": ["required", {"minimum": 1}]}, {"a": 0}, ["a: Required value", f"a: Invalid value: 0: {AT_LEAST}"]),
        ({"a": "optional port"}, {"a": 0}, []),
        ({"a": "present"}, {"a": ""}, []),
        ({"a": {"when": {"b": "*"}, "forbidden": "no"}}, {"a": 1}, []),
        ({"a": {"when": {"b": "*"}, "forbidden": "no"}}, {"a": 1, "b": 0}, ["a: Forbidden: no"]),
        ({"a": {"when": {"b!": ["x", ""]}, "invalid": "no"}}, {"a": "q"}, []),
        ({"a": {"when": {"b": False}, "invalid": "no"}}, {"a": "q"}, []),
        ({"a": {"minimum": 1, "at": "b"}}, {}, [f"b: Invalid value: 0: {AT_LEAST}"]),
        ({"a": {"minimum": 1, "message": "more"}}, {"a": 0}, ["a: Invalid value: 0: more"]),
        ({"a[]": "unique"}, {"a": ["x", "y", "x"]}, ['a[2]: Duplicate value: "x"']),
        ({"a[]": {"uniqueBy": "n"}}, {"a": [{"n": 1}, {"n": 1}]}, ["a[1]: Duplicate value: 1"]),
        ({"a?.b, c": "required"}, {}, ["c: Required value"]),
        ({"a.b": "required"}, {}, ["a.b: Required value"]),
        (
            {"a": {"union": {"b": None, "c": None}, "message": "way"}},
            {"a": {}},
            ["a: Required value: must specify a way"],
        ),
        (
            {"a": {"union": {"b": {"fields": {"d": "required"}}, "c": None}, "message": "way"}},
            {"a": {"b": {}, "c": {}}},
            ["a.b.d: Required value", "a.c: Forbidden: may not specify more than 1 way"],
        ),
    ],
)
def test_tags(fields: Object, node: Object, says: list[str]) -> None:
    """A rule's tags are asked in their order, and the first ones can end it; a list of rules asks all of them."""
    assert said(fields, node) == says


def rules(body: Any) -> Iterator[Any]:
    """The rules of a type or of a mapping of fields."""
    for part in body if isinstance(body, list) else [body]:
        yield from part.values()


def named(rule: Any) -> Iterator[str]:
    """The types and functions that a rule names."""
    if isinstance(rule, str):
        yield from (value for tag, value in map(tags._word, rule.split()) if tag in ("type", "check"))
    elif isinstance(rule, list):
        for part in rule:
            yield from named(part)
    for tag, value in rule.items() if isinstance(rule, dict) else ():
        assert tag in tags.TAGS or tag in tags.WORDING, tag
        if tag in ("type", "check"):
            yield value
        elif tag == "eachKey":
            yield from named(value)
        elif tag in ("fields", "union"):
            for inner in rules(value):
                yield from named(inner)


@pytest.mark.parametrize("stem", STEMS)
def test_names(stem: str) -> None:
    """Every type that a file names stands in one of the files, and every function in its module."""
    for name, body in tags.file(stem).items():
        operations = [value for key, value in body.items() if key not in tags.FACTS] if " " in name else [body]
        for operation in operations:
            found = [operation] if isinstance(operation, str) else [n for r in rules(operation) for n in named(r)]
            for each in found:
                module, _, function = each.rpartition(".")
                if each[0].isupper():
                    assert tags.type_named(each)
                else:
                    assert hasattr(importlib.import_module(f"{tags.__package__}.{module or stem}"), function), each
