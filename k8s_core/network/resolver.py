"""The resolver that programs carry with them (libc's): resolv.conf, search list, ndots, retries.

Stands for glibc's res_search. A name with fewer dots than ndots is first tried with every domain of the search list,
then as it is; others the other way round; one that ends in a dot only as it is. Every try asks for A and AAAA.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from k8s_core.network.dns import NOERROR, NXDOMAIN, UPSTREAM, Answer, Query
from k8s_core.shell.pipes import Wait
from k8s_core.shell.sockets import NetworkError, NetworkNamespace

if TYPE_CHECKING:
    from k8s_core.network.network import Network


@dataclass(slots=True)
class Config:
    """What /etc/resolv.conf says."""

    servers: list[str] = field(default_factory=list)
    search: list[str] = field(default_factory=list)
    ndots: int = 1
    timeout: float = 5.0
    attempts: int = 2

    @classmethod
    def parse(cls, text: str) -> "Config":
        config = cls()
        for line in text.splitlines():
            words = line.split()
            if words[:1] == ["nameserver"] and len(words) > 1:
                config.servers.append(words[1])
            elif words[:1] == ["search"]:
                config.search = words[1:]
            elif words[:1] == ["options"]:
                for option in words[1:]:
                    name, _, value = option.partition(":")
                    if name in ("ndots", "attempts") and value.isdigit():
                        setattr(config, name, min(int(value), 15))
                    elif name == "timeout" and value.isdigit():
                        config.timeout = float(value)
        config.servers = config.servers[:3] or ["127.0.0.1"]
        return config

    def candidates(self, name: str) -> Iterator[str]:
        """The full names to try, in order."""
        if name.endswith("."):
            yield name.rstrip(".")
            return
        first = name.count(".") >= self.ndots
        if first:
            yield name
        yield from (f"{name}.{domain.rstrip('.')}" for domain in self.search)
        if not first:
            yield name


class Resolver:
    """Looks names up on behalf of programs, over the simulated network."""

    def __init__(self, network: "Network") -> None:
        self.network = network

    def ask(
        self, source: NetworkNamespace, server: str, query: Query, timeout: float = 5.0
    ) -> Generator[Wait, None, Answer]:
        """Send one query to one server; raises NetworkError (timeout, refused)."""
        if server == UPSTREAM:
            yield 0.001
            return self.network.internet.answer(query)
        listener, query.source = yield from source.reach(server, 53, timeout, "udp")
        answer = listener.handler(query)
        if not isinstance(answer, Answer):
            yield timeout
            raise NetworkError("timeout", "Connection timed out", server)
        return answer

    def search(
        self, source: NetworkNamespace, name: str, types: tuple[str, ...] = ("A", "AAAA")
    ) -> Generator[Wait, None, tuple[str, Answer]]:
        """(full name, answer) of the first name of the search list that exists; raises NetworkError("resolve") when
        none does, and ("timeout") when no server answers."""
        config = Config.parse(source.resolv_conf())
        found = ("", Answer(NXDOMAIN))
        for candidate in config.candidates(name):
            answers = []
            for kind in types:
                answers.append((yield from self._servers(source, config, Query(candidate, kind))))
            best = next((a for a in answers if a.records), answers[0])
            if best.records:
                return candidate, best
            if best.code == NOERROR or not found[0]:
                found = (candidate, best)
        return found

    def _servers(self, source: NetworkNamespace, config: Config, query: Query) -> Generator[Wait, None, Answer]:
        for _ in range(config.attempts):
            for server in config.servers:
                try:
                    return (yield from self.ask(source, server, query, config.timeout))
                except NetworkError:
                    continue
        raise NetworkError("timeout", "Temporary failure in name resolution", ",".join(config.servers))

    def address(self, source: NetworkNamespace, name: str) -> Generator[Wait, None, str]:
        """The first address of a name; raises NetworkError("resolve")."""
        try:
            _, answer = yield from self.search(source, name)
        except NetworkError as error:
            raise NetworkError("resolve", error.message) from None
        addresses = answer.addresses()
        if not addresses:
            raise NetworkError("resolve", "Name or service not known")
        return self.network.random.choice(addresses)  # CoreDNS's loadbalance plugin
