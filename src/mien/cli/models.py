"""``mien models``: what ships, on what terms, how good it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.show import show_table
from mien.errors import unknown_name

if TYPE_CHECKING:
    from mien.catalog import Head, Metric, ModelCard


def models(
    name: Annotated[
        str | None, typer.Argument(help="Print the whole card of this model (a name or ONNX file).")
    ] = None,
) -> None:
    """List the models: licence, training data, size, accuracy with N and interval; or print one card."""
    from mien.catalog import FORMATS, list_models, load_card

    if name is None:
        headings = (
            "model",
            "task",
            "licence",
            "trained on",
            "size",
            "measured",
            "value",
            "95 % interval",
            "N",
        )
        show_table(
            headings, [row for card in list_models() for row in _rows(card)], right=("size", "value", "N")
        )
        typer.echo(
            "\n'mien models NAME' prints a card with the terms of its training data and where it fails."
        )
        return
    cards = {card.name: card for card in list_models()}
    if name.endswith((".toml", *(f".{kind}" for kind in FORMATS))):
        _print_card(load_card(Path(name).with_suffix(".toml")))
    elif name in cards:
        _print_card(cards[name])
    else:
        raise unknown_name("model", name, cards)


def _rows(card: ModelCard) -> list[tuple[str, ...]]:
    """Return a line for each number on the card; what concerns the model as a whole stands in the first."""
    data = ", ".join(part.name for part in card.training_data)
    head = (card.name, card.task, card.licence, data, f"{card.size_bytes / 1e6:.1f} MB")
    measured = [(f"{metric.name}, {metric.data}", *_numbers(metric)) for metric in card.metrics]
    lines = measured or [("not measured", "", "", "")]
    return [(*(head if i == 0 else ("",) * len(head)), *line) for i, line in enumerate(lines)]


def _numbers(metric: Metric) -> tuple[str, str, str]:
    return f"{metric.value:.4f}", f"{metric.low:.4f} to {metric.high:.4f}", str(metric.n)


def _frequencies(head: Head) -> str:
    """Return how frequent each emotion was in what was learned from."""
    shares = zip(head.label_set, head.frequency, strict=True)
    return f"{head.labels}: " + ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares)


def _print_card(card: ModelCard) -> None:
    facts = {
        "task": card.task,
        "summary": card.summary,
        "licence": card.licence,
        "input": f"{card.size_px} x {card.size_px} px, {card.colour}"
        if card.size_px
        else f"any size, {card.colour}",
        "crop": f"template {card.template}, margin {card.margin:+.4f}" if card.template else "",
        "outputs": "; ".join(f"{h.labels} ({h.meaning}, temperature {h.temperature:g})" for h in card.heads),
        "learned from": "; ".join(_frequencies(head) for head in card.heads if head.frequency),
        "score threshold": f"{card.score_threshold:g}" if card.score_threshold else "",
        "weights": f"{card.parameters:,} in {card.size_bytes:,} bytes",
        "sha256": card.sha256,
        "created": f"{card.created} with "
        + ", ".join(f"{name} {version}" for name, version in card.versions),
        "trained with": card.trained_with,
        "limits": card.limits,
    }
    typer.echo(card.name)
    for key, value in facts.items():
        if value:
            typer.echo(f"  {key}: {value}")
    typer.echo("  training data:")
    for part in card.training_data:
        count = f"{part.images:,} pictures, " if part.images else ""
        typer.echo(f"    {part.name}: {count}{part.use}. Terms: {part.terms}")
    typer.echo("  measured:")
    for metric in card.metrics:
        value, interval, n = _numbers(metric)
        typer.echo(
            f"    {metric.name} {value} ({interval}, N {n}) on {metric.data}; {metric.rule}; {metric.command}"
        )
