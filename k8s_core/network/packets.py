"""The way of one connection's first packet through one node: tables, chains, rules, connection tracking.

Stands for netfilter's hooks. Promises: the node's rules are walked in iptables' order, every rule that matched is
noted with the packet as it then was, a connection that is known already keeps its translation whatever the rules say
now. What lies between the nodes is network.py's.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from k8s_core.limits import CONNTRACK_MAX, CONNTRACK_SECONDS
from k8s_core.network.rules import Chain
from k8s_core.network.tables import Tables

Connection = tuple[str, str, int, str, int]
"""protocol, source, its port, destination, its port."""


@dataclass(slots=True)
class Packet:
    """What rules see of a packet; they change it."""

    source: str
    source_port: int
    destination: str
    destination_port: int
    protocol: str = "tcp"
    mark: int = 0
    state: str = "NEW"
    translated: bool = False

    def __str__(self) -> str:
        return f"{self.source}:{self.source_port} -> {self.destination}:{self.destination_port}"

    @property
    def connection(self) -> Connection:
        return (self.protocol, self.source, self.source_port, self.destination, self.destination_port)


Step = tuple[str, str, str, str, str, str]
"""node, hook, table and chain ("nat/KUBE-SERVICES"), rule, outcome, packet afterwards."""


@dataclass(slots=True)
class Tracked:
    """An entry of the connection tracking table."""

    original: Connection
    translated: Connection
    expires: float


@dataclass(slots=True)
class Flow:
    """One connection: what was asked for, what became of it and why, step by step."""

    time: float
    source: str
    destination: str
    port: int
    protocol: str
    result: str = ""  # connected, refused, timeout, unreachable
    reason: str = ""
    answered_by: str = ""
    answered_port: int = 0
    seen_from: str = ""
    steps: list[Step] = field(default_factory=list)
    name: str = ""  # the Pod (namespace/name) or node it came from

    def data(self) -> dict[str, Any]:
        """As plain data."""
        keys = ("node", "hook", "chain", "rule", "outcome", "packet")
        plain = {key: getattr(self, key) for key in self.__slots__}
        plain["steps"] = [dict(zip(keys, step, strict=True)) for step in self.steps]
        return plain


class Host:
    """One node's side of the network: its addresses, rules and memory of connections."""

    def __init__(self, name: str, address: str, now: Callable[[], float], chance: random.Random) -> None:
        self.name, self.address, self.now, self.random = name, address, now, chance
        self.addresses = {address}
        self.recent: dict[str, dict[str, float]] = {}
        self.tracked: dict[Connection, Tracked] = {}
        self.load: Callable[[], Tables] = dict
        """Gives the tables as they should be now; the same object as long as nothing changed."""
        self.flushed: Callable[[], None] = lambda: None
        """Called when somebody clears the rules."""
        self.own: Tables = {}
        """Rules that somebody put in front ("^CHAIN") or at the end of a chain by hand."""
        self._loaded: Tables | None = None
        self._tables: Tables | None = None
        self._chains: dict[str, dict[str, Chain]] = {}
        self.up = True

    def owns(self, address: str) -> bool:
        return address in self.addresses or address.startswith("127.")

    def tables(self) -> Tables:
        loaded = self.load()
        if loaded is not self._loaded or self._tables is None:
            self._loaded = self._tables = loaded
            self._chains = {}
            for table, chains in self.own.items():
                self._tables = {**self._tables, table: dict(self._tables.get(table, {}))}
                for chain, rules in chains.items():
                    name = chain.lstrip("^")
                    there = self._tables[table].get(name, [])
                    self._tables[table][name] = [*rules, *there] if chain[0] == "^" else [*there, *rules]
        return self._tables

    def change(self, action: str, table: str, chain: str, rule: str) -> bool:
        """iptables -A, -I or -D by hand; False if there is no such rule of that kind to delete."""
        chains = self.own.setdefault(table, {})
        self._tables = None
        if action == "-D":
            for name in (chain, f"^{chain}"):
                if rule in chains.get(name, ()):
                    chains[name].remove(rule)
                    return True
            return False
        if action == "-I":
            chains.setdefault(f"^{chain}", []).insert(0, rule)
        else:
            chains.setdefault(chain, []).append(rule)
        return True

    def flush(self, table: str, chain: str = "") -> None:
        """iptables -F: rules made by hand are gone, kube-proxy's until it notices."""
        kept = {k: v for k, v in self.own.get(table, {}).items() if chain and k.lstrip("^") != chain}
        self.own[table] = kept
        self._tables = None
        if not chain:
            self.flushed()

    def _chain(self, table: str, name: str) -> Chain | None:
        known = self._chains.setdefault(table, {})
        chain = known.get(name)
        if chain is None:
            assert self._tables is not None
            lines = self._tables.get(table, {}).get(name)
            if lines is None:
                return None
            chain = known[name] = Chain(lines)
        return chain

    # --- hooks ----------------------------------------------------------------------------------------------
    def pass_hook(self, hook: str, table: str, packet: Packet, steps: list[Step]) -> str:
        """Walk a built-in chain; gives ACCEPT, DROP, REJECT, DNAT or MASQUERADE."""
        self.tables()
        return self._walk(hook, table, hook, packet, steps) or "ACCEPT"

    def _walk(self, hook: str, table: str, name: str, packet: Packet, steps: list[Step]) -> str:
        chain = self._chain(table, name)
        if chain is None:
            return ""
        where = f"{table}/{name}"
        shown = str(packet)
        for rule in chain.candidates(packet.destination):
            if not rule.matches(packet, self):
                if rule.odds < 1:
                    steps.append((self.name, hook, where, rule.text, "passed over", shown))
                continue
            jump = rule.jump
            if jump == "DNAT":
                address, _, port = rule.options.split()[1].partition(":")
                packet.destination, packet.destination_port = address, int(port or packet.destination_port)
                packet.translated, shown = True, str(packet)
            elif jump == "MARK":
                value, _, mask = rule.options.split()[1].partition("/")
                packet.mark = packet.mark & ~int(mask, 0) ^ int(value, 0)
            steps.append((self.name, hook, where, rule.text, jump or "counted", shown))
            if jump in ("ACCEPT", "DROP", "REJECT", "DNAT", "MASQUERADE"):
                return jump
            if jump == "RETURN":
                return ""
            if jump and jump not in ("MARK", "LOG"):
                verdict = self._walk(hook, table, jump, packet, steps)
                if verdict:
                    return verdict
        return ""

    # --- connection tracking --------------------------------------------------------------------------------
    def remember(self, original: Connection, translated: Connection) -> None:
        protocol = original[0]
        if len(self.tracked) >= CONNTRACK_MAX:  # the oldest go first; the kernel would refuse the new one
            for key in list(self.tracked)[: CONNTRACK_MAX // 8]:
                del self.tracked[key]
        expires = self.now() + CONNTRACK_SECONDS.get(protocol, 600.0)
        self.tracked[original] = Tracked(original, translated, expires)

    def known(self, connection: Connection) -> Tracked | None:
        entry = self.tracked.get(connection)
        if entry and entry.expires < self.now():
            del self.tracked[connection]
            return None
        return entry
