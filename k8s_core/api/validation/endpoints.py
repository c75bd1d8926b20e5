"""Endpoints and EndpointSlices: what is logic. Stands for parts of core's validation and of discovery's."""

from typing import Any

from k8s_core.api import Object, names
from k8s_core.api.field import invalid, required
from k8s_core.api.validation import tags
from k8s_core.api.validation.common import Errors, bad, text
from k8s_core.api.validation.formats import long_name, reachable_ip, short_name


def endpoints_update(new: Object, old: Object) -> Errors:
    """What has not changed is not looked at again."""
    if new.get("subsets") != old.get("subsets"):
        yield from tags.validate("Endpoints", new, "")


def slice_update(new: Object, path: str, within: Any, old: Object) -> Errors:
    """What has not changed is not looked at again."""
    if new.get("endpoints") != old.get("endpoints") or new.get("ports") != old.get("ports"):
        yield from tags.validate("EndpointSlice", new, path)


def port_name(port: Object | None, path: str, ports: list[Any]) -> Errors:
    """A port has a name if there are several."""
    if name := text(port or {}, "name"):
        yield from bad(f"{path}.name", name, short_name(name))
    elif len(ports) > 1:
        yield required(f"{path}.name")


def endpoints_of_type(found: list[Any] | None, path: str, within: Object) -> Errors:
    """Endpoints, with addresses of the type of their slice."""
    for index, endpoint in enumerate(found or ()):
        yield from tags.validate("Endpoint", endpoint, f"{path}[{index}]", text(within, "addressType"))


def address(value: str | None, path: str, within: Any, kind: str) -> Errors:
    """An address of the slice's type."""
    value = value or ""
    if kind == "FQDN":
        yield from bad(path, value, long_name(value))
    elif kind in ("IPv4", "IPv6"):
        parsed = names.parse_ip(value)
        if parsed is None or f"IPv{parsed.version}" != kind:
            yield invalid(path, value, f"must be a valid {kind} address")
        else:
            yield from bad(path, value, reachable_ip(value))
