"""The recipes of docs/sources.md: what is pasted parses, and its script delivers alerts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from orchestrator.domain.alert import AlertClass
from orchestrator.intake.authenticate import Scheme
from orchestrator.intake.mapping import check_mapping
from orchestrator.intake.parsers import PARSERS, PRODUCTS, parser_for
from tests.harness.doc_blocks import ROOT, Block, of

PAGE = (ROOT / "docs" / "sources.md").read_text("utf-8")
SAMPLES = sorted(ROOT.glob("playbooks/*/alerts/*.json"))


def test_every_product_with_a_parser_has_a_recipe() -> None:
    added = re.findall(r"tocsin source add (\S+) --product (\S+) --auth (\S+)", PAGE)
    assert set(PARSERS) <= {product for _, product, _ in added} <= set(PRODUCTS)
    for name, _, auth in added:
        assert Scheme(auth)
        assert f"/v1/webhooks/{name}" in PAGE


@pytest.mark.parametrize("block", of("yaml recipe", "json recipe", "xml recipe"), ids=str)
def test_configuration_parses_and_names_a_source(block: Any) -> None:
    match block.kind.split()[0]:
        case "yaml":
            assert isinstance(YAML(typ="safe").load(block.text), dict)
        case "json":
            assert isinstance(json.loads(block.text), dict)
        case _:
            assert ET.fromstring(block.text).find("hook_url") is not None


@pytest.mark.parametrize("sample", of("json recipe sample"), ids=str)
def test_sample_of_a_siem_is_parsed_with_what_playbooks_decide_by(sample: Block) -> None:
    name = sample.kind.split()[3]
    mappings = [block.text for block in of(f"json recipe mapping {name}")]
    mapping = check_mapping(json.loads(mappings[0])) if mappings else None
    [product] = re.findall(rf"tocsin source add {name} --product (\S+)", PAGE)
    now = datetime(2026, 11, 24, 4, tzinfo=UTC)
    payload = json.loads(sample.text)
    for given in (payload, [payload]):
        [alert] = parser_for(product, mapping)(given, now)
        assert (alert.alert_class, int(alert.severity)) == (AlertClass.C2_BEACON, 4)
        assert alert.remote is not None
        assert alert.host is not None
        assert (alert.remote.address, alert.host.name) == ("198.51.100.120", "ws-015")
    other = {**payload, "id": "x", "sid": "x", "kibana.alert.uuid": "x"}
    both = parser_for(product, mapping)([payload, other], now)
    assert len({each.dedup_key for each in both}) == 2


def test_script_of_splunk_sends_the_result_and_no_session_key(tmp_path: Path) -> None:
    [block] = of("python recipe splunk")
    [sample] = of("json recipe sample splunk")
    for folder in ("bin", "local"):
        (tmp_path / folder).mkdir()
    script = tmp_path / "bin" / "tocsin.py"
    script.write_text(block.text, "utf-8")
    (tmp_path / "local" / "secret").write_text("s3cret\n", "utf-8")
    for statuses, code in (((), 0), ((401,), 1)):
        with receiver(*statuses) as (url, got):
            payload = {
                **json.loads(sample.text),
                "session_key": "of splunk",
                "configuration": {"url": url},
            }
            command = [sys.executable, str(script), "--execute"]
            done = subprocess.run(
                command, input=json.dumps(payload), capture_output=True, text=True, check=False
            )
        assert (done.returncode, len(got)) == (code, 1)
        [(credential, body)] = got
        assert (credential, json.loads(body)) == ("Bearer s3cret", json.loads(sample.text))
        assert "s3cret" not in done.stdout + done.stderr


def test_batch_of_a_shipper_is_parsed_like_its_single_alerts() -> None:
    [sample, *_] = [path for path in SAMPLES if path.name.startswith("suricata-")]
    alert = json.loads(sample.read_text("utf-8"))
    now = datetime(2026, 11, 24, tzinfo=UTC)
    assert len(list(parser_for("suricata")([alert, {**alert, "flow_id": 7}], now))) == 2


@contextmanager
def receiver(*statuses: int) -> Iterator[tuple[str, list[tuple[str | None, bytes]]]]:
    """A webhook that gives these answers, then 202."""
    got: list[tuple[str | None, bytes]] = []
    answers = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.headers["Authorization"], body))
            self.send_response(answers.pop(0) if answers else 202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/webhooks/wazuh-hq", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("statuses", "requests", "code"), [((), 1, 0), ((503,), 2, 0), ((401,), 1, 1)]
)
def test_script_of_wazuh_repeats_until_an_alert_is_accepted_or_refused(
    tmp_path: Path, statuses: tuple[int, ...], requests: int, code: int
) -> None:
    [block] = [block for block in of("python recipe") if block.kind == "python recipe"]
    script = tmp_path / "custom-tocsin"
    script.write_text(block.text, "utf-8")
    [sample, *_] = [path for path in SAMPLES if path.name.startswith("wazuh-")]
    with receiver(*statuses) as (url, got):
        command = [sys.executable, str(script), str(sample), "s3cret", url]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, len(got)) == (code, requests)
    assert set(got) == {("Bearer s3cret", sample.read_bytes())}
    assert "s3cret" not in done.stdout + done.stderr
