"""A shell's variables, options, open files and words of complaint: the part of it that does not run anything."""

import re

from k8s_core.shell.arithmetic import ExpansionError
from k8s_core.shell.pipes import Output, Pipe
from k8s_core.shell.process import Process
from k8s_core.shell.syntax import Command

NEAR = re.compile(r'syntax error: unexpected "(.+?)".*')
"""How ash and dash tell of a word that must not stand where it does; bash has other words for it."""
MAX_VARIABLES = 4 << 20
"""Bytes that a shell's variables may hold."""
OPTIONS = {"errexit": "e", "nounset": "u", "xtrace": "x", "noglob": "f"}
"""Those that are obeyed, by their long names."""


class Variables:
    """The state that a subshell copies."""

    def __init__(self, process: Process, *, name: str = "", positional: list[str] | None = None) -> None:
        self.process = process
        self.fds: dict[int, Output] = {0: process.stdin, 1: process.stdout, 2: process.stderr}
        self.name = name or process.argv[0]
        self.positional = positional or []
        self.variables = dict(process.env)
        self._size = 0
        self.exported = set(process.env)
        self.functions: dict[str, Command] = {}
        self.scopes: list[dict[str, str | None]] = []
        """What `local` has hidden in each function that is running."""
        self.options = dict.fromkeys(OPTIONS.values(), False)
        self.status = 0
        self.traps: dict[str, str] = {}
        self.last_background = 0
        self.children: dict[int, Process] = {}
        self.interactive = False
        self._steps = self._calls = self._tested = 0

    @property
    def flavour(self) -> str:
        """Whose words it speaks: ash, dash or bash."""
        return "bash" if self.process.name.lstrip("-") == "bash" else self.process.machine.shell

    # --- open files -----------------------------------------------------------------------------------------
    @property
    def stdin(self) -> Pipe:
        found = self.fds[0]
        return found if isinstance(found, Pipe) else Pipe(closed=True)

    def out(self, text: str) -> None:
        self.fds[1].write(text.encode())

    def err(self, text: str) -> None:
        self.fds[2].write(text.encode())

    def complain(self, message: str) -> None:
        flavour = self.flavour
        if flavour == "bash":
            message = NEAR.sub(r"syntax error near unexpected token `\1'", message)
        line = "" if self.interactive or flavour == "ash" else "line 1: " if flavour == "bash" else "1: "
        self.err(f"{self.name.lstrip('-')}: {line}{message}\n")

    # --- variables ------------------------------------------------------------------------------------------
    def get(self, name: str, default: str = "") -> str:
        return self.variables.get(name, default)

    def set(self, name: str, value: str) -> None:
        """Set a variable; raises ExpansionError when all together grow too big."""
        self._size += len(value) - len(self.variables.get(name, ""))
        if self._size > MAX_VARIABLES:
            raise ExpansionError("out of memory")
        self.variables[name] = value

    def lookup(self, name: str) -> str | None:
        """The value of a variable or special parameter; None if unset."""
        if name.isdigit():
            return dict(enumerate([self.name, *self.positional])).get(int(name))
        if name == "!":
            return str(self.last_background) if self.last_background else ""
        if name == "RANDOM" and name not in self.variables:
            return str(self.process.machine.loop.random.randrange(32768))
        special = {
            "@": " ".join(self.positional), "*": " ".join(self.positional), "#": len(self.positional),
            "?": self.status, "$": self.process.pid, "PWD": self.process.cwd,
            "-": "".join(option for option, on in self.options.items() if on),
        }  # fmt: skip
        return str(special[name]) if name in special else self.variables.get(name)

    def environment(self) -> dict[str, str]:
        return {name: self.variables[name] for name in self.variables if name in self.exported}
