"""What the kubelet reads when it starts: its flags, KubeletConfiguration and kubeconfig, all on the node's disk.

Stands for cmd/kubelet/app: a file that is not there or makes no sense ends the kubelet with the real one's words
in its log, and systemd starts it again every ten seconds. Only the fields below change what the kubelet does.
"""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from k8s_core.api import quantity
from k8s_core.api.times import parse_duration
from k8s_core.kubelet.node_files import SOCKET
from k8s_core.kubelet.units import environment_file
from k8s_core.limits import EVICTION_HARD, EVICTION_PRESSURE_TRANSITION
from k8s_core.shell.fs import Device, FileError, FileSystem

CONFIG, FLAGS, KUBECONFIG = (
    "/var/lib/kubelet/config.yaml",
    "/var/lib/kubelet/kubeadm-flags.env",
    "/etc/kubernetes/kubelet.conf",
)
DEFAULTS = "/etc/default/kubelet"


class BadConfig(Exception):
    """The text of `err=` in the kubelet's last line."""


class Signal(NamedTuple):
    """What a threshold watches: the node's condition, what of the node it is (Runtime.left), and how it is called."""

    condition: str
    what: str
    resource: str


SIGNALS = {
    "memory.available": Signal("MemoryPressure", "memory", "memory"),
    "nodefs.available": Signal("DiskPressure", "disk", "ephemeral-storage"),
    "nodefs.inodesFree": Signal("DiskPressure", "inodes", "inodes"),
    "imagefs.available": Signal("DiskPressure", "disk", "ephemeral-storage"),
    "imagefs.inodesFree": Signal("DiskPressure", "inodes", "inodes"),
    "pid.available": Signal("PIDPressure", "pids", "pids"),
}


@dataclass(frozen=True)
class Threshold:
    """Of evictionHard, or with a grace period (seconds) of evictionSoft."""

    signal: str
    value: str
    grace: float | None = None
    reclaim: str = ""
    """evictionMinimumReclaim: how much more than the threshold there must be again."""


@dataclass(frozen=True)
class Config:
    """What the kubelet goes by."""

    endpoint: str = f"unix://{SOCKET}"
    static_pod_path: str = "/etc/kubernetes/manifests"
    eviction: tuple[Threshold, ...] = tuple(Threshold(*each) for each in EVICTION_HARD.items())
    eviction_max_pod_grace: float = 0.0
    eviction_transition: float = EVICTION_PRESSURE_TRANSITION
    shutdown_grace: float = 0.0
    shutdown_grace_critical: float = 0.0
    max_pods: int = 110
    reserved: tuple[tuple[str, str], ...] = ()
    """(resource, amount) of kubeReserved and systemReserved: what the node keeps from Pods."""
    server: str = ""
    told: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """The file as it was read."""


def command_line(fs: FileSystem) -> list[str]:
    """The kubelet's command line as kubeadm's drop-in makes it."""
    words = [
        "/usr/bin/kubelet",
        "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf",
        f"--kubeconfig={KUBECONFIG}",
        f"--config={CONFIG}",
    ]
    for path, name in ((FLAGS, "KUBELET_KUBEADM_ARGS"), (DEFAULTS, "KUBELET_EXTRA_ARGS")):
        try:
            words += shlex.split(environment_file(fs.read(path).decode(errors="replace")).get(name, ""))
        except (FileError, ValueError):
            continue
    return words


def read(fs: FileSystem) -> Config:
    """Read it all; raises BadConfig."""
    flags = dict(word.removeprefix("--").partition("=")[::2] for word in command_line(fs)[1:])
    path = flags.get("config", CONFIG)
    told = _kubelet_configuration(fs, path)
    endpoint = str(
        told.get("containerRuntimeEndpoint") or flags.get("container-runtime-endpoint") or f"unix://{SOCKET}"
    )
    server = _server(fs, flags.get("kubeconfig", KUBECONFIG))
    _client_ca(fs, told)
    _reachable(fs, endpoint)
    try:
        return Config(
            endpoint=endpoint,
            static_pod_path=str(told.get("staticPodPath") or ""),
            eviction=tuple(_thresholds(told)),
            eviction_max_pod_grace=float(told.get("evictionMaxPodGracePeriod") or 0),
            eviction_transition=parse_duration(str(told.get("evictionPressureTransitionPeriod") or "0s"))
            or EVICTION_PRESSURE_TRANSITION,
            shutdown_grace=parse_duration(str(told.get("shutdownGracePeriod") or "0s")),
            shutdown_grace_critical=parse_duration(str(told.get("shutdownGracePeriodCriticalPods") or "0s")),
            max_pods=int(told.get("maxPods") or 110),
            reserved=tuple(
                (name, str(quantity.parse(amount)))
                for kept in ("kubeReserved", "systemReserved")
                for name, amount in (told.get(kept) or {}).items()
            ),
            server=server,
            told=told,
        )
    except (TypeError, ValueError) as error:
        raise BadConfig(f"failed to load kubelet config file, path: {path}, error: {error}") from None


def _thresholds(told: dict[str, Any]) -> Iterator[Threshold]:
    """The hard ones first: who meets one of them meets the soft one, too. Who sets one default sets them all."""
    hard: dict[str, str] = told.get("evictionHard") or {}
    if not hard or told.get("mergeDefaultEvictionSettings"):
        hard = {**EVICTION_HARD, **hard}
    soft, graces = told.get("evictionSoft") or {}, told.get("evictionSoftGracePeriod") or {}
    reclaim: dict[str, str] = told.get("evictionMinimumReclaim") or {}
    for signal, value in sorted(hard.items(), key=lambda item: not item[0].startswith("memory")):
        if _threshold(signal, value):
            yield Threshold(signal, value, reclaim=reclaim.get(signal, ""))
    for signal, value in soft.items():
        used = _threshold(signal, value)
        if signal not in graces:
            raise _refused(f"grace period must be specified for the soft eviction threshold {signal}")
        if used:
            yield Threshold(signal, value, parse_duration(str(graces[signal])), reclaim.get(signal, ""))


def _threshold(signal: str, value: str) -> bool:
    """Whether a threshold can ever be met: 0% and 100% switch it off."""
    if signal not in SIGNALS:
        raise _refused(f"unsupported eviction signal {signal}")
    if value in ("0%", "100%"):
        return False
    if not value.endswith("%"):
        if quantity.nanos(value) <= 0:
            raise _refused(f"eviction threshold {signal} must be positive: {quantity.canonical(value)}")
    elif float(value[:-1]) < 0:
        raise _refused(f"eviction percentage threshold {signal} must be >= 0%: {value}")
    elif float(value[:-1]) > 100:
        raise _refused(f"eviction percentage threshold {signal} must be <= 100%: {value}")
    return True


def _refused(why: str) -> BadConfig:
    return BadConfig(f"failed to run Kubelet: {why}")


def _kubelet_configuration(fs: FileSystem, path: str) -> dict[str, Any]:
    what = f"failed to load kubelet config file, path: {path}, error: failed to load Kubelet config file {path}, error "
    try:
        text = fs.read(path).decode(errors="replace")
    except FileError:
        raise BadConfig(
            f'{what}failed to read kubelet config file "{path}", error: open {path}: no such file or directory'
        ) from None
    try:
        told = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadConfig(f"{what}yaml: {str(error).splitlines()[0]}") from None
    if not isinstance(told, dict) or told.get("kind") != "KubeletConfiguration":
        kind = told.get("kind", "") if isinstance(told, dict) else ""
        raise BadConfig(f'{what}no kind "{kind}" is registered for version "kubelet.config.k8s.io/v1beta1" in scheme')
    return told


def _server(fs: FileSystem, path: str) -> str:
    missing = (
        "failed to run Kubelet: unable to load bootstrap kubeconfig: stat /etc/kubernetes/bootstrap-kubelet.conf: no "
        "such file or directory"
    )
    try:
        told = yaml.safe_load(fs.read(path).decode(errors="replace"))
        return str(told["clusters"][0]["cluster"]["server"])
    except FileError:
        raise BadConfig(missing) from None
    except (yaml.YAMLError, LookupError, TypeError):
        raise BadConfig(f'failed to run Kubelet: error loading config file "{path}": invalid configuration') from None


def _client_ca(fs: FileSystem, told: dict[str, Any]) -> None:
    """authentication.x509.clientCAFile: by it the kubelet knows the apiserver."""
    x509 = (told.get("authentication") or {}).get("x509") or {}
    path = str(x509.get("clientCAFile") or "")
    try:
        if path:
            fs.read(path)
    except FileError:
        raise BadConfig(
            f"failed to construct kubelet dependencies: unable to load client CA file {path}: open {path}: no such "
            "file or directory"
        ) from None


def _reachable(fs: FileSystem, endpoint: str) -> None:
    path = endpoint.removeprefix("unix://")
    if isinstance(fs.lookup(path), Device):
        return
    raise BadConfig(
        f'failed to run Kubelet: validate service connection: validate CRI v1 runtime API for endpoint "{endpoint}": '
        'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial unix '
        f'{path}: connect: no such file or directory"'
    )
