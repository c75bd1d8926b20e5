"""CustomResourceDefinitions: their kinds are served, checked, printed, described and cleaned up."""

from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from k8s_core.api import Object
from k8s_core.api.errors import StatusError
from k8s_core.apiserver.request import Request, Response, parse_query
from k8s_core.cluster import Cluster

SPEC: Object = {
    "type": "object",
    "required": ["image"],
    "x-kubernetes-validations": [{"rule": "self.min <= self.replicas", "message": "too few"}],
    "properties": {
        "image": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]},
        "replicas": {"type": "integer", "minimum": 1, "maximum": 10, "default": 2},
        "min": {"type": "integer", "default": 1},
        "port": {"x-kubernetes-int-or-string": True},
        "extra": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}
PATHS = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.count"}
DEFINITION: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "foos.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "foos", "kind": "Foo", "shortNames": ["fo"], "categories": ["all"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}, "scale": PATHS},
                "additionalPrinterColumns": [
                    {"name": "Image", "type": "string", "jsonPath": ".spec.image"},
                    {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
                ],
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": SPEC,
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            },
            {
                "name": "v1alpha1",
                "served": True,
                "storage": False,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            },
        ],
    },
}
FOOS, CRDS = "foos.example.com", "customresourcedefinitions.apiextensions.k8s.io"


def foo(**spec: Any) -> Object:
    meta = {"name": "one", "namespace": "default"}
    return {"apiVersion": "example.com/v1", "kind": "Foo", "metadata": meta, "spec": {"image": "nginx", **spec}}


@pytest.fixture
def cluster(control_plane: Cluster) -> Cluster:
    control_plane.client().create(CRDS, DEFINITION)
    control_plane.loop.run_ready()
    return control_plane


def ask(cluster: Cluster, method: str, path: str, body: Object | None = None, **headers: str) -> Response:
    """A request from the wire, as an administrator."""
    path, _, query = path.partition("?")
    pair = cluster.pki.client("admin", ("system:masters",))
    return cluster.apiserver.handle(
        Request(
            method=method,
            path=path,
            query=parse_query(query),
            headers={"content-type": "application/json", **headers},
            body=orjson.dumps(body) if body is not None else b"",
            peer_certificate=pair.certificate.public_bytes(Encoding.DER),
        )
    )


def refused(cluster: Cluster, obj: Object) -> str:
    with pytest.raises(StatusError) as caught:
        cluster.client().create(FOOS, obj)
    return caught.value.message


def test_names_are_accepted_and_the_kind_is_served(cluster: Cluster) -> None:
    """The conditions say so, and discovery lists every served version with its subresources."""
    status = cluster.client().get(CRDS, "foos.example.com")["status"]
    assert [c["type"] for c in status["conditions"] if c["status"] == "True"] == ["NamesAccepted", "Established"]
    assert status["storedVersions"] == ["v1"] and status["acceptedNames"]["singular"] == "foo"
    rows = orjson.loads(ask(cluster, "GET", "/apis/example.com/v1").body or b"")["resources"]
    assert [row["name"] for row in rows] == ["foos", "foos/scale", "foos/status"]
    assert cluster.apiserver.resources.groups()[-1].versions == ("v1", "v1alpha1")


def test_every_version_has_an_api_service(cluster: Cluster) -> None:
    """They come and go with the definition."""
    services = "apiservices.apiregistration.k8s.io"

    def names() -> set[str]:
        return {each["metadata"]["name"] for each in cluster.client().list(services)}

    assert {"v1.example.com", "v1alpha1.example.com"} <= names()
    cluster.client().delete(CRDS, "foos.example.com")
    cluster.loop.run_ready()
    assert not {name for name in names() if name.endswith(".example.com")}


def test_a_taken_name_is_not_accepted(cluster: Cluster) -> None:
    """A definition whose kind is taken in its group is not established and not served."""
    names = {"plural": "others", "kind": "Foo", "singular": "other"}
    cluster.client().create(
        CRDS, {**DEFINITION, "metadata": {"name": "others.example.com"}, "spec": {**DEFINITION["spec"], "names": names}}
    )
    cluster.loop.run_ready()
    first = cluster.client().get(CRDS, "others.example.com")["status"]["conditions"][0]
    assert (first["reason"], first["message"]) == ("KindConflict", '"Foo" is already in use')
    assert cluster.apiserver.resources.find("others.example.com") is None


def test_objects_are_defaulted_pruned_and_counted(cluster: Cluster) -> None:
    """Defaults fill in, unknown fields go with a warning, a generation counts changes of the spec only."""
    body = foo(nothing=1, extra={"kept": True}, port="http")
    answer = ask(cluster, "POST", "/apis/example.com/v1/namespaces/default/foos", body)
    assert answer.code == 201 and answer.object is not None
    assert answer.object["spec"] == {
        "image": "nginx", "replicas": 2, "min": 1, "extra": {"kept": True}, "port": "http",
    }  # fmt: skip
    assert answer.headers["Warning"] == '299 - "unknown field \\"spec.nothing\\""'
    strict = ask(cluster, "POST", "/apis/example.com/v1/namespaces/default/foos?fieldValidation=Strict", body)
    assert strict.code == 400 and 'unknown field "spec.nothing"' in (strict.object or {})["message"]
    client = cluster.client()
    assert client.patch(FOOS, "one", "default", {"status": {"count": 3}}, subresource="status")["status"]
    assert client.patch(FOOS, "one", "default", {"spec": {"replicas": 3}})["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"replicas": "x"}, 'spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer'),
        (
            {"replicas": 11},
            "spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10",
        ),
        ({"port": []}, 'spec.port: Invalid value: "array": spec.port in body must be of type integer,string: "array"'),
        ({"min": 5}, "spec: Invalid value: too few"),
        ({"image": None}, 'spec.image: Invalid value: "null": spec.image in body must be of type string: "null"'),
    ],
)
def test_what_does_not_fit_is_refused(cluster: Cluster, spec: Object, message: str) -> None:
    """In the words of kube-openapi's validator, or of the CEL rule."""
    assert f'Foo.example.com "one" is invalid: {message}' in refused(cluster, foo(**spec))


def test_rules_about_changes_see_the_old_object(cluster: Cluster) -> None:
    """`oldSelf` rules are silent on creation and hold on updates."""
    client = cluster.client()
    client.create(FOOS, foo())
    with pytest.raises(StatusError, match=r'spec.image: Invalid value: "other": failed rule: self == oldSelf'):
        client.patch(FOOS, "one", "default", {"spec": {"image": "other"}})


def test_tables_show_the_columns_of_the_definition(cluster: Cluster) -> None:
    """One cell a column; nothing is shown for what is not there."""
    client = cluster.client()
    client.create(FOOS, foo())
    client.patch(
        FOOS, "one", "default", {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, subresource="status"
    )
    table = ask(
        cluster, "GET", "/apis/example.com/v1/foos", accept="application/json;as=Table;v=v1;g=meta.k8s.io"
    ).object
    assert table and [column["name"] for column in table["columnDefinitions"]] == ["Name", "Image", "Ready"]
    assert table["rows"][0]["cells"] == ["one", "nginx", "True"]


def test_other_versions_show_the_same_objects(cluster: Cluster) -> None:
    """Versions without conversion differ by their name only; etcd holds the storage version."""
    other = {**foo(), "apiVersion": "example.com/v1alpha1"}
    assert ask(cluster, "POST", "/apis/example.com/v1alpha1/namespaces/default/foos", other).code == 201
    assert cluster.client().get(FOOS, "one", "default")["apiVersion"] == "example.com/v1"
    stored = cluster.etcd.get(b"/registry/example.com/foos/default/one")
    assert stored is not None and b"example.com/v1alpha1" not in stored.value.split(b"managedFields")[0]


def test_scale_follows_the_paths(cluster: Cluster) -> None:
    """GET and PUT of the scale subresource read and write where the definition says."""
    cluster.client().create(FOOS, foo())
    path = "/apis/example.com/v1/namespaces/default/foos/one/scale"
    scale = ask(cluster, "GET", path).object
    assert scale and scale["spec"] == {"replicas": 2} and scale["status"] == {"replicas": 0}
    assert ask(cluster, "PUT", path, {**scale, "spec": {"replicas": 4}}).code == 200
    assert cluster.client().get(FOOS, "one", "default")["spec"]["replicas"] == 4


def test_strategic_patches_are_not_for_custom_kinds(cluster: Cluster) -> None:
    """415 with the three media types that are."""
    cluster.client().create(FOOS, foo())
    path, media = "/apis/example.com/v1/namespaces/default/foos/one", "application/strategic-merge-patch+json"
    answer = ask(cluster, "PATCH", path, {}, **{"content-type": media})
    assert answer.code == 415 and "strategic" not in (answer.object or {})["message"]


def test_openapi_describes_the_kind(cluster: Cluster) -> None:
    """The v3 document has the schema under the name that kubectl explain looks for."""
    answer = ask(cluster, "GET", "/openapi/v3/apis/example.com/v1", accept="application/json")
    document = orjson.loads(answer.body or b"")
    assert document["components"]["schemas"]["com.example.v1.Foo"]["properties"]["spec"] == SPEC
    assert "/apis/example.com/v1/namespaces/{namespace}/foos/{name}/scale" in document["paths"]


def test_objects_go_before_their_definition(cluster: Cluster) -> None:
    """A finalizer on an object holds the definition back; afterwards the kind is served no longer."""
    client = cluster.client()
    client.create(FOOS, foo())
    client.patch(FOOS, "one", "default", {"metadata": {"finalizers": ["example.com/hold"]}})
    client.delete(CRDS, "foos.example.com")
    cluster.loop.run_ready()
    conditions = client.get(CRDS, "foos.example.com")["status"]["conditions"]
    assert conditions[-1]["reason"] == "InstanceDeletionInProgress"
    client.patch(FOOS, "one", "default", {"metadata": {"finalizers": None}})
    cluster.advance(2)
    assert not client.list(CRDS) and cluster.apiserver.resources.find(FOOS) is None
    assert ask(cluster, "GET", "/apis/example.com/v1/foos").code == 404


def test_namespaces_and_owners_take_custom_objects_along(cluster: Cluster) -> None:
    """Namespace deletion and the garbage collector know kinds that came later."""
    client = cluster.client()
    client.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns"}})
    here = {**foo(), "metadata": {"name": "one", "namespace": "ns"}}
    client.create(FOOS, here)
    owner = client.create(FOOS, foo())
    reference = {"apiVersion": "example.com/v1", "kind": "Foo", "name": "one", "uid": owner["metadata"]["uid"]}
    meta = {"name": "owned", "namespace": "default", "ownerReferences": [reference]}
    client.create("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    cluster.advance(40)
    client.delete("namespaces", "ns")
    client.delete(FOOS, "one", "default")
    cluster.advance(60)
    assert not client.list(FOOS)
    assert "owned" not in [each["metadata"]["name"] for each in client.list("configmaps", "default")]
