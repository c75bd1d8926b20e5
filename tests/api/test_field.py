"""Field errors read like Go's `field.Error`."""

import pytest

from k8s_core.api import field


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (field.invalid("spec.x", "a b", "no spaces"), 'spec.x: Invalid value: "a b": no spaces'),
        (field.invalid("spec.x", 'q"\n', ""), 'spec.x: Invalid value: "q\\"\\n"'),
        (field.invalid("spec.x", -1, "must be >= 0"), "spec.x: Invalid value: -1: must be >= 0"),
        (field.invalid("spec.x", True, "no"), "spec.x: Invalid value: true: no"),
        (field.invalid("spec.x", None, "no"), "spec.x: Invalid value: null: no"),
        (field.invalid("spec.x", {"a": "<b>"}, "no"), 'spec.x: Invalid value: {"a":"\\u003cb\\u003e"}: no'),
        (field.required("spec.x"), "spec.x: Required value"),
        (field.required("spec.x", "say it"), "spec.x: Required value: say it"),
        (
            field.not_supported("spec.x", "C", ["A", "B"]),
            'spec.x: Unsupported value: "C": supported values: "A", "B"',
        ),
        (field.duplicate("spec.x[1]", "a"), 'spec.x[1]: Duplicate value: "a"'),
        (field.forbidden("spec.x", "not now"), "spec.x: Forbidden: not now"),
        (field.too_long("spec.x", 63), "spec.x: Too long: may not be more than 63 bytes"),
        (field.too_many("spec.x", 3, 1), "spec.x: Too many: 3: must have at most 1 item"),
        (field.not_found("spec.x", "v"), 'spec.x: Not found: "v"'),
        (field.internal("spec.x", "oops"), "spec.x: Internal error: oops"),
    ],
)
def test_message(error: field.FieldError, message: str) -> None:
    """Every kind of error has Go's text."""
    assert error.message() == message


def test_cause() -> None:
    """A cause carries reason, message without the path, and the path."""
    assert field.invalid("a.b", 1, "why").cause() == {
        "reason": "FieldValueInvalid",
        "message": "Invalid value: 1: why",
        "field": "a.b",
    }
