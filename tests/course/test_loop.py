"""A controller's loop, turn by turn, out of a cluster's own history."""

import xml.etree.ElementTree as ET

import pytest

from course.widgets import loop
from k8s_core.cluster import Cluster


@pytest.fixture(scope="module")
def told() -> loop.Story:
    """A Deployment of two: a Pod of it is deleted, then it is scaled up, down, and a Pod is taken out by its label."""
    with Cluster() as cluster:
        cluster.settle()
        client = cluster.client()
        labels = {"app": "web"}
        pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
        spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": pod}
        deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
        client.create("deployments.apps", deployment, "default")
        cluster.settle()
        client.delete("pods", client.list("pods", "default")[0]["metadata"]["name"], "default")
        cluster.settle()
        for replicas in (4, 1):
            client.patch("deployments.apps", "web", "default", {"spec": {"replicas": replicas}})
            cluster.settle()
        left = client.list("pods", "default")[0]["metadata"]["name"]
        client.patch("pods", left, "default", {"metadata": {"labels": {"app": "other"}}})
        cluster.settle()
        return loop.story(cluster.history, cluster.apiserver.audit.since(0), "web", "default", 0.0)


def test_each_turn_compares_and_acts_on_the_difference(told: loop.Story) -> None:
    """Too few are made, too many deleted, and with the right number it does nothing."""
    turns = [(turn["wanted"], len(turn["pods"]), len(turn["make"]), len(turn["delete"])) for turn in told["turns"]]
    assert turns == [(2, 0, 2, 0), (2, 1, 1, 0), (4, 2, 2, 0), (1, 4, 0, 3), (1, 0, 1, 0), (1, 1, 0, 0)]
    assert [loop.compare(turn) for turn in told["turns"]][-3:] == ["3 too many", "1 too few", "just right"]
    assert told["turns"][4]["news"].endswith("is no more one of its Pods")


def test_every_turn_has_its_picture(told: loop.Story) -> None:
    """The SVG can be read at each position, and the text has all turns."""
    view = loop.LoopView(told)
    for position in range(view.last + 2):
        view.position = position
        assert ET.fromstring(view.svg).attrib["role"] == "img"
    assert view.caption.endswith("just right: does nothing")
    assert view.text.count("wanted ") == 6
