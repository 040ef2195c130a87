"""Pictures of playbooks and runs, whatever authors and attackers wrote in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from orchestrator.connections.catalogue import usual_catalogue
from orchestrator.playbook.compile.compiler import compile_playbook
from orchestrator.playbook.graph.mermaid import render_mermaid
from orchestrator.playbook.graph.model import Graph, Node, graph_of
from orchestrator.playbook.graph.svg import render_svg
from orchestrator.playbook.plan import Plan

PLAYBOOKS = sorted((Path(__file__).parents[2] / "playbooks").glob("*/playbook.yaml"))
HOSTILE = "</text><script>alert(1)</script>\u202e\x07"

PLAYBOOK = """\
playbook: drawn
version: 2
title: Block & ask <people>
owner: soc
inputs:
  address: {type: address}
steps:
  - id: verdict
    use: reputation.lookup_address
    with: {address: "${{ inputs.address }}"}
    on_error: continue
  - id: choice
    choose:
      - when: steps.verdict.malicious | default(0) > 5
        steps:
          - id: block
            use: firewall.block_address
            with: {address: "${{ inputs.address }}"}
            for: 24h
            approve: {question: Block it?, by: soc-leads, quorum: 2, within: 15m}
      - otherwise:
          - id: tell
            use: chat.post
            with: {channel: soc, text: nothing}
on_failure: roll_back
"""


def plan_of(text: str) -> Plan:
    return compile_playbook(
        text, "drawn.yaml", usual_catalogue(), lambda _name, _version: None
    ).plan


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of(PLAYBOOK)


def run_of(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"id": "run_1", "status": "completed", "error": None, "steps": list(steps)}


def nodes(graph: Graph) -> dict[str, Node]:
    found: dict[str, Node] = {}

    def walk(each: Node) -> None:
        found[each.path] = each
        for lane in each.lanes:
            for inner in lane.nodes:
                walk(inner)

    for node in graph.nodes:
        walk(node)
    return found


def test_picture_shows_every_step_with_effect_approval_and_lease(plan: Plan) -> None:
    found = nodes(graph_of(plan))
    assert list(found) == ["verdict", "choice", "choice/block", "choice/tell"]
    block = found["choice/block"]
    assert (block.effect, block.lease, block.undo) == ("contain", "for 24h", True)
    assert block.approval == "2 of soc-leads within 15m, otherwise stop"
    drawing = render_svg(graph_of(plan))
    for text in (
        "for 24h, can be undone",
        "firewall.block_address",
        "on error: continue",
        "on failure: undo the changes of this run",
    ):
        assert text in drawing


@pytest.mark.parametrize("file", PLAYBOOKS, ids=lambda file: file.parent.name)
def test_shipped_playbook_renders_as_valid_svg_and_mermaid(file: Path) -> None:
    graph = graph_of(plan_of(file.read_text("utf-8")))
    root = ET.fromstring(render_svg(graph))
    assert root.tag.endswith("svg")
    chart = render_mermaid(graph)
    assert chart.startswith("flowchart TD\n")
    assert all(node.title in chart for node in nodes(graph).values())


def test_boxes_do_not_overlap_or_leave_the_picture(plan: Plan) -> None:
    root = ET.fromstring(render_svg(graph_of(plan)))
    _, _, width, height = (float(part) for part in root.attrib["viewBox"].split())
    boxes: list[tuple[float, float, float, float]] = []

    def walk(element: ET.Element, x: float, y: float) -> None:
        if move := element.attrib.get("transform"):
            dx, dy = (float(part) for part in move.removeprefix("translate(").rstrip(")").split())
            x, y = x + dx, y + dy
        for child in element:
            if child.tag.endswith("rect") and child.attrib.get("stroke-width") == "1.4":
                boxes.append((x, y, float(child.attrib["width"]), float(child.attrib["height"])))
            walk(child, x, y)

    walk(root, 0.0, 0.0)
    assert len(boxes) == 4
    for x, y, wide, high in boxes:
        assert x >= -24
        assert x + wide <= width - 24
        assert y + high <= height - 24
    leaves = [
        box for box in boxes if not any(_inside(other, box) for other in boxes if other is not box)
    ]
    assert not any(_crosses(one, other) for one in leaves for other in leaves if one is not other)


def test_picture_of_a_run_shows_the_result_of_each_step(plan: Plan) -> None:
    run = run_of(
        {"id": "verdict", "state": "done", "planned_change": None, "error": None},
        {
            "id": "choice/block",
            "state": "released",
            "planned_change": {"summary": "Block 203.0.113.9"},
            "error": None,
        },
    )
    found = nodes(graph_of(plan, run))
    outcomes = {path: node.result.outcome for path, node in found.items() if node.result}
    assert outcomes == {
        "verdict": "read",
        "choice": "not_reached",
        "choice/block": "undone",
        "choice/tell": "not_reached",
    }
    drawing = render_svg(graph_of(plan, run))
    assert 'text-decoration="line-through"' in drawing
    assert "released: Block 203.0.113.9" in drawing


def test_rounds_of_a_loop_are_counted_and_the_worst_gives_the_color() -> None:
    plan = plan_of(
        "playbook: drawn\nversion: 1\ntitle: Loop\nowner: soc\ninputs:\n  all: {type: list}\nsteps:\n  - id: each\n"
        '    for_each: "${{ inputs.all }}"\n    as: one\n    at_most: 9\n    steps:\n      - id: tell\n        use: chat.post\n'
        '        with: {channel: soc, text: "x"}\n'
    )
    steps = [
        {"id": f"each[{n}]/tell", "state": state, "planned_change": None, "error": None}
        for n, state in enumerate(["verified", "failed"])
    ]
    result = nodes(graph_of(plan, run_of(*steps)))["each/tell"].result
    assert result is not None
    assert (result.outcome, result.states) == ("failed", {"verified": 1, "failed": 1})


def test_text_of_an_attacker_stays_text_in_both_formats(plan: Plan) -> None:
    run = run_of({"id": "verdict", "state": "failed", "planned_change": None, "error": HOSTILE})
    graph = graph_of(plan, run)
    drawing, chart = render_svg(graph), render_mermaid(graph)
    ET.fromstring(drawing)
    for text in (drawing, chart):
        assert "<script" not in text
        assert "\u202e" not in text
    assert "</text>" not in chart


def _inside(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return (
        other[0] <= one[0]
        and other[1] <= one[1]
        and one[0] + one[2] <= other[0] + other[2]
        and one[1] + one[3] <= other[1] + other[3]
    )


def _crosses(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    apart_x = one[0] + one[2] <= other[0] or other[0] + other[2] <= one[0]
    apart_y = one[1] + one[3] <= other[1] or other[1] + other[3] <= one[1]
    return not (apart_x or apart_y)
