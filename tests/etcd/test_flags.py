"""etcd's command line: flags, environment, configuration file; where it listens, and what is shown there."""

import http.client
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from aetcd.rpc import rpc_pb2
from servers import Client, free_port, our_etcd, real_etcd

from k8s_core.clock import Loop
from k8s_core.etcd import flags
from k8s_core.etcd.front import Listen
from k8s_core.etcd.main import _listeners, _service_options
from k8s_core.etcd.main import main as etcd
from k8s_core.etcd.service import Options, Service
from k8s_core.etcd.store import Store
from k8s_core.etcd.wire import Wire


def test_flags_are_etcds(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One dash or two, switches with a value, durations, the environment, the last of two; others are taken, too."""
    monkeypatch.setenv("ETCD_MAX_TXN_OPS", "7")
    monkeypatch.setenv("ETCD_MAX_REQUEST_BYTES", "1")
    words = (
        "-log-level warn --client-cert-auth=true --snapshot-count=5 --unsafe-no-fsync --quota-backend-bytes 9 "
        "--listen-client-urls=http://127.0.0.1:1,http://localhost:2 --listen-metrics-urls http://127.0.0.1:3 "
        "--initial-cluster default=http://localhost:2380 --experimental-watch-progress-notify-interval=5s "
        "--max-request-bytes=2 --quota-backend-bytes=99"
    )
    given = flags.parse(words.split())
    assert (given.client_cert_auth, given.unsafe_no_fsync, given.snapshot_count) == (True, True, 5)
    options = _service_options(given)
    expected = Options(quota_backend_bytes=99, max_request_bytes=2, max_txn_ops=7, watch_progress_notify_interval=5.0)
    assert options == expected
    assert [(each.port, each.metrics) for each in _listeners(given)] == [(1, False), (2, False), (3, True)]
    assert _service_options(flags.parse(["--quota-backend-bytes=-1"])).quota_backend_bytes > 1 << 60
    assert etcd(["-version"]) == 0 and capsys.readouterr().out.startswith("etcd Version: 3.5.")
    with pytest.raises(SystemExit) as ended:
        etcd(["--fly"])
    assert ended.value.code == 2


def test_a_configuration_file_counts_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags and environment beside it mean nothing; certificates stand in a part of their own."""
    monkeypatch.setenv("ETCD_NAME", "other")
    monkeypatch.setenv("ETCD_MAX_TXN_OPS", "7")
    file = tmp_path / "etcd.yaml"
    file.write_text(
        "name: one\nlisten-client-urls: http://127.0.0.1:5,http://127.0.0.1:6\nquota-backend-bytes: 99\n"
        'auto-compaction-mode: revision\nauto-compaction-retention: "1000"\nunsafe-no-fsync: true\nunknown: 1\n'
        "client-transport-security:\n  client-cert-auth: true\n  cert-file: /c.crt\n"
    )
    given = flags.parse(["--config-file", str(file), "--name=two", "--data-dir=/x"])
    assert (given.name, given.data_dir, given.unsafe_no_fsync, given.client_cert_auth) == ("one", None, True, True)
    assert (given.auto_compaction_mode, given.auto_compaction_retention) == ("revision", "1000")
    assert given.cert_file == Path("/c.crt") and [each.port for each in _listeners(given)] == [5, 6]
    assert _service_options(given) == Options(quota_backend_bytes=99)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("127.0.0.1:2379", "URL scheme must be http, https, unix, or unixs: 127.0.0.1:2379"),
        ("http://localhost", 'URL address does not have the form "host:port": http://localhost'),
        ("http://localhost:1/a", "URL must not contain a path: http://localhost:1/a"),
        ("https://localhost:1", "TLS key/cert (--cert-file, --key-file) must be provided for client url"),
    ],
)
def test_what_is_no_address_is_refused(url: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In etcd's words, before anything is opened."""
    assert etcd([f"--listen-client-urls={url}"]) == 1
    assert said in capsys.readouterr().err


def get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


@pytest.mark.skipif(sys.platform == "win32", reason="sockets in the file system")
def test_several_doors_and_one_for_metrics(tmp_path: Path) -> None:
    """gRPC and HTTP on two ports and on a socket; where metrics are shown, keys are not."""
    loop = Loop()
    path = str(tmp_path / "etcd.sock")
    wire = Wire(Service(Store(loop), loop), Listen(), Listen("localhost"), Listen(path), Listen(metrics=True))
    first, second, by_file, metrics = (url.split("://")[1] for url in wire.urls)
    for place in (first, second, f"unix:{by_file}"):
        client = Client(place)
        assert client.call("Put", rpc_pb2.PutRequest(key=b"k", value=place.encode())).header.revision
        client.close()
    for place in (first, second, metrics):
        connection = http.client.HTTPConnection(place, timeout=20)
        assert get(connection, "/health") == (200, b'{"health":"true","reason":""}')
        assert get(connection, "/metrics")[1].startswith(b"# TYPE etcd_")
        assert get(connection, "/readyz?verbose")[1].endswith(b"\n[+]non_learner ok\nok\n")
        assert get(connection, "/version")[0] == (404 if place == metrics else 200)
        assert get(connection, "/v2/keys")[0] == (404 if place == metrics else 200)
        connection.close()
    with grpc.insecure_channel(metrics) as channel, pytest.raises(grpc.RpcError):
        channel.unary_unary("/etcdserverpb.KV/Range")(b"\x0a\x01k", timeout=20)
    wire.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the real etcd comes as a Linux package")
def test_it_starts_as_the_real_etcd_does(tmp_path: Path) -> None:
    """The flags of kubeadm's manifest, as a process: both serve, and say the same of themselves."""
    told: list[Any] = []
    for name in ("real", "ours"):
        metrics = f"127.0.0.1:{free_port()}"
        given = ("--name=cp", "--snapshot-count=10000", "--experimental-initial-corrupt-check=true")
        more = (*given, f"--listen-metrics-urls=http://{metrics}", "--initial-cluster=cp=http://127.0.0.1:1")
        with real_etcd(tmp_path, *more[:-1], name="cp") if name == "real" else our_etcd(*more) as address:
            client, connection = Client(address), http.client.HTTPConnection(metrics, timeout=20)
            member = client.call("MemberList", rpc_pb2.MemberListRequest()).members[0]
            assert list(member.clientURLs) == [f"http://{address}"]
            pages = ("/health", "/health?serializable=true", "/version", "/v3/kv/range")
            answers = [(status, body if status == 200 else b"") for status, body in (get(connection, p) for p in pages)]
            told.append((member.name, answers))
            connection.close()
            client.close()
    assert told[0] == told[1]
