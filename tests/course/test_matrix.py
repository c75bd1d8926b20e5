"""The scheduler's matrix: what was decided, as a picture and as text."""

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from course.widgets import matrix
from k8s_core.cluster import Cluster


@pytest.fixture(scope="module")
def told() -> dict[str, matrix.Story]:
    """What a scheduler did with a Pod that fits twice, one that fits once, and one that is too large."""
    with Cluster() as cluster:
        cluster.settle()
        client = cluster.client()
        wishes: dict[str, Any] = {
            "free": {},
            "choosy": {"nodeSelector": {"kubernetes.io/hostname": "worker2"}},
            "large": {"containers": [{"name": "m", "image": "nginx", "resources": {"requests": {"cpu": "50"}}}]},
        }
        for name, wish in wishes.items():
            spec = {"containers": [{"name": "m", "image": "nginx"}], **wish}
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}
            client.create("pods", pod, "default")
            cluster.settle()
        nodes = list(cluster.addresses)
        return {name: matrix.story(cluster.scheduler.decisions, name, "default", nodes) for name in wishes}


def test_the_picture_has_a_row_for_each_node(told: dict[str, matrix.Story]) -> None:
    """The SVG is well-formed, names every node, says why one was refused, and is named for screen readers."""
    svg = matrix.picture(told["free"], 0)
    assert ET.fromstring(svg).attrib["role"] == "img"
    for words in ("cp", "worker1", "worker2", "TaintToleration", "100 × 3", "✓ chosen", "<title>where to put free"):
        assert words in svg
    assert "prefers-color-scheme:dark" in svg


def test_the_text_says_the_same(told: dict[str, matrix.Story]) -> None:
    """Filtered with reason, score times weight, sum and winner, all without colour."""
    text = matrix.text(told["free"], 0)
    assert "filtered out by TaintToleration: node(s) had untolerated taint(s)" in text
    assert text.count("TaintToleration 100 × 3, NodeResourcesFit 84, ImageLocality 0; sum 384") == 2
    assert text.count("<- chosen") == 1
    assert "equal, so chance decides" in text


def test_one_node_left_needs_no_scores(told: dict[str, matrix.Story]) -> None:
    """Where only one node passes the filters, nobody gives scores, and the picture says so."""
    assert "worker2  fits  <- chosen" in matrix.text(told["choosy"], 0)
    assert "nobody has to give scores" in matrix.picture(told["choosy"], 0)


def test_a_pod_that_fits_nowhere(told: dict[str, matrix.Story]) -> None:
    """Every node has its reason, and the message of FailedScheduling stands below."""
    text = matrix.text(told["large"], 0)
    assert text.count("Insufficient cpu") == 3
    assert "none left: the Pod stays Pending" in text
    assert "0/3 nodes are available" in text


def test_the_view_stays_within_the_attempts(told: dict[str, matrix.Story]) -> None:
    """A position beyond the end is the end; the caption counts the attempts."""
    view = matrix.MatrixView(told["free"])
    view.position = 9
    assert view.caption.startswith("attempt 1 of 1: 1 node filtered out, 2 left")
