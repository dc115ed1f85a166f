"""Lab 165 - fraud detection, method 2: features of an encoder (특징 추출기 + SVM / KNN / DNN)

An autoencoder learns from all rows without labels; its encoder then feeds a support vector machine,
nearest neighbours, a small network and logistic regression, which need labels. How much does the
encoder help when only 10 or 50 frauds are labelled? Beside it: the same classifiers on raw columns,
and on the code of an encoder that was tuned further with the labels (slide 90).

    python run.py experiments/fraud_features.py --seeds 10
    python run.py experiments/fraud_features.py --csv sample.csv --prevalence 0.001727 --seeds 10

Protocol: the lecture's random 50/50 split; encoder 30-12 on all rows of three quarters of the
training half. A budget is the number of labelled frauds, drawn by seed: three quarters train the
classifier, the rest choose its threshold (largest F1 on the validation part at true prevalence).
At most `rows` normal rows train the classifiers and `test_rows` are tested, weighted to all.
The lecture's stored runs on the full file, all 249 frauds, no seeds: F1 0.766 (SVM), 0.808 (KNN),
0.791 (DNN). Ours: docs/results.md. Runtime on two CPU cores: a few minutes for ten seeds.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from tqdm import tqdm

from datasets import fraud
from datasets.fraud_split import Half, split_three
from jaxdl import figures, losses, optim
from jaxdl.anomaly import evaluation, thresholds
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.models.mlp import MLP
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.training import Task, module_functions


@dataclass(frozen=True)
class Config:
    csv: Path | None = None
    """Your own transactions: columns Time, V1..V28, Amount, Class (0 normal, 1 fraud)."""
    prevalence: float | None = None
    """True share of fraud, where the file was down-sampled; else that of the training half."""
    budgets: tuple[int, ...] = (10, 50, 249)
    """Labelled frauds, for training and for the threshold together."""
    widths: tuple[int, ...] = (12,)
    """Of the encoder."""
    steps: int = 6000
    """Optimiser steps of the autoencoder, in whole epochs; batch 128."""
    classifier_steps: int = 3000
    """Optimiser steps of the small network, in whole epochs; batch 256."""
    rows: int = 10_000
    """Normal rows that classifiers train on, at most."""
    test_rows: int = 20_000
    """Normal rows that are tested, at most."""
    twin_rows: int = fraud.ROWS
    """Rows of the simulated twin, where no real file is found."""


PRESETS = {
    "quick": Config(
        steps=150,
        classifier_steps=100,
        rows=2000,
        test_rows=3000,
        twin_rows=40_000,
        budgets=(10, 40),
    )
}
CLASSIFIERS = {
    "SVM": lambda: SVC(),
    "KNN, k = 3": lambda: KNeighborsClassifier(3),
    "logistic regression": lambda: LogisticRegression(max_iter=1000),
}


def thinned(part: Half, normals: int) -> Half:
    """All frauds and at most so many normal rows."""
    normal = np.random.default_rng(0).permutation(np.flatnonzero(part.label == 0))[:normals]
    kept = np.sort(np.concatenate([normal, np.flatnonzero(part.label == 1)]))
    return Half(part.x[kept], part.label[kept], part.rows[kept])


def labelled(label: np.ndarray, frauds: int, seed: int) -> np.ndarray:
    """Which rows a member sees: all normal rows, and so many frauds of its own choice."""
    chosen = np.random.default_rng(seed).permutation(np.flatnonzero(label == 1))[:frauds]
    keep = label == 0
    keep[chosen] = True
    return keep


def network(encoder: DenseAutoencoder | None, weights: Any, tuned: bool, members: int) -> Task:
    """The deck's 32-16-1 network on the code (or on the rows: no encoder).

    Every member has its own encoder, `weights` [members, ...]; tuning trains a change to it that
    starts at zero. `batch["keep"]` [rows, members] says which rows a member may learn from.
    """
    head = MLP((32, 16, 1), dropout=0.2)

    def code_of(params, x, member):
        if encoder is None:
            return x
        own = jax.tree.map(lambda w: w[member], weights)
        if tuned:
            own = jax.tree.map(jnp.add, own, params["change"])
        return encoder.apply({"params": own}, x, method="encode")

    def init(key, batch):
        width = batch["x"].shape[1] if encoder is None else encoder.widths[-1]
        params = {"head": head.init(key, jnp.zeros((1, width)), train=False)["params"]}
        if tuned:
            params["change"] = jax.tree.map(lambda w: jnp.zeros(w.shape[1:], w.dtype), weights)
        return {"params": params}

    def apply(variables, batch, key, train, hyper):
        params, member = variables["params"], hyper["member"].astype(jnp.int32)
        code = code_of(params, batch["x"], member)
        noise = {"dropout": key} if train else None
        logit = head.apply({"params": params["head"]}, code, train=train, rngs=noise)[:, 0]
        return (logit, code, batch["keep"][:, member]), {}

    def loss(outputs, batch):
        logit, _, keep = outputs
        return keep * losses.binary_cross_entropy(logit[:, None], batch["label"][:, None])

    hyper = {"member": np.arange(members)}
    return Task(init, apply, loss, lambda hyper: optim.adam(), hyper=hyper)


def main(config: Config, run: Run) -> Results:
    data = fraud.load(run.source, config.csv, twin_rows=config.twin_rows)
    run.uses(data.provenance)
    fit, valid, test, _ = split_three(data, "random")
    share = config.prevalence or float(np.mean(data.label[np.concatenate([fit.rows, valid.rows])]))
    frauds, members = int(test.label.sum()), len(run.seeds)
    encoder = DenseAutoencoder(fit.x.shape[1], config.widths)
    task = Task(
        *module_functions(encoder),
        loss=lambda outputs, batch: losses.mse(outputs, batch["x"]),
        optimizer=lambda hyper: optim.adam(),
    )
    epochs = -(-config.steps // -(-len(fit.x) // 128))
    autoencoder = run.fit("autoencoder", task, {"x": fit.x}, epochs=epochs, batch_size=128)
    weights = autoencoder.variables["params"]
    fit, test = thinned(fit, config.rows), thinned(test, config.test_rows)
    parts = (fit, valid, test)
    test_weights = fraud.prevalence_weights(test.label, share)
    epochs = -(-config.classifier_steps // -(-len(fit.x) // 256))
    rows, curves = [], {}

    def judge(budget, features, classifier, scored):
        """`scored`: (validation scores, test scores) of each member."""
        quality = {"precision": [], "recall": [], "F1": [], "AUPRC": []}
        for seed, (known, new) in zip(run.seeds, scored, strict=True):
            seen = labelled(valid.label, max(1, round(budget / 4)), seed)
            row_weights = fraud.prevalence_weights(valid.label[seen], share)
            on = {"fitted_on": "labelled validation part", "weights": row_weights, "resamples": 0}
            limit = thresholds.f_beta(known[seen], valid.label[seen], 1.0, **on)
            hit = evaluation.confusion(new, test.label, limit.value, test_weights)
            area = evaluation.average_precision(new, test.label, test_weights)
            cells = (hit.precision(), hit.recall(), hit.f_beta(), area)
            for values, cell in zip(quality.values(), cells, strict=True):
                values.append(float(cell))
        cells = {name: np.array(values) for name, values in quality.items()}
        rows.append(
            {"frauds": str(budget), "features": features, "classifier": classifier, **cells}
        )
        curves.setdefault(f"{classifier}, {features}", []).append(cells["F1"].mean())

    for budget in config.budgets:
        keep = np.stack([labelled(fit.label, budget - round(budget / 4), s) for s in run.seeds], 1)
        batches = [
            {
                "x": part.x,
                "label": part.label.astype(np.float32),
                "keep": (keep if part is fit else np.zeros((len(part.x), members))).astype(
                    np.float32
                ),
            }
            for part in parts
        ]
        kinds = {"raw": (None, False), "code": (encoder, False), "tuned code": (encoder, True)}
        for features, (used, tuned) in kinds.items():
            fitted = run.fit(
                f"network-{features.replace(' ', '-')}-{budget}",
                network(used, weights, tuned, members),
                batches[0],
                epochs=epochs,
                batch_size=256,
            )
            outputs = [fitted.predict(lambda outputs, batch: outputs[:2], b) for b in batches]
            logits = [logit for logit, _ in outputs]
            judge(budget, features, "DNN", zip(logits[1], logits[2], strict=True))
            for name, make in CLASSIFIERS.items():
                scored = []
                for i in tqdm(range(members), f"{name}, {features}, {budget}", leave=False):
                    x = [code[i] for _, code in outputs]
                    model = make().fit(x[0][keep[:, i]], fit.label[keep[:, i]])
                    score = getattr(model, "decision_function", None) or (
                        lambda x, model=model: model.predict_proba(x)[:, 1]
                    )
                    scored.append((score(x[1]), score(x[2])))
                judge(budget, features, name, scored)
    best = max(rows, key=lambda row: row["F1"].mean())
    title = f"Classifiers on an encoder's features; random 50/50 split; test {frauds} frauds, "
    title += f"{len(test.x) - frauds:,} normal rows, prevalence {share:.6f}"
    ranking = {name: np.array(values) for name, values in curves.items()}
    return Results(
        tables=[Table(title, rows)],
        figures={"budgets": partial(f1_by_budget, ranking, config.budgets)},
        headline={f"best F1 ({best['classifier']}, {best['features']})": best["F1"]},
        notes=[f"Normal rows: {config.rows:,} at most in training, {config.test_rows:,} in test."],
    )


def f1_by_budget(curves: dict[str, np.ndarray], budgets: tuple[int, ...]):
    """F1 over the number of labelled frauds: one panel for each classifier."""
    names = list(dict.fromkeys(name.rsplit(", ", 1)[0] for name in curves))
    figure, axes = figures.subplots(1, len(names), width=3.2, height=3.2)
    for axis, classifier in zip(axes, names, strict=True):
        for name, values in curves.items():
            if name.rsplit(", ", 1)[0] == classifier:
                axis.plot(budgets, values, marker="o", label=name.rsplit(", ", 1)[1])
        axis.set(title=classifier, xlabel="labelled frauds", xscale="log", ylim=(0, 1))
        axis.set_xticks(budgets, map(str, budgets))
    axes[0].set_ylabel("F1 at true prevalence")
    axes[0].legend(fontsize=8)
    return figure
