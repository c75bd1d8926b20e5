"""Hashes of Pod templates: two that a real v1.36.2 cluster gave, and how the parts are printed."""

from typing import Any

import pytest

from k8s_core.controllers import spew
from k8s_core.controllers.deployment_util import template_hash

BASE = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "imagePullPolicy": "Always",
}


def template(app: str, **container: Any) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app": app}},
        "spec": {
            "containers": [{**BASE, **container}],
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "securityContext": {},
            "schedulerName": "default-scheduler",
        },
    }


def test_hashes_are_those_of_a_real_cluster() -> None:
    """`kubectl create deployment nginx --image=nginx`, and a manifest with a port."""
    assert template_hash(template("nginx", name="nginx", image="nginx"), None) == "7f8fbb96d"
    ports = [{"containerPort": 80, "protocol": "TCP"}]
    web = template("web", name="nginx", image="nginx:1.25", imagePullPolicy="IfNotPresent", ports=ports)
    assert template_hash(web, None) == "57794f8f99"


def test_a_collision_changes_the_hash() -> None:
    """The count of collisions is hashed too, and none is not the same as zero."""
    one = template("a", name="a", image="a")
    assert len({template_hash(one, count) for count in (None, 0, 1)}) == 3


@pytest.mark.parametrize(
    ("quantity", "inside"),
    [
        ("100m", "value:(int64)100 scale:(resource.Scale)-3} ... s:(string)100m Format:(resource.Format)DecimalSI"),
        ("64Mi", "value:(int64)67108864 scale:(resource.Scale)0} ... s:(string) Format:(resource.Format)BinarySI"),
        ("0", "value:(int64)0 scale:(resource.Scale)0} ... s:(string)0 Format:(resource.Format)DecimalSI"),
    ],
)
def test_quantities_are_printed_as_parsed(quantity: str, inside: str) -> None:
    """A string that is canonical already is kept, another one is not."""
    limits = {"requests": {"cpu": quantity}}
    text = spew.dump(template("a", name="a", image="a", resources=limits))
    before, after = inside.split("...")
    assert f"Requests:(v1.ResourceList)map[cpu:{{i:(resource.int64Amount){{{before}" in text
    assert after.strip() in text


def test_pointers_embedded_structs_and_unions() -> None:
    """A pointer names its type whether set or not; an embedded struct its own; int-or-string which of the two."""
    probe = {"httpGet": {"path": "/", "port": "web"}, "periodSeconds": 5}
    text = spew.dump(template("a", name="a", image="a", livenessProbe=probe))
    assert "LivenessProbe:(*v1.Probe){ProbeHandler:(v1.ProbeHandler){Exec:(*v1.ExecAction)<nil>" in text
    assert "Port:(intstr.IntOrString){Type:(intstr.Type)1 IntVal:(int32)0 StrVal:(string)web}" in text
    assert "StartupProbe:(*v1.Probe)<nil>" in text
