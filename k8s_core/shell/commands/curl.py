"""curl, as much of it as is typed to see whether something answers, and what."""

from collections.abc import Generator

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from k8s_core.shell.commands.network import header_fields, http, where
from k8s_core.shell.commands.options import Options, Spec, Table, UsageError
from k8s_core.shell.fs import FileError
from k8s_core.shell.pipes import Steps, Wait
from k8s_core.shell.process import Process
from k8s_core.shell.sockets import NetworkError, Response

TOOLS = Table()

SPEC = Spec(
    "sSvkiIfLgqN46H;X:d;o:m:w:A:u:R;U:C:E:K: silent=s show-error=S verbose=v insecure=k include=i head=I fail=f "
    "location=L header=H request=X data=d data-raw=d output=o max-time=m connect-timeout=m write-out=w cacert=C cert=E "
    "key=K user-agent=A user=u globoff=g resolve=R ipv4=4 ipv6=6 no-buffer=N disable=q http1.1=g url=U"
)
MORE = (
    "More details here: https://curl.se/docs/sslcerts.html\n\ncurl failed to verify the legitimacy of the server and "
    "therefore could not\nestablish a secure connection to it. To learn more about this situation and\nhow to fix it, "
    "please visit the webpage mentioned above."
)
REDIRECTS = 50
GIVE_UP = 130.0
"""Seconds, when nobody says."""


class Failed(Exception):
    """How curl ends when it does not get an answer."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@TOOLS.plain("curl")
def curl(process: Process) -> Steps:
    try:
        options, operands = SPEC.parse(process)
    except UsageError as error:
        process.err(f"curl: option {error.option if len(error.option) > 1 else f'-{error.option}'}: is unknown\n")
        process.err("curl: try 'curl --help' or 'curl --manual' for more information\n")
        return 2
    operands += [options["U"]] if "U" in options else []
    if not operands:
        process.err("curl: (2) no URL specified\n")
        return 2
    code = 0
    for url in operands:
        try:
            yield from _get(process, url, options)
        except Failed as failed:
            code = failed.code
            if "s" not in options or "S" in options:
                process.err(f"curl: ({code}) {failed}\n")
    return code


def _get(process: Process, url: str, options: Options) -> Generator[Wait, None, None]:
    method = options.get("X") or ("HEAD" if "I" in options else "POST" if "d" in options else "GET")
    headers = {"User-Agent": options.get("A", "curl/8.14.1"), "Accept": "*/*", **header_fields(options.get("H", ""))}
    body = options.get("d", "").replace("\n", "&").encode()
    if body:
        headers = {"Content-Length": str(len(body)), "Content-Type": "application/x-www-form-urlencoded", **headers}
    began, shown, hops = process.machine.loop.now, b"", 0
    while True:
        response, address, port = yield from _once(process, method, url, headers, body, options)
        head = response.head()
        shown += head.encode() if set(options) & set("iI") else b""
        target = response.headers.get("Location", "")
        if "L" not in options or response.status not in (301, 302, 303, 307, 308) or not target:
            break
        hops += 1
        if hops > REDIRECTS:
            raise Failed(47, f"Maximum ({REDIRECTS}) redirects followed")
        scheme, host = (url.split("://", 1) if "://" in url else ("http", url))[:2]
        url = target if "://" in target else f"{scheme}://{host.partition('/')[0]}{target}"
    if "f" in options and response.status >= 400:
        raise Failed(22, f"The requested URL returned error: {response.status}")
    data = shown + (b"" if "I" in options else response.body)
    if "o" in options:
        try:
            process.open_output(options["o"]).write(data)
        except FileError:
            raise Failed(23, "Failure writing output to destination") from None
    else:
        process.out(data)
    if "w" in options:
        took = process.machine.loop.now - began
        facts = {
            "http_code": f"{response.status:03}",
            "response_code": f"{response.status:03}",
            "remote_ip": address,
            "remote_port": str(port),
            "local_ip": process.machine.network.address,
            "num_redirects": str(hops),
            "size_download": str(len(response.body)),
            "time_total": f"{took:.6f}",
            "time_connect": f"{took / 2:.6f}",
            "url_effective": url,
        }
        text = options["w"].replace("\\n", "\n").replace("\\t", "\t")
        for name, value in facts.items():
            text = text.replace(f"%{{{name}}}", value)
        process.out(text)


def _once(
    process: Process, method: str, url: str, headers: dict[str, str], body: bytes, options: Options
) -> Generator[Wait, None, tuple[Response, str, int]]:
    """One request; raises Failed."""
    host, port = where(url)
    limit = float(options.get("m", GIVE_UP))
    known = {
        f"{name}:{number}": address
        for name, number, address in (r.split(":", 2) for r in options.get("R", "").splitlines() if r.count(":") > 1)
    }
    certificate, trusted = _tls(process, options)
    try:
        response, address, port, path = yield from http(
            process, method, url, headers, body, limit, known, certificate=certificate, trusted=trusted
        )
    except NetworkError as error:
        code, text = {
            "certificate": (60, f"{error.message}\n{MORE}" if "local issuer" in error.message else error.message),
            "resolve": (6, f"Could not resolve host: {host}"),
            "timeout": (28, f"Connection timed out after {limit * 1000:.0f} milliseconds"),
            "empty": (52, "Empty reply from server"),
        }.get(error.kind, (7, f"Failed to connect to {host} port {port} after 0 ms: Could not connect to server"))
        raise Failed(code, text) from None
    except ValueError:
        raise Failed(3, "URL rejected: Malformed input to a URL function") from None
    if "v" in options:
        sent = {"Host": f"{host}:{port}" if port not in (80, 443) else host, **headers}
        fields = "".join(f"> {name}: {value}\n" for name, value in sent.items())
        process.err(
            f"*   Trying {address}:{port}...\n* Connected to {host} ({address}) port {port}\n"
            f"> {method} {path} HTTP/1.1\n{fields}> \n"
            + "".join(f"< {line}\n" for line in response.head().splitlines())
        )
    return response, address, port


def _tls(process: Process, options: Options) -> tuple[bytes | None, bytes | None]:
    """(the client's certificate as DER, the authorities that are trusted; None with -k); raises Failed."""

    def read(letter: str, code: int, what: str) -> bytes:
        try:
            return process.read(options[letter])
        except FileError:
            raise Failed(code, f"{what} {options[letter]}") from None

    certificate = None
    if "E" in options:
        pem = read("E", 58, "could not load PEM client certificate from")
        if "K" in options:
            read("K", 58, "unable to set private key file:")
        try:
            shown = x509.load_pem_x509_certificate(pem)
        except ValueError:
            raise Failed(58, f"could not load PEM client certificate from {options['E']}") from None
        certificate = shown.public_bytes(serialization.Encoding.DER)
    if "k" in options:
        return certificate, None
    return certificate, read("C", 77, "error setting certificate verify locations:  CAfile:") if "C" in options else b""
