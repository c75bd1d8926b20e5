"""What the API serves, built in and added later."""

import pytest

from k8s_core.api import resources
from k8s_core.api.custom import Custom
from k8s_core.api.resources import Resource, version_order
from k8s_core.api.schema import Type

CUSTOM = Custom("example.com/v1", "CronTab", "CronTabList", {"name": "v1"}, Type("any"))


def test_built_in_resources_are_found() -> None:
    """By plural and by kind, with the preferred version where there are more."""
    served = resources.load()
    pods = served.get("", "v1", "pods")
    assert pods is not None and pods.kind == "Pod" and pods.short_names == ("po",)
    assert served.by_kind("apps", "v1", "Deployment") is served.find("deployments.apps")
    hpa = served.find("horizontalpodautoscalers.autoscaling")
    assert hpa is not None and hpa.version == "v2"
    assert served.find("deployments") is None
    scale = served.find("deployments.apps").subresources["scale"]  # type: ignore[union-attr]
    assert (scale.group, scale.version, scale.kind) == ("autoscaling", "v1", "Scale")


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("nodes", "minions"),
        ("services", "services/specs"),
        ("endpoints", "services/endpoints"),
        ("replicationcontrollers", "controllers"),
        ("ingresses.networking.k8s.io", "ingress"),
        ("events.events.k8s.io", "events"),
        ("leases.coordination.k8s.io", "leases"),
        ("apiservices.apiregistration.k8s.io", "apiregistration.k8s.io/apiservices"),
    ],
)
def test_etcd_prefixes(name: str, prefix: str) -> None:
    """Objects lie in etcd where a real API server puts them."""
    found = resources.load().find(name)
    assert found is not None and found.storage == prefix


def test_custom_resources_come_and_go() -> None:
    """A custom group is listed after the built-in ones, its best version first, and vanishes with its resource."""
    served = resources.load()
    before = served.generation
    for version in ("v1alpha1", "v1", "v1beta1"):
        served.add(
            Resource("stable.example.com", version, "crontabs", "CronTab", "crontab", True, ("get",), custom=CUSTOM)
        )
    assert served.groups()[-1] == ("stable.example.com", ("v1", "v1beta1", "v1alpha1"))
    found = served.find("crontabs.stable.example.com")
    assert found is not None and found.version == "v1" and found.storage == "stable.example.com/crontabs"
    assert found.api_version == "stable.example.com/v1" and served.generation > before
    for version in ("v1alpha1", "v1", "v1beta1"):
        served.remove("stable.example.com", version, "crontabs")
    assert served.find("crontabs.stable.example.com") is None
    assert [g.name for g in served.groups()] == [g.name for g in resources.load().groups()]


def test_an_older_cluster_serves_less() -> None:
    """Kinds that came later are not there; all that is there has a definition."""
    assert resources.load("1.25").find("servicecidrs.networking.k8s.io") is None
    assert resources.load("1.25").find("pods") is not None


def test_version_order_is_kubernetes_own() -> None:
    """Stable before beta before alpha, high before low, odd names last."""
    right = ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10"]
    assert sorted({*right}, key=version_order) == right
