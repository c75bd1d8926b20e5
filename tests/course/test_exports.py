"""Marks as Canvas and Moodle import them, out of a real gradebook, in SQLite or in PostgreSQL."""

import csv
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from database import postgresql
from nbgrader.api import Gradebook

from course.grading import exports


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Any]:
    """Two assignments, four students: all done, late, one mark given by hand, nothing handed in."""
    with Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}") as book:
        fill(book)
        yield book


def fill(book: Any) -> None:
    for name in ("09-pods", "17-apply"):
        book.add_assignment(name)
        book.add_notebook("n", name)
        book.add_grade_cell("check-a", "n", name, max_score=8, cell_type="code")
        book.add_grade_cell("why", "n", name, max_score=2, cell_type="markdown")
    people = {
        "ada": {"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com", "lms_user_id": "101"},
        "grace": {"first_name": "Grace", "last_name": "Hopper", "email": "grace@example.com"},
        "linus": {"last_name": 'T, "L"'},
        "none": {},
    }
    for student, known in people.items():
        book.add_student(student, **known)
    for assignment, student, machine, hand, penalty in (
        ("09-pods", "ada", 8.0, 1.5, None),
        ("09-pods", "grace", 3.0, None, 2.0),
        ("09-pods", "linus", 1.0, None, 5.0),
        ("17-apply", "ada", 4.25, None, None),
    ):
        book.add_submission(assignment, student, timestamp=datetime(2026, 1, 2))
        notebook = book.find_submission_notebook("n", assignment, student)
        notebook.late_submission_penalty = penalty
        grades = {grade.name: grade for grade in notebook.grades}
        grades["check-a"].auto_score, grades["why"].manual_score = machine, hand
        book.db.commit()


def write(book: Any, form: str, folder: Path, roster: str = "", **more: Any) -> tuple[list[list[str]], list[str]]:
    """(the file's rows, who is not in the roster)."""
    given = None
    if roster:
        given = folder / "roster.csv"
        given.write_text(roster, encoding="utf-8-sig")
    left = exports.write(folder / "out.csv", form, book, roster=given, **more)
    with (folder / "out.csv").open(newline="") as file:
        return list(csv.reader(file)), left


def test_canvas_without_a_roster(book: Any, tmp_path: Path) -> None:
    """Canvas's five columns, its row of points, the gradebook's scores less penalties, and no mark for nothing."""
    rows, left = write(book, "canvas", tmp_path)
    assert rows[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "09-pods", "17-apply"]
    assert rows[1] == ["    Points Possible", "", "", "", "", "10", "10"]
    assert rows[2:] == [
        ["none", "", "", "none", "", "", ""],
        ["Hopper, Grace", "", "", "grace", "", "1", ""],
        ["Lovelace, Ada", "101", "", "ada", "", "9.5", "4.25"],
        ['T, "L"', "", "", "linus", "", "0", ""],
    ]
    assert left == []


CANVAS = """Student,ID,SIS User ID,SIS Login ID,Section,Essay (1),09-pods (4711),Current Score
,,,,,Manual Posting,,
    Points Possible,,,,,5,10,(read only)
"Hopper, Grace",202,S2,grace@example.com,A,4,,80
"Lovelace, Ada",101,S1,lovelace,A,,,
"Nobody, Known",303,S3,nobody,B,,,
"""


def test_canvas_with_its_own_export_as_roster(book: Any, tmp_path: Path) -> None:
    """Canvas's people with all its ids, found by login, email or number; its assignment's number stays."""
    rows, left = write(book, "canvas", tmp_path, CANVAS)
    assert rows[0][5:] == ["09-pods (4711)", "17-apply"]
    assert rows[2:] == [
        ["Hopper, Grace", "202", "S2", "grace@example.com", "A", "1", ""],
        ["Lovelace, Ada", "101", "S1", "lovelace", "A", "9.5", "4.25"],
        ["Nobody, Known", "303", "S3", "nobody", "B", "", ""],
    ]
    assert left == ["none", "linus"]


MOODLE = """First name,Last name,ID number,Email address,Assignment: 09-pods (Real),Last downloaded from this course
Ada,Lovelace,,ada@example.com,-,1700000000
Un,Known,7,un@example.com,-,1700000000
"""


def test_moodle_with_and_without_a_roster(book: Any, tmp_path: Path) -> None:
    """The columns that Moodle exports, "-" for no mark, and with a roster its people and columns."""
    rows, _ = write(book, "moodle", tmp_path, assignments=["09-pods"])
    assert rows[0] == ["First name", "Last name", "ID number", "Email address", "Assignment: 09-pods (Real)"]
    assert rows[2] == ["Grace", "Hopper", "grace", "grace@example.com", "1"]
    assert rows[1][-1] == "-"
    rows, left = write(book, "moodle", tmp_path, MOODLE, assignments=["09-pods"])
    assert rows[0][-2:] == ["Last downloaded from this course", "Assignment: 09-pods (Real)"]
    assert [row[-1] for row in rows[1:]] == ["9.5", "-"]
    assert left == ["none", "grace", "linus"]


def test_a_gradebook_in_postgresql_says_the_same(book: Any, tmp_path: Path) -> None:
    """The same gradebook behind a PostgreSQL URL gives the same file, byte for byte."""
    write(book, "canvas", tmp_path)
    here = (tmp_path / "out.csv").read_bytes()
    with postgresql() as url, Gradebook(url) as there:
        fill(there)
        write(there, "canvas", tmp_path)
    assert (tmp_path / "out.csv").read_bytes() == here
