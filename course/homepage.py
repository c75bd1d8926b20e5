"""The home page: the chapters in order, and how far a learner is."""

import html
from typing import Any

from course import progress, syllabus
from course.syllabus import Chapter

_LEFT = "text-align:left"


class Home:
    """The table of chapters; shows itself as HTML, and as text where there is none."""

    def __init__(self) -> None:
        self.rows = [(chapter, _state(chapter, progress.load())) for chapter in syllabus.chapters()]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.text(), "text/html": self.html()}

    def text(self) -> str:
        return "\n".join(f"{chapter.id:<28} {state or 'planned'}" for chapter, state in self.rows)

    def html(self) -> str:
        rows, part = [], ""
        for chapter, state in self.rows:
            if chapter.part != part:
                part = chapter.part
                rows.append(f'<tr><th colspan="4" scope="colgroup" style="{_LEFT}">{html.escape(part)}</th></tr>')
            rows.append(_row(chapter, state))
        return (
            '<table aria-label="chapters"><thead><tr><th scope="col"></th>'
            + "".join(f'<th scope="col" style="{_LEFT}">{title}</th>' for title in ("chapter", "open", "so far"))
            + f"</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        )


def home() -> Home:
    """The course's table of contents with progress."""
    return Home()


def _state(chapter: Chapter, done: dict[str, dict[str, progress.Entry]]) -> str:
    """Progress in words; "" for a chapter that is not ready."""
    if not chapter.lesson and not chapter.assignment:
        return ""
    entries = done.get(chapter.id)
    if entries is None:
        return "not begun"
    checked = [task for task in chapter.tasks if not task.by_hand]
    passed = sum(entries[task.id].passed for task in checked if task.id in entries)
    points = sum(entries[task.id].score for task in checked if task.id in entries and task.points)
    total = sum(task.points for task in checked)
    return f"{passed} of {len(checked)} tasks" + (f", {points:g} of {total:g} points" if total else "")


def _row(chapter: Chapter, state: str) -> str:
    number = chapter.id.split("-")[0]
    links = []
    if chapter.lesson:
        links.append(f'<a href="{chapter.id}.ipynb">lesson</a>')
    if chapter.assignment:
        links.append(f'<a href="exercises/{chapter.id}.ipynb">exercises</a>')
    dim = "" if links else ' style="opacity:.6"'
    title = f"<strong>{html.escape(chapter.title)}</strong>: {html.escape(chapter.about)}"
    return (
        f'<tr{dim}><td>{number}</td><td style="{_LEFT}">{title}</td>'
        f'<td style="{_LEFT}">{" · ".join(links) or "planned"}</td><td style="{_LEFT}">{state}</td></tr>'
    )
