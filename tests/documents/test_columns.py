"""Columns that a PDF draws row by row are read one after the other; the rows of a table stay rows."""

import zlib

import pytest

from tests.documents.conftest import read
from tests.documents.factories import assemble

PROSE = [
    ("The committee reviewed the annual", "Salaries of pilots rise by nine", "Boats may be rented at the old"),
    ("report of the harbour and then", "percent in the coming year as", "mill from dawn until the last"),
    ("closed the northern gate for good.", "agreed with the union in May.", "ferry has left the island."),
]
TABLE = [
    ("Name of the ship", "Home of the crew"),
    ("Pequod of Nantucket", "Nantucket island"),
    ("Rachel of the sea", "Bedford harbour"),
]


def text_of(tmp_path, rows, lefts):
    """The text of a page on which the cells are drawn row by row."""
    commands = [
        f"BT /F1 9 Tf 1 0 0 1 {left} {700 - 12 * number} Tm ({cell}) Tj ET"
        for number, row in enumerate(rows)
        for left, cell in zip(lefts, row, strict=False)
        if cell
    ]
    path = tmp_path / "a.pdf"
    path.write_bytes(assemble([zlib.compress("\n".join(commands).encode())]))
    return read(path)[0].page.text


@pytest.mark.parametrize("columns", [2, 3])
def test_columns_of_prose_are_read_one_after_the_other(tmp_path, columns):
    """Each sentence is whole."""
    text = " ".join(text_of(tmp_path, [row[:columns] for row in PROSE], (40, 230, 420)).split())

    assert text == " ".join(" ".join(row[column] for row in PROSE) for column in range(columns))


def test_a_longer_column_is_read_to_its_end(tmp_path):
    """Its last lines have no text beside them."""
    rows = [row[:2] for row in PROSE] + [("It then went home on foot and", ""), ("slept until the next morning.", "")]
    text = " ".join(text_of(tmp_path, rows, (40, 300)).split())

    assert text.endswith(" ".join(row[1] for row in PROSE))


def test_the_rows_of_a_table_stay_rows(tmp_path):
    """Their cells do not run on from line to line."""
    assert text_of(tmp_path, TABLE, (40, 300)).splitlines() == [" ".join(row) for row in TABLE]
