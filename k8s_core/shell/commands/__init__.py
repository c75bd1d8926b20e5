"""The commands: name -> program. An image names the sets it has; later parts add nodes' commands the same way.

Each is as much of the coreutils or busybox program as lessons and Kubernetes' own end-to-end tests type. An option
that a command does not know is refused with the real program's words, never ignored silently where it would matter.
"""

from collections.abc import Mapping

from k8s_core.shell.commands import files, network, system, text
from k8s_core.shell.interpreter import sh
from k8s_core.shell.process import Command

SHELLS: dict[str, Command] = {"sh": sh}
COREUTILS: dict[str, Command] = SHELLS | files.COMMANDS | text.COMMANDS | system.COREUTILS
DEBIAN: dict[str, Command] = COREUTILS | {"bash": sh, "dash": sh} | system.DEBIAN
BUSYBOX: dict[str, Command] = COREUTILS | {"ash": sh} | system.PROCPS | system.BUSYBOX | network.BUSYBOX
ALPINE: dict[str, Command] = BUSYBOX
TOOLS: Mapping[str, Mapping[str, Command]] = {
    "none": {},
    "busybox": BUSYBOX,
    "alpine": ALPINE,
    "debian": DEBIAN,
    "curl": {"curl": network.curl},
    "procps": system.PROCPS,
    "network": network.TOOLS,
}
"""The sets by the name that the image catalogue uses."""
