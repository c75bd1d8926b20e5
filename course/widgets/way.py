"""The way of a request as steps, from the apiserver's audit log: who wrote what, and what news set whom to work.

The log says what every component asked of the apiserver. What it cannot say is why: each component's watch. That is
put in between from what a component is known to watch (`WATCHES`): its first request after such a write follows
from it.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

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


class News(NamedTuple):
    """Something that was written, and that others may have waited for."""

    resource: str
    name: str
    writer: str
    text: str


def steps(audit: Iterable[dict[str, Any]]) -> tuple[list[str], list[Step]]:
    """(actors from left to right, steps) for audit events, oldest first.

    Of a component's reports on one object's status only the last is told.
    """
    events = [event for event in audit if _matters(event)]
    last = {_report(event): number for number, event in enumerate(events)}
    found: list[Step] = []
    news: list[News] = []
    told: set[tuple[str, str]] = set()
    for number, event in enumerate(events):
        if _report(event)[1].endswith("/status") and last[_report(event)] != number:
            continue
        who, resource, name = _report(event)
        verb, code = event["verb"], event["responseStatus"]["code"]
        time = f"+{_time(event) - _time(events[0]):.0f} s"

        def step(source: str, target: str, text: str, watch: bool = False, time: str = time) -> None:
            found.append({"from": source, "to": target, "text": text, "time": time, "watch": watch})

        cause = _cause(who, resource, name, news)
        if cause and (who, cause) not in told:
            told.add((who, cause))
            step(API, who, cause, watch=True)
        step(who, API, f"{verb} {resource} {name}".strip() + (f": {code}" if code >= 400 else ""))
        for stage, decision in event.get("trace", []) if who == KUBECTL else ():
            if stage == ETCD:
                step(API, ETCD, decision)
            else:
                step(API, API, f"{stage}: {decision}" if decision else stage)
        if verb in WRITES and code < 400:
            base, _, part = resource.partition("/")
            news.append(News(base, name, who, f"{base} {name} {_happened(verb, part)}"))
    seen = {step[end] for step in found for end in ("from", "to")}
    return sorted(seen, key=_place), found


def _matters(event: dict[str, Any]) -> bool:
    resource = event["objectRef"]["resource"]
    return bool(resource) and resource not in NOISE and (event["verb"] in WRITES or actor(event) == KUBECTL)


def _report(event: dict[str, Any]) -> tuple[str, str, str]:
    return actor(event), event["objectRef"]["resource"], event["objectRef"]["name"]


def _time(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()


def _cause(who: str, resource: str, name: str, news: list[News]) -> str | None:
    """The newest news that `who` watches for, from somebody else, about this object, its owner or what it owns; for a
    controller that makes or deletes a Pod, also about another Pod of the same owner."""
    watched = WATCHES.get("kubelet" if who.startswith("kubelet ") else who, ())
    owner = name.rpartition("-")[0] if resource == "pods" and who.endswith("controller") else ""
    for each in reversed(news):
        related = each.name.startswith(name) or name.startswith(each.name)
        related = related or (bool(owner) and each.resource == resource and each.name.rpartition("-")[0] == owner)
        if each.resource in watched and each.writer != who and related:
            return each.text
    return None


def actor(event: dict[str, Any]) -> str:
    """Who sent a request, as a lesson calls it."""
    user = str(event.get("impersonatedUser", event["user"])["username"])
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
