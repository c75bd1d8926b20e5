"""Sets of field paths: their algebra, and the order in which they are written."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s_core.api import Object
from k8s_core.api.fieldpath import canonical, difference, intersection, paths, union
from k8s_core.api.managers import decode

NAMES = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'k:{"port":80}', 'k:{"port":443}', "v:1", "v:10", 'v:"a"'])
TREES: st.SearchStrategy[Any] = st.recursive(
    st.just({}),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3).flatmap(
        lambda tree: st.sampled_from([tree, {".": {}, **tree} if tree else tree])
    ),
    max_leaves=10,
)
SETS = TREES.map(lambda tree: canonical({key: node for key, node in tree.items() if key != "."}))


def members(fields: Any) -> set[tuple[str, ...]]:
    return set(paths(fields))


@given(SETS, SETS)
def test_sets_are_sets(one: Any, other: Any) -> None:
    """Union, difference and intersection agree with Python's on the sets of paths, and share what they can."""
    assert members(union(one, other)) == members(one) | members(other)
    assert members(difference(one, other)) == members(one) - members(other)
    assert members(intersection(one, other)) == members(one) & members(other)
    assert union(one, other) == canonical(union(one, other))
    assert union(one, one) is one
    assert difference(one, {}) is one


def test_sets_are_written_in_upstream_s_order() -> None:
    """Names first, then keys, values by size; "." comes before all; unknown elements are dropped."""
    written: Object = {"v:10": {}, "v:9": {}, 'k:{"b":1,"a":2}': {}, "f:z": {"f:a": {}, ".": {}}, "x:later": {}}
    result = canonical(written)
    assert list(result) == ["f:z", 'k:{"a":2,"b":1}', "v:9", "v:10"]
    assert list(result["f:z"]) == [".", "f:a"]
    with pytest.raises(ValueError, match="operation must be"):
        decode([{"manager": "x"}])
