"""What a name, a label, a port or an address may look like, with the messages of apimachinery's util/validation.

Every check takes a value and gives a list of complaints, empty if the value is fine. Which field is checked how
is the business of validation/.
"""

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

Check = Callable[[str], list[str]]

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = _LABEL + r"(\." + _LABEL + ")*"
_WILDCARD: Final = r"\*\." + _SUBDOMAIN
_LABEL_1035: Final = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE: Final = f"({_QUALIFIED})?"
_CONFIG_KEY: Final = "[-._a-zA-Z0-9]+"
_PATH: Final = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"

LABEL_LENGTH: Final = 63
SUBDOMAIN_LENGTH: Final = 253
_PORT_NAME_LENGTH: Final = 15
_MAX_ID: Final = 2**31 - 1

_QUALIFIED_TEXT: Final = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)


def regex_error(message: str, pattern: str, *examples: str) -> str:
    """A complaint that ends with the pattern, in upstream's odd punctuation."""
    if not examples:
        return f"{message} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {shown}regex used for validation is '{pattern}')"


def max_length(limit: int) -> str:
    """The complaint about a value that is too long."""
    return f"must be no more than {limit} characters"


def _length(value: str) -> int:
    return len(value) if value.isascii() else len(value.encode(errors="surrogatepass"))


def _shaped(pattern: str, text: str, *examples: str, limit: int = 2**31) -> Check:
    """A check of the length and the form of a value."""
    complaint, form = regex_error(text, pattern, *examples), re.compile(pattern)

    def check(value: str) -> list[str]:
        errors = [max_length(limit)] if _length(value) > limit else []
        return errors if form.fullmatch(value) else [*errors, complaint]

    return check


dns1123_subdomain: Final = _shaped(
    _SUBDOMAIN,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character",
    "example.com",
    limit=SUBDOMAIN_LENGTH,
)
"""DNS labels joined by dots: the names of most objects."""
dns1035_label: Final = _shaped(
    _LABEL_1035,
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character",
    "my-name",
    "abc-123",
    limit=LABEL_LENGTH,
)
"""A DNS label that starts with a letter: the names of API groups' resources."""
wildcard_subdomain: Final = _shaped(
    _WILDCARD,
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must "
    "consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    "*.example.com",
    limit=SUBDOMAIN_LENGTH,
)
"""A host such as *.example.com."""
label_value: Final = _shaped(
    _LABEL_VALUE,
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character",
    "MyValue",
    "my_value",
    "12345",
    limit=LABEL_LENGTH,
)
"""The value of a label."""
percent: Final = _shaped(
    "[0-9]+%", "a valid percent string must be a numeric string followed by an ending '%'", "1%", "93%"
)
"""A share such as 25%."""
http_header_name: Final = _shaped(
    "[-A-Za-z0-9]+", "a valid HTTP header must consist of alphanumeric characters or '-'", "X-Header-Name"
)
"""The name of an HTTP header, in a probe."""
http_path: Final = _shaped(_PATH, "Invalid path")
"""The part of a domain-prefixed path after its first slash."""
_environment: Final = _shaped(
    "[-._a-zA-Z][-._a-zA-Z0-9]*",
    "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', "
    "and must not start with a digit",
    "my.env-name",
    "MY_ENV.NAME",
    "MyEnvName1",
)
_config_key: Final = _shaped(
    _CONFIG_KEY,
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    "key.name",
    "KEY_NAME",
    "key-name",
    limit=SUBDOMAIN_LENGTH,
)


def dns1123_label(value: str) -> list[str]:
    """A lower-case DNS label: names of namespaces, containers and volumes."""
    errors = [max_length(LABEL_LENGTH)] if _length(value) > LABEL_LENGTH else []
    if not re.fullmatch(_LABEL, value):
        if re.fullmatch(_SUBDOMAIN, value):
            errors.append("must not contain dots")
        else:
            text = (
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
                "and must start and end with an alphanumeric character"
            )
            errors.append(regex_error(text, _LABEL, "my-name", "123-abc"))
    return errors


def path_segment(value: str) -> list[str]:
    """A name that fits in a URL as it is: the names of RBAC objects."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{character}'" for character in "/%" if character in value]


def qualified_name(value: str) -> list[str]:
    """A label or annotation key: an optional DNS prefix, a slash, a name."""
    sample = regex_error(_QUALIFIED_TEXT, _QUALIFIED, "MyName", "my.name", "123-abc")
    parts = value.split("/")
    errors = []
    if len(parts) > 2:
        prefix = " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return [f"a valid label key {sample}{prefix}"]
    if len(parts) == 2:
        if not parts[0]:
            errors.append("prefix part must be non-empty")
        else:
            errors += ["prefix part " + error for error in dns1123_subdomain(parts[0])]
    name = parts[-1]
    if not name:
        errors.append("name part must be non-empty")
    elif _length(name) > LABEL_LENGTH:
        errors.append("name part " + max_length(LABEL_LENGTH))
    if not re.fullmatch(_QUALIFIED, name):
        errors.append("name part " + sample)
    return errors


def in_range(value: int, low: int, high: int) -> list[str]:
    """A number between two others, both included."""
    return [] if low <= value <= high else [f"must be between {low} and {high}, inclusive"]


def port_number(value: int) -> list[str]:
    """A port that something can listen on."""
    return in_range(value, 1, 65535)


def user_id(value: int) -> list[str]:
    """A Unix user id."""
    return in_range(value, 0, _MAX_ID)


group_id = user_id


def port_name(value: str) -> list[str]:
    """The name of a port (IANA_SVC_NAME)."""
    errors = [max_length(_PORT_NAME_LENGTH)] if _length(value) > _PORT_NAME_LENGTH else []
    if not re.fullmatch("[-a-z0-9]+", value):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        errors.append("must contain at least one letter (a-z)")
    if "--" in value:
        errors.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        errors.append("must not begin or end with a hyphen")
    return errors


def environment_name(value: str) -> list[str]:
    """The name of an environment variable as clusters before 1.34 took it."""
    return _environment(value) + _change_directory(value)


def relaxed_environment_name(value: str) -> list[str]:
    """The name of an environment variable: printable ASCII without "="."""
    if not value:
        return ["environment variable name must be non-empty"]
    if all(" " <= character <= "~" and character != "=" for character in value):
        return []
    return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]


def config_map_key(value: str) -> list[str]:
    """A key of a ConfigMap or Secret, which may become a file's name."""
    return _config_key(value) + _change_directory(value)


def _change_directory(value: str) -> list[str]:
    if value in (".", ".."):
        return [f"must not be '{value}'"]
    return ["must not start with '..'"] if value.startswith("..") else []


def ip_address(value: str, *, canonical: bool = False) -> list[str]:
    """An IPv4 or IPv6 address without leading zeros; `canonical` also asks for its one normal form."""
    address = parse_ip(value)
    if address is None:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return ["must not be an IPv4-mapped IPv6 address"]
    if isinstance(address, IPv4Address) and str(address) != value:
        return ["must not have leading 0s"]
    return [f'must be in canonical form ("{address}")'] if canonical and str(address) != value else []


def cidr(value: str, *, canonical: bool = False) -> list[str]:
    """A network such as 10.96.0.0/12, with no bits set beyond the prefix length."""
    network = parse_cidr(value)
    if network is None:
        return ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]
    text, _, length = value.partition("/")
    address = parse_ip(text)
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return ["must not have an IPv4-mapped IPv6 address"]
    if str(int(length)) != length or (isinstance(address, IPv4Address) and str(address) != text):
        return ["must not have leading 0s in IP or prefix length"]
    if address != network.network_address:
        return ["must not have bits set beyond the prefix length"]
    return [f'must be in canonical form ("{network}")'] if canonical and str(network) != value else []


def parse_ip(value: str) -> IPv4Address | IPv6Address | None:
    """An address, also one with leading zeros in its octets as old API fields allow, or None."""
    try:
        if ":" in value:
            return None if "%" in value else IPv6Address(value)
        octets = value.split(".")
        if len(octets) != 4 or not all(o.isascii() and o.isdigit() for o in octets):
            return None
        return IPv4Address(".".join(str(int(octet)) for octet in octets))
    except ValueError:
        return None


def parse_cidr(value: str) -> IPv4Network | IPv6Network | None:
    """A network, whatever bits are set beyond its prefix, or None."""
    text, slash, length = value.partition("/")
    address = parse_ip(text)
    if address is None or not slash or not (length.isascii() and length.isdigit() and len(length) < 5):
        return None
    if int(length) > address.max_prefixlen:
        return None
    if isinstance(address, IPv4Address):
        return IPv4Network((address, int(length)), strict=False)
    return IPv6Network((address, int(length)), strict=False)
