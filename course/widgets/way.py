"""The way of a request as steps, from the apiserver's audit log: who wrote what, and what news set whom to work.

The log says what every component asked of the apiserver. What it cannot say is why: each component's watch. That is
put in between from what a component is known to watch (`WATCHES`): its first request after such a write follows
from it.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

API, ETCD, KUBECTL = "kube-apiserver", "etcd", "kubectl"
WRITES = {"create", "update", "patch", "delete"}
NOISE = {"events", "leases", "nodes/status"}
"""Written all the time, by everybody, and not part of any request's way."""

WATCHES = {
    "deployment controller": ("deployments", "replicasets"),
    "replicaset controller": ("replicasets", "pods"),
    "replication controller": ("replicationcontrollers", "pods"),
    "endpointslice controller": ("services", "pods"),
    "endpoint controller": ("services", "pods"),
    "kube-scheduler": ("pods",),
    "kubelet": ("pods",),
}
ORDER = [KUBECTL, API, ETCD, *WATCHES]

Step = dict[str, Any]


def steps(audit: Iterable[dict[str, Any]]) -> tuple[list[str], list[Step]]:
    """(actors from left to right, steps) for audit events, oldest first."""
    found: list[Step] = []
    news: list[tuple[str, str]] = []  # (resource, what was written), newest last
    told: set[tuple[str, str]] = set()
    start: float | None = None
    for event in audit:
        reference = event["objectRef"]
        resource, verb, who = reference["resource"], event["verb"], actor(event)
        if resource in NOISE or not resource or (verb not in WRITES and who != KUBECTL):
            continue
        at = datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()
        start = at if start is None else start
        time = f"+{at - start:.0f} s"

        def step(source: str, target: str, text: str, watch: bool = False, time: str = time) -> None:
            found.append({"from": source, "to": target, "text": text, "time": time, "watch": watch})

        kind = who.split(" worker")[0].split(" cp")[0] if who.startswith("kubelet") else who
        cause = next((n for n in reversed(news) if n[0] in WATCHES.get(kind, ())), None)
        if cause and (who, cause[1]) not in told:
            told.add((who, cause[1]))
            step(API, who, cause[1], watch=True)
        what = f"{resource} {reference['name']}".strip()
        code = event["responseStatus"]["code"]
        step(who, API, f"{verb} {what}" + (f": {code}" if code >= 400 else ""))
        if who == KUBECTL:
            for stage, decision in event.get("trace", []):
                step(API, API, f"{stage}: {decision}")
        if verb in WRITES and code < 400:
            if who == KUBECTL:
                step(API, ETCD, f"write {what}")
            base, _, part = resource.partition("/")
            news.append((base, f"{base} {reference['name']} {_happened(verb, part)}"))
    seen = {step[end] for step in found for end in ("from", "to")}
    return sorted(seen, key=_place), found


def actor(event: dict[str, Any]) -> str:
    """Who sent a request, as a lesson calls it."""
    user = str(event["user"]["username"])
    if event.get("userAgent", "").startswith("kubectl"):
        return KUBECTL
    if user.startswith("system:serviceaccount:kube-system:"):
        return user.rsplit(":", 1)[1].replace("-controller", " controller")
    if user.startswith("system:node:"):
        return f"kubelet {user.rsplit(':', 1)[1]}"
    return user.removeprefix("system:") or "somebody"


def _happened(verb: str, subresource: str) -> str:
    if subresource == "binding":
        return "has a node"
    return {"create": "is new", "delete": "is to go"}.get(verb if not subresource else "", "changed")


def _place(name: str) -> tuple[int, str]:
    kind = "kubelet" if name.startswith("kubelet") else name
    return (ORDER.index(kind) if kind in ORDER else len(ORDER), name)
