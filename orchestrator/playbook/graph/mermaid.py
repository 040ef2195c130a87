"""Mermaid flowcharts of playbooks, which wikis and pull requests render."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.domain.change import Effect
from orchestrator.playbook.graph.model import Graph, Lane, Node

_COLOURS = {
    Effect.READ: "fill:#f2f5f7,stroke:#5b7083",
    Effect.CONTAIN: "fill:#fff4e5,stroke:#b45309",
    Effect.RESTORE: "fill:#e8f7f5,stroke:#0f766e",
    Effect.NOTIFY: "fill:#eeedfc,stroke:#4f46e5",
    Effect.DESTROY: "fill:#fdecec,stroke:#b91c1c",
}
_LONGEST = 80
_ESCAPES = str.maketrans(
    {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "`": "#96;"}
)


def render_mermaid(graph: Graph) -> str:
    """Render a flowchart. Texts of authors and alerts are escaped."""
    chart = _Chart()
    start = chart.name()
    chart.lines.append(
        f'{start}(["{_escape((graph.trigger and f"when {graph.trigger}") or "started by hand")}"])'
    )
    ends = chart.sequence(graph.nodes, [(start, None)])
    done = chart.name()
    chart.lines.append(f'{done}(["{_escape(graph.run or "done")}"])')
    chart.join(ends, done)
    if graph.on_failure is not None:
        failed = chart.name()
        chart.lines.append(f'{failed}{{{{"{_escape(graph.on_failure.label or "on failure")}"}}}}')
        chart.sequence(graph.on_failure.nodes, [(failed, None)])
    classes = [f"classDef {effect.value} {look}" for effect, look in _COLOURS.items()]
    return "\n".join(["flowchart TD", *(f"    {line}" for line in [*chart.lines, *classes])]) + "\n"


class _Chart:
    """The lines so far. An end is the name of a box and the label of the arrow that leaves it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._count = 0

    def name(self) -> str:
        self._count += 1
        return f"n{self._count}"

    def join(self, ends: Iterable[tuple[str, str | None]], to: str) -> None:
        for end, label in ends:
            self.lines.append(f'{end} -->|"{_escape(label)}"| {to}' if label else f"{end} --> {to}")

    def sequence(
        self, nodes: Sequence[Node], ends: list[tuple[str, str | None]]
    ) -> list[tuple[str, str | None]]:
        for node in nodes:
            ends = self._node(node, ends)
        return ends

    def _node(self, node: Node, ends: list[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
        skip: list[tuple[str, str | None]] = []
        if node.when:
            asked = self.name()
            self.lines.append(f'{asked}{{"{_escape(node.when)}"}}')
            self.join(ends, asked)
            ends, skip = [(asked, "yes")], [(asked, "no")]
        box = self.name()
        style = f":::{node.effect.value}" if node.effect is not None else ""
        self.lines.append(f'{box}["{"<br/>".join(_escape(line) for line in _texts(node))}"]{style}')
        self.join(ends, box)
        if node.on_error is not None and node.on_error.nodes:
            self._aside(node.on_error, box)
        return [*self._inside(node, box), *skip]

    def _inside(self, node: Node, box: str) -> list[tuple[str, str | None]]:
        out: list[tuple[str, str | None]] = []
        for lane in node.lanes:
            out += self.sequence(lane.nodes, [(box, lane.label)])
        return out or [(box, None)]

    def _aside(self, lane: Lane, box: str) -> None:
        aside = self.name()
        self.lines += [f'{aside}(["{_escape(lane.label or "on error")}"])', f"{box} -.-> {aside}"]
        self.sequence(lane.nodes, [(aside, None)])


def _texts(node: Node) -> list[str]:
    lines = [
        node.title if node.effect is None else f"{node.title} ({node.effect.value})",
        *node.details,
    ]
    lines += [f"asks {node.approval}"] if node.approval else []
    lines += [node.lease] if node.lease else []
    if node.result is not None:
        outcome = (
            "done"
            if node.result.outcome == "read" and node.effect is None
            else node.result.outcome.replace("_", " ")
        )
        lines.append(outcome + (f": {node.result.summary}" if node.result.summary else ""))
    return lines


def _escape(text: str) -> str:
    """Return one bounded line that holds no syntax of Mermaid or HTML."""
    line = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    line = line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
    return line.translate(_ESCAPES)
