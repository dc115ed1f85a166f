"""A lab for tests - one small net on random rows, quick to start and as long as wanted."""

from collections.abc import Mapping
from dataclasses import dataclass

import flax.linen as nn
import numpy as np

from datasets.source import Provenance
from jaxdl import losses, optim
from jaxdl.hashing import arrays_digest
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Task, module_functions


@dataclass(frozen=True)
class Config:
    epochs: int = 6
    """Passes over the rows."""
    rows: int = 2048
    """Rows to train on; an epoch has a sixteenth as many steps."""
    further: bool = False
    """Train a second net after the first."""


PRESETS: Mapping[str, Config] = {"quick": Config()}


def main(config: Config, run: Run) -> Results:
    x = np.random.default_rng(0).normal(size=(config.rows + 512, 5)).astype(np.float32)
    digest = arrays_digest({"x": x})
    run.uses(Provenance("random rows", "simulated", digest, "normal", twin=False))
    names = ["autoencoder", *(["second"] if config.further else [])]
    rows = []
    for name in names:
        fitted = run.fit(
            name,
            noisy_autoencoder(),
            {"x": x[: config.rows]},
            {"x": x[config.rows :]},
            epochs=config.epochs,
            batch_size=16,
        )
        rows.append({"net": name, "loss": fitted.history["valid_loss"][-1]})
    return Results([Table("Loss at the end", rows, digits=6)])


def noisy_autoencoder() -> Task:
    """Noise, so that the keys of the steps count; Adam, so that its state does."""
    init, apply = module_functions(DenseAutoencoder(5, (4, 2), nn.tanh, noise=0.1))
    return Task(
        init,
        apply,
        lambda outputs, batch, hyper=None: losses.mse(outputs, batch["x"]),
        lambda hyper: optim.adam(1e-2),
    )
