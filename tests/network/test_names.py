"""Names: what CoreDNS answers, how programs search, what a Corefile changes, and what happens without CoreDNS."""

from collections.abc import Iterator

import pytest

from k8s_core.api import Object
from k8s_core.network.corefile import CorefileError, parse
from k8s_core.network.dns import Answer, Query
from k8s_core.network.resolver import Config
from k8s_core.shell.sockets import NetworkError
from tests.network.world import World, small_cluster

COREFILE = """.:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods %s
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    %s
    forward . /etc/resolv.conf
}
"""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with small_cluster() as made:
        made.service("quiet", clusterIP="None", selector={"app": "web"})
        made.service("db", [], type="ExternalName", externalName="example.com")
        made.cluster.settle()
        yield made


def ask(world: World, name: str, kind: str = "A", pods: str = "insecure", more: str = "") -> Answer:
    return world.network.dns.answer(parse(COREFILE % (pods, more)), Query(name, kind))


@pytest.mark.parametrize(
    ("name", "kind", "code", "data"),
    [
        ("web.default.svc.cluster.local", "A", "NOERROR", ["10.96.0.20"]),
        ("WEB.default.svc.cluster.local.", "A", "NOERROR", ["10.96.0.20"]),
        ("web.default.svc.cluster.local", "AAAA", "NOERROR", []),
        ("web.other.svc.cluster.local", "A", "NXDOMAIN", []),
        ("default.svc.cluster.local", "A", "NOERROR", []),
        ("_http._tcp.web.default.svc.cluster.local", "SRV", "NOERROR", ["0 100 80 web.default.svc.cluster.local."]),
        ("_ssh._tcp.web.default.svc.cluster.local", "SRV", "NXDOMAIN", []),
        ("10-32-9-9.default.pod.cluster.local", "A", "NOERROR", ["10.32.9.9"]),
        ("20.0.96.10.in-addr.arpa", "PTR", "NOERROR", ["web.default.svc.cluster.local."]),
        ("db.default.svc.cluster.local", "A", "NOERROR", ["example.com", "93.184.215.14"]),
        ("dns-version.cluster.local", "TXT", "NOERROR", ['"1.1.0"']),
        ("example.com", "A", "NOERROR", ["93.184.215.14"]),
        ("nowhere.invalid", "A", "NXDOMAIN", []),
    ],
)
def test_answers(world: World, name: str, kind: str, code: str, data: list[str]) -> None:
    """Every sort of name of the DNS specification, and the world outside."""
    answer = ask(world, name, kind)
    assert (answer.code, [r.data for r in answer.records]) == (code, data)


def test_headless_services_name_their_pods(world: World) -> None:
    """A headless Service stands for all its ready Pods, each with a name of its own, and back."""
    addresses = {world.address(f"web-{n}") for n in (1, 2, 3)}
    assert set(ask(world, "quiet.default.svc.cluster.local").addresses()) == addresses
    one = world.address("web-1")
    label = one.replace(".", "-")
    assert ask(world, f"{label}.quiet.default.svc.cluster.local").addresses() == [one]
    targets = [r.data.split()[-1] for r in ask(world, "quiet.default.svc.cluster.local", "SRV").records]
    assert f"{label}.quiet.default.svc.cluster.local." in targets


def test_pods_verified_wants_a_real_pod(world: World) -> None:
    """`pods verified` knows only addresses that a Pod of the namespace has; without the option none exist."""
    real = world.address("box").replace(".", "-") + ".default.pod.cluster.local"
    assert ask(world, real, pods="verified").code == "NOERROR"
    assert ask(world, "1-2-3-4.default.pod.cluster.local", pods="verified").code == "NXDOMAIN"
    assert ask(world, real, pods="disabled").code == "NXDOMAIN"


@pytest.mark.parametrize(
    ("corefile", "name", "code"),
    [
        (".:53 {\n forward . /etc/resolv.conf\n}", "example.com", "NOERROR"),
        (".:53 {\n forward . 8.8.8.8 1.1.1.1\n}", "example.com", "NOERROR"),
        (".:53 {\n forward . 10.150.0.1\n}", "example.com", "SERVFAIL"),
        (".:53 {\n forward . 8.8.8.8\n}\ncorp:53 {\n forward . 10.150.0.1\n}", "printer.corp", "SERVFAIL"),
        (".:53 {\n forward . 8.8.8.8\n}\ncorp:53 {\n forward . 10.150.0.1\n}", "printer.lan", "NXDOMAIN"),
        (".:53 {\n kubernetes cluster.local\n}", "example.com", "REFUSED"),
        ("other:53 {\n forward . 8.8.8.8\n}", "example.com", "REFUSED"),
        (
            ".:53 {\n kubernetes cluster.local {\n namespaces kube-system\n }\n}",
            "web.default.svc.cluster.local",
            "NXDOMAIN",
        ),
    ],
)
def test_the_corefile_decides_who_is_asked(world: World, corefile: str, name: str, code: str) -> None:
    """The server block whose zone fits best, and in it the servers that forward names; without any, a refusal."""
    assert world.network.dns.answer(parse(corefile), Query(name)).code == code


def test_endpoints_by_the_names_of_their_pods(world: World) -> None:
    """endpoint_pod_names: Pods of a headless Service are called as they are."""
    block = ".:53 {\n kubernetes cluster.local {\n endpoint_pod_names\n }\n}"
    answer = world.network.dns.answer(parse(block), Query("web-1.quiet.default.svc.cluster.local"))
    assert answer.addresses() == [world.address("web-1")]


def test_hosts_and_rewrite(world: World) -> None:
    """The plugins hosts and rewrite change what is answered."""
    hosts = "hosts {\n 10.9.9.9 old.example.com\n fallthrough\n }"
    assert ask(world, "old.example.com", more=hosts).addresses() == ["10.9.9.9"]
    renamed = ask(world, "shop.example.org", more="rewrite name shop.example.org web.default.svc.cluster.local")
    assert [(r.name, r.data) for r in renamed.records] == [("shop.example.org", "10.96.0.20")]


def test_a_broken_corefile_is_refused() -> None:
    """An unknown directive and a missing brace are told with their line."""
    with pytest.raises(CorefileError, match="Corefile:2 - Error during parsing: Unknown directive 'kubernets'"):
        parse(".:53 {\n  kubernets cluster.local\n}\n")
    with pytest.raises(CorefileError, match="Unexpected end of input"):
        parse(".:53 {\n  errors\n")


@pytest.mark.parametrize(
    ("name", "tried"),
    [
        ("web", ["web.a.svc.x", "web.svc.x", "web.x", "web"]),
        ("web.b", ["web.b.a.svc.x", "web.b.svc.x", "web.b.x", "web.b"]),
        ("a.b.c.d.e.f", ["a.b.c.d.e.f", "a.b.c.d.e.f.a.svc.x", "a.b.c.d.e.f.svc.x", "a.b.c.d.e.f.x"]),
        ("web.", ["web"]),
    ],
)
def test_the_search_list(name: str, tried: list[str]) -> None:
    """Fewer dots than ndots: the search list first; a dot at the end: no search."""
    config = Config.parse("search a.svc.x svc.x x\nnameserver 10.96.0.10\noptions ndots:5\n")
    assert list(config.candidates(name)) == tried


def test_programs_look_names_up_over_the_network(world: World) -> None:
    """A Pod's look-up goes through kube-dns to a CoreDNS Pod and is kept; a short name is found in one step."""
    world.network.dns.queries.clear()
    assert world.run(world.network.lookup(world.namespace("box"), "web")) == "10.96.0.20"
    assert [(q["name"], q["type"]) for q in world.network.dns.queries] == [
        ("web.default.svc.cluster.local", "A"),
        ("web.default.svc.cluster.local", "AAAA"),
    ]
    assert world.network.dns.queries[0]["client"] == world.address("box")


def test_a_node_knows_no_cluster_names(world: World) -> None:
    """Nodes ask another server, which knows nothing of Services."""
    with pytest.raises(NetworkError):
        world.run(world.network.lookup(world.namespace("worker1"), "web.default.svc.cluster.local"))


def test_without_coredns_names_stop(world: World) -> None:
    """CoreDNS scaled to zero: no name is found, addresses still work; scaled up again names are back."""
    for replicas, found in ((0, False), (2, True)):
        world.client.patch("deployments.apps", "coredns", "kube-system", {"spec": {"replicas": replicas}})
        world.cluster.settle()
        world.cluster.advance("30s")
        try:
            assert world.run(world.network.lookup(world.namespace("box"), "web")) == "10.96.0.20"
            assert found
        except NetworkError as error:
            assert (error.kind, found) == ("resolve", False)
    assert world.send("box", "10.96.0.20", 80).result == "connected"


def test_coredns_obeys_its_configmap(world: World) -> None:
    """A changed Corefile is taken in by the reload plugin; a broken one stops a CoreDNS that starts with it."""
    data = {"Corefile": COREFILE % ("insecure", "hosts {\n 10.9.9.9 printer.lan\n fallthrough\n }\n reload\n log")}
    world.client.patch("configmaps", "coredns", "kube-system", {"data": data})
    world.cluster.advance("3m")
    assert world.run(world.network.lookup(world.namespace("box"), "printer.lan")) == "10.9.9.9"
    world.client.patch("configmaps", "coredns", "kube-system", {"data": {"Corefile": ".:53 {\n nonsense\n}\n"}})
    for pod in world.client.list("pods", "kube-system", labels="k8s-app=kube-dns"):
        world.client.delete("pods", pod["metadata"]["name"], "kube-system")
    world.cluster.advance("2m")
    states = [
        (s.get("state", {}).get("waiting") or {}).get("reason")
        or (s.get("lastState") or {}).get("terminated", {}).get("reason")
        for p in world.client.list("pods", "kube-system", labels="k8s-app=kube-dns")
        for s in p["status"].get("containerStatuses", ())
    ]
    assert states == ["CrashLoopBackOff", "CrashLoopBackOff"]


def test_without_its_ready_page_a_server_is_not_ready(world: World) -> None:
    """A Corefile without `ready` has no page for the probe: CoreDNS runs, and is no endpoint."""
    corefile = ".:53 {\n health\n kubernetes cluster.local\n}\n"
    world.client.patch("configmaps", "coredns", "kube-system", {"data": {"Corefile": corefile}})
    for pod in world.client.list("pods", "kube-system", labels="k8s-app=kube-dns"):
        world.client.delete("pods", pod["metadata"]["name"], "kube-system")
    world.cluster.advance("2m")
    pods = world.client.list("pods", "kube-system", labels="k8s-app=kube-dns")
    assert [s["ready"] for p in pods for s in p["status"]["containerStatuses"]] == [False, False]
    assert world.send("box", "10.96.0.10", 53, "udp").result == "refused"


def test_a_node_that_names_itself_makes_a_loop(world: World) -> None:
    """A node's resolv.conf with 127.0.0.53, as systemd-resolved writes it: CoreDNS sees the loop and ends."""
    file = world.cluster.root / "nodes/worker2/etc/resolv.conf"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("nameserver 127.0.0.53\n")
    corefile = ".:53 {\n loop\n forward . /etc/resolv.conf\n}\n"
    world.client.patch("configmaps", "coredns", "kube-system", {"data": {"Corefile": corefile}})
    meta = {"name": "looped", "namespace": "kube-system"}
    mount = {"name": "config", "mountPath": "/etc/coredns"}
    image = "registry.k8s.io/coredns/coredns:v1.14.2"
    container = {"name": "c", "image": image, "args": ["-conf", "/etc/coredns/Corefile"], "volumeMounts": [mount]}
    spec: Object = {"nodeName": "worker2", "dnsPolicy": "Default", "containers": [container]}
    spec["volumes"] = [{"name": "config", "configMap": {"name": "coredns"}}]
    world.client.create("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    world.cluster.advance("20s")
    server = world.cluster.kubelets["worker2"].server
    pieces: list[bytes] = []
    server.container_logs("kube-system", "looped", "c").subscribe(pieces.append, lambda: None)
    assert b'plugin/loop: Loop (127.0.0.1:41765 -> :53) detected for zone "."' in b"".join(pieces)
    file.unlink()
