"""Faults, all in one place: what can go wrong with a cluster, made to go wrong on purpose, and mended again.

    cluster.faults.kill("kube-scheduler")           a component of the control plane
    cluster.faults.node_down("worker1")             power off; node_up switches it on again
    cluster.faults.stop_kubelet("worker1")          or stop_runtime: the service only
    cluster.faults.behave("default/web", "leak=10Mi/s")

Each is deterministic: the same seed and the same faults at the same times give the same history. Each is an Event on
the node, or in kube-system for what is not a node's, when the apiserver can take it, and an entry of `log`. Mending
is the same call's opposite. What a learner types on a node (systemctl stop, mv of a manifest) has the same effects.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k8s_core.api import Object
from k8s_core.api.errors import StatusError
from k8s_core.kubelet.programs import behaviour
from k8s_core.shell.process import SIGNALS

if TYPE_CHECKING:
    from k8s_core.cluster import Cluster
    from k8s_core.kubelet.host import Host
    from k8s_core.kubelet.units import Unit

STATIC = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")
MANIFESTS, AWAY = "etc/kubernetes/manifests", "etc/kubernetes/stopped"


class NoSuchFault(LookupError):
    """There is no such component, node, Pod; the text says what there is."""


@dataclass(frozen=True)
class Fault:
    """One entry of the log; `time` is virtual, in seconds since the epoch."""

    time: float
    what: str
    target: str
    mended: bool = False


class Faults:
    """The faults of one cluster."""

    def __init__(self, cluster: "Cluster") -> None:
        self.cluster = cluster
        self.log: list[Fault] = []

    # --- components -----------------------------------------------------------------------------------------
    def kill(self, component: str) -> None:
        """SIGKILL to a component of the control plane; its kubelet starts it again."""
        with self.cluster.lock:
            host = self._control_plane(component)
            row = next((r for r in host.machine.rows() if r.argv[0].rsplit("/", 1)[-1] == component), None)
            if row is None:
                raise NoSuchFault(f"{component} does not run.")
            self._note("Killed", component)
            host.machine.process(row.pid).signal(SIGNALS["KILL"])
            self.cluster.loop.run_ready()

    def stop(self, component: str) -> None:
        """Take a component's manifest away: it ends and stays away until `start`."""
        with self.cluster.lock:
            host = self._control_plane(component)
            away = host.root / AWAY
            away.mkdir(exist_ok=True)
            manifest = host.root / MANIFESTS / f"{component}.yaml"
            if not manifest.exists():
                raise NoSuchFault(f"{component} has no manifest.")
            self._note("Stopped", component)
            manifest.rename(away / manifest.name)
            host.kubelet.static.look()
            self.cluster.loop.run_ready()

    def start(self, component: str) -> None:
        """Put the manifest back."""
        with self.cluster.lock:
            host = self._control_plane(component)
            manifest = host.root / AWAY / f"{component}.yaml"
            if not manifest.exists():
                raise NoSuchFault(f"{component} was not stopped.")
            manifest.rename(host.root / MANIFESTS / manifest.name)
            host.kubelet.static.look()
            self._note("Started", component, mended=True)
            self.cluster.loop.run_ready()

    # --- nodes ----------------------------------------------------------------------------------------------
    def node_down(self, node: str) -> None:
        """The power goes: kubelet, runtime and all containers end, nothing answers."""
        with self.cluster.lock:
            host = self._host(node)
            self._note("PoweredOff", node)
            host.power_off()
            self.cluster.network.power_off(node)
            self.cluster.loop.run_ready()

    def node_up(self, node: str) -> None:
        """The power is back; services start, and the kubelet its Pods anew."""
        with self.cluster.lock:
            host = self._host(node)
            self.cluster.network.hosts[node].up = True
            host.start()
            self._note("PoweredOn", node, mended=True)
            self.cluster.loop.run_ready()

    def shut_down(self, node: str) -> None:
        """A graceful shutdown: the kubelet ends its Pods first, as far as its configuration gives it time."""
        with self.cluster.lock:
            host = self._host(node)
            self._note("ShutDown", node)
            seconds = host.kubelet.shut_down()
            self.cluster.loop.call_later(seconds, self._power_off_after, host)
            self.cluster.loop.run_ready()

    def _power_off_after(self, host: "Host") -> None:
        host.power_off()
        self.cluster.network.power_off(host.name)

    def cut(self, node: str) -> None:
        """The network cable is pulled: everything runs, nothing gets in or out."""
        with self.cluster.lock:
            host = self._host(node)
            self._note("NetworkLost", node)
            self.cluster.network.hosts[node].up = False
            host.kubelet.client.unreachable = True
            self.cluster.loop.run_ready()

    def reconnect(self, node: str) -> None:
        with self.cluster.lock:
            host = self._host(node)
            self.cluster.network.hosts[node].up = True
            host.kubelet.client.unreachable = False
            self._note("NetworkBack", node, mended=True)
            self.cluster.loop.run_ready()

    def stop_kubelet(self, node: str) -> None:
        """systemctl stop kubelet."""
        self._unit(node, "kubelet", "KubeletStopped", lambda host, unit: host.systemd.stop(unit))

    def start_kubelet(self, node: str) -> None:
        self._unit(node, "kubelet", "KubeletStarted", lambda host, unit: host.systemd.start(unit), mended=True)

    def stop_runtime(self, node: str) -> None:
        """systemctl stop containerd: the node becomes NotReady, containers go on."""
        self._unit(node, "containerd", "RuntimeStopped", lambda host, unit: host.systemd.stop(unit))

    def start_runtime(self, node: str) -> None:
        self._unit(node, "containerd", "RuntimeStarted", lambda host, unit: host.systemd.start(unit), mended=True)

    def fill_disk(self, node: str, *, full: bool = True) -> None:
        """No room is left (or there is again): writes fail, and the kubelet reports DiskPressure."""
        self._use_up(node, "disk", full, ("DiskFull", "DiskFreed"))

    def use_up_inodes(self, node: str, *, full: bool = True) -> None:
        """There is room, but no new file can be made (or can again): DiskPressure, too; `df -i` shows why."""
        self._use_up(node, "inodes", full, ("InodesUsedUp", "InodesFreed"))

    def use_up_pids(self, node: str, *, full: bool = True) -> None:
        """Nearly all process numbers are taken (or free again): PIDPressure, if evictionHard has pid.available."""
        self._use_up(node, "pids", full, ("PIDsUsedUp", "PIDsFreed"))

    def _use_up(self, node: str, what: str, full: bool, words: tuple[str, str]) -> None:
        with self.cluster.lock:
            used_up = self._host(node).kubelet.runtime.used_up
            (used_up.add if full else used_up.discard)(what)
            self._note(words[not full], node, mended=not full)

    def slow_disk(self, node: str, factor: float = 10.0) -> None:
        """Pulling images and starting containers takes `factor` times as long; 1 mends it."""
        with self.cluster.lock:
            self._host(node).kubelet.runtime.images.slowness = factor
            self._note("DiskSlow" if factor != 1 else "DiskQuick", node, mended=factor == 1)

    def lose_packets(self, node: str, share: float) -> None:
        """So many of the connections to and from a node's Pods get lost (0 mends it); chance comes from the seed."""
        with self.cluster.lock:
            self._host(node)
            self.cluster.network.loss[node] = share
            self._note("PacketsLost" if share else "PacketsArrive", node, mended=not share)

    def jump(self, seconds: float) -> None:
        """Every clock jumps ahead by `seconds` at once, without the time in between: leases and tokens are late."""
        with self.cluster.lock:
            self.cluster.loop.jump(seconds)
            self._note("ClockJumped", f"{seconds:g}s")
            self.cluster.loop.run_ready()

    # --- programs -------------------------------------------------------------------------------------------
    def behave(self, pod: str, text: str, *, container: str = "") -> None:
        """Let a running container behave so (programs/behaviour.py) until it ends: "default/web", "hang-after=0s"."""
        with self.cluster.lock:
            wanted = behaviour.parse(text)
            namespace, _, name = pod.rpartition("/")
            for kubelet in self.cluster.kubelets.values():
                worker = kubelet.worker_named(namespace or "default", name)
                for spec, state in worker.running() if worker else ():
                    if state.current and spec["name"] == (container or spec["name"]):
                        behaviour.Acting(state.current, wanted)
                        self._note("Behaves", f"{pod}: {text}")
                        self.cluster.loop.run_ready()
                        return
            raise NoSuchFault(f'There is no running container of a Pod "{pod}".')

    # --- helpers --------------------------------------------------------------------------------------------
    def _host(self, node: str) -> "Host":
        if node not in self.cluster.hosts:
            raise NoSuchFault(f'There is no node "{node}". There are: {", ".join(self.cluster.hosts)}.')
        return self.cluster.hosts[node]

    def _control_plane(self, component: str) -> "Host":
        if component not in STATIC:
            raise NoSuchFault(f'There is no component "{component}". There are: {", ".join(STATIC)}.')
        return next(iter(self.cluster.hosts.values()))

    def _unit(
        self, node: str, name: str, what: str, act: Callable[["Host", "Unit"], Any], *, mended: bool = False
    ) -> None:
        with self.cluster.lock:
            host = self._host(node)
            unit = host.systemd.find(name)
            assert unit is not None
            act(host, unit)
            self._note(what, node, mended=mended)
            self.cluster.loop.run_ready()

    def _note(self, what: str, target: str, *, mended: bool = False) -> None:
        """Into the log, and into the cluster's own history as an Event, if somebody is there to take it."""
        self.log.append(Fault(self.cluster.loop.now, what, target, mended))
        node = target in self.cluster.hosts
        about: Object = {"kind": "Node" if node else "Pod", "apiVersion": "v1", "name": target.partition(":")[0]}
        if node:
            about["uid"] = target
        else:
            about["namespace"] = "kube-system"
        stamp = self.cluster.loop.timestamp()
        event: Object = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"fault.{len(self.log):04}", "namespace": "default" if node else "kube-system"},
            "involvedObject": about,
            "reason": what,
            "message": f"Fault: {what} {target}",
            "type": "Normal" if mended else "Warning",
            "source": {"component": "faults"},
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
        }
        try:
            self.cluster.client(agent="faults").create("events", event)
        except StatusError:
            self.cluster.loop.log("faults", f"{what} {target}: nobody could be told")
