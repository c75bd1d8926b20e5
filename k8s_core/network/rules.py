"""Rules as a packet meets them: lines of iptables-save, understood.

Stands for the kernel's xtables matches, as many as kube-proxy, the kubelet and a learner's own `iptables -A` use. A
match that is not known here is refused when the rule is read, not ignored.
"""

import ipaddress
import shlex
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k8s_core.network.packets import Host, Packet

Test = Callable[["Packet", "Host"], bool]
INDEX_FROM = 16
"""Chains with more rules are looked up by destination; the kernel walks them one by one, with the same outcome."""


class BadRule(ValueError):
    """A rule that iptables would not take, in its words."""


@lru_cache(maxsize=1 << 14)
def number(address: str) -> int:
    """An IPv4 address as an integer; -1 for anything else."""
    parts = address.split(".")
    if len(parts) != 4:
        return -1
    try:
        a, b, c, d = map(int, parts)
    except ValueError:
        return -1
    return a << 24 | b << 16 | c << 8 | d


@lru_cache(maxsize=1 << 12)
def network(cidr: str) -> tuple[int, int]:
    """(address, mask) of a CIDR; raises BadRule."""
    try:
        net = ipaddress.IPv4Network(cidr, strict=False)
    except ValueError:
        raise BadRule(f"host/network `{cidr}' not found") from None
    return int(net.network_address), int(net.netmask)


class Rule:
    """One rule: `tests` must all hold, then `jump` happens with its `options`."""

    __slots__ = ("destination", "jump", "odds", "options", "tests", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.tests: list[Test] = []
        self.jump, self.options, self.destination = "", "", ""
        self.odds = 1.0
        """How probable a match is where chance decides."""
        try:
            self._read(iter(shlex.split(text)))
        except StopIteration:
            raise BadRule(f"option requires an argument: {text}") from None

    def _read(self, words: Iterator[str]) -> None:
        negated = False
        recent: dict[str, str] = {}
        for word in words:
            if word == "!":
                negated = True
                continue
            if word in ("-s", "--source", "-d", "--destination", "--dst", "--src"):
                side = "src" if "s" in word.lstrip("-")[:1] else "dst"
                address, mask = network(cidr := next(words))
                if side == "dst" and not negated and mask == 0xFFFFFFFF:
                    self.destination = cidr.removesuffix("/32")
                self.tests.append(_address(side, address, mask, negated))
            elif word in ("-p", "--protocol"):
                self.tests.append(_equal("protocol", next(words), negated))
            elif word in ("--dport", "--destination-port"):
                self.tests.append(_port("destination_port", next(words), negated))
            elif word in ("--dports", "--destination-ports"):
                self.tests.append(_ports(next(words), negated))
            elif word in ("--sport", "--source-port"):
                self.tests.append(_port("source_port", next(words), negated))
            elif word == "--ctstate":
                self.tests.append(_state(frozenset(next(words).split(",")), negated))
            elif word == "--mark":
                value, _, mask_text = next(words).partition("/")
                self.tests.append(_mark(int(value, 0), int(mask_text or "0xffffffff", 0), negated))
            elif word in ("--src-type", "--dst-type"):
                self.tests.append(_local("src" if word == "--src-type" else "dst", next(words), negated))
            elif word == "--probability":
                self.odds = float(next(words))
                self.tests.append(_chance(self.odds))
            elif word in ("--name", "--seconds"):
                recent[word] = next(words)
            elif word in ("--set", "--rcheck"):
                recent["what"] = word
            elif word in ("-i", "--in-interface", "-o", "--out-interface"):
                self.tests.append(_interface("source" if "i" in word[:4] else "destination", next(words), negated))
            elif word in ("-m", "--comment", "--mode", "--mask", "--nfacct-name", "--match"):
                next(words)
            elif word in ("-j", "--jump", "-g"):
                self.jump = next(words)
                self.options = " ".join(words)
            elif word not in ("--rsource", "--reap"):
                raise BadRule(f'unknown option "{word}"')
            negated = False
        if recent:  # last: it remembers, which it must not before everything else holds
            name, seconds = recent.get("--name", "DEFAULT"), float(recent.get("--seconds", "0"))
            self.tests.append(_remember(name) if recent.get("what") == "--set" else _remembered(name, seconds))

    def matches(self, packet: "Packet", host: "Host") -> bool:
        for test in self.tests:  # noqa: SIM110  all() of a generator is twice as slow, and this is what packets cost
            if not test(packet, host):
                return False
        return True


def _address(side: str, address: int, mask: int, negated: bool) -> Test:
    if side == "src":
        return lambda packet, host: (number(packet.source) & mask == address) is not negated
    return lambda packet, host: (number(packet.destination) & mask == address) is not negated


def _equal(attribute: str, value: str, negated: bool) -> Test:
    if value == "all":
        return lambda packet, host: True
    return lambda packet, host: (getattr(packet, attribute) == value) is not negated


def _port(attribute: str, text: str, negated: bool) -> Test:
    low, _, high = text.partition(":")
    first, last = int(low), int(high or low)
    return lambda packet, host: (first <= getattr(packet, attribute) <= last) is not negated


def _ports(text: str, negated: bool) -> Test:
    ranges = [(int(low), int(high or low)) for low, _, high in (part.partition(":") for part in text.split(","))]
    return lambda packet, host: any(low <= packet.destination_port <= high for low, high in ranges) is not negated


def _interface(side: str, name: str, negated: bool) -> Test:
    """By which interface a packet comes or goes: the one that leads to its source or destination."""
    prefix = name.removesuffix("+")

    def test(packet: "Packet", host: "Host") -> bool:
        found = host.interface(getattr(packet, side))
        return (found.startswith(prefix) if prefix != name else found == name) is not negated

    return test


def _state(states: frozenset[str], negated: bool) -> Test:
    return lambda packet, host: (
        packet.state in states or ("DNAT" in states and packet.translated)
    ) is not negated  # fmt: skip


def _mark(value: int, mask: int, negated: bool) -> Test:
    return lambda packet, host: (packet.mark & mask == value) is not negated


def _local(side: str, kind: str, negated: bool) -> Test:
    if kind != "LOCAL":
        raise BadRule(f"addrtype: bad type `{kind}'")
    if side == "src":
        return lambda packet, host: host.owns(packet.source) is not negated
    return lambda packet, host: host.owns(packet.destination) is not negated


def _chance(odds: float) -> Test:
    return lambda packet, host: host.random.random() < odds


def _remember(name: str) -> Test:
    def test(packet: "Packet", host: "Host") -> bool:
        host.recent.setdefault(name, {})[packet.source] = host.now()
        return True

    return test


def _remembered(name: str, seconds: float) -> Test:
    def test(packet: "Packet", host: "Host") -> bool:
        known = host.recent.get(name)
        if not known or packet.source not in known:
            return False
        if host.now() - known[packet.source] <= seconds:
            return True
        del known[packet.source]  # --reap
        return False

    return test


rule = lru_cache(maxsize=1 << 16)(Rule)
"""The rule of a line; the same line is read once."""


class Chain:
    """A chain's rules in order, with a way to find those that can concern a destination."""

    __slots__ = ("_by_destination", "rules")

    def __init__(self, lines: list[str]) -> None:
        self.rules = [rule(line) for line in lines]
        self._by_destination: dict[str, list[Rule]] = {}

    def candidates(self, destination: str) -> list[Rule]:
        if len(self.rules) <= INDEX_FROM:
            return self.rules
        found = self._by_destination.get(destination)
        if found is None:
            found = [r for r in self.rules if not r.destination or r.destination == destination]
            self._by_destination[destination] = found
        return found
