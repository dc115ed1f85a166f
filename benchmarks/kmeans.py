"""K-means beside scikit-learn: all pixels of a picture, and all fits of a gap statistic.

    python benchmarks/kmeans.py [--rounds 3] [--record docs/benchmarks.md]

scikit-learn runs as a user calls it: one k-means++ start on all pixels; the gap statistic as a loop
of fits. Compilation is not timed; the quality of the pictures' fits is compared in lab 050's table.
"""

import time

import jax
import numpy as np
from harness import markdown, measure, options, publish
from sklearn.cluster import KMeans
from sklearn.datasets import load_sample_image, make_blobs

from jaxdl.cli.labs import find_lab, load_lab
from jaxdl.clustering import choose_k


def timer(work):
    """A peer out of a function, warmed up."""
    jax.block_until_ready(work())

    def run():
        began = time.perf_counter()
        jax.block_until_ready(work())
        return time.perf_counter() - began

    return run


def picture(rounds: int) -> str:
    lab = load_lab(find_lab("image_segmentation"))
    config, pixels = lab.Config(), load_sample_image("china.jpg")
    flat = pixels.reshape(-1, 3) / 255

    def loop():
        for k in config.ks:
            KMeans(k, n_init=1, random_state=0).fit(flat)

    peers = {
        f"this project, {config.starts} starts": timer(lambda: lab.segment(pixels, config, 0)),
        "scikit-learn, 1 start": timer(loop),
    }
    title = f"china.jpg, {len(flat):,} pixels, k = 2..10"
    return markdown(title, measure(peers, rounds))


def gap(rounds: int) -> str:
    x, _ = make_blobs(300, centers=5, random_state=0)
    ks, references, restarts = tuple(range(1, 11)), 20, 5
    rng, key = np.random.default_rng(0), jax.random.key(0)

    def loop():
        boxes = [rng.uniform(x.min(0), x.max(0), x.shape) for _ in range(references)]
        for data in [x, *boxes]:
            for k in ks:
                KMeans(k, n_init=restarts).fit(data)

    peers = {
        "one program": timer(lambda: choose_k.gap_statistic(key, x, ks, references, restarts).gap),
        "scikit-learn, a loop of fits": timer(loop),
    }
    fits = (references + 1) * len(ks) * restarts
    return markdown(f"gap statistic, 300 points, {fits:,} fits", measure(peers, rounds))


def main() -> None:
    args = options(__doc__, rounds=3).parse_args()
    tables = f"{picture(args.rounds)}\n\n{gap(args.rounds)}"
    publish(args.record, "kmeans", "K-means", tables, "python benchmarks/kmeans.py")


if __name__ == "__main__":
    main()
