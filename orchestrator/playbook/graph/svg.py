"""SVG pictures of playbooks: steps downwards, side by side in frames. Plain text, no script.

Why not a library: Graphviz needs a binary and lays out a graph, in which nesting (loops, branches,
error handlers) is lost in edges. The layout of a tree of boxes is addition. Mermaid in the browser
needs script, which the console's content security policy forbids.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.domain.change import Effect
from orchestrator.playbook.graph.drawing import (
    BOLD,
    GAP,
    LETTER,
    LINE,
    PAD,
    Drawing,
    draw_line,
    draw_text,
    escape_text,
    place,
    shorten,
    text_width,
)
from orchestrator.playbook.graph.model import Graph, Lane, Node

_NARROWEST, _WIDEST = 190.0, 430.0
_LONGEST_HEAD = 140

# Distinct by the dashes of the edge and by a word too, not by color alone.
_EFFECTS: dict[Effect, tuple[str, str, str]] = {
    Effect.READ: ("#5b7083", "#f2f5f7", "2 3"),
    Effect.CONTAIN: ("#b45309", "#fff4e5", ""),
    Effect.RESTORE: ("#0f766e", "#e8f7f5", "8 4"),
    Effect.NOTIFY: ("#4f46e5", "#eeedfc", "1 4"),
    Effect.DESTROY: ("#b91c1c", "#fdecec", "12 3 3 3"),
}
_PLAIN = ("#475569", "#ffffff", "")
_OUTCOMES = {
    "applied": ("#15803d", "applied"),
    "read": ("#15803d", "done"),
    "skipped": ("#94a3b8", "skipped"),
    "undetermined": ("#94a3b8", "undetermined"),
    "refused": ("#b91c1c", "refused"),
    "failed": ("#b91c1c", "failed"),
    "undone": ("#7c3aed", "undone"),
    "waiting": ("#b45309", "waiting"),
    "not_reached": ("#94a3b8", "not reached"),
}
_STYLE = (
    "text{font:12px system-ui,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1e293b}"
    ".t{font-weight:700;font-size:13px}.s{fill:#475569;font-size:11px}"
    ".w{font-style:italic;fill:#334155;font-size:11px}"
    ".h{font-weight:700;font-size:16px}"
)


def render_svg(graph: Graph) -> str:
    """Render a self-contained SVG document. Texts of authors and alerts are escaped."""
    head = [
        draw_text(graph.title, 0, 16, "h", _LONGEST_HEAD),
        draw_text(f"{graph.playbook} version {graph.version}", 0, 36, "s"),
    ]
    head += (
        [draw_text(f"starts when {graph.trigger}", 0, 54, "w", _LONGEST_HEAD)]
        if graph.trigger
        else [draw_text("started by hand or by a call", 0, 54, "w")]
    )
    head += [draw_text(graph.run, 0, 72, "t", _LONGEST_HEAD)] if graph.run else []
    body = _stack(graph.nodes)
    below = [_frame(graph.on_failure)] if graph.on_failure else []
    legend = _legend(with_outcomes=graph.run is not None)
    top = 92.0 if graph.run else 74.0
    top += legend.height + 14
    width = max(
        body.width,
        legend.width,
        *(each.width for each in below),
        *(text_width(text) * 1.3 for text in _heads(graph)),
    )
    height = top + body.height + sum(each.height + GAP for each in below)
    left = (width - body.width) / 2
    parts = [*head, place(legend, 0, top - legend.height - 14), place(body, left, top)]
    y = top + body.height + GAP
    for each in below:
        parts.append(place(each, (width - each.width) / 2, y))
        y += each.height + GAP
    return _document(graph, parts, width + 48, height + 48)


def _heads(graph: Graph) -> list[str]:
    return [
        shorten(text or "", _LONGEST_HEAD)
        for text in (graph.title, graph.trigger and f"starts when {graph.trigger}", graph.run)
    ]


def _document(graph: Graph, parts: Iterable[str], width: float, height: float) -> str:
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="-24 -24 {width:.0f} {height:.0f}"'
    about = (
        f"Steps of {graph.playbook} version {graph.version}, from the first at the top to the last."
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}>'
        f"<title>{escape_text(graph.title)}</title><desc>{escape_text(about)}</desc>"
        f"<style>{_STYLE}</style>"
        '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" '
        'markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#475569"/></marker></defs>'
        f'<rect x="-24" y="-24" width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>'
        f"{''.join(parts)}</svg>\n"
    )


def _stack(nodes: Sequence[Node]) -> Drawing:
    """Draw steps below each other, joined by arrows."""
    drawn = [_step(node) for node in nodes]
    if not drawn:
        return Drawing(120, 24, 60, [draw_text("nothing", 36, 16, "s")])
    middle = max(each.middle for each in drawn)
    width = max(middle - each.middle + each.width for each in drawn)
    stack = Drawing(width, 0, middle)
    for number, each in enumerate(drawn):
        if number:
            stack.parts.append(draw_line(middle, stack.height, middle, stack.height + GAP))
            stack.height += GAP
        stack.parts.append(place(each, middle - each.middle, stack.height))
        stack.height += each.height
    return stack


def _step(node: Node) -> Drawing:
    """Draw a step with its condition above and its error handlers to the right."""
    box = _block(node) if node.lanes else _box(node)
    top = 18.0 if node.when else 0.0
    drawn = Drawing(box.width, box.height + top, box.middle)
    if node.when:
        drawn.parts.append(draw_text(f"when {node.when}", 0, 11, "w"))
        drawn.width = max(drawn.width, text_width(shorten(f"when {node.when}")))
    drawn.parts.append(place(box, 0, top))
    if node.on_error is not None:
        aside = _frame(node.on_error)
        left = drawn.width + 34
        drawn.parts += [
            draw_line(box.width, top + 18, left, top + 18, dashed=True),
            place(aside, left, top),
        ]
        if top + aside.height > drawn.height:  # extend the line to the next step past the handlers
            drawn.parts.append(
                draw_line(box.middle, drawn.height, box.middle, top + aside.height, arrow=False)
            )
        drawn.width, drawn.height = left + aside.width, max(drawn.height, top + aside.height)
    return drawn


def _texts(node: Node) -> list[str]:
    """Return the lines in a box below its name."""
    lines = [*node.details]
    lines += [f"asks {node.approval}"] if node.approval else []
    kept = [*([node.lease] if node.lease else []), *(["can be undone"] if node.undo else [])]
    lines += [", ".join(kept)] if kept else []
    if node.result is not None and node.result.states:
        counts = ", ".join(
            f"{count} {state}" if count > 1 else state
            for state, count in node.result.states.items()
        )
        lines.append(f"{counts}: {node.result.summary}" if node.result.summary else counts)
    return lines


def _box(node: Node) -> Drawing:
    lines, mark = _texts(node), _mark(node)
    wide = [text_width(shorten(line)) for line in lines] + [
        len(node.title) * BOLD + len(mark) * LETTER + 24
    ]
    width = min(_WIDEST, max(_NARROWEST, *wide) + 2 * PAD)
    height = 2 * PAD + LINE * (1 + len(lines))
    drawn = Drawing(
        width, height, width / 2, [_border(node, width, height), *_named(node, mark, width)]
    )
    drawn.parts += [
        draw_text(line, PAD, PAD + 12 + LINE * (number + 1), "s")
        for number, line in enumerate(lines)
    ]
    return drawn


def _block(node: Node) -> Drawing:
    """Draw a frame around lanes."""
    lines, mark = _texts(node), _mark(node)
    lanes = [_lane(lane) for lane in node.lanes]
    inner = sum(lane.width for lane in lanes) + 24 * (len(lanes) - 1)
    head = len(node.title) * BOLD + len(mark) * LETTER + 24
    width = max(inner, head, *(text_width(shorten(line)) for line in lines), _NARROWEST) + 2 * PAD
    top = PAD + LINE * (1 + len(lines)) + 10
    drawn = Drawing(width, top + max(lane.height for lane in lanes) + PAD, width / 2)
    drawn.parts += [_border(node, width, drawn.height), *_named(node, mark, width)]
    drawn.parts += [
        draw_text(line, PAD, PAD + 12 + LINE * (number + 1), "s")
        for number, line in enumerate(lines)
    ]
    x = (width - inner) / 2
    for lane in lanes:
        drawn.parts.append(place(lane, x, top))
        x += lane.width + 24
    return drawn


def _lane(lane: Lane) -> Drawing:
    body = _stack(lane.nodes)
    if not lane.label:
        return body
    width = max(body.width, text_width(shorten(lane.label)))
    drawn = Drawing(width, body.height + 20, width / 2, [draw_text(lane.label, 0, 11, "w")])
    drawn.parts.append(place(body, (width - body.width) / 2, 20))
    return drawn


def _frame(lane: Lane) -> Drawing:
    """Draw the response to a failure."""
    label = lane.label or ""
    if not lane.nodes:
        width = text_width(shorten(label)) + 2 * PAD
        border = _dashed(width, 30, "#ffffff")
        return Drawing(width, 30, width / 2, [border, draw_text(label, PAD, 19, "s")])
    body = _stack(lane.nodes)
    width, height = (
        max(body.width, text_width(shorten(label))) + 2 * PAD,
        body.height + 2 * PAD + 20,
    )
    border = _dashed(width, height, "none")
    return Drawing(
        width,
        height,
        width / 2,
        [border, draw_text(label, PAD, 19, "s"), place(body, (width - body.width) / 2, PAD + 20)],
    )


def _dashed(width: float, height: float, fill: str) -> str:
    size = f'width="{width:.1f}" height="{height:.1f}" rx="6"'
    return f'<rect {size} fill="{fill}" stroke="#b91c1c" stroke-dasharray="4 3"/>'


def _mark(node: Node) -> str:
    return node.effect.value if node.effect is not None else node.kind.replace("_", " ")


def _named(node: Node, mark: str, width: float) -> list[str]:
    undone = node.result is not None and node.result.outcome == "undone"
    colour = _EFFECTS[node.effect][0] if node.effect is not None else _PLAIN[0]
    place = f'x="{width - PAD:.1f}" y="{PAD + 12:.1f}" text-anchor="end"'
    right = f'<text {place} class="s" style="fill:{colour}">{escape_text(mark)}</text>'
    return [draw_text(node.title, PAD, PAD + 12, "t", struck=undone), right]


def _border(node: Node, width: float, height: float) -> str:
    colour, fill, dashes = _EFFECTS[node.effect] if node.effect is not None else _PLAIN
    size = f'width="{width:.1f}" height="{height:.1f}" rx="6"'
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    outcome = node.result.outcome if node.result is not None else None
    pale = ' opacity="0.55"' if outcome in {"skipped", "not_reached"} else ""
    fill = "#ffffff" if node.lanes else fill
    parts = [f'<rect {size} fill="{fill}" stroke="{colour}" stroke-width="1.4"{dashed}{pale}/>']
    if outcome is not None:
        edge = _OUTCOMES[outcome][0]
        parts.append(f'<rect width="5" height="{height:.1f}" rx="2" fill="{edge}"/>')
    full = [node.path, *([f"when {node.when}"] if node.when else []), *_texts(node)]
    return f"<g><title>{escape_text(chr(10).join(full))}</title>{''.join(parts)}</g>"


def _legend(*, with_outcomes: bool) -> Drawing:
    drawn = Drawing(0, 18, 0)
    for effect, (colour, fill, dashes) in _EFFECTS.items():
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        drawn.parts.append(
            f'<rect x="{drawn.width:.1f}" y="3" width="16" height="11" '
            f'fill="{fill}" stroke="{colour}"{dashed}/>'
        )
        drawn.parts.append(draw_text(effect.value, drawn.width + 21, 13, "s"))
        drawn.width += 40 + len(effect.value) * LETTER
    if with_outcomes:
        drawn.height, x = 38, 0.0
        for colour, word in dict.fromkeys(_OUTCOMES.values()):
            drawn.parts += [
                f'<rect x="{x:.1f}" y="23" width="5" height="12" fill="{colour}"/>',
                draw_text(word, x + 9, 33, "s"),
            ]
            x += 26 + len(word) * LETTER
        drawn.width = max(drawn.width, x)
    return drawn
