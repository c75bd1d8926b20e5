"""Hints in EndpointSlices: for which zones or nodes an endpoint is meant, so that traffic can stay near.

Two ways lead to them. spec.trafficDistribution: every ready endpoint is meant for its own zone (PreferSameZone, or
PreferClose as it was called) and node (PreferSameNode). The annotation service.kubernetes.io/topology-mode: Auto:
endpoints are shared out between the zones as their nodes' CPU is, or not at all where that would overload some.
Stands for staging/src/k8s.io/endpointslice, trafficdist and topologycache. Where upstream walks a map in any order,
zones come here in order of their names.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from k8s_core.api import Object, quantity

ZONE = "topology.kubernetes.io/zone"
ANNOTATIONS = ("service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode")
NEAR = ("PreferClose", "PreferSameZone", "PreferSameNode")
EXCLUDED = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
OVERLOAD = 0.2
"""How much more than its share an endpoint may get."""
Event = Callable[[str, str, str], None]
"""Takes an event's type, reason and message."""


@dataclass(slots=True)
class Pieces:
    """One address family's slices of one Service; `update` grows by those of `unchanged` that need other hints."""

    create: list[Object]
    update: list[Object]
    unchanged: list[Object]

    def rewrite(self, hint: Callable[[Object], Object | None]) -> None:
        """Give every endpoint the hints that `hint` says, None for none."""
        self.create = [_with_hints(piece, hint) for piece in self.create]
        self.update = [_with_hints(piece, hint) for piece in self.update]
        for piece in list(self.unchanged):
            fresh = _with_hints(piece, hint)
            if fresh["endpoints"] != (piece.get("endpoints") or []):
                self.unchanged.remove(piece)
                self.update.append(fresh)


@dataclass
class TopologyHints:
    """`shared` are the Services (keys) whose endpoints are shared out between zones now."""

    shared: set[str] = field(default_factory=set)

    def apply(self, service: Object, family: str, nodes: Iterable[Object], pieces: Pieces, event: Event) -> None:
        """Bring the hints of a Service's slices in line."""
        key = f"{service['metadata']['namespace']}/{service['metadata']['name']}"
        distribution = service["spec"].get("trafficDistribution")
        if is_automatic(service):
            self._share_out(key, family, nodes, pieces, event)
            return
        if key in self.shared:
            self.shared.discard(key)
            event("Warning", "TopologyAwareHintsDisabled", _said("Topology Aware Hints has been disabled", family))
        if distribution in NEAR:
            pieces.rewrite(lambda endpoint: _near(endpoint, by_node=distribution == "PreferSameNode"))
        else:
            pieces.rewrite(lambda endpoint: None)

    def _share_out(self, key: str, family: str, nodes: Iterable[Object], pieces: Pieces, event: Event) -> None:
        every = [e for p in (*pieces.create, *pieces.update, *pieces.unchanged) for e in p.get("endpoints") or ()]
        ready = [e for e in every if _ready(e)]
        shares, problem = _shares(nodes, len(ready))
        if not problem and any(not e.get("zone") for e in ready):
            problem = "One or more endpoints do not have a zone specified"
        if problem:
            self.shared.discard(key)
            event("Warning", "TopologyAwareHintsDisabled", _said(problem, family))
            pieces.rewrite(lambda endpoint: None)
            return
        given: dict[str, int] = {}
        for piece in list(pieces.unchanged):  # stays as it is while it fits
            found = _hinted(piece, given, shares)
            if found is None:
                pieces.unchanged.remove(piece)
                pieces.update.append(piece)
            else:
                given = {zone: given.get(zone, 0) + found.get(zone, 0) for zone in {*given, *found}}
        free = [e for piece in (*pieces.create, *pieces.update) for e in piece.get("endpoints") or () if _ready(e)]
        for endpoint in free:
            given[endpoint["zone"]] = given.get(endpoint["zone"], 0) + 1
        giving, receiving = _transfers(shares, given)
        meant: dict[int, str] = {}
        for endpoint in free:
            zone = endpoint["zone"]
            target = next((z for z, wanted in sorted(receiving.items()) if wanted), "")
            if target and giving.get(zone):
                giving[zone] -= 1
                receiving[target] -= 1
                zone = target
            meant[id(endpoint)] = zone

        def hint(endpoint: Object) -> Object | None:
            return {"forZones": [{"name": meant[id(endpoint)]}]} if id(endpoint) in meant else None

        pieces.create = [_with_hints(piece, hint) for piece in pieces.create]
        pieces.update = [_with_hints(piece, hint) for piece in pieces.update]
        if key not in self.shared:
            self.shared.add(key)
            event("Normal", "TopologyAwareHintsEnabled", _said("Topology Aware Hints has been enabled", family))


def is_automatic(service: Object) -> bool:
    """Whether the annotation asks for it; the old one wins over the new one."""
    annotations = service["metadata"].get("annotations") or {}
    return next((annotations[a] in ("Auto", "auto") for a in ANNOTATIONS if a in annotations), False)


def _said(text: str, family: str) -> str:
    return f"{text}, addressType: {family}"


def _ready(endpoint: Object) -> bool:
    return (endpoint.get("conditions") or {}).get("ready") is True


def _with_hints(piece: Object, hint: Callable[[Object], Object | None]) -> Object:
    endpoints = []
    for endpoint in piece.get("endpoints") or ():
        plain = {key: value for key, value in endpoint.items() if key != "hints"}
        hints = hint(endpoint)
        endpoints.append({**plain, "hints": hints} if hints else plain)
    return {**piece, "endpoints": endpoints}


def _near(endpoint: Object, *, by_node: bool) -> Object | None:
    if not _ready(endpoint):
        return None
    hints: Object = {}
    if endpoint.get("zone"):
        hints["forZones"] = [{"name": endpoint["zone"]}]
    if by_node and endpoint.get("nodeName"):
        hints["forNodes"] = [{"name": endpoint["nodeName"]}]
    return hints or None


# --- shares ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Share:
    """How many endpoints a zone should have."""

    minimum: int
    maximum: int
    desired: float


def _shares(nodes: Iterable[Object], count: int) -> tuple[dict[str, Share], str]:
    """(each zone's share of `count` endpoints, or why there are none)."""
    cpu: dict[str, int] = {}
    for node in nodes:
        labels = node["metadata"].get("labels") or {}
        if any(label in labels for label in EXCLUDED) or not _node_ready(node):
            continue
        allocatable = quantity.milli(((node.get("status") or {}).get("allocatable") or {}).get("cpu", "0"))
        if not labels.get(ZONE) or not allocatable:
            cpu = {}
            break
        cpu[labels[ZONE]] = cpu.get(labels[ZONE], 0) + allocatable
    if len(cpu) < 2:
        why = "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"
        return {}, why
    counted = f"({count} endpoints, {len(cpu)} zones)"
    if len(cpu) > count:
        return {}, f"Insufficient number of endpoints {counted}"
    desired = {zone: count * amount / sum(cpu.values()) for zone, amount in sorted(cpu.items())}
    minimum = {zone: math.ceil(wanted / (1 + OVERLOAD)) for zone, wanted in desired.items()}
    if (spare := count - sum(minimum.values())) < 0:
        why = "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold"
        return {}, f"{why} {counted}"
    return {z: Share(low, low + spare, max(desired[z], float(low))) for z, low in minimum.items()}, ""


def _node_ready(node: Object) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _hinted(piece: Object, given: dict[str, int], shares: dict[str, Share]) -> dict[str, int] | None:
    """How many endpoints of a slice are meant for each zone; None if its hints can no longer stay."""
    found: dict[str, int] = {}
    for endpoint in piece.get("endpoints") or ():
        if not _ready(endpoint):
            continue
        zones = [z["name"] for z in (endpoint.get("hints") or {}).get("forZones") or ()]
        if not zones or any(zone not in shares for zone in zones):
            return None
        for zone in zones:
            found[zone] = found.get(zone, 0) + 1
    fits = all(count + given.get(zone, 0) <= shares[zone].maximum for zone, count in found.items())
    return found if fits else None


def _transfers(shares: dict[str, Share], given: dict[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """(how many endpoints each zone gives away, how many each gets)."""
    over = {z: given.get(z, 0) - s.desired for z, s in shares.items() if given.get(z, 0) > s.desired}
    under = {z: s.desired - given.get(z, 0) for z, s in shares.items() if given.get(z, 0) < s.desired}
    giving: dict[str, int] = {}
    receiving: dict[str, int] = {}
    while over and under:
        giver, taker = max(over, key=lambda z: over[z]), max(under, key=lambda z: under[z])
        if min(over[giver], under[taker]) < 0.5 or max(over[giver], under[taker]) < 1.0:
            break
        giving[giver], receiving[taker] = giving.get(giver, 0) + 1, receiving.get(taker, 0) + 1
        over[giver] -= 1
        under[taker] -= 1
    return giving, receiving
