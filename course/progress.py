"""What a learner has done, in one JSON file under .course/: best points, tries, hints taken, solutions looked at.

Chapters stand in it in the order in which they were visited, so that the home page can say where to go on.
Written whole and moved into place, so that two lessons open at once, or a kernel that is killed, never leave half
a file.
"""

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from course import environment


@dataclass
class Entry:
    """One task of one chapter. `score` and `total` are in points (practice counts points of its check).

    `solution` says that the learner asked for the solution before the task was passed.
    """

    score: float = 0.0
    total: float = 0.0
    tries: int = 0
    hints: int = 0
    solution: bool = False

    @property
    def passed(self) -> bool:
        return self.tries > 0 and self.score >= self.total


def _file() -> Path:
    return environment.home() / "progress.json"


def load() -> dict[str, dict[str, Entry]]:
    """{chapter: {task: Entry}}; empty if there is no file or it cannot be read."""
    try:
        raw = json.loads(_file().read_text())
        return {chapter: {task: Entry(**entry) for task, entry in tasks.items()} for chapter, tasks in raw.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def entry(chapter: str, task: str) -> Entry:
    return load().get(chapter, {}).get(task, Entry())


def visit(chapter: str) -> None:
    """The learner opened this chapter: it stands last from now on."""
    everything = load()
    everything[chapter] = everything.pop(chapter, {})
    _save(everything)


def record(chapter: str, task: str, score: float, total: float) -> Entry:
    """A check was run; the best try counts."""
    everything = load()
    found = everything.setdefault(chapter, {}).setdefault(task, Entry())
    found.tries += 1
    found.score, found.total = max(found.score, score), total
    _save(everything)
    return found


def take_hint(chapter: str, task: str, available: int) -> int:
    """Count one more hint; returns how many have been taken so far (hints are counted, not punished)."""
    everything = load()
    found = everything.setdefault(chapter, {}).setdefault(task, Entry())
    found.hints = min(found.hints + 1, available)
    _save(everything)
    return found.hints


def take_solution(chapter: str, task: str) -> None:
    """The learner has seen the solution. That counts only if the task is not passed yet."""
    everything = load()
    found = everything.setdefault(chapter, {}).setdefault(task, Entry())
    found.solution = found.solution or not found.passed
    _save(everything)


def _save(everything: dict[str, dict[str, Entry]]) -> None:
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    raw = {chapter: {task: asdict(entry) for task, entry in tasks.items()} for chapter, tasks in everything.items()}
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".progress-")
    with os.fdopen(handle, "w") as out:
        json.dump(raw, out, indent=1)
    Path(temporary).replace(file)
