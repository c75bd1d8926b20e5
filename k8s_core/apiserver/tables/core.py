"""The columns of the core group and its neighbours: nodes, Services, endpoints, volumes, configuration, events."""

from collections.abc import Iterable
from typing import Any, Final

from k8s_core.api import Object
from k8s_core.apiserver.tables.cells import (
    NONE,
    UNKNOWN,
    UNSET,
    Column,
    age,
    at,
    condition,
    container_images,
    container_names,
    count,
    first,
    format_labels,
    get,
    labels_at,
    name,
    since,
)


def node_status(obj: Object, now: float) -> str:
    """Ready, NotReady or Unknown, and whether Pods may be scheduled."""
    ready = condition(obj, "Ready")
    status = "Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"
    return status + (",SchedulingDisabled" if get(obj, "spec", "unschedulable") else "")


def node_roles(obj: Object, now: float) -> str:
    """The roles that a node's labels name."""
    labels = obj["metadata"].get("labels") or {}
    roles = {
        key.removeprefix("node-role.kubernetes.io/") for key in labels if key.startswith("node-role.kubernetes.io/")
    }
    roles |= {labels.get("kubernetes.io/role", "")}
    return ",".join(sorted(roles - {""})) or NONE


def node_address(type: str) -> Column:
    """A node's first address of a type."""
    return lambda obj, now: next(
        (a.get("address", "") for a in get(obj, "status", "addresses") or () if a.get("type") == type), NONE
    )


def load_balancer(obj: Object) -> list[str]:
    """The addresses that a load balancer gave, in order."""
    ingress = get(obj, "status", "loadBalancer", "ingress") or ()
    return sorted({i.get("ip") or i.get("hostname") or "" for i in ingress} - {""})


def external_ip(obj: Object, now: float) -> str:
    """Where a Service can be reached from outside."""
    spec = obj.get("spec") or {}
    addresses = list(spec.get("externalIPs") or ())
    kind = spec.get("type")
    if kind in ("ClusterIP", "NodePort"):
        return ",".join(addresses) or NONE
    if kind == "LoadBalancer":
        return ",".join(load_balancer(obj) + addresses) or "<pending>"
    return spec.get("externalName", "") if kind == "ExternalName" else UNKNOWN


def service_ports(obj: Object, now: float) -> str:
    """A Service's ports, with the node's port where there is one."""
    pieces = [
        f"{p['port']}:{p['nodePort']}/{p.get('protocol', 'TCP')}"
        if p.get("nodePort")
        else f"{p['port']}/{p.get('protocol', 'TCP')}"
        for p in get(obj, "spec", "ports") or ()
    ]
    return ",".join(pieces) or NONE


def endpoints(obj: Object, now: float) -> str:
    """The first few addresses with their ports; with several subsets or ports each is counted."""
    subsets = obj.get("subsets") or ()
    if not subsets:
        return NONE
    found: list[str] = []
    for subset in subsets:
        addresses = [address.get("ip", "") for address in subset.get("addresses") or ()]
        if not subset.get("ports"):
            found += addresses
        for port in subset.get("ports") or ():
            found += [
                f"[{ip}]:{port.get('port', 0)}" if ":" in ip else f"{ip}:{port.get('port', 0)}" for ip in addresses
            ]
    return first(found, 3)


def slice_ports(obj: Object, now: float) -> str:
    """An EndpointSlice's ports; one that means any port by its name or "*"."""
    ports = obj.get("ports") or ()
    return first((str(p["port"] if p.get("port") is not None else p.get("name", "*")) for p in ports), 3, empty=UNSET)


def slice_endpoints(obj: Object, now: float) -> str:
    """An EndpointSlice's addresses."""
    slices: Iterable[Any] = obj.get("endpoints") or ()
    return first((address for endpoint in slices for address in endpoint.get("addresses") or ()), 3, empty=UNSET)


_ACCESS_MODES: Final = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def _access_modes(modes: Any) -> str:
    return ",".join(short for mode, short in _ACCESS_MODES.items() if mode in (modes or ()))


def storage_class(obj: Object, now: float) -> str:
    """The class of a volume or claim; the old annotation wins."""
    annotations = obj["metadata"].get("annotations") or {}
    found: str | None = annotations.get("volume.beta.kubernetes.io/storage-class")
    return found if found is not None else get(obj, "spec", "storageClassName") or ""


def volume_phase(obj: Object, now: float) -> str:
    """The phase of a volume or claim, unless it is being deleted."""
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else get(obj, "status", "phase") or ""


def volume_claim(obj: Object, now: float) -> str:
    """The claim that a volume is bound to."""
    claim = get(obj, "spec", "claimRef")
    return f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else ""


def _bound(show: Column) -> Column:
    return lambda obj, now: show(obj, now) if get(obj, "spec", "volumeName") else ""


def event_times(obj: Object, now: float) -> tuple[str, str]:
    """(first seen, last seen), from whichever fields the recorder filled in."""
    begin = since(obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime"), now)
    last = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp")
    series = obj.get("series")
    if series:
        return begin, since(series.get("lastObservedTime"), now)
    return begin, since(last, now) if last else begin


def event(obj: Object, now: float) -> list[Any]:
    """The cells of an Event, of either API group."""
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    begin, last = event_times(obj, now)
    component = source.get("component") or obj.get("reportingComponent") or obj.get("reportingController") or ""
    host = source.get("host") or obj.get("reportingInstance") or ""
    kind = about.get("kind", "").lower()
    return [
        last,
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{kind}/{about['name']}" if about.get("name") else kind,
        about.get("fieldPath", ""),
        f"{component}, {host}" if host else component,
        (obj.get("message") or obj.get("note") or "").strip(),
        begin,
        (obj.get("series") or {}).get("count") or obj.get("count") or obj.get("deprecatedCount") or 1,
        obj["metadata"].get("name", ""),
    ]


def quota(limits: bool) -> Column:
    """What of a quota is used, for requests or for limits."""

    def column(obj: Object, now: float) -> str:
        hard, used = get(obj, "status", "hard") or {}, get(obj, "status", "used") or {}
        names = [resource for resource in sorted(hard) if resource.startswith("limits.") == limits]
        return ", ".join(f"{resource}: {used.get(resource, '0')}/{hard[resource]}" for resource in names)

    return column


def component_health(key: str) -> Column:
    """What a ComponentStatus says of its component's health."""

    def column(obj: Object, now: float) -> str:
        found = next((c for c in obj.get("conditions") or () if c.get("type") == "Healthy"), None)
        if key != "status":
            return str((found or {}).get(key, ""))
        return "Unknown" if found is None else "Healthy" if found.get("status") == "True" else "Unhealthy"

    return column


_RC_TEMPLATE: Final = ("spec", "template", "spec")
TABLE: Final[dict[str, tuple[Column, ...]]] = {
    "namespaces": (name, at("status.phase"), age),
    "nodes": (
        name,
        node_status,
        node_roles,
        age,
        at("status.nodeInfo.kubeletVersion"),
        node_address("InternalIP"),
        node_address("ExternalIP"),
        at("status.nodeInfo.osImage", UNKNOWN),
        at("status.nodeInfo.kernelVersion", UNKNOWN),
        at("status.nodeInfo.containerRuntimeVersion", UNKNOWN),
    ),
    "services": (
        name,
        at("spec.type"),
        at("spec.clusterIP", NONE),
        external_ip,
        service_ports,
        age,
        labels_at("spec", "selector"),
    ),
    "endpoints": (name, endpoints, age),
    "endpointslices.discovery.k8s.io": (name, at("addressType"), slice_ports, slice_endpoints, age),
    "replicationcontrollers": (
        name,
        at("spec.replicas", 0),
        at("status.replicas", 0),
        at("status.readyReplicas", 0),
        age,
        container_names(*_RC_TEMPLATE),
        container_images(*_RC_TEMPLATE),
        labels_at("spec", "selector"),
    ),
    "podtemplates": (
        name,
        container_names("template", "spec"),
        container_images("template", "spec"),
        lambda obj, now: format_labels(get(obj, "template", "metadata", "labels")),
    ),
    "configmaps": (name, count("data", "binaryData"), age),
    "secrets": (name, at("type"), count("data"), age),
    "serviceaccounts": (name, age),
    "persistentvolumes": (
        name,
        at("spec.capacity.storage", "0"),
        lambda obj, now: _access_modes(get(obj, "spec", "accessModes")),
        at("spec.persistentVolumeReclaimPolicy"),
        volume_phase,
        volume_claim,
        storage_class,
        at("spec.volumeAttributesClassName", UNSET),
        at("status.reason"),
        age,
        at("spec.volumeMode", UNSET),
    ),
    "persistentvolumeclaims": (
        name,
        volume_phase,
        at("spec.volumeName"),
        _bound(at("status.capacity.storage", "0")),
        _bound(lambda obj, now: _access_modes(get(obj, "status", "accessModes"))),
        storage_class,
        at("spec.volumeAttributesClassName", UNSET),
        age,
        at("spec.volumeMode", UNSET),
    ),
    "resourcequotas": (name, quota(False), quota(True), age),
    "componentstatuses": (name, component_health("status"), component_health("message"), component_health("error")),
}
