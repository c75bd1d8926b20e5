"""NamespaceLifecycle: nothing is created where no namespace is, or in one that is going away."""

from typing import ClassVar

from k8s_core.api import Object, errors
from k8s_core.apiserver.admission.plugin import CREATE, DELETE, Plugin, forbidden
from k8s_core.apiserver.request import Request

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


class NamespaceLifecycle(Plugin):
    name: ClassVar[str] = "NamespaceLifecycle"
    operations: ClassVar[frozenset[str]] = frozenset({CREATE, DELETE})

    def mutate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        resource, namespace = request.resource, request.namespace
        assert resource is not None
        if old is not None or not resource.namespaced or not namespace or resource.kind == "LocalSubjectAccessReview":
            return
        found = self.find("namespaces", namespace)
        if found is None:
            raise errors.not_found("namespaces", namespace)
        if "deletionTimestamp" in found["metadata"] or (found.get("status") or {}).get("phase") == "Terminating":
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise forbidden(request, obj, why, [cause])

    def validate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        resource = request.resource
        assert resource is not None
        if obj is None and resource.group_resource == "namespaces" and request.name in IMMORTAL:
            raise errors.forbidden(resource, request.name, "this namespace may not be deleted")
