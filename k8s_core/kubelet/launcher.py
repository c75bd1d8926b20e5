"""Starting one container: its image, its configuration, the start, the postStart hook; one at a time in a Pod.

Stands for kuberuntime_container.go's startContainer and images/image_manager.go. Every way it can go wrong ends
in the container's waiting reason, an event with Kubernetes' words, and another try later.
"""

import re
from typing import TYPE_CHECKING

from k8s_core import limits
from k8s_core.api import Object
from k8s_core.kubelet import admission, credentials, images, resize
from k8s_core.kubelet import status as make
from k8s_core.kubelet.container import EXITED, Container, ContainerConfig, Mount, RuntimeFailure
from k8s_core.kubelet.environment import ConfigError, expand
from k8s_core.kubelet.images import Image, PullError
from k8s_core.kubelet.prober import SUCCESS
from k8s_core.kubelet.programs import behaviour
from k8s_core.kubelet.volumes import below

if TYPE_CHECKING:
    from k8s_core.kubelet.pod_worker import PodWorker

UNCONFINED = "Unconfined"


class Launcher:
    """Starts a Pod's containers one after another."""

    def __init__(self, worker: "PodWorker") -> None:
        self.worker = worker
        self.busy = False
        self.stopping = False
        self._generation = 0

    def cancel(self) -> None:
        """Whatever is under way will find that nobody waits for it."""
        self._generation += 1
        self.busy = False

    # --- the image ------------------------------------------------------------------------------------------
    def launch(self, container: Object) -> None:
        """Step 1: the image."""
        worker = self.worker
        state, name, reference = worker.state(container["name"]), container["name"], container["image"]
        now = worker.loop.now
        try:
            image = images.parse(reference)
        except images.InvalidImageName:
            message = (
                f'Failed to apply default image tag "{reference}": couldn\'t parse image name "{reference}": '
                "invalid reference format"
            )
            self._failed(container, "InvalidImageName", message, "InspectFailed")
            return
        policy = container.get("imagePullPolicy") or "IfNotPresent"
        store = worker.runtime.images
        if worker.runtime.fake:
            store.images[image.name] = image
            self._pulled(container, image)
            return
        if policy != "Always" and store.present(image):
            worker.event("Normal", "Pulled", worker.kubelet.words.present.format(image=reference), name)
            self._pulled(container, image)
            return
        if policy == "Never":
            message = f'Container image "{reference}" is not present with pull policy of Never'
            self._failed(container, "ErrImageNeverPull", message, "ErrImageNeverPull")
            return
        left = state.image_backoff.wait(state.image_failed, now)
        if left > 0:
            waiting = ("ImagePullBackOff", f'Back-off pulling image "{reference}": ErrImagePull: {state.image_error}')
            if state.waiting != waiting:
                worker.event("Normal", "BackOff", f'Back-off pulling image "{reference}"', name)
                worker.event("Warning", "Failed", "Error: ImagePullBackOff", name)
                state.waiting = waiting
                worker.journal.not_started(name, *waiting)
            worker.kubelet.requeue(worker.uid, left)
            return
        self.busy = True
        generation = self._generation
        worker.event("Normal", "Pulling", f'Pulling image "{reference}"', name)

        def done(error: PullError | None, seconds: float, waited: float) -> None:
            if generation != self._generation or worker.finished:
                return
            self.busy = False
            if error is None:
                text = (
                    f'Successfully pulled image "{reference}" in {_duration(seconds)} ({_duration(waited)} including '
                    f"waiting). Image size: {image.size} bytes."
                )
                worker.event("Normal", "Pulled", text, name)
                self._pulled(container, image)
                return
            worker.event("Warning", "Failed", f'Failed to pull image "{reference}": {error}', name)
            worker.event("Warning", "Failed", "Error: ErrImagePull", name)
            state.waiting, state.image_error = ("ErrImagePull", str(error)), str(error)
            worker.journal.not_started(name, "ErrImagePull", str(error))
            state.image_failed = worker.loop.now
            state.image_backoff.next(worker.loop.now)
            worker.statuses.write()
            worker.kubelet.requeue(worker.uid, limits.PLEG_RELIST_PERIOD)

        known, missing = credentials.of(worker.pod, worker.kubelet.lookups.get)
        if missing:
            text = (
                f"Unable to retrieve some image pull secrets ({', '.join(missing)}); attempting to pull the image may "
            )
            worker.event("Warning", "FailedToRetrieveImagePullSecret", f"{text}not succeed.")
        store.pull(image, done, credentials=known)

    def _failed(self, container: Object, reason: str, message: str, event: str = "") -> None:
        """A start that failed for a reason that trying again may mend."""
        worker = self.worker
        state = worker.state(container["name"])
        state.waiting = (reason, message)
        worker.journal.not_started(container["name"], reason, message)
        if event:
            worker.event("Warning", event, message, container["name"])
        worker.event("Warning", "Failed", f"Error: {reason if event else message}", container["name"])
        worker.statuses.write()
        worker.retry(limits.POD_RETRY_PERIOD)

    # --- configuration and start ----------------------------------------------------------------------------
    def _pulled(self, container: Object, image: Image) -> None:
        """Steps 2 and 3: configure, create and start, which takes a moment."""
        self.busy = True
        generation = self._generation
        seconds = self.worker.runtime.takes(limits.CONTAINER_START_SECONDS)

        def start() -> None:
            if generation == self._generation and not self.worker.finished:
                self.busy = False
                self._start(container, image)

        self.worker.loop.call_later(seconds, start)

    def _behaviour(self, container: str) -> str:
        text = behaviour.of(self.worker.pod, container)
        try:
            behaviour.parse(text)
        except behaviour.BadBehaviour as error:
            raise ConfigError(str(error)) from None
        return text

    def _host_path(self, name: str) -> str:
        """Where a volume is on the node."""
        worker = self.worker
        volume: Object = next((v for v in worker.spec.get("volumes") or () if v["name"] == name), {})
        if "hostPath" in volume:
            return str(volume["hostPath"]["path"])
        kind = {"emptyDir": "empty-dir", "configMap": "configmap", "downwardAPI": "downward-api"}
        plugin = next((kind.get(key, key) for key in volume if key != "name"), "empty-dir")
        return f"/var/lib/kubelet/pods/{worker.uid}/volumes/kubernetes.io~{plugin}/{name}"

    def _config(self, container: Object, image: Image, attempt: int) -> ContainerConfig:
        worker = self.worker
        spec = worker.spec
        env = worker.kubelet.lookups.environment(worker.pod, container, worker.status, image, worker.sandbox)
        security = {**(worker.spec.get("securityContext") or {}), **(container.get("securityContext") or {})}
        if security.get("runAsNonRoot") and security.get("runAsUser", image.data.get("uid", 0)) == 0:
            explicit = "runAsUser" in security
            what = (
                "container's runAsUser breaks non-root policy"
                if explicit
                else ("container has runAsNonRoot and image will run as root")
            )
            raise ConfigError(
                f'{what} (pod: "{worker.name}_{worker.namespace}({worker.uid})", container: {container["name"]})'
            )
        own = container.get("securityContext") or {}
        privileged, added = bool(own.get("privileged")), (own.get("capabilities") or {}).get("add") or ()
        mounts = []
        for mount in container.get("volumeMounts") or ():
            node = (worker.volumes or {}).get(mount["name"])
            if node is None:
                continue
            path = mount.get("subPath") or _sub_path(mount.get("subPathExpr", ""), env)
            read_only = bool(mount.get("readOnly"))
            place = self._host_path(mount["name"])
            mounts.append(Mount(mount["mountPath"], below(node, path) if path else node, read_only, place))
        assert worker.sandbox is not None
        mounts += worker.kubelet.network_files(worker.pod, worker.sandbox)
        config = ContainerConfig(
            name=container["name"],
            attempt=attempt,
            image=image,
            command=[expand(word, env) for word in container.get("command") or ()],
            args=[expand(word, env) for word in container.get("args") or ()],
            env=env,
            working_dir=container.get("workingDir", ""),
            mounts=mounts,
            stdin=bool(container.get("stdin")),
            stdin_once=bool(container.get("stdinOnce")),
            tty=bool(container.get("tty")),
            uid=security.get("runAsUser"),
            gid=security.get("runAsGroup"),
            groups=[
                *(security.get("supplementalGroups") or ()),
                *([security["fsGroup"]] if "fsGroup" in security else []),
            ],
            read_only=bool(own.get("readOnlyRootFilesystem")),
            privileged=privileged,
            net_admin=privileged or not {"NET_ADMIN", "ALL"}.isdisjoint(added),
            seccomp=not privileged and (security.get("seccompProfile") or {}).get("type", UNCONFINED) != UNCONFINED,
            no_new_privileges=own.get("allowPrivilegeEscalation") is False,
            sysctls=admission.sysctls(spec),
            ports=[p["containerPort"] for p in container.get("ports") or () if p.get("protocol", "TCP") == "TCP"],
            pid_mode="NODE" if spec.get("hostPID") else "POD" if spec.get("shareProcessNamespace") else "CONTAINER",
            reference=container["image"],
            stop_signal=str((container.get("lifecycle") or {}).get("stopSignal", "")).removeprefix("SIG"),
            behaviour=self._behaviour(container["name"]),
        )
        config.resize(resize.wanted(container))
        return config

    def _start(self, container: Object, image: Image) -> None:
        worker = self.worker
        state, name = worker.state(container["name"]), container["name"]
        if worker.sandbox is None or not worker.sandbox.ready:
            return
        attempt = state.restarts + 1 if state.ran else 0
        try:
            config = self._config(container, image, attempt)
        except ConfigError as error:
            self._failed(container, "CreateContainerConfigError", str(error))
            return
        if state.current and not state.resized:
            state.backoff.next(max(state.current.finished, worker.loop.now))
        try:
            run = worker.runtime.create(worker.sandbox, config)
        except RuntimeFailure as error:
            self._failed(container, "CreateContainerError", str(error))
            return
        worker.event("Normal", "Created", worker.kubelet.words.created.format(name=name), name)
        if state.current:
            if state.previous:
                worker.runtime.remove(state.previous)
            state.previous = state.current
        state.current, state.restarts, state.ran, state.resized = run, attempt, True, False
        run.waited_for_until = self._waited_for(container)
        try:
            worker.runtime.start(run)
        except RuntimeFailure as error:
            self._not_started(container, run, str(error), error.code)
            return
        worker.event("Normal", "Started", worker.kubelet.words.started.format(name=name), name)
        run.on_exit.insert(0, lambda: self._read_message(container, run))
        worker.container_started(container, run)
        hook = (container.get("lifecycle") or {}).get("postStart")
        if hook and not worker.runtime.fake:
            self._post_start(container, run, hook)
        else:
            worker.proceed()

    def _waited_for(self, container: Object) -> float:
        """Until when a client may be waiting for what this run does: to become ready, or to end."""
        ends = not make.restarts(container, self.worker.spec, 0) or container in (
            self.worker.spec.get("initContainers") or ()
        )
        if ends or container.get("readinessProbe") or container.get("startupProbe"):
            return self.worker.loop.now + limits.CLIENT_WAITS_FOR_CONTAINER
        return 0.0

    def _not_started(self, container: Object, run: Container, message: str, code: int) -> None:
        worker = self.worker
        run.state, run.exit_code, run.reason, run.message = EXITED, code, "StartError", message
        run.finished = worker.loop.now
        run.log.close()
        state = worker.state(container["name"])
        state.waiting = ("RunContainerError", message) if make.restarts(container, worker.spec, code) else None
        worker.journal.not_started(container["name"], "RunContainerError", message)
        worker.event("Warning", "Failed", f"Error: {message}: unknown", container["name"])
        worker.statuses.write()
        worker.kubelet.noticed(worker.uid)

    def _post_start(self, container: Object, run: Container, hook: Object) -> None:
        worker = self.worker
        self.busy = True
        generation = self._generation

        def done(result: str, output: str) -> None:
            if generation != self._generation or worker.finished:
                return
            self.busy = False
            if result != SUCCESS:
                state = worker.state(container["name"])
                worker.event("Warning", "FailedPostStartHook", "PostStartHook failed", container["name"])
                worker.killer.stop(container, state, worker.killer.grace(), "FailedPostStartHook")
            worker.proceed()

        worker.kubelet.actions.perform(hook, container, run, 3600.0, done)

    def _read_message(self, container: Object, run: Container) -> None:
        """The termination message: what the program wrote to its file, or the end of its log."""
        text = b""
        path = container.get("terminationMessagePath") or "/dev/termination-log"
        if run.machine and run.machine._fs is not None:
            node = run.machine.fs.lookup(path)
            text = node.read() if node is not None and hasattr(node, "read") else b""
        if not text and run.exit_code and container.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            text = run.log.tail(limits.TERMINATION_LOG_LINES)[-2048:]
        if text:
            run.message = text[: limits.TERMINATION_MESSAGE_MAX].decode(errors="replace")


def _sub_path(text: str, env: dict[str, str]) -> str:
    """A subPathExpr's path; ConfigError if the container's environment makes none of it that may be mounted."""
    path = expand(text, env)
    if missing := re.search(r"(?<!\$)\$\(([^()]*)\)", path):
        raise ConfigError(f'missing value for "{missing[1]}"')
    if path.startswith("/"):
        raise ConfigError(f"error SubPath `{path}` must not be an absolute path")
    if ".." in path.split("/"):
        raise ConfigError(f"unable to provision SubPath `{path}`: must not contain '..'")
    return path


def _duration(seconds: float) -> str:
    """Go's time.Duration, to the millisecond."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{int(minutes)}m{text}" if minutes else text
