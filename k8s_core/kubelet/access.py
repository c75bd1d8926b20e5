"""Who may ask a kubelet itself, on port 10250.

Stands for cmd/kubelet/app/auth.go and pkg/kubelet/server/auth.go. A client shows a certificate of the cluster's
authority or a token, of which the kubelet asks the apiserver; then it asks whether that user may get the node's
subresource: a fine one (nodes/pods, nodes/stats ...), or nodes/proxy.
"""

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID

from k8s_core.api import Object
from k8s_core.api.errors import StatusError
from k8s_core.shell.fs import FileError
from k8s_core.shell.sockets import Request, Response

if TYPE_CHECKING:
    from k8s_core.kubelet.kubelet import Kubelet

FINE = {
    "healthz": "healthz", "pods": "pods", "runningpods": "pods", "configz": "configz", "stats": "stats",
    "metrics": "metrics", "logs": "log",
}  # fmt: skip
"""The first part of a path, and the subresource that it is."""
ALONE = ("stats", "metrics", "log")
"""Those for which nodes/proxy is not enough, and not needed."""
ANONYMOUS: Object = {"username": "system:anonymous", "groups": ["system:unauthenticated"]}


class Access:
    """Lets requests through to one kubelet's pages."""

    def __init__(self, kubelet: "Kubelet") -> None:
        self.kubelet = kubelet

    def answer(self, request: Request) -> Response:
        """What a client on the network gets."""
        user = self._user(request)
        if user is None:
            return _plain("Unauthorized", 401)
        name = request.path.partition("?")[0].strip("/").split("/")[0]
        fine = FINE.get(name, "proxy")
        subresources = [fine] if fine in (*ALONE, "proxy") else [fine, "proxy"]
        if not any(self._allows(user, request.method, each) for each in subresources):
            verb = _verb(request.method)
            what = f"resource=nodes, subresource(s)=[{' '.join(subresources)}]"
            return _plain(f"Forbidden (user={user['username']}, verb={verb}, {what})", 403)
        return self.kubelet.server.answer(request)

    def _user(self, request: Request) -> Object | None:
        told = self.kubelet.config.told.get("authentication") or {}
        if request.certificate and (user := self._of_certificate(request.certificate, told.get("x509") or {})):
            return user
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind == "Bearer" and (told.get("webhook") or {}).get("enabled", True):
            return self._of_token(token)
        anonymous = (told.get("anonymous") or {}).get("enabled", False)
        return ANONYMOUS if anonymous else None

    def _of_certificate(self, shown: bytes, told: Object) -> Object | None:
        try:
            authority = x509.load_pem_x509_certificate(self.kubelet.fs.read(str(told.get("clientCAFile") or "")))
            certificate = x509.load_der_x509_certificate(shown)
            certificate.verify_directly_issued_by(authority)
        except (FileError, ValueError, TypeError, InvalidSignature):
            return None
        names = {oid: [str(each.value) for each in certificate.subject.get_attributes_for_oid(oid)] for oid in OIDS}
        return {"username": next(iter(names[OIDS[0]]), ""), "groups": [*names[OIDS[1]], "system:authenticated"]}

    def _of_token(self, token: str) -> Object | None:
        review = self._ask("tokenreviews.authentication.k8s.io", "TokenReview", {"token": token})
        if not review.get("authenticated"):
            return None
        user: Object = review["user"]
        return user

    def _allows(self, user: Object, method: str, subresource: str) -> bool:
        if (self.kubelet.config.told.get("authorization") or {}).get("mode") == "AlwaysAllow":
            return True
        what = {"verb": _verb(method), "version": "v1", "resource": "nodes", "subresource": subresource}
        spec = {
            "user": user["username"],
            "groups": user.get("groups") or [],
            "resourceAttributes": {**what, "name": self.kubelet.name},
        }
        review = self._ask("subjectaccessreviews.authorization.k8s.io", "SubjectAccessReview", spec)
        return bool(review.get("allowed"))

    def _ask(self, resource: str, kind: str, spec: Object) -> Object:
        """What the apiserver says of it; nothing if it cannot be asked."""
        group = resource.partition(".")[2]
        try:
            asked = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {}, "spec": spec}
            found = self.kubelet.client.create(resource, asked)
        except StatusError as error:
            self.kubelet.log("E", "auth.go:132", f'"Unable to authorize the request" err="{error}"')
            return {}
        status: Object = found.get("status") or {}
        return status


OIDS = (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)


def _verb(method: str) -> str:
    return {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(method, "get")


def _plain(text: str, status: int) -> Response:
    return Response(status, text.encode(), {"Content-Type": "text/plain; charset=utf-8"})
