"""What the apiserver keeps alive comes back when somebody deletes it."""

import pytest

from conftest import MakeCluster
from k8s_core.api.errors import StatusError
from k8s_core.apiserver.request import Request, resolve
from k8s_core.cluster import Cluster


def test_the_service_kubernetes_comes_back(control_plane: Cluster) -> None:
    """Deleted, it is there again within ten seconds, at the same address."""
    client = control_plane.client()
    before = client.get("services", "kubernetes", "default")
    client.delete("services", "kubernetes", "default")
    with pytest.raises(StatusError):
        client.get("services", "kubernetes", "default")
    control_plane.advance(10)
    after = client.get("services", "kubernetes", "default")
    assert after["spec"]["clusterIP"] == before["spec"]["clusterIP"]
    assert after["metadata"]["uid"] != before["metadata"]["uid"]


def test_a_system_namespace_comes_back(control_plane: Cluster) -> None:
    """kube-node-lease may be deleted, but not for long."""
    client = control_plane.client()
    before = client.get("namespaces", "kube-node-lease")["metadata"]["uid"]
    client.delete("namespaces", "kube-node-lease")
    control_plane.advance(130)
    assert client.get("namespaces", "kube-node-lease")["metadata"]["uid"] != before


def test_components_are_asked_how_they_are(make_cluster: MakeCluster) -> None:
    """ComponentStatuses are not stored: they say who runs now."""
    cluster = make_cluster(profile="bare", kubelets=False)

    def healthy() -> dict[str, str]:
        request = Request(method="GET", path="/api/v1/componentstatuses", query={}, headers={}, body=b"")
        request.user = cluster.client().user
        resolve(request, cluster.apiserver.resources)
        items = cluster.apiserver._list(request).object["items"]  # type: ignore[index]
        return {item["metadata"]["name"]: item["conditions"][0]["status"] for item in items}

    assert healthy() == {"controller-manager": "True", "scheduler": "True", "etcd-0": "True"}
    cluster.scheduler.stop()
    assert healthy()["scheduler"] == "False"
