"""From text to notebooks. Lessons and assignments are written as MyST Markdown; the .ipynb beside each is made here.

A cell's id comes from what the cell says, so making a notebook again changes nothing that its text did not change.
Lessons are run, and keep the outputs that readers on the web see. Assignments get nbgrader's metadata and no outputs;
a second notebook of each, without the solutions, is for learners by themselves.

Short marks in a cell's metadata stand for nbgrader's: `answer: TASK` (the learner's cell), `check: TASK` (the graded
cell), `given: NAME` (read-only) and, on a text cell, `by_hand: TASK`. In text, {{title}} and {{task TASK}} come from
the syllabus.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode

from course import environment, syllabus
from course.syllabus import Chapter, Task

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
CELL_SECONDS = 120


def sources() -> Iterator[Path]:
    """The text of every lesson and assignment."""
    yield from sorted(environment.NOTEBOOKS.glob("*.md"))
    yield from sorted(environment.EXERCISES.glob("*/*.md"))


def read(text: Path) -> NotebookNode:
    """The notebook that a text stands for, without outputs. ValueError for marks or tasks that do not exist."""
    chapter = _chapter(text)

    def insert(found: re.Match[str]) -> str:
        return _insert(found[1].split(), chapter, text)

    notebook: NotebookNode = jupytext.reads(text.read_text(), fmt="md:myst")
    notebook.metadata = NotebookNode(kernelspec=KERNEL, language_info={"name": "python"})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    taken: dict[str, int] = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\{\{(.+?)\}\}", insert, cell.source)
        grader = _grader(cell, chapter)
        if grader:
            cell.metadata["nbgrader"] = grader
        name = grader["grade_id"] if grader else hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        taken[name] = taken.get(name, 0) + 1
        cell.id = name if taken[name] == 1 else f"{name}-{taken[name]}"
    nbformat.validate(notebook)
    return notebook


def targets(text: Path) -> dict[Path, NotebookNode]:
    """The notebooks that are made of a text, and what they say (outputs aside)."""
    made = {text.with_suffix(".ipynb"): read(text)}
    if text.parent != environment.NOTEBOOKS:
        learners = read(text)
        for cell in learners.cells:
            stub = "# YOUR CODE HERE" if cell.cell_type == "code" else "YOUR ANSWER HERE"
            cell.source = re.sub(r"### BEGIN SOLUTION\n.*?### END SOLUTION", stub, cell.source, flags=re.DOTALL)
        made[environment.NOTEBOOKS / "exercises" / f"{text.parent.name}.ipynb"] = learners
    return made


def solution(chapter: Chapter, task: Task) -> str:
    """The reference solution of a task as Markdown; "" where the assignment's text, which has it, is not at hand."""
    text = environment.EXERCISES / chapter.id / f"{chapter.topic}.md"
    id = task.id if task.by_hand else f"answer-{task.id}"
    readable = os.access(text, os.R_OK)  # in a class only instructors may read it
    cell = next((each for each in read(text).cells if each.id == id), None) if readable else None
    if cell is None:
        return ""
    found = re.sub(r" *### (BEGIN|END) SOLUTION\n?", "", cell.source).rstrip()
    return found if task.by_hand else f"```{'bash' if found.startswith('%%bash') else 'python'}\n{found}\n```"


def execute(notebook: NotebookNode, folder: Path) -> None:
    """Run a lesson in a fresh kernel, with kept pictures and an empty course folder. Raises if a cell fails."""
    from nbclient import NotebookClient  # noqa: PLC0415  # slow to load, and only building needs it

    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="course-build-") as home:
        os.environ["COURSE_HOME"] = home
        os.environ.update(environment.variables(), COURSE_STATIC="1", COURSE_LEARNER="reader")
        try:
            where = {"metadata": {"path": str(folder)}}
            client = NotebookClient(
                notebook, timeout=CELL_SECONDS, coalesce_streams=True, store_widget_state=False, resources=where
            )
            client.execute()
        finally:
            os.environ.clear()
            os.environ.update(before)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata.language_info = {"name": "python"}


def build(only: str = "") -> list[Path]:
    """Make every notebook whose path contains `only`; returns those that were written."""
    written = []
    for text in sources():
        if only not in str(text):
            continue
        for target, notebook in targets(text).items():
            if text.parent == environment.NOTEBOOKS:
                execute(notebook, text.parent)
            target.parent.mkdir(exist_ok=True)
            target.write_text(nbformat.writes(notebook) + "\n")
            written.append(target)
    readme = environment.ROOT / "README.md"
    readme.write_text(_with_table(readme.read_text()))
    return written


def stale() -> list[str]:
    """What differs from its text: notebooks (outputs aside; nbval compares those) and the README's table."""
    found = []
    for text in sources():
        for target, notebook in targets(text).items():
            name = target.relative_to(environment.ROOT)
            if not target.exists():
                found.append(f"{name} has not been made")
            elif _without_outputs(nbformat.read(target, as_version=4)) != _without_outputs(notebook):
                found.append(f"{name} is not what {text.name} says")
    readme = (environment.ROOT / "README.md").read_text()
    if _with_table(readme) != readme:
        found.append("the table of chapters in README.md is not what course/syllabus.yaml says")
    return found


def table() -> str:
    """The chapters as a Markdown table with links to what is ready."""
    lines = ["| | chapter | | |", "|---|---|---|---|"]
    for chapter in syllabus.chapters():
        number = chapter.id.split("-")[0]
        lesson = f"[lesson](notebooks/{chapter.id}.ipynb)" if chapter.lesson else "planned"
        assignment = f"[exercises](notebooks/exercises/{chapter.id}.ipynb)" if chapter.assignment else ""
        lines.append(f"| {number} | {chapter.title}: {chapter.about} | {lesson} | {assignment} |")
    return "\n".join(lines)


def site(target: Path) -> list[Path]:
    """The lessons as web pages, with the outputs they keep."""
    from nbconvert import HTMLExporter  # noqa: PLC0415  # slow to load, and only the site needs it

    target.mkdir(parents=True, exist_ok=True)
    pages = []
    for notebook in sorted(environment.NOTEBOOKS.glob("*.ipynb")):
        body, _ = HTMLExporter().from_filename(str(notebook))
        page = target / ("index.html" if notebook.stem == "00-home" else f"{notebook.stem}.html")
        page.write_text(body.replace('.ipynb"', '.html"'))
        pages.append(page)
    return pages


def _chapter(text: Path) -> Chapter | None:
    id = text.parent.name if text.parent.parent == environment.EXERCISES else text.stem
    return next((chapter for chapter in syllabus.chapters() if chapter.id == id), None)


def _insert(words: list[str], chapter: Chapter | None, text: Path) -> str:
    if chapter and words == ["title"]:
        return f"{int(chapter.id.split('-')[0])}. {chapter.title}"
    if chapter and words[0] == "task" and len(words) == 2:
        task = chapter.task(words[1])
        worth = f" ({task.points:g} points)" if task.points else ""
        return f"{task.title}{worth}"
    raise ValueError(f"{text.name}: {{{{{' '.join(words)}}}}} means nothing")


def _grader(cell: NotebookNode, chapter: Chapter | None) -> dict[str, Any] | None:
    for mark in ("answer", "check", "given", "by_hand"):
        if mark in cell.metadata:
            name = cell.metadata.pop(mark)
            break
    else:
        return None
    grade, solution = mark in ("check", "by_hand"), mark in ("answer", "by_hand")
    id = name if mark in ("given", "by_hand") else f"{mark}-{name}"
    found = {"schema_version": 3, "grade_id": id, "grade": grade, "solution": solution, "task": False}
    found["locked"] = not solution
    if grade:
        if chapter is None:
            raise ValueError(f"graded cell {name} outside a chapter")
        found["points"] = chapter.task(name).points
    return found


def _without_outputs(notebook: NotebookNode) -> str:
    cells = [{**cell, "outputs": [], "execution_count": None} for cell in notebook.cells]
    return json.dumps([cells, notebook.metadata], sort_keys=True)


def _with_table(readme: str) -> str:
    start, end = "<!-- chapters -->", "<!-- /chapters -->"
    before, after = readme.partition(start)[0], readme.partition(end)[2]
    return f"{before}{start}\n{table()}\n{end}{after}"
