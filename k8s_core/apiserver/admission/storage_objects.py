"""Storage's admission: claims grow only where that is possible, and nothing in use goes away.

PersistentVolumeClaimResize and StorageObjectInUseProtection; who takes the finalizers away again is the protection
controllers' business (controllers/protection.py).
"""

from typing import ClassVar

from k8s_core.api import Object
from k8s_core.api.quantity import nanos
from k8s_core.apiserver.admission.plugin import CREATE, UPDATE, Plugin, forbidden
from k8s_core.apiserver.request import Request

PROTECTION = {
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "persistentvolumes": "kubernetes.io/pv-protection",
}


class PersistentVolumeClaimResize(Plugin):
    name: ClassVar[str] = "PersistentVolumeClaimResize"
    resources: ClassVar[frozenset[str]] = frozenset({"persistentvolumeclaims"})
    operations: ClassVar[frozenset[str]] = frozenset({UPDATE})

    def validate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None and old is not None
        if request.subresource or _requested(obj) <= _requested(old):
            return
        if (old.get("status") or {}).get("phase") != "Bound":
            raise forbidden(request, obj, "Only bound persistent volume claims can be expanded")
        class_ = self.find("storageclasses.storage.k8s.io", obj["spec"].get("storageClassName") or "")
        if class_ is None or not class_.get("allowVolumeExpansion"):
            why = (
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc "
                "must support resize"
            )
            raise forbidden(request, obj, why)


class StorageObjectInUseProtection(Plugin):
    name: ClassVar[str] = "StorageObjectInUseProtection"
    resources: ClassVar[frozenset[str]] = frozenset(PROTECTION)
    operations: ClassVar[frozenset[str]] = frozenset({CREATE})

    def mutate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None and request.resource is not None
        finalizer, meta = PROTECTION[request.resource.name], obj["metadata"]
        if finalizer not in (meta.get("finalizers") or ()):
            meta["finalizers"] = [*(meta.get("finalizers") or ()), finalizer]


def _requested(claim: Object) -> int:
    return nanos((((claim["spec"].get("resources") or {}).get("requests")) or {}).get("storage", "0"))
