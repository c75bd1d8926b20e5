"""Namespaces, ConfigMaps, Secrets, Nodes, Events, Leases, certificate requests and token requests.

Stands for parts of core's validation and for coordination's, certificates' and authentication's.
"""

import base64
import binascii
from typing import Any, Final

import orjson
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from k8s_core.api import Object, names
from k8s_core.api.field import FieldError, duplicate, forbidden, invalid, required, too_long
from k8s_core.api.validation import resources, tags
from k8s_core.api.validation.common import Errors, bad, earlier, immutable, listed, sub, text
from k8s_core.api.validation.formats import label_key

MAX_DATA: Final = 1024 * 1024
"""The size of a ConfigMap's or Secret's data (MaxSecretSize)."""
SET_FOR_GOOD: Final = "field is immutable when `immutable` is set"
ACCOUNT_NAME: Final = "kubernetes.io/service-account.name"
EVENT_LIMITS: Final = {"reportingInstance": 128, "action": 128, "reason": 128}
NOTE_LIMIT: Final = 1024
REDACTED: Final = "<secret contents redacted>"


def namespace_status(new: Object, old: Object) -> Errors:
    """A Namespace is Terminating if and only if it is being deleted."""
    phase = text(sub(new, "status"), "phase")
    if not sub(new, "metadata").get("deletionTimestamp"):
        if phase != "Active":
            yield invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")
    elif phase != "Terminating":
        why = "may only be 'Terminating' if `deletionTimestamp` is not empty"
        yield invalid("status.Phase", phase, why)


def config_map(obj: Object) -> Errors:
    """A ConfigMap: keys that can be file names, and not too much data."""
    size = 0
    data, binary = sub(obj, "data"), sub(obj, "binaryData")
    for key, value in data.items():
        yield from bad(f"data[{key}]", key, names.config_map_key(key))
        if key in binary:
            yield invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
        size += len((value or "").encode(errors="replace"))
    for key, value in binary.items():
        yield from bad(f"binaryData[{key}]", key, names.config_map_key(key))
        size += _decoded_size(value)
    if size > MAX_DATA:
        yield too_long("[]", MAX_DATA)


def config_map_update(new: Object, old: Object) -> Errors:
    """A changed ConfigMap."""
    yield from _immutable_data(new, old, ("data", "binaryData"))
    yield from config_map(new)


def secret(obj: Object) -> Errors:
    """A Secret: keys, size, and what its type asks for."""
    data, size = sub(obj, "data"), 0
    for key, value in data.items():
        yield from bad(f"data[{key}]", key, names.config_map_key(key))
        size += _decoded_size(value)
    if size > MAX_DATA:
        yield too_long("data", MAX_DATA)
    match text(obj, "type"):
        case "kubernetes.io/service-account-token":
            if not sub(obj, "metadata", "annotations").get(ACCOUNT_NAME):
                yield required(f"metadata.annotations[{ACCOUNT_NAME}]")
        case "kubernetes.io/dockercfg":
            yield from _json(data, ".dockercfg")
        case "kubernetes.io/dockerconfigjson":
            yield from _json(data, ".dockerconfigjson")
        case "kubernetes.io/basic-auth":
            if "username" not in data and "password" not in data:
                yield required("data[username]")
                yield required("data[password]")
        case "kubernetes.io/ssh-auth":
            if not data.get("ssh-privatekey"):
                yield required("data[ssh-privatekey]")
        case "kubernetes.io/tls":
            for key in ("tls.crt", "tls.key"):
                if key not in data:
                    yield required(f"data[{key}]")


def secret_update(new: Object, old: Object) -> Errors:
    """A changed Secret: its type stays."""
    yield from immutable("type", text(new, "type"), text(old, "type"))
    yield from _immutable_data(new, old, ("data",))
    yield from secret(new)


def _immutable_data(new: Object, old: Object, fields: tuple[str, ...]) -> Errors:
    if old.get("immutable"):
        if not new.get("immutable"):
            yield forbidden("immutable", SET_FOR_GOOD)
        for name in fields:
            if (new.get(name) or {}) != (old.get(name) or {}):
                yield forbidden(name, SET_FOR_GOOD)


def _decoded_size(value: str | None) -> int:
    encoded = value or ""
    return len(encoded) // 4 * 3 - encoded[-2:].count("=")


def _json(data: Object, key: str) -> Errors:
    if key not in data:
        yield required(f"data[{key}]")
        return
    try:
        plain = base64.b64decode(data[key] or "")
        wrong = "" if isinstance(orjson.loads(plain), dict) else _go_json_error(plain)
    except (binascii.Error, orjson.JSONDecodeError):
        wrong = _go_json_error(plain)
    if wrong:
        yield invalid(f"data[{key}]", REDACTED, wrong)


def _go_json_error(plain: bytes) -> str:
    found = plain.strip().decode(errors="replace")
    if not found:
        return "unexpected end of JSON input"
    if found[0] in '[0123456789"tfn-':
        return "json: cannot unmarshal into Go value of type map[string]interface {}"
    if found[0] == "{":
        return "unexpected end of JSON input"
    return f"invalid character '{found[0]}' looking for beginning of value"


def pod_cidrs(found: list[str] | None, path: str) -> Errors:
    """A Node's part of the Pod network, one for each IP family."""
    cidrs = [value or "" for value in found or ()]
    for index, cidr in enumerate(cidrs):
        yield from bad(f"{path}[{index}]", cidr, names.cidr(cidr))
    if len(cidrs) > 2 or (len(cidrs) == 2 and (":" in cidrs[0]) == (":" in cidrs[1])):
        yield invalid(path, cidrs, "may specify no more than one CIDR for each IP family")
    for index, cidr in enumerate(cidrs):
        if cidr in cidrs[:index]:
            yield duplicate(f"{path}[{index}]", cidr)


def node_update(new: Object, old: Object) -> Errors:
    """A changed Node: its Pod network and provider's id are set once."""
    after, before = sub(new, "spec"), sub(old, "spec")
    if new.get("status") is not old.get("status"):
        yield from node_resources(new)
        addresses = listed(sub(new, "status"), "addresses")
        for index, address in enumerate(addresses):
            if address in addresses[:index]:
                shown = {"Type": text(address or {}, "type"), "Address": text(address or {}, "address")}
                yield duplicate(f"status.addresses[{index}]", shown)
    if after is before:
        return
    if listed(before, "podCIDRs") and listed(after, "podCIDRs") != listed(before, "podCIDRs"):
        why = 'node updates may not change podCIDR except from "" to valid'
        yield forbidden("spec.podCIDRs", why)
    if before.get("providerID") and after.get("providerID") != before["providerID"]:
        why = 'node updates may not change providerID except from "" to valid'
        yield forbidden("spec.providerID", why)
    yield from tags.validate("NodeTaints", new, "")


def taint(node: Object | None, path: str, taints: list[Any]) -> Errors:
    """No taint before has the same key and effect."""
    this = node or {}
    own = (text(this, "key"), text(this, "effect"))
    if own in ((text(other, "key"), text(other, "effect")) for other in earlier(taints, path)):
        shown = {"Key": own[0], "Value": text(this, "value"), "Effect": own[1], "TimeAdded": this.get("timeAdded")}
        why = "taints must be unique by key and effect pair"
        yield FieldError("FieldValueDuplicate", path, why, shown)


def node_resources(obj: Object) -> Errors:
    """What a Node has."""
    for kind in ("capacity", "allocatable"):
        for name, value in sub(obj, "status", kind).items():
            yield from resources.amount(name, value or "0", f"status.{kind}.{name}")


def event(obj: Object) -> Errors:
    """An Event, of either API group."""
    new_style = obj.get("apiVersion") == "events.k8s.io/v1"
    about = sub(obj, "regarding" if new_style else "involvedObject")
    own, other = text(sub(obj, "metadata"), "namespace"), text(about, "namespace")
    path = "involvedObject.namespace"
    if not obj.get("eventTime"):
        if own != other if other else own not in ("", "default"):
            yield invalid(path, other, "does not match event.namespace")
        if new_style:
            yield required("eventTime")
        return
    if not other and own not in ("default", "kube-system"):
        yield invalid(path, other, "does not match event.namespace")
    controller = text(obj, "reportingController" if new_style else "reportingComponent")
    if not controller:
        yield required("reportingController")
    yield from bad("reportingController", controller, label_key(controller))
    for name, limit in EVENT_LIMITS.items():
        if not obj.get(name):
            yield required(name)
        elif len(obj[name]) > limit:
            yield invalid(name, "", f"can have at most {limit} characters")
    if len(text(obj, "note" if new_style else "message")) > NOTE_LIMIT:
        yield invalid("message", "", f"can have at most {NOTE_LIMIT} characters")
    if new_style and text(obj, "type") not in ("Normal", "Warning"):
        yield invalid("type", "", f"has invalid value: {text(obj, 'type')}")


def signer_name(signer: str, path: str) -> Errors:
    """Who is to sign: example.com/signer-name."""
    domain, _, name = signer.partition("/")
    if signer.count("/") != 1 or not domain or not name:
        yield invalid(path, signer, "must be a fully qualified domain and path of the form 'example.com/signer-name'")
        return
    yield from bad(path, domain, names.dns1123_subdomain(domain))
    if "." not in domain:
        yield invalid(path, domain, "should be a domain with at least two segments separated by dots")
    yield from bad(path, name, names.dns1123_subdomain(name))


def signing_request(encoded: str | None, path: str) -> Errors:
    """A request in PEM, signed with its own key."""
    if wrong := _request_error(encoded or ""):
        yield invalid(path, encoded or "", wrong)


def _request_error(encoded: str) -> str:
    try:
        request = x509.load_pem_x509_csr(base64.b64decode(encoded))
        return "" if request.is_signature_valid else "x509: signature is not valid"
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        return "PEM block type must be CERTIFICATE REQUEST"
