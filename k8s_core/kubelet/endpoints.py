"""What one can GET from a kubelet: its Pods, its configuration, its figures, the node's logs.

Stands for the read-only part of pkg/kubelet/server (/pods, /runningpods, /configz, /stats/summary, /metrics,
/metrics/resource, /logs, /containerLogs, /healthz). The apiserver passes such requests on from nodes/proxy. Left out:
/metrics/cadvisor, /metrics/probes, and the histograms of /metrics.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

import orjson

from k8s_core.api import Object
from k8s_core.kubelet.container import EXITED, RUNNING, Container
from k8s_core.kubelet.status import stamp
from k8s_core.shell.fs import Directory, File
from k8s_core.shell.sockets import Request, Response

if TYPE_CHECKING:
    from k8s_core.kubelet.kubelet import Kubelet
    from k8s_core.kubelet.pod_worker import PodWorker

LOGS = "/var/log"
TEXT, JSON, HTML = "text/plain; charset=utf-8", "application/json", "text/html; charset=utf-8"
DEFAULTS = {
    "enableServer": True, "staticPodPath": "", "syncFrequency": "1m0s", "fileCheckFrequency": "20s",
    "httpCheckFrequency": "20s", "address": "0.0.0.0", "port": 10250, "rotateCertificates": False,
    "registryPullQPS": 5, "registryBurst": 10, "eventRecordQPS": 50, "eventBurst": 100,
    "enableDebuggingHandlers": True, "healthzPort": 10248, "healthzBindAddress": "127.0.0.1", "oomScoreAdj": -999,
    "clusterDomain": "cluster.local", "streamingConnectionIdleTimeout": "4h0m0s", "nodeStatusUpdateFrequency": "10s",
    "nodeStatusReportFrequency": "5m0s", "nodeLeaseDurationSeconds": 40, "imageMinimumGCAge": "2m0s",
    "imageGCHighThresholdPercent": 85, "imageGCLowThresholdPercent": 80, "volumeStatsAggPeriod": "1m0s",
    "cgroupsPerQOS": True, "cgroupDriver": "systemd", "cpuManagerPolicy": "none", "topologyManagerPolicy": "none",
    "runtimeRequestTimeout": "2m0s", "hairpinMode": "promiscuous-bridge", "maxPods": 110, "podPidsLimit": -1,
    "resolvConf": "/etc/resolv.conf", "cpuCFSQuota": True, "cpuCFSQuotaPeriod": "100ms",
    "nodeStatusMaxImages": 50, "maxOpenFiles": 1000000, "contentType": "application/vnd.kubernetes.protobuf",
    "kubeAPIQPS": 50, "kubeAPIBurst": 100, "serializeImagePulls": True, "evictionPressureTransitionPeriod": "5m0s",
    "enableControllerAttachDetach": True, "makeIPTablesUtilChains": True, "failSwapOn": True,
    "containerLogMaxSize": "10Mi", "containerLogMaxFiles": 5, "configMapAndSecretChangeDetectionStrategy": "Watch",
    "enforceNodeAllocatable": ["pods"], "shutdownGracePeriod": "0s", "shutdownGracePeriodCriticalPods": "0s",
    "enableSystemLogHandler": True, "registerNode": True,
}  # fmt: skip
"""What /configz says of fields that the file leaves out."""


class Endpoints:
    """Answers requests for one kubelet's own pages."""

    def __init__(self, kubelet: "Kubelet") -> None:
        self.kubelet = kubelet
        self._pages: dict[str, Callable[[], bytes | Object]] = {
            "healthz": lambda: b"ok",
            "livez": lambda: b"ok",
            "pods": self._pods,
            "runningpods": self._running,
            "configz": self._configuration,
            "stats/summary": self._summary,
            "metrics": lambda: _exposed(self._metrics()),
            "metrics/resource": lambda: _exposed(self._resource_metrics()),
        }

    def answer(self, request: Request) -> Response:
        """The answer to a request, whose path begins with a slash."""
        path, _, query = request.path.partition("?")
        name = unquote(path).strip("/")
        if request.method not in ("GET", "HEAD"):
            return _text("405: Method Not Allowed\n", 405)
        if page := self._pages.get(name):
            found = page()
            kind = TEXT if isinstance(found, bytes) else JSON
            return Response(200, found if isinstance(found, bytes) else orjson.dumps(found), {"Content-Type": kind})
        if name == "logs" or name.startswith("logs/"):
            return self._logs(name.removeprefix("logs").strip("/"), path)
        if name.startswith("containerLogs/") and name.count("/") == 3:
            _, namespace, pod, container = name.split("/")
            return self._container_log(namespace, pod, container, parse_qs(query).get("tailLines", [""])[0])
        return _text("404 page not found\n", 404)

    # --- Pods and configuration -----------------------------------------------------------------------------
    def _pods(self) -> Object:
        items = [{**worker.pod, "status": worker.status} for worker in self.kubelet.workers.values()]
        return {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}

    def _running(self) -> Object:
        items = [
            {
                "metadata": {"name": worker.name, "namespace": worker.namespace, "uid": worker.uid},
                "spec": {
                    "containers": [
                        {"name": spec["name"], "image": run.config.image.id, "resources": {}}
                        for spec, run in _runs(worker)
                    ]
                },
                "status": {},
            }
            for worker in self.kubelet.workers.values()
            if worker.running()
        ]
        return {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}

    def _configuration(self) -> Object:
        config = self.kubelet.config
        hard = {each.signal: each.value for each in config.eviction if each.grace is None}
        told = {k: v for k, v in config.told.items() if k not in ("apiVersion", "kind") and v not in (None, 0, "0s")}
        return {"kubeletconfig": {**DEFAULTS, "evictionHard": hard, **told}}

    # --- figures --------------------------------------------------------------------------------------------
    def _summary(self) -> Object:
        kubelet, now = self.kubelet, self._now()
        memory, left = kubelet.runtime.left("memory")
        pids, free = kubelet.runtime.left("pids")
        disk = self._disk()
        used = memory - left
        node = {
            "nodeName": kubelet.name,
            "startTime": stamp(kubelet._started),
            "cpu": self._cpu(run for worker in kubelet.workers.values() for _, run in _runs(worker)),
            "memory": {"time": now, "availableBytes": left, "usageBytes": used, "workingSetBytes": used},
            "fs": disk,
            "runtime": {"imageFs": disk, "containerFs": disk},
            "rlimit": {"time": now, "maxpid": pids, "curproc": pids - free},
        }
        pods = [self._of_pod(worker) for worker in kubelet.workers.values() if worker.running()]
        return {"node": node, "pods": pods}

    def _now(self) -> str:
        return stamp(self.kubelet.client.loop.now)

    def _disk(self, used: int | None = None, inodes: int | None = None) -> Object:
        """A file system's figures: the node's own, or what somebody uses of it."""
        (whole, left), (files, rest) = map(self.kubelet.runtime.left, ("disk", "inodes"))
        return {
            "time": self._now(),
            "availableBytes": left,
            "capacityBytes": whole,
            "usedBytes": whole - left if used is None else used,
            "inodesFree": rest,
            "inodes": files,
            "inodesUsed": files - rest if inodes is None else inodes,
        }

    def _cpu(self, runs: Iterator[Container]) -> Object:
        usages = [run.machine.usage for run in runs if run.machine]
        for usage in usages:
            usage.settle()
        cores, seconds = sum(usage.cores for usage in usages), sum(usage.seconds for usage in usages)
        return {
            "time": self._now(),
            "usageNanoCores": int(cores * 1e9),
            "usageCoreNanoSeconds": int(seconds * 1e9),
        }

    def _memory(self, used: int) -> Object:
        return {"time": self._now(), "usageBytes": used, "workingSetBytes": used, "rssBytes": used}

    def _of_pod(self, worker: "PodWorker") -> Object:
        runs = list(_runs(worker))

        def total(what: str) -> int:
            return sum(run.machine.usage.of(what) for _, run in runs if run.machine)

        containers = []
        for spec, run in runs:
            usage = run.machine.usage if run.machine else None
            written, files = (usage.of("disk"), usage.of("inodes")) if usage else (0, 0)
            log = sum(len(line) for _, _, line in run.log.lines)
            containers.append(
                {
                    "name": spec["name"],
                    "startTime": stamp(run.started),
                    "cpu": self._cpu(iter([run])),
                    "memory": self._memory(usage.memory if usage else 0),
                    "rootfs": self._disk(written, files),
                    "logs": self._disk(log, 1),
                }
            )
        return {
            "podRef": {"name": worker.name, "namespace": worker.namespace, "uid": worker.uid},
            "startTime": worker.status.get("startTime"),
            "containers": containers,
            "cpu": self._cpu(run for _, run in runs),
            "memory": self._memory(total("memory")),
            "ephemeral-storage": self._disk(total("disk"), total("inodes")),
            "process_stats": {"process_count": total("pids")},
        }

    def _metrics(self) -> Iterator[str]:
        kubelet = self.kubelet
        containers = [run.state for run in kubelet.runtime.containers.values()]
        yield "# TYPE kubelet_node_name gauge"
        yield f'kubelet_node_name{{node="{kubelet.name}"}} 1'
        yield "# TYPE kubelet_running_containers gauge"
        for state, name in ((EXITED, "exited"), (RUNNING, "running")):
            yield f'kubelet_running_containers{{container_state="{name}"}} {containers.count(state)}'
        yield "# TYPE kubelet_running_pods gauge"
        yield f"kubelet_running_pods {sum(sandbox.ready for sandbox in kubelet.runtime.sandboxes.values())}"
        yield "# TYPE process_start_time_seconds gauge"
        yield f"process_start_time_seconds {kubelet._started:g}"

    def _resource_metrics(self) -> Iterator[str]:
        """As metrics-server reads them."""
        workers = [worker for worker in self.kubelet.workers.values() if worker.running()]
        millis = int(self.kubelet.client.loop.now * 1000)
        rows: dict[str, list[str]] = {name: [] for name in RESOURCE_METRICS}

        def add(name: str, labels: str, value: float) -> None:
            rows[name].append(f"{name}{labels} {value:.9g} {millis}")

        for worker in workers:
            pod = f'namespace="{worker.namespace}",pod="{worker.name}"'
            figures = self._of_pod(worker)
            for each, (_, run) in zip(figures["containers"], _runs(worker), strict=True):
                labels = f'{{container="{each["name"]}",{pod}}}'
                add("container_cpu_usage_seconds_total", labels, each["cpu"]["usageCoreNanoSeconds"] / 1e9)
                add("container_memory_working_set_bytes", labels, each["memory"]["workingSetBytes"])
                add("container_start_time_seconds", labels, run.started)
            add("pod_cpu_usage_seconds_total", f"{{{pod}}}", figures["cpu"]["usageCoreNanoSeconds"] / 1e9)
            add("pod_memory_working_set_bytes", f"{{{pod}}}", figures["memory"]["workingSetBytes"])
        runs = (run for worker in workers for _, run in _runs(worker))
        add("node_cpu_usage_seconds_total", "", self._cpu(runs)["usageCoreNanoSeconds"] / 1e9)
        add("node_memory_working_set_bytes", "", self.kubelet.runtime.memory())
        for name, kind in RESOURCE_METRICS.items():
            yield f"# TYPE {name} {kind}"
            yield from rows[name]
        yield "# TYPE resource_scrape_error gauge"
        yield "resource_scrape_error 0"

    # --- logs -----------------------------------------------------------------------------------------------
    def _logs(self, name: str, path: str) -> Response:
        """The files below the node's /var/log, as Go's file server shows them."""
        node = self.kubelet.fs.lookup(f"{LOGS}/{name}")
        if ".." in name.split("/") or node is None:
            return _text("404 page not found\n", 404)
        if not isinstance(node, Directory):
            return _text(node.read() if isinstance(node, File) else b"", 200)
        if not path.endswith("/"):
            return Response(301, b"", {"Location": f"{path.rsplit('/', 1)[-1]}/"})
        names = [each + ("/" if isinstance(node.get(each), Directory) else "") for each in node.names()]
        links = "".join(f'<a href="{each}">{each}</a>\n' for each in names)
        page = f'<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n{links}</pre>\n'
        return Response(200, page.encode(), {"Content-Type": HTML})

    def _container_log(self, namespace: str, pod: str, container: str, lines: str) -> Response:
        worker = self.kubelet.worker_named(namespace, pod)
        if worker is None:
            return _text(f'pod "{pod}" does not exist\n', 404)
        if container not in [each["name"] for each in worker.all_containers()]:
            return _text(f'container "{container}" not found in pod "{pod}"\n', 404)
        pieces: list[bytes] = []
        tail = int(lines) if lines.isdigit() else None
        stream = self.kubelet.server.container_logs(namespace, pod, container, tail_lines=tail)
        stream.subscribe(pieces.append, lambda: None)
        return _text(b"".join(pieces), 200)


RESOURCE_METRICS = {
    "container_cpu_usage_seconds_total": "counter", "container_memory_working_set_bytes": "gauge",
    "container_start_time_seconds": "gauge", "node_cpu_usage_seconds_total": "counter",
    "node_memory_working_set_bytes": "gauge", "pod_cpu_usage_seconds_total": "counter",
    "pod_memory_working_set_bytes": "gauge",
}  # fmt: skip


def _runs(worker: "PodWorker") -> Iterator[tuple[Any, Container]]:
    return ((spec, state.current) for spec, state in worker.running() if state.current)


def _text(text: str | bytes, status: int) -> Response:
    return Response(status, text.encode() if isinstance(text, str) else text, {"Content-Type": TEXT})


def _exposed(lines: Iterator[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
