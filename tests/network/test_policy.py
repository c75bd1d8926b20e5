"""NetworkPolicies: who may talk to whom, by Pods, namespaces, addresses and ports, both ways."""

from collections.abc import Iterator
from typing import Any

import pytest

from k8s_core.api import Object
from tests.network.world import World, small_cluster

POLICIES = "networkpolicies.networking.k8s.io"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with small_cluster() as made:
        made.pod("client", "busybox", node="worker2", command=["sleep", "1000000"], labels={"app": "client"})
        made.pod("db", node="worker1", labels={"app": "db"}, ports=[{"name": "http", "containerPort": 80}])
        made.service("db", clusterIP="10.96.0.60", selector={"app": "db"})
        made.cluster.settle()
        yield made


def policy(name: str, app: str, **spec: Any) -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"podSelector": {"matchLabels": {"app": app}} if app else {}, **spec},
    }


CLIENT = {"podSelector": {"matchLabels": {"app": "client"}}}
HERE = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}
THERE = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}


@pytest.mark.parametrize(
    ("spec", "client", "box"),
    [
        ({}, "timeout", "timeout"),
        ({"ingress": []}, "timeout", "timeout"),
        ({"ingress": [{}]}, "connected", "connected"),
        ({"ingress": [{"from": [CLIENT]}]}, "connected", "timeout"),
        ({"ingress": [{"from": [HERE]}]}, "connected", "connected"),
        ({"ingress": [{"from": [THERE]}]}, "timeout", "timeout"),
        ({"ingress": [{"from": [{**HERE, **CLIENT}]}]}, "connected", "timeout"),
        ({"ingress": [{"from": [{**THERE, **CLIENT}]}]}, "timeout", "timeout"),
        ({"ingress": [{"from": [THERE, CLIENT]}]}, "connected", "timeout"),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "10.32.0.0/12"}}]}]}, "connected", "connected"),
        (
            {"ingress": [{"from": [{"ipBlock": {"cidr": "10.32.0.0/12", "except": ["10.32.2.0/24"]}}]}]},
            "timeout",
            "connected",
        ),
        ({"ingress": [{"ports": [{"port": 80}]}]}, "connected", "connected"),
        ({"ingress": [{"ports": [{"port": "http"}]}]}, "connected", "connected"),
        ({"ingress": [{"ports": [{"port": "https"}]}]}, "timeout", "timeout"),
        ({"ingress": [{"ports": [{"port": 80, "protocol": "UDP"}]}]}, "timeout", "timeout"),
        ({"ingress": [{"ports": [{"port": 70, "endPort": 90}]}]}, "connected", "connected"),
        ({"ingress": [{"ports": [{"port": 81, "endPort": 90}]}]}, "timeout", "timeout"),
        ({"ingress": [{"from": [CLIENT], "ports": [{"port": 81}]}, {"from": [CLIENT]}]}, "connected", "timeout"),
        ({"policyTypes": ["Egress"]}, "connected", "connected"),
    ],
)
def test_who_may_come(world: World, spec: Object, client: str, box: str) -> None:
    """One policy for db: what each of two Pods gets, at the Pod's own address and through its Service."""
    world.client.create(POLICIES, policy("db", "db", **spec))
    world.cluster.settle()
    try:
        for address in (world.address("db"), "10.96.0.60"):
            found = {name: world.send(name, address, 80).result for name in ("client", "box")}
            assert found == {"client": client, "box": box}
        assert world.send("worker1", world.address("db"), 80).result == "connected"  # its own node may, for probes
    finally:
        world.client.delete(POLICIES, "db", "default")
        world.cluster.settle()


def test_policies_add_up(world: World) -> None:
    """Two policies for the same Pod: what either allows is allowed."""
    world.client.create(POLICIES, policy("none", "db"))
    world.client.create(POLICIES, policy("some", "db", ingress=[{"from": [CLIENT]}]))
    world.cluster.settle()
    assert (world.send("client", "10.96.0.60", 80).result, world.send("box", "10.96.0.60", 80).result) == (
        "connected",
        "timeout",
    )
    for name in ("none", "some"):
        world.client.delete(POLICIES, name, "default")
    world.cluster.settle()


def test_without_a_way_to_the_name_server_names_stop(world: World) -> None:
    """Egress that forgets DNS: addresses work, names do not, until port 53 is allowed."""
    to_db = {"to": [{"podSelector": {"matchLabels": {"app": "db"}}}]}
    world.client.create(POLICIES, policy("out", "client", policyTypes=["Egress"], egress=[to_db]))
    world.cluster.settle()
    assert world.send("client", "10.96.0.60", 80).result == "connected"
    assert world.send("client", "10.96.0.20", 80).result == "timeout"
    assert "bad address" in world.shell("client", "wget -T 5 -qO- http://db", seconds=60)
    names = {"ports": [{"port": 53, "protocol": p} for p in ("UDP", "TCP")]}
    world.client.patch(POLICIES, "out", "default", {"spec": {"egress": [to_db, names]}})
    world.cluster.settle()
    assert "Welcome to nginx" in world.shell("client", "wget -T 5 -qO- http://db", seconds=60)
    world.client.delete(POLICIES, "out", "default")
