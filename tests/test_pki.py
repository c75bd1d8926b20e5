"""The certificates of k8s_core.pki: kubeadm's layout, accepted by X.509 verifiers, the same for the same seed."""

import base64
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from k8s_core.pki import PKI

SERVER = "https://127.0.0.1:6443"


def test_same_seed_same_bytes() -> None:
    """Two clusters of one seed have the same files, byte for byte; another seed has other keys."""
    first, second, other = (dict(PKI(seed).files(SERVER)) for seed in (7, 7, 8))
    assert first == second
    assert all(first[path] != other[path] for path in first)


def test_kubeadm_layout() -> None:
    """The control-plane node has the files that `kubeadm init` writes."""
    files = {path for path, _ in PKI(0).files(SERVER)}
    pairs = ["ca", "front-proxy-ca", "front-proxy-client"]
    pairs += ["apiserver", "apiserver-kubelet-client", "apiserver-etcd-client"]
    pairs += ["etcd/ca", "etcd/server", "etcd/peer", "etcd/healthcheck-client"]
    expected = {f"pki/{name}.{kind}" for name in pairs for kind in ("crt", "key")} | {"pki/sa.key", "pki/sa.pub"}
    kubeconfigs = {"admin.conf", "super-admin.conf", "kubelet.conf", "scheduler.conf", "controller-manager.conf"}
    assert files == expected | kubeconfigs


def test_chain_names_and_usages() -> None:
    """The apiserver's certificate is the CA's, for serving, with the Service's and the loopback's names."""
    pki = PKI(0)
    certificate = pki.pair("apiserver").certificate
    certificate.verify_directly_issued_by(pki.ca.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "kubernetes.default.svc.cluster.local" in names.get_values_for_type(x509.DNSName)
    addresses = {str(each) for each in names.get_values_for_type(x509.IPAddress)}
    assert {"10.96.0.1", "10.0.0.4", "127.0.0.1"} <= addresses
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_admin_kubeconfig() -> None:
    """admin.conf holds a client certificate of group kubeadm:cluster-admins, as kubeadm has it since 1.29."""
    config = yaml.safe_load(PKI(0).kubeconfig("admin", SERVER))
    assert config["current-context"] == "kubernetes-admin@kubernetes"
    user = config["users"][0]["user"]
    certificate = x509.load_pem_x509_certificate(base64.b64decode(user["client-certificate-data"]))
    groups = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert [each.value for each in groups] == ["kubeadm:cluster-admins"]


def test_private_files_are_private(tmp_path: Path) -> None:
    """Keys and kubeconfigs are readable by their owner only; a worker gets the CA and its kubelet's kubeconfig."""
    PKI(0).write(tmp_path, SERVER, worker="worker1")
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.*")) == ["kubelet.conf", "pki/ca.crt"]
    assert (tmp_path / "kubelet.conf").stat().st_mode & 0o077 == 0
    assert "system:node:worker1" in (tmp_path / "kubelet.conf").read_text()
