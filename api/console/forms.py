"""Forms of the pages behind one-time links: where they post to, and who may send them."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from fastapi import Request

from orchestrator.domain.errors import Forbidden


def own_address(request: Request) -> str:
    """Return the page's own address, relative: a proxy may serve it below a path."""
    return f"./{quote(request.url.path.rpartition('/')[2])}"


def check_same_site(request: Request, public_url: str | None) -> None:
    """Raise Forbidden for a form that another site sends."""
    # The page sends no referrer, so its origin is `null`.
    origin = request.headers.get("origin", "null")
    hosts = {request.headers.get("host", ""), urlsplit(public_url or "").netloc}
    is_foreign_origin = origin != "null" and urlsplit(origin).netloc not in hosts
    is_same_site = request.headers.get("sec-fetch-site", "none") in {"same-origin", "none"}
    if is_foreign_origin or not is_same_site:
        raise Forbidden("this form was sent by another site; open the link in the mail instead")
