"""What the OpenAPI description says of the paths: ``/openapi.json``, and the page ``/docs``."""

from typing import Any

from tagship.serve import protocol

ABOUT = (
    "Answers with the live versions of models, in the Open Inference Protocol 2. Each answer names"
    " the version that gave it, and is wholly of that version."
)

_TEXT = {"type": "string"}
_NAME = {"type": "string", "minLength": 1, "maxLength": protocol.MAX_ID}
_PARAMETERS = {"type": "object", "description": "Others than those that are named are ignored."}
_NESTED: dict[str, Any] = {
    "type": "array",
    "items": {},
    "description": "Flat, in the order of rows, or nested as the shape is; null is NaN.",
}
_SHAPE = {
    "type": "array",
    "maxItems": protocol.MAX_AXES,
    "items": {"type": "integer", "minimum": 0},
}
_KIND = {"type": "string", "enum": list(protocol.KINDS)}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties}


_ERROR = _object(["error"], error=_TEXT)
_INPUT = _object(
    ["name", "shape", "datatype"],
    name=_NAME, shape=_SHAPE, datatype=_KIND, data=_NESTED, parameters=_PARAMETERS,
)  # fmt: skip
_OUTPUT = _object(["name"], name=_NAME, parameters=_PARAMETERS)
_REQUEST = _object(
    ["inputs"],
    id={"type": "string", "maxLength": protocol.MAX_ID},
    parameters=_PARAMETERS,
    inputs={"type": "array", "minItems": 1, "maxItems": protocol.MAX_TENSORS, "items": _INPUT},
    outputs={"type": "array", "maxItems": protocol.MAX_TENSORS, "items": _OUTPUT},
)
_ANSWERED = _object(
    ["name", "shape", "datatype"], name=_TEXT, shape=_SHAPE, datatype=_KIND, data=_NESTED
)
_ANSWER = _object(
    ["model_name", "model_version", "outputs"],
    model_name=_TEXT, model_version=_TEXT, id=_TEXT, outputs={"type": "array", "items": _ANSWERED},
)  # fmt: skip
_TENSORS = {
    "type": "array",
    "items": _object(
        ["name", "datatype", "shape"],
        name=_TEXT, datatype=_KIND, shape={"type": "array", "items": {"type": "integer"}},
    ),
}  # fmt: skip
_MODEL = _object(
    ["name", "versions", "platform", "inputs", "outputs"],
    name=_TEXT, versions={"type": "array", "items": _TEXT}, platform=_TEXT,
    inputs=_TENSORS, outputs=_TENSORS,
    properties={"type": "object", "additionalProperties": _TEXT},
)  # fmt: skip

_EXAMPLE = {
    "id": "1",
    "inputs": [
        {"name": "input-0", "shape": [2, 3], "datatype": "FP64", "data": [1, 2, 3, 4, 5, 6]}
    ],
}
_WORDS = {
    400: "The request does not fit the protocol, or the model; `error` says where.",
    401: "A token is asked for: `Authorization: Bearer TOKEN`.",
    404: "There is no such model, or the version is not loaded.",
    413: "The request is too large.",
    415: "Content-Type is not application/json.",
    421: "The header Host is not a name of this server.",
    503: "Nothing can answer now.",
}
_MODEL_PARAMETER = {
    "name": "model", "in": "path", "required": True, "description": "its name", "schema": _TEXT,
}  # fmt: skip
_VERSION_PARAMETER = {
    "name": "version", "in": "path", "required": True, "schema": _TEXT,
    "description": "`1.2.0`: the live one, or a challenger",
}  # fmt: skip
_VERSION_HEADER = {
    "name": "x-model-version", "in": "header", "required": False, "schema": _TEXT,
    "description": "a version, instead of one in the path",
}  # fmt: skip


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def _operation(
    name: str, summary: str, schema: dict[str, Any], *statuses: int, **extra: Any
) -> dict[str, Any]:
    """The options of ``add_api_route``."""
    refused = {
        status: {"description": _WORDS[status], **_json(_ERROR)}
        for status in sorted({401, 421, *statuses})
    }
    responses = {200: {"description": "The answer.", **_json(schema)}, **refused}
    return {
        "operation_id": name,
        "summary": summary,
        "responses": responses,
        "response_model": None,
        "openapi_extra": extra,
    }


SERVER = _operation(
    "server",
    "The server's name, version and extensions",
    _object(
        ["name", "version", "extensions"],
        name=_TEXT, version=_TEXT, extensions={"type": "array", "items": _TEXT},
    ),
)  # fmt: skip
LIVE = _operation("live", "Whether the server runs", _object(["live"], live={"type": "boolean"}))
READY = _operation(
    "ready", "Whether all models can answer", _object(["ready"], ready={"type": "boolean"}), 503
)
METRICS = _operation("metrics", "Metrics for Prometheus", _TEXT)
METRICS["responses"][200]["content"] = {"text/plain": {"schema": _TEXT}}
METADATA = _operation(
    "model", "What a model takes and gives, and its versions", _MODEL, 400, 404, 503
)
MODEL_READY = _operation(
    "model_ready",
    "Whether a model can answer",
    _object(
        ["name", "ready", "model_version"],
        name=_TEXT, ready={"type": "boolean"}, model_version=_TEXT,
    ),
    400, 404, 503,
)  # fmt: skip
INFER = _operation(
    "infer", "Answers of a model for a batch of inputs", _ANSWER, 400, 404, 413, 415, 503,
    requestBody={
        "required": True,
        "content": {"application/json": {"schema": _REQUEST, "example": _EXAMPLE}},
    },
)  # fmt: skip


def of_live(operation: dict[str, Any]) -> dict[str, Any]:
    """An operation on the live version of a model, or on one that a header names."""
    return _with(operation, "", _MODEL_PARAMETER, _VERSION_HEADER)


def of_version(operation: dict[str, Any]) -> dict[str, Any]:
    """The same on a version that the path names."""
    return _with(operation, "_version", _MODEL_PARAMETER, _VERSION_PARAMETER)


def _with(operation: dict[str, Any], suffix: str, *parameters: dict[str, Any]) -> dict[str, Any]:
    name, extra = operation["operation_id"], operation["openapi_extra"]
    more = {**extra, "parameters": list(parameters)}
    return {**operation, "operation_id": f"{name}{suffix}", "openapi_extra": more}
