"""Augmentation against scipy.ndimage with Keras's matrices, one transform at a time and all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxdl.vision import augmentation

FILLS = ("nearest", "constant", "reflect")
WARPS = {
    "none": augmentation.Warp(),
    "rotation": augmentation.Warp(rotation=33.0),
    "width shift": augmentation.Warp(shift_x=2.7),
    "height shift": augmentation.Warp(shift_y=-3.2),
    "shear": augmentation.Warp(shear=18.0),
    "zoom": augmentation.Warp(zoom_x=0.83, zoom_y=1.17),
    "flip": augmentation.Warp(flip=True),
    "all": augmentation.Warp(-27.0, 1.9, -2.3, 14.0, 1.15, 0.9, True),
}


def keras(image, warp, fill, constant):
    """ImageDataGenerator's steps in float64: matrices about the centre, SciPy's warp, the flip."""
    height, width, _ = image.shape
    theta, shear = np.deg2rad(warp.rotation), np.deg2rad(warp.shear)
    steps = [
        [[np.cos(theta), -np.sin(theta), 0], [np.sin(theta), np.cos(theta), 0], [0, 0, 1]],
        [[1, 0, warp.shift_x], [0, 1, warp.shift_y], [0, 0, 1]],
        [[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]],
        [[warp.zoom_x, 0, 0], [0, warp.zoom_y, 0], [0, 0, 1]],
    ]
    centre = np.array([[1, 0, width / 2 - 0.5], [0, 1, height / 2 - 0.5], [0, 0, 1]])
    m = centre @ np.linalg.multi_dot(steps) @ np.linalg.inv(centre)
    swapped = m[[1, 0, 2]][:, [1, 0, 2]]  # SciPy counts rows first
    channels = [
        ndimage.affine_transform(
            image[..., c], swapped[:2, :2], swapped[:2, 2], order=1, mode=fill, cval=constant
        )
        for c in range(image.shape[-1])
    ]
    result = np.stack(channels, axis=-1)
    return result[:, ::-1] if warp.flip else result


@pytest.mark.parametrize("fill", FILLS)
def test_every_transform_is_kerass(fill):
    image = np.random.default_rng(0).random((32, 32, 3))
    run = jax.jit(
        lambda warp: augmentation.warp_image(jnp.asarray(image, jnp.float32), warp, fill, 0.3)
    )
    for name, warp in WARPS.items():
        ours = run(jax.tree.map(jnp.asarray, warp))
        np.testing.assert_allclose(ours, keras(image, warp, fill, 0.3), atol=1e-4, err_msg=name)


def test_images_need_not_be_square():
    image = np.random.default_rng(1).random((20, 33, 1))
    warp = WARPS["all"]
    ours = augmentation.warp_image(jnp.asarray(image, jnp.float32), warp, "reflect")
    np.testing.assert_allclose(ours, keras(image, warp, "reflect", 0.0), atol=1e-4)


def test_drawn_parameters_fill_their_ranges_and_no_more():
    ranges = augmentation.Augmentation(30.0, 0.1, 0.2, 10.0, 0.25, horizontal_flip=True)
    keys = jax.random.split(jax.random.key(0), 4000)
    warp = jax.vmap(lambda key: augmentation.draw_warp(key, ranges, 20, 40))(keys)
    bounds = {"rotation": 30, "shift_x": 4, "shift_y": 4, "shear": 10}
    for name, bound in bounds.items():
        values = np.asarray(getattr(warp, name))
        assert 0.98 * bound < np.abs(values).max() <= bound
        assert abs(values.mean()) < 0.05 * bound
        assert values.std() == pytest.approx(bound / np.sqrt(3), rel=0.03)
    assert 0.75 <= warp.zoom_x.min() < 0.76
    assert 1.24 < warp.zoom_y.max() <= 1.25
    assert abs(np.corrcoef(warp.zoom_x, warp.zoom_y)[0, 1]) < 0.05
    assert 0.47 < warp.flip.mean() < 0.53


def test_batch_is_warped_image_by_image_and_repeatably():
    images = jnp.asarray(np.random.default_rng(2).random((6, 16, 16, 3)), jnp.float32)
    images = images.at[1].set(images[0])
    key = jax.random.key(5)
    ours = augmentation.augment(key, images, augmentation.DECK)
    assert jnp.abs(ours[0] - ours[1]).max() > 0.1  # the same picture, another warp
    np.testing.assert_array_equal(ours, augmentation.augment(key, images, augmentation.DECK))
    for i, own in enumerate(jax.random.split(key, 6)):
        warp = augmentation.draw_warp(own, augmentation.DECK, 16, 16)
        np.testing.assert_allclose(ours[i], augmentation.warp_image(images[i], warp), atol=1e-6)
    assert augmentation.augment(key, images, augmentation.Augmentation()) is images


def test_crops_are_shifted_copies_with_zeros_behind():
    image = np.random.default_rng(3).random((8, 8, 2)).astype(np.float32) + 1
    images = jnp.asarray(np.repeat(image[None], 1000, 0))
    crops = np.asarray(augmentation.pad_and_crop(jax.random.key(0), images, pad=2))
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)))
    allowed = [
        crop[:, ::step] for i in range(5) for j in range(5) for step in (1, -1)
        for crop in [padded[i : i + 8, j : j + 8]]
    ]  # fmt: skip
    found = {next(k for k, a in enumerate(allowed) if np.array_equal(a, crop)) for crop in crops}
    assert len(found) == 50


def test_only_training_sees_the_change():
    def apply(variables, batch, key, train, hyper):
        return batch["x"], {}

    changed = augmentation.in_training(apply, lambda key, x: x + 1)
    batch = {"x": jnp.zeros(3), "y": jnp.ones(3)}
    assert changed({}, batch, jax.random.key(0), True, {})[0].tolist() == [1, 1, 1]
    assert changed({}, batch, jax.random.key(0), False, {})[0].tolist() == [0, 0, 0]


def test_views_are_the_image_and_two_that_are_moved_each_with_its_mirror_image():
    images = jnp.asarray(np.random.default_rng(4).integers(0, 256, (3, 8, 8, 2), np.uint8))
    seen = augmentation.views(images)
    assert len(seen) == 6
    assert sum(weight for _, weight in seen) == pytest.approx(1)
    assert [weight for _, weight in augmentation.views(images, 1)] == [1.0]
    views = [np.asarray(view) for view, _ in seen]
    for view, mirrored in zip(views[::2], views[1::2], strict=True):
        np.testing.assert_array_equal(mirrored, view[:, :, ::-1])
    np.testing.assert_array_equal(views[0], images)
    np.testing.assert_array_equal(views[2][:, 1:, 1:], images[:, :-1, :-1])
    np.testing.assert_array_equal(views[4][:, :-1, :-1], images[:, 1:, 1:])
