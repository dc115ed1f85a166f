"""Lab 050: quality against scikit-learn on the bundled pictures, and errors a user can make."""

import numpy as np
import pytest
from PIL import Image

from experiments import image_segmentation as lab
from jaxdl.cli.launcher import launch
from jaxdl.errors import UserError


def run_lab(folder, *options):
    command = ["experiments/image_segmentation.py", "--preset", "quick", "--workdir", str(folder)]
    return launch([*command, *options])[0]


def test_inertia_is_scikit_learns_or_better(quick_run):
    results = quick_run("image_segmentation").results
    assert len(results.tables) == 4
    for table in results.tables[::2]:
        assert [row["k"] for row in table.rows] == [2, 4, 8]
        assert "one pixel in 16, K-means" in table.title
        for row in table.rows:
            assert float(row["ratio"]) < 1.01
            pixels = 107 * 160
            assert row["inertia"] == pytest.approx(row["MSE"] * 3 * pixels, rel=1e-4)
            assert row["PSNR dB"] == pytest.approx(-10 * np.log10(row["MSE"]))


def test_distinct_colours_stand_for_all_pixels():
    pixels = np.random.default_rng(0).integers(0, 9, (20, 30, 3)).astype(np.uint8) * 20
    colours, counts, index = lab.distinct_colours(pixels)
    assert counts.sum() == 600
    assert len(np.unique(colours, axis=0)) == len(colours)
    np.testing.assert_array_equal((colours[index] * 255).round(), pixels.reshape(-1, 3))
    cells, weights = lab.occupied_cells(colours, counts)
    assert weights.sum() == 600
    np.testing.assert_allclose(weights @ cells / 600, counts @ colours / 600, rtol=1e-5)


def test_a_picture_of_four_colours_is_kept_as_it_is(tmp_path):
    palette = np.array([[200, 10, 10], [10, 200, 10], [10, 10, 200], [240, 240, 240]], np.uint8)
    pixels = palette[np.random.default_rng(0).integers(0, 4, (40, 50))]
    Image.fromarray(pixels).save(tmp_path / "four.png")
    results = run_lab(
        tmp_path / "run", "--image", str(tmp_path / "four.png"), "--ks", "4", "--reduce", "1"
    )
    assert results.tables[0].rows[0]["MSE"] < 1e-10
    names = results.tables[1].rows[0]["colours and their pixels"]
    assert all(f"#{r:02x}{g:02x}{b:02x} " in names for r, g, b in palette)


def test_bad_pictures_give_one_clear_line(tmp_path, monkeypatch):
    good = tmp_path / "good.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(good)
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "broken.jpg").write_bytes(good.read_bytes()[:700])
    Image.new("RGB", (9, 9)).save(tmp_path / "plain.png")
    cases = {
        "missing.jpg": "does not exist",
        "text.jpg": "no picture",
        "broken.jpg": "broken picture",
        "plain.png": "only 1 colours",
    }
    for name, message in cases.items():
        with pytest.raises(UserError, match=message):
            run_lab(tmp_path / f"run-{name}", "--image", str(tmp_path / name))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(UserError, match="exceeds limit"):
        run_lab(tmp_path / "run-bomb", "--image", str(good))
    with pytest.raises(UserError, match="at least 1"):
        run_lab(tmp_path / "run-ks", "--ks", "0")
    with pytest.raises(UserError, match="1 and 256"):
        run_lab(tmp_path / "run-ks", "--ks", "257")
    with pytest.raises(UserError, match="--seeds 2: this is done with one seed"):
        run_lab(tmp_path / "run-seeds", "--seeds", "2")


def test_title_and_scikit_learn_follow_the_options(monkeypatch):
    asked = []

    class Noted(lab.KMeans):
        def __init__(self, n_clusters=8, **options):
            asked.append(options["tol"])
            super().__init__(n_clusters, **options)

    monkeypatch.setattr(lab, "KMeans", Noted)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 3)).astype(np.uint8)
    for reduce, title in ((1, "all pixels, K-means"), (3, "one pixel in 9, K-means")):
        config = lab.Config(ks=(2,), starts=1, tolerance=0.01, reduce=reduce)
        table = lab.quality_table("x", pixels, lab.segment(pixels, config, 0), config, 0)
        assert title in table.title
    assert asked == [0.01, 0.01]
