"""A rollout's timeline, out of a cluster's own history."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest

from course.widgets import rollout
from k8s_core.cluster import Cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A Deployment of four that went from one image to another, with one more and none missing."""
    with Cluster() as made:
        made.settle()
        client = made.client()
        labels = {"app": "web"}
        container = {"name": "main", "image": "nginx:1.27"}
        spec = {
            "replicas": 4,
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        }
        obj = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
        client.create("deployments.apps", obj, "default")
        made.settle()
        update(made, "nginx:1.28")
        yield made


def update(cluster: Cluster, image: str) -> None:
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}}
    cluster.client().patch("deployments.apps", "web", "default", patch, kind="strategic")
    cluster.settle()


def test_the_story_keeps_the_limits_that_the_strategy_sets(cluster: Cluster) -> None:
    """Never more Pods than replicas plus maxSurge, never fewer ready than replicas less maxUnavailable."""
    told = rollout.story(cluster.history, "web", "default", 0.0)
    seen = [rollout.counts(told, time) for time in told["moments"] if time >= told["begin"]]
    assert max(pods for _, pods, _ in seen) == 5
    assert min(ready for _, _, ready in seen) == 4
    assert [each["images"] for each in told["sets"]] == ["nginx:1.27", "nginx:1.28"]
    assert list(seen[-1][0].values()) == [(0, 0), (4, 4)]


def test_the_picture_and_the_text_say_the_same(cluster: Cluster) -> None:
    """The SVG is well-formed at every position; each revision and Pod is named; the text has the figures."""
    told = rollout.story(cluster.history, "web", "default", 0.0)
    for position in range(len(told["moments"])):
        ET.fromstring(rollout.picture(told, position))
    svg, text = rollout.picture(told), rollout.text(told)
    for fact in ("revision 1: nginx:1.27", "revision 2: nginx:1.28", "at most 5", "at least 4", *_names(told)):
        assert fact in svg
    assert text.endswith("most Pods at a time: 5 (allowed 5); fewest ready: 4 (allowed 4)")


def test_everything_begins_with_the_first_version(cluster: Cluster) -> None:
    """The whole history has the Pods' first start in it, the last rollout has not."""
    whole = rollout.story(cluster.history, "web", "default", 0.0, everything=True)
    last = rollout.story(cluster.history, "web", "default", 0.0)
    assert len(whole["moments"]) > len(last["moments"])
    assert rollout.counts(whole, whole["moments"][0])[1:] == (0, 0)


def test_what_happened_just_before_is_told_too(cluster: Cluster) -> None:
    """A Pod that became ready within the second before an update counts as ready from then on, not from the update."""
    client = cluster.client()
    client.patch("deployments.apps", "web", "default", {"spec": {"replicas": 5}})
    while client.get("deployments.apps", "web", "default")["status"]["readyReplicas"] < 5:
        cluster.advance(0.1)
    update(cluster, "nginx:1.29")
    told = rollout.story(cluster.history, "web", "default", 0.0)
    before = [rollout.counts(told, time)[2] for time in told["moments"] if time < told["begin"]]
    assert before == [4, 5]


def _names(told: rollout.Story) -> list[str]:
    return [str(pod["name"]) for pod in told["pods"]]
