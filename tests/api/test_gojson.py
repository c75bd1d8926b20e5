"""JSON is refused with Go's words, and read with Go's tolerance."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s_core.api.gojson import Members, Number, complaint, load, load_exactly, plain


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "unexpected end of JSON input"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ("nulx", "invalid character 'x' in literal null (expecting 'l')"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"),
        ('"\\x"', "invalid character 'x' in string escape code"),
        ('"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"),
        ('"a\nb"', "invalid character '\\n' in string literal"),
        ("-x", "invalid character 'x' in numeric literal"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ("1ex", "invalid character 'x' in exponent of numeric literal"),
        ("{} x", "invalid character 'x' after top-level value"),
        ("NaN", "invalid character 'N' looking for beginning of value"),
        ("[" * 201, "exceeded max depth"),
        ("[" * 900 + "]" * 900, "exceeded max depth"),
    ],
)
def test_syntax_errors(text: str, wrong: str) -> None:
    """Each mistake has its words."""
    assert complaint(text.encode()) == wrong
    with pytest.raises(ValueError) as caught:
        load(text.encode())
    assert str(caught.value) == wrong


def test_duplicates_are_kept_in_order() -> None:
    """Only a document with duplicates costs the slow way."""
    found = load(b'{"a":1,"a":{"b":2}}')
    assert isinstance(found, Members) and found.pairs[0] == ("a", 1) and plain(found) == {"a": {"b": 2}}
    assert type(load(b'{"a":"\\":", "b":"{\\"c\\":1}"}')) is dict


def test_odd_strings_and_numbers() -> None:
    """Bad UTF-8 and lone surrogates become U+FFFD; odd numbers keep their literal."""
    assert load(b'"\xff"') == "\ufffd"
    assert load(b'"\\ud800x\\ud83d\\ude00\\\\ud800"') == "\ufffdx\U0001f600\\ud800"
    huge = load_exactly(b"123456789012345678901")
    assert isinstance(huge, Number) and huge.text == "123456789012345678901"
    assert isinstance(load(b"1e400"), Number) and isinstance(load(b"1" * 6000), Number)


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(), lambda inner: (
    st.lists(inner) | st.dictionaries(st.text(), inner)), max_leaves=10))  # fmt: skip
def test_good_documents_are_read(value: Any) -> None:
    """The quick and the slow way agree with Python's own parser."""
    text = json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")
    assert complaint(text) == ""
    expected = json.loads(text.decode(errors="replace"))
    assert plain(load(text)) == expected == plain(load_exactly(text))


@given(st.text(alphabet='{}[]:,"\\ntrue0123456789.eE+- \nux', max_size=12))
def test_the_scanner_agrees_about_what_is_well_formed(text: str) -> None:
    """A document is complained about exactly if Python's parser refuses it, too."""
    try:
        json.loads(text, parse_constant=lambda name: pytest.fail("unreachable"))
        good = True
    except ValueError:
        good = False
    assert (complaint(text.encode()) == "") is good
