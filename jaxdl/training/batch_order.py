"""In which order a fit sees its rows: a pure function of (seed, epoch).

A resume therefore needs nothing but the step, and a CPU, a GPU and a TPU see the same order.
"""

import numpy as np
from jaxtyping import Bool, Int


def steps_per_epoch(rows: int, batch_size: int) -> int:
    """Number of batches that cover all rows; the last one may be padded."""
    return -(-rows // batch_size)


def epochs_for(steps: int, rows: int, batch_size: int) -> int:
    """The fewest whole epochs that have at least so many steps.

    >>> epochs_for(steps=100, rows=1000, batch_size=64)  # 16 steps an epoch
    7
    """
    return -(-steps // steps_per_epoch(rows, batch_size))


def epoch_order(
    seed: int, epoch: int, rows: int, batch_size: int
) -> Int[np.ndarray, "steps batch"]:
    """Row numbers of each batch of one epoch. The last batch is padded with its own rows.

    Padding counts for nothing, but it passes through the model. Rows that are in the batch anyway
    cannot overflow where the real ones do not, whatever the batch's statistics are.

    NumPy rather than `jax.random.permutation`: 4 ms against 97 ms for 227,451 rows on a CPU, and
    the same order on every kind of device.

    Args:
        seed: of the population's member, so that members differ in their order too.
        epoch: counted from zero.
        rows: number of rows of the data set.
        batch_size: rows in a batch.

    Returns:
        int32 row numbers, each row exactly once before the padding.
    """
    steps = steps_per_epoch(rows, batch_size)
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, epoch])))
    order = generator.permutation(np.arange(rows, dtype=np.int32))
    last = order[(steps - 1) * batch_size :]
    padding = np.resize(last, steps * batch_size - rows)
    return np.concatenate([order, padding]).reshape(steps, batch_size)


def padding_mask(rows: int, batch_size: int) -> Bool[np.ndarray, "steps batch"]:
    """True where `epoch_order` holds a real row, False where it is padding."""
    steps = steps_per_epoch(rows, batch_size)
    return (np.arange(steps * batch_size) < rows).reshape(steps, batch_size)
