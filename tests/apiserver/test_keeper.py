"""What the apiserver keeps alive comes back when somebody deletes it."""

import pytest

from k8s_core.api.errors import StatusError
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
