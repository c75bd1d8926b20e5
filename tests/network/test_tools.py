"""The network's tools in Pods and on nodes: what they show is what the simulated network is."""

import json
from collections.abc import Iterator

import pytest

from k8s_core.shell.sockets import Request
from tests.network.world import World, small_cluster


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with small_cluster() as made:
        made.pod("tools", "nicolaka/netshoot", command=["sleep", "1000000"])
        made.pod("node", "nicolaka/netshoot", command=["sleep", "1000000"])
        made.pod("udp", "registry.k8s.io/e2e-test-images/agnhost:2.53", args=["netexec"])
        made.cluster.settle()
        yield made


@pytest.mark.parametrize(
    ("pod", "command", "said"),
    [
        ("tools", "ip -br a", "eth0@if7         UP             {tools}/24"),
        ("tools", "ip route", "default via 10.32.1.1 dev eth0"),
        ("tools", "ip route get 10.32.2.9", "10.32.2.9 via 10.32.1.1 dev eth0 src {tools}"),
        ("tools", "ip addr show dev nope", 'Device "nope" does not exist.'),
        ("box", "ifconfig eth0", "inet addr:{box}"),
        ("box", "route -n", "0.0.0.0         10.32.1.1       0.0.0.0         UG"),
        ("web-1", "cat /proc/net/nothing", "No such file"),
        ("udp", "hostname -f", "udp"),
        ("box", "ping -c 1 {web-2}", "1 packets transmitted, 1 packets received, 0% packet loss"),
        ("box", "ping -c 1 10.96.0.20", "100% packet loss"),
        ("box", "ping -c 1 nowhere", "bad address 'nowhere'"),
        ("box", "traceroute {web-2}", " 3  {web-2} ({web-2})"),
        ("tools", "curl -s --resolve shop:80:10.96.0.20 http://shop/ | head -4", "Welcome to nginx!"),
        (
            "tools",
            "curl -s -o /dev/null -w '%{{http_code}} %{{remote_ip}}:%{{remote_port}}\\n' web",
            "200 10.96.0.20:80",
        ),
        ("tools", "curl -sS -f web/absent", "curl: (22) The requested URL returned error: 404"),
        ("tools", "curl -sS http://web:81 -m 1", "curl: (28) Connection timed out after 1000 milliseconds"),
        ("tools", "curl -sS nowhere", "curl: (6) Could not resolve host: nowhere"),
        ("tools", "curl -I web", "HTTP/1.1 200 OK"),
        ("box", "wget -S -O /dev/null web", "HTTP/1.1 200 OK"),
        ("tools", "echo hostname | nc -u -w 1 {udp} 8081", "udp"),
        ("tools", "nc -u -zv -w 1 {udp} 8080", "Connection refused"),
        ("tools", "nc -zv -w 1 {udp} 8081", "Connection refused"),
        ("tools", "dig +noall +answer web.default.svc.cluster.local", "IN\tA\t10.96.0.20"),
        ("tools", "getent hosts web", "web.default.svc.cluster.local"),
        ("tools", "dig absent.default.svc.cluster.local", "status: NXDOMAIN"),
        ("tools", "dig @10.96.0.20 web +short", "no servers could be reached"),
    ],
)
def test_what_tools_show(world: World, pod: str, command: str, said: str) -> None:
    """Addresses, ways, names and failures in the tools' own words."""
    places = {name: world.address(name) for name in ("tools", "box", "udp", "web-1", "web-2")}
    printed = world.shell(pod, command.format(**places), seconds=150)
    assert said.format(**places) in printed


def test_sockets_of_a_pod(world: World) -> None:
    """netstat and ss list what listens, by protocol."""
    assert "0.0.0.0:8081" in world.shell("udp", "netstat -uln")
    assert "0.0.0.0:8081" not in world.shell("udp", "netstat -tln")
    assert "LISTEN" in world.shell("udp", "netstat -tlnp")


def test_a_node_has_a_bridge_and_a_way_to_every_other_nodes_pods(world: World) -> None:
    """On a node: its own interface, cni0, flannel.1, a cable to each Pod, and routes to all Pod ranges."""
    links = world.shell(world.proxy("worker1"), "ip -br addr")
    assert "cni0             UP             10.32.1.1/24" in links
    assert links.count("veth") == len([n for n in world.network.namespaces.values() if n.pod and n.node == "worker1"])
    routes = world.shell(world.proxy("worker1"), "ip route")
    assert "10.32.2.0/24 via 10.32.2.0 dev flannel.1 onlink" in routes
    assert "10.32.1.0/24 dev cni0" in routes
    assert "0.0.0.0:10256" in world.shell(world.proxy("worker1"), "ss -tlnp")


def test_kube_proxy_tells_its_mode_and_its_health(world: World) -> None:
    """On the node, port 10249 says which mode, and how many rules; 10256 that it is well."""
    page = world.namespace("worker1")

    def get(port: int, path: str) -> str:
        return str(world.run(page.http("127.0.0.1", port, Request("GET", path))).body.decode())

    assert get(10249, "/proxyMode") == "iptables"
    assert 'kubeproxy_sync_proxy_rules_iptables_total{ip_family="IPv4",table="nat"} ' in get(10249, "/metrics")
    for path, words in (("/healthz", {"nodeEligible", "healthy", "status"}), ("/livez", {"healthy", "status"})):
        assert set(json.loads(get(10256, path))) == {"lastUpdated", "currentTime", *words}


def test_nc_serves_one_client(world: World) -> None:
    """nc -l prints what comes and ends after one connection."""
    world.pod("server", "busybox", command=["sh", "-c", "echo hello | nc -l -p 9000"])
    world.cluster.settle()
    assert world.shell("box", f"echo hi | nc -w 1 {world.address('server')} 9000", seconds=1) == "hello\n"
