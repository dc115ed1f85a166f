"""What all figures share: colours and axes. matplotlib is imported only when one is drawn."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
else:
    Axes = Figure = Any  # matplotlib takes long to import, and most runs draw nothing

VERBATIM = "verbatim"  # group of an axis whose ticks are names in somebody's data
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f")


def plain_numbers(axis: Any) -> None:
    """Numbers at 1, 2 and 5 of each decade of a log axis that shows less than three.

    Args:
        axis: `axes.xaxis` or `axes.yaxis`, drawn upon.
    """
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    if high < 1000 * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FormatStrFormatter("%g"))
        axis.set_minor_formatter(NullFormatter())


def subplots(
    rows: int = 1, columns: int = 1, width: float | int = 5.0, height: float | int = 3.6
) -> tuple[Figure, Any]:
    """A figure and its axes, `width` x `height` inches each.

    Returns:
        The figure, and one `Axes` or, for several rows or columns, an array of them.
    """
    from matplotlib import pyplot

    return pyplot.subplots(
        rows, columns, figsize=(width * columns, height * rows), layout="constrained"
    )
