"""Corpora of sequences: CK+, Oulu-CASIA, AFEW, and a folder of clips for each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mien.errors import DatasetError
from mien.labels import EKMAN7, FERPLUS8, LabelSet, canonical_name
from mien.sources.folders import (
    ClassFolder,
    choose_labels,
    class_folders,
    clips_in,
    is_class_name,
    named_folders,
)
from mien.sources.labelled import LabelledImages
from mien.sources.lazy import ClipFrames, count_frames
from mien.sources.rows import Row, first_folder, folders_in, gather, pictures_in, wrong_layout
from mien.sources.tables import existing

CKPLUS_LAYOUT = (
    "cohn-kanade-images/S005/001/S005_001_00000001.png and Emotion/S005/001/S005_001_00000011_emotion.txt"
)
OULU_LAYOUT = "VL or NI / Strong, Weak or Dark / P001 / Anger / 000.jpeg, in any folder"
CLIPS_LAYOUT = "folders named after emotions, holding a folder of pictures for each clip"
AFEW_LAYOUT = (
    "Train and Val, holding folders named after emotions, holding clips (.avi, or folders of frames)"
)

CKPLUS_NAMES = (
    "neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise",
)  # fmt: skip
"""What the numbers 0 to 7 in the files of CK+ mean (Lucey et al. 2010, doi 10.1109/CVPRW.2010.5543262)."""

PEAK_FRAMES = 3
"""How many frames at the end of a posed sequence show its emotion, as most work on CK+ takes it."""

_CKPLUS_IMAGES = ("cohn-kanade-images", "extended-cohn-kanade-images")
_CKPLUS_EMOTIONS = ("Emotion", "Emotion_labels")
_OULU_PLACES = ("", "OriginalImg", "PreProcess_Img", "B_OriginalImg", "B_PreProcess_Img")
_OULU_CAMERAS = {
    "VL": "visible", "NI": "near infrared", "VL_Acropped": "visible", "NI_Acropped": "near infrared",
}  # fmt: skip
_OULU_LIGHTS = ("Strong", "Weak", "Dark")


def read_ckplus(path: str | Path) -> LabelledImages:
    """Read CK+, the extended Cohn-Kanade set.

    Sequences stand in ``cohn-kanade-images/S005/001/S005_001_00000001.png`` and so on, the emotion of
    some of them in ``Emotion/S005/001/S005_001_00000011_emotion.txt``, one number from 0 to 7. Every frame
    is a row; those between neutral and peak have no label.

    Raises
    ------
    DatasetError
        If the folders are others, or an emotion file holds something else.
    """
    root = existing(path)
    images, emotions = first_folder(root, _CKPLUS_IMAGES), first_folder(root, _CKPLUS_EMOTIONS)
    if images is None or emotions is None:
        raise wrong_layout(root, "CK+", CKPLUS_LAYOUT)
    rows: list[Row] = []
    for person in folders_in(images):
        for clip in folders_in(person):
            emotion = _ckplus_emotion(emotions / person.name / clip.name)
            sequence = f"{person.name}/{clip.name}"
            rows += _posed(
                pictures_in(clip), emotion, Row(clip, None, subject=person.name, sequence=sequence)
            )
    if not rows:
        raise wrong_layout(root, "CK+", CKPLUS_LAYOUT, f"found no pictures in {images}")
    return gather(
        rows,
        name="CK+",
        labels=FERPLUS8,
        rule=f"the first frame is neutral, the last {PEAK_FRAMES} show the emotion of the sequence, if any",
        terms="research, by the agreement at jeffcohn.net/Resources",
    )


def is_ckplus(root: Path) -> bool:
    """Tell whether a folder holds the pictures and the emotions of CK+."""
    return bool(first_folder(root, _CKPLUS_IMAGES) and first_folder(root, _CKPLUS_EMOTIONS))


def _ckplus_emotion(folder: Path) -> str | None:
    files = sorted(folder.glob("*_emotion.txt"))
    if not files:
        return None
    text = files[0].read_text(encoding="utf-8", errors="replace").strip()
    try:
        return CKPLUS_NAMES[("0", "1", "2", "3", "4", "5", "6", "7").index(f"{float(text):g}")]
    except ValueError as error:
        raise DatasetError(f"{files[0]} must hold one number from 0 to 7; it holds {text[:40]!r}.") from error


def read_oulu(path: str | Path) -> LabelledImages:
    """Read Oulu-CASIA: ``VL/Strong/P001/Anger/000.jpeg`` and so on.

    The first folder is the camera (VL visible light, NI near infrared, or VL_Acropped, NI_Acropped), the
    second the light (Strong, Weak, Dark); they may stand in ``OriginalImg`` or ``PreProcess_Img`` (if both
    are there, the original is read). Each sequence goes from neutral to the peak; every frame is a row,
    those between have no label. Camera and light become groups.

    Raises
    ------
    DatasetError
        If the folders are others.
    """
    root = existing(path)
    place = _oulu_place(root)
    if place is None:
        raise wrong_layout(root, "Oulu-CASIA", OULU_LAYOUT)
    rows: list[Row] = []
    for clip in sorted(place.glob("*/*/*/*")):
        camera, light, person, emotion = clip.relative_to(place).parts
        if camera not in _OULU_CAMERAS or light not in _OULU_LIGHTS or not clip.is_dir():
            continue
        if not is_class_name(emotion):
            raise wrong_layout(root, "Oulu-CASIA", OULU_LAYOUT, f"found {clip.relative_to(root)}")
        groups = {"camera": _OULU_CAMERAS[camera], "light": light.lower()}
        sequence = clip.relative_to(place).as_posix()
        like = Row(clip, None, subject=person, sequence=sequence, groups=groups)
        rows += _posed(pictures_in(clip), canonical_name(emotion), like)
    if not rows:
        raise wrong_layout(root, "Oulu-CASIA", OULU_LAYOUT)
    return gather(
        rows,
        name="Oulu-CASIA",
        labels=choose_labels(root, rows, EKMAN7.key),
        rule=f"the first frame is neutral, the last {PEAK_FRAMES} show the emotion of the sequence",
        terms="research, by the agreement of the University of Oulu",
    )


def is_oulu(root: Path) -> bool:
    """Tell whether a folder holds the cameras and lights of Oulu-CASIA."""
    return _oulu_place(root) is not None


def _oulu_place(root: Path) -> Path | None:
    for place in (root / name for name in _OULU_PLACES):
        if any((place / camera / light).is_dir() for camera in _OULU_CAMERAS for light in _OULU_LIGHTS):
            return place
    return None


def _posed(files: Sequence[Path], emotion: str | None, like: Row) -> list[Row]:
    """Label a sequence that goes from neutral to the peak; the first frame stays neutral in a short one."""
    peak = len(files) - PEAK_FRAMES
    return [
        Row(
            file,
            "neutral" if i == 0 else emotion if i >= peak else None,
            subject=like.subject,
            sequence=like.sequence,
            position=i,
            groups=like.groups,
        )
        for i, file in enumerate(files)
    ]


def read_afew(path: str | Path) -> LabelledImages:
    """Read AFEW: ``Train/Angry/000046280.avi``, or clips that are folders of frames already; ``Val`` too.

    The folders may also be called ``Train_AFEW``, ``Val_AFEW`` and the like; what stands before the
    underscore is the split. Every frame is a row with the label of its clip.

    Raises
    ------
    DatasetError
        If the folders are others.
    SourceError
        If a film cannot be read.
    """
    root = existing(path)
    found = _find_clips(root, "AFEW", AFEW_LAYOUT)
    if not all(row.split for row, _ in found):
        raise wrong_layout(root, "AFEW", AFEW_LAYOUT)
    terms = "research, by the agreement of the Australian National University"
    labels = choose_labels(root, [row for row, _ in found], EKMAN7.key)
    return _of_clips(found, name="AFEW", labels=labels, terms=terms)


def read_clips(path: str | Path, *, labels: str | None = None) -> LabelledImages:
    """Read a folder for each class, holding a folder of frames (or a film) for each clip.

    Folders named after splits ("train", "val", "test") may stand above the classes. Every frame is a row
    with the label of its clip.

    Parameters
    ----------
    path : path
    labels : str, optional
        Key of the label set; by default ``ekman7`` where it has every emotion that occurs, else
        ``ferplus8``.

    Raises
    ------
    DatasetError
        If the folders are others.
    """
    root = existing(path)
    found = _find_clips(root, "a folder of clips for each class", CLIPS_LAYOUT)
    rows = [row for row, _ in found]
    return _of_clips(found, name=root.resolve().name, labels=choose_labels(root, rows, labels))


def is_clips(root: Path) -> bool:
    """Tell whether a folder has a folder of clips for each class."""
    return any(clips_in(found.folder) for found in named_folders(root))


def _find_clips(root: Path, corpus: str, layout: str) -> list[tuple[Row, int | None]]:
    """Return the frames of all clips; with their number where the file is a film."""
    found: list[tuple[Row, int | None]] = []
    for one in class_folders(root) if root.is_dir() else []:
        for clip in clips_in(one.folder):
            if clip.is_file():
                found += [(_clip_row(root, one, clip, clip, i), i) for i in range(count_frames(clip))]
            else:
                files = pictures_in(clip)
                found += [(_clip_row(root, one, clip, file, i), None) for i, file in enumerate(files)]
    if not found:
        raise wrong_layout(root, corpus, layout)
    return found


def _of_clips(
    found: list[tuple[Row, int | None]], *, name: str, labels: LabelSet, terms: str = ""
) -> LabelledImages:
    return gather(
        [row for row, _ in found],
        name=name,
        labels=labels,
        rule="every frame has the label of its clip",
        terms=terms,
        images=ClipFrames([(row.file, number) for row, number in found]),
        source=[str(row.file) if number is None else f"{row.file}#{number}" for row, number in found],
    )


def _clip_row(root: Path, one: ClassFolder, clip: Path, file: Path, position: int) -> Row:
    sequence = clip.relative_to(root).as_posix()
    return Row(file, one.emotion, split=one.split, sequence=sequence, position=position)
