"""Lab 030 - vanishing gradients (기울기 소실: 활성화, 초기값, 정규화, 지름길)

How large is the gradient that arrives at the first layer of a deep net, before and after some steps
of gradient descent, and does the net learn at all? Mapped over five activation functions x five
initial scales x no, batch or layer normalisation x plain nets or shortcuts = 150 nets, at depths
from 2 to 50, each with every seed. Beside every measurement stands what mean-field theory says
without looking at a net. All nets of one depth are one population: one program trains them, one
measures them, one predicts.

    python run.py experiments/vanishing_gradient.py --seeds 5

Protocol: MNIST, reduced to 24 whitened principal components (fitted on the training rows used), so
that the input has the variance the theory assumes. Plain gradient descent with the norm clipped at
1; nothing is chosen, so the validation rows (the last training images) are read once and the test
images not at all. A net "learns" when it names at least half of them; guessing names a tenth.
Weights are float32 numbers: a step below half their spacing, about 3e-8 of a weight, does not move
it. A kernel in which no weight moved is told as "not at all". Gradient ratios below 1e-30 are not
held either, and are left out.

Reference: the deck (slides 22-25): the sigmoid's slope is at most 1/4, so early layers hardly move;
ReLU, careful initial values, batch normalisation and residual nets help. It stores no numbers.
Expected: docs/results.md. Runtime on one CPU core: 8 minutes for five seeds.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from datasets import mnist
from datasets.splits import Rows
from jaxdl.diagnostics import mean_field, signal_propagation
from jaxdl.diagnostics.signal_propagation import Propagation
from jaxdl.errors import UserError
from jaxdl.figures.base import COLOURS, Figure, subplots
from jaxdl.models import traced_mlp
from jaxdl.models.traced_mlp import ACTIVATIONS, INITIALISERS, NORMS, SHORTCUTS, Params, Setting
from jaxdl.report import Results, Table
from jaxdl.report.table import Cell
from jaxdl.runs import Run
from jaxdl.training import Task
from jaxdl.training.batch_order import steps_per_epoch
from jaxdl.training.population import cross
from jaxdl.training.task import row_mask
from jaxdl.vision.classification_task import accuracy, cross_entropy

CLASSES = 10
LEARNT = 0.5  # a net whose validation accuracy reaches this counts as trained; chance is 0.1
MEMBERS_AT_ONCE = 50  # that are measured together: all layers' values are kept
SMALLEST_LOG = -30  # a gradient ratio below 1e-30 is left out: float32 does not hold it any more
COLOUR_LIMIT = 8  # decades where the colours of the gradient maps end


@dataclass(frozen=True)
class Config:
    depths: tuple[int, ...] = (2, 6, 12, 24, 50)
    """Hidden layers; even numbers, for a block has two."""
    narrow: int = 24
    """Units of every second layer, and principal components that go in."""
    wide: int = 48
    """Units of the layers between."""
    train_rows: int = 3200
    """Images to train on."""
    valid_rows: int = 512
    """Images held out."""
    probe_rows: int = 64
    """Held-out images on which gradients are measured."""
    epochs: int = 2
    """Passes; 100 steps each with the other numbers as they are."""
    batch_size: int = 32
    """Images in a step; divides `train_rows`."""
    learning_rate: float = 0.1
    """Step size."""
    shown: int = 0
    """The depth whose nets the tables and figures show one by one; 0: the middle one."""
    twin_rows: int = 6000
    """Training images of the simulated twin, where no real file is found."""


PRESETS = {
    "quick": Config(depths=(2, 12), train_rows=320, valid_rows=128, epochs=2, twin_rows=1200)
}


def main(config: Config, run: Run) -> Results:
    check_depths(config)
    train, valid = load_components(config, run)

    depths = [explore(config, run, layers, train, valid) for layers in config.depths]
    shown = depths[config.depths.index(shown_depth(config))]

    steps = config.epochs * steps_per_epoch(len(train["y"]), config.batch_size)
    sizes = f"{len(train['y']):,} training, {len(valid['y']):,} held-out images, {steps} steps"
    tables = {
        f"Plain nets of {shown.layers} layers without normalisation; {sizes}": plain_rows(shown),
        "Theory against measurement before training, all depths": theory_rows(depths),
        f"Share of the 25 nets that learn; {sizes}": learning_rows(depths),
        f"Deepest nets that learn, any initial scale; {sizes}": deepest_rows(depths),
        f"What tells which nets learn; {sizes}": prediction_rows(depths),
    }
    first_seed = int(run.seeds[0])
    return Results(
        tables=[Table(title, rows) for title, rows in tables.items()],
        figures={
            "functions_and_slopes": draw_functions_and_slopes,
            "gradients": partial(draw_measured_gradients, depths),
            "gradients_theory": partial(draw_predicted_gradients, depths),
            "accuracy": partial(draw_accuracies, depths),
            "theory_scatter": partial(draw_theory_against_measurement, depths),
            "gradients_by_layer": partial(draw_gradients_by_layer, shown),
            "activations": partial(
                draw_activations, valid["x"], first_seed, shown.layers, config.wide
            ),
        },
        headline={"learn": np.mean([learns(depth).mean(axis=0) for depth in depths], axis=0)},
    )


def check_depths(config: Config) -> None:
    """Refuse depths that no net of blocks has, and one to show that is not explored.

    Raises:
        UserError: it is so.
    """
    depths = " ".join(map(str, config.depths))
    if any(layers % 2 for layers in config.depths):
        raise UserError(f"--depths {depths}: give even numbers, for a block has two layers")
    if config.shown and config.shown not in config.depths:
        raise UserError(f"--shown {config.shown}: give one of --depths {depths}")


def shown_depth(config: Config) -> int:
    """The depth asked for, else the middle one."""
    return config.shown or sorted(config.depths)[len(config.depths) // 2]


# ---- the nets ------------------------------------------------------------------------------------


class Net(NamedTuple):
    """One of the combinations, by name."""

    activation: str
    initialiser: str
    norm: str
    shortcut: str


NETS = [Net(*names) for names in itertools.product(ACTIVATIONS, INITIALISERS, NORMS, SHORTCUTS)]
ARCHITECTURES = [(norm, shortcut) for shortcut in SHORTCUTS for norm in NORMS]


def chosen(**wanted: str) -> Bool[np.ndarray, " nets"]:
    """Mask of the nets with these names: chosen(norm="none", activation="relu"), say."""
    mask = []
    for net in NETS:
        mask.append(all(getattr(net, field) == name for field, name in wanted.items()))
    return np.array(mask)


def index_of(**wanted: str) -> int:
    """Place of the one net with these names."""
    (index,) = np.flatnonzero(chosen(**wanted))
    return int(index)


def settings(nets: Sequence[Net]) -> dict[str, Float[np.ndarray, " nets"]]:
    """The nets as numbers, a column for each field of `Setting`."""
    numbers = np.array([traced_mlp.setting(*net) for net in nets], np.float32)
    return dict(zip(Setting._fields, numbers.T, strict=True))


# ---- data ----------------------------------------------------------------------------------------


def load_components(config: Config, run: Run) -> tuple[Rows, Rows]:
    """Training and validation rows {"x": whitened principal components, "y": digits}.

    The first rows of the file train, the last are held out.

    Raises:
        UserError: there are not enough rows for both.
    """
    data = mnist.load(run.source, "mnist", config.twin_rows)
    run.uses(data.provenance)
    image, label = data.train.image, data.train.label
    if config.train_rows + config.valid_rows > len(image):
        raise UserError(
            f"--train-rows {config.train_rows}, --valid-rows {config.valid_rows}: some rows would "
            f"be in both, for there are {len(image)}"
        )
    pixels = image.reshape(len(image), -1).astype(np.float32) / 255
    pca = PCA(config.narrow, whiten=True, svd_solver="full").fit(pixels[: config.train_rows])
    x, y = pca.transform(pixels).astype(np.float32), label.astype(np.int32)
    train = {"x": x[: config.train_rows], "y": y[: config.train_rows]}
    valid = {"x": x[-config.valid_rows :], "y": y[-config.valid_rows :]}
    return train, valid


# ---- training ------------------------------------------------------------------------------------


class Depth(NamedTuple):
    """All that is known of the nets of one depth.

    Attributes:
        layers: hidden layers.
        start, end: measured before and after training; arrays [nets, seeds, ...].
        theory: predicted gradient profile, log10, relative to the last state.
        accuracy: on the validation rows after training.
        moved: relative change of each layer's kernel in training.
    """

    layers: int
    start: Propagation
    end: Propagation
    theory: Float[np.ndarray, "nets states"]
    accuracy: Float[np.ndarray, "nets seeds"]
    moved: Float[np.ndarray, "nets seeds layers"]

    @property
    def measured_ratio(self) -> Float[np.ndarray, "nets seeds"]:
        """log10 of the gradient at the first state over that at the last, before training."""
        return first_over_last(self.start)

    @property
    def predicted_ratio(self) -> Float[np.ndarray, " nets"]:
        """The same as theory has it."""
        return self.theory[:, 0]


def explore(config: Config, run: Run, layers: int, train: Rows, valid: Rows) -> Depth:
    """Measure all nets of one depth, train them, measure again, and predict."""
    hyper, seeds = cross(settings(NETS), len(NETS), run.seeds)
    task = descent_task(config, layers, hyper)
    untrained = run.fit(
        f"start-{layers}", task, train, seeds=seeds, epochs=0, batch_size=config.batch_size
    )
    fitted = run.fit(
        f"depth-{layers}",
        task,
        train,
        valid,
        seeds=seeds,
        epochs=config.epochs,
        batch_size=config.batch_size,
    )
    start, end = untrained.variables["params"], fitted.variables["params"]
    probe = {name: values[: config.probe_rows] for name, values in valid.items()}
    return Depth(
        layers=layers,
        start=by_net(measure_members(start, hyper, probe)),
        end=by_net(measure_members(end, hyper, probe)),
        theory=predicted_profiles(config, layers),
        accuracy=by_net(fitted.history["valid_accuracy"][-1]),
        moved=by_net(weight_change(start, end)),
    )


def descent_task(
    config: Config, layers: int, hyper: Mapping[str, Float[np.ndarray, " members"]]
) -> Task:
    """Classify {"x": components, "y": class} by plain gradient descent, clipped to norm 1.

    Descent shows what a gradient's size does, which Adam would hide; clipping keeps nets whose
    gradients explode finite, as one would in practice.

    Args:
        config: widths and learning rate.
        layers: of the hidden ones, an even number.
        hyper: the members' settings.
    """

    def init(key, batch):
        params = traced_mlp.init(key, layers // 2, config.narrow, config.wide, CLASSES)
        return {"params": params}

    def apply(variables, batch, key, train, hyper):
        setting, mask = Setting(**hyper), row_mask(batch)
        logits, _ = traced_mlp.apply(variables["params"], batch["x"], setting, mask=mask)
        return logits, {}

    def optimizer(hyper):
        scales = traced_mlp.weight_scales(hyper["initialiser"], config.narrow, config.wide)
        return descent_on_weights(config.learning_rate, *scales)

    return Task(init, apply, cross_entropy, optimizer, {"accuracy": accuracy}, hyper)


def descent_on_weights(
    learning_rate: float, first_scale: Float[Array, ""], second_scale: Float[Array, ""]
) -> optax.GradientTransformation:
    """Gradient descent on a net's real weights, the norm of their gradient clipped at 1.

    The kernels of the blocks are not kept as the weights w that the net uses, but as p = w / scale
    (`traced_mlp.init`), so that all initial scales start from the same p. The gradient must be
    clipped, and descended along, as that of w. By the chain rule the gradient of w is that of p
    divided by the scale; and the step of w that comes out is made with a step of p that is the same
    divided by the scale. So the kernels are divided by their scales twice, before and after.

    Args:
        learning_rate: step size for the weights.
        first_scale, second_scale: of the kernels narrow -> wide and wide -> narrow.
    """

    def divide_kernels(tree, params=None):
        del params
        first, second = tree["first"] / first_scale, tree["second"] / second_scale
        return {**tree, "first": first, "second": second}

    gradient_of_weights = optax.stateless(divide_kernels)
    step_of_parameters = optax.stateless(divide_kernels)
    descent = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(learning_rate))
    return optax.chain(gradient_of_weights, descent, step_of_parameters)


# ---- measuring and predicting --------------------------------------------------------------------


@jax.jit
def measure_members(params: Params, hyper: Mapping[str, Array], probe: Rows) -> Propagation:
    """`signal_propagation.measure` for every member on the probe's rows."""

    def measure_member(member):
        params, hyper = member
        return signal_propagation.measure(params, Setting(**hyper), probe["x"], probe["y"])

    return jax.lax.map(measure_member, (params, dict(hyper)), batch_size=MEMBERS_AT_ONCE)


def predicted_profiles(config: Config, layers: int) -> Float[np.ndarray, "nets states"]:
    """Theory's gradient profile of every net, log10, relative to the last state."""

    def profile(setting):
        return mean_field.gradient_profile(setting, layers // 2, config.narrow, config.wide)

    columns = {name: values.astype(np.int32) for name, values in settings(NETS).items()}
    return np.asarray(jax.jit(jax.vmap(profile))(Setting(**columns)))


@jax.jit
def weight_change(start: Params, end: Params) -> Float[Array, "members layers"]:
    """How far each layer's kernel has moved, relative to its norm at the start."""

    def change_of(name):
        change = jnp.linalg.norm(end[name] - start[name], axis=-1)
        return change / jnp.linalg.norm(start[name], axis=-1)

    both = jnp.stack([change_of("first"), change_of("second")], axis=-1)
    return both.reshape(len(both), -1)


def by_net(values: Any) -> Any:
    """[members, ...] -> [nets, seeds, ...], for every array of a tree."""

    def split(x):
        return np.asarray(x).reshape(len(NETS), -1, *x.shape[1:])

    return jax.tree.map(split, values)


def first_over_last(measured: Propagation) -> Float[np.ndarray, "nets seeds"]:
    """log10 of the gradient at the first state over that at the last."""
    return measured.state_gradient[..., 0] - measured.state_gradient[..., -1]


def learns(depth: Depth) -> Float[np.ndarray, "nets seeds"]:
    """1 for a net whose validation accuracy reaches `LEARNT`, else 0."""
    return (depth.accuracy >= LEARNT).astype(np.float64)


def activations_at_start(
    x: Float[np.ndarray, "rows narrow"], seed: int, layers: int, wide: int
) -> dict[str, dict[int, Float[np.ndarray, "rows units"]]]:
    """Activations of six plain nets in six layers before training: net -> layer -> values.

    Args:
        x: components of images.
        seed: of the weights.
        layers, wide: sizes of the nets.
    """
    nets = {
        "sigmoid, glorot": traced_mlp.setting("sigmoid", "glorot"),
        "sigmoid, glorot, batch": traced_mlp.setting("sigmoid", "glorot", norm="batch"),
        "tanh, glorot": traced_mlp.setting("tanh", "glorot"),
        "tanh, too large": traced_mlp.setting("tanh", "too large"),
        "relu, too small": traced_mlp.setting("relu", "too small"),
        "relu, he": traced_mlp.setting("relu", "he"),
    }
    params = traced_mlp.init(jax.random.key(seed), layers // 2, x.shape[1], wide, CLASSES)
    shown = np.unique(np.linspace(0, layers - 1, 6).astype(int))
    values = {}
    for name, setting in nets.items():
        _, trace = traced_mlp.apply(params, jnp.asarray(x), setting)
        values[name] = {}
        for layer in shown:
            of_block = trace.inner_value if layer % 2 else trace.outer_value
            values[name][int(layer) + 1] = np.asarray(of_block[layer // 2])
    return values


# ---- tables --------------------------------------------------------------------------------------


def plain_rows(depth: Depth) -> list[dict[str, Any]]:
    """Plain nets of one depth without normalisation: theory, measurement, what became of them."""
    rows = []
    for i in np.flatnonzero(chosen(norm="none", shortcut="plain")):
        predicted = depth.predicted_ratio[i]
        rows.append(
            {
                "activation": NETS[i].activation,
                "initialiser": NETS[i].initialiser,
                "chi, theory": float(10 ** (2 * predicted / depth.layers)),
                "log10 gradient ratio, theory": float(np.round(predicted, 4)),
                "measured": ratio_cell(depth.measured_ratio[i]),
                "after training": ratio_cell(first_over_last(depth.end)[i]),
                "log10 of the first kernel's move": move_cell(depth.moved[i, :, 0]),
                "of the last one's": move_cell(depth.moved[i, :, -1]),
                "validation accuracy": depth.accuracy[i],
            }
        )
    return rows


def ratio_cell(ratio: Float[np.ndarray, " seeds"]) -> Cell:
    """A log10 of gradients over the seeds; none where float32 does not hold one of them."""
    return ratio if (ratio > SMALLEST_LOG).all() else None


def move_cell(moved: Float[np.ndarray, " seeds"]) -> Cell:
    """log10 of a kernel's move over the seeds; in words where float32 does not hold one of them.

    >>> move_cell(np.array([0.01, 0.1])), move_cell(np.zeros(2)), move_cell(np.array([0.0, 0.1]))
    (array([-2., -1.]), 'not at all', 'not at all with 1 of 2 seeds')
    """
    still = int((moved == 0).sum())
    if not still:
        return np.log10(moved)
    return "not at all" if still == len(moved) else f"not at all with {still} of {len(moved)} seeds"


def theory_rows(depths: Sequence[Depth]) -> list[dict[str, Any]]:
    """Theory against measurement over all depths, one row for each normalisation and shortcut.

    Nets whose gradient float32 does not hold any more are left out and counted.
    """
    rows = []
    for norm, shortcut in ARCHITECTURES:
        mask = chosen(norm=norm, shortcut=shortcut)
        theory = np.concatenate([depth.predicted_ratio[mask] for depth in depths])
        measured = np.concatenate([depth.measured_ratio[mask].mean(axis=1) for depth in depths])
        kept = theory > SMALLEST_LOG
        error = np.abs(theory - measured)[kept]
        rows.append(
            {
                "normalisation": norm,
                "net": shortcut,
                "nets": int(kept.sum()),
                "left out": int((~kept).sum()),
                "correlation": float(np.corrcoef(theory[kept], measured[kept])[0, 1]),
                "median error, decades": float(np.median(error)),
                "95 % below": float(np.quantile(error, 0.95)),
            }
        )
    return rows


def learning_rows(depths: Sequence[Depth]) -> list[dict[str, Any]]:
    """Share of (activation, initialiser) that learn, by normalisation, shortcut and depth."""
    rows = []
    for norm, shortcut in ARCHITECTURES:
        mask = chosen(norm=norm, shortcut=shortcut)
        row = {"normalisation": norm, "net": shortcut}
        for depth in depths:
            row[f"{depth.layers} layers"] = learns(depth)[mask].mean(axis=0)
        rows.append(row)
    return rows


def deepest_rows(depths: Sequence[Depth]) -> list[dict[str, Any]]:
    """For each activation the deepest nets that learn with most seeds, over all initial scales."""
    rows = []
    for activation in ACTIVATIONS:
        row = {"activation": activation}
        for norm, shortcut in ARCHITECTURES:
            mask = chosen(activation=activation, norm=norm, shortcut=shortcut)
            learnt = [d.layers for d in depths if (learns(d)[mask].mean(axis=1) > 0.5).any()]
            row[architecture_name(norm, shortcut)] = max(learnt, default=0)
        rows.append(row)
    return rows


def prediction_rows(depths: Sequence[Depth]) -> list[dict[str, Any]]:
    """How well numbers known before training tell which nets will learn: areas under the ROC curve.

    Depth alone is the weak baseline.
    """
    by_depth, by_theory, by_gradient, by_living = [], [], [], []
    for depth in depths:
        shape = depth.accuracy.shape
        by_depth.append(np.full(shape, -depth.layers))
        by_theory.append(np.broadcast_to(-np.abs(depth.predicted_ratio[:, None]), shape))
        by_gradient.append(-np.abs(depth.measured_ratio))
        by_living.append(1 - depth.start.flat.max(axis=-1))
    scores = {
        "depth alone": by_depth,
        "theory: distance of the gradient ratio from 1": by_theory,
        "measured: distance of the gradient ratio from 1": by_gradient,
        "measured: smallest share of living activations": by_living,
    }
    truth = np.concatenate([learns(depth).ravel() for depth in depths])
    rows = []
    for name, values in scores.items():
        score = np.concatenate([np.asarray(value, np.float64).ravel() for value in values])
        some_learn_some_not = 0 < truth.sum() < len(truth)
        area = roc_auc_score(truth, score) if some_learn_some_not else float("nan")
        rows.append({"known before training": name, "area under the ROC curve": float(area)})
    return rows


def architecture_name(norm: str, shortcut: str) -> str:
    """("none", "plain") -> "plain, no norm"."""
    return f"{shortcut}, {'no' if norm == 'none' else norm} norm"


# ---- figures -------------------------------------------------------------------------------------


def architecture_panels(width: float, height: float) -> tuple[Figure, np.ndarray]:
    """A figure and its axes [2, 3], one for each of `ARCHITECTURES`: plain nets on top."""
    figure, axes = subplots(2, 3, width=width, height=height)
    for axis, (norm, shortcut) in zip(axes.flat, ARCHITECTURES, strict=True):
        axis.set_title(architecture_name(norm, shortcut), fontsize=10)
    return figure, axes


def draw_heat_maps(
    layers: Sequence[int],
    values: Float[np.ndarray, "nets depths"],
    label: str,
    low: float,
    high: float,
) -> Figure:
    """A number for every net, drawn and written: activation and initial scale against depth.

    Args:
        layers: the depths, columns of the panels.
        values: the numbers.
        label: of the colour bar.
        low, high: ends of the colours; a diverging map where they are opposite.
    """
    figure, axes = architecture_panels(width=4.3, height=6.2)
    diverging = low == -high
    names = [f"{net.activation}, {net.initialiser}" for net in NETS]
    for axis, (norm, shortcut) in zip(axes.flat, ARCHITECTURES, strict=True):
        lines = np.flatnonzero(chosen(norm=norm, shortcut=shortcut))
        colours = "RdBu" if diverging else "viridis"
        image = axis.imshow(values[lines], cmap=colours, vmin=low, vmax=high, aspect="auto")
        for (i, j), number in np.ndenumerate(values[lines]):
            place = (number - low) / (high - low)
            dark = abs(place - 0.5) > 0.35 if diverging else place < 0.6
            style = {"ha": "center", "va": "center", "fontsize": 6}
            text = f"< {SMALLEST_LOG}" if number < SMALLEST_LOG else f"{min(number, 99):.1f}"
            axis.text(j, i, text, color="white" if dark else "black", **style)
        axis.set_xticks(range(len(layers)), layers)
        axis.set_yticks(range(len(lines)), [names[i] for i in lines], fontsize=7)
    for axis in axes[:, 1:].flat:
        axis.set_yticklabels([])
    for axis in axes[1]:
        axis.set_xlabel("hidden layers")
    figure.colorbar(image, ax=axes, label=label, shrink=0.5, extend="both")
    return figure


def draw_measured_gradients(depths: Sequence[Depth]) -> Figure:
    """Heat maps of the measured gradient ratio before training."""
    values = np.stack([depth.measured_ratio.mean(axis=1) for depth in depths], axis=1)
    label = "log10 (gradient at the first / at the last state), start"
    layers = [depth.layers for depth in depths]
    return draw_heat_maps(layers, values, label, -COLOUR_LIMIT, COLOUR_LIMIT)


def draw_predicted_gradients(depths: Sequence[Depth]) -> Figure:
    """Heat maps of the gradient ratio as theory has it."""
    values = np.stack([depth.predicted_ratio for depth in depths], axis=1)
    label = "log10 (gradient at the first / at the last state), theory"
    layers = [depth.layers for depth in depths]
    return draw_heat_maps(layers, values, label, -COLOUR_LIMIT, COLOUR_LIMIT)


def draw_accuracies(depths: Sequence[Depth]) -> Figure:
    """Heat maps of the validation accuracy after training."""
    values = np.stack([depth.accuracy.mean(axis=1) for depth in depths], axis=1)
    layers = [depth.layers for depth in depths]
    return draw_heat_maps(layers, values, "validation accuracy after training", 0.1, 1.0)


def draw_theory_against_measurement(depths: Sequence[Depth]) -> Figure:
    """Every net: predicted against measured gradient ratio before training."""
    figure, axes = architecture_panels(width=3.6, height=3.2)
    for axis, (norm, shortcut) in zip(axes.flat, ARCHITECTURES, strict=True):
        mask = chosen(norm=norm, shortcut=shortcut)
        for colour, depth in zip(COLOURS, depths, strict=False):
            measured = depth.measured_ratio[mask]
            theory = np.repeat(depth.predicted_ratio[mask, None], measured.shape[1], axis=1)
            axis.plot(theory, measured, ".", color=colour, ms=4)
            axis.plot([], [], ".", color=colour, label=f"{depth.layers} layers")
        low, high = axis.get_xlim()
        low = max(low, SMALLEST_LOG)
        margin = 0.15 * (high - low)
        axis.plot([low, high], [low, high], color="0.5", lw=0.8)
        axis.set(xlim=(low, high), ylim=(low - margin, high + margin))
        axis.grid(alpha=0.3)
    axes[1, 1].set_xlabel("log10 gradient ratio, theory")
    axes[1, 0].set_ylabel("measured at the start")
    axes[0, 0].legend(fontsize=7)
    return figure


def draw_gradients_by_layer(depth: Depth, initialiser: str = "he") -> Figure:
    """Weight gradient of single examples by layer, before training (solid) and after it (dotted).

    The lines are their medians, the band holds the middle 80 % before training. Leaky ReLU is left
    out: its lines lie on those of ReLU.
    """
    figure, axes = architecture_panels(width=4.2, height=3.2)
    layers = np.arange(1, depth.layers + 1)
    drawn = [name for name in ACTIVATIONS if name != "leaky relu"]
    for axis, (norm, shortcut) in zip(axes.flat, ARCHITECTURES, strict=True):
        axis.sharey(axes[0, 0])
        for colour, activation in zip(COLOURS, drawn, strict=False):
            i = index_of(
                activation=activation, initialiser=initialiser, norm=norm, shortcut=shortcut
            )
            low, middle, high = depth.start.example_gradients[i].mean(axis=0).T
            axis.fill_between(layers, low, high, color=colour, alpha=0.15, lw=0)
            axis.plot(layers, middle, color=colour, label=activation)
            after = depth.end.example_gradients[i].mean(axis=0)[:, 1]
            axis.plot(layers, after, ":", color=colour)
        axis.locator_params(axis="x", integer=True)
        axis.grid(alpha=0.3)
    axes[0, 0].set_ylim(max(axes[0, 0].get_ylim()[0], -16), None)
    for axis in axes[1]:
        axis.set_xlabel("layer, from the input")
    for axis in axes[:, 0]:
        axis.set_ylabel("log10 of a weight gradient's norm")
    for line, when in (("-", "before training"), (":", "after training")):
        axes[0, 0].plot([], [], line, color="0.3", label=f"median of examples,\n{when}")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    return figure


def draw_activations(
    x: Float[np.ndarray, "rows narrow"], seed: int, layers: int, wide: int
) -> Figure:
    """Histograms of activations before training: a row of panels for each net, panels by layer.

    Args:
        x, seed, layers, wide: see `activations_at_start`.
    """
    values = activations_at_start(x, seed, layers, wide)
    columns = len(next(iter(values.values())))
    figure, axes = subplots(len(values), columns, width=2.3, height=1.7)
    for line, colour, (net, by_layer) in zip(axes, COLOURS, values.items(), strict=False):
        for axis, (layer, activations) in zip(line, by_layer.items(), strict=True):
            axis.hist(activations.ravel(), 50, color=colour, density=True)
            spread = f"{activations.mean():.2g} ± {activations.std():.2g}"
            axis.set_title(f"layer {layer}: {spread}", fontsize=8)
            axis.set_yticks([])
            axis.tick_params(labelsize=6)
            axis.locator_params(axis="x", nbins=3)
            axis.ticklabel_format(axis="x", scilimits=(-2, 3))
            axis.xaxis.get_offset_text().set_fontsize(6)
        line[0].set_ylabel(net, fontsize=8)
    return figure


def draw_functions_and_slopes() -> Figure:
    """Slide 24: sigmoid on -10..10, tanh and ReLU on -3..3, each with its slope; all on -2..2."""
    figure, axes = subplots(1, 4, width=3.2, height=2.8)
    limits = {"sigmoid": 10, "tanh": 3, "relu": 3}
    for axis, colour, (name, limit) in zip(axes, COLOURS, limits.items(), strict=False):
        number = ACTIVATIONS.index(name)
        x = jnp.linspace(-limit, limit, 401)
        slopes = traced_mlp.slope(x, number)
        axis.plot(x, traced_mlp.activate(x, number), color=colour, label=name)
        axis.plot(x, slopes, "--", color="0.3", label=f"slope, at most {slopes.max():.2f}")
        near = jnp.linspace(-2, 2, 401)
        axes[3].plot(near, traced_mlp.activate(near, number), color=colour, label=name)
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    axes[3].set_title("together")
    return figure
