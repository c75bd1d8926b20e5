"""Where a Pod may go: node and Pod affinity, tolerations, topology spread. Stands for parts of core's validation."""

from typing import Any, Final

from k8s_core.api import Object, names
from k8s_core.api.field import duplicate, forbidden, invalid, not_supported, required
from k8s_core.api.validation import meta
from k8s_core.api.validation.common import (
    NOT_POSITIVE,
    Errors,
    bad,
    each,
    listed,
    number,
    qualified_name,
    strings,
    sub,
    text,
)

EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"


def affinity(spec: Object, path: str) -> Errors:
    """The affinity of a Pod's spec."""
    found = sub(spec, "affinity")
    node = sub(found, "nodeAffinity")
    place = f"{path}.affinity.nodeAffinity"
    if node.get(REQUIRED) is not None:
        yield from node_selector(node[REQUIRED], f"{place}.{REQUIRED}")
    for where, term in each(node, PREFERRED, place):
        yield from _weight(term, where)
        yield from _node_term(sub(term, "preference"), f"{where}.preference", check_values=False)
    for kind in ("podAffinity", "podAntiAffinity"):
        terms, place = sub(found, kind), f"{path}.affinity.{kind}"
        for where, term in each(terms, REQUIRED, place):
            yield from _pod_term(term, where)
        for where, term in each(terms, PREFERRED, place):
            yield from _weight(term, where)
            yield from _pod_term(sub(term, "podAffinityTerm"), f"{where}.podAffinityTerm")


def _weight(term: Object, path: str) -> Errors:
    if not 0 < number(term, "weight") <= 100:
        yield invalid(f"{path}.weight", number(term, "weight"), "must be in the range 1-100")


def node_selector(selector: Object, path: str) -> Errors:
    """A NodeSelector: at least one term."""
    if not listed(selector, "nodeSelectorTerms"):
        yield required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")
    for place, term in each(selector, "nodeSelectorTerms", path):
        yield from _node_term(term, place)


def _node_term(term: Object, path: str, *, check_values: bool = True) -> Errors:
    for place, requirement in each(term, "matchExpressions", path):
        operator, values = text(requirement, "operator"), strings(requirement, "values")
        if operator in ("In", "NotIn"):
            if not values:
                yield required(f"{place}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                yield forbidden(f"{place}.values", why)
        elif operator in ("Gt", "Lt"):
            if len(values) != 1:
                why = "must be specified single value when `operator` is 'Lt' or 'Gt'"
                yield required(f"{place}.values", why)
        else:
            yield invalid(f"{place}.operator", operator, "not a valid selector operator")
        yield from qualified_name(f"{place}.key", text(requirement, "key"))
        if check_values:
            for index, value in enumerate(values):
                yield from bad(f"{place}.values[{index}]", value, names.label_value(value))
    for place, requirement in each(term, "matchFields", path):
        values = strings(requirement, "values")
        if text(requirement, "operator") not in ("In", "NotIn"):
            operator = text(requirement, "operator")
            yield invalid(f"{place}.operator", operator, "not a valid selector operator")
        elif len(values) != 1:
            why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            yield required(f"{place}.values", why)
        if text(requirement, "key") != "metadata.name":
            yield invalid(f"{place}.key", text(requirement, "key"), "not a valid field selector key")
        else:
            for index, value in enumerate(values):
                yield from bad(f"{place}.values[{index}]", value, names.dns1123_subdomain(value))


def _pod_term(term: Object, path: str) -> Errors:
    selector = term.get("labelSelector")
    yield from meta.label_selector(selector, f"{path}.labelSelector")
    yield from meta.label_selector(term.get("namespaceSelector"), f"{path}.namespaceSelector")
    for name in strings(term, "namespaces"):
        yield from bad(f"{path}.namespace", name, names.dns1123_label(name))
    match, mismatch = strings(term, "matchLabelKeys"), strings(term, "mismatchLabelKeys")
    for kind, keys in (("matchLabelKeys", match), ("mismatchLabelKeys", mismatch)):
        if keys and selector is None:
            yield forbidden(f"{path}.{kind}", "must not be specified when labelSelector is not set")
            continue
        for index, key in enumerate(keys):
            yield from qualified_name(f"{path}.{kind}[{index}]", key)
    for index, key in enumerate(match):
        if key in mismatch:
            why = "exists in both matchLabelKeys and mismatchLabelKeys"
            yield invalid(f"{path}.matchLabelKeys[{index}]", key, why)
    topology = text(term, "topologyKey")
    if not topology:
        yield required(f"{path}.topologyKey", "can not be empty")
    yield from qualified_name(f"{path}.topologyKey", topology)


def tolerations(values: list[Any], path: str) -> Errors:
    """Tolerations: key, operator, value and effect must go together."""
    for index, item in enumerate(values):
        toleration, place = item or {}, f"{path}[{index}]"
        key, operator, value = (text(toleration, name) for name in ("key", "operator", "value"))
        if key:
            yield from qualified_name(f"{place}.key", key)
        elif operator != "Exists":
            why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            yield invalid(f"{place}.operator", operator, why)
        if toleration.get("tolerationSeconds") is not None and text(toleration, "effect") != "NoExecute":
            why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            yield invalid(f"{place}.effect", text(toleration, "effect"), why)
        if operator in ("", "Equal"):
            if messages := names.label_value(value):
                yield invalid(f"{place}.operator", value, ";".join(messages))
        elif operator == "Exists":
            if value:
                why = "value must be empty when `operator` is 'Exists'"
                yield invalid(f"{place}.operator", value, why)
        else:
            yield not_supported(f"{place}.operator", operator, ("Equal", "Exists"))
        if toleration.get("effect"):
            yield from effect(toleration, place)


def effect(node: Object, path: str) -> Errors:
    """The effect of a taint or toleration."""
    value = text(node, "effect")
    if not value:
        yield required(f"{path}.effect")
    elif value not in EFFECTS:
        yield not_supported(f"{path}.effect", value, EFFECTS)


def topology_spread(spec: Object, path: str) -> Errors:
    """Topology spread constraints."""
    constraints = listed(spec, "topologySpreadConstraints")
    for index, (place, constraint) in enumerate(each(spec, "topologySpreadConstraints", path)):
        skew, when = number(constraint, "maxSkew"), text(constraint, "whenUnsatisfiable")
        if skew <= 0:
            yield invalid(f"{place}.maxSkew", skew, NOT_POSITIVE)
        if not constraint.get("topologyKey"):
            yield required(f"{place}.topologyKey", "can not be empty")
        if when not in ("DoNotSchedule", "ScheduleAnyway"):
            yield not_supported(f"{place}.whenUnsatisfiable", when, ("DoNotSchedule", "ScheduleAnyway"))
        pair = (text(constraint, "topologyKey"), when)
        later = [(text(c or {}, "topologyKey"), text(c or {}, "whenUnsatisfiable")) for c in constraints[index + 1 :]]
        if pair in later:
            yield duplicate(f"{place}.{{topologyKey, whenUnsatisfiable}}", f"{{{pair[0]}, {pair[1]}}}")
        domains = constraint.get("minDomains")
        if domains is not None:
            if domains <= 0:
                yield invalid(f"{place}.minDomains", domains, NOT_POSITIVE)
            if when != "DoNotSchedule":
                why = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}"
                yield invalid(f"{place}.minDomains", domains, why)
        for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if constraint.get(name) not in (None, "Honor", "Ignore"):
                yield not_supported(f"{place}.{name}", constraint[name], ("Honor", "Ignore"))
        selector = constraint.get("labelSelector")
        keys = strings(constraint, "matchLabelKeys")
        if keys and selector is None:
            yield forbidden(f"{place}.matchLabelKeys", "must not be specified when labelSelector is not set")
        known = set(sub(constraint, "labelSelector", "matchLabels"))
        known |= {text(e or {}, "key") for e in listed(selector or {}, "matchExpressions")}
        for position, key in enumerate(keys):
            yield from qualified_name(f"{place}.matchLabelKeys[{position}]", key)
            if key in known:
                why = "exists in both matchLabelKeys and labelSelector"
                yield invalid(f"{place}.matchLabelKeys[{position}]", key, why)
        yield from meta.label_selector(selector, f"{place}.labelSelector")
