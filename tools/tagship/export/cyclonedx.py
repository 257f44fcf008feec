"""A machine-learning bill of materials: bom.cdx.json, CycloneDX 1.6.

The schema: https://cyclonedx.org/docs/1.6/json/ (``modelCard``, ``componentData``). The same
metadata give the same bytes: the time is the tag's, and the serial number is made of the version.
"""

import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from tagship.disk.files import File
from tagship.export import facts
from tagship.host.metadata import Metadata
from tagship.registry.artifacts import Artifact
from tagship.text import escape

BOM = "bom.cdx.json"
SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
UNPUBLISHED = frozenset({"python", "tagship"})  # not on PyPI: they get no package URL
DATASET, SOURCE, CONFIGURATION = "dataset", "source-code", "configuration"
# What a stage read, by the suffix of its path; everything else is data.
KINDS = {
    **dict.fromkeys((".py", ".ipynb", ".r", ".sh", ".jl", ".sql", ".c", ".cpp", ".rs"), SOURCE),
    **dict.fromkeys((".yaml", ".yml", ".toml", ".ini", ".cfg"), CONFIGURATION),
}


def files(metadata: Metadata, artifact: Artifact) -> dict[str, str]:
    """The bill of materials: the model, its files, what its stages read, and the tools."""
    model = _model(metadata, artifact)
    components = [*_files(metadata), *_data(metadata), *_libraries(metadata)]
    parts = [component["bom-ref"] for component in components]
    bom = {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{facts.identity(metadata)}",
        "version": 1,
        "metadata": {"timestamp": metadata.tag.at, "component": model},
        "components": components,
        "dependencies": [{"ref": model["bom-ref"], "dependsOn": parts}],
    }
    return {BOM: escape.json(bom) + "\n"}


def _model(metadata: Metadata, artifact: Artifact) -> dict[str, Any]:
    files = facts.model_files(metadata)
    license_name = facts.license_name(artifact)
    properties = {
        "git:commit": metadata.commit.id,
        "git:tag": metadata.tag.name,
        "dvc:md5": _dvc_md5(metadata, artifact),
    }
    return _component(
        "machine-learning-model",
        f"model:{metadata.model}@{metadata.version}",
        metadata.model,
        version=metadata.version,
        description=artifact.description,
        # for a folder, each file has its own
        hashes=_hashes(files[0]) if len(files) == 1 else None,
        # a name, not an SPDX id: a label can be any text
        licenses=[{"license": {"name": license_name}}] if license_name else None,
        modelCard=_card(metadata, artifact),
        properties=_properties(properties),
        tags=facts.tags(artifact, facts.description(metadata).tags),
    )


def _dvc_md5(metadata: Metadata, artifact: Artifact) -> str | None:
    """DVC's digest of the model: for a folder, that of its list, which ends with ``.dir``."""
    outs = {out["path"]: out["md5"] for stage in metadata.lineage for out in stage["outs"]}
    files = facts.model_files(metadata)
    return outs.get(artifact.path) or (files[0].md5 if len(files) == 1 else None)


def _card(metadata: Metadata, artifact: Artifact) -> dict[str, Any]:
    described = facts.description(metadata)
    parameters = {
        "task": facts.task(artifact.labels, metadata.architecture),
        "architectureFamily": described.family,
        "modelArchitecture": described.summary,
        "datasets": [{"ref": ref} for ref in _datasets(metadata)],
        "inputs": [{"format": text} for text in described.inputs],
        "outputs": [{"format": text} for text in described.outputs],
    }
    metrics = [{"type": name, "value": _text(value)} for name, value in metadata.metrics.items()]
    return _given(
        {
            "modelParameters": _given(parameters),
            "quantitativeAnalysis": {"performanceMetrics": metrics} if metrics else None,
        }
    )


def _files(metadata: Metadata) -> Iterator[dict[str, Any]]:
    for file in metadata.files:
        yield _component("file", f"file:{file.path}", file.path, hashes=_hashes(file))


def _data(metadata: Metadata) -> Iterator[dict[str, Any]]:
    """Everything that the stages read; a file that another stage wrote names that stage."""
    writers = {out["path"]: stage["stage"] for stage in metadata.lineage for out in stage["outs"]}
    for path, md5 in _read(metadata).items():
        yield _component(
            "data",
            f"data:{path}",
            path,
            data=[{"type": _kind(path), "name": path}],
            properties=_properties({"dvc:md5": md5, "dvc:stage": writers.get(path)}),
        )


def _datasets(metadata: Metadata) -> list[str]:
    return [f"data:{path}" for path in _read(metadata) if _kind(path) == DATASET]


def _read(metadata: Metadata) -> dict[str, str | None]:
    return {
        dependency["path"]: dependency["md5"]
        for stage in metadata.lineage
        for dependency in stage["deps"]
    }


def _kind(path: str) -> str:
    return KINDS.get(PurePosixPath(path).suffix.lower(), DATASET)


def _libraries(metadata: Metadata) -> Iterator[dict[str, Any]]:
    for name, version in metadata.tools.items():
        purl = None if name in UNPUBLISHED else _package_url(name, version)
        yield _component("library", f"library:{name}@{version}", name, version=version, purl=purl)


def _package_url(name: str, version: str) -> str:
    """https://github.com/package-url/purl-spec/blob/main/types/pypi-definition.json."""
    normal = name.lower().replace("_", "-")
    return f"pkg:pypi/{quote(normal, safe='')}@{quote(version, safe='')}"


def _hashes(file: File) -> list[dict[str, str]]:
    """Only SHA-256: MD5 identifies an object in DVC, but proves nothing."""
    return [{"alg": "SHA-256", "content": file.sha256}] if file.sha256 else []


def _properties(values: dict[str, str | None]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items() if value]


def _component(kind: str, reference: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "bom-ref": reference, "name": name, **_given(more)}


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """Without unknown values: the schema has no null."""
    return {name: value for name, value in values.items() if value}


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)
