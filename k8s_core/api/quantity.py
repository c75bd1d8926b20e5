"""Resource quantities: "100m" of CPU, "64Mi" of memory. Stands for apimachinery's pkg/api/resource.

Values are exact integers counted in nanos (the smallest unit there is; what is smaller is rounded up), so that
adding and comparing is integer arithmetic. `canonical` writes a quantity as Go does when it serialises one.

Leaves out: Go's cap of binary quantities at 2^63-1 for anything but parsing.
"""

import functools
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

NANO: Final = 10**9
"""One, counted in nanos."""

_PATTERN: Final = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)")
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIX: Final = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX: Final = {0: "", **{exponent: suffix for suffix, exponent in _BINARY.items()}}
_LARGEST: Final = (2**63 - 1) * NANO
_HUGE_EXPONENT: Final = 400
_DIGITS: Final = 18  # what Go reads into an int64 ...
_BINARY_DIGITS: Final = 15  # ... and with a binary suffix

_WRONG_FORMAT: Final = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_WRONG_SUFFIX: Final = "unable to parse quantity's suffix"


class Quantity(NamedTuple):
    """A quantity: its value in nanos, and how to write it: "decimal" (100m), "binary" (64Mi), "exponent" (1e3)."""

    nanos: int
    format: str = "decimal"

    def __str__(self) -> str:
        return _write(self.nanos, self.format)


@functools.lru_cache(maxsize=4096)
def parse(text: str | int | float) -> Quantity:
    """Read a quantity; ValueError with Kubernetes' message if it is none. Plain numbers are taken as such."""
    text = str(text)
    if not text:
        raise ValueError(_WRONG_FORMAT)
    match = _PATTERN.fullmatch(text)
    if not match:
        raise ValueError(_WRONG_FORMAT)
    sign, whole, fraction, suffix = match.groups()
    fraction = fraction or ""
    digits = int((whole + fraction) or "0")  # upstream reads "m" and "." as zero, too
    if suffix in _DECIMAL:
        style, exponent = "decimal", _DECIMAL[suffix]
    elif suffix in _BINARY:
        style, exponent = "binary", 0
        digits <<= _BINARY[suffix]
    elif len(suffix) > 1 and suffix[0] in "eE" and re.fullmatch("[-+]?[0-9]+", suffix[1:]):
        style, exponent = "exponent", max(-_HUGE_EXPONENT, min(_HUGE_EXPONENT, int(suffix[1:])))
    else:
        raise ValueError(_WRONG_SUFFIX)
    shift = exponent - len(fraction) + 9
    nanos = digits * 10**shift if shift >= 0 else -(-digits // 10**-shift)
    if style == "binary":
        nanos = min(nanos, _LARGEST)
        if 0 < nanos < NANO:
            style = "decimal"
    return Quantity(-nanos if sign == "-" else nanos, style)


def nanos(text: str | int | float) -> int:
    """The value in nanos."""
    return parse(text).nanos


def milli(text: str | int | float) -> int:
    """The value in thousandths, rounded up: 100 for "100m"."""
    return -(-parse(text).nanos // 10**6)


def value(text: str | int | float) -> int:
    """The whole value, rounded up: 67108864 for "64Mi"."""
    return -(-parse(text).nanos // NANO)


def canonical(text: str | int | float) -> str:
    """The quantity as the API server writes it: "1" for "1000m", "1500m" for "1.5", "1Gi" for "1024Mi"."""
    return _canonical(str(text).strip())


def format(nanos: int, style: str = "decimal") -> str:
    """A value in nanos as canonical text; `style` as in Quantity."""
    return _write(nanos, style)


def from_milli(count: int) -> str:
    """A number of thousandths as canonical text: "100m" for 100, "2" for 2000."""
    return _write(count * 10**6, "decimal")


def add(quantities: Iterable[str]) -> str:
    """The canonical sum; written as the first that is not zero is."""
    total, style = 0, "decimal"
    for text in quantities:
        quantity = parse(text)
        if total == 0:
            style = quantity.format
        total += quantity.nanos
    return _write(total, style)


def compare(left: str, right: str) -> int:
    """-1, 0 or 1 as the left quantity is less than, equal to or more than the right one."""
    a, b = parse(left).nanos, parse(right).nanos
    return (a > b) - (a < b)


@functools.lru_cache(maxsize=4096)
def _canonical(text: str) -> str:
    quantity = parse(text)
    return text if _is_canonical(text) else str(quantity)


def _is_canonical(text: str) -> bool:
    """Whether Go keeps the text as it came, which it decides on the digits alone: "1.500" and "+5" stay."""
    match = _PATTERN.fullmatch(text)
    assert match
    _, whole, fraction, suffix = match.groups()
    whole, fraction = whole.lstrip("0") or "0", fraction or ""
    shifted = whole + fraction
    if suffix in _BINARY:
        few = len(whole) + int(_BINARY[suffix] * 0.3) + 1 <= _BINARY_DIGITS
        return not fraction and few and int(shifted) & 7 != 0
    exponent = _DECIMAL.get(suffix)
    scale = (int(suffix[1:]) if exponent is None else exponent) - len(fraction)
    if len(shifted) > _DIGITS or scale < -9 or scale % 3:
        return False
    return not shifted.endswith("000") and shifted[0] != "0"


def _write(nanos: int, style: str) -> str:
    if nanos == 0:
        return "0"
    sign, amount = ("-", -nanos) if nanos < 0 else ("", nanos)
    # Binary writing must not lose anything: small or broken amounts are written in decimals.
    if style == "binary" and amount >= 1024 * NANO and amount % NANO == 0:
        amount //= NANO
        exponent = 0
        while amount % 1024 == 0 and exponent < 60:
            amount //= 1024
            exponent += 10
        return f"{sign}{amount}{_BINARY_SUFFIX[exponent]}"
    exponent = -9
    while amount % 1000 == 0 and (exponent < 18 or style == "exponent"):
        amount //= 1000
        exponent += 3
    if style == "exponent":
        return f"{sign}{amount}e{exponent}" if exponent else f"{sign}{amount}"
    return f"{sign}{amount}{_DECIMAL_SUFFIX[exponent]}"
