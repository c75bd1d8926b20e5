"""Taking in what was submitted: bytes of a stranger become a notebook that can be run and graded.

Of a submitted notebook only the cells' types and texts count, and the grade_id that says which cell is which. All
else, metadata and outputs, is made anew from the source. Read-only and graded cells have the source's text, stand in
the source's order and are there exactly once, whatever was submitted; what had to be restored is said in a message.
Nothing here raises for anything that a learner can hand in: what cannot be read is an empty notebook and a message.
Links are not followed, and folders are not looked into beyond sizes that a submission may have.
"""

import ast
import base64
import hashlib
import html
import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode

from course.grading.outputs import PICTURES, is_picture

MAX_NOTEBOOK = 16 << 20
"""Bytes of a notebook as it was submitted; the outputs in it count."""
MAX_FILES, MAX_FILE_BYTES, MAX_PATH, MAX_MESSAGES = 200, 8 << 20, 1000, 20
"""Files and folders that are looked at; what those beside the notebooks may hold together; letters of a path; messages
about them."""
MAX_CELLS, MAX_LETTERS, MAX_TEXT = 500, 500_000, 20_000
"""Cells of a notebook, letters of all its cells, letters of one text: it takes a browser's time to show them."""
STUB = {"code": "# YOUR CODE HERE", "markdown": "YOUR ANSWER HERE"}
Cell = dict[str, Any]
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
"""Where a tag begins. In a learner's text it gets a space of no width: browsers show it then, and run nothing."""
_RUN = re.compile(
    r"""(?:href|src)=["']?(?!(?:https?|mailto):|data:image/(?:png|jpeg);)[^"'/?#]*:|\\(?:href|require|style|class|cssId)\b""",
    re.IGNORECASE,
)
"""A link in a page that is neither to the web nor to a picture, and what makes one of a formula."""
_ODD = re.compile(r"[^\w ./+@=,-]")
"""What a file's name may have, and a message about it does not: it is shown in pages and terminals."""


class SourceError(Exception):
    """An assignment's source cannot be judged; the message is for the instructor."""


@dataclass(frozen=True, slots=True)
class Check:
    """A graded cell: `lab.grade("watch", follow)` is the task `watch` and the learner's function `follow`."""

    task: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A notebook of an assignment as the instructor wrote it; `cells` are those with a grade_id, in order."""

    name: str
    chapter: str
    cells: dict[str, Cell]
    metadata: dict[str, Any]
    checks: dict[str, Check]

    def answer_of(self, id: str) -> str:
        """The cell that a learner fills in for a graded cell: itself, or the last one before it; "" without one."""
        found = ""
        for each, cell in self.cells.items():
            if cell["metadata"]["nbgrader"]["solution"]:
                found = each
            if each == id:
                break
        return found


@dataclass(slots=True)
class Taken:
    """One submitted notebook, ready to be run. `flags` are {grade_id, or "" for all of it: what was odd}."""

    source: Source
    notebook: NotebookNode
    flags: dict[str, list[str]] = field(default_factory=dict)

    def flag(self, id: str, text: str) -> None:
        self.flags.setdefault(id, []).append(text)


@dataclass(slots=True)
class Submission:
    """All that a learner submitted for an assignment. `files` are {path: content in base64}."""

    assignment: str
    student: str
    notebooks: list[Taken]
    files: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    digest: str = ""
    timestamp: str = ""

    def contents(self) -> Iterator[tuple[str, bytes]]:
        """The other files, with what they hold."""
        for path, data in self.files.items():
            yield path, base64.b64decode(data)


# --- the source -----------------------------------------------------------------------------------------------
def sources(folder: Path) -> list[Source]:
    """The notebooks of an assignment. SourceError if there are none, or one cannot be judged from outside."""
    return list(_sources(folder, tuple((path, path.stat().st_mtime_ns) for path in sorted(folder.glob("*.ipynb")))))


@cache
def _sources(folder: Path, notebooks: tuple[tuple[Path, int], ...]) -> tuple[Source, ...]:
    if not notebooks:
        raise SourceError(f"There is no notebook in {folder}.")
    return tuple(_source(path, folder.name) for path, _ in notebooks)


def _source(path: Path, chapter: str) -> Source:
    notebook = nbformat.read(path, as_version=4)
    cells: dict[str, Cell] = {}
    checks: dict[str, Check] = {}
    for cell in notebook.cells:
        mark = cell.metadata.get("nbgrader", {})
        if not mark.get("grade_id"):
            continue
        cells[mark["grade_id"]] = json.loads(json.dumps(cell))
        if mark["grade"] and not mark["solution"]:
            checks[mark["grade_id"]] = _check(cell.source, f"{path.name}, cell {mark['grade_id']}")
    kept = {key: notebook.metadata[key] for key in ("kernelspec", "language_info") if key in notebook.metadata}
    return Source(path.stem, chapter, cells, json.loads(json.dumps(kept)), checks)


def _check(text: str, where: str) -> Check:
    """What `lab.grade("task", function)` says; a graded cell is this one call."""
    wrong = SourceError(f'{where}: a graded cell is one call, lab.grade("task") or lab.grade("task", function).')
    try:
        (statement,) = ast.parse(text).body
    except (SyntaxError, ValueError):
        raise wrong from None
    match statement:
        case ast.Expr(ast.Call(ast.Attribute(attr="grade"), [ast.Constant(str(task)), *names], [])):
            if all(isinstance(name, ast.Name) for name in names):
                return Check(task, tuple(name.id for name in names if isinstance(name, ast.Name)))
    raise wrong


# --- what was submitted ---------------------------------------------------------------------------------------
def take_in(folder: Path, assignment: str, student: str, wanted: list[Source]) -> Submission:
    """The submission in a folder. Never raises for what is in it."""
    made = Submission(assignment, student, [])
    notebooks: dict[str, bytes | None] = {f"{source.name}.ipynb": None for source in wanted}
    room = MAX_FILE_BYTES
    for name, path in _files(folder, made.messages):
        if name in notebooks:
            notebooks[name] = _content(path, name, MAX_NOTEBOOK, made.messages)
        elif name == "timestamp.txt":
            made.timestamp = (_content(path, name, room, made.messages) or b"").decode(errors="replace").strip()[:100]
        elif name.endswith(".ipynb"):
            made.messages.append(f"{_shown(name)} is not a notebook of this assignment. It was not run.")
        elif (content := _content(path, name, room, made.messages)) is not None:
            room -= len(content)
            made.files[name] = base64.b64encode(content).decode()
    if (more := len(made.messages) - MAX_MESSAGES) > 0:
        made.messages[MAX_MESSAGES:] = [f"There are {more} more such files."]
    made.notebooks += [_notebook(source, notebooks[f"{source.name}.ipynb"]) for source in wanted]
    made.digest = _digest(made)
    return made


def contents(folder: Path, messages: list[str]) -> Iterator[tuple[str, bytes]]:
    """All that a folder has of a submission's files, by their paths in it."""
    room = MAX_NOTEBOOK + MAX_FILE_BYTES
    for name, path in _files(folder, messages):
        content = _content(path, name, min(room, MAX_NOTEBOOK), messages)
        if content is not None:
            room -= len(content)
            yield name, content


def _files(folder: Path, messages: list[str]) -> Iterator[tuple[str, Path]]:
    """Every file, by its path in the folder; what is not looked at is named in a message."""
    if folder.is_symlink():
        messages.append("The submission is a link to another folder. Links are not followed.")
        return
    found, waiting = 0, [Path()]
    while waiting:
        inside = waiting.pop()
        try:
            with os.scandir(folder / inside) as entries:
                here = sorted(islice(entries, 50 * MAX_FILES), key=_notebooks_first)
        except OSError:
            messages.append(f"{_shown(inside)} cannot be read.")
            continue
        for entry in here:
            path = inside / entry.name
            found += 1
            if found > MAX_FILES:
                messages.append(f"There are more than {MAX_FILES} files and folders. The rest was left out.")
                return
            if entry.is_symlink():
                messages.append(f"{_shown(path)} is a link. Links are not followed.")
            elif not _is_name(str(path)):
                messages.append(f"{_shown(path)} is no name for a file. It was left out.")
            elif not entry.is_dir(follow_symlinks=False):
                yield str(path), folder / path
            elif path.suffix == ".ipynb" or path.name == "timestamp.txt":
                messages.append(f"{_shown(path)} is a folder. It was left out.")
            elif path.name != ".ipynb_checkpoints":
                waiting.append(path)


def _notebooks_first(entry: os.DirEntry[str]) -> tuple[bool, str]:
    return not entry.name.endswith((".ipynb", ".txt")), entry.name


def _is_name(path: str) -> bool:
    """Whether a path can be written down again, in a gradebook and in a folder of a longer name."""
    return len(path) <= MAX_PATH and path.isprintable()


def _shown(path: str | Path) -> str:
    return _ODD.sub("?", str(path))[:100]


def _content(path: Path, name: str, most: int, messages: list[str]) -> bytes | None:
    """What an ordinary file holds; it is opened without following a link, so that it cannot become one meanwhile."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                messages.append(f"{_shown(name)} is no ordinary file. It was left out.")
                return None
            content = file.read(most + 1)
    except OSError:
        messages.append(f"{_shown(name)} cannot be read.")
        return None
    if len(content) > most:
        messages.append(f"{_shown(name)} is larger than {most / (1 << 20):.3g} MB. It was left out.")
        return None
    return content


def _notebook(source: Source, content: bytes | None) -> Taken:
    cells: list[Cell] = []
    trouble = ""
    if content is None:
        trouble = f"{source.name}.ipynb was not submitted, or could not be taken in."
    else:
        try:
            cells = list(_cells(content))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            trouble = f"{source.name}.ipynb is not a notebook that can be read: {str(error)[:200]}."
    taken = Taken(source, NotebookNode())
    if trouble:
        taken.flag("", trouble)
    ordered = _restored(cells, taken, empty=bool(trouble))
    taken.notebook = nbformat.from_dict(
        {"nbformat": 4, "nbformat_minor": 5, "metadata": source.metadata, "cells": ordered}
    )
    return taken


def _cells(content: bytes) -> Iterator[Cell]:
    """The cells of a notebook in any version of the format: type, text and grade_id. ValueError for anything else."""
    raw = json.loads(_text(content))
    if not isinstance(raw, dict):
        raise ValueError("it is no JSON object")
    found = raw.get("cells")
    if found is None and isinstance(raw.get("worksheets"), list):  # version 3
        found = [each for sheet in raw["worksheets"] if isinstance(sheet, dict) for each in sheet.get("cells", [])]
    if not isinstance(found, list):
        raise ValueError("it has no cells")
    if len(found) > MAX_CELLS:
        raise ValueError(f"it has more than {MAX_CELLS} cells")
    letters = 0
    for cell in found:
        if not isinstance(cell, dict):
            raise ValueError("one of its cells is no cell")
        text = cell.get("source", cell.get("input", ""))
        if isinstance(text, list) and all(isinstance(line, str) for line in text):
            text = "".join(text)
        if not isinstance(text, str):
            raise ValueError("one of its cells has no text")
        text = text.encode(errors="replace").decode()  # half of a surrogate pair cannot be written down again
        metadata = cell.get("metadata")
        mark = metadata.get("nbgrader") if isinstance(metadata, dict) else None
        id = mark.get("grade_id") if isinstance(mark, dict) else None
        kind = cell.get("cell_type")
        letters += len(text)
        if letters > MAX_LETTERS:
            raise ValueError(f"it has more than {MAX_LETTERS:,} letters")
        yield {
            "cell_type": kind if kind in ("code", "markdown") else "raw",
            "source": text,
            "id": id if isinstance(id, str) else "",
            "attachments": _pictures(cell.get("attachments")),
        }


def _text(content: bytes) -> str:
    """The text of a notebook: UTF-8, or UTF-16 and UTF-32 as JSON may have; anything else is not guessed at."""
    encoding = json.detect_encoding(content)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise ValueError(f"it is not {encoding.upper()} text") from None


def _pictures(attachments: Any) -> dict[str, Any]:
    """The pictures of a text cell; everything else that may be attached could be run by a browser."""
    if not isinstance(attachments, dict):
        return {}
    return {
        name: {kind: data}
        for name, bundle in attachments.items()
        if isinstance(bundle, dict)
        for kind, data in bundle.items()
        if kind in PICTURES and is_picture(data)
    }


def _restored(cells: list[Cell], taken: Taken, *, empty: bool) -> list[Cell]:
    """The cells in the order in which they are run: the source's once each, the learner's own behind them."""
    source = taken.source
    groups: dict[str, list[Cell]] = {"": []}
    seen: list[str] = []
    current = ""
    for cell in cells:
        id = cell["id"]
        if id in source.cells and id not in groups:
            groups[id] = []
            seen.append(id)
            groups[id].append(_known(source.cells[id], cell, taken))
            current = id
            continue
        if id in source.cells:
            taken.flag(id, "This cell was there more than once. The first one counts.")
        groups[current].append(_own(cell))
    if seen != [id for id in source.cells if id in groups]:
        taken.flag("", "The cells were in another order. They were run in the assignment's order.")
    ordered = groups[""]
    for id, original in source.cells.items():
        if id not in groups:
            if not empty:
                taken.flag(id, "This cell was missing. It was put back.")
            groups[id] = [_known(original, None, taken)]
        ordered += groups[id]
    taken_ids: set[str] = set()
    for number, cell in enumerate(ordered):
        wished = cell.pop("wished", "") or f"own-{number}"
        cell["id"] = wished if wished not in taken_ids else f"{wished}-{number}"
        taken_ids.add(cell["id"])
    return ordered


def _known(original: Cell, submitted: Cell | None, taken: Taken) -> Cell:
    """A cell of the source, with a learner's answer in it if it is one that learners fill in."""
    mark = original["metadata"]["nbgrader"]
    id, kind = mark["grade_id"], original["cell_type"]
    if mark["solution"]:
        text = submitted["source"] if submitted else STUB.get(kind, "")
    else:
        text = original["source"]
        if submitted and submitted["source"].strip() != text.strip():
            taken.flag(id, "This cell was changed. It has the assignment's text again.")
    if submitted and submitted["cell_type"] != kind:
        taken.flag(id, "This cell was of another type. It is what it was in the assignment.")
    pictures = submitted["attachments"] if submitted and mark["solution"] else {}
    return _cell(kind, text, {"nbgrader": dict(mark)}, pictures, original.get("id", id))


def _own(cell: Cell) -> Cell:
    return _cell(cell["cell_type"], cell["source"], {}, cell["attachments"], "")


def _cell(kind: str, text: str, metadata: dict[str, Any], pictures: dict[str, Any], wished: str) -> Cell:
    if kind != "code" and not metadata.get("nbgrader", {}).get("locked"):
        text = _TAG.sub("<\u200b", text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}\n\n(It was longer.)")
        if kind == "markdown" and not _can_be_shown(text, pictures):
            fence = "`" * max(3, *(len(each) + 1 for each in ("", *re.findall("`+", text))))
            text = f"{fence}\n{text}\n{fence}"
    made: Cell = {"cell_type": kind, "source": text, "metadata": metadata, "wished": wished}
    if kind == "code":
        made.update(outputs=[], execution_count=None)
    elif pictures and kind == "markdown":
        made["attachments"] = pictures
    return made


def _can_be_shown(text: str, pictures: dict[str, Any]) -> bool:
    """Whether a page can be made of a text (not if a picture is not there), without links that a browser would run."""
    try:
        shown = MarkdownWithMath(renderer=IPythonRenderer(escape=False, attachments=pictures)).render(text)
    except Exception:
        return False
    return not _RUN.search(html.unescape(shown))


def _digest(made: Submission) -> str:
    """The same for the same answers to the same assignment."""
    parts: list[Any] = [made.assignment, made.student, made.timestamp, made.messages, made.files]
    parts += [[each.source.cells, each.notebook.cells, each.flags] for each in made.notebooks]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
