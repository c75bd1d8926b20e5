"""Ingresses, NetworkPolicies, ServiceCIDRs: what is logic. Stands for `pkg/apis/networking/validation`."""

from typing import Final

from k8s_core.api import Object, names
from k8s_core.api.field import invalid, not_supported, required
from k8s_core.api.validation.common import Errors, bad, listed, strings, sub

CLASS_ANNOTATION: Final = "kubernetes.io/ingress.class"


def some_route(spec: Object, path: str) -> Errors:
    """An Ingress leads somewhere."""
    if not listed(spec or {}, "rules") and (spec or {}).get("defaultBackend") is None:
        yield invalid(path, (spec or {}).get("rules"), "either `defaultBackend` or `rules` must be specified")


def class_annotation(obj: Object, path: str) -> Errors:
    """The old way to name an Ingress' class must not contradict the new one."""
    annotation = sub(obj, "metadata", "annotations").get(CLASS_ANNOTATION)
    name = sub(obj, "spec").get("ingressClassName")
    if annotation is not None and name is not None and annotation != name:
        why = "must match `ingressClassName` when both are specified"
        yield invalid(f"annotations.{CLASS_ANNOTATION}", annotation, why)


def domain_prefixed_path(value: str, path: str) -> Errors:
    """A DNS subdomain, a slash and a path."""
    domain, _, rest = value.partition("/")
    if not domain or not rest:
        yield invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')
        return
    yield from bad(path, domain, names.dns1123_subdomain(domain))
    yield from bad(path, rest, names.http_path(rest))


def policy_types(values: list[str] | None, path: str) -> Errors:
    """Each direction at most once."""
    types = [value or "" for value in values or ()]
    if len(types) > 2:
        yield invalid(path, types, "may not specify more than two policyTypes")
        return
    for index, kind in enumerate(types):
        if kind not in ("Ingress", "Egress"):
            yield not_supported(f"{path}[{index}]", kind, ("Ingress", "Egress"))


def port_range(port: Object, path: str) -> Errors:
    """A port, by number or name, or the first and last of several."""
    value, end = port.get("port"), port.get("endPort")
    if isinstance(value, str):
        if end is not None:
            yield invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric")
        yield from bad(f"{path}.port", value, names.port_name(value))
    elif value is not None:
        yield from bad(f"{path}.port", value, names.port_number(value))
        if end is not None:
            if end < value:
                yield invalid(f"{path}.endPort", end, "must be greater than or equal to `port`")
            yield from bad(f"{path}.endPort", end, names.port_number(end))
    elif end is not None:
        yield invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified")


def holes(block: Object, path: str) -> Errors:
    """Networks that a block leaves out lie inside of it."""
    cidr = block.get("cidr") or ""
    network = names.parse_cidr(cidr)
    for index, text in enumerate(strings(block, "except") if cidr else ()):
        place = f"{path}.except[{index}]"
        yield from bad(place, text, names.cidr(text))
        hole = names.parse_cidr(text)
        if network is None or hole is None:
            continue
        inside = hole.version == network.version and hole.network_address in network
        if not inside or network.prefixlen >= hole.prefixlen:
            yield invalid(place, text, "must be a strict subset of `cidr`")


def service_cidrs(values: list[str] | None, path: str) -> Errors:
    """One network, or one for each IP family."""
    cidrs = [value or "" for value in values or ()]
    if not cidrs:
        yield required(path, "at least one CIDR required")
    elif len(cidrs) > 2:
        yield invalid(path, cidrs, "may only hold up to 2 values")
    elif len(cidrs) == 2 and (":" in cidrs[0]) == (":" in cidrs[1]):
        why = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        yield invalid(path, cidrs, why)
    for index, cidr in enumerate(cidrs):
        yield from bad(f"{path}[{index}]", cidr, names.cidr(cidr, canonical=True))
