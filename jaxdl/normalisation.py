"""The batch-normalisation experiment: one net with and without, as populations, and its claims.

Learning rate and dropout are numbers in `Task.hyper`, so that all rates and seeds of one kind of
net train side by side in one vmapped program.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl import losses, optim
from jaxdl.models.normed import NormedMLP
from jaxdl.population import cross
from jaxdl.probes import trace_loss
from jaxdl.training import Fitted, Task, parameter_count

NEAR_BEST = 0.01

BySeed = Float[np.ndarray, " seeds"]


def population(
    values: Sequence[float], seeds: Sequence[int]
) -> tuple[Float[np.ndarray, " members"], np.ndarray]:
    """Every value with every seed, one value after the other: (values, seeds) of the members."""
    hyper, members = cross({"value": np.asarray(values, np.float32)}, len(values), seeds)
    return hyper["value"], members


def scale_biases(params: Any, factor: Any) -> Any:
    """The hidden layers' biases times `factor`; 0 is a net without them."""
    return {
        layer: values | {"bias": factor * values["bias"]} if layer.startswith("hidden") else values
        for layer, values in params.items()
    }


def classifier_task(
    model: NormedMLP,
    learning_rate: Any,
    dropout: Any = 0.0,
    bias: Any = 1.0,
    traced_steps: int = 0,
) -> Task:
    """Cross-entropy of {"x": rows, "y": labels}, Adam.

    Args:
        model: with or without batch normalisation.
        learning_rate, dropout: a number, or one for each member.
        bias: 1, or 0 for a net (or member) whose hidden layers have none.
        traced_steps: keep the loss of so many steps (`probes.trace_loss`).
    """

    def apply(variables, batch, key, train, hyper):
        variables = {**variables, "params": scale_biases(variables["params"], hyper["bias"])}
        if not train:
            return model.apply(variables, batch["x"], False), {}
        outputs, changed = model.apply(
            variables,
            batch["x"],
            True,
            hyper["dropout"],
            rngs={"dropout": key},
            mutable=[name for name in variables if name != "params"],
        )
        return outputs, dict(changed)

    rates, shares, factors = np.broadcast_arrays(learning_rate, dropout, bias)
    task = Task(
        init=lambda key, batch: model.init(key, batch["x"], False),
        apply=apply,
        loss=lambda outputs, batch: losses.softmax_cross_entropy(outputs, batch["y"]),
        optimizer=lambda hyper: optim.adam(hyper["learning_rate"]),
        metrics={"accuracy": lambda outputs, batch: losses.accuracy(outputs, batch["y"])},
        hyper={"learning_rate": rates, "dropout": shares, "bias": factors},
    )
    return trace_loss(task, traced_steps) if traced_steps else task


def _kept(variables: Mapping[str, Any]) -> dict[str, Any]:
    return {name: variables[name] for name in ("params", "batch_stats") if name in variables}


def preactivations(
    model: NormedMLP, variables: Mapping[str, Any], x: Float[np.ndarray, "rows inputs"], layer: int
) -> Float[np.ndarray, "seeds rows units"]:
    """What the sigmoids of one hidden layer get in evaluation mode, for every member."""

    def member(variables):
        return model.apply(variables, x, method="preactivations")[layer]

    return np.asarray(jax.jit(jax.vmap(member))(_kept(variables)))


def bias_effect(
    model: NormedMLP, variables: Mapping[str, Any], x: Float[np.ndarray, "rows inputs"], by: float
) -> BySeed:
    """Largest change of a logit, in training mode, when all hidden biases grow by `by`.

    Batch normalisation right behind a layer takes its bias out again: what is left is rounding.
    """

    def logits(variables):
        mutable = [name for name in variables if name != "params"]
        rngs = {"dropout": jax.random.key(0)}
        return model.apply(variables, x, True, 0.0, rngs=rngs, mutable=mutable)[0]

    def change(variables):
        params = {
            layer: values | {"bias": values["bias"] + by * layer.startswith("hidden")}
            for layer, values in variables["params"].items()
        }
        return jnp.abs(logits({**variables, "params": params}) - logits(variables)).max()

    return np.asarray(jax.jit(jax.vmap(change))(_kept(variables)))


def final(fitted: Fitted, split: str = "valid") -> BySeed:
    """Accuracy after the last epoch."""
    return fitted.history[f"{split}_accuracy"][-1]


def best_value(accuracy: Mapping[float, BySeed]) -> float:
    """The value whose members are best on the mean."""
    return max(accuracy, key=lambda value: accuracy[value].mean())


def usable(accuracy: Mapping[float, BySeed]) -> list[float]:
    """The values whose mean lies within one percentage point of the best mean."""
    best = accuracy[best_value(accuracy)].mean()
    return [value for value, seeds in accuracy.items() if seeds.mean() >= best - NEAR_BEST]


def verdict(gain: BySeed) -> str:
    """A paired difference over seeds in percentage points, and whether it is there at all.

    A difference counts when its mean exceeds two standard errors.
    """
    mean = 100 * gain.mean()
    if len(gain) < 2:
        return f"{mean:+.2f} points (one seed: no verdict)"
    error = 100 * gain.std(ddof=1) / np.sqrt(len(gain))
    sign = "helps" if mean > 0 else "hurts"
    return f"{mean:+.2f} ± {error:.2f} points: {sign if abs(mean) > 2 * error else 'no difference'}"


def epoch_rows(
    curves: Mapping[str, Float[np.ndarray, "epochs seeds"]], slide: Mapping[str, Sequence[float]]
) -> list[dict[str, Any]]:
    """Rows of a table: accuracy of each net by epoch, and what the slide shows."""
    epochs = len(next(iter(curves.values())))
    return [
        {"epoch": i + 1}
        | {name: curve[i] for name, curve in curves.items()}
        | {f"{name}, slide": f"{curve[i]:.3f}" for name, curve in slide.items() if i < len(curve)}
        for i in range(epochs)
    ]


def rate_rows(accuracy: Mapping[str, Mapping[float, BySeed]]) -> list[dict[str, Any]]:
    """Rows of a table: a learning rate, and the accuracy of each net."""
    return [
        {"learning rate": f"{rate:g}"} | {name: values[rate] for name, values in accuracy.items()}
        for rate in next(iter(accuracy.values()))
    ]


def chosen_rows(
    chosen: Mapping[str, tuple[float, Fitted]], held: str, test: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    """Rows of a table: each net at its best learning rate; test accuracy where it was not used.

    Args:
        chosen: net -> learning rate and members.
        held: what the rate was chosen on; with "test" there is no test accuracy to report.
        test: the test rows.
    """
    rows = []
    for name, (rate, fitted) in chosen.items():
        size = parameter_count(fitted.variables) // len(fitted.seeds)
        row = {"net": name, "parameters": size, "learning rate": f"{rate:g}"}
        row[f"{held} accuracy"] = final(fitted)
        if held != "test":
            hits = fitted.predict(fitted.task.metrics["accuracy"], test)
            row["test accuracy"] = hits.mean(axis=1)
        rows.append(row)
    return rows


def ablation_rows(
    fits: Mapping[str, Mapping[str, Fitted]], train: Mapping[str, np.ndarray], held: str
) -> list[dict[str, Any]]:
    """Rows of a table: accuracy on the training rows without dropout, on held-out rows, the gap.

    Args:
        fits: net -> variant -> members.
        train: what they were trained on.
        held: name of the validation rows.
    """
    rows = []
    for name, variants in fits.items():
        for variant, fitted in variants.items():
            known = fitted.predict(fitted.task.metrics["accuracy"], train).mean(axis=1)
            row = {"net": name, "variant": variant, "train accuracy": known}
            rows.append(row | {f"{held} accuracy": final(fitted), "gap": known - final(fitted)})
    return rows


def claim_rows(
    accuracy: Mapping[str, Mapping[float, BySeed]], variants: Mapping[str, Mapping[str, Fitted]]
) -> list[dict[str, str]]:
    """The slide's three claims, a row each, a column for each net.

    Args:
        accuracy: net -> learning rate -> accuracy of its seeds.
        variants: net -> variant -> members: first as it is, last without biases, dropout between.
    """
    gain = {"claim": "no dropout needed: what the best dropout adds"}
    rate = {"claim": "larger learning rates: those within a point of the best"}
    bias = {"claim": "no bias needed: what leaving biases out adds"}
    for name, fits in variants.items():
        plain, *dropped, unbiased = (final(fitted) for fitted in fits.values())
        gain[name] = verdict(max(dropped, key=np.mean) - plain)
        good = usable(accuracy[name])
        rate[name] = f"{min(good):g} .. {max(good):g}"
        bias[name] = verdict(unbiased - plain)
    return [gain, rate, bias]


def standardise(x: Float[Array, " n"]) -> Float[Array, " n"]:
    """What batch normalisation does to the values of one unit: mean 0, population deviation 1."""
    return (x - x.mean()) / x.std()
