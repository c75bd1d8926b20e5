"""Where Services have their addresses: further ServiceCIDRs, two address families, ranges of one's own."""

from typing import Any

import pytest

from k8s_core.api import Object
from k8s_core.api.errors import StatusError
from k8s_core.apiserver.options import Options
from k8s_core.cluster import Cluster
from k8s_core.network.corefile import parse
from k8s_core.network.dns import Query
from tests.conftest import MakeCluster

CIDRS = "servicecidrs.networking.k8s.io"
COREFILE = ".:53 {\n kubernetes cluster.local\n}\n"
DUAL = Options(service_cluster_ip_range="10.96.0.0/16,fd00:10:96::/112")


def make(cluster: Cluster, name: str, **spec: Any) -> Object:
    spec = {"ports": [{"port": 80}], "selector": {"app": "x"}, **spec}
    obj = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": spec}
    found: Object = cluster.client().create("services", obj)["spec"]
    return found


def refused(cluster: Cluster, **spec: Any) -> str:
    with pytest.raises(StatusError) as caught:
        make(cluster, "refused", **spec)
    return str(caught.value.status["message"])


def ready(cluster: Cluster, name: str) -> Object:
    condition: Object = cluster.client().get(CIDRS, name)["status"]["conditions"][0]
    return condition


def test_a_further_range_serves_once_it_is_ready(make_cluster: MakeCluster) -> None:
    """Outside the ranges an address is refused; inside a new ServiceCIDR it is given, also when the first is full."""
    cluster = make_cluster(options=Options(service_cluster_ip_range="10.96.0.0/28"))
    client = cluster.client()
    cluster.settle()
    assert "the provided network does not match the current range" in refused(cluster, clusterIP="10.50.0.7")
    more = {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "more"}}
    client.create(CIDRS, {**more, "spec": {"cidrs": ["10.50.0.0/24"]}})
    cluster.settle()
    assert ready(cluster, "more")["message"] == "Kubernetes Service CIDR is ready"
    assert client.get(CIDRS, "more")["metadata"]["finalizers"] == ["networking.k8s.io/service-cidr-finalizer"]
    assert make(cluster, "asked", clusterIP="10.50.0.7")["clusterIPs"] == ["10.50.0.7"]
    given = [make(cluster, f"s{n}")["clusterIP"] for n in range(14)]
    assert {ip.rsplit(".", 1)[0] for ip in given} == {"10.96.0", "10.50.0"}
    assert client.get("ipaddresses.networking.k8s.io", "10.50.0.7")["spec"]["parentRef"]["name"] == "asked"


def test_a_range_in_use_stays(make_cluster: MakeCluster) -> None:
    """Deleting a ServiceCIDR waits for its last address, says so, and gives nothing more out of it."""
    cluster = make_cluster()
    client = cluster.client()
    more = {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "more"}}
    client.create(CIDRS, {**more, "spec": {"cidrs": ["10.50.0.0/24"]}})
    cluster.settle()
    make(cluster, "last", clusterIP="10.50.0.7")
    client.delete(CIDRS, "more")
    cluster.advance("1m")
    assert (ready(cluster, "more")["status"], ready(cluster, "more")["reason"]) == ("False", "Terminating")
    assert "does not match the current range" in refused(cluster, clusterIP="10.50.0.8")
    client.delete("services", "last", "default")
    cluster.advance("1m")
    assert [each["metadata"]["name"] for each in client.list(CIDRS)] == ["kubernetes"]


def test_two_families(make_cluster: MakeCluster) -> None:
    """On a dual-stack cluster policy and families choose: one address, or one of each, in the order that was asked."""
    cluster = make_cluster(options=DUAL)
    cluster.settle()
    assert cluster.client().get(CIDRS, "kubernetes")["spec"]["cidrs"] == ["10.96.0.0/16", "fd00:10:96::/112"]
    assert make(cluster, "one")["ipFamilies"] == ["IPv4"]
    both = make(cluster, "both", ipFamilyPolicy="PreferDualStack")
    assert (both["ipFamilies"], [":" in ip for ip in both["clusterIPs"]]) == (["IPv4", "IPv6"], [False, True])
    six = make(cluster, "six", ipFamilies=["IPv6"])
    assert six["clusterIP"].startswith("fd00:10:96::")
    turned = make(cluster, "turned", ipFamilyPolicy="RequireDualStack", ipFamilies=["IPv6"])
    assert turned["ipFamilies"] == ["IPv6", "IPv4"]
    asked = make(cluster, "asked", ipFamilyPolicy="RequireDualStack", clusterIPs=["fd00:10:96::9", "10.96.0.99"])
    assert (asked["ipFamilies"], asked["clusterIP"]) == (["IPv6", "IPv4"], "fd00:10:96::9")
    server = cluster.network.dns
    cluster.settle()
    asks = [server.answer(parse(COREFILE), Query("asked.default.svc.cluster.local", t)) for t in ("A", "AAAA")]
    assert [[r.data for r in answer.records] for answer in asks] == [["10.96.0.99"], ["fd00:10:96::9"]]
    labels = cluster.client().get("ipaddresses.networking.k8s.io", "fd00:10:96::9")["metadata"]["labels"]
    assert labels["ipaddress.kubernetes.io/ip-family"] == "IPv6"


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"ipFamilies": ["IPv4", "IPv6"]}, "must be RequireDualStack or PreferDualStack when multiple IP families are"),
        ({"clusterIPs": ["10.96.0.9", "10.96.0.8"], "ipFamilyPolicy": "RequireDualStack"}, "spec.clusterIPs"),
        ({"clusterIPs": ["10.96.0.9"], "ipFamilies": ["IPv6"]}, "spec.clusterIPs"),
        ({"ipFamilyPolicy": "Both"}, "spec.ipFamilyPolicy: Unsupported value"),
        ({"ipFamilies": ["IPv5"]}, "spec.ipFamilies[0]: Unsupported value"),
        ({"clusterIP": "fd00:11::1"}, "the provided network does not match the current range"),
    ],
)
def test_what_does_not_fit_is_refused(make_cluster: MakeCluster, spec: Object, why: str) -> None:
    """Families, policy and addresses must agree."""
    assert why in refused(make_cluster(options=DUAL, kubelets=False, scheduler=False), **spec)


def test_from_one_family_to_two_and_back(make_cluster: MakeCluster) -> None:
    """An update of the policy adds the second address, and takes it away again."""
    cluster = make_cluster(options=DUAL, kubelets=False, scheduler=False)
    client = cluster.client()
    first = make(cluster, "web")["clusterIP"]
    two = client.patch("services", "web", "default", {"spec": {"ipFamilyPolicy": "PreferDualStack"}})["spec"]
    assert (two["clusterIPs"][0], len(two["clusterIPs"]), two["ipFamilies"]) == (first, 2, ["IPv4", "IPv6"])
    one = client.patch("services", "web", "default", {"spec": {"ipFamilyPolicy": "SingleStack"}})["spec"]
    assert (one["clusterIPs"], one["ipFamilies"]) == ([first], ["IPv4"])
    with pytest.raises(StatusError):
        client.get("ipaddresses.networking.k8s.io", two["clusterIPs"][1])


def test_a_cluster_without_a_second_family_says_so(make_cluster: MakeCluster) -> None:
    """RequireDualStack and IPv6 are refused, PreferDualStack is content with one."""
    cluster = make_cluster(kubelets=False, scheduler=False)
    assert "this cluster is not configured for dual-stack services" in refused(
        cluster, ipFamilyPolicy="RequireDualStack"
    )
    assert "not configured on this cluster" in refused(cluster, ipFamilies=["IPv6"])
    assert make(cluster, "web", ipFamilyPolicy="PreferDualStack")["ipFamilies"] == ["IPv4"]


def test_kubeadm_puts_the_name_server_into_the_range(make_cluster: MakeCluster) -> None:
    """With another range kube-dns has its tenth address, Pods ask there, and names work."""
    cluster = make_cluster(options=Options(service_cluster_ip_range="10.200.0.0/16"))
    cluster.settle()
    assert cluster.client().get("services", "kube-dns", "kube-system")["spec"]["clusterIP"] == "10.200.0.10"
    place = next(n for n in cluster.network.namespaces.values() if n.pod.startswith("coredns"))
    assert "nameserver 168.63" in place.resolv_conf()
    assert cluster.client().get("services", "kubernetes", "default")["spec"]["clusterIP"] == "10.200.0.1"
