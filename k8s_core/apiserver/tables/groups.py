"""The columns of the other groups: networking, storage, RBAC, certificates, admission, flow control and the rest."""

from typing import Final

from k8s_core.api import Object
from k8s_core.apiserver.tables.cells import (
    NONE,
    UNSET,
    Column,
    age,
    at,
    condition,
    count,
    get,
    human_duration,
    joined,
    name,
    selector_at,
)
from k8s_core.apiserver.tables.core import load_balancer


def ingress_hosts(obj: Object, now: float) -> str:
    """The first three hosts of an Ingress; "*" for any."""
    rules = get(obj, "spec", "rules") or ()
    hosts = [rule["host"] for rule in rules[:3] if rule.get("host")]
    text = ",".join(hosts) or "*"
    return f"{text} + {len(rules) - 3} more..." if len(hosts) == 3 and len(rules) > 3 else text


def ingress_class_parameters(obj: Object, now: float) -> str:
    """What an IngressClass refers to: "Kind.group/name"."""
    found = get(obj, "spec", "parameters")
    if not found:
        return NONE
    group = found.get("apiGroup")
    return f"{found.get('kind', '')}{'.' + group if group else ''}/{found.get('name', '')}"


def address_parent(obj: Object, now: float) -> str:
    """What an IP address was given to: "services/default/web"."""
    parent = get(obj, "spec", "parentRef")
    if not parent:
        return NONE
    resource = ".".join(part for part in (parent.get("resource", ""), parent.get("group", "")) if part).lower()
    return "/".join(part for part in (resource, parent.get("namespace", ""), parent.get("name", "")) if part)


def storage_class_name(obj: Object, now: float) -> str:
    """A StorageClass' name, marked if claims get it by default."""
    annotations = obj["metadata"].get("annotations") or {}
    keys = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
    return name(obj, now) + (" (default)" if any(annotations.get(key) == "true" for key in keys) else "")


def role(obj: Object, now: float) -> str:
    """The role that a binding gives."""
    return f"{get(obj, 'roleRef', 'kind') or ''}/{get(obj, 'roleRef', 'name') or ''}"


def subjects(kind: str) -> Column:
    """The names of a binding's subjects of one kind."""

    def column(obj: Object, now: float) -> str:
        found = [subject for subject in obj.get("subjects") or () if subject.get("kind") == kind]
        spaces = kind == "ServiceAccount"
        return ", ".join(f"{s.get('namespace', '')}/{s['name']}" if spaces else s["name"] for s in found)

    return column


def requested_duration(obj: Object, now: float) -> str:
    """How long a certificate is to be valid."""
    seconds = get(obj, "spec", "expirationSeconds")
    return NONE if seconds is None else human_duration(seconds)


def request_condition(obj: Object, now: float) -> str:
    """What became of a certificate signing request."""
    types = {c.get("type") for c in get(obj, "status", "conditions") or ()}
    status = "Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"
    failed = ",Failed" if "Failed" in types else ""
    return status + failed + (",Issued" if get(obj, "status", "certificate") else "")


def api_service(obj: Object, now: float) -> str:
    """Who serves an API version."""
    service = get(obj, "spec", "service")
    return f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"


def api_available(obj: Object, now: float) -> str:
    """Whether an API version can be used, and if not, why."""
    found = condition(obj, "Available")
    if found is None:
        return "Unknown"
    return "True" if found.get("status") == "True" else f"{found.get('status')} ({found.get('reason', '')})"


def dangling(obj: Object, now: float) -> str:
    """Whether a flow schema's priority level is missing."""
    found = condition(obj, "Dangling")
    return "?" if found is None else str(found.get("status"))


def param_kind(obj: Object, now: float) -> str:
    """What configures an admission policy."""
    kind = get(obj, "spec", "paramKind")
    return f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else UNSET


def param_ref(obj: Object, now: float) -> str:
    """Which object configures an admission policy's binding."""
    ref = get(obj, "spec", "paramRef")
    if not ref:
        return UNSET
    if ref.get("name"):
        return f"{ref.get('namespace') or '*'}/{ref['name']}"
    return str(selector_at("spec", "paramRef", "selector")(obj, now)) if ref.get("selector") else UNSET


def audiences(obj: Object, now: float) -> str:
    """For whom a CSI driver gets tokens."""
    return ",".join(r.get("audience", "") for r in get(obj, "spec", "tokenRequests") or ()) or UNSET


def claim_state(obj: Object, now: float) -> str:
    """Whether a resource claim is allocated, and in use."""
    status = obj.get("status") or {}
    states = [
        *(["deleted"] if obj["metadata"].get("deletionTimestamp") else []),
        *(
            ["allocated"]
            if status.get("allocation")
            else []
            if obj["metadata"].get("deletionTimestamp")
            else ["pending"]
        ),
        *(["reserved"] if status.get("reservedFor") else []),
    ]
    return ",".join(states)


_QUEUING: Final = "spec.limited.limitResponse.queuing."
_BINDING: Final = (name, role, age, subjects("User"), subjects("Group"), subjects("ServiceAccount"))
_WEBHOOKS: Final = (name, count("webhooks"), age)
TABLE: Final[dict[str, tuple[Column, ...]]] = {
    "ingresses.networking.k8s.io": (
        name,
        at("spec.ingressClassName", NONE),
        ingress_hosts,
        lambda obj, now: ",".join(load_balancer(obj)),
        lambda obj, now: "80, 443" if get(obj, "spec", "tls") else "80",
        age,
    ),
    "ingressclasses.networking.k8s.io": (name, at("spec.controller"), ingress_class_parameters, age),
    "networkpolicies.networking.k8s.io": (name, selector_at("spec", "podSelector"), age),
    "ipaddresses.networking.k8s.io": (name, address_parent),
    "servicecidrs.networking.k8s.io": (name, joined("spec", "cidrs"), age),
    "storageclasses.storage.k8s.io": (
        storage_class_name,
        at("provisioner"),
        at("reclaimPolicy", "Delete"),
        at("volumeBindingMode", "Immediate"),
        at("allowVolumeExpansion", False),
        age,
    ),
    "volumeattachments.storage.k8s.io": (
        name,
        at("spec.attacher"),
        at("spec.source.persistentVolumeName"),
        at("spec.nodeName"),
        at("status.attached", False),
        age,
    ),
    "volumeattributesclasses.storage.k8s.io": (name, at("driverName"), age),
    "csidrivers.storage.k8s.io": (
        name,
        at("spec.attachRequired", True),
        at("spec.podInfoOnMount", False),
        at("spec.storageCapacity", False),
        audiences,
        at("spec.requiresRepublish", False),
        joined("spec", "volumeLifecycleModes", default=NONE),
        age,
    ),
    "csinodes.storage.k8s.io": (name, count("spec.drivers"), age),
    "rolebindings.rbac.authorization.k8s.io": _BINDING,
    "clusterrolebindings.rbac.authorization.k8s.io": _BINDING,
    "certificatesigningrequests.certificates.k8s.io": (
        name,
        age,
        at("spec.signerName", NONE),
        at("spec.username"),
        requested_duration,
        request_condition,
    ),
    "leases.coordination.k8s.io": (name, at("spec.holderIdentity"), age),
    "runtimeclasses.node.k8s.io": (name, at("handler"), age),
    "priorityclasses.scheduling.k8s.io": (
        name,
        at("value", 0),
        at("globalDefault", False),
        age,
        at("preemptionPolicy"),
    ),
    "apiservices.apiregistration.k8s.io": (name, api_service, api_available, age),
    "flowschemas.flowcontrol.apiserver.k8s.io": (
        name,
        at("spec.priorityLevelConfiguration.name", NONE),
        at("spec.matchingPrecedence", 0),
        at("spec.distinguisherMethod.type", NONE),
        age,
        dangling,
    ),
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io": (
        name,
        at("spec.type"),
        at("spec.limited.nominalConcurrencyShares", NONE),
        at(_QUEUING + "queues", NONE),
        at(_QUEUING + "handSize", NONE),
        at(_QUEUING + "queueLengthLimit", NONE),
        age,
    ),
    "validatingwebhookconfigurations.admissionregistration.k8s.io": _WEBHOOKS,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": _WEBHOOKS,
    "validatingadmissionpolicies.admissionregistration.k8s.io": (name, count("spec.validations"), param_kind, age),
    "mutatingadmissionpolicies.admissionregistration.k8s.io": (name, count("spec.mutations"), param_kind, age),
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": (name, at("spec.policyName"), param_ref, age),
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": (name, at("spec.policyName"), param_ref, age),
    "deviceclasses.resource.k8s.io": (name, age),
    "resourceclaims.resource.k8s.io": (name, claim_state, age),
    "resourceclaimtemplates.resource.k8s.io": (name, age),
    "resourceslices.resource.k8s.io": (name, at("spec.nodeName"), at("spec.driver"), at("spec.pool.name"), age),
}
