"""Claims and Ingresses that name no class get the default one: DefaultStorageClass and DefaultIngressClass."""

from typing import ClassVar

from k8s_core.api import Object
from k8s_core.apiserver.admission.plugin import CREATE, Plugin
from k8s_core.apiserver.request import Request


class _DefaultClass(Plugin):
    """`field` of the spec gets the name of the class that `annotation` marks; the newest, then the first by name."""

    operations: ClassVar[frozenset[str]] = frozenset({CREATE})
    classes: ClassVar[str]
    annotation: ClassVar[str]
    field: ClassVar[str]

    def mutate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        if request.subresource or self.has_class(obj):
            return
        marked = [
            each["metadata"]
            for each in self.reader.list(self.classes)
            if (each["metadata"].get("annotations") or {}).get(self.annotation) == "true"
        ]
        if marked:
            newest = max(each["creationTimestamp"] for each in marked)
            obj["spec"][self.field] = min(each["name"] for each in marked if each["creationTimestamp"] == newest)

    def has_class(self, obj: Object) -> bool:
        return obj["spec"].get(self.field) is not None


class DefaultStorageClass(_DefaultClass):
    name: ClassVar[str] = "DefaultStorageClass"
    resources: ClassVar[frozenset[str]] = frozenset({"persistentvolumeclaims"})
    classes: ClassVar[str] = "storageclasses.storage.k8s.io"
    annotation: ClassVar[str] = "storageclass.kubernetes.io/is-default-class"
    field: ClassVar[str] = "storageClassName"


class DefaultIngressClass(_DefaultClass):
    name: ClassVar[str] = "DefaultIngressClass"
    resources: ClassVar[frozenset[str]] = frozenset({"ingresses.networking.k8s.io"})
    classes: ClassVar[str] = "ingressclasses.networking.k8s.io"
    annotation: ClassVar[str] = "ingressclass.kubernetes.io/is-default-class"
    field: ClassVar[str] = "ingressClassName"

    def has_class(self, obj: Object) -> bool:
        legacy = "kubernetes.io/ingress.class" in (obj["metadata"].get("annotations") or {})
        return legacy or super().has_class(obj)
