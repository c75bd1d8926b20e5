"""The same random v2 requests to the real etcd (--enable-v2) and to ours, as differential.py does for v3."""

import http.client
import random
from typing import Any
from urllib.parse import urlencode

import orjson

from k8s_core.clock import Loop
from k8s_core.etcd.members import Members
from k8s_core.etcd.store import Store
from k8s_core.etcd.tree import Tree
from k8s_core.etcd.tree_hub import Event, TreeError
from k8s_core.etcd.v2 import V2, KeyRequest, error_answer, event_body

PATHS = ["", "/", "/a", "/a/b", "/a/b/c", "/a/_h", "/a/_h/x", "/d", "/d/e", "/_top", "/q", "/q/r/s", "/a/b/", "/x<y>"]
VALUES = ["", "1", "2", "three", "<&>"]
FLAG = ["true", "false", "1", "maybe"]


class Ours:
    """Our v2 API without a door."""

    def __init__(self, index: int) -> None:
        self.loop = Loop()
        self.tree = Tree(self.loop)
        self.tree.index = index
        self.v2 = V2(self.tree, Members(Store(self.loop)))

    def call(self, method: str, path: str, form: dict[str, str]) -> tuple[int, Any, str | None]:
        try:
            asked = KeyRequest.parse(method, path, form, self.loop.now)
            if asked.wait:
                return self._wait(asked)
            answer = self.v2.keys(asked)
        except TreeError as error:
            answer = error_answer(error)
        return answer.status, orjson.loads(answer.body), (answer.headers or {}).get("X-Etcd-Index")

    def _wait(self, asked: KeyRequest) -> tuple[int, Any, str | None]:
        seen: list[Event] = []
        watcher = self.tree.watch(asked.path, seen.append, recursive=asked.recursive, since=asked.wait_index)
        self.tree.hub.cancel(watcher)
        return 200, orjson.loads(event_body(seen[0])) if seen else None, str(watcher.start)


class Real:
    def __init__(self, address: str) -> None:
        self.connection = http.client.HTTPConnection(address, timeout=20)

    def call(self, method: str, path: str, form: dict[str, str]) -> tuple[int, Any, str | None]:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        query = f"?{urlencode(form)}" if form else ""
        body = None
        if method in ("PUT", "POST"):
            query, body = "", urlencode(form)
        target = f"/v2/keys{path.replace('<', '%3C').replace('>', '%3E')}"
        self.connection.request(method, target + query, body, headers)
        response = self.connection.getresponse()
        return response.status, orjson.loads(response.read()), response.headers.get("X-Etcd-Index")

    def stats(self) -> dict[str, int]:
        self.connection.request("GET", "/v2/stats/store")
        return dict(orjson.loads(self.connection.getresponse().read()))


def plain(answer: tuple[int, Any, str | None]) -> Any:
    """An answer without times, and with a listing that was not asked to be in order put in order."""

    def node(shown: Any) -> None:
        if shown:
            shown.pop("expiration", None)
            shown.pop("ttl", None)
            for child in shown.get("nodes", ()):
                node(child)
            if "nodes" in shown:
                shown["nodes"].sort(key=lambda n: n.get("key", ""))

    if isinstance(answer[1], dict):
        node(answer[1].get("node"))
        node(answer[1].get("prevNode"))
    return answer


def request(dice: random.Random, index: int) -> tuple[str, str, dict[str, str]]:
    """A random request; waits only for what has happened."""
    method = dice.choices(["GET", "PUT", "POST", "DELETE"], [3, 6, 1, 2])[0]
    path, form = dice.choice(PATHS), dict[str, str]()

    def maybe(chance: float, name: str, values: list[str]) -> None:
        if dice.random() < chance:
            form[name] = dice.choice(values)

    near = [str(max(index - back, 0)) for back in range(8)]
    maybe(0.3, "recursive", FLAG)
    maybe(0.3, "dir", FLAG)
    maybe(0.02, "prevIndex", ["-1", "x", "99999999999999999999999"])
    if method == "GET":
        maybe(0.5, "sorted", FLAG)
        maybe(0.3, "quorum", FLAG)
    else:
        maybe(0.15, "prevIndex", near)
        maybe(0.2, "prevValue", VALUES)
    if method in ("PUT", "POST"):
        maybe(0.8, "value", VALUES)
        maybe(0.2, "ttl", ["3600", "7200", "x", ""])
        maybe(0.25, "prevExist", FLAG)
        maybe(0.1, "refresh", FLAG)
        maybe(0.1, "noValueOnSuccess", FLAG)
    return method, path, form


def run(address: str, operations: int, seed: int) -> int:
    """Compare that many requests; AssertionError at the first that differs."""
    dice, real = random.Random(seed), Real(address)
    start = real.call("GET", "/", {})[2]
    ours = Ours(int(start or 0))
    before = real.stats()
    for number in range(operations):
        method, path, form = request(dice, ours.tree.index)
        if dice.random() < 0.05:  # look back: the first event of a key since an index
            past = ours._wait(KeyRequest.parse("GET", "/", {"wait": "1", "waitIndex": str(ours.tree.index)}, 0))
            if past[1]:
                method, path = "GET", "/"
                form = {
                    "wait": "true",
                    "recursive": "true",
                    "waitIndex": str(max(ours.tree.index - dice.randint(0, 9), 1)),
                }
        if form.get("wait") and ours.call(method, path, form)[1] is None:
            continue
        told, expected = plain(ours.call(method, path, form)), plain(real.call(method, path, form))
        assert told == expected, f"{number}: {method} {path} {form}\nours: {told}\nreal: {expected}"
    counted = {name: count - before[name] for name, count in real.stats().items()}
    own = {"watchers", "getsFail"}  # each request makes the real one look in vain whether v2 authentication is on
    differ = {n: (c, counted[n]) for n, c in ours.tree.stats.items() if n not in own and c != counted[n]}
    assert not differ, f"statistics, ours and real: {differ}"
    return operations
