"""Payload codec: workflow payloads are compressed and encrypted; others are text, never data.

Temporal's server itself writes plain payloads, for example into the details of a cancellation
("ACTIVITY_ID_NOT_STARTED"). A workflow must be able to read its history, so a plain payload decodes
to `ServerText`: text to log, which no argument, result, signal or update accepts.

Compression before encryption lets the length of a payload hint at its content, if an attacker
controls a part of it. Secrets never enter payloads.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    EncodingPayloadConverter,
    PayloadCodec,
)

from orchestrator.crypto.box import Box
from orchestrator.domain.errors import Invalid

ENCODING = b"binary/encrypted"
SERVER_TEXT = "text/server"
MAX_SERVER_TEXT = 1_000
"""Characters of a plain payload that are kept."""
COMPRESS_OVER = 4 * 1024
"""Bytes. Smaller payloads gain nothing."""
LARGEST = 64 * 1024 * 1024
"""Bytes of one payload in clear: far more than Temporal accepts, far less than hurts a worker."""

_CONTEXT = b"temporal:payload:1"
_PLAIN = b"\x00"
_DEFLATED = b"\x01"


class EncryptionCodec(PayloadCodec):
    """Encrypts every payload, including results, details of failures and memos.

    Decoding fails closed: without the key, no one can pass data to a workflow or an activity. A
    plain payload becomes text of the encoding `text/server`, which only an untyped reader accepts.
    """

    def __init__(self, box: Box) -> None:
        """Use the box of the payload keys: `Box(ring.derive("payloads"))`."""
        self._box = box

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Return one encrypted payload for each. Raise Invalid over `LARGEST`."""
        return [self._encode_one(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Return the payloads in clear.

        One that is not encrypted becomes text. Raise Invalid for one that was altered, or that
        unpacks over `LARGEST`.
        """
        return [self._decode_one(payload) for payload in payloads]

    def _encode_one(self, payload: Payload) -> Payload:
        sealed = self._box.seal(_pack(payload.SerializeToString()), _CONTEXT)
        metadata = {"encoding": ENCODING, "encryption-key-id": self._box.newest_key_id.encode()}
        return Payload(metadata=metadata, data=sealed)

    def _decode_one(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding", b"") != ENCODING:
            shown = payload.data.decode("utf-8", "replace")[:MAX_SERVER_TEXT]
            return Payload(metadata={"encoding": SERVER_TEXT.encode()}, data=shown.encode())
        try:
            return Payload.FromString(_unpack(self._box.open(payload.data, _CONTEXT)))
        except DecodeError:
            raise Invalid(
                "a payload from Temporal decrypts to other data: another program uses the key"
            ) from None


class ServerText(str):
    """Text that was not written with the payload key: by Temporal's server, or by an attacker."""

    __slots__ = ()


class ServerTextConverter(EncodingPayloadConverter):
    """Reads plain payloads as text where no type is expected, and refuses them everywhere else."""

    @property
    def encoding(self) -> str:
        """The encoding that the codec gives plain payloads."""
        return SERVER_TEXT

    def to_payload(self, value: Any) -> Payload | None:
        """Return None: Tocsin writes encrypted payloads only."""
        del value
        return None

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """Return `ServerText`. Raise Invalid where a type is expected."""
        if type_hint is not None:
            raise Invalid(
                "a payload from Temporal is not encrypted and was refused; "
                "it was written without the payload key: use Tocsin's API, not Temporal's tools"
            )
        return ServerText(payload.data.decode("utf-8", "replace"))


class TocsinPayloadConverter(CompositePayloadConverter):
    """The converter of pydantic models, which reads plain payloads as text."""

    def __init__(self) -> None:
        """Put the converter of plain text last: it writes nothing."""
        known = PydanticPayloadConverter().converters.values()
        super().__init__(*known, ServerTextConverter())


def data_converter(box: Box) -> DataConverter:
    """Return the converter of pydantic models; payloads and failures are encrypted."""
    return DataConverter(
        payload_converter_class=TocsinPayloadConverter,
        payload_codec=EncryptionCodec(box),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def _pack(clear: bytes) -> bytes:
    if len(clear) > LARGEST:
        raise Invalid(
            f"a payload of {len(clear)} bytes is over the limit of {LARGEST}; "
            "pass a reference instead of the content"
        )
    if len(clear) > COMPRESS_OVER:
        deflated = zlib.compress(clear, level=1)  # the fastest: it blocks the event loop
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
                "a payload from Temporal has an unknown form, written by a newer Tocsin; "
                "upgrade this worker"
            )


def _inflate(deflated: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        clear = inflater.decompress(deflated, LARGEST + 1)
    except zlib.error:
        raise Invalid(
            "a payload from Temporal does not decompress: another program uses the payload key"
        ) from None
    if not inflater.eof or len(clear) > LARGEST:
        raise Invalid(
            f"a payload from Temporal is truncated or larger than {LARGEST} bytes, and was refused"
        )
    return clear
