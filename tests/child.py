"""A lab in a process of its own that saves often, so that kills meet saves.

    python -m tests.child '{"save_every": 0}' tiny --workdir FOLDER

The first argument is JSON: `save_every` (seconds between saves), `stop_in_epoch` (the process sends
itself SIGTERM in this epoch of the last fit), `broken` (a name in `BREAKS`: what a resume forgets).
"""

import dataclasses
import json
import os
import signal
import sys
from pathlib import Path

import jax
import jax.numpy as jnp

from jaxdl.cli import labs, main
from jaxdl.training import checkpoint, loop

TINY_LABS = Path(__file__).parent / "tiny_lab"


def without_optimizer_state(state):
    """Adam's moments begin anew."""
    opt_state = jax.tree.map(jnp.zeros_like, state.train.opt_state)
    return dataclasses.replace(state, train=dataclasses.replace(state.train, opt_state=opt_state))


def without_totals(state):
    """The sums of the epoch that was cut begin anew."""
    totals = jax.tree.map(jnp.zeros_like, state.train.totals)
    return dataclasses.replace(state, train=dataclasses.replace(state.train, totals=totals))


def at_the_start_of_the_epoch(state):
    """The rows of the epoch that was cut are seen twice, and its keys used twice."""
    step = state.train.step - state.train.step % 128
    return dataclasses.replace(state, train=dataclasses.replace(state.train, step=step))


BREAKS = {
    "optimizer state": without_optimizer_state,
    "sums of the epoch": without_totals,
    "position in the data": at_the_start_of_the_epoch,
}


def restore_broken(change):
    """Make every restore forget something."""
    whole = checkpoint.Checkpoints.restore

    def restore(self, abstract):
        found = whole(self, abstract)
        if found is None or int(found[1].done):
            return found
        return found[0], change(found[1])

    checkpoint.Checkpoints.restore = restore


def stop_in_epoch(epoch, fit):
    """Send this process SIGTERM at the end of an epoch of a fit, before its validation."""
    close = loop._Loop._close_epoch

    def close_epoch(self, number, groups):
        if self.checkpoints.folder.name == fit and number + 1 == epoch:
            os.kill(os.getpid(), signal.SIGTERM)
        return close(self, number, groups)

    loop._Loop._close_epoch = close_epoch


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    loop.SAVE_EVERY_SECONDS = asked.get("save_every", 0.0)
    loop.SAVE_SHARE = 0
    loop.SCAN_STEPS = 64
    if sys.argv[2] == "tiny":
        labs.EXPERIMENTS = TINY_LABS
    if "broken" in asked:
        restore_broken(BREAKS[asked["broken"]])
    if "stop_in_epoch" in asked:
        stop_in_epoch(asked["stop_in_epoch"], asked["fit"])
    sys.exit(main(sys.argv[2:]))
