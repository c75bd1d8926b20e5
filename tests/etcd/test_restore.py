"""Backup and restore of a cluster's etcd, typed on node cp: snapshot, another data directory, manifest."""

import subprocess
import sys
from pathlib import Path

import pytest
from servers import ETCDCTL

from conftest import MakeCluster
from k8s_core.api import Object
from k8s_core.cluster import Cluster

PKI = "/etc/kubernetes/pki/etcd"
KEYS = f"--endpoints=https://127.0.0.1:2379 --cacert={PKI}/ca.crt --cert={PKI}/server.crt --key={PKI}/server.key"
MANIFESTS = "/etc/kubernetes/manifests"
PLACES = "--name=cp --initial-cluster=cp=https://10.0.0.4:2380 --initial-advertise-peer-urls=https://10.0.0.4:2380"


def run(cluster: Cluster, command: str, code: int = 0) -> str:
    done = cluster.node("cp").run(command)
    assert done.code == code, f"{command}\n{done}"
    return done.stdout


def names(cluster: Cluster, resource: str) -> list[str]:
    return sorted(each["metadata"]["name"] for each in cluster.client().list(resource, "default"))


def configmap(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


@pytest.fixture
def cluster(make_cluster: MakeCluster) -> Cluster:
    """A Deployment of two Pods, and all of it in /opt/backup.db; then the Deployment goes and a ConfigMap comes."""
    made = make_cluster()
    made.settle()
    run(made, "kubectl create deployment web --image=nginx --replicas=2")
    made.settle()
    assert "Snapshot saved at /opt/backup.db\n" in run(
        made, f"ETCDCTL_API=3 etcdctl {KEYS} snapshot save /opt/backup.db"
    )
    run(made, "kubectl delete deployment web")
    made.client().create("configmaps", configmap("late"), "default")
    made.settle()
    assert names(made, "pods") == [] and "late" in names(made, "configmaps")
    return made


def use(cluster: Cluster, before: str, after: str) -> None:
    """Let etcd's Pod mount another folder of the node."""
    run(cluster, f"sed -i 's#path: {before}$#path: {after}#' {MANIFESTS}/etcd.yaml")
    cluster.settle()
    cluster.advance("2m")
    cluster.settle()


def test_the_old_state_comes_back(cluster: Cluster) -> None:
    """Another hostPath, and what was deleted runs again; what came later has never been. The way back works, too."""
    revision = int(run(cluster, "etcdutl snapshot status /opt/backup.db").split(", ")[1])
    newest = cluster.etcd.revision
    run(cluster, "etcdctl snapshot restore /opt/backup.db --data-dir /var/lib/etcd", code=1)
    run(cluster, "etcdctl snapshot restore /opt/backup.db --data-dir /var/lib/etcd-restore")
    assert revision < newest and names(cluster, "deployments.apps") == []
    use(cluster, "/var/lib/etcd", "/var/lib/etcd-restore")
    assert names(cluster, "deployments.apps") == ["web"] and len(names(cluster, "pods")) == 2
    assert {pod["status"]["phase"] for pod in cluster.client().list("pods", "default")} == {"Running"}
    assert "late" not in names(cluster, "configmaps") and not cluster.apiserver.registry.storage.mutated()
    assert run(cluster, "crictl ps --name etcd -q").count("\n") == 1
    assert "web" in run(cluster, "kubectl get deployments")
    seen = [moment.revision for moment in cluster.history.changes()]
    assert seen == sorted(seen) and cluster.history.time_of(cluster.etcd.revision) <= cluster.loop.now
    use(cluster, "/var/lib/etcd-restore", "/var/lib/etcd")
    assert names(cluster, "deployments.apps") == [] and "late" in names(cluster, "configmaps")


def test_with_the_control_plane_taken_down_first(cluster: Cluster) -> None:
    """All manifests out of the folder, the data directory moved away and made anew, the manifests back."""
    run(cluster, f"mkdir /root/manifests && mv {MANIFESTS}/*.yaml /root/manifests/")
    cluster.settle()
    run(cluster, "kubectl get nodes", code=1)
    run(cluster, "mv /var/lib/etcd /var/lib/etcd.bak")
    run(cluster, f"etcdutl snapshot restore /opt/backup.db --data-dir=/var/lib/etcd {PLACES}")
    run(cluster, f"mv /root/manifests/*.yaml {MANIFESTS}/")
    cluster.settle()
    cluster.advance("2m")
    cluster.settle()
    assert names(cluster, "deployments.apps") == ["web"] and "late" not in names(cluster, "configmaps")
    assert run(cluster, "kubectl get nodes").count(" Ready ") == 3


def test_an_empty_directory_is_an_empty_cluster(cluster: Cluster) -> None:
    """The classic mistake: nobody is known any more, the administrator least of all. The old directory mends it."""
    use(cluster, "/var/lib/etcd", "/var/lib/etcd-restroe")
    assert "is forbidden" in cluster.node("cp").run("kubectl create configmap x").output
    assert "late" not in names(cluster, "configmaps")
    use(cluster, "/var/lib/etcd-restroe", "/var/lib/etcd")
    assert "late" in names(cluster, "configmaps")
    run(cluster, "kubectl create configmap x")


COMMANDS = f"""
snapshot save
snapshot save none/s.db
snapshot status backup.db
snapshot status backup.db -w json
snapshot status backup.db -w fields
snapshot status backup.db -w table
snapshot status
snapshot status none.db
snapshot status short.db
snapshot restore
snapshot restore none.db --data-dir=d1
snapshot restore short.db --data-dir=d2
snapshot restore nohash.db --data-dir=d3
snapshot restore wrong.db --data-dir=d4
snapshot restore backup.db --data-dir=d5 --name=cp
snapshot restore backup.db --data-dir=d6
snapshot restore backup.db --data-dir=d6
snapshot restore nohash.db --data-dir=d7 --skip-hash-check
snapshot restore backup.db --data-dir=d8 {PLACES}
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the real etcdctl comes as a Linux package")
def test_it_says_what_the_real_etcdctl_says(cluster: Cluster, tmp_path: Path) -> None:
    """The same files, the same commands: output, errors and exit codes are the same but for the lines of the log."""
    folder = cluster.root / "nodes/cp/opt"
    data = (folder / "backup.db").read_bytes()
    wrong = bytearray(data)
    wrong[-1] ^= 1
    for name, content in (("backup", data), ("short", b"x" * 600), ("nohash", data[:-32]), ("wrong", bytes(wrong))):
        for place in (folder, tmp_path):
            (place / f"{name}.db").write_bytes(content)
    different = {}
    for command in COMMANDS.strip().splitlines():
        words = [str(ETCDCTL), *command.split()]
        real = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        ours = cluster.node("cp").run(f"cd /opt; etcdctl {command}")
        told, expected = ((_without_log(out), _without_log(err), code) for out, err, code in (
            (ours.stdout, ours.stderr, ours.code), (real.stdout, real.stderr, real.returncode),
        ))  # fmt: skip
        if told != expected:
            different[command] = (told, expected)
    assert not different


def _without_log(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if "\tinfo\t" not in line and '{"level"' not in line)
