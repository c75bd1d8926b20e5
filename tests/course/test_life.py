"""A Pod's life as a timeline, out of a cluster's own history."""

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from course.widgets import life
from course.widgets.axis import Axis
from k8s_core.cluster import Cluster


@pytest.fixture(scope="module")
def told() -> dict[str, life.Story]:
    """The lives of a Pod with a failing probe beside a crashing container, of one that is done, and of one deleted."""
    probe = {"httpGet": {"path": "/nope", "port": 80}, "periodSeconds": 5}
    pods: dict[str, Any] = {
        "ill": {
            "containers": [
                {"name": "web", "image": "nginx", "livenessProbe": probe},
                {"name": "bad", "image": "busybox", "command": ["sh", "-c", "exit 3"]},
            ]
        },
        "done": {
            "restartPolicy": "Never",
            "initContainers": [{"name": "first", "image": "busybox", "command": ["sleep", "5"]}],
            "containers": [{"name": "main", "image": "busybox", "command": ["sleep", "10"]}],
        },
        "gone": {"containers": [{"name": "main", "image": "nginx"}]},
    }
    with Cluster() as cluster:
        cluster.settle()
        client = cluster.client()
        for name, spec in pods.items():
            client.create(
                "pods", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}, "default"
            )
        cluster.advance(30)
        client.delete("pods", "gone", "default")
        cluster.advance(90)
        return {name: life.story(cluster.history, name, "default") for name in pods}


def spans(story: life.Story, row: str) -> list[str]:
    return [span["text"] for each in story["rows"] if each["name"] == row for span in each["spans"]]


def test_runs_and_back_offs_alternate(told: dict[str, life.Story]) -> None:
    """Each wait between two runs says how long the back-off is, and it doubles."""
    texts = [text for text in spans(told["ill"], "bad") if text != "running"]
    assert texts == ["ContainerCreating", "10s back-off", "20s back-off", "40s back-off", "1m20s back-off"]
    assert spans(told["ill"], "web")[:3] == ["ContainerCreating", "running", "running"]


def test_failed_probes_and_ends_are_marked(told: dict[str, life.Story]) -> None:
    """A failed liveness probe, the killing that follows, and every exit code stand at their container."""
    words = [(container, word) for _, container, word in told["ill"]["marks"]]
    assert words.count(("web", "✗ liveness probe")) >= 3
    assert ("web", "■ killed") in words
    assert ("bad", "■ exit code 3") in words


def test_a_life_that_ends(told: dict[str, life.Story]) -> None:
    """Phases in order; init containers have a line of their own; nothing is told after a Pod is gone."""
    assert spans(told["done"], "phase")[-2:] == ["Running", "Succeeded"]
    assert spans(told["done"], "first")[-1] == "running"
    assert spans(told["gone"], "phase")[-1] == "Terminating"
    assert life.summary(told["gone"], told["gone"]["moments"][-1]) == "gone"


@pytest.mark.parametrize("name", ["ill", "done", "gone"])
def test_pictures_are_well_formed_at_every_position(told: dict[str, life.Story], name: str) -> None:
    """The SVG can be read, has a name for screen readers, and the view stays within its moments."""
    view = life.LifeView(told[name])
    for position in (0, view.last // 2, view.last + 5):
        view.position = position
        assert ET.fromstring(view.svg).attrib["role"] == "img"
        assert view.text.startswith(f"the life of {name}")


def test_an_axis_keeps_the_order_of_times() -> None:
    """Whatever is squeezed, a later time never stands left of an earlier one."""
    axis = Axis([0.0, 1.0, 100.0, 101.0], 10, 500, life._squeeze)
    places = [axis(time) for time in (-1.0, 0.0, 0.5, 1.0, 50.0, 100.0, 101.0, 200.0)]
    assert places == sorted(places)
    assert places[0] == 10
    assert places[-1] == pytest.approx(510)
