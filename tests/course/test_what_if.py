"""The scheduler's matrix with sliders."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import pytest

from course.widgets import what_if
from k8s_core.cluster import Cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Three nodes, and on worker1 a Pod that requests half a core."""
    with Cluster() as made:
        made.settle()
        main = {"name": "m", "image": "nginx", "resources": {"requests": {"cpu": "500m", "memory": "256Mi"}}}
        spec = {"nodeSelector": {"kubernetes.io/hostname": "worker1"}, "containers": [main]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "heavy"}, "spec": spec}
        made.client().create("pods", pod, "default")
        made.settle()
        yield made


def view(cluster: Cluster, **spec: Any) -> what_if.WhatIfView:
    return what_if.WhatIfView(cluster.scheduler, cluster.lock, list(cluster.addresses), spec)


def test_the_emptier_node_wins_until_it_is_full(cluster: Cluster) -> None:
    """Requests move the winner and at last leave no node; the picture and the text say so."""
    shown = view(cluster)
    assert "worker2" in shown.caption and "is chosen" in shown.caption
    shown.turn("cpu", 700)
    assert "worker1  filtered out by NodeResourcesFit: Insufficient cpu" in shown.text
    shown.turn("cpu", 5000)
    assert shown.knobs["cpu"]["value"] == what_if.CPU
    assert "the Pod stays Pending" in shown.caption
    assert ET.fromstring(shown.svg).attrib["role"] == "img"


def test_weights_count(cluster: Cluster) -> None:
    """A weight multiplies a score; at 0 the plugin does not speak."""
    shown = view(cluster)
    shown.receive({"type": "knob", "name": "NodeResourcesFit", "value": 4})
    assert "NodeResourcesFit" in shown.text and " × 4" in shown.text
    for name in what_if.weights():
        shown.turn(name, 0)
    assert "NodeResourcesFit" not in shown.text.replace("filtered out by NodeResourcesFit", "")


def test_a_spec_is_heeded(cluster: Cluster) -> None:
    """Fields such as nodeSelector filter as in a real Pod."""
    shown = view(cluster, nodeSelector={"kubernetes.io/hostname": "worker1"})
    assert "worker1 is chosen: the only one left" in shown.caption


def test_asking_changes_nothing(cluster: Cluster) -> None:
    """No decision is noted, no random number drawn, no revision made."""
    before = (len(cluster.scheduler.decisions), cluster.loop.random.getstate(), cluster.etcd.revision)
    view(cluster).turn("memory", 1024)
    assert (len(cluster.scheduler.decisions), cluster.loop.random.getstate(), cluster.etcd.revision) == before
