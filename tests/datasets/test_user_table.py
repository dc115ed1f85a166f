"""A table of one's own, and the invented orders that stand in for it."""

import numpy as np
import pytest

from datasets import shop, user_table
from datasets.source import DataError, Request
from jaxdl.tables.read import read_table


def test_orders_are_the_same_for_the_same_seed_and_in_order_of_time():
    table = shop.simulate(500)
    assert table == shop.simulate(500)
    assert table != shop.simulate(500, seed=1)
    assert table["when"] == sorted(table["when"])
    assert 0.01 < table["outcome"].count("fraud") / 500 < 0.06
    assert {len(cells) for cells in table.values()} == {500}


def test_written_orders_are_read_as_they_were_made(tmp_path):
    shop.write_csv(tmp_path / "shop.csv", rows=200)
    cells = read_table(tmp_path / "shop.csv")
    table = shop.simulate(200)
    assert {name: column.to_pylist() for name, column in cells.columns.items()} == table


def test_without_a_file_the_orders_are_simulated_and_said_to_be():
    table = user_table.load(Request(), shop_rows=300)
    assert table.provenance.kind == "simulated"
    assert table.provenance.line().startswith("data: shop orders, simulated (300 orders, ")
    assert table.cells.rows == 300


def test_a_file_is_the_users_own_and_has_its_sum(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a;b\n1,5;x\n2,5;y\n")
    table = user_table.load(Request(), path)
    assert table.provenance.kind == "user file"
    assert table.provenance.detail == "2 rows, 2 columns, semicolon-separated, decimal comma"
    path.write_text("a;b\n1,5;x\n2,5;z\n")
    assert user_table.load(Request(), path).provenance.sha256 != table.provenance.sha256


def test_what_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.csv does not exist"):
        user_table.load(Request(), tmp_path / "nothing.csv")
    with pytest.raises(DataError, match="--csv is the source of the data: leave --source real out"):
        user_table.load(Request(source="real"), tmp_path / "nothing.csv")


def test_all_kinds_of_fraud_are_there():
    table = shop.simulate()
    fraud = np.array(table["outcome"]) == "fraud"
    device, items = np.array(table["device"]), np.array(table["items"], int)
    amount = np.array(table["amount"], float)
    assert (device[fraud] == "web-old").mean() > 0.25 > (device[~fraud] == "web-old").mean()
    assert ((items >= 7) & fraud).sum() > 20
    assert np.median(amount[fraud]) > 2 * np.median(amount[~fraud])
