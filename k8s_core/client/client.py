"""A component's connection to the apiserver: the requests of the REST API as calls, answers as objects.

In process there is no wire, but each call is a real request: it is authorized as the component's user, admitted,
validated, stored and written to the audit log. Answers are shared objects: never change them.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from k8s_core.api import Object, Objects
from k8s_core.api.errors import unavailable
from k8s_core.api.resources import Resource, Resources
from k8s_core.api.schema import Type
from k8s_core.apiserver.request import Request, User
from k8s_core.client.events import Recorder
from k8s_core.client.informer import Informer
from k8s_core.clock import Loop

if TYPE_CHECKING:
    from k8s_core.apiserver.server import Server
    from k8s_core.apiserver.watch import Watch

PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}
PatchKind = Literal["merge", "strategic", "json", "apply"]


class Client:
    """Requests in the name of `user`; `agent` is the User-Agent, which names the field manager too.

    Resources are named as kubectl does: "pods", "deployments.apps". Errors are StatusError.
    """

    def __init__(self, server: "Server", loop: Loop, user: User, agent: str):
        self.server, self.loop, self.user, self.agent = server, loop, user, agent
        self._informers: dict[tuple[str, str, str, str], Informer] = {}
        self._unreachable = False
        self.dials = server.availability.address
        """Where its kubeconfig says that the apiserver is."""

    @property
    def resources(self) -> Resources:
        """What discovery lists, at any time: custom resources come and go."""
        return self.server.resources

    def type_of(self, resource: Resource) -> Type:
        """What a resource's objects may hold, as OpenAPI describes it."""
        return self.server.registry.type_of(resource)

    @property
    def unreachable(self) -> bool:
        """Whether the network between this client and the apiserver is cut."""
        return self._unreachable

    @unreachable.setter
    def unreachable(self, cut: bool) -> None:
        self._unreachable = cut
        for informer in list(self._informers.values()) if cut else ():
            informer.lose()

    def _reach(self) -> "Server":
        address = self.server.availability.address
        if self._unreachable or self.dials != address:
            refused = not self._unreachable and self.dials.split(":")[0] == address.split(":")[0]
            why = "connect: connection refused" if refused else "i/o timeout"
            raise unavailable(f'Get "https://{self.dials}": dial tcp {self.dials}: {why}')
        return self.server

    def get(self, resource: str, name: str, namespace: str = "", subresource: str = "") -> Object:
        return self._call("get", resource, namespace, name, subresource=subresource)

    def list(self, resource: str, namespace: str = "", *, labels: str = "", fields: str = "") -> Objects:
        return self.list_revision(resource, namespace, labels=labels, fields=fields)[0]

    def list_revision(
        self, resource: str, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> tuple[Objects, str]:
        """The objects and the resourceVersion of the list."""
        request = self._request("list", resource, namespace, "")
        if labels:
            request.query["labelSelector"] = [labels]
        if fields:
            request.query["fieldSelector"] = [fields]
        result = self._reach().call(request)
        items: Objects = result["items"]
        return items, result["metadata"]["resourceVersion"]

    def create(self, resource: str, obj: Object, namespace: str = "") -> Object:
        return self._call("create", resource, namespace or obj["metadata"].get("namespace", ""), "", obj)

    def update(self, resource: str, obj: Object, subresource: str = "") -> Object:
        meta = obj["metadata"]
        return self._call("update", resource, meta.get("namespace", ""), meta["name"], obj, subresource)

    def update_status(self, resource: str, obj: Object) -> Object:
        return self.update(resource, obj, "status")

    def patch(
        self,
        resource: str,
        name: str,
        namespace: str,
        patch: Any,
        *,
        kind: PatchKind = "merge",
        subresource: str = "",
    ) -> Object:
        request = self._request("patch", resource, namespace, name, patch, subresource)
        request.headers["content-type"] = PATCH_TYPES[kind]
        return self._reach().call(request)

    def delete(
        self,
        resource: str,
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        propagation: str = "",
        grace_seconds: int | None = None,
    ) -> Object:
        options: Object = {}
        if uid:
            options["preconditions"] = {"uid": uid}
        if propagation:
            options["propagationPolicy"] = propagation
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        return self._call("delete", resource, namespace, name, options)

    def create_sub(self, resource: str, name: str, namespace: str, subresource: str, obj: Object) -> Object:
        """POST to a subresource: binding, eviction, token."""
        return self._call("create", resource, namespace, name, obj, subresource)

    def watch(
        self,
        resource: str,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        revision: str = "",
        on_event: Callable[[str, Object], None],
        on_end: Callable[[], None],
    ) -> "Watch":
        """Events after `revision`, delivered from the loop; `on_end` when the server ends the watch."""
        request = self._request("watch", resource, namespace, "")
        request.query = {"resourceVersion": [revision], "labelSelector": [labels], "fieldSelector": [fields]}
        return self._reach().watch(request, on_event, on_end)

    def informer(self, resource: str, *, namespace: str = "", fields: str = "", labels: str = "") -> Informer:
        """The shared copy of this resource (one for the same arguments)."""
        key = (resource, namespace, fields, labels)
        if key not in self._informers:
            self._informers[key] = Informer(self, resource, namespace, fields, labels)
        return self._informers[key]

    def recorder(self, component: str, host: str = "", *, new_style: bool = False) -> Recorder:
        return Recorder(self, component, host, new_style=new_style)

    def stop(self) -> None:
        """End every informer of this client."""
        for informer in self._informers.values():
            informer.stop()
        self._informers.clear()

    def _call(
        self, verb: str, resource: str, namespace: str, name: str, obj: Object | None = None, subresource: str = ""
    ) -> Object:
        return self._reach().call(self._request(verb, resource, namespace, name, obj, subresource))

    def _request(
        self, verb: str, resource: str, namespace: str, name: str, obj: Any = None, subresource: str = ""
    ) -> Request:
        return Request(
            verb=verb,
            resource=self.server.resources.find(resource),
            namespace=namespace,
            name=name,
            subresource=subresource,
            object=obj,
            user=self.user,
            headers={"user-agent": self.agent},
            in_process=True,
        )
