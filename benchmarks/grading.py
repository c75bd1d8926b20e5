"""Grading: one submission on four ways, in one run; and a class of two hundred whose grader is killed twice.

The submission has three answers, two of which a machine can judge, in seven cells that are run. `bare` is a fork of a
warmed process that runs the cells, with nothing around it and no mark; ours is `course grade`, walls, judge and
gradebook included; then nbgrader's own autograding, in process and on the command line, with the grader's rights.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from course import environment, grading, syllabus

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "course"))
from classroom import Classroom  # the tests' own class
from test_grading import ASSIGNMENT, TASKS, a_class, killed_run, marks, rows, submit

COUNT, SLOW, CLASS = 40, 5, 200
Figure = tuple[str, float, float, str, bool]


def grading_figures() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="grading-") as folder:
        root = Path(folder)
        room = Classroom(root / "class", ASSIGNMENT, TASKS)
        room.generate()
        plain = _plain(room, root / "plain")
        bare = statistics.median(_bare(room, COUNT))
        alone, both, book = _ours(room.copy(root / "ours"))
        api = statistics.median(_in_process(plain))
        line = statistics.median(_command_line(plain))
        _class(room.copy(root / "large"))
    print(
        f"  bare {bare:.3f} s, ours {alone:.3f} s ({both:.1f} a second with two workers; gradebook {book:.3f} s of it)"
    )
    print(f"  nbgrader in process {api:.2f} s, nbgrader's command line {line:.2f} s")
    return [
        ("grading: a submission, isolated, in the gradebook", alone, 0.2, "s", False),
        ("grading: submissions, two workers", both, 8, "a second", True),
        ("grading: times nbgrader's in-process API", api / alone, 4, "times", True),
        ("grading: times the bare run", alone / bare, 2, "times", False),
    ]


def _bare(room: Classroom, count: int) -> list[float]:
    """Seconds of forks that run a good submission's cells."""
    script = f"""
import json, os, sys, time
os.chdir(sys.argv[1])
from course.grading.judge import Bench
from course import syllabus
import course
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
config = Config(); config.HistoryManager.enabled = False
bench = Bench(syllabus.chapter({ASSIGNMENT!r}), __import__("pathlib").Path(sys.argv[1]))
shell = InteractiveShell.instance(config=config)
shell.run_cell("1", silent=True)
cells = ["".join(c["source"]) for c in json.load(sys.stdin)["cells"] if c["cell_type"] == "code"]
null = os.open(os.devnull, os.O_WRONLY)
for _ in range({count}):
    began = time.perf_counter()
    if not os.fork():
        os.dup2(null, 1)
        bench.open("ada", __import__("pathlib").Path.cwd())
        course.start = lambda *a, **k: bench
        for cell in cells:
            shell.run_cell(cell)
        os._exit(0)
    os.wait()
    print(time.perf_counter() - began, flush=True)
"""
    import json  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        variables = {**os.environ, "COURSE_HOME": folder, "NBGRADER_EXECUTION": "autograde"}
        done = subprocess.run(
            [sys.executable, "-c", script, folder],
            input=json.dumps(room.answers("watch", "conflict")),
            env=variables,
            capture_output=True,
            text=True,
            check=True,
        )
    return [float(line) for line in done.stdout.split()]


def _ours(room: Classroom) -> tuple[float, float, float]:
    """(seconds a submission one after another, submissions a second with two workers, seconds of the gradebook)."""
    for number in range(COUNT):
        submit(room, f"learner-{number:03}", "good")
    found = []
    for workers in (1, 2):
        moments: list[float] = []
        with room.open():
            for _ in grading.grade(ASSIGNMENT, workers=workers, again=True):
                moments.append(time.perf_counter())
        found.append((moments[-1] - moments[2]) / (len(moments) - 3))
    return found[0], 1 / found[1], _gradebook(room)


def _gradebook(room: Classroom) -> float:
    """Seconds that one verdict takes into the gradebook."""
    from course.grading.gradebook import Ledger  # noqa: PLC0415
    from course.grading.intake import sources, take_in  # noqa: PLC0415

    source = sources(room.root / "exercises" / ASSIGNMENT)
    with room.open(), Ledger(grading.api(), ASSIGNMENT) as ledger:
        known = {each.student: each for each in grading.verdicts(ASSIGNMENT)}
        began = time.perf_counter()
        for student, verdict in known.items():
            ledger.mark(take_in(room.folder(student), ASSIGNMENT, student, source), verdict)
        return (time.perf_counter() - began) / len(known)


def _plain(room: Classroom, root: Path) -> Classroom:
    """The same class with nbgrader as it comes."""
    made = room.copy(root)
    config = root / "nbgrader_config.py"
    config.write_text("\n".join(line for line in config.read_text().splitlines() if "course.grading" not in line))
    for number in range(SLOW):
        submit(made, f"learner-{number:03}", "good")
    return made


def _in_process(room: Classroom) -> Iterator[float]:
    with room.open(), _environment(PYTHONPATH=str(environment.ROOT)):
        nbgrader = grading.api()
        for number in range(SLOW):
            began = time.perf_counter()
            result = nbgrader.autograde(ASSIGNMENT, f"learner-{number:03}")
            assert result["success"], result
            yield time.perf_counter() - began


def _command_line(room: Classroom) -> Iterator[float]:
    variables = {**os.environ, "COURSE_HOME": str(room.root / ".course"), "COURSE_ROOT": str(room.root)}
    for number in range(2):
        began = time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "nbgrader",
            "autograde",
            ASSIGNMENT,
            f"--student=learner-{number:03}",
            "--force",
        ]
        subprocess.run(command, cwd=room.root, env=variables, capture_output=True, check=True)
        yield time.perf_counter() - began


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before: dict[str, Any] = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    yield
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


def _class(room: Classroom) -> None:
    """Two hundred submissions of all kinds, the grader killed twice: exactly the marks that they deserve."""
    expected = a_class(room, CLASS)
    began = time.perf_counter()
    for place, name in (("module", "_replace"), ("ledger", "_mark")):
        killed_run(room, CLASS // 5, place, name)
    with room.open():
        fresh = sum(each.fresh for each in grading.grade(ASSIGNMENT))
    assert marks(room) == expected, "a mark is wrong"
    assert rows(room)["submitted_assignment"] == CLASS
    points = syllabus.chapter(ASSIGNMENT).task("watch").points
    full = sum(watch == points for watch, _ in expected.values())
    print(
        f"  {CLASS} submissions ({full} right), the grader killed twice: exactly the expected gradebook; "
        f"{fresh} graded by the last run, {time.perf_counter() - began:.0f} s in all"
    )
