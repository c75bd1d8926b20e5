"""Claims and volumes: the default class, and how they stay while they are in use."""

import pytest

from k8s_core.api import Object
from k8s_core.cluster import Cluster

CLASSES = "storageclasses.storage.k8s.io"


def claim(cluster: Cluster, **spec: object) -> Object:
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    meta = {"name": "data", "namespace": "default"}
    return cluster.client().create(
        "persistentvolumeclaims",
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": asked},
    )


@pytest.mark.parametrize(
    ("asked", "given"), [({}, "fast"), ({"storageClassName": ""}, ""), ({"storageClassName": "x"}, "x")]
)
def test_a_claim_without_a_class_gets_the_default_one(control_plane: Cluster, asked: Object, given: str) -> None:
    """The class that is annotated as default; an empty name asks for none."""
    note = {"storageclass.kubernetes.io/is-default-class": "true"}
    for name, annotations in (("slow", {}), ("fast", note)):
        meta = {"name": name, "annotations": annotations}
        body = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": meta, "provisioner": "x.io/x"}
        control_plane.client().create(CLASSES, body)
    assert claim(control_plane, **asked)["spec"]["storageClassName"] == given


def test_a_claim_stays_while_a_pod_uses_it(control_plane: Cluster) -> None:
    """Deleted, it waits for its Pod to be gone; unused, it goes at once."""
    client = control_plane.client()
    assert claim(control_plane)["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
    spec = {"nodeName": "n", "containers": [{"name": "c", "image": "x"}], "volumes": [volume]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "default"}, "spec": spec}
    client.create("pods", pod)
    control_plane.loop.run_ready()
    client.delete("persistentvolumeclaims", "data", "default")
    control_plane.loop.run_ready()
    assert "deletionTimestamp" in client.get("persistentvolumeclaims", "data", "default")["metadata"]
    client.delete("pods", "web", "default", grace_seconds=0)
    control_plane.loop.run_ready()
    assert not client.list("persistentvolumeclaims")
    claim(control_plane)
    client.delete("persistentvolumeclaims", "data", "default")
    control_plane.loop.run_ready()
    assert not client.list("persistentvolumeclaims")
