"""What the API server chooses for Services, and what it refuses."""

import random
from copy import deepcopy

import pytest

from k8s_core.api import Object
from k8s_core.api.errors import StatusError, not_found
from k8s_core.apiserver.services import ServiceAllocator


class Stored:
    """Services and their addresses as etcd would hold them."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}

    def get(self, resource: str, name: str, namespace: str = "") -> Object:
        try:
            return self.objects[resource, namespace, name]
        except KeyError:
            raise not_found(resource, name) from None

    def list(self, resource: str, namespace: str = "") -> list[Object]:
        return [obj for key, obj in self.objects.items() if key[0] == resource]

    def resource_of(self, group: str, version: str, kind: str) -> object:
        return kind


class Cluster:
    def __init__(self, cidr: str = "10.96.0.0/12", node_ports: tuple[int, int] = (30000, 32767)) -> None:
        self.stored = Stored()
        self.allocator = ServiceAllocator(self.stored, random.Random(0), cidr, node_ports)

    def write(self, name: str, **spec: object) -> Object:
        """Create or update a Service as the registry would; its spec afterwards."""
        old = self.stored.objects.get(("services", "default", name))
        service = {"metadata": {"name": name, "namespace": "default"}, "spec": deepcopy(spec)}
        self.allocator.allocate(service, old)
        made, gone = self.allocator.addresses(service, old)
        for address in made:
            self.stored.objects["ipaddresses.networking.k8s.io", "", address["metadata"]["name"]] = address
        for ip in gone:
            del self.stored.objects["ipaddresses.networking.k8s.io", "", ip]
        self.stored.objects["services", "default", name] = service
        return service["spec"]

    def addresses(self) -> set[str]:
        return {key[2] for key in self.stored.objects if key[0].startswith("ipaddresses")}

    def refusal(self, name: str, **spec: object) -> str:
        with pytest.raises(StatusError) as caught:
            self.write(name, **spec)
        assert caught.value.code == 422
        cause = caught.value.status["details"]["causes"][0]
        return f"{cause['field']}: {cause['message']}"


PORTS = [{"port": 80, "protocol": "TCP", "targetPort": 80}]


def test_a_cluster_ip_comes_from_the_upper_band_and_is_recorded():
    """What is left open is chosen above the first 256 addresses, and an IPAddress names the Service."""
    cluster = Cluster()
    spec = cluster.write("web", type="ClusterIP", ports=PORTS)
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert spec["ipFamilies"] == ["IPv4"] and spec["ipFamilyPolicy"] == "SingleStack"
    assert not spec["clusterIP"].startswith("10.96.0.")
    assert cluster.addresses() == {spec["clusterIP"]}
    address = cluster.stored.get("ipaddresses.networking.k8s.io", spec["clusterIP"])
    assert address["spec"]["parentRef"] == {"resource": "services", "namespace": "default", "name": "web"}


def test_the_same_seed_chooses_the_same():
    """Choices depend on the seed alone."""
    one, other = (Cluster().write("web", type="NodePort", ports=PORTS) for _ in range(2))
    assert one == other


def test_a_requested_ip_is_given_or_refused_in_kubernetes_words():
    """Out of range, not usable, taken: three different messages."""
    cluster = Cluster()
    assert cluster.write("dns", clusterIP="10.96.0.10", ports=PORTS)["clusterIPs"] == ["10.96.0.10"]
    assert cluster.refusal("a", clusterIP="10.0.171.239") == (
        'spec.clusterIPs: Invalid value: ["10.0.171.239"]: failed to allocate IP 10.0.171.239: '
        "the provided network does not match the current range"
    )
    assert cluster.refusal("b", clusterIP="10.96.0.10") == (
        'spec.clusterIPs: Invalid value: ["10.96.0.10"]: failed to allocate IP 10.96.0.10: '
        "provided IP is already allocated"
    )
    assert cluster.refusal("c", clusterIP="10.96.0.0").endswith(
        "the provided IP (10.96.0.0) is not in the valid range. The range of valid IPs is 10.96.0.0/12"
    )


def test_a_small_range_is_used_up_to_the_last_address():
    """All addresses but the network's and the broadcast's can be had, then the range is full."""
    cluster = Cluster("10.0.0.0/29")
    assert len({cluster.write(f"s{n}", ports=PORTS)["clusterIP"] for n in range(6)}) == 6
    assert cluster.refusal("more", ports=PORTS).endswith("range is full")


def test_headless_and_external_name_get_no_address():
    """None stays None, an ExternalName has no IP fields, and headless without selector is for any family."""
    cluster = Cluster()
    assert cluster.write("h", clusterIP="None", selector={"a": "b"}) == {
        "clusterIP": "None",
        "clusterIPs": ["None"],
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "selector": {"a": "b"},
    }
    bare = cluster.write("bare", clusterIP="None")
    assert bare["ipFamilies"] == ["IPv4", "IPv6"] and bare["ipFamilyPolicy"] == "RequireDualStack"
    external = {"type": "ExternalName", "externalName": "db.example.com"}
    assert cluster.write("ext", **external) == external
    assert cluster.addresses() == set()


def test_dual_stack_is_refused_on_a_single_stack_cluster():
    """RequireDualStack and IPv6 are refused, PreferDualStack gets what there is."""
    cluster = Cluster()
    assert cluster.write("p", ipFamilyPolicy="PreferDualStack")["ipFamilies"] == ["IPv4"]
    assert cluster.refusal("r", ipFamilyPolicy="RequireDualStack") == (
        'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services'
    )
    assert cluster.refusal("six", ipFamilies=["IPv6"]) == (
        'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'
    )


def test_node_ports_are_given_or_refused_in_kubernetes_words():
    """Out of range and taken have their messages; what is left open is free."""
    cluster = Cluster()
    cluster.write("one", type="NodePort", ports=[{**PORTS[0], "nodePort": 30080}])
    assert cluster.refusal("two", type="NodePort", ports=[{**PORTS[0], "nodePort": 30080}]) == (
        "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated"
    )
    assert cluster.refusal("bad", type="NodePort", ports=[{**PORTS[0], "nodePort": 3000}]) == (
        "spec.ports[0].nodePort: Invalid value: 3000: provided port is not in the valid range. "
        "The range of valid ports is 30000-32767"
    )
    given = cluster.write("three", type="NodePort", ports=PORTS)["ports"][0]["nodePort"]
    assert 30086 <= given <= 32767


def test_two_protocols_of_one_port_share_the_node_port():
    """DNS over TCP and UDP is reached at one number."""
    ports = [{"name": "u", "port": 53, "protocol": "UDP"}, {"name": "t", "port": 53, "protocol": "TCP"}]
    found = Cluster().write("dns", type="NodePort", ports=ports)["ports"]
    assert found[0]["nodePort"] == found[1]["nodePort"]


def test_an_update_that_says_nothing_keeps_what_was_given():
    """Applying the same file twice changes neither address nor node port."""
    cluster = Cluster()
    first = cluster.write("web", type="NodePort", ports=PORTS)
    assert cluster.write("web", type="NodePort", ports=PORTS) == first


def test_type_changes_give_and_take():
    """ClusterIP to NodePort and back, to LoadBalancer with a health check port, to ExternalName and home."""
    cluster = Cluster()
    plain = cluster.write("web", type="ClusterIP", ports=PORTS)
    node = cluster.write("web", **{**plain, "type": "NodePort", "externalTrafficPolicy": "Cluster"})
    assert node["clusterIP"] == plain["clusterIP"] and node["ports"][0]["nodePort"]
    balanced = cluster.write("web", **{**node, "type": "LoadBalancer", "externalTrafficPolicy": "Local"})
    assert balanced["healthCheckNodePort"] not in (0, node["ports"][0]["nodePort"])
    again = cluster.write("web", **{**balanced, "type": "ClusterIP"})
    assert again == plain
    away = cluster.write("web", **{**again, "type": "ExternalName", "externalName": "example.com"})
    assert "clusterIP" not in away and cluster.addresses() == set()
    assert cluster.write("web", **{**away, "type": "ClusterIP"})["clusterIP"] in cluster.addresses()


def test_a_load_balancer_can_do_without_node_ports():
    """allocateLoadBalancerNodePorts: false gives none unless asked for."""
    spec = {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False, "ports": PORTS}
    assert "nodePort" not in Cluster().write("lb", **spec)["ports"][0]


def test_a_changed_cluster_ip_reaches_validation_in_both_fields():
    """Old clients change only clusterIP; validation must see, and refuse, the change of clusterIPs."""
    cluster = Cluster()
    first = cluster.write("web", ports=PORTS)
    service = {"metadata": {"name": "web", "namespace": "default"}, "spec": {**first, "clusterIP": "10.96.0.99"}}
    cluster.allocator.allocate(service, cluster.stored.get("services", "web", "default"))
    assert service["spec"]["clusterIPs"] == ["10.96.0.99"]
