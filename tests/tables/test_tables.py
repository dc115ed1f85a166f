"""Any table: how it is read, what its columns are taken for, and what they become."""

import gzip
import json
import math

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import average_precision_score

from jaxdl.anomaly import default_detector
from jaxdl.errors import UserError
from jaxdl.tables import Schema, drift, fit_encoder, infer_schema, read_table
from jaxdl.tables.encode import ONE_HOT_SCALE, DateCode, NumberCode, robust_scale
from jaxdl.tables.read import csv_format
from jaxdl.tables.schema import (
    Column,
    as_numbers,
    as_seconds,
    as_text,
    column_codes,
    find_positive,
    is_missing,
    labels_of,
    row_times,
)

SHOP = [
    "order,when,amount,country,note,paid",
    *(
        f"A{i:04d},2025-03-{1 + i % 28:02d}T{i % 24:02d}:30:00+09:00,{10 + i % 7}.5,"
        f"{'KR' if i % 5 else 'US'},,{'yes' if i % 40 else 'no'}"
        for i in range(200)
    ),
]


def write(folder, lines, name="t.csv", encoding="utf-8"):
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def text(*values):
    return pa.chunked_array([pa.array(values, pa.string())])


# ---- reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "encoding", "decimal", "words"),
    [
        (["a,b", "1.5,x", "2.5,y"], "utf-8", ".", "comma-separated"),
        (["a;b", "1,5;x", "2,5;y"], "utf-8", ",", "semicolon-separated, decimal comma"),
        (["a\tb", "1.5\tx", "2.5\ty"], "utf-8", ".", "tab-separated"),
        (["금액,나라", "1.5,한국", "2.5,미국"], "cp949", ".", "cp949"),
        (["\ufeffa,b", "1.5,x", "2.5,y"], "utf-8", ".", "comma-separated"),
    ],
)
def test_separators_decimal_signs_and_encodings_are_found(
    lines, encoding, decimal, words, tmp_path
):
    cells = read_table(write(tmp_path, lines, encoding=encoding))
    assert cells.decimal == decimal
    assert words in cells.origin
    first = next(iter(cells.columns))
    assert first == lines[0].removeprefix("\ufeff")[: len(first)]
    assert as_numbers(cells.columns[first], decimal).tolist() == [1.5, 2.5]


def test_gzip_and_parquet_parts_are_the_same_table(tmp_path):
    plain = read_table(write(tmp_path, SHOP))
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress("\n".join(SHOP).encode()))
    table = pa.table({name: column.combine_chunks() for name, column in plain.columns.items()})
    (tmp_path / "parts").mkdir()
    for part in range(2):
        piece = table.slice(100 * part, 100)
        pyarrow.parquet.write_table(piece, tmp_path / "parts" / f"part-{part}.parquet")
    for other in (packed, tmp_path / "parts"):
        again = read_table(other)
        assert {k: v.to_pylist() for k, v in again.columns.items()} == {
            k: v.to_pylist() for k, v in plain.columns.items()
        }


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a,b"], "has a header but no rows"),
        (["a,a", "1,2"], "'a' stands twice"),
        (["a,,b", "1,2,3"], "column 2 has no name"),
        (["a,b", "1,2", "1,2,3"], "cannot be read: .*Expected 2 columns, got 3"),
        ([","], "column 1 has no name"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_line(lines, message, tmp_path):
    with pytest.raises(UserError, match=message) as found:
        read_table(write(tmp_path, lines))
    assert "\n" not in str(found.value)


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxdl.tables.read.MAX_BYTES", 1000)
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(b"a\n" + b"1\n" * 1_000_000))
    with pytest.raises(UserError, match="more than 1,000 bytes"):
        read_table(packed)


def test_bytes_that_are_no_text_and_files_that_are_not_there(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n\xff\xff\xff,2\n")
    with pytest.raises(UserError, match="is no text in utf-8 or cp949"):
        read_table(path)
    with pytest.raises(UserError, match="does not exist"):
        read_table(tmp_path / "nothing.csv")


# ---- what the columns are ------------------------------------------------------------------------


def kinds(cells, **said):
    return {column.name: column.kind for column in infer_schema(cells, **said).columns}


def test_a_shops_table_is_understood(tmp_path):
    cells = read_table(write(tmp_path, SHOP))
    schema = infer_schema(cells, label="paid", positive="no")
    assert [column.kind for column in schema.columns] == [
        *("left out", "date", "number", "category", "left out")
    ]
    order, _, _, country, note = schema.columns
    assert order.note == "text that hardly repeats"
    assert country.categories == ("KR", "US")  # the most frequent first
    assert (note.missing, note.note) == (200, "holds nothing")
    assert labels_of(cells.columns["paid"], schema.positive).sum() == 5
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    assert kinds(cells, categorical=["amount"], ignore=["when"])["amount"] == "category"
    assert kinds(cells, ignore=["when"])["when"] == "left out"


@pytest.mark.parametrize(
    ("cells", "name", "kind"),
    [
        (range(100, 200), "row", "left out"),  # counts upwards
        (np.random.default_rng(0).permutation(1000)[:100], "customer_id", "left out"),
        (np.random.default_rng(0).permutation(1000)[:100], "points", "number"),
        ([7] * 100, "constant", "left out"),
        (9.99 + np.arange(100) % 2 * 2e-13, "nearly", "left out"),
        (1_742_428_800_000 + 300_000 * np.arange(100), "ds", "date"),
        (1_742_428_800 + 300 * np.arange(100), "time", "date"),
        (1_742_428_800 + 300 * np.arange(100) ** 2 % 1009, "won", "number"),
        (np.arange(100) % 2, "flag", "number"),
    ],
)
def test_numbers_that_are_none(cells, name, kind, tmp_path):
    lines = [f"{name},other", *(f"{value!r},{i % 3}" for i, value in enumerate(map(float, cells)))]
    if all(float(value).is_integer() for value in cells):
        lines = [f"{name},other", *(f"{int(value)},{i % 3}" for i, value in enumerate(cells))]
    assert kinds(read_table(write(tmp_path, lines)))[name] == kind


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"label": "nothing"}, "--label nothing: no such column; there are order, when"),
        ({"label": "paid"}, "--positive is missing: which of no, yes means an anomaly"),
        ({"label": "paid", "positive": "NO"}, "--positive NO: the label has the values no, yes"),
        ({"time": "country"}, "--time country: 'US' is neither an ISO date nor a number"),
        ({"numeric": ["country"]}, r"row 2, column country: 'US' is not a number \(and 199 more\)"),
    ],
)
def test_what_does_not_fit_is_said(said, message, tmp_path):
    with pytest.raises(UserError, match=message):
        infer_schema(read_table(write(tmp_path, SHOP)), **said)


def test_one_wrong_cell_among_numbers_is_named(tmp_path):
    lines = ["a,b", *(f"{i}.5,{i % 3}" for i in range(60))]
    lines[41] = "4O.5,1"
    with pytest.raises(UserError, match=r"row 42, column a: '4O\.5' is not a number; mend it, or"):
        infer_schema(read_table(write(tmp_path, lines)))


def test_labels_of_zero_and_one_need_no_word_and_a_row_without_label_is_named():
    assert find_positive(text("0", "1", "0"), "") == "1"
    with pytest.raises(UserError, match=r"row 2 has no label$"):
        labels_of(text("ok", None, "ok"), "bad")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_as_python_reads_it(value):
    assert as_numbers(text(repr(value)), ".").tolist() == [value]
    assert as_numbers(text(repr(value).replace(".", ",")), ",").tolist() == [value]


@pytest.mark.parametrize(
    "cell", ["1_000", "１２", "٣", "0x10", "1e", "inf", "nan", "", " - ", "NA"]
)
def test_what_no_bank_means_is_no_number(cell):
    assert math.isnan(as_numbers(text(cell), ".")[0])


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [
        ("1970-01-02", 86_400.0),
        ("1970-01-01 01:00", 3_600.0),
        ("1970-01-01T09:00:00+09:00", 0.0),
        ("1970-01-01T00:00:00-0530", 19_800.0),
        ("1970-01-01T00:00:00.250Z", 0.25),
        ("1970-02-30", math.nan),
        ("01/02/1970", math.nan),
    ],
)
def test_dates_are_seconds_in_utc(cell, seconds):
    np.testing.assert_equal(as_seconds(text("1970-01-01", cell), "iso")[1], seconds)


# ---- features ------------------------------------------------------------------------------------


def fitted(tmp_path, lines=SHOP, **said):
    cells = read_table(write(tmp_path, lines))
    schema = infer_schema(cells, **said)
    encoder = fit_encoder(column_codes(cells.columns, schema), schema)
    return encoder, column_codes(cells.columns, encoder.schema)


def test_features_of_a_shops_table(tmp_path):
    encoder, codes = fitted(tmp_path, label="paid", positive="no")
    x = encoder(codes)
    assert encoder.names == ("when", "amount", "country")
    assert x.shape == (200, len(encoder.features)) == (200, 4 + 1 + 3)
    assert x.dtype == np.float32
    by_name = dict(zip(encoder.features, x.T, strict=True))
    # half past nine in Seoul is half past midnight in UTC
    hour = 2 * np.pi * ((np.arange(200) % 24 - 9 + 0.5) % 24) / 24
    np.testing.assert_allclose(by_name["when hour, sine"], np.sin(hour), atol=1e-6)
    rare = by_name["country is rare"]
    assert rare[0] > 0 > rare[1]  # US is the rare one
    assert by_name["country is value 1"][1] == pytest.approx(ONE_HOT_SCALE)
    np.testing.assert_allclose([rare.mean(), rare.std()], [0, 1], atol=1e-6)


def test_traced_features_are_those_of_the_host(tmp_path):
    encoder, codes = fitted(tmp_path)
    codes[3] = np.nan
    with jax.enable_x64(True):
        traced = np.asarray(jax.jit(encoder.encode)(codes))
    np.testing.assert_allclose(traced, encoder.encode(codes, np), rtol=1e-12, atol=1e-12)


def test_missing_unseen_and_huge_cells_are_numbers(tmp_path):
    lines = [SHOP[0], *(line.replace("15.5", "") for line in SHOP[1:])]
    encoder, codes = fitted(tmp_path, lines)
    amount, country = (encoder.names.index(name) for name in ("amount", "country"))
    odd = np.repeat(codes[:1], 3, axis=0)
    odd[0, amount], odd[1, amount], odd[2, country] = np.nan, 1e300, 2  # 2: never seen
    x = encoder(odd)
    assert np.isfinite(x).all()
    names = encoder.features
    seen = encoder(codes)
    assert x[0, names.index("amount")] > np.nanmean(seen[:, names.index("amount")])
    assert x[1, names.index("amount")] > 10 * np.abs(seen[:, names.index("amount")]).max()
    assert x[2, names.index("country is rare")] > seen[:, names.index("country is rare")].max()


def test_contributions_come_back_to_the_users_columns(tmp_path):
    encoder, _ = fitted(tmp_path)
    parts = np.arange(2 * len(encoder.features), dtype=np.float32).reshape(2, -1)
    summed = encoder.by_column(parts)
    assert summed.shape == (2, len(encoder.names))
    np.testing.assert_allclose(summed.sum(axis=1), parts.sum(axis=1))


def test_heavy_tails_are_tamed_and_light_ones_are_not(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["income,height"]
    lines += [
        f"{a},{b}" for a, b in zip(rng.lognormal(0, 3, 500), rng.normal(size=500), strict=True)
    ]
    encoder, codes = fitted(tmp_path, lines)
    assert [code.tamed for code in encoder.codes] == [True, False]
    assert np.abs(encoder(codes)).max() < 20


def test_a_table_without_anything_to_learn_from_is_refused(tmp_path):
    lines = ["a,b", *("1,x" for _ in range(30))]
    with pytest.raises(UserError, match="no column is left"):
        fitted(tmp_path, lines)


# ---- when rows happened --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "values", "are_dates"),
    [
        (["2025-03-01", "2025-03-02"], [1_740_787_200.0, 1_740_873_600.0], True),
        (
            ["2025-03-01T09:00:00+09:00", "2025-03-01T00:00:01Z"],
            [1_740_787_200.0, 1_740_787_201.0],
            True,
        ),
        (["1740787200000", "1740787200500"], [1_740_787_200.0, 1_740_787_200.5], True),
        (["0", "172792"], [0.0, 172_792.0], False),
    ],
)
def test_rows_are_ordered_by_dates_or_plain_numbers(cells, values, are_dates, tmp_path):
    table = read_table(write(tmp_path, ["when,b", *(f"{cell},1" for cell in cells)]))
    times = row_times(table, "when")
    np.testing.assert_array_equal(times.values, values)
    assert times.are_dates is are_dates


def test_a_row_without_a_time_is_named(tmp_path):
    table = read_table(write(tmp_path, ["when,b", *(f"{i},1" for i in range(50)), ",1", "soon,1"]))
    with pytest.raises(UserError, match=r"row 52, column when: '' is no time \(and 1 more\)"):
        row_times(table, "when")


def test_plain_numbers_that_order_the_rows_are_no_feature(tmp_path):
    lines = ["clock,b", *(f"{3 * i + i % 2},{i % 7}.5" for i in range(60))]
    table = read_table(write(tmp_path, lines))
    schema = infer_schema(table, time="clock")
    assert [column.name for column in schema.used] == ["b"]
    assert "orders the rows" in schema.columns[0].note


# ---- drift ---------------------------------------------------------------------------------------


def test_stability_index_is_the_sum_over_bins():
    """By hand: shares 0.75 / 0.25 against 0.25 / 0.75, half a row added to each of three bins."""
    schema = Schema((Column("a", "category", "", categories=("x",)),))
    known = np.array([[0.0], [0.0], [0.0], [1.0]])
    new = np.array([[0.0], [1.0], [1.0], [1.0]])
    p, q = np.array([1.5, 3.5, 0.5]) / 5.5, np.array([3.5, 1.5, 0.5]) / 5.5
    by_hand = ((p - q) * np.log(p / q)).sum()
    assert drift.population_stability(known, new, schema)[0] == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("column", "new", "changed"),
    [
        (Column("n", "number", ""), lambda known, rng: rng.permutation(known), False),
        (Column("n", "number", ""), lambda known, rng: known + 1.0, True),
        (Column("n", "number", ""), lambda known, rng: np.where(known > 0.5, np.nan, known), True),
        (Column("d", "date", "", unit="iso"), lambda known, rng: known + 30 * 86_400, False),
        (Column("d", "date", "", unit="iso"), lambda known, rng: known + 6 * 3600, True),
    ],
)
def test_drift_is_seen_where_there_is_some(column, new, changed):
    rng = np.random.default_rng(0)
    known = rng.normal(0, 1, 2000)
    if column.kind == "date":
        known = (
            1.7e9 // 86_400 * 86_400 + 86_400 * rng.integers(0, 30, 2000) + 43_200 + 3600 * known
        )
    index = drift.population_stability(known[:, None], new(known, rng)[:, None], Schema((column,)))[
        0
    ]
    assert (drift.reading(index) == "changed") is changed


def test_stability_of_blocks_is_that_of_the_whole():
    rng = np.random.default_rng(3)
    known = np.column_stack([rng.normal(size=500), rng.integers(0, 3, 500)])
    new = np.column_stack([rng.normal(0.4, 1, 301), rng.integers(0, 4, 301)])
    new[::7, 0] = np.nan
    schema = Schema((Column("n", "number", ""), Column("c", "category", "", categories=("x", "y"))))
    stability = drift.Stability(known, schema)
    for start in range(0, 301, 50):
        stability.add(new[start : start + 50])
    assert stability.rows == 301
    whole = drift.population_stability(known, new, schema)
    assert list(stability.indices().values()) == whole.tolist()


# ---- the numbers themselves: where each limit lies -----------------------------------------------


def test_ninety_five_of_a_hundred_cells_make_a_number(tmp_path):
    def column(numbers):
        cells = [f"{i % 7}.5" if i < numbers else "x" for i in range(100)]
        return read_table(
            write(tmp_path, ["a,b", *(f"{cell},{i}" for i, cell in enumerate(cells))])
        )

    with pytest.raises(UserError, match=r"row 97, column a: 'x' is not a number \(and 4 more\)"):
        infer_schema(column(95), ignore=["b"])
    assert kinds(column(94), ignore=["b"])["a"] == "category"


def test_text_with_as_many_values_as_half_its_rows_is_still_a_category(tmp_path):
    lines = ["a,b", *(f"w{i % 20},w{i % 21}" for i in range(40))]
    assert kinds(read_table(write(tmp_path, lines))) == {"a": "category", "b": "left out"}


def test_a_comma_between_cells_is_no_decimal_sign():
    """`"1,500"` in a file of commas is a thousand and a half, or anything: nothing is guessed."""
    assert csv_format(b'a,b\n"1,500",x\n"2,500",y\n') == (",", ".", "utf-8")


def test_what_the_user_says_of_a_file_is_not_overruled(tmp_path):
    cells = read_table(write(tmp_path, ["a;b|c", "1.5;2|3", "4.5;5|6"]), separator="|")
    assert list(cells.columns) == ["a;b", "c"]
    assert read_table(write(tmp_path, ["a;b", "1,5;x"]), decimal=".").decimal == "."


def test_lines_are_counted_from_one_without_a_header(tmp_path):
    pyarrow.parquet.write_table(pa.table({"a": [1.0, None]}), tmp_path / "t.parquet")
    cells = read_table(tmp_path / "t.parquet")
    with pytest.raises(UserError, match="row 2, column a: '' is no time"):
        row_times(cells, "a")


@pytest.mark.parametrize("cell", ["NaN", "None", "NULL", "N/A", " na ", "-", ""])
def test_words_for_nothing_are_missing_in_any_case(cell):
    assert is_missing(as_text(text("x", cell))).to_pylist() == [False, True]


def test_fractions_of_a_second_are_kept_to_the_microsecond():
    found = as_seconds(text("1970-01-01T00:00:01.123456789", "1970-01-01 00:00:02.000001"), "iso")
    assert found.tolist() == [1.123456, 2.000001]


@pytest.mark.parametrize(
    ("value", "unit"),
    [(631_152_000_000, "ms"), (4_102_444_800_000, "ms"), (4_102_444_800_000_000, "us")],
)
def test_whole_numbers_are_dates_from_1990_to_2100(value, unit, tmp_path):
    inward = 1 if value == 631_152_000_000 else -1
    lines = ["stamp,b", *(f"{value + inward * 7 * i},{i % 3}" for i in range(60))]
    assert infer_schema(read_table(write(tmp_path, lines))).columns[0].unit == unit


def test_categories_beyond_the_thousand_most_frequent_are_unseen(tmp_path):
    words = [f"w{i % 1001:04d}" for i in range(3003)]
    lines = ["a,b", "w0000,0", *(f"{word},{i % 3}" for i, word in enumerate(words))]
    cells = read_table(write(tmp_path, lines))
    schema = infer_schema(cells)
    assert len(schema.columns[0].categories) == 1000
    assert column_codes(cells.columns, schema)[:, 0].max() == 1000


def test_a_robust_spread_is_the_standard_deviation_of_a_normal():
    centre, spread = robust_scale(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert (centre, spread) == (3.0, pytest.approx(2 / 1.349))
    quantiles = stats.norm(7, 2).ppf((np.arange(9999) + 0.5) / 9999)
    assert robust_scale(quantiles) == pytest.approx((7, 2), rel=1e-3)


def test_a_column_with_one_far_value_in_a_hundred_is_tamed():
    schema = Schema((Column("n", "number", ""),))
    usual = np.random.default_rng(0).normal(size=1000)
    for far, tamed in ((15, True), (5, False), (0, False)):
        values = np.append(usual[far:], np.full(far, 50.0))
        assert fit_encoder(values[:, None], schema).codes[0].tamed is tamed


def test_what_lies_beyond_ten_spreads_is_drawn_in_on_both_sides():
    code = NumberCode(centre=1.0, spread=2.0, tamed=False)
    (scaled,) = code(np.array([5.0, -19.0, 23.0, 1e300, -1e300]), np)
    most = 10 + np.log1p(1e6 - 10)
    np.testing.assert_allclose(scaled, [2.0, -10.0, 10 + np.log(2), most, -most])


def test_two_huge_cells_do_not_cost_a_column_its_meaning():
    rng = np.random.default_rng(9)
    odd = rng.random(3000) < 0.03
    rows = rng.normal(size=(3000, 6))
    rows[odd, 2] += 5.0
    rows[[17, 40], 2] = 1e30, -1e30
    schema = Schema(tuple(Column(f"c{i}", "number", "") for i in range(6)))
    x = fit_encoder(rows[:1800], schema)(rows)
    score = default_detector(x[:1800]).score(x[1800:])
    assert average_precision_score(odd[1800:], score) > 0.4


def test_weekdays_are_counted_from_monday():
    days = np.arange(7)
    _, _, sine, cosine = DateCode()(86_400.0 * (4 + days), np)  # 5 January 1970 was a Monday
    np.testing.assert_allclose(sine, np.sin(2 * np.pi * days / 7), atol=1e-12)
    np.testing.assert_allclose(cosine, np.cos(2 * np.pi * days / 7), atol=1e-12)


def test_rareness_is_the_information_content_standardised():
    """By hand: 6 of a, 2 of b, none unseen, 2 missing, and one more of each."""
    schema = Schema((Column("c", "category", "", categories=("a", "b")),))
    values = np.array([0.0] * 6 + [1.0] * 2 + [np.nan] * 2)
    (code,) = fit_encoder(values[:, None], schema).codes
    content = -np.log(np.array([7, 3, 1, 3]) / 14)
    held = content[[0] * 6 + [1] * 2 + [3] * 2]
    np.testing.assert_allclose(code.rareness, (content - held.mean()) / held.std())
    rare, first, second = code(np.array([0.0, 1.0, 2.0, np.nan]), np)
    np.testing.assert_allclose(rare, code.rareness)
    assert first.tolist() == [0.5**0.5, 0, 0, 0]
    assert second.tolist() == [0, 0.5**0.5, 0, 0]


def test_each_features_part_goes_to_its_own_column(tmp_path):
    encoder, _ = fitted(tmp_path, label="paid", positive="no")
    parts = np.arange(1.0, 9.0, dtype=np.float32)[None]  # 4 of when, 1 of amount, 3 of country
    assert encoder.by_column(parts).tolist() == [[10.0, 5.0, 21.0]]


def test_the_bins_of_a_number_are_tenths_with_one_more_for_nothing():
    """By hand: ten known values, a bin each; a value on an edge belongs to the bin below it."""
    schema = Schema((Column("n", "number", ""),))
    known = np.arange(1.0, 11.0)
    edges = np.quantile(known, np.arange(1, 10) / 10)  # 1.9, 2.8, ...
    new = np.array([1.0, edges[0], edges[0], np.nan])
    q = np.array([*[1] * 10, 0]) + 0.5
    p = np.array([3, *[0] * 9, 1]) + 0.5
    p, q = p / p.sum(), q / q.sum()
    found = drift.population_stability(known[:, None], new[:, None], schema)
    assert found[0] == pytest.approx(((p - q) * np.log(p / q)).sum())


def test_an_index_on_a_limit_reads_as_the_worse():
    words = [drift.reading(index) for index in (0.0999, 0.1, 0.2499, 0.25)]
    assert words == ["stable", "some change", "some change", "changed"]
