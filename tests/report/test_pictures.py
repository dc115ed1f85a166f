"""Figures in the language spoken: never an empty box, whatever fonts are here."""

import io
import warnings

import numpy as np
import pytest
from matplotlib import font_manager
from matplotlib.text import Text
from PIL import Image

from jaxdl.figures import decisions
from jaxdl.figures.base import subplots
from jaxdl.figures.curves import loss_curves
from jaxdl.language import speaking
from jaxdl.report import pictures
from jaxdl.report.pictures import draw_figures, finish, korean_font

HISTORY = {"train_loss": np.array([[1.0], [0.5]]), "valid_loss": np.array([[1.0], [0.75]])}


def texts(figure) -> set[str]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.canvas.draw()
    return {text.get_text() for text in figure.findobj(Text)}


def bars():
    """Names at ticks in each of the ways matplotlib has for them."""
    figure, (fixed, named, function) = subplots(1, 3)
    fixed.bar([0, 1], [1, 2])
    fixed.set_xticks([0, 1], ["autoencoder", "서울"])
    named.bar(["normal", "fraud"], [1, 2])
    function.plot([0, 1])
    function.xaxis.set_major_formatter(lambda value, place: f"threshold {value:.0f}")
    fixed.set(title="loss (train)", ylabel="rows")
    return figure


@pytest.fixture
def no_font(monkeypatch):
    monkeypatch.setattr(pictures, "korean_font", lambda: None)


@pytest.fixture
def a_font(monkeypatch):
    monkeypatch.setattr(pictures, "korean_font", lambda: "DejaVu Sans")


def test_all_text_of_a_figure_is_translated():
    figure = bars()
    with speaking("ko"):
        finish(figure, hangul=True)
    found = texts(figure)
    assert {"손실 (학습)", "행", "오토인코더", "서울", "정상", "사기", "임계값 1"} <= found
    assert not {"rows", "autoencoder", "normal", "fraud", "threshold 1"} & found


def test_names_in_somebodys_data_are_kept_at_ticks():
    figure = decisions.bars({"amount": 1.0, "rows": 2.0}, "rows", verbatim=True)
    with speaking("ko"):
        finish(figure, hangul=True)
    assert {"amount", "rows", "행"} <= texts(figure)
    plain = decisions.bars({"amount": 1.0, "rows": 2.0}, "rows")
    with speaking("ko"):
        finish(plain, hangul=True)
    assert "amount" not in texts(plain)


def test_legends_are_translated():
    figure = loss_curves({"autoencoder": HISTORY})
    with speaking("ko"):
        finish(figure, hangul=True)
    assert {"오토인코더 학습", "오토인코더 검증", "에포크", "손실"} <= texts(figure)


def test_english_figures_stay_as_they_are():
    figure, same = bars(), bars()
    finish(figure, hangul=True)
    assert texts(figure) == texts(same)


def test_without_a_font_labels_are_english_and_names_of_data_are_spelt(no_font):
    drawn = []

    def draw():
        drawn.append(bars())
        return drawn[-1]

    with speaking("ko"):
        draw_figures({"bars": draw})
    found = texts(drawn[0])
    assert {"loss (train)", "rows", "autoencoder", "seoul"} <= found
    assert not any("가" <= letter <= "힣" for text in found for letter in text)


def test_how_to_install_a_font_is_said_once(no_font, capsys):
    pictures._say_once.cache_clear()
    with speaking("ko"):
        draw_figures({"a": bars})
        draw_figures({"a": bars})
        assert capsys.readouterr().err.count("fonts-nanum") == 1
        pictures._say_once.cache_clear()
        draw_figures({})
    draw_figures({"a": bars})
    assert not capsys.readouterr().err


def test_a_korean_figure_is_drawn(a_font):
    with speaking("ko"):
        picture = draw_figures({"loss": lambda: loss_curves({"autoencoder": HISTORY})})["loss"]
    assert Image.open(io.BytesIO(picture)).size[0] > 300


def test_the_font_that_is_found_has_korean_letters():
    name = korean_font()
    if name is None:
        pytest.skip("no Korean font here")
    from matplotlib.ft2font import FT2Font

    path = font_manager.findfont(font_manager.FontProperties(family=name))
    assert FT2Font(path).get_char_index(ord("가")) != 0


def test_a_font_installed_after_matplotlib_made_its_list_is_found(monkeypatch, tmp_path):
    class Listed:
        ttflist = ()
        added = ()

        def addfont(self, path):
            self.added = (*self.added, path.name)

    listed = Listed()
    font = tmp_path / "NanumGothic.ttf"
    monkeypatch.setattr(font_manager, "fontManager", listed)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(font), "/x/Other.ttf"])
    monkeypatch.setattr(
        font_manager,
        "FontProperties",
        lambda fname: type("P", (), {"get_name": lambda _: "NanumGothic"})(),
    )
    korean_font.cache_clear()
    try:
        assert korean_font() == "NanumGothic"
        assert listed.added == ("NanumGothic.ttf",)
    finally:
        korean_font.cache_clear()
