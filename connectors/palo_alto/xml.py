"""PAN-OS XML: commands built element by element, and replies checked by their own status."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from xml.etree import ElementTree as ET

from connectors.sdk.reply import HttpReply
from orchestrator.domain.errors import ActionError, Rejected, Unavailable, Unknown

_BUSY = re.compile(r"locked|in progress|pending|try again|timed out", re.IGNORECASE)
_BUSY_WAIT = timedelta(seconds=10)
_ACCESS_CODES = {"16", "22", "403"}  # unauthorized, session timed out, invalid credential
_INTERNAL_CODES = {"8", "11", "13", "21"}


def element(
    name: str, *children: ET.Element, text: str | None = None, **attributes: str
) -> ET.Element:
    """Return an element. `write` escapes its text and attributes."""
    node = ET.Element(name, attributes)
    node.text = text
    node.extend(children)
    return node


def path(*names: str, text: str | None = None) -> ET.Element:
    """Return nested elements: `("show", "id", text="4")` is `<show><id>4</id></show>`."""
    *outer, last = names
    node = element(last, text=text)
    for name in reversed(outer):
        node = element(name, node)
    return node


def write(root: ET.Element) -> str:
    """Return the command as text."""
    return ET.tostring(root, encoding="unicode")


def tag_update(verb: str, address: str, tags: Iterable[str]) -> str:
    """Return a User-ID message that registers or unregisters an address's tags.

    Registered tags survive a reboot and have no timeout.
    """
    members = [
        element("member", text=tag, **({"timeout": "0"} if verb == "register" else {}))
        for tag in tags
    ]
    persistent = {"persistent": "1"} if verb == "register" else {}
    entry = element("entry", element("tag", *members), ip=address, **persistent)
    return write(
        element(
            "uid-message",
            element("version", text="2.0"),
            element("type", text="update"),
            element("payload", element(verb, entry)),
        )
    )


def parse(reply: HttpReply) -> ET.Element:
    """Return the `<response>` element with any status. Raises Unavailable or Unknown otherwise."""
    root = reply.xml()
    if root.tag != "response" or root.get("status") not in {"success", "error", "unauth"}:
        raise reply.unreadable("is not a PAN-OS response")
    return root


def parse_success(reply: HttpReply, *, ignore: Iterable[str] = ()) -> ET.Element:
    """Return the `<response>` of a success. Raises Rejected, Unavailable, Unknown.

    PAN-OS answers a failure with HTTP 200: only `status` and `code` tell. An error counts as a
    success when each of its messages contains a text in `ignore`: nothing was left to change.
    """
    root = parse(reply)
    if root.get("status") == "success":
        return root
    messages = messages_of(root)
    if messages and all(any(text in message for text in ignore) for message in messages):
        return root
    raise _action_error(reply, root)


def job_id(root: ET.Element) -> str | None:
    """Return the id of the job that a command started, or None if there was nothing to do."""
    text = (root.findtext("result/job") or "").strip()
    return text if re.fullmatch(r"[0-9]{1,12}", text) else None


def messages_of(root: ET.Element) -> list[str]:
    """Return a response's messages: of User-ID entries, else its lines, else its `<msg>`."""
    entries = [str(node.get("message")) for node in root.iter() if node.get("message")]
    lines = [text for node in root.iter("line") if (text := "".join(node.itertext()).strip())]
    plain = [text for node in root.iter("msg") if (text := "".join(node.itertext()).strip())]
    return entries or lines or plain


def _action_error(reply: HttpReply, root: ET.Element) -> ActionError:
    """Return the error: busy or locked is Unavailable, an internal error may be half done."""
    code, text = (
        root.get("code", ""),
        reply.redact("; ".join(messages_of(root)) or "no reason given"),
    )
    endpoint = reply.endpoint
    if code in _ACCESS_CODES or root.get("status") == "unauth":
        message = (
            f"{endpoint}: the connection's credential is wrong or lacks permission "
            f"(code {code}): {text}"
        )
        return Rejected(message)
    if _BUSY.search(text):
        message = f"{endpoint}: the firewall is busy (code {code}): {text}"
        return Unavailable(message, retry_after=_BUSY_WAIT)
    if code in _INTERNAL_CODES:
        message = f"{endpoint}: the firewall failed (code {code}): {text}"
        return Unknown(message) if reply.writes else Unavailable(message)
    return Rejected(f"{endpoint}: refused (code {code}): {text}")
