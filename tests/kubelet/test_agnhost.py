"""agnhost and busybox behave as Kubernetes' own end-to-end tests expect."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from node_world import World

from k8s_core.shell.sockets import Request

AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.57"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.cluster.stop()


def agnhost(world: World, *arguments: str, seconds: float = 10, **spec: Any) -> str:
    """Run a Pod with agnhost and these arguments; its log."""
    container = {"args": list(arguments), **spec.pop("container", {})}
    world.run("p", image=AGNHOST, container=container, restartPolicy="Never", **spec)
    world.loop.advance(seconds)
    return world.logs("p")


MOUNT = {"volumeMounts": [{"name": "v", "mountPath": "/test-volume"}]}


@pytest.mark.parametrize(
    ("volume", "kind"), [({"emptyDir": {"medium": "Memory"}}, "tmpfs"), ({"emptyDir": {}}, "61267")]
)
def test_mounttest_on_an_empty_dir(world: World, volume: Any, kind: str) -> None:
    """The test "emptydir should support (root,0644,...)": type, mode of the folder, a new file and its content."""
    log = agnhost(
        world,
        "mounttest",
        "--fs_type=/test-volume",
        "--new_file_0644=/test-volume/test-file",
        "--file_perm=/test-volume/test-file",
        container=MOUNT,
        volumes=[{"name": "v", **volume}],
    )
    assert log.splitlines() == [
        f'mount type of "/test-volume": {kind}',
        'content of file "/test-volume/test-file": mount-tester new file',
        "",
        'perms of file "/test-volume/test-file": -rw-r--r--',
    ]
    assert world.phase("p") == "Succeeded"


def test_mounttest_on_a_secret_with_a_default_mode(world: World) -> None:
    """The modes are those asked for."""
    world.create({"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"data-1": "value-1"}})
    log = agnhost(
        world,
        "mounttest",
        "--file_content=/test-volume/data-1",
        "--file_mode=/test-volume/data-1",
        container=MOUNT,
        volumes=[{"name": "v", "secret": {"secretName": "s", "defaultMode": 0o400}}],
    )
    assert log == 'mode of file "/test-volume/data-1": -r--------\ncontent of file "/test-volume/data-1": value-1\n'


def test_mounttest_fails_for_what_is_not_there(world: World) -> None:
    """The error is printed and the Pod fails."""
    log = agnhost(world, "mounttest", "--file_content=/nowhere/x")
    assert log == 'error reading file content for "/nowhere/x": open /nowhere/x: no such file or directory\n'
    assert world.phase("p") == "Failed"


def test_entrypoint_tester(world: World) -> None:
    """The arguments as Go prints a slice, with the image's own entry point first."""
    assert (
        agnhost(world, "entrypoint-tester", "override", "arguments")
        == "[/agnhost entrypoint-tester override arguments]\n"
    )


def test_logs_generator(world: World) -> None:
    """So many lines in so much time, each with its number."""
    log = agnhost(world, "logs-generator", "--log-lines-total", "20", "--run-duration", "5s", seconds=15)
    lines = log.splitlines()
    assert len(lines) == 20 and world.phase("p") == "Succeeded"
    pattern = r"I\d{4} \d\d:\d\d:\d\d\.\d{6} +1 logs_generator\.go:76\] 7 (GET|POST|PUT) /api/v1/namespaces/\S+ \d{3}"
    assert re.fullmatch(pattern, lines[7])


def test_logs_generator_without_its_flags(world: World) -> None:
    """There are no defaults."""
    assert agnhost(world, "logs-generator").endswith("Invalid total number of lines: 0\n")


def ask(world: World, path: str, port: int = 8080) -> tuple[int, str]:
    """An HTTP request to the Pod from its node."""
    address = world.pod("p")["status"]["podIP"]
    response = world.kubelet.server.get(address, port, Request("GET", path))
    return response.status, response.body.decode()


def test_netexec(world: World) -> None:
    """Echo, host name, redirects, a shell, a call of itself; and how it ends."""
    agnhost(world, "netexec")
    assert ask(world, "/echo?msg=hello%20you&code=202") == (202, "hello you")
    assert ask(world, "/hostname") == (200, "p") and ask(world, "/healthz") == (200, "")
    shell = "http://127.0.0.1:8080/shell?cmd="
    assert world.exec("p", "curl", "-s", f"{shell}echo%20hi").out == '{"output":"hi\\n"}'
    assert world.exec("p", "curl", "-s", f"{shell}exit%203").out == '{"error":"exit status 3"}'
    assert ask(world, "/dial?host=127.0.0.1&port=8080&request=hostname&tries=2") == (200, '{"responses":["p","p"]}')
    assert ask(world, "/dial?host=127.0.0.1&port=8081&request=hostname&protocol=udp") == (200, '{"responses":["p"]}')
    refused = ask(world, "/dial?host=127.0.0.1&port=9&request=hostname")[1]
    assert refused.startswith('{"errors":["Get \\"http://127.0.0.1:9/hostname\\": dial tcp 127.0.0.1:9: ')
    assert ask(world, "/redirect?location=/echo&code=307")[0] == 307
    assert ask(world, "/exit?code=42&wait=1s")[0] == 200
    world.loop.advance(5)
    assert world.state("p")["state"]["terminated"]["exitCode"] == 42


def test_what_tells_of_the_network(world: World) -> None:
    """dns-suffix, etc-hosts and connect say what the Pod sees."""
    agnhost(
        world, "netexec", dnsPolicy="None", dnsConfig={"nameservers": ["1.1.1.1"], "searches": ["resolv.conf.local"]}
    )
    assert world.exec("p", "/agnhost", "dns-suffix").out == "resolv.conf.local\n"
    assert world.exec("p", "/agnhost", "dns-server-list").out == "1.1.1.1\n"
    assert "Kubernetes-managed hosts file" in world.exec("p", "/agnhost", "etc-hosts").out
    assert world.exec("p", "/agnhost", "connect", "127.0.0.1:8080").code == 0
    assert world.exec("p", "/agnhost", "connect", "127.0.0.1:9").err.startswith("REFUSED: ")


def test_pause_and_the_unknown(world: World) -> None:
    """pause goes on for ever; a subcommand that does not exist says so."""
    assert agnhost(world, "pause") == "Paused\n" and world.phase("p") == "Running"
    assert world.exec("p", "/agnhost", "fly").err.startswith('Error: unknown command "fly" for "app"\n')


@pytest.mark.parametrize(
    ("script", "log"),
    [
        ("for i in $(seq 1 3); do echo $i; done; exit 0", "1\n2\n3\n"),
        ("test -f /tmp/x || echo no; echo x > /tmp/x; cat /tmp/x", "no\nx\n"),
        ("trap 'echo caught; exit 0' TERM; kill $$$$; sleep 5", "caught\n"),
        ("echo mount-tester new file > /tmp/f; ls -l /tmp/f | cut -c1-10", "-rw-r--r--\n"),
        ("env | grep -c ^KUBERNETES_SERVICE_", "3\n"),
        ("cat /proc/1/cmdline | tr '\\0' ' ' | cut -c1-5", "sh -c\n"),
        ("i=0; while true; do i=$((i+1)); [ $i -ge 3 ] && break; sleep 1; done; echo $i", "3\n"),
        (
            "wget -qO- -T 1 http://127.0.0.1:9 || echo refused",
            "wget: can't connect to remote host (127.0.0.1): Connection refused\nrefused\n",
        ),
    ],
)
def test_busybox_one_liners(world: World, script: str, log: str) -> None:
    """What the end-to-end tests' Pods run in busybox."""
    image = "registry.k8s.io/e2e-test-images/busybox:1.37.0-1"
    world.run("p", script, image=image, restartPolicy="Never")
    world.loop.advance(15)
    assert world.logs("p") == log
