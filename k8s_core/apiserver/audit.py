"""Who did what, when, and how it ended: an audit log of every request, bounded, for learners and checks.

Entries have the fields of audit.k8s.io Events that people look at, and one more: the trace of the stages the
request went through. They are kept as small tuples and become dicts when somebody asks.
"""

import hashlib
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

from k8s_core.api import Object
from k8s_core.apiserver.request import Request
from k8s_core.limits import AUDIT_LOG_SIZE


class Entry(NamedTuple):
    number: int
    time: str
    user: str
    acting: str  # the user that it was asked to act as, with `kubectl --as`; "" for nobody else
    agent: str
    verb: str
    resource: str
    group: str
    namespace: str
    name: str
    path: str
    code: int
    message: str
    trace: tuple[tuple[str, str], ...]


class AuditLog:
    """The last `AUDIT_LOG_SIZE` requests, oldest first; `number` counts all that ever were."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=AUDIT_LOG_SIZE)
        self.number = 0

    def add(self, request: Request, time: str, code: int, message: str = "") -> None:
        self.number += 1
        resource = request.resource
        self.entries.append(
            Entry(
                self.number,
                time,
                (request.impersonator or request.user).name,
                request.user.name if request.impersonator not in (None, request.user) else "",
                request.headers.get("user-agent", ""),
                request.verb,
                request.target,
                resource.group if resource else "",
                request.namespace,
                request.name,
                request.path,
                code,
                message,
                tuple(request.trace),
            )
        )

    @property
    def id(self) -> str:
        """The Audit-Id of the last request: made of its number, so that it takes nothing from the loop's random."""
        return str(UUID(bytes=hashlib.sha256(b"audit %d" % self.number).digest()[:16], version=4))

    def since(self, number: int = 0) -> Iterator[Object]:
        """Entries after `number` as audit events, oldest first."""
        for entry in self.entries:
            if entry.number > number:
                yield {
                    "number": entry.number,
                    "verb": entry.verb,
                    "user": {"username": entry.user},
                    **({"impersonatedUser": {"username": entry.acting}} if entry.acting else {}),
                    "userAgent": entry.agent,
                    "requestURI": entry.path,
                    "objectRef": {
                        "resource": entry.resource,
                        "apiGroup": entry.group,
                        "namespace": entry.namespace,
                        "name": entry.name,
                    },
                    "responseStatus": {"code": entry.code, "message": entry.message},
                    "requestReceivedTimestamp": entry.time,
                    "trace": [list(stage) for stage in entry.trace],
                }
