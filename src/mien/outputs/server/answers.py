"""Readings as JSON: what the server and the live page send."""

from __future__ import annotations

from typing import Any

from mien.readings import Readings

_OF_THE_FRAME = ("source", "frame", "time_s", "model")


def readings_json(readings: Readings) -> dict[str, Any]:
    """Return the readings of one frame as plain values, ready for JSON.

    Parameters
    ----------
    readings : Readings

    Returns
    -------
    dict
        width and height (px), model, and faces: a list with one entry for each, as
        :meth:`mien.Readings.to_dicts` gives them but without what belongs to the frame.
    """
    width, height = readings.size_px
    faces = [
        {key: value for key, value in face.items() if key not in _OF_THE_FRAME}
        for face in readings.to_dicts()
    ]
    return {"width": width, "height": height, "model": readings.model, "faces": faces}
