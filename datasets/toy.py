"""Small synthetic sets of points that lectures draw; each is a pure function of its seed."""

import numpy as np
from jaxtyping import Float, Int
from sklearn.datasets import make_blobs, make_circles, make_moons


def lecture_points(n: int = 100, seed: int = 42) -> Float[np.ndarray, "n 3"]:
    """Points near a bent, tilted sheet in space (lab 050, the first autoencoder).

    x = cos a + 0.5 sin a, y = 0.7 sin a, z = 0.1 x + 0.3 y, each with noise, for angles a on three
    quarters of a turn. NumPy's old generator with seed 42 gives the lecture's very numbers.

    Returns:
        float64; neither centred nor scaled.
    """
    rng = np.random.RandomState(seed)  # the lecture's stream
    angle = rng.rand(n) * 3 * np.pi / 2 - 0.5
    x = np.cos(angle) + np.sin(angle) / 2 + 0.1 * rng.randn(n) / 2
    y = np.sin(angle) * 0.7 + 0.1 * rng.randn(n) / 2
    z = 0.1 * x + 0.3 * y + 0.1 * rng.randn(n)
    return np.stack([x, y, z], axis=1)


def shapes(
    n: int = 400, seed: int = 0
) -> dict[str, tuple[Float[np.ndarray, "n 2"], Int[np.ndarray, " n"]]]:
    """Two moons, two rings, blobs of unlike width, stretched blobs, and no clusters at all.

    Returns:
        Name -> (points, each axis with mean 0 and standard deviation 1; their true clusters).
    """
    blobs = make_blobs(n, cluster_std=[1.0, 2.5, 0.5], random_state=170 + seed)
    round_ones, labels = make_blobs(n, random_state=170 + seed)
    stretched = round_ones @ np.array([[0.6, -0.6], [-0.4, 0.8]]), labels
    box = np.random.default_rng(seed).uniform(size=(n, 2)), np.zeros(n, int)
    made = {
        "moons": make_moons(n, noise=0.05, random_state=seed),
        "rings": make_circles(n, factor=0.5, noise=0.05, random_state=seed),
        "unlike widths": blobs,
        "stretched": stretched,
        "no clusters": box,
    }
    return {name: ((x - x.mean(0)) / x.std(0), y) for name, (x, y) in made.items()}
