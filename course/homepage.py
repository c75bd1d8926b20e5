"""The home page: the chapters in order, how far a learner is, and where to go on."""

import html
from typing import Any

from course import progress, syllabus
from course.syllabus import Chapter

_LEFT = "text-align:left"


class Home:
    """The table of chapters; shows itself as HTML, and as text where there is none."""

    def __init__(self) -> None:
        done = progress.load()
        self.rows = [(chapter, _state(chapter, done)) for chapter in syllabus.chapters()]
        self.next = _next(done)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.text(), "text/html": self.html()}

    def text(self) -> str:
        lines = [f"{chapter.id:<28} {state or 'planned'}" for chapter, state in self.rows]
        return "\n".join([*lines, f"go on: {self.next[1]}"] if self.next else lines)

    def html(self) -> str:
        rows, part = [], ""
        for chapter, state in self.rows:
            if chapter.part != part:
                part = chapter.part
                rows.append(f'<tr><th colspan="4" scope="colgroup" style="{_LEFT}">{html.escape(part)}</th></tr>')
            rows.append(_row(chapter, state))
        on = '<p>Go on: <a href="{}">{}</a></p>'.format(*map(html.escape, self.next)) if self.next else ""
        return (
            f'{on}<table aria-label="chapters"><thead><tr><th scope="col"></th>'
            + "".join(f'<th scope="col" style="{_LEFT}">{title}</th>' for title in ("chapter", "open", "so far"))
            + f"</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        )


def home() -> Home:
    """The course's table of contents with progress."""
    return Home()


def so_far(chapter: Chapter) -> str:
    """What a lab says when it starts: how far its chapter is, and what comes next; "" at the first time."""
    done = progress.load()
    if not any(entry.tries or entry.hints for entry in done.get(chapter.id, {}).values()):
        return ""
    rest = [task for task in chapter.tasks if not task.by_hand and task.id not in _passed(chapter, done)]
    return f"So far: {_state(chapter, done)}." + (f' Go on with lab.task("{rest[0].id}").' if rest else "")


def _passed(chapter: Chapter, done: dict[str, dict[str, progress.Entry]]) -> set[str]:
    return {id for id, entry in done.get(chapter.id, {}).items() if entry.passed}


def _next(done: dict[str, dict[str, progress.Entry]]) -> tuple[str, str] | None:
    """(notebook, words) for the first task that is not passed in the chapter opened last, or for the next chapter."""
    ready = [chapter for chapter in syllabus.chapters() if chapter.lesson or chapter.assignment]
    at = next((number for number, chapter in enumerate(ready) if chapter.id == next(reversed(done), "")), None)
    for chapter in ready[at:] if at is not None else ():
        if chapter.id not in done:
            return f"{chapter.id}.ipynb", f"{chapter.title}, the lesson"
        for task in chapter.tasks:
            if not task.by_hand and task.id not in _passed(chapter, done):
                notebook = f"exercises/{chapter.id}.ipynb" if task.points else f"{chapter.id}.ipynb"
                return notebook, f"{chapter.title}, {task.title}"
    return None


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
    shown = sum(entries[task.id].solution for task in checked if task.id in entries)
    hints = sum(entries[task.id].hints for task in checked if task.id in entries)
    return (
        f"{passed} of {len(checked)} tasks"
        + (f", {points:g} of {total:g} points" if total else "")
        + (f", {shown} with the solution" if shown else "")
        + (f", {hints} hint{'s' if hints > 1 else ''}" if hints else "")
    )


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
