"""Probes: http, tcp, exec; readiness gates traffic, liveness restarts, startup holds the others back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from node_world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(Path(tmp_path_factory.mktemp("world")))
    yield made
    made.cluster.stop()


def probed(world: World, name: str, kind: str, probe: dict[str, Any], **more: Any) -> None:
    world.run(
        name,
        more.pop("command", ""),
        image=more.pop("image", "nginx"),
        container={kind: {"periodSeconds": 2, **probe}, **more.pop("container", {})},
        **more,
    )


def test_readiness_by_http(world: World) -> None:
    """Ready when the page is there, not ready three failures after it is gone."""
    probed(
        world,
        "http",
        "readinessProbe",
        {"httpGet": {"path": "/", "port": "web"}},
        container={"ports": [{"name": "web", "containerPort": 80}]},
    )
    world.loop.advance(10)
    assert world.condition("http", "Ready")["status"] == "True"
    world.exec("http", "rm", "/usr/share/nginx/html/index.html")
    world.loop.advance(10)
    assert world.condition("http", "Ready")["status"] == "False"
    assert world.state("http")["restartCount"] == 0
    assert ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 403") in world.events("http")
    world.delete("http", 0)


@pytest.mark.parametrize(
    ("name", "probe", "message"),
    [
        ("refused", {"httpGet": {"port": 81}}, 'Get "http://IP:81/": dial tcp IP:81: connect: connection refused'),
        ("path", {"httpGet": {"path": "/nope", "port": 80}}, "HTTP probe failed with statuscode: 404"),
        ("tcp", {"tcpSocket": {"port": 99}}, "dial tcp IP:99: connect: connection refused"),
        ("exec", {"exec": {"command": ["cat", "/tmp/x"]}}, "cat: /tmp/x: No such file or directory\n"),
        ("slow", {"exec": {"command": ["sleep", "5"]}}, 'command timed out: "sleep 5" timed out after 1s'),
    ],
)
def test_what_a_failed_probe_says(world: World, name: str, probe: dict[str, Any], message: str) -> None:
    """The Unhealthy event has the prober's words; the Pod runs but is not ready."""
    probed(world, name, "readinessProbe", probe)
    world.loop.advance(12)
    expected = message.replace("IP", world.pod(name)["status"]["podIP"])
    assert ("Unhealthy", f"Readiness probe failed: {expected}") in world.events(name)
    assert world.phase(name) == "Running" and world.state(name)["ready"] is False
    world.delete(name, 0)


def test_liveness_restarts(world: World) -> None:
    """The documentation's example: healthy for a while, then restarted."""
    command = "touch /tmp/healthy; sleep 10; rm -f /tmp/healthy; sleep 600"
    probed(
        world,
        "live",
        "livenessProbe",
        {"exec": {"command": ["cat", "/tmp/healthy"]}},
        image="busybox",
        command=command,
        terminationGracePeriodSeconds=3,
    )
    world.loop.advance(12)
    assert world.state("live")["restartCount"] == 0
    world.loop.advance(15)
    assert world.state("live")["restartCount"] == 1
    events = world.events("live")
    assert ("Killing", "Container c failed liveness probe, will be restarted") in events
    assert (
        "Unhealthy",
        "Liveness probe failed: cat: can't open '/tmp/healthy': No such file or directory\n",
    ) in events
    assert world.state("live")["lastState"]["terminated"]["exitCode"] == 137
    world.delete("live", 0)


def test_startup_holds_the_others_back(world: World) -> None:
    """Not started, not ready and not judged by liveness until the startup probe succeeds."""
    probed(
        world,
        "start",
        "startupProbe",
        {"exec": {"command": ["test", "-f", "/tmp/up"]}, "failureThreshold": 30},
        image="busybox",
        command="sleep 10; touch /tmp/up; sleep 600",
        container={
            "livenessProbe": {
                "exec": {"command": ["test", "-f", "/tmp/up"]},
                "periodSeconds": 1,
                "failureThreshold": 1,
            }
        },
    )
    world.loop.advance(8)
    assert world.state("start")["started"] is False and world.state("start")["ready"] is False
    world.loop.advance(10)
    assert world.state("start")["started"] is True and world.state("start")["ready"] is True
    assert world.state("start")["restartCount"] == 0
    world.delete("start", 0)


def test_initial_delay(world: World) -> None:
    """Nothing is asked before initialDelaySeconds have passed."""
    probed(world, "delay", "readinessProbe", {"tcpSocket": {"port": 80}, "initialDelaySeconds": 20})
    world.loop.advance(15)
    assert world.state("delay")["ready"] is False
    world.loop.advance(12)
    assert world.state("delay")["ready"] is True
    world.delete("delay", 0)


def test_settling_waits_for_readiness_only(world: World) -> None:
    """Time runs ahead until the Pod is ready, and not for the sake of its later probes and sleeps."""
    probed(
        world,
        "settle",
        "readinessProbe",
        {"exec": {"command": ["test", "-f", "/tmp/up"]}},
        image="busybox",
        command="sleep 15; touch /tmp/up; while true; do sleep 1; done",
    )
    passed = world.loop.settle()
    assert world.condition("settle", "Ready")["status"] == "True"
    assert 15 < passed < 40 and world.loop.settle() < 5
    world.delete("settle", 0)
