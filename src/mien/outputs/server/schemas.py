"""The answers of the HTTP API, as its OpenAPI description shows them."""

from __future__ import annotations

from pydantic import BaseModel, Field


class FaceAnswer(BaseModel):
    """One face."""

    face: int = Field(description="Number of the face in its picture, from 0; the surest first.")
    box_xyxy: tuple[float, float, float, float] = Field(
        description="Left, top, right and bottom edge, pixels of the picture upright."
    )
    detection_score: float = Field(description="How sure the detector is that this is a face, 0 to 1.")
    landmarks_xy: dict[str, tuple[float, float]] = Field(
        description="x and y of each landmark, pixels; right and left are the subject's."
    )
    emotion: str = Field(description="The most probable displayed emotion, or 'unsure'.")
    confidence: float = Field(description="Probability of the most probable emotion, 0 to 1.")
    probability: dict[str, float] = Field(description="Probability of each emotion, 0 to 1; they sum to 1.")


class PictureAnswer(BaseModel):
    """The faces of one picture and the expressions they display."""

    width: int = Field(description="Pixels, upright.")
    height: int = Field(description="Pixels, upright.")
    model: str = Field(description="The model that read the expressions.")
    faces: list[FaceAnswer] = Field(description="Empty where there is no face.")


class ErrorAnswer(BaseModel):
    """Why there is no answer."""

    error: str = Field(description="One sentence: what is wrong, and what to do.")


class HealthAnswer(BaseModel):
    """That the server is there."""

    status: str = Field(description="'ok'.")
    version: str = Field(description="Of mien.")
    uptime_s: float = Field(description="Seconds since the server started.")


class ModelAnswer(BaseModel):
    """A model that is loaded."""

    name: str
    task: str = Field(description="'expression' or 'detection'.")
    licence: str | None = Field(description="SPDX; null for a model without a card.")
    limits: str | None = Field(description="Where it is known to fail; null for a model without a card.")


class ModelsAnswer(BaseModel):
    """What the server reads with."""

    models: list[ModelAnswer]
    emotions: list[str] = Field(description="What is answered by default.")
    known_emotions: list[str] = Field(description="What 'emotions' may choose from.")
