"""The plugins that are off unless `--enable-admission-plugins` names them; each is a few lines of policy.

Left out: ImagePolicyWebhook, which asks another server about every image.
"""

from collections.abc import Iterator
from typing import ClassVar

import orjson

from k8s_core.api import Object, errors
from k8s_core.api.validation.pods import qos_class
from k8s_core.apiserver.admission.plugin import CREATE, DELETE, UPDATE, Plugin, forbidden
from k8s_core.apiserver.request import Request, User

PODS = frozenset({"pods"})
HOSTNAME = "kubernetes.io/hostname"
MEMORY_PRESSURE = {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"}
APISERVER = User("system:apiserver", ("system:masters",))
NODE_SELECTOR = "scheduler.alpha.kubernetes.io/node-selector"
BLOCKED = "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: "


class _Optional(Plugin):
    by_default: ClassVar[bool] = False


class AlwaysAdmit(_Optional):
    name: ClassVar[str] = "AlwaysAdmit"


class AlwaysDeny(_Optional):
    name: ClassVar[str] = "AlwaysDeny"
    operations: ClassVar[frozenset[str]] = frozenset({CREATE, UPDATE, DELETE})

    def validate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        raise forbidden(request, obj, "admission control is denying all modifications")


class AlwaysPullImages(_Optional):
    """Every container's imagePullPolicy is Always, so that a Pod proves it may have the image."""

    name: ClassVar[str] = "AlwaysPullImages"
    resources: ClassVar[frozenset[str]] = PODS

    def mutate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        if request.subresource in ("", "ephemeralcontainers"):
            for container in _containers(obj["spec"]):
                container["imagePullPolicy"] = "Always"


class NamespaceAutoProvision(_Optional):
    """What is created in a namespace that is not there makes it."""

    name: ClassVar[str] = "NamespaceAutoProvision"
    operations: ClassVar[frozenset[str]] = frozenset({CREATE})

    def mutate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert request.resource is not None
        if not request.resource.namespaced or request.dry_run or self.find("namespaces", request.namespace):
            return
        namespaces = self.reader.resource_of("", "v1", "Namespace")
        assert self.backends is not None
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": request.namespace}}
        asked = Request(
            verb="create", resource=namespaces, name=request.namespace, user=APISERVER, object=made, in_process=True
        )
        self.backends.registry.create(asked, made)


class NamespaceExists(_Optional):
    name: ClassVar[str] = "NamespaceExists"
    operations: ClassVar[frozenset[str]] = frozenset({CREATE, UPDATE, DELETE})

    def validate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert request.resource is not None
        if request.resource.namespaced and self.find("namespaces", request.namespace) is None:
            raise errors.not_found("namespaces", request.namespace)


class LimitPodHardAntiAffinityTopology(_Optional):
    """Required anti-affinity between Pods may name no wider topology than a node."""

    name: ClassVar[str] = "LimitPodHardAntiAffinityTopology"
    resources: ClassVar[frozenset[str]] = PODS

    def validate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        anti = ((obj["spec"].get("affinity") or {}).get("podAntiAffinity")) or {}
        for term in anti.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
            if term.get("topologyKey") != HOSTNAME:
                why = (
                    f"affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey {term.get('topologyKey')} "
                    f"but only key {HOSTNAME} is allowed"
                )
                raise forbidden(request, obj, why)


class DenyServiceExternalIPs(_Optional):
    """Nobody adds external IPs to a Service; they may be taken away."""

    name: ClassVar[str] = "DenyServiceExternalIPs"
    resources: ClassVar[frozenset[str]] = frozenset({"services"})

    def validate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        had = set(((old or {}).get("spec") or {}).get("externalIPs") or ())
        if not request.subresource and set(obj["spec"].get("externalIPs") or ()) - had:
            raise forbidden(request, obj, "Use of external IPs is denied by admission control.")


class ExtendedResourceToleration(_Optional):
    """A Pod that asks for a device tolerates the taint of the nodes that have it."""

    name: ClassVar[str] = "ExtendedResourceToleration"
    resources: ClassVar[frozenset[str]] = PODS
    operations: ClassVar[frozenset[str]] = frozenset({CREATE})

    def mutate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        spec = obj["spec"]
        asked = {name for each in _containers(spec) for name in (each.get("resources") or {}).get("requests") or {}}
        tolerations = list(spec.get("tolerations") or ())
        for name in sorted(name for name in asked if "/" in name and "kubernetes.io/" not in name):
            toleration = {"key": name, "operator": "Exists", "effect": "NoSchedule"}
            if toleration not in tolerations:
                tolerations.append(toleration)
        if tolerations:
            spec["tolerations"] = tolerations


class PodNodeSelector(_Optional):
    """A namespace's annotation adds to its Pods' node selector."""

    name: ClassVar[str] = "PodNodeSelector"
    resources: ClassVar[frozenset[str]] = PODS
    operations: ClassVar[frozenset[str]] = frozenset({CREATE})

    def mutate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        namespace = self.find("namespaces", request.namespace) or {"metadata": {}}
        text = (namespace["metadata"].get("annotations") or {}).get(NODE_SELECTOR, "")
        wanted = dict(pair.strip().partition("=")[::2] for pair in text.split(",") if pair)
        own = obj["spec"].get("nodeSelector") or {}
        if any(own.get(key, value) != value for key, value in wanted.items()):
            raise forbidden(request, obj, "pod node label selector conflicts with its namespace node label selector")
        if wanted:
            obj["spec"]["nodeSelector"] = {**own, **wanted}


class PodTolerationRestriction(_Optional):
    """A namespace's annotations give its Pods tolerations, and say which ones they may have at most."""

    name: ClassVar[str] = "PodTolerationRestriction"
    resources: ClassVar[frozenset[str]] = PODS

    def mutate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        if request.subresource:
            return
        spec, given = obj["spec"], self._annotated(request, "defaultTolerations", "default") if old is None else None
        tolerations = merged(given or [], spec.get("tolerations") or [])
        if qos_class(obj["spec"]) != "BestEffort":
            tolerations = merged(tolerations, [MEMORY_PRESSURE])
        if tolerations:
            spec["tolerations"] = tolerations
        self.validate(request, obj, old)

    def validate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        allowed = self._annotated(request, "tolerationsWhitelist", "whitelist")
        if request.subresource or not allowed:
            return
        if not all(any(covers(each, one) for each in allowed) for one in obj["spec"].get("tolerations") or ()):
            why = "pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace"
            raise errors.StatusError(500, "", f"{why} whitelist")

    def _annotated(self, request: Request, annotation: str, configured: str) -> list[Object] | None:
        """What the namespace's annotation says, or else the configuration."""
        namespace = self.find("namespaces", request.namespace) or {"metadata": {}}
        text = (namespace["metadata"].get("annotations") or {}).get(f"scheduler.alpha.kubernetes.io/{annotation}")
        if text is None:
            return self.configuration.get(configured)
        try:
            return list(orjson.loads(text or "[]"))
        except (ValueError, TypeError) as error:
            raise errors.internal(f"cannot parse {annotation} of namespace {request.namespace}: {error}") from None


def covers(wide: Object, narrow: Object) -> bool:
    """Whether a toleration tolerates whatever another one does (isSuperset)."""
    if wide == narrow:
        return True
    key, operator, effect = wide.get("key", ""), wide.get("operator", ""), wide.get("effect", "")
    if key not in ("", narrow.get("key", "")) or (not key and operator != "Exists"):
        return False
    if effect not in ("", narrow.get("effect", "")):
        return False
    if effect == "NoExecute" and (most := wide.get("tolerationSeconds")) is not None:
        seconds = narrow.get("tolerationSeconds")
        if seconds is None or seconds > most:
            return False
    same = narrow.get("operator") == "Equal" and narrow.get("value", "") == wide.get("value", "")
    return operator == "Exists" or (operator in ("", "Equal") and same)


def merged(first: list[Object], second: list[Object]) -> list[Object]:
    """Both, without those that another one covers."""
    found = [*first, *second]
    return [
        one
        for i, one in enumerate(found)
        if not any(covers(other, one) and (j < i or other != one) for j, other in enumerate(found) if j != i)
    ]


class OwnerReferencesPermissionEnforcement(_Optional):
    """Owner references are changed by those only who may delete the object, and block those who may finalize it."""

    name: ClassVar[str] = "OwnerReferencesPermissionEnforcement"

    def validate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None and request.resource is not None
        if self.authorizer is None:
            return
        now, before = (((each or {}).get("metadata") or {}).get("ownerReferences") or [] for each in (obj, old))
        if now == before:
            return
        resource, authorize = request.resource, self.authorizer.authorize
        where = (request.namespace, obj["metadata"].get("name", ""))
        if old is not None:
            allowed, reason = authorize(request.user, "delete", resource.group, resource.name, "", *where)
            if not allowed:
                why = f"cannot set an ownerRef on a resource you can't delete: {reason}, <nil>"
                raise forbidden(request, obj, why)
        for owner in now:
            if not owner.get("blockOwnerDeletion") or owner in before:
                continue
            group, _, version = owner["apiVersion"].rpartition("/")
            kind = self.reader.resource_of(group, version, owner["kind"])
            if kind is None:
                continue
            allowed, reason = authorize(
                request.user, "update", group, kind.name, "finalizers", request.namespace, owner["name"]
            )
            if not allowed:
                raise forbidden(request, obj, f"{BLOCKED}{reason}, <nil>")


def _containers(spec: Object) -> Iterator[Object]:
    for name in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(name) or ()
