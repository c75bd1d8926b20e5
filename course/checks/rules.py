"""What can be expected of an observed value, other than to be equal to another."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Rule:
    """`text` finishes the sentence "expected: ..."; `holds` never raises for values that JSON can carry."""

    text: str
    holds: Callable[[Any], bool]


def expectation(expected: Any) -> Rule:
    """`expected` as a Rule: itself if it is one, else equality."""
    return expected if isinstance(expected, Rule) else Rule(show(expected), lambda value: bool(value == expected))


def one_of(*values: Any) -> Rule:
    return Rule("one of " + ", ".join(show(value) for value in values), lambda value: value in values)


def contains(*parts: Any) -> Rule:
    """A text with these parts, or a list with these items."""
    return Rule(
        "has " + " and ".join(show(part) for part in parts),
        lambda value: isinstance(value, (str, list, tuple, dict)) and all(part in value for part in parts),
    )


def excludes(*parts: Any) -> Rule:
    """A text or list that is there and has none of these."""
    return Rule(
        "without " + " or ".join(show(part) for part in parts),
        lambda value: isinstance(value, (str, list, tuple, dict)) and not any(part in value for part in parts),
    )


def at_least(number: float) -> Rule:
    return Rule(f"at least {number}", lambda value: isinstance(value, (int, float)) and value >= number)


def same_items(values: Iterable[Any]) -> Rule:
    """A list of exactly these, in any order."""
    wanted = sorted(values, key=repr)
    return Rule(
        show(wanted) + " in any order",
        lambda value: isinstance(value, list) and sorted(value, key=repr) == wanted,
    )


present = Rule("something", lambda value: value not in (None, "", [], {}))
"""Anything that is there and not empty."""


def show(value: Any) -> str:
    """A value as a learner reads it."""
    if value is None or value in ("", [], {}):
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ", ".join(show(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={show(item)}" for key, item in value.items())
    return str(value).strip() or "nothing"
