"""Server-side apply. Sets and messages are those of a real v1.36 server."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from managed_objects import (
    CONFIG_MAP,
    DEPLOYMENT,
    POD,
    SERVICE,
    T0,
    T1,
    T2,
    config_map,
    copy,
    created,
    deployment,
    fields,
    managers,
    updated,
)

from k8s_core.api import Object, managedfields, typed
from k8s_core.api.errors import StatusError
from k8s_core.api.fieldpath import difference, paths, show

WEB_1 = {"name": "web", "image": "nginx:1.25", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
WEB_2 = {"name": "web", "image": "nginx:1.26", "env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]}
SIDE = {"name": "side", "image": "busybox"}


def test_apply_creates() -> None:
    """What is applied is owned, leaves only; selectors are atomic. (As recorded from a real server.)"""
    stored = managedfields.apply(None, deployment(WEB_1, SIDE, replicas=2), DEPLOYMENT, "kubectl", False, T0)
    assert managers(stored) == ["kubectl:Apply"]
    text = orjson.dumps(fields(stored, "kubectl")).decode()
    assert text == (
        '{"f:spec":{"f:replicas":{},"f:selector":{},"f:template":{"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":'
        '{"f:containers":{"k:{\\"name\\":\\"side\\"}":{".":{},"f:image":{},"f:name":{}},"k:{\\"name\\":\\"web\\"}":'
        '{".":{},"f:env":{"k:{\\"name\\":\\"A\\"}":{".":{},"f:name":{},"f:value":{}},"k:{\\"name\\":\\"B\\"}":'
        '{".":{},"f:name":{},"f:value":{}}},"f:image":{},"f:name":{}}}}}}}'
    )


def test_conflicts_name_every_field() -> None:
    """Without force another's value stands, and the answer lists the fields in upstream's order."""
    stored = managedfields.apply(None, deployment(WEB_1, SIDE, replicas=2), DEPLOYMENT, "kubectl", False, T0)
    with pytest.raises(StatusError) as caught:
        managedfields.apply(stored, deployment(WEB_2, SIDE, replicas=2), DEPLOYMENT, "other", False, T1)
    assert caught.value.code == 409
    assert caught.value.reason == "Conflict"
    assert caught.value.message == (
        'Apply failed with 2 conflicts: conflicts with "kubectl":\n'
        '- .spec.template.spec.containers[name="web"].image\n'
        '- .spec.template.spec.containers[name="web"].env[name="B"].value'
    )
    assert caught.value.status["details"]["causes"][0] == {
        "reason": "FieldManagerConflict",
        "message": 'conflict with "kubectl"',
        "field": '.spec.template.spec.containers[name="web"].image',
    }


def test_one_conflict_with_an_updater() -> None:
    """A single conflict is told in one line, with the version and subresource of an update."""
    old = created(deployment(WEB_1, replicas=2), DEPLOYMENT, "kubectl-client-side-apply")
    with pytest.raises(StatusError) as caught:
        managedfields.apply(old, deployment(WEB_1, replicas=3), DEPLOYMENT, "other", False, T1)
    assert caught.value.message == (
        'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas'
    )
    scaled = copy(old)
    scaled["spec"]["replicas"] = 9
    scaled = updated(old, scaled, DEPLOYMENT, "kubectl", T1, "scale")
    with pytest.raises(StatusError) as caught:
        managedfields.apply(scaled, deployment(WEB_1, replicas=3), DEPLOYMENT, "other", False, T1)
    assert 'conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas' in caught.value.message


def test_several_managers_are_grouped() -> None:
    """Conflicts with several managers come in one block each."""
    old = created(config_map({"a": "1", "b": "1"}), CONFIG_MAP, "one")
    new = copy(old)
    new["data"]["b"] = "2"
    old = updated(old, new, CONFIG_MAP, "two", T1)
    with pytest.raises(StatusError) as caught:
        managedfields.apply(old, config_map({"a": "x", "b": "x"}), CONFIG_MAP, "me", False, T2)
    assert caught.value.message == (
        'Apply failed with 2 conflicts: conflicts with "one" using v1:\n- .data.a\n'
        'conflicts with "two" using v1:\n- .data.b'
    )


def test_force_takes_over() -> None:
    """With force the values change and the others lose those fields; list items that others own stay."""
    stored = managedfields.apply(None, deployment(WEB_1, SIDE, replicas=2), DEPLOYMENT, "kubectl", False, T0)
    forced = managedfields.apply(stored, deployment(WEB_2, SIDE, replicas=2), DEPLOYMENT, "other", True, T1)
    web = forced["spec"]["template"]["spec"]["containers"][0]
    assert web["image"] == "nginx:1.26"
    assert [(e["name"], e["value"]) for e in web["env"]] == [("A", "1"), ("B", "3"), ("C", "4")]
    assert managers(forced) == ["kubectl:Apply", "other:Apply"]
    lost = difference(fields(stored, "kubectl"), fields(forced, "kubectl"))
    assert [show(path) for path in paths(lost)] == [
        '.spec.template.spec.containers[name="web"].image',
        '.spec.template.spec.containers[name="web"].env[name="B"].value',
    ]


def test_equal_values_are_shared() -> None:
    """Applying the value that is there is no conflict: both own it, and neither's giving up removes it."""
    stored = managedfields.apply(None, config_map({"a": "1", "b": "1"}), CONFIG_MAP, "one", False, T0)
    both = managedfields.apply(stored, config_map({"a": "1"}), CONFIG_MAP, "two", False, T1)
    assert managers(both) == ["two:Apply", "one:Apply"]  # an apply that changes nothing has no time of its own
    left = managedfields.apply(both, config_map({"b": "1"}), CONFIG_MAP, "one", False, T2)
    assert left["data"] == {"a": "1", "b": "1"}
    gone = managedfields.apply(left, config_map({}), CONFIG_MAP, "two", False, T2)
    assert gone["data"] == {"b": "1"}


def test_what_is_no_longer_applied_goes() -> None:
    """Fields of the last configuration that nobody else owns are removed, list items included."""
    stored = managedfields.apply(None, deployment(WEB_1, SIDE, replicas=2), DEPLOYMENT, "kubectl", False, T0)
    web = {"name": "web", "image": "nginx:1.25", "env": [{"name": "B", "value": "2"}]}
    less = managedfields.apply(stored, deployment(web), DEPLOYMENT, "kubectl", False, T1)
    assert less["spec"]["template"]["spec"]["containers"] == [web]
    assert "replicas" not in less["spec"]


def test_what_others_added_stays() -> None:
    """Giving a field up keeps what another manager put below it; an item of a list goes as a whole."""
    stored = managedfields.apply(
        None, deployment(WEB_1, SIDE, strategy={"type": "Recreate"}), DEPLOYMENT, "me", False, T0
    )
    new = copy(stored)
    new["spec"]["strategy"]["rollingUpdate"] = {"maxSurge": 1}
    new["spec"]["template"]["spec"]["containers"][1]["imagePullPolicy"] = "Always"
    stored = updated(stored, new, DEPLOYMENT, "other", T1)
    less = managedfields.apply(stored, deployment(WEB_1), DEPLOYMENT, "me", False, T2)
    assert less["spec"]["strategy"] == {"rollingUpdate": {"maxSurge": 1}}
    assert [c["name"] for c in less["spec"]["template"]["spec"]["containers"]] == ["web"]


def test_ports_default_their_protocol() -> None:
    """A port without a protocol is the TCP port: the key fills in the default."""

    def service(*ports: Object) -> Object:
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": list(ports)}}

    stored = managedfields.apply(None, service({"port": 80}), SERVICE, "me", False, T0)
    stored["spec"]["ports"][0]["protocol"] = "TCP"
    again = managedfields.apply(stored, service({"port": 80, "targetPort": 8080}), SERVICE, "me", False, T1)
    assert again["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 8080}]
    assert list(fields(again, "me")["f:spec"]["f:ports"]) == ['k:{"port":80,"protocol":"TCP"}']


def test_untracked_objects_get_a_first_manager() -> None:
    """What was there before anything was tracked belongs to "before-first-apply"."""
    live = config_map({"a": "1"}, uid="u")
    with pytest.raises(StatusError, match='conflict with "before-first-apply" using v1: '):
        managedfields.apply(live, config_map({"a": "2"}), CONFIG_MAP, "me", False, T0)
    merged = managedfields.apply(live, config_map({"b": "2"}), CONFIG_MAP, "me", False, T0)
    assert managers(merged) == ["me:Apply", "before-first-apply:Update"]


def test_kubectl_may_overrule_its_own_client_side_apply() -> None:
    """Conflicts with fields of the last-applied annotation are forced for the manager "kubectl", which renews it."""
    last = config_map({"a": "1"})
    annotation = {managedfields.LAST_APPLIED: orjson.dumps(last).decode() + "\n"}
    live = created(config_map({"a": "1"}, annotations=annotation), CONFIG_MAP, "kubectl-client-side-apply")
    with pytest.raises(StatusError, match=r"1 conflict.*\.data\.a"):
        managedfields.apply(live, config_map({"a": "2"}), CONFIG_MAP, "other", False, T1)
    merged = managedfields.apply(live, config_map({"a": "2"}), CONFIG_MAP, "kubectl", False, T1)
    assert merged["data"] == {"a": "2"}
    assert merged["metadata"]["annotations"][managedfields.LAST_APPLIED] == (
        '{"apiVersion":"v1","data":{"a":"2"},"kind":"ConfigMap","metadata":{"name":"settings","namespace":"default"}}\n'
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spec": {"nonsense": 1}}, ".spec.nonsense: field not declared in schema"),
        ({"spec": {"replicas": "two"}}, ".spec.replicas: expected numeric (int or float), got string"),
        ({"spec": {"paused": 1}}, ".spec.paused: expected boolean, got &{1}"),
        ({"spec": []}, ".spec: expected map, got &{[]}"),
        (
            {"metadata": {"labels": {"a": 1}}},
            ".metadata.labels.a: expected string, got &value.valueUnstructured{Value:1}",
        ),
        (
            {"spec": {"template": {"spec": {"containers": [{"name": "a"}, {"name": "a"}]}}}},
            '.spec.template.spec.containers: duplicate entries for key [name="a"]',
        ),
        (
            {"spec": {"template": {"spec": {"containers": [{"image": "a"}]}}}},
            ".spec.template.spec.containers: element 0: associative list with keys has an element that omits all "
            'key fields ["name"] (and doesn\'t have default values for any key fields)',
        ),
    ],
)
def test_configurations_that_do_not_fit_the_schema(change: Object, message: str) -> None:
    """The texts are structured-merge-diff's, with the object they are about."""
    applied = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app", "namespace": "default"}}
    for name, value in change.items():
        applied[name] = {**applied[name], **value} if name == "metadata" else value  # type: ignore[dict-item]
    with pytest.raises(StatusError) as caught:
        managedfields.apply(None, applied, DEPLOYMENT, "me", False, T0)
    assert caught.value.message == (
        f"failed to create typed patch object (default/app; apps/v1, Kind=Deployment): {message}"
    )


def test_managed_fields_cannot_be_applied() -> None:
    """A configuration that brings its own managedFields is refused."""
    with pytest.raises(StatusError, match=r"metadata\.managedFields must be nil"):
        managedfields.apply(None, config_map({}, managedFields=[]), CONFIG_MAP, "me", False, T0)


def test_times_are_put_back_when_nothing_else_changed() -> None:
    """A write that would only renew a time is no write."""
    old = created(config_map({"a": "1"}), CONFIG_MAP)
    new = copy(old)
    new["metadata"]["managedFields"][0]["time"] = T2
    managedfields.keep_times(old, new)
    assert new == old
    new = copy(old)
    new["metadata"]["managedFields"][0]["time"] = T2
    new["data"]["a"] = "2"
    managedfields.keep_times(old, new)
    assert new["metadata"]["managedFields"][0]["time"] == T2


def test_the_manager_s_name() -> None:
    """The parameter wins; otherwise the user agent's first part counts."""
    assert managedfields.manager_name("mine", "kubectl/v1.36 (linux/amd64)") == "mine"
    assert managedfields.manager_name("", "kubectl/v1.36 (linux/amd64)") == "kubectl"


# --- properties

DATA = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3)


@given(st.lists(st.tuples(st.sampled_from(["one", "two"]), DATA.filter(bool)), max_size=4))
@settings(max_examples=40)
def test_applying_twice_changes_nothing(history: list[tuple[str, dict[str, str]]]) -> None:
    """Apply is idempotent, and what is applied is there afterwards."""
    live: Object | None = None
    for manager, data in history:
        live = managedfields.apply(live, config_map(data), CONFIG_MAP, manager, True, T0)
        assert data.items() <= live["data"].items()
        assert managedfields.apply(live, config_map(data), CONFIG_MAP, manager, False, T1) == live


@given(DATA, DATA)
def test_ownership_follows_the_difference(one: dict[str, str], other: dict[str, str]) -> None:
    """After an update its manager owns exactly what it changed or added."""
    old = created(config_map(one), CONFIG_MAP, "one")
    new = updated(old, {**old, "data": other}, CONFIG_MAP, "two", T1)
    mine = {e["manager"]: set(e["fieldsV1"].get("f:data", {})) - {"."} for e in new["metadata"]["managedFields"]}
    assert mine.get("two", set()) == {f"f:{k}" for k, v in other.items() if one.get(k) != v}
    assert mine.get("one", set()) == {f"f:{k}" for k, v in other.items() if one.get(k) == v}


def test_a_large_pod_status_is_compared_quickly() -> None:
    """Only what is not identical is looked at: one condition's change yields one field."""
    conditions = [{"type": str(i), "status": "True"} for i in range(200)]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {},
        "status": {"conditions": conditions},
    }
    changed = {**pod, "status": {"conditions": [*conditions[:-1], {"type": "199", "status": "False"}]}}
    assert typed.compare(pod, changed, POD)[0] == {"f:status": {"f:conditions": {'k:{"type":"199"}': {"f:status": {}}}}}
