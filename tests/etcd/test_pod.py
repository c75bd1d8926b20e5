"""etcdctl typed in etcd's Pod: the source notes' commands and what etcdctl says when it is used wrongly."""

import base64
import json

from conftest import MakeCluster
from k8s_core.cluster import Cluster

PKI = "/etc/kubernetes/pki/etcd"
KEYS = f"--cacert {PKI}/ca.crt --cert {PKI}/server.crt  --key {PKI}/server.key"
KEYS2 = f"--ca-file {PKI}/ca.crt --cert-file {PKI}/server.crt --key-file {PKI}/server.key"


def run(cluster: Cluster, command: str) -> tuple[int, str]:
    """kubectl exec etcd-cp -n kube-system -- sh -c "command": exit code and output."""
    output: list[bytes] = []
    codes: list[int] = []
    session = cluster.kubelets["cp"].server.exec(
        "kube-system", "etcd-cp", "etcd", ["sh", "-c", command], stdin=False, stdout=True, stderr=True, tty=False
    )
    session.subscribe(lambda channel, data: output.append(data), lambda code, message: codes.append(code))
    cluster.settle()
    return codes[0], b"".join(output).decode()


def test_the_notes_commands(make_cluster: MakeCluster) -> None:
    """version, keys with a limit, put and get answer as the notes print them, in both APIs, which share nothing."""
    cluster = make_cluster()
    cluster.settle()
    assert run(cluster, "etcdctl version") == (0, "etcdctl version: 3.5.12\nAPI version: 3.5\n")
    listed = run(cluster, f"ETCDCTL_API=3 etcdctl get / --prefix --keys-only --limit=10 {KEYS}")[1].split("\n\n")
    assert len(listed) == 11 and all(key.startswith("/registry/") for key in listed[:-1])
    assert run(cluster, f"etcdctl put key1 value1 {KEYS}") == (0, "OK\n")
    assert run(cluster, f"etcdctl get key1 {KEYS}") == (0, "key1\nvalue1\n")
    assert run(cluster, f"ETCDCTL_API=2 etcdctl {KEYS2} set key value") == (0, "value\n")
    assert run(cluster, f"ETCDCTL_API=2 etcdctl {KEYS2} get key") == (0, "value\n")
    assert run(cluster, f"etcdctl get /key {KEYS}") == (0, "")
    assert run(cluster, f"ETCDCTL_API=2 etcdctl {KEYS2} get key1") == (
        4,
        "Error:  100: Key not found (/key1) [5]\n",
    )


def test_objects_can_be_read_and_watched(make_cluster: MakeCluster) -> None:
    """What the apiserver stored is there as JSON, at the revision that kubectl calls resourceVersion."""
    cluster = make_cluster()
    cluster.settle()
    client = cluster.client()
    made = client.create("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}, "default")
    answer = json.loads(run(cluster, f"etcdctl get /registry/configmaps/default/c -w json {KEYS}")[1])
    (kv,) = answer["kvs"]
    assert kv["mod_revision"] == int(made["metadata"]["resourceVersion"])
    assert json.loads(base64.b64decode(kv["value"]))["metadata"]["name"] == "c"
    assert run(cluster, f"etcdctl del /registry/configmaps/default/c {KEYS}") == (0, "1\n")
    cluster.settle()
    assert "c" not in [each["metadata"]["name"] for each in client.list("configmaps", "default")]


def test_without_certificates_nobody_gets_in(make_cluster: MakeCluster) -> None:
    """No certificate, one of another CA, a missing file: each fails as etcdctl does."""
    cluster = make_cluster()
    cluster.settle()
    code, said = run(cluster, "etcdctl get key1")
    assert code == 1 and said.endswith("\nError: context deadline exceeded\n")
    code, said = run(cluster, f"etcdctl get key1 --cacert {PKI}/ca.crt")
    assert code == 1 and "remote error: tls: bad certificate" in said
    code, said = run(cluster, f"etcdctl get key1 {KEYS.replace('server.crt', 'none.crt')}")
    assert (code, said) == (1, f"Error: open {PKI}/none.crt: no such file or directory\n")
    assert run(cluster, "etcdctl fly")[1] == 'Error: unknown command "fly" for "etcdctl"\n'
