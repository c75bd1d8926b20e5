"""The JSONPath that printer columns, scale and selectable fields are written in (client-go's util/jsonpath, a part).

    .spec.replicas   .metadata.labels['app']   .status.conditions[?(@.type=="Ready")].status   .items[0].name   .a[*].b

Promises: `find` never raises on an object, whatever it holds. Leaves out: ranges, unions, slices, recursive descent.
"""

import functools
import re
from collections.abc import Callable
from typing import Any, Final

_STEP: Final = re.compile(
    r"""\.(?P<field>(?:[^.\[\\]|\\.)+)|\['(?P<quoted>[^']*)'\]|\["(?P<double>[^"]*)"\]|\[(?P<index>-?\d+)\]|(?P<all>\[\*\]|\.\*)
    |\[\?\(\s*@(?P<path>[^=!<>]*?)\s*(?P<op>==|!=|<=|>=|<|>)\s*(?P<value>'[^']*'|"[^"]*"|[^)]*?)\s*\)\]""",
    re.VERBOSE,
)
Step = Callable[[Any], list[Any]]
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b, ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b, ">=": lambda a, b: a >= b,
}  # fmt: skip


@functools.lru_cache(maxsize=1024)
def parse(path: str) -> tuple[Step, ...]:
    """The steps of a path; ValueError if it is none."""
    text = path.strip().removeprefix("$")
    if text and text[0] not in ".[":
        text = "." + text
    steps: list[Step] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            raise ValueError(f"unrecognized character in action: {text[at:]}")
        steps.append(_step(match))
        at = match.end()
    return tuple(steps)


def find(obj: Any, path: str) -> list[Any]:
    """All values at the path; none if there is nothing."""
    found = [obj]
    for step in parse(path):
        found = [value for each in found for value in step(each)]
    return found


def _step(match: re.Match[str]) -> Step:
    name = next((match[group] for group in ("field", "quoted", "double") if match[group] is not None), None)
    if name is not None:
        key = re.sub(r"\\(.)", r"\1", name)
        return lambda value: [value[key]] if isinstance(value, dict) and key in value else []
    if match["index"] is not None:
        index = int(match["index"])
        return lambda value: value[index:][:1] if isinstance(value, list) else []
    if match["all"]:
        return lambda value: list(value.values()) if isinstance(value, dict) else list(value or ())
    return _filter(match["path"], _COMPARE[match["op"]], match["value"])


def _filter(path: str, compare: Callable[[Any, Any], bool], literal: str) -> Step:
    wanted: Any = literal
    if literal[:1] in "'\"":
        wanted = literal[1:-1]
    elif literal in ("true", "false"):
        wanted = literal == "true"
    elif re.fullmatch(r"-?\d+(\.\d+)?", literal):
        wanted = float(literal)

    def choose(value: Any) -> list[Any]:
        def holds(item: Any) -> bool:
            have = find(item, path)
            try:
                return bool(have) and compare(have[0], wanted)
            except TypeError:
                return False

        return [item for item in value if holds(item)] if isinstance(value, list) else []

    return choose
