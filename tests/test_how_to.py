"""What the how-tos tell a newcomer to write works as it stands there."""

import re
import sys
import types

import jax
import numpy as np
import pytest

from datasets.source import DataError, Request
from jaxdl.cli import labs, launcher
from jaxdl.training import module_functions
from tests.conftest import ROOT


def program(page: str) -> str:
    """The first block of Python of a how-to."""
    text = (ROOT / "docs" / "how-to" / page).read_text("utf-8")
    return re.search(r"```python\n(.+?)```", text, re.DOTALL)[1]


@pytest.fixture
def module_of(tmp_path):
    """Imports the program of a how-to as a module of its own."""

    def load(page: str) -> types.ModuleType:
        path = tmp_path / page.replace(".md", ".py")
        path.write_text(program(page), "utf-8")
        module = types.ModuleType(path.stem)
        module.__file__ = str(path)
        sys.modules[path.stem] = module  # dataclasses look their module up by name
        exec(compile(path.read_text("utf-8"), path, "exec"), module.__dict__)  # noqa: S102
        return module

    yield load
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_add_a_lab(tmp_path, monkeypatch, capsys):
    (tmp_path / "my_lab.py").write_text(program("add_a_lab.md"), "utf-8")
    monkeypatch.setattr(labs, "EXPERIMENTS", tmp_path)
    assert "my_lab.py" in labs.list_labs()
    folder = str(tmp_path / "run")
    results = launcher.launch(["my_lab", "--seeds", "2", "--hidden", "64", "--workdir", folder])[0]
    accuracy = {row["model"]: row["test accuracy"] for row in results.tables[0].rows}
    assert accuracy["net"].shape == (2,)
    assert results.headline["test accuracy"] is accuracy["net"]
    assert accuracy["net"].min() > 0.8 > accuracy["untrained"].max()
    assert (tmp_path / "run" / "figures" / "loss.png").exists()
    launcher.launch(["--eval", folder])
    assert "identical to its results.json" in capsys.readouterr().out


@pytest.mark.parametrize("page", ["add_a_lab", "score_your_table"])
def test_the_korean_page_has_the_same_programs_and_options(page):
    english, korean = (
        (ROOT / "docs" / "how-to" / f"{page}{ending}").read_text("utf-8")
        for ending in (".md", ".ko.md")
    )
    blocks = re.findall(r"```\w+\n.+?```", english, re.DOTALL)
    assert blocks
    assert re.findall(r"```\w+\n.+?```", korean, re.DOTALL) == blocks
    options = set(re.findall(r"--[a-z][a-z-]+", english))
    assert options <= set(re.findall(r"--[a-z][a-z-]+", korean))


def test_add_a_data_set(module_of, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXDL_CACHE", str(tmp_path / "cache"))
    kernels = module_of("add_a_data_set.md")
    twin = kernels.load(Request("simulated"))
    assert twin.provenance.kind == "simulated"
    assert twin.x.shape == (210, 2)
    assert set(twin.kind) == {0, 1, 2}
    np.testing.assert_array_equal(twin.x, kernels.load(Request("simulated")).x)

    data = tmp_path / "data" / "kernels"
    data.mkdir(parents=True)
    (data / "kernels.csv").write_text("15.2,14.8,0\n14.9,14.6,1\n", "utf-8")
    with pytest.raises(DataError, match="has sha256"):
        kernels.load(Request("auto", tmp_path / "data"))
    with pytest.raises(DataError, match="TensorFlow Datasets"):
        kernels.load(Request("tfds"))
    (data / "short.csv").write_text("15.2,14.8\n", "utf-8")
    with pytest.raises(DataError, match="row 1: has 2 columns, not 3"):
        kernels.read(data / "short.csv")
    assert kernels.read(data / "kernels.csv")["x"].tolist() == [[15.2, 14.8], [14.9, 14.6]]


def test_add_a_model(module_of):
    model = module_of("add_a_model.md").MaxoutMLP(widths=(4, 3), pieces=2)
    init, apply = module_functions(model)
    x = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    variables = init(jax.random.key(0), {"x": x})
    layers = variables["params"]
    hidden = (x @ layers["hidden_0"]["kernel"]).reshape(5, 4, 2).max(axis=-1)
    expected = hidden @ layers["output"]["kernel"]
    found, _ = apply(variables, {"x": x}, jax.random.key(1), False, {})
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    numbers = sum(leaf.size for leaf in jax.tree.leaves(layers))
    assert numbers == 6 * 8 + 8 + 4 * 3 + 3


def test_add_a_detector(module_of):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 3)) * [1, 10, 100]
    detector = module_of("add_a_detector.md").median_distance(rows)
    odd = np.array([[0.0, 0.0, 900.0]])
    assert detector.score(odd)[0] > detector.score(rows).max()
    parts = detector.contributions(odd)
    assert parts[0].argmax() == 2
    np.testing.assert_allclose(parts.sum(axis=1), detector.score(odd), rtol=1e-6)
    with pytest.raises(ValueError, match="column 1 does not vary"):
        module_of("add_a_detector.md").median_distance(rows * [1, 0, 1])


def test_train_on_more_than_memory(module_of, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written = module_of("train_on_more_than_memory.md")
    curve = written.fitted.history["train_loss"]
    assert curve.shape == (4, 3)
    assert (curve[-1] < 0.5 * curve[0]).all()
    assert len(written.rows) == 20_000
