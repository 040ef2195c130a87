"""Keys of alerts: the same report has the same key, however the sender spells it."""

from __future__ import annotations

import hashlib
import json

from orchestrator.domain.untrusted.text import sanitize
from orchestrator.intake.body import JSON
from orchestrator.intake.normalize.json_cursor import MAX_KEY
from orchestrator.intake.normalize.times import canonical_moment


def dedup_key(*parts: object) -> str:
    r"""Return a dedup key from parts, `a/b/c`, with each `/` inside of a part escaped.

    A key that is too long or not printable is replaced by its SHA-256.
    """
    texts = [str(part) for part in parts]
    key = (
        texts[0]
        if len(texts) == 1
        else "/".join(text.replace("\\", "\\\\").replace("/", "\\/") for text in texts)
    )
    if 0 < len(key) <= MAX_KEY and key == sanitize(key, MAX_KEY):
        return key
    return f"sha256:{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


def fingerprint(value: JSON) -> str:
    """Return the dedup key of content without an id: the SHA-256 of its JSON with sorted keys.

    Times are spelled canonically first, so that the same moment in another zone is the same key.
    RFC 8785 is not used, because it refuses integers beyond 53 bits, and this must not fail.
    """
    text = json.dumps(_canonical(value), sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _canonical(value: JSON) -> JSON:
    match value:
        case str():
            return canonical_moment(value)
        case list():
            return [_canonical(item) for item in value]
        case dict():
            return {key: _canonical(item) for key, item in value.items()}
        case _:
            return value
