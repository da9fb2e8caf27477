"""A report as one HTML page: text, tables and pictures in a single file that fetches nothing.

The page is readable on a telephone and on a wide screen, in a light and in a dark room; wide tables scroll
in a box of their own. It needs no script.
"""

from __future__ import annotations

import base64
import html
import io
import math
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien._version import __version__
from mien.errors import bad_argument
from mien.outputs.files import write_file
from mien.outputs.report_style import STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cell = str | int | float | np.integer | np.floating | None
"""What may stand in a table; None, and what is not a number, is a dash."""

Picture = bytes | NDArray[np.uint8]
"""A PNG file's bytes, or pixels: (H, W) grey or (H, W, 3) RGB, uint8."""

_DASH = "\N{EN DASH}"
_PNG = b"\x89PNG\r\n\x1a\n"
_FIGURE_DPI = 200
"""Pixels per inch of a chart, shown at half its size so that it is sharp on a fine screen."""

_NUMERIC = re.compile(
    r"[<>~]?\s*[-+\N{MINUS SIGN}]?\.?\d[\d.,%\s]*([(±/x\N{MULTIPLICATION SIGN}].*)?(s|ms|px)?"
)
"""What counts as a number in a cell that is text: "12", "3.5 %", "0.61 (0.58 to 0.64)", "48 x 48", "3 ms"."""

_EMPTY = {"", "-", _DASH}


class Page:
    """A page that is filled from top to bottom and then written.

    Parameters
    ----------
    title : str
    subtitle : str
        A line under the title.

    Examples
    --------
    >>> page = Page("Report", "on nothing")
    >>> page.section("Numbers")
    >>> page.table(("what", "N"), [("pictures", 12)])
    >>> "<h2" in page.html()
    True
    """

    def __init__(self, title: str, subtitle: str = "") -> None:
        self.title = title
        self.subtitle = subtitle
        self._parts: list[str] = []
        self._sections: list[str] = []

    def section(self, title: str) -> None:
        """Begin a section; the table of contents lists it."""
        self._sections.append(title)
        self._parts.append(f'<h2 id="s{len(self._sections)}">{_text(title)}</h2>')

    def subsection(self, title: str) -> None:
        """Begin a part of the section.

        Raises
        ------
        ArgumentError
            Before the first section.
        """
        if not self._sections:
            raise bad_argument("subsection", allowed="inside a section; begin one first", given=title)
        self._parts.append(f"<h3>{_text(title)}</h3>")

    def text(self, text: str) -> None:
        """Add text; an empty line begins a new paragraph."""
        for paragraph in re.split(r"\n\s*\n", text.strip()):
            self._parts.append(f"<p>{_text(paragraph)}</p>")

    def code(self, text: str) -> None:
        """Add a command or a file's text as it is, in letters of one width."""
        self._parts.append(f'<pre class="scroll" tabindex="0"><code>{_text(text)}</code></pre>')

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[Cell]],
        *,
        caption: str = "",
        shade: ArrayLike | None = None,
    ) -> None:
        """Add a table; columns of numbers are aligned to the right.

        Parameters
        ----------
        columns : sequence of str
            The c headings.
        rows : sequence of sequences
            r rows of c cells. Whole numbers get thousands separators, others four digits; text stands as
            it is.
        caption : str
        shade : array_like of shape (r, c), optional
            How strongly each cell is coloured, 0 to 1; NaN for not at all.

        Raises
        ------
        ArgumentError
            If a row has another number of cells, or `shade` another shape or range.
        """
        for row in rows:
            if len(row) != len(columns):
                raise bad_argument("rows", allowed=f"rows of {len(columns)} cells", given=tuple(row))
        heat = _heat(shade, len(rows), len(columns))
        cells = [[_words(cell) for cell in row] for row in rows]
        right = [_is_numeric([row[c] for row in cells]) for c in range(len(columns))]
        lines = [f"<caption>{_text(caption)}</caption>"] if caption else []
        heads = (_tag("th", name, r, scope="col") for name, r in zip(columns, right, strict=True))
        lines.append(f"<thead><tr>{''.join(heads)}</tr></thead><tbody>")
        for r, row in enumerate(cells):
            line = (_cell(c, word, right[c], float(heat[r, c])) for c, word in enumerate(row))
            lines.append(f"<tr>{''.join(line)}</tr>")
        body = "".join([*lines, "</tbody>"])
        self._parts.append(f'<div class="scroll" tabindex="0"><table>{body}</table></div>')

    def picture(self, picture: Picture, *, alt: str, caption: str = "") -> None:
        """Add a picture, at most as wide as the page.

        Parameters
        ----------
        picture : bytes or ndarray of shape (H, W) or (H, W, 3), uint8
            A PNG file's bytes, or grey or RGB pixels.
        alt : str
            What it shows, for those who do not see it.
        caption : str

        Raises
        ------
        ArgumentError
            If it is no picture, or `alt` is empty.
        """
        self._parts.append(_figure(_image(picture, alt), caption))

    def gallery(self, pictures: Sequence[tuple[Picture, str]], *, alt: str) -> None:
        """Add small pictures side by side, as many in a line as there is room for.

        Parameters
        ----------
        pictures : sequence of (picture, str)
            Each with its caption.
        alt : str
            What they show; each picture's caption is added to it.
        """
        tiles = (
            f"<li>{_figure(_image(picture, f'{alt}: {caption}' if caption else alt), caption)}</li>"
            for picture, caption in pictures
        )
        self._parts.append(f'<ul class="gallery">{"".join(tiles)}</ul>')

    def figure(self, figure: Figure, *, alt: str, caption: str = "") -> None:
        """Add a matplotlib figure, on a white ground; parameters as for :meth:`picture`."""
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            # A label in a script that the font lacks is drawn with boxes; that is no reason to be loud.
            warnings.filterwarnings("ignore", message="Glyph")
            figure.savefig(buffer, format="png", dpi=_FIGURE_DPI, facecolor="white")
        image = _image(_few_colours(buffer), alt, scale=0.5)
        self._parts.append(_figure(image, caption, "chart"))

    def html(self) -> str:
        """Return the page as it would be written."""
        title = _text(self.title)
        subtitle = f'<p class="subtitle">{_text(self.subtitle)}</p>' if self.subtitle else ""
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            # Nothing may be fetched, whatever a file name or a caption contains.
            '<meta http-equiv="Content-Security-Policy" '
            "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="color-scheme" content="light dark">'
            f'<meta name="generator" content="mien {__version__}">'
            f"<title>{title}</title><style>{STYLE}</style></head>\n<body><header><h1>{title}</h1>{subtitle}"
            f"</header>{self._contents()}<main>\n" + "\n".join(self._parts) + "\n</main></body></html>\n"
        )

    def write(self, path: str | Path) -> None:
        """Write the page, whole or not at all.

        Raises
        ------
        OutputError
            If it cannot be written; what stood under the name before is still there.
        """
        write_file(path, self.html().encode("utf-8", "backslashreplace"))

    def _contents(self) -> str:
        if len(self._sections) < 2:
            return ""
        items = (f'<li><a href="#s{i}">{_text(name)}</a></li>' for i, name in enumerate(self._sections, 1))
        return f'<nav aria-label="Contents"><ul>{"".join(items)}</ul></nav>'


def _text(text: str) -> str:
    """Escape what HTML reads, and replace the control characters it does not allow."""
    return html.escape(re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", "\N{REPLACEMENT CHARACTER}", text))


def _words(cell: Cell) -> str:
    if cell is None:
        return _DASH
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool | np.bool_):
        return "yes" if cell else "no"
    if isinstance(cell, int | np.integer):
        return f"{int(cell):,}"
    return f"{float(cell):.4g}" if math.isfinite(cell) else _DASH


def _is_numeric(words: list[str]) -> bool:
    said = [word for word in words if word not in _EMPTY]
    return bool(said) and all(_NUMERIC.fullmatch(word) for word in said)


def _heat(shade: ArrayLike | None, rows: int, columns: int) -> NDArray[np.float64]:
    if shade is None:
        return np.full((rows, columns), np.nan)
    heat = np.asarray(shade, np.float64)
    if heat.shape != (rows, columns) or (heat < 0).any() or (heat > 1).any():
        raise bad_argument("shade", allowed=f"of shape ({rows}, {columns}), from 0 to 1 or NaN", given=shade)
    return heat


def _cell(column: int, word: str, right: bool, heat: float) -> str:
    if column == 0 and not right:
        return _tag("th", word, False, scope="row")
    return (
        _tag("td", word, right) if math.isnan(heat) else _tag("td", word, right, style=f"--heat:{heat:.3f}")
    )


def _tag(name: str, word: str, right: bool, **attributes: str) -> str:
    named = {"class": "number", **attributes} if right else attributes
    said = "".join(f' {key}="{value}"' for key, value in named.items())
    return f"<{name}{said}>{_text(word)}</{name}>"


def _figure(image: str, caption: str, kind: str = "") -> str:
    words = f"<figcaption>{_text(caption)}</figcaption>" if caption else ""
    said = f' class="{kind}"' if kind else ""
    return f"<figure{said}>{image}{words}</figure>"


def _image(picture: Picture, alt: str, *, scale: float = 1.0) -> str:
    if not alt:
        raise bad_argument("alt", allowed="words that say what the picture shows", given=alt)
    png = picture if isinstance(picture, bytes) else _as_png(picture)
    if not png.startswith(_PNG):
        raise bad_argument("picture", allowed="the bytes of a PNG file, or pixels", given=png[:8])
    width, height = (round(int.from_bytes(png[at : at + 4], "big") * scale) for at in (16, 20))
    data = base64.b64encode(png).decode("ascii")
    return f'<img width="{width}" height="{height}" alt="{_text(alt)}" src="data:image/png;base64,{data}">'


def _few_colours(drawn: io.BytesIO) -> bytes:
    """Keep a chart's colours in a table of 256: it then takes a third of the room, and looks the same."""
    from PIL import Image  # matplotlib brings it along

    small = io.BytesIO()
    with Image.open(drawn) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


def _as_png(pixels: NDArray[np.uint8]) -> bytes:
    import cv2

    if pixels.dtype != np.uint8 or 0 in pixels.shape or not (pixels.ndim == 2 or pixels.shape[2:] == (3,)):
        raise bad_argument(
            "picture", allowed="uint8 pixels (H, W) or (H, W, 3)", given=(pixels.shape, pixels.dtype)
        )
    _, coded = cv2.imencode(".png", pixels if pixels.ndim == 2 else pixels[..., ::-1])
    return coded.tobytes()
