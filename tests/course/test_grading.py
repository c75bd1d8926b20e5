"""Grading as instructors know it: nothing lost or doubled when it is killed, marks by hand kept, late penalties."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from classroom import Classroom, before, cell
from nbgrader.api import Gradebook

from course import grading
from course.grading import court, sandbox
from course.grading.sandbox import missing

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(missing()), reason=f"learners' code cannot be shut in here: {missing()}"),
]
ASSIGNMENT, TASKS = "04-apiserver", ("watch", "conflict", "why")
PARTIAL = """
import json
def follow(lines):
    meta = json.loads(lines[0])["object"]["metadata"]
    return {meta["name"]: meta["labels"]}
"""
EXPECTED = {"good": (4.0, 4.0), "partial": (1.0, 4.0), "wrong": (0.0, 4.0), "hostile": (0.0, 0.0)}
"""What each kind of submission earns for watch and conflict."""


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    """The assignment as nbgrader's generate leaves it."""
    made = Classroom(tmp_path_factory.mktemp("generated"), ASSIGNMENT, TASKS)
    made.generate()
    return made


@pytest.fixture
def room(generated: Classroom, tmp_path: Path) -> Classroom:
    return generated.copy(tmp_path / "class")


def submit(room: Classroom, student: str, kind: str) -> None:
    """A submission of one of the kinds above."""
    notebook = room.answers("watch", "conflict")
    answer = cell(notebook, "answer-watch")
    if kind == "partial":
        answer["source"] = PARTIAL
    elif kind == "wrong":
        answer["source"] = f"# {student}\ndef follow(lines):\n    return None\n"
    elif kind == "hostile":
        answer["source"] = "import os\nos._exit(0)"
    room.submit(student, notebook)


def a_class(room: Classroom, count: int) -> dict[str, tuple[float, float]]:
    """So many submissions, of every kind in turn; what each earns."""
    kinds = list(EXPECTED)
    made = {f"learner-{number:03}": kinds[number % len(kinds)] for number in range(count)}
    for student, kind in made.items():
        submit(room, student, kind)
    return {student: EXPECTED[kind] for student, kind in made.items()}


def marks(room: Classroom) -> dict[str, tuple[float, float]]:
    return {
        student: (cells["check-watch"][0], cells["check-conflict"][0]) for student, cells in room.gradebook().items()
    }


def grade(room: Classroom, *students: str, **options: Any) -> dict[str, grading.Result]:
    with room.open():
        return {each.student: each for each in grading.grade(ASSIGNMENT, students or None, **options)}


def rows(room: Classroom) -> dict[str, int]:
    """How many rows each of the gradebook's tables has."""
    with Gradebook(f"sqlite:///{room.root / 'grading' / 'gradebook.db'}", "kubernetes-apart") as book:
        return {
            name: book.db.execute(table.select()).all().__len__()
            for name, table in type(book.find_assignment(ASSIGNMENT)).metadata.tables.items()
            if name in ("student", "submitted_assignment", "submitted_notebook", "grade", "comment")
        }


KILLED = """
import itertools, os, signal, sys
from course import __main__
from course.grading import gradebook

place, name, after, *words = sys.argv[1:]
owner = {"module": gradebook, "ledger": gradebook.Ledger}[place]
step, number = getattr(owner, name), itertools.count(1)

def fatal(*given, **named):
    if next(number) > int(after):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*given, **named)

setattr(owner, name, fatal)
__main__.main(words)
"""


def killed_run(room: Classroom, after: int, place: str, name: str) -> None:
    """Grade on the command line; the grader is killed when it has done a step of recording so many times."""
    variables = {**os.environ, "COURSE_ROOT": str(room.root), "COURSE_HOME": str(room.root / ".course")}
    words = [sys.executable, "-c", KILLED, place, name, str(after), "grade", ASSIGNMENT, "--workers", "2"]
    done = subprocess.run(words, env=variables, stdout=subprocess.DEVNULL, check=False)
    assert done.returncode == -signal.SIGKILL


def judging() -> list[str]:
    """Processes of a grader that are left."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if "course.grading.judge" in line or "course.grading.learner" in line:
            found.append(line)
    return found


def test_killed_twice_nothing_is_lost_and_nothing_doubled(room: Classroom) -> None:
    """A grader that is killed leaves a gradebook that the next one completes, and no processes."""
    expected = a_class(room, 12)
    killed_run(room, 2, "module", "_replace")  # the marks are in the gradebook, and nothing says so yet
    killed_run(room, 2, "ledger", "_mark")  # the folder is there, the marks are not
    results = grade(room)
    assert marks(room) == expected
    assert sum(not each.fresh for each in results.values()) >= 4, "what was recorded was not graded again"
    assert rows(room) == {
        "student": 12,
        "submitted_assignment": 12,
        "submitted_notebook": 12,
        "grade": 36,
        "comment": 36,
    }
    graded = room.root / "grading" / "autograded"
    assert sorted(path.name for path in graded.iterdir()) == sorted(expected)
    assert not [line for line in judging() if str(room.root) in line]
    again = grade(room)
    assert not any(each.fresh for each in again.values())
    assert {name: each.score for name, each in again.items()} == {name: sum(each) for name, each in expected.items()}


def test_only_what_has_changed_is_graded_again(room: Classroom) -> None:
    """A new version of one submission is graded, the others are not; so is a new version of the assignment."""
    for student in ("ada", "grace"):
        submit(room, student, "wrong")
    grade(room)
    submit(room, "ada", "good")
    assert {name: each.fresh for name, each in grade(room).items()} == {"ada": True, "grace": False}
    assert marks(room) == {"ada": (4.0, 4.0), "grace": (0.0, 4.0)}
    assert grade(room, "grace", again=True)["grace"].fresh
    (room.root / "grading" / "gradebook.db").unlink()
    room.generate()
    assert all(each.fresh for each in grade(room).values()), "a gradebook that is gone is filled again"


def test_a_mark_by_hand_stays(room: Classroom) -> None:
    """An instructor's mark outlives grading again, and nbgrader asks to look at it once more."""
    notebook = room.answers("watch", "conflict")
    cell(notebook, "why")["source"] = "Because a watch that is gone has to be begun again."
    room.submit("ada", notebook)
    assert grade(room)["ada"].score == 8.0
    assert room.gradebook()["ada"]["why"] == (None, "", True)
    database = f"sqlite:///{room.root / 'grading' / 'gradebook.db'}"
    with Gradebook(database, "kubernetes-apart") as book:
        for name, score in (("why", 1.5), ("check-watch", 2.0)):
            mark = book.find_grade(name, room.name, ASSIGNMENT, "ada")
            mark.manual_score, mark.needs_manual_grade = score, False
        mark.extra_credit = 0.5
        book.find_comment("answer-watch", room.name, ASSIGNMENT, "ada").manual_comment = "Well done."
        book.db.commit()
    result = grade(room, "ada", again=True)["ada"]
    assert result.score == 1.5 + 2.5 + 4.0
    assert room.gradebook()["ada"]["check-watch"] == (4.0, "Well done.", True)
    with room.open():
        grading.feedback(ASSIGNMENT)
    page = (room.root / "grading" / "feedback" / "ada" / ASSIGNMENT / "apiserver.html").read_text()
    assert "Well done." in page
    assert "(Score: 4.0 / 4.0)" in page


@pytest.mark.parametrize(("method", "score"), (("none", 8.0), ("zero", 0.0)))
def test_late_penalties_are_nbgraders(room: Classroom, method: str, score: float) -> None:
    """What comes after the due date loses what the course's plug-in says, and only that."""
    config = room.root / "nbgrader_config.py"
    config.write_text(f'{config.read_text()}\nc.LateSubmissionPlugin.penalty_method = "{method}"\n')
    with Gradebook(f"sqlite:///{room.root / 'grading' / 'gradebook.db'}", "kubernetes-apart") as book:
        book.update_or_create_assignment(ASSIGNMENT, duedate="2026-03-01 12:00:00 UTC")
    for student, stamp in (("early", "2026-03-01 11:59:00 UTC"), ("late", "2026-03-01 12:01:00 UTC")):
        submit(room, student, "good")
        (room.folder(student) / "timestamp.txt").write_text(stamp)
    results = grade(room)
    assert results["early"].score == 8.0
    assert results["late"].score == score


def test_feedback_tells_every_point_and_no_secret(room: Classroom) -> None:
    """A feedback page has each failed point with what shows it, the comment, and nothing that only the judge knows."""
    submit(room, "ada", "partial")
    submit(room, "eve", "hostile")
    notebook = room.answers("watch", "conflict")
    cell(notebook, "why")["source"] = "Look: <script>steal()</script><img src=x onerror='steal()'> *here*"
    room.submit("mallory", notebook)
    links = (
        "[a](javascript:steal())",
        "[b](java&Tab;script&colon;steal())",
        "$\\href{javascript:steal()}{x}$",
        "[c](data:,x)",
    )
    for number, text in enumerate((*links, "![x](attachment:nothing.png) *lost*")):
        cell(notebook, "why")["source"] = text
        room.submit(f"oscar-{number}", notebook)
    grade(room)
    with room.open():
        grading.feedback(ASSIGNMENT)
    pages = {
        student: (room.root / "grading" / "feedback" / student / ASSIGNMENT / "apiserver.html").read_text()
        for student in ("ada", "eve", "mallory", *(f"oscar-{number}" for number in range(5)))
    }
    assert "MODIFIED brings the whole object as it is now" in pages["ada"]
    assert "(Score: 1.0 / 4.0)" in pages["ada"]
    assert "exit code 0" in pages["eve"]
    assert not [page for page in pages.values() if "course/tasks" in page or "Traceback (most" in page]
    assert "<em>here</em>" in pages["mallory"]
    assert "<script>steal" not in pages["mallory"]
    assert "<img" not in pages["mallory"].partition("Look:")[2].partition("here")[0]
    assert "steal()" in pages["mallory"], "it is shown"
    assert "border-left:4px solid" in pages["mallory"], "the report itself is as it was"
    assert "<strong>Read a watch (4 points).</strong>" in pages["ada"], "what asks a task is shown as it is at home"
    for number, text in enumerate(("steal()", "steal()", "steal()", "data:,x", "*lost*")):
        page = pages[f"oscar-{number}"]
        assert text in page
        assert not re.search(r"href=.(java|data:,)|MathJax.*href{", page.partition("<body")[2]), number


def test_without_a_sandbox_it_refuses_unless_told(room: Classroom, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where learners' code cannot be shut in, grading says what to install; --trust-submissions grades all the same."""
    submit(room, "ada", "good")
    submit(room, "eve", "hostile")
    monkeypatch.setattr(sandbox, "missing", lambda: "bubblewrap (bwrap) is not installed")
    monkeypatch.setattr(court, "missing", sandbox.missing)
    with pytest.raises(grading.GradingError, match="apt-get install bubblewrap"):
        grade(room)
    assert marks(room) == {}
    grade(room, trust=True)
    assert marks(room) == {"ada": (4.0, 4.0), "eve": (0.0, 0.0)}


def test_what_cannot_be_graded_is_said_in_a_sentence(room: Classroom) -> None:
    """A learner who has not submitted, an assignment that is not generated, a graded cell that is no check."""
    submit(room, "ada", "good")
    with pytest.raises(grading.GradingError, match="bob has not submitted"):
        grade(room, "bob")
    source = room.root / "exercises" / ASSIGNMENT / "apiserver.ipynb"
    notebook = json.loads(source.read_text())
    cell(notebook, "check-watch")["source"] = "assert follow([]) == {}"
    source.write_text(json.dumps(notebook))
    with pytest.raises(grading.GradingError, match=r"check-watch: a graded cell is one call"):
        grade(room)
    (room.root / "grading" / "gradebook.db").unlink()
    source.write_text(json.dumps(room.notebook))
    with pytest.raises(grading.GradingError, match="First: course generate"):
        grade(room)


def test_a_kernel_has_what_a_lab_has(room: Classroom) -> None:
    """Files beside the notebook, the learner's own values, kubectl, time, questions to the lab: as in self-study."""
    text = """
import os, subprocess
print(open("data.txt").read(), os.environ["MY_KIND"] == lab.values.kind, lab.learner)
print(subprocess.run(["kubectl", "run", "x", "--image=nginx"], capture_output=True, text=True).stdout)
lab.advance("10s"); lab.settle()
print(lab.kubectl("get pod x -o jsonpath={.status.phase}"))
print(lab.http("GET", "/version").code, "/registry/pods/default/x" in lab.keys("/registry/pods/"))
print(lab.node("worker1").run("hostname"), lab.lookup("x", "kubernetes"))
print(lab.check("watch").score, lab.show())
"""
    notebook = before(room.answers("watch", "conflict"), "task-watch", text)
    room.submit("ada", notebook)
    (room.folder("ada") / "data.txt").write_text("forty-two")
    assert grade(room)["ada"].score == 8.0
    ran = json.loads((room.root / "grading/autograded/ada" / ASSIGNMENT / "apiserver.ipynb").read_text())
    printed = "".join("".join(each.get("text", "")) for made in ran["cells"] for each in made.get("outputs", []))
    for line in ("forty-two True ada", "pod/x created", "Running", "200 True", "worker1", "10.96.0.1", "not drawn"):
        assert line in printed, printed
    assert (room.root / "grading/autograded/ada" / ASSIGNMENT / "data.txt").read_text() == "forty-two"
