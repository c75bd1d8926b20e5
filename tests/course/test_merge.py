"""The three-way merge and the owners of fields, as pictures and text; the picture says what the real kubectl does."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from course.lab import Lab
from course.syllabus import chapter
from course.widgets import merge


def web(image: str, labels: dict[str, str], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": labels},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "main", "image": image}]},
            },
            **spec,
        },
    }


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab in which a Deployment was applied, and then changed by others."""
    patch = pytest.MonkeyPatch()
    patch.setenv("COURSE_HOME", str(tmp_path_factory.mktemp("course")))
    made = Lab(chapter("17-apply"), "ada")
    apply(made, web("nginx:1.27", {"app": "web", "tier": "front"}, replicas=2), tmp_path_factory.getbasetemp())
    made.kubectl("scale deployment web --replicas=5")
    made.kubectl("label deployment web owner=ada")
    yield made
    made.close()
    patch.undo()


def apply(lab: Lab, obj: dict[str, Any], folder: Path) -> None:
    (folder / "web.yaml").write_text(yaml.safe_dump(obj))
    lab.kubectl(f"apply -f {folder / 'web.yaml'}")


def test_the_table_says_what_apply_then_does(lab: Lab, tmp_path: Path) -> None:
    """Each field's result, as foretold, is what the object has after the real kubectl has applied the file."""
    wish = web("nginx:1.28", {"app": "web"}, replicas=2)
    (tmp_path / "new.yaml").write_text(yaml.safe_dump(wish))
    told = {row["field"]: row for row in lab.merge(str(tmp_path / "new.yaml")).found}
    assert told["spec.replicas"]["patch"] == "2"
    assert told["metadata.labels.tier"]["patch"] == "null"
    assert told["metadata.labels.owner"]["result"] == "ada"
    assert told["spec.template.spec.containers[name=main].image"]["result"] == "nginx:1.28"
    apply(lab, wish, tmp_path)
    live = json.loads(lab.kubectl("get deployment web -o json"))
    assert live["metadata"]["labels"] == {"app": "web", "owner": "ada"}
    assert live["spec"]["replicas"] == 2
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1.28"


def test_pictures_are_well_formed_at_every_position(lab: Lab, tmp_path: Path) -> None:
    """The merge grows field by field; the owners stand out one after another."""
    (tmp_path / "new.yaml").write_text(yaml.safe_dump(web("nginx:1.29", {})))
    view = lab.merge(str(tmp_path / "new.yaml"))
    for position in range(view.last + 1):
        view.position = position
        ET.fromstring(view.svg)
    book = lab.owners("deployment", "web")
    for position in range(book.last + 1):
        book.position = position
        ET.fromstring(book.svg)
    assert "kubectl-label" in book.text
    assert "status" in book.text


def test_keys_with_dots_and_slashes_are_told_shortly() -> None:
    """A path reads as in kubectl explain; a key's domain is left out."""
    assert merge.told(("spec", "containers", "[name=web]", "image")) == "spec.containers[name=web].image"
    assert merge.told(("metadata", "labels", "app.kubernetes.io/name")) == 'metadata.labels["…/name"]'
