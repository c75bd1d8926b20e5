"""Services. Stands for the Service half of `pkg/apis/core/validation`.

Whether an address is in the Service range and a port is free is the allocator's business.
"""

from typing import Final

from k8s_core.api import Object, names
from k8s_core.api.field import FieldError, duplicate, forbidden, invalid, not_supported, required
from k8s_core.api.validation import meta
from k8s_core.api.validation.common import (
    PROTOCOLS,
    Errors,
    bad,
    dns_label,
    dns_subdomain,
    each,
    ip_address,
    listed,
    non_special_ip,
    number,
    one_of,
    port_number,
    port_or_name,
    qualified_name,
    strings,
    sub,
    text,
)

TYPES: Final = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
POLICIES: Final = ("Cluster", "Local")
FAMILIES: Final = ("IPv4", "IPv6")
FAMILY_POLICIES: Final = ("PreferDualStack", "RequireDualStack", "SingleStack")
DISTRIBUTIONS: Final = ("PreferClose", "PreferSameNode", "PreferSameZone")
MAX_AFFINITY_SECONDS: Final = 86400
ONLY_LOAD_BALANCER: Final = "may only be used when `type` is 'LoadBalancer'"
SOURCE_RANGES: Final = "service.beta.kubernetes.io/load-balancer-source-ranges"


def service(obj: Object) -> Errors:
    """A Service, its addresses already given or still missing."""
    spec = sub(obj, "spec")
    kind, headless = text(spec, "type"), is_headless(spec)
    if not listed(spec, "ports") and not headless and kind != "ExternalName":
        yield required("spec.ports")
    if kind in ("LoadBalancer", "NodePort") and headless:
        why = f"may not be set to 'None' for {kind} services"
        yield invalid("spec.clusterIPs[0]", "None", why)
    elif kind == "ExternalName":
        yield from _external_name(spec)
    yield from _ports(spec)
    yield from meta.labels(spec.get("selector"), "spec.selector")
    yield from _session_affinity(spec)
    if kind != "ExternalName":
        yield from _cluster_ips(spec)
    for index, address in enumerate(strings(spec, "externalIPs")):
        path = f"spec.externalIPs[{index}]"
        messages = names.ip_address(address)
        yield from bad(path, address, messages) if messages else non_special_ip(path, address)
    yield from one_of(spec, "type", "spec", TYPES)
    yield from _duplicate_ports(spec)
    yield from _source_ranges(obj, spec)
    if spec.get("allocateLoadBalancerNodePorts") is not None and kind != "LoadBalancer":
        yield forbidden("spec.allocateLoadBalancerNodePorts", ONLY_LOAD_BALANCER)
    if spec.get("loadBalancerClass") is not None:
        path = "spec.loadBalancerClass"
        if kind == "LoadBalancer":
            yield from qualified_name(path, spec["loadBalancerClass"])
        else:
            yield forbidden(path, ONLY_LOAD_BALANCER)
    yield from _traffic(spec)


def service_update(new: Object, old: Object) -> Errors:
    """A changed Service: its first address stays."""
    after, before = sub(new, "spec"), sub(old, "spec")
    if after is before:
        return
    if "ExternalName" not in (after.get("type"), before.get("type")):
        yield from _address_changes(after, before)
    both = after.get("type") == before.get("type") == "LoadBalancer"
    if both and after.get("loadBalancerClass") != before.get("loadBalancerClass"):
        yield invalid("spec.loadBalancerClass", after.get("loadBalancerClass"), "may not change once set")
    checked = _needs_health_check(after) and _needs_health_check(before)
    if checked and after.get("healthCheckNodePort") != before.get("healthCheckNodePort"):
        yield forbidden("spec.healthCheckNodePort", "field is immutable")
    yield from service(new)


def service_status(new: Object, old: Object) -> Errors:
    """The addresses of a load balancer."""
    kind = text(sub(new, "spec"), "type")
    balancer, path = sub(new, "status", "loadBalancer"), "status.loadBalancer"
    if listed(balancer, "ingress") and kind != "LoadBalancer":
        yield forbidden(f"{path}.ingress", "may only be used when `spec.type` is 'LoadBalancer'")
        return
    for place, ingress in each(balancer, "ingress", path):
        address, mode = text(ingress, "ip"), ingress.get("ipMode")
        if address:
            yield from ip_address(f"{place}.ip", address)
        if mode is None:
            if address:
                yield required(f"{place}.ipMode", "must be specified when `ip` is set")
        elif not address:
            yield forbidden(f"{place}.ipMode", "may not be specified when `ip` is not set")
        elif mode not in ("Proxy", "VIP"):
            yield not_supported(f"{place}.ipMode", mode, ("Proxy", "VIP"))
        if host := text(ingress, "hostname"):
            yield from dns_subdomain(f"{place}.hostname", host)
            if names.parse_ip(host):
                yield invalid(f"{place}.hostname", host, "must be a DNS name, not an IP address")


def is_headless(spec: Object) -> bool:
    """Whether a Service has no address of its own."""
    return listed(spec, "clusterIPs") == ["None"] or spec.get("clusterIP") == "None"


def _external_name(spec: Object) -> Errors:
    for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(field):
            yield forbidden(f"spec.{field}", "may not be set for ExternalName services")
    name = text(spec, "externalName").removesuffix(".")
    if name:
        yield from dns_subdomain("spec.externalName", name)
    else:
        yield required("spec.externalName")


def _ports(spec: Object) -> Errors:
    several = len(listed(spec, "ports")) > 1
    seen: set[str] = set()
    for place, port in each(spec, "ports", "spec"):
        name = text(port, "name")
        if not name:
            if several:
                yield required(f"{place}.name")
        else:
            yield from dns_label(f"{place}.name", name)
            if name in seen:
                yield duplicate(f"{place}.name", name)
            seen.add(name)
        yield from port_number(f"{place}.port", number(port, "port"))
        yield from one_of(port, "protocol", place, PROTOCOLS)
        yield from port_or_name(f"{place}.targetPort", port.get("targetPort"))
        if port.get("appProtocol") is not None:
            yield from qualified_name(f"{place}.appProtocol", port["appProtocol"])


def _duplicate_ports(spec: Object) -> Errors:
    if spec.get("type") == "ClusterIP":
        for place, port in each(spec, "ports", "spec"):
            if port.get("nodePort"):
                yield forbidden(f"{place}.nodePort", "may not be used when `type` is 'ClusterIP'")
    taken: set[tuple[str, str, int]] = set()
    for field in ("nodePort", "port"):
        for place, port in each(spec, "ports", "spec"):
            value, protocol = number(port, field), text(port, "protocol")
            if field == "nodePort" and not value:
                continue
            if (field, protocol, value) in taken:
                if field == "nodePort":
                    yield duplicate(f"{place}.nodePort", value)
                else:
                    yield duplicate(place, _go_port(protocol, value))
            taken.add((field, protocol, value))


def _go_port(protocol: str, port: int) -> Object:
    # Upstream shows its internal struct, whose fields have Go's names.
    return {
        "Name": "",
        "Protocol": protocol,
        "AppProtocol": None,
        "Port": port,
        "TargetPort": 0,
        "NodePort": 0,
    }


def _session_affinity(spec: Object) -> Errors:
    kind, config = text(spec, "sessionAffinity"), spec.get("sessionAffinityConfig")
    yield from one_of(spec, "sessionAffinity", "spec", ("ClientIP", "None"))
    path = "spec.sessionAffinityConfig"
    if kind == "ClientIP":
        for field in ("clientIP", "timeoutSeconds"):
            if config is None:
                yield required(path, "when session affinity type is ClientIP")
                return
            path, config = f"{path}.{field}", config.get(field)
        if config is None:
            yield required(path, "when session affinity type is ClientIP")
        elif not 0 < config <= MAX_AFFINITY_SECONDS:
            yield invalid(path, config, f"must be greater than 0 and less than {MAX_AFFINITY_SECONDS}")
    elif kind == "None" and config is not None:
        yield forbidden(path, "must not be set when session affinity is None")


def _cluster_ips(spec: Object) -> Errors:
    own, path = text(spec, "clusterIP"), "spec.clusterIPs"
    addresses = strings(spec, "clusterIPs")
    if own:
        if not addresses:
            yield required(path)
        elif addresses[0] != own:
            yield invalid(path, addresses, "first value must match `clusterIP`")
    elif addresses:
        yield invalid(path, addresses, "must be empty when `clusterIP` is not specified")
    families = listed(spec, "ipFamilies")
    for index, family in enumerate(families):
        if family not in FAMILIES:
            yield not_supported(f"spec.ipFamilies[{index}]", family, FAMILIES)
        if family in families[:index]:
            yield duplicate(f"spec.ipFamilies[{index}]", family)
    yield from one_of(spec, "ipFamilyPolicy", "spec", FAMILY_POLICIES, optional=True)
    wrong: list[FieldError] = []
    for index, address in enumerate(addresses):
        if index == 0 and address == "None":
            if len(addresses) > 1:
                wrong.append(invalid(path, addresses, "'None' must be the first and only value"))
            continue
        wrong += ip_address(f"{path}[{index}]", address)
    yield from wrong
    if len(addresses) > 2:
        yield invalid(path, addresses, "may only hold up to 2 values")
    if wrong:
        return
    if len(addresses) > 1 and len({":" in a for a in addresses}) < 2:
        yield invalid(path, addresses, "may specify no more than one IP for each IP family")
    if is_headless(spec):
        return
    for index, (address, family) in enumerate(zip(addresses, families, strict=False)):
        if (":" in address) != (family == "IPv6"):
            why = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            yield invalid(f"{path}[{index}]", address, why)


def _address_changes(after: Object, before: Object) -> Errors:
    if is_headless(after) and is_headless(before):
        return
    yield from _list_changes("clusterIPs", "clusterIP", after, before)
    if is_headless(after) == is_headless(before):
        yield from _list_changes("ipFamilies", "ipFamily", after, before)


def _list_changes(field: str, singular: str, after: Object, before: Object) -> Errors:
    new, old = listed(after, field), listed(before, field)
    path = f"spec.{field}"
    if len(new) == len(old):
        for index, (one, other) in enumerate(zip(new, old, strict=True)):
            if one != other:
                place = f"{path}[{index if field == 'clusterIPs' else 0}]"
                yield invalid(place, new, "may not change once set")
        return
    if not new:
        yield invalid(f"{path}[0]", new or None, f"primary {singular} can not be unset")
    elif old and new[0] != old[0]:
        yield invalid(f"{path}[0]", new, "may not change once set")
    if len(old) > len(new) == 1 and after.get("ipFamilyPolicy") != "SingleStack":
        why = f"must be set to 'SingleStack' when releasing the secondary {singular}"
        yield invalid("spec.ipFamilyPolicy", after.get("ipFamilyPolicy"), why)


def _source_ranges(obj: Object, spec: Object) -> Errors:
    kind = spec.get("type")
    ranges, path = listed(spec, "loadBalancerSourceRanges"), "spec.LoadBalancerSourceRanges"
    annotation = sub(obj, "metadata", "annotations").get(SOURCE_RANGES)
    if ranges:
        if kind != "LoadBalancer":
            yield forbidden(path, ONLY_LOAD_BALANCER)
        for index, value in enumerate(ranges):
            stripped = (value or "").strip()
            yield from bad(f"{path}[{index}]", stripped, names.cidr(stripped))
    elif annotation is not None:
        path = f"metadata.annotations[{SOURCE_RANGES}]"
        if kind != "LoadBalancer":
            yield forbidden(path, ONLY_LOAD_BALANCER)
        for value in annotation.split(",") if annotation.strip() else ():
            yield from bad(path, value.strip(), names.cidr(value.strip()))


def _needs_health_check(spec: Object) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _traffic(spec: Object) -> Errors:
    kind, policy = spec.get("type"), text(spec, "externalTrafficPolicy")
    external = bool(kind == "ClusterIP" and listed(spec, "externalIPs"))
    if kind in ("LoadBalancer", "NodePort") or external:
        yield from one_of(spec, "externalTrafficPolicy", "spec", POLICIES)
    elif policy:
        why = "may only be set for externally-accessible services"
        yield invalid("spec.externalTrafficPolicy", policy, why)
    port = number(spec, "healthCheckNodePort")
    if _needs_health_check(spec):
        if port:
            yield from port_number("spec.healthCheckNodePort", port)
    elif port:
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield invalid("spec.healthCheckNodePort", port, why)
    yield from one_of(spec, "internalTrafficPolicy", "spec", POLICIES, optional=kind not in TYPES or kind == TYPES[1])
    yield from one_of(spec, "trafficDistribution", "spec", DISTRIBUTIONS, optional=True)
