"""Quantities are read, written and added as Go does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s_core.api import quantity


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1", "1"), ("1000m", "1"), ("0.1", "100m"), ("1.5", "1500m"), ("1024Mi", "1Gi"), ("64Mi", "64Mi"),
        ("1000", "1k"), ("100M", "100M"), ("0.5Gi", "512Mi"), ("1.5Gi", "1536Mi"), ("1500Mi", "1500Mi"),
        ("1Ki", "1Ki"), ("512", "512"), ("1e3", "1e3"), ("12e2", "1200"), ("1e-3", "1e-3"), ("1E", "1E"),
        ("0", "0"), ("0.0", "0"), ("00", "0"), ("0Mi", "0"), ("-5m", "-5m"), (".5", "500m"), ("5.0m", "5m"),
        ("0.0000000001", "1n"), ("0.5Ki", "512"), ("16Ei", "9223372036854775807"), ("1.500", "1.500"),
        ("+5", "+5"), ("0.100", "100m"), ("8192Ki", "8Mi"), ("1023Ki", "1023Ki"), ("100000m", "100"),
    ],
)  # fmt: skip
def test_canonical(text: str, written: str) -> None:
    """What Go's MarshalJSON gives after UnmarshalJSON."""
    assert quantity.canonical(text) == written


@pytest.mark.parametrize("text", ["", "abc", "1 ", "5 Mi", "1..2", "one", "1x"])
def test_wrong_format(text: str) -> None:
    """What does not even look like a quantity is told the regular expression."""
    with pytest.raises(ValueError, match="quantities must match the regular expression"):
        quantity.parse(text)


@pytest.mark.parametrize("text", ["1e", "1Mii", "1mi", "1K", "1i", ".5i", "-3.01e-"])
def test_wrong_suffix(text: str) -> None:
    """An unknown unit is told as such."""
    with pytest.raises(ValueError, match="unable to parse quantity's suffix"):
        quantity.parse(text)


def test_values_are_rounded_up() -> None:
    """Milli and whole values never promise less than was asked."""
    assert quantity.milli("100m") == 100
    assert quantity.milli("1") == 1000
    assert quantity.milli("1u") == 1
    assert quantity.value("64Mi") == 64 * 2**20
    assert quantity.value("1500m") == 2
    assert quantity.value("-1500m") == -1


def test_sums_and_comparisons() -> None:
    """A sum is written as its first part is."""
    assert quantity.add(["100m", "900m"]) == "1"
    assert quantity.add(["64Mi", "1Gi"]) == "1088Mi"
    assert quantity.add(["0", "1Gi"]) == "1Gi"
    assert quantity.add([]) == "0"
    assert quantity.compare("1", "1000m") == 0
    assert quantity.compare("999m", "1") == -1
    assert quantity.compare("1Gi", "1G") == 1
    assert quantity.from_milli(1500) == "1500m"
    assert quantity.format(3 * quantity.NANO * 2**20, "binary") == "3Mi"


@given(st.integers(-(2**62), 2**62), st.sampled_from(["decimal", "exponent"]))
def test_writing_loses_nothing(nanos: int, style: str) -> None:
    """What is written reads back as the same value."""
    assert quantity.nanos(quantity.format(nanos, style)) == nanos


@given(st.integers(-(2**62), 2**62))
def test_binary_writing_loses_nothing(whole: int) -> None:
    """Binary amounts, too, and canonical text stays as it is."""
    text = quantity.format(whole * quantity.NANO, "binary")
    assert quantity.value(text) == whole
    assert quantity.canonical(quantity.canonical(text)) == quantity.canonical(text)


@given(st.text(alphabet="0123456789.eEinumkKMGTP+- ", max_size=12))
def test_reading_fails_only_as_said(text: str) -> None:
    """Any text is either a quantity or a ValueError."""
    try:
        written = quantity.canonical(text)
    except ValueError:
        return
    assert quantity.nanos(written) == quantity.nanos(text.strip())
