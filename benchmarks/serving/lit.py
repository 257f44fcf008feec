"""LitServe with a CatBoost model, in its own environment: ``lit.py MODEL PORT``."""

import sys
from typing import Any

import catboost
import litserve
import numpy as np


class Trees(litserve.LitAPI):  # type: ignore[misc] # it has no types here
    """Takes and gives what the Open Inference Protocol has."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - its interface
        """Load the model, in the process that answers."""
        self.model = catboost.CatBoostClassifier().load_model(sys.argv[1])

    def decode_request(self, request: dict[str, Any]) -> Any:
        """The rows."""
        (tensor,) = request["inputs"]
        return np.array(tensor["data"]).reshape(tensor["shape"])

    def predict(self, rows: Any) -> Any:
        """Probabilities."""
        return self.model.predict_proba(rows)

    def encode_response(self, output: Any) -> dict[str, Any]:
        """The same, as JSON."""
        shape, data = list(output.shape), output.ravel().tolist()
        tensor = {"name": "output-0", "shape": shape, "datatype": "FP64", "data": data}
        return {"outputs": [tensor]}


if __name__ == "__main__":
    server = litserve.LitServer(Trees(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False)
