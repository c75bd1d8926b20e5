"""The way of one connection's first packet through one node: tables, chains, rules, connection tracking.

Stands for netfilter's hooks. Promises: the node's rules are walked in iptables' order, every rule that matched is
noted with the packet as it then was, a connection that is known already keeps its translation whatever the rules say
now. What lies between the nodes is network.py's.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from k8s_core.limits import CONNTRACK_MAX, CONNTRACK_SECONDS
from k8s_core.network.rules import Chain
from k8s_core.network.tables import Chains, Tables

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


SHARED = ("KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-FORWARD", "KUBE-NODEPORTS", "KUBE-PROXY-FIREWALL",
          "KUBE-POSTROUTING", "KUBE-MARK-MASQ")  # fmt: skip
"""Chains that every sync of kube-proxy writes anew."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One change by hand."""

    table: str
    chain: str
    action: str
    rule: str = ""
    position: int = 0

    def apply(self, chains: Chains) -> None:
        """Change the table's chains."""
        rules = list(chains.get(self.chain, ()))
        if self.action == "-X":
            chains.pop(self.chain, None)
            return
        if self.action == "-F":
            rules = []
        elif self.action == "-A":
            rules.append(self.rule)
        elif self.action == "-I":
            rules.insert(max(self.position - 1, 0), self.rule)
        elif self.rule in rules:
            there = rules[self.position - 1 : self.position] == [self.rule]
            del rules[self.position - 1 if there else rules.index(self.rule)]
        chains[self.chain] = rules


class Backend(Protocol):
    """Rules beside the tables: nftables_walk.py and ipvs.py."""

    def pass_hook(self, hook: str, table: str, packet: Packet, host: "Host", steps: list[Step]) -> str:
        """As Host's; "" where nothing was decided."""
        ...


class Host:
    """One node's side of the network: its addresses, rules and memory of connections."""

    def __init__(self, name: str, address: str, now: Callable[[], float], chance: random.Random) -> None:
        self.name, self.address, self.now, self.random = name, address, now, chance
        self.addresses = {address}
        self.recent: dict[str, dict[str, float]] = {}
        self.tracked: dict[Connection, Tracked] = {}
        self.load: Callable[[], Tables] = dict
        """Gives the tables as they should be now; the same object as long as nothing changed."""
        self.interface: Callable[[str], str] = lambda address: "eth0"
        """The interface that leads to an address; "" for the node's own."""
        self.backend: Backend | None = None
        """What else packets meet at every hook, where kube-proxy does not run in iptables mode."""
        self.edits: list[Edit] = []
        """What somebody changed by hand, in order."""
        self.policies: dict[str, dict[str, str]] = {}
        """table -> built-in chain -> what becomes of what no rule decides; ACCEPT unless said here."""
        self.counts: Counter[tuple[str, str]] = Counter()
        """How many packets each rule (table and chain, text) has matched."""
        self._loaded: Tables | None = None
        self._tables: Tables | None = None
        self._chains: dict[str, dict[str, Chain]] = {}
        self.up = True

    def owns(self, address: str) -> bool:
        return address in self.addresses or address.startswith("127.")

    def tables(self) -> Tables:
        loaded = self.load()
        if loaded is not self._loaded or self._tables is None:
            self._loaded, self._chains = loaded, {}
            self._tables = {table: dict(chains) for table, chains in loaded.items()} if self.edits else loaded
            for edit in self.edits:
                edit.apply(self._tables[edit.table])
        return self._tables

    def edit(self, table: str, chain: str, action: str, rule: str = "", position: int = 0) -> None:
        """iptables by hand: -A, -I (in front, or at a position), -D (a rule, or at a position), -F, -N or -X."""
        self.edits.append(Edit(table, chain, action, rule, position))
        self._tables = None

    def renewed(self, *, full: bool) -> None:
        """kube-proxy has written its rules: those that it shares between Services, or all of its own and the jumps.

        What others did to chains that it wrote is gone; what they did to other chains stays.
        """
        flushed = {(e.table, e.chain): i for i, e in enumerate(self.edits) if e.action == "-F"}
        self.edits = [
            e
            for i, e in enumerate(self.edits)
            if not (e.chain.startswith("KUBE-") if full else e.chain in SHARED)
            and not (full and i <= flushed.get((e.table, e.chain), -1))
        ]
        self._tables = None

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
        verdict = self._walk(hook, table, hook, packet, steps)
        if not verdict and self.policies.get(table, {}).get(hook) == "DROP":
            steps.append((self.name, hook, f"{table}/{hook}", "policy of the chain", "DROP", str(packet)))
            return "DROP"
        if self.backend and verdict in ("", "ACCEPT"):
            verdict = self.backend.pass_hook(hook, table, packet, self, steps)
        return verdict or "ACCEPT"

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
            self.counts[where, rule.text] += 1
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
        self.tables()  # kube-proxy's sync forgets what is stale
        entry = self.tracked.get(connection)
        if entry and entry.expires < self.now():
            del self.tracked[connection]
            return None
        return entry
