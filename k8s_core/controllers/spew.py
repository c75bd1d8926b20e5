"""A Pod template as Go prints it for hashing: a real cluster's pod-template-hash depends on every byte of it.

The Deployment controller's hash is FNV-1a of what go-spew makes of the v1.PodTemplateSpec struct (`%#v`, sorted
keys, no addresses): types, field names in the order of the declaration, and nil for all that is not set.
data/go-structs.json holds the declarations of v1.36 by Go type: [field, JSON name ("" if embedded), type].
Stands for k8s.io/utils/dump.ForHash. Leaves out quantities of more digits than an int64 holds.
"""

import functools
import re
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from k8s_core.api import Object
from k8s_core.clock import NAME_ALPHABET

EXPONENTS: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
POWERS: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
FNV_OFFSET, FNV_PRIME = 0x811C9DC5, 0x01000193
QUANTITY = re.compile(r"([+-]?)(\d*)\.?(\d*)([a-zA-Z]*)([+-]?\d*)$")
SECONDS_BEFORE_UNIX = 62135596800  # from year 1, where Go's time begins, to 1970


@functools.cache
def _declarations() -> tuple[dict[str, list[list[str]]], dict[str, str]]:
    data = orjson.loads((Path(__file__).parent / "data" / "go-structs.json").read_bytes())
    return data["structs"], data["types"]


def fnv1a(data: bytes) -> int:
    """FNV-1a, 32 bits."""
    value = FNV_OFFSET
    for byte in data:
        value = (value ^ byte) * FNV_PRIME & 0xFFFFFFFF
    return value


def fnv1(data: bytes) -> int:
    """FNV-1, 32 bits: multiplies first."""
    value = FNV_OFFSET
    for byte in data:
        value = value * FNV_PRIME & 0xFFFFFFFF ^ byte
    return value


def safe_encode(number: int) -> str:
    """A number in letters and digits that make no words (rand.SafeEncodeString)."""
    return "".join(NAME_ALPHABET[ord(digit) % len(NAME_ALPHABET)] for digit in str(number))


def dump(template: Object) -> str:
    """A Pod template as `fmt.Sprintf("%#v")` of spew prints it."""
    return _typed("v1.PodTemplateSpec", template)


def _typed(go: str, value: Any) -> str:
    """A value with its type in front."""
    if go.startswith("*"):
        return f"({go})" + ("<nil>" if value is None else _bare(go[1:], value))
    return f"({go})" + _bare(go, value)


def _bare(go: str, value: Any) -> str:
    structs, named = _declarations()
    if go in structs:
        fields = []
        for name, key, kind in structs[go]:
            inner = value if not key else (value or {}).get(key)
            fields.append(f"{name}:{_typed(kind, inner)}")
        return "{" + " ".join(fields) + "}"
    go = named.get(go, go)
    if go.startswith("[]"):
        if not value:  # the wire's protobuf does not tell an empty list from none
            return "<nil>"
        return "[" + " ".join(_item(go[2:], each) for each in value) + "]"
    if go.startswith("map["):
        if not value:
            return "<nil>"
        kind = go.partition("]")[2]
        return "map[" + " ".join(f"{key}:{_item(kind, value[key])}" for key in sorted(value)) + "]"
    match go:
        case "resource.Quantity":
            return _quantity(value)
        case "intstr.IntOrString":
            number, text = (0, value) if isinstance(value, str) else (value or 0, "")
            tag = 1 if isinstance(value, str) else 0
            return f"{{Type:(intstr.Type){tag} IntVal:(int32){number} StrVal:(string){text}}}"
        case "v1.Time":
            return _time(value)
        case "bool":
            return "true" if value else "false"
        case "int32" | "int64":
            return str(value or 0)
    return str(value or "")


def _item(go: str, value: Any) -> str:
    """An element of a list or map: its type is known from the container's."""
    if go.startswith("*"):
        return "<nil>" if value is None else "<*>" + _bare(go[1:], value)
    return _bare(go, value)


def _time(value: str | None) -> str:
    if value is None:
        return "{Time:(time.Time){wall:(uint64)0 ext:(int64)0 loc:(*time.Location)<nil>}}"
    ext = int(datetime.fromisoformat(value).timestamp()) + SECONDS_BEFORE_UNIX
    return f"{{Time:(time.Time){{wall:(uint64)0 ext:(int64){ext} loc:(*time.Location)<nil>}}}}"


def _quantity(value: Any) -> str:
    """The inside of a resource.Quantity as ParseQuantity leaves it: canonical strings are kept, others are not."""
    if value is None:
        return _amount(0, 0, "", "")
    text = str(value)
    if text == "0":
        return _amount(0, 0, text, "DecimalSI")
    match = QUANTITY.match(text)
    if match is None:
        return _amount(0, 0, "", "DecimalSI")
    sign, whole, rest, suffix, exponent = match.groups()
    digits = int(whole + rest or "0") * (-1 if sign == "-" else 1)
    if suffix in POWERS:
        shift = POWERS[suffix]
        canonical = not rest and digits & 7 != 0
        return _amount(digits << shift, -len(rest), text if canonical else "", "BinarySI")
    style = "DecimalExponent" if suffix in ("e", "E") and exponent else "DecimalSI"
    scale = (int(exponent) if style == "DecimalExponent" else EXPONENTS.get(suffix, 0)) - len(rest)
    shifted = whole + rest
    canonical = scale % 3 == 0 and not shifted.endswith("000") and not shifted.startswith("0")
    return _amount(digits, scale, text if canonical else "", style)


def _amount(value: int, scale: int, text: str, style: str) -> str:
    return (
        f"{{i:(resource.int64Amount){{value:(int64){value} scale:(resource.Scale){scale}}} "
        f"d:(resource.infDecAmount){{Dec:(*inf.Dec)<nil>}} s:(string){text} Format:(resource.Format){style}}}"
    )
