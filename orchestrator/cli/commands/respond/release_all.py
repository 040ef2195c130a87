"""Release of everything: ask for each lift, wait, and list what stays on devices."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from orchestrator.cli.api_client import Api
from orchestrator.cli.command import Answer
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.output import print_line
from orchestrator.cli.tables import print_table
from orchestrator.domain.errors import Conflict, NotFound

_MAX_ITEMS = 10_000
_PAUSE_SECONDS = 1.0
_DEVICE_SECONDS = 120.0  # devices are asked one after the other


def release_all(api: Api, reason: str, within: float) -> Answer:
    """Release every containment; return what is in force after `within` seconds, and orphans.

    The exit code is negative where something stays on a device, or a device cannot say so.
    """
    asked: set[str] = set()
    deadline = time.monotonic() + within
    while True:
        left = api.items("/v1/containments", _MAX_ITEMS)
        for item in left:
            if item["id"] not in asked and item["state"] == "held":
                with suppress(Conflict, NotFound):  # it was lifted meanwhile
                    api.post(f"/v1/containments/{item['id']}/release", {"reason": reason})
                asked.add(item["id"])
        if all(item["state"] == "stuck" for item in left) or time.monotonic() > deadline:
            break
        time.sleep(_PAUSE_SECONDS)
    devices = api.get("/v1/orphans", seconds=_DEVICE_SECONDS)["items"]
    data = {"released": len(asked), "in_force": left, "devices": devices}
    stays = bool(left) or any(each["orphans"] or not each["listed"] for each in devices)
    code = ExitCode.NEGATIVE if stays else ExitCode.DONE
    return Answer(data, lambda: _print(data, stays=stays), code)


def _print(data: dict[str, Any], *, stays: bool) -> None:
    print_line(f"{data['released']} containments released")
    if data["in_force"]:
        print_line(f"{len(data['in_force'])} are still in force; lift them by hand:")
        rows = [{**each, "target": each["target"]["value"]} for each in data["in_force"]]
        print_table(rows, ("id", "state", "connection", "action", "target"))
    for each in data["devices"]:
        if not each["listed"]:
            print_line(f"{each['connection']}: cannot be listed: {each['why']}; look there by hand")
    orphans = [
        {"connection": each["connection"], **orphan}
        for each in data["devices"]
        for orphan in each["orphans"]
    ]
    if orphans:
        print_line(f"{len(orphans)} objects with Tocsin's tag belong to no containment:")
        print_table(orphans, ("connection", "action", "target", "tag"))
    if not stays:
        print_line("nothing stays on a device")
