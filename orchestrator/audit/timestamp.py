"""Time stamps (RFC 3161): an authority's signature that a checkpoint existed at a time.

{"timestamp": {"checkpoint": {...}, "response": BASE64}} in a line per time stamp. The authority
signs the line of the checkpoint.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from pydantic import ConfigDict, ValidationError

from orchestrator.audit.checkpoint import Checkpoint
from orchestrator.domain.digest import canonical
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen

if TYPE_CHECKING:
    from rfc3161_client import TimeStampRequest


class Timestamp(Frozen):
    """A checkpoint, and what the authority answered."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    checkpoint: Checkpoint
    response: str

    def line(self) -> bytes:
        """Return the line with its newline."""
        return canonical({"timestamp": self.model_dump()}) + b"\n"


class TimestampLine(Frozen):
    """The line of a time stamp."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    timestamp: Timestamp


@dataclass(frozen=True, slots=True)
class Stamped:
    """A checkpoint, and when it existed according to an authority that the caller trusts."""

    checkpoint: Checkpoint
    at: datetime


class Authorities:
    """The roots of the time-stamping authorities that are trusted."""

    def __init__(self, roots: Iterable[x509.Certificate]) -> None:
        self._roots = list(roots)

    @staticmethod
    def load(path: Path) -> Authorities:
        """Return the certificates in a PEM file. Raise Invalid."""
        try:
            return Authorities(x509.load_pem_x509_certificates(path.read_bytes()))
        except (OSError, ValueError) as error:
            raise Invalid(
                f"{path}: cannot be used as the authorities of time stamps ({error}); name a file "
                "of PEM certificates"
            ) from error

    def check(
        self, response: bytes, message: bytes, request: TimeStampRequest | None = None
    ) -> datetime:
        """Return the time of a response that one of the roots vouches for. Raise ValueError."""
        from rfc3161_client import (  # noqa: PLC0415 - few installations have such a sink
            VerificationError,
            VerifierBuilder,
            decode_timestamp_response,
        )

        builder = VerifierBuilder.from_request(request) if request else VerifierBuilder()
        for root in self._roots:
            builder = builder.add_root_certificate(root)
        try:
            answer = decode_timestamp_response(response)
            builder.build().verify(answer, hashlib.sha256(message).digest())
        except VerificationError as error:
            raise ValueError(str(error)) from error
        return answer.tst_info.gen_time


def request_for(checkpoint: Checkpoint) -> TimeStampRequest:
    """Return the request of a time stamp of a checkpoint, with a nonce."""
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder  # noqa: PLC0415 - as above

    builder = TimestampRequestBuilder().data(checkpoint.line())
    return builder.hash_algorithm(HashAlgorithm.SHA256).build()


def make_timestamp(checkpoint: Checkpoint, response: bytes) -> Timestamp:
    """Return the time stamp with an answer that was checked."""
    return Timestamp(checkpoint=checkpoint, response=base64.b64encode(response).decode())


def last_timestamp(content: bytes) -> Timestamp | None:
    """Return the last whole line of a file of time stamps; None for none."""
    for line in reversed(content.splitlines()):
        if (found := _parse(line)) is not None:
            return found
    return None


def load_timestamps(path: Path, authorities: Authorities) -> Sequence[Stamped]:
    """Return the time stamps in a file. Raise Invalid for one that no authority vouches for."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise Invalid(f"{path}: cannot be read ({error.strerror})") from error
    found = [
        _check(path, number, line, authorities)
        for number, line in enumerate(lines, start=1)
        if line
    ]
    if not found:
        raise Invalid(f"{path}: has no time stamp; name a copy of audit.timestamps")
    return found


def _check(path: Path, number: int, line: bytes, authorities: Authorities) -> Stamped:
    stamp = _parse(line)
    if stamp is None:
        raise Invalid(f"{path}, line {number}: is not a time stamp")
    try:
        response = base64.b64decode(stamp.response, validate=True)
        return Stamped(stamp.checkpoint, authorities.check(response, stamp.checkpoint.line()))
    except ValueError as error:
        raise Invalid(
            f"{path}, line {number}: no trusted authority stamped batch {stamp.checkpoint.batch} "
            f"({error})"
        ) from error


def _parse(line: bytes) -> Timestamp | None:
    try:
        return TimestampLine.model_validate_json(line).timestamp
    except ValidationError:
        return None
