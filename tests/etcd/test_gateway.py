"""v3 as JSON over HTTP, and health: the same requests to the real etcd and to ours have the same answers."""

import http.client
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from aetcd.rpc import rpc_pb2
from servers import real_etcd

from k8s_core.clock import Loop
from k8s_core.etcd.service import Service
from k8s_core.etcd.store import Store
from k8s_core.etcd.wire import Wire

KEY: Any = {"key": "Zm9v"}
COMPARE: Any = {"result": "EQUAL", "target": "VERSION", **KEY, "version": "2"}
TXN: Any = {"compare": [COMPARE], "success": [{"requestPut": {**KEY, "value": "YQ=="}}], "failure": []}
ASKED: list[tuple[str, Any]] = [
    ("kv/put", {**KEY, "value": "YmFy"}),
    ("kv/put", {**KEY, "value": "YmF6", "prev_kv": True}),
    ("kv/range", KEY),
    ("kv/range", {"key": "AA==", "range_end": "AA==", "sort_order": "DESCEND", "sort_target": "MOD"}),
    ("kv/range", {}),
    ("kv/range", {**KEY, "revision": "99"}),
    ("kv/txn", TXN),
    ("lease/grant", {"TTL": "60", "ID": "7"}),
    ("lease/grant", {"TTL": 60, "ID": 7}),
    ("lease/keepalive", {"ID": "7"}),
    ("kv/lease/leases", {}),
    ("lease/revoke", {"ID": 9}),
    ("kv/deleterange", KEY),
    ("kv/compaction", {"revision": "2"}),
    ("kv/compaction", {"revision": "1"}),
    ("cluster/member/list", {}),
    ("maintenance/status", {}),
    ("maintenance/hash", {}),
    ("maintenance/defragment", {}),
    ("maintenance/alarm", {"action": "GET"}),
    ("auth/status", {}),
    ("auth/user/add", {"name": "root", "password": "p"}),
    ("auth/enable", {}),
    ("auth/role/get", {"role": "x"}),
    ("nothing", {}),
    ("kv/put", {"kee": "x"}),
]
OWN = re.compile(
    r'"(cluster_id|member_id|ID|leader|raft\w+|dbSize\w*|hash|version|peerURLs|clientURLs)":("?[\w.]+"?|\[.*?\])'
)


def ask(address: str, method: str, path: str, body: Any = None) -> tuple[int, str, str | None]:
    """Status, body without what differs from member to member, and content type."""
    connection = http.client.HTTPConnection(address, timeout=20)
    connection.request(method, path, json.dumps(body))
    answer = connection.getresponse()
    told = answer.status, OWN.sub(r'"\1":…', answer.read().decode()), answer.headers["Content-Type"]
    connection.close()
    return told


@pytest.mark.skipif(sys.platform != "linux", reason="the real etcd comes as a Linux package")
def test_json_answers_as_the_real_etcd(tmp_path: Path) -> None:
    """Every kind of request, errors with their HTTP status and gRPC code, and what there is not."""
    loop = Loop()
    wire = Wire(Service(Store(loop), loop))
    ours = wire.url.removeprefix("http://")
    with real_etcd(tmp_path) as real:
        different = {
            path: (told, expected)
            for path, body in ASKED
            if (told := ask(ours, "POST", f"/v3/{path}", body)) != (expected := ask(real, "POST", f"/v3/{path}", body))
        }
        assert not different
        for method, path in (("GET", "/v3/kv/put"), ("GET", "/health"), ("GET", "/health?serializable=true")):
            assert ask(ours, method, path) == ask(real, method, path)
    wire.close()


def test_a_watch_tells_a_line_for_every_answer() -> None:
    """Created, then each change, in one response that goes on."""
    loop = Loop()
    service = Service(Store(loop), loop)
    wire = Wire(service)
    connection = http.client.HTTPConnection(wire.url.removeprefix("http://"), timeout=20)
    connection.request("POST", "/v3/watch", json.dumps({"create_request": KEY}))
    lines = connection.getresponse()
    assert json.loads(lines.readline())["result"]["created"] is True
    with wire.lock:
        service.call("put", rpc_pb2.PutRequest(key=b"foo", value=b"bar"))
    (event,) = json.loads(lines.readline())["result"]["events"]
    assert event["kv"]["value"] == "YmFy"
    connection.close()
    wire.close()


def test_health_says_what_is_wrong() -> None:
    """An alarm makes it sick unless it is one to be left out; each kind of health looks for its own."""
    loop = Loop()
    service = Service(Store(loop), loop)
    wire = Wire(service)
    ours = wire.url.removeprefix("http://")
    assert ask(ours, "GET", "/readyz")[:2] == (200, "ok\n")
    with wire.lock:
        service.call("alarm", rpc_pb2.AlarmRequest(action=1, memberID=1, alarm=1))
    assert ask(ours, "GET", "/health")[:2] == (503, '{"health":"false","reason":"ALARM NOSPACE"}\n')
    assert ask(ours, "GET", "/livez")[0] == ask(ours, "GET", "/readyz")[0] == 200  # a full member is still alive
    assert ask(ours, "GET", "/health?exclude=NOSPACE")[0] == 200
    with wire.lock:
        service.call("alarm", rpc_pb2.AlarmRequest(action=1, memberID=1, alarm=2))
    failed = "[-]data_corruption failed: alarm activated: CORRUPT\n"
    assert ask(ours, "GET", "/readyz/data_corruption")[:2] == (503, f"{failed}\n")
    assert ask(ours, "GET", "/readyz?exclude=data_corruption")[0] == ask(ours, "GET", "/livez")[0] == 200
    assert ask(ours, "GET", "/readyz/nothing")[0] == 404
    wire.close()
