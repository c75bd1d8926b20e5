"""The namespace controller: empties a namespace that is being deleted, then lets it go.

Promises: Pods go first, and the rest only when they are gone; what remains, and the finalizers it waits for, stand in
the conditions; the finalizer "kubernetes" is removed only from an empty namespace.
Stands for pkg/controller/namespace and its deletion package.
"""

from collections import Counter
from collections.abc import Iterable

from k8s_core.api import Object
from k8s_core.api.errors import StatusError, ignoring, is_not_found, unavailable
from k8s_core.api.resources import Resource
from k8s_core.controllers.controller import Controller, condition, is_deleting, with_status
from k8s_core.limits import NAMESPACE_DELETION_GRACE

FINALIZER = "kubernetes"
FINALIZER_ESTIMATE = 15  # finalizerEstimateSeconds: a guess at how long a finalizer takes
# Condition, its reason and message when there is nothing to complain of.
CONDITIONS = (
    ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    (
        "NamespaceDeletionGroupVersionParsingFailure",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    (
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    ("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"),
    ("NamespaceFinalizersRemaining", "ContentRemoved", "All content successfully removed"),
)


class NamespaceController(Controller):
    name = "namespace-controller"
    aliases = ("namespace",)
    account = "namespace-controller"

    def setup(self) -> None:
        self.namespaces = self.informer("namespaces", self.changed, lambda _, new: self.changed(new))

    def changed(self, namespace: Object) -> None:
        """Wait a little: what was created in the last moment should be seen."""
        if is_deleting(namespace):
            self.queue.add_after(namespace["metadata"]["name"], NAMESPACE_DELETION_GRACE)

    def sync(self, key: str) -> None:
        try:
            namespace = self.client.get("namespaces", key)
        except StatusError as error:
            if is_not_found(error):
                return
            raise
        finalizers = namespace["spec"].get("finalizers") or []
        if not is_deleting(namespace) or FINALIZER not in finalizers:
            return
        remaining, failures = self.empty(key)
        unseen = self.unseen()
        namespace = self.tell(namespace, remaining, failures, unseen)
        if failures or unseen:
            raise failures[0] if failures else unavailable(unseen)
        if remaining:
            self.queue.add_after(key, estimate(remaining) // 2 + 1)
            return
        kept = [each for each in finalizers if each != FINALIZER]
        self.client.update("namespaces", {**namespace, "spec": {**namespace["spec"], "finalizers": kept}}, "finalize")

    def empty(self, namespace: str) -> tuple[dict[Resource, list[Object]], list[StatusError]]:
        """Delete everything in it. What is still there afterwards, and what went wrong."""
        remaining: dict[Resource, list[Object]] = {}
        failures: list[StatusError] = []
        deletable = [
            each for each in self.client.resources if each.namespaced and {"delete", "list"} <= set(each.verbs)
        ]
        # Pods first: while they run, they may need what they read their configuration from.
        for resource in sorted(deletable, key=lambda each: each.group_resource != "pods"):
            if self.client.resources.find(resource.group_resource) is not resource:
                continue  # another version of the same objects
            try:
                if left := self.empty_of(resource, namespace):
                    remaining[resource] = left
            except StatusError as error:
                failures.append(error)
            if resource.group_resource == "pods" and (remaining or failures):
                break
        return remaining, failures

    def empty_of(self, resource: Resource, namespace: str) -> list[Object]:
        name = resource.group_resource
        objects = self.client.list(name, namespace)
        for obj in objects:
            if not is_deleting(obj):
                with ignoring(is_not_found):
                    self.client.delete(name, obj["metadata"]["name"], namespace, propagation="Background")
        return self.client.list(name, namespace) if objects else []

    def unseen(self) -> str:
        """Which groups of aggregated APIs do not answer, so that nobody knows what is in them."""
        stale = sorted("/".join(where) for where, rows in self.client.resources.remote.items() if rows is None)
        if not stale:
            return ""
        texts = ", ".join(f"{each}: stale GroupVersion discovery: {each}" for each in stale)
        count = f"Discovery failed for some groups, {len(stale)} failing: "
        return f"{count}unable to retrieve the complete list of server APIs: {texts}"

    def tell(
        self, namespace: Object, remaining: dict[Resource, list[Object]], failures: list[StatusError], unseen: str
    ) -> Object:
        """Write the conditions if they changed."""
        problems: dict[str, tuple[str, str]] = {}
        if unseen:
            problems["NamespaceDeletionDiscoveryFailure"] = "DiscoveryFailed", unseen
        if failures:
            texts = sorted(each.message for each in failures)
            problems["NamespaceDeletionContentFailure"] = (
                "ContentDeletionFailed",
                f"Failed to delete all resource types, {len(texts)} remaining: {', '.join(texts)}",
            )
        if remaining:
            counts = sorted(f"{r.name}.{r.group} has {len(left)} resource instances" for r, left in remaining.items())
            problems["NamespaceContentRemaining"] = (
                "SomeResourcesRemain",
                f"Some resources are remaining: {', '.join(counts)}",
            )
        finalizers = Counter(name for each in all_of(remaining) for name in each["metadata"].get("finalizers") or ())
        if finalizers:
            counts = sorted(f"{name} in {count} resource instances" for name, count in finalizers.items())
            problems["NamespaceFinalizersRemaining"] = (
                "SomeFinalizersRemain",
                f"Some content in the namespace has finalizers remaining: {', '.join(counts)}",
            )
        old = (namespace.get("status") or {}).get("conditions") or []
        new = []
        for kind, reason, message in CONDITIONS:
            verdict = ("True", *problems[kind]) if kind in problems else ("False", reason, message)
            entry = dict(zip(("status", "reason", "message"), verdict, strict=True)) | {"type": kind}
            known = condition(old, kind)
            still = known is not None and known.get("status") == entry["status"]
            since = known.get("lastTransitionTime") if known and still else self.loop.timestamp()
            new.append({**entry, "lastTransitionTime": since})
        if new == old:
            return namespace
        status = {**(namespace.get("status") or {}), "conditions": new}
        return self.client.update_status("namespaces", with_status(namespace, status))


def all_of(remaining: dict[Resource, list[Object]]) -> Iterable[Object]:
    return (obj for left in remaining.values() for obj in left)


def estimate(remaining: dict[Resource, list[Object]]) -> int:
    """Seconds until what remains should be gone."""
    graces = [
        obj["metadata"].get("deletionGracePeriodSeconds")
        or (FINALIZER_ESTIMATE if obj["metadata"].get("finalizers") else 1)
        for obj in all_of(remaining)
    ]
    return max(graces, default=0)
