"""What a kernel may ask the judge: time is sent ahead only as long as a cell has time."""

import math
import time
from types import SimpleNamespace
from typing import Any

import pytest

from course.grading.questions import HOUR, answers
from course.kernel import LabError


def advance(duration: Any, deadline: float) -> list[float]:
    """How far a lab was sent ahead, piece by piece."""
    sent: list[float] = []
    lab: Any = SimpleNamespace(
        chapter=SimpleNamespace(id="09-pods"), advance=sent.append, settle=None, revisions=None, told_of=None
    )
    judge: Any = SimpleNamespace(lab=lab, back=None, deadline=deadline)
    answers(judge, {})["advance"](duration)
    return sent


def test_time_is_sent_ahead_in_pieces() -> None:
    """All of it, and none of it more than an hour."""
    assert advance("2h30m", math.inf) == [HOUR, HOUR, HOUR / 2]
    assert advance(5, math.inf) == [5]
    assert advance(0, math.inf) == []


def test_a_thousand_years_end_with_the_cell() -> None:
    """The judge looks at the cell's time after each piece."""
    with pytest.raises(LabError, match="takes too long"):
        advance("8760000h", time.monotonic())


@pytest.mark.parametrize("duration", ("soon", "-1h", -1, 10**400, math.inf, math.nan))
def test_what_is_no_duration_is_refused(duration: Any) -> None:
    """In the same sentence as at home."""
    with pytest.raises(LabError, match="is no duration"):
        advance(duration, math.inf)
