"""``python -m api.server``, or ``uvicorn api.server:app``: Gaia Vision's two models over HTTP.

tagship's app answers in the Open Inference Protocol below ``/v2``, and follows what is live:
another version answers without a restart. Beside it are the routes and the page of ``routes.py``.
"""

import argparse
from pathlib import Path

from fastapi import FastAPI

from api import config, routes
from api.models import Model
from tagship import TagshipError, serve


def create(base: Path = config.BASE_DIR, allow_hosts: tuple[str, ...] = ()) -> FastAPI:
    """The app for the models of a workspace.

    Args:
        base: the workspace.
        allow_hosts: names for the header Host, besides those of this machine and of the settings.
    """
    app = serve.app(config.MODELS, start=base, allow_hosts=(*config.ALLOW_HOSTS, *allow_hosts))
    app.title = "Gaia Vision"

    def model(name: str, current: Path, fallback: Path) -> Model:
        here = [base / path.relative_to(config.BASE_DIR) for path in (current, fallback)]
        return Model(app.state.slots[name], here[0], here[1], base / "params.yaml")

    ml = model("ml_model", config.CATBOOST_MODEL_PATH, config.CATBOOST_MODEL_FALLBACK)
    dl = model("dl_model", config.VISION_MODEL_PATH, config.VISION_MODEL_FALLBACK)
    app.include_router(routes.router(ml, dl, app.state.monitor))
    return app


def main() -> None:
    """Serve until SIGTERM or Ctrl+C."""
    parser = argparse.ArgumentParser(description="Serve Gaia Vision's two models and its page.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 is any free one")
    options = parser.parse_args()
    try:
        own = create(allow_hosts=(options.host,))
        serve.run(own, lambda url: print(url, flush=True), host=options.host, port=options.port)  # noqa: T201
    except TagshipError as error:
        raise SystemExit(f"error: {error.message}") from None


if __name__ == "__main__":
    main()
else:
    app = create()
