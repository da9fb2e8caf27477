"""A file is whole or not there, and its card says what it is."""

import hashlib

import pytest

from mien.training.cards import complete_card, replacing


def test_a_card_is_completed_from_the_file(toy_card, tmp_path):
    file = tmp_path / "weights.part"
    file.write_bytes(b"12345")
    card = complete_card(toy_card, file, parameters=7, packages=("numpy",))
    assert (card.size_bytes, card.parameters) == (5, 7)
    assert card.sha256 == hashlib.sha256(b"12345").hexdigest()
    assert [name for name, _ in card.versions] == ["mien", "numpy"] and card.created[:2] == "20"
    assert card.name == toy_card.name and card.heads == toy_card.heads


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    path.write_text("old", encoding="utf-8")

    def write(text, *, fails):
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
            assert path.read_text(encoding="utf-8") == "old" and temporary.parent == tmp_path
            if fails:
                raise RuntimeError

    with pytest.raises(RuntimeError):
        write("half", fails=True)
    assert path.read_text(encoding="utf-8") == "old" and list(tmp_path.iterdir()) == [path]
    write("new", fails=False)
    assert path.read_text(encoding="utf-8") == "new" and list(tmp_path.iterdir()) == [path]
