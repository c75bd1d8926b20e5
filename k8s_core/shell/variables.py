"""A shell's variables, options and words of complaint: the part of an environment that does not run anything."""

from dataclasses import dataclass

from k8s_core.shell.expand import ExpansionError
from k8s_core.shell.pipes import Output, Pipe
from k8s_core.shell.process import Process
from k8s_core.shell.syntax import Node

MAX_VARIABLES = 4 << 20
"""Bytes that a shell's variables may hold."""


@dataclass(frozen=True, slots=True)
class Streams:
    stdin: Pipe
    stdout: Output
    stderr: Output


class Variables:
    """The state that a subshell copies."""

    def __init__(self, process: Process, *, name: str = "", positional: list[str] | None = None) -> None:
        self.process = process
        self.streams = Streams(process.stdin, process.stdout, process.stderr)
        self.name = name or process.argv[0]
        self.positional = positional or []
        self.variables = dict(process.env)
        self._size = 0
        self.exported = set(process.env)
        self.functions: dict[str, Node] = {}
        self.options = {"e": False, "u": False, "x": False, "f": False}
        self.status = 0
        self.traps: dict[str, str] = {}
        self.last_background = 0
        self.children: dict[int, Process] = {}
        self.interactive = False
        self._steps = self._calls = self._tested = 0

    @property
    def flavour(self) -> str:
        """Whose words it speaks: ash, dash or bash."""
        return "bash" if self.process.argv[0].rsplit("/", 1)[-1].lstrip("-") == "bash" else self.process.machine.shell

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
            number = int(name)
            if number == 0:
                return self.name
            return self.positional[number - 1] if number <= len(self.positional) else None
        if name in ("@", "*"):
            return " ".join(self.positional)
        if name == "#":
            return str(len(self.positional))
        if name == "?":
            return str(self.status)
        if name == "$":
            return str(self.process.pid)
        if name == "!":
            return str(self.last_background) if self.last_background else ""
        if name == "-":
            return "".join(o for o, on in self.options.items() if on)
        if name == "RANDOM" and name not in self.variables:
            return str(self.process.machine.loop.random.randrange(32768))
        if name == "PWD":
            return self.process.cwd
        return self.variables.get(name)

    def environment(self) -> dict[str, str]:
        return {name: self.variables[name] for name in self.variables if name in self.exported}

    def complain(self, message: str) -> None:
        flavour = self.flavour
        line = "" if self.interactive or flavour == "ash" else "line 1: " if flavour == "bash" else "1: "
        name = self.name.rsplit("/", 1)[-1].lstrip("-")
        self.streams.stderr.write(f"{name}: {line}{message}\n".encode())
