"""The real etcdctl, in both API versions and over TLS, drives `python -m k8s_core etcd` and cannot tell."""

import contextlib
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import ETCDCTL

from k8s_core.pki import PKI

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the real etcdctl comes as a Linux package")


@contextlib.contextmanager
def serving(url: str, *flags: str) -> Iterator[str]:
    """Our etcd as a process of its own; gives its URL from the line it prints when it is ready."""
    command = [sys.executable, "-m", "k8s_core", "etcd", "--listen-client-urls", url, *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("etcd 3.5.24 ready to serve client requests on "), line + process.stdout.read()
        yield line.split()[-1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def etcdctl(url: str, *arguments: str, api: int = 3, stdin: str = "") -> str:
    """What etcdctl prints; its output and errors together if it fails."""
    environment = {**os.environ, "ETCDCTL_API": str(api)}
    flags = [f"--endpoints={url}"]
    run = subprocess.run(
        [str(ETCDCTL), *flags, *arguments],
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return run.stdout if run.returncode == 0 else run.stdout + run.stderr


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving("http://127.0.0.1:0") as ready:
        yield ready


def test_keys_in_api_3(url: str) -> None:
    """put, get, ranges, deletion, a transaction, a past revision and a compaction."""
    assert etcdctl(url, "put", "k/a", "1") == "OK\n"
    assert etcdctl(url, "put", "k/b", "2") == "OK\n"
    assert etcdctl(url, "get", "k/", "--prefix", "--keys-only") == "k/a\n\nk/b\n\n"
    assert etcdctl(url, "get", "k/", "--prefix", "--order=DESCEND", "--limit=1") == "k/b\n2\n"
    assert etcdctl(url, "txn", stdin='value("k/a") = "1"\n\nput k/c 3\nget k/a\n\nput k/d 4\n\n') == (
        "SUCCESS\n\nOK\n\nk/a\n1\n"
    )
    assert etcdctl(url, "del", "k/a") == "1\n"
    assert "required revision is a future revision" in etcdctl(url, "get", "k/a", "--rev=99999")


def test_a_watch_is_told_the_past_and_the_present(url: str) -> None:
    """etcdctl watch prints what was put before it started, from a revision on, then what comes."""
    etcdctl(url, "put", "w/1", "old")
    command = [str(ETCDCTL), f"--endpoints={url}", "watch", "w/", "--prefix", "--rev=1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert [process.stdout.readline() for _ in range(3)] == ["PUT\n", "w/1\n", "old\n"]
        etcdctl(url, "put", "w/2", "new")
        assert [process.stdout.readline() for _ in range(3)] == ["PUT\n", "w/2\n", "new\n"]
        etcdctl(url, "del", "w/1")
        assert [process.stdout.readline() for _ in range(2)] == ["DELETE\n", "w/1\n"]
        process.terminate()


def test_leases_members_and_maintenance(url: str, tmp_path: Path) -> None:
    """lease grant, timetolive, revoke; member list, add, remove; status, health, alarms, snapshot, hash."""
    granted = etcdctl(url, "lease", "grant", "600")
    lease = granted.split()[1]
    assert granted == f"lease {lease} granted with TTL(600s)\n"
    assert etcdctl(url, "put", "leased", "x", f"--lease={lease}") == "OK\n"
    assert etcdctl(url, "lease", "timetolive", lease, "--keys").endswith("attached keys([leased])\n")
    assert etcdctl(url, "lease", "keep-alive", "--once", lease) == f"lease {lease} keepalived with TTL(600)\n"
    assert etcdctl(url, "lease", "list") == f"found 1 leases\n{lease}\n"
    assert etcdctl(url, "lease", "revoke", lease) == f"lease {lease} revoked\n"
    assert etcdctl(url, "get", "leased") == ""
    assert "is healthy: successfully committed proposal" in etcdctl(url, "endpoint", "health")
    assert "| 8e9e05c52164694d |  3.5.24 |" in etcdctl(url, "endpoint", "status", "-w", "table")
    added = etcdctl(url, "member", "add", "second", "--peer-urls=http://10.0.0.9:2380")
    member = added.split()[1]
    assert f"Member {member} added to cluster cdf818194e3a8c32" in added
    assert "unstarted" in etcdctl(url, "member", "list")
    assert etcdctl(url, "member", "remove", member) == f"Member {member} removed from cluster cdf818194e3a8c32\n"
    assert etcdctl(url, "alarm", "list") == ""
    assert f"Snapshot saved at {tmp_path}/s.db" in etcdctl(url, "snapshot", "save", str(tmp_path / "s.db"))
    assert etcdctl(url, "defrag").startswith("Finished defragmenting etcd member")


def test_users_and_roles() -> None:
    """Without a password nothing is done once authentication is on; a role opens its keys and no others."""
    with serving("http://127.0.0.1:0") as own:
        for command in (
            "user add root:secret", "role add root", "user grant-role root root", "role add reader",
            "role grant-permission reader read open/ open0", "user add joe:pw", "user grant-role joe reader",
            "put open/1 yes", "put closed no", "auth enable",
        ):  # fmt: skip
            assert "rror" not in etcdctl(own, *command.split())
        assert "user name is empty" in etcdctl(own, "get", "open/1")
        assert etcdctl(own, "--user=joe:pw", "get", "open/1") == "open/1\nyes\n"
        assert "permission denied" in etcdctl(own, "--user=joe:pw", "get", "closed")
        assert "permission denied" in etcdctl(own, "--user=joe:pw", "put", "open/1", "x")
        assert "authentication failed, invalid user ID or password" in etcdctl(own, "--user=joe:wrong", "get", "open/1")
        assert etcdctl(own, "--user=root:secret", "auth", "disable") == "Authentication Disabled\n"


def test_api_2(url: str) -> None:
    """The tree: set, get, directories, errors with numbers; what one API writes the other does not see."""
    assert etcdctl(url, "set", "/dir/key", "value", api=2) == "value\n"
    assert etcdctl(url, "get", "/dir/key", api=2) == "value\n"
    assert etcdctl(url, "ls", "--recursive", "/", api=2) == "/dir\n/dir/key\n"
    assert "102: Not a file (/dir)" in etcdctl(url, "set", "/dir", "x", api=2)
    assert "100: Key not found (/none)" in etcdctl(url, "get", "/none", api=2)
    assert "is healthy" in etcdctl(url, "cluster-health", api=2)
    assert "isLeader=true" in etcdctl(url, "member", "list", api=2)
    assert etcdctl(url, "get", "/dir/key") == ""
    with urllib.request.urlopen(f"{url}/version") as answer:
        assert answer.read() == b'{"etcdserver":"3.5.24","etcdcluster":"3.5.0"}'


def test_tls_with_client_certificates(tmp_path: Path) -> None:
    """kubeadm's files open it in both API versions; a client without a certificate is turned away."""
    PKI(0).write(tmp_path, "https://10.0.0.4:6443")
    pki = tmp_path / "pki/etcd"
    server = (f"--cert-file={pki}/server.crt", f"--key-file={pki}/server.key", "--client-cert-auth")
    ca, cert, key = pki / "ca.crt", pki / "healthcheck-client.crt", pki / "healthcheck-client.key"
    with serving("https://127.0.0.1:0", *server, f"--trusted-ca-file={ca}") as url:
        client = (f"--cacert={ca}", f"--cert={cert}", f"--key={key}")
        assert etcdctl(url, *client, "put", "key1", "value1") == "OK\n"
        assert etcdctl(url, *client, "get", "key1") == "key1\nvalue1\n"
        assert "deadline exceeded" in etcdctl(url, client[0], "--command-timeout=1s", "get", "key1")
        two = (f"--ca-file={ca}", f"--cert-file={cert}", f"--key-file={key}")
        assert etcdctl(url, *two, "set", "/key", "value", api=2) == "value\n"
        assert "etcd cluster is unavailable" in etcdctl(url, two[0], "get", "/key", api=2)


def test_a_killed_server_comes_back_with_everything(tmp_path: Path) -> None:
    """With --data-dir, what was answered is there after kill -9, in both APIs, and revisions go on."""
    folder = f"--data-dir={tmp_path}"
    command = [sys.executable, "-m", "k8s_core", "etcd", "--listen-client-urls", "http://127.0.0.1:0", folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().split()[-1]
        assert etcdctl(url, "put", "k", "1") == "OK\n"
        assert etcdctl(url, "set", "/k", "2", api=2) == "2\n"
        process.kill()
    with serving("http://127.0.0.1:0", folder) as again:
        assert etcdctl(again, "get", "k") == "k\n1\n"
        assert etcdctl(again, "get", "/k", api=2) == "2\n"
        assert '"revision":3' in etcdctl(again, "put", "k", "2", "-w", "json")
