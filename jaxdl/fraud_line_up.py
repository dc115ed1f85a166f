"""Every kind of detector on the same rows: what `experiments/fraud_detectors.py` compares."""

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float, Int
from tqdm import tqdm

from jaxdl import losses, optim
from jaxdl.anomaly import detectors
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.models.vae import DenseVAE, gaussian_bound
from jaxdl.training import Fitted, Task, module_functions

Rows = Float[np.ndarray, "n columns"]
Found = dict[str, Float[np.ndarray, "seeds m"]]


def residual(outputs, batch):
    """What an autoencoder's copy lacks."""
    return batch["x"] - outputs


def residual_of_vae(outputs, batch):
    """What a VAE's copy lacks, made from the mean of the code."""
    return batch["x"] - outputs.reconstruction


def deep(fit: Callable[..., Fitted], normal: Rows, x: Rows, epochs: int) -> Found:
    """Scores by autoencoders and a VAE, plain and whitened errors.

    Args:
        fit: (name, task, rows, epochs=...) -> the trained population.
        normal: rows to train on.
        x: rows to score.
        epochs: of those that are trained.
    """
    models = {
        "30-12-30": (DenseAutoencoder(30, (12,)), lambda o, b: losses.mse(o, b["x"])),
        "30-27-30": (DenseAutoencoder(30, (27,)), lambda o, b: losses.mse(o, b["x"])),
        "VAE": (DenseVAE((32,), 16), lambda o, b: gaussian_bound(o, b["x"], noise=0.5)),
    }
    fits = {name: (name, epochs) for name in models} | {"30-12-30 untrained": ("30-12-30", 0)}
    found = {}
    for name, (kind, length) in fits.items():
        model, loss = models[kind]
        task = Task(*module_functions(model), loss=loss, optimizer=lambda hyper: optim.adam())
        fitted = fit(name.replace(" ", "-"), task, {"x": normal}, epochs=length)
        missing = residual_of_vae if kind == "VAE" else residual
        usual, errors = (fitted.predict(missing, {"x": rows}) for rows in (normal, x))
        found[name] = np.square(errors).mean(axis=-1)
        found[f"{name}, whitened"] = detectors.whitened_population(usual, errors)
    return found


def classical(
    fit_x: Rows,
    fit_label: Int[np.ndarray, " n"],
    x: Rows,
    seeds: Iterable[int],
    neighbour_rows: int,
) -> Found:
    """Scores by everything that is not a deep model; one member where nothing is drawn.

    Args:
        fit_x, fit_label: rows to train on; all but the supervised models see the normal ones only.
        x: rows to score.
        seeds: of what is drawn.
        neighbour_rows: normal rows that neighbour methods and the one-class SVM see, at most.
    """
    normal = fit_x[fit_label == 0]
    few = detectors.subsample(normal, neighbour_rows, seed=0)
    n = f"{len(few):,} rows"
    once = {
        "rule: columns out of their usual range": lambda: detectors.usual_range(normal),
        "supervised: logistic regression": lambda: detectors.logistic_regression(fit_x, fit_label),
        "supervised: gradient boosting": lambda: detectors.gradient_boosting(fit_x, fit_label),
        "PCA, 12 components": lambda: detectors.pca(normal, 12),
        "PCA, 27 components": lambda: detectors.pca(normal, 27),
        "tail probabilities (ECOD)": lambda: detectors.tail_probability(normal),
        "Mahalanobis": lambda: detectors.mahalanobis(normal),
        f"kNN, {n}": lambda: detectors.nearest_neighbours(few),
        f"LOF, {n}": lambda: detectors.local_outlier_factor(few),
        f"DBSCAN, {n}": lambda: detectors.dbscan(few),
        f"one-class SVM, {n}": lambda: detectors.one_class_svm(few),
    }
    seeded = {
        "isolation forest": lambda s: detectors.isolation_forest(normal, s),
        "random": lambda s: lambda rows: np.random.default_rng(s).random(len(rows)),
    }
    found = {name: make()(x)[None] for name, make in tqdm(once.items(), "detectors", leave=False)}
    for name, make in tqdm(seeded.items(), "seeded detectors", leave=False):
        found[name] = np.stack([make(int(seed))(x) for seed in seeds])
    return found
