"""The server as an app of FastAPI: the paths of the protocol, metrics, and a page about them.

The bodies of inference requests are read by hand: see ``answering``.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version as installed_version
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect

from tagship.errors import TagshipError
from tagship.serve import answering, described, listen, page, protocol, settings, tensors
from tagship.serve.answering import Asked, Reply
from tagship.serve.follow import Target
from tagship.serve.generation import Facts, Generation
from tagship.serve.guard import Guard, Rules
from tagship.serve.monitor import Monitor
from tagship.serve.observer import Answered, Watcher
from tagship.serve.orders import Name
from tagship.serve.serving import Alone, Plan
from tagship.serve.settings import Settings
from tagship.serve.slot import NotReady, Slot, State

VERSION = "x-model-version"
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def build(
    options: Settings, slots: Mapping[str, Slot], watcher: Watcher, lifespan: Lifespan | None = None
) -> FastAPI:
    """The app for some slots.

    Args:
        options: the limits.
        slots: by the model's name.
        watcher: is told of each answer.
        lifespan: of the app.

    Raises:
        TagshipError: there is no usable token in ``token_file``.
    """
    tokens = settings.tokens(options.token_file) if options.token_file else ()
    rules = Rules(options.hosts, tokens, options.max_body, options.max_bodies)
    app = FastAPI(
        title="tagship", version=installed_version("tagship"), description=described.ABOUT,
        docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=lifespan,
        middleware=[Middleware(Guard, rules=rules)],
    )  # fmt: skip
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _failed)
    app.state.slots, app.state.settings = slots, options
    _add_server(app, slots, watcher)
    models = _Models(options, slots, watcher)
    app.state.pools = tuple(models.pools.values())
    _add_models(app, models)
    return app


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = {**(error.headers or {}), "content-type": protocol.JSON}
    is_unknown = error.status_code == 404 and error.detail == "Not Found"  # no such route
    text = "there is no such path: GET /docs has all" if is_unknown else str(error.detail)
    return Response(protocol.error(text), error.status_code, headers)


async def _failed(_request: Request, _error: Exception) -> Response:
    """uvicorn writes the error to the log."""
    body = protocol.error("the request failed; the log says why")
    return Response(body, 500, {"content-type": protocol.JSON})


def _json(value: Any, status: int = 200) -> Response:
    headers = answering.RETRY if status == 503 else None
    return Response(orjson.dumps(value), status, headers, protocol.JSON)


# ---- the server


def _add_server(app: FastAPI, slots: Mapping[str, Slot], watcher: Watcher) -> None:
    async def metadata() -> Response:
        extensions = list(protocol.EXTENSIONS)
        return _json({"name": "tagship", "version": app.version, "extensions": extensions})

    async def live() -> Response:
        return _json({"live": True})

    async def ready() -> Response:
        missing = [name for name, slot in slots.items() if not slot.is_ready]
        if missing:
            return _json({"ready": False, "error": f"not ready: {', '.join(missing)}"}, 503)
        return _json({"ready": True})

    async def metrics(request: Request) -> Response:
        states = {name: slot.state() for name, slot in slots.items()}
        accept = request.headers.get("accept", "")
        body, kind = await asyncio.to_thread(watcher.exposition, states, accept)
        return Response(body, headers={"content-type": kind})

    async def docs() -> Response:
        return Response(page.html(app.openapi()), headers=page.HEADERS)

    app.add_api_route("/v2", metadata, **described.SERVER)
    app.add_api_route("/v2/", metadata, include_in_schema=False)
    app.add_api_route("/v2/health/live", live, **described.LIVE)
    app.add_api_route("/v2/health/ready", ready, **described.READY)
    app.add_api_route("/metrics", metrics, **described.METRICS)
    app.add_api_route("/docs", docs, include_in_schema=False)


# ---- models


class _Models:
    """The handlers of the paths of models.

    Args:
        options: the limits.
        slots: by the model's name.
        watcher: is told of each answer.
    """

    def __init__(self, options: Settings, slots: Mapping[str, Slot], watcher: Watcher) -> None:
        self._options, self._slots, self._watcher = options, slots, watcher
        # One pool a model: a slow one keeps nobody waiting but those who ask for it.
        self.pools = {
            name: ThreadPoolExecutor(options.threads, f"{listen.ANSWER}{name}") for name in slots
        }

    async def metadata(self, request: Request) -> Response:
        """What a model takes and gives."""
        return self._look(request, _metadata)

    async def ready(self, request: Request) -> Response:
        """Whether it can answer."""
        return self._look(request, _ready)

    def _look(self, request: Request, shown: Callable[[Slot, Generation], Response]) -> Response:
        try:
            slot = self._slot(request)
            with slot.acquire(_version(request)) as generation:
                response = shown(slot, generation)
                response.headers.update(answering.version_headers(generation.facts))
                return response
        except TagshipError as error:
            ready = {"ready": False} if isinstance(error, NotReady) else {}
            return _json({**ready, "error": error.message}, answering.status_of(error))

    async def infer(self, request: Request) -> Response:
        """Answer a request for inference."""
        try:
            body = await request.body()
        except ClientDisconnect:
            return Response()  # nobody reads it
        began = time.perf_counter()
        name = ""
        try:
            slot = self._slot(request)
            name = slot.name
            length = request.headers.get(protocol.LENGTH_HEADER)
            reply = await self._answered(slot, Asked(body, _version(request), length))
        except HTTPException as error:
            reply = Reply(error.status_code, protocol.error(str(error.detail)))
        except TagshipError as error:
            reply = Reply()
            answering.fail(reply, error)
        client = request.client.host if request.client else None
        self._tell(name, client, reply, time.perf_counter() - began)
        return Response(reply.body, reply.status, reply.headers)

    async def _answered(self, slot: Slot, asked: Asked) -> Reply:
        options, hashed = self._options, self._watcher.wants_outputs
        loop = asyncio.get_running_loop()
        waiting = [asked]  # what is given up before it began is kept by its pool, without a body
        try:
            async with asyncio.timeout(options.request_timeout):
                return await loop.run_in_executor(
                    self.pools[slot.name],
                    lambda: answering.answer(slot, waiting.pop(), options, hashed=hashed),
                )
        except TimeoutError:
            waiting.clear()
            text = f"{slot.name} did not answer within {options.request_timeout:g} s"
            reply = Reply(503, protocol.error(text))
            reply.headers |= answering.RETRY
            return reply

    def _slot(self, request: Request) -> Slot:
        name = request.path_params["model"]
        if name not in self._slots:
            if request.method == "GET" and name.endswith("/infer"):  # a name may have a slash
                raise HTTPException(405, "Method Not Allowed", {"allow": "POST"})
            raise HTTPException(404, f"there is no model {protocol.shown(name)} here")
        return self._slots[name]

    def _tell(self, name: str, client: str | None, reply: Reply, seconds: float) -> None:
        facts, watcher = reply.facts, self._watcher
        watcher.answered(
            Answered(
                name,
                facts.version if facts else None,
                facts.seq if facts else None,
                facts.number if facts else None,
                reply.id,
                reply.status,
                reply.rows,
                seconds,
                reply.sha256,
                reply.inputs if watcher.wants_inputs else None,
                reply.outputs if watcher.wants_outputs else None,
                client,
            )
        )


def _version(request: Request) -> str | None:
    """The version that a request asks for, by its path or its header; None for the live one."""
    path, headers = request.path_params.get("version"), request.headers.getlist(VERSION)
    if len(headers) > 1:
        raise protocol.BadInput(f"there are several headers {VERSION}")
    header = headers[0] if headers else None
    if path is not None and header is not None and path != header:
        raise protocol.BadInput(f"the path and the header {VERSION} name different versions")
    return path or header or None


def _ready(slot: Slot, generation: Generation) -> Response:
    is_ready = generation.runner.is_alive
    value = {"name": slot.name, "ready": is_ready, "model_version": generation.facts.version}
    return _json(value, 200 if is_ready else 503)


def _metadata(slot: Slot, generation: Generation) -> Response:
    facts, signature, state = generation.facts, generation.signature, slot.state()
    answering_now = [*([state.live] if state.live else []), *state.others]
    versions = list(dict.fromkeys(other.version for other in answering_now))
    return _json(
        {
            "name": slot.name,
            "versions": versions,
            "platform": facts.framework,
            "inputs": tensors.described(signature.inputs, "input"),
            "outputs": tensors.described(signature.outputs, "output"),
            "properties": _properties(facts, state),
        }
    )


def _properties(facts: Facts, state: State) -> dict[str, str]:
    """More about the version, as text: the protocol has nothing else here."""
    properties = {
        "model_version": facts.version,
        "seq": str(facts.seq),
        "generation": str(facts.number),
        "digest": facts.digest,
        "since": facts.since,
    }
    if state.refused is not None:
        properties["refused_version"] = state.refused.version
        properties["refused"] = state.refused.reason
    if state.refused_challengers:
        beside = (f"{each.version}: {each.reason}" for each in state.refused_challengers)
        properties["refused_challengers"] = "; ".join(beside)
    return properties


def _add_models(app: FastAPI, models: _Models) -> None:
    """The longer paths first: a model's name may have a slash."""
    of_model, of_version = "/v2/models/{model:path}", "/v2/models/{model:path}/versions/{version}"
    for prefix, form in ((of_version, described.of_version), (of_model, described.of_live)):
        post = {"methods": ["POST"], **form(described.INFER)}
        app.add_api_route(f"{prefix}/infer", models.infer, **post)
        app.add_api_route(f"{prefix}/ready", models.ready, **form(described.MODEL_READY))
    app.add_api_route(of_version, models.metadata, **described.of_version(described.METADATA))
    app.add_api_route(of_model, models.metadata, **described.of_live(described.METADATA))


def standalone(
    options: Settings, targets: Mapping[Name, Target] | None = None, *, starts: bool = True
) -> FastAPI:
    """The app of a server with one process: while it runs, it follows what is live.

    Args:
        options: what is served.
        targets: what is followed instead of the link of a model.
        starts: whether it follows from its start; else once ``app.state.alone`` is started.

    Raises:
        TagshipError: there is no folder of models, or a file of the settings cannot be used.
    """
    plan = Plan.of(options)
    monitor = Monitor(
        plan.stores, plan.root, access_log=options.access_log,
        audit=options.audit, audit_inputs=options.audit_inputs,
    )  # fmt: skip
    alone = Alone(options, monitor, targets)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            if starts:
                alone.start()
            yield
        finally:
            alone.close()
            monitor.close()

    app = build(options, alone.slots, monitor, lifespan)
    app.state.alone, app.state.monitor = alone, monitor
    return app
