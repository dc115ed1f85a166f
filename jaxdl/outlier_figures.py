"""Figures of the outlier lab: where each detector draws its line."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxdl.anomaly.detectors import Rows, Scorer
from jaxdl.figures import subplots


def decision_boundaries(
    sets: Mapping[str, tuple[Rows, Rows]],
    fit: Callable[[Rows], Mapping[str, Scorer]],
    share: float,
) -> Any:
    """Each detector (a column) on each set of points (a row); where it sees outliers is pink.

    Args:
        sets: name -> (normal points [n, 2], anomalies [m, 2] among them), drawn from -3 to 3.
        fit: points of both kinds -> name -> detector that has learnt from them.
        share: of the points that each detector may call outliers.
    """
    axis_values = np.linspace(-3, 3, 70)
    across, up = np.meshgrid(axis_values, axis_values)
    grid = np.stack([across.reshape(-1), up.reshape(-1)], axis=1)
    fitted = {name: fit(np.concatenate(both)) for name, both in sets.items()}
    columns = len(next(iter(fitted.values())))
    figure, axes = subplots(len(sets), columns, width=2.1, height=2.1)
    for i, (line, (name, (normal, odd))) in enumerate(zip(axes, sets.items(), strict=True)):
        x = np.concatenate([normal, odd])
        for axis, (title, score) in zip(line, fitted[name].items(), strict=True):
            cut = np.quantile(score(x), 1 - share)
            outside = (score(grid) > cut).reshape(across.shape)
            axis.contourf(across, up, outside, [-0.5, 0.5, 1.5], colors=["w", "#fde0dd"])
            axis.scatter(*normal.T, s=2, c="0.4")
            axis.scatter(*odd.T, s=7, c="#d62728")
            axis.set(xticks=[], yticks=[], xlim=(-3, 3), ylim=(-3, 3))
            axis.set_title("" if i else title, fontsize=10)
        line[0].set_ylabel(name)
    return figure
