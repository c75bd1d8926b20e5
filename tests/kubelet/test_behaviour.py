"""Programs whose behaviour is set, and what the kubelet makes of it: probes, restarts, limits."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from node_world import World

from k8s_core.shell.fs import File

HTTP = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 2, "failureThreshold": 2}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.cluster.stop()


def web(world: World, behaviour: str = "", **container: Any) -> None:
    """A Pod web with nginx that behaves so."""
    world.create(
        {
            "metadata": {"name": "web", "annotations": {"simulator/behaviour": behaviour}},
            "spec": {"containers": [{"name": "c", "image": "nginx", **container}]},
        }
    )


def ended(world: World) -> Any:
    return world.state("web")["lastState"]["terminated"]


def test_a_slow_start_is_not_ready(world: World) -> None:
    """Nothing listens before; a readiness probe says so, and later that all is well."""
    web(world, "start-after=20s", readinessProbe=HTTP)
    world.loop.advance(15)
    assert world.state("web")["ready"] is False
    failed = [message for reason, message in world.events("web") if reason == "Unhealthy"]
    assert failed and failed[0].endswith(":80: connect: connection refused")
    world.loop.advance(15)
    assert world.state("web")["ready"] is True and world.state("web")["restartCount"] == 0


def test_a_startup_probe_gives_a_slow_program_time(world: World) -> None:
    """Without one the liveness probe would kill it again and again."""
    startup = {**HTTP, "failureThreshold": 30}
    web(world, "start-after=20s", startupProbe=startup, livenessProbe=HTTP)
    world.loop.advance(40)
    assert (world.state("web")["started"], world.state("web")["restartCount"]) == (True, 0)


def test_a_hanging_program_is_killed_by_its_liveness_probe(world: World) -> None:
    """The probe times out; SIGTERM is ignored, so the container ends with SIGKILL after its grace period."""
    web(world, "hang-after=10s", livenessProbe=HTTP)
    world.loop.advance(20)
    messages = [message for _, message in world.events("web")]
    assert any("context deadline exceeded (Client.Timeout exceeded while awaiting headers)" in m for m in messages)
    assert "Container c failed liveness probe, will be restarted" in messages
    world.loop.advance(30)
    assert world.state("web")["restartCount"] == 1 and ended(world)["exitCode"] == 137


def test_a_server_that_begins_to_fail(world: World) -> None:
    """HTTP 500 makes it unready; it is not restarted, for nobody asked for that."""
    web(world, "fail-after=10s", readinessProbe=HTTP)
    world.loop.advance(8)
    assert world.state("web")["ready"] is True
    world.loop.advance(10)
    assert world.state("web")["ready"] is False and world.state("web")["restartCount"] == 0
    assert ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 500") in world.events("web")


def test_a_crash_has_its_exit_code(world: World) -> None:
    """crash-after and exit-code end the container as asked; the kubelet starts it again."""
    web(world, "crash-after=10s, exit-code=3")
    world.loop.advance(17)
    assert (ended(world)["exitCode"], ended(world)["reason"]) == (3, "Error")
    world.loop.advance(10)
    assert world.state("web")["restartCount"] == 1


def test_a_leak_ends_in_oomkilled(world: World) -> None:
    """At the limit the whole container is killed with 137."""
    web(world, "leak=10Mi/s", resources={"limits": {"memory": "64Mi"}})
    world.loop.advance(15)
    assert (ended(world)["exitCode"], ended(world)["reason"]) == (137, "OOMKilled")


def test_slow_answers_fail_a_probe_with_a_short_timeout(world: World) -> None:
    """Three seconds are too long for timeoutSeconds 1, and not for 5."""
    web(world, "answer-after=3s", readinessProbe={**HTTP, "periodSeconds": 6, "timeoutSeconds": 5})
    world.loop.advance(20)
    assert world.state("web")["ready"] is True


def test_log_lines_come_at_their_pace(world: World) -> None:
    """log and log-every."""
    web(world, "log=tick, log-every=2s")
    world.loop.advance(12)
    assert 4 <= world.logs("web").count("tick\n") <= 6


def test_an_annotation_that_makes_no_sense_is_said(world: World) -> None:
    """The container is not made, and the reason names the word."""
    web(world, "leek=1Mi")
    world.loop.advance(5)
    waiting = world.state("web")["state"]["waiting"]
    assert waiting["reason"] == "CreateContainerConfigError"
    assert waiting["message"] == 'simulator/behaviour: "leek=1Mi": there is no such behaviour'


def test_stress_beyond_the_limit_is_oomkilled(world: World) -> None:
    """The documentation's memory-demo-2: 250M with a limit of 100Mi."""
    arguments = ["--vm", "1", "--vm-bytes", "250M", "--vm-hang", "1"]
    limits = {"limits": {"memory": "100Mi"}, "requests": {"memory": "50Mi"}}
    world.run("web", image="polinux/stress", container={"command": ["stress"], "args": arguments, "resources": limits})
    world.loop.advance(6)
    assert ended(world)["reason"] == "OOMKilled"


def test_tail_of_dev_zero_is_oomkilled(world: World) -> None:
    """The one-liner that everybody knows."""
    world.run("web", "tail /dev/zero", container={"resources": {"limits": {"memory": "20Mi"}}})
    world.loop.advance(10)
    assert ended(world)["reason"] == "OOMKilled"


def test_a_processor_limit_throttles(world: World) -> None:
    """cpu.stat shows the time used, cut at the limit, and the time that was cut."""
    resources = {"limits": {"cpu": "250m"}, "requests": {"cpu": "100m"}}
    web(world, "cpu=1", resources=resources)
    world.loop.advance(60)
    (path, node), *others = [f for f in world.kubelet.fs.walk("/sys/fs/cgroup") if f[0].endswith("cpu.stat")]
    assert not others and path.startswith("/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/")
    assert isinstance(node, File)
    figures = dict(line.split() for line in node.read().decode().splitlines())
    used, throttled = int(figures["usage_usec"]), int(figures["throttled_usec"])
    assert 0.2 < used / (used + throttled) < 0.3 and int(figures["nr_throttled"]) > 100


@pytest.mark.parametrize(
    ("arguments", "ready", "message"),
    [
        (["grpc-health-checking"], True, ""),
        (["netexec", "--http-port=5000"], False, "does not implement the grpc health protocol"),
        (["pause"], False, "timeout: failed to connect service"),
    ],
)
def test_grpc_probes(world: World, arguments: list[str], ready: bool, message: str) -> None:
    """A server that speaks the health protocol is ready; another is not, and why is in the event."""
    probe = {"grpc": {"port": 5000}, "periodSeconds": 1}
    image = "registry.k8s.io/e2e-test-images/agnhost:2.57"
    world.run("web", image=image, container={"args": arguments, "readinessProbe": probe})
    world.loop.advance(15)
    assert world.state("web")["ready"] is ready
    assert ready or any(message in text for reason, text in world.events("web") if reason == "Unhealthy")
