"""What the runtimes of the nodes have, as a picture and as text."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest

from course.widgets import sandboxes
from k8s_core.cluster import Cluster


@pytest.fixture(scope="module")
def told() -> Iterator[list[sandboxes.Story]]:
    """A Pod of two containers, one of which was started again, beside a container that belongs to no Pod."""
    with Cluster() as cluster:
        cluster.settle()
        containers = [{"name": "web", "image": "nginx"}, {"name": "bad", "image": "busybox", "command": ["false"]}]
        pod = {"metadata": {"name": "duo"}, "spec": {"nodeName": "worker1", "containers": containers}}
        cluster.client().create("pods", {"apiVersion": "v1", "kind": "Pod", **pod}, "default")
        cluster.advance(20)
        cluster.node("worker1").run("nerdctl run -d --name stray nginx")
        yield sandboxes.story([(name, each.runtime) for name, each in cluster.kubelets.items()])


def test_every_pod_has_a_sandbox_and_strays_stand_apart(told: list[sandboxes.Story]) -> None:
    """Sandboxes with address and pause process, containers with state and attempt, and what belongs to no Pod."""
    node = next(each for each in told if each["node"] == "worker1")
    duo = next(box for box in node["sandboxes"] if box["pod"] == "default/duo")
    assert duo["address"].startswith("10.32.1.")
    assert {each["name"] for each in duo["containers"]} == {"web", "bad"}
    assert any(each["state"] == "Exited" and each["attempt"] for each in duo["containers"])
    assert [each["name"] for each in node["alone"]] == ["stray"]
    words = sandboxes.text(node)
    assert "no Pod:" in words and f"sandbox {duo['id'][:13]}, {duo['address']}" in words


def test_pictures_are_well_formed(told: list[sandboxes.Story]) -> None:
    """Each node's SVG can be read and has a name; the view stays within the nodes."""
    view = sandboxes.SandboxesView(told)
    for position in (0, 1, 9):
        view.position = position
        assert ET.fromstring(view.svg).attrib["role"] == "img"
    assert view.caption.startswith("node 3 of 3, worker2")
