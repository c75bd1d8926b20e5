"""A cluster in a process of its own, and requests to it over HTTPS on one kept-alive connection."""

import base64
import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass
class Server:
    """One server process. `call` raises AssertionError with the answer if it is not a 2xx."""

    pid: int
    kubeconfig: Path
    connection: http.client.HTTPSConnection

    def call(self, method: str, path: str, body: object = None) -> Any:
        return json.loads(self.read(method, path, body))

    def read(self, method: str, path: str, body: object = None) -> bytes:
        data = None if body is None else json.dumps(body)
        self.connection.request(method, path, data, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status < 300, text
        return text

    def processor(self) -> float:
        """Seconds of processor time that the process has used (Linux)."""
        times = Path(f"/proc/{self.pid}/stat")
        if not times.exists():
            return float("nan")
        user, system = times.read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Megabytes that the process holds now (Linux)."""
        status = Path(f"/proc/{self.pid}/status")
        if not status.exists():
            return float("nan")
        return int(status.read_text().split("VmRSS:")[1].split()[0]) / 1024


@contextmanager
def server(*flags: str) -> Iterator[Server]:
    """`python -m k8s_core serve` with these flags, until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig = Path(folder, "config")
        command = [
            sys.executable,
            "-m",
            "k8s_core",
            "serve",
            "--secure-port",
            "0",
            "--write-kubeconfig",
            str(kubeconfig),
        ]
        process = subprocess.Popen([*command, *flags], stdout=subprocess.PIPE, env={**os.environ}, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield Server(process.pid, kubeconfig, _connect(kubeconfig))
        finally:
            process.terminate()
            process.wait()


def _connect(kubeconfig: Path) -> http.client.HTTPSConnection:
    """A connection as the kubeconfig's user."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as pair:
        for part in ("client-certificate-data", "client-key-data"):
            pair.write(base64.b64decode(user[part]))
        pair.flush()
        context.load_cert_chain(pair.name)
    host, _, port = cluster["server"].removeprefix("https://").partition(":")
    return http.client.HTTPSConnection(host, int(port), context=context)
