"""Namespaces, ConfigMaps, Secrets, Nodes, Events, Leases, certificate requests and token requests.

Stands for parts of core's validation and for coordination's, certificates' and authentication's.
"""

import base64
import binascii
from typing import Final

import orjson
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from k8s_core.api import Object, names
from k8s_core.api.field import FieldError, duplicate, forbidden, invalid, required, too_long
from k8s_core.api.validation import meta, resources, tags
from k8s_core.api.validation.common import (
    Errors,
    bad,
    each,
    immutable,
    listed,
    qualified_name,
    strings,
    sub,
    text,
)
from k8s_core.api.validation.formats import NEGATIVE, NOT_POSITIVE

MAX_DATA: Final = 1024 * 1024
"""The size of a ConfigMap's or Secret's data (MaxSecretSize)."""
SET_FOR_GOOD: Final = "field is immutable when `immutable` is set"
ACCOUNT_NAME: Final = "kubernetes.io/service-account.name"
EVENT_LIMITS: Final = {"reportingInstance": 128, "action": 128, "reason": 128}
NOTE_LIMIT: Final = 1024
TOKEN_SECONDS: Final = (600, 2**32)
REDACTED: Final = "<secret contents redacted>"


def namespace(obj: Object) -> Errors:
    """A Namespace."""
    for value in strings(sub(obj, "spec"), "finalizers"):
        yield from qualified_name("spec.finalizers", value)
        yield from meta.kube_finalizer(value, "spec.finalizers")


def namespace_update(new: Object, old: Object) -> Errors:
    """A changed Namespace: only its metadata can be wrong."""
    yield from ()


def namespace_status(new: Object, old: Object) -> Errors:
    """A Namespace is Terminating if and only if it is being deleted."""
    phase = text(sub(new, "status"), "phase")
    if not sub(new, "metadata").get("deletionTimestamp"):
        if phase != "Active":
            yield invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")
    elif phase != "Terminating":
        why = "may only be 'Terminating' if `deletionTimestamp` is not empty"
        yield invalid("status.Phase", phase, why)


def namespace_finalize(new: Object, old: Object) -> Errors:
    """The finalizers of a Namespace's spec."""
    for index, value in enumerate(strings(sub(new, "spec"), "finalizers")):
        yield from qualified_name(f"spec.finalizers[{index}]", value)
        yield from meta.kube_finalizer(value, f"spec.finalizers[{index}]")


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


def node(obj: Object) -> Errors:
    """A Node."""
    yield from _taints(obj)
    yield from _node_resources(obj)
    cidrs = strings(sub(obj, "spec"), "podCIDRs")
    path = "spec.podCIDRs"
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
        yield from _node_resources(new)
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
    yield from _taints(new)


def _taints(obj: Object) -> Errors:
    seen: set[tuple[str, str]] = set()
    # Upstream reports taints under metadata.
    for place, taint in each(sub(obj, "spec"), "taints", "metadata"):
        key, value, effect = (text(taint, name) for name in ("key", "value", "effect"))
        yield from qualified_name(f"{place}.key", key)
        if messages := names.label_value(value):
            yield invalid(f"{place}.value", value, ";".join(messages))
        yield from tags.validate("TaintEffect", taint, place)
        if (key, effect) in seen:
            shown = {"Key": key, "Value": value, "Effect": effect, "TimeAdded": taint.get("timeAdded")}
            why = "taints must be unique by key and effect pair"
            yield FieldError("FieldValueDuplicate", place, why, shown)
        seen.add((key, effect))


def _node_resources(obj: Object) -> Errors:
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
    yield from qualified_name("reportingController", controller)
    for name, limit in EVENT_LIMITS.items():
        if not obj.get(name):
            yield required(name)
        elif len(obj[name]) > limit:
            yield invalid(name, "", f"can have at most {limit} characters")
    if len(text(obj, "note" if new_style else "message")) > NOTE_LIMIT:
        yield invalid("message", "", f"can have at most {NOTE_LIMIT} characters")
    if new_style and text(obj, "type") not in ("Normal", "Warning"):
        yield invalid("type", "", f"has invalid value: {text(obj, 'type')}")


def lease(obj: Object) -> Errors:
    """A Lease."""
    spec = sub(obj, "spec")
    duration, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if duration is not None and duration <= 0:
        yield invalid("spec.leaseDurationSeconds", duration, NOT_POSITIVE)
    if transitions is not None and transitions < 0:
        yield invalid("spec.leaseTransitions", transitions, NEGATIVE)


def signing_request(obj: Object) -> Errors:
    """A CertificateSigningRequest."""
    spec = sub(obj, "spec")
    request = text(spec, "request")
    if wrong := _request_error(request):
        yield invalid("spec.request", request, wrong)
    usages = strings(spec, "usages")
    if not usages:
        yield required("spec.usages")
    for index, usage in enumerate(usages):
        if usage in usages[:index]:
            yield duplicate(f"spec.usages[{index}]", usage)
    signer, path = text(spec, "signerName"), "spec.signerName"
    if not signer:
        yield required(path)
    elif signer.count("/") != 1 or not all(signer.split("/")):
        why = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        yield invalid(path, signer, why)
    else:
        yield from _signer(path, *signer.split("/"))
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < TOKEN_SECONDS[0]:
        why = "may not specify a duration less than 600 seconds (10 minutes)"
        yield invalid("spec.expirationSeconds", seconds, why)


def _signer(path: str, domain: str, name: str) -> Errors:
    yield from bad(path, domain, names.dns1123_subdomain(domain))
    if "." not in domain:
        yield invalid(path, domain, "should be a domain with at least two segments separated by dots")
    yield from bad(path, name, names.dns1123_subdomain(name))


def _request_error(encoded: str) -> str:
    try:
        request = x509.load_pem_x509_csr(base64.b64decode(encoded))
        return "" if request.is_signature_valid else "x509: signature is not valid"
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        return "PEM block type must be CERTIFICATE REQUEST"


def signing_request_update(new: Object, old: Object) -> Errors:
    """A changed CertificateSigningRequest: its spec never changes (the registry keeps the old one)."""
    yield from ()


def token_request(obj: Object) -> Errors:
    """How long a ServiceAccount's token is to live."""
    seconds = sub(obj, "spec").get("expirationSeconds")
    low, high = TOKEN_SECONDS
    if seconds is not None and seconds < low:
        yield invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
    if seconds is not None and seconds > high:
        why = "may not specify a duration larger than 2^32 seconds"
        yield invalid("spec.expirationSeconds", seconds, why)
    ref = sub(obj, "spec").get("boundObjectRef")
    if ref is not None and not ref.get("name"):
        yield required("spec.boundObjectRef.name")
