"""Anomaly detection: scores, thresholds and their evaluation.

The contract: `score(x)` is higher for worse. A threshold is a saved artefact, fitted by a named
rule on scores of training or validation data, never on test labels. A label is `score > threshold`.

    scores      reconstruction, PCA and Mahalanobis scores: pure JAX functions
    thresholds  the rules, each with a bootstrap interval; conformal p-values; the realised rate
    evaluation  weighted metrics, the sweep over all thresholds, costs, bootstrap intervals
"""
