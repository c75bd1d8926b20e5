"""What a TLS client checks of a server's certificate, in OpenSSL's and curl's words."""

from cryptography import x509
from cryptography.exceptions import InvalidSignature


def problem(certificate: bytes, trusted: bytes, host: str) -> str:
    """Why a client that trusts these authorities (PEM) does not trust the certificate for that host; "" if it does."""
    unknown = "SSL certificate problem: unable to get local issuer certificate"
    try:
        shown = x509.load_pem_x509_certificate(certificate)
        authorities = x509.load_pem_x509_certificates(trusted)
    except ValueError:
        return unknown
    if not any(_issued(shown, authority) for authority in authorities):
        return unknown
    name = host.rsplit(":", 1)[0]
    if name not in names(shown):
        return f"SSL: no alternative certificate subject name matches target host name '{name}'"
    return ""


def go(problem: str) -> str:
    """The same problem as Go's crypto/x509 says it."""
    if "local issuer" in problem:
        return "certificate signed by unknown authority"
    return f"certificate is not valid for any names, but wanted to match {problem.split(chr(39))[1]}"


def names(certificate: x509.Certificate) -> list[str]:
    """The names and addresses that a certificate is for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
