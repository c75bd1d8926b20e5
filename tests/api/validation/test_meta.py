"""Metadata: names by kind, the size of annotations, and no new finalizers at the end."""

import pytest

from k8s_core.api import validation
from k8s_core.api.names import dns1123_label, dns1123_subdomain

LABEL = dns1123_label("B")[0]
SUBDOMAIN = dns1123_subdomain("B")[0]


@pytest.mark.parametrize(
    ("api_version", "kind", "name", "message"),
    [
        ("v1", "ConfigMap", "B", f'Invalid value: "B": {SUBDOMAIN}'),
        ("v1", "Namespace", "a.b", 'Invalid value: "a.b": must not contain dots'),
        ("v1", "Service", "B", f'Invalid value: "B": {LABEL}'),
        ("rbac.authorization.k8s.io/v1", "Role", "a/b", "Invalid value: \"a/b\": may not contain '/'"),
        ("example.com/v1", "Thing", "B", f'Invalid value: "B": {SUBDOMAIN}'),
        ("v1", "ConfigMap", "", "Required value: name or generateName is required"),
    ],
)
def test_names(api_version: str, kind: str, name: str, message: str) -> None:
    """Every kind has its own rule for names."""
    obj = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}}
    assert f"metadata.name: {message}" in [error.message() for error in validation.create(obj)]


def test_annotations_have_a_size() -> None:
    """All annotations together hold 256 KiB."""
    meta = {"name": "x", "annotations": {"a": "x" * 262143}}
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    assert validation.create(obj) == []
    meta["annotations"] = {"a": "x" * 262144}
    assert [error.message() for error in validation.create(obj)] == [
        "metadata.annotations: Too long: may not be more than 262144 bytes"
    ]


def test_no_finalizers_while_being_deleted() -> None:
    """An object that is being deleted gets no new reason to stay."""
    meta = {"name": "x", "resourceVersion": "1", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    old, done, more = (
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**meta, "finalizers": finalizers}}
        for finalizers in (["a/b"], [], ["a/b", "a/c"])
    )
    assert validation.update(done, old) == []
    assert [error.message() for error in validation.update(more, old)] == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
        'found new finalizers []string{"a/c"}'
    ]
