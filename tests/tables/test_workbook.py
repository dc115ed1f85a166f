"""Excel workbooks: the table that a CSV would be, and nothing that a stranger's file declares."""

import builtins
import datetime
import zipfile

import numpy as np
import openpyxl
import pytest

from datasets import shop
from jaxdl.errors import UserError
from jaxdl.tables import fit_encoder, infer_schema, read_table, workbook
from jaxdl.tables.schema import column_codes

HEADER = ["order", "when", "amount", "country", "new"]


def shop_rows(n=60):
    start = datetime.datetime(2026, 1, 5, 9, 30)
    return [
        [
            f"A{i}",
            start + datetime.timedelta(hours=5 * i),
            10.5 + i % 7 if i % 9 else None,
            "한국" if i % 3 else "US",
            i % 4 == 0,
        ]
        for i in range(n)
    ]


def write_book(path, rows, header=HEADER, title="Sheet", others=()):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = title
    for row in [header, *rows]:
        sheet.append(row)
    for name in others:
        book.create_sheet(name).append(["x", "y"])
    book.save(path)
    return path


def write_csv(path, rows, header=HEADER):
    """As a spreadsheet program writes it."""
    lines = [",".join(header)]
    for order, when, amount, country, new in rows:
        cells = [order, str(when), "" if amount is None else str(amount), country]
        lines.append(",".join([*cells, str(new).upper()]))
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_a_sheet_is_the_table_that_its_csv_is(tmp_path):
    rows = shop_rows()
    sheet = read_table(write_book(tmp_path / "t.xlsx", rows))
    plain = read_table(write_csv(tmp_path / "t.csv", rows))
    assert {k: v.to_pylist() for k, v in sheet.columns.items()} == {
        k: v.to_pylist() for k, v in plain.columns.items()
    }
    schema = infer_schema(sheet)
    assert schema == infer_schema(plain)
    assert {column.name: column.kind for column in schema.used} == {
        "when": "date",
        "amount": "number",
        "country": "category",
        "new": "category",
    }
    codes = column_codes(sheet.columns, schema)
    assert np.isfinite(fit_encoder(codes, schema)(codes)).all()
    assert (sheet.first_line, sheet.origin) == (2, "Excel, sheet Sheet")


def test_the_first_shown_sheet_or_the_one_that_is_named(tmp_path):
    path = write_book(tmp_path / "t.xlsx", shop_rows(3), others=["March"])
    assert list(read_table(path).columns) == HEADER
    with pytest.raises(UserError, match=r"has a header but no rows"):
        read_table(path, sheet="March")
    with pytest.raises(UserError, match=r"--sheet May: no such sheet; there are Sheet, March"):
        read_table(path, sheet="May")
    book = openpyxl.load_workbook(path)
    book["Sheet"].sheet_state = "hidden"
    book["March"].append([1, 2])
    book.save(path)
    assert list(read_table(path).columns) == ["x", "y"]
    with pytest.raises(UserError, match=r"--sheet March goes with a workbook"):
        read_table(write_csv(tmp_path / "t.csv", shop_rows(3)), sheet="March")


def test_rows_keep_their_place_and_empty_ones_at_the_end_go(tmp_path):
    path = tmp_path / "t.xlsx"
    write_book(path, [[1, 2], [None, None], [None, 3], [None, None]], ["a", "b"])
    cells = read_table(path)
    assert cells.columns["a"].to_pylist() == ["1", "", ""]
    assert cells.columns["b"].to_pylist() == ["2", "", "3"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e300, "1e+300"),
        (0.1 + 0.2, "0.30000000000000004"),
        (12345678901234567890, "12345678901234567890"),
        (datetime.date(2026, 1, 5), "2026-01-05"),
        (datetime.datetime(2026, 1, 5, 0, 0, 1), "2026-01-05 00:00:01"),
        (datetime.time(14, 30), "14:30:00"),
        (datetime.timedelta(hours=30), "1 day, 6:00:00"),
        (False, "FALSE"),
        (" x ", " x "),
    ],
)
def test_cells_become_the_text_of_a_csv(value, text):
    assert workbook.cell_text(value) == text


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        ([[1, 2, 3]], ["a", "b"], r"row 2 has 3 cells, its header 2"),
        ([[1, 2]], ["a", None, "b"], r"column 2 has no name in the header"),
        ([[1, 2]], ["a", "a"], r"'a' stands twice"),
        ([[1]], [None], r"empty first row"),
        ([], ["a"], r"has a header but no rows"),
    ],
)
def test_a_sheet_that_is_no_table_is_one_line(rows, header, message, tmp_path):
    with pytest.raises(UserError, match=message) as found:
        read_table(write_book(tmp_path / "t.xlsx", rows, header))
    assert "\n" not in str(found.value)
    assert "t.xlsx" in str(found.value)


def test_names_of_other_spreadsheets_and_damaged_files_are_one_line(tmp_path):
    for name in ("t.xls", "t.ods"):
        (tmp_path / name).write_bytes(b"whatever")
        with pytest.raises(UserError, match=r"files are not read: save the sheet as .xlsx or CSV"):
            read_table(tmp_path / name)
    whole = write_book(tmp_path / "whole.xlsx", shop_rows()).read_bytes()
    for content in (b"", b"PK", b"no zip at all", whole[: len(whole) // 2], whole[:-5]):
        (tmp_path / "t.xlsx").write_bytes(content)
        with pytest.raises(UserError, match=r"t\.xlsx: is no readable workbook") as found:
            read_table(tmp_path / "t.xlsx")
        assert "\n" not in str(found.value)
    with pytest.raises(UserError, match="does not exist"):
        read_table(tmp_path / "nothing.xlsx")


def changed(path, name, change):
    """The workbook with one of its parts changed."""
    with zipfile.ZipFile(path) as book:
        parts = {part.filename: book.read(part) for part in book.infolist()}
    assert name in parts
    parts[name] = change(parts[name])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        for part, data in parts.items():
            book.writestr(part, data)
    return path


SHEET = "xl/worksheets/sheet1.xml"


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    path = changed(
        write_book(tmp_path / "t.xlsx", shop_rows(3)), SHEET, lambda x: x + b" " * 5_000_000
    )
    assert path.stat().st_size < 50_000
    monkeypatch.setattr(workbook, "MAX_UNPACKED", 4_000_000)
    with pytest.raises(UserError, match=r"unpacks to 5,\d{3},\d{3} bytes .* at most 4,000,000"):
        read_table(path)


def test_what_a_sheet_declares_is_not_believed(tmp_path, monkeypatch):
    """Rows numbered into the billions, one long text in many cells, wide rows, a wrong size."""
    monkeypatch.setattr(workbook, "MAX_ROWS", 1000)
    path = tmp_path / "t.xlsx"
    write_book(path, shop_rows(3))
    changed(path, SHEET, lambda x: x.replace(b'<row r="4"', b'<row r="4000000000"'))
    with pytest.raises(UserError, match=r"has more than 1,000 rows"):
        read_table(path)
    write_book(path, [["x" * 1000] * 5] * 50)
    monkeypatch.setattr(workbook, "MAX_LETTERS", 200_000)
    with pytest.raises(UserError, match=r"holds more than 200,000 letters"):
        read_table(path)
    monkeypatch.setattr(workbook, "MAX_COLUMNS", 4)
    write_book(path, shop_rows(3))
    with pytest.raises(UserError, match=r"has 5 columns; at most 4"):
        read_table(path)


def test_without_the_library_one_line_says_what_to_do(tmp_path, monkeypatch):
    path = write_book(tmp_path / "t.xlsx", shop_rows(3))
    load = builtins.__import__

    def without(name, *given, **named):
        if name == "openpyxl":
            raise ImportError(name)
        return load(name, *given, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"needs the package openpyxl: pip install openpyxl, or"):
        read_table(path)


def test_the_shops_orders_from_a_workbook(tmp_path):
    """As people type them in: numbers and dates as such."""
    orders = shop.simulate(200)
    rows = []
    for cells in zip(*orders.values(), strict=True):
        row = dict(zip(orders, cells, strict=True))
        row["when"] = datetime.datetime.fromisoformat(row["when"])
        row["items"], row["amount"] = int(row["items"]), float(row["amount"])
        rows.append(list(row.values()))
    cells = read_table(write_book(tmp_path / "shop.xlsx", rows, list(orders)))
    shop.write_csv(tmp_path / "shop.csv", 200)
    plain = read_table(tmp_path / "shop.csv")
    one, two = (infer_schema(c, label="outcome", positive="fraud") for c in (cells, plain))
    assert [column.kind for column in one.columns] == [column.kind for column in two.columns]
    np.testing.assert_array_equal(
        column_codes(cells.columns, one), column_codes(plain.columns, two)
    )
