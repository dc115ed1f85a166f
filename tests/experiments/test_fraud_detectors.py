"""The lab that compares detectors, its protocols, and its table of remedies."""

import importlib
import types

import numpy as np
import pytest

from datasets import fraud
from datasets.fraud_split import split_three
from datasets.source import Request
from experiments import fraud_detectors as lab
from jaxdl.anomaly import tables

RUN = types.SimpleNamespace(source=Request("simulated"), uses=lambda data: None, seeds=[0])


def test_lab_ranks_labels_first_chance_last_and_refuses_the_leak(quick_run):
    results = quick_run("fraud_detectors").results
    *rankings, remedies = results.tables
    for table, split in zip(
        rankings, ("random 50/50", "temporal 50/50", "temporal 80/20"), strict=True
    ):
        assert split in table.title
        area = {(row["learns from"], row["detector"]): row["AUPRC"].mean() for row in table.rows}
        assert len(area) == len(table.rows) >= 40
        without_labels = [v for (source, _), v in area.items() if source != tables.LABELS]
        boosting = area[tables.LABELS, "supervised: gradient boosting"]
        assert boosting > sorted(without_labels)[-5]
        assert area[tables.NOTHING, "random"] < 0.02
    rows = {row["training part"] + row["model"]: row for row in remedies.rows}
    *honest, leak = rows.values()
    assert "refused" in leak["split check"]
    # its frauds are repeated in the rows that it is tested on, too
    assert leak["training part"].endswith("before the split, 9.9% of the test part")
    assert all(row["split check"] == "passed" for row in honest)
    assert leak["AUPRC"].mean() > 0.99 > max(row["AUPRC"].mean() for row in honest)


def test_each_label_free_detector_stands_under_both_protocols(quick_run):
    first, *_ = quick_run("fraud_detectors").results.tables
    names = {
        source: {row["detector"] for row in first.rows if row["learns from"] == source}
        for source in (tables.ALL_ROWS, tables.NORMAL_ROWS)
    }
    (chosen,) = names[tables.NORMAL_ROWS] - names[tables.ALL_ROWS]
    assert chosen.startswith("minor components of PCA, ")
    assert chosen.endswith(", number chosen")
    assert names[tables.ALL_ROWS] < names[tables.NORMAL_ROWS]


@pytest.mark.parametrize("name", ["fraud_ae", "fraud_vae", "fraud_variants"])
def test_the_tested_part_has_the_prevalence_that_its_title_states(name):
    """By time the later part has another share of frauds than the file."""
    module = importlib.import_module(f"experiments.{name}")
    config = module.Config(split="temporal", test_share=0.2, prevalence=0.01, twin_rows=20_000)
    parts = module.load_parts(config, RUN)
    if name == "fraud_variants":
        label, weights = parts.label, parts.weights
    else:
        label, weights = parts.test.label, parts.test_weights
    assert np.average(label, weights=weights) == pytest.approx(0.01)
    as_they_are = module.load_parts(module.Config(twin_rows=20_000), RUN)
    plain = as_they_are.weights if name == "fraud_variants" else as_they_are.test_weights
    assert (plain == 1).all()


def test_every_split_and_the_remedies_are_judged_at_the_same_prevalence(monkeypatch):
    seen = []

    def remember(title, protocols, label, weights):
        seen.append(np.average(label, weights=weights))

    def constant(fitted, x):
        return {lab.BEST: np.zeros((1, len(x)))}

    monkeypatch.setattr(lab.tables, "ranking_by_protocol", remember)
    monkeypatch.setattr(lab, "score_all", constant)
    for scored in ("label_free_scores", "minor_components_chosen", "untrained_scores"):
        monkeypatch.setattr(lab, scored, lambda *given: {})
    monkeypatch.setattr(lab.tables, "precision_recall_figure", lambda *given: None)
    monkeypatch.setattr(
        lab,
        "remedies_table",
        lambda config, seeds, parts, weights: remember("", {}, parts.test.label, weights),
    )
    lab.main(lab.Config(prevalence=0.01, twin_rows=20_000), RUN)
    np.testing.assert_allclose(seen, 0.01)
    assert len(seen) == len(lab.SPLITS) + 1


def test_the_leak_says_what_share_of_frauds_it_is_tested_on():
    parts = split_three(fraud.load(Request("simulated"), twin_rows=20_000), "random")
    row = lab.leaked_row(lab.Config(prevalence=0.01), parts)
    assert row["training part"].endswith("before the split, 1.0% of the test part")
