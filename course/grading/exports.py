"""Marks for a learning management system: the CSV that Canvas's or Moodle's own gradebook import takes.

Marks are the gradebook's, by hand and late penalties included. Who has handed in nothing gets no mark, so that an
import leaves alone what stands there. A roster, which is the file that Canvas or Moodle exports, says who is who: its
people, with its own ids, in its order. Without one the gradebook's students are written as they are known there. Left
out: the systems' web APIs, which need a key of somebody's account.
"""

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, str]
CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
"""Canvas wants these columns, in this order; every other one is an assignment."""
MOODLE = ("First name", "Last name", "ID number", "Email address")
POSSIBLE = "    Points Possible"
"""Canvas's second row. It is known by this text, blanks included."""


@dataclass(frozen=True, slots=True)
class Student:
    """Somebody of the gradebook; `marks` are by assignment. `lms` is the number that the system knows them by."""

    id: str
    first: str
    last: str
    email: str
    lms: str
    marks: Mapping[str, float]


def read(book: Any, assignments: Iterable[str] = ()) -> tuple[dict[str, float], list[Student]]:
    """({assignment: most points}, students with their marks) of nbgrader's gradebook; all assignments unless named."""
    wanted = list(assignments)
    totals = {each.name: each.max_score for each in book.assignments if not wanted or each.name in wanted}
    marks: dict[str, dict[str, float]] = {}
    for name in totals:
        for submission in book.assignment_submissions(name):
            points = max(0.0, submission.score - (submission.late_submission_penalty or 0.0))
            marks.setdefault(submission.student.id, {})[name] = points
    people = [
        Student(
            each.id,
            each.first_name or "",
            each.last_name or "",
            each.email or "",
            str(each.lms_user_id or ""),
            marks.get(each.id, {}),
        )
        for each in book.students
    ]
    return totals, sorted(people, key=lambda student: (student.last, student.first, student.id))


def canvas(totals: Mapping[str, float], students: list[Student], roster: list[Row]) -> tuple[list[str], list[Row]]:
    """(columns, rows) that Canvas's gradebook imports. An assignment that Canvas has already keeps its number."""
    columns = {name: _column(name, roster) for name in totals}
    rows = [{"Student": POSSIBLE, **{columns[name]: f"{total:g}" for name, total in totals.items()}}]
    known = _by_names(students)
    people = [
        ({column: entry.get(column, "") for column in CANVAS}, known(entry, "SIS Login ID", "ID", "SIS User ID"))
        for entry in roster
        if entry.get("Student", "").strip() not in ("", POSSIBLE.strip())
    ]
    if not roster:
        people = [({"Student": _listed(s), "ID": s.lms, "SIS Login ID": s.id}, s) for s in students]
    for person, student in people:
        rows.append({**person, **_marks(student, columns)})
    return [*CANVAS, *columns.values()], rows


def moodle(totals: Mapping[str, float], students: list[Student], roster: list[Row]) -> tuple[list[str], list[Row]]:
    """(columns, rows) as Moodle's gradebook exports and imports them; "-" stands for no mark."""
    columns = {name: f"Assignment: {name} (Real)" for name in totals}
    known = _by_names(students)
    people = [(entry, known(entry, "Username", "ID number", "Email address")) for entry in roster]
    first = [column for column in (roster[0] if roster else MOODLE) if not column.endswith("(Real)")]
    if not roster:
        people = [
            ({"First name": s.first, "Last name": s.last, "ID number": s.lms or s.id, "Email address": s.email}, s)
            for s in students
        ]
    rows = [
        {**{column: entry.get(column, "") for column in first}, **_marks(student, columns, none="-")}
        for entry, student in people
    ]
    return [*first, *columns.values()], rows


FORMATS: Mapping[str, Callable[..., tuple[list[str], list[Row]]]] = {"canvas": canvas, "moodle": moodle}


def write(target: Path, form: str, book: Any, assignments: Iterable[str] = (), roster: Path | None = None) -> list[str]:
    """Write the file; returns who of the gradebook is not in the roster, and so gets no mark there."""
    totals, students = read(book, assignments)
    entries: list[Row] = []
    if roster:
        with roster.open(newline="", encoding="utf-8-sig") as file:  # both systems' files may begin with a BOM
            entries = list(csv.DictReader(file))
    columns, rows = FORMATS[form](totals, students, entries)
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    if not entries:
        return []
    listed = {value.strip().lower() for entry in entries for value in entry.values() if value}
    return [s.id for s in students if not listed & {each.lower() for each in (s.id, s.lms, s.email) if each}]


def _listed(student: Student) -> str:
    return ", ".join(filter(None, (student.last, student.first))) or student.id


def _marks(student: Student | None, columns: Mapping[str, str], none: str = "") -> Row:
    marks = student.marks if student else {}
    return {column: f"{marks[name]:g}" if name in marks else none for name, column in columns.items()}


def _column(name: str, roster: list[Row]) -> str:
    """The column's title: with Canvas's number if it is there, "09-pods (4711)"."""
    titles = list(roster[0]) if roster else []
    return next((title for title in titles if title == name or title.startswith(f"{name} (")), name)


def _by_names(students: list[Student]) -> Callable[..., Student | None]:
    """Finds the student that an entry of a roster is, by the columns that are given, the first that fits."""
    known: dict[str, Student] = {}
    for student in students:
        for name in (student.id, student.lms, student.email):
            if name:
                known.setdefault(name.lower(), student)

    def find(entry: Row, *columns: str) -> Student | None:
        found = (known.get((entry.get(column) or "").strip().lower()) for column in columns)
        return next((student for student in found if student), None)

    return find
