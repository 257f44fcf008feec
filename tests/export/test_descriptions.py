"""Model cards, bills of materials, MLflow models: read by those whose formats they are."""

import contextlib
import datetime
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tagship import Corrupt, NotFound, Refused
from tagship.disk.files import File
from tagship.export import cyclonedx, facts, huggingface, mlflow, yaml_writer
from tagship.export import formats as export_formats
from tagship.export.formats import FORMATS
from tagship.host.metadata import CommitInfo, Made, Metadata, TagInfo
from tagship.registry.artifacts import Artifact
from tagship.text import yaml
from tagship.text.paths import is_path

COMMIT, TAG_OBJECT = "b" * 40, "a" * 40
CATBOOST = {"trees": 5, "depth": 3, "features": ["age", "town"], "classes": ["no", "yes"]}
KERAS = {"layers": 3, "parameters": 9000, "inputs": [[None, 48, 48, 3]], "outputs": [[None, 5]]}
STAGE: Made = {
    "stage": "train",
    "command": "python train.py",
    "deps": [
        {"path": "train.py", "md5": "1" * 32},
        {"path": "data/train", "md5": "2" * 32 + ".dir"},
    ],
    "outs": [{"path": "models/churn/model.cbm", "md5": "c" * 32}],
    "params": {"train.depth": 4},
}
METADATA = Metadata(
    model="churn",
    version="1.2.0",
    path="model.cbm",
    self_test=None,
    tag=TagInfo("churn@v1.2.0", TAG_OBJECT, "Ada <ada@example.com>", "2026-11-20T12:00:00Z", ""),
    commit=CommitInfo(COMMIT, "Ada <ada@example.com>", "2026-11-20T11:00:00Z", "Train"),
    files=(File("model.cbm", 8, "c" * 32, "d" * 64),),
    size=8,
    framework="catboost",
    architecture=CATBOOST,
    metrics={"accuracy": 0.75, "loss": 1e-05, "auc": "nan", "converged": True},
    params={"train": {"depth": 4}},
    lineage=[STAGE],
    smoke_test="passed: loads; it has no self-test",
    tools={"tagship": "0.1.0", "dvc": "3.67.1", "python": "3.11.7", "catboost": "1.2.10"},
)
ARTIFACT = Artifact(
    "churn", "models/churn/model.cbm", None, "who leaves", ("classification", "tabular")
)
NETWORK = replace(
    METADATA,
    path="model.keras",
    framework="keras",
    architecture=KERAS,
    tools={"python": "3.11.7", "keras": "3.15.1"},
)
PICKLE = replace(METADATA, path="model.pkl", framework=None, architecture=None)
UNKNOWN = replace(
    METADATA, path="model", framework=None, architecture=None, metrics={}, params={}, lineage=[]
)

# any text that JSON and YAML can hold, and half a surrogate pair, which UTF-8 cannot
texts = st.text(st.characters(exclude_categories=())) | st.sampled_from(
    ["on", "1:30", "1e5", "0o7", "~", "---", "a: b", "- a", "#", "''", '"', "\x85", "\u2028", "🙂"]
)
values = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(),
    st.booleans(),
    st.sampled_from(["nan", "inf", "-inf"]),
    texts,
)
odd = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def written(name: str, metadata: Metadata = METADATA, artifact: Artifact = ARTIFACT) -> str:
    """The main file of a format."""
    return next(iter(export_formats.write([name], metadata, artifact).values()))


def front_matter(text: str) -> Any:
    """The YAML of a model card, as PyYAML (1.1) and as ruamel (1.2) read it: they must agree."""
    head = text.removeprefix("---\n").partition("\n---\n")[0]
    old = pytest.importorskip("yaml").safe_load(head)
    assert old == yaml.parse(head.encode(), "README.md")
    return old


def card(text: str) -> Any:
    """A model card, as the Hub's own library reads it; nothing goes over the network."""
    return pytest.importorskip("huggingface_hub").ModelCard(text)


def complaint(text: str) -> Any:
    """What CycloneDX's own validator has against a bill of materials; None: nothing."""
    json_validation = pytest.importorskip("cyclonedx.validation.json")
    schema = pytest.importorskip("cyclonedx.schema")
    return json_validation.JsonStrictValidator(schema.SchemaVersion.V1_6).validate_str(text)


def mlmodel(metadata: Metadata) -> Any:
    """``MLmodel``, as MLflow reads it: with PyYAML."""
    return pytest.importorskip("yaml").safe_load(written("mlflow", metadata))


def signature(metadata: Metadata) -> Any:
    """The inputs and outputs of ``MLmodel``."""
    texts: Mapping[str, str] = mlmodel(metadata).get("signature", {})
    return {side: json.loads(text) for side, text in texts.items()}


def clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_writes_the_files_that_its_row_names(name: str) -> None:
    assert tuple(export_formats.write([name], METADATA, ARTIFACT)) == FORMATS[name].names


def test_several_formats_are_written_in_the_order_asked_for() -> None:
    assert list(export_formats.write(["mlflow", "huggingface"], METADATA, ARTIFACT)) == [
        "MLmodel", "requirements.txt", "python_env.yaml", "README.md"
    ]  # fmt: skip
    assert export_formats.names(["cyclonedx", "huggingface"]) == ("bom.cdx.json", "README.md")


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_metadata_give_the_same_bytes(name: str) -> None:
    again = Metadata.from_json(json.loads(json.dumps(METADATA.to_json())))
    assert written(name) == written(name, again)


@pytest.mark.parametrize(
    ("formats", "metadata", "error", "said", "hint"),
    [
        (["onnx"], METADATA, NotFound, "there is no format onnx",
         "there are: huggingface, cyclonedx, mlflow"),
        ([], METADATA, NotFound, "there is no format to export in",
         "there are: huggingface, cyclonedx, mlflow"),
        (["huggingface", "mlflow"], PICKLE, Refused,
         "mlflow takes no joblib model, as model.pkl is",
         "the formats that do: huggingface, cyclonedx, oci"),
        (["mlflow"], UNKNOWN, Refused, "mlflow needs a loader, and none reads model",
         "the formats that do: huggingface, cyclonedx, oci"),
        (["mlflow"], replace(METADATA, framework=None, architecture=None), Refused,
         "model.cbm was never loaded: its architecture is not known",
         "export into a folder (-o) with tagship[catboost] installed, or first:"
         " tagship deploy churn@1.2.0"),
        (["mlflow"], replace(NETWORK, architecture={**KERAS, "outputs": [[None, 1], [None, 2]]}),
         Refused, "model.keras has 2 outputs, and MLflow's Keras flavor gives one",
         "choose another format, or release a model with one output"),
    ],
    ids=["unknown", "none", "pickle", "no framework", "never loaded", "two outputs"],
)  # fmt: skip
def test_what_cannot_be_described_is_refused_with_what_can(
    formats: list[str], metadata: Metadata, error: type[Exception], said: str, hint: str
) -> None:
    with pytest.raises(error) as caught:
        export_formats.write(formats, metadata, ARTIFACT)
    assert (str(caught.value), getattr(caught.value, "hint", None)) == (said, hint)


def test_secrets_are_cut_out_of_every_file() -> None:
    stage: Made = {**STAGE, "command": "curl https://ada:secret@example.com/x?key=secret"}
    params = {"url": "https://secret@example.com"}
    files = export_formats.write(
        list(FORMATS),
        replace(METADATA, lineage=[stage], params=params),
        replace(ARTIFACT, description="of s3://b/k?secret", labels=("https://secret@a.b",)),
    )
    assert "curl https://example.com/x" in files["README.md"]
    assert [name for name, text in files.items() if "secret" in text] == []


# --- Hugging Face


def test_the_model_card_as_it_is() -> None:
    commit = "`" + COMMIT + "`"
    assert written("huggingface", replace(METADATA, params={}, lineage=[])) == (
        "---\n"
        "library_name: catboost\n"
        "tags:\n- classification\n- tabular\n- tagship\n"
        "model-index:\n"
        "- name: churn\n"
        "  results:\n"
        "  - task:\n"
        "      type: tabular-classification\n"
        "    dataset:\n"
        "      type: dvc\n"
        '      name: "churn@v1.2.0"\n'
        f"      revision: {COMMIT}\n"
        "    metrics:\n"
        "    - type: accuracy\n"
        "      value: 0.75\n"
        "    - type: loss\n"
        "      value: 1.0e-05\n"
        "---\n\n"
        "# churn 1.2.0\n\n"
        "who leaves\n\n"
        "| what | value |\n| --- | --- |\n"
        "| version | 1.2.0 |\n"
        "| Git tag | `churn@v1.2.0` |\n"
        "| tagged by | Ada &lt;ada@example.com>, 2026-11-20T12:00:00Z |\n"
        f"| Git commit | {commit} |\n"
        "| author | Ada &lt;ada@example.com>, 2026-11-20T11:00:00Z |\n"
        "| size | 8 bytes |\n"
        "| framework | catboost 1.2.10 |\n"
        "| smoke test | passed: loads; it has no self-test |\n\n"
        "## How to load it\n\n"
        "```python\nfrom catboost import CatBoostClassifier\n\n"
        "model = CatBoostClassifier().load_model('model.cbm')\n```\n\n"
        "## Metrics\n\n"
        "| metric | value |\n| --- | --- |\n"
        "| accuracy | 0.75 |\n| loss | 1e-05 |\n| auc | nan |\n| converged | True |\n\n"
        "## Architecture\n\n"
        "| what | value |\n| --- | --- |\n"
        "| trees | 5 |\n| depth | 3 |\n| features | age, town |\n| classes | no, yes |\n\n"
        "## Files\n\n"
        f"| file | bytes | SHA-256 |\n| --- | --- | --- |\n| model.cbm | 8 | {'d' * 64} |\n"
    )


def test_the_model_card_tells_how_the_model_was_made() -> None:
    assert (
        "## Parameters\n\n| parameter | value |\n| --- | --- |\n| train.depth | 4 |\n"
    ) in written("huggingface")
    assert (
        "## How it was made\n\ntrain: python train.py\n\n|  | path | MD5 |\n| --- | --- | --- |\n"
        f"| read | train.py | {'1' * 32} |\n| read | data/train | {'2' * 32}.dir |\n"
        f"| wrote | models/churn/model.cbm | {'c' * 32} |\n"
    ) in written("huggingface")


def test_the_hub_reads_the_metrics_that_are_numbers() -> None:
    data = card(written("huggingface")).data
    assert (data.library_name, data.tags) == ("catboost", ["classification", "tabular", "tagship"])
    assert (data.license, data.model_name) == (None, "churn")
    assert [(result.metric_type, result.metric_value) for result in data.eval_results] == [
        ("accuracy", 0.75),
        ("loss", 1e-05),
    ]
    assert {
        (result.task_type, result.dataset_type, result.dataset_name, result.dataset_revision)
        for result in data.eval_results
    } == {("tabular-classification", "dvc", "churn@v1.2.0", COMMIT)}


def test_the_model_card_survives_the_hubs_library() -> None:
    before = front_matter(written("huggingface"))
    assert front_matter(str(card(written("huggingface")))) == before


def test_without_a_finite_metric_there_is_no_model_index() -> None:
    text = written("huggingface", replace(METADATA, metrics={"auc": "nan", "good": True}))
    assert front_matter(text) == {
        "library_name": "catboost",
        "tags": ["classification", "tabular", "tagship"],
    }
    assert card(text).data.eval_results is None
    assert "| auc | nan |" in text


@pytest.mark.parametrize("name", ["huggingface", "cyclonedx"])
def test_a_licence_is_named_by_a_label_alone(name: str) -> None:
    assert "licen" not in written(name)
    assert "licen" not in written(name, METADATA, replace(ARTIFACT, labels=("license:",)))
    text = written(name, METADATA, replace(ARTIFACT, labels=("license:mit", "tabular")))
    if name == "huggingface":
        assert (front_matter(text)["license"], card(text).data.license) == ("mit", "mit")
        assert front_matter(text)["tags"] == ["tabular", "tagship"]
    else:
        component = json.loads(text)["metadata"]["component"]
        assert (component["licenses"], component["tags"]) == (
            [{"license": {"name": "mit"}}],
            ["tabular", "tagship"],
        )


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        (METADATA, "model = CatBoostClassifier().load_model('model.cbm')"),
        (replace(METADATA, architecture={**CATBOOST, "classes": []}),
         "model = CatBoostRegressor().load_model('model.cbm')"),
        (NETWORK, "model = keras.saving.load_model('model.keras')"),
        (PICKLE, "# a pickle: loading it runs whatever code is in it"),
    ],
    ids=["classifier", "regressor", "network", "pickle"],
)  # fmt: skip
def test_the_model_card_tells_how_to_load_the_model(metadata: Metadata, code: str) -> None:
    text = written("huggingface", metadata)
    (block,) = text.split("```python\n")[1:]
    assert code in block
    compile(block.partition("```")[0], "README.md", "exec")


def test_a_model_of_no_known_framework_has_a_card_all_the_same() -> None:
    text = written("huggingface", UNKNOWN, Artifact("churn", "models/churn/model"))
    assert front_matter(text) == {"tags": ["tagship"]}
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# churn 1.2.0", "## Files"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("description", "shown"),
    [
        ("# no heading", r"\# no heading"),
        ("- no list", r"\- no list"),
        ("---", r"\---"),
        ("~~~", r"\~~~"),
        ("a\n\n## b", "a ## b"),
        ("<script>", "&lt;script>"),
        ("[a](b) | *c* _d_ `e` \\", r"\[a\](b) \| \*c\* \_d\_ \`e\` \\"),
        ("&lt; \x00", r"&amp;lt; \\x00"),
    ],
)
def test_a_text_is_never_taken_for_markdown(description: str, shown: str) -> None:
    text = written("huggingface", METADATA, replace(ARTIFACT, description=description))
    assert f"# churn 1.2.0\n\n{shown}\n\n| what" in text


def test_a_cell_never_ends_its_table() -> None:
    text = written("huggingface", replace(METADATA, metrics={"a | b\n\n# c": "d\r| e"}))
    assert "\n| a \\| b # c | d \\| e |\n" in text


def test_values_that_json_has_not_are_told_as_texts() -> None:
    params: dict[Any, Any] = {"since": datetime.date(2026, 1, 2), 7: math.nan, "none": None}
    text = written("huggingface", replace(METADATA, params=params))
    assert "| since | 2026-01-02 |\n| 7 | nan |\n| none | None |" in text


@odd
@given(st.dictionaries(texts, values, max_size=4), texts, st.lists(texts, max_size=3))
@example({"on": 1, "1e5": 1e-05, "y": 10**40}, "---\nlicense: mit\n---", ["no", "license:on"])
def test_any_metric_and_any_text_round_trips_through_the_model_card(
    metrics: dict[str, Any], description: str, labels: list[str]
) -> None:
    metadata = replace(METADATA, metrics=metrics)
    text = written("huggingface", metadata, Artifact("churn", "p", None, description, (*labels,)))
    fields = front_matter(text)
    cleaned = {clean(name): value for name, value in metrics.items()}
    numbers = [
        {"type": name, "value": value}
        for name, value in cleaned.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    results = fields["model-index"][0]["results"] if numbers else []
    assert [entry["metrics"] for entry in results] == ([numbers] if numbers else [])
    assert fields["tags"] == facts.tags(Artifact("churn", "p", labels=tuple(map(clean, labels))))
    assert set(fields) <= {"license", "library_name", "tags", "model-index"}
    evaluations = card(text).data.eval_results or []
    assert [(result.metric_type, result.metric_value) for result in evaluations] == [
        (metric["type"], metric["value"]) for metric in numbers
    ]
    assert text.encode().decode() == text


@pytest.mark.parametrize(
    ("labels", "architecture", "task"),
    [
        (("classification", "image"), None, "image-classification"),
        (("Image", "Keras", "Classification"), KERAS, "image-classification"),
        (("object-detection", "image"), None, "object-detection"),
        (("regression", "tabular"), CATBOOST, "tabular-regression"),
        ((), CATBOOST, "tabular-classification"),
        ((), {**CATBOOST, "classes": []}, None),
        (("classification",), KERAS, None),
        ((), None, None),
    ],
)
def test_the_task_is_what_the_labels_say_or_the_classes(
    labels: tuple[str, ...], architecture: Any, task: str | None
) -> None:
    assert facts.task(labels, architecture) == task
    metadata = replace(METADATA, architecture=architecture)
    fields = front_matter(written("huggingface", metadata, replace(ARTIFACT, labels=labels)))
    assert fields["model-index"][0]["results"][0]["task"] == {"type": task or "other"}


# --- CycloneDX


def test_the_bill_of_materials_as_it_is() -> None:
    metadata = replace(METADATA, metrics={"accuracy": 0.75, "auc": "nan", "converged": True})
    files = ["file:model.cbm"]
    data = ["data:train.py", "data:data/train"]
    libraries = [f"library:{name}@{version}" for name, version in METADATA.tools.items()]
    assert json.loads(written("cyclonedx", metadata)) == {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "urn:uuid:c602228c-aabf-537b-83ed-f8e7f4846e73",
        "version": 1,
        "metadata": {
            "timestamp": "2026-11-20T12:00:00Z",
            "component": {
                "type": "machine-learning-model",
                "bom-ref": "model:churn@1.2.0",
                "name": "churn",
                "version": "1.2.0",
                "description": "who leaves",
                "hashes": [{"alg": "SHA-256", "content": "d" * 64}],
                "modelCard": {
                    "modelParameters": {
                        "task": "tabular-classification",
                        "architectureFamily": "gradient boosting",
                        "modelArchitecture": "5 trees, depth 3",
                        "datasets": [{"ref": "data:data/train"}],
                        "inputs": [{"format": "table of 2 columns"}],
                        "outputs": [{"format": "one of no, yes"}],
                    },
                    "quantitativeAnalysis": {
                        "performanceMetrics": [
                            {"type": "accuracy", "value": "0.75"},
                            {"type": "auc", "value": "nan"},
                            {"type": "converged", "value": "true"},
                        ]
                    },
                },
                "properties": [
                    {"name": "git:commit", "value": COMMIT},
                    {"name": "git:tag", "value": "churn@v1.2.0"},
                    {"name": "dvc:md5", "value": "c" * 32},
                ],
                "tags": ["classification", "tabular", "tagship"],
            },
        },
        "components": [
            {"type": "file", "bom-ref": "file:model.cbm", "name": "model.cbm",
             "hashes": [{"alg": "SHA-256", "content": "d" * 64}]},
            {"type": "data", "bom-ref": "data:train.py", "name": "train.py",
             "data": [{"type": "source-code", "name": "train.py"}],
             "properties": [{"name": "dvc:md5", "value": "1" * 32}]},
            {"type": "data", "bom-ref": "data:data/train", "name": "data/train",
             "data": [{"type": "dataset", "name": "data/train"}],
             "properties": [{"name": "dvc:md5", "value": "2" * 32 + ".dir"}]},
            {"type": "library", "bom-ref": libraries[0], "name": "tagship", "version": "0.1.0"},
            {"type": "library", "bom-ref": libraries[1], "name": "dvc", "version": "3.67.1",
             "purl": "pkg:pypi/dvc@3.67.1"},
            {"type": "library", "bom-ref": libraries[2], "name": "python", "version": "3.11.7"},
            {"type": "library", "bom-ref": libraries[3], "name": "catboost", "version": "1.2.10",
             "purl": "pkg:pypi/catboost@1.2.10"},
        ],
        "dependencies": [
            {"ref": "model:churn@1.2.0", "dependsOn": [*files, *data, *libraries]}
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    "metadata",
    [METADATA, NETWORK, PICKLE, UNKNOWN, replace(METADATA, files=(), tools={})],
    ids=["catboost", "keras", "pickle", "unknown", "no list of files here"],
)
def test_cyclonedx_has_nothing_against_it(metadata: Metadata) -> None:
    assert complaint(written("cyclonedx", metadata)) is None


def test_the_validator_does_complain() -> None:
    """Else the test above would show nothing."""
    assert complaint(written("cyclonedx").replace('"dataset"', '"table"')) is not None


def test_a_version_that_is_not_here_yet_has_no_hashes() -> None:
    text = written("cyclonedx", replace(METADATA, files=(File("model.cbm", 8, "c" * 32, ""),)))
    assert "hashes" not in text
    assert {"name": "dvc:md5", "value": "c" * 32} in (
        json.loads(text)["metadata"]["component"]["properties"]
    )


def test_a_folder_has_the_digest_of_its_list_and_its_files_have_their_own() -> None:
    files = (File("model/a", 1, "1" * 32, "a" * 64), File("model/b", 1, "2" * 32, "b" * 64))
    stage: Made = {**STAGE, "outs": [{"path": "models/churn/model", "md5": "3" * 32 + ".dir"}]}
    metadata = replace(UNKNOWN, files=files, lineage=[stage])
    document = json.loads(
        written("cyclonedx", metadata, replace(ARTIFACT, path="models/churn/model"))
    )
    model = document["metadata"]["component"]
    assert "hashes" not in model
    assert model["properties"][-1] == {"name": "dvc:md5", "value": "3" * 32 + ".dir"}
    assert [component["hashes"][0]["content"] for component in document["components"][:2]] == [
        "a" * 64,
        "b" * 64,
    ]


def test_the_self_test_is_a_file_of_the_version_but_not_the_model() -> None:
    files = (*METADATA.files, File("self_test.json", 3, "e" * 32, "f" * 64))
    document = json.loads(written("cyclonedx", replace(METADATA, files=files)))
    assert document["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": "d" * 64}]
    assert [component["name"] for component in document["components"][:2]] == [
        "model.cbm",
        "self_test.json",
    ]


def test_data_that_a_stage_wrote_names_the_stage() -> None:
    first: Made = {**STAGE, "stage": "prepare", "outs": [{"path": "data/train", "md5": None}]}
    document = json.loads(written("cyclonedx", replace(METADATA, lineage=[first, STAGE])))
    data = [component for component in document["components"] if component["type"] == "data"]
    assert [component["name"] for component in data] == ["train.py", "data/train"]
    assert {"name": "dvc:stage", "value": "prepare"} in data[1]["properties"]


def test_the_serial_number_is_the_versions() -> None:
    first = facts.identity(METADATA)
    assert facts.identity(replace(METADATA, metrics={}, tools={})) == first
    others = [
        replace(METADATA, model="other"),
        replace(METADATA, version="1.2.1"),
        replace(METADATA, commit=replace(METADATA.commit, id="c" * 40)),
    ]
    assert len({first, *map(facts.identity, others)}) == 4


def test_shapes_are_told_with_their_open_axes() -> None:
    card = json.loads(written("cyclonedx", NETWORK))["metadata"]["component"]["modelCard"]
    assert card["modelParameters"] == {
        "task": "tabular-classification",  # as the labels say
        "architectureFamily": "neural network",
        "modelArchitecture": "3 layers, 9,000 parameters",
        "datasets": [{"ref": "data:data/train"}],
        "inputs": [{"format": "float32 tensor of shape [?, 48, 48, 3]"}],
        "outputs": [{"format": "float32 tensor of shape [?, 5]"}],
    }


@odd
@given(
    st.dictionaries(texts, values, max_size=4),
    texts,
    st.lists(texts, max_size=3),
    st.lists(texts, max_size=3, unique_by=clean),
)
def test_any_metric_text_label_and_path_makes_a_valid_bill_of_materials(
    metrics: dict[str, Any], description: str, labels: list[str], paths: list[str]
) -> None:
    stage: Made = {**STAGE, "deps": [{"path": path, "md5": None} for path in paths]}
    metadata = replace(METADATA, metrics=metrics, lineage=[stage])
    artifact = replace(ARTIFACT, description=description, labels=tuple(labels))
    text = written("cyclonedx", metadata, artifact)
    assert complaint(text) is None
    model = json.loads(text)["metadata"]["component"]
    analysis = model["modelCard"].get("quantitativeAnalysis", {"performanceMetrics": []})
    measures = {metric["type"]: metric["value"] for metric in analysis["performanceMetrics"]}
    assert set(measures) == set(map(clean, metrics))
    assert all(isinstance(value, str) for value in measures.values())
    assert model.get("description", "") == clean(description)


# --- MLflow


def test_the_mlflow_model_as_it_is() -> None:
    files = export_formats.write(["mlflow"], METADATA, ARTIFACT)
    assert files["requirements.txt"] == "mlflow\ncatboost==1.2.10\n"
    assert files["python_env.yaml"] == (
        'python: "3.11.7"\nbuild_dependencies:\n- pip\ndependencies:\n- "-r requirements.txt"\n'
    )
    fields = mlmodel(METADATA)
    assert fields.pop("signature").keys() == {"inputs", "outputs"}
    assert fields == {
        "flavors": {
            "catboost": {
                "data": "model.cbm",
                "model_type": "CatBoostClassifier",
                "save_format": "cbm",
                "catboost_version": "1.2.10",
            },
            "python_function": {
                "loader_module": "mlflow.catboost",
                "data": "model.cbm",
                "env": {"virtualenv": "python_env.yaml"},
                "python_version": "3.11.7",
            },
        },
        "metadata": {
            "model": "churn",
            "version": "1.2.0",
            "git_tag": "churn@v1.2.0",
            "git_commit": COMMIT,
        },
        "model_size_bytes": 8,
        "model_uuid": "c602228caabf537b83edf8e7f4846e73",
        "utc_time_created": "2026-11-20 12:00:00.000000",
    }


def test_a_network_stays_where_it_is_and_brings_a_backend() -> None:
    flavors = mlmodel(NETWORK)["flavors"]
    assert flavors["keras"] == {
        "data": "model", "save_exported_model": False, "keras_version": "3.15.1"
    }  # fmt: skip
    assert flavors["python_function"] == {
        "loader_module": "mlflow.keras",
        "env": {"virtualenv": "python_env.yaml"},
        "python_version": "3.11.7",
    }
    files = export_formats.write(["mlflow"], NETWORK, ARTIFACT)
    assert files["requirements.txt"] == "mlflow\nkeras==3.15.1\ntensorflow\n"


def test_what_was_never_loaded_has_no_signature_and_no_pinned_version() -> None:
    metadata = replace(NETWORK, framework=None, architecture=None, tools={"python": "3.11.7"})
    assert signature(metadata) == {}
    files = export_formats.write(["mlflow"], metadata, ARTIFACT)
    assert files["requirements.txt"] == "mlflow\nkeras\ntensorflow\n"


def column(name: str, kind: str) -> dict[str, Any]:
    return {"name": name, "type": kind, "required": True}


def tensor(kind: str, *shape: int) -> dict[str, Any]:
    return {"type": "tensor", "tensor-spec": {"dtype": kind, "shape": list(shape)}}


@pytest.mark.parametrize(
    ("changes", "inputs"),
    [
        ({}, [column("age", "double"), column("town", "double")]),
        ({"categorical": ["town"]}, [column("age", "double"), column("town", "string")]),
        ({"text": ["age"], "categorical": ["town"]},
         [column("age", "string"), column("town", "string")]),
        ({"embedding": ["age"]}, None),
    ],
    ids=["numbers", "categorical", "text", "vectors"],
)  # fmt: skip
def test_a_column_is_a_number_or_a_text(changes: dict[str, Any], inputs: Any) -> None:
    metadata = replace(METADATA, architecture={**CATBOOST, **changes})
    assert signature(metadata).get("inputs") == inputs


@pytest.mark.parametrize(
    ("classes", "kind", "output"),
    [
        ([], "CatBoostRegressor", tensor("float64", -1)),
        (["no", "yes"], "CatBoostClassifier", tensor("object", -1)),
        ([0, 1], "CatBoostClassifier", tensor("int64", -1)),
        ([False, True], "CatBoostClassifier", tensor("bool", -1)),
        ([0.0, 1.0, 2.0], "CatBoostClassifier", tensor("float64", -1, -1)),
    ],
)
def test_what_comes_out_is_of_the_type_of_the_labels(
    classes: list[Any], kind: str, output: dict[str, Any]
) -> None:
    metadata = replace(METADATA, architecture={**CATBOOST, "classes": classes})
    assert mlmodel(metadata)["flavors"]["catboost"]["model_type"] == kind
    assert signature(metadata)["outputs"] == [output]


@pytest.mark.parametrize(
    ("changes", "inputs"),
    [
        ({}, [tensor("float32", -1, 48, 48, 3)]),
        ({"inputs": [[None, None]], "input_types": ["int32"]}, [tensor("int32", -1, -1)]),
        ({"inputs": [[None, 2], [None]], "input_names": ["a", "b"]},
         [{"name": "a", **tensor("float32", -1, 2)}, {"name": "b", **tensor("float32", -1)}]),
        ({"input_types": ["string"]}, None),
    ],
    ids=["one", "integers", "two with names", "texts"],
)  # fmt: skip
def test_a_tensor_has_keras_own_type_and_shape(changes: dict[str, Any], inputs: Any) -> None:
    sides = signature(replace(NETWORK, architecture={**KERAS, **changes}))
    assert sides.get("inputs") == inputs
    assert sides["outputs"] == [tensor("float32", -1, 5)]


@odd
@given(st.lists(texts, min_size=1, max_size=4), texts.filter(is_path))
def test_any_name_of_a_feature_and_a_file_round_trips_through_the_mlflow_model(
    features: list[str], path: str
) -> None:
    metadata = replace(METADATA, path=path, architecture={**CATBOOST, "features": features})
    fields = mlmodel(metadata)
    assert fields["flavors"]["catboost"]["data"] == clean(path)
    names = [column["name"] for column in json.loads(fields["signature"]["inputs"])]
    assert names == list(map(clean, features))


# --- YAML


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a plain-text/v1.txt", "a plain-text/v1.txt"),
        ("on", '"on"'),
        ("No", '"No"'),
        ("1:30", '"1:30"'),
        ("1e5", '"1e5"'),
        ("a: b", '"a: b"'),
        ("a #b", '"a #b"'),
        ("", '""'),
        (1e-05, "1.0e-05"),
        (1e16, "1.0e+16"),
        (1.5e300, "1.5e+300"),
        (0.1, "0.1"),
        (10**30, "1" + "0" * 30),
        (True, "true"),
        (None, "null"),
    ],
)
def test_yaml_is_written_as_both_of_its_versions_read_it(value: Any, text: str) -> None:
    assert yaml_writer.dump({"key": value}) == f"key: {text}\n"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | texts.map(clean),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(texts.map(clean), inner, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(texts.map(clean), json_values, max_size=4))
def test_dump_is_undone_by_either_reader(value: dict[str, Any]) -> None:
    text = yaml_writer.dump(value)
    assert pytest.importorskip("yaml").safe_load(text) == value
    assert yaml.parse(text.encode(), "a.yaml") == value


def test_the_formats_name_the_files_that_their_specifications_name() -> None:
    assert (huggingface.README, cyclonedx.BOM, mlflow.MLMODEL) == (
        "README.md", "bom.cdx.json", "MLmodel"
    )  # fmt: skip


@pytest.mark.parametrize("framework", ["catboost", "keras", None])
@given(
    architecture=st.dictionaries(
        st.sampled_from([*CATBOOST, *KERAS, "input_types", "output_names", "categorical", "class"]),
        st.recursive(values, lambda inner: st.lists(inner, max_size=2), max_leaves=3),
    )
)
def test_whatever_the_architecture_a_format_describes_it_or_says_that_it_cannot(
    framework: str | None, architecture: dict[str, Any]
) -> None:
    path = {"catboost": "model.cbm", "keras": "model.keras"}.get(framework or "", "model")
    metadata = replace(METADATA, path=path, framework=framework, architecture=architecture)
    for name in FORMATS:
        with contextlib.suppress(Corrupt, Refused):
            assert written(name, metadata)
