"""A runtime of MLServer that answers with the live version of a model, and follows it.

``model-settings.json``: ``{"name": "churn", "implementation":
"tagship.serve.mlserver.TagshipModel", "parameters": {"uri": "models"}}``; ``uri`` is the folder of
all models. ``parameters.extra`` can have ``isolate``, ``max_rows`` and ``poll`` of ``Settings``.
"""

import asyncio
from pathlib import Path

import orjson
from mlserver import MLModel
from mlserver.errors import MLServerError
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver.utils import get_model_uri

from tagship.serve import answering
from tagship.serve.answering import Asked
from tagship.serve.observer import Nobody
from tagship.serve.serving import Alone
from tagship.serve.settings import Settings


class TagshipModel(MLModel):  # type: ignore[misc] # it has no types
    """A model of MLServer; each of its processes follows the link by itself."""

    async def load(self) -> bool:
        """Load what is live, and follow it.

        Raises:
            TagshipError: nothing is live, or it does not load; the words say why.
        """
        root = Path(await get_model_uri(self.settings))
        self._options = Settings((self.name,), root=root, **(self.settings.parameters.extra or {}))
        self._alone = Alone(self._options, Nobody())
        self._alone.start()
        await asyncio.to_thread(self._alone.catch_up)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer with one version, which the answer names.

        Raises:
            MLServerError: the request is not one for this model, or it cannot answer now.
        """
        asked = Asked(payload.model_dump_json(exclude_none=True).encode())
        slot = self._alone.slots[self.name]
        reply = await asyncio.to_thread(answering.answer, slot, asked, self._options)
        if reply.status != 200:
            raise MLServerError(orjson.loads(reply.body)["error"], reply.status)
        return InferenceResponse.model_validate_json(reply.body)

    async def unload(self) -> bool:
        """Stop following, and free the model."""
        await asyncio.to_thread(self._alone.close)
        return True
