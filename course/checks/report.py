"""Points and the report a learner reads: every point, and for each that failed what was observed, what was expected,
the command that shows it, and why it matters."""

import html
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from course.checks.look import Look
from course.checks.rules import expectation, show

Points = Iterator["Point"]


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that holds or does not. `worth` is its share of the task; `command` is what shows it."""

    what: str
    passed: bool
    observed: str
    expected: str
    command: str
    worth: float
    why: str


def point(what: str, observed: Any, expected: Any, command: str, *, worth: float = 1.0, why: str = "") -> Point:
    """A point about `observed`; `expected` is a value it must equal, or a Rule. `why` is the message if it fails."""
    rule = expectation(expected)
    return Point(what, rule.holds(observed), show(observed), rule.text, command, worth, why)


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found. Shows itself in a notebook, as text and as HTML.

    `error` is where a learner's own function failed; `notes` say what else should be known about it.
    """

    title: str
    points: tuple[Point, ...]
    total: float
    error: str = ""
    notes: tuple[str, ...] = ()

    @property
    def score(self) -> float:
        """Points earned of `total`, in hundredths."""
        worth = sum(point.worth for point in self.points)
        earned = sum(point.worth for point in self.points if point.passed)
        return round(self.total * earned / worth, 2) if worth else 0.0

    @property
    def passed(self) -> bool:
        return all(point.passed for point in self.points)

    @property
    def failed(self) -> tuple[Point, ...]:
        return tuple(point for point in self.points if not point.passed)

    def __str__(self) -> str:
        lines = [f"{self.title}: {self.score:g} of {self.total:g}"]
        for point in self.points:
            lines.append(f"{'  ok  ' if point.passed else '  --  '}{point.what}")
            if not point.passed:
                lines.append(f"        observed: {_indent(point.observed)}")
                lines.append(f"        expected: {point.expected}")
                if point.why:
                    lines.append(f"        why:      {point.why}")
                lines.append(f"        look:     {point.command}")
        if self.error:
            lines.append(f"{THEIRS}\n{self.error}")
        lines += [f"({note})" for note in self.notes]
        return "\n".join(lines)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self.html()}

    def html(self) -> str:
        """The report as HTML, in JupyterLab's own colours where there are any."""
        rows = "".join(_row(point) for point in self.points)
        colour = _GOOD if self.passed else _BAD
        return (
            f'<div role="group" aria-label="check of {html.escape(self.title)}" '
            f'style="border-left:4px solid {colour};padding:.2em 1em;max-width:60em">'
            f"<p><strong>{html.escape(self.title)}: {self.score:g} of {self.total:g}</strong></p>"
            f'<ul style="list-style:none;padding:0;margin:0">{rows}</ul>{self._more()}</div>'
        )

    def _more(self) -> str:
        error = f"<p>{THEIRS}</p><pre>{html.escape(self.error)}</pre>" if self.error else ""
        return error + "".join(f"<p><em>{html.escape(note)}</em></p>" for note in self.notes)


THEIRS = "Your function ended with an error:"
NO_PAST = "This cluster does not keep its past. What only its history shows was judged by how things are now."

_GOOD, _BAD = "var(--jp-success-color1, #2e7d32)", "var(--jp-error-color1, #c62828)"


def _row(point: Point) -> str:
    mark, colour, word = ("✓", _GOOD, "passed") if point.passed else ("✗", _BAD, "failed")
    text = f'<span style="color:{colour}" aria-label="{word}">{mark}</span> {html.escape(point.what)}'
    if not point.passed:
        facts = [("observed", html.escape(point.observed)), ("expected", html.escape(point.expected))]
        if point.why:
            facts.append(("why", html.escape(point.why)))
        facts.append(("look", f"<code>{html.escape(point.command)}</code>"))
        text += "".join(
            f'<div style="padding-left:1.6em"><em>{name}:</em> <span style="white-space:pre-wrap">{value}</span></div>'
            for name, value in facts
        )
    return f'<li style="margin:.3em 0">{text}</li>'


def _indent(text: str) -> str:
    return text.replace("\n", "\n" + " " * 18)


def run(title: str, check: Callable[..., Points], see: Look, values: Any, total: float) -> Report:
    """Run a check. `total` 0 (practice) counts one point for each thing checked."""
    see.error, see.blind = "", False
    points = tuple(check(see, values))
    notes = (NO_PAST,) if see.blind else ()
    return Report(title, points, total or sum(point.worth for point in points), see.error, notes)
