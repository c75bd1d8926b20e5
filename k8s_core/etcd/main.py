"""etcd on its own: `python -m k8s_core etcd`, with etcd's own flags. Prints one line when it is ready."""

import argparse
import signal
import ssl
import sys
import threading
from collections.abc import Sequence
from urllib.parse import urlsplit

from k8s_core.apiserver.follow import Follower, wall_clock
from k8s_core.clock import Loop
from k8s_core.etcd import flags
from k8s_core.etcd.compactor import AutoCompaction
from k8s_core.etcd.members import Members
from k8s_core.etcd.service import Options, Service
from k8s_core.etcd.store import EtcdError, Store
from k8s_core.etcd.wal import Durable
from k8s_core.etcd.wire import Listen, Wire, tls_context

VERSION = "3.5.24"
"""The oldest that kubeadm 1.36 takes as an external etcd. From 3.5.13 on an apiserver asks watches for progress."""


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT; 1 with one line on stderr if it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m k8s_core etcd", description="etcd 3.5 in one process.")
    flags.add(parser)
    options = parser.parse_args(arguments)
    if options.version:
        print(f"etcd Version: {VERSION}\nGit SHA: Not provided\nGo Version: none\nGo OS/Arch: {sys.platform}")
        return 0
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        first, *others = _listeners(options)
        loop = Loop(wall_clock())
        loop.random.seed()  # lease ids and tokens of one run must not come again in the next
        store = Store(loop)
        members = Members(store, name=options.name, version=VERSION)
        service = Service(store, loop, members, options=_service_options(options))
        durable = None
        if options.data_dir:
            folder, fsync = options.data_dir / "member", not options.unsafe_no_fsync
            durable = Durable(service, folder, fsync=fsync, snapshot_count=options.snapshot_count)
        AutoCompaction(service, options.auto_compaction_mode, options.auto_compaction_retention)
        host, port, tls = first
        wire = Wire(service, host=host, port=port, follower=Follower(loop), tls=tls, also=others)
        with wire.lock:
            member = members.members[members.id]
            member.name, member.clientURLs[:] = options.name, (options.advertise_client_urls or wire.url).split(",")
        print(f"etcd {VERSION} ready to serve client requests on {wire.url}", flush=True)
        stop.wait()
        wire.close()
        if durable:
            durable.close()
    except (OSError, ValueError, EtcdError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _service_options(options: argparse.Namespace) -> Options:
    default = Options()
    return Options(
        quota_backend_bytes=options.quota_backend_bytes or default.quota_backend_bytes,
        max_request_bytes=options.max_request_bytes,
        max_txn_ops=options.max_txn_ops,
        watch_progress_notify_interval=options.experimental_watch_progress_notify_interval
        or options.watch_progress_notify_interval,
        auth_token_ttl=options.auth_token_ttl,
    )


def _listeners(options: argparse.Namespace) -> list[Listen]:
    """For clients, then for metrics."""
    tls: ssl.SSLContext | None = None
    texts = [text for text in (*options.listen_client_urls.split(","), *options.listen_metrics_urls.split(",")) if text]
    found: list[Listen] = []
    for url in map(urlsplit, texts):
        if url.scheme == "https" and tls is None:
            if not (options.cert_file and options.key_file):
                raise ValueError("https needs --cert-file and --key-file")
            tls = tls_context(
                options.cert_file,
                options.key_file,
                options.trusted_ca_file,
                client_cert_auth=options.client_cert_auth,
            )
        host = "127.0.0.1" if url.hostname in ("localhost", None) else str(url.hostname)
        port = 2379 if url.port is None else url.port
        found.append((host, port, tls if url.scheme == "https" else None))
    return found
