"""An audit as one HTML page, with pictures of what was found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.outputs.report import Cell, Page
from mien.sources.labelled import LabelledImages
from mien.training.audit import Audit
from mien.training.audit_charts import balance_chart, face_chart, light_chart
from mien.training.copies import Agreement
from mien.training.findings import UNLABELLED, CorpusFindings
from mien.training.measures import LIGHT, Spread

TILES = 24
"""Pictures of one kind on the page, at most."""

_WARNING = """
This page contains pictures of the data it describes, as examples. Whoever may not have the data may not have
this page either.
"""

_METHOD = """
Identical: the same size and the same bytes of pixels. Nearly identical: 64 bits that say where a small grey
version gets brighter differ in 10 at most, and the middle of one 32 x 32 thumbnail is found in the other with
a correlation of {near} or more, a little shifted or scaled, and not in its shading alone; for mirror images
it must be {mirrored}. Pictures of one sequence are not compared with each other in this way. Some pairs are
missed, and two photographs of one person taken within a moment may count as the same.

Yaw and roll are estimated from five landmarks alone: from where the nose stands between the eyes, and from
the slope of the line through the eyes. They say how a corpus is spread, not how one face is turned. Yaw is
positive towards the subject's left; roll is positive where the subject's left eye is lower.

Light is measured in the face, cut by its landmarks, or in the largest centred square where no face is known:
mean and standard deviation of the grey levels, from 0 to 1, and the difference of two halves over their sum,
positive where the subject's left, and the upper half, are brighter. A picture counts as blank where its grey
levels have a standard deviation below 4 of 255.
"""

Tile = tuple[NDArray[np.uint8], str]

_TILE_PX, _NAMED = 128, 4
_SPREAD_COLUMNS = ("", "N", "5 %", "25 %", "median", "75 %", "95 %")


def write_audit_page(
    audit: Audit, corpora: Sequence[LabelledImages], path: str | Path, *, command: str = ""
) -> None:
    """Write what an audit found as one HTML page.

    Examples of what was found are pictures of the corpora, and are part of the file.

    Parameters
    ----------
    audit : Audit
    corpora : sequence of LabelledImages
        Those that were audited, in the same order.
    path : path
    command : str
        What was typed, to be shown at the end.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    show = _Show(audit, corpora)
    title = "Audit of " + ", ".join(corpus.name for corpus in audit.corpora)
    page = Page(title, f"{len(audit.source):,} pictures")
    page.text(_WARNING)
    _findings(page, audit)
    _copies(page, audit, show)
    _near(page, audit, show)
    starts = np.cumsum([0, *(corpus.n for corpus in audit.corpora)])
    for start, corpus in zip(starts.tolist(), audit.corpora, strict=False):
        page.section(f"The pictures of {corpus.name}")
        _labels(page, corpus)
        _faces(page, corpus, show, start)
        _light(page, corpus, show, start)
    _method(page, audit, command)
    page.write(path)


class _Show:
    """Makes tiles of pictures: one or two side by side, with what they are called and labelled."""

    def __init__(self, audit: Audit, corpora: Sequence[LabelledImages]) -> None:
        self.audit, self.corpora = audit, corpora

    def alone(self, rows: Sequence[int], words: Sequence[str] = ()) -> list[Tile]:
        """Show pictures one by one; the words are added to their names."""
        return self.beside([(row,) for row in rows[:TILES]], words)

    def beside(self, groups: Sequence[Sequence[int]], words: Sequence[str] = ()) -> list[Tile]:
        """Show the first two pictures of each group side by side, and name the first few."""
        tiles = []
        for i, rows in enumerate(groups[:TILES]):
            more = [f"and {len(rows) - _NAMED:,} more"] if len(rows) > _NAMED else []
            names = [*map(self._name, rows[:_NAMED]), *more, *words[i : i + 1]]
            tiles.append((_side_by_side([self._picture(row) for row in rows[:2]]), "\n".join(names)))
        return tiles

    def _picture(self, row: int) -> NDArray[np.uint8]:
        corpus, place = self.audit.place(row)
        return self.corpora[corpus].images[place]

    def _name(self, row: int) -> str:
        part = self.audit.part_name(int(self.audit.part[row])) if len(self.audit.parts) > 1 else ""
        words = (Path(str(self.audit.source[row])).name, str(self.audit.label[row]) or UNLABELLED, part)
        return ", ".join(filter(None, words))


def _side_by_side(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Join pictures at one height, that of the largest or of a tile; in colour where one of them is."""
    import cv2

    height = min(_TILE_PX, max(picture.shape[0] for picture in pictures))
    coloured = any(picture.ndim == 3 for picture in pictures)
    joined = []
    for picture in pictures:
        width = max(1, round(picture.shape[1] * height / picture.shape[0]))
        small = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        joined.append(np.repeat(small[..., None], 3, axis=2) if coloured and small.ndim == 2 else small)
    return np.hstack(joined)


def _findings(page: Page, audit: Audit) -> None:
    page.section("Findings")
    rows = [(one.what, one.n, one.of, _percent(one.n, one.of)) for one in audit.summary()]
    page.table(("what", "number", "of", "share"), rows)


def _copies(page: Page, audit: Audit, show: _Show) -> None:
    copies = audit.copies
    page.section("Identical pictures")
    page.text(
        f"{len(copies.groups):,} groups of byte-identical pictures hold "
        f"{sum(map(len, copies.groups)):,} pictures. " + _agreement(copies.agreement)
    )
    _crossings(
        page, audit, copies.identical_in, "Pictures of the row that also stand in the column, byte for byte"
    )
    page.subsection("Identical, but labelled differently")
    groups = [
        _differing_first(rows, audit.label[rows])
        for rows, differ in zip(copies.groups, copies.conflicting, strict=True)
        if differ
    ]
    _tiles(page, show.beside(groups), len(groups), "identical pictures with different labels")
    page.subsection("Leaks: identical in two parts")
    pairs = [pair for rows in copies.groups if (pair := _across(audit, rows))]
    _tiles(page, show.beside(pairs), len(pairs), "identical pictures in two parts")


def _differing_first(rows: NDArray[np.int64], label: NDArray[np.str_]) -> list[int]:
    """Put one picture of each label first, so that those named show the conflict."""
    first = np.unique(label, return_index=True)[1]
    first = first[label[first] != ""]
    return [*rows[first].tolist(), *np.delete(rows, first).tolist()]


def _across(audit: Audit, rows: NDArray[np.int64]) -> tuple[int, int] | None:
    other = rows[audit.part[rows] != audit.part[rows[0]]]
    return (int(rows[0]), int(other[0])) if len(other) else None


def _near(page: Page, audit: Audit, show: _Show) -> None:
    near, copies = audit.copies.near, audit.copies
    page.section("Nearly identical pictures")
    page.text(
        f"{len(near):,} pairs are nearly the same photograph (correlation from {audit.near:g}), "
        f"{int(near.mirrored.sum()):,} of them mirrored: cut otherwise, resized, coded again, brighter, or "
        "with a watermark. Byte-identical copies are counted once. Together with these they form "
        f"{copies.near_groups:,} groups. " + _agreement(copies.near_agreement)
    )
    _crossings(
        page, audit, copies.near_in, "Pictures of the row that are nearly the same as one in the column"
    )
    kinds = (
        ("Nearly the same, but labelled differently", copies.near_conflicting),
        ("Leaks: nearly the same in two parts", audit.part[near.first] != audit.part[near.second]),
        ("Mirrored", near.mirrored),
    )
    for title, chosen in kinds:
        rows = np.flatnonzero(chosen)
        page.subsection(title)
        _pairs(page, audit, show, rows[np.random.default_rng(0).permutation(len(rows))], len(rows), title)
    page.subsection("The least alike of all pairs")
    page.text("If these are different photographs, ask for a higher correlation.")
    _pairs(
        page,
        audit,
        show,
        np.argsort(near.correlation, kind="stable"),
        len(near),
        "pairs that are least alike",
    )


def _pairs(page: Page, audit: Audit, show: _Show, rows: NDArray[np.int64], total: int, alt: str) -> None:
    near, shown = audit.copies.near, rows[:TILES]
    pairs = np.stack([near.first[shown], near.second[shown]], axis=1).tolist()
    words = [f"correlation {value:.3f}" for value in near.correlation[shown]]
    _tiles(page, show.beside(pairs, words), total, alt)


def _labels(page: Page, corpus: CorpusFindings) -> None:
    page.text(f"Labels: {corpus.rule}." + (f" Terms: {corpus.terms}." if corpus.terms else ""))
    names = list(dict.fromkeys(name for counts in corpus.balance.values() for name in counts))
    columns = [split or "all" for split in corpus.balance]
    counts = np.array([[table.get(name, 0) for table in corpus.balance.values()] for name in names])
    shade = np.column_stack([np.full(len(names), np.nan), counts / np.maximum(counts.sum(axis=0), 1)])
    rows: list[tuple[Cell, ...]] = [(name, *line) for name, line in zip(names, counts.tolist(), strict=True)]
    page.subsection(f"Labels of {corpus.name}")
    page.table(("emotion", *columns), rows, caption="Pictures of each emotion", shade=shade)
    page.figure(balance_chart(corpus.balance), alt="Bars: the share of each emotion, as in the table above")
    if corpus.votes is not None:
        votes = corpus.votes
        page.text(
            f"{votes.n:,} pictures have votes, {votes.without:,} have none. The emotion with most votes has "
            f"{_share(votes.mean_winner_share)} of a picture's votes on average; in {votes.undecided:,} "
            "pictures no emotion has more than half. The votes of a picture have "
            f"{votes.entropy_bits or 0:.2f} bits of entropy on average."
        )
        page.table(
            ("emotion with most votes", "mean share of its votes"),
            [(name, f"{share:.3f}") for name, share in votes.by_emotion.items()],
        )
    for one in corpus.belonging:
        page.text(
            f"{one.count:,} {one.kind}s are known, for {one.pictures:,} pictures. {len(one.crossing):,} of "
            f"them, with {one.crossing_pictures:,} pictures, stand in more than one split."
        )


def _faces(page: Page, corpus: CorpusFindings, show: _Show, start: int) -> None:
    page.subsection(f"Sizes and faces of {corpus.name}")
    sizes = list(corpus.sizes.items())
    rows: list[tuple[Cell, ...]] = [(size, count) for size, count in sizes[:8]]
    if len(sizes) > 8:
        rows.append((f"{len(sizes) - 8:,} others", sum(count for _, count in sizes[8:])))
    page.table(("size (px)", "pictures"), rows)
    page.text(f"{corpus.not_square:,} pictures are not square, {corpus.coloured:,} are in colour.")
    faces = corpus.faces
    if faces is None:
        page.text(
            "No detector was asked, so nothing is said of missing faces, of their turn and of their size."
        )
        return
    missing = faces.missing
    page.text(
        f"{faces.detector} looked at {len(faces.rows):,} pictures and found no face in {len(missing):,}."
    )
    pose = faces.pose
    values = (
        ("yaw, estimated (degrees)", pose.yaw_deg),
        ("roll, estimated (degrees)", pose.roll_deg),
        ("distance of the eyes (px)", pose.eyes_px),
    )
    page.table(_SPREAD_COLUMNS, [(name, *_spread(Spread.of(value), 1)) for name, value in values])
    page.figure(
        face_chart(faces), alt="Left: roll over yaw of every face. Right: histogram of the eye distance"
    )
    if len(missing):
        drawn = np.random.default_rng(0).permutation(missing)
        _tiles(
            page,
            show.alone((start + drawn).tolist()),
            len(missing),
            "picture without a face",
            "No face found",
        )
    order = np.flatnonzero(faces.found)
    order = order[np.argsort(-np.abs(pose.yaw_deg[order]), kind="stable")][:TILES]
    words = [f"yaw {yaw:+.0f} degrees" for yaw in pose.yaw_deg[order]]
    tiles = show.alone((start + faces.rows[order]).tolist(), words)
    _tiles(page, tiles, int(faces.found.sum()), "face turned to the side", "Turned most, as estimated")


def _light(page: Page, corpus: CorpusFindings, show: _Show, start: int) -> None:
    page.subsection(f"Light of {corpus.name}")
    words = ("brightness", "contrast", "from the subject's left", "from above")
    rows = [(word, *_spread(corpus.light[name], 3)) for word, name in zip(words, LIGHT, strict=True)]
    page.table(_SPREAD_COLUMNS, rows)
    light = corpus.measures.light
    page.figure(
        light_chart(light), alt="Histograms of brightness, contrast, and light from the left and above"
    )
    if len(corpus.blank):
        _tiles(page, show.alone((start + corpus.blank).tolist()), len(corpus.blank), "blank picture", "Blank")
    seen = np.setdiff1d(np.arange(corpus.n), corpus.blank)
    kinds = (
        ("Darkest", light[:, 0]),
        ("Brightest", -light[:, 0]),
        ("Lit most from one side", -np.abs(light[:, 2])),
    )
    for title, value in kinds:
        order = seen[np.argsort(value[seen], kind="stable")][:TILES]
        _tiles(page, show.alone((start + order).tolist()), len(seen), title.lower(), title)


def _method(page: Page, audit: Audit, command: str) -> None:
    page.section("How this was measured")
    page.text(_METHOD.format(near=f"{audit.near:g}", mirrored=f"{(1 + audit.near) / 2:g}"))
    if command:
        page.text("This page was made with:")
        page.code(command)


def _crossings(page: Page, audit: Audit, counts: NDArray[np.int64], caption: str) -> None:
    names = [audit.part_name(part) for part in range(len(audit.parts))]
    size = np.bincount(audit.part, minlength=len(names))
    rows: list[tuple[Cell, ...]] = [
        (f"{name} (N {total:,})", *line)
        for name, total, line in zip(names, size, counts.tolist(), strict=True)
    ]
    shade = np.column_stack([np.full(len(names), np.nan), counts / np.maximum(size[:, None], 1)])
    page.table(
        ("pictures of", *names), rows, caption=f"{caption}; on the diagonal, with another copy", shade=shade
    )


def _tiles(page: Page, tiles: list[Tile], total: int, alt: str, title: str = "") -> None:
    if title:
        page.subsection(title)
    if not total:
        page.text("None.")
        return
    if total > len(tiles):
        page.text(f"{len(tiles)} of {total:,}.")
    page.gallery(tiles, alt=alt)


def _agreement(agreement: Agreement) -> str:
    if agreement.share is None:
        return "No two of them are labelled."
    return f"Of {agreement.pairs:,} labelled pairs, {agreement.agree:,} agree ({agreement.share:.1%})."


def _spread(spread: Spread, digits: int) -> tuple[Cell, ...]:
    values = (spread.low, spread.quarter, spread.median, spread.three_quarters, spread.high)
    return (spread.n, *(None if value is None else f"{value:.{digits}f}" for value in values))


def _percent(n: int, of: int | None) -> str:
    return f"{n / of:.1%}" if of else ""


def _share(value: float | None) -> str:
    return f"{value:.0%}" if value is not None else "none"
