"""Simulated heart beats: five shapes of 140 points, one of them normal, each beat standardised.

A beat is a sum of waves, each with its place, width and height: the small P wave, the QRS complex
(a dip, a high narrow peak, a dip), the broad T wave. What differs between kinds is what a
cardiogram shows; every beat moves, stretches and scales its waves a little, drifts and has noise.
Nothing here was fitted to recordings.
"""

import numpy as np
from jaxtyping import Float, Int

from datasets.source import Provenance
from jaxdl.hashing import arrays_digest

POINTS = 140
KINDS = ("normal", "early T", "wide QRS", "early beat", "unclassified")
SHARES = (0.584, 0.353, 0.039, 0.019, 0.005)
"""Of each kind among the beats: as unequal as those of one patient with heart failure."""

# Place and width (shares of the beat) and height (millivolts) of the P, Q, R, S and T wave
_NORMAL = np.array(
    [(0.18, 0.025, 0.15), (0.30, 0.008, -0.15), (0.33, 0.010, 1.2), (0.36, 0.009, -0.3),
     (0.62, 0.050, 0.35)]
)  # fmt: skip
_WAVES = {
    "normal": _NORMAL,
    # the T wave begins in the QRS complex
    "early T": np.array([*_NORMAL[:4], (0.44, 0.060, 0.5)]),
    # a beat from the ventricle: no P wave, a broad QRS complex, a T wave that points down
    "wide QRS": np.array(
        [(0.18, 0.025, 0.0), (0.28, 0.020, -0.1), (0.31, 0.035, 1.3), (0.42, 0.040, -0.5),
         (0.66, 0.060, -0.4)]
    ),
    # everything comes too soon
    "early beat": _NORMAL * (0.72, 1, 1),
    "unclassified": np.array(
        [(0.25, 0.030, 0.4), (0.30, 0.008, 0.0), (0.33, 0.030, 0.6), (0.50, 0.060, 0.3),
         (0.80, 0.030, 0.5)]
    ),
}  # fmt: skip
MILDEST = 0.1
"""A beat of another kind lies between the normal one (0) and its kind's (1), at least so far."""
_PLACE, _WIDTH, _HEIGHT = 0.012, 0.12, 0.15  # how far a beat's waves differ from these
_DRIFT, _NOISE = 0.08, 0.05


def simulate(
    beats: int, seed: int
) -> tuple[Float[np.ndarray, "beats 140"], Int[np.ndarray, " beats"], Provenance]:
    """Beats of all kinds in a chance order, and the number of each one's kind in `KINDS`.

    At least two beats of each kind are among them.

    Args:
        beats: how many, at least ten.
        seed: of the draws.

    Raises:
        ValueError: fewer than ten.

    >>> x, kind, provenance = simulate(200, seed=0)
    >>> x.shape, np.bincount(kind).tolist(), provenance.kind
    ((200, 140), [118, 70, 7, 3, 2], 'simulated')
    """
    if beats < 2 * len(KINDS):
        raise ValueError(f"{beats} beats are too few for {len(KINDS)} kinds")
    rng = np.random.default_rng(seed)
    counts = np.maximum(np.floor(beats * np.array(SHARES)).astype(int), 2)
    counts[0] += beats - counts.sum()
    kind = rng.permutation(np.repeat(np.arange(len(KINDS)), counts))
    x = np.stack([_beat(KINDS[k], rng) for k in kind])
    x = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
    note = f"{beats:,} beats of {POINTS} points, {len(KINDS)} shapes"
    x = x.astype(np.float32)
    digest = arrays_digest({"x": x, "kind": kind})
    return x, kind, Provenance("heart beats", "simulated", digest, note, twin=False)


def _beat(kind: str, rng: np.random.Generator) -> Float[np.ndarray, " 140"]:
    time = np.linspace(0, 1, POINTS)
    severity = rng.uniform(MILDEST, 1)
    waves = _NORMAL + severity * (_WAVES[kind] - _NORMAL)
    place, width, height = waves.T
    place = place + rng.normal(0, _PLACE) + rng.normal(0, _PLACE / 2, len(waves))
    width = width * np.exp(rng.normal(0, _WIDTH, len(waves)))
    height = height * np.exp(rng.normal(0, _HEIGHT, len(waves)))
    bumps = height * np.exp(-0.5 * ((time[:, None] - place) / width) ** 2)
    drift = _DRIFT * (rng.normal() * time + rng.normal() * np.sin(np.pi * time))
    return bumps.sum(axis=1) + drift + rng.normal(0, _NOISE, POINTS)
