"""The one word that kubectl says of a Pod (its printers' STATUS column), from the object alone."""

from typing import Any


def pod_status(pod: dict[str, Any]) -> str:
    """What kubectl's STATUS column says: the reason of whatever keeps the Pod from running, else its phase."""
    status = pod.get("status", {})
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    initial = status.get("initContainerStatuses", [])
    for number, container in enumerate(initial):
        terminated = container.get("state", {}).get("terminated")
        sidecar = container.get("started") and container.get("state", {}).get("running")
        if sidecar or (terminated and terminated.get("exitCode") == 0):
            continue
        reason = (terminated or container.get("state", {}).get("waiting") or {}).get("reason", "")
        return f"Init:{reason}" if reason not in ("", "PodInitializing") else f"Init:{number}/{len(initial)}"
    for container in reversed(status.get("containerStatuses", [])):
        current = container.get("state", {})
        reason = (current.get("waiting") or current.get("terminated") or {}).get("reason")
        if reason:
            return str(reason)
    return str(status.get("reason") or status.get("phase", "Pending"))
