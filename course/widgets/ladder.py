"""How far a Deployment has come: a ladder from the wish to the endpoint, with who takes each step, what is there now,
and the command that shows it. The first rung that is not reached is where to ask.

`story` reads the ladder's states out of the cluster's history. Left out: names and packets, which lab.lookup and
lab.packet show.
"""

from collections.abc import Iterable, Mapping
from textwrap import wrap
from typing import Any

from course.widgets.pictures import WIDTH, _count, _cut, _rect, _svg, _text
from course.widgets.player import Player
from course.widgets.state import elapsed
from k8s_core.history import History

Object = dict[str, Any]
Rung = dict[str, str]
"""{what, who, state: "good" | "bad" | "wait" | "none", found, look}."""

_EVENTS = "events.events.k8s.io"
_KINDS = ("deployments.apps", "replicasets.apps", "pods", "services", "endpointslices.discovery.k8s.io", _EVENTS)
_MARKS = {"good": "✓", "bad": "✗", "wait": "…", "none": "–"}
_COLOURS = {"good": "#2e7d32", "bad": "#c62828", "wait": "#b26a00", "none": "#b0b4b9"}
_ROW, _LINE = 44, 16
_LETTERS, _LINES = 100, 5
"""As much of what is said as is shown: letters a line, lines."""


def story(history: History, name: str, namespace: str, start: float) -> list[tuple[float, list[Rung]]]:
    """(seconds since `start`, rungs) each time that a rung of the Deployment's ladder changed."""
    there: dict[str, dict[str, Object]] = {kind: {} for kind in _KINDS}
    moments: list[tuple[float, list[Rung]]] = []
    for change in history.changes(namespace=namespace):
        if change.resource not in there:
            continue
        if change.new:
            there[change.resource][change.new["metadata"]["name"]] = change.new
        elif change.old:
            there[change.resource].pop(change.old["metadata"]["name"], None)
        if name in there["deployments.apps"]:
            found = rungs({kind: list(objects.values()) for kind, objects in there.items()}, name, namespace)
            if not moments or moments[-1][1] != found:
                moments.append((change.time - start, found))
    return moments


def rungs(there: Mapping[str, list[Object]], name: str, namespace: str = "default") -> list[Rung]:
    """The ladder, from the objects of one namespace, {"pods": [...], ...}."""
    wish = next(each for each in there["deployments.apps"] if each["metadata"]["name"] == name)
    wanted = wish["spec"]["replicas"]
    place = "" if namespace == "default" else f" -n {namespace}"
    sets = [each for each in there["replicasets.apps"] if _owned(each, wish)]
    newest = max(sets, key=_revision, default=None)
    aim = newest["spec"]["replicas"] if newest else wanted  # in a rollout the newest ReplicaSet grows step by step
    old = sum(any(_owned(pod, each) for each in sets if each is not newest) for pod in there["pods"])
    pods = [each for each in there["pods"] if newest and _owned(each, newest) and not _leaving(each)]
    select = ",".join(f"{key}={value}" for key, value in wish["spec"]["selector"].get("matchLabels", {}).items())
    seen = wish.get("status", {}).get("observedGeneration") == wish["metadata"]["generation"]
    say = _Events(there[_EVENTS])
    steps = (
        ("the wish is written down", "kube-apiserver", 1, f"{name} wants {_count(wanted, 'Pod')}", "get deployments"),
        (
            "a ReplicaSet of this wish",
            "deployment controller",
            int(bool(newest) and seen),
            newest["metadata"]["name"] if newest else "none",
            "get replicasets",
        ),
        (
            "its Pods",
            "replicaset controller",
            len(pods) / max(aim, 1),
            f"{len(pods)} of {aim}"
            + (f", and {old} of older wishes" if old else "")
            + (say("FailedCreate", newest) if newest and len(pods) < aim else ""),
            "describe replicasets",
        ),
        ("a node for each", "kube-scheduler", *_share(pods, _placed), "describe pods"),
        ("containers created", "kubelet", *_share(pods, _created), "describe pods"),
        ("their programs run", "the program itself", *_share(pods, _runs), "logs POD --previous"),
        ("they are ready", "kubelet, by its probes", *_share(pods, lambda pod: _ready(pod, say)), "describe pods"),
        ("endpoints of a Service", "endpointslice controller", *_endpoints(there, pods), "get endpointslices"),
    )
    ladder: list[Rung] = []
    reached = True
    for what, who, share, found, look in steps:
        state = "none" if share is None or not reached else "good" if share >= 1 else "bad" if ": " in found else "wait"
        ladder.append(
            {
                "what": what,
                "who": who,
                "state": state,
                "found": found if reached else "",
                "look": f"kubectl {look}{place}" + (f" -l {select}" if look.endswith("pods") and select else ""),
            }
        )
        reached = reached and state in ("good", "none")
    return ladder


class _Events:
    """What was said last about an object, for a reason: ": the message", or nothing."""

    def __init__(self, events: Iterable[Object]):
        self.last = {(each["reason"], each["involvedObject"].get("uid")): each["message"] for each in events}

    def __call__(self, reason: str, about: Object) -> str:
        message = self.last.get((reason, about["metadata"]["uid"]))
        return f": {message}" if message else ""


def _share(pods: list[Object], look: Any) -> tuple[float, str]:
    """(the part of the Pods of which it holds, what is found: of one of which it does not, if there is one)."""
    found = [look(pod) for pod in pods]
    done = [text for holds, text in found if holds]
    open_ = [text for holds, text in found if not holds]
    text = open_[0] if open_ else ", ".join(sorted(set(done)))
    return len(done) / max(len(found), 1), f"{len(done)} of {len(found)}{': ' if text else ''}{text}"


def _placed(pod: Object) -> tuple[bool, str]:
    condition = _condition(pod, "PodScheduled")
    return bool(pod["spec"].get("nodeName")), pod["spec"].get("nodeName") or condition.get("message", "")


def _created(pod: Object) -> tuple[bool, str]:
    statuses = _statuses(pod)
    waiting = next((each["state"]["waiting"] for each in statuses if "waiting" in each.get("state", {})), None)
    if not statuses or (waiting and waiting["reason"] != "CrashLoopBackOff"):
        words = [waiting.get("reason", ""), waiting.get("message", "")] if waiting else []
        return False, ", ".join(word for word in words if word and word != "ContainerCreating")
    return True, ""


def _runs(pod: Object) -> tuple[bool, str]:
    for status in _statuses(pod):
        ended = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated")
        if "running" not in status.get("state", {}) and ended:
            return (
                False,
                f"{ended['reason']}, exit code {ended['exitCode']}, {_count(status['restartCount'], 'restart')}",
            )
    return all("running" in each.get("state", {}) for each in _statuses(pod)), ""


def _ready(pod: Object, say: _Events) -> tuple[bool, str]:
    ready = _condition(pod, "Ready").get("status") == "True"
    return ready, "" if ready else say("Unhealthy", pod).removeprefix(": ")


def _endpoints(there: Mapping[str, list[Object]], pods: list[Object]) -> tuple[float | None, str]:
    """What the Services that select these Pods have of them; None if no Service does."""
    labels = pods[0]["metadata"].get("labels", {}) if pods else {}
    services = [
        each["metadata"]["name"]
        for each in there["services"]
        if each["spec"].get("selector") and each["spec"]["selector"].items() <= labels.items()
    ]
    if not services:
        return None, "no Service selects them"
    names = {pod["metadata"]["name"] for pod in pods}
    ready = [
        (each.get("targetRef") or {}).get("name")
        for part in there["endpointslices.discovery.k8s.io"]
        if part["metadata"].get("labels", {}).get("kubernetes.io/service-name") in services
        for each in part.get("endpoints") or ()
        if each["conditions"].get("ready")
    ]
    ports = sorted(
        {
            str(port["port"])
            for part in there["endpointslices.discovery.k8s.io"]
            if part["metadata"].get("labels", {}).get("kubernetes.io/service-name") in services
            for port in part.get("ports") or ()
        }
    )
    found = len(names.intersection(ready))
    where = f" of {', '.join(services)}" + (f", port {', '.join(ports)}" if ports else "")
    return found / max(len(names), 1), f"{found} of {len(names)}{where}"


def _owned(child: Object, owner: Object) -> bool:
    return any(each["uid"] == owner["metadata"]["uid"] for each in child["metadata"].get("ownerReferences") or ())


def _revision(replica_set: Object) -> int:
    return int(replica_set["metadata"].get("annotations", {}).get("deployment.kubernetes.io/revision", 0))


def _leaving(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"] or pod.get("status", {}).get("phase") in ("Failed", "Succeeded")


def _statuses(pod: Object) -> list[Object]:
    return list(pod.get("status", {}).get("containerStatuses") or ())


def _condition(pod: Object, type: str) -> Object:
    return next((each for each in pod.get("status", {}).get("conditions") or () if each["type"] == type), {})


def picture(ladder: list[Rung], title: str) -> str:
    """A row for each rung, the wish on top; what is said at the rung that is not reached stands there in full."""
    parts, top = [], 8
    for rung in ladder:
        state, stuck = rung["state"], rung["state"] in ("bad", "wait")
        lines = wrap(rung["found"], _LETTERS)[: _LINES if stuck else 1] or [""]
        height = _ROW + _LINE * (len(lines) - 1)
        kind = state if state != "none" else "box"
        parts.append(_rect(8, top, WIDTH - 16, height - 8, f"card {kind}", "#fff", _COLOURS[state], 6))
        parts.append(_text(22, top + 23, _MARKS[state], "head"))
        parts.append(_text(46, top + 16, rung["what"], "head" if stuck else ""))
        parts.append(_text(46, top + 31, rung["who"], "dim"))
        parts += [_text(250, top + 16 + _LINE * number, line) for number, line in enumerate(lines)]
        if rung["found"]:
            parts.append(_text(250, top + height - 13, _cut(rung["look"], WIDTH - 266), "dim"))
        top += height
    return _svg(top, parts, title)


def text(ladder: list[Rung]) -> str:
    """The same as text, a line a rung."""
    return "\n".join(f"{_MARKS[r['state']]} {r['what']} ({r['who']})".ljust(54) + r["found"] for r in ladder)


class LadderView(Player):
    """The ladder now, and back to when the wish was written down."""

    def __init__(self, name: str, moments: list[tuple[float, list[Rung]]]):
        super().__init__(label=f"how far {name} has come")
        self.moments = moments
        self.last = self.position = len(moments) - 1
        self.draw()

    def draw(self) -> None:
        self.position = max(0, min(self.position, self.last))
        time, ladder = self.moments[self.position]
        self.svg, self.text = picture(ladder, self.label), text(ladder)
        stuck = next((rung for rung in ladder if rung["state"] in ("bad", "wait")), None)
        ask = f"{stuck['what']}: not yet. Ask: {stuck['look']}" if stuck else "all the way up"
        self.caption = f"{elapsed(time)}, moment {self.position + 1} of {self.last + 1}: {ask}"
