"""The commands: name -> program. An image names the sets it has; later parts add nodes' commands the same way.

Each is as much of the coreutils or busybox program as lessons and Kubernetes' own end-to-end tests type. An option
that a command does not know is refused with the real program's words, never ignored silently where it would matter.
"""

from collections.abc import Mapping

from k8s_core.shell.commands import (
    archive,
    awk,
    conditions,
    curl,
    disks,
    files,
    filters,
    finding,
    interfaces,
    listing,
    machine,
    names,
    netfilter,
    network,
    processes,
    system,
    text,
)
from k8s_core.shell.process import Command
from k8s_core.shell.sh import sh

COREUTILS: dict[str, Command] = {
    "sh": sh, **archive.COMMANDS, **awk.COMMANDS, **files.COMMANDS, **listing.COMMANDS, **disks.COMMANDS,
    **finding.COMMANDS, **text.COMMANDS, **filters.COMMANDS, **system.COREUTILS, **processes.COREUTILS,
    **conditions.COMMANDS, **names.GETENT,
}  # fmt: skip
DEBIAN: dict[str, Command] = {**COREUTILS, "bash": sh, "dash": sh}
"""A slim Debian image: no ps, no ip, no ping, as in life."""
BUSYBOX: dict[str, Command] = {
    **COREUTILS, "ash": sh, **files.PAGERS, **processes.PROCPS, **system.BUSYBOX, **network.TOOLS, **names.BUSYBOX,
    **netfilter.TOOLS, **interfaces.TOOLS, **interfaces.BUSYBOX, **machine.KERNEL,
}  # fmt: skip
TOOLS: Mapping[str, Mapping[str, Command]] = {
    "none": {},
    "busybox": BUSYBOX,
    "alpine": BUSYBOX,
    "debian": DEBIAN,
    "curl": curl.TOOLS,
    "procps": processes.PROCPS,
    "network": {**network.TOOLS, **curl.TOOLS, **interfaces.TOOLS, **names.BIND, **netfilter.NODE, **netfilter.TOOLS},
    "netfilter": {**netfilter.NODE, **interfaces.TOOLS},
}
"""The sets by the name that the image catalogue uses."""
