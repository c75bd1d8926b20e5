"""What a cluster of this process keeps of its past, for checks: versions, requests, connections, DNS queries.

Everything is in virtual time. A real cluster keeps none of it where a check could look; there a check has no `Past`.
The last thousands of requests, connections and queries are kept (limits.py), and every version of every object.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from k8s_core.cluster import Cluster


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in a cluster's past: etcd's revision, the number of the last request, virtual seconds since the epoch."""

    revision: int = 0
    request: int = 0
    time: float = 0.0


class Past:
    """One cluster's. All answers are in the order in which things happened."""

    beginning = Moment()

    def __init__(self, cluster: Cluster):
        self.cluster = cluster

    def now(self) -> Moment:
        with self.cluster.lock:
            return Moment(self.cluster.etcd.revision, self.cluster.apiserver.audit.number, self.cluster.loop.now)

    def versions(self, resource: str, name: str, namespace: str, since: Moment) -> Sequence[dict[str, Any]]:
        """Every version of an object after a moment; an empty one where it was deleted."""
        with self.cluster.lock:
            changes = self.cluster.history.changes(since.revision, resource=resource, name=name, namespace=namespace)
            return [change.new or {} for change in changes]

    def requests(self, since: Moment) -> Sequence[dict[str, Any]]:
        """Requests to the apiserver, as audit events."""
        with self.cluster.lock:
            return list(self.cluster.apiserver.audit.since(since.request))

    def flows(self, since: Moment) -> Sequence[dict[str, Any]]:
        """Connections: from whom, to which address and port, what became of them, who answered."""
        with self.cluster.lock:
            return [flow.data() for flow in self.cluster.network.flows if flow.time >= since.time]

    def queries(self, since: Moment) -> Sequence[dict[str, Any]]:
        """DNS queries: who asked for what, and what came of it."""
        with self.cluster.lock:
            return [query for query in self.cluster.network.dns.queries if query["time"] >= since.time]
