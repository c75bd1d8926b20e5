"""Shows virtual time on the client's clock.

kubectl computes some ages itself, as its own wall clock minus a timestamp. Once virtual time was sent ahead those
ages would be wrong, so the door moves the timestamps that Kubernetes' own fields carry: on the way out by the
difference between wall clock and virtual time, on the way in back again. A timestamp that was shown before comes
back as exactly what it was, even if time moved on meanwhile (`kubectl edit`, `replace`).

Left out: protobuf bodies (kubectl sends none with timestamps) and times inside messages and logs' own text.
A ConfigMap that has a key of these names and such a value is moved, too, and moved back.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

FIELDS = (
    "creationTimestamp deletionTimestamp lastTransitionTime lastProbeTime lastUpdateTime lastHeartbeatTime "
    "firstTimestamp lastTimestamp eventTime startTime startedAt finishedAt completionTime renewTime acquireTime "
    "time timeAdded lastScheduleTime lastSuccessfulTime lastScaleTime lastObservedTime expirationTimestamp "
    "restartedTime lastForcedRemovalTime"
)
_NAMES = "|".join(FIELDS.split()).encode()
_STAMP = rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)((?:\.\d+)?Z)"
_OUT = re.compile(rb'("(?:%s)":\s?")%s(?=")' % (_NAMES, _STAMP))
_IN = re.compile(rb'("?\b(?:%s)"?\s*:\s*"?)%s' % (_NAMES, _STAMP))
_LINE = re.compile(rb"(^)%s(?= )" % _STAMP, re.MULTILINE)
TOLERANCE = 1.0
MAX_REMEMBERED = 100_000


class WallClock:
    """Moves timestamps by `offset()`: virtual time minus wall clock, in seconds."""

    def __init__(self, offset: Callable[[], float]) -> None:
        self._offset = offset
        self._shown: dict[bytes, bytes] = {}
        self._moved: tuple[int, dict[bytes, bytes]] = (0, {})

    def outgoing(self, data: bytes) -> bytes:
        """A JSON response or watch frame as the client shall see it."""
        return self._out(_OUT, data)

    def outgoing_lines(self, data: bytes) -> bytes:
        """Log lines that begin with a timestamp (`kubectl logs --timestamps`)."""
        return self._out(_LINE, data)

    def incoming(self, data: bytes) -> bytes:
        """A JSON or YAML body, back in virtual time."""
        shift = self._shift()
        if not shift or not data:
            return data

        def back(match: re.Match[bytes]) -> bytes:
            stamp = match[2]
            return match[1] + (self._shown.get(stamp) or _moved(stamp, shift)) + match[3]

        return _IN.sub(back, data)

    def incoming_time(self, text: str) -> str:
        """One RFC 3339 time, such as ?sinceTime=, back in virtual time."""
        shift = self._shift()
        try:
            moved = datetime.fromisoformat(text).astimezone(UTC) + timedelta(seconds=shift)
        except (ValueError, OverflowError):
            return text
        return moved.strftime("%Y-%m-%dT%H:%M:%SZ") if shift else text

    def _shift(self) -> int:
        offset = self._offset()
        return round(offset) if abs(offset) > TOLERANCE else 0

    def _out(self, pattern: re.Pattern[bytes], data: bytes) -> bytes:
        shift = self._shift()
        if not shift:
            return data
        if self._moved[0] != shift:
            self._moved = (shift, {})
        moved = self._moved[1]

        def show(match: re.Match[bytes]) -> bytes:
            stamp = match[2]
            shown = moved.get(stamp)
            if shown is None:
                shown = moved[stamp] = _moved(stamp, -shift)
                if len(self._shown) >= MAX_REMEMBERED:
                    self._shown.clear()
                self._shown[shown] = stamp
            return match[1] + shown + match[3]

        return pattern.sub(show, data)


def _moved(stamp: bytes, seconds: int) -> bytes:
    try:
        then = datetime.fromisoformat(stamp.decode()) + timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        return stamp
    return then.strftime("%Y-%m-%dT%H:%M:%S").encode()
