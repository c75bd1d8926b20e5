"""Constant defaults: kind -> path -> value, as table.yaml has them.

In a path, `a.b` makes `a` when it is missing (a struct in Go), `a?.b` stops when it is missing (a pointer in Go)
and `a[].b` goes through a list. A value that is missing, null or an empty string is filled in; for `a0` 0 or an empty
list counts as missing, too, for `a~` "" does not. `PodSpec` is for the specs of Pods, wherever they are.
"""

import copy
from pathlib import Path
from typing import Any, Final

import yaml

from k8s_core.api import Object


class Plan(list[tuple[str, str, Any]]):
    """The fields of an object: name, mark, and the plan of what is below or the value."""


def apply(obj: Object, kind: str) -> None:
    """Fill in what the table says for this kind, "apps/v1 Deployment"."""
    if (plan := _PLANS.get(kind)) is not None:
        _fill(obj, plan)


def _fill(node: Object, plan: Plan) -> None:
    for name, mark, inner in plan:
        value = node.get(name)
        if mark == "[]":
            for item in value or ():
                if isinstance(item, dict):
                    _fill(item, inner)
        elif not isinstance(inner, Plan):
            if value is None or (value == "" and mark != "~") or (mark == "0" and not value):
                node[name] = copy.deepcopy(inner)
        elif value is not None or mark != "?":
            if value is None:
                value = node[name] = {}
            if isinstance(value, dict):
                _fill(value, inner)


def _plan(paths: Object) -> Plan:
    """Paths with the same beginning become one way down."""
    ways: dict[str, Any] = {}
    for path, value in paths.items():
        first, _, rest = path.partition(".")
        if not rest and not isinstance(value, dict):
            ways[first] = value
        else:
            ways.setdefault(first, {}).update({rest: value} if rest else value)
    plan = Plan()
    for step, value in ways.items():
        name = step.rstrip("?[]0~")
        plan.append((name, step[len(name) :], _plan(value) if isinstance(value, dict) else value))
    return plan


_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLANS: Final = {
    kind: _plan(paths) for kind, paths in yaml.load(Path(__file__).with_suffix(".yaml").read_bytes(), _LOADER).items()
}
