"""The way of a packet: who answers, who refuses, what is lost, and why; chance is fair and remembered where asked."""

from collections import Counter
from collections.abc import Iterator

import pytest

from k8s_core.network.packets import Packet
from tests.network.world import World, small_cluster


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with small_cluster() as made:
        yield made


def chains(flow: object) -> list[str]:
    return [step[2].partition("/")[2][:9] for step in flow.steps]  # type: ignore[attr-defined]


def test_a_service_leads_to_a_pod(world: World) -> None:
    """A Pod reaches a cluster IP: SERVICES, SVC, SEP, DNAT; the server sees the client's own address."""
    flow = world.send("box", "10.96.0.20", 80)
    assert flow.result == "connected"
    assert flow.answered_by in {world.address(f"web-{n}") for n in (1, 2, 3)}
    assert flow.seen_from == world.address("box")
    assert [c for c in chains(flow) if c.startswith(("KUBE-SVC", "KUBE-SEP"))][-1].startswith("KUBE-SEP")
    assert flow.data()["steps"][0].keys() == {"node", "hook", "chain", "rule", "outcome", "packet"}


@pytest.mark.parametrize(
    ("source", "address", "port", "result", "reason"),
    [
        ("box", "10.96.0.20", 81, "timeout", "no rule takes 10.96.0.20:81"),
        ("box", "10.32.1.222", 80, "unreachable", "no Pod has the address"),
        ("box", "10.0.0.5", 30999, "refused", "nothing listens on port 30999"),
        ("outside", "10.96.0.20", 80, "timeout", "nothing outside knows a way"),
        ("worker2", "10.96.0.20", 80, "connected", ""),
        ("worker2", "127.0.0.1", 30080, "connected", ""),
        ("box", "8.8.8.8", 53, "timeout", "there is no way to 8.8.8.8"),
    ],
)
def test_every_ending_has_its_reason(
    world: World, source: str, address: str, port: int, result: str, reason: str
) -> None:
    """What is not answered says why."""
    flow = world.send(source, address, port)
    assert (flow.result, reason in flow.reason) == (result, True)


@pytest.mark.parametrize("node", ["cp", "worker1", "worker2"])
def test_every_node_answers_a_node_port(world: World, node: str) -> None:
    """From outside, any node takes the node port; the server sees an address of the node, not the client's."""
    flow = world.send("outside", world.network.hosts[node].address, 30080)
    assert flow.result == "connected"
    assert flow.seen_from.startswith("10.")


def test_a_pod_that_meets_itself_is_masqueraded(world: World) -> None:
    """When chance leads a Pod back to itself it sees the node's bridge as the client."""
    seen = {f.seen_from for f in (world.send("web-1", "10.96.0.20", 80) for _ in range(40)) if
            f.answered_by == world.address("web-1")}  # fmt: skip
    assert seen == {"10.32.1.1"}


def test_no_endpoints_refuse_and_no_listener_refuses(world: World) -> None:
    """A Service without endpoints is refused by a rule; a Pod without a program on the port refuses by itself."""
    world.service("empty", clusterIP="10.96.0.30", selector={"app": "nobody"})
    world.service("wrong", [{"port": 80, "targetPort": 81}], clusterIP="10.96.0.31", selector={"app": "web"})
    world.cluster.settle()
    empty, wrong = world.send("box", "10.96.0.30", 80), world.send("box", "10.96.0.31", 80)
    assert (empty.result, "has no endpoints" in empty.reason) == ("refused", True)
    assert (wrong.result, "nothing listens on port 81" in wrong.reason) == ("refused", True)


def test_local_external_policy_keeps_the_client_and_drops_elsewhere(world: World) -> None:
    """externalTrafficPolicy Local: nodes with a Pod show the client's address, others drop; Pods reach it anyway."""
    world.service("local", [{"port": 80, "nodePort": 30081}], type="NodePort", externalTrafficPolicy="Local",
                  selector={"app": "web"})  # fmt: skip
    world.cluster.settle()
    there, elsewhere = world.send("outside", "10.0.0.5", 30081), world.send("outside", "10.0.0.4", 30081)
    assert (there.result, there.seen_from) == ("connected", world.network.outside.address)
    assert (elsewhere.result, "no local endpoints" in elsewhere.reason) == ("timeout", True)
    assert world.send("box", "10.0.0.4", 30081).result == "timeout"
    assert world.send("cp", "127.0.0.1", 30081).result == "connected"


def test_every_way_to_be_dropped(world: World) -> None:
    """Local policies without a Pod here, source ranges, UDP to a TCP port, a node that is down: each says why."""
    world.service("inner", clusterIP="10.96.0.70", selector={"app": "web"}, internalTrafficPolicy="Local")
    ranges = {"loadBalancerSourceRanges": ["198.51.100.0/24"], "externalIPs": ["198.51.100.77"]}
    world.service("gate", [{"port": 80, "nodePort": 30070}], type="LoadBalancer", clusterIP="10.96.0.71",
                  selector={"app": "web"}, **ranges)  # fmt: skip
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.50"}]}}}
    world.client.patch("services", "gate", "default", status, subresource="status")
    world.cluster.settle()
    world.network.balance = lambda address, port, protocol: "worker1" if address == "192.0.2.50" else None
    inner, here = world.send("cp", "10.96.0.70", 80), world.send("worker1", "10.96.0.70", 80)
    assert (inner.result, "has no local endpoints" in inner.reason, here.result) == ("timeout", True, "connected")
    gate = world.send("outside", "192.0.2.50", 80)
    assert (gate.result, "traffic not accepted by KUBE-FW-" in gate.reason) == ("timeout", True)
    assert world.send("outside", "198.51.100.77", 80).result == "connected"  # ranges are for the balancer only
    assert world.send("outside", world.network.hosts["cp"].address, 30070).result == "connected"
    udp = world.send("box", world.address("web-1"), 80, "udp")
    assert (udp.result, udp.reason.startswith("nothing listens on port 80 (udp)")) == ("refused", True)
    world.network.hosts["worker2"].up = False
    down = world.send("box", world.address("web-2"), 80)
    world.network.hosts["worker2"].up = True
    assert (down.result, down.reason) == ("timeout", "node worker2 does not answer")


def test_affinity_remembers_a_client_for_its_time(world: World) -> None:
    """sessionAffinity ClientIP: the same Pod answers until the time is over."""
    world.service("sticky", clusterIP="10.96.0.40", selector={"app": "web"}, sessionAffinity="ClientIP",
                  sessionAffinityConfig={"clientIP": {"timeoutSeconds": 60}})  # fmt: skip
    world.cluster.settle()
    assert len({world.send("box", "10.96.0.40", 80).answered_by for _ in range(30)}) == 1
    found = set()
    for _ in range(20):
        world.cluster.advance("61s")
        found.add(world.send("box", "10.96.0.40", 80).answered_by)
    assert len(found) > 1


def test_a_known_connection_keeps_its_server(world: World) -> None:
    """Packets of a connection that is known go where its first one went, whatever the rules say by then."""
    first = world.send("box", "10.96.0.20", 80, source_port=41000)
    assert {world.send("box", "10.96.0.20", 80, source_port=41000).answered_by for _ in range(10)} == {
        first.answered_by
    }


def test_thirty_thousand_flows_spread_evenly(world: World) -> None:
    """Chi-square over three endpoints: the deviation of 30,000 choices stays below the 0.1 % threshold."""
    host = world.network.hosts["worker1"]
    found: Counter[str] = Counter()
    for number in range(30_000):
        packet = Packet("10.32.1.2", 1024 + number, "10.96.0.20", 80)
        host.pass_hook("PREROUTING", "nat", packet, [])
        found[packet.destination] += 1
    assert len(found) == 3
    assert sum((count - 10_000) ** 2 / 10_000 for count in found.values()) < 13.8


def test_the_rules_outlive_their_proxy(world: World) -> None:
    """A dead kube-proxy leaves its rules: old Services work, new ones do not, until it is back."""
    proxy = world.network.proxies["worker1"]
    proxy.stop()
    world.service("late", clusterIP="10.96.0.50", selector={"app": "web"})
    world.cluster.settle()
    assert world.send("box", "10.96.0.20", 80).result == "connected"
    assert world.send("box", "10.96.0.50", 80).result == "timeout"
    proxy.flush()
    assert world.send("box", "10.96.0.20", 80).result == "timeout"
    proxy.start()
    assert world.send("box", "10.96.0.50", 80).result == "connected"


def test_a_rule_made_by_hand_decides(world: World) -> None:
    """iptables -I FORWARD ... -j DROP drops, -D makes it work again."""
    host = world.network.hosts["worker1"]
    rule = "-d 10.32.0.0/12 -p tcp -m tcp --dport 80 -j DROP"
    host.edit("filter", "FORWARD", "-I", rule)
    assert world.send("box", "10.96.0.20", 80).result == "timeout"
    host.edit("filter", "FORWARD", "-D", rule)
    assert world.send("box", "10.96.0.20", 80).result == "connected"


def test_policies_decide_who_may(world: World) -> None:
    """A Pod that a NetworkPolicy selects is reached by those it names, and others time out; egress likewise."""
    world.pod("shop", "busybox", node="worker2", command=["sleep", "1000000"], labels={"app": "shop"})
    world.pod("db", labels={"app": "db"})
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "db", "namespace": "default"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "db"}},
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "shop"}}}], "ports": [{"port": 80}]}],
        },
    }
    world.client.create("networkpolicies.networking.k8s.io", policy)
    world.cluster.settle()
    allowed, denied = world.send("shop", world.address("db"), 80), world.send("box", world.address("db"), 80)
    assert (allowed.result, denied.result) == ("connected", "timeout")
    assert "no ingress rule of NetworkPolicy db" in denied.reason
    assert world.send("worker1", world.address("db"), 80).result == "connected"
    closed = {**policy, "metadata": {"name": "quiet", "namespace": "default"},
              "spec": {"podSelector": {"matchLabels": {"app": "shop"}}, "policyTypes": ["Egress"]}}  # fmt: skip
    world.client.create("networkpolicies.networking.k8s.io", closed)
    world.cluster.settle()
    assert "no egress rule" in world.send("shop", world.address("db"), 80).reason


def test_the_same_seed_gives_the_same_choices() -> None:
    """Chance is drawn from the cluster's seed: the same flows are answered by the same Pods in the same order."""

    def answers() -> list[str]:
        with small_cluster() as made:
            return [made.send("box", "10.96.0.20", 80).answered_by for _ in range(40)]

    first = answers()
    assert first == answers()
    assert len(set(first)) == 3


def test_a_udp_flow_does_not_stick_to_a_pod_that_is_gone(world: World) -> None:
    """kube-proxy forgets UDP flows to endpoints that serve no more; a TCP connection keeps where it went."""
    for protocol, address, port in (("udp", "10.96.0.170", 53), ("tcp", "10.96.0.171", 80)):
        name = f"{protocol}-one"
        world.service(name, [{"name": "p", "port": port, "protocol": protocol.upper()}], clusterIP=address)
        piece = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "namespace": "default", "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": [{"name": "p", "port": 80, "protocol": protocol.upper()}],
            "endpoints": [{"addresses": [world.address("web-1")], "conditions": {"ready": True}}],
        }
        world.client.create("endpointslices.discovery.k8s.io", piece)
        world.cluster.settle()
        assert world.send("box", address, port, protocol, source_port=4000).answered_by == world.address("web-1")
        moved = {"endpoints": [{"addresses": [world.address("web-2")], "conditions": {"ready": True}}]}
        world.client.patch("endpointslices.discovery.k8s.io", name, "default", moved)
        world.cluster.settle()
        stays = world.address("web-1" if protocol == "tcp" else "web-2")
        assert world.send("box", address, port, protocol, source_port=4000).answered_by == stays


@pytest.mark.parametrize(
    ("rule", "result"), [("-i cni0", "timeout"), ("-o flannel.1", "timeout"), ("-i eth0", "connected")]
)
def test_rules_ask_by_which_interface_a_packet_comes_and_goes(world: World, rule: str, result: str) -> None:
    """From a Pod here to one on another node: in by the Pods' bridge, out by the overlay."""
    host, drop = world.network.hosts["worker1"], f"{rule} -p tcp -m tcp --dport 80 -j DROP"
    host.edit("filter", "FORWARD", "-I", drop)
    found = world.send("box", world.address("web-2"), 80).result
    host.edit("filter", "FORWARD", "-D", drop)
    assert found == result


def test_a_node_that_was_off_has_forgotten_its_rules(world: World) -> None:
    """With the power goes what was typed and what was tracked; kube-proxy's rules come back with its Pod."""
    host = world.network.hosts["worker2"]
    host.edit("filter", "FORWARD", "-I", "-s 203.0.113.7/32 -j DROP")
    assert world.send("outside", "10.0.0.6", 30080).result == "timeout"
    world.cluster.faults.node_down("worker2")
    assert not host.tracked
    assert "KUBE-SERVICES" not in host.tables()["nat"]
    world.cluster.faults.node_up("worker2")
    world.cluster.advance("2m")
    assert world.send("outside", "10.0.0.6", 30080).result == "connected"
