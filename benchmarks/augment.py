"""Augmented 32x32x3 images: jaxdl's warp against Keras's ImageDataGenerator, and what it costs.

    python benchmarks/augment.py [--ranges deck] [--images 2048] [--batch-size 32] [--rounds 5]

Both get bytes, scale them to 0..1, draw new parameters for every image and warp it with linear
interpolation. Keras goes image by image whatever the batch; jaxdl is timed with all images in one
call, and batch by batch as in a train step. The second table times training steps of lab 010's
notebook net without and with the augmentation.
"""

import os

import numpy as np
from harness import build, first_state, markdown, measure, options, publish, timed

RANGES = ("lecture", "deck")


def own_peer(images, ranges, batch_size):
    import jax
    import jax.numpy as jnp

    from jaxdl.models import conv2d
    from jaxdl.training import parallel
    from jaxdl.vision import augmentation

    @jax.jit
    def run(i, batch):
        key = jax.random.fold_in(jax.random.key(0), i)
        return augmentation.augment(key, conv2d.pixels(batch), ranges)

    parallel.keep_large_buffers()
    batches = [jnp.asarray(images[i : i + batch_size]) for i in range(0, len(images), batch_size)]

    def work():
        for i, batch in enumerate(batches):
            jax.block_until_ready(run(i, batch))

    return timed(work)


def keras_peer(images, ranges, batch_size):
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    generator = ImageDataGenerator(
        rotation_range=ranges.rotation,
        width_shift_range=ranges.width_shift,
        height_shift_range=ranges.height_shift,
        shear_range=ranges.shear,
        zoom_range=ranges.zoom,
        horizontal_flip=ranges.horizontal_flip,
        fill_mode=ranges.fill,
        rescale=1 / 255,
    )

    def work():
        flow = generator.flow(images, batch_size=batch_size, shuffle=False)
        for _ in range(len(flow)):
            next(flow)

    return timed(work)


def step_peer(images, ranges, batch_size):
    """Training steps of the notebook's net; `ranges` None trains without augmentation."""
    import jax
    import jax.numpy as jnp

    from jaxdl import optim
    from jaxdl.models import cnn
    from jaxdl.training import parallel, step
    from jaxdl.vision import augmentation, classification_task

    parallel.keep_large_buffers()
    change = None if ranges is None else lambda key, x: augmentation.augment(key, x, ranges)
    adam = lambda hyper: optim.adam(1e-3)  # noqa: E731
    task = classification_task.image_task(cnn.notebook_net(), adam, change=change)
    labels = jnp.arange(batch_size, dtype=jnp.int32) % 10
    batch = {"x": jnp.asarray(images[:batch_size]), "y": labels}
    rows = jnp.ones(batch_size, bool)
    program = jax.jit(lambda state: step.train_step(task, state, batch, rows, {}), donate_argnums=0)
    state = first_state(task, batch)

    def work():
        nonlocal state
        for _ in range(len(images) // batch_size):
            state = program(state)
        jax.block_until_ready(state)

    return timed(work)


def main() -> None:
    parser = options(__doc__, images=2048, batch_size=32)
    parser.add_argument("--ranges", choices=RANGES, default="deck")
    args = parser.parse_args()
    from jaxdl.vision import augmentation

    ranges = {"lecture": augmentation.LECTURE, "deck": augmentation.DECK}[args.ranges]
    images = np.random.default_rng(0).integers(0, 256, (args.images, 32, 32, 3), np.uint8)
    size = args.batch_size
    warps = build(
        {
            "jaxdl, one call": lambda: own_peer(images, ranges, len(images)),
            f"jaxdl, batches of {size}": lambda: own_peer(images, ranges, size),
            "Keras ImageDataGenerator": lambda: keras_peer(images, ranges, size),
        }
    )
    steps = build(
        {
            "steps without": lambda: step_peer(images, None, size),
            "steps with": lambda: step_peer(images, ranges, size),
        }
    )
    what = f"{args.ranges}'s ranges, {args.images:,} images of 32x32x3 in batches of {size}"
    command = f"python benchmarks/augment.py --ranges {args.ranges} --images {args.images} "
    command += f"--batch-size {size}"
    table = markdown(f"Augmentation, {what}, seconds", measure(warps, args.rounds))
    cost = markdown(f"Training with augmentation, {what}, seconds", measure(steps, args.rounds))
    key = command.partition("/")[2]
    publish(args.record, key, "Augmentation", f"{table}\n\n{cost}", command)


if __name__ == "__main__":
    main()
