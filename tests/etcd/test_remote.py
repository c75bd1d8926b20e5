"""The apiserver on a real etcd: the same objects, keys and revisions, and changes that others make there."""

import sys
from pathlib import Path

import pytest
from aetcd.rpc import rpc_pb2
from servers import Client, real_etcd

from conftest import MakeCluster

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the real etcd comes as a Linux package")


def test_a_cluster_keeps_its_objects_in_a_real_etcd(make_cluster: MakeCluster, tmp_path: Path) -> None:
    """Writes land there; what is deleted there is gone here, told to watches; a compaction does no harm."""
    with real_etcd(tmp_path) as address:
        cluster = make_cluster(profile="bare", scheduler=False, kubelets=False, etcd_servers=f"http://{address}")
        client, etcd = cluster.client(), Client(address)
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "1"}}
        made = client.create("configmaps", config, "default")
        key = b"/registry/configmaps/default/a"
        (kv,) = etcd.call("Range", rpc_pb2.RangeRequest(key=key)).kvs
        assert str(kv.mod_revision) == made["metadata"]["resourceVersion"]
        gone: list[str] = []
        informer = client.informer("configmaps")
        informer.on(deleted=lambda obj: gone.append(obj["metadata"]["name"]))
        cluster.loop.run_ready()
        etcd.call("Compact", rpc_pb2.CompactionRequest(revision=kv.mod_revision, physical=True))
        etcd.call("DeleteRange", rpc_pb2.DeleteRangeRequest(key=key))
        client.create("configmaps", {**config, "metadata": {"name": "b"}}, "default")  # brings all before it, too
        cluster.loop.run_ready()
        assert gone == ["a"]
        assert "a" not in [each["metadata"]["name"] for each in client.list("configmaps", "default")]
        client.create("configmaps", config, "default")
        etcd.close()
