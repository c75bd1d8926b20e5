"""What the API server chooses for a Service: its families and cluster IPs, node ports and the health check's port.

Promises: what the client asked for is given or refused with a real API server's words; what it left open is chosen at
random (from the cluster's seed), addresses by service_ips.py; updates keep what was given; type changes give and take
what the new type needs. Nothing is remembered: IPAddress objects say which addresses, and Services which ports, are
taken, so there is nothing to repair after a restart.
Stands for pkg/registry/core/service (storage/alloc.go, portallocator).
"""

import ipaddress
import random
from typing import Any, NoReturn

from k8s_core.api import Object, errors, field
from k8s_core.apiserver.reader import Reader
from k8s_core.apiserver.service_ips import ServiceAddresses, family_of
from k8s_core.limits import NODE_PORT_RANGE, SERVICE_CIDR


def needs_cluster_ip(service: Object) -> bool:
    return bool(service["spec"].get("type") != "ExternalName")


def needs_node_port(service: Object) -> bool:
    spec = service["spec"]
    kind = spec.get("type")
    return kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False)


def may_have_node_port(service: Object) -> bool:
    return service["spec"].get("type") in ("NodePort", "LoadBalancer")


def needs_health_check_port(service: Object) -> bool:
    spec = service["spec"]
    return bool(spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local")


class ServiceAllocator:
    """Fills in a Service on its way in. `reader` reads what is stored; `chooser` is the cluster's seeded random."""

    def __init__(
        self,
        reader: Reader,
        chooser: random.Random,
        cidr: str = SERVICE_CIDR,
        node_ports: tuple[int, int] = NODE_PORT_RANGE,
    ) -> None:
        self.reader, self.random = reader, chooser
        self.addresses_of, self.node_ports = ServiceAddresses(reader, chooser, cidr), node_ports

    def allocate(self, service: Object, old: Object | None = None) -> None:
        """Complete `service` in place, before validation; `old` is the stored one if this is an update.

        Raises StatusError 422 if what it asks for cannot be had.
        """
        if not isinstance(service.get("spec"), dict):
            return
        if old is not None:
            _drop_what_the_type_lost(service, old)
            _keep_what_was_given(service, old)
        _match_cluster_ips(service["spec"], old["spec"] if old else None)
        if not needs_cluster_ip(service) or not all(map(_is_ip, service["spec"].get("clusterIPs") or ())):
            return  # what is not even an address is validation's to refuse
        if not set(service["spec"].get("ipFamilies") or ()) <= {"IPv4", "IPv6"}:
            return
        self._families(service, old)
        self._cluster_ips(service, old)
        if may_have_node_port(service):
            self._node_ports(service, old)

    def addresses(self, service: Object | None, old: Object | None = None) -> tuple[list[Object], list[str]]:
        """The IPAddress objects to write, and the names of those to delete, when `service` takes the place of `old`.

        Without a `service` those of a deletion.
        """
        now, before = _addresses_of(service), _addresses_of(old)
        made = [_ip_address(ip, service) for ip in now if ip not in before] if service else []
        return made, [ip for ip in before if ip not in now]

    # --- families and addresses -----------------------------------------------------------------------------
    def _families(self, service: Object, old: Object | None) -> None:
        spec, known = service["spec"], self.addresses_of.families
        ips = [ip for ip in spec.get("clusterIPs") or () if ip != "None"]
        headless = (spec.get("clusterIPs") or [None])[0] == "None"
        if not spec.get("ipFamilyPolicy"):
            # Nobody can know the families of endpoints that somebody else will write.
            anything = headless and not spec.get("selector")
            spec["ipFamilyPolicy"] = "RequireDualStack" if anything else "SingleStack"
        policy, families = spec["ipFamilyPolicy"], spec.setdefault("ipFamilies", [])
        families += [family_of(ip) for ip in ips[len(families) :]]
        if headless and not spec.get("selector"):
            missing = [each for each in ("IPv4", "IPv6") if each not in families]
            if policy != "SingleStack" or not families:
                families.extend(missing if policy != "SingleStack" else missing[:1])
            return
        for at, family in enumerate(families):
            if family not in known and not (old and family in old["spec"].get("ipFamilies", [])):
                _refuse(service, f"spec.ipFamilies[{at}]", family, "not configured on this cluster")
        if policy == "RequireDualStack" and len(known) < 2:
            why = "this cluster is not configured for dual-stack services"
            _refuse(service, "spec.ipFamilyPolicy", policy, why)
        if policy == "SingleStack" and len(families) > 1:
            if old and old["spec"].get("ipFamilies") == families:  # a step back from two families to one
                del families[1:]
                spec["clusterIPs"] = (spec.get("clusterIPs") or [])[:1]
            else:
                what = "cluster IPs" if len(ips) > 1 else "IP families"
                why = f"must be RequireDualStack or PreferDualStack when multiple {what} are specified"
                _refuse(service, "spec.ipFamilyPolicy", policy, why)
        if not families:
            families.append(known[0])
        if policy != "SingleStack" and len(families) == 1:
            families.extend(family for family in known if family not in families)

    def _cluster_ips(self, service: Object, old: Object | None) -> None:
        spec = service["spec"]
        wanted = list(spec.get("clusterIPs") or [])
        if wanted[:1] == ["None"]:
            spec.setdefault("clusterIP", "None")
            return
        before = _addresses_of(old)
        for ip in wanted:
            if ip not in before and (why := self.addresses_of.unavailable(ip)):
                _refuse(service, "spec.clusterIPs", wanted, f"failed to allocate IP {ip}: {why}")
        for family in spec["ipFamilies"][len(wanted) :]:
            found = self.addresses_of.next(family)
            if not found:
                _refuse(service, "spec.clusterIPs", [], "failed to allocate a serviceIP: range is full")
            wanted.append(found)
        spec["clusterIPs"], spec["clusterIP"] = wanted, wanted[0]

    # --- ports ----------------------------------------------------------------------------------------------
    def _node_ports(self, service: Object, old: Object | None) -> None:
        """Node ports, one number for all protocols of the same port; and the health check's."""
        spec = service["spec"]
        taken = self._taken_ports(service) if self._asks_for_ports(service, old) else set()
        kept = _node_ports_of(old)
        given: dict[int, int] = {}
        for at, port in enumerate(spec.get("ports") or ()):
            wanted = port.get("nodePort")
            if not wanted and not needs_node_port(service):
                continue
            if not wanted:
                same = [each.get("nodePort") for each in spec["ports"] if each.get("port") == port.get("port")]
                wanted = given.get(port.get("port")) or next(filter(None, same), None)
            fresh = wanted and wanted not in kept and wanted not in given.values()
            if fresh and (why := self._port_unavailable(wanted, taken)):
                _refuse(service, f"spec.ports[{at}].nodePort", wanted, why)
            port["nodePort"] = wanted or self._next_port(service, f"spec.ports[{at}].nodePort", taken)
            given.setdefault(port.get("port"), port["nodePort"])
            taken.add(port["nodePort"])
        if needs_health_check_port(service):
            wanted = spec.get("healthCheckNodePort")
            if wanted and wanted not in kept and (why := self._port_unavailable(wanted, taken)):
                _refuse(service, "spec.healthCheckNodePort", wanted, why)
            path = "spec.healthCheckNodePort"
            spec["healthCheckNodePort"] = wanted or self._next_port(service, path, taken)

    def _asks_for_ports(self, service: Object, old: Object | None) -> bool:
        kept, spec = _node_ports_of(old), service["spec"]
        ports = [port.get("nodePort") for port in spec.get("ports") or ()]
        if needs_health_check_port(service):
            ports.append(spec.get("healthCheckNodePort"))
        return any(each not in kept for each in ports)

    def _taken_ports(self, service: Object) -> set[int]:
        name, namespace = service["metadata"].get("name"), service["metadata"].get("namespace")
        return {
            port
            for other in self.reader.list("services")
            if (other["metadata"]["name"], other["metadata"]["namespace"]) != (name, namespace)
            for port in _node_ports_of(other)
        }

    def _port_unavailable(self, port: int, taken: set[int]) -> str:
        low, high = self.node_ports
        if not low <= port <= high:
            return f"provided port is not in the valid range. The range of valid ports is {low}-{high}"
        return "provided port is already allocated" if port in taken else ""

    def _next_port(self, service: Object, path: str, taken: set[int]) -> int:
        low, high = self.node_ports
        size = high - low + 1
        reserved = min(max(16, size // 32), 128) if size > 16 else 0
        for first, count in ((low + reserved, size - reserved), (low, reserved)):
            start = self.random.randrange(count) if count else 0
            for step in range(count):
                port = first + (start + step) % count
                if port not in taken:
                    return port
        _refuse(service, path, 0, "failed to allocate a nodePort: range is full")


# --- what an update keeps, drops and brings in line -----------------------------------------------------------------
def _keep_what_was_given(service: Object, old: Object) -> None:
    """An update that does not mention what was allocated keeps it, so that the same file can be applied twice."""
    spec, was = service["spec"], old["spec"]
    if needs_cluster_ip(service) and needs_cluster_ip(old):
        if not spec.get("clusterIP") and was.get("clusterIP"):
            spec["clusterIP"] = was["clusterIP"]
        if not spec.get("clusterIPs") and spec.get("clusterIP") == was.get("clusterIP") and was.get("clusterIPs"):
            spec["clusterIPs"] = list(was["clusterIPs"])
        for key in ("ipFamilies", "ipFamilyPolicy"):
            if not spec.get(key) and was.get(key):
                spec[key] = was[key] if isinstance(was[key], str) else list(was[key])
    if needs_node_port(service) and needs_node_port(old):
        used = {port.get("nodePort") for port in spec.get("ports") or ()} & _node_ports_of(old)
        by_name = {port.get("name", ""): port.get("nodePort") for port in was.get("ports") or ()}
        for port in spec.get("ports") or ():
            known = by_name.get(port.get("name", ""))
            if not port.get("nodePort") and known and known not in used:
                port["nodePort"] = known
                used.add(known)
    if needs_health_check_port(service) and needs_health_check_port(old) and "healthCheckNodePort" in was:
        spec.setdefault("healthCheckNodePort", was["healthCheckNodePort"])


def _drop_what_the_type_lost(service: Object, old: Object) -> None:
    """A change of type clears the fields that the new type cannot have, unless the client changed them as well."""
    spec, was = service["spec"], old["spec"]

    def drop(lost: bool, *keys: str) -> None:
        if lost and all(spec.get(key) == was.get(key) for key in keys):
            for key in keys:
                spec.pop(key, None)

    def outside(kind: str | None) -> bool:
        return kind in ("NodePort", "LoadBalancer")

    balanced = was.get("type") == "LoadBalancer" and spec.get("type") != "LoadBalancer"
    no_ip = needs_cluster_ip(old) and not needs_cluster_ip(service)
    drop(no_ip, "clusterIP", "clusterIPs")
    drop(no_ip, "ipFamilies")
    drop(no_ip, "ipFamilyPolicy")
    drop(no_ip, "internalTrafficPolicy")
    drop(outside(was.get("type")) and not outside(spec.get("type")), "externalTrafficPolicy")
    drop(balanced, "allocateLoadBalancerNodePorts")
    drop(balanced, "loadBalancerClass")
    drop(needs_health_check_port(old) and not needs_health_check_port(service), "healthCheckNodePort")
    numbers = [[port.get("nodePort") for port in each.get("ports") or ()] for each in (spec, was)]
    if needs_node_port(old) and not needs_node_port(service) and numbers[0] == numbers[1]:
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)


def _match_cluster_ips(spec: Object, was: Object | None) -> None:
    """Clients of before dual-stack know only clusterIP: what they say of it holds for clusterIPs too."""
    ip, ips = spec.get("clusterIP", ""), spec.get("clusterIPs") or []
    if was is None:
        if ip and not ips:
            spec["clusterIPs"] = [ip]
        return
    if ip != was.get("clusterIP", "") and ips == (was.get("clusterIPs") or []):
        if ip:
            spec["clusterIPs"] = [ip]
        else:
            spec.pop("clusterIPs", None)


def _refuse(service: Object, path: str, value: Any, why: str) -> NoReturn:
    name = service["metadata"].get("name", "")
    raise errors.invalid("Service", name, [field.invalid(path, value, why)])


def _node_ports_of(service: Object | None) -> set[int]:
    if service is None or not may_have_node_port(service):
        return set()
    spec = service["spec"]
    ports = {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
    return ports | ({spec["healthCheckNodePort"]} if spec.get("healthCheckNodePort") else set())


def _is_ip(text: str) -> bool:
    try:
        return text == "None" or bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _addresses_of(service: Object | None) -> list[str]:
    if service is None or not needs_cluster_ip(service):
        return []
    return [ip for ip in service["spec"].get("clusterIPs") or () if ip != "None"]


def _ip_address(ip: str, service: Object) -> Object:
    metadata = service["metadata"]
    parent = {"resource": "services", "namespace": metadata["namespace"], "name": metadata["name"]}
    labels = {
        "ipaddress.kubernetes.io/ip-family": family_of(ip),
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {"name": ip, "labels": labels},
        "spec": {"parentRef": parent},
    }
