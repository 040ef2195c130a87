"""Lint rule: secrets in the text of a playbook. A finding never repeats the secret."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from orchestrator.domain.masking import is_secret_name
from orchestrator.playbook.language.templates import is_template
from orchestrator.playbook.language.yaml import Path
from orchestrator.playbook.lint.context import LintContext
from orchestrator.playbook.lint.rule import LintRule, RuleHit, example

_KNOWN = (
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    ("an AWS access key", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    (
        "a GitHub token",
        re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})"),
    ),
    ("a GitLab token", re.compile(r"\bglpat-[A-Za-z0-9_-]{16,}")),
    ("a Slack token", re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}")),
    (
        "a webhook address with its secret",
        re.compile(r"https://hooks\.slack\.com/services/\S+|https://[^\s/]+/api/webhooks/\d+/\S+"),
    ),
    ("a Google key", re.compile(r"\bAIza[A-Za-z0-9_-]{30,}")),
    ("a Stripe key", re.compile(r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}")),
    (
        "a signed token (JWT)",
        re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    ),
    (
        "a key of Tocsin",
        re.compile(r"\btocsin_[0-9a-f]{16}_[0-9a-f]{16,}|\bwhsec_[A-Za-z0-9+/=]{16,}"),
    ),
    ("a login in an address", re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@$]+:[^\s/@$]{3,}@")),
    (
        "a login for a header",
        re.compile(r"\b(?:Bearer|Basic) +[A-Za-z0-9+/_.=-]{16,}", re.IGNORECASE),
    ),
    (
        "a password",
        re.compile(
            r"\b(?:password|passwd|pwd|secret|api[_-]?key|token)\s*[=:]\s*(?!\$\{\{)[^\s,;'\"]{6,}",
            re.IGNORECASE,
        ),
    ),
)
_WORD = re.compile(r"[A-Za-z0-9+/_=-]{24,}")
_HASH = re.compile(r"[0-9a-fA-F]+|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ENTROPY = 4.0  # bits per character; an English word has less than 3.5
_FREE_KEYS = frozenset(
    {
        "id",
        "as",
        "when",
        "playbook",
        "question",
        "title",
        "label",
        "description",
        "summary",
        "until",
        "event",
    }
)


def _secrets(context: LintContext) -> Iterator[RuleHit]:
    for path, text in _texts(context.document.data, ()):
        if what := _secret(path, text):
            yield RuleHit(
                path,
                f"this looks like {what}",
                "move it to the settings of a connection, which are stored encrypted",
            )


def _texts(data: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(data, str):
        yield path, data
    for key, value in (
        data.items()
        if isinstance(data, dict)
        else enumerate(data)
        if isinstance(data, list)
        else ()
    ):
        yield from _texts(value, (*path, key))


def _secret(path: Path, text: str) -> str | None:
    for what, pattern in _KNOWN:
        if pattern.search(text):
            return what
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    given = "with" in path or "default" in path
    if (
        given
        and key not in _FREE_KEYS
        and is_secret_name(key)
        and len(text) >= 4
        and not is_template(text)
    ):
        return f"the value of {key!r}"
    return (
        "a key, because it is long and random"
        if any(map(_is_random, _WORD.findall(text)))
        else None
    )


def _is_random(word: str) -> bool:
    """Whether a word mixes cases and digits at random. Hashes and ids of one case do not."""
    mixed = (
        re.search("[a-z]", word)
        and re.search("[A-Z]", word)
        and len(re.findall("[0-9]", word)) >= 3
    )
    if not mixed or _HASH.fullmatch(word):
        return False
    counts = Counter(word).values()
    return -sum(count / len(word) * math.log2(count / len(word)) for count in counts) > _ENTROPY


SECRET = LintRule(
    id="secret-literal",
    summary="Text that looks like a password, a token or a key.",
    why=(
        "A playbook is read by many people, kept indefinitely and shown in the audit trail. A "
        "secret in it is no longer secret."
    ),
    bad=example("""
        - id: tell
          use: chat.post
          with: {channel: soc, text: "Look it up with password=correct-horse-battery"}
        """),
    good=example("""
        - id: tell
          use: chat.post
          with: {channel: soc, text: Look it up}
        """),
    check=_secrets,
)
