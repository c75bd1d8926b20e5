"""Pods: what depends on more than one field. The plain cases are in pods.yaml."""

from typing import Any

import pytest

from k8s_core.api import Object, defaults, validation
from k8s_core.api.validation.pods import qos_class


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}, "Burstable"),
    ],
)
def test_qos_class(resources: dict[str, Any], expected: str) -> None:
    """Equal limits and requests for CPU and memory make a Pod Guaranteed."""
    assert qos_class({"containers": [{"name": "c", "resources": resources}]}) == expected


def test_unchanged_spec_is_not_looked_at() -> None:
    """An update that carries the stored spec itself is accepted, whatever is in it."""
    meta = {"name": "x", "resourceVersion": "1"}
    old: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {}}
    new = {**old, "metadata": {**meta, "labels": {"a": "b"}}}
    defaults.apply(new, old)
    assert validation.update(new, old) == []
    assert validation.update({**new, "spec": {"nodeName": "n"}}, old) != []


def test_binding() -> None:
    """A binding names a node."""
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Pod"}}
    assert [error.message() for error in validation.create(binding)] == [
        'target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>"',
        "target.name: Required value",
    ]
