"""Asking again: what changed an object early may want to see what later plugins made of it (reinvocationPolicy).

When a webhook or a policy has changed an object, all mutating plugins run once more, so that a container that was added
gets its limits and its token, too. Of webhooks and policies only those run again that asked to (IfNeeded) and after
whose turn the object changed. Stands for the reinvocation contexts of apiserver's pkg/admission.
"""

from copy import deepcopy
from dataclasses import dataclass, field

from k8s_core.api import Object


@dataclass(slots=True)
class _Turns:
    """One plugin's hooks (or policies), by name."""

    asked: set[str] = field(default_factory=set)
    """Asked, with IfNeeded, and nothing changed since."""
    due: set[str] = field(default_factory=set)
    left: Object | None = None
    """The object as the plugin left it."""


class Reinvocation:
    """What one request's admission remembers from its first round for its second."""

    def __init__(self) -> None:
        self.wanted = self.second = False
        self._turns: dict[str, _Turns] = {}

    def begin(self, plugin: str, obj: Object | None) -> None:
        """A plugin's hooks are about to be asked."""
        turns = self._turns.setdefault(plugin, _Turns())
        if self.second and turns.left != obj:
            self._changed(turns)

    def skips(self, plugin: str, hook: str) -> bool:
        """Whether a hook has said all that it has to say."""
        return self.second and hook not in self._turns[plugin].due

    def asked(self, plugin: str, hook: str, policy: str | None, *, changed: bool) -> None:
        """A hook has answered."""
        turns = self._turns[plugin]
        if changed:
            self.wanted = True
            self._changed(turns)
        if policy == "IfNeeded":
            turns.asked.add(hook)

    def end(self, plugin: str, obj: Object | None) -> None:
        """All of a plugin's hooks have been asked."""
        turns = self._turns[plugin]
        turns.left = deepcopy(obj) if turns.asked else None

    @staticmethod
    def _changed(turns: _Turns) -> None:
        turns.due |= turns.asked
        turns.asked = set()
