"""Gaia Vision's own routes: ``/weather``, ``/surface``, ``/models``, and the page."""

import hashlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, Response

from api import answers, bodies, pictures, readings
from api.answers import Answer
from api.bodies import BadBody
from api.models import Model
from api.pictures import BadPicture
from api.readings import BadReadings
from pipeline import surfaces, weather
from tagship import TagshipError
from tagship.errors import Unavailable
from tagship.serve import Answered, Watcher

PAGE = Path(__file__).with_name("page")
FILES = {"": "index.html", "page.css": "page.css", "page.js": "page.js", "icon.svg": "icon.svg"}
LARGEST_JSON = 1 << 16  # bytes; a week of readings has 600
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
        " require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # asked for again each time, by its ETag
}


def router(ml: Model, dl: Model, monitor: Watcher) -> APIRouter:
    """The routes of both models, and the page that uses them."""
    routes, desk = APIRouter(tags=["Gaia Vision"]), _Desk(monitor)

    @routes.get(
        "/weather", summary="What a question about the weather consists of", response_model=None
    )
    def weather_form() -> Any:
        recipe = ml.recipe
        try:
            split = answers.split_of(recipe.params)
        except Unavailable as error:
            return _error(503, error.message)
        return {
            "days": weather.past(split) + 1,
            "readings": readings.described(),
            "classes": recipe.classes or weather.CLASSES,
            "example": readings.EXAMPLE,
        }

    @routes.post(
        "/weather",
        summary="The weather of a day, from its readings and those of the days before it",
        **_documented({"application/json": readings.schema()}),
    )
    async def weather_of(request: Request) -> Response:
        body = bodies.whole(request, ("application/json",), LARGEST_JSON)
        return await desk.answer(request, body, answers.of_weather, ml)

    @routes.get("/surface", summary="What a picture may be")
    def surface_form() -> dict[str, Any]:
        return {
            "types": tuple(pictures.TYPES),
            "bytes": pictures.BYTES,
            "pixels": pictures.PIXELS,
            "classes": dl.recipe.classes or surfaces.CLASSES,
        }

    binary = {"type": "string", "format": "binary"}
    form = {"type": "object", "required": ["picture"], "properties": {"picture": binary}}

    @routes.post(
        "/surface",
        summary="The land surface in a picture",
        **_documented({**dict.fromkeys(pictures.TYPES, binary), bodies.FORM: form}),
    )
    async def surface_of(request: Request) -> Response:
        body = bodies.whole_or_form(request, tuple(pictures.TYPES), pictures.BYTES)
        return await desk.answer(request, body, answers.of_picture, dl)

    @routes.get("/models", summary="What answers now")
    def models() -> dict[str, Any]:
        return {model.slot.name: _state(model) for model in (ml, dl)}

    for path, name in FILES.items():
        routes.add_api_route(f"/{path}", _file(PAGE / name), include_in_schema=False)
    return routes


def _file(path: Path) -> Callable[[], Awaitable[Response]]:
    async def send() -> Response:
        return FileResponse(path, headers=HEADERS)

    return send


class _Desk:
    """Answers questions, and tells the monitor of each: metrics, the access log, the audit."""

    def __init__(self, monitor: Watcher) -> None:
        self._monitor = monitor

    async def answer(
        self,
        request: Request,
        body: Awaitable[bytes],
        ask: Callable[[bytes, Model], Answer],
        model: Model,
    ) -> Response:
        """Read the body, ask the model in a thread, and say what came of it."""
        began, data, answer = time.perf_counter(), b"", None
        try:
            data = await body
            began = time.perf_counter()
            answer = await run_in_threadpool(ask, data, model)
        except BadBody as error:
            response = _error(error.status, error.message)
        except TagshipError as error:
            response = _error(_status(error), error.message)
        else:
            headers = {"Cache-Control": "no-store", **_version_headers(answer)}
            response = JSONResponse(answer.to_json(), headers=headers)
        client = request.client.host if request.client else None
        seconds = time.perf_counter() - began
        self._tell(model, response.status_code, seconds, data, answer, client)
        return response

    def _tell(
        self, model: Model, code: int, seconds: float, data: bytes, answer: Answer | None,
        client: str | None,
    ) -> None:  # fmt: skip
        facts = answer.facts if answer else None
        # What no version answered cannot be traced: it is counted, and not in the audit.
        is_recorded = facts is not None and self._monitor.wants_outputs
        has_inputs = is_recorded and self._monitor.wants_inputs
        self._monitor.answered(
            Answered(
                model.slot.name,
                facts.version if facts else None,
                facts.seq if facts else None,
                facts.number if facts else None,
                None,
                code,
                len(answer.inputs) if answer else 0,
                seconds,
                hashlib.sha256(data).hexdigest() if is_recorded else None,
                {"input-0": answer.inputs} if answer and has_inputs else None,
                {"output-0": answer.outputs} if answer and is_recorded else None,
                client,
            )
        )


def _status(error: TagshipError) -> int:
    if isinstance(error, BadPicture):
        return error.status
    if isinstance(error, BadReadings):
        return 400
    return 503 if isinstance(error, Unavailable) else 500


def _version_headers(answer: Answer) -> dict[str, str]:
    if answer.facts is None:
        return {}
    return {
        "x-model-version": answer.facts.version,
        "x-tagship-generation": str(answer.facts.number),
    }


def _error(status: int, message: str) -> Response:
    headers = {"Retry-After": "1"} if status == 503 else {}
    return JSONResponse({"error": message}, status, headers)


def _state(model: Model) -> dict[str, Any]:
    """What answers for a model, and why not what should."""
    state = model.slot.state()
    refused = state.refused
    return {
        "version": state.live.version if state.live else None,
        "since": state.live.since if state.live else None,
        "seq": state.live.seq if state.live else None,
        "deployed": model.is_deployed,
        "fallback": model.falls_back,
        "refused": {"version": refused.version, "reason": refused.reason} if refused else None,
    }


def _documented(content: dict[str, Any]) -> dict[str, Any]:
    """What the OpenAPI page says of a body that the route reads by itself."""
    error = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
    words = {
        400: "The body is malformed; `error` says where.",
        403: "A form from a page of another site.",
        413: "The body, or the picture in it, is too large.",
        415: "Another type of body.",
        422: "The picture is too small.",
        503: "Nothing can answer now.",
    }
    refused = {
        status: {"description": text, "content": {"application/json": {"schema": error}}}
        for status, text in words.items()
    }
    body = {kind: {"schema": schema} for kind, schema in content.items()}
    return {
        "openapi_extra": {"requestBody": {"required": True, "content": body}},
        "responses": {**refused, 200: {"content": {"application/json": {"schema": _SCHEMA}}}},
    }


_SCHEMA = {
    "type": "object",
    "required": ["model", "version", "answer", "probabilities", "samples"],
    "properties": {
        "model": {"type": "string"},
        "version": {"type": ["string", "null"], "description": "null: the pipeline's own output"},
        "answer": {"type": "string", "description": "the most probable class"},
        "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
        "samples": {"type": "integer", "description": "of which they are the mean"},
    },
}
