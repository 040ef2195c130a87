"""Which ATT&CK techniques does a payload name? Their ids, each once, in order."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ID = re.compile(r"(?<![A-Za-z0-9])T\d{4}(?:\.\d{3})?(?![0-9])", re.ASCII)
MAX_TECHNIQUES = 32


def techniques(texts: Iterable[str]) -> tuple[str, ...]:
    """The ids in the texts, such as `T1071.001`; `attack.t1071` and `T1562.008 - Impair Defenses` are read, too."""
    found = dict.fromkeys(technique for text in texts for technique in _ID.findall(text.upper()))
    return tuple(found)[:MAX_TECHNIQUES]
