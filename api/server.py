"""``python -m api.server``, or ``uvicorn api.server:app``: Gaia Vision's two models over HTTP.

tagship's own app answers in the Open Inference Protocol below ``/v2``; beside it are the routes of
``api/routes.py``. Another version answers as soon as it is live, without a restart.
"""
