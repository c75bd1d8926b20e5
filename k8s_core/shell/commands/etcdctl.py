"""etcdctl as one types it in etcd's Pod or on its node: API 3, and API 2 with ETCDCTL_API=2.

Stands for etcdctl 3.5 (ctlv3/command, ctlv2/command). It connects over the machine's network like every other
program; how answers are printed is in etcdctl_print.py. Left out: `make-mirror`, `elect`, `lock`, `check`, users, and
the help texts.
"""

from collections.abc import Callable, Generator
from typing import Any

from k8s_core.shell.commands import etcdctl_snapshot
from k8s_core.shell.commands.etcdctl_asks import ASKS, Ask, Failure, Form, Message, hexadecimal, number
from k8s_core.shell.commands.options import outcome
from k8s_core.shell.fs import FileError
from k8s_core.shell.pipes import Steps, Wait, Waiters
from k8s_core.shell.process import Process
from k8s_core.shell.sockets import NetworkError

VERSION = "etcdctl version: 3.5.12\nAPI version: 3.5\n"
COMMAND_TIMEOUT = 5.0
VALUED = (
    *("endpoints", "cacert", "cert", "key", "user", "password", "write-out", "command-timeout", "dial-timeout"),
    *("limit", "rev", "order", "sort-by", "lease", "range", "consistency", "peer-urls", "ca-file", "cert-file"),
    *("key-file", "ttl", "swap-with-value", "swap-with-index", "after-index"),
    *etcdctl_snapshot.DEFAULT,
)
FLAGS = (
    *("prefix", "keys-only", "print-value-only", "count-only", "from-key", "prev-kv", "ignore-value", "ignore-lease"),
    *("hex", "physical", "keys", "once", "cluster", "learner", "recursive", "sort", "p", "dir", "forever", "quorum"),
    *("insecure-skip-tls-verify", "insecure-transport", "debug", "with-value", "i", "interactive", "r", "no-password"),
    "skip-hash-check",
)
SHORT = {"w": "write-out"}
COMMANDS = {"get", "put", "del", "txn", "compaction", "watch", "defrag", "version"}
GROUPS = {"lease", "member", "endpoint", "alarm", "snapshot", "user", "role", "auth"}


def etcdctl(process: Process) -> Steps:
    try:
        if process.env.get("ETCDCTL_API", "3") == "2":
            from k8s_core.shell.commands.etcdctl2 import run  # noqa: PLC0415

            return (yield from run(Client(process)))
        return (yield from Client(process).run())
    except Failure as failure:
        process.err(f"{failure.log}Error: {failure}\n")
        return failure.code
    except (FileError, ValueError, LookupError) as error:
        process.err(f"Error: {error}\n")
        return 1


class Client:
    """One run of etcdctl."""

    def __init__(self, process: Process) -> None:
        self.process, self.options = process, dict[str, str]()
        self.words: list[str] = []
        for name in VALUED:
            value = process.env.get(f"ETCDCTL_{name.upper().replace('-', '_')}")
            if value is not None:
                self.options[name] = value
        arguments = process.argv[1:]
        while arguments:
            self._argument(arguments.pop(0), arguments)

    def _argument(self, argument: str, rest: list[str]) -> None:
        if argument == "--":
            self.words += rest
            rest.clear()
        elif argument.startswith("-") and len(argument) > 1:
            name, equals, value = argument.lstrip("-").partition("=")
            name = SHORT.get(name, name)
            if name in VALUED:
                if not equals and not rest:
                    raise Failure(f"flag needs an argument: {argument}")
                self.options[name] = value if equals else rest.pop(0)
            elif name in FLAGS:
                self.options[name] = value or "true"
            else:
                kind = "flag" if argument.startswith("--") else "shorthand flag"
                raise Failure(f"unknown {kind}: {argument}")
        else:
            self.words.append(argument)

    # --- connection -----------------------------------------------------------------------------------------
    @property
    def endpoints(self) -> list[str]:
        return self.options.get("endpoints", "127.0.0.1:2379").split(",")

    def _file(self, *names: str) -> bytes:
        for name in names:
            if path := self.options.get(name):
                try:
                    return self.process.fs.read(path)
                except FileError as error:
                    raise Failure(f"open {path}: {str(error).lower()}") from None
        return b""

    def call(
        self, method: str, request: Any, endpoint: str = "", on_response: Callable[[Message], None] | None = None
    ) -> Generator[Wait, None, Any]:
        """The answer of a server; Failure after the time that etcdctl would wait."""
        from k8s_core.etcd.pod import Call, Handshake  # noqa: PLC0415  it imports this module
        from k8s_core.etcd.store import EtcdError  # noqa: PLC0415

        endpoint = endpoint or self.endpoints[0]
        scheme, _, rest = endpoint.rpartition("://")
        host, _, port = rest.rpartition(":")
        cert, ca = self._file("cert", "cert-file"), self._file("cacert", "ca-file")
        self._file("key", "key-file")
        tls = scheme == "https" or (not scheme and bool(cert or ca))
        token = ""
        if "user" in self.options and method != "authenticate":
            user, _, password = self.options["user"].partition(":")
            asked = self.show.rpc.AuthenticateRequest(name=user, password=self.options.get("password", password))
            try:
                token = (yield from self.call("authenticate", asked, endpoint)).token
            except Failure as failure:
                if "authentication is not enabled" not in str(failure):
                    raise Failure(str(failure), 2, failure.log) from None
        call = Call(method, request, token, tls=tls, certificate=cert, trusted=ca, on_response=on_response)
        network = self.process.machine.network
        try:
            address = yield from network.resolve(host)
            listener, _ = yield from network.reach(address, int(port or 2379), COMMAND_TIMEOUT)
            answer = listener.handler(call)
        except NetworkError as error:
            why = f"dial tcp {host}:{port}: connect: {error.message.lower()}"
            answer = Handshake(f'connection error: desc = "transport: Error while dialing {why}"')
        if isinstance(answer, Handshake):
            yield COMMAND_TIMEOUT
            raise Failure("context deadline exceeded", log=self._warning(rest, str(answer)))
        if isinstance(answer, EtcdError):
            raise Failure(answer.message)
        return answer

    def _warning(self, endpoint: str, reason: str) -> str:
        stamp = self.process.machine.loop.micro_timestamp()[:-4] + "Z"
        reason = reason.replace('"', '\\"')
        return (
            f'{{"level":"warn","ts":"{stamp}","logger":"etcd-client","caller":"v3@v3.5.12/retry_interceptor.go:62",'
            f'"msg":"retrying of unary invoker failed","target":"etcd-endpoints://0xc0003e2000/{endpoint}","attempt":0,'
            '"error":"rpc error: code = DeadlineExceeded desc = latest balancer error: last connection error: '
            f'{reason}"}}\n'
        )

    # --- commands -------------------------------------------------------------------------------------------
    def run(self) -> Steps:
        name = self.words[0] if self.words else ""
        if name in COMMANDS or name in GROUPS:
            if name in GROUPS:
                name = f"{name}_{self.words[1].replace('-', '_') if len(self.words) > 1 else ''}"
            from k8s_core.shell.commands import etcdctl_auth, etcdctl_print  # noqa: PLC0415  they load messages' classes

            self.show = etcdctl_print
            if name in etcdctl_auth.KNOWN:
                return (yield from etcdctl_auth.run(self, name, self.words[2:]))
            words = self.words[2:] if "_" in name else self.words[1:]
            if name in ASKS:
                return (yield from self._ask(ASKS[name], words))
            if command := getattr(self, f"do_{name}", None):
                return (yield from outcome(self.process, command(words)))
        if not name:
            self.process.out("NAME:\n\tetcdctl - A simple command line client for etcd3.\n")
            return 0
        unknown = f'unknown command "{" ".join(self.words)}" for "etcdctl"'
        raise Failure(unknown, log=f"Error: {unknown}\nRun 'etcdctl --help' for usage.\n")

    def _ask(self, ask: Ask, words: list[str]) -> Steps:
        if ask.needs and not words:
            raise Failure(ask.needs, 128)
        request = getattr(self.show.rpc, f"{ask.request}Request")(**ask.fields(self, words))
        try:
            answer = yield from self.call(ask.method, request)
        except Failure as failure:
            raise Failure(ask.failed.format(failure), failure.code, failure.log) from None
        self.out(ask.said(self, answer, words))
        return 0

    def out(self, text: str | bytes) -> None:
        self.process.out(text)

    def shown(self, answer: Message, form: Form) -> str | bytes:
        """An answer as JSON, if that is asked for, or in a form of its own."""
        return self.show.dumps(self.show.as_json(answer)) if self.format == "json" else form(answer, self)

    def tell(self, answer: Message, form: Form) -> None:
        self.out(self.shown(answer, form))

    @property
    def format(self) -> str:
        return self.options.get("write-out", "simple")

    def flag(self, name: str) -> bool:
        return self.options.get(name, "false") == "true"

    def number(self, name: str) -> int:
        return number(self.options.get(name, "0"))

    def do_version(self, words: list[str]) -> None:
        self.out(VERSION)

    def span(self, words: list[str]) -> dict[str, bytes]:
        """Key and range end of a command's words and flags."""
        from k8s_core.etcd.store import prefix_end  # noqa: PLC0415

        key = words[0].encode() if words else b""
        end = words[1].encode() if len(words) > 1 else b""
        if self.flag("prefix"):
            end = prefix_end(key) if key else b"\0"
        elif self.flag("from-key"):
            end = b"\0"
        return {"key": key or (b"\0" if end else b""), "range_end": end}

    def do_get(self, words: list[str]) -> Steps:
        if not words:
            raise Failure("get command needs one argument as key and an optional argument as range_end", 128)
        if self.flag("count-only") and self.format != "fields":
            raise Failure("--count-only is only for `--write-out=fields`", 128)
        orders, targets = ("", "ASCEND", "DESCEND"), ("KEY", "VERSION", "CREATE", "MODIFY", "VALUE")
        request = self.show.rpc.RangeRequest(
            **self.span(words), limit=self.number("limit"), revision=self.number("rev"),
            sort_order=orders.index(self.options.get("order", "").upper()),
            sort_target=targets.index(self.options.get("sort-by", "KEY").upper()),
            keys_only=self.flag("keys-only"), count_only=self.flag("count-only"),
        )  # fmt: skip
        self.tell((yield from self.call("range", request)), self.show.get)
        return 0

    def do_put(self, words: list[str]) -> Steps:
        if not words:
            raise Failure("put command needs 1 argument and input from stdin or 2 arguments", 128)
        value = words[1].encode() if len(words) > 1 else (yield from self.stdin())
        request = self.show.rpc.PutRequest(
            key=words[0].encode(), value=value, lease=hexadecimal(self.options.get("lease", "0"), "lease"),
            prev_kv=self.flag("prev-kv"), ignore_value=self.flag("ignore-value"),
            ignore_lease=self.flag("ignore-lease"),
        )  # fmt: skip
        self.tell((yield from self.call("put", request)), self.show.put)
        return 0

    def do_del(self, words: list[str]) -> Steps:
        if not words:
            raise Failure("del command needs one argument as key and an optional argument as range_end", 128)
        request = self.show.rpc.DeleteRangeRequest(**self.span(words), prev_kv=self.flag("prev-kv"))
        self.tell((yield from self.call("delete_range", request)), self.show.delete)
        return 0

    def do_defrag(self, words: list[str]) -> Steps:
        for endpoint in self.endpoints:
            yield from self.call("defragment", self.show.rpc.DefragmentRequest(), endpoint)
            self.out(f"Finished defragmenting etcd member[{endpoint}]\n")
        return 0

    def do_txn(self, words: list[str]) -> Steps:
        text = (yield from self.stdin()).decode()
        self.tell((yield from self.call("txn", self.show.parse_txn(text))), self.show.txn)
        return 0

    def do_watch(self, words: list[str]) -> Steps:
        waiters, queue = Waiters(), list[Message]()

        def arrived(response: Message) -> None:
            queue.append(response)
            waiters.notify()

        create = self.show.rpc.WatchCreateRequest(
            **self.span(words), start_revision=self.number("rev"), prev_kv=self.flag("prev-kv")
        )
        request = self.show.rpc.WatchRequest(create_request=create)
        stream = yield from self.call("watch", request, on_response=arrived)
        self.process.at_exit.append(stream.close)
        while True:
            while queue:
                response = queue.pop(0)
                if response.canceled:
                    why = response.cancel_reason or "etcdserver: mvcc: required revision has been compacted"
                    self.process.err(f"watch was canceled ({why})\nError: watch is canceled by the server\n")
                    return 1
                self.out(self.show.watch(response, self))
            yield waiters

    def stdin(self) -> Generator[Wait, None, bytes]:
        return (yield from self.process.stdin.read_all())

    # --- leases ---------------------------------------------------------------------------------------------
    def do_lease_keep_alive(self, words: list[str]) -> Steps:
        if not words:
            raise Failure("lease keep-alive command needs lease ID as argument", 128)
        id = hexadecimal(words[0], "lease")
        while True:
            answer = yield from self.call("lease_keep_alive", self.show.rpc.LeaseKeepAliveRequest(ID=id))
            if not answer.TTL:
                self.out(f"lease {id:016x} expired or revoked.\n")
                return 0
            self.out(f"lease {id:016x} keepalived with TTL({answer.TTL})\n")
            if self.flag("once"):
                return 0
            yield answer.TTL / 3

    # --- members and their health ---------------------------------------------------------------------------
    def do_endpoint_hashkv(self, words: list[str]) -> Steps:
        for endpoint in self.endpoints:
            answer = yield from self.call("hash_kv", self.show.rpc.HashKVRequest(revision=self.number("rev")), endpoint)
            self.out(f"{endpoint}, {answer.hash}\n")
        return 0

    def do_endpoint_status(self, words: list[str]) -> Steps:
        answers = []
        for endpoint in self.endpoints:
            answers.append((endpoint, (yield from self.call("status", self.show.rpc.StatusRequest(), endpoint))))
        self.out(self.show.status(answers, self))
        return 0

    def do_endpoint_health(self, words: list[str]) -> Steps:
        for endpoint in self.endpoints:
            try:
                yield from self.call("range", self.show.rpc.RangeRequest(key=b"health"), endpoint)
            except Failure as failure:
                said = f"{endpoint} is unhealthy: failed to commit proposal: {failure}\nError: unhealthy cluster\n"
                self.process.err(failure.log + said)
                return 1
            self.out(f"{endpoint} is healthy: successfully committed proposal: took = 1.683042ms\n")
        return 0

    def do_alarm_disarm(self, words: list[str]) -> Steps:
        answer = yield from self.call("alarm", self.show.rpc.AlarmRequest())
        for alarm in answer.alarms:
            request = self.show.rpc.AlarmRequest(action=2, memberID=alarm.memberID, alarm=alarm.alarm)
            self.out(self.show.alarms((yield from self.call("alarm", request))))
        return 0

    # --- snapshots ------------------------------------------------------------------------------------------
    def do_snapshot_save(self, words: list[str]) -> Steps:
        return (yield from etcdctl_snapshot.save(self, words))

    def do_snapshot_status(self, words: list[str]) -> int:
        return etcdctl_snapshot.deprecated(etcdctl_snapshot.status, self, words)

    def do_snapshot_restore(self, words: list[str]) -> int:
        return etcdctl_snapshot.deprecated(etcdctl_snapshot.restore, self, words)
