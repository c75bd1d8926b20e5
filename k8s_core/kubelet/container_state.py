"""What the kubelet remembers of one container of a Pod: its runs, its back-offs, what its probes said."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from k8s_core.kubelet.container import Container

if TYPE_CHECKING:
    from k8s_core.kubelet.prober import Probe


@dataclass(slots=True)
class BackOff:
    """client-go's flowcontrol.Backoff for one key: doubles with every failure, forgets after twice its ceiling."""

    initial: float
    ceiling: float
    delay: float = 0.0
    updated: float = float("-inf")

    def wait(self, since: float, now: float) -> float:
        """Seconds still to wait after a failure at `since`; 0 when it may be tried."""
        if not self.delay or now - self.updated > 2 * self.ceiling:
            return 0.0
        return max(0.0, since + self.delay - now)

    def next(self, now: float) -> None:
        """It is tried again: the next wait is twice as long."""
        if not self.delay or now - self.updated > 2 * self.ceiling:
            self.delay = self.initial
        else:
            self.delay = min(self.delay * 2, self.ceiling)
        self.updated = now


@dataclass(slots=True)
class ContainerState:
    """One container. `current` is its newest run, `previous` the one before, `waiting` why it does not run."""

    backoff: BackOff
    image_backoff: BackOff
    current: Container | None = None
    previous: Container | None = None
    restarts: int = 0
    ran: bool = False
    """Whether there was a run at all, in this sandbox or one before."""
    waiting: tuple[str, str] | None = None
    ready: bool = False
    started: bool = False
    image_failed: float = float("-inf")
    image_error: str = ""
    probes: list["Probe"] = field(default_factory=list)
    stopping: bool = False
    """SIGTERM is on its way (a failed probe, the Pod's end)."""
    resized: bool = False
    """It ends because its new size needs it: it is started anew at once, whatever the policy says."""
    backing_off: bool = False
    """The BackOff event of this wait has been sent."""
