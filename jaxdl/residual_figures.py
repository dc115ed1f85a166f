"""Figures of the residual networks lab."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxdl.figures import COLOURS, subplots


def gradients_by_layer(
    norms: Mapping[str, Mapping[str, Float[np.ndarray, "seeds layers"]]],
) -> Any:
    """Gradient norm of each 3x3 kernel over its place in the net, log axis; bands from min to max.

    Args:
        norms: panel -> net -> norms.
    """
    figure, axes = subplots(1, len(norms))
    for axis, (panel, nets) in zip(np.atleast_1d(axes), norms.items(), strict=True):
        for colour, (net, values) in zip(COLOURS, nets.items(), strict=False):
            place = np.linspace(0, 1, values.shape[1])
            axis.plot(place, np.median(values, axis=0), color=colour, label=net)
            axis.fill_between(
                place, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, lw=0
            )
        axis.set(title=panel, yscale="log", xlabel="place (0: first layer, 1: last)")
        axis.grid(alpha=0.3)
    np.atleast_1d(axes)[0].set_ylabel("gradient norm of the kernel")
    np.atleast_1d(axes)[0].legend(fontsize=8)
    return figure
