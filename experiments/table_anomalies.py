"""Any table (표 형식 데이터의 비정상 탐지): from your own file to alerts and a scorer

Your table as it is: text, dates, blanks, decimal commas, a label in words or none at all. The lab
says what it makes of each column, learns what usual rows look like, turns scores into alerts by
rules with a promise (a false-alarm rate, so many alerts a day, ...), shows on later rows what the
promises were worth, and leaves a scorer file for `python -m jaxdl.score`. Without `--csv` it runs
on the *simulated* orders of an invented shop; `python -m datasets.shop shop.csv` writes them.

    python run.py experiments/table_anomalies.py
    python run.py experiments/table_anomalies.py --csv shop.csv --label outcome --positive fraud
    python run.py experiments/table_anomalies.py --csv mine.csv --contamination 0.03
    python run.py experiments/table_anomalies.py --csv mine.csv --alerts-per-day 20
    python run.py experiments/table_anomalies.py --csv creditcard.csv --label Class --time Time

Protocol: three parts, by time where the table has one (`--time`, or its only date column), else at
random: 60 % to learn from, 20 % to fit thresholds on, 20 % to look at ("later rows"). Nothing is
chosen on the later rows, but that what a column is (number, category, ...) is read off the whole
table. `--learn-from` says what labels are used for:

    all       every row of the learning part; labels only judge. The default, the honest one
              where you do not know which rows are anomalies when you start.
    normal    labels choose the rows: the detector learns from the normal ones. Rules about usual
              rows (false-alarm rate, mean + so many deviations) are fitted on the normal threshold
              rows; alerts a day, contamination and cost are fitted on all threshold rows.
    labels    a classifier learns the labels, too; for anomalies like those already known.

The detector is `jaxdl.anomaly.default_detector`, the same for all tables. Beside it stand a small
autoencoder (a population of seeds), PCA and its smallest component, isolation forest, Mahalanobis
distance and a random score, and with labels gradient boosting, so that you see what it is worth
on your table. Where one of them ranks the threshold rows better by more than chance, the last note
says so; `--detector` has it decide and exports it. "±" is over seeds; intervals are for the chance
in which rows were looked at.
Runtime on two CPU cores: half a minute for 6,000 rows. Numbers: docs/results.md.
"""

import contextlib
import json
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Float64, Int
from tqdm import tqdm

from datasets import shop, user_table
from datasets.splits import split_at_random, split_by_class, split_by_time
from jaxdl import losses, optim
from jaxdl.anomaly import (
    default_detector,
    detectors,
    explain,
    metrics,
    scores,
    tables,
    thresholds,
)
from jaxdl.anomaly.costs import FixedCost
from jaxdl.anomaly.detector import Detector, score_members
from jaxdl.anomaly.leaks import leak_warnings
from jaxdl.anomaly.metrics import MemberScores
from jaxdl.anomaly.thresholds import Threshold
from jaxdl.errors import UserError, refuse_without
from jaxdl.figures import decisions
from jaxdl.models.autoencoder import DenseAutoencoder
from jaxdl.models.mlp import MLP
from jaxdl.report import Results, Table
from jaxdl.runs import Run
from jaxdl.serving import export, scorer_file
from jaxdl.tables import drift
from jaxdl.tables.encode import Encoder, fit_encoder
from jaxdl.tables.read import Cells
from jaxdl.tables.schema import (
    RowTimes,
    Schema,
    as_numbers,
    as_text,
    column_codes,
    infer_schema,
    labels_of,
    row_times,
)
from jaxdl.training import Task, module_functions
from jaxdl.training.task import Batch, Hyper

DAY = 86_400.0


@dataclass(frozen=True)
class Config:
    csv: Path | None = None
    """Your table: CSV (.gz, any separator), Parquet or .xlsx. Default: an invented shop."""
    separator: str | None = None
    """Between the cells of a CSV. Default: found out."""
    decimal: Literal[".", ","] | None = None
    """Decimal sign of a CSV. Default: found out."""
    sheet: str | None = None
    """Sheet of an Excel file (extra: excel). Default: the first one."""
    label: str = ""
    """Column that says what is an anomaly, where there is one."""
    positive: str = ""
    """The label's value for an anomaly (fraud, say). Default: 1, where the label is 0 or 1."""
    time: str = ""
    """Column that orders the rows. Default: the table's only date column."""
    time_unit: Literal["seconds", "milliseconds", "minutes", "hours", "days"] | None = None
    """Of a --time column of plain numbers; only alerts a day need it."""
    ignore: tuple[str, ...] = ()
    """Columns to leave out."""
    numeric: tuple[str, ...] = ()
    """Columns that are numbers, whatever they look like."""
    categorical: tuple[str, ...] = ()
    """Columns that are categories, whatever they look like."""
    learn_from: Literal["all", "normal", "labels"] = "all"
    """What the labels are used for; see above."""
    detector: Literal[
        "default", "mahalanobis", "isolation_forest", "pca", "smallest_component", "autoencoder"
    ] = "default"
    """What decides and is exported; the others are shown beside it where there are labels."""
    split: Literal["auto", "time", "random"] = "auto"
    """auto: by time where the table has one."""
    contamination: float | None = None
    """Share of rows to flag; about how many anomalies you expect."""
    alerts_per_day: float | None = None
    """How many alerts a day can be looked at."""
    false_alarm_rate: float = 0.01
    """Share of usual rows that may be flagged."""
    sigma: float = 3.0
    """The lecture's rule: mean + so many standard deviations."""
    false_discovery_rate: float = 0.1
    """Share of the alerts that may be false: Benjamini and Hochberg's choice of alerts."""
    cost_missed: float = 100.0
    """Cost of an anomaly that nobody was told of; only the ratio to --cost-alert counts."""
    cost_alert: float = 5.0
    """Cost of looking at an alert."""
    decide_by: Literal[
        "auto", "alerts_per_day", "contamination", "false_alarm_rate", "sigma", "cost"
    ] = "auto"
    """Rule of the exported scorer. auto: the first in this order that was asked for."""
    steps: int = 3000
    """Optimiser steps of the autoencoder and of the classifier, in whole epochs."""
    batch_size: int = 128
    """Rows in a step."""
    alerts: int = 10
    """How many of the highest alerts are explained."""
    shop_rows: int = shop.ROWS
    """Orders of the invented shop, where no file is given."""


PRESETS = {"quick": Config(steps=200, shop_rows=2_000, alerts=5)}


def main(config: Config, run: Run) -> Results:
    check_options(config)
    # 1. what is in the table, and which rows are for what
    table = load_table(config, run)
    parts = split_rows(config, table)
    features = encode(table, parts)

    rules = threshold_rules(config, table, parts)

    # 2. learn what rows of the learning part look like; a detector for each seed
    fitted = fit_detectors(config, run, table, parts, features)
    scored = score_parts(fitted, features, parts)

    # 3. decisions: a threshold by each rule and for each seed, fitted on the threshold rows
    limits = {rule.name: [rule.fit(member) for member in scored.threshold] for rule in rules}
    decides = rules[0]

    # 4. what it is worth on the later rows, and what a person who looks at alerts wants to know
    where = f"{parts.kind} split, {len(parts.later):,} later rows"
    others: dict[str, Scored] = {}
    if parts.judged:
        others = other_scores(config, run, table, parts, features)
    compared = {fitted[0].name: scored.later}
    compared |= {name: other.later for name, other in others.items()}
    promises = promise_rows(scored, table, parts)
    shifts = drift_of_columns(features, parts)
    first = limits[decides.name][0]
    title = f"False-alarm rates, promised and realised; {where}"
    shown = [
        Table(f"Columns; {table.cells.rows:,} rows", features.encoder.schema.rows()),
        decision_table(f"Decisions; {where}", rules, limits, scored, config, table, parts),
        *ranking_tables(f"Ranking; {where}", compared, table, parts),
        *([Table(title, promises, digits=4)] if promises else []),
        alerts_table(config, fitted[0], scored.later[0], first, table, parts, features),
        drift_table(shifts),
    ]
    figures = {"scores": partial(draw_scores, scored, limits, table, parts)}
    if promises:
        figures["promises"] = partial(draw_promises, promises)
    figures["drift"] = partial(
        decisions.bars, shifts, "population stability index", drift.LIMITS, verbatim=True
    )
    if parts.judged:
        figures["caught"] = partial(draw_caught, compared, table, parts)
    if table.days(parts.later):
        figures["scores_over_time"] = partial(draw_over_time, scored, first, table, parts)
    figures = {name: partial(captioned, draw, CAPTIONS[name]) for name, draw in figures.items()}
    closing = in_short(decides, limits[decides.name], scored, promises, shifts, table, parts)
    # a classifier learns from the anomalies, too
    learnt = parts.learning if config.learn_from == "labels" else parts.known
    return Results(
        tables=shown,
        figures=figures,
        headline=headline(limits[decides.name], scored, table, parts),
        notes=[
            *notes(config, table, parts, rules),
            f"In short: learnt from {len(learnt):,} rows by {fitted[0].name}. {closing}",
            *better_detector(config, scored, others, table, parts),
        ],
        files={
            scorer_file.FILE_NAME: partial(
                export_scorer, fitted[0], first, scored, table, parts, features
            ),
            "schema.json": partial(schema_file, features.encoder.schema),
        },
    )


def check_options(config: Config) -> None:
    """Raises UserError, in one line, on numbers that no rule could keep."""
    for name in ("contamination", "false_alarm_rate", "false_discovery_rate"):
        share = getattr(config, name)
        if share is not None and not 0 < share < 1:
            option = name.replace("_", "-")
            raise UserError(f"--{option} {share}: a share lies between 0 and 1, both excluded")
    if config.alerts_per_day is not None and not config.alerts_per_day > 0:
        raise UserError(f"--alerts-per-day {config.alerts_per_day}: must be more than 0")
    if config.learn_from == "labels" and config.detector != "default":
        raise UserError(
            f"--detector {config.detector} uses no labels: leave out --learn-from labels"
        )


# ---- data: what is in the table ------------------------------------------------------------------


@dataclass(frozen=True)
class Loaded:
    """The table, before any number is made of it.

    Attributes:
        cells: as they were read.
        schema: what the columns are.
        anomaly: the label, True for an anomaly; None where the table has none.
        times: when the rows happened; None where no column says.
        unit: seconds in one unit of `times`; None where it is not known.
    """

    cells: Cells
    schema: Schema
    anomaly: Bool[np.ndarray, " rows"] | None
    times: RowTimes | None
    unit: float | None

    def days(self, rows: Int[np.ndarray, " n"]) -> float | None:
        """How many days these rows span; None where nobody knows."""
        if self.times is None or self.unit is None or len(rows) < 2:
            return None
        seconds = self.times.values[rows] * self.unit
        span = float(np.ptp(seconds))
        if self.times.are_dates and (seconds % DAY == 0).all():
            return span / DAY + 1  # dates without a time of day: the first and the last count whole
        return span * len(rows) / (len(rows) - 1) / DAY or None


MANY_VALUES = 50  # of a category: perhaps a customer's number
UNITS = {"milliseconds": 1e-3, "seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": DAY}


def load_table(config: Config, run: Run) -> Loaded:
    """Read the table and say what its columns are.

    Raises:
        UserError: a cell, a column or an option that does not fit, in one line.
    """
    if config.csv is None:
        options = ("separator", "decimal", "sheet", "label", "positive", "time", "time_unit")
        refuse_without("csv FILE", {name: bool(getattr(config, name)) for name in options})
        config = replace(config, label="outcome", positive="fraud", time="when")
    elif config.positive and not config.label:
        raise UserError(f"--positive {config.positive} needs --label: which column holds it?")
    given = user_table.load(
        run.source,
        config.csv,
        separator=config.separator,
        decimal=config.decimal,
        sheet=config.sheet,
        shop_rows=config.shop_rows,
    )
    run.uses(given.provenance)
    cells = given.cells
    said = {name: getattr(config, name) for name in ("ignore", "numeric", "categorical")}
    schema = infer_schema(
        cells, label=config.label, positive=config.positive, time=config.time, **said
    )
    dates = [column.name for column in schema.columns if column.kind == "date"]
    if not schema.time and len(dates) == 1 and config.split != "random":
        schema = replace(schema, time=dates[0])
        run.say(f"rows are ordered by {dates[0]}, the only date column (--split random: are not)")
    run.say(summary_of(schema))
    times = row_times(cells, schema.time) if schema.time else None
    unit = UNITS[config.time_unit] if config.time_unit else None
    if times is not None and times.are_dates:
        unit = 1.0
    anomaly = None
    if schema.label:
        anomaly = labels_of(cells.columns[schema.label], schema.positive, cells.first_line)
    return Loaded(cells, schema, anomaly, times, unit)


def summary_of(schema: Schema) -> str:
    """What to read before anything is learnt: which columns are used, and which are not."""
    kinds = {"number": "numbers", "category": "categories", "date": "dates"}
    used = [
        f"{kinds[kind]} {', '.join(column.name for column in schema.used if column.kind == kind)}"
        for kind in kinds
        if any(column.kind == kind for column in schema.used)
    ]
    left = [f"{c.name} ({c.note})" for c in schema.columns if c.kind == "left out"]
    lines = [f"columns: {'; '.join(used)}" + (f"; left out: {', '.join(left)}" if left else "")]
    for column in schema.used:
        if column.kind == "category" and column.distinct >= MANY_VALUES:
            lines.append(
                f"{column.name} has {column.distinct:,} different values: if it names somebody, "
                f"leave it out (--ignore {column.name})"
            )
    return "\n".join(lines)


# ---- data: which rows are for what ---------------------------------------------------------------

LATER_SHARE = 0.2
THRESHOLD_SHARE = 0.25  # of the rows that are not later
LEAST_ROWS = 50


@dataclass(frozen=True)
class Parts:
    """Numbers of the rows of each part; none is in two.

    Attributes:
        kind: "time" or "random".
        learning: the first part.
        known: those of its rows that the detector learns from: all, or the normal ones.
        threshold: the second part, whose scores the thresholds are fitted on.
        usual: which of its rows are taken for usual: all, or the normal ones.
        later: the third part.
        judged: the later rows hold anomalies and others, so that a detector can be judged.
    """

    kind: str
    learning: Int[np.ndarray, " a"]
    known: Int[np.ndarray, " b"]
    threshold: Int[np.ndarray, " c"]
    usual: Bool[np.ndarray, " c"]
    later: Int[np.ndarray, " d"]
    judged: bool


def split_rows(config: Config, table: Loaded) -> Parts:
    """Three parts, by time or at random; labels choose rows only where they are asked to.

    Raises:
        UserError: too few rows, no time to split by, or no labels to learn from.
    """
    rows = table.cells.rows
    if rows < LEAST_ROWS:
        raise UserError(f"{rows} rows are too few: at least {LEAST_ROWS} are split in three")
    if config.learn_from != "all" and table.anomaly is None:
        raise UserError(f"--learn-from {config.learn_from} needs --label")
    if config.split == "time" and table.times is None:
        raise UserError("--split time needs --time: no column says when the rows happened")
    by_time = table.times is not None and config.split != "random"
    if by_time:
        rest, later = split_by_time(table.times.values, LATER_SHARE)
        first, second = split_by_time(table.times.values[rest], THRESHOLD_SHARE)
        learning, threshold = rest[first], rest[second]
    else:
        rest, later = at_random(table, np.arange(rows), LATER_SHARE)
        learning, threshold = at_random(table, rest, THRESHOLD_SHARE)
    known, usual = learning, np.ones(len(threshold), bool)
    if config.learn_from != "all":
        known, usual = learning[~table.anomaly[learning]], ~table.anomaly[threshold]
    if len(known) < 2 or usual.sum() < 2:
        raise UserError("no normal rows are left to learn from: is --positive what you mean?")
    judged = table.anomaly is not None and len(np.unique(table.anomaly[later])) == 2
    kind = "time" if by_time else "random"
    return Parts(kind, learning, known, threshold, usual, later, judged)


def days_of(table: Loaded, parts: Parts, rows: Int[np.ndarray, " n"]) -> float | None:
    """How many days of the shop's life these rows are; None where nobody knows.

    A part that was drawn at random holds some rows of every day: as many days as its share of rows.
    """
    if parts.kind == "time":
        return table.days(rows)
    whole = table.days(np.arange(table.cells.rows))
    return None if whole is None else whole * len(rows) / table.cells.rows


def at_random(
    table: Loaded, rows: Int[np.ndarray, " n"], share: float
) -> tuple[Int[np.ndarray, " rest"], Int[np.ndarray, " chosen"]]:
    """All but `share` of the rows, and that share; of both classes alike where there are labels."""
    if table.anomaly is not None:
        label = table.anomaly[rows].astype(np.int8)
        if np.bincount(label, minlength=2).min() >= 1 / share:
            rest, chosen = split_by_class(label, share)
            return rows[rest], rows[chosen]
    return split_at_random(rows, share)


# ---- from cells to numbers -----------------------------------------------------------------------


@dataclass(frozen=True)
class Features:
    """What the detectors see.

    Attributes:
        encoder: the arithmetic, fitted on the learning part; it goes into the scorer.
        codes: cells of the used columns as numbers, NaN where there is nothing.
        x: the features of all rows.
    """

    encoder: Encoder
    codes: Float64[np.ndarray, "rows columns"]
    x: Float[np.ndarray, "rows features"]


def encode(table: Loaded, parts: Parts) -> Features:
    """Fit the encoder on the learning part and apply it to all rows."""
    codes = column_codes(table.cells.columns, table.schema)
    encoder = fit_encoder(codes[parts.known], table.schema)
    # without the columns that do not vary in what is learnt from
    codes = codes[:, [column.name in encoder.names for column in table.schema.used]]
    return Features(encoder, codes, encoder(codes))


# ---- the detector --------------------------------------------------------------------------------


def fit_detectors(
    config: Config, run: Run, table: Loaded, parts: Parts, features: Features
) -> list[Detector]:
    """A detector for each seed, fitted on the learning part."""
    if config.learn_from == "labels":
        return fit_classifiers(config, run, table, parts, features)
    try:
        return named_detectors(config.detector, config, run, features.x[parts.known])
    except ValueError as error:  # fewer rows than columns, say
        raise UserError(f"--detector {config.detector}: {error}") from error


def named_detectors(
    name: str, config: Config, run: Run, known: Float[np.ndarray, "n features"]
) -> list[Detector]:
    """A detector for each seed, or one where nothing is drawn.

    Args:
        name: as `--detector` has it.
        known: rows to learn from.

    Raises:
        ValueError: too few rows for it.
    """
    width = known.shape[1]
    if name == "default":
        # rows that labels have chosen hold no anomalies
        share = config.contamination if config.learn_from == "all" else 0.0
        return [
            default_detector(known, key=jax.random.key(int(seed)), contamination=share)
            for seed in tqdm(run.seeds, "detectors", leave=False)
        ]
    if name == "isolation_forest":
        return [detectors.isolation_forest(known, int(seed)) for seed in run.seeds]
    if name == "autoencoder":
        return autoencoders(config, run, known)
    if name == "mahalanobis":
        return [detectors.mahalanobis(known)]
    if name == "pca":
        return [detectors.pca(known, code_width(width))]
    smallest = detectors.minor_components(known)
    # its score is 1 on average, unless all that it sees is rounding
    if smallest.score(known).mean() < 0.5:
        raise ValueError("columns depend on one another: their smallest component does not vary")
    return [smallest]


def code_width(columns: int) -> int:
    """Components of PCA, and width of the autoencoder's code."""
    return max(1, round(0.4 * columns))


def fit_classifiers(
    config: Config, run: Run, table: Loaded, parts: Parts, features: Features
) -> list[Detector]:
    """With labels: a small network that learns the log-odds of an anomaly.

    Raises:
        UserError: the learning part holds no anomaly, or nothing else.
    """
    rows = parts.learning
    label = table.anomaly[rows].astype(np.float32)
    if len(np.unique(label)) < 2:
        raise UserError("--learn-from labels: the learning part holds rows of one kind only")

    def log_loss(logits: Array, batch: Batch, hyper: Hyper) -> Float[Array, " batch"]:
        return losses.binary_cross_entropy(logits[:, 0], batch["y"])

    def optimizer(hyper: Hyper):
        return optim.adam()

    task = Task(*module_functions(MLP((32, 32, 1), dropout=0.2)), log_loss, optimizer)
    data = {"x": features.x[rows], "y": label}
    size = {"steps": config.steps, "batch_size": config.batch_size}
    trained = run.fit("classifier", task, data, **size)
    width, name = features.x.shape[1], "network, with labels"
    return [
        detectors.population(task, trained.member(i).variables, width, first_logit, name=name)
        for i in range(len(run.seeds))
    ]


def first_logit(logits: Float[Array, "batch 1"], batch: Batch) -> Float[Array, " batch"]:
    """The network's only output as a score."""
    return logits[:, 0]


@dataclass(frozen=True)
class Scored:
    """Scores of each seed's detector."""

    threshold: Float[np.ndarray, "seeds b"]
    later: Float[np.ndarray, "seeds e"]


def score_parts(fitted: Sequence[Detector], features: Features, parts: Parts) -> Scored:
    """Score the threshold rows and the later rows."""
    return Scored(
        score_members(fitted, features.x[parts.threshold]),
        score_members(fitted, features.x[parts.later]),
    )


# ---- what it is compared with --------------------------------------------------------------------


def other_scores(
    config: Config, run: Run, table: Loaded, parts: Parts, features: Features
) -> dict[str, Scored]:
    """Scores by detectors that the one which decides should not lose to."""
    known, learning = features.x[parts.known], features.x[parts.learning]
    decides = config.detector if config.learn_from != "labels" else ""
    found = {}
    for name in tqdm([name for name in OTHERS if name != decides], "other detectors", leave=False):
        # too few rows for it, which --detector says
        with contextlib.suppress(ValueError):
            members = named_detectors(name, config, run, known)
            found[members[0].name] = score_parts(members, features, parts)
    chance = [detectors.random(known.shape[1], int(seed)) for seed in run.seeds]
    found[chance[0].name] = score_parts(chance, features, parts)
    label = table.anomaly[parts.learning].astype(np.int8)
    if len(np.unique(label)) == 2:
        boosted = detectors.gradient_boosting(learning, label)
        found[boosted.name] = score_parts([boosted], features, parts)
    return found


OTHERS = (
    "default",
    "autoencoder",
    "isolation_forest",
    "mahalanobis",
    "pca",
    "smallest_component",
)


def autoencoders(
    config: Config, run: Run, known: Float[np.ndarray, "n features"]
) -> list[Detector]:
    """Dense autoencoders that score by their error, lab 160's with this table's widths."""

    def squared_error(copy: Array, batch: Batch, hyper: Hyper) -> Float[Array, " batch"]:
        return losses.mse(copy, batch["x"])

    def optimizer(hyper: Hyper):
        return optim.adam()

    width = known.shape[1]
    model = DenseAutoencoder(width, (code_width(width),))
    task = Task(*module_functions(model), squared_error, optimizer)
    size = {"steps": config.steps, "batch_size": config.batch_size}
    trained = run.fit("autoencoder", task, {"x": known}, **size)
    return [
        detectors.population(task, trained.member(i).variables, width, row_error, row_parts)
        for i in range(len(run.seeds))
    ]


def row_error(copy: Float[Array, "batch features"], batch: Batch) -> Float[Array, " batch"]:
    """Reconstruction error as a score."""
    return scores.reconstruction_score(batch["x"], copy)


def row_parts(copy: Float[Array, "batch features"], batch: Batch) -> Array:
    """What each feature adds to it."""
    return scores.reconstruction_contributions(batch["x"], copy)


FEWEST_ANOMALIES = 10  # with fewer no interval is told


def better_detector(
    config: Config, scored: Scored, others: Mapping[str, Scored], table: Loaded, parts: Parts
) -> list[str]:
    """A hint where another detector ranks the threshold rows better by more than chance.

    The difference of average precision is bootstrapped over these rows, anomalies and others apart,
    with the first seed of each; the later rows are not looked at.
    """
    anomaly = None if table.anomaly is None else table.anomaly[parts.threshold]
    if anomaly is None or config.learn_from == "labels" or anomaly.all():
        return []
    if anomaly.sum() < FEWEST_ANOMALIES:
        return [
            f"The threshold rows hold {anomaly.sum():,} anomalies: too few to say whether another "
            "detector is better than the one that decides."
        ]
    own = scored.threshold[0]
    reached = {
        name: metrics.average_precision(other.threshold[0], anomaly)
        for name, other in others.items()
        if name != CHANCE
    }
    hints = []
    for supervised in (False, True):
        names = [n for n in reached if n.startswith(SUPERVISED) == supervised]
        if not names:
            continue
        best = max(names, key=reached.__getitem__)
        low, high = precision_gained(others[best].threshold[0], own, anomaly)
        if low > 0:
            option = "--learn-from labels" if supervised else f"--detector {option_of(best)}"
            hints.append(
                f"Chosen on the {len(anomaly):,} threshold rows ({anomaly.sum():,} anomalies): "
                f"{best} has an AUPRC of {reached[best]:.2f} against "
                f"{metrics.average_precision(own, anomaly):.2f}, which is {low:.2f} to {high:.2f} "
                f"more (95 %). Run again with {option}"
                + (
                    ", a network that can be exported. The figures are those of gradient boosting: "
                    "how good the network is has not been measured."
                    if supervised
                    else "."
                )
            )
    return hints


SUPERVISED = "supervised"  # the beginning of a name
CHANCE = "random"  # nobody is told to use it


def precision_gained(
    other: Float[np.ndarray, " c"], own: Float[np.ndarray, " c"], anomaly: Bool[np.ndarray, " c"]
) -> tuple[float, float]:
    """Interval of the other's average precision less the own one's, over the same resamples."""

    def gain(first: Any, labels: Any, weights: Any, second: Any) -> float:
        precision = partial(metrics.average_precision, labels=labels, weights=weights)
        return precision(first) - precision(second)

    return metrics.bootstrap_interval(
        gain, other.astype(np.float64), anomaly, columns={"second": own.astype(np.float64)}
    )


def option_of(name: str) -> str:
    """What `--detector` calls a detector, from the beginning of its name.

    >>> option_of("minor components of PCA, 1"), option_of("isolation forest")
    ('smallest_component', 'isolation_forest')
    """
    starts = {
        "default": "default",
        "isolation forest": "isolation_forest",
        "Mahalanobis": "mahalanobis",
        "minor components": "smallest_component",
        "PCA": "pca",
        "autoencoder": "autoencoder",
    }
    return next(option for start, option in starts.items() if name.startswith(start))


# ---- decisions: rules with a promise -------------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """A rule that makes a threshold of scores.

    Attributes:
        name: in tables.
        asked: what it promises, in words.
        function: scores -> threshold.
        rows: which of the threshold rows it is fitted on.
    """

    name: str
    asked: str
    function: Callable[..., Threshold]
    rows: Bool[np.ndarray, " c"]

    def fit(self, scores: Float[np.ndarray, " c"]) -> Threshold:
        """The threshold, from the scores of all threshold rows.

        Raises:
            UserError: what was asked for cannot be had.
        """
        fitted_on = "all threshold rows" if self.rows.all() else "normal threshold rows"
        try:
            return self.function(scores[self.rows], fitted_on=fitted_on)
        except ValueError as error:  # more alerts than rows, say
            raise UserError(f"{self.name}, {self.asked}: {error}; ask for less") from error


def threshold_rules(config: Config, table: Loaded, parts: Parts) -> list[Rule]:
    """The rules that were asked for; the first one decides in the exported scorer.

    Raises:
        UserError: alerts a day are asked for, and nothing says how long a day is.
    """
    rules, every = {}, np.ones(len(parts.threshold), bool)
    if config.alerts_per_day is not None:
        days = days_of(table, parts, parts.threshold)
        if days is None:
            raise UserError(
                "--alerts-per-day needs a date column (--time), or --time-unit where the "
                "column holds plain numbers"
            )
        budget = partial(thresholds.alert_budget, alerts_per_day=config.alerts_per_day, days=days)
        asked = f"{config.alerts_per_day:g} a day"
        rules["alerts_per_day"] = Rule("alerts a day", asked, budget, every)
    if config.contamination is not None:
        share = partial(thresholds.contamination, share=config.contamination)
        asked = f"{config.contamination:.2%} of all rows"
        rules["contamination"] = Rule("contamination", asked, share, every)
    # so many rows cannot promise less than one false alarm among them
    rate = max(config.false_alarm_rate, 1 / (parts.usual.sum() + 1))
    asked = f"{rate:.2%} of usual rows"
    if rate > config.false_alarm_rate:
        needed = math.ceil(1 / config.false_alarm_rate) - 1
        asked += f" ({config.false_alarm_rate:.2%} needs {needed:,})"
    quantile = partial(thresholds.quantile, rate=rate)
    rules["false_alarm_rate"] = Rule("false-alarm rate", asked, quantile, parts.usual)
    sigma = partial(thresholds.k_sigma, k=config.sigma)
    rules["sigma"] = Rule(f"mean + {config.sigma:g} sd", "-", sigma, parts.usual)
    label = None if table.anomaly is None else table.anomaly[parts.threshold]
    if label is not None and label.any():
        price = FixedCost(
            missed=config.cost_missed, false_alarm=0.0, investigation=config.cost_alert
        )
        asked = f"least cost, {config.cost_missed:g} missed, {config.cost_alert:g} an alert"
        least = partial(thresholds.cost_minimal, labels=label, cost=price)
        rules["cost"] = Rule("cost (uses labels)", asked, least, every)
    if config.decide_by == "auto":
        return list(rules.values())
    if config.decide_by == "cost" and label is not None and not label.any():
        raise UserError(
            f"--decide-by cost: none of the {len(label)} threshold rows is an anomaly, so no cost "
            "can be weighed: try --split random, or another --decide-by"
        )
    if config.decide_by not in rules:
        option = "label" if config.decide_by == "cost" else config.decide_by.replace("_", "-")
        raise UserError(f"--decide-by {config.decide_by} needs --{option}")
    return [rules.pop(config.decide_by), *rules.values()]


def decision_table(
    title: str,
    rules: Sequence[Rule],
    limits: Mapping[str, Sequence[Threshold]],
    scored: Scored,
    config: Config,
    table: Loaded,
    parts: Parts,
) -> Table:
    """What each rule asked for, and what came of it on the later rows."""
    rows = []
    for rule in rules:
        found = limits[rule.name]
        flags = np.stack(
            [limit.label(member) for limit, member in zip(found, scored.later, strict=True)]
        )
        head = {
            "rule": rule.name,
            "asked for": rule.asked,
            "threshold": np.array([limit.value for limit in found]),
        }
        rows.append(head | outcome(flags, table, parts))
    flags = discoveries(config.false_discovery_rate, scored, parts)
    head = {
        "rule": "false discoveries",
        "asked for": f"{config.false_discovery_rate:.0%} of alerts false",
        "threshold": None,
    }
    rows.append(head | outcome(flags, table, parts))
    return Table(title, rows)


def discoveries(rate: float, scored: Scored, parts: Parts) -> Bool[np.ndarray, "seeds d"]:
    """Alerts chosen so that at most `rate` of them are expected to be false.

    Conformal p-values against the usual threshold rows, then Benjamini and Hochberg's rule (1995;
    Bates et al. 2023). Where the threshold rows hold anomalies the promise is kept the more easily.
    """
    flags = []
    for known, new in zip(scored.threshold, scored.later, strict=True):
        p_values = thresholds.conformal_p_values(known[parts.usual], new)
        flags.append(thresholds.benjamini_hochberg(p_values, rate))
    return np.stack(flags)


def outcome(flags: Bool[np.ndarray, "seeds d"], table: Loaded, parts: Parts) -> dict[str, Any]:
    """What a rule did on the later rows, as cells of a table."""
    low, high = thresholds.share_interval(float(flags[0].mean()), flags.shape[1])
    cells: dict[str, Any] = {
        "alerts": flags.sum(axis=1),
        "share of rows": flags.mean(axis=1),
        "95 % of first seed": f"{low:.4f} .. {high:.4f}",
    }
    days = days_of(table, parts, parts.later)
    if days:
        cells["alerts a day"] = flags.sum(axis=1) / days
    if parts.judged:
        anomaly = table.anomaly[parts.later]
        caught = (flags & anomaly).sum(axis=1)
        cells["false-alarm rate"] = flags[:, ~anomaly].mean(axis=1)
        alerts = flags.sum(axis=1)
        cells["precision"] = caught / np.maximum(alerts, 1) if alerts.any() else None
        cells["recall"] = caught / anomaly.sum()
    return cells


# ---- how reliable a promised false-alarm rate is -------------------------------------------------

PROMISES = (0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)


def promise_rows(scored: Scored, table: Loaded, parts: Parts) -> list[dict[str, Any]]:
    """Thresholds for falling false-alarm rates, and the rates on the later usual rows.

    Empty where the threshold rows are too few to promise any of them.
    """
    usual = np.ones(len(parts.later), bool)
    if table.anomaly is not None:
        usual = ~table.anomaly[parts.later]
    rows = []
    for rate in PROMISES:
        if rate * (parts.usual.sum() + 1) < 1:
            break  # so few threshold rows cannot promise so small a rate
        realised = []
        for known, new in zip(scored.threshold, scored.later, strict=True):
            limit = thresholds.quantile(known[parts.usual], rate, fitted_on="usual", resamples=0)
            realised.append(limit.label(new[usual]))
        low, high = thresholds.share_interval(float(realised[0].mean()), len(realised[0]))
        rows.append(
            {
                "promised": rate,
                "realised": np.array([flags.mean() for flags in realised]),
                "95 % of first seed": f"{low:.4f} .. {high:.4f}",
                "promise": "fewer" if rate > high else "more" if rate < low else "kept",
            }
        )
    return rows


# ---- what we see: ranking, alerts, drift ---------------------------------------------------------


def ranking_tables(
    title: str, compared: Mapping[str, MemberScores], table: Loaded, parts: Parts
) -> list[Table]:
    """One table where the later rows have labels of both kinds, else none.

    Precision is told of as many rows as there are anomalies (at most 100): of more it could not be
    1. Of few anomalies no interval is told: it would be that of a handful of rows.
    """
    if not parts.judged:
        return []
    anomaly = table.anomaly[parts.later]
    many = int(anomaly.sum())
    title = f"{title}, {many:,} of them anomalies"
    if many < FEWEST_ANOMALIES:
        title += f" (fewer than {FEWEST_ANOMALIES}: no interval)"
    ranked = tables.ranking_table(title, compared, anomaly, np.ones(len(anomaly)))
    count = min(100, many)
    at_count = partial(metrics.precision_at_k, k=count)
    rows = []
    for row, members in zip(ranked.rows, compared.values(), strict=True):
        cells = {}
        for column, cell in row.items():
            if column == "precision@100":
                cells[f"precision@{count}"] = metrics.population(at_count, members, anomaly)
            elif many >= FEWEST_ANOMALIES or not column.startswith("AUPRC, 95 %"):
                cells[column] = cell
        rows.append(cells)
    return [replace(ranked, rows=rows)]


def alerts_table(
    config: Config,
    detector: Detector,
    later: Float[np.ndarray, " d"],
    threshold: Threshold,
    table: Loaded,
    parts: Parts,
    features: Features,
) -> Table:
    """The highest later rows: why they stand out, and which row of the learning part is nearest."""
    top = np.argsort(-later, kind="stable")[: config.alerts]
    rows, x = parts.later[top], features.x[parts.later[top]]
    names = features.encoder.names
    by_column = features.encoder.by_column(np.maximum(detector.contributions(x), 0))
    nearest = explain.nearest_normal(x, features.x[parts.known])
    told = []
    for alert, row in enumerate(rows):
        columns = np.argsort(-by_column[alert], kind="stable")[:3]
        share = by_column[alert] / max(by_column[alert].sum(), 1e-30)
        like = parts.known[nearest.row[alert]]
        told.append(
            {
                "row": int(row) + 1,
                "score": float(later[top[alert]]),
                "flagged": "yes" if later[top[alert]] > threshold.value else "no",
                "why": ", ".join(
                    f"{names[c]} = {shown(table.cells, names[c], row)} ({share[c]:.0%})"
                    for c in columns
                ),
                "nearest learnt row": f"{like + 1:,}{labelled(table, like)}",
                "which has": ", ".join(shown(table.cells, names[c], like) for c in columns),
            }
            | ({} if table.anomaly is None else {"label": label_of(table, row)})
        )
    title = f"The {len(told)} highest later rows (the first row below the header is 1"
    if len(parts.known) > export.NORMAL_ROWS:
        title += (
            f"; nearest of all {len(parts.known):,} learnt rows, the scorer keeps "
            f"{export.NORMAL_ROWS:,} of them"
        )
    return Table(f"{title})", told)


def shown(cells: Cells, name: str, row: int) -> str:
    """A cell as the user wrote it; of long numbers the first digits."""
    text = as_text(cells.columns[name].slice(int(row), 1))[0].as_py() or "nothing"
    with contextlib.suppress(ValueError):
        return text if len(text) <= 10 else f"{float(text):.6g}"
    return text[:40]


def label_of(table: Loaded, row: int) -> str:
    """The row's label as the user wrote it."""
    return shown(table.cells, table.schema.label, row)


def labelled(table: Loaded, row: int) -> str:
    """The row's label in brackets, where there is one: what was learnt may be an anomaly."""
    return "" if table.anomaly is None else f" ({label_of(table, row)})"


def drift_of_columns(features: Features, parts: Parts) -> dict[str, float]:
    """Column -> population stability index of the later rows against the learnt ones."""
    schema, codes = features.encoder.schema, features.codes
    found = drift.population_stability(codes[parts.known], codes[parts.later], schema)
    return dict(zip(features.encoder.names, found.tolist(), strict=True))


def drift_table(shifts: Mapping[str, float]) -> Table:
    """The columns that changed most between the learning part and the later rows."""
    rows = [
        {"column": name, "stability index": value, "reads as": drift.reading(value)}
        for name, value in sorted(shifts.items(), key=lambda pair: -pair[1])
    ]
    return Table("Drift of the columns: learning part against later rows", rows)


# ---- figures -------------------------------------------------------------------------------------

CAPTIONS = {
    "scores": "Scores of the first seed: to the right of a dashed line that rule raises an alert. "
    "Where anomalies and other rows overlap, no threshold tells them apart.",
    "promises": "Share of usual later rows that are flagged, against the share that was promised. "
    "On the line the promise is kept; below it there are fewer false alarms.",
    "drift": "How far each column of the later rows has moved from what was learnt: up to the "
    "first line as chance has it; beyond the second look before you trust the scores.",
    "caught": "Share of the anomalies among the later rows that so many alerts find: the higher a "
    "curve to the left, the less there is to look at.",
    "scores_over_time": "Scores of the later rows in the order in which they happened; what lies "
    "above the line is flagged by the rule that decides.",
}


def captioned(draw: Callable[[], Any], caption: str) -> Any:
    """The figure with a sentence below it that says how it is read."""
    figure = draw()
    figure.text(0.5, -0.02, textwrap.fill(caption, 90), ha="center", va="top", fontsize=9)
    return figure


def draw_scores(
    scored: Scored, limits: Mapping[str, Sequence[Threshold]], table: Loaded, parts: Parts
) -> Any:
    """Scores of the first seed with the thresholds."""
    groups = {"threshold rows": scored.threshold[0]}
    if parts.judged:
        anomaly = table.anomaly[parts.later]
        groups |= {"later, normal": scored.later[0, ~anomaly]}
        groups |= {"later, anomalies": scored.later[0, anomaly]}
    else:
        groups |= {"later rows": scored.later[0]}
    marks = {name: found[0].value for name, found in limits.items()}
    return decisions.histogram_by_class(groups, marks)


def draw_promises(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Promised against realised false-alarm rates."""
    promised = np.array([row["promised"] for row in rows])
    return decisions.promised_and_realised(promised, np.stack([row["realised"] for row in rows]))


def draw_caught(compared: Mapping[str, MemberScores], table: Loaded, parts: Parts) -> Any:
    """Share of the anomalies caught against the number of alerts."""
    anomaly = table.anomaly[parts.later]
    days = days_of(table, parts, parts.later)
    curves = {}
    for name, members in compared.items():
        falling = np.argsort(-members[0], kind="stable")
        curves[name] = np.cumsum(anomaly[falling]) / anomaly.sum()
    alerts = np.arange(1, len(anomaly) + 1) / (days or 1)
    return decisions.caught_by_alerts(alerts, curves, "alerts a day" if days else "alerts")


def draw_over_time(scored: Scored, threshold: Threshold, table: Loaded, parts: Parts) -> Any:
    """Scores of the later rows against time, alerts marked."""
    return decisions.scores_over_time(
        (table.times.values[parts.later] - table.times.values[parts.later].min())
        * table.unit
        / DAY,
        scored.later[0],
        threshold.value,
        table.anomaly[parts.later] if parts.judged else None,
    )


# ---- what is handed on ---------------------------------------------------------------------------


def headline(
    found: Sequence[Threshold], scored: Scored, table: Loaded, parts: Parts
) -> dict[str, Any]:
    """AUPRC where there are labels, else the share of later rows that the scorer would flag."""
    if parts.judged:
        anomaly = table.anomaly[parts.later]
        return {"AUPRC": metrics.population(metrics.average_precision, scored.later, anomaly)}
    pairs = zip(found, scored.later, strict=True)
    return {"share flagged": np.array([limit.label(later).mean() for limit, later in pairs])}


def notes(config: Config, table: Loaded, parts: Parts, rules: Sequence[Rule]) -> list[str]:
    """What the numbers rest on.

    Args:
        config, table, parts: of this lab.
        rules: the first one decides.
    """
    decides = rules[0]
    used = {
        "all": "Labels were not used for learning or thresholds (the cost rule apart).",
        "normal": "Labels chose the rows: the detector and its thresholds saw normal rows only.",
        "labels": "A classifier learnt the labels of the learning part.",
    }
    saw_all = [rule.name for rule in rules if rule.rows.sum() > parts.usual.sum()]
    if saw_all:
        used["normal"] = (
            "Labels chose the rows: the detector saw normal rows only. So did the thresholds, but "
            f"for these rules, which saw all threshold rows: {', '.join(saw_all)}."
        )
    said = [
        f"The exported scorer decides by: {decides.name} ({decides.asked}). Score new rows: "
        "python -m jaxdl.score RUN new.csv --output alerts.csv --only-flagged --keep COLUMN, with "
        "the columns that you know a row by"
    ]
    if table.anomaly is None:
        said.append("No label: precision, recall and ranking need one (--label, --positive).")
    else:
        said.append(used[config.learn_from])
        if config.learn_from == "all" and table.anomaly[parts.threshold].any():
            said.append(
                "The threshold rows hold anomalies, too, so there tend to be fewer false alarms "
                "than promised: the price of using no labels."
            )
        said += leak_notes(table, parts)
        if not parts.judged:
            said.append("The later rows hold labels of one kind only: nothing can be judged.")
    return said


def in_short(
    decides: Rule,
    found: Sequence[Threshold],
    scored: Scored,
    promises: Sequence[Mapping[str, Any]],
    shifts: Mapping[str, float],
    table: Loaded,
    parts: Parts,
) -> str:
    """What the rule that decides did on the later rows, what was kept, and what to do next."""
    flags = found[0].label(scored.later[0])
    said = [
        f"On {len(flags):,} later rows the rule {decides.name} ({decides.asked}) raises "
        f"{flags.sum():,} alerts ({flags.mean():.2%} of the rows{a_day(flags, table, parts)})."
    ]
    if parts.judged:
        anomaly = table.anomaly[parts.later]
        said.append(
            f"{(flags & anomaly).sum():,} of them are among the {anomaly.sum():,} anomalies."
        )
    said += promises_kept(promises)
    changed = [name for name, index in shifts.items() if drift.reading(index) == "changed"]
    if changed:
        said.append(
            f"{', '.join(changed[:5])} changed since what was learnt: find out why, or learn from "
            "newer rows, before you trust the scores."
        )
    said.append(
        "Next: look at the highest rows above and at what raises them, then score new rows."
    )
    return " ".join(said)


def a_day(flags: Bool[np.ndarray, " d"], table: Loaded, parts: Parts) -> str:
    """How many alerts a day these are, where anybody knows."""
    days = days_of(table, parts, parts.later)
    return f", {flags.sum() / days:.1f} a day" if days else ""


def promises_kept(promises: Sequence[Mapping[str, Any]]) -> list[str]:
    """One sentence on the promised false-alarm rates."""
    broken = [f"{row['promised']:.1%}" for row in promises if row["promise"] == "more"]
    easily = [f"{row['promised']:.1%}" for row in promises if row["promise"] == "fewer"]
    if not promises:
        return ["The threshold rows are too few to promise a false-alarm rate."]
    if broken:
        return [
            f"Promised false-alarm rates of {', '.join(broken)} were NOT kept: there were more."
        ]
    if easily:
        return [f"All promised false-alarm rates were kept, {', '.join(easily)} with room."]
    return ["All promised false-alarm rates were kept."]


def leak_notes(table: Loaded, parts: Parts) -> list[str]:
    """A warning where choosing normal rows shows where the anomalies lie (see `leaks`)."""
    used_labels = len(parts.known) < len(parts.learning)
    if not used_labels or not table.anomaly.any():
        return []
    names = [column.name for column in table.schema.used if column.kind == "number"]
    columns = [as_numbers(table.cells.columns[name], table.cells.decimal) for name in names]
    whole = [values for values in columns if np.isfinite(values).all()]
    if len(whole) < 2:
        return []
    return leak_warnings(np.column_stack(whole), table.anomaly)


def export_scorer(
    detector: Detector,
    threshold: Threshold,
    scored: Scored,
    table: Loaded,
    parts: Parts,
    features: Features,
    origin: Mapping[str, Any],
) -> bytes:
    """The first seed's detector behind the table's own columns, in one file."""
    return export.build(
        detector,
        features.encoder,
        threshold,
        origin,
        rows=features.codes[parts.later[:1024]],
        reference=scored.later[0][:1024],
        calibration=scored.threshold[0][parts.usual],
        normal=export.Normal(features.codes[parts.known], parts.known + 1),
    )


def schema_file(schema: Schema, origin: Mapping[str, Any]) -> bytes:
    """What the columns are, as JSON to read or to keep."""
    return json.dumps(schema.to_json(), ensure_ascii=False, indent=2).encode()
