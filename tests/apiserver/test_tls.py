"""k8s_core.apiserver.tls: who comes with which certificate gets in as that user, or reads why not."""

import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k8s_core.cluster import Cluster
from k8s_core.pki import PKI, Pair


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(profile="bare", scheduler=False, kubelets=False) as cluster:
        cluster.serve()
        yield cluster


def get(cluster: Cluster, path: str, folder: Path, pair: Pair | None = None) -> tuple[int, Any]:
    """(status, body) of one request, made with this certificate."""
    context = ssl.create_default_context(cadata=cluster.pki.ca.cert_pem.decode())
    if pair:
        (folder / "pair.pem").write_bytes(pair.cert_pem + pair.key_pem)
        context.load_cert_chain(folder / "pair.pem")
    assert cluster.door
    connection = http.client.HTTPSConnection("127.0.0.1", cluster.door.port, context=context)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_a_certificate_of_the_clusters_ca_names_its_user(cluster: Cluster, tmp_path: Path) -> None:
    """The common name is the user, the organizations are the groups."""
    assert get(cluster, "/api/v1/nodes", tmp_path, cluster.pki.client("ann", ["system:masters"]))[0] == 200
    code, status = get(cluster, "/api/v1/nodes", tmp_path, cluster.pki.client("ann"))
    assert code == 403
    assert 'User "ann" cannot list resource "nodes"' in status["message"]


def test_a_foreign_certificate_is_unauthorized(cluster: Cluster, tmp_path: Path) -> None:
    """One of another CA, however like ours it calls itself, is answered with 401 and not with a TLS alert."""
    code, status = get(cluster, "/api/v1/nodes", tmp_path, PKI(1).client("kubernetes-admin", ["system:masters"]))
    assert (code, status["reason"], status["message"]) == (401, "Unauthorized", "Unauthorized")


def test_without_a_certificate_one_is_anonymous(cluster: Cluster, tmp_path: Path) -> None:
    """No certificate at all is no error."""
    assert get(cluster, "/version", tmp_path)[0] == 200
    assert 'User "system:anonymous"' in get(cluster, "/api/v1/nodes", tmp_path)[1]["message"]


def test_what_is_no_tls_ends_only_its_own_connection(cluster: Cluster, tmp_path: Path) -> None:
    """A client that speaks plain HTTP to the door is hung up on; the next one is served."""
    assert cluster.door
    plain = http.client.HTTPConnection("127.0.0.1", cluster.door.port)
    plain.request("GET", "/version")
    with pytest.raises((http.client.BadStatusLine, ConnectionError)):
        plain.getresponse()
    plain.close()
    assert get(cluster, "/version", tmp_path)[0] == 200


def test_long_answers_arrive_whole(cluster: Cluster, tmp_path: Path) -> None:
    """More than fits one record, or one buffer."""
    code, found = get(cluster, "/openapi/v2", tmp_path, cluster.pki.client("ann", ["system:masters"]))
    assert (code, found["swagger"]) == (200, "2.0")
