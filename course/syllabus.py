"""The one manifest, syllabus.yaml, as objects: chapters in order, their tasks, hints and points.

Nothing else in the course names a title or a number of points; tables and notebooks are generated from here.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Task:
    """Something to do. `by_hand` tasks are read by an instructor; a task without points is practice. `minutes` is the
    time in which somebody who knows does it, 0 where time is no matter."""

    id: str
    title: str
    ask: str
    points: float
    hints: tuple[str, ...]
    by_hand: bool
    minutes: int = 0


@dataclass(frozen=True, slots=True)
class Chapter:
    """One chapter; `lesson` and `assignment` say whether its notebooks are there yet."""

    id: str
    title: str
    about: str
    part: str
    lesson: bool
    assignment: bool
    tasks: tuple[Task, ...]

    @property
    def topic(self) -> str:
        return self.id.split("-", 1)[1]

    def task(self, id: str) -> Task:
        """KeyError if the chapter has no such task."""
        for task in self.tasks:
            if task.id == id:
                return task
        raise KeyError(id)


@cache
def chapters() -> tuple[Chapter, ...]:
    """Every chapter in order."""
    manifest = yaml.safe_load((Path(__file__).parent / "syllabus.yaml").read_text())
    return tuple(_chapter(part["title"], entry) for part in manifest["parts"] for entry in part["chapters"])


def chapter(id: str) -> Chapter:
    """One chapter by its id ("09-pods"). KeyError if there is none."""
    for found in chapters():
        if found.id == id:
            return found
    raise KeyError(id)


def _chapter(part: str, entry: dict[str, Any]) -> Chapter:
    ready = entry.get("ready", [])
    return Chapter(
        id=entry["id"],
        title=entry["title"],
        about=entry["about"],
        part=part,
        lesson="lesson" in ready,
        assignment="assignment" in ready,
        tasks=tuple(
            Task(
                id=task["id"],
                title=task["title"],
                ask=task.get("ask", "").strip(),
                points=float(task.get("points", 0)),
                hints=tuple(task.get("hints", ())),
                by_hand=task.get("graded") == "by hand",
                minutes=task.get("minutes", 0),
            )
            for task in entry.get("tasks", ())
        ),
    )
