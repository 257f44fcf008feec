"""A request for inference, from its body to the answer, in one thread; errors are answers too."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from tagship.errors import TagshipError, Unavailable
from tagship.serve import protocol, tensors
from tagship.serve.generation import Facts, Generation
from tagship.serve.protocol import Array
from tagship.serve.settings import Settings
from tagship.serve.slot import NoVersion, Slot

logger = logging.getLogger("tagship.serve")

WITHOUT_NAN = ("keras",)  # frameworks whose models answer NaN to NaN
RETRY = {"retry-after": "1"}


@dataclass(frozen=True)
class Asked:
    """What a request says outside of its body.

    Attributes:
        version: that is to answer; None is the live one.
        json_length: the header ``Inference-Header-Content-Length``.
    """

    body: bytes
    version: str | None = None
    json_length: str | None = None


@dataclass
class Reply:
    """An answer, and what there is to tell of it.

    Attributes:
        inputs, outputs: of the model; None where it was not asked.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": protocol.JSON})
    facts: Facts | None = None
    id: str | None = None
    rows: int = 0
    inputs: Mapping[str, Array] | None = None
    outputs: Mapping[str, Array] | None = None
    sha256: str | None = None


def answer(slot: Slot, asked: Asked, settings: Settings, *, hashed: bool = False) -> Reply:
    """Answer a request with one version, from the first byte to the last.

    Args:
        slot: of the model.
        asked: the request.
        settings: the limits.
        hashed: whether to take the digest of the body.
    """
    reply = Reply()
    try:
        with slot.acquire(asked.version) as generation:
            reply.facts = generation.facts
            reply.headers |= version_headers(generation.facts)
            _infer(generation, asked, settings, reply)
    except TagshipError as error:
        fail(reply, error)
    except Exception:  # of any framework, or ours: no client may see it
        logger.exception("%s: a request failed", slot.name)
        reply.status, reply.body = 500, protocol.error("the request failed; the log says why")
    if hashed and reply.outputs is not None:
        reply.sha256 = hashlib.sha256(asked.body).hexdigest()
    return reply


def _infer(generation: Generation, asked: Asked, settings: Settings, reply: Reply) -> None:
    request = protocol.parse(asked.body, asked.json_length)
    reply.id = request.id
    facts = generation.facts
    inputs = tensors.fit(
        request.inputs, generation.signature,
        max_rows=settings.max_rows, takes_nan=facts.framework not in WITHOUT_NAN,
    )  # fmt: skip
    reply.rows = tensors.rows(inputs)
    protocol.check_outputs(request, tensors.names(generation.signature.outputs, "output"))
    outputs = generation.answer(inputs)
    rendered = protocol.render(facts.model, facts.version, request, outputs)
    reply.inputs, reply.outputs = inputs, outputs
    reply.body = rendered.body
    if rendered.json_length is not None:
        reply.headers["content-type"] = protocol.BINARY
        reply.headers[protocol.LENGTH_HEADER] = str(rendered.json_length)


def version_headers(facts: Facts) -> dict[str, str]:
    """The headers that say what answered."""
    return {"x-model-version": facts.version, "x-tagship-generation": str(facts.number)}


def fail(reply: Reply, error: TagshipError) -> None:
    """Make an answer one that says what is wrong: without the hint, which is for the operator."""
    reply.status, reply.body = status_of(error), protocol.error(error.message)
    reply.headers["content-type"] = protocol.JSON
    if reply.status == 503:
        reply.headers |= RETRY


def status_of(error: TagshipError) -> int:
    """The status of HTTP for an error: by who can do something about it."""
    if isinstance(error, NoVersion):
        return 404
    return 503 if isinstance(error, Unavailable) else 400
