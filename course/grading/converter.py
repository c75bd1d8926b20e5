"""nbgrader's own autograding goes to the judge: `nbgrader autograde` and the formgrader's button.

nbgrader takes a submitted notebook through its exporter twice, to sanitize it and to run it. `Judged` is that exporter
(nbgrader_config.py names it): the first time it takes the submission in and has it judged, and the marks go into the
gradebook; the second time there is nothing left to do. `refuse_links` runs before nbgrader copies a submission's
files, and `Collect` takes ordinary files from the exchange, and no links.
"""

import os
import pwd
import weakref
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbgrader.exchange.default import ExchangeCollect
from traitlets import Bool

from course.grading.court import Court
from course.grading.gradebook import Ledger
from course.grading.intake import contents, sources, take_in

REFUSED = "This was a link to another file, or no ordinary file. Links are not followed.\n"


class Judged(NotebookExporter):
    """In the place of running a notebook: judging it."""

    trust_submissions = Bool(False, help="Run learners' code without a sandbox, with your own rights.").tag(config=True)

    def __init__(self, **options: Any):
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._courts: dict[str, Court] = {}

    def from_filename(self, filename: str, resources: Any = None, **_: Any) -> Any:
        path = Path(filename)
        converter: Any = self.parent
        if not converter._sanitizing:
            return path.read_text(), resources
        assignment, student = (resources["nbgrader"][each] for each in ("assignment", "student"))
        folders = converter.coursedir
        wanted = sources(Path(folders.format_path(folders.source_directory, ".", assignment)).resolve())
        mine = [source for source in wanted if source.name == path.stem]
        submission = take_in(path.parent, assignment, student, mine)
        with Ledger(converter, assignment) as ledger:
            verdict = self._court(assignment).judge(submission)
            ledger.mark(submission, verdict, whole=len(wanted) == 1)
        for mark in verdict.marks:
            self.log.info("%s: %s of %s. %s", mark.cell, mark.score, mark.total, mark.message)
        for message in verdict.messages:
            self.log.warning(message)
        return nbformat.writes(verdict.notebooks[path.stem]) + "\n", {**resources, "output_extension": ".ipynb"}

    def _court(self, assignment: str) -> Court:
        """One court for all submissions of an assignment; it closes with the exporter."""
        court = self._courts.get(assignment)
        if court is None:
            court = self._courts[assignment] = Court(assignment, workers=1, trust=self.trust_submissions)
            weakref.finalize(self, court.close)
        return court


def refuse_links(notebooks: list[str], **_: Any) -> None:
    """nbgrader's pre_convert_hook: a link in a submission becomes a text that says what it was."""
    for folder in {Path(notebook).parent for notebook in notebooks}:
        for where, folders, names in os.walk(folder, followlinks=False):
            for name in [*folders, *names]:
                path = Path(where, name)
                if path.is_symlink() or not (path.is_dir() or path.is_file()):
                    path.unlink()
                    path.write_text(REFUSED)


class Collect(ExchangeCollect):  # type: ignore[misc]  # nbgrader has no types
    """Takes submissions from the exchange as strangers' folders: everybody may write there, under any name.

    Ordinary files are copied, as many as a submission may have; nothing that one of them has stops the others.
    """

    def do_copy(self, src: str, dest: str, log: Any = None) -> None:
        source, target = Path(src), Path(dest)
        messages: list[str] = []
        target.mkdir(parents=True)
        if _forged(source):
            messages.append("it was submitted by another account. It was left out.")
        else:
            for name, content in contents(source, messages):
                if not any(fnmatch(part, each) for part in Path(name).parts for each in self.coursedir.ignore):
                    (target / name).parent.mkdir(parents=True, exist_ok=True)
                    (target / name).write_bytes(content)
        for message in messages:
            self.log.warning("%s: %s", source.name, message)
        if self.coursedir.groupshared:
            for path in (target, *target.rglob("*")):
                path.chmod(0o2770 if path.is_dir() else 0o660)

    def _path_to_record(self, path: str) -> Any:
        try:
            record = super()._path_to_record(path)
        except (ValueError, IndexError, OverflowError):  # a name that nbgrader does not give
            file = os.path.basename(path)
            record = {"username": file.split("+")[0], "filename": file, "timestamp": datetime.min}
        return {**record, "forged": _forged(Path(path)) or record["timestamp"] == datetime.min}

    def _sort_by_timestamp(self, records: Any) -> Any:
        return sorted(super()._sort_by_timestamp(records), key=lambda record: bool(record["forged"]))


def _forged(submitted: Path) -> bool:
    """Whether a folder in the exchange is neither its student's (if that is an account here) nor the collector's."""
    try:
        student = pwd.getpwnam(submitted.name.split("+")[0]).pw_uid
        return submitted.lstat().st_uid not in (student, os.geteuid(), 0)
    except (KeyError, OSError):
        return False
