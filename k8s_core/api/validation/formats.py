"""Formats: what a value that is no mere enumeration must look like; the names of `+k8s:format` where it has them.

Each has the value that stands for a missing one and gives complaints, none if the value is fine.
"""

import functools
from collections.abc import Callable
from typing import Any, Final

from k8s_core.api import names, quantity

Complaints = list[str]
NEGATIVE: Final = "must be greater than or equal to 0"
NOT_POSITIVE: Final = "must be greater than 0"
MODE: Final = "must be a number between 0 and 0777 (octal), both inclusive"
BAD_SEQUENCES: Final = ("//", "/./", "/../", "%2f", "%2F")
BAD_SUFFIXES: Final = ("/..", "/.")


def nanos(value: Any) -> int:
    """A quantity as an exact integer; what is no quantity is 0 (decoding refuses it before)."""
    try:
        return quantity.nanos(value)
    except ValueError:
        return 0


def shown(value: Any) -> str:
    """A quantity as messages show it."""
    try:
        return quantity.canonical(value)
    except ValueError:
        return "0"


def port_or_name(value: int | str) -> Complaints:
    """A port's number or its name."""
    return names.port_name(value) if isinstance(value, str) else names.port_number(value)


def int_or_percent(value: int | str) -> Complaints:
    """A number that is not negative, or a share such as 25%."""
    if isinstance(value, str):
        return names.percent(value)
    return [NEGATIVE] if value < 0 else []


def at_most_all(value: int | str) -> Complaints:
    """A share of at most 100%."""
    above = isinstance(value, str) and not names.percent(value) and int(value[:-1]) > 100
    return ["must not be greater than 100%"] if above else []


def reachable_ip(value: str) -> Complaints:
    """An address that other nodes can reach: not unspecified, loopback or link-local."""
    address = names.parse_ip(value)
    if address is None:
        return ["must be a valid IP address"]
    if address.is_unspecified:
        return [f"may not be unspecified ({value})"]
    if address.is_loopback:
        return ["may not be in the loopback range (127.0.0.0/8, ::1/128)"]
    if address.is_link_local:
        return ["may not be in the link-local range (169.254.0.0/16, fe80::/10)"]
    if address.is_multicast and str(address).startswith(("224.0.0.", "ff02:")):
        return ["may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"]
    return []


def host_ip(value: str) -> Complaints:
    """An address that is one, and that other nodes can reach."""
    return names.ip_address(value) or reachable_ip(value)


def no_ip(value: str) -> Complaints:
    """A host's name."""
    return ["must be a DNS name, not an IP address"] if names.parse_ip(value) else []


def host(value: str) -> Complaints:
    """A host's name, perhaps with a wildcard for its first label."""
    return names.wildcard_subdomain(value) if "*" in value else names.dns1123_subdomain(value)


def no_backsteps(value: str) -> Complaints:
    """A path that does not go up."""
    return ["must not contain '..'"] if ".." in value.split("/") else []


def descending_path(value: str) -> Complaints:
    """A relative path that does not go up."""
    return (["must be a relative path"] if value.startswith("/") else []) + no_backsteps(value)


def local_path(value: str) -> Complaints:
    """A relative path that does not start with `..`."""
    odd = value.startswith("..") and not value.startswith("../")
    return descending_path(value) + (["must not start with '..'"] if odd else [])


def absolute_path(value: str) -> Complaints:
    """A path from the root."""
    return [] if value.startswith("/") else ["must be an absolute path"]


def url_path(value: str) -> Complaints:
    """The path of a URL as an Ingress compares it: absolute and clean."""
    return [
        *absolute_path(value),
        *(f"must not contain '{sequence}'" for sequence in BAD_SEQUENCES if sequence in value),
        *(f"cannot end with '{suffix}'" for suffix in BAD_SUFFIXES if value.endswith(suffix)),
    ]


def no_padding(value: str) -> Complaints:
    """An image's name without whitespace around it."""
    return [] if value == value.strip() else ["must not have leading or trailing whitespace"]


def group_version(value: str) -> Complaints:
    """An API version with or without its group."""
    odd = value.count("/") > 1 or value.endswith("/")
    return ["must be <group>/<version> or <version>"] if odd else []


def dotted(least: int, complaint: str) -> Callable[[str], Complaints]:
    """A domain with at least so many dots."""

    def check(value: str) -> Complaints:
        if messages := names.dns1123_subdomain(value):
            return [",".join(messages)]
        return [] if value.count(".") >= least else [complaint]

    return check


def joined(check: Callable[[Any], Complaints], separator: str = ",", before: str = "") -> Callable[[Any], Complaints]:
    """A check that gives all its complaints as one."""
    return lambda value: [before + separator.join(found)] if (found := check(value)) else []


def lower(check: Callable[[str], Complaints]) -> Callable[[str], Complaints]:
    """A check to which upper and lower case are the same."""
    return lambda value: check(value.lower())


# The same few names are checked with every write.
_cached = functools.lru_cache(maxsize=4096)
short_name = _cached(names.dns1123_label)
long_name = _cached(names.dns1123_subdomain)
label_key = _cached(names.qualified_name)
label_value = _cached(names.label_value)
ip = _cached(names.ip_address)
_kind_name = joined(lower(names.dns1035_label), before="may have mixed case, but should otherwise match: ")

_TEXTS: Final[dict[str, Callable[[str], Complaints]]] = {
    "k8s-short-name": short_name,
    "k8s-long-name": long_name,
    "k8s-long-name-caseless": lower(long_name),
    "k8s-label-key": label_key,
    "k8s-label-value": label_value,
    "k8s-path-segment-name": names.path_segment,
    "k8s-ip": ip,
    "annotation-key": lower(label_key),
    "label-value-joined": joined(label_value, ";"),
    "canonical-ip": lambda value: names.ip_address(value, canonical=True),
    "dns-1035-label": names.dns1035_label,
    "dns-1035-label-joined": joined(names.dns1035_label),
    "kind-name": _kind_name,
    "host": host,
    "no-ip": no_ip,
    "host-ip": host_ip,
    "reachable-ip": reachable_ip,
    "cidr": names.cidr,
    "canonical-cidr": lambda value: names.cidr(value, canonical=True),
    "port-name": names.port_name,
    "environment-name": names.relaxed_environment_name,
    "config-map-key": names.config_map_key,
    "http-header-name": names.http_header_name,
    "no-backsteps": no_backsteps,
    "descending-path": descending_path,
    "local-path": local_path,
    "absolute-path": absolute_path,
    "url-path": url_path,
    "no-padding": no_padding,
    "group-version": group_version,
    "dotted-domain": dotted(1, "should be a domain with at least one dot"),
    "three-segment-domain": dotted(2, "should be a domain with at least three segments separated by dots"),
}
_NUMBERS: Final[dict[str, Callable[[Any], Complaints]]] = {
    "port": names.port_number,
    "port-or-name": port_or_name,
    "int-or-percent": int_or_percent,
    "at-most-all": at_most_all,
    "service-port": joined(names.port_number, ", ", "port is not valid: "),
    "user-id": names.user_id,
    "lun": lambda value: names.in_range(value, 0, 255),
    "affinity-weight": lambda value: [] if 0 < value <= 100 else ["must be in the range 1-100"],
    "file-mode": lambda value: [] if 0 <= value <= 0o777 else [MODE],
}
FORMATS: Final[dict[str, tuple[Any, Callable[[Any], Complaints]]]] = {
    **{name: ("", check) for name, check in _TEXTS.items()},
    **{name: (0, check) for name, check in _NUMBERS.items()},
}
