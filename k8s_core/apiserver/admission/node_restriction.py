"""NodeRestriction: a kubelet changes its own Node and the Pods bound to it, nothing else."""

from typing import ClassVar

from k8s_core.api import Object
from k8s_core.apiserver.admission.plugin import CREATE, DELETE, MIRROR, UPDATE, Plugin, forbidden
from k8s_core.apiserver.node_authorizer import node_name, references
from k8s_core.apiserver.request import Request

# Labels that a kubelet may set on its own Node although their prefix is reserved.
KUBELET_LABELS = frozenset(
    {
        "kubernetes.io/hostname", "kubernetes.io/arch", "kubernetes.io/os", "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os", "beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone",
        "topology.kubernetes.io/region", "topology.kubernetes.io/zone",
    }
)  # fmt: skip
LABELS_REFUSED = "is not allowed to modify labels"


class NodeRestriction(Plugin):
    name: ClassVar[str] = "NodeRestriction"
    resources: ClassVar[frozenset[str]] = frozenset({"nodes", "pods", "leases.coordination.k8s.io"})
    operations: ClassVar[frozenset[str]] = frozenset({CREATE, UPDATE, DELETE})

    def mutate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        node = node_name(request.user)
        if node:
            self._check(node, request, obj, old)

    def validate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        # Deletions and status updates are validated only.
        node = node_name(request.user)
        if node and (obj is None or request.subresource == "status"):
            self._check(node, request, obj, old)

    def _check(self, node: str, request: Request, obj: Object | None, old: Object | None) -> None:
        assert request.resource is not None
        match request.resource.name:
            case "pods":
                self._check_pod(node, request, obj, old)
            case "nodes":
                self._check_node(node, request, obj, old)
            case _:
                self._check_lease(node, request, obj)

    def _check_pod(self, node: str, request: Request, obj: Object | None, old: Object | None) -> None:
        if obj is None or old is not None:
            if obj is not None and request.subresource != "status":
                raise forbidden(request, obj, 'unexpected operation "UPDATE"')
            what = "delete pods" if obj is None else "update pod status for pods"
            if ((old or {}).get("spec") or {}).get("nodeName") != node:
                raise forbidden(request, obj, f'node "{node}" can only {what} with spec.nodeName set to itself')
            return
        if MIRROR not in (obj["metadata"].get("annotations") or {}):
            why = f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods'
            raise forbidden(request, obj, why)
        if obj["spec"].get("nodeName") != node:
            raise forbidden(request, obj, f'node "{node}" can only create pods with spec.nodeName set to itself')
        if obj["spec"].get("serviceAccountName"):
            raise forbidden(request, obj, f'node "{node}" can not create pods that reference a service account')
        for resource, name in references(obj):
            if name:
                raise forbidden(request, obj, f'node "{node}" can not create pods that reference {resource}')

    def _check_node(self, node: str, request: Request, obj: Object | None, old: Object | None) -> None:
        if request.name != node:
            raise forbidden(request, obj, f'node "{node}" is not allowed to modify node "{request.name}"')
        if obj is None:
            return
        if old is not None and (obj.get("spec") or {}).get("taints") != (old.get("spec") or {}).get("taints"):
            raise forbidden(request, obj, f'node "{node}" is not allowed to modify taints')
        new, was = ((each or {}).get("metadata", {}).get("labels") or {} for each in (obj, old))
        changed = {key for key in {*new, *was} if new.get(key) != was.get(key)}
        if refused := ", ".join(sorted(key for key in changed if _reserved(key))):
            what = f'node "{node}" is not allowed to set the following labels' if old is None else LABELS_REFUSED
            raise forbidden(request, obj, f"{what}: {refused}")

    def _check_lease(self, node: str, request: Request, obj: Object | None) -> None:
        if request.namespace == "kube-node-lease" and request.name != node:
            why = "can only access node lease with the same name as the requesting node"
            raise forbidden(request, obj, why)


def _reserved(label: str) -> bool:
    prefix, slash, _ = label.partition("/")
    if not slash:
        return False
    if _below(prefix, "node-restriction.kubernetes.io"):
        return True
    if label in KUBELET_LABELS or _below(prefix, "kubelet.kubernetes.io") or _below(prefix, "node.kubernetes.io"):
        return False
    return _below(prefix, "kubernetes.io") or _below(prefix, "k8s.io")


def _below(prefix: str, domain: str) -> bool:
    return prefix == domain or prefix.endswith(f".{domain}")
