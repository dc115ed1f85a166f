"""What counts as a number in a cell of text, for the scorer and the live series alike."""


def number(text: str) -> float:
    """The number that a cell holds: ASCII digits, point, exponent, sign; spaces around it.

    `float` also takes `1_000` and digits of other scripts, which no table means.

    >>> number(" -1.5e3"), number("nan")
    (-1500.0, nan)

    Raises:
        ValueError: it holds no number. `nan` and `inf` are numbers: whether they may stand there is
            the caller's business.
    """
    if not text.isascii() or "_" in text:
        raise ValueError(f"{shown(text)} is not a number")
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{shown(text)} is not a number") from None


def shown(text: str, most: int = 40) -> str:
    """The beginning of a stranger's text, in quotes and plain ASCII, to name it in an error.

    >>> shown("\\u0663")
    "'\\\\u0663'"
    """
    return ascii(text[:most])
