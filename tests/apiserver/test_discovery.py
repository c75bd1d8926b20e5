"""Discovery tells clients what a real cluster tells them."""

import orjson
import pytest

from k8s_core.api import resources
from k8s_core.api.custom import Custom
from k8s_core.api.resources import Resource
from k8s_core.api.schema import Type
from k8s_core.apiserver.discovery import AGGREGATED, Discovery, wants_aggregated
from k8s_core.apiserver.request import Request, Response

CUSTOM = Custom("example.com/v1", "CronTab", "CronTabList", {"name": "v1"}, Type("any"))
KUBECTL = AGGREGATED + ",application/json"


def get(path: str, accept: str = "application/json", discovery: Discovery | None = None, known: str = "") -> Response:
    """Ask for a path."""
    asked = Request(method="GET", path=path, headers={"accept": accept, "if-none-match": known})
    found = (discovery or Discovery(resources.load(), "10.0.0.4:26443")).serve(asked)
    assert found is not None
    return found


def test_legacy_root_byte_for_byte() -> None:
    """/api answers as a real cluster does."""
    assert get("/api").body == (
        b'{"kind":"APIVersions","versions":["v1"],"serverAddressByClientCIDRs":'
        b'[{"clientCIDR":"0.0.0.0/0","serverAddress":"10.0.0.4:26443"}]}\n'
    )


def test_group_byte_for_byte() -> None:
    """/apis/apps answers as a real cluster does."""
    assert get("/apis/apps").body == (
        b'{"kind":"APIGroup","apiVersion":"v1","name":"apps","versions":[{"groupVersion":"apps/v1","version":"v1"}],'
        b'"preferredVersion":{"groupVersion":"apps/v1","version":"v1"}}\n'
    )


def test_resource_lists() -> None:
    """The core group's list has no apiVersion; stored resources have their hash, subresources follow their parent."""
    core = orjson.loads(get("/api/v1/").body or b"")
    assert "apiVersion" not in core and core["groupVersion"] == "v1"
    rows = {row["name"]: row for row in core["resources"]}
    assert list(rows)[:4] == ["bindings", "componentstatuses", "configmaps", "endpoints"]
    assert rows["pods"]["storageVersionHash"] == "xPOwRZ+Yhw8=" and "storageVersionHash" not in rows["bindings"]
    assert (rows["pods/eviction"]["group"], rows["pods/eviction"]["version"]) == ("policy", "v1")
    assert "group" not in rows["pods/status"]
    apps = orjson.loads(get("/apis/apps/v1").body or b"")
    assert apps["apiVersion"] == "v1" and apps["groupVersion"] == "apps/v1"
    hashes = [
        row.get("storageVersionHash")
        for version in ("v1", "v2")
        for row in orjson.loads(get(f"/apis/autoscaling/{version}").body or b"")["resources"][:1]
    ]
    assert hashes == ["qwQve8ut294="] * 2


@pytest.mark.parametrize("path", ["/apis/nope", "/apis/apps/v9", "/api/v9", "/healthz", "/apis/apps/v1/pods"])
def test_what_is_not_served_is_not_answered(path: str) -> None:
    """Another part of the server says 404."""
    assert Discovery(resources.load()).serve(Request(method="GET", path=path)) is None


def test_aggregated_form() -> None:
    """One answer has every group; an unchanged one is not sent twice."""
    found = get("/apis", KUBECTL)
    assert found.content_type == AGGREGATED
    body = orjson.loads(found.body or b"")
    assert [item["metadata"]["name"] for item in body["items"]][:2] == ["apiregistration.k8s.io", "apps"]
    deployments = body["items"][1]["versions"][0]["resources"][2]
    assert deployments["resource"] == "deployments" and deployments["shortNames"] == ["deploy"]
    assert deployments["scope"] == "Namespaced"
    assert [sub["subresource"] for sub in deployments["subresources"]] == ["scale", "status"]
    assert deployments["subresources"][0]["responseKind"] == {
        "group": "autoscaling",
        "version": "v1",
        "kind": "Scale",
    }
    again = get("/apis", KUBECTL, known=found.headers["ETag"])
    assert (again.code, again.body) == (304, b"")
    core = orjson.loads(get("/api", KUBECTL).body or b"")
    assert [item["versions"][0]["version"] for item in core["items"]] == ["v1"]


def test_which_form_is_wanted() -> None:
    """The client's first servable choice wins."""
    assert wants_aggregated(KUBECTL)
    assert wants_aggregated("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList;profile=nopeer")
    assert not wants_aggregated("application/json," + AGGREGATED)
    assert not wants_aggregated("*/*") and not wants_aggregated("")


def test_custom_resources_show_up() -> None:
    """What is added while the server runs is told from then on."""
    served = resources.load()
    discovery = Discovery(served)
    get("/apis", discovery=discovery)
    verbs = ("create", "delete", "get", "list", "patch", "update", "watch")
    served.add(Resource("example.com", "v1", "crontabs", "CronTab", "crontab", True, verbs, ("ct",), custom=CUSTOM))
    groups = orjson.loads(get("/apis", discovery=discovery).body or b"")["groups"]
    assert groups[-1]["name"] == "example.com"
    rows = orjson.loads(get("/apis/example.com/v1", discovery=discovery).body or b"")["resources"]
    assert rows[0]["shortNames"] == ["ct"] and rows[0]["storageVersionHash"]
