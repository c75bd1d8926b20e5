"""The axis of time that timelines share: to scale where something happens, and shorter where nothing does."""

from collections.abc import Callable
from itertools import pairwise


class Axis:
    """Where a time stands, from `left` on. `squeeze` says how wide so many seconds between two moments are drawn."""

    def __init__(self, moments: list[float], left: float, width: float, squeeze: Callable[[float], float]):
        self.moments, self.left, self.places = moments, left, [0.0]
        for before, after in pairwise(moments):
            self.places.append(self.places[-1] + squeeze(after - before))
        self.unit = width / max(self.places[-1], 1.0)

    def __call__(self, time: float) -> float:
        """A time between two moments stands between their places."""
        after = next((i for i, moment in enumerate(self.moments) if moment >= time), len(self.moments) - 1)
        before = max(after - 1, 0)
        length = self.moments[after] - self.moments[before]
        part = min(max((time - self.moments[before]) / length, 0.0), 1.0) if length else 0.0
        place = self.places[before] + part * (self.places[after] - self.places[before])
        return self.left + place * self.unit
