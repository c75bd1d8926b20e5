"""All that a kernel may ask the judge, and nothing else. Each question checks what it is given by a stranger."""

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from course.grading.outputs import MAX_TEXT
from course.kernel import LabError
from k8s_core.api.times import parse_duration

if TYPE_CHECKING:
    from course.grading.judge import Judge

HOUR = 3600.0
"""Virtual seconds that are sent ahead at once, before the judge looks whether the cell has time left."""


def answers(judge: "Judge", told: dict[str, Any]) -> dict[str, Callable[..., Any]]:
    """All that a kernel may ask, and nothing else; each checks its arguments."""
    lab = judge.lab

    def start(chapter: Any) -> dict[str, Any]:
        if chapter != lab.chapter.id:
            raise LabError(f'This assignment\'s lab is "{lab.chapter.id}".')
        return told

    def advance(duration: Any) -> None:
        expect(duration, str, int, float)
        try:
            left = float(parse_duration(duration) if isinstance(duration, str) else duration)
        except (ValueError, OverflowError):
            left = math.nan
        if not 0 <= left < math.inf:
            raise LabError(f'"{str(duration)[:50]}" is no duration. Write it like "30s", "5m" or "1h30m".')
        while left > 0:
            lab.advance(min(left, HOUR))
            left -= HOUR
            if time.monotonic() > judge.deadline:
                raise LabError("That takes too long: the cell's time is over.")

    def task(id: Any) -> str:
        text = lab.told_of(_text(id))
        judge.outputs.ours.add(text)
        return text

    def check(id: Any, handed: int) -> dict[str, Any]:
        report = lab.examine(_text(id), *(judge.function(index) for index in range(handed)))
        return {"text": str(report), "score": report.score, "total": report.total, "passed": report.passed}

    def reset(id: Any) -> None:
        if not id:
            raise LabError("The whole lab cannot begin again while an assignment is graded.")
        lab.reset(_text(id))

    def flows(source: Any, address: Any, port: Any, count: Any) -> str:
        expect(port, int)
        expect(count, int)
        return str(lab.flows(_text(source), _text(address), port, min(count, 2000)))

    return {
        "start": start,
        "settle": lab.settle,
        "advance": advance,
        "task": task,
        "hint": lambda id: "(hints are not shown while an assignment is graded)",
        "check": check,
        "reset": reset,
        "stop": lambda component: lab.stop(_text(component)),
        "restart": lambda component: lab.restart(_text(component)),
        "node": lambda name, command: str(lab.node(_text(name)).run(_text(command))),
        "flows": flows,
        "lookup": lambda source, name: str(lab.lookup(_text(source), _text(name))),
        "keys": lambda prefix: str(lab.keys(_text(prefix)))[:MAX_TEXT],
        "revisions": lab.revisions,
        "back": judge.back,
    }


def expect(value: Any, *kinds: type) -> None:
    if type(value) not in kinds:
        raise LabError(f"{str(value)[:50]!r} is not what is wanted here.")


def _text(value: Any) -> str:
    expect(value, str)
    return str(value)[:MAX_TEXT]
