"""The S3 sink puts each batch once, locked, and shows what the owner of the database rewrote."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from orchestrator.audit.sealer import export_trail
from orchestrator.audit.sinks.configure import make_sinks
from orchestrator.audit.sinks.requirement import missing_sink
from orchestrator.audit.sinks.s3 import sign_request
from orchestrator.audit.sinks.stream import SinkStream
from orchestrator.audit.verify.check import Kept, verify
from orchestrator.domain.errors import Invalid
from orchestrator.runtime import Runtime
from orchestrator.settings import Settings
from tests.audit.test_sinks import position, with_sinks
from tests.audit.test_transparency import rewrite
from tests.harness.databases import START

boto3 = pytest.importorskip("boto3", reason="the SDK of AWS is a development package")
moto = pytest.importorskip("moto.server", reason="moto is a development package")

DENIED = pytest.importorskip("botocore.exceptions").ClientError
KEYS = {
    "audit_sinks_s3_key_id": "AKIDEXAMPLE",
    "audit_sinks_s3_secret": SecretStr("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Start a server that emulates S3."""
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(address: str) -> Any:
    """Return a client of AWS's own SDK."""
    return boto3.client(
        "s3",
        region_name="eu-central-1",
        endpoint_url=address,
        aws_access_key_id="owner",
        aws_secret_access_key="owner",
    )


@asynccontextmanager
async def with_bucket(
    folder: Path, s3: Any, address: str, *, lock: bool = True, **settings: object
) -> AsyncIterator[tuple[Runtime, str]]:
    """Open a runtime with three sealed batches and a bucket."""
    bucket = f"audit-{folder.name.replace('_', '-')}"[:60].strip("-").lower()
    s3.create_bucket(
        Bucket=bucket,
        ObjectLockEnabledForBucket=lock,
        CreateBucketConfiguration={"LocationConstraint": "eu-central-1"},
    )
    url = f"s3://{bucket}/tocsin/?region=eu-central-1&retain_days=3650&endpoint={address}"
    async with with_sinks(folder, url, **KEYS, **settings) as rt:
        yield rt, bucket


def objects(s3: Any, bucket: str) -> list[str]:
    return [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def download(s3: Any, bucket: str, file: Path) -> Path:
    parts = [s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in objects(s3, bucket)]
    file.write_bytes(b"".join(parts))
    return file


async def test_each_batch_is_one_locked_object(tmp_path: Path, s3: Any, address: str) -> None:
    async with with_bucket(tmp_path, s3, address) as (rt, bucket):
        await SinkStream(rt).deliver()
        assert (await position(rt)).error is None
        keys = objects(s3, bucket)
        numbers = [key.split("-")[-2] for key in keys]
        assert numbers == ["000000000001", "000000000002", "000000000003"]
        for key in keys:
            found = s3.head_object(Bucket=bucket, Key=key)
            assert found["ObjectLockMode"] == "COMPLIANCE"
            assert found["ObjectLockRetainUntilDate"] == START + timedelta(days=3650)
        [version] = s3.list_object_versions(Bucket=bucket, Prefix=keys[0])["Versions"]
        with pytest.raises(DENIED, match="AccessDenied"):
            s3.delete_object(Bucket=bucket, Key=keys[0], VersionId=version["VersionId"])
        sink = download(s3, bucket, tmp_path / "sink.jsonl")
        await export_trail(rt, tmp_path / "t.jsonl")
        kept = Kept(sink=sink)
        assert verify(tmp_path / "t.jsonl", rt.audit_key.public, kept).status == "intact"


async def test_repeated_delivery_adds_nothing(tmp_path: Path, s3: Any, address: str) -> None:
    async with with_bucket(tmp_path, s3, address) as (rt, bucket):
        await SinkStream(rt).deliver()
        async with rt.store.write() as session:
            await session.delete(await session.merge(await position(rt)))
        await SinkStream(rt).deliver()
        assert (await position(rt)).batch == 3
        versions = s3.list_object_versions(Bucket=bucket)["Versions"]
        assert len(versions) == len(objects(s3, bucket)) == 3


async def test_bucket_without_object_lock_acknowledges_nothing(
    tmp_path: Path, s3: Any, address: str
) -> None:
    async with with_bucket(tmp_path, s3, address, lock=False) as (rt, _):
        await SinkStream(rt).deliver()
        found = await position(rt)
        assert found.batch == 0
        assert "status 400" in str(found.error) or "is not locked" in str(found.error)


async def test_required_bucket_that_is_gone_stops_changes(
    tmp_path: Path, s3: Any, address: str
) -> None:
    async with with_bucket(tmp_path, s3, address, audit_sinks_required=True) as (rt, _):
        await SinkStream(rt).deliver()
        async with rt.store.write() as session:
            assert await missing_sink(rt, session) is None
        later = replace(rt, clock=lambda: START + timedelta(seconds=61))
        async with rt.store.write() as session:
            assert await missing_sink(later, session) is not None
        await SinkStream(later).deliver()  # idle: the newest object is still there, and locked
        async with rt.store.write() as session:
            assert await missing_sink(later, session) is None


@pytest.mark.attack(
    "rewrite the trail with all keys, and the objects of its S3 sink with the sink's key",
    before="there was no sink that the owner of the machine could not rewrite",
)
async def test_locked_objects_reveal_a_rewritten_trail(
    tmp_path: Path, s3: Any, address: str
) -> None:
    async with with_bucket(tmp_path, s3, address) as (rt, bucket):
        await SinkStream(rt).deliver()
        for key in objects(s3, bucket):
            [version] = s3.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]
            with pytest.raises(DENIED, match="AccessDenied"):
                s3.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
        sink = download(s3, bucket, tmp_path / "sink.jsonl")
        await rewrite(rt, 2)
        await export_trail(rt, tmp_path / "t.jsonl")
        report = verify(tmp_path / "t.jsonl", rt.audit_key.public, Kept(sink=sink))
        assert report.status == "altered"
        assert any("event 3 " in found for found in report.findings)


def test_signature_is_that_of_the_example_of_aws() -> None:
    """The PUT of "Authenticating Requests: Using the Authorization Header" in the S3 manual."""
    signed = sign_request(
        "PUT",
        "https://examplebucket.s3.amazonaws.com/test%24file.text",
        {
            "date": "Fri, 24 May 2013 00:00:00 GMT",
            "x-amz-storage-class": "REDUCED_REDUNDANCY",
        },
        b"Welcome to Amazon S3.",
        region="us-east-1",
        key_id="AKIAIOSFODNN7EXAMPLE",
        secret=SecretStr("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        now=datetime(2013, 5, 24, tzinfo=UTC),
    )
    expected = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
    assert signed["authorization"].endswith(f"Signature={expected}")


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/",
        "s3://bucket/?region=eu-central-1",
        "s3://bucket/?region=eu-central-1&retain_days=0",
        "s3://bucket/?region=eu-central-1&retain_days=x",
        "s3://bucket/?region=eu/../x&retain_days=30",
        "s3://bucket/?region=eu-central-1&retain_days=30&endpoint=http://minio.example",
        "s3://bucket/?region=eu-central-1&retain_days=30&mode=GOVERNANCE",
        "s3:///?region=eu-central-1&retain_days=30",
        "s3://key:secret@bucket/?region=eu-central-1&retain_days=30",
    ],
)
def test_address_that_is_no_bucket_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(Invalid, match="sink 1: write"):
        Settings.load(data_dir=tmp_path, audit_sinks=(url,), **KEYS)


def test_bucket_without_a_key_is_refused(tmp_path: Path) -> None:
    url = "s3://bucket/?region=eu-central-1&retain_days=30"
    settings = Settings.load(data_dir=tmp_path, audit_sinks=(url,))
    with pytest.raises(Invalid, match="set audit_sinks_s3_key_id"):
        make_sinks(settings, lambda: START)
