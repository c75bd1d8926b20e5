"""Label and field selectors mean and say what Kubernetes' do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s_core.api import selectors
from k8s_core.api.selectors import from_label_selector, parse_fields, parse_labels

LABELS = {"app": "web", "tier": "front", "n": "5", "empty": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=web", True), ("app==web", True), ("app=db", False), ("app!=db", True), ("other!=x", True),
        ("app", True), ("!app", False), ("!other", True), ("other", False),
        ("app in (web,db)", True), ("app in (db)", False), ("app notin (db)", True), ("x notin (a)", True),
        ("app=web,tier=front", True), ("app=web, tier in (back)", False),
        ("n>4", True), ("n<5", False), ("app>1", False), ("x>1", False),
        ("empty=", True), ("empty", True), ("empty in ()", True), ("empty in (,a)", True),
        ("in in (in)", False), ("a.b/c!=d", True),
    ],
)  # fmt: skip
def test_label_selectors_match(text: str, matches: bool) -> None:
    """Every operator does its work on labels that are there, missing or empty."""
    assert parse_labels(text).matches(LABELS) is matches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("=x", "found '=', expected: !, identifier, or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        (
            "-x=1",
            'unable to parse requirement: <nil>: Invalid value: "-x": name part must consist of alphanumeric '
            "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName', "
            " or 'my.name',  or '123-abc', regex used for validation is "
            "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        ),
        (
            "x>y",
            "unable to parse requirement: values[0]: Invalid value: \"y\": for 'Gt', 'Lt' operators, "
            "the value must be an integer",
        ),
    ],
)
def test_label_selector_errors(text: str, message: str) -> None:
    """What cannot be read is explained in Kubernetes' words."""
    with pytest.raises(ValueError) as caught:
        parse_labels(text)
    assert str(caught.value) == message


def test_a_bad_value_is_named_with_its_key() -> None:
    """The path of a bad value ends with the label's key."""
    with pytest.raises(ValueError, match=r'^unable to parse requirement: values\[0\]\[a\]: Invalid value: "b@"'):
        parse_labels("a=b@")


def test_selectors_are_written_sorted() -> None:
    """As Go's String: by key, values sorted."""
    assert str(parse_labels("z=1,!b,a in (y,x),c,d>3")) == "a in (x,y),!b,c,d>3,z=1"


def test_label_selector_objects() -> None:
    """None selects nothing, an empty one everything, expressions are joined with matchLabels."""
    assert not from_label_selector(None).matches({})
    assert from_label_selector({}).matches({}) and from_label_selector({}).empty
    both = {
        "matchLabels": {"app": "web"},
        "matchExpressions": [{"key": "tier", "operator": "In", "values": ["front", "back"]}],
    }
    assert from_label_selector(both).matches(LABELS)
    assert not from_label_selector(both).matches({"app": "web"})
    missing = {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}
    assert not from_label_selector(missing).matches(LABELS)
    with pytest.raises(ValueError, match='"Near" is not a valid label selector operator'):
        from_label_selector({"matchExpressions": [{"key": "app", "operator": "Near"}]})
    assert selectors.from_labels({"app": "web"}).matches(LABELS)


def test_field_selectors() -> None:
    """Equality and inequality, with escaped commas and equal signs."""
    selector = parse_fields("status.phase=Running,metadata.name!=x")
    get = {"status.phase": "Running", "metadata.name": "web"}.get
    assert selector.matches(lambda field: get(field) or "")
    assert ("metadata.name", "!=", "x") in selector.requirements
    assert selector.exact("status.phase") == "Running" and selector.exact("metadata.name") is None
    assert parse_fields("").requirements == () and parse_fields(",a==b,").requirements == (("a", "=", "b"),)
    assert parse_fields(r"a=b\,c\=d\\").requirements == (("a", "=", "b,c=d\\"),)
    assert str(parse_fields(r"a=b\,c")) == r"a=b\,c"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abc", "invalid selector: 'abc'; can't understand 'abc'"),
        (r"a=b\c", r"invalid field selector: invalid escape sequence: \c"),
        ("a=b\\", "invalid field selector: invalid escape sequence: \\"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
    ],
)
def test_field_selector_errors(text: str, message: str) -> None:
    """What cannot be read is explained in Kubernetes' words."""
    with pytest.raises(ValueError) as caught:
        parse_fields(text)
    assert str(caught.value) == message


@given(st.text(alphabet="ab=!(), <>in\\.\0é", max_size=15))
def test_reading_fails_only_as_said(text: str) -> None:
    """Any text is a selector or a ValueError, and a selector's own text reads back as the same selector."""
    for parse in (parse_labels, parse_fields):
        try:
            selector = parse(text)
        except ValueError:
            continue
        assert str(parse(str(selector))) == str(selector)
