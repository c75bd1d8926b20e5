"""bbolt files, written whole and read whole: buckets of sorted keys, which etcd's backend and its snapshots are.

The format is go.etcd.io/bbolt's, version 2: pages of 4 KiB, two meta pages, then B+ trees of leaves and branches; a
value that is longer takes several pages. Left out: free pages, nested buckets, changing a file.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping

PAGE = 4096
MAGIC, VERSION, NO_FREELIST = 0xED0CDAED, 2, 0xFFFF_FFFF_FFFF_FFFF
BRANCH, LEAF, META = 1, 2, 4
BUCKET = 1
HEADER = struct.Struct("<QHHI")  # page number, kind, elements, further pages
LEAF_ELEMENT = struct.Struct("<IIII")  # flags, distance to the key, length of key, of value
BRANCH_ELEMENT = struct.Struct("<IIQ")  # distance to the key, its length, page
META_BODY = struct.Struct(
    "<IIIIQQQQQ"
)  # magic, version, page size, flags, root, sequence, freelist, pages, transaction
BUCKET_HEADER = struct.Struct("<QQ")  # root page (0: it follows here), sequence
FIRST = 2
"""The first page after the meta pages."""

Bucket = Iterable[tuple[bytes, bytes]]
Item = tuple[int, bytes, bytes]
"""Flags, key, value."""


class Damaged(ValueError):
    """Not a whole bbolt file."""


def dump(buckets: Mapping[str, Bucket]) -> bytes:
    """A file with these buckets; each one's keys must be in order."""
    pages = bytearray(FIRST * PAGE)
    roots = [
        (BUCKET, name.encode(), BUCKET_HEADER.pack(_tree(pages, [(0, *item) for item in buckets[name]]), 0))
        for name in sorted(buckets)
    ]
    root = _tree(pages, roots)
    for number in range(FIRST):
        transaction = number + 1
        body = META_BODY.pack(MAGIC, VERSION, PAGE, 0, root, 0, NO_FREELIST, len(pages) // PAGE, transaction)
        page = HEADER.pack(number, META, 0, 0) + body + struct.pack("<Q", _fnv(body))
        pages[number * PAGE : number * PAGE + len(page)] = page
    return bytes(pages)


def _tree(pages: bytearray, items: list[Item]) -> int:
    """Append a tree's pages; the number of its root."""
    level = [_append(pages, LEAF, part) for part in _cut(items, LEAF_ELEMENT.size)]
    while len(level) > 1:
        branches = [(page, key, b"") for key, page in level]
        level = [_append(pages, BRANCH, part) for part in _cut(branches, BRANCH_ELEMENT.size)]
    return level[0][1]


def _cut(items: list[Item], element: int) -> Iterator[list[Item]]:
    """Into what fits a page each, but at least two."""
    part: list[Item] = []
    size = HEADER.size
    for item in items:
        more = element + len(item[1]) + len(item[2])
        if len(part) >= 2 and size + more > PAGE:
            yield part
            part, size = [], HEADER.size
        part.append(item)
        size += more
    yield part


def _append(pages: bytearray, kind: int, items: list[Item]) -> tuple[bytes, int]:
    """One page, with as many further ones as it needs: its first key and its number."""
    number, element = len(pages) // PAGE, LEAF_ELEMENT if kind == LEAF else BRANCH_ELEMENT
    elements, data = bytearray(), bytearray()
    for place, (word, key, value) in enumerate(items):
        distance = (len(items) - place) * element.size + len(data)
        fields = (word, distance, len(key), len(value)) if kind == LEAF else (distance, len(key), word)
        elements += element.pack(*fields)
        data += key + value
    size = HEADER.size + len(elements) + len(data)
    further = -(-size // PAGE) - 1
    pages += HEADER.pack(number, kind, len(items), further) + elements + data
    pages += bytes((1 + further) * PAGE - size)
    return items[0][1] if items else b"", number


def load(data: bytes) -> dict[str, list[tuple[bytes, bytes]]]:
    """All buckets; Damaged if that is no whole bbolt file."""
    try:
        metas = [META_BODY.unpack_from(data, number * PAGE + HEADER.size) for number in range(FIRST)]
        valid = [meta for number, meta in enumerate(metas) if _valid(data, number, meta)]
        root = max(valid, key=lambda meta: meta[8])[4]
        return {name.decode(): list(_bucket(data, value)) for name, value in _walk(data, root * PAGE)}
    except (ValueError, struct.error) as error:
        raise Damaged(f"not a bbolt file: {error}") from error


def _valid(data: bytes, number: int, meta: tuple[int, ...]) -> bool:
    start = number * PAGE + HEADER.size
    body = data[start : start + META_BODY.size]
    (digest,) = struct.unpack_from("<Q", data, start + META_BODY.size)
    return meta[:2] == (MAGIC, VERSION) and bool(digest == _fnv(body))


def _bucket(data: bytes, value: bytes) -> Iterator[tuple[bytes, bytes]]:
    root, _ = BUCKET_HEADER.unpack_from(value)
    return _walk(data, root * PAGE) if root else _walk(value, BUCKET_HEADER.size)


def _walk(data: bytes, at: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values below the page that begins at `at`."""
    _, kind, count, _ = HEADER.unpack_from(data, at)
    for place in range(count):
        if kind & LEAF:
            element = at + HEADER.size + place * LEAF_ELEMENT.size
            _, distance, keys, values = LEAF_ELEMENT.unpack_from(data, element)
            start = element + distance
            yield data[start : start + keys], data[start + keys : start + keys + values]
        else:
            element = at + HEADER.size + place * BRANCH_ELEMENT.size
            yield from _walk(data, BRANCH_ELEMENT.unpack_from(data, element)[2] * PAGE)


def _fnv(body: bytes) -> int:
    """FNV-1a, 64 bits."""
    found = 0xCBF29CE484222325
    for byte in body:
        found = (found ^ byte) * 0x100000001B3 & 0xFFFF_FFFF_FFFF_FFFF
    return found
