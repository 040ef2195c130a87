"""Decompression of one content coding, within a size and a ratio."""

from __future__ import annotations

import zlib

MAX_RATIO = 200
"""The most bytes that one compressed byte may become."""
_FREE_OF_RATIO = 256 * 1024
"""Bytes below which the ratio says nothing."""
_MAX_MEMBERS = 64
"""The most members of one gzip body; each of them costs a pass over the rest."""
_GZIP = 16 + zlib.MAX_WBITS


class OverLimit(ValueError):
    """A body is longer than its limit, or much longer than what was sent."""


class UnknownCoding(ValueError):
    """A content coding that is not read, or several of them."""


def decompress(body: bytes, coding: str, limit: int) -> bytes:
    """Return a body without its one content coding.

    Raise UnknownCoding, OverLimit (more than `limit` bytes, or MAX_RATIO), ValueError for data that
    is not of the coding.
    """
    match coding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _inflate(body, _GZIP, limit, "gzip")
        case "deflate":
            # The name means zlib; some senders omit its two bytes of header.
            is_zlib = len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0
            return _inflate(body, zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS, limit, "deflate")
        case other:
            raise UnknownCoding(other[:64])


def _inflate(body: bytes, window: int, limit: int, name: str) -> bytes:
    most = min(limit, max(_FREE_OF_RATIO, len(body) * MAX_RATIO))
    found, rest, members = bytearray(), body, 0
    while rest:
        stream = zlib.decompressobj(window)
        try:
            found += stream.decompress(rest, most + 1 - len(found))
        except zlib.error as error:
            message = f"not {name}: {error}"
            raise ValueError(message) from error
        if len(found) > most:
            kind = "the limit" if most == limit else f"{MAX_RATIO} times what was sent"
            message = f"decompressed, it is over {kind} of {most} bytes"
            raise OverLimit(message)
        if not stream.eof:
            message = f"not {name}: it ends too early"
            raise ValueError(message)
        members += 1
        rest = stream.unused_data if window == _GZIP else b""
        if rest and members >= _MAX_MEMBERS:
            message = f"not {name}: more than {_MAX_MEMBERS} members"
            raise ValueError(message)
    return bytes(found)
