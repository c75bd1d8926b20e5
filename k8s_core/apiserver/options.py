"""kube-apiserver's own flags, as far as a cluster here can be started with them (cmd/kube-apiserver/app/options)."""

import argparse
import ipaddress
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Final

import yaml

from k8s_core.api import Object
from k8s_core.api.protobuf import MEDIA_TYPE
from k8s_core.api.times import parse_duration
from k8s_core.apiserver.admission import PLUGINS, UNBUILT
from k8s_core.apiserver.storage import JSON
from k8s_core.apiserver.tokens import ISSUER
from k8s_core.limits import ETCD_COMPACTION_INTERVAL, SERVICE_CIDR

MODES: Final = ("AlwaysAllow", "AlwaysDeny", "Node", "RBAC")


@dataclass(frozen=True)
class Options:
    """Which plugins and authorizers are on, where Services have their addresses, how a real etcd is reached."""

    enable_admission_plugins: tuple[str, ...] = ()
    disable_admission_plugins: tuple[str, ...] = ()
    authorization_mode: tuple[str, ...] = ("Node", "RBAC")
    service_cluster_ip_range: str = SERVICE_CIDR
    anonymous_auth: bool = True
    etcd_cafile: Path | None = None
    etcd_certfile: Path | None = None
    etcd_keyfile: Path | None = None
    etcd_compaction_interval: float = ETCD_COMPACTION_INTERVAL
    storage_media_type: str = JSON
    client_ca_file: Path | None = None
    service_account_issuer: str = ISSUER
    admission_control_config_file: Mapping[str, Object] = field(default_factory=dict)
    """What each plugin is told, by its name."""

    @property
    def allows_anonymous(self) -> bool:
        """Whether requests without credentials are let in; never where an authorizer would allow them everything."""
        return self.anonymous_auth and "AlwaysAllow" not in self.authorization_mode

    @property
    def service_address(self) -> str:
        """The address of the Service kubernetes: the first of the range."""
        return str(ipaddress.ip_network(self.service_cluster_ip_range.split(",")[0])[1])

    @property
    def dns_address(self) -> str:
        """The address of the cluster's name server: the tenth, as kubeadm gives it."""
        return str(ipaddress.ip_network(self.service_cluster_ip_range.split(",")[0])[10])


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags, with upstream's names."""
    group = parser.add_argument_group("kube-apiserver")
    known = ", ".join(sorted(PLUGINS))
    about = f"comma-delimited, beside those on by default: {known}"
    group.add_argument("--enable-admission-plugins", type=_plugins, default=(), metavar="NAMES", help=about)
    about = "comma-delimited, of those on by default"
    group.add_argument("--disable-admission-plugins", type=_disabled, default=(), metavar="NAMES", help=about)
    about = f"comma-delimited, asked in order: {', '.join(MODES)} (Node,RBAC)"
    default = Options.authorization_mode
    group.add_argument("--authorization-mode", type=_modes, default=default, metavar="MODES", help=about)
    group.add_argument(
        "--anonymous-auth", type=_flag, default=True, metavar="BOOL", help="serve requests without credentials (true)"
    )
    about = "where Services have their cluster IPs (%(default)s)"
    group.add_argument("--service-cluster-ip-range", type=cidrs, default=SERVICE_CIDR, metavar="CIDR", help=about)
    group.add_argument("--etcd-servers", default="", metavar="URLS", help="keep all objects in that etcd")
    for name, about in (("cafile", "its CA"), ("certfile", "our certificate for it"), ("keyfile", "its key")):
        group.add_argument(f"--etcd-{name}", type=Path, metavar="FILE", help=about)
    about = "how objects are written there (%(default)s, which can be read; upstream: protobuf)"
    group.add_argument("--storage-media-type", type=_media_type, default=JSON, metavar="TYPE", help=about)
    about = "how often old revisions are forgotten there; 0 never (5m0s)"
    group.add_argument(
        "--etcd-compaction-interval", type=parse_duration, default=ETCD_COMPACTION_INTERVAL, metavar="TIME", help=about
    )
    about = "an AdmissionConfiguration: what EventRateLimit, PodSecurity and PodTolerationRestriction are told"
    group.add_argument("--admission-control-config-file", default={}, metavar="FILE", help=about)
    about = "client certificates of this CA are good, too, beside the cluster's own"
    group.add_argument("--client-ca-file", type=Path, metavar="FILE", help=about)
    about = "what tokens of ServiceAccounts say of who made them (%(default)s)"
    group.add_argument("--service-account-issuer", default=ISSUER, metavar="URL", help=about)


def _text(path: str) -> str:
    return Path(path).read_text()


def from_flags(options: argparse.Namespace, read: Callable[[str], str] = _text) -> Options:
    """The options that a command line with `add_flags` gave; `read` gives the text of a file. OSError, ValueError."""
    values = {each.name: getattr(options, each.name) for each in fields(Options)}
    if path := values["admission_control_config_file"]:
        try:
            plugins = (yaml.safe_load(read(path)) or {}).get("plugins") or ()
            values["admission_control_config_file"] = {
                each["name"]: each.get("configuration") or yaml.safe_load(read(each["path"])) or {} for each in plugins
            }
        except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"failed to read plugin config: {error}") from None
    return Options(**values)


@cache
def names(command: str) -> frozenset[str]:
    """The flags that kube-apiserver, kube-controller-manager or kube-scheduler has."""
    told = yaml.safe_load((Path(__file__).parent / "data/flags.yaml").read_text())
    parts = ("common", command) if command == "kube-apiserver" else ("common", "client", command)
    return frozenset(word for part in parts for word in told[part].split())


def add_ignored(parser: argparse.ArgumentParser) -> None:
    """Flags of kube-apiserver and kube-controller-manager that change nothing here are taken, so that scripts run."""
    group = parser.add_argument_group("accepted, and without effect here")
    taken = parser._option_string_actions
    for name in sorted(names("kube-apiserver") | names("kube-controller-manager")):
        if f"--{name}" not in taken:
            group.add_argument(f"--{name}", nargs="?", action="append", metavar="VALUE")


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false", "t", "f", "1", "0"):
        raise argparse.ArgumentTypeError(f'"{text}" is not true or false')
    return text.lower() in ("true", "t", "1")


def _media_type(text: str) -> str:
    if text not in ("", JSON, MEDIA_TYPE):
        raise argparse.ArgumentTypeError(f'"{text}" is not supported, allowed types are: {JSON}, {MEDIA_TYPE}')
    return text or JSON


def _plugins(text: str, known: Container[str] = PLUGINS) -> tuple[str, ...]:
    names = tuple(filter(None, text.split(",")))
    if unknown := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(f'admission plugin "{unknown[0]}" is unknown')
    return names


def _disabled(text: str) -> tuple[str, ...]:
    return _plugins(text, {*PLUGINS, *UNBUILT})


def _modes(text: str) -> tuple[str, ...]:
    modes = tuple(filter(None, text.split(",")))
    if unknown := [mode for mode in modes if mode not in MODES]:
        raise argparse.ArgumentTypeError(f'authorization-mode "{unknown[0]}" is not a valid mode')
    return modes


def cidrs(text: str) -> str:
    """One network, or two of different families with a comma between, for argparse."""
    try:
        found = [ipaddress.ip_network(each) for each in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if len({network.version for network in found}) != len(found):
        raise argparse.ArgumentTypeError("--service-cluster-ip-range must be a dual-stack pair if two are given")
    if found[0].version != 4:
        raise argparse.ArgumentTypeError("the first range must be IPv4: nodes and Pods have no other addresses")
    return ",".join(map(str, found))


def cidr(text: str) -> str:
    """A network such as 10.96.0.0/12, for argparse."""
    try:
        return str(ipaddress.IPv4Network(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
