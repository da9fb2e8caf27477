"""The application: its paths, joined to what answers them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.websockets import WebSocketDisconnect

from mien._version import __version__
from mien.analyzer import Analyzer
from mien.catalog import list_models
from mien.errors import MienError
from mien.outputs.server.answers import readings_json
from mien.outputs.server.guard import Guard, Policy, Refusal
from mien.outputs.server.limits import Limits
from mien.outputs.server.metrics import CONTENT_TYPE, Metrics
from mien.outputs.server.pictures import receive_picture
from mien.outputs.server.schemas import (
    ErrorAnswer,
    HealthAnswer,
    ModelAnswer,
    ModelsAnswer,
    PictureAnswer,
)
from mien.outputs.server.service import Service
from mien.outputs.server.watching import Watching

SUMMARY = "Reads displayed facial expressions from pictures. Nothing that is sent is kept."

_PICTURE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_FORM: dict[str, Any] = {
    "schema": {
        "type": "object",
        "required": ["picture"],
        "properties": {"picture": {"type": "string", "format": "binary"}},
    }
}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "The file of a picture as it is, or as the one file of a form.",
        "content": {
            "image/jpeg": _PICTURE,
            "image/png": _PICTURE,
            "image/webp": _PICTURE,
            "multipart/form-data": _FORM,
        },
    }
}
_REFUSALS = {
    400: "An option is not allowed.",
    401: "The token is missing or wrong.",
    408: "The picture did not arrive in time.",
    413: "Too many bytes or pixels.",
    415: "No JPEG, PNG or WebP.",
    422: "The picture or the form is damaged.",
    429: "Too many requests of this client.",
    503: "Too many pictures wait.",
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": sentence} for status, sentence in _REFUSALS.items()
}


def build_app(
    analyzer: Analyzer,
    policy: Policy,
    limits: Limits,
    *,
    routers: Sequence[APIRouter],
    gauges: Callable[[], dict[str, float]] | None,
) -> FastAPI:
    """Build the application; see :func:`mien.outputs.server.create_app`."""
    metrics = Metrics()

    @asynccontextmanager
    async def open_service(app: FastAPI) -> AsyncIterator[None]:
        app.state.service = service = Service(analyzer, limits, metrics)
        app.state.started_s = time.monotonic()
        app.state.models = [
            _described(analyzer.model, "expression"),
            _described(analyzer.detector, "detection"),
        ]
        try:
            yield
        finally:
            service.close()

    app = FastAPI(
        title="mien",
        version=__version__,
        summary=SUMMARY,
        lifespan=open_service,
        docs_url=None,  # those pages load their scripts from elsewhere
        redoc_url=None,
    )
    app.state.gauges, app.state.limits, app.state.token = gauges, limits, policy.token
    for router in (api, *routers):
        app.include_router(router)
    app.exception_handler(Refusal)(_answer_refusal)
    app.exception_handler(MienError)(_answer_mistake)
    app.exception_handler(HTTPException)(_answer_http)
    app.exception_handler(RequestValidationError)(_answer_invalid)
    app.add_middleware(Guard, policy=policy, metrics=metrics)
    if policy.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=sorted(policy.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Retry-After"],
        )
    return app


api = APIRouter()


@api.post(
    "/v1/analyze", response_model=PictureAnswer, responses=_RESPONSES, openapi_extra=_BODY, tags=["pictures"]
)
async def analyze_picture(
    request: Request,
    emotions: Annotated[
        str | None, Query(description="Only these, e.g. anger,fear,calm; probabilities are renormalised.")
    ] = None,
    unsure: Annotated[
        float | None, Query(ge=0, le=1, description="Below this probability say 'unsure'.")
    ] = None,
) -> Response:
    """Read the displayed expression of every face in a picture."""
    service: Service = request.app.state.service
    names = None if emotions is None else [name.strip() for name in emotions.split(",")]
    analyzer = service.analyzer_for(names, unsure)
    with service.place():
        data = await receive_picture(request, service.limits)
        readings = await service.read_picture(data, analyzer)
    return JSONResponse(readings_json(readings))


@api.get("/v1/models", tags=["server"])
async def list_loaded(request: Request) -> ModelsAnswer:
    """Say what the server reads with, on what terms, and where it is known to fail."""
    analyzer: Analyzer = request.app.state.service.analyzer
    return ModelsAnswer(
        models=request.app.state.models,
        emotions=list(analyzer.labels),
        known_emotions=list(analyzer.model.labels),
    )


@api.get("/health", tags=["server"])
async def health(request: Request) -> HealthAnswer:
    """Say that the server is there; needs no token."""
    uptime_s = time.monotonic() - request.app.state.started_s
    return HealthAnswer(status="ok", version=__version__, uptime_s=round(uptime_s, 3))


@api.get("/metrics", response_class=PlainTextResponse, tags=["server"])
async def metrics(request: Request) -> Response:
    """Give the counts of the server in the text that Prometheus reads."""
    state = request.app.state
    service: Service = state.service
    gauges = {
        "mien_pictures_inside": service.inside,
        "mien_watchers": service.watchers,
        "mien_uptime_seconds": time.monotonic() - state.started_s,
    }
    others = state.gauges() if state.gauges is not None else None
    return Response(service.metrics.text(gauges, others), media_type=CONTENT_TYPE)


@api.websocket("/v1/watch")
async def watch(socket: WebSocket) -> None:
    """Read the frames of a client's own camera; see :mod:`mien.outputs.server.watching`."""
    service: Service = socket.app.state.service
    if service.watchers >= service.limits.watchers:
        sentence = "The server is busy: too many cameras are watched. Try again later."
        refusal = Refusal(503, sentence, retry_after_s=5, reason="busy")
        service.metrics.count("mien_refused_total", reason=refusal.reason)
        await socket.send_denial_response(_as_response(refusal))
        return
    service.watchers += 1
    try:
        await socket.accept()
        await Watching(socket, service).run()
    except WebSocketDisconnect:
        return  # the client went while it was greeted
    finally:
        service.watchers -= 1


def _described(model: Any, task: str) -> ModelAnswer:
    card = getattr(model, "card", None)
    if card is None:
        card = {one.name: one for one in list_models(task)}.get(model.name)
    return ModelAnswer(
        name=model.name,
        task=task,
        licence=card.licence if card else None,
        limits=card.limits if card else None,
    )


def _as_response(refusal: Refusal) -> JSONResponse:
    return JSONResponse({"error": refusal.sentence}, refusal.status, headers=refusal.headers)


async def _answer_refusal(request: Request, error: Refusal) -> Response:
    request.app.state.service.metrics.count("mien_refused_total", reason=error.reason)
    return _as_response(error)


async def _answer_mistake(request: Request, error: MienError) -> Response:  # noqa: ARG001
    return JSONResponse({"error": str(error)}, 400)


async def _answer_http(request: Request, error: HTTPException) -> Response:
    sentences = {
        404: f"There is nothing at {request.url.path!r}; the paths are /v1/analyze, /v1/models, /v1/watch, "
        "/health, /metrics and /openapi.json.",
        405: f"{request.url.path} is not asked by {request.method}.",
    }
    return JSONResponse(
        {"error": sentences.get(error.status_code, str(error.detail))},
        error.status_code,
        headers=error.headers,
    )


async def _answer_invalid(request: Request, error: RequestValidationError) -> Response:  # noqa: ARG001
    first = error.errors()[0]
    name, said = str(first["loc"][-1]), str(first["msg"])
    sentence = f"{name}: {said[:1].lower()}{said[1:]}; given {str(first.get('input'))[:80]!r}."
    return JSONResponse({"error": sentence}, 400)
