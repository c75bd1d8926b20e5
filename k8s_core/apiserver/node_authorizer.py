"""What a kubelet may do: upstream's node authorizer (plugin/pkg/auth/authorizer/node).

A node reads the Secrets, ConfigMaps, volumes and ServiceAccounts that Pods bound to it refer to, its own Node,
Lease and CSINode, and otherwise has the fixed rules of the ClusterRole system:node. That a node writes only its
own Node and Pods is admission's part (NodeRestriction).

Upstream keeps a graph of all references. Here the Pods of one namespace are searched, and the Pod that gave the
answer is remembered: the next request for the same object looks at that Pod alone.
Left out: ResourceClaims and PersistentVolumes' own secrets.
"""

from collections.abc import Iterator

from k8s_core.api import Object, errors
from k8s_core.apiserver.reader import Reader
from k8s_core.apiserver.request import Asked, User

PREFIX = "system:node:"
OWN_OBJECT_VERBS = ("get", "create", "update", "patch", "delete")
READ_VERBS = ("get", "list", "watch")
Answer = tuple[bool, str]
ALLOW: Answer = (True, "")
NO_OPINION: Answer = (False, "")


def node_name(user: User) -> str:
    """The node that a kubelet's user names, or ""."""
    if "system:nodes" in user.groups and user.name.startswith(PREFIX):
        return user.name.removeprefix(PREFIX)
    return ""


class NodeAuthorizer:
    """`rules` are those of the ClusterRole system:node (kept here, so that changing the role changes nothing)."""

    def __init__(self, reader: Reader, rules: list[Object]) -> None:
        self._reader = reader
        self._rules: dict[tuple[str, str], set[str]] = {}
        for rule in rules:
            for group in rule.get("apiGroups") or ():
                for resource in rule.get("resources") or ():
                    self._rules.setdefault((group, resource), set()).update(rule["verbs"])
        self._witness: dict[tuple[str, str, str, str], str] = {}

    def authorize(self, user: User, asked: Asked, field_selector: str | None) -> Answer:
        """(allowed, reason); not allowed means no opinion, RBAC is asked next."""
        verb, group, resource, subresource, namespace, name, _ = asked
        node = node_name(user)
        if not node:
            return False, f'unknown node for user "{user.name}"'
        if not resource:
            return NO_OPINION
        match group, resource:
            case "", ("secrets" | "configmaps"):
                if verb not in READ_VERBS:
                    return False, "can only read resources of this type"
                if subresource:
                    return False, "cannot read subresource"
                if not namespace:
                    return False, "can only read namespaced object of this type"
                return self._related(node, resource, namespace, name or _selected(field_selector, "metadata.name"))
            case "", "persistentvolumeclaims" if subresource == "status":
                if verb not in ("update", "patch"):
                    return False, "can only get/update/patch this type"
                return self._related(node, resource, namespace, name)
            case ("", "persistentvolumeclaims" | "persistentvolumes") | ("storage.k8s.io", "volumeattachments"):
                if verb != "get":
                    return False, "can only get individual resources of this type"
                if subresource:
                    return False, "cannot get subresource"
                return self._related(node, resource, namespace, name)
            case "", "serviceaccounts":
                if verb != "create" or not name:
                    return False, "can only create tokens for individual service accounts"
                if subresource != "token":
                    return False, "can only create token subresource of serviceaccount"
                return self._related(node, resource, namespace, name)
            case "coordination.k8s.io", "leases":
                if verb not in OWN_OBJECT_VERBS:
                    return False, "can only get, create, update, patch, or delete a node lease"
                if namespace != "kube-node-lease":
                    return False, 'can only access leases in the "kube-node-lease" system namespace'
                if verb != "create" and name != node:
                    return False, "can only access node lease with the same name as the requesting node"
                return ALLOW
            case "storage.k8s.io", "csinodes":
                if verb not in OWN_OBJECT_VERBS:
                    return False, "can only get, create, update, patch, or delete a CSINode"
                if subresource:
                    return False, "cannot authorize CSINode subresources"
                if verb != "create" and name != node:
                    return False, "can only access CSINode with the same name as the requesting node"
                return ALLOW
            case "", "nodes":
                return self._nodes(node, verb, subresource, name or _selected(field_selector, "metadata.name"))
            case "", "pods":
                return self._pods(node, verb, subresource, namespace, name, field_selector)
        combined = f"{resource}/{subresource}" if subresource else resource
        return (verb in self._rules.get((group, combined), ()), "")

    def _nodes(self, node: str, verb: str, subresource: str, name: str) -> Answer:
        if not subresource and verb in ("create", "update", "patch"):
            return ALLOW
        if subresource == "status" and verb in ("update", "patch"):
            return ALLOW
        if subresource or verb not in READ_VERBS:
            return NO_OPINION
        if name == node:
            return ALLOW
        if not name:
            return False, f"node '{node}' cannot read all nodes, only its own Node object"
        return False, f"node '{node}' cannot read '{name}', only its own Node object"

    def _pods(
        self, node: str, verb: str, subresource: str, namespace: str, name: str, field_selector: str | None
    ) -> Answer:
        match subresource, verb:
            case "", ("create" | "delete"):
                return ALLOW
            case ("status", "update" | "patch") | ("eviction", "create"):
                return ALLOW
            case "", "get":
                return self._related(node, "pods", namespace, name)
            case "", ("list" | "watch"):
                if field_selector is None or _selected(field_selector, "spec.nodeName") == node:
                    return ALLOW
                if name:
                    return self._related(node, "pods", namespace, name)
                return False, "can only list/watch pods with spec.nodeName field selector"
        return NO_OPINION

    def _related(self, node: str, resource: str, namespace: str, name: str) -> Answer:
        if not name:
            return False, "No Object name found"
        if resource in ("persistentvolumes", "volumeattachments") or self._has_pod(node, resource, namespace, name):
            return ALLOW
        return False, f"no relationship found between node '{node}' and this object"

    def _has_pod(self, node: str, resource: str, namespace: str, name: str) -> bool:
        key = (node, resource, namespace, name)
        witness = name if resource == "pods" else self._witness.get(key)
        if witness:
            try:
                pod = self._reader.get("pods", witness, namespace)
            except errors.StatusError:
                pod = {}
            if _refers(pod, node, resource, name):
                return True
            self._witness.pop(key, None)
        for pod in self._reader.list("pods", namespace):
            if _refers(pod, node, resource, name):
                self._witness[key] = pod["metadata"]["name"]
                return True
        return False


def _refers(pod: Object, node: str, resource: str, name: str) -> bool:
    spec = pod.get("spec") or {}
    if spec.get("nodeName") != node:
        return False
    if resource == "pods":
        return bool(pod["metadata"]["name"] == name)
    if resource == "serviceaccounts":
        return bool(spec.get("serviceAccountName") == name)
    return any(kind == resource and each == name for kind, each in references(pod))


def references(pod: Object) -> Iterator[tuple[str, str]]:
    """The (resource, name) pairs of the Secrets, ConfigMaps and claims that a Pod uses, all in its namespace."""
    spec = pod.get("spec") or {}
    for each in spec.get("imagePullSecrets") or ():
        yield "secrets", each.get("name", "")
    for list_name in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(list_name) or ():
            for source in container.get("envFrom") or ():
                yield "secrets", (source.get("secretRef") or {}).get("name", "")
                yield "configmaps", (source.get("configMapRef") or {}).get("name", "")
            for env in container.get("env") or ():
                source = env.get("valueFrom") or {}
                yield "secrets", (source.get("secretKeyRef") or {}).get("name", "")
                yield "configmaps", (source.get("configMapKeyRef") or {}).get("name", "")
    for volume in spec.get("volumes") or ():
        yield "secrets", (volume.get("secret") or {}).get("secretName", "")
        yield "configmaps", (volume.get("configMap") or {}).get("name", "")
        yield "persistentvolumeclaims", (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
        if "ephemeral" in volume:
            yield "persistentvolumeclaims", f"{pod['metadata']['name']}-{volume['name']}"
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield "secrets", (source.get("secret") or {}).get("name", "")
            yield "configmaps", (source.get("configMap") or {}).get("name", "")


def _selected(field_selector: str | None, field: str) -> str:
    """The value that a field selector requires of `field`, or ""."""
    for term in (field_selector or "").split(","):
        key, _, value = term.replace("==", "=").partition("=")
        if key == field:
            return value
    return ""
