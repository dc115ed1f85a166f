"""Results of a run: tables, the HTML page, sections of Markdown documents."""

from jaxdl.report.table import Results, Table, format_cell

__all__ = ["Results", "Table", "format_cell"]
