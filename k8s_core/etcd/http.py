"""etcd's plain HTTP: /version, /health, /metrics. Stands for api/etcdhttp."""

from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from k8s_core.etcd.members import VERSION
from k8s_core.etcd.service import Service

Enter = Callable[[], Any]
CLUSTER_VERSION = "3.5.0"


class Api:
    """Answers one HTTP request after another. `enter` gives a context in which the store may be touched."""

    def __init__(self, service: Service):
        self.service = service

    def close(self) -> None:
        """End what is waiting."""

    async def answer(self, request: web.BaseRequest, enter: Enter) -> web.StreamResponse:
        match request.path:
            case "/version":
                return _json({"etcdserver": VERSION, "etcdcluster": CLUSTER_VERSION})
            case "/health":
                return self._health()
            case "/metrics":
                with enter():
                    return web.Response(text=self._metrics(), content_type="text/plain")
        return web.Response(status=404, text="404 page not found\n")

    def _health(self) -> web.Response:
        alarms = {alarm for _, alarm in self.service.members.alarms}
        reason = "ALARM NOSPACE" if 1 in alarms else "ALARM CORRUPT" if 2 in alarms else ""
        body = {"health": "false" if reason else "true", "reason": reason}
        return _json(body, 503 if reason else 200)

    def _metrics(self) -> str:
        store = self.service.store
        values: dict[str, tuple[str, int]] = {
            "etcd_server_has_leader": ("gauge", 1),
            "etcd_server_is_leader": ("gauge", int(self.service.members.leader == self.service.members.id)),
            "etcd_debugging_mvcc_current_revision": ("gauge", store.revision),
            "etcd_debugging_mvcc_compact_revision": ("gauge", store.compact_revision),
            "etcd_debugging_mvcc_keys_total": ("gauge", sum(1 for _ in store.live())),
            "etcd_debugging_mvcc_watcher_total": ("gauge", len(store.watchers)),
            "etcd_mvcc_db_total_size_in_bytes": ("gauge", store.size()),
        }
        lines = [f"# TYPE {name} {kind}\n{name} {value}\n" for name, (kind, value) in sorted(values.items())]
        return "".join(lines)


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")
