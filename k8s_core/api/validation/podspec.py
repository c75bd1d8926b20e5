"""A Pod's spec, alone or in a template, in upstream's order. Stands for `ValidatePodSpec` and its kin."""

from typing import Final

from k8s_core.api import Object, names, quantity
from k8s_core.api.field import duplicate, forbidden, invalid, not_supported, required
from k8s_core.api.validation import affinity, containers, meta, resources, security, volumes
from k8s_core.api.validation.common import (
    MAX_INT32,
    Errors,
    bad,
    dns_label,
    dns_subdomain,
    each,
    ip_address,
    listed,
    nanos,
    number,
    one_of,
    qualified_name,
    shown,
    strings,
    sub,
    text,
)

RESTART_POLICIES: Final = ("Always", "OnFailure", "Never")
DNS_POLICIES: Final = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
MAX_NAMESERVERS: Final = 3
MAX_SEARCHES: Final = 32
MAX_SEARCH_CHARACTERS: Final = 2048
WINDOWS_FORBIDDEN: Final = ("hostUsers", "hostPID", "hostIPC", "shareProcessNamespace")


def spec(node: Object, path: str, *, pod_name: str = "", is_pod: bool = False) -> Errors:
    """A Pod's spec; `is_pod` and the name where it belongs to a Pod and not to a template."""
    if node.get("terminationGracePeriodSeconds") is None:
        yield required(f"{path}.terminationGracePeriodSeconds")
    found: dict[str, Object] = {}
    yield from volumes.volumes(node, path, pod_name, found)
    claims = {text(c or {}, "name") for c in listed(node, "resourceClaims")} - {""}
    yield from _resource_claims(node, path)
    context = containers.Context(node, found, claims)
    yield from containers.regular(context, path)
    yield from containers.init(context, path)
    yield from containers.ephemeral(context, path)
    if node.get("resources") is not None:
        yield from _pod_resources(node, path, claims)
    if node.get("hostNetwork"):
        yield from _host_network_ports(node, path, is_pod)
    yield from one_of(node, "restartPolicy", path, RESTART_POLICIES)
    yield from one_of(node, "dnsPolicy", path, DNS_POLICIES)
    yield from meta.labels(node.get("nodeSelector"), f"{path}.nodeSelector")
    yield from security.pod(node, path)
    yield from affinity.affinity(node, path)
    yield from _dns_config(node, f"{path}.dnsConfig")
    for place, gate in each(node, "readinessGates", path):
        yield from qualified_name(f"{place}.conditionType", text(gate, "conditionType"))
    yield from _scheduling_gates(node, path)
    yield from affinity.topology_spread(node, path)
    yield from _host_users(node, path)
    for field, check in (("serviceAccountName", dns_subdomain), ("nodeName", dns_subdomain)):
        if node.get(field):
            yield from check(f"{path}.{field}", node[field])
    deadline = node.get("activeDeadlineSeconds")
    if deadline is not None:
        place = f"{path}.activeDeadlineSeconds"
        yield from bad(place, deadline, names.in_range(deadline, 1, MAX_INT32))
    for field in ("hostname", "subdomain"):
        if node.get(field):
            yield from dns_label(f"{path}.{field}", node[field])
    yield from affinity.tolerations(listed(node, "tolerations"), f"{path}.tolerations")
    for place, alias in each(node, "hostAliases", path):
        yield from ip_address(f"{place}.ip", text(alias, "ip"))
        for index, name in enumerate(strings(alias, "hostnames")):
            yield from dns_subdomain(f"{place}.hostnames[{index}]", name)
    if node.get("priorityClassName"):
        yield from dns_subdomain(f"{path}.priorityClassName", node["priorityClassName"])
    if node.get("runtimeClassName") is not None:
        yield from dns_subdomain(f"{path}.runtimeClassName", node["runtimeClassName"])
    if node.get("preemptionPolicy") is not None:
        yield from one_of(node, "preemptionPolicy", path, ("PreemptLowerPriority", "Never"))
    if node.get("overhead"):
        overhead = {"limits": node["overhead"]}
        place = f"{path}.overhead"
        yield from resources.requirements(overhead, place, resources.container_name, set())
    if node.get("os") is not None:
        yield from _os(node, path)


def template(node: Object | None, path: str) -> Errors:
    """A Pod template."""
    node = node or {}
    metadata = sub(node, "metadata")
    yield from meta.labels(metadata.get("labels"), f"{path}.labels")
    yield from meta.annotations(metadata.get("annotations"), f"{path}.annotations")
    yield from spec(sub(node, "spec"), f"{path}.spec")
    if listed(sub(node, "spec"), "ephemeralContainers"):
        why = "ephemeral containers not allowed in pod template"
        yield forbidden(f"{path}.spec.ephemeralContainers", why)


def _resource_claims(node: Object, path: str) -> Errors:
    seen: set[str] = set()
    for place, claim in each(node, "resourceClaims", path):
        name = text(claim, "name")
        if not name:
            yield required(f"{place}.name")
        elif name in seen:
            yield duplicate(f"{place}.name", name)
        else:
            yield from dns_label(f"{place}.name", name)
        seen.add(name)
        kinds = [k for k in ("resourceClaimName", "resourceClaimTemplateName") if claim.get(k) is not None]
        go = {
            "Name": name,
            "ResourceClaimName": claim.get("resourceClaimName"),
            "ResourceClaimTemplateName": claim.get("resourceClaimTemplateName"),
        }
        if len(kinds) > 1:
            why = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            yield invalid(place, go, why)
        elif not kinds:
            why = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            yield invalid(place, go, why)
        for kind in kinds:
            yield from dns_subdomain(f"{place}.{kind}", claim[kind])


def _pod_resources(node: Object, path: str, claims: set[str]) -> Errors:
    found, place = sub(node, "resources"), f"{path}.resources"
    if found.get("claims") is not None:
        yield forbidden(f"{place}.claims", "claims cannot be set for Resources at pod-level")
    yield from resources.requirements(found, place, resources.pod_name, claims)
    requests, limits = sub(found, "requests"), sub(found, "limits")
    asked: dict[str, int] = {}
    for container in listed(node, "containers"):
        for name, value in sub(container or {}, "resources", "requests").items():
            asked[name] = asked.get(name, 0) + nanos(value)
    for name, total in asked.items():
        have = requests.get(name) or "0"
        if total > nanos(have):
            why = f"must be greater than or equal to aggregate container requests of {quantity.format(total)}"
            yield invalid(f"{place}.requests[{name}]", shown(have), why)
    for index, container in enumerate(listed(node, "containers")):
        for name, value in sub(container or {}, "resources", "limits").items():
            if name in limits and nanos(value) > nanos(limits[name]):
                why = f"must be less than or equal to pod limits of {shown(limits[name])}"
                yield invalid(f"{place}.containers[{index}][{name}].limits", shown(value), why)


def _host_network_ports(node: Object, path: str, is_pod: bool) -> Errors:
    for where, container in each(node, "containers", path):
        for place, port in each(container, "ports", where):
            host, own = number(port, "hostPort"), number(port, "containerPort")
            if (is_pod or host) and host != own:
                why = "must match `containerPort` when `hostNetwork` is true"
                yield invalid(f"{place}.hostPort", host, why)


def _dns_config(node: Object, path: str) -> Errors:
    config = node.get("dnsConfig")
    if node.get("dnsPolicy") == "None":
        if config is None:
            yield required(path, "must provide `dnsConfig` when `dnsPolicy` is None")
            return
        if not listed(config, "nameservers"):
            why = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            yield required(f"{path}.nameservers", why)
            return
    if config is None:
        return
    servers, searches = strings(config, "nameservers"), strings(config, "searches")
    if len(servers) > MAX_NAMESERVERS:
        why = f"must not have more than {MAX_NAMESERVERS} nameservers"
        yield invalid(f"{path}.nameservers", servers, why)
    for index, server in enumerate(servers):
        yield from ip_address(f"{path}.nameservers[{index}]", server)
    if len(searches) > MAX_SEARCHES:
        yield invalid(f"{path}.searches", searches, f"must not have more than {MAX_SEARCHES} search paths")
    if len(" ".join(searches)) > MAX_SEARCH_CHARACTERS:
        why = f"must not have more than {MAX_SEARCH_CHARACTERS} characters (including spaces) in the search list"
        yield invalid(f"{path}.searches", searches, why)
    for index, search in enumerate(searches):
        if search != ".":
            value = search.removesuffix(".")
            # Underscores are allowed here; otherwise it is a DNS subdomain.
            messages = names.dns1123_subdomain(value.replace("_", "a"))
            yield from bad(f"{path}.searches[{index}]", value, messages)
    for place, option in each(config, "options", path):
        if not option.get("name"):
            yield required(place, "must not be empty")


def _scheduling_gates(node: Object, path: str) -> Errors:
    seen: set[str] = set()
    for place, gate in each(node, "schedulingGates", path):
        name = text(gate, "name")
        yield from qualified_name(place, name)
        if name in seen:
            yield duplicate(place, name)
        seen.add(name)


def _host_users(node: Object, path: str) -> Errors:
    if node.get("hostUsers") is False:
        for field, go_name in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
            if node.get(field):
                yield forbidden(f"{path}.{go_name}", "when `pod.Spec.HostUsers` is false")


def _os(node: Object, path: str) -> Errors:
    name = text(node["os"], "name")
    context = sub(node, "securityContext")
    if not name:
        yield required(f"{path}.os.name", "cannot be empty")
    elif name not in ("linux", "windows"):
        yield not_supported(f"{path}.os", name, ("linux", "windows"))
    elif name == "linux":
        if context.get("windowsOptions") is not None:
            why = "windows options cannot be set for a linux pod"
            yield forbidden(f"{path}.securityContext.windowsOptions", why)
    else:
        for field in sorted(set(context) - {"windowsOptions", "runAsNonRoot"}):
            if context[field]:
                yield forbidden(f"{path}.securityContext.{field}", "cannot be set for a windows pod")
        for field in WINDOWS_FORBIDDEN:
            if node.get(field) is not None:
                yield forbidden(f"{path}.{field}", "cannot be set for a windows pod")
