"""Assignments from source to feedback: what `course grade` and its sisters do.

Submissions are judged from outside the kernel they run in (court.py, judge.py), in a sandbox (sandbox.py); marks,
comments and feedback stand in nbgrader's gradebook (gradebook.py), so everything here can be mixed with
`nbgrader ...` and the formgrader, whose autograding goes the same way (converter.py).
"""

import contextlib
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course import environment
from course.grading.verdict import Result, Verdict

if TYPE_CHECKING:
    from course.grading.court import Bench
    from course.grading.report import Summary
    from course.grading.sandbox import Limits


class GradingError(Exception):
    """A step that nbgrader could not do; the message ends with its log."""


def api() -> Any:
    """nbgrader's API, configured by nbgrader_config.py."""
    from nbgrader.apps import NbGraderAPI  # noqa: PLC0415  # takes 3 s to load
    from traitlets.config.loader import PyFileConfigLoader  # noqa: PLC0415

    os.environ.update(environment.variables())
    warnings.filterwarnings("ignore", module=r"nbgrader\.")  # nbgrader's own, about its own queries
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


def submitted(assignment: str) -> list[str]:
    """Who has submitted an assignment."""
    return sorted(api().get_submitted_students(assignment))


def grade(
    assignment: str,
    students: Iterable[str] | None = None,
    *,
    workers: int = 2,
    trust: bool = False,
    again: bool = False,
    limits: "Limits | None" = None,
    court: "Bench | None" = None,
) -> Iterator[Result]:
    """Judge submissions, everybody's unless students are named; yields each as it is done and in the gradebook.

    What was graded before and has not changed is not run once more, unless `again`. `trust` runs learners' code
    without a sandbox. `court` judges elsewhere than on this machine. GradingError if there is nothing to grade with.
    """
    from course.grading.court import Court, NoSandbox  # noqa: PLC0415  # the judge's modules, and nbgrader below
    from course.grading.gradebook import Ledger  # noqa: PLC0415
    from course.grading.intake import SourceError, Submission, sources, take_in  # noqa: PLC0415
    from course.grading.sandbox import DEFAULT  # noqa: PLC0415

    nbgrader = api()
    everybody = sorted(nbgrader.get_submitted_students(assignment))
    wanted = everybody if students is None else list(students)
    if unknown := [student for student in wanted if student not in everybody]:
        raise GradingError(f"{', '.join(unknown)} has not submitted {assignment}.")
    folders = nbgrader.coursedir
    try:
        source = sources(Path(folders.format_path(folders.source_directory, ".", assignment)).resolve())
        with Ledger(nbgrader, assignment) as ledger:

            def submissions() -> Iterator[Submission]:
                for student in waiting:
                    yield taken(student)

            def taken(student: str) -> Submission:
                place = Path(folders.format_path(folders.submitted_directory, student, assignment))
                return take_in(place, assignment, student, source)

            waiting = []
            for student in wanted:
                before = None if again else ledger.known(taken(student))
                if before is None:
                    waiting.append(student)
                else:
                    yield before
            if not waiting:
                return
            with court or Court(assignment, workers=workers, limits=limits or DEFAULT, trust=trust) as bench:
                for submission, verdict in bench.judge_all(submissions()):
                    yield ledger.record(submission, verdict)
    except (SourceError, NoSandbox) as error:
        raise GradingError(str(error)) from None


def verdicts(assignment: str) -> list[Verdict]:
    """What the judge has found so far in each submission of an assignment; for reports."""
    from course.grading.gradebook import read  # noqa: PLC0415  # nbgrader takes 3 s to load

    folder = environment.ROOT / "grading" / "judged" / assignment
    return [found for path in sorted(folder.glob("*.json")) if (found := read(path))]


def feedback(assignment: str, *, release: bool = False) -> list[str]:
    """Make the feedback pages; `release` also puts them into the exchange.

    Returns those for whom that cannot be done, because their submission did not come through it. Where no page could
    be made for somebody, the others have theirs before that is said.
    """
    nbgrader = api()
    made = nbgrader.generate_feedback(assignment)
    folders, others = nbgrader.coursedir, []
    for student in sorted(nbgrader.get_submitted_students(assignment)) if release else ():
        folder = Path(folders.format_path(folders.feedback_directory, student, assignment))
        if (folder / "timestamp.txt").is_file():
            _done(nbgrader.release_feedback(assignment, student), f"release feedback for {student}")
        elif any(folder.glob("*.html")):
            others.append(student)
    _done(made, f"feedback for {assignment}")
    return others


def csv(target: Path, form: str = "", assignments: Iterable[str] = (), roster: Path | None = None) -> list[str]:
    """Every mark as CSV, as `nbgrader export` writes it, or in the `form` that "canvas" or "moodle" import.

    Returns the students of whom the roster knows nothing.
    """
    from nbgrader.plugins.export import CsvExportPlugin  # noqa: PLC0415  # takes 3 s to load

    from course.grading import exports  # noqa: PLC0415

    nbgrader = api()
    with nbgrader.gradebook as book:
        if form:
            return exports.write(target, form, book, assignments, roster)
        CsvExportPlugin(to=str(target), assignment=list(assignments)).export(book)
    return []


def class_report(assignment: str) -> "tuple[Summary, Path]":
    """How the class did, with the gradebook's scores; also written to grading/reports/. GradingError before grading."""
    from nbgrader.api import MissingEntry  # noqa: PLC0415

    from course.grading import report as reports  # noqa: PLC0415

    found = []
    nbgrader = api()
    with nbgrader.gradebook as book:
        for verdict in verdicts(assignment):
            with contextlib.suppress(MissingEntry):
                entry = book.find_submission(assignment, verdict.student)
                score = max(entry.score - (entry.late_submission_penalty or 0.0), 0.0)
                found.append(Result(verdict, score, entry.max_score, fresh=False))
    if not found:
        raise GradingError(f"Nothing of {assignment} has been graded. First: course grade {assignment}")
    return reports.write(found, environment.ROOT / "grading" / "reports")


def _done(result: dict[str, Any], what: str) -> None:
    if not result["success"]:
        raise GradingError(f"{what} failed\n{result.get('error') or result.get('log') or ''}")
