"""Ingresses, NetworkPolicies, IPAddresses, ServiceCIDRs. Stands for `pkg/apis/networking/validation`."""

from typing import Final

from k8s_core.api import Object, names
from k8s_core.api.field import forbidden, invalid, not_supported, required, too_long
from k8s_core.api.validation import meta
from k8s_core.api.validation.common import (
    Errors,
    bad,
    dns_label,
    dns_subdomain,
    each,
    immutable,
    ip_address,
    listed,
    number,
    port_number,
    strings,
    sub,
    text,
)

PATH_TYPES: Final = ("Exact", "ImplementationSpecific", "Prefix")
BAD_SEQUENCES: Final = ("//", "/./", "/../", "%2f", "%2F")
BAD_SUFFIXES: Final = ("/..", "/.")
CLASS_ANNOTATION: Final = "kubernetes.io/ingress.class"
MAX_CONTROLLER: Final = 250
PROTOCOLS: Final = ("TCP", "UDP", "SCTP")


def ingress(obj: Object) -> Errors:
    """A new Ingress."""
    yield from _ingress(obj)
    annotation = sub(obj, "metadata", "annotations").get(CLASS_ANNOTATION)
    name = sub(obj, "spec").get("ingressClassName")
    if annotation is not None and name is not None and annotation != name:
        why = "must match `ingressClassName` when both are specified"
        yield invalid(f"annotations.{CLASS_ANNOTATION}", annotation, why)


def ingress_update(new: Object, old: Object) -> Errors:
    """A changed Ingress."""
    if new.get("spec") is not old.get("spec"):
        yield from _ingress(new)


def ingress_status(new: Object, old: Object) -> Errors:
    """The addresses of an Ingress."""
    if new.get("status") is old.get("status"):
        return
    for place, entry in each(sub(new, "status", "loadBalancer"), "ingress", "status.loadBalancer"):
        if address := text(entry, "ip"):
            yield from ip_address(f"{place}.ip", address)
        if host := text(entry, "hostname"):
            yield from dns_subdomain(f"{place}.hostname", host)
            if names.parse_ip(host):
                yield invalid(f"{place}.hostname", host, "must be a DNS name, not an IP address")


def _ingress(obj: Object) -> Errors:
    spec = sub(obj, "spec")
    if not listed(spec, "rules") and spec.get("defaultBackend") is None:
        yield invalid("spec", spec.get("rules"), "either `defaultBackend` or `rules` must be specified")
    if spec.get("defaultBackend") is not None:
        yield from _backend(spec["defaultBackend"], "spec.defaultBackend")
    for place, rule in each(spec, "rules", "spec"):
        if host := text(rule, "host"):
            if names.parse_ip(host):
                yield invalid(f"{place}.host", host, "must be a DNS name, not an IP address")
            yield from _host(host, f"{place}.host")
        if rule.get("http") is not None:
            if not listed(rule["http"], "paths"):
                yield required(f"{place}.http.paths")
            for where, path in each(rule["http"], "paths", f"{place}.http"):
                yield from _path(path, where)
    for place, tls in each(spec, "tls", "spec"):
        for index, host in enumerate(strings(tls, "hosts")):
            yield from _host(host, f"{place}.hosts[{index}]")
        if tls.get("secretName"):
            yield from dns_subdomain(f"{place}.secretName", tls["secretName"])
    if spec.get("ingressClassName") is not None:
        yield from dns_subdomain("spec.ingressClassName", spec["ingressClassName"])


def _host(host: str, path: str) -> Errors:
    yield from bad(path, host, names.wildcard_subdomain(host) if "*" in host else names.dns1123_subdomain(host))


def _path(node: Object, path: str) -> Errors:
    kind, value = node.get("pathType"), text(node, "path")
    if kind is None:
        yield required(f"{path}.pathType", "pathType must be specified")
        return
    if kind in ("Exact", "Prefix"):
        if not value.startswith("/"):
            yield invalid(f"{path}.path", value, "must be an absolute path")
        for sequence in BAD_SEQUENCES:
            if sequence in value:
                yield invalid(f"{path}.path", value, f"must not contain '{sequence}'")
        for suffix in BAD_SUFFIXES:
            if value.endswith(suffix):
                yield invalid(f"{path}.path", value, f"cannot end with '{suffix}'")
    elif kind == "ImplementationSpecific":
        if value and not value.startswith("/"):
            yield invalid(f"{path}.path", value, "must be an absolute path")
    else:
        yield not_supported(f"{path}.pathType", kind, PATH_TYPES)
    yield from _backend(sub(node, "backend"), f"{path}.backend")


def _backend(backend: Object, path: str) -> Errors:
    service, resource = backend.get("service"), backend.get("resource")
    if resource is not None and service is not None:
        yield invalid(path, "", "cannot set both resource and service backends")
    elif resource is not None:
        yield from _reference(resource, f"{path}.resource")
    elif service is not None:
        if not service.get("name"):
            yield required(f"{path}.service.name")
        else:
            yield from dns_label(f"{path}.service.name", service["name"])
        port = sub(service, "port")
        name, value = text(port, "name"), number(port, "number")
        if name and value:
            yield invalid(path, "", "cannot set both port name & port number")
        elif name:
            yield from bad(f"{path}.service.port.name", name, names.port_name(name))
        elif value:
            yield from port_number(f"{path}.service.port.number", value)
        else:
            yield required(path, "port name or number is required")
    else:
        yield invalid(path, "", "resource or service backend is required")


def _reference(ref: Object, path: str) -> Errors:
    if ref.get("apiGroup") is not None:
        yield from dns_subdomain(f"{path}.apiGroup", ref["apiGroup"])
    for name in ("kind", "name"):
        if not ref.get(name):
            yield required(f"{path}.{name}")
        else:
            yield from bad(f"{path}.{name}", ref[name], names.path_segment(ref[name]))


def ingress_class(obj: Object) -> Errors:
    """An IngressClass."""
    spec = sub(obj, "spec")
    controller, path = text(spec, "controller"), "spec.controller"
    if not controller:
        yield required(path)
    else:
        if len(controller) > MAX_CONTROLLER:
            yield too_long(path, MAX_CONTROLLER)
        yield from _domain_path(path, controller)
    params = spec.get("parameters")
    if params is None:
        return
    path = "spec.parameters"
    yield from _reference(params, path)
    scope, namespace = params.get("scope"), params.get("namespace")
    if scope is None:
        yield required(f"{path}.scope")
    elif scope not in ("Cluster", "Namespace"):
        yield not_supported(f"{path}.scope", scope, ("Cluster", "Namespace"))
    elif scope == "Cluster":
        if namespace is not None:
            yield forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'")
    elif namespace is None:
        yield required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'")
    else:
        yield from dns_label(f"{path}.namespace", namespace)


def ingress_class_update(new: Object, old: Object) -> Errors:
    """A changed IngressClass: its controller stays."""
    yield from immutable("spec.controller", sub(new, "spec").get("controller"), sub(old, "spec").get("controller"))
    yield from ingress_class(new)


def _domain_path(path: str, value: str) -> Errors:
    domain, slash, rest = value.partition("/")
    if not slash or not domain or not rest:
        why = 'must be a domain-prefixed path (such as "acme.io/foo")'
        yield invalid(path, value, why)
        return
    yield from bad(path, domain, names.dns1123_subdomain(domain))
    yield from bad(path, rest, names.http_path(rest))


def network_policy(obj: Object) -> Errors:
    """A NetworkPolicy."""
    spec = sub(obj, "spec")
    yield from meta.label_selector(spec.get("podSelector"), "spec.podSelector")
    for direction, side in (("ingress", "from"), ("egress", "to")):
        for place, rule in each(spec, direction, "spec"):
            for where, port in each(rule, "ports", place):
                yield from _policy_port(port, where)
            for where, peer in each(rule, side, place):
                yield from _peer(peer, where)
    types = strings(spec, "policyTypes")
    if len(types) > 2:
        yield invalid("spec.policyTypes", types, "may not specify more than two policyTypes")
        return
    for index, kind in enumerate(types):
        if kind not in ("Ingress", "Egress"):
            yield not_supported(f"spec.policyTypes[{index}]", kind, ("Ingress", "Egress"))


def _policy_port(port: Object, path: str) -> Errors:
    protocol, value, end = port.get("protocol"), port.get("port"), port.get("endPort")
    if protocol is not None and protocol not in PROTOCOLS:
        yield not_supported(f"{path}.protocol", protocol, PROTOCOLS)
    if isinstance(value, str):
        if end is not None:
            why = "may not be specified when `port` is non-numeric"
            yield invalid(f"{path}.endPort", end, why)
        yield from bad(f"{path}.port", value, names.port_name(value))
    elif value is not None:
        yield from port_number(f"{path}.port", value)
        if end is not None:
            if end < value:
                yield invalid(f"{path}.endPort", end, "must be greater than or equal to `port`")
            yield from port_number(f"{path}.endPort", end)
    elif end is not None:
        yield invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified")


def _peer(peer: Object, path: str) -> Errors:
    kinds = [k for k in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(k) is not None]
    for kind in kinds:
        if kind == "ipBlock":
            yield from _ip_block(peer[kind], f"{path}.ipBlock")
        else:
            yield from meta.label_selector(peer[kind], f"{path}.{kind}")
    if not kinds:
        yield required(path, "must specify a peer")
    elif len(kinds) > 1 and "ipBlock" in kinds:
        yield forbidden(path, "may not specify both ipBlock and another peer")


def _ip_block(block: Object, path: str) -> Errors:
    cidr = text(block, "cidr")
    if not cidr:
        yield required(f"{path}.cidr")
        return
    yield from bad(f"{path}.cidr", cidr, names.cidr(cidr))
    network = names.parse_cidr(cidr)
    for index, text_ in enumerate(strings(block, "except")):
        place = f"{path}.except[{index}]"
        yield from bad(place, text_, names.cidr(text_))
        hole = names.parse_cidr(text_)
        if network is None or hole is None:
            continue
        inside = hole.version == network.version and hole.network_address in network
        if not inside or network.prefixlen >= hole.prefixlen:
            yield invalid(place, text_, "must be a strict subset of `cidr`")


def ip_address_object(obj: Object) -> Errors:
    """An IPAddress: what it belongs to."""
    parent = sub(obj, "spec").get("parentRef")
    if parent is None:
        yield required("spec.parentRef")
        return
    for name in ("resource", "name"):
        if not parent.get(name):
            yield required(f"spec.parentRef.{name}")


def ip_address_update(new: Object, old: Object) -> Errors:
    """A changed IPAddress: its owner stays."""
    yield from ip_address_object(new)
    ref = sub(new, "spec").get("parentRef")
    yield from immutable("spec.parentRef", ref, sub(old, "spec").get("parentRef"))


def service_cidr(obj: Object) -> Errors:
    """A ServiceCIDR: one or two networks."""
    cidrs = strings(sub(obj, "spec"), "cidrs")
    if not cidrs:
        yield required("spec.cidrs", "at least one CIDR required")
        return
    if len(cidrs) > 2:
        yield invalid("spec.cidrs", cidrs, "may only hold up to 2 values")
    elif len(cidrs) == 2 and (":" in cidrs[0]) == (":" in cidrs[1]):
        yield invalid(
            "spec.cidrs",
            cidrs,
            "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
        )
    for index, cidr in enumerate(cidrs):
        yield from bad(f"spec.cidrs[{index}]", cidr, names.cidr(cidr, canonical=True))


def service_cidr_update(new: Object, old: Object) -> Errors:
    """A changed ServiceCIDR: its networks stay."""
    cidrs = sub(new, "spec").get("cidrs")
    yield from immutable("spec.cidrs", cidrs, sub(old, "spec").get("cidrs"))


def ip_name(value: str) -> list[str]:
    """The name of an IPAddress."""
    return names.ip_address(value, canonical=True)
