"""The certificate signers: an approved CertificateSigningRequest gets its certificate from the cluster's CA.

Stands for pkg/controller/certificates/signer: the four signers of kubernetes.io, what each lets through, and the
condition Failed for what it does not. Leaves out: approving kubelets' requests by itself, clearing old requests.
"""

import base64
from collections.abc import Callable, Sequence

from k8s_core.api import Object
from k8s_core.client.client import Client
from k8s_core.controllers.controller import Controller, condition, with_status
from k8s_core.limits import CERTIFICATE_DURATION

REQUESTS = "certificatesigningrequests.certificates.k8s.io"
ALWAYS = frozenset({"digital signature", "key encipherment"})
# What each signer insists on beside ALWAYS; None: anything goes.
USAGES: dict[str, frozenset[str] | None] = {
    "kubernetes.io/kube-apiserver-client": frozenset({"client auth"}),
    "kubernetes.io/kube-apiserver-client-kubelet": frozenset({"client auth"}),
    "kubernetes.io/kubelet-serving": frozenset({"server auth"}),
    "kubernetes.io/legacy-unknown": None,
}
Sign = Callable[[bytes, Sequence[str], float, float], bytes]
"""(request in PEM, usages, from when, until when) -> certificate in PEM; ValueError if that cannot be."""


class CertificateSigningController(Controller):
    name = "certificatesigningrequest-signing-controller"
    aliases = ("csrsigning",)
    account = "certificate-controller"

    def __init__(self, client: Client, informers: Client | None = None, *, sign: Sign | None = None) -> None:
        super().__init__(client, informers)
        self.sign = sign

    def setup(self) -> None:
        self.requests = self.informer(REQUESTS, changed=self.enqueue)

    def sync(self, key: str) -> None:
        request = self.requests.get(key)
        if request is None or self.sign is None or request["spec"].get("signerName") not in USAGES:
            return
        status = request.get("status") or {}
        conditions = status.get("conditions") or []
        if status.get("certificate") or not condition(conditions, "Approved") or condition(conditions, "Denied"):
            return
        if condition(conditions, "Failed"):
            return
        try:
            status = {**status, "certificate": base64.b64encode(self.certificate(request["spec"])).decode()}
        except ValueError as error:
            now = self.loop.timestamp()
            failed = {"type": "Failed", "status": "True", "reason": "SignerValidationFailure", "message": str(error)}
            failed |= {"lastUpdateTime": now, "lastTransitionTime": now}
            status = {**status, "conditions": [*conditions, failed]}
        self.client.update_status(REQUESTS, with_status(request, status))

    def certificate(self, spec: Object) -> bytes:
        """The signed certificate in PEM; ValueError says why not."""
        usages, needed = spec.get("usages") or [], USAGES[spec["signerName"]]
        if needed is not None and not (needed <= set(usages) <= needed | ALWAYS):
            raise ValueError(
                f"usages did not match {sorted(ALWAYS | needed)}" if set(usages) & needed else f"missing {min(needed)}"
            )
        assert self.sign is not None
        seconds = min(spec.get("expirationSeconds") or CERTIFICATE_DURATION, CERTIFICATE_DURATION)
        return self.sign(base64.b64decode(spec["request"]), usages, self.loop.now, self.loop.now + seconds)
