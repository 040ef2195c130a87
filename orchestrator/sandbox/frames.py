"""The messages between the API and its sandbox: a sign, a length, and JSON."""

from __future__ import annotations

import struct
from typing import Literal

Sign = Literal[b"+", b"!", b"m", b"x"]
"""A reply, a refusal, no memory left, or a failure of the task."""
HEAD = struct.Struct("!cI")
MAX_BYTES = 32 * 1024 * 1024
"""The largest message."""


def frame(sign: bytes, content: bytes) -> bytes:
    """Return a message as it is sent."""
    return HEAD.pack(sign, len(content)) + content
