"""Redis with its client, and hello-world."""

import shlex

from k8s_core.kubelet.images import Image
from k8s_core.kubelet.programs.simple import stamps, wrapper
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Command, Process
from k8s_core.shell.sockets import NetworkError


def redis_server(process: Process) -> Steps:
    """redis-server: strings, counters and lists, spoken to in inline commands."""
    image: Image | None = process.machine.extra.get("image")
    version = image.version if image else "8.2.2"
    port = int(process.argv[process.argv.index("--port") + 1]) if "--port" in process.argv[:-1] else 6379
    values: dict[str, str] = {}
    lists: dict[str, list[str]] = {}

    def note(role: str, mark: str, text: str) -> None:
        when = process.machine.loop.now
        day = stamps(process)["log4j"].replace("-", " ")
        process.out(f"{process.pid}:{role} {day[:-4]}.{int(when * 1000) % 1000:03} {mark} {text}\n")

    note("C", "*", "oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo")
    note("C", "*", f"Redis version={version}, bits=64, commit=00000000, modified=0, pid={process.pid}, just started")
    note(
        "C",
        "#",
        "Warning: no config file specified, using the default config. In order to specify a config file use "
        "redis-server /path/to/redis.conf",
    )
    if not process.machine.network.listen(port, process, lambda data: _redis(values, lists, data)):
        note("M", "#", f"Warning: Could not create server TCP listening socket *:{port}: bind: Address already in use")
        note("M", "#", "Failed listening on port 6379 (tcp), aborting.")
        return 1
    note("M", "*", "monotonic clock: POSIX clock_gettime")
    note("M", "*", f"Running mode=standalone, port={port}.")
    note("M", "*", "Server initialized")
    note("M", "*", "Ready to accept connections tcp")
    signal = yield from process.wait_signal("TERM", "INT")
    note("signal-handler", "*", f"Received SIG{signal} scheduling shutdown...")
    note("M", "*", "User requested shutdown...")
    note("M", "#", "Redis is now ready to exit, bye bye...")
    return 0


def _redis(values: dict[str, str], lists: dict[str, list[str]], data: bytes) -> bytes:
    """Answers to inline commands, one a line, in the protocol's own form (RESP2)."""
    answers = []
    for line in data.decode(errors="replace").splitlines():
        try:
            words = shlex.split(line)
        except ValueError:
            answers.append("-ERR Protocol error: unbalanced quotes in request")
            continue
        if words:
            answers.append(_redis_one(values, lists, words[0].upper(), words[1:]))
    return "".join(f"{answer}\r\n" for answer in answers).encode()


def _redis_one(values: dict[str, str], lists: dict[str, list[str]], name: str, args: list[str]) -> str:
    def bulk(text: str | None) -> str:
        return "$-1" if text is None else f"${len(text.encode())}\r\n{text}"

    if name == "PING":
        return bulk(args[0]) if args else "+PONG"
    if name == "SET" and len(args) >= 2:
        values[args[0]] = args[1]
        return "+OK"
    if name == "GET" and len(args) == 1:
        return bulk(values.get(args[0]))
    if name in ("INCR", "DECR") and len(args) == 1:
        old = values.get(args[0], "0")
        if not old.lstrip("-").isdigit():
            return "-ERR value is not an integer or out of range"
        values[args[0]] = str(int(old) + (1 if name == "INCR" else -1))
        return f":{values[args[0]]}"
    if name == "DEL":
        return f":{sum(values.pop(a, None) is not None or lists.pop(a, None) is not None for a in args)}"
    if name == "EXISTS":
        return f":{sum(a in values or a in lists for a in args)}"
    if name in ("LPUSH", "RPUSH") and len(args) >= 2:
        target = lists.setdefault(args[0], [])
        for value in args[1:]:
            target.insert(0 if name == "LPUSH" else len(target), value)
        return f":{len(target)}"
    if name in ("LPOP", "RPOP") and len(args) == 1:
        found = lists.get(args[0])
        return bulk(found.pop(0 if name == "LPOP" else -1) if found else None)
    if name == "LRANGE" and len(args) == 3:
        start, end = int(args[1]), int(args[2])
        chosen = lists.get(args[0], [])[start : end + 1 or None]
        return "\r\n".join([f"*{len(chosen)}", *[bulk(v) for v in chosen]])
    if name == "KEYS":
        keys = [*values, *lists]
        return "\r\n".join([f"*{len(keys)}", *[bulk(k) for k in keys]])
    if name == "DBSIZE":
        return f":{len(values) + len(lists)}"
    if name in ("FLUSHALL", "FLUSHDB"):
        values.clear()
        lists.clear()
        return "+OK"
    if name == "INFO":
        return bulk("# Server\r\nredis_mode:standalone\r\ntcp_port:6379\r\n")
    if name in ("SET", "GET", "INCR", "DECR", "LPUSH", "RPUSH", "LPOP", "RPOP", "LRANGE"):
        return f"-ERR wrong number of arguments for '{name.lower()}' command"
    shown = " ".join(f"'{a}'" for a in args)
    return f"-ERR unknown command '{name.lower()}', with args beginning with: {shown}"


def redis_cli(process: Process) -> Steps:
    """redis-cli [-h host] [-p port] command."""
    arguments, host, port = process.argv[1:], "127.0.0.1", 6379
    while len(arguments) > 1 and arguments[0] in ("-h", "-p", "-n", "-a"):
        flag, value = arguments.pop(0), arguments.pop(0)
        if flag == "-h":
            host = value
        elif flag == "-p" and value.isdigit():
            port = int(value)
    lines = (
        [" ".join(shlex.quote(a) for a in arguments).encode()]
        if arguments
        else ((yield from process.stdin.read_all()).splitlines())
    )
    network = process.machine.network
    for line in lines:
        try:
            address = yield from network.resolve(host)
            answer = (yield from network.tcp(address, port, line + b"\n", 10.0)).decode()
        except NetworkError as error:
            reason = "Name or service not known" if error.kind == "resolve" else error.message
            process.err(f"Could not connect to Redis at {host}:{port}: {reason}\n")
            return 1
        process.out(_readable(answer.split("\r\n")[:-1], process.tty))
    return 0


def _readable(parts: list[str], tty: bool) -> str:
    """An answer as redis-cli shows it: bare in a pipe, with types on a terminal."""
    result: list[str] = []
    index = 0
    many = parts and parts[0].startswith("*")
    if many:
        index = 1
        if parts[0] == "*0":
            return "(empty array)\n" if tty else "\n"
    while index < len(parts):
        kind, text = parts[index][:1], parts[index][1:]
        if kind == "$":
            value = None if text == "-1" else parts[index + 1]
            index += 1 if value is None else 2
            shown = ("(nil)" if value is None else f'"{value}"') if tty else (value or "")
        else:
            index += 1
            shown = {":": f"(integer) {text}" if tty else text, "-": f"(error) {text}" if tty else text}.get(kind, text)
        result.append(f"{len(result) + 1}) {shown}" if many and tty else shown)
    return "".join(f"{line}\n" for line in result)


REDIS: dict[str, Command] = {"docker-entrypoint.sh": wrapper, "redis-server": redis_server, "redis-cli": redis_cli}


def hello(process: Process) -> Steps:
    """docker.io/library/hello-world."""
    process.out("\nHello from Docker!\nThis message shows that your installation appears to be working correctly.\n\n")
    return 0
    yield 0.0
