"""The way of a packet through kube-proxy's nftables table: what packets.py is to iptables.

Reads the very rules that nftables.py writes, as nft lists them. A statement that kube-proxy does not use is refused
when a rule is read. Elements of a map are found by one look, as in the kernel.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from k8s_core.network.nftables import Table
from k8s_core.network.rules import BadRule, network, number

if TYPE_CHECKING:
    from k8s_core.network.packets import Host, Packet, Step

BASES = {
    ("PREROUTING", "nat"): ("filter-prerouting-pre-dnat", "nat-prerouting"),
    ("OUTPUT", "nat"): ("filter-output-pre-dnat", "nat-output"),
    ("INPUT", "filter"): ("filter-input",),
    ("FORWARD", "filter"): ("filter-forward",),
    ("OUTPUT", "filter"): ("filter-output",),
    ("POSTROUTING", "nat"): ("nat-postrouting",),
}
"""Where iptables asks a table -> the base chains that the kernel calls there."""
FINAL = ("drop", "reject", "dnat", "masquerade")
Statement = Callable[["Ruleset", "Packet", "Host"], str | bool]
"""Gives whether it holds, or the verdict: "goto X", "drop" ...; "" goes on to the next statement, too."""


class Ruleset:
    """A table that packets walk; `elements`: set or map -> key -> verdict."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.elements: dict[str, dict[str, str]] = {}
        for name, lines in table.sets.items():
            pairs = (line.partition(" : ") for line in lines)
            self.elements[name] = {key.partition(" comment ")[0]: verdict for key, _, verdict in pairs}

    def pass_hook(self, hook: str, table: str, packet: "Packet", host: "Host", steps: "list[Step]") -> str:
        """Gives DROP, REJECT, DNAT, MASQUERADE, or "" where nothing was decided."""
        for chain in BASES.get((hook, table), ()):
            if verdict := self._walk(hook, chain, packet, host, steps):
                return verdict
        return ""

    def _walk(self, hook: str, chain: str, packet: "Packet", host: "Host", steps: "list[Step]") -> str:
        for rule in self.table.chains[chain]:
            found: str | bool = True
            for statement in _statements(rule):
                found = statement(self, packet, host)
                if found is False:
                    break
            if found is False:
                continue
            verdict = found if isinstance(found, str) else ""
            kind, _, target = verdict.partition(" ")
            steps.append((host.name, hook, f"ip kube-proxy/{chain}", rule, verdict or "counted", str(packet)))
            if kind in FINAL:
                return kind.upper()
            if kind == "return":
                return ""
            if kind in ("jump", "goto"):
                final = self._walk(hook, target, packet, host, steps)
                if final or kind == "goto":
                    return final
        return ""


def _address(side: str, negated: str, what: str) -> Statement:
    attribute = "source" if side == "s" else "destination"
    if what.startswith("@affinity-"):
        return lambda rules, packet, host: (
            host.now() - host.recent.get(what[1:], {}).get(packet.source, -1e18) <= rules.table.affinity[what[1:]]
        )
    if what.startswith("@"):
        return lambda rules, packet, host: getattr(packet, attribute) in rules.elements[what[1:]]
    ranges = [network(each) for each in re.findall(r"[\d./]+", what)]
    return lambda rules, packet, host: (
        any(number(getattr(packet, attribute)) & mask == base for base, mask in ranges) is not bool(negated)
    )


def _interface(negated: str, name: str) -> Statement:
    prefix = name.removesuffix("*")

    def test(rules: Ruleset, packet: "Packet", host: "Host") -> bool:
        found = host.interface(packet.source)
        return (found.startswith(prefix) if prefix != name else found == name) is not bool(negated)

    return test


def _mark(operator: str, text: str) -> Statement:
    bits = int(text, 0)

    def change(rules: Ruleset, packet: "Packet", host: "Host") -> bool:
        packet.mark = packet.mark | bits if operator == "|" else packet.mark ^ bits
        return True

    return change


def _remember(name: str) -> Statement:
    def change(rules: Ruleset, packet: "Packet", host: "Host") -> bool:
        host.recent.setdefault(name, {})[packet.source] = host.now()
        return True

    return change


def _one_of(count: str, places: str) -> Statement:
    verdicts = [place.partition(" : ")[2] for place in places.split(", ")]
    return lambda rules, packet, host: verdicts[host.random.randrange(int(count))]


def _look_up(address: str, name: str) -> Statement:
    def look(rules: Ruleset, packet: "Packet", host: "Host") -> str | bool:
        key = f"{packet.destination} . " if address else ""
        return rules.elements[name].get(f"{key}{packet.protocol} . {packet.destination_port}", False)

    return look


def _dnat(address: str, port: str) -> Statement:
    def change(rules: Ruleset, packet: "Packet", host: "Host") -> str:
        packet.destination, packet.destination_port, packet.translated = address, int(port), True
        return f"dnat to {address}:{port}"

    return change


def _verdict(text: str) -> Statement:
    return lambda rules, packet, host: text


SYNTAX: tuple[tuple[re.Pattern[str], Callable[..., Statement]], ...] = tuple(
    (re.compile(pattern), make)
    for pattern, make in (
        (r"(ip daddr \. )?meta l4proto \. th dport vmap @(\S+)", _look_up),
        (r"numgen random mod (\d+) vmap \{ (.*) \}", _one_of),
        (r"ip (s|d)addr (!= )?(@\S+|\{[^}]*\}|[\d./]+)", _address),
        (r"meta l4proto (\w+)", lambda name: lambda rules, packet, host: packet.protocol == name),
        (r"ct state new", lambda: lambda rules, packet, host: packet.state == "NEW"),
        (r"fib saddr type local", lambda: lambda rules, packet, host: host.owns(packet.source)),
        (r'iifname (!= )?"([^"]*)"', _interface),
        (r"meta mark & (\w+) == 0x00000000", lambda bits: lambda rules, packet, host: not packet.mark & int(bits, 0)),
        (r"meta mark set meta mark (\||\^) (\w+)", _mark),
        (r"update @(\S+) \{ ip saddr \}", _remember),
        (r"dnat to ([\d.]+):(\d+)", _dnat),
        (r"((?:jump|goto) \S+|drop|reject|return|masquerade)(?: fully-random)?", _verdict),
    )
)


@lru_cache(maxsize=1 << 14)
def _statements(rule: str) -> tuple[Statement, ...]:
    """A rule's statements in order; raises BadRule."""
    left, found = re.sub(r' ?comment ".*"$', "", rule), []
    while left:
        match, make = next(((m, make) for p, make in SYNTAX if (m := p.match(left))), (None, _verdict))
        if match is None:
            raise BadRule(f"syntax error, unexpected {left.split()[0]}")
        found.append(make(*match.groups()))
        left = left[match.end() :].lstrip()
    return tuple(found)
