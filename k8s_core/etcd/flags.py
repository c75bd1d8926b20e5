"""etcd's command line. Apart from main.py, because reading it must not load gRPC."""

import argparse
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """etcd's flags that mean something here; those about peers and advertising are taken and ignored."""
    parser.add_argument("--name", default="default", help="this member's name (%(default)s)")
    parser.add_argument("--data-dir", type=Path, help="keep everything here; in memory only without it")
    parser.add_argument("--listen-client-urls", default="http://localhost:2379", metavar="URL", help="%(default)s")
    parser.add_argument("--cert-file", type=Path, metavar="FILE")
    parser.add_argument("--key-file", type=Path, metavar="FILE")
    parser.add_argument("--trusted-ca-file", type=Path, metavar="FILE")
    parser.add_argument(
        "--client-cert-auth", action="store_true", help="clients must show a certificate of the trusted CA"
    )
    for flag in ("listen-peer-urls", "advertise-client-urls", "initial-advertise-peer-urls", "initial-cluster"):
        parser.add_argument(f"--{flag}", metavar="URL", help=argparse.SUPPRESS)
