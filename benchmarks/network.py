"""The network: connections and look-ups a second, and how long kube-proxy's rules take to make and to renew."""

import time
from typing import Any

from k8s_core.cluster import Cluster
from k8s_core.network.dns import Query

Figure = tuple[str, float, float, str, bool]
FLOWS, LOOKUPS, SERVICES, ENDPOINTS = 5000, 2000, 1000, 10


def _deployment(replicas: int) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    }


def _service(name: str) -> dict[str, Any]:
    spec = {"ports": [{"port": 80}], **({"selector": {"app": "web"}} if name == "web" else {})}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def _slice(name: str, number: int) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": "default", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 80, "protocol": "TCP"}],
        "endpoints": [{"addresses": [f"10.40.{number // 25}.{number % 25 * 10 + i}"]} for i in range(ENDPOINTS)],
    }


def network() -> list[Figure]:
    """Three nodes, a few Pods; then many Services."""
    with Cluster() as cluster:
        client, net = cluster.client(), cluster.network
        client.create("deployments.apps", _deployment(4))
        address = client.create("services", _service("web"))["spec"]["clusterIP"]
        cluster.settle()
        pod = next(n for n in net.namespaces.values() if n.pod.startswith("web-"))
        began = time.perf_counter()
        for _ in range(FLOWS):
            net.send(pod, address, 80)
        flows = FLOWS / (time.perf_counter() - began)
        began = time.perf_counter()
        for _ in range(LOOKUPS):
            steps = net.resolver.ask(pod, "10.96.0.10", Query("web.default.svc.cluster.local"))
            while next(steps, None) is not None:
                pass
        lookups = LOOKUPS / (time.perf_counter() - began)
        for number in range(SERVICES):
            client.create("services", _service(f"s{number}"))
            client.create("endpointslices.discovery.k8s.io", _slice(f"s{number}", number))
        cluster.settle()
        host = net.hosts["worker1"]
        began = time.perf_counter()
        host.tables()
        full = time.perf_counter() - began
        client.delete("services", "s7", "default")
        cluster.settle()
        began = time.perf_counter()
        host.tables()
        part = time.perf_counter() - began
    return [
        ("connections through a Service", flows, 2000, "/s", True),
        ("DNS queries from a Pod", lookups, 2000, "/s", True),
        (f"rules of {SERVICES} Services, {ENDPOINTS} endpoints each", full * 1000, 1500, "ms", False),
        ("the same after one Service changed", part * 1000, 100, "ms", False),
    ]


if __name__ == "__main__":
    from benchmarks.__main__ import show

    show(network())
