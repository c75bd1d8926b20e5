"""One Pod's life on its node: volumes, sandbox, init containers, containers, restarts, probes, the end.

A worker is level-triggered: `sync` looks at the Pod and at the runtime and takes the next step, however often it is
called; what takes time (a pull, a start) makes its launcher busy and syncs again when done. Stands for
pkg/kubelet/pod_workers.go and kuberuntime_manager.go's SyncPod. The status is written when it differs from what was
written last.
"""

from typing import TYPE_CHECKING

from k8s_core import limits
from k8s_core.api import Object
from k8s_core.api.requests import Amounts, pod_requests
from k8s_core.api.validation.pods import qos_class
from k8s_core.kubelet import pod_actions, pod_network
from k8s_core.kubelet.container import EXITED, RUNNING, Container, Sandbox
from k8s_core.kubelet.container_state import BackOff, ContainerState
from k8s_core.kubelet.killer import Killer
from k8s_core.kubelet.launcher import Launcher
from k8s_core.kubelet.pod_health import PodHealth
from k8s_core.kubelet.pod_journal import PodJournal
from k8s_core.kubelet.resize import Resizer
from k8s_core.kubelet.status_manager import StatusManager
from k8s_core.kubelet.volumes import MountError
from k8s_core.shell.fs import Node

if TYPE_CHECKING:
    from k8s_core.kubelet.kubelet import Kubelet

RUNTIME_HANDLER = "runc"
DEADLINE = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


class PodWorker:
    """The worker of one Pod (one uid)."""

    def __init__(self, kubelet: "Kubelet", pod: Object) -> None:
        self.kubelet, self.pod = kubelet, pod
        self.loop, self.runtime = kubelet.client.loop, kubelet.runtime
        self.uid = str(pod["metadata"]["uid"])
        self.statuses = StatusManager(self)
        self.journal = PodJournal(kubelet, pod)
        self.health = PodHealth(self)
        self.resizer = Resizer(self)
        self.sandbox: Sandbox | None = None
        self.volumes: dict[str, Node] | None = None
        self.states: dict[str, ContainerState] = {}
        self.failed: tuple[str, str] | None = None
        """Why the kubelet itself ends the Pod: reason and message (deadline, admission, eviction)."""
        self.done = False
        """Its containers have ended for good; what still runs (sidecars) only served them."""
        self._rejected_at = 0.0
        self.removed = False
        """The object is gone from the apiserver; only the containers are still to be ended."""
        self.started_at: float | None = None
        self.finished = False
        self.launcher = Launcher(self)
        self._mount_delay = 0.0
        self.retry_at = 0.0
        self.terminating = self._sandbox_pending = False
        self.killer = Killer(self)
        self._attempt = 0

    # --- looking --------------------------------------------------------------------------------------------
    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.pod["metadata"]["namespace"])

    @property
    def spec(self) -> Object:
        spec: Object = self.pod["spec"]
        return spec

    @property
    def status(self) -> Object:
        """The status as it was last made."""
        return self.statuses.status

    @property
    def requests(self) -> Amounts:
        """What the Pod asks for of the node."""
        return pod_requests(self.spec, None, self.status)

    def state(self, name: str) -> ContainerState:
        if name not in self.states:
            self.states[name] = ContainerState(BackOff(*limits.CONTAINER_BACKOFF), BackOff(*limits.IMAGE_BACKOFF))
        return self.states[name]

    def running(self) -> list[tuple[Object, ContainerState]]:
        """The containers that run now, in the order of the spec."""
        found = []
        for container in self.all_containers():
            state = self.states.get(container["name"])
            if state and state.current and state.current.state == RUNNING:
                found.append((container, state))
        return found

    def all_containers(self) -> list[Object]:
        spec = self.spec
        return [*(spec.get("initContainers") or ()), *spec["containers"], *(spec.get("ephemeralContainers") or ())]

    def event(self, type: str, reason: str, message: str, container: str = "") -> None:
        path = ""
        if container:
            part = (
                "initContainers"
                if any(c["name"] == container for c in self.spec.get("initContainers") or ())
                else "containers"
            )
            path = f"spec.{part}{{{container}}}"
        self.kubelet.event(self.pod, type, reason, message, path)

    # --- the loop -------------------------------------------------------------------------------------------
    def update(self, pod: Object) -> None:
        """The Pod has changed at the apiserver."""
        self.pod = pod

    def sync(self) -> None:
        """Take the next step towards what the Pod should be."""
        if self.finished:
            return
        if self.started_at is None:
            self._adopt()
        if self.loop.now < self._rejected_at:
            return
        if self.removed or self.pod["metadata"].get("deletionTimestamp"):
            self.killer.terminate()
        elif self.status.get("phase") in ("Succeeded", "Failed") and not self.running():
            self._release()
        elif self.failed or self.done:
            self.killer.terminate()
        else:
            self._advance()
        if not self.finished:
            self.statuses.write()
            if self.done and not self.terminating:
                self.killer.terminate()
            if self.status.get("phase") in ("Succeeded", "Failed") and not self.running():
                self._release()
            if self.terminating and not self.running() and not self.launcher.stopping:
                self._finish()

    def _adopt(self) -> None:
        """The first look at a Pod: one that already has a history keeps it (the kubelet was restarted)."""
        self.started_at = self.loop.now
        if self.status.get("startTime"):
            return
        self.failed = self.kubelet.admit(self.pod)
        if self.failed:
            reason, message = self.failed
            self.event("Warning", reason, message.removeprefix("Pod was rejected: "))
            self._rejected_at = self.loop.now + limits.POD_REJECTION_SECONDS
            self.kubelet.requeue(self.uid, limits.POD_REJECTION_SECONDS)

    def _advance(self) -> None:
        spec = self.spec
        deadline = spec.get("activeDeadlineSeconds")
        if deadline is not None and self.started_at is not None:
            left = self.started_at + deadline - self.loop.now
            if left <= 0:
                self.failed = DEADLINE
                self.event("Normal", "DeadlineExceeded", DEADLINE[1])
                self.killer.terminate()
                return
            self.kubelet.requeue(self.uid, left)
        self.proceed()

    def proceed(self) -> None:
        """Start what can be started now. The status follows when the kubelet next looks at the runtime."""
        if self.terminating or self.finished or not self.kubelet.running:
            return
        if self.launcher.busy or not self._mount() or not self._ensure_sandbox():
            return
        self._replace_changed()
        self.resizer.look()
        for container in pod_actions.wanted(self.spec, self.state, fake=self.runtime.fake):
            if self.launcher.busy:
                return
            self._start_when_due(container)

    def _replace_changed(self) -> None:
        """A running container whose image was changed in the spec is stopped, to be started anew."""
        for container, state in self.running():
            if not state.stopping and pod_actions.changed(container, state.current):
                state.backoff = BackOff(*limits.CONTAINER_BACKOFF)
                message = f"Container {container['name']} definition changed, will be restarted"
                self.killer.stop(container, state, self.killer.grace(), message)

    def _mount(self) -> bool:
        if self.volumes is not None:
            return True
        if self._mount_delay and self.loop.now + 0.01 < self.retry_at:
            return False
        try:
            self.volumes = self.kubelet.volumes.mount(self.pod, self.status)
        except MountError as error:
            self.event("Warning", "FailedMount", str(error))
            self.journal.not_mounted(str(error))
            first, ceiling = limits.MOUNT_BACKOFF
            self._mount_delay = min(max(self._mount_delay * 2, first), ceiling)
            self.retry(self._mount_delay)
            return False
        return True

    def _ensure_sandbox(self) -> bool:
        if self.sandbox and not self.sandbox.ready:
            self._sandbox_lost(self.sandbox)
        if self.sandbox:
            return True
        if self._attempt and self.spec.get("restartPolicy") == "Never":
            return False  # what has run will not run again: there is nothing to make a sandbox for
        if not self._sandbox_pending and self.loop.now + 0.01 >= self.retry_at:
            self._sandbox_pending = True
            self.loop.call_later(self.runtime.takes(limits.SANDBOX_SECONDS), self._sandbox_made)
        return False

    def _sandbox_lost(self, sandbox: Sandbox) -> None:
        """The node was switched off, or somebody stopped the sandbox: all begins anew, with the init containers."""
        self.event("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
        pod_network.release(self.kubelet, sandbox.network)
        self.sandbox, self._attempt = None, self._attempt + 1
        self.launcher.cancel()
        for state in self.states.values():
            if state.current is not None:
                state.previous, state.current = state.current, None

    def _sandbox_made(self) -> None:
        self._sandbox_pending = False
        if self.finished or self.terminating:
            return
        if handler := self._unknown_handler():
            why = f'failed to get sandbox runtime: no runtime for "{handler}" is configured'
            text = f"Failed to create pod sandbox: rpc error: code = Unknown desc = {why}"
            self.event("Warning", "FailedCreatePodSandBox", text)
            self.retry(limits.POD_RETRY_PERIOD)
            return
        network = pod_network.attach(self.kubelet, self.pod)
        host_name = pod_network.host_name(self.pod, self.kubelet.name)
        labels = self.pod["metadata"].get("labels") or {}
        self.sandbox = self.runtime.run_sandbox(
            self.name, self.namespace, self.uid, host_name, network, qos=qos_class(self.spec), labels=labels,
            attempt=self._attempt,
        )  # fmt: skip
        address = network.address
        self.statuses.status = {**self.status, "podIP": address, "podIPs": [{"ip": address}]}
        if self.volumes and "status.pod" in str(self.spec["volumes"]):
            self.refresh_volumes()  # the downward API knows the Pod's address only now
        self.kubelet.noticed(self.uid)
        self.proceed()

    def _unknown_handler(self) -> str:
        """The RuntimeClass's handler, if the node's containerd has no such."""
        name = self.spec.get("runtimeClassName")
        found = (
            self.kubelet.lookups.get("runtimeclasses.node.k8s.io", name, "") if name and not self.runtime.fake else None
        )
        return found["handler"] if found and found["handler"] != RUNTIME_HANDLER else ""

    def retry(self, seconds: float) -> None:
        """Try again later what failed for want of something; nobody need wait for it before that has come."""
        self.retry_at = self.loop.now + seconds
        self.kubelet.requeue(self.uid, seconds, background=True)
        self.kubelet.references.wait(self)

    def refresh_volumes(self) -> None:
        """ConfigMaps and Secrets may have changed (the kubelet looks once a minute)."""
        if self.volumes and not self.finished:
            self.kubelet.volumes.refresh(self.pod, self.status, self.volumes)

    def _start_when_due(self, container: Object) -> None:
        state, name = self.state(container["name"]), container["name"]
        if state.current and state.current.state == EXITED and not state.resized:
            left = state.backoff.wait(state.current.finished, self.loop.now)
            if left > 0:
                minutes, rest = divmod(int(state.backoff.delay), 60)
                seconds = f"{minutes}m{rest}s" if minutes else f"{rest}s"
                pod = f"{self.name}_{self.namespace}({self.uid})"
                message = f"back-off {seconds} restarting failed container={name} pod={pod}"
                state.waiting = ("CrashLoopBackOff", message)
                if not state.backing_off:
                    state.backing_off = True
                    message = f"Back-off restarting failed container {name} in pod {pod}"
                    self.event("Warning", "BackOff", message, name)
                    self.journal.not_started(name, *state.waiting)
                self.kubelet.requeue(self.uid, left)
                return
        self.launcher.launch(container)

    # --- what happens in the runtime ------------------------------------------------------------------------
    def container_started(self, container: Object, run: Container) -> None:
        """A run has begun: probe it."""
        state = self.state(container["name"])
        state.waiting, state.backing_off, state.stopping = None, False, False
        self.journal.started(container["name"])
        state.started = not container.get("startupProbe")
        state.ready = state.started and not container.get("readinessProbe")
        run.on_exit.append(lambda: self._container_exited(state, run))
        if self.runtime.fake:
            state.started = state.ready = True
        else:
            self.health.begin(container, state, run)
        self.kubelet.noticed(self.uid)

    def _container_exited(self, state: ContainerState, run: Container) -> None:
        for probe in state.probes:
            probe.stop()
        state.probes, state.ready, state.started, state.stopping = [], False, False, False
        if self.terminating and not self.running():
            self.kubelet.enqueue(self.uid)
        else:
            self.kubelet.noticed(self.uid)

    # --- the end --------------------------------------------------------------------------------------------
    def _finish(self) -> None:
        """Nothing runs any more: let go of everything, and of the object if it is to be deleted."""
        self._release()
        if self.pod["metadata"].get("deletionTimestamp") and not self.removed:
            self.kubelet.writer.delete_object(self.pod)
        if self.removed or self.pod["metadata"].get("deletionTimestamp"):
            self.close()

    def _release(self) -> None:
        if self.sandbox and self.sandbox.ready:
            self.runtime.stop_sandbox(self.sandbox)
            pod_network.release(self.kubelet, self.sandbox.network)
            self.kubelet.retry_resizes()
            if not self.pod["metadata"].get("deletionTimestamp"):
                self.statuses.write()

    def close(self) -> None:
        """The worker's last act: forget the containers."""
        self.finished = True
        for state in self.states.values():
            for probe in state.probes:
                probe.stop()
        if self.sandbox:
            self.runtime.remove_sandbox(self.sandbox)
        self.kubelet.forget(self)
