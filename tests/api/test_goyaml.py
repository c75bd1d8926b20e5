"""YAML is read as go-yaml reads it, and cannot be made to hurt."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s_core.api.goyaml import to_json


@pytest.mark.parametrize(
    ("text", "json"),
    [
        ("a: yes\nb: off\nc: y", b'{"a":true,"b":false,"c":true}'),
        ("a: 2026-01-01\nb: 1:30", b'{"a":"2026-01-01","b":"1:30"}'),
        ("a: 0x10\nb: 010\nc: 1_000\nd: 1e3\ne: -1.5", b'{"a":16,"b":8,"c":1000,"d":1000,"e":-1.5}'),
        ("1: a\ntrue: b\n~x: c", b'{"1":"a","true":"b","~x":"c"}'),
        ("a: &x {b: 1}\nc:\n  <<: *x\n  b: 2", b'{"a":{"b":1},"c":{"b":2}}'),
        ("a: ~\nb:", b'{"a":null,"b":null}'),
        ("", b"null"),
        ("a: 1\n---\nb: 2", b'{"a":1}'),
    ],
)
def test_scalars_and_documents(text: str, json: bytes) -> None:
    """Booleans, numbers, nulls and keys become what Go makes of them."""
    assert to_json(text.encode()) == (json, [])


def test_duplicate_keys_are_reported() -> None:
    """With their lines; the last one counts."""
    assert to_json(b"a: 1\na: 2\nb:\n  c: 1\n  c: 2") == (
        b'{"a":2,"b":{"c":2}}',
        ['yaml: unmarshal errors:\n  line 2: key "a" already set in map\n  line 5: key "c" already set in map'],
    )


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("a: b: c", "yaml: line 1: mapping values are not allowed in this context"),
        ("\t- x", "yaml: line 1: found character that cannot start any token"),
        (BOMB, "yaml: document contains excessive aliasing"),
        ("a: &a [*a]", "yaml: anchor value contains itself"),
        ("[" * 5000, "yaml: exceeded max depth of 10000"),
        ("a: .nan", "json: unsupported value: NaN"),
    ],
)
def test_errors(text: str, wrong: str) -> None:
    """What is malformed or meant to hurt is refused."""
    with pytest.raises(ValueError) as caught:
        to_json(text.encode())
    assert str(caught.value) == wrong


@pytest.mark.parametrize("text", ["a: !!python/object:os.system x", "? [a]\n: b", "\0", "a: !foo b", "a: *b"])
def test_what_has_no_json_is_refused(text: str) -> None:
    """Tags of other languages, keys that are no scalars, control characters."""
    with pytest.raises(ValueError):
        to_json(text.encode())


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@`~<?,\n \t01.", max_size=30) | st.binary(max_size=30).map(repr))
def test_any_text_is_json_or_an_error(text: str) -> None:
    """Nothing but a ValueError comes out."""
    with contextlib.suppress(ValueError):
        to_json(text.encode())
