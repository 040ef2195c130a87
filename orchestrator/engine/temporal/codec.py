"""Payload codec: workflow payloads are compressed and encrypted; others are text, never data.

Temporal's server itself writes plain payloads, for example into the details of a cancellation
("ACTIVITY_ID_NOT_STARTED"). A workflow must be able to read its history, so a plain payload decodes
to `ServerText`: text to log, which no argument, result, signal or update accepts.

A payload is bound to its place: the namespace, the workflow id and, for an activity, the types of
the workflow and of the activity. Its content names the model that was written. One that was altered
or copied into another workflow, activity or argument is text as well.

Compression before encryption lets the length of a payload hint at its content, if an attacker
controls a part of it. Secrets never enter payloads.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import Any, Self

from google.protobuf.message import DecodeError
from pydantic import BaseModel
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter, PydanticPayloadConverter
from temporalio.converter import (
    ActivitySerializationContext,
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    EncodingPayloadConverter,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from orchestrator.crypto.box import Box
from orchestrator.domain.errors import Invalid

ENCODING = b"binary/encrypted"
SERVER_TEXT = "text/server"
NOT_FROM_HERE = "(a payload that was altered, or copied from another place)"
MAX_SERVER_TEXT = 1_000
"""Characters of a plain payload that are kept."""
COMPRESS_OVER = 4 * 1024
"""Bytes. Smaller payloads gain nothing."""
LARGEST = 64 * 1024 * 1024
"""Bytes of one payload in clear: far more than Temporal accepts, far less than hurts a worker."""

_CONTEXT = b"temporal:payload:2:"
_KIND = "kind"
"""The metadata, inside the ciphertext, that names the model."""
_PLAIN = b"\x00"
_DEFLATED = b"\x01"


class EncryptionCodec(PayloadCodec, WithSerializationContext):
    """Encrypts every payload, including results, details of failures and memos.

    Decoding fails closed: without the key, no one can pass data to a workflow or an activity. A
    plain payload becomes text of the encoding `text/server`, which only an untyped reader accepts.
    """

    def __init__(self, box: Box, context: SerializationContext | None = None) -> None:
        """Use the box of the payload keys: `Box(ring.derive("payloads"))`.

        `context`: where the payloads belong; the SDK sets it for each workflow and activity.
        """
        self._box = box
        self._place = _CONTEXT + json.dumps(_place(context)).encode()

    def with_context(self, context: SerializationContext) -> Self:
        """Return a codec for the payloads of one workflow or activity."""
        return type(self)(self._box, context)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Return one encrypted payload for each. Raise Invalid over `LARGEST`."""
        return [self._encode_one(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Return the payloads in clear.

        One that is not encrypted, or not for this place, becomes text, so that a copied signal does
        not stop the workflow that gets it. Raise Invalid for an unknown key, and for one that
        unpacks over `LARGEST`.
        """
        return [self._decode_one(payload) for payload in payloads]

    def _encode_one(self, payload: Payload) -> Payload:
        sealed = self._box.seal(_pack(payload.SerializeToString()), self._place)
        metadata = {"encoding": ENCODING, "encryption-key-id": self._box.newest_key_id.encode()}
        return Payload(metadata=metadata, data=sealed)

    def _decode_one(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding", b"") != ENCODING:
            return _text(payload.data.decode("utf-8", "replace")[:MAX_SERVER_TEXT])
        packed = self._box.open_if_bound(payload.data, self._place)
        if packed is None:
            return _text(NOT_FROM_HERE)
        try:
            return Payload.FromString(_unpack(packed))
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
                "a payload from Temporal is not encrypted for this place and was refused; it was "
                "written without the payload key, or copied: use Tocsin's API, not Temporal's tools"
            )
        return ServerText(payload.data.decode("utf-8", "replace"))


class NamedModelConverter(PydanticJSONPlainPayloadConverter):
    """Writes the name of a model into its payload, and reads it as that model only.

    A workflow's input, signals, updates and result share a place. Their models tell them apart.
    """

    def to_payload(self, value: Any) -> Payload | None:
        """Return the JSON of a value; that of a model says which."""
        payload = super().to_payload(value)
        if payload is not None and isinstance(value, BaseModel):
            payload.metadata[_KIND] = type(value).__name__.encode()
        return payload

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """Return the value. Raise Invalid where another model is expected."""
        if isinstance(type_hint, type) and issubclass(type_hint, BaseModel):
            kind = payload.metadata.get(_KIND, b"").decode("utf-8", "replace")
            if kind != type_hint.__name__:
                raise Invalid(
                    f"a payload from Temporal holds {kind or 'no model'!r} where "
                    f"{type_hint.__name__!r} is expected, and was refused; it was copied from "
                    "another place: use Tocsin's API, not Temporal's tools"
                )
        return super().from_payload(payload, type_hint)


class TocsinPayloadConverter(CompositePayloadConverter):
    """The converter of pydantic models, which reads plain payloads as text."""

    def __init__(self) -> None:
        """Use the converters that all share: the SDK makes a converter for each payload."""
        super().__init__(*_CONVERTERS)


def _converters() -> tuple[EncodingPayloadConverter, ...]:
    """Return pydantic's converters, and that of plain text last: it writes nothing."""
    named = NamedModelConverter()
    known = {**PydanticPayloadConverter().converters, named.encoding.encode(): named}
    return (*known.values(), ServerTextConverter())


_CONVERTERS = _converters()
"""One of each for the process: they keep nothing but the adapters of types, which are dear."""


def data_converter(box: Box) -> DataConverter:
    """Return the converter of pydantic models; payloads and failures are encrypted."""
    return DataConverter(
        payload_converter_class=TocsinPayloadConverter,
        payload_codec=EncryptionCodec(box),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def _text(shown: str) -> Payload:
    return Payload(metadata={"encoding": SERVER_TEXT.encode()}, data=shown.encode())


def _place(context: SerializationContext | None) -> list[str]:
    match context:
        case WorkflowSerializationContext():
            return ["workflow", context.namespace, context.workflow_id]
        case ActivitySerializationContext():
            of = (context.workflow_id, context.workflow_type, context.activity_type)
            return ["activity", context.namespace, *(part or "" for part in of)]
        case None:
            return []
        case _:
            raise Invalid(f"no payload is written for {type(context).__name__}")


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
