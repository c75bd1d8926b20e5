"""A class to grade in tests and benchmarks: a course folder of its own, and submissions made from its assignment."""

import contextlib
import copy
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook

from course import environment, grading

Notebook = dict[str, Any]


class Classroom:
    """A course's folder with one assignment, maybe cut down to some of its tasks."""

    def __init__(self, root: Path, assignment: str, tasks: tuple[str, ...] = ()):
        self.root, self.assignment = root, assignment
        source = next((environment.EXERCISES / assignment).glob("*.ipynb"))
        self.name = source.stem
        self.notebook: Notebook = json.loads(source.read_text())
        if tasks:
            kept = {f"{part}-{task}" for task in tasks for part in ("task", "answer", "check")} | {*tasks, "start"}
            self.notebook["cells"] = [cell for cell in self.notebook["cells"] if cell["id"] in kept]
        (root / "exercises" / assignment).mkdir(parents=True)
        (root / "exercises" / assignment / source.name).write_text(json.dumps(self.notebook))
        shutil.copy(Path(__file__).parents[2] / "nbgrader_config.py", root)

    def copy(self, root: Path) -> "Classroom":
        """The same, as it is now, in another folder."""
        shutil.copytree(self.root, root)
        made = copy.copy(self)
        made.root = root
        return made

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Grading in this process is grading here."""
        before, variables = environment.ROOT, dict(os.environ)
        environment.ROOT = self.root
        os.environ["COURSE_HOME"] = str(self.root / ".course")
        try:
            yield
        finally:
            environment.ROOT = before
            os.environ.clear()
            os.environ.update(variables)

    def generate(self) -> None:
        with self.open():
            grading.generate(self.assignment)

    def answers(self, *tasks: str) -> Notebook:
        """What a learner has after answering these tasks as the source does."""
        made: Notebook = json.loads(json.dumps(self.notebook))
        for cell in made["cells"]:
            text = "".join(cell["source"])
            task = cell["id"].removeprefix("answer-")
            if task in tasks:
                cell["source"] = re.sub(r" *### (BEGIN|END) SOLUTION\n?", "", text)
            else:
                stub = "# YOUR CODE HERE" if cell["cell_type"] == "code" else "YOUR ANSWER HERE"
                cell["source"] = re.sub(r"### BEGIN SOLUTION\n.*?### END SOLUTION", stub, text, flags=re.DOTALL)
        return made

    def folder(self, student: str) -> Path:
        found = self.root / "grading" / "submitted" / student / self.assignment
        found.mkdir(parents=True, exist_ok=True)
        return found

    def submit(self, student: str, notebook: Notebook | bytes) -> Path:
        """The notebook's file among the submissions."""
        path = self.folder(student) / f"{self.name}.ipynb"
        path.write_bytes(notebook if isinstance(notebook, bytes) else json.dumps(notebook).encode())
        return path

    def gradebook(self) -> dict[str, dict[str, Any]]:
        """{student: {cell: (automatic score, comment, whether somebody has to look)}} as nbgrader has it."""
        found: dict[str, dict[str, Any]] = {}
        with Gradebook(f"sqlite:///{self.root / 'grading' / 'gradebook.db'}", "kubernetes-apart") as book:
            for entry in book.assignment_submissions(self.assignment):
                cells = found.setdefault(entry.student.id, {})
                for notebook in entry.notebooks:
                    comments = {each.name: each.comment or "" for each in notebook.comments}
                    for grade in notebook.grades:
                        comment = comments.get(grade.name.replace("check-", "answer-"), "")
                        cells[grade.name] = (grade.auto_score, comment, grade.needs_manual_grade)
        return found


def cell(notebook: Notebook, id: str) -> dict[str, Any]:
    """A cell by its id."""
    return next(each for each in notebook["cells"] if each["id"] == id)


def before(notebook: Notebook, id: str, code: str, **metadata: Any) -> Notebook:
    """The notebook with a cell of the learner's own before another."""
    place = notebook["cells"].index(cell(notebook, id))
    own = {"cell_type": "code", "id": f"mine-{place}", "metadata": metadata, "source": code}
    notebook["cells"].insert(place, {**own, "outputs": [], "execution_count": None})
    return notebook


Change = Callable[[Notebook], Notebook | bytes]
