"""The payload codec: a round trip, and the refusal of everything else."""

from __future__ import annotations

import secrets
import tracemalloc
import zlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydantic import BaseModel
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import (
    ActivitySerializationContext,
    SerializationContext,
    WorkflowSerializationContext,
)
from temporalio.exceptions import ApplicationError

from orchestrator.crypto.box import Box
from orchestrator.crypto.keys import Key, KeyRing
from orchestrator.domain.errors import Invalid
from orchestrator.engine.temporal import codec as under_test
from orchestrator.engine.temporal.codec import (
    COMPRESS_OVER,
    ENCODING,
    NOT_FROM_HERE,
    EncryptionCodec,
    ServerText,
    data_converter,
)

BOX = Box(KeyRing([Key("k1", secrets.token_bytes(32))]))
CODEC = EncryptionCodec(BOX)
CONTEXT = b"temporal:payload:2:[]"


def _clear(data: bytes, metadata: Mapping[str, bytes] | None = None) -> Payload:
    return Payload(metadata=metadata or {"encoding": b"json/plain"}, data=data)


@pytest.mark.parametrize("size", [0, 1, COMPRESS_OVER - 100, COMPRESS_OVER + 1, 500_000])
async def test_payloads_round_trip(size: int) -> None:
    payloads = [
        _clear(b"x" * size),
        _clear(secrets.token_bytes(size), {"encoding": b"binary/plain", "messageType": b"m"}),
    ]
    assert await CODEC.decode(await CODEC.encode(payloads)) == payloads


async def test_encrypted_payload_shows_only_its_encoding_and_key_id() -> None:
    [encoded] = await CODEC.encode(
        [_clear(b'"10.0.0.7"', {"encoding": b"json/plain", "note": b"10.0.0.7"})]
    )
    assert dict(encoded.metadata) == {"encoding": ENCODING, "encryption-key-id": b"k1"}
    assert b"10.0.0.7" not in encoded.SerializeToString()


async def test_large_payload_is_compressed_unless_that_makes_it_larger() -> None:
    [text, noise] = await CODEC.encode(
        [_clear(b"abc" * 50_000), _clear(secrets.token_bytes(50_000))]
    )
    assert len(text.data) < 5_000
    assert len(noise.data) < 50_200


@pytest.mark.parametrize("encoding", [b"json/plain", b"binary/null", b"", b"\xff" * 100])
async def test_plain_payload_is_text_and_never_data(encoding: bytes) -> None:
    converter = data_converter(BOX)
    plain = [_clear(b'{"when": "2026-01-02T00:00:00Z", "target": "x"}', {"encoding": encoding})]
    (text,) = await converter.decode(plain)
    assert isinstance(text, ServerText)
    for expected in (_Order, str, dict, bytes):
        with pytest.raises(Invalid, match=r"is not encrypted.*use Tocsin's API"):
            await converter.decode(plain, [expected])


async def test_altered_payload_is_refused() -> None:
    converter = data_converter(BOX)
    [encoded] = await converter.encode([1])
    encoded.data = encoded.data[:-1] + bytes([encoded.data[-1] ^ 1])
    assert await converter.decode([encoded]) == [ServerText(NOT_FROM_HERE)]
    with pytest.raises(Invalid, match="not encrypted for this place"):
        await converter.decode([encoded], [int])


async def test_secret_of_the_store_is_not_accepted_as_a_payload() -> None:
    stored = BOX.seal(b"\x00" + _clear(b"1").SerializeToString(), b"connection:firewall:token")
    with pytest.raises(Invalid, match="not encrypted for this place"):
        await data_converter(BOX).decode([_clear(stored, {"encoding": ENCODING})], [int])


IN_WORKFLOW = WorkflowSerializationContext(namespace="default", workflow_id="run-run_1-1")
IN_ACTIVITY = ActivitySerializationContext(
    namespace="default",
    activity_id=None,
    activity_type="apply",
    activity_task_queue=None,
    workflow_id="run-run_1-1",
    workflow_type="RunPlaybook",
    is_local=False,
)


@pytest.mark.parametrize(
    "moved",
    [
        replace(IN_WORKFLOW, workflow_id="run-run_2-1"),
        replace(IN_WORKFLOW, namespace="staging"),
        IN_ACTIVITY,
        replace(IN_ACTIVITY, activity_type="plan"),
        replace(IN_ACTIVITY, workflow_type="RunBatch"),
    ],
)
async def test_payload_that_was_copied_to_another_place_is_refused(
    moved: SerializationContext,
) -> None:
    here = IN_ACTIVITY if moved != IN_ACTIVITY and type(moved) is type(IN_ACTIVITY) else IN_WORKFLOW
    payloads = await data_converter(BOX).with_context(here).encode([_Other(target="x")])
    assert await data_converter(BOX).with_context(here).decode(payloads, [_Other])
    elsewhere = data_converter(BOX).with_context(moved)
    assert await elsewhere.decode(payloads) == [ServerText(NOT_FROM_HERE)]
    with pytest.raises(Invalid, match="not encrypted for this place"):
        await elsewhere.decode(payloads, [_Other])


async def test_payload_is_read_as_the_model_that_was_written_only() -> None:
    converter = data_converter(BOX).with_context(IN_WORKFLOW)
    payloads = await converter.encode([_Other(target="x")])
    with pytest.raises(Invalid, match=r"holds '_Other' where '_Same' is expected"):
        await converter.decode(payloads, [_Same])


async def test_payload_of_an_unknown_key_stops_the_reader() -> None:
    [encoded] = await EncryptionCodec(Box(KeyRing([Key("k9", secrets.token_bytes(32))]))).encode(
        [_clear(b"1")]
    )
    with pytest.raises(Invalid, match="needs key 'k9'"):
        await CODEC.decode([encoded])


@pytest.mark.parametrize(
    ("packed", "says"),
    [
        (b"", "unknown form"),
        (b"\x07abc", "unknown form"),
        (b"\x00\xff\xff\xff", "decrypts to other data"),
        (b"\x01abc", "does not decompress"),
        (b"\x01" + zlib.compress(b"x" * 1000)[:-5], "truncated"),
    ],
)
async def test_decrypted_content_that_is_no_payload_is_refused(packed: bytes, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        await CODEC.decode([_clear(BOX.seal(packed, CONTEXT), {"encoding": ENCODING})])


async def test_decompression_bomb_is_refused_before_it_unpacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(under_test, "LARGEST", 1_000_000)
    bomb = _clear(
        BOX.seal(b"\x01" + zlib.compress(bytes(50_000_000)), CONTEXT), {"encoding": ENCODING}
    )
    tracemalloc.start()
    with pytest.raises(Invalid, match="truncated or larger than 1000000 bytes"):
        await CODEC.decode([bomb])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


async def test_oversized_payload_is_not_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(under_test, "LARGEST", 1_000_000)
    with pytest.raises(Invalid, match="over the limit of 1000000; pass a reference"):
        await CODEC.encode([_clear(bytes(1_000_001))])
    around = _clear(b"")
    around.data = bytes(1_000_000 - len(_clear(bytes(900_000)).SerializeToString()) + 900_000)
    assert len(around.SerializeToString()) == 1_000_000
    assert await CODEC.decode(await CODEC.encode([around])) == [around]


async def test_payloads_of_an_older_key_are_read() -> None:
    old = Key("k0", secrets.token_bytes(32))
    [encoded] = await EncryptionCodec(Box(KeyRing([old]))).encode([_clear(b"1")])
    rotated = EncryptionCodec(Box(KeyRing([Key("k1", secrets.token_bytes(32)), old])))
    assert await rotated.decode([encoded]) == [_clear(b"1")]


class _Other(BaseModel):
    target: str


class _Same(BaseModel):
    target: str


class _Order(BaseModel):
    when: datetime
    target: str


async def test_converter_encrypts_models() -> None:
    order = _Order(when=datetime(2026, 1, 2, tzinfo=UTC), target="10.0.0.7")
    converter = data_converter(BOX)
    payloads = await converter.encode([order, None, 3])
    assert all(payload.metadata["encoding"] == ENCODING for payload in payloads)
    assert await converter.decode(payloads, [_Order, type(None), int]) == [order, None, 3]


async def test_message_and_trace_of_a_failure_are_encrypted() -> None:
    converter = data_converter(BOX)
    failure = Failure()
    await converter.encode_failure(ApplicationError("cannot isolate 10.0.0.7", "10.0.0.7"), failure)
    assert b"10.0.0.7" not in failure.SerializeToString()
    read = await converter.decode_failure(failure)
    assert isinstance(read, ApplicationError)
    assert (read.message, read.details) == ("cannot isolate 10.0.0.7", ("10.0.0.7",))


def test_pydantic_converter_is_not_modified() -> None:
    data_converter(BOX)
    assert pydantic_data_converter.payload_codec is None
