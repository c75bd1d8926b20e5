"""Whether kube-apiserver is there, and whether it has its etcd: what every request meets first.

A kube-apiserver that does not run refuses connections; one without etcd answers, but every request that needs etcd
ends in the words of etcd's client, and its health checks fail. Stands for the process and its storage health check.
"""

from collections.abc import Callable

from k8s_core.api import errors
from k8s_core.apiserver.request import Request

METHODS = {"get": "Get", "list": "Get", "watch": "Get", "create": "Post", "update": "Put", "patch": "Patch"}
NO_ETCD = (
    'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial tcp '
    '127.0.0.1:2379: connect: connection refused"'
)


class Availability:
    """The state of one kube-apiserver. Whoever must know of changes puts a function into `changed`."""

    def __init__(self, address: str = "10.0.0.4:6443") -> None:
        self.address = address
        self.running = True
        self.outage = ""
        """What etcd's client says, while etcd does not answer."""
        self.changed: list[Callable[[], None]] = []

    def set(self, *, running: bool | None = None, outage: str | None = None) -> None:
        before = (self.running, self.outage)
        self.running = self.running if running is None else running
        self.outage = self.outage if outage is None else outage
        if (self.running, self.outage) != before:
            for tell in list(self.changed):
                tell()

    @property
    def healthy(self) -> bool:
        return self.running and not self.outage

    def reach(self, request: Request) -> None:
        """What a client of this process meets when it connects: raises StatusError while nobody listens."""
        if not self.running:
            raise errors.unavailable(self.refusal(request))

    def refusal(self, request: Request) -> str:
        """What Go's http client says."""
        resource = request.resource
        path = "/"
        if resource:
            path = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
            path += f"/namespaces/{request.namespace}" if request.namespace else ""
            path += f"/{resource.name}" + (f"/{request.name}" if request.name else "")
            path += f"/{request.subresource}" if request.subresource else ""
        method = METHODS.get(request.verb, "Delete")
        return f'{method} "https://{self.address}{path}": dial tcp {self.address}: connect: connection refused'

    def check(self) -> None:
        """What a request for objects meets: raises StatusError without etcd."""
        if self.outage:
            raise errors.StatusError(500, "", self.outage)
