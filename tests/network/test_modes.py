"""The views of other modes: nftables' names are upstream's, IPVS has a virtual server for every address."""

from k8s_core.network import ipvs, nftables
from k8s_core.network.serviceports import Node
from tests.network.test_proxy import NODE, endpoint, service, slices

SERVICE = service(
    "web", type="LoadBalancer", balancer=["192.0.2.1"], ports=[{"name": "p", "port": 80, "nodePort": 30080}],
    sessionAffinity="ClientIP",
)  # fmt: skip
SLICES = slices("web", endpoint("10.32.1.1"), endpoint("10.32.2.1", "worker2"))


def test_chains_of_nftables_are_called_as_everywhere() -> None:
    """A hash of eight letters, and what it is a hash of."""
    one = {**service("svc1", ports=[{"name": "p80", "port": 80}]), "metadata": {"name": "svc1", "namespace": "ns1"}}
    piece = slices("svc1", endpoint("10.180.0.1"), port=80)
    piece["metadata"]["namespace"] = "ns1"
    piece["ports"][0]["name"] = "p80"
    made = nftables.table([one], [piece], NODE)
    assert made.chains["service-ULMVA6XW-ns1/svc1/tcp/p80"][-1] == (
        "numgen random mod 1 vmap { 0 : goto endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80 }"
    )


def test_nftables_finds_a_service_by_one_look_into_a_map() -> None:
    """Cluster IP, balancer's address and node port are elements; the affinity's memory is a set with a timeout."""
    made = nftables.table([SERVICE], [SLICES], NODE)
    found = nftables.concerning(made, "ns/web")
    assert [e.split(" : ")[0] for e in found["@service-ips"]] == ["10.96.0.40 . tcp . 80", "192.0.2.1 . tcp . 80"]
    assert len(found["@service-nodeports"]) == 1
    assert "timeout 3h" in made.text()
    assert nftables.concerning(nftables.table([SERVICE], [], NODE), "ns/web").keys() == {
        "@no-endpoint-services",
        "@no-endpoint-nodeports",
    }


def test_ipvs_has_a_virtual_server_for_every_address() -> None:
    """Cluster IP, balancer's address, and the node port on each address of the node, all with the same real servers."""
    node = Node("cp", "10.0.0.4", bridge="10.32.0.1")
    found = ipvs.servers([SERVICE], [SLICES], node)
    assert [f"{address}:{port}" for _, address, port in found] == [
        "10.96.0.40:80", "192.0.2.1:80", "10.0.0.4:30080", "10.32.0.1:30080"]  # fmt: skip
    assert ipvs.listing(found, only="10.96.0.40").splitlines()[3:] == [
        "TCP  10.96.0.40:80 rr persistent 10800",
        "  -> 10.32.1.1:8080               Masq    1      0          0         ",
        "  -> 10.32.2.1:8080               Masq    1      0          0         ",
    ]
