"""iptables and iptables-save: a node's rules, listed as the real ones list them, and changed by hand.

Stands for iptables 1.8.9 with the nf_tables back end. They work where the network namespace is a node's (the node
itself, kube-proxy's container, a Pod with hostNetwork); in a Pod of its own there are no tables, as in life.
"""

from typing import Any

from k8s_core.network.rules import BadRule, Rule
from k8s_core.network.ruletext import Option, Parsed, parse
from k8s_core.network.tables import BUILT_IN, Chains, save
from k8s_core.shell.commands.options import Table
from k8s_core.shell.process import Process

COMMANDS = Table()

NAME = "iptables v1.8.9 (nf_tables)"
NO_CHAIN = "iptables: No chain/target/match by that name."
NO_RULE = "iptables: Bad rule (does a matching rule exist in that chain?)."
NOT_ROOT = "Could not fetch rule set generation id: Permission denied (you must be root)"
ACTIONS = {
    "--append": "-A", "--insert": "-I", "--delete": "-D", "--check": "-C", "--list": "-L", "--list-rules": "-S",
    "--flush": "-F", "--new-chain": "-N", "--delete-chain": "-X", "--policy": "-P", "--zero": "-Z",
}  # fmt: skip
SHOWING = {"--numeric": "-n", "--verbose": "-v", "--wait": "-w"}
PROTOCOLS = {"tcp": "6", "udp": "17", "sctp": "132", "icmp": "1", "all": "0"}
SERVICES = {"22": "ssh", "53": "domain", "80": "http", "443": "https", "3306": "mysql", "5432": "postgresql",
            "6379": "redis", "8080": "http-alt"}  # fmt: skip
"""As much of /etc/services as a listing without -n is likely to need."""
TARGETS = ("ACCEPT", "DROP", "REJECT", "RETURN", "DNAT", "SNAT", "MASQUERADE", "MARK", "LOG")
SYN = 60
"""Bytes of a connection's first packet, which is all that is counted."""


class Refused(Exception):
    """What iptables says, with its exit code."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


def host_of(process: Process) -> Any:
    """The node whose kernel this is, or None in a Pod's own namespace."""
    network = process.machine.network
    if network is None or network.pod:
        return None
    return getattr(network.fabric, "hosts", {}).get(network.node)


@COMMANDS.plain("iptables-save")
def iptables_save(process: Process) -> None:
    words = process.argv[1:]
    wanted = words[words.index("-t") + 1] if "-t" in words[:-1] else ""
    host = host_of(process)
    tables = host.tables() if host else {}
    shown = {t: c for t, c in tables.items() if wanted in ("", t)}
    text = save(shown, host.policies) if shown else ""
    if "-c" in words or "--counters" in words:
        text = _counted(text, host)
    process.out(text)


def _counted(text: str, host: Any) -> str:
    """Rules with what each has seen, in packets and bytes."""
    lines, table = [], ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        if line.startswith("-A "):
            _, chain, rule = [*line.split(" ", 2), ""][:3]
            seen = host.counts.get((f"{table}/{chain}", rule), 0)
            line = f"[{seen}:{seen * SYN}] {line}"  # noqa: PLW2901  the same line, with more to say
        lines.append(f"{line}\n")
    return "".join(lines)


@COMMANDS.plain("iptables")
def iptables(process: Process) -> int | None:
    """-t TABLE, -n, -v, --line-numbers and one of -L -S -A -I -D -C -F -N -X -P -Z."""
    try:
        _run(process)
    except Refused as refused:
        advice = "\nTry `iptables -h' or 'iptables --help' for more information." if refused.code == 2 else ""
        process.err(f"{refused}{advice}\n")
        return refused.code
    return None


def _run(process: Process) -> None:
    table, action = "filter", ""
    shown: set[str] = set()
    operands: list[str] = []
    rule: list[str] = []
    words = process.argv[1:]
    while words:
        word = words.pop(0)
        word = SHOWING.get(word, ACTIONS.get(word, word))
        if word in ("-t", "--table") and words:
            table = words.pop(0)
        elif word in ACTIONS.values() and not action:
            action = word
            while words and words[0][:1] not in ("-", "!"):
                operands.append(words.pop(0))
        elif word in ("-n", "-v", "-w", "-x", "--line-numbers"):
            shown.add(word)
        elif len(word) > 2 and word[0] == "-" and set(word[1:]) <= set("nvxwLS"):  # -nvL
            words = [f"-{letter}" for letter in sorted(word[1:], reverse=True)] + words
        elif action in ("-A", "-I", "-D", "-C"):
            rule, words = [word, *words], []
        else:
            raise Refused(f'{NAME}: unknown option "{word}"', 2)
    if not action:
        raise Refused(f"{NAME}: no command specified", 2)
    host = host_of(process)
    if host is None:
        raise Refused(f"{NAME}: {NOT_ROOT}", 4)
    chains = host.tables().get(table)
    if chains is None:
        advice = "Perhaps iptables or your kernel needs to be upgraded."
        raise Refused(f"{NAME}: table '{table}' does not exist\n{advice}", 3)
    if action in ("-L", "-S"):
        process.out(_listing(host, table, action, operands, shown))
    else:
        _change(host, table, action, operands, rule)


def _change(host: Any, table: str, action: str, operands: list[str], words: list[str]) -> None:
    chains: Chains = host.tables()[table]
    chain = operands[0] if operands else ""
    position = int(operands[1]) if len(operands) > 1 and operands[1].isdigit() else 0
    if action == "-N" and chain in chains:
        raise Refused("iptables: Chain already exists.")
    if chain and chain not in chains and action != "-N":
        raise Refused(NO_CHAIN)
    if action == "-X":
        for each in [chain] if chain else [c for c in chains if c not in BUILT_IN]:
            if _references(chains, each) or chains[each]:
                raise Refused(f"{NAME}:  CHAIN_DEL failed (Device or resource busy): chain {each}", 4)
            host.edit(table, each, "-X")
    elif action == "-P":
        if chain not in BUILT_IN or operands[1:2] not in (["ACCEPT"], ["DROP"]):
            raise Refused("iptables: Bad built-in chain name.")
        host.policies.setdefault(table, {})[chain] = operands[1]
    elif action == "-Z":
        host.counts.clear()
    elif action in ("-F", "-N"):
        for each in [chain] if chain else list(chains):
            host.edit(table, each, action)
    elif action == "-D" and position:
        if position > len(chains[chain]):
            raise Refused("iptables: Index of deletion too big.")
        host.edit(table, chain, "-D", chains[chain][position - 1], position)
    else:
        _change_rule(host, table, action, chain, position, words)


def _change_rule(host: Any, table: str, action: str, chain: str, position: int, words: list[str]) -> None:
    chains: Chains = host.tables()[table]
    try:
        text = parse(words).text()
        jump = Rule(text).jump
    except BadRule as error:
        raise Refused(f"{NAME}: {error}", 2) from None
    if jump and jump not in chains and jump not in TARGETS:
        raise Refused(f"{NAME}: Chain '{jump}' does not exist", 2)
    if action in ("-C", "-D") and text not in chains[chain]:
        raise Refused(NO_RULE)
    if action == "-I" and position > len(chains[chain]) + 1:
        raise Refused("iptables: Index of insertion too big.")
    if action != "-C":
        host.edit(table, chain, action, text, position)


# --- what is shown --------------------------------------------------------------------------------------------
def _references(chains: Chains, name: str) -> int:
    return sum(f"{rule} ".endswith(f"-j {name} ") for rules in chains.values() for rule in rules)


def _listing(host: Any, table: str, action: str, operands: list[str], shown: set[str]) -> str:
    chains: Chains = host.tables()[table]
    policies = host.policies.get(table, {})
    if operands and operands[0] not in chains:
        raise Refused(f"{NAME}: chain `{operands[0]}' in table `{table}' is incompatible, use 'nft' tool.")
    order = [c for c in BUILT_IN if c in chains] + sorted(c for c in chains if c not in BUILT_IN)
    wanted = operands[:1] or order
    if action == "-S":
        lines = [f"-P {c} {policies.get(c, 'ACCEPT')}" if c in BUILT_IN else f"-N {c}" for c in wanted]
        return "".join(f"{line}\n" for line in [*lines, *(f"-A {c} {r}" for c in wanted for r in chains[c])])
    verbose, numbers = "-v" in shown, "--line-numbers" in shown
    interfaces = "in     out     " if verbose else ""
    columns = f"target     prot opt {interfaces}source               destination         \n"
    columns = f"{'num  ' if numbers else ''}{' pkts bytes ' if verbose else ''}{columns}"
    blocks = []
    for name in wanted:
        about = f"{_references(chains, name)} references"
        if name in BUILT_IN:
            about = f"policy {policies.get(name, 'ACCEPT')}{' 0 packets, 0 bytes' if verbose else ''}"
        lines = [f"Chain {name} ({about})\n", columns]
        for index, rule in enumerate(chains[name], 1):
            seen = host.counts.get((f"{table}/{name}", rule), 0)
            head = f"{index:<5}" if numbers else ""
            head += f"{_amount(seen):>5} {_amount(seen * SYN):>5} " if verbose else ""
            lines.append(f"{head}{_row(parse(rule), numeric='-n' in shown, verbose=verbose)}\n")
        blocks.append("".join(lines))
    return "\n".join(blocks)


def _amount(number: int) -> str:
    return str(number) if number < 100_000 else f"{number // 1000}K"


def _row(rule: Parsed, *, numeric: bool, verbose: bool) -> str:
    """One rule as -L prints it."""
    protocol = rule.head["-p"].value if "-p" in rule.head else "all"
    protocol = PROTOCOLS.get(protocol, protocol) if numeric else protocol
    source, destination = (_address(rule.head.get(side), numeric=numeric) for side in ("-s", "-d"))
    interfaces = ""
    if verbose:
        found = [rule.head[side].value if side in rule.head else "*" for side in ("-i", "-o")]
        interfaces = f" {found[0]:<6} {found[1]:<6}"
    extras = [_match(module, {o.name: o for o in options}, numeric=numeric) for module, options in rule.matches]
    extras.append(_target(rule.target, {o.name: o for o in rule.options}))
    tail = "".join(f" {extra}" for extra in extras if extra)
    return (
        f"{rule.target:<9}  {protocol:<4} -- {interfaces}{' ' if verbose else ''}{source:<20} {destination:<20} {tail}"
    )


def _address(option: Option | None, *, numeric: bool) -> str:
    if option is None:
        return f" {'0.0.0.0/0' if numeric else 'anywhere'}"
    value = option.value.removesuffix("/32")
    if not numeric:
        value = value.replace("127.0.0.0/", "loopback/")  # /etc/networks
    return f"{'!' if option.negated else ' '}{value}"


def _match(module: str, options: dict[str, Option], *, numeric: bool) -> str:
    def said(name: str, before: str = "", after: str = "") -> str:
        option = options.get(name)
        return f"{before}{'! ' if option.negated else ''}{after}{option.value}" if option else ""

    if module == "comment":
        return f"/* {said('--comment')} */"
    if module == "recent":
        parts = ["recent:", "SET" if "--set" in options else "CHECK", said("--seconds", "seconds: ")]
        parts += [
            "reap" if "--reap" in options else "",
            said("--name", "name: "),
            "side: source",
            said("--mask", "mask: "),
        ]
        return " ".join(part for part in parts if part)
    if module in ("tcp", "udp", "sctp"):
        return " ".join([module, *(_port(options[n], numeric=numeric) for n in ("--sport", "--dport") if n in options)])
    if module == "multiport":
        return f"multiport dports {said('--dports')}"
    if module == "statistic":
        return f"statistic mode {said('--mode')} probability {said('--probability')}"
    if module == "addrtype":
        kinds = [said(f"--{kind}", "", f"{kind} ") for kind in ("src-type", "dst-type")]
        return " ".join(["ADDRTYPE match", *filter(None, kinds)])
    if module == "mark":
        return said("--mark", "mark match ")
    if module == "nfacct":
        return said("--nfacct-name", "nfacct-name  ")
    return said("--ctstate", "", "ctstate ")


def _port(option: Option, *, numeric: bool) -> str:
    kind = ("dpt" if option.name == "--dport" else "spt") + ("s" if ":" in option.value else "")
    return (
        f"{kind}:{'!' if option.negated else ''}{option.value if numeric else SERVICES.get(option.value, option.value)}"
    )


def _target(target: str, options: dict[str, Option]) -> str:
    if target == "MARK":
        number, _, mask = options["--set-xmark"].value.partition("/") if "--set-xmark" in options else ("", "", "")
        return f"MARK {'xor' if mask == '0x0' else 'or'} {number}"
    if target in ("DNAT", "SNAT"):
        return f"to:{next(iter(options.values())).value}" if options else ""
    if target == "REJECT":
        return f"reject-with {options['--reject-with'].value}"
    return "random-fully" if "--random-fully" in options else ""
