"""The tasks of each chapter: what a learner's own values are, how a task begins, and what its check looks at.

One module a chapter, named for its topic. It has `values(draw)`, which makes the learner's own names and numbers
from a seeded random source, and `TASKS`, {task id: Exercise}. Titles, hints and points stand in the syllabus.
"""

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from course.checks import Look, Points
from course.syllabus import Chapter

Values = SimpleNamespace
"""A learner's own names and numbers, by attribute."""


@dataclass(frozen=True, slots=True)
class Exercise:
    """`begin` is the manifest a task starts from, `owns` the objects ("pods/web", or "pods/app=web"
    for all that have a label) that a reset takes away.

    `then` are kubectl commands that follow `begin` when a beginning has a past, such as several revisions; {names} in
    them are the learner's own values. `files` is a shell command that changes files of the nodes, below $NODES, before
    all that. `stops` are components that are stopped before all that, as `lab.stop` names them; a reset starts them.
    `age` is how long ago it all began, such as "1m": what ends and starts again has done so by then.
    `typed` is what is typed on nodes before all that, (node, commands); `mended` is what a reset types there.
    """

    check: Callable[[Look, Values], Points]
    owns: tuple[str, ...] = ()
    begin: Callable[[Values], str] | None = None
    then: tuple[str, ...] = ()
    age: str = ""
    files: str = ""
    stops: tuple[str, ...] = ()
    typed: tuple[tuple[str, str], ...] = ()
    mended: tuple[tuple[str, str], ...] = ()

    @property
    def apart(self) -> bool:
        """Whether it takes the cluster itself apart, which only the course's own lets one do."""
        return bool(self.files or self.stops or self.typed)


def load(chapter: Chapter, learner: str) -> tuple[Values, Mapping[str, Exercise]]:
    """The chapter's tasks and this learner's values; nothing for a chapter without tasks."""
    if not any(not task.by_hand for task in chapter.tasks):
        return Values(), {}
    module: Any = import_module(f"course.tasks.{chapter.topic.replace('-', '_')}")
    return module.values(random.Random(f"{chapter.id} {learner}")), module.TASKS


def told(chapter: Chapter, values: Values) -> Values:
    """Of a learner's values those that the tasks and their hints name. The others are the check's own: some of them
    are answers, and neither a notebook nor its environment ever sees them."""
    texts = " ".join(text for task in chapter.tasks for text in (task.ask, *task.hints))
    named = set(re.findall(r"\{(\w+)\}", texts))
    return Values(**{name: value for name, value in vars(values).items() if name in named})


def fill(text: str, values: Values) -> str:
    """Put the learner's values where {name} stands; other braces stay."""
    known = vars(values)
    return re.sub(r"\{(\w+)\}", lambda found: str(known.get(found[1], found[0])), text)
