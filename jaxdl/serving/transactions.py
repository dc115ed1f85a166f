"""The raw columns of a card transaction, and what becomes of them."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float64

from jaxdl.losses import AnyArray
from jaxdl.serving.export import Columns


def hour_of_day(seconds: Float64[AnyArray, " batch"]) -> Float64[AnyArray, " batch"]:
    """Hour 0..24 of a time in seconds since some midnight (lab 160)."""
    return seconds / 3600.0 % 24.0


def columns(mean: Float64[np.ndarray, " 30"], sd: Float64[np.ndarray, " 30"]) -> Columns:
    """Card transactions as lab 160 prepares them: Time, V1..V28, Amount to hour, V, log amount."""
    plain = tuple(f"V{i}" for i in range(1, 29))
    return Columns(
        names=("Time", *plain, "Amount"),
        features=("hour", *plain, "log_amount"),
        mean=mean,
        sd=sd,
        transforms={"Time": hour_of_day, "Amount": jnp.log1p},
        nonnegative=("Time", "Amount"),
    )
