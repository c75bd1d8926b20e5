"""`python -m k8s_core serve` as its users meet it: a process, a kubeconfig, the real kubectl."""

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8s_core.__main__ import main
from k8s_core.pki import PKI

KUBECTL = Path(sys.executable).with_name("kubectl")


def serve(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "k8s_core", "serve", "--secure-port", "0", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class Server:
    """A bare control plane in a process of its own, with a token file of two users."""

    def __init__(self, folder: Path) -> None:
        (folder / "tokens.csv").write_text('root,admin,,"system:masters"\nalice,alice,,devs\n')
        self.config = folder / "kubeconfig"
        files = ("--token-auth-file", str(folder / "tokens.csv"), "--write-kubeconfig", str(self.config))
        self.process = serve(*files, "--profile", "bare", "--no-kubelet", "--no-scheduler")
        assert self.process.stdout
        self.line = self.process.stdout.readline()
        self.env = {**os.environ, "KUBECONFIG": str(self.config), "KUBECACHEDIR": str(folder / "cache")}

    def kubectl(self, *arguments: str) -> tuple[int, str, str]:
        done = subprocess.run([KUBECTL, *arguments], env=self.env, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("serve"))
    yield server
    server.process.kill()
    server.process.communicate()


def test_ready_line_and_private_kubeconfig(server: Server) -> None:
    """One line tells the address; the kubeconfig is for its owner alone."""
    assert server.line.startswith("k8s_core 1.36 serving on https://127.0.0.1:")
    assert server.config.stat().st_mode & 0o077 == 0


def test_who_is_who(server: Server) -> None:
    """A superuser of the token file is the kubeconfig's user; other tokens work with their own groups."""
    _, out, _ = server.kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo}")
    assert out == '{"groups":["system:masters","system:authenticated"],"username":"admin"}'
    _, out, _ = server.kubectl("--token", "alice", "auth", "whoami", "-o", "jsonpath={.status.userInfo.groups}")
    assert out == '["devs","system:authenticated"]'
    code, _, err = server.kubectl("--token", "nobody", "get", "pods")
    assert code == 1
    assert "error: You must be logged in to the server" in err


def test_rbac_from_kubectl(server: Server) -> None:
    """A role and its binding, made with kubectl, let a user in, and no further."""
    _, _, err = server.kubectl("--token", "alice", "get", "pods")
    refusal = 'User "alice" cannot list resource "pods" in API group "" in the namespace "default"'
    assert err == f"Error from server (Forbidden): pods is forbidden: {refusal}\n"
    server.kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods")
    server.kubectl("create", "rolebinding", "readers", "--role=reader", "--group=devs")
    assert server.kubectl("--token", "alice", "get", "pods")[2] == "No resources found in default namespace.\n"
    assert server.kubectl("--as=bob", "--as-group=devs", "auth", "can-i", "list", "pods")[1] == "yes\n"
    code, out, _ = server.kubectl("--token", "alice", "auth", "can-i", "delete", "pods")
    assert (code, out) == (1, "no\n")
    _, _, err = server.kubectl("--token", "alice", "create", "rolebinding", "x", "--clusterrole=admin", "--user=alice")
    assert 'User "alice" cannot create resource "rolebindings"' in err


def test_service_account_token(server: Server) -> None:
    """`kubectl create token` makes a token that is its ServiceAccount."""
    _, token, _ = server.kubectl("create", "token", "default", "--duration=20m")
    name = server.kubectl("--token", token.strip(), "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")[1]
    assert name == "system:serviceaccount:default:default"
    _, _, err = server.kubectl("create", "token", "default", "--duration=5m")
    assert "may not specify a duration less than 10 minutes" in err


def test_sigterm_ends_cleanly(tmp_path: Path) -> None:
    """SIGTERM closes everything and the exit code is 0; nothing is on stderr."""
    process = serve("--profile", "bare", "--nodes", "1")
    assert process.stdout
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--secure-port", "99999"], '"99999" is not a port number (0-65535)'),
        (["--profile", "huge"], "invalid choice: 'huge'"),
        (["--nodes", "Bad_Name"], "a lowercase RFC 1123 subdomain must consist of"),
        (["--kubernetes-version", "latest"], '"latest" is not a version such as 1.36'),
        (["--kubernetes-version", "1.5"], "1.5"),
        (["--token-auth-file", "/does/not/exist"], "error: [Errno 2] No such file or directory"),
        (["--public-address-override=127.0.0.1"], "Error: unknown flag: --public-address-override\n"),
        (["now"], 'Error: unknown command "now"'),
        (["--storage-media-type", "text/html"], '"text/html" is not supported, allowed types are: application/json,'),
    ],
)
def test_clear_errors(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong argument is told in one line, not with a traceback."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    try:
        code = main(["serve", *arguments])
    except SystemExit as stopped:
        code = int(str(stopped.code))
    err = capsys.readouterr().err
    assert code in (1, 2)
    assert message in err
    assert "Traceback" not in err


def test_flags_of_kube_apiserver(tmp_path: Path) -> None:
    """Admission plugins off, everybody allowed, Services elsewhere, a CA of one's own: by kube-apiserver's flag names.

    Flags that change nothing here are taken.
    """
    config, mine = tmp_path / "kubeconfig", PKI(7)
    (tmp_path / "ca.crt").write_bytes(mine.ca.cert_pem)
    process = serve(
        "--profile", "bare", "--no-kubelet", "--no-scheduler", "--write-kubeconfig", str(config),
        "--disable-admission-plugins", "ServiceAccount,Priority", "--authorization-mode", "RBAC,AlwaysAllow",
        "--service-cluster-ip-range", "10.0.0.0/24", "--client-ca-file", str(tmp_path / "ca.crt"),
        "--service-account-issuer=https://kubernetes.default.svc", "--storage-media-type=", "--feature-gates=",
        "--bind-address=127.0.0.1", "--runtime-config=api/all=true", "--cert-dir=/nowhere", "--profiling", "--v", "2",
    )  # fmt: skip
    try:
        assert process.stdout and process.stdout.readline()
        env = {**os.environ, "KUBECONFIG": str(config), "KUBECACHEDIR": str(tmp_path / "cache")}

        def kubectl(*arguments: str) -> str:
            done = subprocess.run([KUBECTL, *arguments], env=env, capture_output=True, text=True, check=True)
            return done.stdout

        assert kubectl("get", "svc", "kubernetes", "-o", "jsonpath={.spec.clusterIP}") == "10.0.0.1"
        assert kubectl("auth", "can-i", "delete", "nodes", "--as", "nobody").strip() == "yes"
        pair = mine.client("carol", ["devs"])
        for name, data in (("crt", pair.cert_pem), ("key", pair.key_pem)):
            (tmp_path / f"carol.{name}").write_bytes(data)
        kubectl("config", "set-credentials", "carol", *(
            f"--client-{flag}={tmp_path}/carol.{name}" for flag, name in (("certificate", "crt"), ("key", "key"))
        ))  # fmt: skip
        assert kubectl("--user=carol", "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}") == "carol"
        kubectl("create", "sa", "robot")
        claims = kubectl("create", "token", "robot").split(".")[1]
        assert b'"iss":"https://kubernetes.default.svc"' in base64.urlsafe_b64decode(claims + "==")
        kubectl("run", "web", "--image", "nginx")
        spec = kubectl("get", "pod", "web", "-o", "jsonpath={.spec}")
        assert "serviceAccountName" not in spec and '"priority"' not in spec
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--enable-admission-plugins", "Nope", 'admission plugin "Nope" is unknown'),
        ("--authorization-mode", "Webhook", 'authorization-mode "Webhook" is not a valid mode'),
        ("--service-cluster-ip-range", "nowhere", "does not appear to be an IPv4 or IPv6 network"),
    ],
)
def test_flags_that_make_no_sense(flag: str, value: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says why, and the exit code is argparse's."""
    with pytest.raises(SystemExit):
        main(["serve", flag, value])
    assert message in capsys.readouterr().err
