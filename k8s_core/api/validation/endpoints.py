"""Endpoints and EndpointSlices. Stands for parts of core's validation and for `pkg/apis/discovery/validation`."""

from typing import Any, Final

from k8s_core.api import Object, names
from k8s_core.api.field import duplicate, invalid, not_supported, required, too_long, too_many
from k8s_core.api.validation import meta
from k8s_core.api.validation.common import (
    PROTOCOLS,
    Errors,
    dns_label,
    dns_subdomain,
    each,
    ip_address,
    listed,
    non_special_ip,
    number,
    one_of,
    port_number,
    qualified_name,
    strings,
    sub,
    text,
)

MAX_ENDPOINTS: Final = 1000
MAX_ENDPOINT_PORTS: Final = 20000
MAX_ADDRESSES: Final = 100
ADDRESS_TYPES: Final = ("FQDN", "IPv4", "IPv6")


def endpoints(obj: Object) -> Errors:
    """An Endpoints object."""
    for path, subset in each(obj, "subsets", ""):
        path = path.removeprefix(".")  # noqa: PLW2901 (a top-level path)
        if not listed(subset, "addresses") and not listed(subset, "notReadyAddresses"):
            yield required(path, "must specify `addresses` or `notReadyAddresses`")
        for field in ("addresses", "notReadyAddresses"):
            for place, address in each(subset, field, path):
                yield from ip_address(f"{place}.ip", text(address, "ip"))
                if address.get("hostname"):
                    yield from dns_label(f"{place}.hostname", address["hostname"])
                if address.get("nodeName") is not None:
                    yield from dns_subdomain(f"{place}.nodeName", address["nodeName"])
                yield from non_special_ip(f"{place}.ip", text(address, "ip"))
        several = len(listed(subset, "ports")) > 1
        for place, port in each(subset, "ports", path):
            if port.get("name"):
                yield from dns_label(f"{place}.name", port["name"])
            elif several:
                yield required(f"{place}.name")
            yield from port_number(f"{place}.port", number(port, "port"))
            yield from one_of(port, "protocol", place, PROTOCOLS)


def endpoints_update(new: Object, old: Object) -> Errors:
    """A changed Endpoints object."""
    if new.get("subsets") != old.get("subsets"):
        yield from endpoints(new)


def endpoint_slice(obj: Object) -> Errors:
    """An EndpointSlice."""
    kind = text(obj, "addressType")
    if not kind:
        yield required("addressType")
    elif kind not in ADDRESS_TYPES:
        yield not_supported("addressType", kind, ADDRESS_TYPES)
    found = listed(obj, "endpoints")
    if len(found) > MAX_ENDPOINTS:
        yield too_many("endpoints", len(found), MAX_ENDPOINTS)
    for index, endpoint in enumerate(found):
        yield from _endpoint(endpoint or {}, kind, f"endpoints[{index}]")
    ports = listed(obj, "ports")
    if len(ports) > MAX_ENDPOINT_PORTS:
        yield too_many("ports", len(ports), MAX_ENDPOINT_PORTS)
    seen: set[Any] = set()
    for index, port in enumerate(ports):
        yield from _slice_port(port or {}, seen, f"ports[{index}]")


def endpoint_slice_update(new: Object, old: Object) -> Errors:
    """A changed EndpointSlice: the type of its addresses stays."""
    if new.get("endpoints") != old.get("endpoints") or new.get("ports") != old.get("ports"):
        yield from endpoint_slice(new)
    if new.get("addressType") != old.get("addressType"):
        yield invalid("addressType", new.get("addressType"), "field is immutable")


def _endpoint(endpoint: Object, kind: str, path: str) -> Errors:
    addresses = strings(endpoint, "addresses")
    if not addresses:
        yield required(f"{path}.addresses", "must contain at least 1 address")
    elif len(addresses) > MAX_ADDRESSES:
        yield too_many(f"{path}.addresses", len(addresses), MAX_ADDRESSES)
    for index, address in enumerate(addresses):
        place = f"{path}.addresses[{index}]"
        if kind == "FQDN":
            yield from dns_subdomain(place, address)
        elif kind in ("IPv4", "IPv6"):
            parsed = names.parse_ip(address)
            if parsed is None or f"IPv{parsed.version}" != kind:
                yield invalid(place, address, f"must be a valid {kind} address")
            else:
                yield from non_special_ip(place, address)
    if endpoint.get("nodeName") is not None:
        yield from dns_subdomain(f"{path}.nodeName", endpoint["nodeName"])
    yield from meta.labels(endpoint.get("deprecatedTopology"), f"{path}.deprecatedTopology")
    if endpoint.get("hostname") is not None:
        yield from dns_label(f"{path}.hostname", endpoint["hostname"])
    for place, zone in each(sub(endpoint, "hints"), "forZones", f"{path}.hints"):
        yield from qualified_name(f"{place}.name", text(zone, "name"))


def _slice_port(port: Object, seen: set[Any], path: str) -> Errors:
    name = text(port, "name")
    if name:
        if len(name) > names.LABEL_LENGTH:
            yield too_long(f"{path}.name", names.LABEL_LENGTH)
        yield from dns_label(f"{path}.name", name)
    if name in seen:
        yield duplicate(f"{path}.name", name)
    seen.add(name)
    yield from one_of(port, "protocol", path, PROTOCOLS)
    if port.get("appProtocol") is not None:
        yield from qualified_name(f"{path}.appProtocol", port["appProtocol"])
