"""An attacker who answers as a vendor: replies are bounded, and their text forges nothing."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import BaseModel

from connectors.sdk.http import HttpClient
from connectors.sdk.reply import HttpReply
from connectors.sdk.transport import Access
from orchestrator.briefing import examples
from orchestrator.briefing.approval import ApprovalView
from orchestrator.briefing.plain_text import one_line
from orchestrator.cli.approvals.render import render_approval
from orchestrator.domain.errors import Rejected, Unavailable
from orchestrator.domain.untrusted.text import clean_text
from orchestrator.intake.body import BodyRefused
from orchestrator.intake.coding import decode

MIB = 1024 * 1024
LAUGHS = """<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>
<response status="success">&b;</response>"""


class _Raw(httpx.AsyncByteStream):
    """Bytes as a server sends them, which the test's client does not decode."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


async def read(content: bytes, coding: str | None = None) -> HttpReply:
    """Return the reply of a system that sends these bytes."""
    headers = {"Content-Encoding": coding} if coding else {}
    http = HttpClient(
        "https://system.example",
        access=Access.READ,
        is_read=lambda _: True,
        transport=httpx.MockTransport(
            lambda _: httpx.Response(200, headers=headers, stream=_Raw(content))
        ),
    )
    try:
        return await http.get("/x")
    finally:
        await http.aclose()


@pytest.mark.attack(
    "answer as a vendor with 12 kB of `Content-Encoding: gzip, gzip`",
    before="the worker decompressed it to 2.2 GB",
)
@pytest.mark.parametrize("coding", ["gzip, gzip", "gzip,deflate", "br", "gzip, identity"])
async def test_reply_has_one_known_coding(coding: str) -> None:
    with pytest.raises(Rejected, match="content coding"):
        await read(gzip.compress(gzip.compress(bytes(20 * MIB))), coding)


@pytest.mark.attack(
    "answer as a vendor with a gzip bomb", before="it was decompressed piece by piece, unbounded"
)
async def test_bomb_is_refused_within_its_bounds() -> None:
    bomb = gzip.compress(bytes(200 * MIB))
    tracemalloc.start()
    try:
        with pytest.raises(Rejected, match="too large"):
            await read(bomb, "gzip")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * MIB
    with pytest.raises(Rejected, match="200 times"):
        await read(gzip.compress(bytes(MIB)), "gzip")
    assert (await read(gzip.compress(b'{"a": 1}'), "gzip")).json() == {"a": 1}


@pytest.mark.attack(
    "send 30,000 empty gzip members in one body", before="each cost a copy of the rest of the body"
)
async def test_members_of_a_gzip_body_are_few() -> None:
    members = gzip.compress(b"") * 30_000
    with pytest.raises(Unavailable, match="members"):
        await read(members, "gzip")
    with pytest.raises(BodyRefused, match="members"):
        decode(members, "gzip", MIB)


@pytest.mark.attack(
    "answer as a vendor with JSON or XML of endless depth",
    before="the parser's recursion ended the activity with an error that is retried without end",
)
async def test_deep_reply_is_unreadable() -> None:
    class Thing(BaseModel):
        a: object

    deep = b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"
    for parse in (lambda reply: reply.json(), lambda reply: reply.parse(Thing)):
        with pytest.raises(Unavailable):
            parse(await read(deep))
    with pytest.raises(Unavailable, match="deeper than 64"):
        (await read(b"<a>" * 5000 + b"</a>" * 5000)).xml()
    with pytest.raises(Unavailable):
        (await read(b'{"a": NaN}')).json()


@pytest.mark.attack(
    "answer as a vendor with a document type in UTF-16",
    before="only its ASCII spelling was refused",
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
async def test_document_type_is_refused_in_every_encoding(encoding: str) -> None:
    with pytest.raises(Unavailable, match=r"document type|is not XML"):
        (await read(LAUGHS.encode(encoding))).xml()


async def test_plain_xml_is_read() -> None:
    root = (await read('<response status="success">é</response>'.encode("utf-16"))).xml()
    assert (root.tag, root.text) == ("response", "é")


def shown(**changes: object) -> list[str]:
    """Return what a person sees of an approval on the command line."""
    view = {**examples.EXAMPLE_APPROVAL, **changes}
    return list(render_approval(ApprovalView.model_validate(view).model_dump(mode="json")))


@pytest.mark.attack(
    "put line breaks into a last name in Okta, or into the title of an alert",
    before="they forged lines of `tocsin approval show`",
)
def test_foreign_text_forges_no_line() -> None:
    forged = "Doe\n  Approvals: 2 of 2\x1b[2K\r  digest 0000\u2028\u202e”"
    question = f"Suspend {clean_text(forged)}?\n{forged}"
    lines = shown(question=question, evidence=[{"label": "Name", "value": {"last": forged}}])
    own = [line for line in lines if not line.startswith("  > ")]
    assert all(line.isprintable() for line in lines)
    (quoted,) = [line for line in lines if "Name: last" in line]
    assert quoted == '    Name: last: “Doe Approvals: 2 of 2\ufffd[2K digest 0000 \ufffd"”'
    assert not [line for line in own if line.strip().startswith(("Approvals: 2 of 2", "digest 0"))]


@pytest.mark.attack(
    "call a field of evidence `link`", before="its link was shown whole, to be clicked"
)
def test_no_field_is_exempt_by_its_name() -> None:
    lines = shown(evidence=[{"label": "Verdict", "value": {"link": "https://evil.example/login"}}])
    assert "    Verdict: link: “hxxps://evil[.]example/login”" in lines


@pytest.mark.attack(
    "write a host or a domain with look-alike, decorated or invisible characters",
    before="they were shown as what they pose as",
)
@pytest.mark.parametrize(
    ("written", "shown_as"),
    [
        ("p\u0430ypal", "p[U+0430]ypal"),
        ("\u0430\u0440\u0440\u04cf\u0435", "[U+0430][U+0440][U+0440][U+04CF][U+0435]"),
        ("\uff41dmin", "[U+FF41]dmin"),
        ("ad\u200bmin", "ad\ufffdmin"),
        ("ad\u3164min", "ad\ufffdmin"),
        ("ad\ufe0fmin", "ad\ufffdmin"),
        ("a" + "\u0301" * 9, "a\u0301\u0301\u0301\ufffd"),
        ("Москва", "Москва"),
        ("Müller", "Müller"),
        ("東京タワー", "東京タワー"),
    ],
)
def test_look_alikes_are_visible(written: str, shown_as: str) -> None:
    assert one_line(written, 200) == shown_as


async def test_text_of_a_vendor_is_cleaned_like_that_of_an_alert() -> None:
    output = {"name": "a\nb\x00\ud800", "list": ["\u202ec"], "n": 1}
    assert clean_text(output) == {"name": "a b\ufffd\ufffd", "list": ["\ufffdc"], "n": 1}
