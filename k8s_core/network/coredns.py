"""One CoreDNS Pod: it serves by the Corefile it finds, takes in a changed one, and logs queries if that says so.

Stands for CoreDNS' main program with its plugins reload, log, loop, health, ready and prometheus; what it answers is
dns.py's.
"""

import hashlib
from typing import TYPE_CHECKING, Any

from k8s_core.limits import COREDNS_RELOAD_PERIOD
from k8s_core.network.corefile import CorefileError, ServerBlock, parse
from k8s_core.network.dns import UPSTREAM, Answer, Query, Server, block_for
from k8s_core.shell.fs import FileError
from k8s_core.shell.sockets import Response

if TYPE_CHECKING:
    from k8s_core.shell.process import Process

METRICS = b'# TYPE coredns_build_info gauge\ncoredns_build_info{version="1.13.1"} 1\n'
DOORS = (("health", 8080, b"OK"), ("ready", 8181, b"OK"), ("prometheus", 9153, METRICS))
"""Plugins with a page of their own: name, port unless the Corefile says another, page."""


def begin(server: Server, process: "Process") -> str:
    """Serve port 53 for a CoreDNS process by the Corefile it finds; gives what is wrong with that."""
    path = process.argv[process.argv.index("-conf") + 1] if "-conf" in process.argv[:-1] else "Corefile"

    def load() -> list[ServerBlock]:
        try:
            return parse(process.fs.read(path).decode(errors="replace"))
        except FileError:
            raise CorefileError(f"open {path}: no such file or directory") from None

    try:
        blocks = load()
    except CorefileError as error:
        return str(error)
    if problem := _loop(blocks, process):
        return problem
    namespace, upstream = process.machine.network, _upstream(process)

    def answer(query: Any) -> Any:
        if not isinstance(query, Query):
            return b""
        result = server.answer(blocks, query, upstream=upstream)
        _note(server, process, blocks, query, result, f"{namespace.pod_namespace}/{namespace.pod}")
        return result

    def reload() -> None:
        nonlocal blocks
        if not any(b.plugin("reload") for b in blocks):
            return
        try:
            fresh = load()
        except CorefileError as error:
            process.out(
                f"[ERROR] Restart failed: {error}\n[ERROR] plugin/reload: Corefile changed but reload failed: {error}\n"
            )
            return
        if fresh != blocks:
            blocks = fresh
            _doors(blocks, process)
            process.out(
                "[INFO] Reloading\n[INFO] plugin/reload: Running configuration SHA512 = "
                f"{hashlib.sha512(repr(blocks).encode()).hexdigest()}\n[INFO] Reloading complete\n"
            )

    _doors(blocks, process)
    for port in {b.port for b in blocks}:
        namespace.listen(port, process, answer, protocols=("udp", "tcp"))
    process.at_exit.append(server.loop.every(COREDNS_RELOAD_PERIOD, reload).cancel)
    return ""


def _note(server: Server, process: "Process", blocks: list[ServerBlock], query: Query, answer: Answer, by: str) -> None:
    server.queries.append(
        {
            "time": server.loop.now,
            "client": query.source,
            "server": by,
            "name": query.name,
            "type": query.type,
            "code": answer.code,
            "answers": [r.data for r in answer.records],
        }
    )
    block = block_for(blocks, query.name)
    if block and block.plugin("log"):
        flags = "qr,aa,rd" if answer.authoritative else "qr,rd,ra"
        number, size = len(server.queries), len(query.name) + 18
        process.out(
            f'[INFO] {query.source}:{40000 + number} - {number} "{query.type} IN {query.name}. udp {size} false '
            f'512" {answer.code} {flags} {size + 16 * len(answer.records)} 0.000123s\n'
        )


def _doors(blocks: list[ServerBlock], process: "Process") -> None:
    """Open the pages of the plugins that are there, and no others: without `ready` a Pod never becomes ready."""
    network = process.machine.network
    wanted = {}
    for name, port, page in DOORS:
        directive = next((found for block in blocks if (found := block.plugin(name))), None)
        if directive:
            text = (directive.arguments or [""])[0].rpartition(":")[2]
            wanted[int(text) if text.isdigit() else port] = page
    opened = process.machine.extra.setdefault("doors", set())
    for port in opened - set(wanted):
        network.close(port, process)
    for port in set(wanted) - opened:
        network.listen(port, process, lambda request, page=wanted[port]: Response(200, page, {}), http=True)
    process.machine.extra["doors"] = set(wanted)


def _upstream(process: "Process") -> list[str]:
    """The name servers of a CoreDNS Pod's own resolv.conf: its node's."""
    try:
        lines = process.fs.read("/etc/resolv.conf").decode(errors="replace").splitlines()
    except FileError:
        return [UPSTREAM]
    return [line.split()[1] for line in lines if line.startswith("nameserver ") and len(line.split()) > 1]


def _loop(blocks: list[ServerBlock], process: "Process") -> str:
    """What the loop plugin says when queries would come back: the node names itself as its name server."""
    if not any(server.startswith("127.") for server in _upstream(process)):
        return ""
    for block in blocks:
        forward = block.plugin("forward")
        if block.plugin("loop") and forward and any(a.startswith("/") for a in forward.arguments[1:]):
            zone = f"{block.zones[0]}." if block.zones else "."
            where = f'Loop (127.0.0.1:41765 -> :{block.port}) detected for zone "{zone}"'
            advice = "see https://coredns.io/plugins/loop#troubleshooting"
            return f'[FATAL] plugin/loop: {where}, {advice}. Query: "HINFO 4547991504243258144.368864889531509353."'
    return ""
