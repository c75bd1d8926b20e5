"""The OpenAPI documents say what kubectl needs to explain, validate and merge."""

import functools
from typing import Any

import orjson
import pytest

from k8s_core.api import resources, schema
from k8s_core.api.custom import Custom
from k8s_core.api.resources import Resource
from k8s_core.api.schema import Type
from k8s_core.apiserver.openapi import OpenAPI
from k8s_core.apiserver.request import Request, Response

CUSTOM = Custom("example.com/v1", "CronTab", "CronTabList", {"name": "v1"}, Type("any"))
PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
CORE = "io.k8s.api.core.v1."


@functools.cache
def openapi() -> OpenAPI:
    """The documents of a 1.36 cluster."""
    return OpenAPI(schema.load(), resources.load())


def get(path: str, accept: str = "application/json", known: str = "", **query: str) -> Response:
    """Ask for a document."""
    headers = {"accept": accept, "if-none-match": known}
    asked = Request(method="GET", path=path, query={k: [v] for k, v in query.items()}, headers=headers)
    found = openapi().serve(asked)
    assert found is not None
    return found


@functools.cache
def document(path: str) -> dict[str, Any]:
    """A document, parsed."""
    found: dict[str, Any] = orjson.loads(get(path).body or b"")
    return found


def test_the_index_leads_to_every_group_and_version() -> None:
    """The address carries a hash; with the right one the document may be kept for ever, a wrong one is sent on."""
    paths = document("/openapi/v3")["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/autoscaling/v1", "apis/autoscaling/v2"} <= set(paths)
    address = paths["apis/apps/v1"]["serverRelativeURL"]
    path, _, digest = address.partition("?hash=")
    assert path == "/openapi/v3/apis/apps/v1"
    assert "immutable" in get(path, hash=digest).headers["Cache-Control"]
    moved = get(path, hash="stale")
    assert (moved.code, moved.headers["Location"]) == (301, address)
    again = get(path, known=get(path).headers["ETag"])
    assert (again.code, again.body) == (304, b"")


def test_what_is_not_there() -> None:
    """Unknown documents are None; a client that takes only v3 protobuf is told 406."""
    assert openapi().serve(Request(method="GET", path="/openapi/v3/apis/nope/v1")) is None
    assert openapi().serve(Request(method="GET", path="/openapi/v4")) is None
    only = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"
    assert get("/openapi/v3/api/v1", accept=only).code == 406


def test_schemas_are_as_kube_openapi_publishes_them() -> None:
    """References with defaults, enums with their meaning, no nulls."""
    schemas = document("/openapi/v3/api/v1")["components"]["schemas"]
    container = schemas[CORE + "Container"]["properties"]
    assert container["name"]["default"] == "" and container["name"]["type"] == "string"
    reference = {"$ref": "#/components/schemas/" + CORE + "ResourceRequirements"}
    assert container["resources"]["allOf"] == [reference] and container["resources"]["default"] == {}
    assert "default" not in container["livenessProbe"]
    assert container["command"]["items"] == {"default": "", "type": "string"}
    assert container["ports"]["x-kubernetes-patch-merge-key"] == "containerPort"
    kind = schemas[CORE + "ServiceSpec"]["properties"]["type"]
    assert kind["enum"] == ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
    assert '\n\nPossible enum values:\n - `"ClusterIP"` means a service will only be' in kind["description"]
    assert "enum" not in schemas[CORE + "Pod"]["properties"]["kind"]
    modes = schemas[CORE + "PersistentVolumeClaimSpec"]["properties"]["accessModes"]["items"]
    assert modes["enum"] == ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"]
    assert schemas["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]["oneOf"] == [
        {"type": "integer"},
        {"type": "string"},
    ]
    assert "null" not in repr([s.get("type") for s in schemas.values()])


@pytest.mark.parametrize("path", ["api/v1", "apis/apps/v1", "apis/resource.k8s.io/v1", "apis/apiextensions.k8s.io/v1"])
def test_every_reference_leads_somewhere(path: str) -> None:
    """No document refers to a schema that it does not have."""
    found = document("/openapi/v3/" + path)
    text = orjson.dumps(found).decode()
    wanted = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert wanted <= set(found["components"]["schemas"])


def test_paths_tell_the_kind_and_what_may_be_sent() -> None:
    """kubectl looks for fieldValidation and for strategic merge in the patch of a kind."""
    paths = document("/openapi/v3/apis/apps/v1")["paths"]
    one = paths["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]
    assert one["patch"]["x-kubernetes-group-version-kind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert "fieldValidation" in [parameter["name"] for parameter in one["patch"]["parameters"]]
    assert "application/strategic-merge-patch+json" in one["patch"]["requestBody"]["content"]
    assert [parameter["name"] for parameter in one["parameters"]] == ["name", "namespace", "pretty"]
    scale = paths["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"]["get"]
    assert scale["x-kubernetes-group-version-kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    assert scale["description"] == "read scale of the specified Deployment"


@pytest.mark.parametrize(
    ("group", "path", "method", "operation"),
    [
        ("api/v1", "/api/v1/", "get", "getCoreV1APIResources"),
        ("api/v1", "/api/v1/pods", "get", "listCoreV1PodForAllNamespaces"),
        ("api/v1", "/api/v1/namespaces/{namespace}/pods", "post", "createCoreV1NamespacedPod"),
        ("api/v1", "/api/v1/namespaces/{namespace}/pods", "delete", "deleteCoreV1CollectionNamespacedPod"),
        ("api/v1", "/api/v1/namespaces/{namespace}/pods/{name}/exec", "post", "connectCoreV1PostNamespacedPodExec"),
        ("api/v1", "/api/v1/namespaces/{namespace}/pods/{name}/log", "get", "readCoreV1NamespacedPodLog"),
        ("api/v1", "/api/v1/nodes/{name}/status", "patch", "patchCoreV1NodeStatus"),
        ("apis/rbac.authorization.k8s.io/v1", "/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}", "put",
         "replaceRbacAuthorizationV1ClusterRole"),
    ],
)  # fmt: skip
def test_operation_ids(group: str, path: str, method: str, operation: str) -> None:
    """Generated clients name their methods after these."""
    assert document("/openapi/v3/" + group)["paths"][path][method]["operationId"] == operation


def test_version_two() -> None:
    """All groups in one document, without what only version three can say."""
    found = document("/openapi/v2")
    assert found["swagger"] == "2.0"
    pod = found["definitions"][CORE + "Pod"]
    assert pod["properties"]["spec"]["$ref"] == "#/definitions/" + CORE + "PodSpec"
    assert found["definitions"]["io.k8s.apimachinery.pkg.api.resource.Quantity"]["type"] == "string"
    assert "patch" in found["paths"]["/apis/batch/v1/namespaces/{namespace}/jobs/{name}"]
    listed = {each["name"]: each["description"] for each in found["paths"]["/api/v1/nodes"]["get"]["parameters"]}
    assert "list of returned" in listed["labelSelector"]
    assert "Watch for changes to the described resources" in listed["watch"]


def test_version_two_in_protobuf() -> None:
    """It begins with swagger, "2.0", and names every definition."""
    found = get("/openapi/v2", accept=PROTOBUF)
    body = found.body or b""
    assert body.startswith(b"\x0a\x032.0") and (CORE + "PodSpec").encode() in body
    assert found.content_type.endswith("+protobuf")
    assert get("/openapi/v2", accept=PROTOBUF, known=found.headers["ETag"]).code == 304


def test_custom_kinds_show_up() -> None:
    """A custom resource has a document of its own, with its schema and what that refers to."""
    name = "com.example.v1.CronTab"
    meta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    crontab = {
        "type": "object",
        "properties": {"metadata": {"allOf": [{"$ref": "#/components/schemas/" + meta}]}},
        "x-kubernetes-group-version-kind": [{"group": "example.com", "version": "v1", "kind": "CronTab"}],
    }
    served = resources.load()
    documents = OpenAPI(schema.load(), served, lambda group, version: {name: crontab} if group == "example.com" else {})
    assert documents.serve(Request(method="GET", path="/openapi/v3/apis/example.com/v1")) is None
    served.add(Resource("example.com", "v1", "crontabs", "CronTab", "crontab", True, ("get", "patch"), custom=CUSTOM))
    found = documents.serve(Request(method="GET", path="/openapi/v3/apis/example.com/v1"))
    assert found is not None
    body = orjson.loads(found.body or b"")
    assert {name, meta} <= set(body["components"]["schemas"])
    patch = body["paths"]["/apis/example.com/v1/namespaces/{namespace}/crontabs/{name}"]["patch"]
    assert "application/strategic-merge-patch+json" not in patch["requestBody"]["content"]
    assert patch["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith(name)
