"""One-dimensional convolutions as matrix products, and the Conv1D autoencoders of lab 170.

On a CPU, XLA's one-dimensional convolution is slow; the same layer as one matrix product of all
windows with the kernel is faster (benchmarks/conv1d_epoch.py). Padding and strides follow Keras:
"same" puts the smaller half of the padding in front, and a transposed convolution is the exact
adjoint of the convolution of the same kernel size and stride. Kernels start Glorot-uniform, biases
at zero. Kernels have three axes, so that the training engine takes the members of a population one
after the other: for ten seeds on two cores 1.3 to 1.6 times faster than one batched product.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, UInt32


def same_padding(length: int, kernel_size: int, stride: int) -> tuple[int, int]:
    """Zeros in front and behind that Keras's "same" adds: ceil(length / stride) outputs."""
    outputs = -(-length // stride)
    total = max((outputs - 1) * stride + kernel_size - length, 0)
    return total // 2, total - total // 2


def _windows(x: Array, taps: int, order: int = 1) -> Array:
    """[batch, n, c] -> [batch, n - taps + 1, taps * c]: every run of `taps` steps.

    `order` -1 puts the last step of a run first.
    """
    outputs = x.shape[1] - taps + 1
    return jnp.concatenate([x[:, tap : tap + outputs] for tap in range(taps)[::order]], axis=-1)


def _windows_by_column(x: Array, taps: int, order: int = 1) -> Array:
    """The same numbers as [taps * c, batch * outputs], for products that sum over the rows.

    Turning the signal round is cheaper than turning its windows round, which are wider.
    """
    outputs, x = x.shape[1] - taps + 1, x.transpose(2, 0, 1)
    parts = [x[:, :, tap : tap + outputs] for tap in range(taps)[::order]]
    return jnp.concatenate(parts, axis=0).reshape(taps * x.shape[0], -1)


def _rows(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])


def _correlate(x: Array, kernel: Array) -> Array:
    """[batch, n, c] with [taps, c, f] -> [batch, n - taps + 1, f], stride 1, no padding.

    One matrix product and `taps` shifts. The shifts are made on the narrower side: of the inputs
    before the product, or of the outputs behind it.
    """
    _, channels, features = kernel.shape
    return _product_first(x, kernel) if features < channels else _windows_first(x, kernel)


@jax.custom_vjp
def _windows_first(x: Array, kernel: Array) -> Array:
    return _windows(x, kernel.shape[0]) @ _rows(kernel)


def _windows_first_forward(x: Array, kernel: Array):
    return _windows_first(x, kernel), (x, kernel)


def _windows_first_backward(saved, gradient: Array):
    x, kernel = saved
    taps = kernel.shape[0]
    # the barrier keeps the product whole; fused into the sum it would be computed once per tap
    parts = jax.lax.optimization_barrier(gradient @ _rows(kernel).T)
    x_gradient = sum(
        jnp.pad(part, ((0, 0), (tap, taps - 1 - tap), (0, 0)))
        for tap, part in enumerate(jnp.split(parts, taps, axis=-1))
    )
    kernel_gradient = _windows_by_column(x, taps) @ _rows(gradient)
    return x_gradient, kernel_gradient.reshape(kernel.shape)


_windows_first.defvjp(_windows_first_forward, _windows_first_backward)


@jax.custom_vjp
def _product_first(x: Array, kernel: Array) -> Array:
    taps, channels, features = kernel.shape
    outputs = x.shape[1] - taps + 1
    parts = x @ kernel.transpose(1, 0, 2).reshape(channels, taps * features)
    parts = jnp.split(jax.lax.optimization_barrier(parts), taps, axis=-1)
    return sum(part[:, tap : tap + outputs] for tap, part in enumerate(parts))


def _product_first_forward(x: Array, kernel: Array):
    return _product_first(x, kernel), (x, kernel)


def _product_first_backward(saved, gradient: Array):
    x, kernel = saved
    taps, channels, features = kernel.shape
    # step p of the signal went through tap t into output p - t
    padded = jnp.pad(gradient, ((0, 0), (taps - 1, taps - 1), (0, 0)))
    x_gradient = _windows(padded, taps, -1) @ _rows(kernel.transpose(0, 2, 1))
    kernel_gradient = _windows_by_column(padded, taps, -1) @ _rows(x)
    return x_gradient, kernel_gradient.reshape(taps, features, channels).transpose(0, 2, 1)


_product_first.defvjp(_product_first_forward, _product_first_backward)


def conv1d(
    x: Float[Array, "batch length channels"],
    kernel: Float[Array, "taps channels features"],
    stride: int = 1,
    padding: tuple[int, int] = (0, 0),
) -> Float[Array, "batch outputs features"]:
    """Cross-correlation along the second axis (slide 119 calls it convolution).

    Args:
        x: signal.
        kernel: one matrix [channels, features] for each tap.
        stride: distance of two outputs.
        padding: zeros in front and behind.

    Raises:
        ValueError: the kernel does not fit the channels, or is longer than the padded signal.
    """
    taps, channels, features = kernel.shape
    outputs = (x.shape[1] + sum(padding) - taps) // stride + 1
    if channels != x.shape[-1] or outputs < 1:
        raise ValueError(f"kernel {kernel.shape} does not fit a signal {x.shape} padded {padding}")
    # A run of `stride` values becomes one wide step, so that a window is a few whole steps
    groups = -(-taps // stride)
    behind = (outputs + groups - 1) * stride - x.shape[1] - padding[0]
    x = jax.lax.pad(x, x.dtype.type(0), ((0, 0, 0), (padding[0], behind, 0), (0, 0, 0)))
    x = x.reshape(x.shape[0], -1, stride * channels)
    kernel = jnp.pad(kernel, ((0, groups * stride - taps), (0, 0), (0, 0)))
    return _correlate(x, kernel.reshape(groups, -1, features))


def conv1d_transpose(
    x: Float[Array, "batch length channels"],
    kernel: Float[Array, "taps channels features"],
    stride: int = 1,
) -> Float[Array, "batch length_stride features"]:
    """Keras's Conv1DTranspose with "same" padding: `length * stride` outputs.

    The outputs at one phase of the stride are a convolution of the input, so all phases come out of
    one matrix product, and no zeros are multiplied.

    Args:
        x: signal.
        kernel: one matrix [channels, features] for each tap.
        stride: outputs for each input.
    """
    batch, length, channels = x.shape
    taps, _, features = kernel.shape
    front, _ = same_padding(length * stride, taps, stride)
    # output[stride * q + r] = sum over d of x[q + d] @ tap[stride * -d + r + front]
    first, last = -((taps - 1 - front) // stride), (front + stride - 1) // stride
    below = stride * last - front
    above = stride * (1 - first) + front - taps
    kernel = jnp.pad(kernel, ((below, above), (0, 0), (0, 0)))
    kernel = kernel.reshape(last - first + 1, stride, channels, features)[::-1]
    kernel = kernel.transpose(0, 2, 1, 3).reshape(-1, channels, stride * features)
    padded = jax.lax.pad(x, x.dtype.type(0), ((0, 0, 0), (-first, last, 0), (0, 0, 0)))
    return _correlate(padded, kernel).reshape(batch, length * stride, features)


def _parameters(module: nn.Module, taps: int, channels: int, features: int):
    limit = math.sqrt(6.0 / (taps * channels + taps * features))  # Glorot and Bengio (2010)

    def glorot_uniform(key, shape):
        return jax.random.uniform(key, shape, minval=-limit, maxval=limit)

    kernel = module.param("kernel", glorot_uniform, (taps, channels, features))
    return kernel, module.param("bias", nn.initializers.zeros, (features,))


class Conv1D(nn.Module):
    """Convolution with "same" padding: [batch, n, c] -> [batch, ceil(n / stride), features]."""

    features: int
    kernel_size: int
    stride: int = 1

    @nn.compact
    def __call__(self, x):
        kernel, bias = _parameters(self, self.kernel_size, x.shape[-1], self.features)
        padding = same_padding(x.shape[1], self.kernel_size, self.stride)
        return conv1d(x, kernel, self.stride, padding) + bias


class Conv1DTranspose(nn.Module):
    """Transposed convolution, "same": [batch, n, c] -> [batch, n * stride, features]."""

    features: int
    kernel_size: int
    stride: int = 1

    @nn.compact
    def __call__(self, x):
        kernel, bias = _parameters(self, self.kernel_size, x.shape[-1], self.features)
        return conv1d_transpose(x, kernel, self.stride) + bias


def random_words(key: PRNGKeyArray, shape: tuple[int, ...]) -> UInt32[Array, "*shape"]:
    """32 random bits for each place: the number of the place, mixed twice with two words of `key`.

    The mixing is the end of MurmurHash3 (Appleby 2011). It costs a fifteenth of JAX's generator on
    a CPU, and the bits are the same on every device. Good for masks, not for secrets.
    """

    def mix(x):
        x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
        x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
        return x ^ (x >> 16)

    first, second = jax.random.bits(key, (2,))
    place = jax.lax.iota(jnp.uint32, math.prod(shape)).reshape(shape)
    return mix(mix(place ^ first) + second)


class Dropout(nn.Module):
    """Dropout with the cheap bits of `random_words`, drawn once and not again in every slice."""

    rate: float

    @nn.compact
    def __call__(self, x, train: bool):
        if not train or self.rate == 0.0:
            return x
        bits = random_words(self.make_rng("dropout"), x.shape)
        keep = bits >= jnp.uint32(min(round(self.rate * 2**32), 2**32 - 1))
        return jnp.where(jax.lax.optimization_barrier(keep), x / (1.0 - self.rate), 0.0)


def layers(net: nn.Module, window: int) -> list[dict[str, Any]]:
    """Name, output shape (without the batch) and parameters of each layer, in call order."""
    rows = []

    def record(layer, args, kwargs, context):
        output = layer(*args, **kwargs)
        if context.method_name == "__call__" and context.module.path:
            params = context.module.variables.get("params", {})
            size = sum(leaf.size for leaf in jax.tree.leaves(params))
            shape = " x ".join(str(n) for n in output.shape[1:])
            rows.append({"layer": context.module.name, "output": shape, "parameters": size})
        return output

    with nn.intercept_methods(record):
        x = jnp.zeros((1, window, 1))
        jax.eval_shape(lambda key: net.init(key, x, train=False), jax.random.key(0))
    return rows
