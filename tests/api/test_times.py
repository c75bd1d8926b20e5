"""Timestamps and durations are read and written as Go does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s_core.api import times


def test_timestamps_are_utc_seconds() -> None:
    """A Time has no fraction, a MicroTime has six digits of it."""
    assert times.timestamp(1767225600) == "2026-01-01T00:00:00Z"
    assert times.timestamp(1767225600.9) == "2026-01-01T00:00:00Z"
    assert times.micro_timestamp(1767225600.25) == "2026-01-01T00:00:00.250000Z"


def test_canonical_form() -> None:
    """Zones become UTC, fractions go."""
    assert times.canonical("2026-01-01T00:00:00Z") == "2026-01-01T00:00:00Z"
    assert times.canonical("2026-01-01T01:30:00+01:30") == "2026-01-01T00:00:00Z"
    assert times.canonical("2026-01-01T00:00:00.999Z") == "2026-01-01T00:00:00Z"
    assert times.canonical_micro("2026-01-01T00:00:00.123456-01:00") == "2026-01-01T01:00:00.123456Z"
    assert times.parse("2024-02-29T12:00:00Z") == 1709208000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abc", 'parsing time "abc" as "2006-01-02T15:04:05Z07:00": cannot parse "abc" as "2006"'),
        ("", 'parsing time "" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "2006"'),
        ("2026-01-01", 'parsing time "2026-01-01" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "T"'),
        ("2026-13-01T00:00:00Z", 'parsing time "2026-13-01T00:00:00Z": month out of range'),
        ("2025-02-29T00:00:00Z", 'parsing time "2025-02-29T00:00:00Z": day out of range'),
        ("2026-01-01T24:00:00Z", 'parsing time "2026-01-01T24:00:00Z": hour out of range'),
        ("2026-01-01T00:00:00Zx", 'parsing time "2026-01-01T00:00:00Zx": extra text: "x"'),
    ],
)
def test_time_errors(text: str, message: str) -> None:
    """What cannot be read is explained in Go's words."""
    with pytest.raises(ValueError) as caught:
        times.canonical(text)
    assert str(caught.value) == message


def test_micro_times_need_six_digits() -> None:
    """A MicroTime without its fraction is refused, as Go refuses it."""
    with pytest.raises(ValueError, match=r'cannot parse "Z" as "\.000000"'):
        times.canonical_micro("2026-01-01T00:00:00Z")


@given(st.integers(0, 4102444800))
def test_timestamps_read_back(seconds: int) -> None:
    """A written time reads back as the same second."""
    assert times.parse(times.timestamp(seconds)) == seconds
    assert times.canonical(times.timestamp(seconds)) == times.timestamp(seconds)


@pytest.mark.parametrize(
    ("text", "seconds", "written"),
    [
        ("5m", 300, "5m0s"), ("1h30m", 5400, "1h30m0s"), ("300ms", 0.3, "300ms"), ("1.5s", 1.5, "1.5s"),
        ("0", 0, "0s"), ("-2h", -7200, "-2h0m0s"), ("10us", 1e-5, "10µs"),
    ],
)  # fmt: skip
def test_durations(text: str, seconds: float, written: str) -> None:
    """Durations are read in every unit and written as time.Duration is."""
    assert times.parse_duration(text) == pytest.approx(seconds)
    assert times.duration(seconds) == written


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'time: invalid duration ""'),
        ("5", 'time: missing unit in duration "5"'),
        ("5d", 'time: unknown unit "d" in duration "5d"'),
        ("abc", 'time: invalid duration "abc"'),
    ],
)
def test_duration_errors(text: str, message: str) -> None:
    """What cannot be read is explained in Go's words."""
    with pytest.raises(ValueError) as caught:
        times.parse_duration(text)
    assert str(caught.value) == message
