"""openssl where something is made: genrsa, genpkey, req, x509 -req, and rsa, pkey and dgst for what came of it.

A learner's way to a user's certificate: a key, a request, and a signature by the cluster's CA or by a
CertificateSigningRequest. Keys are real, so they differ each time. Left out: configuration files, encryption.
"""

import hashlib
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from k8s_core.shell.commands.openssl import name
from k8s_core.shell.fs import FileError
from k8s_core.shell.pipes import Steps, Wait
from k8s_core.shell.process import Process

OIDS = {"CN": NameOID.COMMON_NAME, "O": NameOID.ORGANIZATION_NAME, "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
        "C": NameOID.COUNTRY_NAME, "ST": NameOID.STATE_OR_PROVINCE_NAME, "L": NameOID.LOCALITY_NAME,
        "emailAddress": NameOID.EMAIL_ADDRESS}  # fmt: skip
VALUED = frozenset(
    ["-in", "-out", "-key", "-keyout", "-newkey", "-subj", "-days", "-CA", "-CAkey", "-CAserial", "-set_serial",
     "-algorithm", "-pkeyopt", "-outform", "-inform", "-addext", "-extfile", "-extensions", "-config"]
)  # fmt: skip
PEM = serialization.Encoding.PEM
MONTH = 30


class Failed(Exception):
    """What openssl says when it cannot go on."""


class Asked:
    """The words behind the verb: values by flag, flags, and the rest."""

    def __init__(self, words: list[str]) -> None:
        self.values: dict[str, str] = {}
        self.flags: set[str] = set()
        self.rest: list[str] = []
        while words:
            word = words.pop(0)
            if word in VALUED and words:
                self.values[word] = words.pop(0)
            elif word.startswith("-"):
                self.flags.add(word)
            else:
                self.rest.append(word)


def make(process: Process, verb: str, words: list[str]) -> Steps:
    try:
        yield from VERBS[verb](process, Asked(words))
    except Failed as failed:
        process.err(f"{failed}\n")
        return 1
    return 0


def _read(process: Process, asked: Asked, flag: str, what: str) -> Generator[Wait, None, bytes]:
    path = asked.values.get(flag)
    if path is None:
        return (yield from process.stdin.read_all())
    try:
        return process.read(path)
    except FileError as error:
        raise Failed(f"Could not open file or uri for loading {what} from {path}: {error}") from None


def _write(process: Process, asked: Asked, data: bytes, flag: str = "-out", mode: int = 0o644) -> None:
    path = asked.values.get(flag)
    if path is None:
        process.out(data)
        return
    process.open_output(path).write(data)
    node = process.lookup(path)
    if node is not None:
        node.mode = mode


def _private(key: Any) -> bytes:
    pem: bytes = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem


def _new_key(kind: str, size: str) -> Any:
    if kind.upper() == "EC":
        return ec.generate_private_key(ec.SECP256R1())
    bits = int(size) if size.isdigit() else 2048
    if not 1024 <= bits <= 4096:
        raise Failed(f"Error: keys have 1024 to 4096 bits here, not {bits}")
    return rsa.generate_private_key(65537, bits)


def _key(data: bytes, path: str) -> Any:
    try:
        return serialization.load_pem_private_key(data, None)
    except (ValueError, TypeError):
        raise Failed(f"Could not find private key from {path}") from None


def _genrsa(process: Process, asked: Asked) -> Generator[Wait, None, None]:
    yield 0.0
    kind = asked.values.get("-algorithm", "RSA")
    size = next(iter(asked.rest), asked.values.get("-pkeyopt", "").rpartition(":")[2])
    _write(process, asked, _private(_new_key(kind, size)), mode=0o600)


def _subject(text: str) -> x509.Name:
    """/CN=jane/O=dev"""
    parts = [part.partition("=") for part in text.strip("/").split("/") if part]
    if not text.startswith("/") or any(key not in OIDS for key, _, _ in parts):
        raise Failed(f"req: subject name is expected to be in the format /type0=value0/type1=value1: '{text}'")
    return x509.Name([x509.NameAttribute(OIDS[key], value) for key, _, value in parts])


def _req(process: Process, asked: Asked) -> Generator[Wait, None, None]:
    """A new request, or what stands in one; with -x509 a certificate that signs itself."""
    if not asked.flags & {"-new", "-x509"} and "-newkey" not in asked.values:
        data = yield from _read(process, asked, "-in", "X509 Request")
        try:
            found = x509.load_pem_x509_csr(data)
        except ValueError:
            raise Failed(f"Could not find X509 Request from {asked.values.get('-in', '<stdin>')}") from None
        if "-verify" in asked.flags:
            process.err("Certificate request self-signature verify OK\n")
        if "-subject" in asked.flags:
            process.print(f"subject={name(found.subject)}")
        if "-text" in asked.flags:
            bits = getattr(found.public_key(), "key_size", 0)
            process.print(
                f"Certificate Request:\n    Data:\n        Version: 1 (0x0)\n        Subject: {name(found.subject)}\n"
                f"        Subject Public Key Info:\n                Public-Key: ({bits} bit)"
            )
        if "-noout" not in asked.flags:
            process.out(found.public_bytes(PEM))
        return
    if "-newkey" in asked.values or "-key" not in asked.values:
        kind, _, size = asked.values.get("-newkey", "rsa:2048").partition(":")
        key = _new_key(kind, size)
        _write(process, asked, _private(key), "-keyout" if "-keyout" in asked.values else "-out", 0o600)
    else:
        key = _key((yield from _read(process, asked, "-key", "private key")), asked.values["-key"])
    if "-subj" not in asked.values:
        raise Failed("req: there is nobody to ask for the subject; say it with -subj, such as -subj /CN=jane/O=dev")
    subject = _subject(asked.values["-subj"])
    if "-x509" in asked.flags:
        made = _signed(process, asked, subject, key.public_key(), subject, key)
        _write(process, asked, made.public_bytes(PEM))
        return
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    names = asked.values.get("-addext", "").removeprefix("subjectAltName").lstrip(" =")
    if alternatives := [part.strip().removeprefix("DNS:") for part in names.split(",") if "DNS:" in part]:
        san = x509.SubjectAlternativeName([x509.DNSName(each) for each in alternatives])
        builder = builder.add_extension(san, critical=False)
    _write(process, asked, builder.sign(key, hashes.SHA256()).public_bytes(PEM))


def _signed(
    process: Process, asked: Asked, subject: x509.Name, public: Any, issuer: x509.Name, key: Any
) -> x509.Certificate:
    now = datetime.fromtimestamp(process.machine.loop.now, UTC)
    days = int(asked.values.get("-days", MONTH))
    serial = int(asked.values.get("-set_serial", "0"), 0) or x509.random_serial_number()
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
    builder = builder.serial_number(serial).not_valid_before(now).not_valid_after(now + timedelta(days=days))
    if issuer == subject:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256())


def _sign(process: Process, asked: Asked) -> Generator[Wait, None, None]:
    """x509 -req: a request becomes a certificate."""
    data = yield from _read(process, asked, "-in", "certificate request input")
    missing = [flag for flag in ("-CA", "-CAkey") if flag not in asked.values]
    if missing:
        raise Failed(f"x509: here a request is signed by a CA: {' and '.join(missing)} are missing")
    try:
        request = x509.load_pem_x509_csr(data)
        authority = x509.load_pem_x509_certificate((yield from _read(process, asked, "-CA", "CA certificate")))
    except ValueError:
        raise Failed("Unable to load certificate request input") from None
    key = _key((yield from _read(process, asked, "-CAkey", "CA private key")), asked.values["-CAkey"])
    made = _signed(process, asked, request.subject, request.public_key(), authority.subject, key)
    process.err(f"Certificate request self-signature ok\nsubject={name(request.subject)}\n")
    _write(process, asked, made.public_bytes(PEM))


def _pkey(process: Process, asked: Asked) -> Generator[Wait, None, None]:
    """A key as it is, or its public half; in DER for those who hash it."""
    data = yield from _read(process, asked, "-in", "private key")
    try:
        public = (
            serialization.load_pem_public_key(data[: data.find(b"-----END PUBLIC KEY-----") + 24] + b"\n")
            if "-pubin" in asked.flags
            else _key(data, asked.values.get("-in", "<stdin>")).public_key()
        )
    except ValueError:
        raise Failed("Could not find public key from <stdin>") from None
    if "-check" in asked.flags:
        process.print("RSA key ok" if isinstance(public, rsa.RSAPublicKey) else "Key is valid")
    if "-noout" in asked.flags:
        return
    form = serialization.Encoding.DER if asked.values.get("-outform", "").lower() == "der" else PEM
    if asked.flags & {"-pubin", "-pubout"}:
        _write(process, asked, public.public_bytes(form, serialization.PublicFormat.SubjectPublicKeyInfo))
    else:
        _write(process, asked, data)


def _dgst(process: Process, asked: Asked) -> Generator[Wait, None, None]:
    kind = next((flag[1:] for flag in asked.flags if flag[1:] in hashlib.algorithms_guaranteed), "sha256")
    title = {"md5": "MD5", "sha1": "SHA1"}.get(kind, f"SHA2-{kind.removeprefix('sha')}")
    for path in asked.rest or ["stdin"]:
        data = process.read(path) if asked.rest else (yield from process.stdin.read_all())
        process.print(f"{title}({path})= {hashlib.new(kind, data, usedforsecurity=False).hexdigest()}")


VERBS = {"genrsa": _genrsa, "genpkey": _genrsa, "req": _req, "x509": _sign, "rsa": _pkey, "pkey": _pkey, "ec": _pkey,
         "dgst": _dgst}  # fmt: skip
