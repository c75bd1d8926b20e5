"""Whether a node can take a Pod: the kubelet's own check, for Pods that a scheduler did not place.

Stands for pkg/kubelet/lifecycle/predicate.go and pkg/kubelet/sysctl. Left out: volumes, which the scheduler looks at.
"""

from k8s_core import limits
from k8s_core.api import Object, quantity
from k8s_core.api.placement import collide, host_ports, suits, untolerated

SAFE_SYSCTLS = (
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
)  # fmt: skip
"""What a Pod may set without --allowed-unsafe-sysctls; none of a namespace that is the node's own."""


def sysctl(name: str) -> str:
    """A setting's name with dots between its parts; where the first separator is a slash, dots are part of names."""
    first = min((at for at in (name.find("."), name.find("/")) if at >= 0), default=0)
    return name.translate(str.maketrans("./", "/.")) if name[first : first + 1] == "/" else name


def sysctls(spec: Object) -> dict[str, str]:
    """What a Pod sets."""
    return {sysctl(s["name"]): s["value"] for s in (spec.get("securityContext") or {}).get("sysctls") or ()}


def _forbidden_sysctl(spec: Object) -> str:
    for name in sysctls(spec):
        if name not in SAFE_SYSCTLS:
            return f'"{name}" not allowlisted'
        shared = {"net": "hostNetwork", "kernel": "hostIPC"}[name.split(".")[0]]
        if spec.get(shared):
            return f'"{name}" not allowed with host {"net" if shared == "hostNetwork" else "ipc"} enabled'
    return ""


READ = {"cpu": quantity.milli, "memory": quantity.value}


def check(spec: Object, node: Object | None, others: list[tuple[Object, dict[str, int]]]) -> tuple[str, str] | None:
    """Why a Pod is rejected, (reason, message), or None. `others` are specs and requests of the Pods that are there."""
    if why := _forbidden_sysctl(spec):
        return "SysctlForbidden", f"Pod was rejected: forbidden sysctl: {why}"
    allocatable = (node or {}).get("status", {}).get("allocatable") or limits.NODE_CAPACITY
    asked = requests(spec)
    for resource, read in READ.items():
        want, have, room = asked[resource], sum(used[resource] for _, used in others), read(allocatable[resource])
        if want and have + want > room:
            return f"OutOf{resource}", f"Pod was rejected: {_short(resource, want, have, room)}"
    if len(others) + 1 > int(allocatable["pods"]):
        return "OutOfpods", f"Pod was rejected: {_short('pods', 1, len(others), int(allocatable['pods']))}"
    metadata = (node or {}).get("metadata", {})
    if node and not suits(spec, metadata.get("labels") or {}, metadata["name"]):
        return _predicate("NodeAffinity", "didn't match Pod's node affinity/selector")
    ports = list(host_ports(spec))
    if ports and collide(ports, (port for other, _ in others for port in host_ports(other))):
        return _predicate("NodePorts", "didn't have free ports for the requested pod ports")
    if node and untolerated(node["spec"].get("taints") or (), spec.get("tolerations") or (), ["NoExecute"]):
        return _predicate("TaintToleration", "had taints that the pod didn't tolerate")
    return None


def _predicate(name: str, why: str) -> tuple[str, str]:
    return name, f"Pod was rejected: Predicate {name} failed: node(s) {why}"


def size(spec: Object, node: Object | None, used: list[dict[str, int]]) -> tuple[str, str] | None:
    """Why a Pod that runs cannot have the size it asks for now: (Infeasible or Deferred, message)."""
    allocatable = (node or {}).get("status", {}).get("allocatable") or limits.NODE_CAPACITY
    asked = requests(spec)
    rooms = {resource: (asked[resource], read(allocatable[resource])) for resource, read in READ.items()}
    for resource, (want, room) in reversed(rooms.items()):
        if want > room:
            text = f"Node didn't have enough capacity: {resource}, requested: {want}, capacity: {room}"
            return "Infeasible", text
    for resource, (want, room) in rooms.items():
        have = sum(u[resource] for u in used)
        if have + want > room:
            return "Deferred", _short(resource, want, have, room)
    return None


def requests(spec: Object) -> dict[str, int]:
    """What a Pod asks for: the sum of its containers, or the biggest init container."""

    def of(containers: list[Object], resource: str) -> list[int]:
        return [
            READ[resource](((c.get("resources") or {}).get("requests") or {}).get(resource) or "0") for c in containers
        ]

    return {
        resource: max([sum(of(spec["containers"], resource)), *of(spec.get("initContainers") or [], resource)])
        for resource in READ
    }


def _short(resource: str, want: int, used: int, room: int) -> str:
    return f"Node didn't have enough resource: {resource}, requested: {want}, used: {used}, capacity: {room}"
