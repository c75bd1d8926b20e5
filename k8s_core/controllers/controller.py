"""The textbook loop that every controller is: informers feed a work queue, `sync(key)` observes, compares and acts.

What a subclass gives: its name in `--controllers`, its service account, `setup()` (which informers feed which keys)
and `sync(key)`. What it gets: a client of its own for writing, shared informers for reading, a queue, a recorder.
A controller keeps nothing that it could not learn again from the API: it may be stopped and started at any time.
Stands for the constructor-and-Run part that all controllers of kubernetes pkg/controller repeat.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, ClassVar

from k8s_core.api import Object
from k8s_core.client.client import Client
from k8s_core.client.informer import Informer, key_of
from k8s_core.client.workqueue import WorkQueue
from k8s_core.clock import Loop, Timer
from k8s_core.limits import BATCH_FROM, BATCH_PER_OBJECT

Handler = Callable[[Object], None]


class Controller:
    """Base of all controllers. `informers` is the client whose informers are shared; by default its own."""

    name: ClassVar[str] = ""
    """kube-controller-manager's name for it, as in `--controllers=*,-name`."""
    aliases: ClassVar[tuple[str, ...]] = ()
    """Names it had before 1.28, still accepted."""
    account: ClassVar[str] = ""
    """Its ServiceAccount in kube-system."""
    component: ClassVar[str] = ""
    """What it calls itself in events; its account unless said otherwise."""

    def __init__(self, client: Client, informers: Client | None = None) -> None:
        self.client = client
        self.loop: Loop = client.loop
        self.running = False
        self._informers = informers or client
        self._timers: list[Timer] = []
        self._queues: list[WorkQueue] = []
        self.queue = self.new_queue(self.sync, self.name)
        self.recorder = client.recorder(self.component or self.account)

    def setup(self) -> None:
        """Subscribe to informers; called once, by the first start."""
        raise NotImplementedError

    def sync(self, key: str) -> None:
        """Bring one object's world in line; `key` is "namespace/name". An exception retries it with back-off."""

    def start(self) -> None:
        if not self.running:
            self.running = True
            self.setup()

    def stop(self) -> None:
        self.running = False
        for timer in self._timers:
            timer.cancel()
        for queue in self._queues:
            queue.stop()

    # --- for subclasses -------------------------------------------------------------------------------------
    def new_queue(self, sync: Callable[[str], None], name: str) -> WorkQueue:
        queue = WorkQueue(self.loop, sync, name=name)
        self._queues.append(queue)
        return queue

    def every(self, period: float, fn: Callable[[], None]) -> None:
        """Call `fn` now and then every `period` seconds while the controller runs."""
        self.loop.call_soon(lambda: fn() if self.running else None)
        self._timers.append(self.loop.every(period, fn, background=True))

    def informer(
        self,
        resource: str,
        added: Handler | None = None,
        updated: Callable[[Object, Object], None] | None = None,
        deleted: Handler | None = None,
        *,
        changed: Handler | None = None,
    ) -> Informer:
        """The shared informer; handlers fall silent when the controller stops. `changed` stands for all three."""
        found = self._informers.informer(resource)

        def on_update(old: Object, new: Object) -> None:
            if not self.running:
                return
            if old["metadata"]["uid"] != new["metadata"]["uid"]:
                # Between two lists the object went and another came under its name.
                for handler, obj in ((on_delete, old), (on_add, new)):
                    if handler:
                        handler(obj)
            elif updated:
                updated(old, new)
            elif changed:
                changed(new)

        def guard(handler: Handler) -> Handler:
            return lambda obj: handler(obj) if self.running else None

        on_add, on_delete = added or changed, deleted or changed
        found.on(
            added=guard(on_add) if on_add else None,
            updated=on_update,
            deleted=guard(on_delete) if on_delete else None,
        )
        return found

    def enqueue(self, obj: Object) -> None:
        self.queue.add(key_of(obj))

    def enqueue_batched(self, key: str, size: int) -> None:
        """Sync soon, with what else happens until then to the `size` objects that the sync has to look at.

        Otherwise a thousand Pods becoming ready would be a thousand looks at a thousand Pods. A real controller is
        held back to the same effect by its client's rate limit.
        """
        self.queue.add_after(key, size * BATCH_PER_OBJECT if size > BATCH_FROM else 0)


# --- what controllers say about objects -----------------------------------------------------------------------------
def controller_of(obj: Object) -> Object | None:
    """The one owner reference that says `controller: true`."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return reference  # type: ignore[no-any-return]
    return None


def controller_uid(obj: Object) -> str:
    reference = controller_of(obj)
    return reference["uid"] if reference else ""


def controller_reference(owner: Object) -> Object:
    """The owner reference by which `owner` claims what it made."""
    metadata = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_deleting(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def seconds(timestamp: str | None) -> float:
    """A metav1.Time or MicroTime as seconds since the epoch; 0 for none."""
    return datetime.fromisoformat(timestamp).timestamp() if timestamp else 0.0


def condition(conditions: Iterable[Object] | None, kind: str) -> Object | None:
    """The condition of that type, if there."""
    return next((each for each in conditions or () if each.get("type") == kind), None)


def without_condition(conditions: Iterable[Object] | None, kind: str) -> list[Object]:
    return [each for each in conditions or () if each.get("type") != kind]


def set_condition(conditions: Iterable[Object] | None, new: Object) -> list[Object]:
    """With `new` in place of its type's, unless status and reason are the same; an unmoved transition time stays."""
    conditions = list(conditions or ())
    old = condition(conditions, new["type"])
    if old:
        if (old.get("status"), old.get("reason")) == (new["status"], new.get("reason")):
            return conditions
        if old.get("status") == new["status"] and "lastTransitionTime" in old:
            new = {**new, "lastTransitionTime": old["lastTransitionTime"]}
    return [*without_condition(conditions, new["type"]), new]


def drop_empty(fields: dict[str, Any]) -> Object:
    """Without zero values, as Go's omitempty leaves them out."""
    return {key: value for key, value in fields.items() if value not in (None, 0, "", [], {})}


def with_status(obj: Object, status: Object) -> Object:
    return {**obj, "status": status}


def with_metadata(obj: Object, **fields: Any) -> Object:
    return {**obj, "metadata": {**obj["metadata"], **fields}}
