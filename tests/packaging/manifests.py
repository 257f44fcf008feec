"""What Kubernetes and its guests say of a manifest: schemas, from the packages of others.

``python -m tests.packaging.manifests`` installs kubernetes-validate and, from npm, the types of
Argo CD into build/manifests. Those of KServe are in its own package: ``tests.serve.clients``.
"""

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.serve import clients, environments

FOLDER = environments.ROOT / "build" / "manifests"
PINS = Path(__file__).with_name("kubernetes.txt")
ARGO_CD = "@kubernetes-models/argo-cd@4.0.0"  # made from the Go types of Argo CD 3
CHECK = """\
import { Application } from "@kubernetes-models/argo-cd/argoproj.io/v1alpha1";
try { new Application(JSON.parse(process.argv[2])).validate(); }
catch (error) { process.stdout.write(String(error.message)); }
"""
# A kind of KServe, or of Kubernetes in it, by the fields and types of the generated classes.
KSERVE = """\
import json, sys
from kserve import models
from kubernetes.client import models as core

PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float), "object": object}


def problems(value, kind, where):
    if kind.lower().startswith("list["):
        for number, each in enumerate(value):
            yield from problems(each, kind[5:-1], f"{where}.{number}")
    elif kind.lower().startswith(("dict(", "dict[")):
        if not isinstance(value, dict):
            yield f"{where} is not a map"
    elif kind in PLAIN:
        if not isinstance(value, PLAIN[kind]):
            yield f"{where} is not a {kind}"
    else:
        known = getattr(models, kind, None) or getattr(core, kind)
        names = {name: field for field, name in known.attribute_map.items()}
        for key, each in value.items():
            if key not in names:
                yield f"{where}.{key} is not a field"
            else:
                yield from problems(each, known.openapi_types[names[key]], f"{where}.{key}")


print(*problems(json.loads(sys.argv[2]), sys.argv[1], ""), sep="\\n", end="")
"""


def lacking() -> str | None:
    """Why manifests cannot be checked here; None if they can."""
    if shutil.which("kubectl") is None:
        return "needs kubectl"
    is_here = (FOLDER / "kubernetes" / "pins").exists()
    return None if is_here else "needs kubernetes-validate: python -m tests.packaging.manifests"


def kustomize(folder: Path) -> str:
    """What ``kubectl apply -k`` would send to a cluster."""
    words = ["kubectl", "kustomize", str(folder)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def problems(manifests: Path, version: str) -> list[str]:
    """What a version of Kubernetes has against manifests: a line for each."""
    program = FOLDER / "kubernetes" / "bin" / "kubernetes-validate"
    words = [str(program), "--strict", "--quiet", "-k", version, str(manifests)]
    told = subprocess.run(words, capture_output=True, text=True, check=False)
    lines = [line for line in (told.stdout + told.stderr).splitlines() if "ERROR" in line]
    assert bool(lines) == (told.returncode != 0), told
    return lines


def argo_cd(application: Any) -> str | None:
    """What Argo CD has against an Application; None if it cannot be asked here."""
    if shutil.which("node") is None or not (FOLDER / "argo-cd" / "check.mjs").exists():
        return None
    words = ["node", "check.mjs", json.dumps(application)]
    told = subprocess.run(words, cwd=FOLDER / "argo-cd", capture_output=True, text=True, check=True)
    return told.stdout


def kserve(kind: str, value: Any) -> list[str] | None:
    """What KServe has against a manifest; None if it cannot be asked here."""
    python = clients.python_of("kserve")
    if not python.exists():
        return None
    words = [str(python), "-c", KSERVE, kind, json.dumps(value)]
    told = subprocess.run(words, capture_output=True, text=True, check=True)
    return told.stdout.splitlines()


def install() -> None:
    """Install what can be had here; pip or npm says why it cannot."""
    with contextlib.suppress(subprocess.CalledProcessError):
        environments.python_of(PINS, FOLDER / "kubernetes")
    place = FOLDER / "argo-cd"
    if (place / "check.mjs").exists() or shutil.which("npm") is None:
        return
    place.mkdir(parents=True, exist_ok=True)
    words = ["npm", "install", "--prefix", str(place), "--no-audit", "--no-fund",
             "--ignore-scripts", ARGO_CD]  # fmt: skip
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.stderr.write(f"npm cannot install {ARGO_CD}: {result.stderr.strip()[-300:]}\n")
        return
    (place / "check.mjs").write_text(CHECK)


if __name__ == "__main__":
    install()
