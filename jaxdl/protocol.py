"""What the labs on MNIST share: rows set aside, curves as a table, two ways to train compared."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxdl.errors import UserError
from jaxdl.training import Fitted

Rows = Mapping[str, np.ndarray]


def examples(image: np.ndarray, label: np.ndarray, shape: tuple[int, ...]) -> Rows:
    """{"x": pixels between 0 and 1, [rows, *shape], "y": labels} of images of bytes."""
    x = image.reshape(-1, *shape).astype(np.float32) / 255
    return {"x": x, "y": label.astype(np.int32)}


def split_off(data: Rows, rows: int) -> tuple[Rows, Rows]:
    """All but the last `rows` rows, and those.

    Raises:
        UserError: one of the two would be empty.
    """
    total = len(data["x"])
    if not 0 < rows < total:
        raise UserError(f"{rows:,} of {total:,} images cannot be held out: one side is empty")
    return {k: x[:-rows] for k, x in data.items()}, {k: x[-rows:] for k, x in data.items()}


def hold_out(train: Rows, test: Rows, rows: int) -> tuple[Rows, Rows, str]:
    """Training rows, validation rows and the latter's name.

    Args:
        train, test: all rows.
        rows: how many of the last training rows are set aside for validation; 0 validates on the
            test rows, as the lecture does.
    """
    if not rows:
        return train, test, "test"
    return *split_off(train, rows), "validation"


def epoch_rows(fitted: Fitted, held: str) -> list[dict[str, Any]]:
    """The history as a table: a row for each epoch, "valid" under its real name."""
    columns = {name.replace("valid", held).replace("_", " "): name for name in fitted.history}
    epochs = len(next(iter(fitted.history.values())))
    return [
        {"epoch": i + 1} | {title: fitted.history[name][i] for title, name in columns.items()}
        for i in range(epochs)
    ]


def difference_rows(
    params: Any, curve: Float[np.ndarray, "epochs 2"], engine: Fitted
) -> list[dict[str, str]]:
    """How far a net trained by a loop of one's own is from the engine's first member.

    Args:
        params: the loop's trained parameters.
        curve: its training loss and accuracy by epoch.
        engine: the population that the engine trained.
    """
    theirs = jax.tree.map(lambda x: x[0], engine.variables["params"])
    apart = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), params, theirs)
    rows = [{"number": "weights", "own step": "-", "engine": "-"}]
    rows[0]["largest difference"] = f"{max(jax.tree.leaves(apart)):.1e}"
    for name, ours in zip(("loss", "accuracy"), curve[-1].tolist(), strict=True):
        value = float(engine.history[f"train_{name}"][-1, 0])
        row = {"number": f"train {name}", "own step": f"{ours:.7f}", "engine": f"{value:.7f}"}
        rows.append(row | {"largest difference": f"{abs(ours - value):.1e}"})
    return rows
