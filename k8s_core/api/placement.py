"""Which node a Pod may be on, as far as its spec and the node say it: taints, selectors and affinity, host ports.

Scheduler, controllers and kubelets ask the same questions and must get the same answers.
Stands for component-helpers/scheduling/corev1.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from k8s_core.api import Object

Port = tuple[str, str, int]
"""Address, protocol and number of a host port."""


# --- taints and tolerations -----------------------------------------------------------------------------------------
def tolerates(toleration: Object, taint: Object) -> bool:
    """Toleration.ToleratesTaint."""
    effect, key = toleration.get("effect"), toleration.get("key")
    if (effect and effect != taint.get("effect")) or (key and key != taint.get("key")):
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    have, want = taint.get("value") or "", toleration.get("value") or ""
    if operator == "Equal":
        return bool(have == want)
    return OPERATORS[operator](have, [want])


def untolerated(taints: Iterable[Object], tolerations: Iterable[Object], effects: Sequence[str]) -> Object | None:
    """The first taint with one of these effects that no toleration bears."""
    for taint in taints:
        if taint.get("effect") in effects and not any(tolerates(each, taint) for each in tolerations):
            return taint
    return None


# --- labels ---------------------------------------------------------------------------------------------------------
def _compares(have: str | None, values: Sequence[str], test: Callable[[int, int], bool]) -> bool:
    try:
        return have is not None and test(int(have), int(values[0]))
    except (ValueError, IndexError):
        return False


OPERATORS: dict[str, Callable[[str | None, Sequence[str]], bool]] = {
    "In": lambda have, values: have is not None and have in values,
    "NotIn": lambda have, values: have is None or have not in values,
    "Exists": lambda have, values: have is not None,
    "DoesNotExist": lambda have, values: have is None,
    "Gt": lambda have, values: _compares(have, values, lambda a, b: a > b),
    "Lt": lambda have, values: _compares(have, values, lambda a, b: a < b),
}


def term_matches(term: Object, labels: dict[str, str], name: str) -> bool:
    """A NodeSelectorTerm: all its expressions hold. An empty term matches no node."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    return all(OPERATORS[e["operator"]](labels.get(e["key"]), e.get("values") or ()) for e in expressions) and all(
        OPERATORS[e["operator"]](name if e["key"] == "metadata.name" else None, e.get("values") or ()) for e in fields
    )


def selects(required: Object | None, labels: dict[str, str], name: str) -> bool:
    """A NodeSelector: one of its terms holds."""
    return required is None or any(term_matches(term, labels, name) for term in required.get("nodeSelectorTerms") or ())


def suits(spec: Object, labels: dict[str, str], name: str) -> bool:
    """Whether a node suits a Pod's nodeSelector and required node affinity (RequiredNodeAffinity.Match)."""
    selector = spec.get("nodeSelector")
    if selector and any(labels.get(key) != value for key, value in selector.items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    return selects(affinity.get("requiredDuringSchedulingIgnoredDuringExecution"), labels, name)


# --- host ports -----------------------------------------------------------------------------------------------------
def host_ports(spec: Object) -> Iterator[Port]:
    """The ports of its node that a Pod takes."""
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    for container in spec["containers"] + sidecars:
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                yield port.get("hostIP") or "0.0.0.0", port.get("protocol", "TCP"), port["hostPort"]


def collide(some: Iterable[Port], others: Iterable[Port]) -> bool:
    """Whether both want a port of the same address."""
    others = list(others)
    return any(a[1:] == b[1:] and (a[0] == b[0] or "0.0.0.0" in (a[0], b[0])) for a in some for b in others)
