"""Which containers of a Pod are to be started now.

Stands for kuberuntime_manager.go's computePodActions: a pure function of the spec and of what has run.
"""

from collections.abc import Callable

from k8s_core.api import Object
from k8s_core.kubelet import status as make
from k8s_core.kubelet.container import EXITED, RUNNING, Container
from k8s_core.kubelet.container_state import ContainerState


def changed(container: Object, run: Container | None) -> bool:
    """Whether a container's image has become another since it was started."""
    return run is not None and run.config.reference != container["image"]


def wanted(spec: Object, state_of: Callable[[str], ContainerState], *, fake: bool) -> list[Object]:
    """The init container whose turn it is, with the sidecars before it; or the sidecars and all the others."""
    found: list[Object] = []
    regular_started = any(state_of(c["name"]).current for c in spec["containers"])
    for container in spec.get("initContainers") or ():
        state = state_of(container["name"])
        current = state.current
        if make.restartable(container):
            if current is None or current.state == EXITED:
                found.append(container)
            running = current and current.state == RUNNING and (state.started or fake)
            if not regular_started and not running:
                return found
            continue
        if regular_started or (current and current.state == EXITED and current.exit_code == 0):
            continue
        if current is None:
            return [*found, container]
        if current.state == EXITED:
            return [*found, container] if make.restarts(container, spec, current.exit_code) else []
        return found
    for container in spec["containers"]:
        state = state_of(container["name"])
        if state.current is None or (state.current.state == EXITED and _again(container, spec, state, state.current)):
            found.append(container)
    extra = spec.get("ephemeralContainers") or ()
    return found + [c for c in extra if state_of(c["name"]).current is None]


def _again(container: Object, spec: Object, state: ContainerState, ended: Container) -> bool:
    return make.restarts(container, spec, ended.exit_code) or state.resized or changed(container, ended)
