"""kube-proxy's rules before the real judges: iptables-restore takes them, the kernel gives them back unchanged."""

import re
import sys
from pathlib import Path

import pytest

from k8s_core.network import nftables
from k8s_core.network.proxy import ruleset
from k8s_core.network.proxy_config import Config
from k8s_core.network.serviceports import Node
from k8s_core.network.tables import save
from tests.network import any_services, iptables

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="iptables exists on Linux only")
NODE = Node("cp", "10.0.0.4", "zone-a", "10.32.0.0/24", "10.32.0.1")
CONFIGS = (
    Config(),
    Config(masquerade_all=True),
    Config(cluster_cidr=""),
    Config(local_mode="NodeCIDR"),
    Config(localhost_node_ports=False),
    Config(node_port_addresses=("10.0.0.0/8", "127.0.0.0/8")),
    Config(node_port_addresses=("primary",), masquerade_bit=5),
)
FACTS = Path(__file__).parent / "facts" / "iptables-save.txt"


def by_chain(text: str) -> dict[str, list[str]]:
    """Table and chain -> its rules in their order."""
    found: dict[str, list[str]] = {}
    table = ""
    for line in text.splitlines():
        table = line if line.startswith("*") else table
        if line.startswith("-A "):
            found.setdefault(f"{table} {line.split()[1]}", []).append(line)
    return found


def test_iptables_restore_accepts_any_set_of_services() -> None:
    """iptables-restore --test takes the rules of Services of every sort, on several kinds of proxies."""
    for seed, config in enumerate(CONFIGS):
        text = save(ruleset(*any_services.draw(seed, 40), NODE, config))
        assert iptables.accepts(text) == ""


def test_the_kernel_gives_the_rules_back_as_they_are() -> None:
    """What iptables-save prints of a real kernel that was given our rules is our rules, letter by letter."""
    if not iptables.has_namespaces():
        pytest.skip("no network namespace of one's own can be made here")
    texts = [save(ruleset(*any_services.draw(seed, 12), NODE, CONFIGS[seed % len(CONFIGS)])) for seed in range(21)]
    for text in (FACTS.read_text(), *texts):
        plain = text
        for one in iptables.UNCOUNTED:
            plain = plain.replace(one, "")
        assert by_chain(iptables.through_the_kernel(text)) == by_chain(plain)


def listed(text: str) -> dict[str, list[str]]:
    """What nft lists: head of a chain or set -> its lines; elements in order of their keys, as the kernel hashes."""
    found: dict[str, list[str]] = {}
    head = ""
    for line in filter(None, map(str.strip, re.sub(r",\s*\n\s*", ", ", text).splitlines())):
        if line.endswith("{"):
            head = line
        elif line.startswith("elements = {"):
            found[head] += sorted(line.removeprefix("elements = {").rstrip("}").strip().split(", "))
        found.setdefault(head, []).extend([] if line.endswith("{") or line.startswith("elements") else [line])
    return found


def test_the_kernel_gives_the_nftables_view_back_as_it_is() -> None:
    """nft takes the table that kube-proxy's other mode would make of the same Services, and lists it unchanged."""
    if not iptables.has_namespaces():
        pytest.skip("no network namespace of one's own can be made here")
    for seed in range(21):
        text = nftables.table(*any_services.draw(seed, 12), NODE, CONFIGS[seed % len(CONFIGS)]).text()
        assert listed(iptables.through_nft(text)) == listed(text)
