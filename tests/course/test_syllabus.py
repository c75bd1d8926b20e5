"""The manifest, and that everything it names is there."""

import random
import string
from collections import Counter

import pytest

from course import environment, syllabus, tasks
from course.syllabus import Chapter

READY = [chapter for chapter in syllabus.chapters() if chapter.lesson or chapter.assignment]


def test_chapters_are_in_order_and_unique() -> None:
    """Chapter ids are NN-topic, in order, each once; so are the tasks of a chapter."""
    ids = [chapter.id for chapter in syllabus.chapters()]
    assert ids == sorted(ids)
    assert [int(id.split("-")[0]) for id in ids] == list(range(1, len(ids) + 1))
    for chapter in syllabus.chapters():
        assert not [id for id, count in Counter(task.id for task in chapter.tasks).items() if count > 1]


@pytest.mark.parametrize("chapter", READY, ids=lambda chapter: chapter.id)
def test_what_is_ready_is_there(chapter: Chapter) -> None:
    """A chapter's text and notebook exist exactly if the manifest says so."""
    lesson = environment.NOTEBOOKS / f"{chapter.id}.md"
    assignment = environment.EXERCISES / chapter.id / f"{chapter.topic}.md"
    for text, ready in ((lesson, chapter.lesson), (assignment, chapter.assignment)):
        assert text.exists() == ready
        assert text.with_suffix(".ipynb").exists() == ready


@pytest.mark.parametrize("chapter", READY, ids=lambda chapter: chapter.id)
def test_every_task_has_a_check_and_hints(chapter: Chapter) -> None:
    """Tasks that are not read by hand have a check, what is asked, and three hints; nothing has a check in vain."""
    _, exercises = tasks.load(chapter, "somebody")
    checked = [task for task in chapter.tasks if not task.by_hand]
    assert {task.id for task in checked} == set(exercises)
    for task in checked:
        assert task.ask
        assert len(task.hints) == 3


@pytest.mark.parametrize("chapter", READY, ids=lambda chapter: chapter.id)
def test_a_learners_values_fill_every_brace(chapter: Chapter) -> None:
    """What is asked and hinted has no name left in braces, for any learner; the same learner gets the same."""
    for learner in random.Random(0).sample(string.ascii_letters, 20):
        values, exercises = tasks.load(chapter, learner)
        assert vars(values) == vars(tasks.load(chapter, learner)[0])
        for task in chapter.tasks:
            for text in (task.ask, *task.hints, *(exercises[task.id].owns if task.id in exercises else ())):
                assert "{" not in tasks.fill(text, values), text


def test_learners_differ() -> None:
    """Of many learners few have the same values."""
    chapter = syllabus.chapter("09-pods")
    seen = {str(vars(tasks.load(chapter, f"learner{number}")[0])) for number in range(50)}
    assert len(seen) > 45
