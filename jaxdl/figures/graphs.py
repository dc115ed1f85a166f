"""Drawn graphs of models: boxes with shapes and numbers of parameters, arrows between them.

The layered drawing of Sugiyama, Tagawa and Toda (1981). Nodes stand in levels by their longest path
from an input. An arrow that passes a level gets a place of its own there (a dummy node), so that it
runs beside the boxes and not through them. In each level nodes are ordered by the mean column of
what they read (the barycentre heuristic).
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from jaxdl.figures.base import COLOURS, Axes, Figure

if TYPE_CHECKING:
    from matplotlib.patches import Patch
else:
    Patch = Any  # see `jaxdl.figures.base`

INPUT, NODE, OUTPUT = COLOURS[2], COLOURS[0], COLOURS[1]


@runtime_checkable
class LayerRow(Protocol):
    """One box: an input or a node, as `jaxdl.models.layer_graph.summary` lists them."""

    name: str
    layer: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    parameters: int


class Place(NamedTuple):
    """Where a node stands; columns are centred around 0, level 0 is on top."""

    column: float
    level: int


class Dummy(NamedTuple):
    """The place that an arrow keeps free in a level that it passes."""

    start: str
    end: str
    level: int


def levels_of(rows: Sequence[LayerRow]) -> dict[str, int]:
    """Name -> length of the longest path from an input; rows come after what they read."""
    levels: dict[str, int] = {}
    for row in rows:
        levels[row.name] = 1 + max((levels[name] for name in row.inputs), default=-1)
    return levels


def layout(
    rows: Sequence[LayerRow],
) -> tuple[dict[str, Place], dict[tuple[str, str], list[Place]]]:
    """Where every node stands, and the route of every arrow.

    Args:
        rows: each after what it reads.

    Returns:
        name -> place; (from, to) -> the places that the arrow passes, both ends included.
    """
    levels = levels_of(rows)
    routes: dict[tuple[str, str], list[str | Dummy]] = {}
    for row in rows:
        for name in row.inputs:
            passed = range(levels[name] + 1, levels[row.name])
            dummies = [Dummy(name, row.name, level) for level in passed]
            routes[name, row.name] = [name, *dummies, row.name]
    places = _places(levels, routes)
    return (
        {name: places[name] for name in levels},
        {ends: [places[node] for node in route] for ends, route in routes.items()},
    )


def _places(
    levels: Mapping[str, int], routes: Mapping[tuple[str, str], list[str | Dummy]]
) -> dict[str | Dummy, Place]:
    """Places of all nodes and dummies, ordered level by level."""
    by_level: list[list[str | Dummy]] = [[] for _ in range(max(levels.values()) + 1)]
    for name, level in levels.items():
        by_level[level].append(name)
    reads: dict[str | Dummy, list[str | Dummy]] = {}
    for route in routes.values():
        for before, node in itertools.pairwise(route):
            reads.setdefault(node, []).append(before)
            if isinstance(node, Dummy):
                by_level[node.level].append(node)

    places: dict[str | Dummy, Place] = {}

    def barycentre(node):
        columns = [places[before].column for before in reads.get(node, ())]
        return sum(columns) / len(columns) if columns else 0.0

    for level, nodes in enumerate(by_level):
        for order, node in enumerate(sorted(nodes, key=barycentre)):
            places[node] = Place(order - (len(nodes) - 1) / 2, level)
    return places


def draw_graph(title: str, rows: Sequence[LayerRow], outputs: Sequence[str] = ()) -> Figure:
    """One model.

    Args:
        title: above the drawing; the number of parameters is added.
        rows: the model's summary, inputs first.
        outputs: names that get the output's colour.
    """
    from matplotlib import pyplot

    places, routes = layout(rows)
    columns = [place.column for place in places.values()]
    levels = 1 + max(place.level for place in places.values())
    width = 2.9 * (max(columns) - min(columns) + 1)
    figure, axis = pyplot.subplots(figsize=(max(width, 4.2), 0.95 * levels + 0.5))
    boxes = {}
    for row in rows:
        colour = OUTPUT if row.name in outputs else NODE
        boxes[row.name] = _draw_box(axis, row, places[row.name], colour if row.inputs else INPUT)
    for (start, end), route in routes.items():
        _draw_arrow(axis, route, boxes[start], boxes[end])
    total = sum(row.parameters for row in rows)
    axis.set(xlim=(min(columns) - 0.6, max(columns) + 0.6), ylim=(-levels + 0.4, 0.6))
    axis.set_title(f"{title}: {total:,} parameters\ngreen: input, red: output", fontsize=9)
    axis.set_axis_off()
    return figure


def _draw_arrow(axis: Axes, route: Sequence[Place], start_box: Patch, end_box: Patch) -> None:
    """Lines from place to place, between the frames of the boxes at both ends."""
    pieces = list(itertools.pairwise(route))
    for number, (start, end) in enumerate(pieces):
        first, last = number == 0, number == len(pieces) - 1
        style = {
            "arrowstyle": "->" if last else "-",
            "color": "0.35",
            "patchA": start_box if first else None,
            "patchB": end_box if last else None,
            "shrinkA": 0,
            "shrinkB": 0,
        }
        tip, tail = (end.column, -end.level), (start.column, -start.level)
        axis.annotate("", tip, tail, arrowprops=style)


def _draw_box(axis: Axes, row: LayerRow, place: Place, colour: str) -> Patch:
    """Name, layer, output shape and number of parameters, if it has any; the frame around them."""
    lines = [f"{row.name}: {row.layer}", " x ".join(map(str, row.shape))]
    if row.parameters:
        lines.append(f"{row.parameters:,} parameters")
    box = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": colour, "lw": 1.4}
    style = {"ha": "center", "va": "center", "fontsize": 7, "bbox": box}
    return axis.text(place.column, -place.level, "\n".join(lines), **style).get_bbox_patch()
