"""The check language: paths, rules, points and what a learner reads of them."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

from course.checks import (
    Look,
    Point,
    Seen,
    at_least,
    contains,
    excludes,
    one_of,
    pick,
    point,
    present,
    run,
    same_items,
)
from course.tasks import objects

POD: dict[str, Any] = {
    "metadata": {"name": "web", "labels": {"app.kubernetes.io/name": "web", "tier": "front"}},
    "spec": {"containers": [{"name": "main", "image": "nginx"}, {"name": "helper", "image": "busybox"}]},
}


class Nothing:
    """A source that has one Pod and prints one line."""

    def get(self, resource: str, name: str, namespace: str) -> dict[str, Any] | None:
        return POD if (resource, name, namespace) == ("pods", "web", "default") else None

    def list(self, resource: str, namespace: str, labels: str) -> list[dict[str, Any]]:
        return [POD] if resource == "pods" else []

    def run(self, *arguments: str) -> str:
        return " ".join(arguments)

    past = None


def test_pick_follows_paths_and_never_raises() -> None:
    """A path leads to a value, to every item's value, to an item by its name, or to nothing."""
    assert pick(POD, "metadata.name") == "web"
    assert pick(POD, "spec.containers[*].name") == ["main", "helper"]
    assert pick(POD, "spec.containers[name=helper].image") == "busybox"
    assert pick(POD, "spec.containers[1].name") == "helper"
    assert pick(POD, "metadata.labels[app.kubernetes.io/name]") == "web"
    for missing in ("spec.containers[7].name", "spec.containers[name=x].image", "status.phase", "metadata.name.one"):
        assert pick(POD, missing) is None
    assert pick(None, "a.b") is None
    assert pick({}, "a[*].b") == []


def test_rules_hold_or_not_for_any_value() -> None:
    """Rules accept what they say, and refuse values of other kinds without an error."""
    cases = [
        (one_of("a", "b"), "a", "c"),
        (contains("x"), ["x", "y"], None),
        (contains("ell"), "hello", 7),
        (excludes("x"), "abc", "xyz"),
        (at_least(2), 3, "3"),
        (same_items(["b", "a"]), ["a", "b"], ["a"]),
        (present, "a", ""),
    ]
    for rule, good, bad in cases:
        assert rule.holds(good), rule.text
        assert not rule.holds(bad), rule.text


def test_an_absent_object_is_seen_as_nothing() -> None:
    """A check can ask an object that is not there for anything."""
    gone = Seen(None)
    assert not gone
    assert gone["spec.containers[*].name"] == []
    assert gone["status.phase"] is None


def check(see: Look, values: Any) -> Iterator[Point]:
    pod = see.get("pods", "web")
    yield point("the name", pod["metadata.name"], "web", "kubectl get pod web")
    yield point("the phase", pod["status.phase"], "Running", "kubectl get pod web", worth=3, why="It must run.")
    yield point("an exec", see.exec("web", "main", "ls"), contains("-- ls"), "kubectl exec web -c main -- ls")


def test_every_point_is_reported_with_what_would_show_it() -> None:
    """A report counts by worth and tells of each failed point what was seen, expected, why, and where to look."""
    report = run("Title", check, Look(Nothing()), None, 10)
    assert [each.passed for each in report.points] == [True, False, True]
    assert report.score == 4.0
    assert not report.passed
    text = str(report)
    for part in ("Title: 4 of 10", "observed: nothing", "expected: Running", "It must run.", "kubectl get pod web"):
        assert part in text
    html = report.html()
    assert "✗" in html
    assert "kubectl get pod web" in html
    assert html.count("<li") == 3


def test_a_learners_own_error_is_shown_as_theirs() -> None:
    """A function that fails gives an observation, and below the points the lines of its own that led there."""

    def inner(item: Any) -> Any:
        return item["b"]

    def handed(item: Any) -> Any:
        return inner(item)

    def check(see: Look, values: Any) -> Iterator[Point]:
        yield point("it answers", see.call({"a": 1}), 1, "print(handed({}))")

    see = Look(Nothing())
    see.handed = (handed,)
    report = run("T", check, see, None, 1)
    text = str(report)
    assert report.points[0].observed == "KeyError: 'b'"
    assert "Your function ended with an error:" in text
    assert "return inner(item)" in text
    assert 'return item["b"]' in text
    assert "look.py" not in text
    assert "self.handed" not in text
    assert "KeyError" in report.html()


def test_a_cluster_without_a_past_is_told() -> None:
    """A check that needs history says so where there is none, and judges by how things are."""

    def check(see: Look, values: Any) -> Iterator[Point]:
        versions, whole = see.versions("pods", "web")
        yield point("always there", (len(versions), whole), (1, False), "kubectl get pod web")

    report = run("T", check, Look(Nothing()), None, 1)
    assert report.passed
    assert "does not keep its past" in str(report)
    assert run("T", lambda see, v: iter(()), Look(Nothing()), None, 1).notes == ()


def test_practice_counts_a_point_for_each_thing() -> None:
    """A check without points of its own is worth what its points are worth."""
    assert run("Title", check, Look(Nothing()), None, 0).total == 5


def test_reports_escape_what_a_cluster_says() -> None:
    """Names and outputs from a cluster cannot put markup into a notebook."""
    report = run(
        "T", lambda see, v: iter([point("<b>", "<script>", "x", "kubectl <i>", why="<u>")]), Look(Nothing()), None, 1
    )
    assert "<script>" not in report.html()
    assert "<b>" not in report.html()


def test_only_kubectl_says_that_somebody_may() -> None:
    """A refusal with somebody's own words in it, such as an admission policy's, is no yes."""
    see = Look(Nothing())
    for said, may in (
        ("yes\n", "yes"),
        ("no\n", "no"),
        ("no - yes it is\n", "no"),
        ("Error from server (Forbidden): yes", "no"),
    ):
        see.source.run = lambda *_, said=said: said  # type: ignore[method-assign]
        assert see.may("bob", "list", "pods") == may


def test_where_marks_are_given_a_function_is_asked_with_other_names() -> None:
    """Names of one letter and numbers differ, in questions and answers alike; elsewhere they stay as they are."""
    case = (['{"name": "a", "labels": {"x": "1"}}'], {"a": {"x": "1"}, "spec": 2})
    see = Look(Nothing())
    assert see.other_names(case) is case
    assert see.other_number(5) == 5
    see.draw = Random(1)
    (line,), right = see.other_names(case)
    made = json.loads(line)
    assert made["name"] not in ("a", "x")
    assert right == {made["name"]: made["labels"], "spec": 2}
    assert see.other_number(5) > 5


def test_a_wrong_answer_is_not_told_the_right_one() -> None:
    """What a learner shall find out stays untold until it is said; what is missing on both sides is no answer."""
    wrong, right, none, absent = (
        objects.answer("who", told, expected, "kubectl get pods", why="Look.", untold="another component")
        for told, expected in (("etcd", "kubelet"), (" kubelet\n", "kubelet"), (None, "kubelet"), ("None", None))
    )
    assert [each.passed for each in (wrong, right, none, absent)] == [False, True, False, False]
    assert wrong.expected == none.expected == "another component"
    assert right.expected == "kubelet"
