"""TLS as kube-apiserver does it: a client is asked for a certificate, and any that comes is let in to be looked at.

Python's own ssl verifies a client certificate inside the handshake or not at all, so one of a foreign CA would end in
a TLS alert and never in the 401 that a client of kube-apiserver reads (Go's tls.RequestClientCert). pyOpenSSL, over
the same OpenSSL, leaves the judgement to authentication.py. `Context` is what asyncio needs of an ssl.SSLContext.
"""

import ssl
from collections.abc import Callable, Iterable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from OpenSSL import SSL

CHUNK = 17 * 1024  # bytes: one TLS record and its frame


class Context:
    """The server's side: its certificate, its key and the CAs whose client certificates it names as welcome."""

    def __init__(
        self, certificate: bytes, key: bytes, client_cas: Iterable[x509.Certificate], protocols: list[bytes]
    ) -> None:
        self._context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self._context.set_min_proto_version(SSL.TLS1_2_VERSION)
        self._context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        self._context.set_options(SSL.OP_NO_TICKET)
        self._context.use_certificate(x509.load_pem_x509_certificate(certificate))
        self._context.use_privatekey(load_pem_private_key(key, None))  # type: ignore[arg-type]  # a CA makes no others
        for client_ca in client_cas:
            self._context.add_client_ca(client_ca)
        self._context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        self._context.set_alpn_select_callback(
            lambda _, offered: next((each for each in protocols if each in offered), SSL.NO_OVERLAPPING_PROTOCOLS)
        )

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, **_: Any) -> "Conversation":
        return Conversation(SSL.Connection(self._context), incoming, outgoing)


class Conversation:
    """One connection, between asyncio's two buffers: as much of ssl.SSLObject as asyncio and http.py use."""

    def __init__(self, connection: SSL.Connection, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._connection, self._incoming, self._outgoing = connection, incoming, outgoing
        connection.set_accept_state()

    def do_handshake(self) -> None:
        self._do(self._connection.do_handshake)

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none once the client has said that it ends."""
        try:
            return self._do(self._connection.recv, min(size, CHUNK))  # type: ignore[no-any-return]
        except SSL.ZeroReturnError:
            return b""

    def write(self, data: bytes) -> int:
        return self._do(self._connection.send, data)  # type: ignore[no-any-return]

    def unwrap(self) -> None:
        """Say that we end, and wait until the client has said so, too."""
        if not self._do(self._connection.shutdown):
            raise ssl.SSLWantReadError

    def getpeercert(self, binary_form: bool = False) -> bytes | None:
        """The client's certificate as DER, whoever issued it."""
        certificate = self._connection.get_peer_certificate(as_cryptography=True) if binary_form else None
        return certificate.public_bytes(Encoding.DER) if certificate else None

    def cipher(self) -> str | None:
        return self._connection.get_cipher_name()

    def compression(self) -> None:
        """TLS 1.2 and 1.3 are spoken without."""

    def _do(self, step: Callable[..., Any], *arguments: Any) -> Any:
        if data := self._incoming.read():
            self._connection.bio_write(data)
        try:
            return step(*arguments)
        except SSL.WantReadError:
            raise ssl.SSLWantReadError from None
        except SSL.ZeroReturnError:
            raise
        except SSL.Error as error:
            raise ssl.SSLError(*error.args) from None
        finally:
            self._flush()

    def _flush(self) -> None:
        try:
            while True:
                self._outgoing.write(self._connection.bio_read(CHUNK))
        except SSL.WantReadError:
            pass  # all is out
