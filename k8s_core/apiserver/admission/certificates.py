"""Who may approve and sign CertificateSigningRequests, and what they may ask for.

The signer is a resource of its own to RBAC: "approve" and "sign" on `signers` of certificates.k8s.io, named after
the signer or after its domain ("example.com/*").
"""

import base64
from typing import ClassVar

from cryptography import x509
from cryptography.x509.oid import NameOID

from k8s_core.api import Object
from k8s_core.apiserver.admission.plugin import CREATE, UPDATE, Plugin, forbidden
from k8s_core.apiserver.request import Request

REQUESTS = frozenset({"certificatesigningrequests.certificates.k8s.io"})


class _Signers(Plugin):
    """What approving and signing have in common."""

    resources: ClassVar[frozenset[str]] = REQUESTS
    operations: ClassVar[frozenset[str]] = frozenset({UPDATE})
    verb: ClassVar[str]

    def check(self, request: Request, obj: Object) -> None:
        """403 unless the user has the verb on the signer."""
        signer = obj["spec"].get("signerName", "")
        asked = (signer, signer.partition("/")[0] + "/*")
        if self.authorizer is None or any(
            self.authorizer.authorize(request.user, self.verb, "certificates.k8s.io", "signers", "", "", name)[0]
            for name in asked
        ):
            return
        raise forbidden(request, obj, f'user not permitted to {self.verb} requests with signerName "{signer}"')


class CertificateApproval(_Signers):
    name: ClassVar[str] = "CertificateApproval"
    verb: ClassVar[str] = "approve"

    def validate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None
        if request.subresource == "approval":
            self.check(request, obj)


class CertificateSigning(_Signers):
    name: ClassVar[str] = "CertificateSigning"
    verb: ClassVar[str] = "sign"

    def validate(self, request: Request, obj: Object | None, old: Object | None) -> None:
        assert obj is not None and old is not None
        if request.subresource == "status" and _signed(obj) != _signed(old):
            self.check(request, obj)


def _signed(obj: Object) -> tuple[object, object]:
    status = obj.get("status") or {}
    return status.get("certificate"), status.get("conditions")


class CertificateSubjectRestriction(Plugin):
    name: ClassVar[str] = "CertificateSubjectRestriction"
    resources: ClassVar[frozenset[str]] = REQUESTS
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
