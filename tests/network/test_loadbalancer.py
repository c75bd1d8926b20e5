"""LoadBalancer Services: pending without a provider, an address with one, traffic for it, and the clean-up."""

from collections.abc import Iterator

import pytest

from tests.network.world import World, small_cluster


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with small_cluster() as made:
        made.service("edge", [{"port": 443, "targetPort": 80}], type="LoadBalancer", selector={"app": "web"})
        made.service("near", type="LoadBalancer", selector={"app": "web"}, externalTrafficPolicy="Local")
        made.cluster.settle()
        yield made


def ingress(world: World, name: str) -> list[str]:
    status = world.client.get("services", name, "default")["status"]
    return [i["ip"] for i in status.get("loadBalancer", {}).get("ingress", ())]


def test_without_a_provider_it_stays_pending(world: World) -> None:
    """No address comes by itself, however long one waits; the node port works all the same."""
    world.cluster.advance("5m")
    assert ingress(world, "edge") == []
    port = world.client.get("services", "edge", "default")["spec"]["ports"][0]["nodePort"]
    assert world.send("outside", "10.0.0.5", port).result == "connected"


def test_a_provider_gives_addresses_and_takes_traffic(world: World) -> None:
    """Switched on, every waiting Service has its own address; clients outside reach Pods through it."""
    world.cluster.load_balancer = True
    world.cluster.settle()
    (edge,), (near,) = ingress(world, "edge"), ingress(world, "near")
    assert edge != near
    flow = world.send("outside", edge, 443)
    assert (flow.result, flow.answered_port) == ("connected", 80)
    assert world.send("box", edge, 443).result == "connected"
    assert world.send("outside", edge, 444).result == "timeout"
    reasons = {e["reason"] for e in world.client.list("events", "default") if e["involvedObject"]["name"] == "edge"}
    assert {"EnsuringLoadBalancer", "EnsuredLoadBalancer"} <= reasons


def test_local_policy_asks_the_nodes_first(world: World) -> None:
    """With externalTrafficPolicy Local only nodes with a Pod get traffic, the client's address is kept, and the health
    check port tells which nodes those are."""
    (near,) = ingress(world, "near")
    for _ in range(20):
        flow = world.send("outside", near, 80)
        assert (flow.result, flow.seen_from) == ("connected", world.network.outside.address)
    port = world.client.get("services", "near", "default")["spec"]["healthCheckNodePort"]
    results = {n: world.send("outside", a, port).result for n, a in world.cluster.addresses.items()}
    assert set(results.values()) == {"connected"}
    answers = {
        node: world.network.namespaces[address].listeners["tcp", port].handler(None)
        for node, address in world.cluster.addresses.items()
    }
    assert {node: answer.status for node, answer in answers.items()} == {"cp": 503, "worker1": 200, "worker2": 200}
    assert answers["worker2"].headers["X-Load-Balancing-Endpoint-Weight"] == "2"
    assert answers["cp"].body.decode() == (
        '{\n\t"service": {\n\t\t"namespace": "default",\n\t\t"name": "near"\n\t},\n'
        '\t"localEndpoints": 0,\n\t"serviceProxyHealthy": true\n}'
    )


def test_deleting_gives_the_address_back(world: World) -> None:
    """A deleted Service waits for its balancer to go; then its address is free."""
    (edge,) = ingress(world, "edge")
    world.client.delete("services", "edge", "default")
    world.cluster.settle()
    assert "edge" not in [s["metadata"]["name"] for s in world.client.list("services", "default")]
    assert world.send("outside", edge, 443).result == "timeout"


def test_a_service_that_wants_no_balancer_any_more(world: World) -> None:
    """Another type: the balancer goes, the status is empty, the finalizer is taken back, and events tell."""
    (near,) = ingress(world, "near")
    changed = {"spec": {"type": "NodePort", "externalTrafficPolicy": "Cluster"}}
    world.client.patch("services", "near", "default", changed)
    world.cluster.settle()
    service = world.client.get("services", "near", "default")
    assert (ingress(world, "near"), service["metadata"].get("finalizers")) == ([], None)
    assert world.send("outside", near, 80).result == "timeout"
    told = [e for e in world.client.list("events", "default") if e["involvedObject"]["name"] == "near"]
    assert ("Type", "LoadBalancer -> NodePort") in {(e["reason"], e["message"]) for e in told}
