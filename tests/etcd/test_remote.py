"""The apiserver on a real etcd: the same objects, keys and revisions, and changes that others make there."""

import sys
from pathlib import Path
from typing import Any

import pytest
from aetcd.rpc import rpc_pb2
from servers import Client, free_port, real_etcd

from conftest import MakeCluster
from k8s_core.clock import Loop
from k8s_core.etcd.front import Listen
from k8s_core.etcd.remote import RemoteStore
from k8s_core.etcd.service import Service
from k8s_core.etcd.store import Put, Store
from k8s_core.etcd.wire import Wire, tls_context
from k8s_core.pki import PKI

linux = pytest.mark.skipif(sys.platform != "linux", reason="the real etcd comes as a Linux package")
CONFIG: Any = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "1"}}


@linux
def test_a_cluster_keeps_its_objects_in_a_real_etcd(make_cluster: MakeCluster, tmp_path: Path) -> None:
    """Writes land there; what is deleted there is gone here, told to watches; a compaction does no harm."""
    with real_etcd(tmp_path) as address:
        cluster = make_cluster(profile="bare", scheduler=False, kubelets=False, etcd_servers=f"http://{address}")
        client, etcd = cluster.client(), Client(address)
        made = client.create("configmaps", CONFIG, "default")
        key = b"/registry/configmaps/default/a"
        (kv,) = etcd.call("Range", rpc_pb2.RangeRequest(key=key)).kvs
        assert str(kv.mod_revision) == made["metadata"]["resourceVersion"]
        gone: list[str] = []
        informer = client.informer("configmaps")
        informer.on(deleted=lambda obj: gone.append(obj["metadata"]["name"]))
        cluster.loop.run_ready()
        etcd.call("Compact", rpc_pb2.CompactionRequest(revision=kv.mod_revision, physical=True))
        etcd.call("DeleteRange", rpc_pb2.DeleteRangeRequest(key=key))
        client.create("configmaps", {**CONFIG, "metadata": {"name": "b"}}, "default")  # brings all before it, too
        cluster.loop.run_ready()
        assert gone == ["a"]
        assert "a" not in [each["metadata"]["name"] for each in client.list("configmaps", "default")]
        client.create("configmaps", CONFIG, "default")
        etcd.close()


@linux
def test_what_is_there_is_taken_over_and_what_is_old_is_forgotten(make_cluster: MakeCluster, tmp_path: Path) -> None:
    """A second cluster on the same etcd finds the first one's objects; every five minutes the past is compacted."""
    with real_etcd(tmp_path) as address:
        bare: Any = {"profile": "bare", "scheduler": False, "kubelets": False, "etcd_servers": f"http://{address}"}
        first = make_cluster(**bare)
        first.client().create("configmaps", CONFIG, "default")
        second, etcd = make_cluster(**bare), Client(address)
        assert second.client().get("configmaps", "a", "default")["data"] == {"k": "1"}
        second.client().patch("configmaps", "a", "default", {"data": {"k": "2"}})
        first.etcd.confirm()  # as a quorum read does
        assert first.client().get("configmaps", "a", "default")["data"] == {"k": "2"}
        revision = first.etcd.revision
        first.advance("5m")
        first.advance("5m")
        compacted = etcd.call("Range", rpc_pb2.RangeRequest(key=b"a", revision=revision - 1))
        assert compacted == ("OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted")
        first.client().patch("configmaps", "a", "default", {"data": {"k": "3"}})
        second.etcd.confirm()
        assert second.client().get("configmaps", "a", "default")["data"] == {"k": "3"}
        etcd.close()


def test_over_tls_with_a_certificate_and_on_the_first_address_that_answers(tmp_path: Path) -> None:
    """As kube-apiserver is started by kubeadm: https, its own client certificate; a dead server is passed over."""
    PKI(0).write(tmp_path, "https://10.0.0.4:6443")
    pki, loop = tmp_path / "pki", Loop()
    one = Service(Store(loop), loop)
    files = (pki / "etcd/server.crt", pki / "etcd/server.key", pki / "etcd/ca.crt")
    wire = Wire(one, Listen(tls=tls_context(*files, client_cert_auth=True)))
    own = (pki / "etcd/ca.crt", pki / "apiserver-etcd-client.crt", pki / "apiserver-etcd-client.key")
    store = RemoteStore(loop, f"https://127.0.0.1:{free_port()},{wire.url}", own)
    assert store.txn([], [Put(b"k", b"v")]).revision == 2 and store.get(b"k")
    store.close()
    wire.close()


def test_a_whole_cluster_comes_back_on_its_etcd(make_cluster: MakeCluster) -> None:
    """Ended and started again, it has the Pods and nodes that it had, and goes on with them."""
    loop = Loop()
    wire = Wire(Service(Store(loop), loop))
    names = []
    for _ in range(2):
        cluster = make_cluster(etcd_servers=wire.url)
        cluster.settle()
        cluster.advance("2m")
        pods = cluster.client().list("pods")
        assert {pod["status"]["phase"] for pod in pods} == {"Running"}
        names.append(sorted(pod["metadata"]["name"] for pod in pods))
        cluster.stop()
    assert names[0] == names[1]
    wire.close()
