"""etcd on its own: `python -m k8s_core etcd`, with etcd's own flags. Prints one line when it is ready."""

import argparse
import platform
import signal
import ssl
import sys
import threading
from collections.abc import Sequence

from k8s_core.apiserver.follow import Follower, wall_clock
from k8s_core.clock import Loop
from k8s_core.etcd import flags
from k8s_core.etcd.compactor import AutoCompaction
from k8s_core.etcd.front import Listen
from k8s_core.etcd.members import Members
from k8s_core.etcd.service import Options, Service
from k8s_core.etcd.store import EtcdError, Store
from k8s_core.etcd.wal import Durable
from k8s_core.etcd.wire import Wire, tls_context

VERSION = "3.5.24"
"""The oldest that kubeadm 1.36 takes as an external etcd. From 3.5.13 on an apiserver asks watches for progress."""
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Go's names of them."""


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT; 1 with one line on stderr if it cannot start."""
    options = flags.parse(arguments)
    if options.version:
        system = f"{platform.system()}/{ARCHITECTURES.get(platform.machine(), platform.machine())}".lower()
        print(f"etcd Version: {VERSION}\nGit SHA: Not provided\nGo Version: none\nGo OS/Arch: {system}")
        return 0
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        listen = _listeners(options)
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
        wire = Wire(service, *listen, follower=Follower(loop))
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
    default, quota = Options(), options.quota_backend_bytes
    return Options(
        quota_backend_bytes=quota if quota > 0 else sys.maxsize if quota < 0 else default.quota_backend_bytes,
        max_request_bytes=options.max_request_bytes,
        max_txn_ops=options.max_txn_ops,
        watch_progress_notify_interval=options.experimental_watch_progress_notify_interval
        or options.watch_progress_notify_interval,
        auth_token_ttl=options.auth_token_ttl,
    )


def _listeners(options: argparse.Namespace) -> list[Listen]:
    """For clients, then for metrics. ValueError, in etcd's words, for what is no address."""
    tls: ssl.SSLContext | None = None
    found: list[Listen] = []
    clients = f"{options.listen_client_urls},{options.listen_client_http_urls}"
    for metrics, text in ((False, clients), (True, options.listen_metrics_urls)):
        for url in filter(None, text.split(",")):
            scheme, host, port = flags.address(url)
            secure = scheme in ("https", "unixs")
            if secure and tls is None:
                if not (options.cert_file and options.key_file):
                    needed = "TLS key/cert (--cert-file, --key-file) must be provided"
                    raise ValueError(f"{needed} for client url {url} with HTTPS scheme")
                ca, must = options.trusted_ca_file, options.client_cert_auth
                tls = tls_context(options.cert_file, options.key_file, ca, client_cert_auth=must)
            found.append(Listen(host, port, tls if secure else None, metrics))
    return found
