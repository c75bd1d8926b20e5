"""A Pod's life on its node: phases, conditions, restarts, init containers, the end; and what is written of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from node_world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(Path(tmp_path_factory.mktemp("world")))
    yield made
    made.cluster.stop()


def test_a_pod_runs(world: World) -> None:
    """Pending with ContainerCreating at once, Running and Ready after the image was pulled; the events' words."""
    world.run("web", image="nginx")
    assert (world.phase("web"), world.waiting("web")) == ("Pending", "ContainerCreating")
    assert world.condition("web", "Ready")["reason"] == "ContainersNotReady"
    assert world.condition("web", "Ready")["message"] == "containers with unready status: [c]"
    world.loop.advance(10)
    pod = world.pod("web")
    status = pod["status"]
    assert status["phase"] == "Running"
    assert [(c["type"], c["status"], c["observedGeneration"]) for c in status["conditions"]] == [
        (kind, "True", 1)
        for kind in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    ]
    container = status["containerStatuses"][0]
    assert container["image"] == "docker.io/library/nginx:latest"
    assert container["imageID"].startswith("docker.io/library/nginx@sha256:")
    assert container["containerID"].startswith("containerd://")
    assert (container["ready"], container["started"], container["restartCount"]) == (True, True, 0)
    assert status["podIP"].startswith("10.32.0.") and status["hostIP"] == "10.0.0.5"
    (pulling, pulled, created, started) = world.events("web")
    assert pulling == ("Pulling", 'Pulling image "nginx"')
    assert pulled[1].startswith('Successfully pulled image "nginx" in ') and pulled[1].endswith(" bytes.")
    assert (created, started) == (("Created", "Container created"), ("Started", "Container started"))


def test_a_pod_takes_few_writes(world: World) -> None:
    """From creation to Ready a Pod's status is written at most four times."""
    writes = []
    pods = world.client.informer("pods", namespace="default")
    pods.on(updated=lambda old, new: writes.append(new) if new["metadata"]["name"] == "few" else None)
    world.run("few", image="nginx:1.25")
    world.loop.advance(10)
    assert world.phase("few") == "Running" and len(writes) <= 4


def test_deleting_waits_for_the_program(world: World) -> None:
    """nginx ends at once; a shell as PID 1 ignores SIGTERM and is killed when the grace period is over."""
    world.run("quick", image="nginx")
    world.run("stubborn", "while true; do sleep 1; done")
    world.loop.advance(15)
    world.delete("quick")
    world.delete("stubborn", 10)
    world.loop.advance(2)
    assert world.gone("quick") and not world.gone("stubborn")
    assert ("Killing", "Stopping container c") in world.events("stubborn")
    world.loop.advance(9)
    assert world.gone("stubborn")


def test_grace_zero_is_at_once(world: World) -> None:
    """--force --grace-period=0 leaves nothing behind."""
    world.run("forced", "sleep 1000")
    world.loop.advance(10)
    world.delete("forced", 0)
    world.loop.advance(3)
    assert world.gone("forced")
    assert not [s for s in world.kubelet.runtime.sandboxes.values() if s.name == "forced"]


def test_completion(world: World) -> None:
    """Exit code 0 is Succeeded, another Failed, when nothing is restarted; the exit code and reason are kept."""
    world.run("fine", "echo done", restartPolicy="Never")
    world.run("bad", "exit 3", restartPolicy="Never")
    world.run("retry", "exit 1", restartPolicy="OnFailure")
    world.loop.advance(15)
    assert world.phase("fine") == "Succeeded"
    assert world.condition("fine", "Ready")["reason"] == "PodCompleted"
    ended = world.state("fine")["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (0, "Completed")
    assert world.phase("bad") == "Failed"
    assert world.state("bad")["state"]["terminated"]["exitCode"] == 3
    assert world.state("bad")["state"]["terminated"]["reason"] == "Error"
    assert world.phase("retry") == "Running" and world.state("retry")["restartCount"] >= 1
    assert world.logs("fine") == "done\n"


def test_crash_loop_back_off(world: World) -> None:
    """The first restart is immediate, then 10 s, 20 s, 40 s ... with the kubelet's reason and message."""
    world.run("crash", "exit 1")
    world.loop.advance(8)
    uid = world.pod("crash")["metadata"]["uid"]
    status = world.state("crash")
    assert status["state"]["waiting"] == {
        "reason": "CrashLoopBackOff",
        "message": f"back-off 10s restarting failed container=c pod=crash_default({uid})",
    }
    assert status["restartCount"] == 1 and status["lastState"]["terminated"]["exitCode"] == 1
    assert ("BackOff", f"Back-off restarting failed container c in pod crash_default({uid})") in world.events("crash")
    restarts = []
    for _ in range(7):
        world.loop.advance(20)
        restarts.append(world.state("crash")["restartCount"])
    assert restarts[0] == 2 and restarts[-1] == 4  # 10 + 20 + 40 s, and 80 s not over
    world.delete("crash", 0)


def test_back_off_is_forgotten_after_ten_minutes() -> None:
    """A container that ran for ten minutes is restarted at once again."""
    from k8s_core.kubelet.container_state import BackOff  # noqa: PLC0415

    backoff = BackOff(10, 300)
    delays = []
    now = 0.0
    for _ in range(8):
        delays.append(backoff.wait(now, now))
        now += delays[-1]
        backoff.next(now)
    assert delays == [0, 10, 20, 40, 80, 160, 300, 300]
    assert backoff.wait(now + 601, now + 601) == 0


def test_init_containers_in_order(world: World) -> None:
    """Init containers run one after another; the others wait with PodInitializing."""
    world.create("""
metadata: {name: init}
spec:
  initContainers:
  - {name: one, image: busybox, command: [sh, -c, "sleep 5"]}
  - {name: two, image: busybox, command: [sh, -c, "sleep 5"]}
  containers:
  - {name: c, image: nginx}
""")
    world.loop.advance(4)
    assert world.waiting("init") == "PodInitializing"
    assert "running" in world.state("init", 0, "initContainerStatuses")["state"]
    assert world.condition("init", "Initialized")["message"] == "containers with incomplete status: [one two]"
    world.loop.advance(8)
    assert world.state("init", 0, "initContainerStatuses")["ready"] is True
    assert world.phase("init") == "Pending"
    world.loop.advance(8)
    assert world.phase("init") == "Running"
    assert world.condition("init", "Initialized")["status"] == "True"


def test_a_failing_init_container_holds_the_pod(world: World) -> None:
    """It is restarted with back-off under Always, and fails the Pod under Never."""
    spec = """
metadata: {name: NAME}
spec:
  restartPolicy: POLICY
  initContainers: [{name: i, image: busybox, command: [sh, -c, "exit 1"]}]
  containers: [{name: c, image: nginx}]
"""
    world.create(spec.replace("NAME", "hold").replace("POLICY", "Always"))
    world.create(spec.replace("NAME", "fail").replace("POLICY", "Never"))
    world.loop.advance(20)
    assert world.phase("hold") == "Pending"
    assert world.state("hold", 0, "initContainerStatuses")["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert world.phase("fail") == "Failed"
    world.delete("hold", 0)


def test_a_sidecar_runs_beside_and_ends_last(world: World) -> None:
    """An init container with restartPolicy Always does not hold up the Pod, and is stopped last."""
    world.create("""
metadata: {name: side}
spec:
  restartPolicy: Never
  initContainers:
  - {name: s, image: busybox, restartPolicy: Always, command: [sh, -c, "trap 'exit 0' TERM; sleep 99 & wait"]}
  containers:
  - {name: c, image: busybox, command: [sh, -c, "sleep 8"]}
""")
    world.loop.advance(5)
    assert world.phase("side") == "Running"
    world.loop.advance(10)
    assert world.phase("side") == "Succeeded"


def test_active_deadline(world: World) -> None:
    """A Pod that is active too long fails with DeadlineExceeded."""
    world.run("late", "sleep 1000", activeDeadlineSeconds=10, terminationGracePeriodSeconds=1)
    world.loop.advance(20)
    status = world.pod("late")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert status["message"] == "Pod was active on the node longer than the specified deadline"


@pytest.mark.parametrize(
    ("image", "reason", "message"),
    [
        ("nginx:1.161", "ImagePullBackOff", "docker.io/library/nginx:1.161: not found"),
        ("nginx:doesnotexist", "ImagePullBackOff", "docker.io/library/nginx:doesnotexist: not found"),
        ("ngnix", "ImagePullBackOff", "pull access denied, repository does not exist or may require authorization"),
        ("registry.nowhere/app:1", "ImagePullBackOff", "lookup registry.nowhere: no such host"),
        ("Bad:::name", "InvalidImageName", "invalid reference format"),
    ],
)
def test_images_that_do_not_exist(world: World, image: str, reason: str, message: str) -> None:
    """Each has its waiting reason and containerd's words."""
    name = "img-" + "".join(c for c in image.lower() if c.isalnum())
    world.run(name, image=image)
    world.loop.advance(8)
    waiting = world.state(name)["state"]["waiting"]
    assert waiting["reason"] == reason and message in waiting["message"]
    if reason == "ImagePullBackOff":
        assert ("Failed", "Error: ErrImagePull") in world.events(name)
        assert ("BackOff", f'Back-off pulling image "{image}"') in world.events(name)
    world.delete(name, 0)


@pytest.mark.parametrize(
    "image",
    [
        "nginx:1.27",
        "nginx:1.25-alpine",
        "redis:7",
        "busybox:1.28",
        "myregistry.io/team/app:v1.2",
        "someone/thing",
        "gcr.io/google_samples/gb-frontend:v3",
        "localhost:5000/x",
        "k8s.gcr.io/pause:3.2",
        "wordpress",
    ],
)
def test_images_that_exist(world: World, image: str) -> None:
    """Plausible names can be pulled; what nobody knows runs the generic program."""
    name = "ok-" + "".join(c for c in image.lower() if c.isalnum())[:40]
    command = "sleep 1000" if "busybox" in image else ""
    world.run(name, command, image=image)
    world.loop.advance(8)
    assert world.phase(name) == "Running"
    world.delete(name, 0)


def test_a_command_that_is_not_there(world: World) -> None:
    """StartError with runc's words; back-off as for any crash."""
    world.create("""
metadata: {name: nocmd}
spec: {containers: [{name: c, image: nginx, command: [nosuch]}]}
""")
    world.loop.advance(10)
    status = world.state("nocmd")
    assert status["lastState"]["terminated"]["exitCode"] == 128
    assert status["lastState"]["terminated"]["reason"] == "StartError"
    assert 'exec: "nosuch": executable file not found in $PATH' in status["lastState"]["terminated"]["message"]
    assert any(m.startswith("Error: failed to create containerd task: ") for _, m in world.events("nocmd"))
    world.delete("nocmd", 0)


def test_resources_that_do_not_fit(world: World) -> None:
    """A Pod that was put on a full node by hand is rejected."""
    world.run("huge", image="nginx", container={"resources": {"requests": {"cpu": "4"}}})
    world.loop.advance(2)
    status = world.pod("huge")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "OutOfcpu")
    assert status["message"].startswith(
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 4000, used: "
    )


def test_a_termination_message(world: World) -> None:
    """What is written to /dev/termination-log is the message; FallbackToLogsOnError takes the log's end."""
    world.run("last", "echo because > /dev/termination-log; exit 2", restartPolicy="Never")
    world.run(
        "log",
        "echo oops; exit 2",
        restartPolicy="Never",
        container={"terminationMessagePolicy": "FallbackToLogsOnError"},
    )
    world.loop.advance(10)
    assert world.state("last")["state"]["terminated"]["message"] == "because\n"
    assert world.state("log")["state"]["terminated"]["message"] == "oops\n"


def test_the_kubelet_can_be_restarted(world: World) -> None:
    """Containers go on while the kubelet is away; it catches up when it is back."""
    world.run("stay", "sleep 10; echo through; sleep 1000")
    world.loop.advance(8)
    before = world.state("stay")["containerID"]
    world.kubelet.stop()
    world.run("later", image="nginx")
    world.loop.advance(20)
    assert "status" not in world.pod("later") or world.pod("later")["status"].get("startTime") is None
    world.kubelet.start()
    world.loop.advance(10)
    assert world.phase("later") == "Running"
    assert world.state("stay")["containerID"] == before and world.logs("stay") == "through\n"


def test_a_changed_image_restarts_the_container(world: World) -> None:
    """kubectl set image on a Pod: the container is stopped and started with the new image, without back-off."""
    world.run("change", image="nginx:1.25")
    world.loop.advance(8)
    patch = {"spec": {"containers": [{"name": "c", "image": "nginx:1.26"}]}}
    world.client.patch("pods", "change", "default", patch, kind="strategic")
    world.loop.advance(8)
    status = world.state("change")
    assert status["image"] == "docker.io/library/nginx:1.26" and "running" in status["state"]
    assert status["restartCount"] == 1
    assert ("Killing", "Container c definition changed, will be restarted") in world.events("change")


def test_hooks(world: World) -> None:
    """postStart runs after the start, preStop before SIGTERM and within the grace period."""
    world.create("""
metadata: {name: hooks}
spec:
  containers:
  - name: c
    image: nginx
    lifecycle:
      postStart: {exec: {command: [sh, -c, "echo started > /tmp/post"]}}
      preStop: {exec: {command: [sh, -c, "sleep 5"]}}
""")
    world.loop.advance(8)
    assert world.exec("hooks", "cat", "/tmp/post").out == "started\n"
    world.delete("hooks")
    world.loop.advance(4)
    assert not world.gone("hooks")
    world.loop.advance(4)
    assert world.gone("hooks")


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """When all Pods are gone, so are their workers, sandboxes, containers, addresses and timers."""
    world = World(tmp_path)
    probe = {"readinessProbe": {"httpGet": {"port": 80}}, "livenessProbe": {"exec": {"command": ["true"]}}}
    world.loop.advance(20)
    before = len([t for t in world.loop._timers if t.fn])
    for number in range(10):
        world.run(f"web{number}", image="nginx:1.25", container=probe)
        world.run(f"crash{number}", "exit 1")
        world.run(f"done{number}", "true", restartPolicy="Never")
        world.run(f"bad{number}", image="nginx:nosuch")
    world.loop.advance(200)
    for pod in world.client.list("pods", "default"):
        world.delete(pod["metadata"]["name"])
    world.loop.advance(400)
    kubelet = world.kubelet
    assert not kubelet.workers and not kubelet._names and not kubelet.addresses.taken
    assert not kubelet.runtime.sandboxes and not kubelet.runtime.containers
    assert len([t for t in world.loop._timers if t.fn]) < before + 10  # controllers have theirs; none for each Pod
    world.cluster.stop()


def test_the_same_seed_gives_the_same_history(tmp_path: Path) -> None:
    """Names, addresses, times: everything repeats."""
    histories = []
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        world = World(tmp_path / run, seed=7)
        world.run("x", "sleep 3; exit 1")
        world.loop.advance(60)
        histories.append((world.pod("x"), world.events("x")))
        world.cluster.stop()
    assert histories[0] == histories[1]
