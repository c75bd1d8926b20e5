"""Services with more addresses than fit: how slices are filled, and what is cut off where."""

from collections.abc import Iterator

import pytest
from controller_world import World

from k8s_core.api import Object

SLICES = "endpointslices.discovery.k8s.io"


@pytest.fixture
def world() -> Iterator[World]:
    made = World(
        ("endpoints-controller", "endpointslice-controller", "endpointslice-mirroring-controller"), kubelet=False
    )
    made.client.create("nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}})
    yield made
    made.stop()


def pods(world: World, numbers: range) -> None:
    """Ready Pods p0, p1 ... behind Service web, each with an address of its own."""
    for number in numbers:
        name = f"p{number}"
        spec: Object = {"nodeName": "n1", "containers": [{"name": "c", "image": "nginx"}]}
        metadata = {"name": name, "namespace": "default", "labels": {"app": "web"}}
        world.client.create("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        ip = f"10.32.{number // 200}.{number % 200 + 1}"
        ready = [{"type": "Ready", "status": "True"}]
        status = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": ready}
        world.client.patch("pods", name, "default", {"status": status}, subresource="status")


def service(world: World, **spec: Object) -> None:
    metadata = {"name": "web", "namespace": "default"}
    world.client.create(
        "services",
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}], **spec}},
    )


def sizes(world: World) -> list[int]:
    return sorted(len(each.get("endpoints") or ()) for each in world.client.list(SLICES, "default") if web(each))


def web(piece: Object) -> bool:
    return bool(piece["metadata"].get("labels", {}).get("kubernetes.io/service-name") == "web")


def test_slices_are_filled_before_new_ones_are_made(world: World) -> None:
    """A hundred a slice; holes are filled by what comes in the same sync, other slices are left alone."""
    service(world, selector={"app": "web"})
    pods(world, range(230))
    world.cluster.settle()
    assert sizes(world) == [30, 100, 100]
    for number in range(0, 40):
        world.client.delete("pods", f"p{number}", "default", grace_seconds=0)
    world.cluster.settle()
    before = {p["metadata"]["name"]: p["metadata"]["resourceVersion"] for p in world.client.list(SLICES, "default")}
    assert sum(sizes(world)) == 190
    pods(world, range(300, 305))
    world.cluster.settle()
    after = {p["metadata"]["name"]: p["metadata"]["resourceVersion"] for p in world.client.list(SLICES, "default")}
    assert before.keys() == after.keys()
    assert sum(before[name] != after[name] for name in before) == 1
    assert sum(sizes(world)) == 195


def test_endpoints_are_cut_off_at_a_thousand(world: World) -> None:
    """The old list holds a thousand addresses and says that it was cut; the slices hold all."""
    service(world, selector={"app": "web"})
    pods(world, range(1010))
    world.cluster.settle()
    found = world.client.get("endpoints", "web", "default")
    assert len(found["subsets"][0]["addresses"]) == 1000
    assert found["metadata"]["annotations"]["endpoints.kubernetes.io/over-capacity"] == "truncated"
    assert sizes(world) == [10] + [100] * 10
    for number in range(20):
        world.client.delete("pods", f"p{number}", "default", grace_seconds=0)
    world.cluster.settle()
    found = world.client.get("endpoints", "web", "default")
    assert len(found["subsets"][0]["addresses"]) == 990
    assert "endpoints.kubernetes.io/over-capacity" not in found["metadata"].get("annotations", {})


def test_a_thousand_addresses_of_a_subset_are_mirrored(world: World) -> None:
    """In one slice, with an event that says how many were left out; other ports use the same slice again."""
    service(world)
    addresses = [{"ip": f"192.0.{n // 200}.{n % 200 + 1}"} for n in range(1007)]
    endpoints: Object = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "web", "namespace": "default"}}
    world.client.create("endpoints", {**endpoints, "subsets": [{"addresses": addresses, "ports": [{"port": 80}]}]})
    world.cluster.settle()
    assert sizes(world) == [1000]
    event = next(e for e in world.client.list("events", "default") if e["reason"] == "TooManyAddressesToMirror")
    assert event["message"] == (
        "A max of 1000 addresses can be mirrored to EndpointSlices per Endpoints subset. 7 addresses were skipped"
    )
    name = next(p for p in world.client.list(SLICES, "default") if web(p))["metadata"]["name"]
    moved = {"subsets": [{"addresses": addresses[:2], "ports": [{"port": 81}]}]}
    world.client.patch("endpoints", "web", "default", moved)
    world.cluster.settle()
    found = [p for p in world.client.list(SLICES, "default") if web(p)]
    assert [(p["metadata"]["name"], p["ports"][0]["port"], len(p["endpoints"])) for p in found] == [(name, 81, 2)]
