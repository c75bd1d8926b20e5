"""Leases: what keys hang on, and with what they go unless it is kept alive. Stands for etcd's lessor."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from k8s_core.clock import Loop, Timer
from k8s_core.etcd.model import EtcdError, lease_not_found


@dataclass
class Lease:
    id: int
    ttl: int
    granted: float
    keys: set[bytes] = field(default_factory=set)
    timer: Timer | None = None


class Lessor:
    """The leases of a key space, which inherits this. `loop` gives them time; without it they never end."""

    def __init__(self, loop: Loop | None = None):
        self.loop = loop
        self.leases: dict[int, Lease] = {}
        self.on_lease_expired: Callable[[int], None] = self.lease_revoke
        """What happens when a lease's time is up; a member of a group must agree with the others first."""
        self._next_lease = 1

    def delete_keys(self, keys: Iterable[bytes]) -> None:
        """Delete them, as one revision."""
        raise NotImplementedError

    def lease_grant(self, ttl: int, id: int = 0) -> Lease:
        """A lease of `ttl` seconds; when it expires its keys are deleted."""
        if ttl <= 0:
            raise EtcdError("OUT_OF_RANGE", "etcdserver: too large lease TTL" if ttl else "etcdserver: lease TTL is 0")
        if id in self.leases:
            raise EtcdError("FAILED_PRECONDITION", "etcdserver: lease already exists")
        id = id or self._next_lease
        self._next_lease = max(self._next_lease, id) + 1
        lease = self.leases[id] = Lease(id, ttl, 0.0)
        return self._begin(lease)

    def lease_keep_alive(self, id: int) -> Lease:
        return self._begin(self._lease(id))

    def lease_revoke(self, id: int) -> None:
        lease = self._lease(id)
        self._cancel(lease)
        del self.leases[id]
        self.delete_keys(sorted(lease.keys))

    def lease_time_to_live(self, id: int) -> float:
        """Seconds left, or -1 if there is no such lease."""
        lease = self.leases.get(id)
        return lease.granted + lease.ttl - self._now() if lease else -1

    def forget_leases(self) -> None:
        """There are none any more; their keys stay."""
        for lease in self.leases.values():
            self._cancel(lease)
        self.leases.clear()

    def _hang(self, key: bytes, before: int, after: int) -> None:
        """A key goes from one lease to another; 0 is none."""
        if before != after and before in self.leases:
            self.leases[before].keys.discard(key)
        if after in self.leases:
            self.leases[after].keys.add(key)

    def _lease(self, id: int) -> Lease:
        if id not in self.leases:
            raise lease_not_found()
        return self.leases[id]

    def _now(self) -> float:
        return self.loop.now if self.loop else 0.0

    def _begin(self, lease: Lease) -> Lease:
        self._cancel(lease)
        lease.granted = self._now()
        if self.loop:
            lease.timer = self.loop.call_later(lease.ttl, self._expire, lease.id, background=True)
        return lease

    @staticmethod
    def _cancel(lease: Lease) -> None:
        if lease.timer:
            lease.timer.cancel()

    def _expire(self, id: int) -> None:
        if id in self.leases:
            self.on_lease_expired(id)
