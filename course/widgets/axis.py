"""The axis of time that timelines share: to scale where something happens, and shorter where nothing does.

After the last moment it goes on for a while, so that one sees how things stand then.
"""

from collections.abc import Callable
from itertools import pairwise

from course.widgets.pictures import _text
from course.widgets.state import elapsed

REST = 0.08
"""How much of the width lies after the last moment."""
NEAR = 60
"""Times that would stand nearer than this are left out."""


class Axis:
    """Where a time stands, from `left` on. `squeeze` says how wide so many seconds between two moments are drawn."""

    def __init__(self, moments: list[float], left: float, width: float, squeeze: Callable[[float], float]):
        self.left, self.places, self.end = left, [0.0], moments[-1] + 1.0
        for before, after in pairwise(moments):
            self.places.append(self.places[-1] + squeeze(after - before))
        self.places.append(max(self.places[-1], 1.0) / (1 - REST))
        self.moments = [*moments, self.end]
        self.unit = width / self.places[-1]

    def until(self, now: float) -> float:
        """How far a picture goes whose moment is `now`: the last one's goes to the end of the axis."""
        return self.end if now >= self.moments[-2] else now

    def times(self, now: float, y: float) -> list[str]:
        """The moments up to `now`, written below the axis where there is room."""
        found, last = list[str](), -float(NEAR)
        for time in self.moments[:-1]:
            if time <= now and self(time) - last > NEAR:
                found.append(_text(self(time), y, elapsed(time), "dim", "middle"))
                last = self(time)
        return found

    def __call__(self, time: float) -> float:
        """A time between two moments stands between their places."""
        after = next((i for i, moment in enumerate(self.moments) if moment >= time), len(self.moments) - 1)
        before = max(after - 1, 0)
        length = self.moments[after] - self.moments[before]
        part = min(max((time - self.moments[before]) / length, 0.0), 1.0) if length else 0.0
        place = self.places[before] + part * (self.places[after] - self.places[before])
        return self.left + place * self.unit
