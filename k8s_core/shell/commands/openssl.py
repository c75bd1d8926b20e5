"""openssl, typed on a node, where one looks at certificates: x509, verify, version (openssl_make.py makes them).

Prints what OpenSSL 3 prints. Left out: TLS connections.
"""

from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from k8s_core.shell.commands.options import Table
from k8s_core.shell.fs import FileError
from k8s_core.shell.pipes import Steps
from k8s_core.shell.process import Process

COMMANDS = Table()

SHORT = {NameOID.COMMON_NAME: "CN", NameOID.ORGANIZATION_NAME: "O", NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
         NameOID.COUNTRY_NAME: "C"}  # fmt: skip
USAGES = {
    ExtendedKeyUsageOID.SERVER_AUTH: "TLS Web Server Authentication",
    ExtendedKeyUsageOID.CLIENT_AUTH: "TLS Web Client Authentication",
}
BITS = {
    "digital_signature": "Digital Signature", "content_commitment": "Non Repudiation",
    "key_encipherment": "Key Encipherment",
    "data_encipherment": "Data Encipherment", "key_agreement": "Key Agreement", "key_cert_sign": "Certificate Sign",
    "crl_sign": "CRL Sign",
}  # fmt: skip


@COMMANDS.plain("openssl")
def openssl(process: Process) -> Steps:
    verb, words = (process.argv[1], process.argv[2:]) if len(process.argv) > 1 else ("help", [])
    if verb == "version":
        process.print("OpenSSL 3.0.13 30 Jan 2024 (Library: OpenSSL 3.0.13 30 Jan 2024)")
        return 0
    if verb == "x509" and "-req" not in words:
        return (yield from _x509(process, words))
    if verb == "verify":
        return _verify(process, words)
    from k8s_core.shell.commands import openssl_make  # noqa: PLC0415  # it needs `name` from here

    if verb in openssl_make.VERBS:
        return (yield from openssl_make.make(process, verb, words))
    process.err(f"Invalid command '{verb}'; type \"help\" for a list.\n")
    return 1


def _x509(process: Process, words: list[str]) -> Steps:
    values = {w: words[i + 1] for i, w in enumerate(words[:-1]) if w in ("-in", "-checkend", "-ext", "-inform")}
    flags = [w for i, w in enumerate(words) if w.startswith("-") and w not in values]
    known = {"-noout", "-text", "-subject", "-issuer", "-dates", "-startdate", "-enddate", "-serial", "-fingerprint",
             "-pubkey", "-sha256", "-hash", "-purpose", "-email"}  # fmt: skip
    for flag in flags:
        if flag not in known:
            process.err(f"x509: Unknown option or cipher: {flag.lstrip('-')}\nx509: Use -help for summary.\n")
            return 1
    if "-in" in values:
        path = values["-in"]
        try:
            data = process.read(path)
        except FileError:
            process.err(f"Could not open file or uri for loading certificate from {path}: No such file or directory\n")
            process.err("Unable to load certificate\n")
            return 1
    else:
        path, data = "<stdin>", (yield from process.stdin.read_all())
    try:
        certificate = x509.load_pem_x509_certificate(data)
    except ValueError:
        process.err(f"Could not find certificate from {path}\nUnable to load certificate\n")
        return 1
    for flag in flags:
        process.out(_part(flag, certificate))
    if "-ext" in values:
        process.out(_extensions(certificate, set(values["-ext"].split(",")), ""))
    if "-checkend" in values:
        moment = process.machine.loop.now + float(values["-checkend"])
        expires = certificate.not_valid_after_utc.timestamp() <= moment
        process.print(f"Certificate will {'' if expires else 'not '}expire")
        return int(expires)
    if "-noout" not in flags:
        process.out(certificate.public_bytes(serialization.Encoding.PEM))
    return 0


def _date(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%b %e %H:%M:%S %Y GMT")


def name(value: x509.Name) -> str:
    """A subject or issuer, as OpenSSL prints it."""
    return ", ".join(f"{SHORT.get(a.oid, a.oid.dotted_string)} = {a.value!s}" for a in value)


def _part(flag: str, c: x509.Certificate) -> str:
    start, end = f"notBefore={_date(c.not_valid_before_utc)}\n", f"notAfter={_date(c.not_valid_after_utc)}\n"
    fingerprint = _hex(c.fingerprint(hashes.SHA256()))
    public = c.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {
        "-subject": f"subject={name(c.subject)}\n", "-issuer": f"issuer={name(c.issuer)}\n", "-dates": start + end,
        "-startdate": start, "-enddate": end, "-serial": f"serial={c.serial_number:X}\n",
        "-fingerprint": f"sha256 Fingerprint={fingerprint}\n", "-pubkey": public.decode(),
        "-text": _text(c) if flag == "-text" else "",
    }.get(flag, "")  # fmt: skip


def _text(c: x509.Certificate) -> str:
    serial = f"{c.serial_number} (0x{c.serial_number:x})"
    key: Any = c.public_key()
    size = f"{' ' * 16}Public-Key: ({getattr(key, 'key_size', 0)} bit)\n"
    if isinstance(key, ec.EllipticCurvePublicKey):
        kind, bits = "id-ecPublicKey", f"{size}{' ' * 16}ASN1 OID: prime256v1\n{' ' * 16}NIST CURVE: P-256\n"
    else:
        kind, bits = "rsaEncryption" if isinstance(key, rsa.RSAPublicKey) else "unknown", size
    algorithm = "ecdsa-with-SHA256" if "id-ec" in kind else "sha256WithRSAEncryption"
    return (
        f"Certificate:\n    Data:\n        Version: 3 (0x2)\n        Serial Number: {serial}\n"
        f"        Signature Algorithm: {algorithm}\n        Issuer: {name(c.issuer)}\n        Validity\n"
        f"{' ' * 12}Not Before: {_date(c.not_valid_before_utc)}\n{' ' * 12}Not After : {_date(c.not_valid_after_utc)}\n"
        f"        Subject: {name(c.subject)}\n        Subject Public Key Info:\n"
        f"            Public Key Algorithm: {kind}\n{bits}        X509v3 extensions:\n{_extensions(c, None, ' ' * 12)}"
        f"    Signature Algorithm: {algorithm}\n"
    )


def _hex(data: bytes) -> str:
    return ":".join(f"{byte:02X}" for byte in data)


def _described(value: Any) -> tuple[str, str, str]:
    """An extension's short name, its title, and what it says; nothing for one that is not known here."""
    match value:
        case x509.KeyUsage():
            said = ", ".join(text for attribute, text in BITS.items() if getattr(value, attribute))
            return "keyUsage", "Key Usage", said
        case x509.ExtendedKeyUsage():
            return "extendedKeyUsage", "Extended Key Usage", ", ".join(USAGES.get(u, u.dotted_string) for u in value)
        case x509.BasicConstraints():
            return "basicConstraints", "Basic Constraints", f"CA:{'TRUE' if value.ca else 'FALSE'}"
        case x509.SubjectAlternativeName():
            names = [f"IP Address:{n.value}" if isinstance(n, x509.IPAddress) else f"DNS:{n.value}" for n in value]
            return "subjectAltName", "Subject Alternative Name", ", ".join(names)
        case x509.SubjectKeyIdentifier():
            return "subjectKeyIdentifier", "Subject Key Identifier", _hex(value.digest)
        case x509.AuthorityKeyIdentifier():
            return "authorityKeyIdentifier", "Authority Key Identifier", _hex(value.key_identifier or b"")
    return "", "", ""


def _extensions(c: x509.Certificate, wanted: set[str] | None, indent: str) -> str:
    text = ""
    for extension in c.extensions:
        short, title, said = _described(extension.value)
        if short and (wanted is None or short in wanted):
            critical = " critical" if extension.critical else ""
            text += f"{indent}X509v3 {title}:{critical}\n{indent}    {said}\n"
    return text


def _verify(process: Process, words: list[str]) -> int:
    ca = words[words.index("-CAfile") + 1] if "-CAfile" in words[:-1] else ""
    paths = [w for i, w in enumerate(words) if not w.startswith("-") and (i == 0 or words[i - 1] != "-CAfile")]
    status = 0
    for path in paths:
        try:
            certificate = x509.load_pem_x509_certificate(process.read(path))
            authority = x509.load_pem_x509_certificate(process.read(ca)) if ca else None
        except (FileError, ValueError):
            process.err(f"Could not open file or uri for loading certificate file from {path}\n")
            status = 1
            continue
        try:
            if authority is None:
                raise ValueError
            certificate.verify_directly_issued_by(authority)
        except (InvalidSignature, ValueError, TypeError):
            process.err(
                f"{name(certificate.subject)}\nerror 20 at 0 depth lookup: unable to get local issuer certificate\n"
                f"error {path}: verification failed\n"
            )
            status = 2
            continue
        process.print(f"{path}: OK")
    return status
