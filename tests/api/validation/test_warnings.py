"""Warnings say what is allowed but hardly meant, in Kubernetes' words."""

from typing import Any

import pytest

from k8s_core.api import Object, defaults
from k8s_core.api.validation import warnings

C = {"name": "c", "image": "i"}


def pod(name: str = "p", **spec: Any) -> Object:
    obj: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [C], **spec}}
    defaults.apply(obj)
    return obj


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (pod(), []),
        (
            pod("a.b"),
            [
                "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; "
                "a DNS label is recommended: [must not contain dots]"
            ],
        ),
        (
            pod(nodeSelector={"beta.kubernetes.io/os": "linux"}),
            ['spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'],
        ),
        (
            pod(containers=[{**C, "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}]),
            ['spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply'],
        ),
        (pod(containers=[{**C, "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}]}]), []),
        (
            pod(containers=[{**C, "ports": [{"containerPort": 80}, {"containerPort": 80}]}]),
            ["spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]"],
        ),
        (
            pod(containers=[{**C, "resources": {"requests": {"memory": "100m"}}}]),
            [
                'spec.containers[0].resources.requests[memory]: fractional byte value "100m" is invalid, '
                "must be an integer"
            ],
        ),
        (
            pod(terminationGracePeriodSeconds=-1),
            ["spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"],
        ),
    ],
)
def test_pods(obj: Object, expected: list[str]) -> None:
    """A Pod's warnings."""
    assert warnings.create(obj) == expected


def test_templates() -> None:
    """A workload's warnings name its template's fields; an update that changes nothing is silent."""
    template = {"spec": {"containers": [{**C, "ports": [{"containerPort": 80}, {"containerPort": 80}]}]}}
    obj = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"template": template}}
    expected = [
        "spec.template.spec.containers[0].ports[1]: duplicate port definition with "
        "spec.template.spec.containers[0].ports[0]"
    ]
    assert warnings.create(obj) == expected
    assert warnings.update(obj, obj) == []
    assert warnings.update(obj, {**obj, "spec": {}}) == expected


def test_services() -> None:
    """What a Service ignores is said."""
    spec = {"type": "ClusterIP", "clusterIP": "None", "sessionAffinity": "ClientIP", "externalName": "x"}
    assert warnings.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec}) == [
        "spec.SessionAffinity is ignored for headless services",
        'spec.externalName is ignored when spec.type is not "ExternalName"',
    ]
