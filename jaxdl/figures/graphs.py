"""Drawn graphs of models: boxes with shapes and numbers of parameters, arrows between them.

Nodes stand in levels by their longest way from an input, and an arrow that passes a level keeps a
place free there, so that it runs beside the boxes and not through them (Sugiyama et al., 1981).
"""

import itertools
from collections.abc import Sequence
from typing import Any, Protocol

from jaxdl.figures.base import COLOURS

Place = tuple[float, int]


class LayerRow(Protocol):
    """One box: an input or a node, as `jaxdl.models.layer_graph.summary` lists them."""

    name: str
    layer: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    parameters: int


def levels_of(rows: Sequence[LayerRow]) -> dict[str, int]:
    """Name -> length of the longest way from an input; rows come after what they read."""
    levels: dict[str, int] = {}
    for row in rows:
        levels[row.name] = 1 + max((levels[name] for name in row.inputs), default=-1)
    return levels


def layout(rows: Sequence[LayerRow]) -> tuple[dict[str, Place], dict[tuple[str, str], list]]:
    """Where every node stands, and the way of every arrow.

    Returns:
        name -> (column, level), columns centred around 0; (from, to) -> the places that the arrow
        passes, both ends included.
    """
    levels = levels_of(rows)
    above: dict[Any, list] = {row.name: [] for row in rows}
    members: list[list[Any]] = [[] for _ in range(max(levels.values()) + 1)]
    for row in rows:
        members[levels[row.name]].append(row.name)
    ways: dict[tuple[str, str], list] = {}
    for row in rows:
        for name in row.inputs:
            way: list[Any] = [name]
            for level in range(levels[name] + 1, levels[row.name]):
                free = (name, row.name, level)  # a place kept free
                members[level].append(free)
                above[free] = [way[-1]]
                way.append(free)
            above[row.name].append(way[-1])
            ways[name, row.name] = [*way, row.name]
    column: dict[Any, float] = {}
    for level in members:
        centre = {
            node: sum(column[a] for a in above[node]) / len(above[node]) if above[node] else 0.0
            for node in level
        }
        level.sort(key=lambda node: centre[node])
        for i, node in enumerate(level):
            column[node] = i - (len(level) - 1) / 2
    places = {node: (column[node], i) for i, level in enumerate(members) for node in level}
    return (
        {row.name: places[row.name] for row in rows},
        {ends: [places[node] for node in way] for ends, way in ways.items()},
    )


def draw_graph(title: str, rows: Sequence[LayerRow], outputs: Sequence[str] = ()) -> Any:
    """One model.

    Args:
        title: above the drawing; the number of parameters is added.
        rows: the model's summary, inputs first.
        outputs: names that get the output's colour.
    """
    from matplotlib import pyplot

    places, ways = layout(rows)
    columns = [column for column, _ in places.values()]
    levels = 1 + max(level for _, level in places.values())
    width = 2.9 * (max(columns) - min(columns) + 1)
    figure, axis = pyplot.subplots(figsize=(max(width, 4.2), 0.95 * levels + 0.5))
    for way in ways.values():
        for (x0, y0), (x1, y1) in itertools.pairwise(way):
            last = (x1, y1) == way[-1]
            axis.annotate(
                "",
                (x1, -y1 + (0.3 if last else 0)),
                (x0, -y0 - (0.3 if (x0, y0) == way[0] else 0)),
                arrowprops={"arrowstyle": "->" if last else "-", "color": "0.35", "shrinkA": 0}
                | {"shrinkB": 0},
            )
    for row in rows:
        x, y = places[row.name]
        shape = " x ".join(map(str, row.shape))
        size = f"{row.parameters:,} parameters" if row.parameters else ""
        text = "\n".join(filter(None, (f"{row.name}: {row.layer}", shape, size)))
        output, given = row.name in outputs, not row.inputs
        colour = COLOURS[2] if given else COLOURS[1] if output else COLOURS[0]
        box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": colour, "lw": 1.4}
        axis.text(x, -y, text, ha="center", va="center", fontsize=7, bbox=box)
    total = sum(row.parameters for row in rows)
    axis.set(xlim=(min(columns) - 0.6, max(columns) + 0.6), ylim=(-levels + 0.4, 0.6))
    axis.set_title(f"{title}: {total:,} parameters", fontsize=9)
    axis.set_axis_off()
    return figure
