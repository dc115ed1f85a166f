"""Errors that a user can cause. The launcher prints them as one line and exits with status 2."""

import difflib
from collections.abc import Iterable, Mapping


class UserError(Exception):
    """A mistake the user can mend. The message is one line and says what to do."""


class NotFinite(UserError):
    """A loss or metric became NaN or infinite; names the fit, the step and the metric."""


class CheckpointError(UserError):
    """A checkpoint is damaged, or belongs to another configuration or to other data."""


class Interrupted(Exception):
    """The run was asked to stop (Ctrl-C or SIGTERM) and has saved its state.

    Attributes:
        signum: the signal that asked.
        saved_step: the optimiser step that a later run continues from.
    """

    def __init__(self, signum: int, saved_step: int):
        self.signum = signum
        self.saved_step = saved_step
        super().__init__(f"stopped by signal {signum}; state saved at step {saved_step}")


class Irreproducible(Exception):
    """An evaluation gave other tables than the run stored: the program or a device is at fault."""


def refuse_without(source: str, given: Mapping[str, bool]) -> None:
    """Refuse options that are for data of one's own, where there are none.

    Args:
        source: the option that is missing, with its value, such as "csv FILE".
        given: name of an option in the lab's Config -> whether the user gave it.

    Raises:
        UserError: one of them was given.

    >>> refuse_without("csv FILE", {"label": False, "day_first": True})
    Traceback (most recent call last):
    jaxdl.errors.UserError: --day-first is for data of your own: give --csv FILE
    """
    for name, is_given in given.items():
        if is_given:
            raise UserError(f"--{name.replace('_', '-')} is for data of your own: give --{source}")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that a misspelt one was meant to be; None where no name is near.

    >>> nearest("epoks", ["epochs", "seed"])
    'epochs'
    >>> nearest("csv", ["eps", "seed"])
    """
    return next(iter(difflib.get_close_matches(name, list(known), 1, cutoff=0.7)), None)
