"""Services: what is logic. Stands for the Service half of `pkg/apis/core/validation`.

Whether an address is in the Service range and a port is free is the allocator's business.
"""

from typing import Any, Final

from k8s_core.api import Object, names
from k8s_core.api.field import FieldError, duplicate, forbidden, invalid, not_supported, required
from k8s_core.api.validation import tags
from k8s_core.api.validation.common import Errors, bad, each, listed, number, one_of, strings, sub, text
from k8s_core.api.validation.formats import ip, long_name

FAMILIES: Final = ("IPv4", "IPv6")
FAMILY_POLICIES: Final = ("PreferDualStack", "RequireDualStack", "SingleStack")
MAX_AFFINITY_SECONDS: Final = 86400
ONLY_LOAD_BALANCER: Final = "may only be used when `type` is 'LoadBalancer'"
SOURCE_RANGES: Final = "service.beta.kubernetes.io/load-balancer-source-ranges"


def service_status(new: Object, old: Object) -> Errors:
    """The addresses of a load balancer."""
    balancer, path = sub(new, "status", "loadBalancer"), "status.loadBalancer"
    if listed(balancer, "ingress") and text(sub(new, "spec"), "type") != "LoadBalancer":
        yield forbidden(f"{path}.ingress", "may only be used when `spec.type` is 'LoadBalancer'")
        return
    for place, ingress in each(balancer, "ingress", path):
        yield from tags.validate("LoadBalancerIngress", ingress, place)


def is_headless(spec: Object) -> bool:
    """Whether a Service has no address of its own."""
    return listed(spec, "clusterIPs") == ["None"] or spec.get("clusterIP") == "None"


def reachable(spec: Object) -> Errors:
    """A Service has what its type is reached by."""
    kind, headless = text(spec, "type"), is_headless(spec)
    if not listed(spec, "ports") and not headless and kind != "ExternalName":
        yield required("spec.ports")
    if kind in ("LoadBalancer", "NodePort") and headless:
        yield invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
    elif kind == "ExternalName":
        for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if spec.get(field):
                yield forbidden(f"spec.{field}", "may not be set for ExternalName services")
        if name := text(spec, "externalName").removesuffix("."):
            yield from bad("spec.externalName", name, long_name(name))
        else:
            yield required("spec.externalName")


def address_changes(new: Object, path: str, within: Any, old: Object) -> Errors:
    """A Service's first address stays, and what its load balancer goes by."""
    after, before = sub(new, "spec"), sub(old, "spec")
    if "ExternalName" not in (after.get("type"), before.get("type")):
        yield from _changed_addresses(after, before)
    both = after.get("type") == before.get("type") == "LoadBalancer"
    if both and after.get("loadBalancerClass") != before.get("loadBalancerClass"):
        yield invalid("spec.loadBalancerClass", after.get("loadBalancerClass"), "may not change once set")
    checked = _needs_health_check(after) and _needs_health_check(before)
    if checked and after.get("healthCheckNodePort") != before.get("healthCheckNodePort"):
        yield forbidden("spec.healthCheckNodePort", "field is immutable")


def _changed_addresses(after: Object, before: Object) -> Errors:
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


def duplicate_ports(spec: Object) -> Errors:
    """A port is taken once for each protocol."""
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


def affinity_config(spec: Object) -> Errors:
    """How long a client stays with its endpoint."""
    kind, config = text(spec, "sessionAffinity"), spec.get("sessionAffinityConfig")
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


def cluster_ips(spec: Object) -> Errors:
    """A Service's own addresses, one of a family."""
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
        wrong += bad(f"{path}[{index}]", address, ip(address))
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


def source_ranges(obj: Object) -> Errors:
    """Who may come through a load balancer."""
    spec = sub(obj, "spec")
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


def external_traffic(spec: Object) -> Errors:
    """Whether a node may pass traffic on, and how it is asked if it need not."""
    kind, policy = spec.get("type"), text(spec, "externalTrafficPolicy")
    external = bool(kind == "ClusterIP" and listed(spec, "externalIPs"))
    if kind in ("LoadBalancer", "NodePort") or external:
        yield from one_of(spec, "externalTrafficPolicy", "spec", ("Cluster", "Local"))
    elif policy:
        why = "may only be set for externally-accessible services"
        yield invalid("spec.externalTrafficPolicy", policy, why)
    port = number(spec, "healthCheckNodePort")
    if _needs_health_check(spec):
        if port:
            yield from bad("spec.healthCheckNodePort", port, names.port_number(port))
    elif port:
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield invalid("spec.healthCheckNodePort", port, why)
