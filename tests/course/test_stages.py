"""The stages of a request, out of the audit log; and HTTPS without kubectl."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest

from course.lab import Lab
from course.syllabus import chapter
from course.widgets import records, stages


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The lab of chapter 04."""
    patch = pytest.MonkeyPatch()
    patch.setenv("COURSE_HOME", str(tmp_path_factory.mktemp("course")))
    made = Lab(chapter("04-apiserver"), "ada")
    yield made
    made.close()
    patch.undo()


def refused_at(row: stages.Row) -> str:
    return next((stage for stage, state, _ in row["stages"] if state == "refused"), "")


def test_each_refusal_is_put_at_its_stage(lab: Lab) -> None:
    """No right, a full quota, a wrong name, a namespace and an object that are not there, a name that is taken."""
    lab.kubectl("create namespace small")
    lab.kubectl("create quota few --hard=pods=0 -n small")
    view = lab.stages(
        "kubectl run web --image=nginx; kubectl delete pod web --as=ada; kubectl run web --image=nginx -n small;"
        "kubectl run Web --image=nginx; kubectl create configmap c -n nowhere; kubectl get pod nobody;"
        "kubectl run web --image=nginx"
    )
    assert [(row["code"], refused_at(row)) for row in view.found] == [
        (201, ""),
        (403, "authorization"),
        (403, "admission"),
        (422, "validation"),
        (404, "admission"),
        (404, "etcd"),
        (409, "etcd"),
    ]
    for position in range(view.last + 1):
        view.position = position
        ET.fromstring(view.svg)
    assert "refused" in view.text


def test_the_audit_log_can_be_leafed_through(lab: Lab) -> None:
    """Newest last; by user, verb and resource; what components only read is left out."""
    lab.kubectl("create configmap page --as=grace --as-group=system:masters")
    lab.kubectl("delete configmap nobody --as=grace --as-group=system:masters")
    view = lab.audit(user="grace")
    asked = [(each["verb"], records.target(each), each["responseStatus"]["code"]) for each in view.found]
    made, missed = ("create", "configmaps/page in default", 201), ("delete", "configmaps/nobody in default", 404)
    assert asked[-2:] == [made, missed] and records.who(view.found[-1]) == "kubernetes-admin as grace"
    assert "configmaps/page in default" in view.text and "404" in view.text
    for position in range(view.last + 1):
        view.position = position
        ET.fromstring(view.svg)
    assert {each["verb"] for each in lab.audit(verb="create").found} == {"create"}
    assert not [each for each in lab.audit().found if each["verb"] == "watch" and "system:" in each["user"]["username"]]
    assert lab.audit(user="nobody at all").caption == "no request"


def test_requests_without_kubectl(lab: Lab) -> None:
    """GET, POST, PATCH and a watch from a revision on; a refusal is an answer, too."""
    collection = "/api/v1/namespaces/default/configmaps"
    assert lab.http("GET", "/version").object["major"] == "1"
    revision = lab.http("GET", collection).object["metadata"]["resourceVersion"]
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "soup"}}
    assert lab.http("POST", collection, made).code == 201
    assert lab.http("POST", collection, made).code == 409
    changed = lab.http("PATCH", f"{collection}/soup", {"data": {"of": "peas"}}, "application/merge-patch+json")
    assert changed.object["data"] == {"of": "peas"}
    events = lab.http("GET", f"{collection}?watch=1&resourceVersion={revision}").events
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED"]
