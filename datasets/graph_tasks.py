"""Small synthetic tasks for the seven model graphs of lab 020; each is a pure function of its seed.

Each is made so that a straight line through its raw inputs tells nothing, and those for graphs with
several inputs or branches so that a part of what is shown does not suffice. There is no real data
behind them: the lecture builds these graphs without any.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

SIDE = 64
STEPS = 100
PERIOD = 6  # columns: wider than a 4x4 kernel sees, pooled by two, narrower than an 8x8 one

Rows = dict[str, np.ndarray]


def train_and_test(make: Callable[[int, int], Rows], train: int, test: int) -> tuple[Rows, Rows]:
    """Training and test rows of one task, from different streams of random numbers.

    Args:
        make: (rows, seed) -> rows: one of the functions below.
        train, test: numbers of rows.
    """
    return make(train, 0), make(test, 1)


def _rng(seed: int, task: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([seed, task]))


# ---- vectors -------------------------------------------------------------------------------------


def shell(rows: int, seed: int) -> Rows:
    """{"x": [rows, 10], "output"}: 1 outside a sphere in the first three columns, half of the rows.

    The other seven columns are noise.
    """
    rng = _rng(seed, 1)
    x = rng.normal(size=(rows, 10)).astype(np.float32)
    squared_radius = np.square(x[:, :3]).sum(axis=1)
    median = 2.366  # of a chi-squared variable with three degrees of freedom
    return {"x": x, "output": (squared_radius > median).astype(np.float32)}


# ---- images --------------------------------------------------------------------------------------


def directions(rows: int, seed: int) -> Rows:
    """{"image": [rows, 64, 64, 1], "output"}: 1 for vertical strokes, 0 for horizontal ones.

    Eight strokes of random place, in noise, which leave the image on one side and enter it again on
    the other, so that the mean image of both classes is the same even grey.
    """
    rng = _rng(seed, 2)
    vertical = rng.integers(0, 2, rows)
    image = rng.normal(0, 0.2, (rows, SIDE, SIDE)).astype(np.float32)
    height, width = np.where(vertical, 12, 1), np.where(vertical, 1, 12)
    for _ in range(8):
        image += _boxes(rng, height, width, around=True)
    return {"image": image[..., None], "output": vertical.astype(np.float32)}


def two_scales(rows: int, seed: int) -> Rows:
    """{"image": [rows, 64, 64, 1], "output"}: 1 for stripes on a repeating ground.

    The ground is noise that comes back after six columns, with the same sign or with the opposite
    one; a window narrower than seven columns sees noise in both cases. On it lie fine stripes, or
    none. Where the answer is 0 either the stripes or the equal sign is missing, so one of the two
    alone is right three times out of four and no oftener. Places and signs are random.
    """
    rng = _rng(seed, 3)
    label, only = rng.integers(0, 2, rows), rng.integers(0, 2, rows)
    striped, equal_sign = (label == 1) | (only == 0), (label == 1) | (only == 1)

    tile = rng.normal(0, 0.15, (rows, SIDE, PERIOD))
    sign = np.where(equal_sign, 1.0, -1.0)[:, None, None]
    tiles = [tile * sign**place for place in range(SIDE // PERIOD + 1)]
    ground = np.concatenate(tiles, axis=2)[:, :, :SIDE]

    phase = rng.choice([-0.3, 0.3], (rows, 1, 1))
    alternating = np.where(np.arange(SIDE) % 2, 1.0, -1.0)
    side = np.full(rows, 24)
    stripes = phase * alternating * _boxes(rng, side, side)
    image = ground + striped[:, None, None] * stripes
    return {"image": image.astype(np.float32)[..., None], "output": label.astype(np.float32)}


def pair(rows: int, seed: int) -> Rows:
    """{"grey": [rows, 64, 64, 1], "colour": [rows, 32, 32, 3], "output"}: a number from two images.

    The width of a disc, bright or dark, in the one, and the contrast of stripes, of random phase
    and colour, in the other. The answer is the difference of the two, scaled to variance 1; one
    image alone explains half of it.
    """
    rng = _rng(seed, 4)
    width, contrast = rng.uniform(-1, 1, (2, rows))

    y, x = rng.uniform(20, SIDE - 20, (2, rows, 1, 1))
    grid = np.arange(SIDE)
    distance = np.sqrt((grid[None, :, None] - y) ** 2 + (grid[None, None, :] - x) ** 2)
    disc = np.clip((11 + 7 * width)[:, None, None] - distance + 0.5, 0, 1)  # a soft edge
    grey = rng.choice([-1.0, 1.0], rows)[:, None, None] * disc
    grey = grey + rng.normal(0, 0.2, grey.shape)

    phase = rng.uniform(0, 2 * np.pi, (rows, 1))
    wave = np.sin(2 * np.pi * np.arange(32)[None] / 8 + phase)
    hue = rng.normal(size=(rows, 3))
    hue = hue / np.linalg.norm(hue, axis=1, keepdims=True)
    row = (0.55 + 0.45 * contrast)[:, None, None] * wave[:, :, None] * hue[:, None, :]
    colour = np.repeat(row[:, None], 32, axis=1) + rng.normal(0, 0.2, (rows, 32, 32, 3))

    answer = (width - contrast) * np.sqrt(3 / 2)  # variance 1
    return {
        "grey": grey.astype(np.float32)[..., None],
        "colour": colour.astype(np.float32),
        "output": answer.astype(np.float32),
    }


def _boxes(
    rng: np.random.Generator,
    height: Int[np.ndarray, " rows"],
    width: Int[np.ndarray, " rows"],
    around: bool = False,
) -> Float[np.ndarray, "rows 64 64"]:
    """1 in a box at a random place of each image, else 0.

    Args:
        rng: what draws the places.
        height, width: of each image's box.
        around: the place is anywhere, and what goes over an edge comes back at the opposite one;
            otherwise every box lies inside its image.
    """
    inside_rows = _spans(rng, height, around)
    inside_columns = _spans(rng, width, around)
    return (inside_rows[:, :, None] & inside_columns[:, None, :]).astype(np.float32)


def _spans(rng: np.random.Generator, size: np.ndarray, around: bool) -> np.ndarray:
    """[rows, 64]: True in `size` places that follow one another, from a random one on."""
    starts = SIDE if around else SIDE - size + 1
    start = np.floor(rng.uniform(0, starts, len(size)))
    return (np.arange(SIDE)[None] - start[:, None]) % SIDE < size[:, None]


# ---- series --------------------------------------------------------------------------------------


def saw(rows: int, seed: int) -> Rows:
    """{"series": [rows, 100, 1], "output"}: 1 for rising teeth, 0 for falling ones.

    A saw tooth between 0 and 1 of random phase and period (12 to 25 steps), in noise: played
    backwards, the one class is the other.
    """
    rising, _, noisy = _one_pace(rows, seed, noise=0.1)
    return {"series": noisy, "output": rising}


def saw_and_clean(rows: int, seed: int, lowest: float = 0.0) -> Rows:
    """{"series", "label", "sequence": [rows, 100]}: `saw` in more noise, and without any.

    Args:
        rows, seed: as in `saw`.
        lowest: least value of the clean series; its greatest is one more. The noisy series, which
            goes in, stays as it is.
    """
    rising, clean, noisy = _one_pace(rows, seed, noise=0.2)
    return {"series": noisy, "label": rising, "sequence": clean + np.float32(lowest)}


def saw_and_pace(rows: int, seed: int) -> Rows:
    """{"series", "output"}: 1 where the teeth rise and are short, or fall and are long.

    Neither the direction nor the period alone says anything.
    """
    rng = _rng(seed, 6)
    rising, short = rng.integers(0, 2, (2, rows))
    period = np.where(short, rng.uniform(8, 12, rows), rng.uniform(18, 28, rows))
    _, noisy = _teeth(rng, rising, period, noise=0.1)
    return {"series": noisy, "output": (rising == short).astype(np.float32)}


def _one_pace(rows: int, seed: int, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether the teeth rise, as 0 or 1 [rows]; the clean series; the noisy ones."""
    rng = _rng(seed, 5)
    rising = rng.integers(0, 2, rows)
    clean, noisy = _teeth(rng, rising, rng.uniform(12, 25, rows), noise)
    return rising.astype(np.float32), clean, noisy


def _teeth(
    rng: np.random.Generator,
    rising: Int[np.ndarray, " rows"],
    period: Float[np.ndarray, " rows"],
    noise: float,
) -> tuple[Float[np.ndarray, "rows 100"], Float[np.ndarray, "rows 100 1"]]:
    """Saw teeth between 0 and 1, clean and with noise of this standard deviation."""
    phase = rng.uniform(0, 1, len(period))
    teeth = (np.arange(STEPS)[None] / period[:, None] + phase[:, None]) % 1
    clean = np.where(rising[:, None], teeth, 1 - teeth).astype(np.float32)
    noisy = clean + rng.normal(0, noise, clean.shape)
    return clean, noisy.astype(np.float32)[..., None]
