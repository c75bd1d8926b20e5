"""agnhost's guestbook: a primary that keeps entries, replicas that repeat them, a frontend that asks both.

Stands for test/images/agnhost/guestbook. All three are the same program: what it is depends on its flags and on who
asks it for what.
"""

import json
from collections.abc import Generator
from typing import Any
from urllib.parse import parse_qs, urlencode

from k8s_core.kubelet.programs.simple import idle, respond, stamps
from k8s_core.shell.pipes import Steps, Wait
from k8s_core.shell.process import Process
from k8s_core.shell.sockets import NetworkError, Request, Response

PRIMARY, REPLICA = "agnhost-primary", "agnhost-replica"
TIMEOUT, TRIES, PAUSE = 5.0, 15, 1.0


class Guestbook:
    """The server of one guestbook; `given` are its flags."""

    def __init__(self, process: Process, given: dict[str, str]) -> None:
        self.process, self.primary = process, given.get("replicaof", "")
        self.port, self.backend = int(given.get("http-port", "80")), int(given.get("backend-port", "6379"))
        self.entries: dict[str, str] = {}
        self.replicas: list[str] = []

    def run(self) -> Steps:
        self.process.machine.network.listen(self.port, self.process, self.answer, http=True)
        if self.primary and not (yield from self.register()):
            self.say("Timed out while registering to primary.")
            return 1
        return (yield from idle(self.process))

    def say(self, text: str) -> None:
        now = stamps(self.process)
        self.process.err(f"{now['slashed']} {now['time']} {text}\n")

    def ask(self, server: str, what: str, **query: str) -> Generator[Wait, None, str]:
        """What another guestbook answers. Raises NetworkError."""
        network = self.process.machine.network
        address = yield from network.resolve(server)
        page = yield from network.http(address, self.backend, Request("GET", f"/{what}?{urlencode(query)}"), TIMEOUT)
        return str(page.body.decode(errors="replace"))

    def register(self) -> Generator[Wait, None, bool]:
        """Tell the primary where this replica is, and take over what it has."""
        mine = self.process.machine.network.address
        for _ in range(TRIES):
            self.say(f"Registering to primary: {self.primary}:{self.backend}/register?host={mine}")
            try:
                self.entries = json.loads((yield from self.ask(self.primary, "register", host=mine)))["data"]
            except NetworkError as error:
                self.say(f"encountered error while registering to primary: {error.message}. Retrying in 1s.")
                yield PAUSE
                continue
            self.say(f"Registered to node: {self.primary}")
            return True
        return False

    def answer(self, request: Request) -> Any:
        path, _, query = request.path.partition("?")
        given = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
        handler = {"/register": self.enrol, "/get": self.get, "/set": self.set, "/guestbook": self.forward}.get(path)
        if handler is None:
            return respond(self.process, 404, "404 page not found\n")
        self.say(f"{request.method} {request.path}")
        return handler(given)

    def page(self, **found: Any) -> Response:
        return respond(self.process, 200, json.dumps(found, separators=(",", ":"), sort_keys=True))

    def refuse(self, code: int, why: str) -> Response:
        return respond(self.process, code, why + "\n")

    def enrol(self, given: dict[str, str]) -> Response:
        self.replicas.append(given.get("host", ""))
        self.say(f"Node '{self.replicas[-1]}' registered.")
        return self.page(data=self.entries)

    def get(self, given: dict[str, str]) -> Response:
        key = given.get("key")
        return self.page(data=self.entries.get(key, "") if key else self.entries)

    def set(self, given: dict[str, str]) -> Generator[Wait, None, Response]:
        key, value = given.get("key", ""), given.get("value", "")
        if not key:
            return self.refuse(400, "cannot set with empty key.")
        self.entries[key] = value
        for replica in self.replicas:
            try:
                yield from self.ask(replica, "set", key=key, value=value)
            except NetworkError as error:
                why = f"encountered error while propagating to replica '{replica}': {error.message}"
                return self.refuse(417, why)
        return self.page(message="Updated")

    def forward(self, given: dict[str, str]) -> Generator[Wait, None, Response]:
        command, key, value = given.get("cmd", "").lower(), given.get("key", ""), given.get("value", "")
        if command not in ("get", "set"):
            return self.refuse(400, f"unsupported cmd: '{command}'")
        if command == "set" and not key:
            return self.refuse(400, "cannot set with empty key.")
        try:
            found = yield from self.ask(REPLICA if command == "get" else PRIMARY, command, key=key, value=value)
        except NetworkError as error:
            if error.kind == "resolve":
                return self.refuse(400, f"host and/or port param are invalid. {error.message}")
            return self.refuse(417, f"encountered error: {error.message}")
        return respond(self.process, 200, found)
