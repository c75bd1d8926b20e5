"""Hostile submissions, all graded in one run: none gets a point it has not earned, each gets a mark, none harms."""

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from attacks import ATTACKS, FACTS, WATCH
from classroom import Classroom, before

from course import grading
from course.grading import court
from course.grading.sandbox import Limits, missing
from course.grading.verdict import Result

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(missing()), reason=f"learners' code cannot be shut in here: {missing()}"),
]

ASSIGNMENT = "04-apiserver"
LIMITS = Limits(cell=25, submission=120, processor=3, memory=600 << 20, processes=40, file=4 << 20, disk=16 << 20)


class Canary:
    """A listener on this machine's loopback, to which nobody may come."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.visits = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.socket.accept()
                self.visits += 1


@dataclass
class Graded:
    room: Classroom
    results: dict[str, Result]
    marks: dict[str, dict[str, Any]]
    canary: Canary
    files: dict[Path, bytes]


@contextlib.contextmanager
def deep(folder: Path) -> Iterator[None]:
    """A folder in a folder, so often that Python's own walks give up; gone afterwards, as pytest could not clear it."""
    try:
        for number in range(1, 1100):
            (folder / ("d/" * number)).mkdir()
        yield
    finally:
        court.remove(folder / "d")


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graded]:
    """Every attack handed in, and all of it graded in one run."""
    root = tmp_path_factory.mktemp("attacked")
    room = Classroom(root, ASSIGNMENT, ("facts", "watch", "why"))
    room.generate()
    canary = Canary()
    secret = root / "canary"
    secret.write_text("the canary sings\n")
    names = {
        "GRADEBOOK": str(root / "grading/gradebook.db"),
        "CONFIG": str(root / "nbgrader_config.py"),
        "NEIGHBOUR": str(root / "grading/submitted/honest/04-apiserver/apiserver.ipynb"),
        "SECRET": str(secret),
        "CANARY": canary.port,
        "GRADER": os.getpid(),
    }
    for student, attack in ATTACKS.items():
        notebook = room.answers("facts", "watch")
        made = attack.change(notebook)
        if isinstance(made, dict):
            for each in made["cells"]:
                if each.get("id") in ("answer-watch", "mine-0"):
                    for name, value in names.items():
                        each["source"] = each["source"].replace(name, repr(value))
        path = room.submit(student, made)
        for name, text in attack.files.items():
            (path.parent / name).write_text(text)
    (room.folder("attached-link") / "solution.txt").symlink_to(secret)
    path = room.submit("notebook-link", b"")
    path.unlink()
    path.symlink_to(root / "exercises" / ASSIGNMENT / path.name)
    os.mkfifo(room.folder("fifo") / "pipe")
    path = room.submit("folder-as-notebook", b"")
    path.unlink()
    (path / "inside").mkdir(parents=True)
    (room.folder("folder-as-timestamp") / "timestamp.txt").mkdir()
    (room.folder("odd-name") / os.fsdecode(b"<img src=x onerror=y> 1\n\x1b31m\xff")).symlink_to(secret)
    for number in range(30):
        with (room.folder("holes") / f"hole-{number}").open("wb") as file:
            file.truncate(1 << 40)
    for student in ("honest", "zoe"):
        notebook = before(
            room.answers("facts", "watch"), "task-watch", "print(lab.node('cp').run('find /etc/kubernetes'))"
        )
        room.submit(student, notebook)
    room.folder("nothing")
    kept = [root / "nbgrader_config.py", secret, *filter(Path.is_file, (root / "grading/submitted").rglob("*.ipynb"))]
    files = {path: path.read_bytes() for path in kept}
    with deep(room.folder("deep-folder")), room.open():
        results = {each.student: each for each in grading.grade(ASSIGNMENT, workers=6, limits=LIMITS)}
    yield Graded(room, results, room.gradebook(), canary, files)
    canary.socket.close()


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_earns_what_was_earned(graded: Graded, name: str) -> None:
    """The mark is what the answers deserve, and the message or the output tells what happened."""
    attack, marks, verdict = ATTACKS[name], graded.marks[name], graded.results[name].verdict
    told = "\n".join([*verdict.messages, *(mark.message for mark in verdict.marks)])
    printed = shown(graded, name)
    assert (marks["check-facts"][0], marks["check-watch"][0]) == (attack.facts, attack.watch), told + printed
    assert any(each in told for each in attack.says.split("|")), told + printed
    assert attack.prints in printed, told + printed
    comments = "\n".join(comment for _, comment, _ in marks.values())
    assert any(each in comments for each in attack.says.split("|"))


def shown(graded: Graded, student: str) -> str:
    """All that the cells of a submission printed and showed."""
    found = []
    for each in json.loads(output(graded, student))["cells"]:
        for made in each.get("outputs", []):
            for text in (made.get("text"), made.get("data", {}).get("text/plain"), made.get("traceback")):
                found.append("".join(text or []))
    return "\n".join(found)


def output(graded: Graded, student: str) -> str:
    """The notebook as it was run."""
    return (graded.room.root / "grading/autograded" / student / ASSIGNMENT / "apiserver.ipynb").read_text()


@pytest.mark.parametrize("student", ("honest", "zoe"))
def test_the_others_get_what_they_deserve(graded: Graded, student: str) -> None:
    """A good submission among all these is graded as if it were alone."""
    marks, result = graded.marks[student], graded.results[student]
    assert (marks["check-facts"][0], marks["check-watch"][0]) == (FACTS, WATCH)
    assert not result.verdict.messages
    assert "/etc/kubernetes/manifests/etcd.yaml" in shown(graded, student), "a node as it was for the first"
    assert marks["why"] == (0.0, "No response.", False)


def test_nobody_is_left_without_a_mark(graded: Graded) -> None:
    """Every submission is in the gradebook, marked; an empty folder gets 0 and a message."""
    assert set(graded.marks) == {*ATTACKS, "honest", "zoe", "nothing"}
    assert all(cells[each][0] is not None for cells in graded.marks.values() for each in ("check-facts", "check-watch"))
    assert graded.marks["nothing"]["check-watch"][0] == 0.0
    assert "was not submitted" in " ".join(graded.results["nothing"].verdict.messages)


def test_nothing_outside_was_touched(graded: Graded) -> None:
    """No file of the grader's has changed, the canary's text is nowhere, nobody came to its door."""
    assert {path: path.read_bytes() for path in graded.files} == graded.files
    assert graded.canary.visits == 0
    assert not [name for name in ATTACKS if "the canary sings" in output(graded, name)]
    assert not list((graded.room.root / "grading" / "autograded").rglob("*.new"))


def test_no_process_is_left(graded: Graded) -> None:
    """What submissions started has ended with them."""
    found = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if readable(path)]
    assert not [line for line in found if b"987654" in line or b"course.grading" in line]


def readable(path: Path) -> bool:
    try:
        return bool(path.read_bytes())
    except OSError:
        return False


def test_outputs_hold_text_and_pictures_only(graded: Graded) -> None:
    """Nothing that a browser would run gets from a learner into what instructors open; all of it is bounded."""
    for name in ATTACKS:
        notebook = json.loads(output(graded, name))
        for each in notebook["cells"]:
            if each["metadata"].get("nbgrader", {}).get("grade"):
                continue
            for made in each.get("outputs", []):
                shown = made.get("data", {})
                assert set(shown) <= {"text/plain", "text/markdown", "image/png", "image/jpeg"}
                assert "points).**" in "".join(shown.get("text/markdown", "points).**")), "what asks a task, alone"
        assert len(output(graded, name)) < 2_500_000, name
