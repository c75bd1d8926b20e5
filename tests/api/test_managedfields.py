"""managedFields. Sets and messages are those of a real v1.36 server."""

from managed_objects import (
    CONFIG_MAP,
    DEPLOYMENT,
    SCHEMA,
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

from k8s_core.api import managedfields, typed


def test_create_tracks_what_was_set() -> None:
    """Structs that Go holds by value are not owned themselves, maps and list items are."""
    web = {"name": "web", "image": "nginx", "resources": {}, "ports": [{"containerPort": 80}]}
    stored = created(deployment(web, replicas=1, strategy={"type": "Recreate"}), DEPLOYMENT)
    assert stored["metadata"]["managedFields"] == [
        {
            "manager": "kubectl-create",
            "operation": "Update",
            "apiVersion": "apps/v1",
            "time": T0,
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:spec": {
                    "f:replicas": {},
                    "f:selector": {},
                    "f:strategy": {"f:type": {}},
                    "f:template": {
                        "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                        "f:spec": {
                            "f:containers": {
                                'k:{"name":"web"}': {
                                    ".": {},
                                    "f:image": {},
                                    "f:name": {},
                                    "f:ports": {
                                        ".": {},
                                        'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}},
                                    },
                                    "f:resources": {},
                                }
                            }
                        },
                    },
                }
            },
        }
    ]


def test_nothing_set_is_not_tracked() -> None:
    """A bare ServiceAccount has no managedFields, and later updates of it are not tracked either."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "x"}}
    kind = SCHEMA.kind("", "v1", "ServiceAccount")
    assert managedfields.update(None, account, kind, "m", T0) == []
    labelled = {**account, "metadata": {"name": "x", "labels": {"a": "b"}}}
    assert managedfields.update(account, labelled, kind, "m", T0) == []


def test_status_belongs_to_its_subresource() -> None:
    """The main endpoint cannot own status, the status endpoint cannot own spec; entries say which it was."""
    web = {"name": "web", "image": "nginx"}
    old = created({**deployment(web), "status": {"replicas": 1}}, DEPLOYMENT)
    assert "f:status" not in fields(old, "kubectl-create")
    new = copy(old)
    new["status"] = {"replicas": 2, "conditions": [{"type": "Available", "status": "True"}]}
    new["spec"]["replicas"] = 7
    new["metadata"]["labels"] = {"not": "owned"}
    new = updated(old, new, DEPLOYMENT, "kube-controller-manager", T1, "status")
    assert new["metadata"]["managedFields"][1] == {
        "manager": "kube-controller-manager",
        "operation": "Update",
        "apiVersion": "apps/v1",
        "time": T1,
        "fieldsType": "FieldsV1",
        "fieldsV1": {
            "f:status": {
                "f:conditions": {".": {}, 'k:{"type":"Available"}': {".": {}, "f:status": {}, "f:type": {}}},
                "f:replicas": {},
            }
        },
        "subresource": "status",
    }


def test_a_changed_value_changes_hands() -> None:
    """Who changes a field owns it alone; who loses everything is dropped."""
    old = created(config_map({"a": "1", "b": "1"}), CONFIG_MAP, "first")
    new = copy(old)
    new["data"]["a"] = "2"
    new = updated(old, new, CONFIG_MAP, "second", T1)
    assert fields(new, "first") == {"f:data": {".": {}, "f:b": {}}}
    assert fields(new, "second") == {"f:data": {"f:a": {}}}
    gone = copy(new)
    del gone["data"]
    gone = updated(new, gone, CONFIG_MAP, "third", T2)
    assert managers(gone) == []


def test_times_change_only_with_values() -> None:
    """An update that changes nothing leaves the entries as they are, and one that changes a value stamps its own."""
    old = created(config_map({"a": "1"}), CONFIG_MAP, "m")
    same = copy(old)
    assert managedfields.update(old, same, CONFIG_MAP, "m", T1) is old["metadata"]["managedFields"]
    same["data"]["a"] = "2"
    assert managedfields.update(old, same, CONFIG_MAP, "m", T1)[0]["time"] == T1


def test_entries_are_ordered_as_upstream_does() -> None:
    """Appliers come first, then by time, manager, version and subresource."""
    stored = created(config_map({"a": "1"}), CONFIG_MAP, "z", T0)
    for manager, now in (("b", T1), ("a", T1)):
        new = copy(stored)
        new["data"][manager] = "2"
        stored = updated(stored, new, CONFIG_MAP, manager, now)
    stored = managedfields.apply(stored, config_map({"x": "1"}), CONFIG_MAP, "applier", False, T2)
    assert managers(stored) == ["applier:Apply", "z:Update", "a:Update", "b:Update"]


def test_old_updaters_are_summed_up() -> None:
    """More than ten updaters: the oldest become "ancient-changes"."""
    stored = created(config_map({"k0": "1"}), CONFIG_MAP, "m00", "2026-01-01T00:00:00Z")
    for i in range(1, 13):
        new = copy(stored)
        new["data"][f"k{i}"] = "1"
        stored = updated(stored, new, CONFIG_MAP, f"m{i:02}", f"2026-01-01T00:00:{i:02}Z")
    assert managers(stored) == ["ancient-changes:Update", *(f"m{i:02}:Update" for i in range(4, 13))]
    assert len(stored["metadata"]["managedFields"]) == 10
    assert fields(stored, "ancient-changes") == {"f:data": {".": {}, "f:k0": {}, "f:k1": {}, "f:k2": {}, "f:k3": {}}}


def test_clients_may_set_managed_fields() -> None:
    """kubectl's migration from client-side apply rewrites them; nonsense is ignored; an empty list stops tracking."""
    old = created(config_map({"a": "1"}), CONFIG_MAP, "kubectl-client-side-apply")
    new = copy(old)
    new["metadata"]["managedFields"][0] |= {"manager": "kubectl", "operation": "Apply"}
    assert managers(updated(old, new, CONFIG_MAP, "kubectl", T1)) == ["kubectl:Apply"]
    new["metadata"]["managedFields"][0]["operation"] = "Nonsense"
    assert managers(updated(old, new, CONFIG_MAP, "kubectl", T1)) == ["kubectl-client-side-apply:Update"]
    for number in (0, 1):
        new["metadata"]["managedFields"] = [{}] * number
        assert managedfields.update(old, new, CONFIG_MAP, "kubectl", T1) == []


def test_a_subresource_ignores_the_request_s_managed_fields() -> None:
    """Through /status nobody can rewrite who owns what."""
    old = created({**deployment({"name": "web"}), "status": {}}, DEPLOYMENT)
    new = copy(old)
    new["metadata"]["managedFields"] = []
    assert managers(updated(old, new, DEPLOYMENT, "m", T1, "status")) == ["kubectl-create:Update"]


def test_custom_resources_without_a_schema() -> None:
    """Maps are granular and lists atomic where nothing is known."""
    custom = {"apiVersion": "x.io/v1", "kind": "X", "metadata": {"name": "x"}, "spec": {"list": [{"a": 1}], "n": 1}}
    (entry,) = managedfields.update(None, custom, None, "m", T0)
    assert entry["fieldsV1"] == {"f:spec": {".": {}, "f:list": {}, "f:n": {}}}
    other = copy(custom)
    other["spec"]["list"][0]["a"] = 2
    assert typed.compare(custom, other, None) == ({"f:spec": {"f:list": {}}}, {})
    scalar = {**custom, "spec": "text"}
    assert typed.compare(custom, scalar, None) == ({"f:spec": {}}, {"f:spec": {"f:list": {}, "f:n": {}}})
    applied = managedfields.apply(None, custom, None, "m", False, T0)
    assert fields(applied, "m") == {"f:spec": {".": {}, "f:list": {}, "f:n": {}}}
