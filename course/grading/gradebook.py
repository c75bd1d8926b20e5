"""Verdicts on their way into nbgrader's gradebook, and the record of what has been graded.

Marks, comments and late penalties of one submission are written in one transaction, through nbgrader's own models, so
that the formgrader, feedback and exports know them as if nbgrader had graded. A record beside (`grading/judged/`)
is written last. Killed at any moment and started again, grading finds either the record, and passes on, or none, and
writes the same rows once more: nothing is lost or doubled. A mark that an instructor gave stays, as nbgrader has it.
"""

import json
import warnings
from pathlib import Path
from typing import Any

import nbformat
from nbgrader import utils
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.preprocessors import AssignLatePenalties
from sqlalchemy.exc import SAWarning

from course.grading.intake import SourceError, Submission
from course.grading.verdict import Result, Verdict


class Ledger:
    """The gradebook of one assignment, open; a context manager. One thread."""

    def __init__(self, nbgrader: Any, assignment: str):
        self.folders, self.assignment = nbgrader.coursedir, assignment
        self.judged = Path(self.folders.root, "grading", "judged", assignment)
        self.book = Gradebook(self.folders.db_url, self.folders.course_id)
        self._late = AssignLatePenalties(parent=nbgrader)
        self._late.init_plugin()
        try:
            found = self.book.find_assignment(assignment)
        except MissingEntry:
            self.close()
            raise SourceError(
                f"The gradebook does not know {assignment}. First: course generate {assignment}"
            ) from None
        self._most = {cell.name: cell.max_score for each in found.notebooks for cell in each.grade_cells}
        self._checksums = {
            (each.name, cell.name): cell.checksum for each in found.notebooks for cell in each.source_cells
        }

    def close(self) -> None:
        self.book.close()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- what was graded before -----------------------------------------------------------------------------
    def known(self, submission: Submission) -> Result | None:
        """What this same submission got when it was graded, if it was and all of it is still there."""
        verdict = read(self.judged / f"{submission.student}.json")
        if verdict is None or verdict.digest != submission.digest:
            return None
        if not all(
            (self.target(submission.student) / f"{each}.ipynb").exists() for each in self._notebooks(submission)
        ):
            return None
        try:
            return self._result(verdict, fresh=False)
        except MissingEntry:
            return None

    def target(self, student: str) -> Path:
        """Where nbgrader has a graded submission."""
        return Path(self.folders.format_path(self.folders.autograded_directory, student, self.assignment))

    # --- writing --------------------------------------------------------------------------------------------
    def record(self, submission: Submission, verdict: Verdict) -> Result:
        """Everything: the notebooks as they were run, the marks, the record."""
        self._forget(verdict.student)
        self._write(submission, verdict)
        return self.mark(submission, verdict)

    def mark(self, submission: Submission, verdict: Verdict, *, whole: bool = True) -> Result:
        """Marks and comments into the gradebook, then the record, if the verdict is on the whole submission."""
        self._forget(verdict.student)
        try:
            self._mark(submission, verdict)
        except BaseException:
            self.book.db.rollback()
            raise
        if not whole:
            return self._result(verdict, fresh=True)
        self.judged.mkdir(parents=True, exist_ok=True)
        data = {**verdict.data(), "notebooks": {}}
        _replace(self.judged / f"{verdict.student}.json", json.dumps(data, indent=1))
        return self._result(verdict, fresh=True)

    def _mark(self, submission: Submission, verdict: Verdict) -> None:
        book, student = self.book, verdict.student
        stamp = {"timestamp": submission.timestamp} if _is_time(submission.timestamp) else {}
        with warnings.catch_warnings():  # SQLAlchemy's, about how nbgrader makes new rows
            warnings.simplefilter("ignore", SAWarning)
            book.update_or_create_student(student)
            entry = book.update_or_create_submission(self.assignment, student, **stamp)
        marks = {mark.cell: mark for mark in verdict.marks}
        for notebook in entry.notebooks:
            taken = next((each for each in submission.notebooks if each.source.name == notebook.name), None)
            if taken is None:
                continue
            untouched = self._untouched(notebook.name, taken.notebook)
            for grade in notebook.grades:
                mark = marks.get(grade.name)
                if mark is not None and mark.score is None:
                    grade.auto_score = 0.0 if grade.name in untouched else None
                elif mark is not None:
                    grade.auto_score = min(mark.score or 0.0, self._most.get(grade.name, mark.total))
                grade.needs_manual_grade = grade.manual_score is not None or grade.auto_score is None
            said = _comments(submission, verdict)
            for comment in notebook.comments:
                lines = [*(["No response."] if comment.name in untouched else []), *said.get(comment.name, [])]
                comment.auto_comment = "\n".join(lines) or None
            book.db.flush()
            book.db.refresh(notebook)
            self._penalise(entry, notebook, student)
        book.db.commit()

    def _untouched(self, name: str, notebook: Any) -> set[str]:
        """The cells that a learner should have filled in, and did not."""
        return {
            cell.metadata.nbgrader.grade_id
            for cell in notebook.cells
            if utils.is_solution(cell)
            and self._checksums.get((name, cell.metadata.nbgrader.grade_id)) == utils.compute_checksum(cell)
        }

    def _penalise(self, entry: Any, notebook: Any, student: str) -> None:
        """What nbgrader's own step does, with the course's plug-in for late submissions."""
        notebook.late_submission_penalty = None
        late = entry.total_seconds_late
        if late > 0:
            penalty = self._late.plugin_inst.late_submission_penalty(student, notebook.score, late)
            if penalty is not None:
                notebook.late_submission_penalty = self._late._check_late_penalty(notebook, penalty)

    def _write(self, submission: Submission, verdict: Verdict) -> None:
        """The folder that nbgrader's autograde would leave, put in place whole."""
        target = self.target(verdict.student)
        made = target.with_name(f".{target.name}.new")
        for leftover in (made, target):
            if leftover.exists():
                utils.rmtree(str(leftover))
        made.mkdir(parents=True)
        for name, notebook in verdict.notebooks.items():
            (made / f"{name}.ipynb").write_text(nbformat.writes(notebook) + "\n")
        if submission.timestamp:
            (made / "timestamp.txt").write_text(submission.timestamp)
        for path, content in submission.contents():
            (made / path).parent.mkdir(parents=True, exist_ok=True)
            (made / path).write_bytes(content)
        if not self.folders.groupshared:
            for file in filter(Path.is_file, made.rglob("*")):
                file.chmod(0o444)
        made.rename(target)

    def _forget(self, student: str) -> None:
        (self.judged / f"{student}.json").unlink(missing_ok=True)

    def _notebooks(self, submission: Submission) -> list[str]:
        return [taken.source.name for taken in submission.notebooks]

    def _result(self, verdict: Verdict, *, fresh: bool) -> Result:
        entry = self.book.find_submission(self.assignment, verdict.student)
        penalty = sum(each.late_submission_penalty or 0.0 for each in entry.notebooks)
        return Result(verdict, max(entry.score - penalty, 0.0), entry.max_score, fresh)


def read(path: Path) -> Verdict | None:
    """A verdict that was recorded; None if there is none, or none of this version."""
    try:
        return Verdict.of(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _comments(submission: Submission, verdict: Verdict) -> dict[str, list[str]]:
    """What is said at each cell that a learner filled in; what is about the whole stands at the first."""
    said: dict[str, list[str]] = {}
    for taken in submission.notebooks:
        first = next((id for id, cell in taken.source.cells.items() if cell["metadata"]["nbgrader"]["solution"]), "")
        said.setdefault(first, []).extend(verdict.messages)
        for mark in verdict.marks:
            if mark.message and mark.cell in taken.source.cells:
                said.setdefault(taken.source.answer_of(mark.cell), []).append(mark.message)
    return said


def _is_time(text: str) -> bool:
    try:
        return utils.parse_utc(text or None) is not None
    except (ValueError, OverflowError, TypeError):
        return False


def _replace(path: Path, text: str) -> None:
    """Written whole or not at all. After a power failure it may be lost: then the submission is graded once more."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text)
    temporary.replace(path)
