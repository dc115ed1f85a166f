"""Rows in files of a folder: what is read is what was written, and damage is one line."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datasets.shards import NumpyShards, ParquetRows, TfdsRows
from datasets.source import DataError
from jaxdl import losses, optim
from jaxdl.models.mlp import MLP
from jaxdl.training import Streamed, Task, fit, module_functions

SIZES = (7, 1, 12)


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "x": rng.normal(size=(20, 3, 2)).astype(np.float32),
        "y": rng.integers(0, 9, 20).astype(np.int32),
    }


@pytest.fixture
def folder(tmp_path, arrays):
    first = 0
    for part, size in enumerate(SIZES):
        for name, values in arrays.items():
            np.save(tmp_path / f"{name}-{part:05}.npy", values[first : first + size])
        first += size
    return tmp_path


@pytest.mark.parametrize(("start", "stop"), [(0, 20), (3, 5), (6, 9), (7, 8), (19, 20), (2, 20)])
def test_rows_come_back_from_several_files(folder, arrays, start, stop):
    shards = NumpyShards(folder)
    assert len(shards) == 20
    read = shards.read(start, stop)
    for name, values in arrays.items():
        np.testing.assert_array_equal(read[name], values[start:stop])
        assert read[name].dtype == shards.kinds[name].dtype
        assert read[name].shape[1:] == shards.kinds[name].shape


def test_the_digest_knows_every_byte(folder):
    before = NumpyShards(folder).digest()
    assert before == NumpyShards(folder).digest()
    path = folder / "y-00002.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert NumpyShards(folder).digest() != before


def test_a_folder_without_shards(tmp_path):
    with pytest.raises(DataError, match=r"no files such as x-00000\.npy"):
        NumpyShards(tmp_path)


def header(shape):
    """The beginning of a .npy file that says this of its shape."""
    said = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(said).to_bytes(2, "little") + said


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-4]), "not as long as its 12 rows"),
        (lambda path: path.write_bytes(b"nothing"), r"no \.npy file"),
        (lambda path: np.save(path, np.zeros((12, 3, 3), np.float32)), r"rows of shape \(3, 3\)"),
        (lambda path: np.save(path, np.zeros((12, 3, 2))), "float64"),
        (lambda path: np.save(path, np.zeros((11, 3, 2), np.float32)), "other rows than others"),
        (lambda path: path.unlink(), "same parts: 00002"),
        (lambda path: path.rename(path.with_name("x-00003.npy")), "same parts: 00002"),
        (lambda path: path.write_bytes(header("(4294967296, 4294967296)")), "not as long"),
        (lambda path: path.write_bytes(header("(-2, -3)") + bytes(24)), "holds objects, a single"),
        (lambda path: path.write_bytes(header("(3, ")), r"no \.npy file"),
        (
            lambda path: np.save(path, np.array([None] * 12), allow_pickle=True),
            "objects",
        ),
    ],
)
def test_damage_is_one_line(folder, damage, message):
    damage(folder / "x-00002.npy")
    with pytest.raises(DataError, match=message):
        NumpyShards(folder)


def test_a_file_cut_behind_our_back_is_one_line(folder):
    shards = NumpyShards(folder)
    path = folder / "x-00002.npy"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DataError, match="ends before its last row"):
        shards.read(0, 20)


@pytest.fixture
def parquet(tmp_path):
    rng = np.random.default_rng(0)
    table = pa.table({"a": rng.normal(size=30), "n": np.arange(30), "label": np.arange(30) % 2})
    pq.write_table(table[:20], tmp_path / "1.parquet", row_group_size=8)
    pq.write_table(table[20:], tmp_path / "2.parquet")
    return tmp_path, table


@pytest.mark.parametrize(("start", "stop"), [(0, 30), (7, 9), (15, 25), (29, 30)])
def test_parquet_columns_become_rows(parquet, start, stop):
    folder, table = parquet
    rows = ParquetRows(folder, label="label")
    assert len(rows) == 30
    read = rows.read(start, stop)
    expected = np.stack([table["a"].to_numpy(), table["n"].to_numpy()], axis=1)
    np.testing.assert_array_equal(read["x"], expected[start:stop].astype(np.float32))
    np.testing.assert_array_equal(read["y"], table["label"].to_numpy()[start:stop])
    assert rows.kinds["x"].shape == (2,)


def test_without_a_label_all_columns_are_read(parquet):
    folder, _ = parquet
    assert ParquetRows(folder / "2.parquet").kinds["x"].shape == (3,)


def test_parquet_that_cannot_be_rows_is_one_line(parquet, tmp_path):
    folder, table = parquet
    with pytest.raises(DataError, match="no column 'fraud'"):
        ParquetRows(folder, label="fraud")
    pq.write_table(table.rename_columns(["a", "m", "label"]), folder / "3.parquet")
    with pytest.raises(DataError, match="other columns than the first"):
        ParquetRows(folder)
    (folder / "3.parquet").unlink()
    pq.write_table(table.select(["a", "n"]), folder / "3.parquet")
    with pytest.raises(DataError, match="no column 'label'"):
        ParquetRows(folder, label="label")
    pq.write_table(table.set_column(0, "a", pa.array(["x"] * 30)), folder / "3.parquet")
    with pytest.raises(DataError, match="holds string"):
        ParquetRows(folder)
    (folder / "1.parquet").write_bytes(b"nothing")
    with pytest.raises(DataError, match="no Parquet file"):
        ParquetRows(folder)
    pq.write_table(pa.table({"a": ["x"]}), tmp_path / "text.parquet")
    with pytest.raises(DataError, match="holds string, not numbers"):
        ParquetRows(tmp_path / "text.parquet")


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ([0, None, 1], "has blanks"),
        ([0.0, 0.9, 1.0], "not whole numbers"),
        ([0, 2**40, 1], "not whole numbers of 32 bits"),
        ([0.0, float("nan"), 1.0], "not whole numbers"),
    ],
)
def test_labels_that_are_no_classes_are_one_line(tmp_path, label, message):
    pq.write_table(pa.table({"a": [1.0, 2.0, 3.0], "y": label}), tmp_path / "1.parquet")
    with pytest.raises(DataError, match=f"column y: .*{message}"):
        ParquetRows(tmp_path, label="y").read(0, 3)


@pytest.fixture(scope="module")
def tfds_folder(tmp_path_factory):
    """Twenty images of numbers, each with a label and a word, as TFDS prepares them."""
    tfds = pytest.importorskip("tensorflow_datasets")

    class Small(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                "image": tfds.features.Tensor(shape=(4, 3), dtype=np.float32),
                "label": tfds.features.ClassLabel(num_classes=20),
                "word": tfds.features.Text(),
            }
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for number in range(20):
                image = np.full((4, 3), number / 20, np.float32)
                yield number, {"image": image, "label": number, "word": "a"}

    builder = Small(data_dir=tmp_path_factory.mktemp("tfds"), file_format="array_record")
    builder.download_and_prepare()
    return builder.data_dir


def test_a_tfds_folder_is_read_in_its_order(tfds_folder):
    rows = TfdsRows(tfds_folder, {"x": "image", "y": "label"})
    assert len(rows) == 20
    assert rows.kinds["x"].shape == (4, 3)
    whole, part = rows.read(0, 20), rows.read(5, 9)
    np.testing.assert_array_equal(part["x"], whole["x"][5:9])
    assert sorted(whole["y"]) == list(range(20))
    np.testing.assert_allclose(whole["x"][:, 0, 0], whole["y"] / 20, rtol=1e-6)
    first_half = TfdsRows(tfds_folder, {"y": "label"}, split="train[:50%]")
    np.testing.assert_array_equal(first_half.read(0, 10)["y"], whole["y"][:10])
    assert rows.digest() == TfdsRows(tfds_folder, {"x": "image"}).digest()


def test_a_net_trains_on_a_tfds_folder(tfds_folder):
    rows = TfdsRows(tfds_folder, {"x": "image", "y": "label"})
    init, apply = module_functions(MLP((20,)), lambda batch: batch["x"].reshape(-1, 12))
    task = Task(
        init,
        apply,
        lambda out, batch, hyper: losses.softmax_cross_entropy(out, batch["y"]),
        lambda hyper: optim.adam(0.1),
    )
    streamed = fit(task, Streamed(rows, block_rows=4), seeds=[0], epochs=3, batch_size=5)
    losses_by_epoch = streamed.history["train_loss"][:, 0]
    assert losses_by_epoch[-1] < losses_by_epoch[0]


def test_what_a_tfds_folder_lacks_is_named(tfds_folder, tmp_path):
    with pytest.raises(DataError, match="no feature 'picture', only image, label, word"):
        TfdsRows(tfds_folder, {"x": "picture"})
    with pytest.raises(DataError, match="'word' holds no numbers"):
        TfdsRows(tfds_folder, {"x": "word"})
    with pytest.raises(DataError, match="split 'test'"):
        TfdsRows(tfds_folder, {"x": "image"}, split="test")
    with pytest.raises(DataError, match="cannot read"):
        TfdsRows(tmp_path, {"x": "image"})
