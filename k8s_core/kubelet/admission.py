"""Whether a node can take a Pod: the kubelet's own check, for Pods that a scheduler did not place.

Stands for pkg/kubelet/lifecycle/predicate.go and pkg/kubelet/sysctl. Left out: volumes, which the scheduler looks at.
"""

from k8s_core import limits
from k8s_core.api import Object
from k8s_core.api.placement import collide, host_ports, suits, untolerated
from k8s_core.api.requests import Amounts, amounts, pod_requests
from k8s_core.api.validation.resources import is_extended

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


FIRST = ("cpu", "memory", "ephemeral-storage")
"""What is looked at before all other resources."""
LINUX = "kubernetes.io/os"


def check(pod: Object, node: Object | None, others: list[tuple[Object, Amounts]]) -> tuple[str, str] | None:
    """Why a Pod is rejected, (reason, message), or None. `others` are specs and requests of the Pods that are there."""
    spec = pod["spec"]
    if why := _forbidden_sysctl(spec):
        return "SysctlForbidden", f"Pod was rejected: forbidden sysctl: {why}"
    if (pod["metadata"].get("labels") or {}).get(LINUX, "linux") != "linux":
        why = f"Failed to admit pod as the `{LINUX}` label doesn't match node label"
        return "PodOSSelectorNodeLabelDoesNotMatch", f"Pod was rejected: {why}"
    if (spec.get("os") or {}).get("name", "linux") != "linux":
        return "PodOSNotSupported", "Pod was rejected: Failed to admit pod as the OS field doesn't match node OS"
    allocatable = _allocatable(node)
    if len(others) + 1 > allocatable["pods"]:
        return "OutOfpods", f"Pod was rejected: {_short('pods', 1, len(others), allocatable['pods'])}"
    asked = pod_requests(spec)
    for resource in (*FIRST, *sorted(asked.keys() - set(FIRST))):
        want, room = asked.get(resource, 0), allocatable.get(resource, 0)
        have = sum(used.get(resource, 0) for _, used in others)
        unknown = resource not in allocatable and is_extended(resource)  # the scheduler's business alone
        if want and have + want > room and not unknown:
            return f"OutOf{resource}", f"Pod was rejected: {_short(resource, want, have, room)}"
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


def _allocatable(node: Object | None) -> Amounts:
    return amounts((node or {}).get("status", {}).get("allocatable") or limits.NODE_CAPACITY)


def size(spec: Object, node: Object | None, used: list[Amounts]) -> tuple[str, str] | None:
    """Why a Pod that runs cannot have the size it asks for now: (Infeasible or Deferred, message)."""
    allocatable, asked = _allocatable(node), pod_requests(spec)
    for resource in ("memory", "cpu"):
        want, room = asked.get(resource, 0), allocatable[resource]
        if want > room:
            text = f"Node didn't have enough capacity: {resource}, requested: {want}, capacity: {room}"
            return "Infeasible", text
    for resource in ("cpu", "memory"):
        want, have = asked.get(resource, 0), sum(u.get(resource, 0) for u in used)
        if have + want > allocatable[resource]:
            return "Deferred", _short(resource, want, have, allocatable[resource])
    return None


def _short(resource: str, want: int, used: int, room: int) -> str:
    return f"Node didn't have enough resource: {resource}, requested: {want}, used: {used}, capacity: {room}"
