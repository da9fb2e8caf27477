from __future__ import annotations

import base64
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from mien.errors import ArgumentError, OutputError
from mien.outputs.report import Page

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Outline(HTMLParser):
    """Read a page strictly: every element is closed where it must be; what it holds is kept."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[tuple[str, str]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.words.append((self.open[-1], data))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    def texts(self, tag: str) -> list[str]:
        return [words for name, words in self.words if name == tag]


def full_page(odd: str = "plain") -> Page:
    page = Page(f"Title {odd}", f"subtitle {odd}")
    page.text("before\n\nthe sections")
    page.section(f"First {odd}")
    page.table(("name", odd), [(odd, 1), ("b", 2.5)], caption=f"caption {odd}", shade=[[np.nan, 0.5], [0, 1]])
    page.subsection(f"Part {odd}")
    page.picture(np.zeros((4, 6), np.uint8), alt=f"black {odd}", caption=odd)
    page.gallery([(np.full((5, 5, 3), 9, np.uint8), odd)], alt=f"tile {odd}")
    page.section("Second")
    figure = Figure(figsize=(2, 1))
    figure.add_subplot().plot([0, 1])
    page.figure(figure, alt="a line", caption="rises")
    page.code(f"mien {odd}")
    return page


ODD = [
    "plain",
    '<script>alert("x")</script> & \' "',
    "http-less 顔 😀",
    "control \x00\x1b[0m",
    "<!-- ]]> -->",
]


@pytest.mark.parametrize("odd", ODD)
def test_a_page_is_well_formed_whatever_it_says(odd: str) -> None:
    outline = Outline(full_page(odd).html())
    shown = odd.replace("\x00", "\ufffd").replace("\x1b", "\ufffd")
    assert outline.texts("h1") == [f"Title {shown}"]
    assert outline.texts("title") == [f"Title {shown}"]
    assert outline.texts("caption") == [f"caption {shown}"]
    assert outline.texts("code") == [f"mien {shown}"]
    assert [image["alt"] for image in outline.named("img")] == [
        f"black {shown}",
        f"tile {shown}: {shown}",
        "a line",
    ]
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in outline.tags}


def test_headings_go_down_one_by_one_and_the_contents_lead_to_them() -> None:
    outline = Outline(full_page().html())
    assert [tag for tag, _ in outline.tags if tag in ("h1", "h2", "h3")] == ["h1", "h2", "h3", "h2"]
    targets = {attrs["id"] for attrs in outline.named("h2")}
    assert {str(link["href"])[1:] for link in outline.named("a")} == targets
    assert outline.texts("a") == ["First plain", "Second"]
    assert outline.named("html") == [{"lang": "en"}]
    with pytest.raises(ArgumentError, match="subsection"):
        Page("p").subsection("too early")


def test_nothing_is_fetched() -> None:
    page = full_page().html()
    assert "http:" not in page and "https:" not in page and "url(" not in page and "@import" not in page
    outline = Outline(page)
    for tag, attrs in outline.tags:
        for key in ("src", "href", "srcset", "poster", "data"):
            value = attrs.get(key) or "#"
            assert value.startswith(("#", "data:image/png;base64,")), (tag, key)
    policy = next(meta for meta in outline.named("meta") if "http-equiv" in meta)
    assert "default-src 'none'" in str(policy["content"])


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (1234567, "1,234,567"),
        (np.int64(1200), "1,200"),
        (0.123456, "0.1235"),
        (np.float32(0.5), "0.5"),
        (float("nan"), "\N{EN DASH}"),
        (None, "\N{EN DASH}"),
        ("0.610 (0.580 to 0.640)", "0.610 (0.580 to 0.640)"),
        ("48 x 48", "48 x 48"),
        (True, "yes"),
        ("no number 3", "no number 3"),
    ],
)
def test_cells_and_their_side(cell: object, words: str) -> None:
    page = Page("p")
    page.table(("x", "y"), [("a", cell), ("b", None)])
    outline = Outline(page.html())
    assert words in outline.texts("td")
    number = words[0].isdigit()
    assert [attrs.get("class") for attrs in outline.named("td")] == ["number" if number else None] * 2
    assert outline.named("th")[1].get("class") == ("number" if number else None)
    assert [attrs["scope"] for attrs in outline.named("th")] == ["col", "col", "row", "row"]


def test_an_empty_table_has_its_headings() -> None:
    page = Page("p")
    page.table(("x", "y"), [])
    assert Outline(page.html()).texts("th") == ["x", "y"]


def test_shades_colour_their_cells_only() -> None:
    page = Page("p")
    page.table(("", "a", "b"), [("r", 0.1, 0.2)], shade=[[np.nan, 0.25, np.nan]])
    assert [attrs.get("style") for attrs in Outline(page.html()).named("td")] == ["--heat:0.250", None]


@pytest.mark.parametrize("shade", [[[0.1]], [[1.1, 0]], [[-0.1, 0]]])
def test_other_shades_are_refused(shade: list[list[float]]) -> None:
    with pytest.raises(ArgumentError, match="shade"):
        Page("p").table(("a", "b"), [(1, 2)], shade=shade)


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ArgumentError, match="rows of 2 cells"):
        Page("p").table(("a", "b"), [(1, 2), (1,)])


def pixels_of(attrs: dict[str, str | None]) -> np.ndarray:
    data = base64.b64decode(str(attrs["src"]).partition(",")[2])
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def test_pictures_keep_their_pixels_and_colours() -> None:
    red = np.zeros((3, 5, 3), np.uint8)
    red[..., 0] = 200
    red[0, 0] = (1, 2, 3)
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    page = Page("p")
    page.picture(red, alt="red")
    page.picture(grey, alt="grey")
    page.picture(cv2.imencode(".png", grey)[1].tobytes(), alt="coded")
    images = Outline(page.html()).named("img")
    assert (pixels_of(images[0]) == red).all()
    assert (pixels_of(images[1]) == grey[..., None]).all()
    assert (pixels_of(images[2]) == grey[..., None]).all()
    assert [(im["width"], im["height"]) for im in images] == [("5", "3"), ("4", "3"), ("4", "3")]


@pytest.mark.parametrize(
    ("picture", "alt", "says"),
    [
        (b"GIF89a", "x", "PNG"),
        (np.zeros((2, 2), np.float32), "x", "uint8"),  # type: ignore[list-item]  # that is the test
        (np.zeros((0, 2), np.uint8), "x", "pixels"),
        (np.zeros((2, 2, 4), np.uint8), "x", "pixels"),
        (np.zeros((2, 2), np.uint8), "", "alt"),
    ],
)
def test_what_is_no_picture_or_has_no_words_is_refused(picture: np.ndarray, alt: str, says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        Page("p").picture(picture, alt=alt)


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    page = full_page("\udce9 not decodable")
    page.write(tmp_path / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert "\\udce9 not" in (tmp_path / "page.html").read_text(encoding="utf-8")
    with pytest.raises(OutputError, match="create it first"):
        page.write(tmp_path / "missing" / "page.html")


def test_pyplot_is_not_touched() -> None:
    code = (
        "import sys; from mien.outputs.report import Page; assert 'matplotlib' not in sys.modules;"
        "from matplotlib.figure import Figure; Page('p').figure(Figure(), alt='x');"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
