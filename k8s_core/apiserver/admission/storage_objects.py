"""Storage's admission: claims get the default class, and neither claims nor volumes go while they are in use.

DefaultStorageClass and StorageObjectInUseProtection; who takes the finalizers away again is the protection
controllers' business (controllers/protection.py). CertificateSubjectRestriction stands here for want of company.
"""

import base64
from typing import ClassVar

from cryptography import x509
from cryptography.x509.oid import NameOID

from k8s_core.api import Object
from k8s_core.apiserver.admission.plugin import CREATE, Plugin, forbidden
from k8s_core.apiserver.request import Request

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
PROTECTION = {
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "persistentvolumes": "kubernetes.io/pv-protection",
}


class DefaultStorageClass(Plugin):
    name: ClassVar[str] = "DefaultStorageClass"
    resources: ClassVar[frozenset[str]] = frozenset({"persistentvolumeclaims"})
    operations: ClassVar[frozenset[str]] = frozenset({CREATE})

    def mutate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        if obj["spec"].get("storageClassName") is not None or request.subresource:
            return
        classes = [
            each
            for each in self.reader.list("storageclasses.storage.k8s.io")
            if (each["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true"
        ]
        if classes:  # the newest; of those made at once, the first by name
            newest = max(each["metadata"]["creationTimestamp"] for each in classes)
            names = [e["metadata"]["name"] for e in classes if e["metadata"]["creationTimestamp"] == newest]
            obj["spec"]["storageClassName"] = min(names)


class StorageObjectInUseProtection(Plugin):
    name: ClassVar[str] = "StorageObjectInUseProtection"
    resources: ClassVar[frozenset[str]] = frozenset(PROTECTION)
    operations: ClassVar[frozenset[str]] = frozenset({CREATE})

    def mutate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None and request.resource is not None
        finalizer, meta = PROTECTION[request.resource.name], obj["metadata"]
        if finalizer not in (meta.get("finalizers") or ()):
            meta["finalizers"] = [*(meta.get("finalizers") or ()), finalizer]


class CertificateSubjectRestriction(Plugin):
    name: ClassVar[str] = "CertificateSubjectRestriction"
    resources: ClassVar[frozenset[str]] = frozenset({"certificatesigningrequests.certificates.k8s.io"})
    operations: ClassVar[frozenset[str]] = frozenset({CREATE})

    def validate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        if obj["spec"].get("signerName") != "kubernetes.io/kube-apiserver-client":
            return
        asked = x509.load_pem_x509_csr(base64.b64decode(obj["spec"]["request"]))  # validated before
        if any(
            each.value == "system:masters" for each in asked.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        ):
            why = "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
            raise forbidden(request, obj, why)
