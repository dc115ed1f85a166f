"""An isolation forest as arrays: scikit-learn grows the trees, a pure JAX function scores rows.

Liu, Ting and Zhou, "Isolation forest" (2008); lab 060. As an array program the forest can be
jitted, put on an accelerator and exported with its threshold in one file, and it needs neither
scikit-learn nor a pickle where it is used.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

Features = Float[np.ndarray | Array, "batch features"]

MAX_DEPTH = 16  # a tree takes 2 ** (depth + 1) nodes; 256 samples give depth 8


class Forest(NamedTuple):
    """Complete binary trees: the children of node i are 2 i + 1 and 2 i + 2.

    Attributes:
        feature: which feature a node looks at.
        threshold: a row goes right if the feature is above it; +inf below a leaf.
        path: on the bottom level, the expected number of splits that isolate a row that ends here.
        scale: number of trees times the expected path length among `max_samples` rows.
    """

    feature: Int[Array, "trees nodes"]
    threshold: Float[Array, "trees nodes"]
    path: Float[Array, "trees leaves"]
    scale: Float[Array, ""]


def expected_path(n: ArrayLike) -> Float[np.ndarray, "*shape"]:
    """Mean depth of an unsuccessful search in a random binary tree of n rows (equation 1)."""
    n = np.asarray(n, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        many = 2.0 * (np.log(n - 1.0) + np.euler_gamma) - 2.0 * (n - 1.0) / n
    return np.where(n > 2, many, np.where(n == 2, 1.0, 0.0))


def from_sklearn(fitted: Any) -> Forest:
    """The trees of a fitted `sklearn.ensemble.IsolationForest` as arrays.

    scikit-learn compares a float32 feature with a float64 threshold. Rounding the threshold down to
    float32 leaves every such comparison as it was, so each row reaches the same leaf.

    Raises:
        ValueError: a tree is deeper than 16 levels (`max_samples` above 65,536).
    """
    depth = max(1, *(tree.tree_.max_depth for tree in fitted.estimators_))
    if depth > MAX_DEPTH:
        raise ValueError(f"trees have {depth} levels; fit with max_samples <= {2**MAX_DEPTH}")
    grown = [
        _complete(tree.tree_, columns, depth)
        for tree, columns in zip(fitted.estimators_, fitted.estimators_features_, strict=True)
    ]
    feature, threshold, path = (np.stack(part) for part in zip(*grown, strict=True))
    scale = len(grown) * expected_path(np.asarray(fitted.max_samples_))
    down = threshold.astype(np.float32)
    down = np.where(down > threshold, np.nextafter(down, np.float32(-np.inf)), down)
    return Forest(jnp.asarray(feature), jnp.asarray(down), jnp.asarray(path), jnp.float32(scale))


def _complete(tree: Any, columns: np.ndarray, depth: int) -> tuple[np.ndarray, ...]:
    """One tree, filled up to `depth` levels with nodes that send every row left."""
    inner = 2**depth - 1
    feature, threshold = np.zeros(inner, np.int32), np.full(inner, np.inf)
    path = np.zeros(inner + 1, np.float32)
    waiting = [(0, 0, 0)]
    while waiting:
        node, place, level = waiting.pop()
        left, right = tree.children_left[node], tree.children_right[node]
        if left >= 0:
            feature[place] = columns[tree.feature[node]]
            threshold[place] = tree.threshold[node]
            waiting += [(left, 2 * place + 1, level + 1), (right, 2 * place + 2, level + 1)]
        else:
            bottom = (place + 1) * 2 ** (depth - level) - 1 - inner
            path[bottom] = level + expected_path(tree.n_node_samples[node])
    return feature, threshold, path


def isolation_score(forest: Forest, x: Features) -> Float[Array, " batch"]:
    """2 ** -(mean path / expected path), in (0, 1]: scikit-learn's `-score_samples(x)`.

    Higher is worse; `score > -fitted.offset_` is scikit-learn's label -1. Rows must be finite. The
    trees are walked one after the other, all rows in step: on a CPU a tree then stays in the cache.
    """
    rows, inner = x.shape[0], forest.feature.shape[1]
    columns = jnp.asarray(x, jnp.float32).T.reshape(-1)
    row = jnp.arange(rows)

    def add(total, tree):
        feature, threshold, path = tree
        node = jnp.zeros(rows, jnp.int32)
        for _ in range((inner + 1).bit_length() - 1):
            value = columns[feature[node] * rows + row]
            node = 2 * node + 1 + (value > threshold[node])
        return total + path[node - inner], None

    trees = (forest.feature, forest.threshold, forest.path)
    total, _ = jax.lax.scan(add, jnp.zeros(rows, jnp.float32), trees)
    return jnp.exp2(-total / forest.scale)
