"""The report at the end of grading: figures, the commonest failed points, and who is alike where others differ."""

import random
from itertools import pairwise
from pathlib import Path

import pytest

from course import syllabus, tasks
from course.grading import report
from course.grading.verdict import Mark, Result, Verdict


def result(student: str, scores: dict[str, float | None], failed: dict[str, tuple[str, ...]], **more: object) -> Result:
    """A submission of chapter 09 with these marks."""
    totals = {"fields": 2.0, "sidecar": 4.0, "why": 2.0}
    answers = more.pop("answers", {})
    assert isinstance(answers, dict)
    marks = tuple(
        Mark(f"check-{task}", task, score, totals[task], failed.get(task, ()), answer=answers.get(task, ""))
        for task, score in scores.items()
    )
    verdict = Verdict("09-pods", student, marks, **more)  # type: ignore[arg-type]
    return Result(verdict, verdict.score, verdict.total)


def own(student: str, name: str) -> str:
    values, _ = tasks.load(syllabus.chapter("09-pods"), student)
    return str(getattr(values, name))


@pytest.fixture
def found() -> report.Summary:
    """Three submissions. The points that failed have each learner's own names in their words."""
    points = {who: f"the Pod {own(who, 'pod')} runs" for who in ("ada", "bob", "cid")}
    return report.summary(
        [
            result(
                "cid", {"fields": 0, "sidecar": 0, "why": None}, {"fields": (points["cid"], "<b>"), "sidecar": ("x",)}
            ),
            result("ada", {"fields": 2, "sidecar": 4, "why": None}, {}),
            result(
                "bob",
                {"fields": 1, "sidecar": 4, "why": None},
                {"fields": (points["bob"],)},
                messages=("a cell is gone",),
            ),
        ]
    )


def test_the_figures_are_those_of_the_marks(found: report.Summary) -> None:
    """Scores by student, and for each task its mean, who has all points, and the point that most failed."""
    assert found.scores == {"ada": 6, "bob": 5, "cid": 0}
    assert found.total == 8
    fields, sidecar, why = found.tasks
    assert (fields.mean, fields.full, fields.marked) == (1.0, 1, 3)
    assert (fields.commonest, fields.times) == ("the Pod {pod} runs", 2)
    assert (sidecar.full, sidecar.commonest, sidecar.times) == (2, "x", 1)
    assert (why.marked, why.commonest) == (0, "")
    assert found.failed[0] == ("fields", "the Pod {pod} runs", 2)
    assert found.odd == (("bob", "a cell is gone"),)


def test_the_report_can_be_read_everywhere(found: report.Summary, tmp_path: Path) -> None:
    """Text for a terminal, a picture, and a page that has both and escapes what learners wrote."""
    text = report.table(found)
    for part in ("3 submissions, mean 3.67, median 5, of 8 points", "the Pod {pod} runs (2)", "bob: a cell is gone"):
        assert part in text
    assert "read by an instructor" in text
    assert report.picture(found).startswith(b"\x89PNG")
    page = report.page(found)
    assert page.count("<table>") == 3
    assert "<b>" not in page
    assert "data:image/png;base64," in page


def test_writing_leaves_three_files(tmp_path: Path) -> None:
    """ASSIGNMENT.html, .png and .txt; nothing to report is an error and leaves nothing."""
    figures, target = report.write([result("ada", {"fields": 2}, {})], tmp_path / "reports")
    assert figures.scores == {"ada": 2}
    assert sorted(path.name for path in target.parent.iterdir()) == ["09-pods.html", "09-pods.png", "09-pods.txt"]
    with pytest.raises(ValueError, match="nothing was graded"):
        report.write([], tmp_path / "none")
    assert not (tmp_path / "none").exists()


def program(draw: random.Random) -> str:
    """A function that hardly anybody else would write in the same way."""
    names = [f"{draw.choice('abcdefgh')}{draw.randint(0, 999)}" for _ in range(8)]
    return "def f(x):\n" + "\n".join(f"    {a} = {b} + {draw.randint(0, 99)} * x" for a, b in pairwise(names))


def test_copies_are_found_in_a_class_and_short_commands_are_no_copies() -> None:
    """Who copied a function, renamed nothing but its comment, is named with the source; the same one-liners are not."""
    draw = random.Random(7)
    line = "kubectl create deployment $MY_SHOP --image=nginx --replicas=3 --port=80"
    answers = {f"s{number:02}": [line, program(draw)] for number in range(60)}
    answers["copy"] = [line, "# mine\n" + answers["s07"][1]]
    found = report.alike(answers)
    assert [pair[:2] for pair in found] == [("copy", "s07")]
    assert found[0][2] > 0.9


def test_a_class_of_equal_short_answers_is_not_suspicious() -> None:
    """If everybody writes the same, nobody has copied; nor have two who both wrote nothing."""
    line = "kubectl create deployment $MY_SHOP --image=nginx --replicas=3 --port=80"
    assert report.alike({f"s{number}": [line] for number in range(20)}) == ()
    assert report.alike({f"s{number}": [""] for number in range(20)}) == ()


def test_what_the_reference_solution_says_too_is_not_suspicious() -> None:
    """Two of a small class who found the solution that everybody should find are not named."""
    solution = program(random.Random(1))
    answers = {f"s{number}": [program(random.Random(number + 2))] for number in range(5)}
    answers |= {"one": [solution], "two": [solution]}
    assert [pair[:2] for pair in report.alike(answers)] == [("one", "two")]
    assert report.alike(answers, [solution]) == ()
