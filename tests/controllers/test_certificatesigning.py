"""The way to a certificate: ask, be approved, log in."""

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from k8s_core.api import Object
from k8s_core.apiserver.request import Request
from k8s_core.cluster import Cluster

REQUESTS = "certificatesigningrequests.certificates.k8s.io"


def request(**spec: Any) -> Object:
    key = ec.derive_private_key(7, ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "devs"), x509.NameAttribute(NameOID.COMMON_NAME, "bob")]
    pem = x509.CertificateSigningRequestBuilder(x509.Name(names)).sign(key, hashes.SHA256())
    asked = base64.b64encode(pem.public_bytes(serialization.Encoding.PEM)).decode()
    whole = {"signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"], "request": asked, **spec}
    kind = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": "bob"}}
    return {**kind, "spec": whole}


def approve(cluster: Cluster, verdict: str = "Approved") -> Object:
    client = cluster.client()
    found = client.get(REQUESTS, "bob")
    condition = {"type": verdict, "status": "True", "reason": "Test", "message": ""}
    client.update(REQUESTS, {**found, "status": {"conditions": [condition]}}, "approval")
    cluster.loop.run_ready()
    status: Object = client.get(REQUESTS, "bob")["status"]
    return status


def test_an_approved_request_gets_a_certificate_to_log_in_with(control_plane: Cluster) -> None:
    """The subject becomes user and groups; it lasts for as long as asked."""
    control_plane.client().create(REQUESTS, request(expirationSeconds=3600))
    pem = base64.b64decode(approve(control_plane)["certificate"])
    der = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
    user = control_plane.apiserver.authenticator.authenticate(Request(peer_certificate=der))
    assert (user.name, user.groups) == ("bob", ("devs", "system:authenticated"))
    control_plane.advance("2h")
    answer = control_plane.apiserver.handle(Request(method="GET", path="/version", peer_certificate=der))
    assert answer.code == 401


@pytest.mark.parametrize(("verdict", "spec"), [("Denied", {}), ("Approved", {"signerName": "example.com/own"})])
def test_others_are_left_alone(control_plane: Cluster, verdict: str, spec: Object) -> None:
    """What is denied, or somebody else's to sign, gets nothing."""
    control_plane.client().create(REQUESTS, request(**spec))
    assert "certificate" not in approve(control_plane, verdict)


def test_a_request_that_its_signer_does_not_sign_fails(control_plane: Cluster) -> None:
    """The condition Failed says why."""
    control_plane.client().create(REQUESTS, request(usages=["server auth"]))
    status = approve(control_plane)
    assert [each["type"] for each in status["conditions"]] == ["Approved", "Failed"]
    assert status["conditions"][1]["reason"] == "SignerValidationFailure"
