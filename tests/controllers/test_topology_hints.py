"""Hints for zones and nodes: which endpoints carry them, and that traffic follows."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from k8s_core.api import Object
from k8s_core.cluster import Cluster
from k8s_core.controllers.topology_hints import Pieces, TopologyHints

MakeCluster = Callable[..., Cluster]


def node(zone: str, cpu: str = "2", *, ready: str = "True", **labels: str) -> Object:
    return {
        "metadata": {"labels": {"topology.kubernetes.io/zone": zone, **labels}},
        "status": {"allocatable": {"cpu": cpu}, "conditions": [{"type": "Ready", "status": ready}]},
    }


def endpoint(zone: str, name: str = "n", *, ready: bool = True) -> Object:
    return {"addresses": ["10.32.0.1"], "conditions": {"ready": ready}, "zone": zone, "nodeName": name}


def service(distribution: str = "", mode: str = "") -> Object:
    annotations = {"service.kubernetes.io/topology-mode": mode} if mode else {}
    spec = {"trafficDistribution": distribution} if distribution else {}
    return {"metadata": {"namespace": "default", "name": "web", "annotations": annotations}, "spec": spec}


def apply(hints: TopologyHints, one: Object, nodes: list[Object], *endpoints: Object) -> tuple[list[Any], list[str]]:
    """(the hints of a new slice's endpoints, the messages of the events)."""
    told: list[str] = []
    pieces = Pieces([{"endpoints": list(endpoints)}], [], [])
    hints.apply(one, "IPv4", nodes, pieces, lambda kind, reason, message: told.append(message))
    return [each.get("hints") for each in pieces.create[0]["endpoints"]], told


@pytest.mark.parametrize("distribution", ["PreferClose", "PreferSameZone"])
def test_an_endpoint_is_meant_for_its_own_zone(distribution: str) -> None:
    """PreferSameZone: each ready endpoint with a zone says its own; others say nothing."""
    found, told = apply(
        TopologyHints(), service(distribution), [], endpoint("a"), endpoint("b", ready=False), endpoint("")
    )
    assert found == [{"forZones": [{"name": "a"}]}, None, None]
    assert told == []


def test_an_endpoint_is_meant_for_its_own_node() -> None:
    """PreferSameNode: node and zone."""
    found, _ = apply(TopologyHints(), service("PreferSameNode"), [], endpoint("a", "n1"))
    assert found == [{"forZones": [{"name": "a"}], "forNodes": [{"name": "n1"}]}]


def test_hints_go_when_nobody_asks_for_them() -> None:
    """A slice that is otherwise unchanged is written again without its hints, and left alone when they are right."""
    hinted = {**endpoint("a"), "hints": {"forZones": [{"name": "a"}]}}
    for distribution, written in (("", 1), ("PreferSameZone", 0)):
        pieces = Pieces([], [], [{"metadata": {"name": "x"}, "endpoints": [hinted]}])
        TopologyHints().apply(service(distribution), "IPv4", [], pieces, lambda *told: None)
        assert len(pieces.update) == written


@pytest.mark.parametrize(
    ("nodes", "count", "why"),
    [
        ([node("a")], 4, "Insufficient Node information"),
        ([node("a"), node("")], 4, "Insufficient Node information"),
        ([node("a"), node("b", "0")], 4, "Insufficient Node information"),
        ([node("a"), node("b", ready="False")], 4, "Insufficient Node information"),
        ([node("a"), node("b", **{"node-role.kubernetes.io/control-plane": ""})], 4, "Insufficient Node information"),
        ([node("a"), node("b"), node("c")], 2, "Insufficient number of endpoints (2 endpoints, 3 zones)"),
        (
            [node("a", "9"), node("b", "1"), node("c", "1")],
            3,
            "without exceeding overload threshold (3 endpoints, 3 zo",
        ),
    ],
)
def test_endpoints_are_not_shared_out_where_it_would_overload(nodes: list[Object], count: int, why: str) -> None:
    """topology-mode Auto gives up, and an event says why."""
    found, told = apply(TopologyHints(), service(mode="Auto"), nodes, *(endpoint("a") for _ in range(count)))
    assert found == [None] * count
    assert why in told[0]
    assert told[0].endswith(", addressType: IPv4")


def test_endpoints_are_shared_out_by_cpu() -> None:
    """topology-mode Auto: a zone without endpoints gets its share of another's; the first time an event tells."""
    hints = TopologyHints()
    found, told = apply(hints, service(mode="Auto"), [node("a"), node("b")], *(endpoint("a") for _ in range(4)))
    assert Counter(each["forZones"][0]["name"] for each in found) == {"a": 2, "b": 2}
    assert told == ["Topology Aware Hints has been enabled, addressType: IPv4"]
    again, told = apply(hints, service(mode="auto"), [node("a", "6"), node("b")], *(endpoint("a") for _ in range(4)))
    assert Counter(each["forZones"][0]["name"] for each in again) == {"a": 3, "b": 1}
    assert told == []
    gone, told = apply(hints, service(), [node("a"), node("b")], endpoint("a"))
    assert gone == [None]
    assert told == ["Topology Aware Hints has been disabled, addressType: IPv4"]


def test_traffic_stays_in_its_zone(make_cluster: MakeCluster) -> None:
    """Through the API: with trafficDistribution a node's connections go to the Pods of its own zone only."""
    cluster = make_cluster()
    client = cluster.client()
    cluster.settle()
    for name, zone in (("worker1", "a"), ("worker2", "b")):
        client.patch("nodes", name, "", {"metadata": {"labels": {"topology.kubernetes.io/zone": zone}}})
    for name in ("worker1", "worker2"):
        meta = {"name": name, "namespace": "default", "labels": {"app": "web"}}
        spec: Object = {"nodeName": name, "containers": [{"name": "c", "image": "nginx"}]}
        client.create("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    meta = {"name": "web", "namespace": "default"}
    spec = {"clusterIP": "10.96.0.20", "selector": {"app": "web"}, "ports": [{"port": 80}]}
    spec["trafficDistribution"] = "PreferSameZone"
    client.create("services", {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})
    cluster.settle()
    network = cluster.network

    def answered(node: str) -> set[str]:
        place = network.place(node)
        assert place
        return {network.pod_of(network.send(place, "10.96.0.20", 80).answered_by) for _ in range(20)}

    assert answered("worker1") == {"default/worker1"}
    assert answered("worker2") == {"default/worker2"}
    assert len(answered("cp")) == 2
    client.patch("services", "web", "default", {"spec": {"trafficDistribution": None}})
    cluster.settle()
    assert len(answered("worker1")) == 2
