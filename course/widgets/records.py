"""The audit log, leafed through: who asked for what, when, and how it ended; a request a position.

What the apiserver does for itself is not there, and of components' requests only those that change something (they
read all the time). Each page shows the last requests up to a moment, and the newest of them in full.
"""

from collections.abc import Iterable
from typing import Any

from course.widgets.pictures import WIDTH, _count, _cut, _rect, _svg, _text
from course.widgets.player import Pages

Event = dict[str, Any]

PAGE = 12
"""Requests on a page."""
_LINE = 20
_COLUMNS = ((8, "when", 66), (76, "who", 214), (292, "verb", 58), (352, "what", 268), (622, "answer", 60))
_READS = ("get", "list", "watch")


def pick(audit: Iterable[Event], *, user: str = "", verb: str = "", resource: str = "") -> list[Event]:
    """The events that a person looks for; each word has to be part of what the event says."""
    found = []
    for event in audit:
        if event["verb"] in _READS and event["user"]["username"].startswith("system:") and not user:
            continue
        if user in who(event) and verb in event["verb"] and resource in event["objectRef"]["resource"]:
            found.append(event)
    return found


def who(event: Event) -> str:
    """Who asked: "ada", or "grace as ada" of a request that grace made in ada's name."""
    asked = str(event["user"]["username"])
    acting = event.get("impersonatedUser")
    return f"{asked} as {acting['username']}" if acting else asked


def target(event: Event) -> str:
    """What a request was about: "pods/web in default", or the path of one that was about no object."""
    ref = event["objectRef"]
    if not ref["resource"]:
        return str(event["requestURI"])
    name = f"{ref['resource']}/{ref['name']}" if ref["name"] else ref["resource"]
    return f"{name} in {ref['namespace']}" if ref["namespace"] else name


def _cells(event: Event) -> tuple[str, ...]:
    when = event["requestReceivedTimestamp"][11:19]
    return when, who(event), event["verb"], target(event), str(event["responseStatus"]["code"])


def picture(found: list[Event], position: int) -> str:
    """The page that ends with a request, and that request's stages below."""
    page = found[max(0, position - PAGE + 1) : position + 1]
    parts = [_text(left, 16, title, "head") for left, title, _ in _COLUMNS]
    for number, event in enumerate(page):
        top = 24 + number * _LINE
        refused = event["responseStatus"]["code"] >= 400
        if number == len(page) - 1:
            parts.append(_rect(4, top, WIDTH - 8, _LINE, "card", "#fff", "#1565c0", 4))
        for (left, _, width), cell in zip(_COLUMNS, _cells(event), strict=True):
            parts.append(_text(left, top + 14, _cut(cell, width), "bad" if refused else ""))
    below = 24 + len(page) * _LINE + 20
    for number, line in enumerate(_about(page[-1]) if page else ["nobody has asked for anything"]):
        parts.append(_text(8, below + number * _LINE, _cut(line, WIDTH - 16), "dim"))
    return _svg(below + 5 * _LINE, parts, f"{_count(len(page), 'request')} of the audit log")


def _about(event: Event) -> list[str]:
    """The newest request of a page, in full."""
    stages = "   ".join(f"{stage}: {said}" if said else stage for stage, said in event["trace"])
    lines = [f"from {event['userAgent'] or 'nobody who says a name'}", event["requestURI"], stages]
    return [line for line in (*lines, event["responseStatus"].get("message", "")) if line]


def text(found: list[Event], position: int) -> str:
    """The same page as text."""
    page = found[max(0, position - PAGE + 1) : position + 1]
    rows = [tuple(title for _, title, _ in _COLUMNS), *map(_cells, page)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


class AuditView(Pages):
    """The audit log with a slider; as text, its last page."""

    def __init__(self, found: list[Event]):
        self.found = found
        super().__init__("the audit log", len(found))

    def page(self, position: int) -> tuple[str, str, str]:
        caption = f"request {position + 1} of {self.last + 1}" if self.found else "no request"
        return picture(self.found, position), text(self.found, position), caption
