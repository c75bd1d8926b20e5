"""etcdctl typed in etcd's Pod: the source notes' commands and what etcdctl says when it is used wrongly."""

import base64
import json
import subprocess
import sys
from typing import Any

import pytest
from servers import ETCDCTL

from conftest import MakeCluster
from k8s_core.api import protobuf, schema
from k8s_core.apiserver.storage import decode
from k8s_core.cluster import Cluster
from k8s_core.etcd.wire import Wire

PKI = "/etc/kubernetes/pki/etcd"
KEYS = f"--cacert {PKI}/ca.crt --cert {PKI}/server.crt  --key {PKI}/server.key"
KEYS2 = f"--ca-file {PKI}/ca.crt --cert-file {PKI}/server.crt --key-file {PKI}/server.key"


COMMANDS = """
get w/a
get w/ --prefix
get w/ --prefix --keys-only
get w/ --prefix --print-value-only
get w/ --prefix -w json
get w/ --prefix -w fields
get w/ --prefix --count-only -w json
get w/ --prefix --count-only -w fields
get none
get w/a w/c --order=DESCEND --sort-by=MODIFY
get w/a --hex
get / --prefix --keys-only --limit=3 -w json
get w/b --from-key --keys-only
get
member list
member list -w json
member list -w table
alarm list
lease list
lease timetolive {lease} --keys -w json
lease timetolive 99
get w/a --rev=99999
del none
del none -w json
del none -w fields
fly
version
compaction 99999
lease revoke 99
member remove 99
member promote 8e9e05c52164694d
role get reader
role get reader -w json
role list
user get joe
user get nobody
user list
user list -w json
user grant-role joe
user delete
role grant-permission reader
role grant-permission reader fly a
role revoke-permission reader x
auth status
--user=joe:pw get w/a
"""
USERS = (
    "role add reader", "user add joe:pw", "user grant-role joe reader", "role grant-permission reader read a",
    "role grant-permission reader readwrite b c", "role grant-permission reader write d/ --prefix",
    "role grant-permission reader read e --from-key", "role grant-permission reader read z",
    "role revoke-permission reader z",
)  # fmt: skip


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


def test_values_are_protobuf_when_asked_for(make_cluster: MakeCluster) -> None:
    """As a real apiserver stores them: the magic, kind and version, then the object; all can be read again."""
    cluster = make_cluster(profile="bare", scheduler=False, kubelets=False)
    client = cluster.client()
    config: Any = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "1"}}
    client.create("configmaps", config, "default")
    key = b"/registry/configmaps/default/a"
    plain, kept = cluster.etcd.get(key), client.get("configmaps", "a", "default")
    cluster.storage_media_type = protobuf.MEDIA_TYPE
    client.patch("configmaps", "a", "default", {"data": {"k": "2"}})
    binary = cluster.etcd.get(key)
    assert plain and plain.value.startswith(b"{") and binary and len(binary.value) < len(plain.value)
    assert binary.value.startswith(b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12")
    read = decode(binary)
    assert read["data"] == {"k": "2"} and read["metadata"]["uid"] == kept["metadata"]["uid"]
    kinds = schema.load()
    for kv in cluster.etcd.live():  # every object that a young cluster has comes back as it was
        obj = decode(kv)
        again = protobuf.decode(protobuf.encode(obj, kinds), kinds, kinds.kind("", "v1", "ConfigMap"))
        assert {**obj, "metadata": 0, "spec": 0} == {**again, "metadata": 0, "spec": 0}
        assert again["metadata"] == obj["metadata"]


def test_users_in_the_pod(make_cluster: MakeCluster) -> None:
    """Once authentication is on, a user sees what his roles allow; without one nothing is told."""
    cluster = make_cluster()
    cluster.settle()
    for command in ("user add root:r", "role add root", "user grant-role root root", *USERS, "auth enable"):
        assert run(cluster, f"etcdctl {command} {KEYS}")[0] == 0, command
    assert run(cluster, f"etcdctl get a {KEYS}") == (1, "Error: etcdserver: user name is empty\n")
    assert run(cluster, f"etcdctl --user joe:pw get a {KEYS}") == (0, "")
    assert run(cluster, f"etcdctl --user joe:pw get d/1 {KEYS}") == (1, "Error: etcdserver: permission denied\n")
    wrong = "Error: etcdserver: authentication failed, invalid user ID or password\n"
    assert run(cluster, f"etcdctl --user joe:no get a {KEYS}") == (2, wrong)
    assert run(cluster, f"etcdctl --user root:r auth disable {KEYS}") == (0, "Authentication Disabled\n")


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
    assert run(cluster, "etcdctl get x --fly")[1] == "Error: unknown flag: --fly\n"


@pytest.mark.skipif(sys.platform != "linux", reason="the real etcdctl comes as a Linux package")
def test_it_prints_what_the_real_etcdctl_prints(make_cluster: MakeCluster) -> None:
    """The same questions to the same etcd: output and exit code are the same, in every format."""
    cluster = make_cluster()
    cluster.settle()
    assert run(cluster, f"etcdctl put w/b one {KEYS}; etcdctl put w/a two {KEYS}; etcdctl put w/a three {KEYS}")[0] == 0
    lease = run(cluster, f"etcdctl lease grant 5000 {KEYS}")[1].split()[1]
    run(cluster, f"etcdctl put w/leased x --lease={lease} {KEYS}")
    told = [run(cluster, f"etcdctl {command} {KEYS}") for command in USERS]
    assert told[-1] == (0, "Permission of key z is revoked from role reader\n") and {code for code, _ in told} == {0}
    wire = Wire(cluster.etcd_member.service, lock=cluster.lock)
    try:
        different = {}
        for command in COMMANDS.format(lease=lease).strip().splitlines():
            real = subprocess.run(
                [str(ETCDCTL), f"--endpoints={wire.url}", *command.split()], capture_output=True, text=True, check=False
            )
            lines = real.stderr.splitlines(keepends=True)
            told = real.stdout + "".join(line for line in lines if not line.startswith('{"level"'))
            expected = (real.returncode, told.replace("3.5.1\n", "3.5.12\n"))
            if (told_here := run(cluster, f"etcdctl {command} {KEYS}")) != expected:
                different[command] = (told_here, expected)
        assert not different
    finally:
        wire.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the real etcdctl comes as a Linux package")
def test_a_clusters_etcd_has_a_door(make_cluster: MakeCluster) -> None:
    """The real etcdctl reads and writes the cluster's own keys from outside, with kubeadm's certificates."""
    cluster = make_cluster()
    url = cluster.serve_etcd()
    pki = cluster.root / "nodes/cp/etc/kubernetes/pki/etcd"
    keys = [f"--cacert={pki}/ca.crt", f"--cert={pki}/healthcheck-client.crt", f"--key={pki}/healthcheck-client.key"]

    def etcdctl(*words: str) -> str:
        command = [str(ETCDCTL), f"--endpoints={url}", *keys, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert "/registry/namespaces/default\n" in etcdctl("get", "/registry/namespaces", "--prefix", "--keys-only")
    assert etcdctl("del", "/registry/configmaps/kube-system/kubeadm-config") == "1\n"
    with cluster.lock:
        names = [each["metadata"]["name"] for each in cluster.client().list("configmaps", "kube-system")]
    assert "kubelet-config" in names and "kubeadm-config" not in names
