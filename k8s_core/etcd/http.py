"""etcd's HTTP door: /version, /health, /metrics, v2, and v3 as JSON. Stands for api/etcdhttp and v2http's routes."""

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qs

import orjson
from aetcd.rpc import rpc_pb2
from aiohttp import web

from k8s_core.etcd import gateway
from k8s_core.etcd.members import CLUSTER_VERSION
from k8s_core.etcd.service import CORRUPT, Service
from k8s_core.etcd.store import EtcdError
from k8s_core.etcd.tree_hub import Event, TreeError
from k8s_core.etcd.v2 import Answer, KeyRequest, encode, error_answer, event_body
from k8s_core.etcd.watching import WatchStream
from k8s_core.limits import ETCD_V2_WATCH_TIMEOUT

Enter = Callable[[], Any]
METHODS = {
    "keys": ("HEAD", "GET", "PUT", "POST", "DELETE"),
    "members": ("GET", "POST", "DELETE", "PUT"),
    "stats": ("GET",),
    "machines": ("GET", "HEAD"),
}
CHECKS = {
    "livez": ("serializable_read",),
    "readyz": ("data_corruption", "serializable_read", "linearizable_read", "non_learner"),
}
"""/livez and /readyz -> what they check; each check has a page of its own below them."""
METRICS_PAGES = re.compile(r"/(metrics|health|(livez|readyz)(/\w+)?)")
"""What --listen-metrics-urls shows; everything else needs a client's certificate."""
ALARMS = ("NONE", "NOSPACE", "CORRUPT")
Message = Any
FORM = "application/x-www-form-urlencoded"


class Api:
    """Answers one HTTP request after another. `enter` gives a context in which the store may be touched."""

    def __init__(self, service: Service):
        self.service = service
        self.v2 = service.v2

    def close(self) -> None:
        """End what is waiting."""
        for waiting in self.v2.waiting:
            waiting.cancel()

    async def answer_metrics(self, request: web.BaseRequest, enter: Enter) -> web.StreamResponse:
        if METRICS_PAGES.fullmatch(request.path):
            return await self.answer(request, enter)
        return web.Response(status=404, text="404 page not found\n")

    async def answer(self, request: web.BaseRequest, enter: Enter) -> web.StreamResponse:
        match request.path:
            case "/version":
                return _json({"etcdserver": self.service.members.version, "etcdcluster": CLUSTER_VERSION})
            case "/health":
                with enter():
                    return self._health(request)
            case "/metrics":
                with enter():
                    return web.Response(text=self._metrics(), content_type="text/plain")
        check, _, one = request.path[1:].partition("/")
        if check in CHECKS and (not one or one in CHECKS[check]):
            with enter():
                return self._checks((one,) if one else CHECKS[check], request)
        _, root, area, rest = (*request.path.split("/", 3), "", "", "")[:4]
        if root == "v2" and area in METHODS:
            if request.method not in METHODS[area]:
                allowed = ",".join(METHODS[area])
                return web.Response(status=405, text="Method Not Allowed\n", headers={"Allow": allowed})
            return await self._v2(area, rest, request, enter)
        if root == "v3":
            return await self._v3("/".join((area, rest)).rstrip("/"), request, enter)
        return web.Response(status=404, text="404 page not found\n")

    # --- v3 -------------------------------------------------------------------------------------------------
    async def _v3(self, path: str, request: web.BaseRequest, enter: Enter) -> web.StreamResponse:
        name, token = gateway.PATHS.get(path), request.headers.get("Authorization", "")
        if name is None:
            return web.Response(status=404, text="Not Found\n")
        if request.method != "POST":
            return web.Response(status=405, text="Method Not Allowed\n")
        try:
            asked = gateway.parse(name, await request.read())
            if name == "watch":
                return await self._watch(asked, token, request, enter)
            with enter():
                body = gateway.render(self.service.call(name, asked, token), streamed=name in gateway.STREAMS)
            return web.Response(body=body, content_type="application/json")
        except EtcdError as error:
            status, body = gateway.refuse(error)
            return web.Response(status=status, body=body, content_type="application/json")

    async def _watch(self, asked: Message, token: str, request: web.BaseRequest, enter: Enter) -> web.StreamResponse:
        """Every answer a line, until the client goes away."""
        outlet: asyncio.Queue[Message] = asyncio.Queue()
        io = asyncio.get_running_loop()
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()

        def put(told: Message) -> None:
            io.call_soon_threadsafe(outlet.put_nowait, told)

        with enter():
            stream = WatchStream(
                self.service,
                put,
                lambda: self.service.auth.user_of(token),
            )
            stream.receive(asked)
        try:
            await response.prepare(request)
            while True:
                await response.write(gateway.render(await outlet.get(), streamed=True))
        except ConnectionError:
            pass
        finally:
            with enter():
                stream.close()
        return response

    # --- v2 -------------------------------------------------------------------------------------------------
    async def _v2(self, area: str, rest: str, request: web.BaseRequest, enter: Enter) -> web.StreamResponse:
        body = await request.read()
        if area == "keys":
            return await self._keys(rest, request, body, enter)
        with enter():
            if area == "stats":
                return _response(self.v2.stats(rest))
            if area == "machines":
                return _response(self.v2.machines())
            if request.method == "GET":
                return _response(self.v2.members_get(rest.strip("/")))
            return _response(self._change_members(request, rest.strip("/"), body))

    async def _keys(self, path: str, request: web.BaseRequest, body: bytes, enter: Enter) -> web.StreamResponse:
        fields = parse_qs(request.query_string, keep_blank_values=True)
        if request.method in ("PUT", "POST") and request.content_type == FORM:
            sent = parse_qs(body.decode(errors="replace"), keep_blank_values=True)
            fields = {name: sent.get(name, []) + fields.get(name, []) for name in (*fields, *sent)}
        form = {name: values[0] for name, values in fields.items()}
        with enter():
            try:
                asked = KeyRequest.parse(request.method, path, form, self.service.loop.now)
                if not asked.wait:
                    return _response(self.v2.keys(asked))
                outlet: asyncio.Queue[Event] = asyncio.Queue()
                io = asyncio.get_running_loop()

                def put(event: Event) -> None:
                    io.call_soon_threadsafe(outlet.put_nowait, event)

                watcher = self.v2.tree.watch(
                    asked.path,
                    put,
                    recursive=asked.recursive,
                    stream=asked.stream,
                    since=asked.wait_index,
                )
            except TreeError as error:
                return _response(error_answer(error))
        headers = self.v2.headers(watcher.start) | {"Content-Type": "application/json"}
        response = web.StreamResponse(headers=headers)
        response.enable_chunked_encoding()
        try:
            await response.prepare(request)
            async with asyncio.timeout(ETCD_V2_WATCH_TIMEOUT):
                while True:
                    await response.write(event_body(await outlet.get()))
                    if not asked.stream:
                        break
        except (TimeoutError, ConnectionError):
            pass
        finally:
            with enter():
                self.v2.tree.hub.cancel(watcher)
        await response.write_eof()
        return response

    def _change_members(self, request: web.BaseRequest, id: str, body: bytes) -> Answer:
        if request.content_type != "application/json" and request.method != "DELETE":
            text = f"Bad Content-Type {request.headers.get('Content-Type', '')}, accept application/json"
            return Answer(415, encode({"message": text}).rstrip(b"\n"))
        try:
            urls = orjson.loads(body or b"{}").get("peerURLs", [])
            if request.method == "POST":
                added = self.service.call("member_add", rpc_pb2.MemberAddRequest(peerURLs=urls)).member
                shown = {"id": f"{added.ID:x}", "name": "", "peerURLs": list(added.peerURLs), "clientURLs": []}
                return Answer(201, encode(shown))
            if request.method == "DELETE":
                self.service.call("member_remove", rpc_pb2.MemberRemoveRequest(ID=int(id, 16)))
            else:
                self.service.call("member_update", rpc_pb2.MemberUpdateRequest(ID=int(id, 16), peerURLs=urls))
            return Answer(204)
        except EtcdError as error:
            return self.v2.members_failed(error, id)
        except ValueError:
            return Answer(404, encode({"message": f"No such member: {id}"}).rstrip(b"\n"))

    # --- health ---------------------------------------------------------------------------------------------
    def _health(self, request: web.BaseRequest) -> web.Response:
        """Sick if there is an alarm, but for those that `exclude` names, or no leader."""
        query = parse_qs(request.query_string)
        alarms = {ALARMS[alarm] for _, alarm in self.service.members.alarms} - set(query.get("exclude", ()))
        reason = f"ALARM {sorted(alarms)[-1]}" if alarms else ""
        if not reason and (wrong := self._read(serializable=query.get("serializable", ["false"])[0] == "true")):
            reason = f"RANGE ERROR:{wrong}"
        body = orjson.dumps({"health": "false" if reason else "true", "reason": reason})
        return web.Response(status=503 if reason else 200, text=body.decode() + "\n" * bool(reason))

    def _checks(self, names: Sequence[str], request: web.BaseRequest) -> web.Response:
        """Each check a line, if one fails or the client wants to see them; `exclude` leaves some out."""
        query = parse_qs(request.query_string, keep_blank_values=True)
        found = {name: self._check(name) for name in names if name not in query.get("exclude", ())}
        lines = [f"[-]{name} failed: {wrong}" if wrong else f"[+]{name} ok" for name, wrong in found.items()]
        if any(found.values()):
            return web.Response(status=503, text="\n".join([*lines, "", ""]))
        return web.Response(text="\n".join([*lines * ("verbose" in query), "ok", ""]))

    def _check(self, name: str) -> str:
        """What is wrong; "" if nothing is."""
        match name:
            case "data_corruption":
                alarms = {alarm for _, alarm in self.service.members.alarms}
                return "alarm activated: CORRUPT" if CORRUPT in alarms else ""
            case "non_learner":
                return "not supported for learner" if self.service.members.learner else ""
        return self._read(serializable=name == "serializable_read")

    def _read(self, *, serializable: bool) -> str:
        """Why nothing can be read, in the name of root; "" if it can."""
        try:
            self.service.call("range", rpc_pb2.RangeRequest(key=b"health", serializable=serializable))
        except EtcdError as error:
            return "" if "user name is empty" in error.message else error.message
        return ""

    def _metrics(self) -> str:
        store = self.service.store
        values: dict[str, int] = {
            "etcd_debugging_mvcc_compact_revision": store.compact_revision,
            "etcd_debugging_mvcc_current_revision": store.revision,
            "etcd_debugging_mvcc_keys_total": sum(1 for _ in store.live()),
            "etcd_debugging_mvcc_watcher_total": len(store.watchers),
            "etcd_mvcc_db_total_size_in_bytes": store.size,
            "etcd_server_has_leader": int(bool(self.service.members.leader)),
            "etcd_server_is_leader": int(self.service.members.leader == self.service.members.id),
        }
        return "".join(f"# TYPE {name} gauge\n{name} {value}\n" for name, value in values.items())


def _json(body: Any) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json")


def _response(answer: Answer) -> web.Response:
    headers = {"Content-Type": "application/json", **(answer.headers or {})}
    return web.Response(status=answer.status, body=answer.body, headers=headers)
