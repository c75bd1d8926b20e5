"""crictl inspect, inspectp, inspecti: what the CRI knows of one container, sandbox or image, as JSON."""

from typing import TYPE_CHECKING, Any

from k8s_core.shell.commands.containers import (
    PAUSE,
    RUNNING,
    find_container,
    find_image,
    find_sandbox,
    runtime,
    show,
    stamp,
)
from k8s_core.shell.commands.options import Options, Table
from k8s_core.shell.process import Process

if TYPE_CHECKING:
    from k8s_core.kubelet.container import Container, Sandbox

VERBS = Table()


def _labels(sandbox: "Sandbox", container: str = "") -> dict[str, str]:
    labels = {"io.kubernetes.container.name": container} if container else dict(sandbox.labels)
    return {
        **labels, "io.kubernetes.pod.name": sandbox.name, "io.kubernetes.pod.namespace": sandbox.namespace,
        "io.kubernetes.pod.uid": sandbox.uid,
    }  # fmt: skip


def container_entry(c: "Container") -> dict[str, Any]:
    image = c.config.image
    return {
        "annotations": {"io.kubernetes.container.restartCount": str(c.config.attempt)},
        "createdAt": str(int(c.created * 1e9)),
        "id": c.id,
        "image": {"annotations": {}, "image": image.image_id, "runtimeHandler": "", "userSpecifiedImage": image.name},
        "imageId": image.image_id,
        "imageRef": image.image_id,
        "labels": _labels(c.sandbox, c.name),
        "metadata": {"attempt": c.config.attempt, "name": c.name},
        "podSandboxId": c.sandbox.id,
        "state": c.state,
    }


def sandbox_entry(s: "Sandbox") -> dict[str, Any]:
    return {
        "annotations": {},
        "createdAt": str(int(s.created * 1e9)),
        "id": s.id,
        "labels": _labels(s),
        "metadata": {"attempt": s.attempt, "name": s.name, "namespace": s.namespace, "uid": s.uid},
        "runtimeHandler": "",
        "state": "SANDBOX_READY" if s.ready else "SANDBOX_NOTREADY",
    }


@VERBS("inspect", "o:t: output=o template=t")
def inspect(process: Process, options: Options, ids: list[str]) -> None:
    for word in ids or [c.id for c in runtime(process).containers.values() if c.state == RUNNING and c.sandbox.uid]:
        c = find_container(process, word)
        image, init = c.config.image, c.init
        status = {
            **{k: v for k, v in container_entry(c).items() if k != "podSandboxId"},
            "createdAt": stamp(c.created),
            "exitCode": c.exit_code,
            "finishedAt": stamp(c.finished),
            "image": {"annotations": {}, "image": image.name, "runtimeHandler": "", "userSpecifiedImage": ""},
            "imageRef": image.id,
            "logPath": f"/var/log/pods/{process.machine.extra['log_path'](c)}",
            "message": c.message,
            "mounts": [
                {
                    "containerPath": m.path, "hostPath": m.host, "propagation": "PROPAGATION_PRIVATE",
                    "readonly": m.read_only, "selinuxRelabel": False,
                }
                for m in c.config.mounts
            ],
            "reason": c.reason,
            "resources": {"linux": c.config.linux_resources()},
            "startedAt": stamp(c.started),
        }  # fmt: skip
        info = {
            "config": {
                "command": c.config.command, "args": c.config.args, "working_dir": c.config.working_dir,
                "envs": [{"key": k, "value": v} for k, v in c.config.env.items()],
                "labels": _labels(c.sandbox, c.name), "metadata": {"name": c.name},
            },
            "pid": init.host_pid if init and c.state == RUNNING else 0,
            "runtimeType": "io.containerd.runc.v2",
            "sandboxID": c.sandbox.id,
            "snapshotKey": c.id,
            "snapshotter": "overlayfs",
        }  # fmt: skip
        show(process, {"info": info, "status": dict(sorted(status.items()))}, options)


@VERBS("inspectp", "o:t: output=o template=t")
def inspectp(process: Process, options: Options, ids: list[str]) -> None:
    for word in ids:
        s = find_sandbox(process, word)
        network = "POD" if s.network.pod else "NODE"
        status = {
            **sandbox_entry(s),
            "createdAt": stamp(s.created),
            "linux": {"namespaces": {"options": {"ipc": "POD", "network": network, "pid": "CONTAINER"}}},
            "network": {"additionalIps": [], "ip": s.network.address if s.network.pod else ""},
        }
        info = {
            "pid": s.shim + 1 if s.ready else 0, "processStatus": "running" if s.ready else "deleted",
            "image": PAUSE, "runtimeType": "io.containerd.runc.v2", "snapshotter": "overlayfs",
        }  # fmt: skip
        show(process, {"info": info, "status": dict(sorted(status.items()))}, options)


@VERBS("inspecti", "o:t: output=o template=t")
def inspecti(process: Process, options: Options, words: list[str]) -> int | None:
    for word in words:
        image = find_image(process, word)
        if image is None:
            process.err(f'FATA[0000] no such image "{word}" present\n')
            return 1
        config = {key: list(image.data[key]) for key in ("entrypoint", "cmd") if key in image.data}
        status = {
            "id": image.image_id, "pinned": "pause" in image.repository, "repoDigests": [image.id],
            "repoTags": [image.name], "size": str(image.size), "username": str(image.data.get("user", "")),
        }  # fmt: skip
        show(process, {"info": {"imageSpec": {"config": config}}, "status": status}, options)
    return None
