"""Content codings of a body: gzip and deflate, decompressed within a bound."""

from __future__ import annotations

from orchestrator.domain.untrusted.decompression import OverLimit, UnknownCoding, decompress
from orchestrator.intake.body import BodyRefused

CODINGS = "gzip, deflate"
"""The codings that are read, for a header and for the answer to another one."""

_MAGIC = b"\x1f\x8b"


def decode(body: bytes, coding: str, limit: int) -> bytes:
    """Return the body without its coding.

    Raise BodyRefused: 415 for another coding or several, 413 for more than `limit` bytes, 400 for
    data that is not of the coding.
    """
    if coding.strip().lower() in {"", "identity"} and body.startswith(_MAGIC):
        raise BodyRefused(400, "the body is compressed; send the header Content-Encoding: gzip")
    try:
        return decompress(body, coding, limit)
    except UnknownCoding as error:
        raise BodyRefused(
            415, f"content coding {str(error)!a} is not read; send one of {CODINGS}, or none"
        ) from error
    except OverLimit as error:
        raise BodyRefused(413, f"the body is too large: {error}") from error
    except ValueError as error:
        raise BodyRefused(400, f"the body is {error}") from error
