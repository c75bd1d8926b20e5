"""Cron schedules are read, and refused, as Kubernetes' own parser does."""

import pytest

from k8s_core.api import cron


def test_fields() -> None:
    """Stars, ranges, steps, lists and names give the values of each field."""
    schedule = cron.parse("*/20 1-3 1,15 jan,DEC mon-fri")
    assert schedule.minutes == {0, 20, 40}
    assert schedule.hours == {1, 2, 3}
    assert schedule.days == {1, 15}
    assert schedule.months == {1, 12}
    assert schedule.weekdays == {1, 2, 3, 4, 5}
    assert not schedule.any_day


def test_descriptors() -> None:
    """@hourly is a schedule, @every a number of seconds."""
    assert cron.parse("@hourly") == cron.parse("0 * * * *")
    assert cron.parse("@every 1h30m").every == 5400
    assert cron.parse("5/15 * * * *").minutes == {5, 20, 35, 50}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("a * * * *", 'failed to parse int from a: strconv.Atoi: parsing "a": invalid syntax'),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("@never", "unrecognized descriptor: @never"),
    ],
)
def test_errors(text: str, message: str) -> None:
    """What is no schedule is refused in the parser's own words."""
    with pytest.raises(ValueError) as error:
        cron.parse(text)
    assert str(error.value) == message
