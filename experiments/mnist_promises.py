"""Lab 460, second part - what autoencoders promise, measured (오토인코더 활용)

The deck lists uses of autoencoders. Here each is shown and measured on (Fashion-)MNIST with one
net, 784-512-256-32 and back: compression and removal of noise, against PCA and a median filter;
search for similar images; images changed, mixed and made out of nothing; classifiers pre-trained
without labels; maps of the code.

    python run.py experiments/mnist_promises.py --seeds 3
    python run.py experiments/mnist_promises.py --data mnist --seeds 3

Protocol: 55,000 training images, the last 5,000 choose the epoch (and PCA's size against noise),
test images are used once. Labels serve only to judge, and where a number of labels is named. Tables
of changed images and of maps show the first seed. The deck has no numbers; ours: docs/results.md.
Runtime on one CPU core: about 12 minutes for three seeds.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from datasets import mnist
from jaxdl import image_autoencoder as images
from jaxdl import image_promises as promises
from jaxdl import noise, pretraining, protocol
from jaxdl.anomaly.scores import fit_pca
from jaxdl.autoencoder_figures import image_rows, latent_maps
from jaxdl.figures import loss_curves
from jaxdl.image_promises import Labelled
from jaxdl.models.autoencoder import DenseAutoencoder, identity
from jaxdl.report import Results
from jaxdl.runs import Run


@dataclass(frozen=True)
class Config:
    data: mnist.Name = "fashion_mnist"
    """Which images."""
    widths: tuple[int, ...] = (512, 256, 32)
    """Encoder; the last is the code. The decoder mirrors it."""
    epochs: int = 12
    """Passes over the training images, for each of the two autoencoders."""
    batch_size: int = 128
    """Images in a step."""
    learning_rate: float = 2e-3
    """Adam's highest step size; it falls to 0 on a cosine."""
    valid_rows: int = 5000
    """Training images, the last ones, that choose the epoch."""
    sd: float = 0.3
    """Gaussian noise: standard deviation, for pixels from 0 to 1."""
    salted: float = 0.2
    """Salt and pepper: share of pixels."""
    masked: float = 0.5
    """Masking: share of pixels."""
    queries: int = 1000
    """Test images that are searched for."""
    made: int = 500
    """Images of each kind that are changed or made."""
    mapped: int = 2000
    """Test images on the maps."""
    tsne: bool = True
    """Also draw maps by t-SNE."""
    labels: tuple[int, ...] = (100, 1000)
    """Numbers of labels for the classifiers, as many of every class."""
    classifier_steps: int = 1000
    """Optimiser steps of the classifying nets, batch 50."""
    twin_rows: int = mnist.ROWS
    """Training images of the simulated twin, where no real files are found."""


PRESETS = {
    "quick": Config(
        widths=(64, 16),
        epochs=8,
        batch_size=32,
        learning_rate=1e-2,
        valid_rows=120,
        queries=100,
        made=50,
        mapped=100,
        tsne=False,
        labels=(50,),
        classifier_steps=60,
        twin_rows=1200,
    )
}


def main(config: Config, run: Run) -> Results:
    data = mnist.load(run.source, config.data, config.twin_rows)
    run.uses(data.provenance)
    test = Labelled(images.flat(data.test.image), data.test.label)
    rows, held = protocol.split_off({"x": images.flat(data.train.image)}, config.valid_rows)
    train = Labelled(rows["x"], data.train.label[: len(rows["x"])])
    kinds = noise.kinds(config.sd, config.salted, config.masked)
    pca = fit_pca(images.unit(jnp.asarray(train.x)), min(256, len(train.x)))
    net = DenseAutoencoder(mnist.SIDE**2, config.widths, jax.nn.gelu, code_activation=identity)

    size = {"epochs": config.epochs, "batch_size": config.batch_size}
    rate = images.cosine(config.learning_rate, rows=len(train.x), **size)
    fit = partial(run.fit, train=rows, patience=config.epochs, **size)
    plain_task = images.copy_task(net, "mse", rate)
    plain = fit("autoencoder", plain_task, valid=held)
    spoil = noise.any_of(kinds)
    # validation images are noisy too: the epoch is chosen that cleans best, not copies best
    spoilt = images.spoilt(held, spoil, jax.random.key(0))
    denoiser = fit("denoiser", images.copy_task(net, "mse", rate, spoil), valid=spoilt)
    blank = run.fit("untrained", plain_task, rows, epochs=0, batch_size=config.batch_size)

    cleaned, noisy = promises.noise_removal(denoiser, plain, pca, kinds, held["x"], test.x)
    searched = {"autoencoder": plain, "denoising autoencoder": denoiser, "untrained": blank}
    made, examples = promises.changed_images(net, plain, pca, train, test.first(config.made))
    mapped, maps = promises.maps_of(plain, test.first(config.mapped), config.tsne)
    right = {n: taught(config, run, n, net, plain, train, test) for n in config.labels}
    tables = [
        promises.compression(net, plain, pca, train, test),
        cleaned,
        promises.similar_images(searched, pca, train, test.first(config.queries)),
        made,
        promises.few_labels(right, len(test.x)),
        mapped,
    ]
    curves = {"autoencoder": plain.history, "denoiser": denoiser.history}
    figures = {
        "loss": lambda: loss_curves(curves, "mse", "MSE (denoiser: of noisy images)"),
        "noise": lambda: image_rows(noisy),
        "similar": lambda: image_rows(promises.search_rows(plain, train, test.first(8))),
        "between": lambda: image_rows(promises.between(net, plain, test, 10)),
        "changed_and_made": lambda: image_rows(examples),
        "maps": lambda: latent_maps(maps, test.label[: config.mapped], data.classes),
    }
    headline = {"denoised, PSNR": cleaned.rows[0]["denoising autoencoder"]}
    return Results(tables, figures, headline)


def taught(config: Config, run: Run, count: int, net, plain, train, test) -> dict:
    """Test accuracy of classifiers that see `count` labels: without and with the encoder."""
    shown = pretraining.labelled(train.x, train.label, count, run.seeds)
    found = pretraining.linear(plain, shown, test)
    size = {"epochs": -(-config.classifier_steps // -(-count // 50)), "batch_size": 50}
    starts = {"net from scratch": None, "net from the encoder": plain.variables["params"]}
    for name, start in starts.items():
        task = pretraining.classifier_task(net, 10, len(run.seeds), start)
        fitted = run.fit(f"{name.replace(' ', '-')}-{count}", task, shown, **size)
        judged = {"x": test.x, "y": test.label.astype(np.int32)}
        found[name] = fitted.predict(pretraining.hits, judged).mean(axis=1)
    return found
