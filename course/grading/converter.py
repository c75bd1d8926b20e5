"""nbgrader's own autograding goes to the judge: `nbgrader autograde` and the formgrader's button.

nbgrader takes a submitted notebook through its exporter twice, to sanitize it and to run it. `Judged` is that exporter
(nbgrader_config.py names it): the first time it takes the submission in and has it judged, and the marks go into the
gradebook; the second time there is nothing left to do. `refuse_links` runs before nbgrader copies a submission's
files, and `Collect` takes none from the exchange that are links.
"""

import os
import weakref
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbgrader.exchange.default import ExchangeCollect
from traitlets import Bool

from course.grading.court import Court
from course.grading.gradebook import Ledger
from course.grading.intake import sources, take_in

REFUSED = "This was a link to another file. Links are not followed.\n"


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
                if path.is_symlink():
                    path.unlink()
                    path.write_text(REFUSED)


class Collect(ExchangeCollect):  # type: ignore[misc]  # nbgrader has no types
    """Takes submissions from the exchange, and no links: they would be followed with the instructor's rights."""

    def do_copy(self, src: str, dest: str, log: Any = None) -> None:
        before = self.coursedir.ignore
        links = [
            path.name
            for where, folders, names in os.walk(src, followlinks=False)
            for path in (Path(where, name) for name in [*folders, *names])
            if path.is_symlink()
        ]
        for name in links:
            self.log.warning("%s: %s is a link and is left out", src, name)
        self.coursedir.ignore = [*before, *links]
        try:
            super().do_copy(src, dest, log)
        finally:
            self.coursedir.ignore = before
