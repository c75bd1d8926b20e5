"""One wrong field of an otherwise good object gives exactly the messages of a real server.

The cases are YAML, one file an area: kind -> a good object -> for create, update and each subresource what is
`set` to what and what the server `says`. `old` are other fields of the object before an update. Only the first
line of a message is compared, for upstream appends diffs of Go structs.
"""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8s_core.api import Object, defaults, validation

HERE = Path(__file__).parent
AREAS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(HERE.glob("*.yaml"))}
CASES = [
    pytest.param(rules["good"], operation, case, id=f"{kind}-{operation}-{case['set']}-{number}")
    for area in AREAS.values()
    for kind, rules in area.items()
    for operation, cases in rules.items()
    if operation != "good"
    for number, case in enumerate(cases)
]


def put(obj: Object, path: str, value: Any) -> Object:
    """A copy of an object with another value at "a.b[0].c"."""
    obj = copy.deepcopy(obj)
    *way, last = [int(step[1:-1]) if step[0] == "[" else step for step in re.findall(r"[^.\[\]]+|\[\d+\]", path)]
    node: Any = obj
    for step in way:
        node = node[step] if isinstance(step, int) else node.setdefault(step, {})
    node[last] = copy.deepcopy(value)
    return obj


def messages(obj: Object, operation: str, old: Object) -> list[str]:
    defaults.apply(obj)
    if operation == "create":
        found = validation.create(obj)
    else:
        found = validation.update(obj, old, operation.replace("update", ""))
    return [error.message().split("\n")[0] for error in found]


@pytest.mark.parametrize(("good", "operation", "case"), CASES)
def test_messages(good: Object, operation: str, case: Object) -> None:
    """The case's field gives the case's messages, in order, and nothing else does."""
    old = copy.deepcopy(good)
    for path, value in (case.get("old") or {}).items():
        old = put(old, path, value)
    if operation != "create":
        defaults.apply(old)
        old["metadata"]["resourceVersion"] = "1"
    assert messages(put(old, case["set"], case["to"]), operation, old) == case["says"]


@pytest.mark.parametrize("good", [rules["good"] for area in AREAS.values() for rules in area.values()])
def test_good_objects(good: Object) -> None:
    """The objects that the cases start from are good."""
    assert messages(copy.deepcopy(good), "create", {}) == []
