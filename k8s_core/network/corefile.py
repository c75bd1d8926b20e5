"""Reads a Corefile: server blocks, their plugins, and CoreDNS's words for what is wrong with one."""

import re
from dataclasses import dataclass, field

KNOWN = frozenset(
    {
        "acl",
        "any",
        "autopath",
        "bind",
        "bufsize",
        "cache",
        "cancel",
        "chaos",
        "debug",
        "dns64",
        "dnssec",
        "errors",
        "file",
        "forward",
        "header",
        "health",
        "hosts",
        "kubernetes",
        "loadbalance",
        "local",
        "log",
        "loop",
        "minimal",
        "metadata",
        "nsid",
        "pprof",
        "prometheus",
        "ready",
        "reload",
        "rewrite",
        "root",
        "secondary",
        "template",
        "tls",
        "trace",
        "transfer",
        "view",
        "whoami",
        "import",
    }
)
"""The directives that CoreDNS is built with; those that dns.py does nothing with are accepted in silence."""


class CorefileError(ValueError):
    """What CoreDNS says before it exits."""


@dataclass(slots=True)
class Directive:
    name: str
    arguments: list[str]
    block: list[list[str]] = field(default_factory=list)

    def options(self, name: str) -> list[str] | None:
        """The arguments of a line of its block, or None."""
        return next((line[1:] for line in self.block if line[0] == name), None)


@dataclass(slots=True)
class ServerBlock:
    zones: list[str]  # without the last dot; "" is the root
    port: int
    plugins: list[Directive] = field(default_factory=list)

    def plugin(self, name: str) -> Directive | None:
        return next((p for p in self.plugins if p.name == name), None)

    def serves(self, name: str) -> int:
        """How many labels of `name` a zone of this block covers; -1 for none."""
        fits = [z for z in self.zones if not z or name == z or name.endswith("." + z)]
        return max((z.count(".") + 1 if z else 0 for z in fits), default=-1)


def parse(text: str) -> list[ServerBlock]:
    """The server blocks of a Corefile; raises CorefileError."""
    blocks: list[ServerBlock] = []
    current: ServerBlock | None = None
    directive: Directive | None = None
    number = 0
    for number, raw in enumerate(text.splitlines(), 1):
        words = re.findall(r'"(?:\\.|[^"])*"|[^\s"]+', raw.split("#")[0])
        if not words:
            continue
        if current is None:
            if words[-1] != "{":
                raise CorefileError(f"Corefile:{number} - Error during parsing: Unknown directive '{words[0]}'")
            zones, port = [], 53
            for word in words[:-1]:
                name, _, text_port = word.rstrip(",").removeprefix("dns://").partition(":")
                zones.append(name.rstrip(".").lower())
                port = int(text_port) if text_port.isdigit() else port
            current = ServerBlock(zones, port)
            blocks.append(current)
        elif words == ["}"]:
            if directive is not None:
                directive = None
            else:
                current = None
        elif directive is not None:
            directive.block.append([w.strip('"') for w in words])
        else:
            opens = words[-1] == "{"
            one = Directive(words[0], [w.strip('"') for w in (words[1:-1] if opens else words[1:])])
            if one.name not in KNOWN:
                raise CorefileError(f"Corefile:{number} - Error during parsing: Unknown directive '{one.name}'")
            current.plugins.append(one)
            directive = one if opens else None
    if current is not None:
        raise CorefileError(f"Corefile:{number} - Error during parsing: Unexpected end of input")
    return blocks
