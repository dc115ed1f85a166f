"""Lab 040: one population of all regularisers does what each does alone; the protocols."""

import jax
import numpy as np
import pytest

from experiments import imdb_regularization as lab
from jaxdl.cli.launcher import launch, main
from jaxdl.errors import UserError
from jaxdl.models.text import BagMLP
from jaxdl.text import bag_of_words, sentiment_task
from jaxdl.text.sentiment_task import Regularisation
from jaxdl.training import Fitted, fit
from jaxdl.training.population import by_method

VOCABULARY = 30
METHODS = {
    "none": Regularisation(),
    "L1": Regularisation(l1=3e-2),
    "proximal": Regularisation(proximal=0.5),
    "L2": Regularisation(l2=3e-2),
    "dropout": Regularisation(dropout=0.5),
}


@pytest.fixture(scope="module")
def data():
    """100 texts whose label is that word 3 occurs; the other words are noise."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 15, 100)
    tokens = rng.integers(0, VOCABULARY, lengths.sum()).astype(np.int32)
    words = bag_of_words.multi_hot(tokens, np.cumsum([0, *lengths]), VOCABULARY)
    return {"x": words, "y": (words == 3).any(axis=1).astype(np.float32)}


def train(data, methods, seeds, epochs=60) -> Fitted:
    hyper, members = sentiment_task.methods_times_seeds(methods, seeds)
    task = sentiment_task.sentiment_task(BagMLP(VOCABULARY, (4, 4)), hyper, 1e-2)
    return fit(task, data, data, seeds=members, epochs=epochs, batch_size=25)


@pytest.fixture(scope="module")
def together(data):
    return by_method(train(data, METHODS, [0, 1]), list(METHODS))


@pytest.mark.parametrize("method", ["L1", "dropout"])
def test_a_member_of_the_population_is_the_method_alone(data, together, method):
    alone = train(data, {method: METHODS[method]}, [0, 1])
    group = together[method]
    assert group.seeds.tolist() == [0, 1]
    for ours, theirs in zip(
        jax.tree.leaves(group.variables), jax.tree.leaves(alone.variables), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-4)
    np.testing.assert_allclose(
        group.history["valid_loss"], alone.history["valid_loss"], rtol=2e-3, atol=1e-4
    )


def test_each_method_leaves_its_mark_on_the_weights(together):
    norm = {name: lab.weight_norms(group).mean() for name, group in together.items()}
    assert norm["L2"] < 0.7 * norm["none"]
    assert norm["L1"] < norm["none"]
    zeros = {name: lab.sparsity(group) for name, group in together.items()}
    for name in ("none", "L1", "L2", "dropout"):
        assert zeros[name]["exact zeros"].max() == 0, name
        assert (zeros[name]["words left"] == VOCABULARY).all()
    assert zeros["proximal"]["exact zeros"].min() > 0.3
    assert zeros["proximal"]["words left"].max() < VOCABULARY
    near = f"|w| < {lab.NEAR_ZERO:g}"
    assert zeros["L1"][near].mean() > zeros["none"][near].mean()


def test_penalty_is_reported_apart_from_the_cross_entropy(data, together):
    group = together["L2"]
    params = group.variables["params"]
    squares = sum(
        np.square(params[layer]["kernel"]).sum(axis=(1, 2)) for layer in ("hidden_0", "hidden_1")
    )
    np.testing.assert_allclose(lab.penalties(group), 3e-2 * squares, rtol=1e-5)
    assert (lab.penalties(together["none"]) == 0).all()
    judged = group.predict(sentiment_task.judge, data)
    p, y = judged["probability"], data["y"]
    plain = -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(axis=1)
    row = lab.learning_columns(group, "validation")
    np.testing.assert_allclose(row["validation cross-entropy"], plain, rtol=1e-3)
    assert row["epoch"].tolist() == [60, 60]


def test_effect_of_a_word_is_what_it_adds_to_an_empty_text(together):
    population = lab.Population(4, ("none",), together["none"])
    effects = lab.word_effects(population, VOCABULARY)["none"]
    assert effects.shape == (2, VOCABULARY)
    words = [f"w{i}" for i in range(VOCABULARY)]
    strongest = list(lab.strongest_words(effects, words, 2))
    assert len(strongest) == 4
    assert strongest[2] == "w3"


def test_regularisers_hold_the_network_back(quick_run):
    learning, _, weights, _ = quick_run("imdb_regularization").results.tables
    rows = {row["method"]: row for row in learning.rows}
    assert rows["L1, proximal"]["test accuracy"].mean() > 0.65
    assert rows["none"]["train accuracy"].mean() > 0.9
    early, late = rows["early stopping"], rows["none"]
    assert early["test cross-entropy"].mean() < late["test cross-entropy"].mean()
    assert (early["epoch"] < late["epoch"]).all()
    zeros = {row["method"]: row["exact zeros"].mean() for row in weights.rows}
    assert zeros["L1"] == 0
    assert zeros["L1, proximal"] > 0.01


def test_lecture_protocol_validates_on_the_test_half(tmp_path, capsys):
    options = ["--preset", "quick", "--source", "simulated", "--protocol", "lecture"]
    folder = ["--workdir", str(tmp_path / "run")]
    (results,) = launch(["experiments/imdb_regularization.py", *options, *folder])
    table = results.tables[0]
    assert [row["method"] for row in table.rows] == ["none", "L2", "dropout"]
    assert "2,000 training, 2,000 test reviews" in table.title
    assert "highest test accuracy" in table.rows[0]
    # the test half chose among three: no accuracy on rows that nobody has looked at
    assert list(results.headline) == ["test accuracy, highest of 3 on the test half"]
    assert main(["--predict", str(tmp_path / "run"), "a good film"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "The highest accuracy of 3 on the test reviews chose this network." in printed


@pytest.mark.parametrize(
    ("option", "given"),
    [
        ("--label", "mood"),
        ("--positive", "good"),
        ("--test-share", "0.3"),
        ("--split-seed", "4"),
    ],
)
@pytest.mark.parametrize("lab", ["imdb_regularization", "imdb_sequence"])
def test_an_option_for_texts_of_ones_own_needs_them(option, given, lab, tmp_path):
    words = [f"experiments/{lab}.py", "--preset", "quick", "--source", "simulated"]
    with pytest.raises(UserError, match=f"^{option} is for data of your own: give --reviews FILE$"):
        launch([*words, "--workdir", str(tmp_path / "run"), option, given])
