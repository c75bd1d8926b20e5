"""Every assignment over the border: what its source does earns full marks when it is graded, too."""

from pathlib import Path

import pytest
from classroom import Classroom

from course import syllabus
from course.grading.court import Court
from course.grading.intake import sources, take_in
from course.grading.sandbox import missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"learners' code cannot be shut in here: {missing()}")
CHAPTERS = [chapter.id for chapter in syllabus.chapters() if chapter.assignment]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_reference_solution_earns_all(chapter: str, tmp_path: Path) -> None:
    """Each graded cell judged from outside the kernel that ran the solution's cells, right after the task began."""
    room = Classroom(tmp_path, chapter)
    room.submit("ada", room.answers(*(task.id for task in syllabus.chapter(chapter).tasks)))
    submission = take_in(room.folder("ada"), chapter, "ada", sources(tmp_path / "exercises" / chapter))
    with Court(chapter, workers=1) as court:
        verdict = court.judge(submission)
    assert not verdict.messages
    for mark in verdict.marks:
        assert mark.score in (mark.total, None), (mark.cell, mark.failed, mark.message)
    judged = [mark for mark in verdict.marks if mark.score is not None]
    assert len(judged) == sum(bool(task.points) and not task.by_hand for task in syllabus.chapter(chapter).tasks)
