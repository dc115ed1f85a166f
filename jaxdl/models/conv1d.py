"""One-dimensional convolutions as matrix products.

On a CPU, XLA's one-dimensional convolution is slow; the same layer as one matrix product of all
windows with the kernel is faster (benchmarks/conv1d_epoch.py). Padding and strides follow Keras:
"same" puts the smaller half of the padding in front, and a transposed convolution is the exact
adjoint of the convolution of the same kernel size and stride. Kernels start Glorot-uniform, biases
at zero.

Tasks that use these layers say `convolves=True` to the training engine, so that a CPU takes the
members of a population one after the other: for ten seeds on two cores that is 1.3 to 1.6 times
faster than one batched product.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt32

# ---- the two operations --------------------------------------------------------------------------


def same_padding(length: int, kernel_size: int, stride: int) -> tuple[int, int]:
    """Zeros in front and behind that Keras's "same" adds: ceil(length / stride) outputs.

    >>> same_padding(length=8, kernel_size=7, stride=2)
    (2, 3)
    """
    outputs = -(-length // stride)
    total = max((outputs - 1) * stride + kernel_size - length, 0)
    return total // 2, total - total // 2


def conv1d(
    x: Float[Array, "batch length channels"],
    kernel: Float[Array, "taps kernel_channels features"],
    stride: int = 1,
    padding: tuple[int, int] = (0, 0),
) -> Float[Array, "batch outputs features"]:
    """Cross-correlation along the second axis (slide 99 calls it convolution).

    `y[i] = sum over t of x[stride * i + t - padding[0]] @ kernel[t]`.

    >>> signal, kernel = jnp.array([1.0, 1, 3, 4, 3]), jnp.array([1.0, 2, 1])
    >>> conv1d(signal[None, :, None], kernel[:, None, None])[0, :, 0].tolist()
    [6.0, 11.0, 14.0]

    Args:
        x: signal.
        kernel: one matrix [channels, features] for each tap.
        stride: distance of two outputs.
        padding: zeros in front and behind.

    Raises:
        ValueError: the kernel does not fit the channels, or is longer than the padded signal.
    """
    batch, length, channels = x.shape
    taps, kernel_channels, features = kernel.shape
    front, _ = padding
    outputs = (length + sum(padding) - taps) // stride + 1
    if kernel_channels != channels or outputs < 1:
        raise ValueError(f"kernel {kernel.shape} does not fit a signal {x.shape} padded {padding}")
    # `stride` steps of the signal become one wide step, and `stride` taps one wide tap; what is
    # left is a correlation of stride 1. Zeros fill the last wide tap and the last wide step.
    wide_taps = -(-taps // stride)
    wide_steps = outputs + wide_taps - 1
    behind = wide_steps * stride - length - front  # negative: steps that no output reads
    x = jax.lax.pad(x, x.dtype.type(0), ((0, 0, 0), (front, behind, 0), (0, 0, 0)))
    kernel = jnp.pad(kernel, ((0, wide_taps * stride - taps), (0, 0), (0, 0)))
    return _correlate(
        x.reshape(batch, wide_steps, stride * channels),
        kernel.reshape(wide_taps, stride * channels, features),
    )


def conv1d_transpose(
    x: Float[Array, "batch length channels"],
    kernel: Float[Array, "taps channels features"],
    stride: int = 1,
) -> Float[Array, "batch outputs features"]:
    """Keras's Conv1DTranspose with "same" padding: `length * stride` outputs.

    It is the adjoint of `conv1d`: input i adds `x[i] @ kernel[t]` to output
    `stride * i + t - front`, where `front` is the padding in front of that convolution, which goes
    from `length * stride` steps to `length`.

    Seen from the outputs, p = stride * q + phase (0 <= phase < stride) gets

        y[stride * q + phase] = sum over o of x[q + o] @ kernel[phase + front - stride * o],

    over those offsets o for which the kernel has such a tap. For one phase that is a correlation
    of the input with some of the taps. All phases look at the same offsets, so their kernels stand
    side by side as columns of one, and one correlation of stride 1 computes them all.

    >>> x, kernel = jnp.array([1.0, 2, 3]), jnp.array([1.0, 1])
    >>> conv1d_transpose(x[None, :, None], kernel[:, None, None], stride=2)[0, :, 0].tolist()
    [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]

    Args:
        x: signal.
        kernel: one matrix [channels, features] for each tap.
        stride: outputs for each input.
    """
    batch, length, channels = x.shape
    taps, _, features = kernel.shape
    front, _ = same_padding(length * stride, taps, stride)

    # The offsets that some phase needs: solve 0 <= phase + front - stride * o < taps for o
    first = -((taps - 1 - front) // stride)  # with phase 0, rounded up
    last = (stride - 1 + front) // stride  # with the last phase, rounded down
    offsets = last - first + 1

    # Zeros around the taps, so that tap `phase + front - stride * o` is row `last - o`, column
    # `phase` of the table [offsets, stride]; turned round, row `o - first`
    before = stride * last - front
    behind = offsets * stride - taps - before
    table = jnp.pad(kernel, ((before, behind), (0, 0), (0, 0)))
    table = table.reshape(offsets, stride, channels, features)[::-1]

    # [offsets, stride, channels, features] -> a kernel whose outputs are all phases of a step
    phases = table.transpose(0, 2, 1, 3).reshape(offsets, channels, stride * features)
    padded = jax.lax.pad(x, x.dtype.type(0), ((0, 0, 0), (-first, last, 0), (0, 0, 0)))
    return _correlate(padded, phases).reshape(batch, length * stride, features)


# ---- correlation of stride 1, without padding ----------------------------------------------------
# y[i] = sum over t of x[i + t] @ kernel[t]. One matrix product and `taps` shifts, in one of two
# orders: shift the inputs, then multiply; or multiply, then shift the outputs. Each has its own
# gradient, made of the same two steps, because the one that JAX derives is slower.


def _correlate(x: Array, kernel: Array) -> Array:
    """[batch, n, channels] with [taps, channels, features] -> [batch, n - taps + 1, features].

    What is shifted is the narrower of the two: the inputs or the outputs.
    """
    _, channels, features = kernel.shape
    return _multiply_first(x, kernel) if features < channels else _shift_first(x, kernel)


def _runs(x: Array, taps: int, backwards: bool = False) -> Array:
    """[batch, n, c] -> [batch, n - taps + 1, taps * c]: every run of `taps` steps, side by side.

    `backwards` puts the last step of a run first.
    """
    count = x.shape[1] - taps + 1
    shifted = [x[:, tap : tap + count] for tap in range(taps)]
    return jnp.concatenate(shifted[::-1] if backwards else shifted, axis=-1)


def _runs_as_columns(x: Array, taps: int, backwards: bool = False) -> Array:
    """The same numbers as [taps * c, batch * runs], for products that sum over all runs.

    Turning the signal round is cheaper than turning its runs round, which are wider.
    """
    count = x.shape[1] - taps + 1
    x = x.transpose(2, 0, 1)
    shifted = [x[:, :, tap : tap + count] for tap in range(taps)]
    runs = jnp.concatenate(shifted[::-1] if backwards else shifted, axis=0)
    return runs.reshape(taps * x.shape[0], -1)


def _as_matrix(x: Array) -> Array:
    """All axes but the last one become rows."""
    return x.reshape(-1, x.shape[-1])


@jax.custom_vjp
def _shift_first(x: Array, kernel: Array) -> Array:
    return _runs(x, kernel.shape[0]) @ _as_matrix(kernel)


def _shift_first_forward(x: Array, kernel: Array):
    return _shift_first(x, kernel), (x, kernel)


def _shift_first_backward(saved: tuple[Array, Array], gradient: Array):
    x, kernel = saved
    taps = kernel.shape[0]
    # step i + t gets gradient[i] @ kernel[t].T: multiply, then shift back. The barrier keeps the
    # product whole; fused into the sum it would be computed once for each tap.
    parts = jax.lax.optimization_barrier(gradient @ _as_matrix(kernel).T)
    x_gradient = sum(
        jnp.pad(part, ((0, 0), (tap, taps - 1 - tap), (0, 0)))
        for tap, part in enumerate(jnp.split(parts, taps, axis=-1))
    )
    kernel_gradient = _runs_as_columns(x, taps) @ _as_matrix(gradient)
    return x_gradient, kernel_gradient.reshape(kernel.shape)


_shift_first.defvjp(_shift_first_forward, _shift_first_backward)


@jax.custom_vjp
def _multiply_first(x: Array, kernel: Array) -> Array:
    taps, channels, features = kernel.shape
    count = x.shape[1] - taps + 1
    products = x @ kernel.transpose(1, 0, 2).reshape(channels, taps * features)
    by_tap = jnp.split(jax.lax.optimization_barrier(products), taps, axis=-1)
    return sum(product[:, tap : tap + count] for tap, product in enumerate(by_tap))


def _multiply_first_forward(x: Array, kernel: Array):
    return _multiply_first(x, kernel), (x, kernel)


def _multiply_first_backward(saved: tuple[Array, Array], gradient: Array):
    x, kernel = saved
    taps, channels, features = kernel.shape
    # step p went through tap t into output p - t: a run of the gradient that ends at p, backwards
    padded = jnp.pad(gradient, ((0, 0), (taps - 1, taps - 1), (0, 0)))
    x_gradient = _runs(padded, taps, backwards=True) @ _as_matrix(kernel.transpose(0, 2, 1))
    kernel_gradient = _runs_as_columns(padded, taps, backwards=True) @ _as_matrix(x)
    return x_gradient, kernel_gradient.reshape(taps, features, channels).transpose(0, 2, 1)


_multiply_first.defvjp(_multiply_first_forward, _multiply_first_backward)


# ---- layers --------------------------------------------------------------------------------------


class Conv1D(nn.Module):
    """Convolution with "same" padding: [batch, n, c] -> [batch, ceil(n / stride), features].

    Attributes:
        features: channels out.
        kernel_size: taps.
        stride: distance of two outputs.
    """

    features: int
    kernel_size: int
    stride: int = 1

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch length channels"]
    ) -> Float[Array, "batch outputs features"]:
        kernel, bias = _parameters(self, self.kernel_size, x.shape[-1], self.features)
        padding = same_padding(x.shape[1], self.kernel_size, self.stride)
        return conv1d(x, kernel, self.stride, padding) + bias


class Conv1DTranspose(nn.Module):
    """Transposed convolution, "same": [batch, n, c] -> [batch, n * stride, features].

    Attributes:
        features: channels out.
        kernel_size: taps.
        stride: outputs for each input.
    """

    features: int
    kernel_size: int
    stride: int = 1

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch length channels"]
    ) -> Float[Array, "batch outputs features"]:
        kernel, bias = _parameters(self, self.kernel_size, x.shape[-1], self.features)
        return conv1d_transpose(x, kernel, self.stride) + bias


def _parameters(
    module: nn.Module, taps: int, channels: int, features: int
) -> tuple[Float[Array, "taps channels features"], Float[Array, " features"]]:
    """Kernel and bias of a layer; the kernel starts as Glorot and Bengio (2010) have it."""
    limit = math.sqrt(6.0 / (taps * channels + taps * features))

    def glorot_uniform(key, shape):
        return jax.random.uniform(key, shape, minval=-limit, maxval=limit)

    kernel = module.param("kernel", glorot_uniform, (taps, channels, features))
    return kernel, module.param("bias", nn.initializers.zeros, (features,))


class Dropout(nn.Module):
    """Dropout with the cheap bits of `random_words`, drawn once and not again in every slice.

    Attributes:
        rate: share of the values that become 0 in training; the others grow by 1 / (1 - rate).
    """

    rate: float

    @nn.compact
    def __call__(
        self, x: Float[Array, " batch *features"], train: bool
    ) -> Float[Array, " batch *features"]:
        if not train or self.rate == 0.0:
            return x
        bits = random_words(self.make_rng("dropout"), x.shape)
        keep = bits >= jnp.uint32(min(round(self.rate * 2**32), 2**32 - 1))
        return jnp.where(jax.lax.optimization_barrier(keep), x / (1.0 - self.rate), 0.0)


def random_words(key: PRNGKeyArray, shape: tuple[int, ...]) -> UInt32[Array, "..."]:
    """32 random bits for each place: the number of the place, mixed twice with two words of `key`.

    The mixing is the end of MurmurHash3 (Appleby 2011). It costs a fifteenth of JAX's generator on
    a CPU, and the bits are the same on every device. Good for masks, not for secrets.

    Args:
        key: the same key gives the same bits.
        shape: of the result.
    """

    def mix(x):
        x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
        x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
        return x ^ (x >> 16)

    first, second = jax.random.bits(key, (2,))
    place = jax.lax.iota(jnp.uint32, math.prod(shape)).reshape(shape)
    return mix(mix(place ^ first) + second)


# ---- summary -------------------------------------------------------------------------------------


def layer_rows(
    net: nn.Module, x: Float[np.ndarray, " batch *features"]
) -> list[dict[str, str | int]]:
    """The layers of a net in the order in which it calls them; nothing is computed.

    Args:
        net: called as `net(x, train)`.
        x: some inputs.

    Returns:
        for each layer its name, the shape of its output without the batch ("144 x 32"), and its
        number of parameters, under "layer", "output" and "parameters".
    """
    rows = []

    def record(call, args, kwargs, context):
        output = call(*args, **kwargs)
        module = context.module
        is_layer = context.method_name == "__call__" and module.path  # the net itself has no path
        if is_layer:
            parameters = module.variables.get("params", {})
            rows.append(
                {
                    "layer": module.name,
                    "output": " x ".join(map(str, output.shape[1:])),
                    "parameters": sum(leaf.size for leaf in jax.tree.leaves(parameters)),
                }
            )
        return output

    with nn.intercept_methods(record):
        jax.eval_shape(lambda key, x: net.init(key, x, train=False), jax.random.key(0), x)
    return rows
