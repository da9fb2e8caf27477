"""Tables in a terminal."""

from mien.cli.show import READING_HEADINGS, reading_rows, show_table
from mien.testing import make_readings


def test_the_words_of_a_table_stand_as_they_are(capsys):
    show_table(("group [years]", "N", "[b]"), [("[unknown]", "3", ":smile:"), ("[/y]", "4", r"\[x]")])
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["group", "[years]", "N", "[b]"],
        ["[unknown]", "3", ":smile:"],
        ["[/y]", "4", r"\[x]"],
    ]


def test_columns_of_numbers_end_alike(capsys):
    show_table(("what", "N"), [("a", "1"), ("b", "1000")], right=("N",))
    lines = capsys.readouterr().out.splitlines()
    assert {len(line) for line in lines} == {len(lines[0])}
    assert lines[1].endswith("   1")


def test_the_name_of_a_picture_stands_as_it_is(capsys):
    rows = reading_rows(make_readings(["fear"], source="a[b]\udcff.png"))
    show_table(READING_HEADINGS, rows)
    assert capsys.readouterr().out.splitlines()[1].startswith(r"a[b]\udcff.png ")
