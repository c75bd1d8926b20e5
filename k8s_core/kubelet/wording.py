"""How the kubelets of different releases word the same event."""

from typing import NamedTuple


class Words(NamedTuple):
    """Templates of event messages that have changed over time."""

    present: str
    created: str
    started: str


RELEASES: dict[int, Words] = {
    0: Words(
        'Container image "{image}" already present on machine', "Created container {name}", "Started container {name}"
    ),
    32: Words(
        'Container image "{image}" already present on machine',
        "Created container: {name}",
        "Started container {name}",
    ),
    35: Words(
        'Container image "{image}" already present on machine and can be accessed by the pod',
        "Container created",
        "Container started",
    ),
}
"""The first minor release that says it so."""


def words(version: str) -> Words:
    """The words of a release such as "v1.36.2"."""
    minor = int(version.lstrip("v").split(".")[1])
    return RELEASES[max(first for first in RELEASES if first <= minor)]
