"""The schema answers what an object may hold, straight from the shipped definitions."""

import pytest

from k8s_core.api import schema

POD = schema.load().kind("", "v1", "Pod")


def test_a_kind_is_found_by_group_version_and_kind() -> None:
    """Pod and Deployment lead to their definitions, an unknown kind to KeyError."""
    assert POD.name == "io.k8s.api.core.v1.Pod"
    assert schema.load().kind("apps", "v1", "Deployment").fields["spec"].required == {"selector", "template"}
    with pytest.raises(KeyError):
        schema.load().kind("apps", "v1", "Pod")


def test_list_and_patch_semantics_of_containers() -> None:
    """Containers are a map list by name and merge by name."""
    containers = POD.fields["spec"].fields["containers"]
    assert (containers.kind, containers.list_type, containers.list_keys) == ("list", "map", ("name",))
    assert (set(containers.patch_strategy), containers.merge_key) == ({"merge"}, "name")
    assert containers.items is not None
    ports = containers.items.fields["ports"]
    assert (ports.list_keys, ports.merge_key) == (("containerPort", "protocol"), "containerPort")


def test_special_kinds_of_values() -> None:
    """Go types with a JSON form of their own have a kind of their own."""
    spec = POD.fields["spec"]
    container = spec.fields["containers"].items
    assert container is not None
    limits = container.fields["resources"].fields["limits"]
    assert limits.kind == "map" and limits.items is not None and limits.items.kind == "quantity"
    assert POD.fields["metadata"].fields["creationTimestamp"].kind == "time"
    assert container.fields["readinessProbe"].fields["httpGet"].fields["port"].kind == "int-or-string"
    lease = schema.load().kind("coordination.k8s.io", "v1", "Lease")
    assert lease.fields["spec"].fields["renewTime"].kind == "micro-time"
    data = schema.load().kind("", "v1", "Secret").fields["data"]
    assert data.items is not None and data.items.kind == "bytes"


def test_strategy_on_a_referenced_type_and_atomic_structs() -> None:
    """Deployment's strategy replaces keys that are gone; a selector is one value."""
    deployment = schema.load().kind("apps", "v1", "Deployment").fields["spec"]
    assert deployment.fields["strategy"].patch_strategy == {"retainKeys"}
    assert deployment.fields["strategy"].fields["rollingUpdate"].kind == "object"
    assert deployment.fields["selector"].map_type == "atomic"
    assert deployment.fields["template"].map_type == "granular"


def test_types_are_shared_and_recursive_definitions_end() -> None:
    """Asking twice gives the same object, also through a definition that contains itself."""
    name = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
    props = schema.load().type(name)
    assert props.fields["not"] is props
    assert POD.fields["spec"] is schema.load().type("io.k8s.api.core.v1.PodSpec")


def test_options_and_status_belong_to_every_group() -> None:
    """DeleteOptions of apps/v1 is the one of v1."""
    assert schema.load().kind("apps", "v1", "DeleteOptions") is schema.load().kind("", "v1", "DeleteOptions")


@pytest.mark.parametrize("version", ["1.25", "1.30", "1.37"])
def test_other_versions_load(version: str) -> None:
    """Every shipped version has Pods; a version that is not shipped is a ValueError."""
    assert schema.load(version).kind("", "v1", "Pod").fields["spec"].fields["containers"].merge_key == "name"
    with pytest.raises(ValueError, match=r"1\.99"):
        schema.load("1.99")
