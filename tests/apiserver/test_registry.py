"""The way of a write: names, revisions, generations, conflicts, finalizers, deletion, dry run."""

from typing import Any

import pytest

from k8s_core.api import Object
from k8s_core.api.errors import StatusError
from k8s_core.client import Client
from k8s_core.cluster import Cluster


@pytest.fixture
def client(control_plane: Cluster) -> Client:
    return control_plane.client()


def config(name: str = "", **meta: Any) -> Object:
    named = {"name": name} if name else {}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {**named, "namespace": "default", **meta},
        "data": {"a": "1"},
    }


def pod(name: str, **spec: Any) -> Object:
    containers = [{"name": "c", "image": "nginx"}]
    spec = {"containers": containers, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def deployment(name: str, replicas: int = 0) -> Object:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def test_a_new_object_gets_what_the_system_gives(client: Client) -> None:
    """uid, creation time and revision come from the server, whatever the client says."""
    made = client.create("configmaps", config("a", uid="mine", creationTimestamp="1999-01-01T00:00:00Z", generation=9))
    meta = made["metadata"]
    assert len(meta["uid"]) == 36 and meta["creationTimestamp"].startswith("2026-")
    assert int(meta["resourceVersion"]) > 0 and "generation" not in meta
    assert client.get("configmaps", "a", "default") == made


def test_a_name_can_be_generated(client: Client) -> None:
    """generateName gives the prefix and five letters."""
    name = client.create("configmaps", config(generateName="web-"))["metadata"]["name"]
    assert name.startswith("web-") and len(name) == 9


def test_the_second_create_is_refused(client: Client) -> None:
    """A taken name is 409 AlreadyExists."""
    client.create("configmaps", config("a"))
    with pytest.raises(StatusError, match='configmaps "a" already exists') as caught:
        client.create("configmaps", config("a"))
    assert (caught.value.code, caught.value.reason) == (409, "AlreadyExists")


def test_an_old_revision_cannot_be_replaced(client: Client) -> None:
    """Who writes with a stale resourceVersion gets 409 Conflict, in Kubernetes' words; without one the last wins."""
    first = client.create("configmaps", config("a"))
    client.update("configmaps", {**first, "data": {"a": "2"}})
    with pytest.raises(
        StatusError, match='Operation cannot be fulfilled on configmaps "a": the object has been modified'
    ):
        client.update("configmaps", {**first, "data": {"a": "3"}})
    bare = config("a")
    assert client.update("configmaps", bare)["data"] == {"a": "1"}


def test_writing_the_same_again_writes_nothing(client: Client) -> None:
    """An update without a change leaves the revision alone."""
    made = client.create("configmaps", config("a"))
    assert client.update("configmaps", made)["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_generations_count_the_desired_state_only(client: Client) -> None:
    """A change of spec counts; labels and status do not; the status cannot be written through the object itself."""
    made = client.create("deployments.apps", deployment("d"))
    assert made["metadata"]["generation"] == 1
    labelled = client.patch("deployments.apps", "d", "default", {"metadata": {"labels": {"x": "y"}}})
    scaled = client.patch("deployments.apps", "d", "default", {"spec": {"replicas": 1}, "status": {"replicas": 7}})
    assert (labelled["metadata"]["generation"], scaled["metadata"]["generation"]) == (1, 2)
    assert scaled["status"].get("replicas", 0) == 0
    status = client.patch(
        "deployments.apps", "d", "default", {"status": {"replicas": 3}, "spec": {"replicas": 9}}, subresource="status"
    )
    assert (status["status"]["replicas"], status["spec"]["replicas"], status["metadata"]["generation"]) == (3, 1, 2)


def test_a_finalizer_holds_the_object(client: Client) -> None:
    """Deletion marks the object; it goes when the last finalizer does; nothing else happens to it twice."""
    client.create("configmaps", config("a", finalizers=["example.com/hold"]))
    marked = client.delete("configmaps", "a", "default")
    assert marked["metadata"]["deletionTimestamp"] and marked["metadata"]["deletionGracePeriodSeconds"] == 0
    assert (
        client.delete("configmaps", "a", "default")["metadata"]["resourceVersion"]
        == marked["metadata"]["resourceVersion"]
    )
    client.patch("configmaps", "a", "default", {"metadata": {"finalizers": None}})
    with pytest.raises(StatusError, match="not found"):
        client.get("configmaps", "a", "default")


def test_a_running_pod_is_given_time(client: Client) -> None:
    """A Pod on a node gets its grace period; grace 0 ends it; one that was never placed goes at once."""
    client.create("pods", pod("placed", nodeName="n1", terminationGracePeriodSeconds=20))
    marked = client.delete("pods", "placed", "default")
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 20 and marked["metadata"]["generation"] == 2
    shorter = client.delete("pods", "placed", "default", grace_seconds=5)
    assert shorter["metadata"]["deletionGracePeriodSeconds"] == 5
    client.delete("pods", "placed", "default", grace_seconds=0)
    client.create("pods", pod("pending"))
    client.delete("pods", "pending", "default")
    assert client.list("pods") == []


def test_deleting_the_wrong_one_is_refused(client: Client) -> None:
    """A uid precondition protects a successor of the same name."""
    client.create("configmaps", config("a"))
    with pytest.raises(StatusError, match="Precondition failed: UID in precondition: other, UID in object meta: "):
        client.delete("configmaps", "a", "default", uid="other")


def test_binding_is_done_once(client: Client) -> None:
    """A Pod is bound to one node; the second scheduler is told so; generation and managers stay as they were."""
    client.create("pods", pod("p"))
    target = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "p"},
        "target": {"kind": "Node", "name": "n1"},
    }
    client.create_sub("pods", "p", "default", "binding", target)
    bound = client.get("pods", "p", "default")
    assert bound["spec"]["nodeName"] == "n1" and bound["metadata"]["generation"] == 1
    assert bound["status"]["conditions"][0]["type"] == "PodScheduled"
    with pytest.raises(StatusError, match='pod p is already assigned to node "n1"'):
        client.create_sub("pods", "p", "default", "binding", target)


def test_owners_can_be_orphaned_or_waited_for(client: Client) -> None:
    """The propagation policy becomes a finalizer that the garbage collector works off."""
    client.create("replicasets.apps", deployment("r") | {"kind": "ReplicaSet"})
    kept = client.delete("replicasets.apps", "r", "default", propagation="Orphan")
    assert kept["metadata"]["finalizers"] == ["orphan"]


def test_missing_namespaces_refuse_objects(client: Client) -> None:
    """Nothing can be created in a namespace that is not there."""
    with pytest.raises(StatusError, match='namespaces "nothere" not found') as caught:
        client.create("configmaps", {**config("a"), "metadata": {"name": "a", "namespace": "nothere"}})
    assert caught.value.code == 404
