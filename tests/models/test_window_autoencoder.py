"""The narrow net of short windows: its code is smaller than the window, and it finds odd beats."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from jaxdl import optim
from jaxdl.models import window_autoencoder
from jaxdl.models.conv1d import layer_rows
from jaxdl.timeseries import windows
from jaxdl.training import Task, fit, module_functions


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("window", [4, 8, 48, 140, 284, 292, 1000])
def test_the_code_is_smaller_than_the_window(window, channels):
    code = window_autoencoder.code_for(window, channels)
    assert 1 <= code < window * channels
    rows = layer_rows(window_autoencoder.lecture_net(code), np.zeros((1, window, channels)))
    narrowest = min(np.prod([int(n) for n in row["output"].split(" x ")]) for row in rows)
    assert narrowest == code
    assert rows[-1]["output"] == f"{window} x {channels}"


def test_the_lectures_own_window_keeps_the_lectures_net():
    assert window_autoencoder.code_for(288, 1) is None
    assert window_autoencoder.lecture_net(None) == window_autoencoder.lecture_net()
    rows = layer_rows(window_autoencoder.lecture_net(None), np.zeros((1, 288, 1)))
    assert sum(row["parameters"] for row in rows) == 9_313


# Waves of a beat as (place, width, height); the first kind is the normal one. Made up.
BEATS = (
    ((0.15, 0.03, 0.25), (0.33, 0.012, -0.35), (0.35, 0.012, 1.6), (0.38, 0.014, -0.5),
     (0.62, 0.055, 0.5)),
    ((0.31, 0.05, -0.3), (0.36, 0.045, 1.3), (0.44, 0.05, -0.7), (0.66, 0.06, -0.5)),
    ((0.08, 0.03, 0.25), (0.27, 0.012, -0.35), (0.29, 0.012, 1.5), (0.32, 0.014, -0.5),
     (0.55, 0.055, 0.45)),
    ((0.15, 0.03, 0.25), (0.33, 0.012, -0.2), (0.35, 0.012, 1.2), (0.38, 0.014, -0.3),
     (0.62, 0.055, -0.25)),
    ((0.15, 0.03, 0.25), (0.33, 0.012, -0.35), (0.35, 0.012, 1.6), (0.41, 0.05, 0.45),
     (0.62, 0.055, 0.5)),
)  # fmt: skip


def beat(kind, rng, points=140):
    """One beat: waves of its kind, stretched and shifted a little, a wandering base line, noise."""
    time = np.linspace(0, 1, points)
    stretch, shift = 1 + 0.03 * rng.normal(), 0.012 * rng.normal()
    value = 0.1 * rng.normal() * (time - 0.5) + 0.05 * rng.normal(size=points)
    value += 0.06 * rng.normal() * np.sin(2 * np.pi * (time * rng.uniform(0.5, 2) + rng.random()))
    for place, width, height in BEATS[kind]:
        centre = 0.35 + (place - 0.35) * stretch + shift
        height *= rng.lognormal(0, 0.08)
        value += height * np.exp(-0.5 * ((time - centre) / (width * stretch)) ** 2)
    return value


def beats(seed, learn, normal, odd):
    """(normal beats to learn from, beats to judge, which of them are odd); in one scale."""
    rng = np.random.default_rng(seed)
    train = np.stack([beat(0, rng) for _ in range(learn)])
    kinds = np.repeat(range(5), [normal, odd, odd, odd, odd])
    test = np.stack([beat(kind, rng) for kind in kinds])
    mean, sd = train.mean(), train.std()
    return *(((x - mean) / sd).astype(np.float32)[:, :, None] for x in (train, test)), kinds > 0


def test_on_beats_it_is_no_worse_than_pca():
    """One seed and few epochs; the lecture's net copies two of the odd kinds."""
    train, test, odd = beats(0, learn=1500, normal=200, odd=50)
    flat = train[:, :, 0]
    pca = PCA(16).fit(flat)
    copies = pca.inverse_transform(pca.transform(test[:, :, 0]))
    linear = roc_auc_score(odd, np.square(copies - test[:, :, 0]).mean(axis=1))

    def auroc(net):
        init, apply = module_functions(net)

        def optimizer(hyper):
            return optim.adam(2e-3)

        task = Task(init, apply, windows.window_loss, optimizer, convolves=True)
        fitted = fit(task, {"x": train}, seeds=[0], epochs=15, batch_size=64)
        return roc_auc_score(odd, fitted.predict(windows.window_errors, {"x": test})["MSE"][0])

    code = window_autoencoder.code_for(140, 1)
    narrow = auroc(window_autoencoder.lecture_net(code))
    assert narrow >= linear
    assert narrow > auroc(window_autoencoder.lecture_net()) + 0.1
