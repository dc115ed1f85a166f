"""A table with a schema as the scorer reads it: numbers, words and dates to codes, as in training.

The same arithmetic as training's (`jaxdl.tables.schema`), a block at a time. Needs pyarrow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from jaxdl.serving.table_reader import (
    MAX_FLOAT32,
    SHOWN,
    Layout,
    Quick,
    arrow_cells,
    header_names,
    refuse_absent_or_repeated,
    refuse_series,
    shown,
    split_line,
)
from jaxdl.tables.read import ENCODINGS, MISSING, SEPARATORS, looks_decimal
from jaxdl.tables.schema import Column, Schema, as_text, column_codes, is_missing

if TYPE_CHECKING:
    from jaxtyping import Float64

# Arrow compares with case; what is written in another way is read with care.
MISSING_WORDS = tuple({form for word in MISSING for form in (word, word.upper(), word.title())})


@dataclass(frozen=True)
class TypedTable:
    """Which columns of a user's table are scored, and how their cells are read.

    Columns that the schema does not use are not read, nor are those it does not know.

    Attributes:
        schema: what the columns are.
        keep: carried over as text.
    """

    schema: Schema
    keep: tuple[str, ...] = ()

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.schema.used)

    @property
    def encodings(self) -> tuple[str, ...]:
        return ENCODINGS

    def layout(self, header: str, sample: Sequence[str] = ()) -> Layout:
        """Where the columns stand; the separator is the one that makes the most of them.

        Where it is no comma, the sample's numbers say which decimal sign is used, and the schema
        where they do not.

        Raises:
            UserError: a column is missing or stands twice.
        """
        found = {sign: header_names(header, sign) for sign in SEPARATORS}
        best = max(found, key=lambda sign: len(set(self.columns) & set(found[sign])))
        names = found[best]
        self._check_names(names)
        places, kept = ([names.index(name) for name in some] for some in (self.columns, self.keep))
        decimal = "." if best == "," else self._decimal(sample, best, places)
        return Layout(best, len(names), tuple(places), tuple(kept), decimal)

    def _decimal(self, sample: Sequence[str], separator: str, places: Sequence[int]) -> str:
        rows = map(partial(split_line, separator=separator), sample)
        are_numbers = zip(self.schema.used, places, strict=True)
        numbers = [place for column, place in are_numbers if column.kind == "number"]
        cells = [
            row[i].strip() for row in rows if isinstance(row, list) for i in numbers if i < len(row)
        ]
        with_comma, with_point = (
            sum(looks_decimal(cell, sign) for cell in cells) for sign in (",", ".")
        )
        if with_comma == with_point:
            return self.schema.decimal
        return "," if with_comma > with_point else "."

    def _check_names(self, header: Sequence[str]) -> None:
        refuse_series(header, self.columns)
        needed = [*self.columns, *self.keep]
        for name in needed:
            refuse_absent_or_repeated(name, header, needed)

    def quick(self, data: bytes, layout: Layout) -> Quick | None:
        """Codes of whole lines; None where a cell cannot be read."""
        kinds = ["float64" if column.kind == "number" else "string" for column in self.schema.used]
        found = arrow_cells(data, layout, kinds, MISSING_WORDS)
        if found is None:
            return None
        columns, kept = found
        codes, problems = self._codes(dict(zip(self.columns, columns, strict=True)), layout.decimal)
        return None if problems else Quick(codes, kept)

    def careful(
        self, cells: Sequence[Sequence[str]], layout: Layout
    ) -> tuple[Float64[np.ndarray, "n columns"], dict[int, str]]:
        """Codes of rows of text, and what is wrong with some of the rows."""
        columns = zip(self.columns, zip(*cells, strict=True), strict=True)
        texts = {name: pa.chunked_array([pa.array(cells, pa.string())]) for name, cells in columns}
        return self._codes(texts, layout.decimal)

    def check_types(self, types: Mapping[str, Any]) -> None:
        """Raises UserError where a column is missing; cells of any type can be read."""
        self._check_names(list(types))

    def of_arrow(
        self, columns: Mapping[str, Any]
    ) -> tuple[Float64[np.ndarray, "n columns"], dict[int, str]]:
        """Codes of a Parquet file's columns, and what is wrong with some of the rows."""
        cells = {name: pa.chunked_array([columns[name]]) for name in self.columns}
        return self._codes(cells, self.schema.decimal)

    def _codes(
        self, columns: Mapping[str, pa.ChunkedArray], decimal: str
    ) -> tuple[Float64[np.ndarray, "n columns"], dict[int, str]]:
        codes = column_codes(columns, dataclasses.replace(self.schema, decimal=decimal))
        problems: dict[int, str] = {}
        for i, column in enumerate(self.schema.used):
            if column.kind != "category":
                for row in self._wrong(column, columns[column.name], codes[:, i]):
                    cell = as_text(columns[column.name])[row].as_py()
                    what = _what(column, cell, codes[row, i])
                    problems.setdefault(row, f"column {column.name}: {what}")
        codes[list(problems)] = 0
        return codes, problems

    @staticmethod
    def _wrong(column: Column, cells: pa.ChunkedArray, codes: np.ndarray) -> list[int]:
        """Rows whose cell holds something that is no number or date, or none that fits."""
        wrong = np.abs(codes) > MAX_FLOAT32
        nothing = np.isnan(codes)
        if nothing.any():
            wrong |= nothing & ~np.asarray(is_missing(as_text(cells)))
        return np.flatnonzero(wrong).tolist()


def _what(column: Column, cell: str, code: float) -> str:
    """What is wrong with a cell."""
    if not np.isnan(code):
        return f"{cell[:SHOWN]} is out of range"
    return f"{shown(cell)} is {'no date' if column.kind == 'date' else 'not a number'}"
