"""A Pod's spec, alone or in a template: what is logic. Stands for `ValidatePodSpec` and its kin."""

import re
from typing import Any, Final

import orjson

from k8s_core.api import Object, names, quantity
from k8s_core.api.field import duplicate, forbidden, invalid, not_supported, required
from k8s_core.api.validation import resources, tags, volumes
from k8s_core.api.validation.common import MAX_INT32, Errors, bad, each, earlier, listed, number, strings, sub, text
from k8s_core.api.validation.containers import Context
from k8s_core.api.validation.formats import ip, long_name, nanos, short_name, shown

MAX_NAMESERVERS: Final = 3
MAX_SEARCHES: Final = 32
MAX_SEARCH_CHARACTERS: Final = 2048
MAX_REMEMBERED: Final = 256
MAX_REMEMBERED_SIZE: Final = 16_384  # bytes
TOKEN_VOLUME: Final = re.compile("kube-api-access-[a-z0-9]{5}")
WINDOWS_FORBIDDEN: Final = ("hostUsers", "hostPID", "hostIPC", "shareProcessNamespace")

_good: Final[set[bytes]] = set()


def spec(node: Object, path: str, *, pod_name: str = "", is_pod: bool = False) -> Errors:
    """A Pod's spec; `is_pod` and the name where it belongs to a Pod and not to a template.

    The replicas of one template are looked through once: a spec that is like a good one is good.
    """
    key = _alike(node, is_pod, pod_name)
    if key in _good:
        return
    errors = list(_spec(node, path, pod_name, is_pod))
    yield from errors
    if not errors and len(key) <= MAX_REMEMBERED_SIZE:
        if len(_good) >= MAX_REMEMBERED:
            _good.clear()
        _good.add(key)


def _alike(node: Object, is_pod: bool, pod_name: str) -> bytes:
    """Equal for specs that only differ by what the volume with the Pod's token is called."""
    volumes = listed(node, "volumes")
    named = pod_name if any((volume or {}).get("ephemeral") for volume in volumes) else ""
    found = orjson.dumps((node, is_pod, named))
    last = text(volumes[-1] or {}, "name") if volumes else ""
    return found.replace(last.encode(), b"\0") if TOKEN_VOLUME.fullmatch(last) else found


def _spec(node: Object, path: str, pod_name: str, is_pod: bool) -> Errors:
    if node.get("terminationGracePeriodSeconds") is None:
        yield required(f"{path}.terminationGracePeriodSeconds")
    found: dict[str, Object] = {}
    yield from volumes.volumes(node, path, pod_name, found)
    claims = {text(c or {}, "name") for c in listed(node, "resourceClaims")} - {""}
    yield from tags.validate("PodSpec", node, path, Context(node, found, claims, is_pod))


def template_spec(node: Object | None, path: str) -> Errors:
    """The spec of the Pods that a template makes."""
    yield from spec(node or {}, path)


def template(node: Object | None, path: str) -> Errors:
    """A Pod template."""
    yield from tags.validate("PodTemplateSpec", node, path)


def resource_claim(node: Object | None, path: str, claims: list[Any]) -> Errors:
    """A device that the Pod claims, by a claim or by a template for one."""
    claim = node or {}
    name = text(claim, "name")
    if not name:
        yield required(f"{path}.name")
    elif name in (text(other, "name") for other in earlier(claims, path)):
        yield duplicate(f"{path}.name", name)
    else:
        yield from bad(f"{path}.name", name, short_name(name))
    sources = ("resourceClaimName", "resourceClaimTemplateName")
    kinds = [kind for kind in sources if claim.get(kind) is not None]
    go = {"Name": name, **{kind[0].upper() + kind[1:]: claim.get(kind) for kind in sources}}
    if len(kinds) > 1:
        why = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
        yield invalid(path, go, why)
    elif not kinds:
        yield invalid(path, go, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`")
    for kind in kinds:
        yield from bad(f"{path}.{kind}", claim[kind], long_name(claim[kind]))


def pod_resources(found: Object, place: str, node: Object, context: Context) -> Errors:
    """What a whole Pod asks for, and that its containers do not ask for more."""
    if found.get("claims") is not None:
        yield forbidden(f"{place}.claims", "claims cannot be set for Resources at pod-level")
    yield from resources.requirements(found, place, resources.pod_name, context.claims)
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


def host_network_ports(node: Object, path: str, within: Object, context: Context) -> Errors:
    """In the node's network a port is what it is."""
    for where, container in each(node, "containers", path):
        for place, port in each(container, "ports", where):
            host, own = number(port, "hostPort"), number(port, "containerPort")
            if (context.is_pod or host) and host != own:
                why = "must match `containerPort` when `hostNetwork` is true"
                yield invalid(f"{place}.hostPort", host, why)


def dns_config(node: Object, path: str) -> Errors:
    """A resolver's configuration, where the cluster's own is not enough."""
    path, config = f"{path}.dnsConfig", node.get("dnsConfig")
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
        yield from bad(f"{path}.nameservers[{index}]", server, ip(server))
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


def deadline(seconds: int, path: str) -> Errors:
    """How long a Pod may run."""
    yield from bad(path, seconds, names.in_range(seconds, 1, MAX_INT32))


def overhead(amounts: Object, path: str) -> Errors:
    """What the runtime needs besides the containers."""
    yield from resources.requirements({"limits": amounts}, path, resources.container_name, set())


def operating_system(node: Object, path: str) -> Errors:
    """What does not exist on the Pod's system is not asked for."""
    if node.get("os") is None:
        return
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
