"""Links behind a proxy that serves the API below a path: the page works under that address alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from api.app import create_app
from tests.harness.notification_world import World
from tests.harness.prefix_proxy import below_path


class Page(HTMLParser):
    """What a browser finds on a page: its form with all fields, and its links."""

    def __init__(self, reply: httpx.Response) -> None:
        super().__init__()
        self.url = str(reply.url)
        self.action: str | None = None
        self.fields: list[tuple[str, str]] = []
        self.links: list[str] = []
        self.feed(reply.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = urljoin(self.url, given.get("action", self.url))
        if tag == "input" and (given.get("type") == "hidden" or "checked" in given):
            self.fields.append((given["name"], given["value"]))
        if tag == "a":
            self.links.append(urljoin(self.url, given["href"]))


@pytest.fixture
async def address(world: World) -> AsyncIterator[str]:
    """The address of the API of the world, below /soc of a proxy."""
    async with below_path(create_app(world.rt, lambda: None), "/soc") as address:
        settings = world.rt.settings
        object.__setattr__(settings, "public_url", address)
        yield address


async def press(browser: httpx.AsyncClient, page: Page, decision: str) -> httpx.Response:
    """Press a button of a page, as a browser does."""
    assert page.action is not None
    fields: dict[str, list[str]] = {"decision": [decision], "comment": [""]}
    for name, value in page.fields:
        fields.setdefault(name, []).append(value)
    parts = urlsplit(page.action)
    headers = {"Origin": f"{parts.scheme}://{parts.netloc}", "Sec-Fetch-Site": "same-origin"}
    return await browser.post(page.action, data=fields, headers=headers)


async def test_the_link_of_a_mail_decides_below_a_path(world: World, address: str) -> None:
    await world.ask()
    async with httpx.AsyncClient() as browser:
        page = Page(await browser.get(world.link_address()))
        assert page.url.startswith(f"{address}/a/")
        assert page.action == page.url
        done = await press(browser, page, "approve")
    assert (done.status_code, await world.state()) == (200, "approved")


async def test_the_way_back_from_a_mistake_stays_below_the_path(world: World, address: str) -> None:
    await world.ask()
    async with httpx.AsyncClient() as browser:
        page = Page(await browser.get(world.link_address()))
        page.fields = [field for field in page.fields if field[0] != "change"]
        mistake = await press(browser, page, "approve")
        assert mistake.status_code == 422
        (back,) = Page(mistake).links
        assert back == page.url
        assert (await browser.get(back)).status_code == 200


async def test_the_page_below_a_path_may_post_to_its_own_site_only(
    world: World, address: str
) -> None:
    await world.ask()
    async with httpx.AsyncClient() as browser:
        page = await browser.get(world.link_address())
    assert "form-action 'self'" in page.headers["content-security-policy"]
    assert urlsplit(Page(page).action or "").netloc == urlsplit(address).netloc


async def test_a_path_has_one_spelling(address: str) -> None:
    async with httpx.AsyncClient() as browser:
        missed = await browser.get(f"{address}/v1/runs/?limit=1")
    assert missed.status_code == 404
