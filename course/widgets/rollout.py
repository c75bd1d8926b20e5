"""A rolling update as a timeline: each ReplicaSet's Pods over time, and below them what users had of it.

`story` reads it out of the cluster's history as plain data, `picture` and `text` show it, `RolloutView` moves through
it. The capacity is drawn with the two limits that the Deployment's strategy sets: never more Pods than replicas plus
maxSurge, never fewer available than replicas less maxUnavailable. Left out: Pods whose Deployment is gone.
"""

from collections.abc import Iterable
from typing import Any

from course.widgets.axis import Axis
from course.widgets.pictures import WIDTH, _count, _cut, _rect, _svg, _text
from course.widgets.player import Pages
from course.widgets.state import elapsed
from k8s_core.controllers.deployment_util import fenceposts, is_rolling
from k8s_core.history import History, Moment

Story = dict[str, Any]

LEFT, ROW, CHART = 250, 17, 96
IDLE = 8.0
"""Seconds without any news that are drawn in full; a longer wait is drawn as this long."""
BEFORE = 1.0
"""Seconds before its beginning that a rollout's picture shows, too."""


def story(history: History, name: str, namespace: str, start: float, *, everything: bool = False) -> Story:
    """One Deployment's rollout, the last one or all: its limits, ReplicaSets, and Pods with the times of their lives.

    Times are seconds since `start`. A Pod has `born`, `ready` (intervals), `stopping` and `gone`, None if not yet.
    """
    limits = _limits(history.changes(resource="deployments.apps", name=name, namespace=namespace))
    sets: dict[str, dict[str, Any]] = {}
    for change in history.changes(resource="replicasets.apps", namespace=namespace):
        obj = change.new or {}
        if _owner(obj) == name:
            found = sets.setdefault(obj["metadata"]["uid"], {"name": obj["metadata"]["name"], "revision": "?"})
            found["revision"] = obj["metadata"].get("annotations", {}).get("deployment.kubernetes.io/revision", "?")
            found["images"] = ", ".join(c["image"] for c in obj["spec"]["template"]["spec"]["containers"])
    pods: dict[str, dict[str, Any]] = {}
    for change in history.changes(resource="pods", namespace=namespace):
        obj = change.new or change.old or {}
        owner = next(iter(obj["metadata"].get("ownerReferences") or []), {"uid": ""})["uid"]
        if owner in sets:
            fresh = {"name": obj["metadata"]["name"], "set": owner, "ready": [], "stopping": None, "gone": None}
            _live(pods.setdefault(obj["metadata"]["uid"], fresh), change)
    begin = 0.0 if everything or not limits else max(time for time, template, *_ in limits if template)
    kept = [pod for pod in pods.values() if pod["gone"] is None or pod["gone"] >= begin]
    for pod in kept:
        pod["ready"] = [(since - start, until and until - start) for since, until in pod["ready"]]
        for key in ("born", "stopping", "gone"):
            pod[key] = pod[key] and pod[key] - start
    begin = max(begin - start, 0.0)
    first = max(begin - BEFORE, 0.0)
    moments = sorted({t for pod in kept for t in _times(pod) if t >= first} | {begin, first})
    return {
        "name": name,
        "sets": [{"uid": uid, **found} for uid, found in sets.items() if any(p["set"] == uid for p in kept)],
        "pods": kept,
        "limits": [(time - start, most, least, replicas) for time, _, replicas, most, least in limits],
        "begin": begin,
        "moments": moments,
    }


def counts(told: Story, time: float) -> tuple[dict[str, tuple[int, int]], int, int]:
    """({ReplicaSet's uid: (Pods, ready Pods)}, all Pods, all that are ready) at a time. A stopping Pod is not counted:
    it gets no new requests."""
    found = {each["uid"]: (0, 0) for each in told["sets"]}
    for pod in told["pods"]:
        if pod["born"] <= time and not (pod["stopping"] is not None and pod["stopping"] <= time):
            pods, ready = found[pod["set"]]
            found[pod["set"]] = (pods + 1, ready + _is_ready(pod, time))
    return found, sum(pods for pods, _ in found.values()), sum(ready for _, ready in found.values())


def limits_at(told: Story, time: float) -> tuple[int, int, int]:
    """(most Pods, fewest available, replicas) that the Deployment allowed at a time."""
    found = (0, 0, 0)
    for since, *limits in told["limits"]:
        if since <= time:
            found = (limits[0], limits[1], limits[2])
    return found


def picture(told: Story, position: int | None = None) -> str:
    """The timeline up to a position (an index of `moments`), or all of it."""
    moments = told["moments"]
    now = moments[-1 if position is None else position]
    place = Axis(moments, LEFT + 20, WIDTH - LEFT - 60, lambda seconds: min(seconds, IDLE))
    parts: list[str] = []
    top = 10.0
    for each in told["sets"]:
        parts.append(_text(10, top + 14, _cut(f"revision {each['revision']}: {each['images']}", WIDTH - 20), "head"))
        top += 22
        for pod in told["pods"]:
            if pod["set"] == each["uid"] and pod["born"] <= now:
                parts.append(_text(20, top + 12, _cut(pod["name"], LEFT - 40), "dim"))
                parts += _bars(pod, place.until(now), place, top + 2)
                top += ROW
        top += 6
    parts += _chart(told, now, place, top + 8)
    bottom = top + 8 + CHART + 26
    x = place(now)
    parts.append(f'<line class="call" stroke="#1565c0" x1="{x:.0f}" x2="{x:.0f}" y1="8" y2="{bottom - 18:.0f}"/>')
    parts.append(_text(10, bottom + 4, LEGEND, "dim"))
    return _svg(bottom + 14, parts, f"rollout of {told['name']}: {summary(told, now)}")


LEGEND = "bars: dashed = not ready yet, solid = ready, dotted = stopping.  below: filled = ready Pods, line = all Pods"


def summary(told: Story, time: float) -> str:
    """One sentence about a moment."""
    _, pods, ready = counts(told, time)
    most, least, replicas = limits_at(told, time)
    return f"{_count(pods, 'Pod')}, {ready} ready; wished {replicas}, at most {most} Pods, at least {least} available"


def text(told: Story, position: int | None = None) -> str:
    """The same as a table, a line a moment."""
    lines = [f"rollout of {told['name']}: Pods/ready of each revision, then all together"]
    names = [f"rev {each['revision']} ({each['images']})" for each in told["sets"]]
    lines.append("   time  " + "  ".join(names) + "  all")
    moments = told["moments"] if position is None else told["moments"][: position + 1]
    before = ""
    for time in moments:
        each, pods, ready = counts(told, time)
        columns = [f"{n}/{r}".ljust(len(name)) for name, (n, r) in zip(names, each.values(), strict=True)]
        line = "  ".join([*columns, f"{pods}/{ready}"])
        if line != before:
            lines.append(f"{elapsed(time):>7}  {line}")
        before = line
    since = [counts(told, time) for time in moments if time >= told["begin"]]
    lowest, highest = min((each[2] for each in since), default=0), max((each[1] for each in since), default=0)
    most, least, _ = limits_at(told, moments[-1] if moments else 0.0)
    lines.append(f"most Pods at a time: {highest} (allowed {most}); fewest ready: {lowest} (allowed {least})")
    return "\n".join(lines)


class RolloutView(Pages):
    """A rollout's timeline, a moment of change a page."""

    def __init__(self, told: Story):
        self.told = told
        super().__init__(f"the rollout of {told['name']}", len(told["moments"]))

    def page(self, position: int) -> tuple[str, str, str]:
        told, time = self.told, self.told["moments"][position]
        return picture(told, position), text(told, position), f"{elapsed(time)}: {summary(told, time)}"


def _limits(changes: Iterable[Moment]) -> list[tuple[float, bool, int, int, int]]:
    """(time, whether the template is new, replicas, most Pods, fewest available) at each change of the Deployment."""
    found = []
    for change in changes:
        if change.new is None or (change.old and change.old["spec"] == change.new["spec"]):
            continue
        spec = change.new["spec"]
        fresh = not change.old or change.old["spec"]["template"] != spec["template"]
        replicas = spec["replicas"]
        surge, missing = fenceposts(change.new) if is_rolling(change.new) else (0, replicas)
        found.append((change.time, fresh, replicas, replicas + surge, replicas - missing))
    return found


def _live(pod: dict[str, Any], change: Moment) -> None:
    """Take one change of a Pod into the times of its life."""
    pod.setdefault("born", change.time)
    conditions = (change.new or {}).get("status", {}).get("conditions", [])
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    if ready and (not pod["ready"] or pod["ready"][-1][1] is not None):
        pod["ready"].append((change.time, None))
    elif not ready and pod["ready"] and pod["ready"][-1][1] is None:
        pod["ready"][-1] = (pod["ready"][-1][0], change.time)
    if change.new and change.new["metadata"].get("deletionTimestamp") and pod["stopping"] is None:
        pod["stopping"] = change.time
    if change.new is None:
        pod["gone"] = change.time
        pod["stopping"] = change.time if pod["stopping"] is None else pod["stopping"]


def _owner(obj: dict[str, Any]) -> str:
    owners = obj.get("metadata", {}).get("ownerReferences") or []
    return next((each["name"] for each in owners if each["kind"] == "Deployment"), "")


def _times(pod: dict[str, Any]) -> list[float]:
    known = [pod["born"], pod["stopping"], pod["gone"], *(t for interval in pod["ready"] for t in interval)]
    return [time for time in known if time is not None]


def _is_ready(pod: dict[str, Any], time: float) -> bool:
    return any(since <= time and (until is None or time < until) for since, until in pod["ready"])


def _bars(pod: dict[str, Any], now: float, place: Axis, top: float) -> list[str]:
    """A Pod's life as bars: not ready, ready, stopping."""
    end = now if pod["gone"] is None else min(pod["gone"], now)
    stop = end if pod["stopping"] is None else min(pod["stopping"], end)
    cuts: list[tuple[float, float, str, str, str]] = []
    waits = pod["born"]
    for since, until in [*pod["ready"], (stop, stop)]:
        cuts.append((waits, min(since, stop), "card wait", "#fff", "#b26a00"))
        waits = stop if until is None else min(until, stop)
        cuts.append((since, waits, "full good", "#2e7d32", "#2e7d32"))
    cuts.append((stop, end, "card bad", "#fff", "#c62828"))
    return [
        _rect(place(a), top, max(place(b) - place(a), 3), ROW - 5, kind, fill, stroke, 3).replace(
            "/>", ' fill-opacity=".75"/>' if kind.startswith("full") else "/>"
        )
        for a, b, kind, fill, stroke in cuts
        if a <= now and b > a and place(b) > place.left
    ]


def _chart(told: Story, now: float, place: Axis, top: float) -> list[str]:
    """Ready Pods as an area, all Pods as a line, and the two limits."""
    moments = [time for time in told["moments"] if time <= now]
    totals = [counts(told, time)[1:] for time in moments]
    limits = [limits_at(told, time) for time in moments]
    highest = max([1, *(pods for pods, _ in totals), *(most for most, _, _ in limits)])

    def y(value: float) -> float:
        return top + CHART - CHART * value / (highest + 0.5)

    def steps(values: list[int]) -> str:
        points = [f"M{place(moments[0]):.1f},{y(values[0]):.1f}"]
        for time, value in zip(moments[1:], values[1:], strict=True):
            points.append(f"H{place(time):.1f}V{y(value):.1f}")
        return "".join([*points, f"H{place(place.until(now)):.1f}"])

    ready = [r for _, r in totals]
    area = f"{steps(ready)}V{y(0):.1f}H{place(moments[0]):.1f}Z"
    most, least, _ = limits[-1]
    parts = [
        f'<path class="full good" fill="#2e7d32" fill-opacity=".3" stroke="#2e7d32" d="{area}"/>',
        f'<path class="call" fill="none" stroke="#1565c0" stroke-width="2" d="{steps([p for p, _ in totals])}"/>',
        f'<path class="wire" fill="none" stroke="#b0b4b9" d="M{LEFT + 20},{y(0):.1f}H{WIDTH - 30}"/>',
    ]
    for words, index, value in (("at most", 0, most), ("at least", 1, least)):
        line = steps([each[index] for each in limits])
        parts.append(f'<path class="watch" fill="none" stroke="#5f6368" stroke-dasharray="4 3" d="{line}"/>')
        parts.append(_text(LEFT + 10, y(value) + 4, f"{words} {value}", "dim", "end"))
    parts.append(_text(20, y(0) - CHART / 2, f"now {totals[-1][0]} Pods, {ready[-1]} ready", "head"))
    return parts + place.times(now, top + CHART + 16)
