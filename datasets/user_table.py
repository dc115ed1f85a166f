"""A table of one's own, or the invented shop's orders in its place.

A CSV with any usual separator, gzipped or not, Parquet or Excel: see `jaxdl.tables.read`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from datasets import shop
from datasets.source import DataError, Provenance, Request, sha256_of
from jaxdl.errors import UserError
from jaxdl.hashing import arrays_digest
from jaxdl.tables.read import Cells, read_table


@dataclass(frozen=True)
class UserTable:
    """A table as it was read, and where its bytes came from."""

    cells: Cells
    provenance: Provenance


def load(
    request: Request,
    path: Path | None = None,
    *,
    separator: str | None = None,
    decimal: str | None = None,
    sheet: str | None = None,
    shop_rows: int = shop.ROWS,
) -> UserTable:
    """The user's table; without one the simulated orders.

    Args:
        request: a source other than "auto" does not go with a file.
        path: CSV (.gz), Parquet, a folder of Parquet parts, or a workbook (.xlsx).
        separator, decimal: of a CSV; found out where they are None.
        sheet: of a workbook; the first one where it is None.
        shop_rows: how many orders are invented where there is no file.

    Raises:
        DataError: the file cannot be read; a file beside another source.
    """
    if path is None:
        return _simulated(shop_rows)
    if request.source != "auto":
        raise DataError(f"--csv is the source of the data: leave --source {request.source} out")
    try:
        cells = read_table(path, separator, decimal, sheet)
    except UserError as error:
        raise DataError(str(error)) from error
    detail = f"{cells.rows:,} rows, {len(cells.columns)} columns, {cells.origin}"
    return UserTable(cells, Provenance(path.name, "user file", sum_of(path), detail))


def sum_of(path: Path) -> str:
    """sha256 of a file, or of the sums of a folder's files by name."""
    if not path.is_dir():
        return sha256_of(path)
    files = sorted(each for each in path.rglob("*") if each.is_file())
    sums = np.frombuffer(bytes.fromhex("".join(sha256_of(each) for each in files)), np.uint8)
    return arrays_digest({"sums": sums})


def _simulated(rows: int) -> UserTable:
    table = shop.simulate(rows)
    columns = {name: pa.chunked_array([pa.array(cells)]) for name, cells in table.items()}
    text = {name: np.asarray(cells) for name, cells in table.items()}
    digest = arrays_digest(text)
    detail = f"{rows:,} orders, {table['outcome'].count('fraud')} of them fraud"
    cells = Cells(columns, 2, ".", "comma-separated")
    return UserTable(cells, Provenance("shop orders", "simulated", digest, detail, twin=False))
