"""What a KubeSchedulerConfiguration may say to single plugins: `profiles[].pluginConfig[].args`.

Stands for apis/config/types_pluginargs.go and validation_pluginargs.go. Arguments of plugins that are not
Kubernetes' own are left to them.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from k8s_core.api import Object
from k8s_core.api.field import FieldError, duplicate, forbidden, invalid, not_supported, required
from k8s_core.api.names import qualified_name
from k8s_core.api.validation import tags
from k8s_core.scheduler.plugins.node import PREFERRED, REQUIRED

VERSION = "kubescheduler.config.k8s.io/v1"
RESOURCES = [{"name": None, "weight": None}]
SHAPE = [{"utilization": None, "score": None}]
FIELDS: dict[str, dict[str, Any]] = {
    "DefaultPreemption": {"minCandidateNodesPercentage": None, "minCandidateNodesAbsolute": None},
    "DynamicResources": {"filterTimeout": None, "bindingTimeout": None},
    "InterPodAffinity": {"hardPodAffinityWeight": None, "ignorePreferredTermsOfExistingPods": None},
    "NodeAffinity": {"addedAffinity": None},
    "NodeResourcesBalancedAllocation": {"resources": RESOURCES},
    "NodeResourcesFit": {
        "ignoredResources": None,
        "ignoredResourceGroups": None,
        "scoringStrategy": {"type": None, "resources": RESOURCES, "requestedToCapacityRatio": {"shape": SHAPE}},
    },
    "PodTopologySpread": {"defaultConstraints": None, "defaultingType": None},
    "VolumeBinding": {"bindTimeoutSeconds": None, "shape": SHAPE},
}
STRATEGIES = ("LeastAllocated", "MostAllocated", "RequestedToCapacityRatio")
ACTIONS = ("DoNotSchedule", "ScheduleAnyway")
Problems = Iterator[FieldError]


def unknown(told: Any, fields: Any, path: str = "") -> Iterator[str]:
    """The fields that nobody knows, as strict decoding names them."""
    if isinstance(fields, list) and isinstance(told, list):
        for index, item in enumerate(told):
            yield from unknown(item, fields[0], f"{path}[{index}]")
    elif isinstance(fields, dict) and isinstance(told, dict):
        for name, value in told.items():
            place = f"{path}.{name}" if path else name
            if name in fields:
                yield from unknown(value, fields[name], place)
            else:
                yield f'unknown field "{place}"'


def decode(where: str, entry: Object) -> None:
    """Whether an entry of pluginConfig says what its plugin understands; ValueError if it does not."""
    name, args = entry["name"], entry.get("args")
    if name not in FIELDS or not isinstance(args, dict):
        return
    kind = args.get("kind", f"{name}Args")
    if kind != f"{name}Args":
        group = VERSION.partition("/")[0]
        raise ValueError(
            f"decoding {where}: args for plugin {name} were not of type {name}Args.{group}, got {kind}.{group}"
        )
    found = list(unknown(args, {**FIELDS[name], "apiVersion": None, "kind": None}))
    if found:
        strict = "strict decoding error: "
        raise ValueError(
            f"{strict}decoding {where}: {strict}decoding args for plugin {name}: {strict}{', '.join(found)}"
        )


def problems(plugin: str, args: Object, path: str) -> Problems:
    """What is wrong with the arguments of a plugin."""
    if check := CHECKS.get(plugin):
        yield from check(args, f"{path}." if path else "")


def _default_preemption(args: Object, path: str) -> Problems:
    percentage, absolute = args.get("minCandidateNodesPercentage", 10), args.get("minCandidateNodesAbsolute", 100)
    places = (f"{path}minCandidateNodesPercentage", f"{path}minCandidateNodesAbsolute")
    if not 0 <= percentage <= 100:
        yield invalid(places[0], percentage, "not in valid range [0, 100]")
    if absolute < 0:
        yield invalid(places[1], absolute, "not in valid range [0, inf)")
    if percentage == 0 == absolute:
        yield invalid(places[0], 0, "cannot be zero at the same time as minCandidateNodesAbsolute")
        yield invalid(places[1], 0, "cannot be zero at the same time as minCandidateNodesPercentage")


def _inter_pod_affinity(args: Object, path: str) -> Problems:
    weight = args.get("hardPodAffinityWeight", 1)
    if not 0 <= weight <= 100:
        yield invalid(f"{path}hardPodAffinityWeight", weight, "not in valid range [0, 100]")


def _node_affinity(args: Object, path: str) -> Problems:
    added, path = args.get("addedAffinity") or {}, f"{path}addedAffinity"
    if required_terms := added.get(REQUIRED):
        yield from tags.validate("NodeSelector", required_terms, f"{path}.{REQUIRED}")
    for index, term in enumerate(added.get(PREFERRED) or ()):
        yield from tags.validate("PreferredSchedulingTerm", term, f"{path}.{PREFERRED}[{index}]")


def _balanced_allocation(args: Object, path: str) -> Problems:
    seen: set[str] = set()
    for index, resource in enumerate(args.get("resources") or ()):
        place = f"{path}resources[{index}]"
        if resource.get("name") in seen:
            yield duplicate(f"{place}.name", resource["name"])
        seen.add(resource.get("name", ""))
        if (resource.get("weight") or 1) != 1:
            yield invalid(f"{place}.weight", resource["weight"], "must be 1")


def _fit(args: Object, path: str) -> Problems:
    for kind in ("ignoredResources", "ignoredResourceGroups"):
        for index, name in enumerate(args.get(kind) or ()):
            place = f"{path}{kind}[{index}]"
            if kind == "ignoredResourceGroups" and "/" in name:
                yield invalid(place, name, "resource group name can't contain '/'")
            yield from (invalid(place, name, why) for why in qualified_name(name))
    strategy, path = args.get("scoringStrategy") or {}, f"{path}scoringStrategy."
    kind, ratio = strategy.get("type", "LeastAllocated"), strategy.get("requestedToCapacityRatio")
    if kind not in STRATEGIES:
        yield not_supported(f"{path}type", kind, STRATEGIES)
    for index, resource in enumerate(strategy.get("resources") or ()):
        if not 0 < (resource.get("weight") or 1) <= 100:
            why = f"resource weight of {resource['name']} not in valid range (0, 100]"
            yield invalid(f"{path}resources[{index}].weight", resource["weight"], why)
    place = f"{path}requestedToCapacityRatio"
    if kind != "RequestedToCapacityRatio":
        if ratio is not None:
            yield forbidden(place, "must be nil when type is not RequestedToCapacityRatio")
    elif ratio is None:
        yield required(place, "must be specified when type is RequestedToCapacityRatio")
    else:
        yield from _shape(ratio.get("shape") or [], f"{place}.shape")


def _shape(shape: list[Object], path: str) -> Problems:
    points = [(point.get("utilization", 0), point.get("score", 0)) for point in shape]
    if not points:
        yield required(path, "at least one point must be specified")
    for index, (one, other) in enumerate(itertools.pairwise(points), 1):
        if one[0] >= other[0]:
            yield invalid(f"{path}[{index}].utilization", other[0], "values must be sorted in increasing order")
            break
    for index, point in enumerate(points):
        for name, value, most in zip(("utilization", "score"), point, (100, 10), strict=True):
            if not 0 <= value <= most:
                yield invalid(f"{path}[{index}].{name}", value, f"not in valid range [0, {most}]")


def _topology_spread(args: Object, path: str) -> Problems:
    kind, constraints = args.get("defaultingType", "System"), args.get("defaultConstraints") or []
    if kind not in ("System", "List"):
        yield not_supported(f"{path}defaultingType", kind, ("System", "List"))
    elif kind == "System" and constraints:
        yield invalid(f"{path}defaultingType", kind, "when .defaultConstraints are not empty")
    seen: set[tuple[str, str]] = set()
    for index, constraint in enumerate(constraints):
        place = f"{path}defaultConstraints[{index}]"
        key, action = constraint.get("topologyKey", ""), constraint.get("whenUnsatisfiable", "")
        if constraint.get("maxSkew", 0) <= 0:
            yield invalid(f"{place}.maxSkew", constraint.get("maxSkew", 0), "not in valid range (0, inf)")
        if not key:
            yield required(f"{place}.topologyKey", "can not be empty")
        yield from (invalid(f"{place}.topologyKey", key, why) for why in (qualified_name(key) if key else ()))
        if not action:
            yield required(f"{place}.whenUnsatisfiable", "can not be empty")
        elif action not in ACTIONS:
            yield not_supported(f"{place}.whenUnsatisfiable", action, ACTIONS)
        if constraint.get("labelSelector") is not None:
            why = "constraint must not define a selector, as they deduced for each pod"
            yield forbidden(f"{place}.labelSelector", why)
        if (key, action) in seen:
            yield duplicate(place, f"{{{key}, {action}}}")
        seen.add((key, action))


def _volume_binding(args: Object, path: str) -> Problems:
    seconds = args.get("bindTimeoutSeconds", 600)
    if seconds < 0:
        why = "invalid BindTimeoutSeconds, should not be a negative value"
        yield invalid(f"{path}bindTimeoutSeconds", seconds, why)


CHECKS: dict[str, Callable[[Object, str], Problems]] = {
    "DefaultPreemption": _default_preemption,
    "InterPodAffinity": _inter_pod_affinity,
    "NodeAffinity": _node_affinity,
    "NodeResourcesBalancedAllocation": _balanced_allocation,
    "NodeResourcesFit": _fit,
    "PodTopologySpread": _topology_spread,
    "VolumeBinding": _volume_binding,
}
