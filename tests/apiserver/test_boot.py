"""What a new cluster holds: the apiserver's own objects, kubeadm's, and the files on the nodes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from k8s_core.api import errors
from k8s_core.apiserver import kubeadm
from k8s_core.cluster import Cluster

MakeCluster = Callable[..., Cluster]
BOOTSTRAP_COUNTS = {
    "clusterroles.rbac.authorization.k8s.io": 69,
    "clusterrolebindings.rbac.authorization.k8s.io": 50,
    "roles.rbac.authorization.k8s.io": 7,
    "rolebindings.rbac.authorization.k8s.io": 7,
    "flowschemas.flowcontrol.apiserver.k8s.io": 11,
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io": 8,
    "apiservices.apiregistration.k8s.io": 21,
    "priorityclasses.scheduling.k8s.io": 2,
    "namespaces": 4,
}


def test_bare_cluster(control_plane: Cluster) -> None:
    """A naked apiserver has as many objects of each kind as a real one, with their common metadata and status."""
    client = control_plane.client()
    assert {name: len(client.list(name)) for name in BOOTSTRAP_COUNTS} == BOOTSTRAP_COUNTS
    role = client.get("clusterroles.rbac.authorization.k8s.io", "view")
    assert role["metadata"]["labels"]["kubernetes.io/bootstrapping"] == "rbac-defaults"
    assert role["metadata"]["annotations"] == {"rbac.authorization.kubernetes.io/autoupdate": "true"}
    assert client.get("namespaces", "default")["status"] == {"phase": "Active"}
    assert client.get("services", "kubernetes", "default")["spec"]["clusterIP"] == "10.96.0.1"
    assert client.list("pods") == []


def test_secure_port_is_the_service_target(make_cluster: MakeCluster) -> None:
    """The kubernetes Service forwards to the port that the apiserver listens on."""
    cluster = make_cluster(profile="bare", scheduler=False, kubelets=False, secure_port=7000)
    ports = cluster.client().get("services", "kubernetes", "default")["spec"]["ports"]
    assert ports == [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 7000}]


def test_kubeadm_cluster(make_cluster: MakeCluster) -> None:
    """kubeadm's cluster has the control plane's role and taint, its add-ons and admin.conf's group."""
    cluster = make_cluster()
    client = cluster.client()
    node = client.get("nodes", "cp")
    assert node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] == ""
    assert kubeadm.ROLE_TAINT in node["spec"]["taints"]
    assert client.get("services", "kube-dns", "kube-system")["spec"]["clusterIP"] == "10.96.0.10"
    assert client.get("deployments.apps", "coredns", "kube-system")["spec"]["replicas"] == 2
    admin = cluster.client("jane", groups=("kubeadm:cluster-admins",))
    assert len(admin.list("nodes")) == 3
    with pytest.raises(errors.StatusError, match='User "joe" cannot list resource "nodes"'):
        cluster.client("joe", groups=()).list("nodes")


def test_node_files(make_cluster: MakeCluster, tmp_path: Path) -> None:
    """The control-plane node has manifests, certificates and kubeconfigs; workers only what joining leaves."""
    cluster = make_cluster(root=tmp_path)
    files = cluster.root / "nodes/cp/etc/kubernetes"
    names = sorted(path.name for path in (files / "manifests").iterdir())
    assert names == ["etcd.yaml", "kube-apiserver.yaml", "kube-controller-manager.yaml", "kube-scheduler.yaml"]
    apiserver = yaml.safe_load((files / "manifests/kube-apiserver.yaml").read_text())
    command = apiserver["spec"]["containers"][0]["command"]
    assert command[:2] == ["kube-apiserver", "--advertise-address=10.0.0.4"]
    assert "--authorization-mode=Node,RBAC" in command
    manager = (files / "manifests/kube-controller-manager.yaml").read_text()
    assert "    - --controllers=*,bootstrapsigner,tokencleaner\n" in manager
    assert (files / "pki/etcd/server.crt").exists()
    assert (files / "admin.conf").exists()
    worker = cluster.root / "nodes/worker1/etc/kubernetes"
    assert (worker / "kubelet.conf").exists()
    assert not (worker / "pki/ca.key").exists()
