"""kube-proxy's rules: the real one's, line for line, and accepted by the real iptables."""

import random
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8s_core.api import Object
from k8s_core.api.errors import StatusError
from k8s_core.network.proxy import chain_name, probability, ruleset
from k8s_core.network.proxy_config import Config, ConfigError
from k8s_core.network.serviceports import Node
from k8s_core.network.tables import save, without_proxy
from k8s_core.shell.sockets import Request
from tests.conftest import MakeCluster
from tests.network import any_services, iptables
from tests.network.world import small_cluster

FACTS = Path(__file__).parent / "facts"
NODE = Node("cp", "10.0.0.4", "zone-a")
KUBERNETES = {
    "kind": "Service",
    "metadata": {"name": "kubernetes", "namespace": "default"},
    "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443}]},
}


def service(name: str, address: str = "10.96.0.40", ports: list[Object] | None = None, **spec: Any) -> Object:
    status = {"loadBalancer": {"ingress": [{"ip": a} for a in spec.pop("balancer", ())]}}
    return {
        "kind": "Service",
        "metadata": {"name": name, "namespace": "ns"},
        "spec": {"clusterIP": address, "ports": ports or [{"name": "p", "port": 80}], **spec},
        "status": status,
    }


def slices(name: str, *endpoints: Object, port: int = 8080) -> Object:
    return {
        "kind": "EndpointSlice",
        "metadata": {"name": f"{name}-1", "namespace": "ns", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "p", "port": port, "protocol": "TCP"}],
        "endpoints": list(endpoints),
    }


def endpoint(address: str, node: str = "worker1", **conditions: bool) -> Object:
    return {"addresses": [address], "nodeName": node, "conditions": {"ready": True, **conditions}}


def rules(*objects: Object, node: Node = NODE, config: Config | None = None) -> dict[str, list[str]]:
    """table/chain -> rules."""
    kinds = ([o for o in objects if o["kind"] == "Service"], [o for o in objects if o["kind"] != "Service"])
    made = ruleset(*kinds, node, config)
    return {f"{table}/{chain}": lines for table, chains in made.items() for chain, lines in chains.items()}


def targets(lines: list[str]) -> list[str]:
    return [line.rpartition("-j ")[2].split()[0] for line in lines]


def test_the_facts_line_for_line() -> None:
    """For the recorded Services the text of iptables-save is the real one's, order included."""
    documents = [*yaml.safe_load_all((FACTS / "services.yaml").read_text()), KUBERNETES]
    for one in documents:
        if one["metadata"]["name"] == "edge":
            one["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.127"}]}}
    services = [d for d in documents if d["kind"] == "Service"]
    found = save(ruleset(services, [d for d in documents if d["kind"] != "Service"], NODE))
    assert found == (FACTS / "iptables-save.txt").read_text()


def test_the_facts_through_a_live_cluster(make_cluster: MakeCluster) -> None:
    """The same Services, made through the API of a bare cluster without an apiserver endpoint: the same rules."""
    cluster = make_cluster(profile="bare")
    client = cluster.client()
    client.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    for one in yaml.safe_load_all((FACTS / "services.yaml").read_text()):
        client.create("services" if one["kind"] == "Service" else "endpointslices.discovery.k8s.io", one)
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.127"}]}}}
    client.patch("services", "edge", "shop", status, subresource="status")
    for piece in client.list("endpointslices.discovery.k8s.io", "default"):
        if piece["metadata"]["name"] == "kubernetes":
            client.delete("endpointslices.discovery.k8s.io", "kubernetes", "default")
    cluster.settle()
    assert save(cluster.network.hosts["cp"].tables()) == (FACTS / "iptables-save.txt").read_text()


@pytest.mark.parametrize(
    ("prefix", "parts", "name"),
    [
        ("KUBE-SVC-", ("ns1/svc1:p80", "tcp"), "KUBE-SVC-XPGD46QRK7WJZT7O"),
        ("KUBE-SVC-", ("ns2/svc2:p80", "tcp"), "KUBE-SVC-GNZBNJ2PO5MGZ6GT"),
        ("KUBE-SEP-", ("ns1/svc1:p80", "tcp", "10.180.0.1:80"), "KUBE-SEP-SXIVWICOYRO3J4NJ"),
        ("KUBE-SVC-", ("default/kubernetes:https", "tcp"), "KUBE-SVC-NPX46M4PTMTKRN6Y"),
        ("KUBE-SVC-", ("kube-system/kube-dns:dns", "udp"), "KUBE-SVC-TCOU7JCQXEZGVUNU"),
    ],
)
def test_chains_are_called_as_everywhere(prefix: str, parts: tuple[str, ...], name: str) -> None:
    """Chain names are the hashes that every cluster in the world has."""
    assert chain_name(prefix, *parts) == name


def test_probabilities_are_as_the_kernel_keeps_them() -> None:
    """One in three has the digits of a 31-bit fraction."""
    assert [probability(n) for n in (2, 3, 7)] == ["0.50000000000", "0.33333333349", "0.14285714272"]


def test_without_endpoints_connections_are_refused() -> None:
    """No endpoint: a REJECT for every address and node port, and no rule in nat."""
    made = rules(service("a", ports=[{"name": "p", "port": 80, "nodePort": 30080}], type="NodePort"))
    assert targets(made["filter/KUBE-SERVICES"]) == ["REJECT"]
    assert "--dport 30080" in made["filter/KUBE-EXTERNAL-SERVICES"][0]
    assert made["nat/KUBE-NODEPORTS"] == []


def test_internal_policy_local_drops_where_nobody_is() -> None:
    """internalTrafficPolicy Local: a node without an endpoint drops, one with an endpoint uses only its own."""
    objects = (
        service("a", internalTrafficPolicy="Local"),
        slices("a", endpoint("10.32.1.1"), endpoint("10.32.2.1", "worker2")),
    )
    assert targets(rules(*objects)["filter/KUBE-SERVICES"]) == ["DROP"]
    there = rules(*objects, node=Node("worker1", "10.0.0.5"))
    local = chain_name("KUBE-SVL-", "ns/a:p", "tcp")
    assert there[f"nat/{local}"][-1].endswith(chain_name("KUBE-SEP-", "ns/a:p", "tcp", "10.32.1.1:8080"))
    assert f"nat/{chain_name('KUBE-SVC-', 'ns/a:p', 'tcp')}" not in there


def test_source_ranges_make_a_firewall() -> None:
    """loadBalancerSourceRanges: a KUBE-FW chain with the ranges, the balancer's own address if the node is in one."""
    objects = (
        service(
            "a", type="LoadBalancer", balancer=["192.0.2.1"], loadBalancerSourceRanges=["10.0.0.0/8", " 1.2.3.4/32"]
        ),
        slices("a", endpoint("10.32.1.1")),
    )
    made = rules(*objects)
    firewall = made[f"nat/{chain_name('KUBE-FW-', 'ns/a:p', 'tcp')}"]
    assert [line.split()[1] for line in firewall[:3]] == ["10.0.0.0/8", "1.2.3.4/32", "192.0.2.1/32"]
    assert "-j" not in firewall[3].split()
    assert targets(made["filter/KUBE-PROXY-FIREWALL"]) == ["DROP"]
    assert "nat/" + chain_name("KUBE-FW-", "ns/a:p", "tcp") not in rules(
        service("a", type="LoadBalancer", balancer=["192.0.2.1"], loadBalancerSourceRanges=["0.0.0.0/0"]),
        slices("a", endpoint("10.32.1.1")),
    )


def test_terminating_endpoints_serve_when_nothing_else_does() -> None:
    """An endpoint that ends but still serves is used only while no ready one is there."""
    ending = endpoint("10.32.1.1", ready=False, serving=True, terminating=True)
    alone = rules(service("a"), slices("a", ending))
    both = rules(service("a"), slices("a", ending, endpoint("10.32.2.1")))
    chain = f"nat/{chain_name('KUBE-SVC-', 'ns/a:p', 'tcp')}"
    assert "10.32.1.1:8080" in alone[chain][-1]
    assert len(both[chain]) == 2
    assert "10.32.2.1:8080" in both[chain][-1]


def test_hints_keep_traffic_in_the_zone() -> None:
    """When all ready endpoints carry zone hints, a node uses those for its zone, unless there are none for it."""

    def hinted(address: str, zone: str) -> Object:
        return {**endpoint(address), "hints": {"forZones": [{"name": zone}]}}

    objects = (service("a"), slices("a", hinted("10.32.1.1", "zone-a"), hinted("10.32.2.1", "zone-b")))
    chain = f"nat/{chain_name('KUBE-SVC-', 'ns/a:p', 'tcp')}"
    assert len(rules(*objects)[chain]) == 2
    assert len(rules(*objects, node=Node("x", "10.0.0.9", "zone-c"))[chain]) == 3


def test_headless_and_foreign_services_have_no_rules() -> None:
    """Headless Services, ExternalNames and Services of another proxy leave no trace."""
    foreign = service("c")
    foreign["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": "other"}
    made = rules(service("a", "None"), service("b", "", type="ExternalName", externalName="x.y"), foreign)
    assert made == rules()


def test_many_endpoints_lose_their_comments() -> None:
    """Above a thousand endpoints the endpoints' rules carry no comments."""
    many = slices("a", *(endpoint(f"10.40.{i // 250}.{i % 250 + 1}") for i in range(1001)))
    made = rules(service("a"), many)
    assert (
        made[f"nat/{chain_name('KUBE-SEP-', 'ns/a:p', 'tcp', '10.40.0.1:8080')}"][0]
        == "-s 10.40.0.1/32 -j KUBE-MARK-MASQ"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="iptables exists on Linux only")
def test_the_real_iptables_accepts_every_kind_of_rule() -> None:
    """iptables-restore --test takes the facts' rules, all sorts of Services at once, and a node without a proxy."""
    objects = [
        service("all", type="LoadBalancer", balancer=["192.0.2.1"], loadBalancerSourceRanges=["10.0.0.0/8"],
                externalIPs=["198.51.100.9"], externalTrafficPolicy="Local", healthCheckNodePort=31999,
                sessionAffinity="ClientIP", ports=[{"name": "p", "port": 80, "nodePort": 30080}]),
        service("udp", "10.96.0.41", ports=[{"name": "p", "port": 53, "protocol": "UDP"}]),
        service("sctp", "10.96.0.42", ports=[{"name": "p", "port": 99, "protocol": "SCTP"}]),
        service("local", "10.96.0.43", internalTrafficPolicy="Local"),
    ]  # fmt: skip
    pieces = [slices(n, endpoint("10.32.1.1"), endpoint("10.32.0.2", "cp")) for n in ("all", "local")]
    for text in (
        (FACTS / "iptables-save.txt").read_text(),
        save(ruleset(objects, pieces, NODE)),
        save(without_proxy()),
    ):
        assert iptables.accepts(text) == ""
    assert "line" in iptables.accepts("*nat\n-A INPUT --nonsense\nCOMMIT\n")


NODE_PORT = (
    service("a", ports=[{"name": "p", "port": 80, "nodePort": 30080}], type="NodePort", externalTrafficPolicy="Local"),
    slices("a", endpoint("10.32.1.1", "cp")),
)
INTERNAL = f"nat/{chain_name('KUBE-SVC-', 'ns/a:p', 'tcp')}"
EXTERNAL = f"nat/{chain_name('KUBE-EXT-', 'ns/a:p', 'tcp')}"


def test_masquerade_all_marks_without_asking_where_from() -> None:
    """masqueradeAll: the first rule of a Service's chain marks everything."""
    rule = rules(*NODE_PORT, config=Config(masquerade_all=True))[INTERNAL][0]
    assert rule.startswith("-d 10.96.0.40/32 -p tcp")
    assert rule.endswith("-j KUBE-MARK-MASQ")


def test_without_a_cluster_cidr_nothing_is_local() -> None:
    """No clusterCIDR: neither the mark for strangers nor the Pods' short cut; NodeCIDR takes the node's own range."""
    made = rules(*NODE_PORT, config=Config(cluster_cidr=""))
    assert targets(made[INTERNAL]) == [chain_name("KUBE-SEP-", "ns/a:p", "tcp", "10.32.1.1:8080")]
    assert len(made[EXTERNAL]) == 3
    node = Node("cp", "10.0.0.4", pod_cidr="10.32.7.0/24")
    assert "! -s 10.32.7.0/24" in rules(*NODE_PORT, node=node, config=Config(local_mode="NodeCIDR"))[INTERNAL][0]


@pytest.mark.parametrize(
    ("config", "last", "on_localhost"),
    [
        (Config(), ["-m addrtype"], True),
        (Config(localhost_node_ports=False), ["! -d 127.0.0.0/8"], False),
        (Config(node_port_addresses=("primary",)), ["-d 10.0.0.4/32"], False),
        (Config(node_port_addresses=("10.0.0.0/24",)), ["-d 10.0.0.4/32"], False),
        (Config(node_port_addresses=("10.0.0.0/8",)), ["-d 10.0.0.4/32", "-d 10.32.0.1/32"], False),
        (Config(node_port_addresses=("127.0.0.0/8", "10.0.0.0/24")), ["-d 127.0.0.1/32", "-d 10.0.0.4/32"], True),
        (Config(node_port_addresses=("0.0.0.0/0",)), ["-m addrtype"], True),
        (Config(node_port_addresses=("fd00::/8",)), ["-m addrtype"], True),
    ],
)
def test_node_port_addresses(config: Config, last: list[str], *, on_localhost: bool) -> None:
    """nodePortAddresses and localhostNodePorts: which of the node's addresses lead to the node ports."""
    made = rules(*NODE_PORT, node=Node("cp", "10.0.0.4", bridge="10.32.0.1"), config=config)
    found = [rule for rule in made["nat/KUBE-SERVICES"] if rule.endswith("-j KUBE-NODEPORTS")]
    assert len(found) == len(last)
    assert all(part in rule for part, rule in zip(last, found, strict=True))
    assert any(rule.startswith("-d 127.0.0.0/8") for rule in made["nat/KUBE-NODEPORTS"]) is on_localhost


def test_the_configuration_is_read_as_kube_proxy_reads_it() -> None:
    """A file of kind KubeProxyConfiguration gives all of this; one that is wrong says why."""
    text = (
        "kind: KubeProxyConfiguration\nclusterCIDR: 10.64.0.0/12\nmode: iptables\nnodePortAddresses: [primary]\n"
        "iptables: {masqueradeAll: true, masqueradeBit: 3, localhostNodePorts: false}\ndetectLocalMode: NodeCIDR\n"
    )
    assert Config.parse(text) == Config("iptables", "10.64.0.0/12", "NodeCIDR", True, 3, False, ("primary",))
    for wrong in ("kind: Other", "mode: userspace\nkind: KubeProxyConfiguration", "[", "text"):
        with pytest.raises(ConfigError):
            Config.parse(wrong)


def test_balancers_that_proxy_have_no_rules() -> None:
    """ipMode Proxy: the address belongs to a machine that opens connections of its own."""
    one = service("a", type="LoadBalancer", balancer=["192.0.2.1"])
    one["status"]["loadBalancer"]["ingress"][0]["ipMode"] = "Proxy"
    assert "192.0.2.1" not in str(rules(one, slices("a", endpoint("10.32.1.1"))))


def test_node_hints_come_before_zone_hints() -> None:
    """Hints for nodes win where one is for this node; else those for its zone do."""

    def hinted(address: str, node: str) -> Object:
        return {**endpoint(address, node), "hints": {"forNodes": [{"name": node}], "forZones": [{"name": "zone-a"}]}}

    objects = (service("a"), slices("a", hinted("10.32.0.1", "cp"), hinted("10.32.1.1", "worker1")))
    assert len(rules(*objects)[INTERNAL]) == 2
    assert len(rules(*objects, node=Node("x", "10.0.0.9", "zone-a"))[INTERNAL]) == 3


def test_a_local_external_policy_reaches_an_ending_pod_only_here() -> None:
    """Ready elsewhere, ending here: outside clients still get the one here, Pods the ready one; both have a chain."""
    ending = endpoint("10.32.0.9", "cp", ready=False, serving=True, terminating=True)
    made = rules(NODE_PORT[0], slices("a", ending, endpoint("10.32.1.1")))
    local = f"nat/{chain_name('KUBE-SVL-', 'ns/a:p', 'tcp')}"
    assert "10.32.0.9:8080" in made[local][-1]
    assert "10.32.1.1:8080" in made[INTERNAL][-1]
    assert len(made[INTERNAL]) == 2
    assert sum(name.startswith("nat/KUBE-SEP-") for name in made) == 2


def test_several_ports_of_several_protocols() -> None:
    """Each port has chains of its own; TCP and UDP of the same number do not meet."""
    ports = [{"name": p, "port": 53, "protocol": p.upper()} for p in ("tcp", "udp", "sctp")]
    piece = slices("a", endpoint("10.32.1.1"))
    piece["ports"] = [{"name": p["name"], "port": 5353, "protocol": p["protocol"]} for p in ports]
    made = rules(service("a", ports=ports), piece)
    heads = {rule.split(" -m ")[0] for rule in made["nat/KUBE-SERVICES"] if "cluster IP" in rule}
    assert heads == {f"-d 10.96.0.40/32 -p {p}" for p in ("tcp", "udp", "sctp")}
    assert sum(name.startswith("nat/KUBE-SVC-") for name in made) == 3


def test_a_proxy_obeys_its_config_map_when_it_starts(make_cluster: MakeCluster) -> None:
    """The ConfigMap kube-proxy is read at the start of a Pod: a change counts after a restart, a wrong one ends it."""
    cluster = make_cluster()
    client = cluster.client()
    cluster.settle()

    def restart(old: str, new: str) -> Object:
        config = client.get("configmaps", "kube-proxy", "kube-system")
        text = config["data"]["config.conf"].replace(old, new)
        client.patch("configmaps", "kube-proxy", "kube-system", {"data": {"config.conf": text}})
        cluster.settle()
        for pod in client.list("pods", "kube-system"):
            if pod["metadata"]["name"].startswith("kube-proxy"):
                client.delete("pods", pod["metadata"]["name"], "kube-system")
        cluster.advance("1m")
        found = client.list("pods", "kube-system")
        return next(p for p in found if p["metadata"]["name"].startswith("kube-proxy"))

    restart("masqueradeBit: null", "masqueradeBit: 5")
    assert "--mark 0x20/0x20" in save(cluster.network.hosts["cp"].tables())
    cluster.network.proxies["cp"].flush()
    assert restart("mode:", "mode: userspace #")["status"]["containerStatuses"][0]["restartCount"] > 0


@pytest.mark.parametrize(("mode", "command"), [("nftables", "nft list ruleset"), ("ipvs", "ipvsadm -Ln")])
def test_packets_meet_the_rules_of_the_mode(mode: str, command: str) -> None:
    """Set in the ConfigMap and restarted, kube-proxy writes the other mode's rules alone, and Services still work."""
    with small_cluster() as world:
        config = world.client.get("configmaps", "kube-proxy", "kube-system")["data"]["config.conf"]
        text = config.replace('mode: ""', f"mode: {mode}")
        world.client.patch("configmaps", "kube-proxy", "kube-system", {"data": {"config.conf": text}})
        world.cluster.settle()
        for pod in world.client.list("pods", "kube-system"):
            if pod["metadata"]["name"].startswith("kube-proxy"):
                world.client.delete("pods", pod["metadata"]["name"], "kube-system")
        world.cluster.advance("1m")
        flows = [world.send("box", "10.96.0.20", 80) for _ in range(30)]
        assert {flow.answered_by for flow in flows} == {world.address(f"web-{n}") for n in (1, 2, 3)}
        assert flows[0].seen_from == world.address("box")
        assert world.send("outside", "10.0.0.5", 30080).result == "connected"
        assert world.send("box", "10.96.0.20", 81).result == "refused"
        assert "KUBE-SVC" not in world.shell(world.proxy("worker1"), "iptables-save")
        assert "10.96.0.20" in world.shell(world.proxy("worker1"), command)
        page = world.namespace("worker1").http("127.0.0.1", 10249, Request("GET", "/proxyMode"))
        assert world.run(page).body.decode() == mode


def test_many_small_syncs_come_to_what_one_would(make_cluster: MakeCluster) -> None:
    """Services and slices come, change and go in any order, with a look after each: the rules are those of a start."""
    cluster = make_cluster(profile="bare")
    client, chance = cluster.client(), random.Random(7)
    for number in range(3):
        client.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"ns{number}"}})
    slices_of = "endpointslices.discovery.k8s.io"
    proxy = cluster.network.proxies["worker1"]
    there: list[tuple[str, str, str]] = []
    for step in range(60):
        if there and chance.random() < 0.4:
            resource, namespace, name = there.pop(chance.randrange(len(there)))
            client.delete(resource, name, namespace)
        else:
            services, pieces = any_services.draw(step, 1)
            for resource, objects in (("services", services), (slices_of, pieces)):
                for obj in objects:
                    made = {**obj, "apiVersion": "v1" if resource == "services" else "discovery.k8s.io/v1"}
                    made["metadata"] = {**obj["metadata"], "name": f"{obj['metadata']['name']}-{step}"}
                    if resource == slices_of:
                        owner = obj["metadata"]["labels"]["kubernetes.io/service-name"]
                        made["metadata"]["labels"] = {"kubernetes.io/service-name": f"{owner}-{step}"}
                    status = made.pop("status", {})
                    try:
                        client.create(resource, made)
                    except StatusError:
                        continue  # a node port that another has
                    if status:
                        key = (made["metadata"]["name"], made["metadata"]["namespace"])
                        client.patch(resource, *key, {"status": status}, subresource="status")
                    there.append((resource, made["metadata"]["namespace"], made["metadata"]["name"]))
        cluster.advance(1)
        found = proxy.tables()
    assert len(there) > 10
    assert len(proxy.syncs) > 20
    whole = ruleset(client.list("services"), client.list(slices_of), proxy.node(), proxy.config)
    assert save(found) == save(whole)


def test_a_cluster_that_grows_large_keeps_old_comments(make_cluster: MakeCluster) -> None:
    """Above a thousand endpoints what is written has no comments; what did not change has them until a full sync.

    A start is one, and another zone of the node.
    """
    cluster = make_cluster(profile="bare")
    client, proxy = cluster.client(), cluster.network.proxies["cp"]
    client.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns"}})

    def create(name: str, address: str, pieces: list[Object]) -> None:
        client.create("services", {**service(name, address), "apiVersion": "v1"})
        for number, piece in enumerate(pieces):
            made = {**piece, "apiVersion": "discovery.k8s.io/v1", "metadata": {**piece["metadata"]}}
            made["metadata"]["name"] = f"{name}-{number}"
            client.create("endpointslices.discovery.k8s.io", made)
        cluster.settle()

    def commented(name: str, address: str) -> bool:
        chain = chain_name("KUBE-SEP-", f"ns/{name}:p", "tcp", f"{address}:8080")
        return "--comment" in proxy.tables()["nat"][chain][0]

    create("small", "10.96.0.40", [slices("small", endpoint("10.32.1.1"))])
    assert commented("small", "10.32.1.1")
    create("big", "10.96.0.41", [slices("big", *(endpoint(f"10.40.{i}.{j}") for j in range(100))) for i in range(11)])
    assert (commented("small", "10.32.1.1"), commented("big", "10.40.0.1")) == (True, False)
    assert [count for _, count in proxy.syncs[-1:]] == [1]
    proxy.stop()
    proxy.start()
    assert not commented("small", "10.32.1.1")
    hinted = slices("small", {**endpoint("10.32.1.1"), "hints": {"forZones": [{"name": "a"}]}},
                    {**endpoint("10.32.1.2"), "hints": {"forZones": [{"name": "b"}]}})  # fmt: skip
    client.patch("endpointslices.discovery.k8s.io", "small-0", "ns", {"endpoints": hinted["endpoints"]})
    cluster.settle()
    other = f"KUBE-SEP-{chain_name('', 'ns/small:p', 'tcp', '10.32.1.2:8080')}"
    assert other in proxy.tables()["nat"]
    client.patch("nodes", "cp", "", {"metadata": {"labels": {"topology.kubernetes.io/zone": "a"}}})
    cluster.settle()
    assert other not in proxy.tables()["nat"]
