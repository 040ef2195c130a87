"""How workflow payloads leave our processes: compressed, encrypted, and refused on the way in when they are not.

Compression before encryption lets a length hint at content that an attacker shares a payload with; secrets never enter payloads.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
)

from orchestrator.crypto.box import Box
from orchestrator.domain.errors import Invalid

ENCODING = b"binary/encrypted"
COMPRESS_OVER = 4 * 1024
"""Bytes; smaller payloads gain nothing."""
LARGEST = 64 * 1024 * 1024
"""Bytes of one payload in clear: far over what Temporal accepts, far under what hurts a worker."""

_CONTEXT = b"temporal:payload:1"
_PLAIN = b"\x00"
_DEFLATED = b"\x01"


class EncryptionCodec(PayloadCodec):
    """Every payload, results, failures' details and memos included, as one opaque box.

    Decoding fails closed: whoever can write to Temporal without our key cannot hand a workflow or an activity anything.
    """

    def __init__(self, box: Box) -> None:
        """Takes the box of the payload keys: `Box(ring.derive("payloads"))`."""
        self._box = box

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """One encrypted payload for each. Raises Invalid over `LARGEST`."""
        return [self._encoded(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """The payloads in clear. Raises Invalid for one that is not encrypted, was altered, or unpacks over `LARGEST`."""
        return [self._decoded(payload) for payload in payloads]

    def _encoded(self, payload: Payload) -> Payload:
        sealed = self._box.seal(_pack(payload.SerializeToString()), _CONTEXT)
        metadata = {"encoding": ENCODING, "encryption-key-id": self._box.newest_key_id.encode()}
        return Payload(metadata=metadata, data=sealed)

    def _decoded(self, payload: Payload) -> Payload:
        encoding = payload.metadata.get("encoding", b"")
        if encoding != ENCODING:
            shown = encoding[:40].decode("ascii", "replace") or "none"
            raise Invalid(
                f"a payload from Temporal is not encrypted (encoding {shown}) and was refused; "
                "something without our key wrote it: send through Tocsin's API, not with Temporal's tools"
            )
        try:
            return Payload.FromString(_unpack(self._box.open(payload.data, _CONTEXT)))
        except DecodeError:
            raise Invalid(
                "a payload from Temporal opens but is no payload: another program uses our payload key"
            ) from None


def data_converter(box: Box) -> DataConverter:
    """Pydantic models in and out, encrypted; messages and stack traces of failures too."""
    return dataclasses.replace(
        pydantic_data_converter,
        payload_codec=EncryptionCodec(box),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def _pack(clear: bytes) -> bytes:
    if len(clear) > LARGEST:
        raise Invalid(
            f"a payload of {len(clear)} bytes is over the limit of {LARGEST}; pass a reference instead of the content"
        )
    if len(clear) > COMPRESS_OVER:
        deflated = zlib.compress(clear, level=1)  # the fast end: the loop waits for it
        if len(deflated) < len(clear):
            return _DEFLATED + deflated
    return _PLAIN + clear


def _unpack(packed: bytes) -> bytes:
    match packed[:1]:
        case b"\x00":
            return packed[1:]
        case b"\x01":
            return _inflate(packed[1:])
        case _:
            raise Invalid(
                "a payload from Temporal has an unknown form: it was written by a newer Tocsin; upgrade this worker"
            )


def _inflate(deflated: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        clear = inflater.decompress(deflated, LARGEST + 1)
    except zlib.error:
        raise Invalid(
            "a payload from Temporal does not decompress: another program uses our payload key"
        ) from None
    if not inflater.eof or len(clear) > LARGEST:
        raise Invalid(
            f"a payload from Temporal is cut short or unpacks to more than {LARGEST} bytes, and was refused"
        )
    return clear
