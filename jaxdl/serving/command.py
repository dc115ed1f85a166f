"""What the commands `python -m jaxdl.score` and `python -m jaxdl.live` share."""

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Callable
from typing import NoReturn

from jaxdl.errors import UserError, nearest


class Parser(argparse.ArgumentParser):
    """argparse for a command whose help is its module's docstring; a mistake is one line.

    Args:
        prog: the command.
        usage: its first line of help.
        description: the module's docstring.
        epilog: shown below the options.
    """

    def __init__(self, prog: str, usage: str, description: str, epilog: str | None = None):
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raises UserError; names the nearest option where one is unknown."""
        unknown = re.match(r"unrecognized arguments: --([^\s=]+)", message)
        if unknown is None:
            raise UserError(f"{message}; --help explains")
        known = [option.lstrip("-") for option in self._option_string_actions]
        near = nearest(unknown[1], known)
        hint = f"did you mean --{near}?" if near else "--help lists the options"
        raise UserError(f"unknown option --{unknown[1]}; {hint}")


def one_line(text: str) -> str:
    """A message as one line; what a foreign file put into it cannot steer the terminal.

    >>> one_line("no\\n  such \\x1b[2J name")
    'no such \\\\x1b[2J name'
    """
    words = " ".join(text.split())
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in words)


def hold_standard_streams() -> set[str]:
    """Put the null device in the place of standard streams that the caller has closed.

    Otherwise the next file that is opened would get the stream's number, and what is printed would
    go into it. Returns the names of the closed ones, such as "stdout". Call it before any file is
    opened.
    """
    closed = set()
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
            closed.add(name)
        if getattr(sys, name) is None:
            closed.add(name)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8"))
    return closed


def run_and_leave(main: Callable[[], int]) -> NoReturn:
    """Run a command and end the process with its status, without waiting for threads that are still
    in a scorer's program: the interpreter would abort, or hang where the program does not end."""
    try:
        status: str | int | None = main()
    except SystemExit as request:  # SIGTERM, or --help
        status = request.code
    vetting = sys.modules.get("jaxdl.serving.vetting")  # not there before a scorer was looked at
    if vetting is not None and vetting.stuck and isinstance(status, int):
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
