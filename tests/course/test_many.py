"""A class that is graded on a Dask cluster, with its gradebook in PostgreSQL."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from database import postgresql
from distributed import LocalCluster

from course import environment
from course.grading import many
from course.grading.intake import Submission, sources, take_in
from course.grading.many import Many
from course.grading.sandbox import missing

pytestmark = [
    pytest.mark.timeout(900),  # workers load the course, and nbgrader its own
    pytest.mark.skipif(bool(missing()), reason="submissions are judged in a sandbox, which this machine has not"),
]
ASSIGNMENT = "18-errata"
SOURCE = environment.EXERCISES / ASSIGNMENT
ANSWERED: dict[str, tuple[str, ...]] = {
    "ada": ("inside", "elder"),
    "grace": ("inside",),
    "linus": (),
    "ken": ("elder",),
}
SCORES = {"ada": 8.0, "grace": 4.0, "linus": 0.0, "ken": 4.0}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two workers in processes of their own, on loopback."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=50
    ) as cluster:
        yield cluster


def hand_in(folder: Path, tasks: tuple[str, ...]) -> None:
    """A submission in which these tasks are answered as the source does, and the rest is untouched."""
    notebook = nbformat.read(SOURCE / "errata.ipynb", as_version=4)
    for cell in notebook.cells:
        keep = cell.id.removeprefix("answer-") in tasks
        marks = r"### (BEGIN|END) SOLUTION\n?" if keep else r"### BEGIN SOLUTION\n.*?### END SOLUTION"
        cell.source = re.sub(marks, "" if keep else "# YOUR CODE HERE", cell.source, flags=re.S)
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / "errata.ipynb")


def submissions(folder: Path) -> list[Submission]:
    """All of them, taken in."""
    wanted = sources(SOURCE)
    for student, answered in ANSWERED.items():
        hand_in(folder / student, answered)
    return [take_in(folder / student, ASSIGNMENT, student, wanted) for student in ANSWERED]


def test_a_lost_worker_loses_nothing(cluster: Any, tmp_path: Path) -> None:
    """A worker is killed while it judges; everybody gets the right marks all the same, once."""
    found: dict[str, float] = {}
    with Many(cluster.scheduler_address, ASSIGNMENT) as court:
        pids = list(court.client.run(os.getpid).values())
        for submission, verdict in court.judge_all(submissions(tmp_path)):
            assert submission.student == verdict.student
            assert verdict.student not in found
            found[verdict.student] = verdict.score
            if len(found) == 1:
                os.kill(pids[0], signal.SIGKILL)
    assert found == SCORES


def test_no_cluster_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address at which nobody listens is an error that names it."""
    monkeypatch.setattr(many, "CONNECT", "1s")
    with pytest.raises(ConnectionError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:1"):
        Many("tcp://127.0.0.1:1", ASSIGNMENT)


def test_the_command_grades_there_into_postgresql(cluster: Any, tmp_path: Path) -> None:
    """`course grade --dask`, then the report and Canvas's file, out of a gradebook in PostgreSQL."""
    shutil.copytree(SOURCE, tmp_path / "exercises" / ASSIGNMENT)
    shutil.copy(environment.ROOT / "nbgrader_config.py", tmp_path)
    submissions(tmp_path / "handed")
    for student in ANSWERED:
        (tmp_path / "grading" / "submitted" / student).mkdir(parents=True)
        (tmp_path / "handed" / student).rename(tmp_path / "grading" / "submitted" / student / ASSIGNMENT)
    own = {"COURSE_ROOT": str(tmp_path), "COURSE_HOME": str(tmp_path / ".course")}
    commands = [
        ["generate", ASSIGNMENT],
        ["grade", ASSIGNMENT, "--dask", cluster.scheduler_address],
        ["csv", "canvas.csv", "--for", "canvas"],
    ]
    script = f"from course.__main__ import main\nfor words in {commands!r}: assert main(words) == 0, words"
    with postgresql() as url:
        done = subprocess.run(  # in one process: nbgrader is slow to load
            [sys.executable, "-c", script],
            cwd=tmp_path,
            env={**os.environ, **own, "COURSE_GRADEBOOK": url},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 submissions, mean 4.00, median 4, of 19 points" in done.stdout
    rows = (tmp_path / "canvas.csv").read_text().splitlines()
    assert rows[1] == "    Points Possible,,,,,19"
    assert sorted(rows[2:]) == [f"{student},,,{student},,{score:g}" for student, score in sorted(SCORES.items())]
    assert not (tmp_path / "grading" / "gradebook.db").exists()
