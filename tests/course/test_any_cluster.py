"""Checks look at whatever a learner has made: nothing, half an object, nonsense in a log, a function that fails."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import pytest

from course import lab as labs
from course import syllabus, tasks
from course.checks import Look, run
from course.kernel import LabError
from course.past import Moment

BARE: dict[str, Any] = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x", "uid": "u"}}
OBJECTS = (None, {}, BARE, {**BARE, "spec": {}, "status": {}, "data": {}}, {**BARE, "spec": None, "data": {"a": "?"}})
TEXTS = ("", "error: x\n", "{", "null", "[]", "{}", "yes", "\x00é\n\n")
HANDED: tuple[tuple[Any, ...], ...] = (
    (),
    (5,),
    (lambda *_: None,),
    (lambda *_: {"a": [1]},),
    (lambda *_: "x",),
    (lambda *_: 1 / 0,),
)
CHECKS = [
    (chapter.id, id)
    for chapter in syllabus.chapters()
    if chapter.lesson or chapter.assignment
    for id in tasks.load(chapter, "ada")[1]
]


class Kept:
    """A past in which nothing happened but the same version of everything, again and again."""

    beginning = Moment()

    def __init__(self, kept: Sequence[dict[str, Any]]):
        self.kept = kept

    def now(self) -> Moment:
        return Moment()

    def versions(self, *_: Any) -> Sequence[dict[str, Any]]:
        return self.kept

    def requests(self, *_: Any) -> Sequence[dict[str, Any]]:
        return []

    flows = queries = requests


class Anything:
    """A source that answers every question with the same thing."""

    def __init__(self, object: dict[str, Any] | None, text: str, kept: Sequence[dict[str, Any]] | None):
        self.object, self.text = object, text
        self.past = None if kept is None else Kept(kept)

    def get(self, *_: str) -> dict[str, Any] | None:
        return self.object

    def list(self, *_: str) -> list[dict[str, Any]]:
        return [self.object] if self.object else []

    def run(self, *_: str) -> str:
        return self.text


def anything() -> Iterator[Look]:
    for object, text, handed in product(OBJECTS, TEXTS, HANDED):
        for kept in (None, [], [object or {}]):
            see = Look(Anything(object, text, kept))
            see.handed = handed
            yield see


@pytest.mark.parametrize(("chapter", "id"), CHECKS)
def test_a_check_never_fails_itself(chapter: str, id: str) -> None:
    """Whatever there is, a check ends in points that can be shown."""
    values, exercises = tasks.load(syllabus.chapter(chapter), "ada")
    for see in anything():
        report = run(id, exercises[id].check, see, values, 1)
        assert report.points
        assert str(report)
        assert report.html()


def test_a_check_that_goes_wrong_is_told_as_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """If one fails all the same, a learner reads one sentence that says whose mistake it is."""
    lab = object.__new__(labs.Lab)
    monkeypatch.setattr(lab, "examine", lambda id: 1 / 0, raising=False)
    with pytest.raises(LabError, match="mistake of the course, not yours") as caught:
        lab.check("fields")
    assert caught.value._render_traceback_() == [str(caught.value)]
