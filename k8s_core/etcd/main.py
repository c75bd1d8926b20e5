"""etcd on its own: `python -m k8s_core etcd`, with etcd's own flags. Prints one line when it is ready."""

import argparse
import signal
import sys
import threading
from urllib.parse import urlsplit

from k8s_core.apiserver.follow import Follower, wall_clock
from k8s_core.clock import Loop
from k8s_core.etcd.members import VERSION, Members
from k8s_core.etcd.service import Service
from k8s_core.etcd.store import EtcdError, Store
from k8s_core.etcd.wal import Durable
from k8s_core.etcd.wire import Wire, tls_context


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; 1 with one line on stderr if it cannot start."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        url = urlsplit(options.listen_client_urls.split(",")[0])
        tls = None
        if url.scheme == "https":
            if not (options.cert_file and options.key_file):
                raise ValueError("https needs --cert-file and --key-file")
            tls = tls_context(
                options.cert_file,
                options.key_file,
                options.trusted_ca_file,
                client_cert_auth=options.client_cert_auth,
            )
        loop = Loop(wall_clock())
        loop.random.seed()  # lease ids and tokens of one run must not come again in the next
        store = Store(loop)
        members = Members(store, name=options.name)
        service = Service(store, loop, members)
        durable = Durable(service, options.data_dir / "member") if options.data_dir else None
        members.members[members.id].name = options.name
        host = "127.0.0.1" if url.hostname in ("localhost", None) else str(url.hostname)
        port = 2379 if url.port is None else url.port
        wire = Wire(service, host=host, port=port, follower=Follower(loop), tls=tls)
        with wire.lock:
            members.members[members.id].clientURLs[:] = (options.advertise_client_urls or wire.url).split(",")
        print(f"etcd {VERSION} ready to serve client requests on {wire.url}", flush=True)
        stop.wait()
        wire.close()
        if durable:
            durable.close()
    except (OSError, ValueError, EtcdError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
