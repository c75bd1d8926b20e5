"""Names are refused with the messages of apimachinery."""

from collections.abc import Callable

import pytest

from k8s_core.api import names

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
    "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


@pytest.mark.parametrize(
    ("check", "value", "errors"),
    [
        (names.dns1123_label, "web-1", []),
        (names.dns1123_label, "Web", [LABEL]),
        (names.dns1123_label, "web\n", [LABEL]),
        (names.dns1123_label, "a.b", ["must not contain dots"]),
        (names.dns1123_label, "a" * 64, ["must be no more than 63 characters"]),
        (names.dns1123_subdomain, "a.b-c.d", []),
        (names.dns1123_subdomain, "My_Pod", [SUBDOMAIN]),
        (names.dns1035_label, "1web", None),
        (names.dns1035_label, "web", []),
        (names.wildcard_subdomain, "*.example.com", []),
        (names.wildcard_subdomain, "*", None),
        (names.qualified_name, "app.kubernetes.io/name", []),
        (names.qualified_name, "/x", ["prefix part must be non-empty"]),
        (names.qualified_name, "a/b/c", None),
        (names.label_value, "", []),
        (names.label_value, "a b", None),
        (names.port_name, "http-2", []),
        (names.port_name, "9", ["must contain at least one letter (a-z)"]),
        (names.port_name, "-a--b", ["must not contain consecutive hyphens", "must not begin or end with a hyphen"]),
        (names.config_map_key, "..data", ["must not start with '..'"]),
        (names.config_map_key, "a/b", None),
        (names.relaxed_environment_name, "A B", []),
        (names.relaxed_environment_name, "A=B", None),
        (names.environment_name, "1A", None),
        (names.percent, "25%", []),
        (names.path_segment, "system:node", []),
        (names.path_segment, "a/b", ["may not contain '/'"]),
        (names.ip_address, "10.0.0.4", []),
        (names.ip_address, "10.0.0.04", ["must not have leading 0s"]),
        (names.ip_address, "::ffff:1.2.3.4", ["must not be an IPv4-mapped IPv6 address"]),
        (names.ip_address, "x", ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]),
        (names.cidr, "10.96.0.0/12", []),
        (names.cidr, "10.96.0.1/12", ["must not have bits set beyond the prefix length"]),
        (names.cidr, "10.96.0.0", ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]),
    ],
)  # fmt: skip
def test_names(check: Callable[[str], list[str]], value: str, errors: list[str] | None) -> None:
    """A value is fine, or told exactly what is wrong (None: something is)."""
    found = check(value)
    assert found == errors if errors is not None else len(found) == 1


def test_numbers() -> None:
    """Ports and ids have their ranges."""
    assert names.port_number(80) == [] and names.user_id(0) == []
    assert names.port_number(0) == ["must be between 1 and 65535, inclusive"]
    assert names.group_id(2**31) == ["must be between 0 and 2147483647, inclusive"]


def test_canonical_addresses() -> None:
    """New API fields ask for the one normal form."""
    assert names.ip_address("FE80::0", canonical=True) == ['must be in canonical form ("fe80::")']
    assert str(names.parse_cidr("10.96.0.1/12")) == "10.96.0.0/12"
