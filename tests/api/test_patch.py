"""Patches behave like kube-apiserver's; the strategic cases follow apimachinery's strategicpatch."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s_core.api import Object, patch
from k8s_core.api.errors import StatusError
from k8s_core.api.schema import load
from k8s_core.api.strategic import go_format

DEPLOYMENT = load().kind("apps", "v1", "Deployment")
POD = load().kind("", "v1", "Pod")
SERVICE = load().kind("", "v1", "Service")


def json_patch(document: Object, *operations: Object) -> Object:
    return patch.apply("json", document, list(operations), None)


def strategic(document: Object, change: Object, kind: Any = POD) -> Object:
    return patch.apply("strategic", document, change, kind)


def pod(**spec: Any) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}


# --- RFC 6902


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        ({"op": "add", "path": "/b", "value": 1}, {"a": [1, 2], "b": 1}),
        ({"op": "add", "path": "/a/1", "value": 9}, {"a": [1, 9, 2]}),
        ({"op": "add", "path": "/a/-", "value": 9}, {"a": [1, 2, 9]}),
        ({"op": "add", "path": "/a/-1", "value": 9}, {"a": [1, 2, 9]}),
        ({"op": "add", "path": "/a~1b~0c", "value": 9}, {"a": [1, 2], "a/b~c": 9}),
        ({"op": "remove", "path": "/a/0"}, {"a": [2]}),
        ({"op": "remove", "path": "/a/-1"}, {"a": [1]}),
        ({"op": "replace", "path": "/a/0", "value": 7}, {"a": [7, 2]}),
        ({"op": "replace", "path": "/new", "value": 7}, {"a": [1, 2], "new": 7}),
        ({"op": "replace", "path": "", "value": {"x": 1}}, {"x": 1}),
        ({"op": "move", "from": "/a/0", "path": "/b"}, {"a": [2], "b": 1}),
        ({"op": "copy", "from": "/a", "path": "/b"}, {"a": [1, 2], "b": [1, 2]}),
        ({"op": "test", "path": "/a", "value": [1, 2]}, {"a": [1, 2]}),
        ({"op": "test", "path": "/missing", "value": None}, {"a": [1, 2]}),
    ],
)
def test_json_patch_operations(operation: Object, result: Object) -> None:
    """Every operation, with the leniencies of the library that kube-apiserver uses."""
    assert json_patch({"a": [1, 2]}, operation) == result


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/b"},
        {"op": "remove", "path": "/a/2"},
        {"op": "replace", "path": "/a/2", "value": 1},
        {"op": "add", "path": "/b/c", "value": 1},
        {"op": "add", "path": "/a/x", "value": 1},
        {"op": "add", "path": "/a/4", "value": 1},
        {"op": "test", "path": "/a/0", "value": True},
        {"op": "test", "path": "/a/0", "value": 2},
        {"op": "move", "from": "/b", "path": "/c"},
        {"op": "copy", "from": "/b/c", "path": "/c"},
        {"op": "nonsense", "path": "/a"},
        {"path": "/a"},
        {"op": "add"},
        {"op": "replace", "path": "", "value": [1]},
        {"op": "add", "path": "a", "value": 1},
        {"op": "remove", "path": ""},
        {"op": "test", "path": 3},
    ],
)
def test_json_patch_failures_all_look_alike(operation: Object) -> None:
    """Whatever fails, the answer is a 422 that does not say why, as from kube-apiserver."""
    with pytest.raises(StatusError) as caught:
        json_patch({"a": [1, 2]}, operation)
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")
    assert caught.value.message == "the server rejected our request due to an error in our request"


def test_json_patch_limit() -> None:
    """10,000 operations are allowed, one more is too many."""
    operations = [{"op": "test", "path": "/a", "value": 1}] * 10_001
    assert json_patch({"a": 1}, *operations[:-1]) == {"a": 1}
    with pytest.raises(StatusError, match="in a JSON patch is 10000, got 10001") as caught:
        json_patch({"a": 1}, *operations)
    assert caught.value.code == 413


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        ("json", b"{", "error decoding patch: unexpected end of JSON input"),
        ("strategic", b"{a", "invalid character 'a' looking for beginning of object key string"),
        ("json", b"{}", "json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
        ("merge", b"[]", "json: cannot unmarshal array into Go value of type map[string]interface {}"),
        ("merge", b"null", "Invalid JSON Patch"),
        ("strategic", b'"x"', "json: cannot unmarshal string into Go value of type map[string]interface {}"),
        ("strategic", b"3", "json: cannot unmarshal number into Go value of type map[string]interface {}"),
    ],
)
def test_bodies_of_the_wrong_form(kind: str, body: bytes, message: str) -> None:
    """What is no patch at all is a bad request in Go's words."""
    with pytest.raises(StatusError) as caught:
        patch.decode(kind, body)
    assert caught.value.code == 400
    assert caught.value.message.endswith(message)


# --- RFC 7396


def test_merge_patch() -> None:
    """Objects merge, null deletes, everything else replaces; nulls are not kept in new objects."""
    original = {"a": {"x": 1, "y": 2}, "b": [1, 2], "c": "text"}
    change = {"a": {"x": None, "z": 3}, "b": [3], "c": {"n": None, "m": 1}, "d": None}
    assert patch.apply("merge", original, change, None) == {"a": {"y": 2, "z": 3}, "b": [3], "c": {"m": 1}}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)


@given(OBJECTS, OBJECTS)
def test_merge_patch_applied_twice_changes_nothing_more(original: Object, change: Object) -> None:
    """A merge patch is idempotent, and neither the object nor the patch is changed."""
    before = (repr(original), repr(change))
    once = patch.apply("merge", original, change, None)
    assert patch.apply("merge", once, change, None) == once
    assert (repr(original), repr(change)) == before


# --- strategic merge


def test_lists_with_a_merge_key_merge_by_it() -> None:
    """Containers merge by name; a new element comes before the server's own."""
    original = pod(containers=[{"name": "web", "image": "nginx:1", "env": [{"name": "A", "value": "1"}]}])
    change = {"spec": {"containers": [{"name": "web", "env": [{"name": "Z", "value": "26"}]}]}}
    assert strategic(original, change)["spec"]["containers"] == [
        {"name": "web", "image": "nginx:1", "env": [{"name": "Z", "value": "26"}, {"name": "A", "value": "1"}]}
    ]


def test_element_order_is_what_the_patch_says() -> None:
    """`$setElementOrder` orders the patch's elements; others keep their place among their old neighbours."""
    original = pod(containers=[{"name": n, "image": n} for n in "abcd"])
    change = {
        "spec": {
            "$setElementOrder/containers": [{"name": "d"}, {"name": "n"}, {"name": "a"}],
            "containers": [{"name": "n", "image": "n"}, {"name": "a", "image": "a2"}],
        }
    }
    containers = strategic(original, change)["spec"]["containers"]
    assert [c["name"] for c in containers] == ["b", "c", "d", "n", "a"]
    assert containers[-1]["image"] == "a2"


def test_added_elements_take_the_place_of_deleted_ones() -> None:
    """While others are deleted, what the patch adds comes after what only the server has."""
    original = pod(containers=[{"name": "a"}, {"name": "b"}, {"name": "d"}])
    change = {
        "spec": {
            "$setElementOrder/containers": [{"name": "b"}, {"name": "c"}],
            "containers": [{"name": "c"}, {"name": "a", "$patch": "delete"}],
        }
    }
    assert [c["name"] for c in strategic(original, change)["spec"]["containers"]] == ["b", "d", "c"]


def test_element_order_alone_reorders() -> None:
    """A patch may hold nothing but an order."""
    change = {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}
    merged = strategic(pod(containers=[{"name": "a"}, {"name": "b"}]), change)
    assert merged["spec"]["containers"] == [{"name": "b"}, {"name": "a"}]


def test_elements_can_be_deleted() -> None:
    """`$patch: delete` takes an element out, even while others change."""
    original = pod(containers=[{"name": "a", "image": "x"}, {"name": "b", "image": "x"}])
    change = {"spec": {"containers": [{"name": "a", "$patch": "delete"}, {"name": "b", "image": "y"}]}}
    assert strategic(original, change)["spec"]["containers"] == [{"name": "b", "image": "y"}]


def test_lists_and_maps_can_be_replaced() -> None:
    """`$patch: replace` in a list or a map drops what was there."""
    original = pod(containers=[{"name": "a"}], nodeSelector={"disk": "ssd"}, securityContext={"runAsUser": 1})
    change = {
        "spec": {
            "containers": [{"name": "b"}, {"$patch": "replace"}],
            "securityContext": {"$patch": "replace", "fsGroup": 2},
            "nodeSelector": {"$patch": "delete"},
        }
    }
    assert strategic(original, change)["spec"] == {
        "containers": [{"name": "b"}],
        "securityContext": {"fsGroup": 2},
        "nodeSelector": {},
    }


def test_primitive_lists_merge_and_lose() -> None:
    """Finalizers merge as a set, and `$deleteFromPrimitiveList` takes one out."""
    original = {"metadata": {"finalizers": ["a", "b"]}}
    assert strategic(original, {"metadata": {"finalizers": ["c", "a"]}})["metadata"]["finalizers"] == ["c", "a", "b"]
    change = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}
    assert strategic(original, change)["metadata"]["finalizers"] == ["b"]
    change["metadata"]["$setElementOrder/finalizers"] = ["b"]
    assert strategic(original, change)["metadata"]["finalizers"] == ["b"]


def test_lists_without_a_strategy_are_replaced() -> None:
    """`command` and `tolerations` have no merge key: the patch's list wins."""
    original = pod(tolerations=[{"key": "a"}], containers=[{"name": "c", "command": ["x"]}])
    change = {"spec": {"tolerations": [{"key": "b"}], "containers": [{"name": "c", "command": ["y", "z"]}]}}
    assert strategic(original, change)["spec"] == {
        "tolerations": [{"key": "b"}],
        "containers": [{"name": "c", "command": ["y", "z"]}],
    }


def test_retain_keys_clears_the_other_members() -> None:
    """`$retainKeys` switches a union, such as a volume's source or the deployment strategy."""
    original = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    change = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic(original, change, DEPLOYMENT)["spec"]["strategy"] == {"type": "Recreate"}
    with pytest.raises(StatusError, match="invalid patch format of retainKeys"):
        strategic(original, {"spec": {"strategy": {"$retainKeys": [], "type": "Recreate"}}}, DEPLOYMENT)


def test_null_deletes_and_is_not_kept() -> None:
    """null takes a field away; in what is new it means nothing."""
    change = {"metadata": {"labels": {"a": None, "b": "1"}, "annotations": {"x": None, "y": "2"}}}
    merged = strategic({"metadata": {"labels": {"a": "1"}}}, change)
    assert merged == {"metadata": {"labels": {"b": "1"}, "annotations": {"y": "2"}}}


def test_service_ports_merge_by_port() -> None:
    """The merge key of Service ports is `port`: two ports with one number cannot be told apart."""
    original = {"spec": {"ports": [{"port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}}
    change = {"spec": {"ports": [{"port": 53, "targetPort": 5353}]}}
    assert strategic(original, change, SERVICE)["spec"]["ports"] == [
        {"port": 80, "protocol": "TCP"},
        {"port": 53, "protocol": "UDP", "targetPort": 5353},
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"spec": {"containers": [{"image": "x"}]}},
            "map: map[image:x] does not contain declared merge key: name",
        ),
        ({"spec": {"containers": [{}]}}, "map: map[] does not contain declared merge key: name"),
        ({"spec": {"$patch": "nonsense"}}, "unknown patch type: nonsense in map: map[$patch:nonsense]"),
        (
            {"spec": {"containers": [{"name": "a", "$patch": "merge"}]}},
            "merging lists cannot yet be specified in the patch",
        ),
        ({"spec": {"containers": [["x"]]}}, "lists of lists are not supported"),
        (
            {"spec": {"$setElementOrder/containers": "x"}},
            "expected a []interface {}, but received a string",
        ),
        ({"spec": {"$setElementOrder": []}}, "invalid patch format of setElementOrder list"),
        (
            {"spec": {"$setElementOrder/nonsense": []}},
            'unable to find api field in struct PodSpec for the json field "nonsense"',
        ),
        (
            {
                "spec": {
                    "$setElementOrder/containers": [{"name": "a"}],
                    "containers": [{"name": "b"}],
                }
            },
            "The order in patch list:\n[map[name:b]]\n doesn't match $setElementOrder list:\n[map[name:a]]\n",
        ),
    ],
)
def test_patches_that_do_not_fit(change: Object, message: str) -> None:
    """The error texts are apimachinery's."""
    with pytest.raises(StatusError) as caught:
        strategic(pod(containers=[{"name": "a", "image": "i"}]), change)
    assert caught.value.message == message
    assert 400 <= caught.value.code < 500


CONTAINERS = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("abcd")}, optional={"image": st.sampled_from("xy")}),
    max_size=4,
    unique_by=lambda container: container["name"],
)


@given(CONTAINERS, CONTAINERS)
def test_a_strategic_patch_applied_twice_changes_nothing_more(there: list[Object], new: list[Object]) -> None:
    """A patch of keyed lists is idempotent and holds every element of both sides once."""
    change = {"spec": {"containers": new}}
    once = strategic(pod(containers=there), change)
    assert strategic(once, change) == once
    names = [container["name"] for container in once["spec"]["containers"]]
    assert sorted(names) == sorted({container["name"] for container in (*there, *new)})


@given(OBJECTS, OBJECTS)
def test_no_patch_breaks_the_server(original: Object, change: Object) -> None:
    """Whatever the patch, the outcome is an object or a StatusError."""
    for kind in ("json", "merge", "strategic"):
        try:
            assert isinstance(patch.apply(kind, {"spec": original}, {"spec": change}, POD), dict)
        except StatusError as error:
            assert error.code in (400, 422)


def test_values_print_as_go_prints_them() -> None:
    """Error texts show maps as Go's %v does: keys sorted, no quotes."""
    assert go_format({"b": [1, "x", None], "a": {"c": True}}) == "map[a:map[c:true] b:[1 x <nil>]]"
