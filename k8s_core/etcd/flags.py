"""etcd's command line. Apart from main.py, because reading it must not load gRPC."""

import argparse
from pathlib import Path

IGNORED = (
    *("listen-peer-urls", "initial-advertise-peer-urls", "initial-cluster", "initial-cluster-state"),
    *("initial-cluster-token", "listen-metrics-urls", "peer-cert-file", "peer-key-file", "peer-trusted-ca-file"),
    *("peer-client-cert-auth", "snapshot-count", "quota-backend-bytes", "max-request-bytes", "auto-compaction-mode"),
    *("auto-compaction-retention", "enable-v2", "log-level", "logger", "unsafe-no-fsync", "heartbeat-interval"),
    *("election-timeout", "experimental-initial-corrupt-check", "experimental-watch-progress-notify-interval"),
)
"""etcd's flags that change nothing here: kubeadm's manifest and test scripts give them."""


def add(parser: argparse.ArgumentParser) -> None:
    """etcd's flags that mean something here; some others are taken and ignored."""
    parser.add_argument("--name", default="default", help="this member's name (%(default)s)")
    parser.add_argument("--data-dir", type=Path, help="keep everything here; in memory only without it")
    parser.add_argument("--listen-client-urls", default="http://localhost:2379", metavar="URL", help="%(default)s")
    parser.add_argument("--cert-file", type=Path, metavar="FILE")
    parser.add_argument("--key-file", type=Path, metavar="FILE")
    parser.add_argument("--trusted-ca-file", type=Path, metavar="FILE")
    parser.add_argument(
        "--client-cert-auth", action="store_true", help="clients must show a certificate of the trusted CA"
    )
    parser.add_argument("--advertise-client-urls", metavar="URL", help="what `member list` says (where it listens)")
    for flag in IGNORED:
        parser.add_argument(f"--{flag}", nargs="?", help=argparse.SUPPRESS)
