"""The stages of a request in kube-apiserver: who are you, may you, is it right, and what was written.

Read from the audit log's trace, which has a line for each stage that decided. A refusal leaves no line: it happened in
the stage after the last one that has one. Left out: what admission plugins decided one by one.
"""

from collections.abc import Iterable
from typing import Any

from course.widgets.pictures import WIDTH, _count, _cut, _rect, _svg, _text
from course.widgets.player import Pages

Row = dict[str, Any]

STAGES = (
    ("authentication", "who are you?"),
    ("authorization", "may you?"),
    ("decoding", "can I read it?"),
    ("admission", "house rules, defaults"),
    ("validation", "is it right?"),
    ("etcd", "what was written"),
)
_READS = {"get", "list", "watch"}
_ROW, _BOX = 96, WIDTH / len(STAGES)


def rows(audit: Iterable[dict[str, Any]]) -> list[Row]:
    """{request, code, message, stages: [(stage, "passed" | "refused" | "not reached" | "not needed", decision)]}."""
    return [_row(event) for event in audit if _outside(event)]


def picture(found: list[Row], position: int | None = None) -> str:
    """A line of stages for each request; at a position only those up to it."""
    shown = found if position is None else found[: position + 1]
    parts = []
    for number, row in enumerate(shown):
        top = 8 + number * _ROW
        parts.append(_text(8, top + 14, _cut(f"{row['request']}: {row['code']}", WIDTH - 16), "head"))
        for place, (stage, state, decision) in enumerate(row["stages"]):
            left = 6 + place * _BOX
            kind, stroke = _LOOKS[state]
            parts.append(_rect(left, top + 22, _BOX - 10, 44, f"card {kind}", "#fff", stroke, 6))
            parts.append(_text(left + 8, top + 39, stage, "head" if state == "refused" else ""))
            parts.append(_text(left + 8, top + 57, _cut(decision or state, _BOX - 24), "dim"))
        if row["message"]:
            parts.append(_text(8, top + 82, _cut(row["message"], WIDTH - 16), "dim"))
    return _svg(12 + len(shown) * _ROW, parts, f"the stages of {_count(len(shown), 'request')}")


def text(found: list[Row]) -> str:
    """The same as text."""
    lines = []
    for row in found:
        lines.append(f"{row['request']}: {row['code']}")
        for stage, state, decision in row["stages"]:
            lines.append(f"    {stage:<15} {state}{f': {decision}' if decision else ''}")
        if row["message"]:
            lines.append(f"    {row['message']}")
    return "\n".join(lines)


class StagesView(Pages):
    """Requests and how far each came, a request a page."""

    def __init__(self, title: str, found: list[Row]):
        self.found = found
        super().__init__("the stages of: " + "; ".join(title.strip().splitlines()), len(found))

    def page(self, position: int) -> tuple[str, str, str]:
        caption = f"request {position + 1} of {self.last + 1}" if self.found else "no request"
        return picture(self.found, position), text(self.found[: position + 1]), caption


_LOOKS = {
    "passed": ("good", "#2e7d32"),
    "refused": ("bad", "#c62828"),
    "not reached": ("box", "#b0b4b9"),
    "not needed": ("box", "#b0b4b9"),
}


def _outside(event: dict[str, Any]) -> bool:
    """Not a component of the cluster; what kubectl asks to learn the API (discovery) is left out, too."""
    agent = event.get("userAgent", "")
    path = event.get("requestURI", "")
    learning = path in ("/api", "/apis") or path.startswith("/openapi/")
    return agent.startswith(("kubectl", "curl", "Python")) and not learning


def _row(event: dict[str, Any]) -> Row:
    trace = dict(event["trace"])
    code = event["responseStatus"]["code"]
    ref = event["objectRef"]
    target = f"{ref['resource']} {ref['name']}".strip() if ref["resource"] else event["requestURI"]
    last = max((i for i, (stage, _) in enumerate(STAGES) if stage in trace), default=-1)
    if "defaulting" in trace:  # admission begins with defaults; what it refuses is forbidden
        last = max(last, 3 if code == 422 else 2)
    failed = last + 1 if code >= 400 and last + 1 < len(STAGES) else len(STAGES)
    if code == 404 and event["verb"] == "create":
        failed = 3  # what it belongs to, its namespace, is not there: a plugin of admission says so
    elif (code == 404 and last >= 1) or code == 409:
        failed = len(STAGES) - 1  # the store knows what there is, and in which version
    stages = []
    for number, (stage, _) in enumerate(STAGES):
        if number < failed and (event["verb"] not in _READS or number < 2 or stage == "etcd"):
            state = "passed"
        elif number == failed:
            state = "refused"
        else:
            state = "not needed" if number < failed else "not reached"
        stages.append((stage, state, trace.get(stage, "") if state == "passed" else ""))
    return {
        "request": f"{event['verb']} {target}",
        "code": code,
        "message": event["responseStatus"].get("message", ""),
        "stages": stages,
    }
