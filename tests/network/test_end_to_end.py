"""What Kubernetes' own end-to-end tests type about the network, with their image, and what they look for."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from k8s_core.api import Object
from k8s_core.network.tables import save
from tests.network import iptables
from tests.network.world import World, small_cluster

AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.56"
PROTOCOLS = ("tcp", "udp", "sctp")


def agnhost(world: World, name: str, *args: str, node: str = "worker1", **spec: Any) -> None:
    container: Object = {"name": "c", "image": AGNHOST, "args": list(args), **spec.pop("container", {})}
    meta = {"name": name, "namespace": spec.pop("namespace", "default"), "labels": {"app": name}}
    world.client.create(
        "pods", {"apiVersion": "v1", "kind": "Pod", "metadata": meta,
                 "spec": {"nodeName": node, "containers": [container], "terminationGracePeriodSeconds": 0, **spec}}
    )  # fmt: skip


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Netexec on worker2 and in "tester"; Service net has TCP and UDP on one port; "host" is on worker1's network."""
    with small_cluster() as made:
        ports = [{"containerPort": 80, "hostPort": 8888, "hostIP": ip} for ip in ("127.0.0.1", "10.0.0.6")]
        netexec = ("netexec", "--http-port=80", "--udp-port=80", "--sctp-port=80")
        agnhost(made, "server", *netexec, node="worker2", container={"ports": ports})
        agnhost(made, "tester", "netexec", "--http-port=9080")
        agnhost(made, "host", "pause", hostNetwork=True, node="worker2")
        both = [{"name": p, "port": 80, "protocol": p.upper()} for p in PROTOCOLS]
        made.service("net", both, clusterIP="10.96.0.80", selector={"app": "server"})
        made.cluster.settle()
        yield made


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("curl -g -q -s 'http://{tester}:9080/dial?request=hostname&protocol=http&host=10.96.0.80&port=80&tries=2'",
         '{"responses":["server","server"]}'),
        ("curl -g -q -s 'http://{tester}:9080/dial?request=hostname&protocol=udp&host=10.96.0.80&port=80&tries=1'",
         '{"responses":["server"]}'),
        ("echo hostName | nc -w 1 -u 10.96.0.80 80", "server"),
        ("echo hostName | nc -t -w 2 10.96.0.80 80 | tail -n 1", "400 Bad Request"),
        ("/agnhost connect --timeout=1s 10.96.0.80:80; echo $?", "0"),
        ("/agnhost connect 10.96.0.80:80 --timeout=1s --protocol=udp; echo $?", "0"),
        ("/agnhost connect 10.96.0.80:80 --timeout=1s --protocol=sctp; echo $?", "0"),
        ("/agnhost connect --timeout=1s 10.96.0.80:81", "TIMEOUT: Connection timed out"),
        ("/agnhost connect --timeout=1s {server}:81", "REFUSED: Connection refused"),
        ('check="$(dig +tcp +noall +answer +search net.default A)" && test -n "$check" && echo OK', "OK"),
        ("dig +short _udp._udp.net.default.svc.cluster.local SRV", "0 100 80 net.default.svc.cluster.local."),
        ("nslookup net | grep Address: | tail -n 1", "Address: 10.96.0.80"),
    ],
)  # fmt: skip
def test_what_they_type_works(world: World, command: str, printed: str) -> None:
    """dial, nc, connect and dig in agnhost say what the tests look for."""
    text = command.replace("{tester}", world.address("tester")).replace("{server}", world.address("server"))
    assert world.shell("tester", text).strip() == printed


def test_a_pod_reaches_itself_through_its_service(world: World) -> None:
    """Hairpin: the packet comes back with the bridge's address as its source."""
    assert world.shell("server", "curl -q -s http://10.96.0.80/clientip").startswith("10.32.2.1:")


def test_host_ports_lead_to_their_pod(world: World) -> None:
    """On the addresses that were asked for, from the node and from elsewhere, and no longer than the Pod is there."""
    assert world.shell("host", "curl -q -s http://127.0.0.1:8888/hostname") == "server"
    assert world.shell("tester", "curl -q -s http://10.0.0.6:8888/hostname") == "server"
    assert world.send("outside", "10.0.0.6", 8888).seen_from == "203.0.113.7"
    assert world.send("tester", "10.0.0.5", 8888).result == "refused"
    rules = save(world.network.hosts["worker2"].tables())
    assert iptables.accepts(rules) == ""
    assert rules.count("CNI-HOSTPORT-SETMARK") == 6  # its name, its rule, two sources for each port
    listed = world.shell(world.proxy("worker2"), "iptables -t nat -L CNI-HOSTPORT-DNAT -n")
    assert "multiport dports 8888,8888" in listed
    agnhost(world, "short", "netexec", "--http-port=80", container={"ports": [{"containerPort": 80, "hostPort": 7777}]})
    world.cluster.settle()
    assert world.send("tester", "10.0.0.5", 7777).answered_port == 80
    world.client.delete("pods", "short", "default", grace_seconds=0)
    world.cluster.settle()
    assert world.send("tester", "10.0.0.5", 7777).result == "refused"
    assert "CNI-DN" not in save(world.network.hosts["worker1"].tables())


@pytest.mark.parametrize("rule", [{}, *({"port": 80, "protocol": p.upper()} for p in PROTOCOLS)])
def test_policies_tell_protocols_apart(world: World, rule: Object) -> None:
    """A rule for one protocol of a port lets nothing else of that port through."""
    policy: Object = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "some"}}
    policy["spec"] = {"podSelector": {"matchLabels": {"app": "server"}}, "ingress": [{"ports": [rule]}] if rule else []}
    world.client.create("networkpolicies.networking.k8s.io", policy, "default")
    world.cluster.settle()
    found = {p: world.send("tester", "10.96.0.80", 80, p).result for p in PROTOCOLS}
    world.client.delete("networkpolicies.networking.k8s.io", "some", "default")
    world.cluster.settle()
    allowed = rule.get("protocol", "").lower()
    assert found == {p: "connected" if p == allowed else "timeout" for p in PROTOCOLS}


def test_serve_hostname_speaks_what_it_is_told_to(world: World) -> None:
    """The policy tests' servers: the Pod's name over bare TCP, over UDP; a text over SCTP."""
    servers = [
        {"name": "tcp", "image": AGNHOST, "args": ["serve-hostname", "--tcp", "--http=false", "--port", "90"]},
        {"name": "udp", "image": AGNHOST, "args": ["serve-hostname", "--udp", "--http=false", "--port", "90"]},
        {"name": "sctp", "image": AGNHOST, "args": ["porter"], "env": [{"name": "SERVE_SCTP_PORT_90", "value": "foo"}]},
    ]
    agnhost(world, "three", containers=servers)
    world.cluster.settle()
    address = world.address("three")
    dial = "curl -q -s 'http://127.0.0.1:9080/dial?request=x&protocol={}&host={}&port=90'"
    assert world.shell("tester", f"nc -w 1 {address} 90 < /dev/null") == "three"
    for protocol, answer in (("udp", "three"), ("sctp", "foo")):
        assert json.loads(world.shell("tester", dial.format(protocol, address))) == {"responses": [answer]}
