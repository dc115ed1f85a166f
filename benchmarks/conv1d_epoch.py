"""Seconds per epoch of the net of lab 170: matrix products, lax.conv, PyTorch, Keras on TensorFlow.

    python benchmarks/conv1d_epoch.py --rounds 5

3,370 windows of 288 steps, batch 128, Adam, dropout 0.2, two threads. All contestants run in one
process and take turns, so that a busy machine slows them alike; medians count.
PyTorch and Keras are left out where they are not installed.
"""

import os
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from harness import build, markdown, measure, options, publish, timed

from jaxdl.models import window_autoencoder
from jaxdl.training import parallel
from jaxdl.training.task import module_functions

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


WINDOWS, WINDOW, BATCH = 3370, 288, 128


def ours():
    """The layers of jaxdl.models.conv1d, jitted steps."""
    return jax_epoch(*module_functions(window_autoencoder.lecture_net()))


def xla_convolutions():
    """The same net with XLA's own convolutions."""
    init, _ = module_functions(window_autoencoder.lecture_net())
    numbers = ("NWC", "WIO", "NWC")

    def convolve(x, layer):
        y = jax.lax.conv_general_dilated(
            x, layer["kernel"], (2,), "SAME", dimension_numbers=numbers
        )
        return y + layer["bias"]

    def transpose(x, layer, stride):
        y = jax.lax.conv_transpose(x, layer["kernel"], (stride,), "SAME", dimension_numbers=numbers)
        return y + layer["bias"]

    def drop(x, key):
        return jnp.where(jax.random.bernoulli(key, 0.8, x.shape), x / 0.8, 0.0)

    def apply(variables, batch, key, train, hyper):
        p, keys = variables["params"], jax.random.split(key)
        x = drop(jax.nn.relu(convolve(batch["x"], p["Conv1D_0"])), keys[0])
        x = drop(jax.nn.relu(convolve(x, p["Conv1D_1"])), keys[1])
        x = jax.nn.relu(transpose(x, p["Conv1DTranspose_0"], 2))
        x = jax.nn.relu(transpose(x, p["Conv1DTranspose_1"], 2))
        return transpose(x, p["Conv1DTranspose_2"], 1), {}

    return jax_epoch(init, apply)


def jax_epoch(init, apply):
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(params, state, key, start, x):
        key = jax.random.fold_in(key, start)

        def loss(params):
            outputs, _ = apply({"params": params}, {"x": x}, key, True, {})
            return jnp.square(outputs - x).mean()

        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return optax.apply_updates(params, updates), state

    params = init(jax.random.key(0), {"x": jnp.zeros((1, WINDOW, 1))})["params"]
    kept, key = [params, optimizer.init(params)], jax.random.key(1)

    def epoch(x):
        for start in range(0, len(x) - BATCH + 1, BATCH):
            kept[:] = step(*kept, key, start, x[start : start + BATCH])
        jax.block_until_ready(kept)

    return epoch


def torch_epoch():
    """PyTorch, channels first as it wants them, fused Adam."""
    import torch
    from torch import nn

    torch.set_num_threads(2)
    layers = [nn.Conv1d(1, 32, 7, 2, 3), nn.ReLU(), nn.Dropout(0.2)]
    layers += [nn.Conv1d(32, 16, 7, 2, 3), nn.ReLU(), nn.Dropout(0.2)]
    layers += [nn.ConvTranspose1d(16, 16, 7, 2, 3, 1), nn.ReLU()]
    layers += [nn.ConvTranspose1d(16, 32, 7, 2, 3, 1), nn.ReLU(), nn.ConvTranspose1d(32, 1, 1)]
    net = nn.Sequential(*layers)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, fused=True)

    def epoch(x):
        tensor = torch.from_numpy(x).transpose(1, 2).contiguous()
        for start in range(0, len(x) - BATCH + 1, BATCH):
            batch = tensor[start : start + BATCH]
            optimizer.zero_grad(set_to_none=True)
            nn.functional.mse_loss(net(batch), batch).backward()
            optimizer.step()

    return epoch


def keras_epoch():
    """Keras on TensorFlow, `fit` of one epoch."""
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(2)
    layers, same = keras.layers, {"padding": "same", "activation": "relu", "strides": 2}
    net = keras.Sequential(
        [
            layers.Input((WINDOW, 1)),
            layers.Conv1D(32, 7, **same),
            layers.Dropout(0.2),
            layers.Conv1D(16, 7, **same),
            layers.Dropout(0.2),
            layers.Conv1DTranspose(16, 7, **same),
            layers.Conv1DTranspose(32, 7, **same),
            layers.Conv1DTranspose(1, 1, padding="same"),
        ]
    )
    net.compile(keras.optimizers.Adam(1e-3), "mse")
    rows = WINDOWS // BATCH * BATCH
    return lambda x: net.fit(x[:rows], x[:rows], batch_size=BATCH, epochs=1, verbose=0)


def epochs(make):
    """Builds a contestant and gives it the windows; the harness times its epochs."""
    x = np.random.default_rng(0).normal(size=(WINDOWS, WINDOW, 1)).astype(np.float32)
    return lambda: timed(partial(make(), x))


def main():
    args = options(__doc__).parse_args()
    parallel.keep_large_buffers()
    makers = {
        "jaxdl, windowed matrix products": epochs(ours),
        "JAX, lax.conv": epochs(xla_convolutions),
        "PyTorch": epochs(torch_epoch),
        "Keras, tensorflow": epochs(keras_epoch),
    }
    title = f"Conv1D autoencoder, {WINDOWS:,} windows, batch {BATCH}, seconds per epoch"
    table = markdown(title, measure(build(makers), args.rounds))
    command = f"python benchmarks/conv1d_epoch.py --rounds {args.rounds}"
    publish(args.record, "conv1d_epoch", "Conv1D autoencoder: one epoch", table, command)


if __name__ == "__main__":
    main()
