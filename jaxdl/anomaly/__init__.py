"""Anomaly detection: detectors, their scores, thresholds, and how good both are.

The contract: `score(x)` is higher for worse. A threshold is a saved artefact, fitted by a named
rule on scores of training or validation data, never on test labels. A label is `score > threshold`.

    detector             the record that every detector is: score, contributions, name
    default              the detector to begin with, on any numeric table, without settings
    detectors            one constructor each, from rows to a fitted detector
    scores, isolation_forest, nearest_neighbours
                         the array programs behind them
    reconstruction       errors of a population of autoencoders, whitened and voted
    adaptive             thresholds that move with a stream and keep to their allowance
    thresholds           the rules, each with a bootstrap interval; p-values; the realised rate
    metrics              weighted metrics, the sweep over all thresholds, bootstrap intervals
    costs                what mistakes cost
    explain              the columns that made an alert, the nearest normal row
    leaks                whether choosing the normal rows gives the anomalies away
    rules                hand-written rules as a table of conditions
    cross_fitting        classifiers that learn from a budget of labels
    tables               the tables and figures that detectors are shown with
"""

from jaxdl.anomaly.default import default_detector, default_detectors

__all__ = ["default_detector", "default_detectors"]
