"""The one file of a form (multipart/form-data, RFC 7578), taken out in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.outputs.server.guard import Refusal

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MOST_PARTS = 16
"""Parts of a form; more are no form with a picture."""


def file_of_form(content_type: str, body: bytes) -> bytes:
    """Return the first file of a form.

    Parameters
    ----------
    content_type : str
        The header of that name, with the boundary.
    body : bytes
        The whole form.

    Raises
    ------
    Refusal
        422 if it is damaged, cut off or has no file.
    """
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise _damaged("its Content-Type has no boundary")
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise _damaged(str(error).rstrip(".")) from error
    if parts.file is None:
        raise Refusal(422, "The form has no file; send the picture as one.", reason="form")
    if not parts.complete:
        raise _damaged("it is cut off")
    return bytes(parts.file)


class _Parts:
    """Gathers the first part that has a file name."""

    def __init__(self) -> None:
        self.file: bytearray | None = None
        self.complete = False
        self._count = 0
        self._name = b""
        self._value = b""
        self._wanted = False

    def callbacks(self) -> MultipartCallbacks:
        """Return what the parser is to call."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._take_name,
            "on_header_value": self._take_value,
            "on_header_end": self._end_header,
            "on_part_data": self._take_data,
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        self._count += 1
        if self._count > MOST_PARTS:
            raise _damaged(f"it has more than {MOST_PARTS} parts")
        self._name, self._value, self._wanted = b"", b"", False

    def _take_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        from python_multipart.multipart import parse_options_header

        if self._name.lower() == b"content-disposition" and self.file is None:
            self._wanted = b"filename" in parse_options_header(self._value)[1]
            self.file = bytearray() if self._wanted else None
        self._name, self._value = b"", b""

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._wanted and self.file is not None:
            self.file += data[start:end]

    def _end(self) -> None:
        self.complete = self.complete or self._wanted


def _damaged(how: str) -> Refusal:
    return Refusal(422, f"The form cannot be read: {how}.", reason="form")
