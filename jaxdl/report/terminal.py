"""Tables as text for a terminal: never wider than it, cut into named parts where they would be."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxdl.language import width_of

GAP = "  "  # between two columns
LEAST_WIDTH = 40  # a narrower terminal wraps lines itself
NARROWEST_COLUMN = 10  # a header is not broken into lines shorter than this


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        header: its name.
        cells: as text, one for each row.
        numeric: stands at the right.
    """

    header: str
    cells: Sequence[str]
    numeric: bool

    @property
    def width(self) -> int:
        """Columns of the terminal that it takes with its header in one line."""
        return max(width_of(text) for text in (self.header, *self.cells))


def table_text(title: str, columns: Sequence[Column], width: int, whole_title: bool = False) -> str:
    """A table of at most `width` columns of a terminal.

    Where it is wider, headers are broken into lines first, then the table is cut into parts. Each
    part repeats the columns that name its rows, and its title says which columns it holds.

    Args:
        title: of the table.
        columns: at least one.
        width: of the terminal.
        whole_title: the title stays in one line, however long it is.
    """
    width = max(width, LEAST_WIDTH)

    def title_lines(title: str) -> list[str]:
        return [title] if whole_title else wrapped(title, width)

    if _total([column.width for column in columns]) <= width:
        return "\n".join([*title_lines(title), *_lines(columns, [c.width for c in columns])])
    keys = key_columns(columns, width // 2) if len(columns) > 1 else []
    key_widths = [min(_folded_width(column), width // 2) for column in keys]
    others = columns[len(keys) :]
    room = width - sum(key_width + len(GAP) for key_width in key_widths)
    widths = [min(_folded_width(column), room) for column in others]
    parts = _parts(widths, room)
    blocks = []
    for number, (first, end) in enumerate(parts, start=1):
        held = others[first:end]
        name = title
        if len(parts) > 1:
            name = f"{title} [{number}/{len(parts)}: {_span(held)}]"
        lines = _lines([*keys, *held], [*key_widths, *widths[first:end]])
        blocks.append("\n".join([*title_lines(name), *lines]))
    return "\n\n".join(blocks)


def key_columns(columns: Sequence[Column], room: int) -> Sequence[Column]:
    """The leading columns that name the rows: as few as tell all rows apart, at least one.

    Args:
        columns: of the table.
        room: how wide they may be together; the first is taken in any case.
    """
    count = 1
    while count < len(columns) - 1 and not columns[count].numeric:
        rows = list(zip(*(column.cells for column in columns[:count]), strict=True))
        wider = _total([_folded_width(column) for column in columns[: count + 1]])
        if len(set(rows)) == len(rows) or wider > room:
            break
        count += 1
    return columns[:count]


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns of a terminal, broken at spaces where there are any.

    >>> wrapped("mean squared error", 12)
    ['mean squared', 'error']
    >>> wrapped("abcdefgh", 5)
    ['abcde', 'fgh']
    """
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and width_of(lines[-1]) + 1 + width_of(word) <= width:
            lines[-1] += f" {word}"
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if width_of(lines[-1]) + width_of(letter) > width:
                lines.append("")
            lines[-1] += letter
    return lines


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _folded_width(column: Column) -> int:
    """What a column takes when its header may be broken into lines, but no number is."""
    cells = max((width_of(cell) for cell in column.cells), default=0)
    longest_word = max(width_of(word) for word in column.header.split(" "))
    folded = max(min(width_of(column.header), NARROWEST_COLUMN), longest_word)
    return max(cells, folded)


def _parts(widths: Sequence[int], room: int) -> list[tuple[int, int]]:
    """(first, end) of as many columns as fit beside one another, one at least."""
    parts, first = [], 0
    for end in range(1, len(widths) + 1):
        if end == len(widths) or _total(widths[first : end + 1]) > room:
            parts.append((first, end))
            first = end
    return parts


def _span(columns: Sequence[Column]) -> str:
    names = [column.header for column in columns]
    return names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]}"


def _lines(columns: Sequence[Column], widths: Sequence[int]) -> list[str]:
    """Header, rule and rows; a cell wider than its column takes several lines."""
    numeric = [column.numeric for column in columns]
    header = [column.header for column in columns]
    rows = zip(*(column.cells for column in columns), strict=True)
    rule = GAP.join("-" * width for width in widths)
    lines = [*_row_lines(header, widths, numeric, bottom=True), rule]
    for row in rows:
        lines += _row_lines(row, widths, numeric)
    return lines


def _row_lines(
    cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool], bottom: bool = False
) -> list[str]:
    """One row as lines; `bottom` puts short cells at the end of a high row, as headers stand."""
    folded = [wrapped(cell, width) for cell, width in zip(cells, widths, strict=True)]
    height = max(map(len, folded))
    padded = [
        [""] * (height - len(lines)) + lines if bottom else lines + [""] * (height - len(lines))
        for lines in folded
    ]
    return [
        GAP.join(
            _placed(text, width, right)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in zip(*padded, strict=True)
    ]


def _placed(text: str, width: int, right: bool) -> str:
    space = " " * (width - width_of(text))
    return space + text if right else text + space
