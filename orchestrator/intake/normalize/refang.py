"""Refanging: addresses, domains and URLs that people wrote so that they cannot be followed."""

from __future__ import annotations

import re

from orchestrator.domain.observable import ObservableType

_TYPES = frozenset(
    {
        ObservableType.ADDRESS,
        ObservableType.NETWORK,
        ObservableType.DOMAIN,
        ObservableType.URL,
        ObservableType.EMAIL,
    }
)
_DOT = re.compile(r"\[\.\]|\(\.\)|\{\.\}|\[dot\]|\(dot\)", re.IGNORECASE)
_COLON = re.compile(r"\[:\]|\(:\)")
_AT = re.compile(r"\[@\]|\(@\)|\[at\]|\(at\)", re.IGNORECASE)
_SCHEME = re.compile(r"^h(?:xx|XX|\*\*)p(s?)(?=(?:\[:\]|\(:\)|:)//)", re.IGNORECASE)


def refang(kind: ObservableType, text: str) -> str:
    """Return `198[.]51[.]100[.]7` as `198.51.100.7`, and `hxxps://x[.]example` as a URL.

    Text that is not defanged stays as it is; so does the path of a URL whose host is not.
    """
    if kind not in _TYPES:
        return text
    if kind is ObservableType.URL:
        return _refang_url(text)
    plain = _COLON.sub(":", _DOT.sub(".", text))
    return _AT.sub("@", plain) if kind is ObservableType.EMAIL else plain


def _refang_url(text: str) -> str:
    stripped = text.strip()
    url = _COLON.sub(":", _SCHEME.sub(r"http\1", stripped), count=1)
    scheme, separator, rest = url.partition("://")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if not separator or (url == stripped and not _DOT.search(host)):
        return text
    return f"{scheme}://{_DOT.sub('.', rest)}"
