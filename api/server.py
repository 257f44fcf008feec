"""``python -m api.server``: the two models over HTTP, as JSON.

For example::

    curl http://127.0.0.1:8000/ml_model --data '{"inputs": [[0.0, 12.8, 5.0, 4.7]]}'

with one number for each feature of the model (see ``tagship show ml_model``).
``POST /ml_model`` and ``POST /dl_model`` take ``{"inputs": [...]}`` and answer
``{"outputs": [...], "version": "1.1.0"}``. A new version answers as soon as it is live.
"""

import argparse
import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from api import config
from api.models import Model
from tagship import TagshipError

LARGEST_BODY = 16 << 20  # bytes


def serve(address: tuple[str, int], base: Path = config.BASE_DIR) -> ThreadingHTTPServer:
    """A server for the models of a workspace, listening at ``address``."""
    models = {f"/{name}": Model(name, base) for name in ("ml_model", "dl_model")}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            model = models.get(self.path)
            if model is None:
                return self._answer(HTTPStatus.NOT_FOUND, {"error": f"no model {self.path}"})
            length = int(self.headers.get("Content-Length", 0))
            if length > LARGEST_BODY:
                return self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": "too large"})
            try:
                inputs = json.loads(self.rfile.read(length))["inputs"]
                answer = model.predict(inputs)
            except TagshipError as error:
                return self._answer(HTTPStatus.SERVICE_UNAVAILABLE, {"error": error.message})
            except KeyError as error:
                return self._answer(HTTPStatus.BAD_REQUEST, {"error": f"{error} is missing"})
            except Exception as error:  # noqa: BLE001 - each framework has its own for a bad shape
                return self._answer(HTTPStatus.BAD_REQUEST, {"error": str(error)})
            return self._answer(
                HTTPStatus.OK, {"outputs": answer.outputs, "version": answer.version}
            )

        def _answer(self, status: HTTPStatus, value: dict[str, Any]) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    return ThreadingHTTPServer(address, Handler)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve the live models over HTTP.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    server = serve((options.host, options.port))
    print(f"POST to http://{options.host}:{server.server_port}/ml_model or /dl_model")  # noqa: T201
    server.serve_forever()
