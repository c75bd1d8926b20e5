"""metrics.k8s.io: there while metrics-server answers, with figures from the kubelets."""

from collections.abc import Callable

import pytest
import yaml

from k8s_core.api import Object, errors
from k8s_core.apiserver import aggregation, metrics
from k8s_core.client import Client
from k8s_core.cluster import Cluster


def install(cluster: Cluster) -> Client:
    client = cluster.client()
    for obj in yaml.safe_load_all(metrics.MANIFEST.read_text()):
        group, _, version = obj["apiVersion"].rpartition("/")
        resource = cluster.apiserver.resources.by_kind(group, version, obj["kind"])
        assert resource is not None
        client.create(resource.group_resource, obj)
    cluster.loop.run_ready()
    return client


def available(client: Client, name: str = metrics.NAME) -> tuple[str, str]:
    (condition,) = client.get(aggregation.SERVICES, name)["status"]["conditions"]
    return condition["status"], condition["reason"]


def test_figures_come_with_metrics_server_and_go_with_it(make_cluster: Callable[..., Cluster]) -> None:
    """Nodes and Pods have figures as soon as its Pod is ready; without a Pod there is no such API."""
    cluster = make_cluster()
    client = install(cluster)
    assert available(client) == ("False", "MissingEndpoints")
    assert cluster.apiserver.resources.find(metrics.NODES) is None
    cluster.settle()
    assert available(client) == ("True", "Passed")
    nodes = client.list(metrics.NODES)
    assert [each["metadata"]["name"] for each in nodes] == ["cp", "worker1", "worker2"]
    assert all(each["usage"]["cpu"].endswith("n") and each["usage"]["memory"].endswith("Ki") for each in nodes)
    pods = client.list(metrics.PODS, "kube-system", labels="k8s-app=metrics-server")
    assert [each["containers"][0]["name"] for each in pods] == ["metrics-server"]
    one = client.get(metrics.PODS, pods[0]["metadata"]["name"], "kube-system")
    assert one["kind"] == "PodMetrics" and one["window"] == "15s"
    with pytest.raises(errors.StatusError, match=r'pods\.metrics\.k8s\.io "nobody" not found'):
        client.get(metrics.PODS, "nobody", "kube-system")
    client.patch("deployments.apps", "metrics-server", "kube-system", {"spec": {"replicas": 0}})
    cluster.settle()
    assert available(client) == ("False", "MissingEndpoints")
    assert cluster.apiserver.resources.find(metrics.NODES) is None


def test_other_servers_are_said_to_be_unavailable(control_plane: Cluster) -> None:
    """An APIService whose Service is not there, or is nothing this cluster can ask, says so."""
    spec: Object = {"group": "example.com", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1}
    spec |= {"insecureSkipTLSVerify": True, "service": {"name": "web", "namespace": "default"}}
    head = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1.example.com"}}
    client = control_plane.client()
    client.create(aggregation.SERVICES, {**head, "spec": spec})
    control_plane.loop.run_ready()
    assert available(client, "v1.example.com") == ("False", "ServiceNotFound")
