"""How PAN-OS says things in XML: commands built element by element, replies judged by their status and not by HTTP's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from xml.etree import ElementTree as ET

from connectors.sdk.reply import Reply
from orchestrator.domain.errors import ActionError, Rejected, Unavailable, Unknown

NOT_THERE = "7"  # PAN-OS: object not present
_BUSY = re.compile(r"locked|in progress|pending|try again|timed out", re.IGNORECASE)
_COMES_BACK = timedelta(seconds=10)
_CODES_OF_ACCESS = {"16", "22", "403"}  # unauthorized, session timed out, invalid credential


def element(
    name: str, *children: ET.Element, text: str | None = None, **attributes: str
) -> ET.Element:
    """An element; text and attributes are escaped when it is written."""
    made = ET.Element(name, attributes)
    made.text = text
    made.extend(children)
    return made


def path(*names: str, leaf: ET.Element | None = None, text: str | None = None) -> ET.Element:
    """`path("show", "jobs", "id", text="4")` is `<show><jobs><id>4</id></jobs></show>`."""
    *outer, last = names
    made = leaf if leaf is not None else element(last, text=text)
    if leaf is not None:
        made = element(last, leaf)
    for name in reversed(outer):
        made = element(name, made)
    return made


def write(root: ET.Element) -> str:
    """The command as text."""
    return ET.tostring(root, encoding="unicode")


def tag_update(verb: str, address: str, tags: Iterable[str]) -> str:
    """A User-ID message that registers or unregisters tags of an address, kept over reboots, without end."""
    members = [
        element("member", text=tag, **({"timeout": "0"} if verb == "register" else {}))
        for tag in tags
    ]
    kept = {"persistent": "1"} if verb == "register" else {}
    entry = element("entry", element("tag", *members), ip=address, **kept)
    return write(
        element(
            "uid-message",
            element("version", text="2.0"),
            element("type", text="update"),
            element("payload", element(verb, entry)),
        )
    )


def parse(reply: Reply) -> ET.Element:
    """The `<response>` element, whatever its status. Raises Unavailable or Unknown for anything else."""
    if b"<!DOCTYPE" in reply.content or b"<!ENTITY" in reply.content:
        raise reply.garbage("declares entities, which PAN-OS never does")
    try:
        root = ET.fromstring(reply.content)  # noqa: S314  # declarations are refused above, so nothing can expand
    except ET.ParseError:
        raise reply.garbage("is not XML") from None
    if root.tag != "response" or root.get("status") not in {"success", "error", "unauth"}:
        raise reply.garbage("is not a PAN-OS response")
    return root


def succeed(reply: Reply, *, ignore: Iterable[str] = ()) -> ET.Element:
    """The `<response>` of a success, `ignore`d errors counting as one. Raises Rejected, Unavailable, Unknown.

    PAN-OS answers HTTP 200 to a failure: only `status` and `code` tell. An error is ignored when each of its messages
    contains one of the given texts, because the system then already is as asked.
    """
    root = parse(reply)
    if root.get("status") == "success":
        return root
    messages = said(root)
    if messages and all(any(text in message for text in ignore) for message in messages):
        return root
    raise refusal(reply, root)


def refusal(reply: Reply, root: ET.Element) -> ActionError:
    """What an error means: busy or locked is Unavailable; an internal error may have half happened."""
    code, words = root.get("code", ""), reply.redacted("; ".join(said(root)) or "no reason given")
    if code in _CODES_OF_ACCESS or root.get("status") == "unauth":
        return Rejected(
            f"{reply.place}: the connection's credential is wrong or may not do this (code {code}): {words}"
        )
    if _BUSY.search(words):
        return Unavailable(
            f"{reply.place}: the firewall is busy (code {code}): {words}", retry_after=_COMES_BACK
        )
    if code in {"8", "11", "13", "21"}:
        return (
            Unknown(f"{reply.place}: the firewall failed (code {code}): {words}")
            if reply.writes
            else Unavailable(words)
        )
    return Rejected(f"{reply.place}: refused (code {code}): {words}")


def said(root: ET.Element) -> list[str]:
    """The messages of a response: its lines, its `<msg>`, or the `message` attributes of User-ID entries."""
    entries = [str(node.get("message")) for node in root.iter() if node.get("message")]
    lines = [text for node in root.iter("line") if (text := "".join(node.itertext()).strip())]
    plain = [text for node in root.iter("msg") if (text := "".join(node.itertext()).strip())]
    return entries or lines or plain


def jobs_id(root: ET.Element) -> str | None:
    """The id of the job that was started, or None when there was nothing to do."""
    found = (root.findtext("result/job") or "").strip()
    return found if re.fullmatch(r"[0-9]{1,12}", found) else None
