"""Names for the shell's Tab key: fast, and without error messages.

Git is run directly, not by ``tagship.git``: importing GitPython takes longer than the answer.
"""

import os
import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

from tagship.errors import TagshipError
from tagship.host import project as host_project
from tagship.registry import refs
from tagship.registry.refs import Action, TagName

SECONDS = 2  # that a person waits for the Tab key
# Bash breaks words at "@" and ":" too (COMP_WORDBREAKS). So click cuts the line again, quotes and
# all, and an answer leaves out what bash keeps: all before the last "@", or to behind the last ":".
BASH = """\
_tagship_completion() {
    local line="${COMP_LINE:0:COMP_POINT}" cur before="" kind value
    cur="${line##*[[:space:]]}"
    [[ -z $cur ]] && line+="''"
    if [[ $cur == *@* && $COMP_WORDBREAKS == *@* ]]; then
        before="${cur%@*}"
    elif [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
        before="${cur%"${cur##*:}"}"
    fi
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("${value#"$before"}") ;;
        esac
    done < <(COMP_WORDS="$line" COMP_CWORD=-1 _TAGSHIP_COMPLETE=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F _tagship_completion tagship
"""


def models(folder: Path) -> list[str]:
    """The models of the top dvc.yaml in the work tree, and those with a folder on this host."""
    project = host_project.find_project(folder)
    if project is None:
        host = host_project.find_host(folder)
        return [] if host is None else _deployed(host, set())
    try:
        data = (host_project.find_top(project) / "dvc.yaml").read_bytes()
        declared = _names(data.decode("utf-8", "replace"))
        root = host_project.usual_root(project)
        if declared is None or root is None:
            from tagship.host import settings
            from tagship.registry import artifacts
            from tagship.text import yaml

            declared = set(artifacts.read(yaml.parse(data, "dvc.yaml")))
            root = settings.read_root(project)
    except (TagshipError, OSError):
        return []
    return _deployed(root, declared)


def model_at(folder: Path, text: str) -> str | None:
    """The model whose file, ``.dvc`` file or folder on this host a path names; None if none is.

    Args:
        folder: where the command works.
        text: the path, from there, from the working directory or from the repository's top.
    """
    from tagship.host import settings
    from tagship.registry import artifacts
    from tagship.text import yaml

    try:
        project = host_project.find_project(folder)
        if project is None:
            return None
        top = host_project.find_top(project)
        places = {Path(os.path.abspath(start / text)) for start in (Path(), folder, top)}  # noqa: PTH100 - links stay
        declared = artifacts.read(yaml.parse((top / "dvc.yaml").read_bytes(), "dvc.yaml"))
        root = settings.read_root(project)
    except (TagshipError, OSError):
        return None
    files = {
        top / f"{artifact.path}{end}": model
        for model, artifact in declared.items()
        if isinstance(artifact, artifacts.Artifact)
        for end in ("", ".dvc")
    }
    folders = {root / refs.folder_name(model): model for model in declared}
    known = [files.get(place) for place in places]
    known += [folders.get(above) for place in places for above in (place, *place.parents)]
    return next(filter(None, known), None)


def _deployed(root: Path, declared: set[str]) -> list[str]:
    """The models that have a folder on this host, and those that are declared."""
    here = {unquote(path.parent.name) for path in root.glob("*/versions")}
    # a folder may have any name, and a shell would run some
    return sorted(name for name in here.union(declared) if refs.is_model(name))


def _names(text: str) -> set[str] | None:
    """The names under ``artifacts:`` if they are written in the usual way; else None.

    Importing a YAML parser takes longer than a person waits for the Tab key.
    """
    section = re.search(
        r"^artifacts:[ \t]*(?:#.*)?\n((?:(?:[ \t].*|#.*)?\n)*)", text + "\n", re.MULTILINE
    )
    if not section:
        return set() if "artifacts" not in text else None
    lines = [line for line in section[1].splitlines() if line.strip() and line.strip()[0] != "#"]
    indent = min((len(line) - len(line.lstrip(" ")) for line in lines), default=0)
    keys = [line[indent:] for line in lines if line[indent] != " "]
    names = [re.fullmatch(r"([\w/-]+):[ \t]*(?:#.*)?", key) for key in keys]
    return {name[1] for name in names if name} if all(names) else None


def versions(folder: Path, model: str) -> list[str]:
    """The versions of a model that have a tag and are not deregistered, highest first."""
    if not refs.is_model(model):
        return []
    tags = _tags(folder, f"refs/tags/{model.replace(':', '=')}@v*")
    gone = {str(tag.version) for tag in tags if tag.action is Action.DEREGISTER}
    existing = {tag.version for tag in tags if tag.version and str(tag.version) not in gone}
    return [str(version) for version in sorted(existing, reverse=True)]


def stages(folder: Path, model: str | None) -> list[str]:
    """The stages that a model ever had, or any model."""
    names = _tags(folder, "refs/tags/")
    return sorted({tag.stage for tag in names if tag.stage and model in (None, tag.model)})


def _tags(folder: Path, pattern: str) -> list[TagName]:
    """The names of tags in the grammar of GTO; empty if Git does not answer soon."""
    command = ["git", "-c", "core.fsmonitor=false", "for-each-ref", "--format=%(refname:strip=2)"]
    try:
        result = subprocess.run(
            [*command, pattern],
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [tag for tag in map(TagName.parse, result.stdout.splitlines()) if tag]


def references(folder: Path, text: str) -> list[str]:
    """``MODEL``, and ``MODEL@VERSION`` once the ``@`` is typed."""
    model, at, _ = text.partition("@")
    if not at:
        return models(folder)
    return [f"{model}@{version}" for version in versions(folder, model)]
