"""nbgrader's whole flow from the command line: generate, release, submit, collect, autograde, feedback, CSV."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from course import environment, syllabus

pytestmark = pytest.mark.timeout(1200)  # a dozen processes of nbgrader, seconds each on a quiet machine

ASSIGNMENT = "09-pods"
POINTS = {task.id: task.points for task in syllabus.chapter(ASSIGNMENT).tasks if task.points}


class Course:
    """A copy of the course's folder with its own exchange and gradebook."""

    def __init__(self, root: Path):
        self.root = root
        shutil.copytree(environment.EXERCISES, root / "exercises")
        shutil.copy(environment.ROOT / "nbgrader_config.py", root)
        self.environment = {**os.environ, "COURSE_ROOT": str(root), "COURSE_HOME": str(root / ".course")}
        self.environment.pop("COURSE_LEARNER", None)

    def nbgrader(self, *arguments: str, folder: Path | None = None) -> None:
        self.run("nbgrader", *arguments, folder=folder)

    def run(self, *command: str, folder: Path | None = None) -> str:
        """What a Python module's command line prints; it must not fail."""
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=folder or self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def answered(self, student: str, only: tuple[str, ...]) -> Path:
        """A submission in which the tasks in `only` are answered as the source does, and the rest is untouched."""
        target = self.root / "grading" / "submitted" / student / ASSIGNMENT / "pods.ipynb"
        target.parent.mkdir(parents=True)
        released = nbformat.read(self.root / "grading" / "release" / ASSIGNMENT / "pods.ipynb", as_version=4)
        source = nbformat.read(self.root / "exercises" / ASSIGNMENT / "pods.ipynb", as_version=4)
        answers = {cell.id: re.sub(r"### (BEGIN|END) SOLUTION\n?", "", cell.source) for cell in source.cells}
        for cell in released.cells:
            task = cell.id.removeprefix("answer-")
            if task in only:
                cell.source = answers[cell.id]
        nbformat.write(released, target)
        return target

    def marks(self) -> dict[str, tuple[float, float]]:
        """{student: (score, most)} from nbgrader's CSV."""
        self.nbgrader("export", "--to", "grades.csv")
        with (self.root / "grades.csv").open() as file:
            return {row["student_id"]: (float(row["score"]), float(row["max_score"])) for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    course = Course(tmp_path_factory.mktemp("class"))
    course.nbgrader("generate_assignment", ASSIGNMENT)
    return course


def test_learners_get_no_solutions(course: Course) -> None:
    """The released assignment is one notebook, without solutions, without the text it was made from."""
    release = course.root / "grading" / "release" / ASSIGNMENT
    assert [path.name for path in release.iterdir()] == ["pods.ipynb"]
    text = (release / "pods.ipynb").read_text()
    assert "SOLUTION" not in text
    assert "set env --local" not in text
    assert text.count("YOUR CODE HERE") == 5  # four answers, and the sentence that tells of them
    assert "YOUR ANSWER HERE" in text


def test_from_release_to_feedback(course: Course) -> None:
    """Untouched gets 0, the solutions get all that can be marked by machine, two right tasks get theirs."""
    machine = sum(points for task, points in POINTS.items() if task != "why")
    course.nbgrader("release_assignment", ASSIGNMENT)
    learner = course.root / "home"
    learner.mkdir()
    shutil.copy(course.root / "nbgrader_config.py", learner)
    course.nbgrader("fetch_assignment", ASSIGNMENT, folder=learner)
    course.nbgrader("submit", ASSIGNMENT, "--student=eve", folder=learner)
    inbound = course.root / ".course" / "exchange" / "kubernetes-apart" / "inbound"
    for name in (
        f"mallory+{ASSIGNMENT}+2026-01-01 00:00:00 UTC",
        f"trudy+{ASSIGNMENT}+tomorrow",
        f"trent+{ASSIGNMENT}+",
    ):
        shutil.copytree(next(inbound.glob("eve+*")), inbound / name)
        os.mkfifo(inbound / name / "pipe")
        (inbound / name / "link").symlink_to("/etc/passwd")
        with (inbound / name / "hole").open("wb") as file:
            file.truncate(1 << 40)
    course.nbgrader("collect", ASSIGNMENT)
    for name in ("mallory", "trudy", "trent"):
        found = course.root / "grading" / "submitted" / name / ASSIGNMENT
        assert sorted(path.name for path in found.iterdir()) == ["pods.ipynb", "submission_secret.txt", "timestamp.txt"]
        shutil.rmtree(found.parent)
    course.answered("ada", ("fields", "sidecar", "init", "crash", "why"))
    course.answered("grace", ("fields", "init"))
    course.nbgrader("autograde", ASSIGNMENT)
    assert course.marks() == {
        "eve": (0.0, sum(POINTS.values())),
        "ada": (machine, sum(POINTS.values())),
        "grace": (POINTS["fields"] + POINTS["init"], sum(POINTS.values())),
    }
    course.nbgrader("generate_feedback", ASSIGNMENT)
    page = (course.root / "grading" / "feedback" / "grace" / ASSIGNMENT / "pods.html").read_text()
    assert "Two Pods share nothing" in page
    assert "(Score: 3.0 / 3.0)" in page
    course.nbgrader("release_feedback", ASSIGNMENT, "--student=eve")
    assert list((course.root / ".course" / "exchange").glob("*/feedback/*.html"))


def test_the_courses_own_commands_do_the_same(course: Course) -> None:
    """`course grade` marks a submission again, the same, and `course csv` writes what nbgrader exports."""
    told = course.run("course", "grade", "--again", ASSIGNMENT, "grace")
    assert told.split()[:4] == ["grace", "5.00", "of", "15"]
    assert f"{ASSIGNMENT}: 3 submissions, mean 6.00, median 5, of 15 points" in told
    assert "read by an instructor" in told
    assert (course.root / "grading" / "reports" / f"{ASSIGNMENT}.png").exists()
    assert course.run("course", "report", ASSIGNMENT).strip() in told
    before = (course.root / "grades.csv").read_text()
    course.run("course", "csv", "again.csv")
    assert (course.root / "again.csv").read_text() == before
    told = course.run("course", "feedback", ASSIGNMENT, "--release")
    assert [line.split()[0] for line in told.splitlines()] == ["ada", "grace"], "eve submitted through the exchange"


def test_grading_leaves_a_learners_progress_alone(course: Course) -> None:
    """What nbgrader runs does not count as the grader's own progress."""
    assert not (course.root / ".course" / "progress.json").exists()
