"""Where a Pod may go: node and Pod affinity, topology spread. What is logic; stands for parts of core's validation."""

from typing import Any

from k8s_core.api import Object
from k8s_core.api.field import duplicate, invalid, required
from k8s_core.api.validation.common import Errors, bad, earlier, listed, strings, sub, text
from k8s_core.api.validation.formats import label_key

IN_BOTH = "exists in both matchLabelKeys and labelSelector"


def single_value(values: list[str] | None, path: str) -> Errors:
    """What a number is compared with."""
    if len(values or ()) != 1:
        yield required(path, "must be specified single value when `operator` is 'Lt' or 'Gt'")


def single_field_value(values: list[str] | None, path: str) -> Errors:
    """What a field is compared with."""
    if len(values or ()) != 1:
        yield required(path, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector")


def not_both_ways(term: Object, path: str) -> Errors:
    """A label's value cannot be the same and another."""
    for index, key in enumerate(strings(term, "matchLabelKeys")):
        if key in strings(term, "mismatchLabelKeys"):
            why = "exists in both matchLabelKeys and mismatchLabelKeys"
            yield invalid(f"{path}.matchLabelKeys[{index}]", key, why)


def selected_twice(term: Object, path: str) -> Errors:
    """A Pod's selector has its matchLabelKeys already: a key that is there once more was in both."""
    yield from (
        invalid(f"{path}[{index}]", key, IN_BOTH)
        for index, key in enumerate(strings(term, "matchLabelKeys"))
        if key in _repeated(term)
    )


def _repeated(term: Object) -> set[str]:
    """Keys that a selector names more than once."""
    keys = [text(e or {}, "key") for e in listed(sub(term, "labelSelector"), "matchExpressions")]
    labels = sub(term, "labelSelector", "matchLabels")
    return {key for key in keys if key in labels or keys.count(key) > 1}


def different_constraint(constraint: Object | None, path: str, constraints: list[Any]) -> Errors:
    """No later constraint is about the same key in the same way."""

    def pair(item: Object | None) -> tuple[str, str]:
        return text(item or {}, "topologyKey"), text(item or {}, "whenUnsatisfiable")

    key, when = pair(constraint)
    later = constraints[len(earlier(constraints, path)) + 1 :]
    if (key, when) in map(pair, later):
        yield duplicate(f"{path}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {when}}}")


def only_hard_constraint(domains: int, path: str, constraint: Object) -> Errors:
    """A constraint that may be broken asks for no number of domains."""
    if (when := text(constraint, "whenUnsatisfiable")) != "DoNotSchedule":
        yield invalid(path, domains, f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}")


def spread_keys(constraint: Object, path: str) -> Errors:
    """Keys whose values come from the Pod are not in the selector, too."""
    known = {*sub(constraint, "labelSelector", "matchLabels"), *_repeated(constraint)}
    for index, key in enumerate(strings(constraint, "matchLabelKeys")):
        place = f"{path}.matchLabelKeys[{index}]"
        yield from bad(place, key, label_key(key))
        if key in known:
            yield invalid(place, key, IN_BOTH)
