"""Grading on more than one machine: a Dask cluster, named by its scheduler's address, judges the submissions.

Every worker needs the course in the same version, and whatever shuts submissions in (sandbox.py); what it runs is
decided here and sent to it, and marks come back. The gradebook stays here. A worker that is lost costs time and nothing
else: its submissions are judged by another. Left out: starting and securing the cluster, which is Dask's own business
(its address may be tls://).
"""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from course.grading.court import Court
from course.grading.intake import Submission
from course.grading.sandbox import DEFAULT, Limits
from course.grading.verdict import Verdict

CONNECT = "10s"
"""How long a scheduler may take to answer."""
AHEAD = 2
"""Submissions that are sent out for each thread of a worker, so that none waits for the next."""
TRIES = 3
"""Workers that may be lost over one submission."""


class Many:
    """A court on all workers of a Dask cluster. ConnectionError if there is none at the address, or without workers."""

    def __init__(self, address: str, assignment: str, *, limits: Limits = DEFAULT, trust: bool = False):
        try:
            from distributed import Client  # noqa: PLC0415  # only for who has a cluster
        except ImportError:
            raise ConnectionError("Dask is not installed here: pip install 'kubernetes-apart[dask]'") from None

        self.assignment, self.limits, self.trust = assignment, limits, trust
        try:
            self.client = Client(address, timeout=CONNECT, set_as_default=False)
        except OSError as error:
            raise ConnectionError(f"There is no Dask scheduler at {address}: {error}") from None
        self.threads = sum(self.client.nthreads().values())
        if not self.threads:
            self.close()
            raise ConnectionError(f"The Dask scheduler at {address} has no workers.")

    def close(self) -> None:
        self.client.run(_leave)
        self.client.close()

    def __enter__(self) -> "Many":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def judge_all(self, submissions: Iterable[Submission]) -> Iterator[tuple[Submission, Verdict]]:
        """Each as it is done, wherever. What a worker could not judge at all raises what it raised there."""
        from distributed import as_completed  # noqa: PLC0415

        out: dict[Any, Submission] = {}
        coming = iter(submissions)
        done: Any = as_completed(loop=self.client.loop)
        limits = asdict(self.limits)
        while True:
            while len(out) < AHEAD * self.threads and (submission := next(coming, None)) is not None:
                future = self.client.submit(
                    _judge, submission, self.assignment, limits, self.trust, pure=False, retries=TRIES
                )
                out[future] = submission
                done.add(future)
            if not out:
                return
            future = next(done)
            yield out.pop(future), Verdict.of(future.result())


_courts: dict[tuple[str, str, bool], Court] = {}
_lock = threading.Lock()


def _judge(submission: Submission, assignment: str, limits: dict[str, Any], trust: bool) -> dict[str, Any]:
    """On a worker: one court for each assignment, kept warm until the grading is over."""
    key = (assignment, repr(sorted(limits.items())), trust)
    with _lock:
        if key not in _courts:
            _courts[key] = Court(assignment, workers=_threads(), limits=Limits(**limits), trust=trust)
    return _courts[key].judge(submission).data()


def _threads() -> int:
    from distributed import get_worker  # noqa: PLC0415

    return int(get_worker().state.nthreads)


def _leave() -> None:
    with _lock:
        while _courts:
            _courts.popitem()[1].close()
