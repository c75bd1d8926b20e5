"""SPDY/3.1 frames, the server's side: what kubectl port-forward still speaks, inside a WebSocket.

Stands for moby/spdystream. Streams are opened by the client alone; flow control is left out, as there.
"""

import zlib
from dataclasses import dataclass, field

WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin"
)
REST = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Author"
    "itative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 No"
    "t Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Au"
    "g Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,"
    "image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,def"
    "late,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(len(word).to_bytes(4) + word.replace("_", " ").encode() for word in WORDS.split()) + REST.encode()
"""What header blocks are compressed with (draft-mbelshe-httpbis-spdy-00, 2.6.10.1); its Adler-32 is 0xe3c6a7c2."""
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY = 1, 2, 3, 4, 6, 7
FIN = 1


@dataclass(slots=True)
class Event:
    """What a frame says: kind is "open", "data", "reset" or "ping"."""

    kind: str
    stream: int = 0
    data: bytes = b""
    fin: bool = False
    headers: dict[str, str] = field(default_factory=dict)


class Connection:
    """Bytes in, events out; and the frames that answer them."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> list[Event]:
        self._buffer += data
        events = []
        while len(self._buffer) >= 8:
            length = int.from_bytes(self._buffer[5:8])
            if len(self._buffer) < 8 + length:
                break
            head, body = bytes(self._buffer[:8]), bytes(self._buffer[8 : 8 + length])
            del self._buffer[: 8 + length]
            event = self._frame(head, body)
            if event:
                events.append(event)
        return events

    def _frame(self, head: bytes, body: bytes) -> Event | None:
        fin = bool(head[4] & FIN)
        if not head[0] & 0x80:
            return Event("data", int.from_bytes(head[:4]), body, fin)
        kind, stream = int.from_bytes(head[2:4]), int.from_bytes(body[:4]) & 0x7FFFFFFF
        if kind == SYN_STREAM:
            return Event("open", stream, fin=fin, headers=self._headers(body[10:]))
        if kind == RST_STREAM:
            return Event("reset", stream)
        return Event("ping", data=body) if kind == PING else None

    def _headers(self, block: bytes) -> dict[str, str]:
        plain = self._inflate.decompress(block)
        position, found = 4, {}

        def text() -> str:
            nonlocal position
            size = int.from_bytes(plain[position : position + 4])
            position += 4 + size
            return plain[position - size : position].decode(errors="replace")

        for _ in range(int.from_bytes(plain[:4])):
            name = text()
            found[name.lower()] = text()
        return found

    # --- frames to send -------------------------------------------------------------------------------------
    def reply(self, stream: int) -> bytes:
        block = self._deflate.compress(bytes(4)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return _control(SYN_REPLY, stream.to_bytes(4) + block)

    def data(self, stream: int, data: bytes, *, fin: bool = False) -> bytes:
        return stream.to_bytes(4) + bytes((FIN if fin else 0,)) + len(data).to_bytes(3) + data

    def ping(self, body: bytes) -> bytes:
        return _control(PING, body)


def _control(kind: int, body: bytes) -> bytes:
    return b"\x80\x03" + kind.to_bytes(2) + b"\x00" + len(body).to_bytes(3) + body
