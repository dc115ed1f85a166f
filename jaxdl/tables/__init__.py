"""Any table: read it, say what each column is, make features of it.

read      a CSV, gzipped CSV or Parquet file (or a folder of Parquet parts) as columns of cells
workbook  a sheet of an Excel file as rows of text
schema    what each column is and what is done with it; kept as JSON
blanks    what stands in for missing cells
encode    the arithmetic from cells to features: fitted once, pure functions of arrays afterwards
"""

from jaxdl.tables.encode import Encoder, fit_encoder
from jaxdl.tables.read import Cells, read_table
from jaxdl.tables.schema import Column, Schema, infer_schema

__all__ = ["Cells", "Column", "Encoder", "Schema", "fit_encoder", "infer_schema", "read_table"]
