"""A cluster of an older release: the notes' v1.30, and the one in which Services got IPAddress objects."""

import pytest

from conftest import MakeCluster
from k8s_core.api.errors import StatusError


@pytest.mark.parametrize("version", ["1.30", "1.33"])
def test_an_older_cluster_boots_and_runs_pods(make_cluster: MakeCluster, version: str) -> None:
    """Every node is Ready, every Pod runs, and a cluster IP is given once, with or without IPAddress objects."""
    cluster = make_cluster(kubernetes_version=version)
    cluster.settle()
    client = cluster.client()
    assert {node["status"]["nodeInfo"]["kubeletVersion"][: len(version) + 1] for node in client.list("nodes")} == {
        f"v{version}"
    }
    assert {pod["status"]["phase"] for pod in client.list("pods")} == {"Running"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "taken", "namespace": "default"},
        "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80}]},
    }
    with pytest.raises(StatusError, match="provided IP is already allocated"):
        client.create("services", service)


def test_the_scheduler_of_the_notes_names_the_taint(make_cluster: MakeCluster) -> None:
    """v1.30 says which taint, and nothing of claims."""
    cluster = make_cluster(kubernetes_version="1.30")
    cluster.settle()
    resources = {"requests": {"cpu": "50"}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "big", "namespace": "default"},
        "spec": {"containers": [{"name": "c", "image": "nginx", "resources": resources}]},
    }
    client = cluster.client()
    client.create("pods", pod)
    cluster.settle()
    assert client.get("pods", "big", "default")["status"]["conditions"][0]["message"] == (
        "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, "
        "2 Insufficient cpu. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    )
