"""Figures of variational autoencoders of images: samples, walks, the latent plane."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Int, UInt8

from jaxdl import image_vae
from jaxdl.autoencoder_figures import image_rows, latent_maps, mosaic
from jaxdl.models.vae import VAE
from jaxdl.training import Fitted

MAP_ROWS = 5000  # points of a scatter plot


def latent_space(
    module: VAE,
    fitted: Fitted,
    x: UInt8[np.ndarray, "rows pixels"],
    label: Int[np.ndarray, " rows"],
    classes: Sequence[str],
) -> Mapping[str, Callable[[], Any]]:
    """Draws from the prior, copies, and walks along the dimensions that vary most; first member.

    Args:
        module: the model.
        fitted: its population.
        x: binary test images; the first is where the walks start.
        label, classes: class of each image, name of each class.
    """

    def copies():
        first = [int(np.flatnonzero(label == k)[0]) for k in range(len(classes))]
        code = fitted.predict(image_vae.means, {"x": x[first]})[0]
        copy = image_vae.images_of(module, fitted, code)
        rows = {"binary image": x[first], "code": code, "reconstruction": copy}
        return image_rows(rows, classes)

    def samples():
        latent = fitted.predict(image_vae.means, {"x": x[:1]}).shape[-1]
        codes = np.asarray(jax.random.normal(jax.random.key(0), (100, latent)))
        return mosaic(image_vae.images_of(module, fitted, codes), 10, "draws from the prior")

    def walks():
        code = fitted.predict(image_vae.means, {"x": x})[0]
        widest = np.argsort(-code.var(axis=0))[:8]
        steps = np.linspace(-3, 3, 11)
        rows = image_vae.traversals(code[0], widest, steps)
        shown = {name: image_vae.images_of(module, fitted, codes) for name, codes in rows.items()}
        return image_rows(shown, [f"{step:+.1f}" for step in steps])

    return {"copies": copies, "samples": samples, "traversals": walks}


def latent_plane(
    module: VAE,
    fitted: Fitted,
    x: UInt8[np.ndarray, "rows pixels"],
    label: Int[np.ndarray, " rows"],
    classes: Sequence[str],
) -> Mapping[str, Callable[[], Any]]:
    """A model with two latent dimensions: its plane decoded, and the codes of test images on it."""

    def spots():
        code = fitted.predict(image_vae.means, {"x": x[:MAP_ROWS]})[0]
        return latent_maps({"posterior means": code}, label[:MAP_ROWS], classes)

    decoded = partial(image_vae.images_of, module, fitted)
    return {
        "latent_plane": lambda: mosaic(decoded(image_vae.plane(20)), 20, "latent plane"),
        "latent_map": spots,
    }
