"""Cron schedules as CronJobs write them, with the messages of the parser that Kubernetes uses (robfig/cron).

Five fields: minute, hour, day of the month, month, day of the week; names for months and days; `@hourly` and its
kin, `@every 1h30m`. Leaves out: seconds, and reckoning in a time zone (who asks gives local times).
"""

import re
from typing import Final, NamedTuple

MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
DESCRIPTORS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_DURATION: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")


class Bounds(NamedTuple):
    """The least and greatest value of a field, and its names."""

    low: int
    high: int
    names: dict[str, int] = {}  # noqa: RUF012 (never changed)


class Schedule(NamedTuple):
    """The values that match in each field, or the seconds between two runs (`@every`)."""

    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    any_day: bool = False  # day of the month or of the week is a star: both must match, not one of them
    every: float = 0


FIELDS: Final = (
    Bounds(0, 59),
    Bounds(0, 23),
    Bounds(1, 31),
    Bounds(1, 12, {name: number for number, name in enumerate(MONTHS, 1)}),
    Bounds(0, 6, {name: number for number, name in enumerate(DAYS)}),
)


def parse(text: str) -> Schedule:
    """The schedule in a text; ValueError with the upstream message if it is none."""
    if not text:
        raise ValueError("empty spec string")
    if text.startswith(("TZ=", "CRON_TZ=")):
        zone, _, rest = text.partition("=")[2].partition(" ")
        if not rest:
            raise ValueError(f"provided bad location {zone}: unknown time zone {zone}")
        text = rest.strip()
    if text.startswith("@"):
        return _descriptor(text)
    fields = text.split()
    if len(fields) != len(FIELDS):
        raise ValueError(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    values = [_field(field, bounds) for field, bounds in zip(fields, FIELDS, strict=True)]
    stars = any(part.split("/")[0] in ("*", "?") for i in (2, 4) for part in fields[i].split(","))
    return Schedule(values[0], values[1], values[2], values[3], values[4], stars)


def _descriptor(text: str) -> Schedule:
    if text in DESCRIPTORS:
        return parse(DESCRIPTORS[text])
    if text.startswith("@every "):
        duration = text.removeprefix("@every ")
        if not _DURATION.match(duration) or _DURATION.sub("", duration):
            raise ValueError(f'failed to parse duration {text}: time: invalid duration "{duration}"')
        seconds = sum(float(number) * UNITS[unit] for number, unit in _DURATION.findall(duration))
        return Schedule(every=max(1, int(seconds)))
    raise ValueError(f"unrecognized descriptor: {text}")


def _field(field: str, bounds: Bounds) -> frozenset[int]:
    return frozenset().union(*(_range(part, bounds) for part in field.split(",") if part))


def _range(text: str, bounds: Bounds) -> frozenset[int]:
    parts = text.split("/")
    ends = parts[0].split("-")
    if ends[0] in ("*", "?"):
        start, end = bounds.low, bounds.high
    else:
        start = end = _number(ends[0], bounds)
        if len(ends) == 2:
            end = _number(ends[1], bounds)
        elif len(ends) > 2:
            raise ValueError(f"too many hyphens: {text}")
    step = 1
    if len(parts) == 2:
        step = _integer(parts[1])
        if len(ends) == 1:  # "N/step" goes on to the end
            end = bounds.high
    elif len(parts) > 2:
        raise ValueError(f"too many slashes: {text}")
    if start < bounds.low:
        raise ValueError(f"beginning of range ({start}) below minimum ({bounds.low}): {text}")
    if end > bounds.high:
        raise ValueError(f"end of range ({end}) above maximum ({bounds.high}): {text}")
    if start > end:
        raise ValueError(f"beginning of range ({start}) beyond end of range ({end}): {text}")
    if step == 0:
        raise ValueError(f"step of range should be a positive number: {text}")
    return frozenset(range(start, end + 1, step))


def _number(text: str, bounds: Bounds) -> int:
    named = bounds.names.get(text.lower())
    return _integer(text) if named is None else named


def _integer(text: str) -> int:
    if not re.fullmatch(r"[-+]?[0-9]+", text):
        raise ValueError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    if int(text) < 0:
        raise ValueError(f"negative number ({int(text)}) not allowed: {text}")
    return int(text)
