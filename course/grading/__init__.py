"""Assignments from source to feedback, through nbgrader's own API: what `course grade` and its sisters do.

Marks, comments and feedback stand in nbgrader's gradebook, so everything here can be mixed with `nbgrader ...` and
the formgrader. nbgrader runs a learner's code with the rights of whoever grades: grade only whom you trust.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from course import environment
from course.grading.verdict import Mark, Result, Verdict


class GradingError(Exception):
    """A step that nbgrader could not do; the message ends with its log."""


def api() -> Any:
    """nbgrader's API, configured by nbgrader_config.py."""
    from nbgrader.apps import NbGraderAPI  # noqa: PLC0415  # takes 3 s to load
    from traitlets.config.loader import PyFileConfigLoader  # noqa: PLC0415

    os.environ.update(environment.variables())
    config = PyFileConfigLoader("nbgrader_config.py", path=str(environment.ROOT)).load_config()
    return NbGraderAPI(config=config)


def generate(assignment: str) -> None:
    """Make the learners' version, without solutions."""
    _done(api().generate_assignment(assignment), f"generate {assignment}")


def release(assignment: str) -> None:
    """Put the learners' version into the exchange."""
    _done(api().release_assignment(assignment), f"release {assignment}")


def collect(assignment: str) -> None:
    """Take submissions from the exchange."""
    _done(api().collect(assignment), f"collect {assignment}")


def grade(
    assignment: str,
    students: Iterable[str] | None = None,
    *,
    workers: int = 2,
    trust: bool = False,
    again: bool = False,
) -> Iterator[Result]:
    """Run and mark submissions, everybody's unless students are named; yields each as it is done.

    `trust` runs learners' code without a sandbox; `again` grades what has not changed since it was graded, too.
    """
    nbgrader = api()
    for student in students or sorted(nbgrader.get_submitted_students(assignment)):
        _done(nbgrader.autograde(assignment, student), f"grade {student}")
        with nbgrader.gradebook as book:
            submission = book.find_submission(assignment, student)
            marks = tuple(
                Mark(mark.name, mark.name.removeprefix("check-"), mark.auto_score, mark.max_score)
                for notebook in submission.notebooks
                for mark in notebook.grades
            )
            yield Result(Verdict(assignment, student, marks), submission.score, submission.max_score)


def feedback(assignment: str, *, release: bool = False) -> None:
    """Make the feedback pages; `release` also puts them into the exchange."""
    nbgrader = api()
    _done(nbgrader.generate_feedback(assignment), f"feedback for {assignment}")
    if release:
        _done(nbgrader.release_feedback(assignment), f"release feedback for {assignment}")


def csv(target: Path) -> None:
    """Every mark as CSV, as `nbgrader export` writes it."""
    from nbgrader.plugins.export import CsvExportPlugin  # noqa: PLC0415  # takes 3 s to load

    nbgrader = api()
    with nbgrader.gradebook as book:
        CsvExportPlugin(to=str(target)).export(book)


def _done(result: dict[str, Any], what: str) -> None:
    if not result["success"]:
        raise GradingError(f"{what} failed\n{result.get('error') or result.get('log') or ''}")
