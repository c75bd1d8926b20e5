"""Commands that ask name servers: nslookup (busybox's old and new one, and bind's), dig, host, getent.

They look alike and search differently, which is half of what goes wrong with names in clusters: busybox since 1.29
asks for a name with a dot as it stands, bind's nslookup follows search list and ndots, dig never searches unless told.
"""

from collections.abc import Generator
from typing import Any

from k8s_core.network.dns import NOERROR, Answer, Query
from k8s_core.network.resolver import Config
from k8s_core.shell.commands.options import Table
from k8s_core.shell.pipes import Steps, Wait
from k8s_core.shell.process import Process
from k8s_core.shell.sockets import NetworkError

BIND, BUSYBOX, GETENT = Table(), Table(), Table()

OLD_BUSYBOX = ("1.27", "1.28", "1.26", "1.25", "1.24")
TYPES = ("A", "AAAA", "SRV", "PTR", "CNAME", "TXT", "NS", "SOA", "MX", "ANY")


def _config(process: Process) -> Config:
    return Config.parse(process.machine.network.resolv_conf() if process.machine.network else "")


def _ask(process: Process, server: str, name: str, kind: str) -> Generator[Wait, None, Answer | None]:
    """One query, tried twice; None when the server does not answer."""
    resolver: Any = getattr(process.machine.network.fabric, "resolver", None) if process.machine.network else None
    for _ in range(2 if resolver else 0):
        try:
            answer: Answer = yield from resolver.ask(process.machine.network, server, Query(name.rstrip("."), kind))
        except NetworkError:
            continue
        return answer
    return None


def _reverse(name: str) -> str:
    parts = name.split(".")
    numeric = len(parts) == 4 and all(p.isdigit() for p in parts)
    return ".".join(reversed(parts)) + ".in-addr.arpa" if numeric else ""


def _nslookup_arguments(process: Process) -> tuple[str, str, list[str]]:
    """(name, server, types)."""
    words, types = [], []
    for word in process.argv[1:]:
        if word.startswith(("-type=", "-query=", "-q=")):
            types.append(word.partition("=")[2].upper())
        elif not word.startswith("-"):
            words.append(word)
    return (words[0] if words else ""), (words[1] if len(words) > 1 else ""), types


@BUSYBOX.plain("nslookup")
def busybox_nslookup(process: Process) -> Steps:
    name, server, types = _nslookup_arguments(process)
    image = process.machine.extra.get("image")
    version = f"{getattr(image, 'tag', '')} {getattr(image, 'version', '')}"
    config = _config(process)
    server = server or config.servers[0]
    if any(part.startswith(OLD_BUSYBOX) for part in version.split()):
        return (yield from _old_nslookup(process, name, server))
    process.out(f"Server:\t\t{server}\nAddress:\t{server}:53\n\n")
    pointer = _reverse(name)
    kinds = types or (["PTR"] if pointer else ["A", "AAAA"])
    absolute = pointer or "." in name or not config.search
    names = [pointer or name] if absolute else [f"{name}.{domain}" for domain in config.search]
    failed = False
    for kind in kinds:
        for each in names:
            answer = yield from _ask(process, server, each, kind)
            if answer is None:
                process.out(";; connection timed out; no servers could be reached\n\n")
                return 1
            if answer.code != NOERROR:
                process.out(f"** server can't find {each.rstrip('.')}: {answer.code}\n\n")
                failed = True
                continue
            if not answer.authoritative:
                process.print("Non-authoritative answer:")
            process.out("".join(_line(r) for r in answer.records) + "\n")
    return int(failed)


def _line(record: Any) -> str:
    if record.type in ("A", "AAAA"):
        return f"Name:\t{record.name}\nAddress: {record.data}\n"
    what = {"PTR": "name", "CNAME": "canonical name", "SRV": "service", "TXT": "text"}.get(record.type, record.type)
    return f"{record.name}\t{what} = {record.data.rstrip('.') if record.type != 'TXT' else record.data}\n"


def _old_nslookup(process: Process, name: str, server: str) -> Steps:
    """busybox before 1.29: libc's resolver, and every address shown with its name."""

    def named(address: str) -> Generator[Wait, None, str]:
        answer = yield from _ask(process, server, _reverse(address), "PTR")
        return f"{address} {answer.records[0].data.rstrip('.')}" if answer and answer.records else address

    process.out(f"Server:    {server}\nAddress 1: {yield from named(server)}\n\n")
    resolver: Any = getattr(process.machine.network.fabric, "resolver", None)
    try:
        _, answer = yield from resolver.search(process.machine.network, name)
        addresses = answer.addresses()
    except (NetworkError, AttributeError):
        addresses = []
    if not addresses:
        process.err(f"nslookup: can't resolve '{name}'\n")
        return 1
    process.print(f"Name:      {name}")
    for index, address in enumerate(addresses, 1):
        process.print(f"Address {index}: {yield from named(address)}")
    return 0


@BIND.plain("nslookup")
def nslookup(process: Process) -> Steps:
    """bind's."""
    name, server, types = _nslookup_arguments(process)
    config = _config(process)
    server = server or config.servers[0]
    pointer = _reverse(name)
    answer: Answer | None = None
    full = name
    for candidate in [pointer] if pointer else config.candidates(name):
        full = candidate
        answer = yield from _ask(process, server, candidate, types[0] if types else "PTR" if pointer else "A")
        if answer is None:
            process.out(";; connection timed out; no servers could be reached\n\n")
            return 1
        if answer.code == NOERROR:
            break
    assert answer is not None
    process.out(f"Server:\t\t{server}\nAddress:\t{server}#53\n\n")
    if answer.code != NOERROR:
        process.out(f"** server can't find {name}: {answer.code}\n\n")
        return 1
    if not answer.authoritative:
        process.print("Non-authoritative answer:")
    if not answer.records:
        process.out(f"*** Can't find {full}: No answer\n\n")
        return 0
    process.out("".join(_line(r) for r in answer.records) + "\n")
    return 0


def _dotted(record: Any) -> str:
    """A record's data as dig writes it: names with their last dot."""
    return f"{record.data.rstrip('.')}." if record.type == "CNAME" else str(record.data)


@BIND.plain("dig")
def dig(process: Process) -> Steps:
    config = _config(process)
    server, name, kind = config.servers[0], "", "A"
    asked: set[str] = set()  # options that begin with +
    words = process.argv[1:]
    while words:
        word = words.pop(0)
        if word.startswith("@"):
            server = word[1:]
        elif word.startswith("+"):
            asked.add(word[1:])
        elif word == "-x" and words:
            name, kind = _reverse(words.pop(0)), "PTR"
        elif word in ("-t", "-q", "-p") and words:
            value = words.pop(0)
            kind, name = (value.upper(), name) if word == "-t" else (kind, value if word == "-q" else name)
        elif (word.upper() in TYPES and name) or (word.upper() in TYPES and words and "." not in word):
            kind = word.upper()
        elif not word.startswith("-"):
            name = word
    if server.replace(".", "").isdigit() is False:
        server = yield from process.machine.network.resolve(server)
    answer: Answer | None = None
    for candidate in config.candidates(name) if "search" in asked else [name.rstrip(".")]:
        name = candidate
        answer = yield from _ask(process, server, candidate, kind)
        if answer is None:
            process.print(f";; communications error to {server}#53: timed out\n;; no servers could be reached")
            return 9
        if answer.code == NOERROR:
            break
    assert answer is not None
    if "short" in asked:
        process.print(*(f"{_dotted(r)}" for r in answer.records))
        return 0

    def lines(records: list[Any]) -> str:
        return "".join(f"{r.name + '.':<23} {r.ttl}\tIN\t{r.type}\t{_dotted(r)}\n" for r in records)

    def section(title: str, records: list[Any]) -> str:
        return f";; {title} SECTION:\n{lines(records)}\n" if records else ""

    if "noall" in asked:
        process.out(lines(answer.records) if "answer" in asked else "")
        return 0
    flags = "qr aa rd" if answer.authoritative else "qr rd ra"

    zone, authority = answer.zone or "cluster.local", 0 if answer.records else 1
    soa = f"{zone}. 30 IN SOA ns.dns.{zone}. hostmaster.{zone}. 1 7200 1800 86400 30"
    process.out(
        f"\n; <<>> DiG 9.20.10 <<>> {' '.join(process.argv[1:])}\n;; global options: +cmd\n;; Got answer:\n"
        f";; ->>HEADER<<- opcode: QUERY, status: {answer.code}, id: 4711\n"
        f";; flags: {flags}; QUERY: 1, ANSWER: {len(answer.records)}, AUTHORITY: {authority}, "
        f"ADDITIONAL: {len(answer.additional)}\n\n"
        f";; QUESTION SECTION:\n;{name + '.':<23}\tIN\t{kind}\n\n"
        + section("ANSWER", answer.records)
        + (f";; AUTHORITY SECTION:\n{soa}\n\n" if authority else "")
        + section("ADDITIONAL", answer.additional)
        + f";; Query time: 1 msec\n;; SERVER: {server}#53({server}) (UDP)\n\n"
    )
    return 0


@BIND.plain("host")
def host(process: Process) -> Steps:
    words = [w for w in process.argv[1:] if not w.startswith("-")]
    config = _config(process)
    name = words[0] if words else ""
    pointer = _reverse(name)
    for candidate in [pointer] if pointer else config.candidates(name):
        answer = yield from _ask(process, config.servers[0], candidate, "PTR" if pointer else "A")
        if answer is None:
            process.print(";; connection timed out; no servers could be reached")
            return 1
        if answer.code == NOERROR and answer.records:
            words_of = {"A": "has address", "CNAME": "is an alias for", "PTR": "domain name pointer"}
            process.print(*(f"{r.name} {words_of.get(r.type, r.type)} {r.data}" for r in answer.records))
            return 0
    process.print(f"Host {pointer or name} not found: 3(NXDOMAIN)")
    return 1


@GETENT.plain("getent")
def getent(process: Process) -> Steps:
    """getent hosts|ahosts NAME."""
    network = process.machine.network
    if len(process.argv) < 3 or process.argv[1] not in ("hosts", "ahosts", "ahostsv4") or network is None:
        return process.fail("usage: getent hosts NAME") if len(process.argv) < 3 else 2
    name = process.argv[2]
    known = network.hosts.get(name)
    try:
        if known or _reverse(name):
            full, address = name, known or name
        else:
            full, answer = yield from network.fabric.resolver.search(network, name)
            address = next(iter(answer.addresses()), "")
    except (NetworkError, AttributeError):  # no answer, or a network without DNS
        return 2
    if not address:
        return 2
    process.print(f"{address:<15} {full}")
    return 0
