"""The two-way proof of every graded task: untouched it scores 0, the reference solution all, and wrong answers
what they deserve, with the message that explains them, for several learners."""

import contextlib
import io
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from course import authoring, environment, syllabus
from course.checks import Report
from course.lab import Lab

PROOFS = {path.stem: yaml.safe_load(path.read_text()) for path in Path(__file__).parent.glob("proofs/*.yaml")}
GRADED = [(c.id, t.id) for c in syllabus.chapters() for t in c.tasks if t.points and not t.by_hand]
SHOWN_BY = ("kubectl ", "curl ", "print(")
LEARNERS = ("ada", "grace", "linus")


@pytest.fixture(scope="module", params=[(id, learner) for id in PROOFS for learner in LEARNERS], ids="-".join)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of a chapter as one learner has it."""
    before = dict(os.environ)
    os.environ["COURSE_HOME"] = str(tmp_path_factory.mktemp("course"))
    made = Lab(syllabus.chapter(request.param[0]), request.param[1])
    yield made
    made.close()
    os.environ.clear()
    os.environ.update(before)


def answer_cell(lab: Lab, answer: dict[str, Any], task: str, folder: Path) -> tuple[str, tuple[Any, ...]]:
    """(what the answer printed, what its graded cell hands in): shell with `run`, the kernel's Python with `python`."""
    if "python" not in answer:
        return run(lab, answer["run"], folder), ()
    namespace: dict[str, Any] = {"lab": lab}
    printed = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        exec(compile(answer["python"], task, "exec"), namespace)
    check = next(each for each in cells(lab.chapter.id) if each.id == f"check-{task}")
    names = re.findall(r", (\w+)", check.source)
    return printed.getvalue(), tuple(namespace[name] for name in names)


def run(lab: Lab, script: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def cells(chapter: str) -> list[Any]:
    """The cells of a chapter's assignment."""
    return list(authoring.read(environment.EXERCISES / chapter / f"{chapter.split('-', 1)[1]}.md").cells)


def solution(chapter: str, task: str) -> dict[str, Any]:
    """The reference solution: what stands in the assignment's answer cell."""
    source = next(cell.source for cell in cells(chapter) if cell.id == f"answer-{task}")
    found = re.search(r"### BEGIN SOLUTION\n(.*)### END SOLUTION", source, re.S)
    assert found
    return {"run": found[1]} if source.startswith("%%bash") else {"python": source}


def explain(report: Report, output: str) -> str:
    return f"{report}\n--- the script printed\n{output}"


def test_every_graded_task_has_its_wrong_answers() -> None:
    """No task is graded without a proof of at least three wrong answers."""
    for chapter, task in GRADED:
        assert len(PROOFS[chapter][task]) >= 3, (chapter, task)


def test_untouched_scores_nothing(lab: Lab) -> None:
    """Each point of each task fails before anything is done."""
    for task in PROOFS[lab.chapter.id]:
        lab.task(task)
        report = lab.examine(task)
        assert report.score == 0, explain(report, "")
        assert len(report.failed) == len(report.points), explain(report, "")


def test_the_reference_solution_scores_all(lab: Lab, tmp_path: Path) -> None:
    """What the assignment's source does earns full marks for each task."""
    for task in PROOFS[lab.chapter.id]:
        lab.task(task)
        output, handed = answer_cell(lab, solution(lab.chapter.id, task), task, tmp_path)
        report = lab.examine(task, *handed)
        assert report.score == lab.chapter.task(task).points, explain(report, output)
        assert report.passed
        lab.reset(task)
        assert lab.examine(task).score == 0, "a reset takes the task back to its beginning"


@pytest.fixture
def knowing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an answer use what only the check knows: who is wrong in a certain way has to know what is right."""
    monkeypatch.setattr(lab, "values", lab._values)
    for name, value in vars(lab._values).items():
        monkeypatch.setenv(f"MY_{name.upper()}", str(value))


def test_no_answer_is_among_what_a_learner_is_told(lab: Lab) -> None:
    """A learner's notebook has the values that the tasks name, and none that only the check knows."""
    told = set(vars(lab.values))
    assert told <= set(vars(lab._values))
    texts = " ".join(text for task in lab.chapter.tasks for text in (task.ask, *task.hints))
    for name, value in vars(lab._values).items():
        assert (name in told) == (f"{{{name}}}" in texts)
        assert name in told or os.environ.get(f"MY_{name.upper()}") != str(value), name


@pytest.mark.usefixtures("knowing")
def test_wrong_answers_score_what_they_deserve(lab: Lab, tmp_path: Path) -> None:
    """Each wrong answer gets its points, and a failed point says what explains it and how to see it."""
    for task, answers in PROOFS[lab.chapter.id].items():
        for answer in answers:
            lab.reset(task)
            output, handed = answer_cell(lab, answer, task, tmp_path)
            report = lab.examine(task, *handed)
            told = explain(report, f"{answer['name']}\n{output}")
            assert report.score == answer["points"], told
            assert answer["message"] in str(report), told
            assert all(each.command.startswith(SHOWN_BY) for each in report.failed), told
            run(lab, answer.get("clean", "true"), tmp_path)
        lab.reset(task)


def test_checks_leave_the_cluster_alone(lab: Lab) -> None:
    """Looking changes nothing: the same check twice says the same."""

    def words(task: str) -> Any:
        return [(point.what, point.passed) for point in lab.examine(task).points]

    for task in PROOFS[lab.chapter.id]:
        assert words(task) == words(task)
