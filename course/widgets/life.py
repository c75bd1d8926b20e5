"""One Pod's life as a timeline: its phases, when it was ready, and each container's runs, waits and failed probes.

`story` reads it out of the cluster's history as plain data, `picture` and `text` show it, `LifeView` moves through it.
A container's runs come from the statuses that the kubelet wrote, so they are told in whole seconds. Left out: what
the kubelet did not report, such as more failed probes than its events' limit lets through.
"""

import math
import re
from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from typing import Any

from course.widgets.axis import Axis
from course.widgets.pictures import WIDTH, _count, _cut, _rect, _svg, _text
from course.widgets.player import Pages
from course.widgets.state import elapsed
from k8s_core.history import History, Moment

Story = dict[str, Any]
Span = dict[str, Any]
"""{since, until (None: still), kind (one of LOOKS), text}."""

LEFT, ROW, MARKS = 170, 30, 16
FULL = 5.0
"""Seconds without news that are drawn to scale; what is longer grows by the logarithm, so that 10 s and 300 s fit."""
LOOKS = {
    "waits": ("card wait", "#fff", "#b26a00"),
    "good": ("full good", "#2e7d32", "#2e7d32"),
    "bad": ("card bad", "#fff", "#c62828"),
    "over": ("box", "#f1f3f4", "#b0b4b9"),
}
TOLD = {"Unhealthy": "probe", "Killing": "killed", "Evicted": "evicted", "FailedMount": "no volume", "Failed": "failed"}
"""Events that a container's line is marked with, and the word that stands there."""
SIGN = 8
SIGNS = "✗■"
"""What a mark begins with: something failed, or a container ended."""
_PHASES = {"Pending": "waits", "Running": "good", "Succeeded": "over", "Failed": "bad"}


def story(history: History, name: str, namespace: str) -> Story:
    """The life of the newest Pod of that name. Times are seconds since it was made."""
    changes = list(history.changes(resource="pods", name=name, namespace=namespace))
    uids = [(change.new or change.old or {})["metadata"]["uid"] for change in changes]
    mine = [change for change, uid in zip(changes, uids, strict=True) if uid == uids[-1]]
    if not mine:
        return {"name": name, "rows": [], "marks": [], "moments": []}
    start = mine[0].time
    marks: list[tuple[float, str, str]] = [
        (change.time - start, *told)
        for change in history.changes(resource="events", namespace=namespace)
        if (told := _mark(change, uids[-1]))
    ]
    end = next((change.time - start for change in mine if change.new is None), None)
    rows: list[dict[str, Any]] = [
        {"name": "phase", "spans": _spans(mine, _phase, start, end)},
        {"name": "ready", "spans": _spans(mine, _ready, start, end)},
    ]
    last = next(change.new for change in reversed(mine) if change.new)
    for part, statuses in (("initContainers", "initContainerStatuses"), ("containers", "containerStatuses")):
        for container in last["spec"].get(part) or ():
            rows.append({"name": container["name"], "spans": _container(mine, statuses, container["name"], start, end)})
    ends = [(span["until"], row["name"], span["end"]) for row in rows for span in row["spans"] if "end" in span]
    marks = sorted([*marks, *ends], key=lambda mark: mark[0])
    moments = sorted({change.time - start for change in mine} | {time for time, *_ in marks})
    return {"name": name, "rows": rows, "marks": marks, "moments": moments, "restarts": _restarts(last)}


def summary(told: Story, time: float) -> str:
    """What every row says at a time."""
    words = []
    for row in told["rows"]:
        span = _at(row["spans"], time)
        if span:
            words.append(span["text"] if row["name"] in ("phase", "ready") else f"{row['name']}: {span['text']}")
    return ", ".join(words) or "gone"


def picture(told: Story, position: int | None = None) -> str:
    """The timeline up to a position (an index of `moments`), or all of it."""
    moments = told["moments"]
    now = moments[-1 if position is None else position]
    place = Axis(moments, LEFT, WIDTH - LEFT - 40, _squeeze)
    parts: list[str] = []
    top = 12.0
    for row in told["rows"]:
        parts.append(_text(12, top + 17, _cut(row["name"], LEFT - 24), "head"))
        for span in row["spans"]:
            if span["since"] <= now:
                parts += _bar(span, place.until(now), place, top)
        top += ROW
        for sign in SIGNS:  # a line for each kind of mark, so that none hides another
            marks = [(time, words) for time, name, words in told["marks"] if name == row["name"] and words[0] == sign]
            shown = [mark for mark in marks if mark[0] <= now]
            for number, (time, words) in enumerate(shown):
                room = place(shown[number + 1][0]) - place(time) if number + 1 < len(shown) else WIDTH
                if room >= 8 * len(words):
                    parts.append(_text(min(place(time), WIDTH - 7 * len(words) - 4), top + 8, words, "small"))
                elif room > SIGN:
                    parts.append(_text(place(time), top + 8, sign, "small"))
            top += MARKS if marks else 0
        top += 4
    bottom = top + 18
    parts += place.times(now, bottom - 2)
    x = place(now)
    parts.append(f'<line class="call" stroke="#1565c0" x1="{x:.0f}" x2="{x:.0f}" y1="8" y2="{bottom - 14:.0f}"/>')
    parts.append(_text(12, bottom + 18, LEGEND, "dim"))
    return _svg(bottom + 28, parts, f"the life of {told['name']}: {summary(told, now)}")


LEGEND = (
    "bars: solid = running or ready, dashed = waiting, dotted = failed.  ✗ = a probe failed, ■ = the container ended"
)


def text(told: Story, position: int | None = None) -> str:
    """The same as a table, a line a moment."""
    moments = told["moments"] if position is None else told["moments"][: position + 1]
    lines, before = [f"the life of {told['name']}"], ""
    for time in moments:
        line = summary(told, time)
        if line != before:
            lines.append(f"{elapsed(time):>7}  {line}")
        before = line
        lines += [f"{elapsed(when):>7}  {container}: {word}" for when, container, word in told["marks"] if when == time]
    return "\n".join(lines)


class LifeView(Pages):
    """A Pod's life, a moment of change a page."""

    def __init__(self, told: Story):
        self.told = told
        super().__init__(f"the life of {told['name']}", len(told["moments"]))

    def page(self, position: int) -> tuple[str, str, str]:
        told, time = self.told, self.told["moments"][position]
        caption = f"{elapsed(time)}: {summary(told, time)}; {_count(told['restarts'], 'restart')} in all"
        return picture(told, position), text(told, position), caption


def _squeeze(seconds: float) -> float:
    return seconds if seconds <= FULL else FULL * (1 + math.log2(seconds / FULL))


def _phase(pod: dict[str, Any]) -> tuple[str, str]:
    status = pod.get("status", {})
    phase = status.get("phase", "Pending")
    kind = "over" if pod["metadata"].get("deletionTimestamp") else _PHASES.get(phase, "waits")
    if phase == "Pending" and not pod["spec"].get("nodeName"):
        return kind, "Pending, no node"
    return kind, "Terminating" if pod["metadata"].get("deletionTimestamp") else status.get("reason") or phase


def _ready(pod: dict[str, Any]) -> tuple[str, str]:
    conditions = {each["type"]: each["status"] for each in pod.get("status", {}).get("conditions", [])}
    return ("good", "ready") if conditions.get("Ready") == "True" else ("waits", "not ready")


def _spans(changes: list[Moment], say: Any, start: float, end: float | None) -> list[Span]:
    """What `say` tells of each version, as spans of what stayed the same."""
    found: list[Span] = []
    for change in changes:
        if change.new is None:
            continue
        kind, words = say(change.new)
        if found and (found[-1]["kind"], found[-1]["text"]) == (kind, words):
            continue
        if found:
            found[-1]["until"] = change.time - start
        found.append({"since": change.time - start, "until": end, "kind": kind, "text": words})
    return found


def _container(changes: list[Moment], part: str, name: str, start: float, end: float | None) -> list[Span]:
    """A container's runs with the waits between them."""
    runs: dict[str, Span] = {}
    waits: list[tuple[float, str]] = []
    for change in changes:
        statuses = (change.new or {}).get("status", {}).get(part) or ()
        status = next((each for each in statuses if each["name"] == name), None)
        if status is None:
            continue
        for state in (status.get("lastState") or {}, status["state"]):
            for how, facts in state.items():
                if how == "waiting":
                    waits.append((change.time - start, _reason(facts)))
                elif how == "terminated":
                    runs[facts["containerID"]] = _run(facts, start)
                elif status.get("containerID"):
                    runs[status["containerID"]] = _run(facts, start)
    spans = sorted(runs.values(), key=lambda run: float(run["since"]))
    if end is not None and spans and spans[-1]["until"] is None:
        spans[-1]["until"] = end
    gaps = [(waits[0][0] if waits else 0.0, spans[0]["since"] if spans else end)] if waits else []
    gaps += [(one["until"], other["since"]) for one, other in pairwise(spans) if one["until"] is not None]
    if spans and spans[-1]["until"] is not None and waits and waits[-1][0] >= spans[-1]["until"]:
        gaps.append((spans[-1]["until"], end))
    for since, until in gaps:
        said = [words for time, words in waits if since <= time and (until is None or time < until)]
        if said and (until is None or until > since):
            kind = "bad" if re.search("(?i)back-?off|err", said[-1]) else "waits"
            spans.append({"since": since, "until": until, "kind": kind, "text": said[-1]})
    return sorted(spans, key=lambda span: float(span["since"]))


def _run(facts: dict[str, Any], start: float) -> Span:
    since = datetime.fromisoformat(facts["startedAt"]).timestamp() - start
    if "finishedAt" not in facts:
        return {"since": since, "until": None, "kind": "good", "text": "running"}
    until = datetime.fromisoformat(facts["finishedAt"]).timestamp() - start
    reason = "" if facts.get("reason") in ("Completed", "Error") else f" ({facts.get('reason')})"
    end = f"■ exit code {facts['exitCode']}{reason}"
    return {"since": since, "until": until, "kind": "good", "text": "running", "end": end}


def _reason(waiting: dict[str, Any]) -> str:
    """Why a container waits; of a back-off, how long."""
    found = re.match(r"back-off (\S+) restarting", waiting.get("message", ""))
    return f"{found[1]} back-off" if found else str(waiting.get("reason", "waiting"))


def _restarts(pod: dict[str, Any]) -> int:
    return sum(int(status["restartCount"]) for status in pod.get("status", {}).get("containerStatuses", ()))


def _mark(change: Moment, uid: str) -> tuple[str, str] | None:
    """(container, word) of an event that is told."""
    event = change.new or {}
    about = event.get("involvedObject", {})
    word = TOLD.get(event.get("reason", ""))
    if about.get("uid") != uid or not word:
        return None
    found = re.search(r"\{(.+)\}", about.get("fieldPath", ""))
    if word == "probe":
        word = str(event["message"]).split(" failed")[0].lower()
    return (found[1] if found else "phase"), f"{'■' if word == 'killed' else '✗'} {word}"


def _at(spans: Iterable[Span], time: float) -> Span | None:
    return next(
        (
            each
            for each in reversed(list(spans))
            if each["since"] <= time and (each["until"] is None or time < each["until"])
        ),
        None,
    )


def _bar(span: Span, now: float, place: Axis, top: float) -> list[str]:
    end = now if span["until"] is None else min(span["until"], now)
    kind, fill, stroke = LOOKS[span["kind"]]
    left, width = place(span["since"]), max(place(end) - place(span["since"]), 3)
    bar = _rect(left, top, width, ROW - 8, kind, fill, stroke, 3)
    if kind.startswith("full"):
        bar = bar.replace("/>", ' fill-opacity=".35"/>')
    room = width - 8 >= 7 * min(len(span["text"]), 6)  # a shorter stump of a word would say nothing
    return [
        f"<g><title>{_title(span)}</title>{bar}</g>",
        *([_text(left + 6, top + 15, _cut(span["text"], width - 8), "small")] if room else []),
    ]


def _title(span: Span) -> str:
    until = "" if span["until"] is None else f" to {elapsed(span['until'])}"
    return f"{span['text'].replace('&', '&amp;').replace('<', '&lt;')}, from {elapsed(span['since'])}{until}"
