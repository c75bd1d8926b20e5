"""A small HTTPS client, as plain as curl: for lessons and exercises that speak to the apiserver without kubectl.

It reads a kubeconfig, trusts that cluster's CA and nobody else, and shows the client certificate. Left out: retries,
caches, everything that a real client library does.
"""

import base64
import contextlib
import json
import ssl
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SECONDS = 30
QUIET = 1.0
"""A watch never ends by itself: it is heard until so many seconds have brought nothing new."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said: the code and the body; `object` is the body read as JSON."""

    code: int
    text: str

    @property
    def object(self) -> Any:
        return json.loads(self.text)

    @property
    def events(self) -> list[dict[str, Any]]:
        """A watch's answer: an event a line."""
        return [json.loads(line) for line in self.text.splitlines() if line]

    def __repr__(self) -> str:
        return f"{self.code}\n{self.text}"


class Wire:
    """Requests in the name of a kubeconfig's current user."""

    def __init__(self, kubeconfig: Path):
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.server = cluster["server"]
        self.context = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as pair:  # the ssl module reads it from a file only
            pair.write(_decoded(user["client-certificate-data"]) + _decoded(user["client-key-data"]))
            pair.flush()
            self.context.load_cert_chain(pair.name)

    def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Answer:
        """One request; a refusal is an answer, too. `body` is sent as JSON. ValueError if the path has no slash."""
        if not path.startswith("/"):
            raise ValueError(f'"{path}" is no path. It begins with a slash, like "/api/v1/pods".')
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        asked = urllib.request.Request(self.server + path, data, headers, method=method)
        seconds = QUIET if "watch=" in path else SECONDS
        try:
            with urllib.request.urlopen(asked, context=self.context, timeout=seconds) as response:
                return Answer(response.status, _read(response).decode())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode())


def _read(response: Any) -> bytes:
    lines: list[bytes] = []
    with contextlib.suppress(TimeoutError):
        while line := response.readline():
            lines.append(line)
    return b"".join(lines)


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()
