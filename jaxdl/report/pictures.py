"""Figures as pictures: drawn, put into the language spoken, in fonts that this machine has."""

import importlib.util
import io
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from contextvars import copy_context
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jaxdl.language import romanised, speaking, spoken, translate

if TYPE_CHECKING:  # an evaluation that shows no figure never imports matplotlib
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Names of Korean fonts of Linux, Windows, macOS and Colab, the best readable first.
KOREAN_FONTS = (
    "Noto Sans CJK KR",
    "Noto Sans KR",
    "NanumGothic",
    "NanumBarunGothic",
    "Malgun Gothic",
    "Apple SD Gothic Neo",
    "AppleGothic",
    "Noto Sans CJK JP",  # the same file: its first name is Japanese, and Hangul is in it
    "Pretendard",
    "UnDotum",
    "Baekmuk Gulim",
)
HOW_TO_INSTALL = (
    "no Korean font is here, so figures stay English; to have one: `apt-get install fonts-nanum` "
    "(Debian, Ubuntu, Colab), or `pip install koreanize-matplotlib`, which brings NanumGothic "
    "(한글 글꼴이 없어 그림은 영어로 그립니다. 위 명령 가운데 하나로 설치하세요)"
)


def draw_figures(figures: Mapping[str, Callable[[], "Figure"]]) -> dict[str, bytes]:
    """Every figure as a PNG: name -> bytes. Labels are in the language spoken, if a font has it."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    korean = korean_font()
    families = ["DejaVu Sans", *([korean] if korean else [])]
    if spoken() == "ko" and figures and not korean:
        _say_once(HOW_TO_INSTALL)
    language = spoken() if korean else "en"
    pictures = {}
    for name, draw in figures.items():
        with pyplot.rc_context({"font.family": families}), warnings.catch_warnings():
            # letters of a third script in someone's data: no font, and no translation either
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            figure = draw()
            with speaking(language):
                finish(figure, hangul=korean is not None)
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
            pyplot.close(figure)
        pictures[name] = buffer.getvalue()
    return pictures


def finish(figure: "Figure", hangul: bool) -> None:
    """Put all text of a figure into the language spoken; the one place where that is done.

    Args:
        figure: as a lab drew it, in English.
        hangul: whether a font here has Korean letters; without, those of the data are spelt in
            Latin ones, for an empty box says nothing.
    """
    from matplotlib.text import Text

    if spoken() == "en" and hangul:
        return

    now = copy_context()  # names at ticks are asked for later, when the figure is drawn

    def told(text: str) -> str:
        text = now.run(translate, text)
        return text if hangul else romanised(text)

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_gid() != "verbatim" or not hangul:  # `VERBATIM` of jaxdl.figures.base
                _name_ticks(axis, told)
    for text in figure.findobj(Text):
        if text.get_text():
            text.set_text(told(text.get_text()))


def _name_ticks(axis: "Axis", told: Callable[[str], str]) -> None:
    """Names at the ticks come from a formatter, which would put its own text back."""
    from matplotlib.category import StrCategoryFormatter
    from matplotlib.ticker import FixedFormatter, FuncFormatter

    formatter = axis.get_major_formatter()
    if isinstance(formatter, FixedFormatter):
        formatter.seq = [told(str(name)) for name in formatter.seq]
    elif isinstance(formatter, FuncFormatter | StrCategoryFormatter):
        axis.set_major_formatter(_Told(formatter, told))


class _Told:
    """A formatter's words in another language."""

    def __init__(self, formatter: Callable, told: Callable[[str], str]):
        self.formatter, self.told = formatter, told

    def __call__(self, value: float, place: int | None = None) -> str:
        return self.told(str(self.formatter(value, place)))


@cache
def korean_font() -> str | None:
    """The name of a font with Korean letters; None where there is none.

    Fonts that were installed after matplotlib made its list of them are found, too, and so is the
    one in the package koreanize-matplotlib.
    """
    from matplotlib import font_manager

    here = {font.name for font in font_manager.fontManager.ttflist}
    known = next((name for name in KOREAN_FONTS if name in here), None)
    if known is not None:
        return known
    for path in [*_fonts_of_packages(), *map(Path, font_manager.findSystemFonts())]:
        if re.search(r"Nanum(Barun)?Gothic\.|NotoSans(CJK|KR)|UnDotum\.", path.name):
            font_manager.fontManager.addfont(path)
            name = font_manager.FontProperties(fname=path).get_name()
            if name in KOREAN_FONTS:
                return name
    return None


def _fonts_of_packages() -> list[Path]:
    found = importlib.util.find_spec("koreanize_matplotlib")
    places = found.submodule_search_locations if found else None
    return [path for place in places or () for path in sorted(Path(place).rglob("*.ttf"))]


@cache
def _say_once(line: str) -> None:
    print(line, file=sys.stderr)
