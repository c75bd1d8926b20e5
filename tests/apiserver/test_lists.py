"""List and watch: portions, revisions, selectors, what comes into sight and drops out of it, 410 after compaction."""

import orjson
import pytest

from k8s_core.api import Object
from k8s_core.apiserver.request import Request, Response, User
from k8s_core.cluster import Cluster

ADMIN = User("admin", ("system:masters", "system:authenticated"))


def config(name: str, **labels: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default", "labels": labels},
    }


def ask(cluster: Cluster, path: str, method: str = "GET", **headers: str) -> Response:
    """A request from the wire, as the administrator."""
    path, _, query = path.partition("?")
    request = Request(method=method, path=path, headers=headers)
    request.query = {k: [v] for k, _, v in (pair.partition("=") for pair in query.split("&") if pair)}
    cluster.apiserver.authenticator.authenticate = lambda _: ADMIN  # type: ignore[method-assign]
    return cluster.apiserver.handle(request)


CONFIGS = "/api/v1/namespaces/default/configmaps"


def names(response: Response) -> list[str]:
    assert response.object is not None
    return [item["metadata"]["name"] for item in response.object["items"]]


class Frames:
    """What a watch has sent so far."""

    def __init__(self, cluster: Cluster, path: str) -> None:
        self.cluster, self.ended, self._data = cluster, False, b""
        self.response = ask(cluster, path)
        assert self.response.stream, self.response.object
        self.response.stream.subscribe(self._add, self._end)

    def _add(self, data: bytes) -> None:
        self._data += data

    def _end(self) -> None:
        self.ended = True

    def take(self) -> list[tuple[str, str]]:
        """(type, name) of each frame since the last look; an ERROR's reason for its name."""
        self.cluster.loop.run_ready()
        frames = [orjson.loads(line) for line in self._data.splitlines()]
        self._data = b""
        return [(f["type"], f["object"].get("reason") or f["object"]["metadata"].get("name", "")) for f in frames]


@pytest.fixture
def cluster(control_plane: Cluster) -> Cluster:
    client = control_plane.client()
    for i in range(5):
        client.create("configmaps", config(f"c{i}", even=str(i % 2 == 0)))
    return control_plane


def test_a_list_comes_in_portions_of_one_revision(cluster: Cluster) -> None:
    """limit and continue give all objects once, as they were when the list began."""
    first = ask(cluster, CONFIGS + "?limit=3")
    assert first.object is not None
    meta = first.object["metadata"]
    total = len(names(ask(cluster, CONFIGS)))
    assert len(names(first)) == 3 and meta["remainingItemCount"] == total - 3
    cluster.client().delete("configmaps", "c4", "default")
    rest = ask(cluster, f"{CONFIGS}?limit=100&continue={meta['continue']}")
    assert rest.object is not None and rest.object["metadata"]["resourceVersion"] == meta["resourceVersion"]
    assert "c4" in names(rest) and not set(names(first)) & set(names(rest))
    assert len(names(first) + names(rest)) == total


def test_a_continue_token_expires_with_its_revision(cluster: Cluster) -> None:
    """After a compaction the rest of the old list is 410 Expired, with a token for the rest as it is now."""
    first = ask(cluster, CONFIGS + "?limit=1")
    then = cluster.etcd.revision
    cluster.client().delete("configmaps", "c4", "default")
    cluster.etcd.compact(cluster.etcd.revision)
    assert first.object is not None
    answer = ask(cluster, f"{CONFIGS}?limit=1&continue={first.object['metadata']['continue']}")
    assert answer.code == 410 and answer.object is not None and answer.object["reason"] == "Expired"
    assert answer.object["message"].endswith(
        "between the time the first chunk was returned and now may show up in the list."
    )
    rest = ask(cluster, f"{CONFIGS}?continue={answer.object['metadata']['continue']}")
    assert rest.object is not None and rest.object["metadata"]["resourceVersion"] == str(cluster.etcd.revision)
    assert names(first) + names(rest) == names(ask(cluster, CONFIGS)) and "c4" not in names(rest)
    past = ask(cluster, f"{CONFIGS}?resourceVersion={then}&resourceVersionMatch=Exact").object
    assert past and (past["code"], past["message"]) == (410, "The resourceVersion for the provided list is too old.")


def test_selectors_choose(cluster: Cluster) -> None:
    """Labels and names select; a field that cannot be selected by is 400."""
    assert names(ask(cluster, CONFIGS + "?labelSelector=even=True")) == ["c0", "c2", "c4"]
    assert names(ask(cluster, CONFIGS + "?fieldSelector=metadata.name=c1")) == ["c1"]
    answer = ask(cluster, CONFIGS + "?fieldSelector=spec.bogus=1")
    assert answer.code == 400 and answer.object is not None
    assert answer.object["message"] == "field label not supported: spec.bogus"


def test_the_past_can_be_listed(cluster: Cluster) -> None:
    """resourceVersionMatch=Exact reads an old revision; a future one is a time-out with the known cause."""
    then = cluster.etcd.revision
    cluster.client().delete("configmaps", "c0", "default")
    assert "c0" in names(ask(cluster, f"{CONFIGS}?resourceVersion={then}&resourceVersionMatch=Exact"))
    future = ask(cluster, f"{CONFIGS}?resourceVersion=999999")
    assert future.code == 504 and future.object is not None
    assert future.object["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_a_watch_shows_what_comes_into_sight(cluster: Cluster) -> None:
    """With a label selector a relabelled object is ADDED or DELETED, others' changes are not seen."""
    revision = cluster.etcd.revision
    frames = Frames(cluster, f"{CONFIGS}?watch=true&labelSelector=even=True&resourceVersion={revision}")
    client = cluster.client()
    client.patch("configmaps", "c1", "default", {"metadata": {"labels": {"even": "True"}}})
    client.patch("configmaps", "c0", "default", {"metadata": {"labels": {"even": "no"}}})
    client.patch("configmaps", "c2", "default", {"data": {"x": "1"}})
    client.patch("configmaps", "c3", "default", {"data": {"x": "1"}})
    client.delete("configmaps", "c4", "default")
    assert frames.take() == [("ADDED", "c1"), ("DELETED", "c0"), ("MODIFIED", "c2"), ("DELETED", "c4")]


def test_a_watch_goes_on_where_it_was_left(cluster: Cluster) -> None:
    """From an old revision the changes since come first, in order and once."""
    revision = cluster.etcd.revision
    client = cluster.client()
    client.create("configmaps", config("late"))
    client.delete("configmaps", "late", "default")
    assert Frames(cluster, f"{CONFIGS}?watch=1&resourceVersion={revision}").take() == [
        ("ADDED", "late"),
        ("DELETED", "late"),
    ]


def test_a_watch_from_a_forgotten_revision_is_told_so(cluster: Cluster) -> None:
    """The watch begins and ends with one ERROR event that says Expired."""
    revision = cluster.etcd.revision
    for i in range(3):
        cluster.client().create("configmaps", config(f"late{i}"))
    cluster.etcd.compact(cluster.etcd.revision)
    frames = Frames(cluster, f"{CONFIGS}?watch=1&resourceVersion={revision}")
    assert frames.take() == [("ERROR", "Expired")] and frames.ended


def test_a_watch_can_begin_with_everything(cluster: Cluster) -> None:
    """sendInitialEvents gives what is there and then the bookmark that says so; bookmarks keep coming."""
    query = "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    frames = Frames(cluster, CONFIGS + query + "&labelSelector=even=True")
    assert frames.take() == [("ADDED", "c0"), ("ADDED", "c2"), ("ADDED", "c4"), ("BOOKMARK", "")]
    cluster.loop.advance(61)
    assert frames.take() == [("BOOKMARK", "")]


def test_a_watch_ends_when_its_time_is_over(cluster: Cluster) -> None:
    """timeoutSeconds closes the stream."""
    frames = Frames(cluster, CONFIGS + "?watch=1&timeoutSeconds=5")
    cluster.loop.advance(6)
    frames.take()
    assert frames.ended


def test_metadata_alone_can_be_asked_for(cluster: Cluster) -> None:
    """PartialObjectMetadataList carries no data."""
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    answer = ask(cluster, CONFIGS, accept=accept)
    assert answer.object is not None and answer.object["kind"] == "PartialObjectMetadataList"
    assert all("data" not in item for item in answer.object["items"])
