"""The node controllers of a cloud: new nodes are made known, machines that are off are marked, lost ones deleted."""

from collections.abc import Iterator

import pytest

from k8s_core.api import Object
from k8s_core.cluster import Cluster
from k8s_core.controllers.cloudnode import SHUTDOWN, UNINITIALIZED


@pytest.fixture(name="cluster")
def cloud() -> Iterator[Cluster]:
    """A cluster with a provider."""
    with Cluster() as made:
        made.load_balancer = True
        made.settle()
        yield made


def taints(cluster: Cluster, node: str) -> list[str]:
    found: Object = cluster.client().get("nodes", node)
    return [taint["key"] for taint in found["spec"].get("taints") or ()]


def test_a_node_that_waits_for_its_cloud_is_made_known(cluster: Cluster) -> None:
    """It gets the provider's id, zone and type, and loses the taint, so that Pods may come."""
    wait = {"spec": {"taints": [{"key": UNINITIALIZED, "value": "true", "effect": "NoSchedule"}]}}
    cluster.client().patch("nodes", "worker1", "", wait)
    cluster.settle()
    node = cluster.client().get("nodes", "worker1")
    assert node["spec"]["providerID"] == "simulated:///zone-a/worker1"
    assert node["metadata"]["labels"]["topology.kubernetes.io/zone"] == "zone-a"
    assert UNINITIALIZED not in taints(cluster, "worker1")
    assert "providerID" not in cluster.client().get("nodes", "worker2")["spec"]


def test_a_machine_that_is_off_is_marked_until_it_is_on_again(cluster: Cluster) -> None:
    """The provider knows better than silence: shutdown, not only unreachable."""
    cluster.faults.node_down("worker2")
    cluster.advance(70)
    assert SHUTDOWN in taints(cluster, "worker2")
    cluster.faults.node_up("worker2")
    cluster.advance(70)
    assert taints(cluster, "worker2") == []


def test_a_node_without_a_machine_is_deleted(cluster: Cluster) -> None:
    """Once it has gone silent, and not before; without a provider it stays."""
    ghost: Object = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "ghost"}}
    cluster.client().create("nodes", ghost)
    cluster.advance(120)
    names = [node["metadata"]["name"] for node in cluster.client().list("nodes")]
    assert names == ["cp", "worker1", "worker2"]
    events = [event["message"] for event in cluster.client().list("events", "default")]
    assert "Deleting node ghost because it does not exist in the cloud provider" in events
    cluster.load_balancer = False
    cluster.client().create("nodes", ghost)
    cluster.advance(120)
    assert len(cluster.client().list("nodes")) == 4
