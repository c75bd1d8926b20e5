"""What forgets old revisions by itself, when --auto-compaction-retention says so. Stands for etcd's v3compactor."""

from collections import deque

from aetcd.rpc import rpc_pb2

from k8s_core.api.times import parse_duration
from k8s_core.etcd.service import Service
from k8s_core.etcd.store import EtcdError
from k8s_core.limits import ETCD_REVISION_COMPACTION_PERIOD

HOUR = 3600.0


class AutoCompaction:
    """Mode "periodic" keeps the revisions of the last `retention`, mode "revision" that many; "0" keeps all."""

    def __init__(self, service: Service, mode: str, retention: str):
        if mode not in ("periodic", "revision"):
            raise ValueError(f"unsupported compaction mode {mode}")
        self.service, self.seen = service, deque[int]()
        if retention == "0":
            return
        if mode == "revision":
            service.loop.every(ETCD_REVISION_COMPACTION_PERIOD, self._compact_to, int(retention))
            return
        kept = int(retention) * HOUR if retention.isdigit() else parse_duration(retention)
        period = min(kept, HOUR) / 10
        self.seen = deque(maxlen=round(kept / period) + 1)
        service.loop.every(period, self._remember)

    def _remember(self) -> None:
        self.seen.append(self.service.store.revision)
        if len(self.seen) == self.seen.maxlen:
            self._compact(self.seen[0])

    def _compact_to(self, kept: int) -> None:
        self._compact(self.service.store.revision - kept)

    def _compact(self, revision: int) -> None:
        if revision > self.service.store.compact_revision and revision > 0:
            try:
                self.service.propose("compact", rpc_pb2.CompactionRequest(revision=revision))
            except EtcdError as error:
                self.service.loop.log("etcd", f"auto compaction at {revision} failed: {error}")
