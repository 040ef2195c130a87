"""How does a picture of a playbook become SVG? Laid out by itself: steps downwards, side by side in frames; plain text, no script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.domain.change import Effect
from orchestrator.playbook.graph.drawing import (
    BOLD,
    GAP,
    LETTER,
    LINE,
    PAD,
    Drawn,
    breadth,
    clean,
    placed,
    shortened,
    stroke,
    written,
)
from orchestrator.playbook.graph.model import Graph, Lane, Node

_NARROWEST, _WIDEST = 190.0, 430.0
_LONGEST_HEAD = 140

# Told apart by shape of the edge and by the word too, for those who see colours differently.
_EFFECTS: dict[Effect, tuple[str, str, str]] = {
    Effect.READ: ("#5b7083", "#f2f5f7", "2 3"),
    Effect.CONTAIN: ("#b45309", "#fff4e5", ""),
    Effect.RESTORE: ("#0f766e", "#e8f7f5", "8 4"),
    Effect.NOTIFY: ("#4f46e5", "#eeedfc", "1 4"),
    Effect.DESTROY: ("#b91c1c", "#fdecec", "12 3 3 3"),
}
_PLAIN = ("#475569", "#ffffff", "")
_OUTCOMES = {
    "made": ("#15803d", "made"),
    "read": ("#15803d", "done"),
    "skipped": ("#94a3b8", "skipped"),
    "refused": ("#b91c1c", "refused"),
    "failed": ("#b91c1c", "failed"),
    "taken_back": ("#7c3aed", "taken back"),
    "waiting": ("#b45309", "waiting"),
    "not_reached": ("#94a3b8", "not reached"),
}
_STYLE = (
    "text{font:12px system-ui,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1e293b}"
    ".t{font-weight:700;font-size:13px}.s{fill:#475569;font-size:11px}.w{font-style:italic;fill:#334155;font-size:11px}"
    ".h{font-weight:700;font-size:16px}"
)


def svg(graph: Graph) -> str:
    """One SVG document, readable without anything else. Texts of authors and alerts are escaped."""
    head = [
        written(graph.title, 0, 16, "h", _LONGEST_HEAD),
        written(f"{graph.playbook} version {graph.version}", 0, 36, "s"),
    ]
    head += (
        [written(f"starts when {graph.trigger}", 0, 54, "w", _LONGEST_HEAD)]
        if graph.trigger
        else [written("started by hand or by a call", 0, 54, "w")]
    )
    head += [written(graph.run, 0, 72, "t", _LONGEST_HEAD)] if graph.run else []
    body = _stack(graph.nodes)
    below = [_frame(graph.on_failure)] if graph.on_failure else []
    legend = _legend(with_outcomes=graph.run is not None)
    top = 92.0 if graph.run else 74.0
    top += legend.height + 14
    width = max(
        body.width,
        legend.width,
        *(each.width for each in below),
        *(breadth(text) * 1.3 for text in _heads(graph)),
    )
    height = top + body.height + sum(each.height + GAP for each in below)
    left = (width - body.width) / 2
    parts = [*head, placed(legend, 0, top - legend.height - 14), placed(body, left, top)]
    y = top + body.height + GAP
    for each in below:
        parts.append(placed(each, (width - each.width) / 2, y))
        y += each.height + GAP
    return _document(graph, parts, width + 48, height + 48)


def _heads(graph: Graph) -> list[str]:
    return [
        shortened(text or "", _LONGEST_HEAD)
        for text in (graph.title, graph.trigger and f"starts when {graph.trigger}", graph.run)
    ]


def _document(graph: Graph, parts: Iterable[str], width: float, height: float) -> str:
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="-24 -24 {width:.0f} {height:.0f}"'
    about = (
        f"Steps of {graph.playbook} version {graph.version}, from the first at the top to the last."
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}>'
        f"<title>{clean(graph.title)}</title><desc>{clean(about)}</desc><style>{_STYLE}</style>"
        '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#475569"/></marker></defs>'
        f'<rect x="-24" y="-24" width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


def _stack(nodes: Sequence[Node]) -> Drawn:
    """Steps below each other, joined by arrows."""
    drawn = [_step(node) for node in nodes]
    if not drawn:
        return Drawn(120, 24, 60, [written("nothing", 36, 16, "s")])
    middle = max(each.middle for each in drawn)
    width = max(middle - each.middle + each.width for each in drawn)
    stack = Drawn(width, 0, middle)
    for number, each in enumerate(drawn):
        if number:
            stack.parts.append(stroke(middle, stack.height, middle, stack.height + GAP))
            stack.height += GAP
        stack.parts.append(placed(each, middle - each.middle, stack.height))
        stack.height += each.height
    return stack


def _step(node: Node) -> Drawn:
    """A step, its condition above it, its way out after an error beside it."""
    box = _block(node) if node.lanes else _box(node)
    top = 18.0 if node.when else 0.0
    drawn = Drawn(box.width, box.height + top, box.middle)
    if node.when:
        drawn.parts.append(written(f"when {node.when}", 0, 11, "w"))
        drawn.width = max(drawn.width, breadth(shortened(f"when {node.when}")))
    drawn.parts.append(placed(box, 0, top))
    if node.on_error is not None:
        aside = _frame(node.on_error)
        left = drawn.width + 34
        drawn.parts += [
            stroke(box.width, top + 18, left, top + 18, dashed=True),
            placed(aside, left, top),
        ]
        if top + aside.height > drawn.height:  # the way on goes down beside it
            drawn.parts.append(
                stroke(box.middle, drawn.height, box.middle, top + aside.height, arrow=False)
            )
        drawn.width, drawn.height = left + aside.width, max(drawn.height, top + aside.height)
    return drawn


def _texts(node: Node) -> list[str]:
    """What stands in a box below its name."""
    lines = [*node.details]
    lines += [f"asks {node.approval}"] if node.approval else []
    kept = [*([node.lease] if node.lease else []), *(["can be taken back"] if node.undo else [])]
    lines += [", ".join(kept)] if kept else []
    if node.happened is not None and node.happened.states:
        counts = ", ".join(
            f"{count} {state}" if count > 1 else state
            for state, count in node.happened.states.items()
        )
        lines.append(f"{counts}: {node.happened.summary}" if node.happened.summary else counts)
    return lines


def _box(node: Node) -> Drawn:
    lines, mark = _texts(node), _mark(node)
    wide = [breadth(shortened(line)) for line in lines] + [
        len(node.title) * BOLD + len(mark) * LETTER + 24
    ]
    width = min(_WIDEST, max(_NARROWEST, *wide) + 2 * PAD)
    height = 2 * PAD + LINE * (1 + len(lines))
    drawn = Drawn(
        width, height, width / 2, [_border(node, width, height), *_named(node, mark, width)]
    )
    drawn.parts += [
        written(line, PAD, PAD + 12 + LINE * (number + 1), "s") for number, line in enumerate(lines)
    ]
    return drawn


def _block(node: Node) -> Drawn:
    """A frame around lanes."""
    lines, mark = _texts(node), _mark(node)
    lanes = [_lane(lane) for lane in node.lanes]
    inner = sum(lane.width for lane in lanes) + 24 * (len(lanes) - 1)
    head = len(node.title) * BOLD + len(mark) * LETTER + 24
    width = max(inner, head, *(breadth(shortened(line)) for line in lines), _NARROWEST) + 2 * PAD
    top = PAD + LINE * (1 + len(lines)) + 10
    drawn = Drawn(width, top + max(lane.height for lane in lanes) + PAD, width / 2)
    drawn.parts += [_border(node, width, drawn.height), *_named(node, mark, width)]
    drawn.parts += [
        written(line, PAD, PAD + 12 + LINE * (number + 1), "s") for number, line in enumerate(lines)
    ]
    x = (width - inner) / 2
    for lane in lanes:
        drawn.parts.append(placed(lane, x, top))
        x += lane.width + 24
    return drawn


def _lane(lane: Lane) -> Drawn:
    body = _stack(lane.nodes)
    if not lane.label:
        return body
    width = max(body.width, breadth(shortened(lane.label)))
    drawn = Drawn(width, body.height + 20, width / 2, [written(lane.label, 0, 11, "w")])
    drawn.parts.append(placed(body, (width - body.width) / 2, 20))
    return drawn


def _frame(lane: Lane) -> Drawn:
    """What happens after a failure."""
    label = lane.label or ""
    if not lane.nodes:
        width = breadth(shortened(label)) + 2 * PAD
        border = f'<rect width="{width:.1f}" height="30" rx="6" fill="#ffffff" stroke="#b91c1c" stroke-dasharray="4 3"/>'
        return Drawn(width, 30, width / 2, [border, written(label, PAD, 19, "s")])
    body = _stack(lane.nodes)
    width, height = max(body.width, breadth(shortened(label))) + 2 * PAD, body.height + 2 * PAD + 20
    border = f'<rect width="{width:.1f}" height="{height:.1f}" rx="6" fill="none" stroke="#b91c1c" stroke-dasharray="4 3"/>'
    return Drawn(
        width,
        height,
        width / 2,
        [border, written(label, PAD, 19, "s"), placed(body, (width - body.width) / 2, PAD + 20)],
    )


def _mark(node: Node) -> str:
    return node.effect.value if node.effect is not None else node.kind.replace("_", " ")


def _named(node: Node, mark: str, width: float) -> list[str]:
    gone = node.happened is not None and node.happened.outcome == "taken_back"
    colour = _EFFECTS[node.effect][0] if node.effect is not None else _PLAIN[0]
    right = f'<text x="{width - PAD:.1f}" y="{PAD + 12:.1f}" text-anchor="end" class="s" style="fill:{colour}">{clean(mark)}</text>'
    return [written(node.title, PAD, PAD + 12, "t", struck=gone), right]


def _border(node: Node, width: float, height: float) -> str:
    colour, fill, dashes = _EFFECTS[node.effect] if node.effect is not None else _PLAIN
    size = f'width="{width:.1f}" height="{height:.1f}" rx="6"'
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    outcome = node.happened.outcome if node.happened is not None else None
    pale = ' opacity="0.55"' if outcome in {"skipped", "not_reached"} else ""
    fill = "#ffffff" if node.lanes else fill
    parts = [f'<rect {size} fill="{fill}" stroke="{colour}" stroke-width="1.4"{dashed}{pale}/>']
    if outcome is not None:
        edge = _OUTCOMES[outcome][0]
        parts.append(f'<rect width="5" height="{height:.1f}" rx="2" fill="{edge}"/>')
    full = [node.path, *([f"when {node.when}"] if node.when else []), *_texts(node)]
    return f"<g><title>{clean(chr(10).join(full))}</title>{''.join(parts)}</g>"


def _legend(*, with_outcomes: bool) -> Drawn:
    drawn = Drawn(0, 18, 0)
    for effect, (colour, fill, dashes) in _EFFECTS.items():
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        drawn.parts.append(
            f'<rect x="{drawn.width:.1f}" y="3" width="16" height="11" fill="{fill}" stroke="{colour}"{dashed}/>'
        )
        drawn.parts.append(written(effect.value, drawn.width + 21, 13, "s"))
        drawn.width += 40 + len(effect.value) * LETTER
    if with_outcomes:
        drawn.height, x = 38, 0.0
        for colour, word in dict.fromkeys(_OUTCOMES.values()):
            drawn.parts += [
                f'<rect x="{x:.1f}" y="23" width="5" height="12" fill="{colour}"/>',
                written(word, x + 9, 33, "s"),
            ]
            x += 26 + len(word) * LETTER
        drawn.width = max(drawn.width, x)
    return drawn
