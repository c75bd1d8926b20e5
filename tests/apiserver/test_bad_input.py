"""Whatever a client sends, the answer is a Status of Kubernetes' own, never a 500, and nothing is stored."""

from collections.abc import Callable
from typing import Any

import pytest

from k8s_core.apiserver.request import Request, User, parse_query
from k8s_core.cluster import Cluster

ROOT = User("root", ("system:masters",))
HERE = "/api/v1/namespaces/default"
PODS, PROTOBUF = f"{HERE}/pods", "application/vnd.kubernetes.protobuf"
BOMB = b"a: &a [x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c]\ne: [*d,*d,*d,*d]"


@pytest.fixture
def send(make_cluster: Callable[..., Cluster]) -> Callable[..., tuple[int, Any]]:
    cluster = make_cluster(profile="bare", scheduler=False, kubelets=False, token_users={"token": ROOT})

    def go(method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
        path, _, query = path.partition("?")
        sent = {"authorization": "Bearer token", "content-type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        before = cluster.etcd.revision
        answer = cluster.apiserver.handle(
            Request(method=method, path=path, query=parse_query(query), headers=sent, body=body)
        )
        assert answer.code < 500, answer.object
        if answer.code >= 400:
            assert cluster.etcd.revision == before
        return answer.code, answer.object

    return go


def test_bodies(send: Callable[..., tuple[int, Any]]) -> None:
    """Broken, deep, wrongly typed and foreign bodies are 400, 415 or 422."""
    bodies = [
        b"",
        b"{",
        b"[]",
        b"null",
        b"1",
        b'"x"',
        b"\xff\xfe",
        b'{"a":' * 50_000,
        b"[" * 50_000,
        b'{"metadata":5}',
        b'{"metadata":{"name":5}}',
        b'{"metadata":{"name":"a","labels":{"a":1}}}',
        b'{"metadata":{"name":"a"},"spec":[]}',
        b'{"metadata":{"name":"a"},"spec":{"containers":{}}}',
        b'{"metadata":{"name":"a"},"spec":{"containers":[null]}}',
        b'{"metadata":{"generateName":5}}',
        b'{"apiVersion":5,"kind":[]}',
        b'{"apiVersion":"v1","kind":"Service"}',
        b'{"kind":"Pod","apiVersion":"apps/v1"}',
        b'{"metadata":{"name":"a"},"spec":{"containers":[{"name":"x","image":"y","resources":{"limits":{"cpu":"a"}}}]}}',
        b'{"metadata":{"name":"a"},"spec":{"volumes":[{}],"containers":[{"name":"x","image":"y"}]}}',
        b'{"metadata":{"name":"\\ud800"}}',
        b'{"metadata":{"name":"a","uid":{}}}',
    ]
    for body in bodies:
        code, status = send("POST", PODS, body)
        assert (code, status["kind"]) in ((400, "Status"), (422, "Status"), (403, "Status")), body[:80]
    for media, body in (
        ("application/yaml", BOMB),
        ("application/yaml", b"!!python/object:os.system x"),
        ("x/y", b"{}"),
        (";;", b"{}"),
        (PROTOBUF, b""),
        (PROTOBUF, b"k8s\x00\xff\xff"),
        (PROTOBUF, b"k8s\x00" + b"\n" * 1000),
    ):
        assert send("POST", PODS, body, content_type=media)[0] in (400, 403, 415, 422), (media, body[:40])


def test_patches(send: Callable[..., tuple[int, Any]]) -> None:
    """A patch that is none, or that would break the object, is refused."""
    where = "/api/v1/namespaces/default"
    for media, body in (
        ("json-patch+json", b'[{"op":"x"}]'),
        ("json-patch+json", b"{}"),
        ("json-patch+json", b'[{"op":"remove","path":"/x"}]'),
        ("merge-patch+json", b"[]"),
        ("merge-patch+json", b'{"metadata":{"labels":[]}}'),
        ("merge-patch+json", b'{"metadata":5}'),
        ("strategic-merge-patch+json", b'{"metadata":{"finalizers":{"a":"x"}}}'),
        ("strategic-merge-patch+json", b"1"),
        ("apply-patch+yaml", b"a: &a [*a]"),
        ("apply-patch+yaml", b"a: b: c"),
        ("apply-patch+yaml", b""),
        ("json", b"{}"),
    ):
        code, status = send("PATCH", f"{where}?fieldManager=me", body, content_type=f"application/{media}")
        assert 400 <= code < 500, (media, body, status)


def test_paths_and_queries(send: Callable[..., tuple[int, Any]]) -> None:
    """Odd paths, methods and parameters find an answer."""
    for method, path in (
        ("GET", "//"),
        ("GET", "/api/v1//pods"),
        ("GET", "/api/v1/namespaces//pods"),
        ("GET", "/api/v1/pods/%ff"),
        ("FOO", "/api/v1/pods"),
        ("PUT", "/api/v1/pods"),
        ("PATCH", "/api/v1/pods"),
        ("DELETE", "/api/v1"),
        ("GET", f"{PODS}/a/b/c/d"),
        ("GET", "/apis/x/y/z"),
        ("GET", "/openapi/v3/..%2f..%2fetc"),
        ("GET", "/nope"),
        ("GET", "/api/v1/pods?limit=-1"),
        ("GET", "/api/v1/pods?limit=x"),
        ("GET", "/api/v1/pods?continue=x"),
        ("GET", "/api/v1/pods?resourceVersion=x"),
        ("GET", "/api/v1/pods?labelSelector=a%20in%20("),
        ("GET", "/api/v1/pods?fieldSelector=a"),
        ("GET", "/api/v1/pods?watch=1&resourceVersion=-1"),
        ("GET", f"{PODS}/x/log?tailLines=x"),
        ("GET", f"{PODS}/x/exec"),
        ("POST", f"{PODS}/x/attach"),
        ("DELETE", f"{HERE}/configmaps/x?gracePeriodSeconds=x&propagationPolicy=Foo"),
    ):
        send(method, path)
    for accept in ("image/png", ";;,,", "application/json;as=Table;v=v9;g=meta.k8s.io", "application/cbor"):
        send("GET", "/api/v1/pods", accept=accept)


def test_subresources_and_reviews(send: Callable[..., tuple[int, Any]]) -> None:
    """Empty and wrongly typed requests to subresources and reviews are refused."""
    for path in ("pods/x/eviction", "pods/x/binding", "bindings", "serviceaccounts/nope/token"):
        for body in (b"{}", b"", b'{"metadata":{"name":5}}'):
            assert 400 <= send("POST", f"{HERE}/{path}", body)[0] < 500
    for body in (b'{"spec":{"expirationSeconds":-5}}', b'{"spec":{"boundObjectRef":{"kind":"Pod"}}}'):
        assert 400 <= send("POST", f"{HERE}/serviceaccounts/default/token", body)[0] < 500
    for path, body in (
        ("authorization.k8s.io/v1/selfsubjectaccessreviews", b"{}"),
        ("authorization.k8s.io/v1/selfsubjectaccessreviews", b'{"spec":{"resourceAttributes":{"verb":5}}}'),
        ("authorization.k8s.io/v1/subjectaccessreviews", b'{"spec":{"resourceAttributes":{},"groups":[5]}}'),
        ("authorization.k8s.io/v1/selfsubjectrulesreviews", b"{}"),
        ("authentication.k8s.io/v1/tokenreviews", b"{}"),
    ):
        assert 400 <= send("POST", f"/apis/{path}", body)[0] < 500, path


def test_credentials(send: Callable[..., tuple[int, Any]]) -> None:
    """Bad tokens are 401; headers that make no sense are anonymous or 400."""
    for token in ("x", "eyJhbGciOiJub25lIn0.e30.", "a.b.c", "é"):
        assert send("GET", "/api", authorization=f"Bearer {token}")[0] == 401
    for header in ("Bearer", "Basic eDp5", "", "Bearer  x"):
        assert send("GET", "/api", authorization=header)[0] in (401, 403)
    for name, value in (("impersonate_group", "x"), ("impersonate_uid", "x"), ("impersonate_extra_a", "x")):
        assert send("GET", "/api", **{name: value})[0] == 400
    assert send("GET", "/api", impersonate_user="system:serviceaccount:a")[0] == 200
