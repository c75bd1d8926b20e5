"""The ladder, and what chapter 19 asks of a lab: one broken cluster at a time, with a clock."""

import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest

from course import syllabus
from course.kernel import LabError
from course.lab import Lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The lab of chapter 19."""
    before = dict(os.environ)
    os.environ["COURSE_HOME"] = str(tmp_path_factory.mktemp("course"))
    made = Lab(syllabus.chapter("19-troubleshooting"), "ada")
    yield made
    made.close()
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.parametrize(
    ("task", "app", "stuck", "said"),
    [
        ("image", "app", "containers created", "ImagePullBackOff"),
        ("key", "app", "containers created", "couldn't find key color"),
        ("memory", "app", "their programs run", "OOMKilled, exit code 137"),
        ("spread", "app", "a node for each", "didn't match pod anti-affinity rules"),
        ("deaf", "db", "they are ready", "statuscode: 404"),
        ("none", "app", "its Pods", "failed quota"),
    ],
)
def test_the_ladder_stops_where_the_mistake_is(lab: Lab, task: str, app: str, stuck: str, said: str) -> None:
    """The rungs before are reached, that one says why it is not, and nothing is said of those after it."""
    lab.told_of(task)
    view = lab.ladder(getattr(lab.values, app), namespace=getattr(lab.values, task))
    _, ladder = view.moments[-1]
    found = next(number for number, rung in enumerate(ladder) if rung["what"] == stuck)
    assert [rung["state"] for rung in ladder] == ["good"] * found + ["bad"] + ["none"] * (len(ladder) - found - 1)
    assert said in ladder[found]["found"]
    assert said in view.text
    assert f"-n {getattr(lab.values, task)}" in view.caption


def test_the_ladder_is_climbed_step_by_step(lab: Lab) -> None:
    """Of what works every rung is reached, each moment has its picture, and none goes back a step."""
    lab.kubectl("create deployment whole --image=nginx")
    lab.kubectl("expose deployment whole --port=80")
    lab.settle()
    view = lab.ladder("whole")
    heights = []
    for position in range(view.last + 1):
        view.position = position
        assert ET.fromstring(view.svg).attrib["role"] == "img"
        heights.append(sum(rung["state"] == "good" for rung in view.moments[position][1]))
    assert heights == sorted(heights)
    assert heights[-1] == len(view.moments[-1][1])
    assert view.caption.endswith("all the way up")
    with pytest.raises(LabError, match='no Deployment "nobody"'):
        lab.ladder("nobody")


def test_what_a_task_broke_is_not_in_the_way_of_the_next(lab: Lab) -> None:
    """An unsolved task that broke the cluster itself is put away when another is shown; shown again it begins anew."""
    lab.told_of("plane")
    assert lab.examine("plane").score == 0
    lab.told_of("key")
    lab.settle()
    pods = lab.kubectl("get pods -n kube-system -l tier=control-plane --no-headers")
    assert pods.count("1/1") == len(pods.splitlines())
    assert "NotFound" in lab.kubectl(f"get namespace {lab.values.plane}")
    lab.told_of("plane")
    assert lab.examine("plane").score == 0
    lab.told_of("key")


def test_a_task_with_a_time_tells_how_long_it_took(lab: Lab) -> None:
    """Once, and only when it is passed."""
    lab._asked["image"] -= 120
    assert "(3 points, 3 minutes)" in lab.told_of("image")
    first = lab.check("image")
    lab.kubectl(f"set image deployment/{lab.values.app} main=nginx -n {lab.values.image}")
    second, third = lab.check("image"), lab.check("image")
    assert first is not None and not first.notes
    assert second is not None
    assert re.fullmatch(r"It took you \d+ min \d+ s\. Somebody who knows needs 3 minutes\.", *second.notes)
    assert "took you 0 min" not in second.notes[0]
    assert third is not None and not third.notes
