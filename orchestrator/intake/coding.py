"""Content codings of a body: gzip and deflate, decompressed within a bound."""

from __future__ import annotations

import zlib

from orchestrator.intake.body import BodyRefused

CODINGS = "gzip, deflate"
"""The codings that are read, for a header and for the answer to another one."""

_GZIP = 16 + zlib.MAX_WBITS
_MAGIC = b"\x1f\x8b"


def decode(body: bytes, coding: str, limit: int) -> bytes:
    """Return the body without its coding.

    Raise BodyRefused: 415 for another coding or several, 413 for more than `limit` bytes, 400 for
    data that is not of the coding.
    """
    match coding.strip().lower():
        case "" | "identity":
            if body.startswith(_MAGIC):
                raise BodyRefused(
                    400, "the body is compressed; send the header Content-Encoding: gzip"
                )
            return body
        case "gzip" | "x-gzip":
            return _inflate(body, _GZIP, limit, "gzip")
        case "deflate":
            # The name means zlib; some senders omit its two bytes of header.
            is_zlib = len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0
            return _inflate(body, zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS, limit, "deflate")
        case other:
            raise BodyRefused(
                415, f"content coding {other[:64]!a} is not read; send one of {CODINGS}, or none"
            )


def _inflate(body: bytes, window: int, limit: int, name: str) -> bytes:
    found, rest = b"", body
    while rest:
        stream = zlib.decompressobj(window)
        try:
            found += stream.decompress(rest, limit + 1 - len(found))
        except zlib.error as error:
            raise BodyRefused(400, f"the body is not {name}: {error}") from error
        if len(found) > limit:
            raise BodyRefused(413, f"the decompressed body is over the limit of {limit} bytes")
        if not stream.eof:
            raise BodyRefused(400, f"the body is not {name}: it ends too early")
        rest = stream.unused_data if window == _GZIP else b""  # gzip may have several members
    return found
