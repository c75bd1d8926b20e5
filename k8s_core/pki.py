"""The cluster's public key infrastructure, as `kubeadm init phase certs` and `kubeconfig` lay it out.

Promises: real X.509 certificates that OpenSSL, Go and curl accept, in kubeadm's files with kubeadm's names,
organizations and usages; and the same seed gives the same bytes (keys are derived from it, ECDSA signatures
are RFC 6979's, validity is fixed), so that a cluster can be made again exactly.
Left out: renewal, and RSA (kubeadm's `encryptionAlgorithm: ECDSA-P256` is what is shown here: an RSA key cannot
be derived quickly). Keys made from a known seed protect nothing: this server listens on the loopback only.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Fixed, so that bytes repeat; wide, because virtual time and the wall clock both have to lie inside.
NOT_BEFORE = datetime(2020, 1, 1, tzinfo=UTC)
NOT_AFTER = NOT_BEFORE + timedelta(days=100 * 365)
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


EXTENDED = {"client auth": CLIENT, "server auth": SERVER}  # a CertificateSigningRequest's names for them
BACKDATE = timedelta(minutes=5)  # for clients whose clock is late


class Profile(NamedTuple):
    """What kubeadm puts into one certificate: its issuer (a file name without extension), subject and usages."""

    issuer: str
    common_name: str
    organizations: tuple[str, ...] = ()
    usages: tuple[x509.ObjectIdentifier, ...] = (CLIENT,)
    sans: str = ""  # which list of alternative names: "apiserver", "etcd" or none


AUTHORITIES = {"ca": "kubernetes", "etcd/ca": "etcd-ca", "front-proxy-ca": "front-proxy-ca"}
CERTIFICATES = {
    "apiserver": Profile("ca", "kube-apiserver", usages=(SERVER,), sans="apiserver"),
    "apiserver-kubelet-client": Profile("ca", "kube-apiserver-kubelet-client", ("kubeadm:cluster-admins",)),
    "apiserver-etcd-client": Profile("etcd/ca", "kube-apiserver-etcd-client"),
    "front-proxy-client": Profile("front-proxy-ca", "front-proxy-client"),
    "etcd/server": Profile("etcd/ca", "{node}", usages=(SERVER, CLIENT), sans="etcd"),
    "etcd/peer": Profile("etcd/ca", "{node}", usages=(SERVER, CLIENT), sans="etcd"),
    "etcd/healthcheck-client": Profile("etcd/ca", "kube-etcd-healthcheck-client"),
}
KUBECONFIGS = {
    "admin": Profile("ca", "kubernetes-admin", ("kubeadm:cluster-admins",)),
    "super-admin": Profile("ca", "kubernetes-super-admin", ("system:masters",)),
    "controller-manager": Profile("ca", "system:kube-controller-manager"),
    "scheduler": Profile("ca", "system:kube-scheduler"),
    "kubelet": Profile("ca", "system:node:{node}", ("system:nodes",)),
}


@dataclass(frozen=True, eq=False)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @cached_property
    def cert_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @cached_property
    def key_pem(self) -> bytes:
        return private_pem(self.key)

    @cached_property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key as kubeadm writes ECDSA keys ("EC PRIVATE KEY")."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


class PKI:
    """All certificates of one cluster, made when first asked for.

    `node` and `address` name the control-plane node; `sans` are further names and addresses of the apiserver
    (kubeadm's `apiServer.certSANs`), by default those that make it reachable on the loopback.
    """

    def __init__(
        self,
        seed: int | str,
        *,
        node: str = "cp",
        address: str = "10.0.0.4",
        service_address: str = "10.96.0.1",
        domain: str = "cluster.local",
        sans: Iterable[str] = ("localhost", "127.0.0.1"),
    ) -> None:
        self.seed, self.node, self.address = str(seed), node, address
        service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc")
        self._sans: dict[str, tuple[str, ...]] = {
            "apiserver": (node, *service, f"{service[-1]}.{domain}", service_address, address, *sans),
            "etcd": (node, "localhost", address, "127.0.0.1", "::1"),
        }
        self._pairs: dict[str, Pair] = {}

    def pair(self, name: str) -> Pair:
        """The certificate of a file name below /etc/kubernetes/pki ("ca", "apiserver", "etcd/server", ...)."""
        if (pair := self._pairs.get(name)) is None:
            if name in AUTHORITIES:
                pair = self._issue(name, None, Profile("", AUTHORITIES[name]), (AUTHORITIES[name],))
            else:
                profile = CERTIFICATES[name]
                common_name = profile.common_name.format(node=self.node)
                sans = self._sans.get(profile.sans, ())
                issuer = self.pair(profile.issuer)
                pair = self._issue(name, issuer, profile._replace(common_name=common_name), sans)
            self._pairs[name] = pair
        return pair

    def client(self, user: str, groups: Sequence[str] = ()) -> Pair:
        """A client certificate of the cluster's CA: CN is the user, each O a group."""
        name = "client:" + "\0".join((user, *groups))
        if (pair := self._pairs.get(name)) is None:
            pair = self._issue(name, self.pair("ca"), Profile("ca", user, tuple(groups)), ())
            self._pairs[name] = pair
        return pair

    def sign(self, request: bytes, usages: Sequence[str], start: float, end: float) -> bytes:
        """A certificate (PEM) for a certificate request (PEM), signed by the CA; ValueError if it cannot be read."""
        wanted, ca = x509.load_pem_x509_csr(request), self.pair("ca")
        serial = int.from_bytes(hashlib.sha256(request).digest()[:8], "big") ^ int(start)
        extended = [EXTENDED[usage] for usage in usages if usage in EXTENDED]
        builder = (
            x509.CertificateBuilder()
            .subject_name(wanted.subject)
            .issuer_name(ca.certificate.subject)
            .public_key(wanted.public_key())
            .serial_number(serial % 2**62 + 1)
            .not_valid_before(datetime.fromtimestamp(start, UTC) - BACKDATE)
            .not_valid_after(datetime.fromtimestamp(end, UTC))
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key()), critical=False)
        )
        if extended:
            builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
        for extension in wanted.extensions:
            if isinstance(extension.value, x509.SubjectAlternativeName):
                builder = builder.add_extension(extension.value, critical=False)
        certificate = builder.sign(ca.key, hashes.SHA256(), ecdsa_deterministic=True)
        return certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def ca(self) -> Pair:
        return self.pair("ca")

    @cached_property
    def service_account_key(self) -> ec.EllipticCurvePrivateKey:
        """The key that signs ServiceAccount tokens (sa.key)."""
        return self._key("sa")

    @property
    def service_account_public_pem(self) -> bytes:
        return self.service_account_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def kubeconfig(self, name: str, server: str, *, node: str = "") -> str:
        """One of kubeadm's kubeconfigs ("admin", "kubelet", ...) as YAML; `node` for another node's kubelet."""
        profile = KUBECONFIGS[name]
        user = profile.common_name.format(node=node or self.node)
        pair = self.client(user, profile.organizations)
        return kubeconfig(server, self.ca.cert_pem, user, cert_pem=pair.cert_pem, key_pem=pair.key_pem)

    def files(self, server: str) -> Iterator[tuple[str, bytes]]:
        """All of the control-plane node's files, as (path below etc/kubernetes, contents)."""
        for name in (*AUTHORITIES, *CERTIFICATES):
            yield f"pki/{name}.crt", self.pair(name).cert_pem
            yield f"pki/{name}.key", self.pair(name).key_pem
        yield "pki/sa.key", private_pem(self.service_account_key)
        yield "pki/sa.pub", self.service_account_public_pem
        for name in KUBECONFIGS:
            yield f"{name}.conf", self.kubeconfig(name, server).encode()

    def worker_files(self, server: str, node: str) -> Iterator[tuple[str, bytes]]:
        """A worker's files: the CA and its kubelet's kubeconfig, as `kubeadm join` leaves them."""
        yield "pki/ca.crt", self.ca.cert_pem
        yield "kubelet.conf", self.kubeconfig("kubelet", server, node=node).encode()

    def write(self, folder: Path, server: str, *, worker: str = "") -> None:
        """Write a node's files below `folder` (its etc/kubernetes); private ones are readable by the owner only."""
        for path, data in self.worker_files(server, worker) if worker else self.files(server):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            target.chmod(0o644 if path.endswith((".crt", ".pub")) else 0o600)

    def _digest(self, *parts: str) -> int:
        return int.from_bytes(hashlib.sha512("\0".join((self.seed, *parts)).encode()).digest(), "big")

    def _key(self, name: str) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(self._digest("key", name) % (P256_ORDER - 1) + 1, ec.SECP256R1())

    def _issue(self, name: str, issuer: Pair | None, profile: Profile, sans: Iterable[str]) -> Pair:
        key = self._key(name)
        issuer_key = issuer.key if issuer else key
        subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in profile.organizations]
        subject_name = x509.Name([*subject, x509.NameAttribute(NameOID.COMMON_NAME, profile.common_name)])
        issuer_name = issuer.certificate.subject if issuer else subject_name
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject_name)
            .issuer_name(issuer_name)
            .public_key(key.public_key())
            .serial_number(self._digest("serial", name) % 2**62 + 1)
            .not_valid_before(NOT_BEFORE)
            .not_valid_after(NOT_AFTER)
            .add_extension(_key_usage(authority=issuer is None), critical=True)
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        )
        if issuer is None:
            own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
            builder = builder.add_extension(own, critical=False)
        else:
            builder = builder.add_extension(x509.ExtendedKeyUsage(profile.usages), critical=False)
            builder = builder.add_extension(authority, critical=False)
        if names := [_general_name(each) for each in sans]:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return Pair(builder.sign(issuer_key, hashes.SHA256(), ecdsa_deterministic=True), key)


def kubeconfig(
    server: str,
    ca_pem: bytes,
    user: str,
    *,
    cert_pem: bytes = b"",
    key_pem: bytes = b"",
    token: str = "",
    cluster: str = "kubernetes",
    context: str = "",
) -> str:
    """A kubeconfig with one cluster, user and context (kubeadm's names), as YAML text."""
    credentials: dict[str, Any] = {"token": token} if token else {}
    if cert_pem:
        credentials["client-certificate-data"] = _base64(cert_pem)
        credentials["client-key-data"] = _base64(key_pem)
    context = context or f"{user}@{cluster}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": {"certificate-authority-data": _base64(ca_pem), "server": server}}],
        "contexts": [{"name": context, "context": {"cluster": cluster, "user": user}}],
        "current-context": context,
        "users": [{"name": user, "user": credentials}],
    }
    return str(yaml.dump(config, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), width=2**20))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=authority,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
