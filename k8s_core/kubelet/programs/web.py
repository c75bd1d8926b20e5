"""Web servers: nginx, Apache httpd, http-echo and whoami, with their log lines and pages.

nginx reads as much of its configuration as lessons change: listen, root, return, and whether braces and semicolons
are in their places. Left out: TLS, proxying, modules.
"""

import re
from datetime import UTC, datetime

from k8s_core.kubelet.images import Image
from k8s_core.kubelet.programs.simple import idle, respond, stamps
from k8s_core.shell.commands.system import KERNEL
from k8s_core.shell.fs import Directory, File, FileError, normalize
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Command, Process
from k8s_core.shell.sockets import HTTP_REASONS, Request, Response

ENTRYPOINT = """\
/docker-entrypoint.sh: /docker-entrypoint.d/ is not empty, will attempt to perform configuration
/docker-entrypoint.sh: Looking for shell scripts in /docker-entrypoint.d/
/docker-entrypoint.sh: Launching /docker-entrypoint.d/10-listen-on-ipv6-by-default.sh
10-listen-on-ipv6-by-default.sh: info: Getting the checksum of /etc/nginx/conf.d/default.conf
10-listen-on-ipv6-by-default.sh: info: Enabled listen on IPv6 in /etc/nginx/conf.d/default.conf
/docker-entrypoint.sh: Sourcing /docker-entrypoint.d/15-local-resolvers.envsh
/docker-entrypoint.sh: Launching /docker-entrypoint.d/20-envsubst-on-templates.sh
/docker-entrypoint.sh: Launching /docker-entrypoint.d/30-tune-worker-processes.sh
/docker-entrypoint.sh: Configuration complete; ready for start up
"""
TYPES = {
    "html": "text/html",
    "htm": "text/html",
    "css": "text/css",
    "js": "application/javascript",
    "json": "application/json",
    "txt": "text/plain",
    "xml": "text/xml",
    "png": "image/png",
}
BIND_TRIES = 5


def _version(process: Process) -> str:
    image: Image | None = process.machine.extra.get("image")
    return image.version if image else "1.29.3"


def nginx_entrypoint(process: Process) -> Steps:
    arguments = process.argv[1:]
    if arguments and arguments[0] in ("nginx", "nginx-debug"):
        process.out(ENTRYPOINT)
    command = process.machine.find(arguments[0]) if arguments else None
    if command is None:
        process.err(f"/docker-entrypoint.sh: 47: exec: {arguments[0] if arguments else ''}: not found\n")
        return 127
    process.argv = arguments
    return (yield from command(process))


class ConfigError(Exception):
    """What nginx says of a broken configuration."""


def _parse(process: Process, path: str) -> list[list[str]]:
    """The directives of a configuration file, flat; blocks appear as their opening words plus "{" and as "}"."""
    try:
        text = process.fs.read(path).decode(errors="replace")
    except FileError as error:
        raise ConfigError(f'open() "{path}" failed (2: {error})') from None
    directives: list[list[str]] = []
    words: list[str] = []
    depth, line = 0, 1
    for token in re.findall(r"\n|#[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[{};]|[^\s{};\"']+", text):
        if token == "\n":
            line += 1
        elif token.startswith("#"):
            continue
        elif token == ";":
            if not words:
                raise ConfigError(f'unexpected ";" in {path}:{line}')
            directives.append(words)
            words = []
        elif token == "{":
            depth += 1
            directives.append([*words, "{"])
            words = []
        elif token == "}":
            if words:
                raise ConfigError(f'unexpected "}}" in {path}:{line}')
            depth -= 1
            if depth < 0:
                raise ConfigError(f'unexpected "}}" in {path}:{line}')
            directives.append(["}"])
        else:
            words.append(token.strip("\"'") if token[0] in "\"'" else token)
    if words:
        raise ConfigError(f'unexpected end of file, expecting ";" or "}}" in {path}:{line}')
    if depth:
        raise ConfigError(f'unexpected end of file, expecting "}}" in {path}:{line}')
    return directives


def _configuration(process: Process) -> tuple[list[int], str, list[tuple[str, int, str]]]:
    """(ports, root, [(location, status, text) of `return`])."""
    ports: list[int] = []
    root, returns, location = "/usr/share/nginx/html", [], "/"
    files = ["/etc/nginx/nginx.conf"]
    folder = process.fs.lookup("/etc/nginx/conf.d")
    if isinstance(folder, Directory):
        files += [f"/etc/nginx/conf.d/{name}" for name in folder.names() if name.endswith(".conf")]
    for path in files:
        for words in _parse(process, path):
            if words[0] == "listen" and len(words) > 1:
                number = words[1].rsplit(":", 1)[-1].rstrip("]")
                if not number.isdigit() or not 0 < int(number) < 65536:
                    raise ConfigError(f'invalid port in "{words[1]}" of the "listen" directive in {path}')
                if int(number) not in ports:
                    ports.append(int(number))
            elif words[0] == "root" and len(words) > 1:
                root = words[1]
            elif words[0] == "location" and words[-1] == "{":
                location = words[-2]
            elif words[0] == "return" and len(words) > 1 and words[1].isdigit():
                returns.append((location, int(words[1]), " ".join(words[2:]).replace("\\n", "\n")))
    return ports or [80], root, returns


def nginx(process: Process) -> Steps:
    """nginx in the foreground."""
    version, arguments = _version(process), process.argv[1:]

    def note(level: str, text: str) -> None:
        process.err(
            f"{stamps(process)['slashed']} {stamps(process)['time']} [{level}] {process.pid}#{process.pid}: {text}\n"
        )

    if "-v" in arguments or "-V" in arguments:
        process.err(f"nginx version: nginx/{version}\n")
        return 0
    try:
        ports, root, returns = (
            _configuration(process)
            if _customized(process)
            else ([8080 if process.machine.uid else 80], "/usr/share/nginx/html", [])
        )
    except ConfigError as error:
        note("emerg", str(error))
        process.err(f"nginx: [emerg] {error}\n")
        return 1
    if "-t" in arguments:
        process.err(
            "nginx: the configuration file /etc/nginx/nginx.conf syntax is ok\n"
            "nginx: configuration file /etc/nginx/nginx.conf test is successful\n"
        )
        return 0
    if "-s" in arguments:
        init = process.machine.processes.get(1)
        if init:
            process.machine.loop.call_soon(init.signal, 1 if arguments[-1] == "reload" else 3)
        return 0

    def answer(request: Request) -> Response:
        response = _page(process, request, root, returns, version)
        when = datetime.fromtimestamp(process.machine.loop.now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
        process.out(
            f'{request.source} - - [{when}] "{request.method} {request.path} HTTP/1.1" {response.status} '
            f'{len(response.body)} "-" "{request.headers.get("User-Agent", "-")}" "-"\n'
        )
        return response

    for port in ports:
        for attempt in range(BIND_TRIES):
            if process.machine.network.listen(port, process, answer, http=True):
                break
            note("emerg", f"bind() to 0.0.0.0:{port} failed (98: Address already in use)")
            process.err(f"nginx: [emerg] bind() to 0.0.0.0:{port} failed (98: Address already in use)\n")
            if attempt < BIND_TRIES - 1:
                yield 0.5
        else:
            note("emerg", "still could not bind()")
            process.err("nginx: [emerg] still could not bind()\n")
            return 1
    note("notice", 'using the "epoll" event method')
    note("notice", f"nginx/{version}")
    note("notice", "built by gcc 14.2.0 (Debian 14.2.0-19) ")
    note("notice", f"OS: Linux {KERNEL}")
    note("notice", "getrlimit(RLIMIT_NOFILE): 1048576:1048576")
    note("notice", "start worker processes")
    process.argv = ["nginx:", "master", "process", *process.argv]
    worker = Process(
        process.machine,
        ["nginx:", "worker", "process"],
        process.env,
        "/",
        process.stdin,
        process.stdout,
        process.stderr,
        process,
    )
    note("notice", f"start worker process {worker.pid}")
    while (signal := (yield from process.wait_signal("QUIT", "TERM", "INT", "HUP"))) == "HUP":
        note("notice", "signal 1 (SIGHUP) received from 1, reconfiguring")
    number = {"QUIT": 3, "TERM": 15, "INT": 2}[signal]
    note("notice", f"signal {number} (SIG{signal}) received, {'shutting down' if number == 3 else 'exiting'}")
    yield 0.05
    worker.exit(0)
    note("notice", f"worker process {worker.pid} exited with code 0")
    note("notice", "exit")
    return 0


def _customized(process: Process) -> bool:
    """Whether a volume covers nginx's configuration; if not, there is no need to build the file tree to read it."""
    container = getattr(process.machine, "container", None)
    mounts = container.config.mounts if container else []
    return any(mount.path.startswith("/etc/nginx") or mount.path == "/etc" for mount in mounts) or (
        process.machine._fs is not None
    )


def _error(status: int, server: str) -> str:
    title = f"{status} {HTTP_REASONS.get(status, '')}"
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        f"<hr><center>{server}</center>\r\n</body>\r\n</html>\r\n"
    )


def _page(process: Process, request: Request, root: str, returns: list[tuple[str, int, str]], version: str) -> Response:
    path = request.path.split("?")[0]
    server = f"nginx/{version}"
    status, body, kind = 404, _error(404, server), "text/html"
    for location, code, text in sorted(returns, key=lambda r: -len(r[0])):
        if path.startswith(location):
            response = respond(process, code, text, "text/plain")
            response.headers = {"Server": server, **response.headers}
            return response
    node = process.fs.lookup(normalize(path, root) if path == "/" else root + normalize(path))
    if path == "/":
        node = process.fs.lookup(root)
    if isinstance(node, Directory):
        index = process.fs.lookup(f"{root}{normalize(path)}".rstrip("/") + "/index.html")
        status, body = 403, _error(403, server)
        if isinstance(index, File):
            status, body = 200, index.read().decode(errors="replace")
    elif isinstance(node, File):
        status, body = 200, node.read().decode(errors="replace")
        kind = TYPES.get(path.rsplit(".", 1)[-1], "application/octet-stream")
    response = respond(process, status, body, kind)
    response.headers = {"Server": server, **response.headers}
    if status in (403, 404):
        what = (
            'open() "{0}{1}" failed (2: No such file or directory)'
            if status == 404
            else ('directory index of "{0}{1}" is forbidden')
        )
        values = stamps(process)
        process.err(
            f"{values['slashed']} {values['time']} [error] 29#29: *1 {what.format(root, path)}, client: "
            f'{request.source}, server: localhost, request: "{request.method} {request.path} HTTP/1.1"\n'
        )
    return response


NGINX: dict[str, Command] = {"docker-entrypoint.sh": nginx_entrypoint, "nginx": nginx, "nginx-debug": nginx}


NOT_FOUND = """<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">
<html><head>
<title>404 Not Found</title>
</head><body>
<h1>Not Found</h1>
<p>The requested URL was not found on this server.</p>
</body></html>
"""


def httpd(process: Process) -> Steps:
    """Apache httpd in the foreground."""
    version, machine = _version(process), process.machine
    now = datetime.fromtimestamp(machine.loop.now, UTC)
    stamp = now.strftime("%a %b %d %H:%M:%S.%f %Y")
    name = "AH00558: httpd: Could not reliably determine the server's fully qualified domain name, using "
    if "-v" in process.argv:
        process.out(f"Server version: Apache/{version} (Unix)\n")
        return 0
    process.err(
        f"{name}{machine.network.address}. Set the 'ServerName' directive globally to suppress this message\n" * 2
    )

    def answer(request: Request) -> Response:
        path = request.path.split("?")[0]
        node = process.fs.lookup("/usr/local/apache2/htdocs" + (path if path != "/" else "/index.html"))
        status, body = 404, NOT_FOUND
        if isinstance(node, File):
            status, body = 200, node.read().decode(errors="replace")
        response = respond(process, status, body, "text/html")
        response.headers["Server"] = f"Apache/{version} (Unix)"
        when = datetime.fromtimestamp(machine.loop.now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
        process.out(f'{request.source} - - [{when}] "{request.method} {request.path} HTTP/1.1" {status} {len(body)}\n')
        return response

    if not machine.network.listen(80, process, answer, http=True):
        process.err(
            "(98)Address already in use: AH00072: make_sock: could not bind to address 0.0.0.0:80\n"
            "no listening sockets available, shutting down\nAH00015: Unable to open logs\n"
        )
        return 1
    notice = f"[{stamp}] [mpm_event:notice] [pid 1:tid 1]"
    process.err(
        f"{notice} AH00489: Apache/{version} (Unix) configured -- resuming normal operations\n"
        f"[{stamp}] [core:notice] [pid 1:tid 1] AH00094: Command line: 'httpd -D FOREGROUND'\n"
    )
    process.argv = ["httpd", "-DFOREGROUND"]
    signal = yield from process.wait_signal("WINCH", "TERM", "INT")
    ends = {"WINCH": "AH00492: caught SIGWINCH, shutting down gracefully"}
    process.err(f"{notice} {ends.get(signal, 'AH00491: caught SIGTERM, shutting down')}\n")
    return 0


HTTPD: dict[str, Command] = {"httpd-foreground": httpd, "httpd": httpd}


def http_echo(process: Process) -> Steps:
    """hashicorp/http-echo -text=... -listen=:5678."""
    options = dict(re.findall(r"--?(text|listen)[= ](\S.*?)(?= --?(?:text|listen)[= ]|$)", " ".join(process.argv[1:])))
    port = int(options.get("listen", ":5678").rsplit(":", 1)[-1])
    text = options.get("text", process.env.get("ECHO_TEXT", "")).strip('"')
    if not text:
        process.err("Missing -text option!\n")
        return 127
    slashed = stamps(process)
    process.out(f"{slashed['slashed']} {slashed['time']} [INFO] server is listening on :{port}\n")
    process.machine.network.listen(port, process, lambda request: respond(process, 200, text + "\n"), http=True)
    return (yield from idle(process))


def whoami(process: Process) -> Steps:
    """traefik/whoami: says who it is and what it was asked."""

    def answer(request: Request) -> Response:
        head = "".join(f"{name}: {value}\n" for name, value in request.headers.items())
        body = (
            f"Hostname: {process.machine.hostname}\nIP: 127.0.0.1\nIP: {process.machine.network.address}\n"
            f"RemoteAddr: {request.source}:41234\n{request.method} {request.path} HTTP/1.1\n{head}\n"
        )
        return respond(process, 200, body)

    port = int(process.env.get("WHOAMI_PORT_NUMBER", "80"))
    process.machine.network.listen(port, process, answer, http=True)
    process.out(f"{stamps(process)['slashed']} {stamps(process)['time']} Starting up on port {port}\n")
    return (yield from idle(process))
