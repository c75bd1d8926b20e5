"""etcd's command line and environment. Apart from main.py, because reading it must not load gRPC.

As in etcd a flag may have one dash or two, a switch may be given as --switch=true, the last of several counts, and
ETCD_DATA_DIR stands for --data-dir, which wins. A --config-file takes the place of all of them.
"""

import argparse
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from k8s_core import limits
from k8s_core.api.times import parse_duration


def _switch(text: str) -> bool:
    if text.lower() not in ("1", "t", "true", "0", "f", "false"):
        raise argparse.ArgumentTypeError(f'invalid boolean value "{text}"')
    return text.lower() in ("1", "t", "true")


def _retention(text: str) -> str:
    """A number (hours, or revisions) or a duration."""
    if not text.isdigit():
        parse_duration(text)
    return text


FLAGS: dict[str, tuple[Callable[[str], Any], Any, str]] = {
    "name": (str, "default", "this member's name"),
    "data-dir": (Path, None, "keep everything here; in memory only without it"),
    "listen-client-urls": (str, "http://localhost:2379", "where to listen, with commas between"),
    "advertise-client-urls": (str, "", "what `member list` says (where it listens)"),
    "config-file": (Path, None, "read flags from this file, and no others"),
    "listen-client-http-urls": (str, "", "where to listen for HTTP as well"),
    "listen-metrics-urls": (str, "", "where to answer nothing but /metrics and about health"),
    "cert-file": (Path, None, "the server's certificate"),
    "key-file": (Path, None, "its key"),
    "trusted-ca-file": (Path, None, "the CA of clients' certificates"),
    "client-cert-auth": (_switch, False, "clients must show a certificate of that CA"),
    "quota-backend-bytes": (int, 0, "size at which writes are refused; 0 is 2 GiB"),
    "max-request-bytes": (int, limits.ETCD_MAX_REQUEST_BYTES, "largest request"),
    "max-txn-ops": (int, limits.ETCD_MAX_TXN_OPS, "most operations in a transaction"),
    "snapshot-count": (int, limits.ETCD_SNAPSHOT_COUNT, "writes from one snapshot to the next"),
    "unsafe-no-fsync": (_switch, False, "do not wait for the disk"),
    "auto-compaction-mode": (str, "periodic", "periodic or revision"),
    "auto-compaction-retention": (_retention, "0", "how much history to keep; 0 keeps all"),
    "watch-progress-notify-interval": (
        parse_duration,
        limits.ETCD_PROGRESS_INTERVAL,
        "how often quiet watches are told the revision",
    ),
    "experimental-watch-progress-notify-interval": (parse_duration, None, "its older name"),
    "auth-token-ttl": (float, limits.ETCD_TOKEN_TTL, "seconds that a token is good for"),
}
"""Flag -> how to read it, default, what it means."""
IGNORED = """
auth-token auto-tls backend-batch-interval backend-batch-limit backend-bbolt-freelist-type bcrypt-cost cipher-suites
client-cert-allowed-hostname client-crl-file compaction-batch-limit cors corrupt-check-time discovery
discovery-fallback discovery-proxy discovery-srv discovery-srv-name election-timeout enable-grpc-gateway
enable-log-rotation enable-pprof enable-v2 experimental-bootstrap-defrag-threshold-megabytes
experimental-compact-hash-check-enabled experimental-compaction-batch-limit experimental-corrupt-check-time
experimental-enable-lease-checkpoint experimental-initial-corrupt-check experimental-memory-mlock
experimental-warning-apply-duration feature-gates force-new-cluster grpc-keepalive-interval grpc-keepalive-min-time
grpc-keepalive-timeout heartbeat-interval host-whitelist initial-advertise-peer-urls initial-cluster
initial-cluster-state initial-cluster-token initial-corrupt-check initial-election-tick-advance listen-peer-urls
log-format log-level log-outputs logger max-concurrent-streams max-snapshots max-wals metrics peer-auto-tls
peer-cert-allowed-cn peer-cert-file peer-client-cert-auth peer-crl-file peer-key-file peer-trusted-ca-file pre-vote
proxy self-signed-cert-validity socket-reuse-address socket-reuse-port strict-reconfig-check tls-max-version
tls-min-version v2-deprecation wal-dir warning-apply-duration
"""
"""etcd's flags that change nothing here: kubeadm's manifest and test scripts give them."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The flags of one run. Ends the process, as etcd does, for those that cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m k8s_core etcd", description="etcd 3.5 in one process.")
    add(parser)
    options = parser.parse_args(arguments)
    if options.config_file:
        try:
            given = yaml.safe_load(options.config_file.read_text()) or {}
        except (OSError, yaml.YAMLError) as error:
            parser.error(f"error verifying flags, {error}. See 'etcd --help'.")
        parser.set_defaults(**{_attribute(name): default for name, (_, default, _) in FLAGS.items()})
        given |= given.pop("client-transport-security", None) or {}
        words = [f"--{name}={_word(value)}" for name, value in given.items() if name in FLAGS]
        options = parser.parse_args(words)
    return options


def _attribute(flag: str) -> str:
    return flag.replace("-", "_")


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def address(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL to listen at; of a socket its path. ValueError in etcd's words."""
    parts = urlsplit(url)
    if parts.scheme in ("unix", "unixs"):
        return parts.scheme, os.path.abspath(parts.netloc + parts.path), 0
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"URL scheme must be http, https, unix, or unixs: {url}")
    if not re.fullmatch(r"(\[[^]]*\]|[^:]*):\d*", parts.netloc):
        raise ValueError(f'URL address does not have the form "host:port": {url}')
    if parts.path:
        raise ValueError(f"URL must not contain a path: {url}")
    host = str(parts.hostname or "0.0.0.0")  # as in etcd: no host is every address
    return parts.scheme, "127.0.0.1" if host == "localhost" else host, parts.port or 0


def add(parser: argparse.ArgumentParser) -> None:
    """etcd's flags: those that mean something here, and the others, which are taken and ignored."""
    parser.allow_abbrev = False
    for name, (read, default, text) in FLAGS.items():
        given = os.environ.get(f"ETCD_{_attribute(name).upper()}", default)
        switch: dict[str, Any] = {"nargs": "?", "const": True} if read is _switch else {"metavar": _metavar(name)}
        shown = f"{text} ({default})" if default not in (None, "", False) else text
        parser.add_argument(f"--{name}", f"-{name}", type=read, default=given, help=shown, **switch)
    for name in IGNORED.split():
        parser.add_argument(f"--{name}", f"-{name}", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--version", "-version", action="store_true", help="print the version and end")


def _metavar(flag: str) -> str:
    word = re.split("-", flag)[-1]
    return {"urls": "URL", "file": "FILE", "dir": "DIR"}.get(word, word.upper())
