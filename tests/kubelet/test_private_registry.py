"""A private registry, and what the kubelet's log says of images, probes and crashes."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from node_world import World

IMAGE = "registry.example.com/team/app:1.0"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.cluster.stop()


def secret(world: World, password: str) -> None:
    """What `kubectl create secret docker-registry regcred` makes."""
    auth = base64.b64encode(f"student:{password}".encode()).decode()
    config = json.dumps(
        {"auths": {"registry.example.com": {"username": "student", "password": password, "auth": auth}}}
    )
    world.create(
        {
            "kind": "Secret",
            "metadata": {"name": "regcred"},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": config},
        }
    )


def test_without_credentials_the_image_is_denied(world: World) -> None:
    """In containerd's words; and a secret that is not there is warned about."""
    world.run("app", image=IMAGE, imagePullSecrets=[{"name": "regcred"}])
    world.loop.advance(3)
    assert world.waiting("app") in ("ErrImagePull", "ImagePullBackOff")
    assert world.state("app")["state"]["waiting"]["message"].endswith("no basic auth credentials")
    assert (
        "FailedToRetrieveImagePullSecret",
        "Unable to retrieve some image pull secrets (regcred); attempting to pull the image may not succeed.",
    ) in world.events("app")


def test_with_wrong_and_with_right_credentials(world: World) -> None:
    """401 first; when the secret is right the next try succeeds."""
    secret(world, "guess")
    world.run("app", image=IMAGE, imagePullSecrets=[{"name": "regcred"}])
    world.loop.advance(3)
    assert world.state("app")["state"]["waiting"]["message"].endswith("401 Unauthorized")
    world.client.delete("secrets", "regcred", "default")
    secret(world, "s3cret")
    world.loop.advance(30)
    assert world.phase("app") == "Running"


def journal(world: World) -> str:
    return "\n".join(entry.text for entry in world.kubelet.journal.entries)


def test_the_log_tells_of_images_that_cannot_be_pulled(world: World) -> None:
    """ErrImagePull and then ImagePullBackOff, each once."""
    world.run("app", image="nginx:nosuch")
    world.loop.advance(8)
    lines = [line for line in journal(world).splitlines() if "Error syncing pod, skipping" in line]
    assert " with ErrImagePull: " in lines[0] and " with ImagePullBackOff: " in lines[1] and len(lines) == 2
    assert 'pod="default/app"' in lines[0]


def test_the_log_tells_of_crashes_probes_and_kills(world: World) -> None:
    """What one looks for when a Pod does not stay up."""
    world.run("crash", "exit 1")
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 2}
    world.run("sick", "sleep 1000", container={"livenessProbe": probe})
    world.loop.advance(20)
    log = journal(world)
    assert "with CrashLoopBackOff: " in log and "back-off 10s restarting failed container=c pod=crash_default" in log
    assert '"Probe failed" probeType="Liveness" pod="default/sick"' in log
    assert '"Killing container with a grace period" pod="default/sick"' in log and "gracePeriod=30" in log
