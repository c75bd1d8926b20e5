"""ResourceQuota and LimitRange in a whole control plane: what is refused, what is filled in, what is counted."""

from typing import Any

import pytest

from k8s_core.api import Object, errors
from k8s_core.client import Client
from k8s_core.cluster import Cluster


@pytest.fixture
def client(control_plane: Cluster) -> Client:
    return control_plane.client()


def pod(name: str, resources: Object | None = None, **spec: Any) -> Object:
    container = {"name": "c", "image": "nginx", "resources": resources or {}}
    meta = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container], **spec}}


def quota(client: Client, name: str, hard: dict[str, str], **spec: Any) -> None:
    meta = {"name": name, "namespace": "default"}
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": hard, **spec}}
    client.create("resourcequotas", body)
    client.loop.run_ready()


def limits(client: Client, **item: Any) -> None:
    meta = {"name": "bounds", "namespace": "default"}
    body = {"apiVersion": "v1", "kind": "LimitRange", "metadata": meta, "spec": {"limits": [item]}}
    client.create("limitranges", body)


def refused(client: Client, obj: Object, resource: str = "pods") -> str:
    with pytest.raises(errors.StatusError) as caught:
        client.create(resource, obj)
    assert caught.value.code == 403
    return caught.value.message


def used(client: Client, name: str) -> Object:
    client.loop.run_ready()
    status: Object = client.get("resourcequotas", name, "default")["status"]["used"]
    return status


def test_count_quota(client: Client) -> None:
    """A quota on Pods holds at once and is given back when a Pod goes; its status tells what is used."""
    quota(client, "few", {"pods": "2"})
    client.create("pods", pod("a"))
    client.create("pods", pod("b"))
    assert refused(client, pod("c")) == (
        'pods "c" is forbidden: exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2'
    )
    assert used(client, "few") == {"pods": "2"}
    client.delete("pods", "a", "default", grace_seconds=0)
    assert used(client, "few") == {"pods": "1"}
    client.create("pods", pod("c"))


def test_compute_quota(client: Client) -> None:
    """With a quota on requests and limits every container must state them; the sum may not exceed it."""
    quota(client, "compute", {"requests.memory": "1Gi", "limits.cpu": "2"})
    assert refused(client, pod("a")) == (
        'pods "a" is forbidden: failed quota: compute: must specify limits.cpu for: c; requests.memory for: c'
    )
    sized = {"requests": {"memory": "600Mi"}, "limits": {"cpu": "800m"}}
    client.create("pods", pod("a", sized))
    assert refused(client, pod("b", {**sized, "requests": {"memory": "700Mi"}})) == (
        'pods "b" is forbidden: exceeded quota: compute, requested: requests.memory=700Mi, '
        "used: requests.memory=600Mi, limited: requests.memory=1Gi"
    )
    assert used(client, "compute") == {"limits.cpu": "800m", "requests.memory": "600Mi"}


def test_object_counts_and_scopes(client: Client) -> None:
    """count/<resource>.<group> works for every kind; a scope leaves Pods outside of it alone."""
    quota(client, "objects", {"count/deployments.apps": "0", "configmaps": "1"})
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod("x")["spec"]}
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template},
    }
    assert "requested: count/deployments.apps=1, used: count/deployments.apps=0" in refused(
        client, body, "deployments.apps"
    )
    assert used(client, "objects")["configmaps"] == "1"  # kube-root-ca.crt
    quota(client, "best-effort", {"pods": "0"}, scopes=["BestEffort"])
    client.create("pods", pod("sized", {"requests": {"cpu": "1m"}}))
    assert "exceeded quota: best-effort" in refused(client, pod("bare"))


def test_limit_range_defaults(client: Client) -> None:
    """Containers without requests and limits get the namespace's, and an annotation says so."""
    limits(client, type="Container", default={"cpu": "500m"}, defaultRequest={"cpu": "250m", "memory": "64Mi"})
    made = client.create("pods", pod("a"))
    assert made["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "500m"},
        "requests": {"cpu": "250m", "memory": "64Mi"},
    }
    assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu, memory request for container c; cpu limit for container c"
    )


@pytest.mark.parametrize(
    ("item", "resources", "message"),
    [
        (
            {"type": "Container", "max": {"cpu": "800m"}, "min": {"cpu": "200m"}},
            {"limits": {"cpu": "1500m"}, "requests": {"cpu": "500m"}},
            "maximum cpu usage per Container is 800m, but limit is 1500m",
        ),
        (
            {"type": "Container", "max": {"cpu": "800m"}, "min": {"cpu": "200m"}},
            {"limits": {"cpu": "800m"}, "requests": {"cpu": "100m"}},
            "minimum cpu usage per Container is 200m, but request is 100m",
        ),
        (
            {"type": "Pod", "max": {"memory": "1Gi"}},
            {},
            "maximum memory usage per Pod is 1Gi.  No limit is specified",
        ),
        (
            {"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}},
            {"limits": {"cpu": "1"}, "requests": {"cpu": "250m"}},
            "cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000",
        ),
    ],
)
def test_limit_range_bounds(client: Client, item: Object, resources: Object, message: str) -> None:
    """What lies outside a LimitRange's bounds is refused with the bound and the value."""
    limits(client, **item)
    assert refused(client, pod("a", resources)) == f'pods "a" is forbidden: {message}'
