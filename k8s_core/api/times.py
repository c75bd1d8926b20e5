"""Timestamps and durations as the API writes them: metav1.Time, metav1.MicroTime and Go's time.Duration.

A point in time is a float or int of seconds since the epoch. Errors are ValueErrors with the text of Go's time.Parse.
"""

import calendar
import functools
import re
import time
from typing import Final

from k8s_core.api.field import quote

_LAYOUT: Final = "2006-01-02T15:04:05Z07:00"
_MICRO_LAYOUT: Final = "2006-01-02T15:04:05.000000Z07:00"
_PARTS: Final = (
    ("2006", "[0-9]{4}"), ("-", "-"), ("01", "[0-9]{2}"), ("-", "-"), ("02", "[0-9]{2}"), ("T", "T"),
    ("15", "[0-9]{2}"), (":", ":"), ("04", "[0-9]{2}"), (":", ":"), ("05", "[0-9]{2}"),
)  # fmt: skip
_FAST: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z")
_MONTH_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@functools.lru_cache(maxsize=4096)
def timestamp(seconds: float) -> str:
    """A metav1.Time: "2026-01-01T00:00:00Z"."""
    year, month, day, hour, minute, second = time.gmtime(int(seconds // 1))[:6]
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"


def micro_timestamp(seconds: float) -> str:
    """A metav1.MicroTime: "2026-01-01T00:00:00.000000Z"."""
    micros = round(seconds * 10**6)
    return f"{timestamp(micros // 10**6)[:-1]}.{micros % 10**6:06}Z"


@functools.lru_cache(maxsize=4096)
def parse(text: str) -> float:
    """Read a Time or MicroTime, with any time zone and any fraction of a second."""
    return _read(text, _LAYOUT)


def canonical(text: str) -> str:
    """A Time as the API server writes it: in UTC, without fractions; ValueError if it cannot be read."""
    if _FAST.fullmatch(text) and _plausible(text):
        return text
    return timestamp(_read(text, _LAYOUT))


def canonical_micro(text: str) -> str:
    """A MicroTime as the API server writes it; it must come with exactly six digits after the point."""
    return micro_timestamp(_read(text, _MICRO_LAYOUT))


def _plausible(text: str) -> bool:
    return text[5:7] <= "12" and "01" <= text[8:10] <= "28" and text[11:13] < "24" and text[5:7] > "00" \
        and text[14:16] < "60" and text[17:19] < "60" and text[:4] > "0000"  # fmt: skip


def _read(text: str, layout: str) -> float:
    def fail(rest: str, element: str) -> ValueError:
        where = f"parsing time {quote(text)} as {quote(layout)}"
        return ValueError(f"{where}: cannot parse {quote(rest)} as {quote(element)}")

    rest, numbers = text, []
    for element, pattern in _PARTS:
        match = re.match(pattern, rest)
        if not match:
            raise fail(rest, element)
        rest = rest[match.end() :]
        if len(element) > 1:
            numbers.append(int(match.group()))
    match = re.match(r"[.,]([0-9]{6})(?![0-9])" if layout == _MICRO_LAYOUT else r"[.,]([0-9]+)", rest)
    fraction = 0.0
    if match:
        fraction, rest = float("0." + match.group(1)), rest[match.end() :]
    elif layout == _MICRO_LAYOUT:
        raise fail(rest, ".000000")
    match = re.match(r"Z|([+-])([0-9]{2}):([0-9]{2})", rest)
    if not match:
        raise fail(rest, "Z07:00")
    rest = rest[match.end() :]
    sign, hours, minutes = match.groups()
    year, month, day, hour, minute, second = numbers
    month_ok = 1 <= month <= 12
    last = _MONTH_DAYS[month - 1] if month_ok and (month != 2 or calendar.isleap(year)) else 28
    for name, right in (
        ("month", month_ok),
        ("hour", hour < 24),
        ("minute", minute < 60),
        ("second", second < 60),
        ("time zone offset hour", int(hours or 0) <= 24),
        ("time zone offset minute", int(minutes or 0) < 60),
        ("day", not month_ok or 1 <= day <= last),
    ):
        if not right:
            raise ValueError(f"parsing time {quote(text)}: {name} out of range")
    if rest:
        raise ValueError(f"parsing time {quote(text)}: extra text: {quote(rest)}")
    seconds = calendar.timegm((max(year, 1), month, day, hour, minute, second))
    offset = (int(hours or 0) * 60 + int(minutes or 0)) * 60
    return seconds - (-offset if sign == "-" else offset) + fraction


_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_STEP: Final = re.compile(r"([0-9]*\.?[0-9]*)([^0-9.]*)")


def parse_duration(text: str) -> float:
    """Read a Go duration such as "1h30m" or "300ms" as seconds; ValueError with the text of time.ParseDuration."""
    body = text[1:] if text[:1] in ("-", "+") else text
    if body == "0":
        return 0.0
    if not body:
        raise ValueError(f"time: invalid duration {quote(text)}")
    total = 0.0
    while body:
        match = _STEP.match(body)
        assert match
        number, unit = match.groups()
        if not number.strip("."):
            raise ValueError(f"time: invalid duration {quote(text)}")
        if not unit:
            raise ValueError(f"time: missing unit in duration {quote(text)}")
        if unit not in _UNITS:
            raise ValueError(f"time: unknown unit {quote(unit)} in duration {quote(text)}")
        total += float(number) * _UNITS[unit]
        body = body[match.end() :]
    return -total if text[0] == "-" else total


def duration(seconds: float) -> str:
    """Write seconds as Go's time.Duration does: "1h30m0s", "1.5s", "300ms", "0s"."""
    nanos = abs(round(seconds * 10**9))
    sign = "-" if seconds < 0 and nanos else ""
    if nanos < 10**9:
        for unit, size in (("ms", 10**6), ("µs", 10**3), ("ns", 1)):
            if nanos >= size:
                return f"{sign}{_plain(nanos, size)}{unit}"
        return "0s"
    minutes, rest = divmod(nanos, 60 * 10**9)
    text = _plain(rest, 10**9) + "s"
    if minutes:
        text = f"{minutes % 60}m{text}"
    if minutes >= 60:
        text = f"{minutes // 60}h{text}"
    return sign + text


def _plain(count: int, size: int) -> str:
    whole, rest = divmod(count, size)
    digits = str(rest).zfill(len(str(size)) - 1).rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)
