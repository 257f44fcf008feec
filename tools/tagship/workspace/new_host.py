"""``tagship host init``: a folder that follows versions, and its tagship.toml."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tagship.disk import access, atomic
from tagship.errors import InvalidName, Refused
from tagship.git import address as git_address
from tagship.host import project as host_project
from tagship.registry.project_files import HOST_FILE
from tagship.registry.refs import Ref
from tagship.signing import policy
from tagship.text import escape
from tagship.workspace import host_file, upstream
from tagship.workspace.upstream import Address

HEADING = "# What this host follows, and how. It names programs: nobody else may write to it.\n"
NO_MODEL = """
# [follow.MODEL]                      # the name of a model
# track = "latest"                    # or "#prod", "^1.2", "1.4.0"
"""
NO_REMOTE = '# remote = "s3://bucket/dvc"       # where the bytes of the models are\n'


@dataclass(frozen=True)
class NewHost:
    """A host that was made: its file, and the models that it follows."""

    file: Path
    models: tuple[str, ...]


def address(
    *, git: str | None = None, index: str | None = None, bundle: str | None = None
) -> Address:
    """Where the tags of a host come from.

    Args:
        git: the address of the repository.
        index: of a store, or an absolute path: it has capsules, indexes and objects.
        bundle: the folder that ``tagship unbundle`` fills.

    Raises:
        InvalidName: none of them is given, or several are.
    """
    given = [
        Address(kind, text)
        for kind, text in zip(upstream.KINDS, (git, index, bundle), strict=True)
        if text is not None
    ]
    if len(given) != 1:
        what = "give one of --git, --index and --bundle"
        raise InvalidName(what, "name where versions come from: tagship host init DIR --git URL")
    return given[0]


def make(
    folder: Path, source: Address, *, remote: str | None = None, endpoint: str | None = None,
    follow: Sequence[Ref] = (), name: str | None = None,
) -> NewHost:  # fmt: skip
    """Write the tagship.toml of a new host.

    Args:
        folder: of the host; made where it is not there.
        source: where the tags come from.
        remote: the address of DVC's remote, to which this host's credentials may go; None for the
            place of an index or of bundles, which has the bytes too.
        endpoint: of an S3 store that is not Amazon's.
        follow: a model each, with what selects its version.
        name: of the host; the machine's where none is given.

    Raises:
        Refused: there is one already; the folder is in a repository, or others can write to it; or
            an address is none that may be used: http and git only where host.toml requires signed
            tags.
        InvalidName: a model is named twice; ``endpoint`` is given, and no store; or a text is no
            UTF-8, which TOML is.
    """
    models = [ref.model for ref in follow]
    if twice := next((model for model in models if models.count(model) > 1), None):
        raise InvalidName(f"{twice} is named twice", "a host follows one version of a model")
    _check_utf8(source.text, remote, endpoint, name)
    file = folder.absolute() / HOST_FILE
    text = _text(source, remote, endpoint, follow, name)
    host_file.parse(text.encode(), file)
    _check_place(source, folder, has_endpoint=bool(endpoint) and not remote)
    signed = policy.read(host_project.find_top(file.parent)).require_signed
    if source.kind == upstream.GIT:
        git_address.check(source.text, plain=signed, signed=signed)  # as fetch will
    if file.exists():
        raise Refused(f"{file} is there already", f"edit it; then: tagship -C {folder} fetch")
    if host_project.find_project(folder.resolve()):
        raise Refused(
            f"{folder} is in a DVC repository", "give a host a folder of its own: /srv/models"
        )
    atomic.make_folders(folder)
    if denied := access.cannot_write(folder):
        raise Refused(*denied)
    atomic.write(file, text.encode())
    try:
        host_file.check_own(folder)
    except Refused:
        file.unlink()
        raise
    return NewHost(file, tuple(models))


def _check_utf8(*texts: str | None) -> None:
    for text in filter(None, texts):
        if escape.encodable(text) != text:
            what = f"{text} is no UTF-8, which {HOST_FILE} is written in"
            raise InvalidName(what, "give addresses, paths and names of ASCII, or in UTF-8")


def _check_place(source: Address, folder: Path, *, has_endpoint: bool) -> None:
    """Refuse a place that cannot have versions; nobody is asked.

    Raises:
        InvalidName, Refused: as for ``make``.
    """
    if source.kind == upstream.INDEX:
        from tagship.carry import places

        places.check(source.text)
    if source.kind != upstream.BUNDLE:
        return
    place = Path(source.text).resolve()
    if place.exists() and not place.is_dir():
        what = f"{source.text} is no folder, and --bundle names the one that tagship unbundle fills"
        raise Refused(what, "give a folder: --bundle /srv/bundles; then: tagship unbundle FILE")
    if host_file.is_inside(source.text, folder):
        what = f"{source.text} is in the folder of the host, which has its models"
        raise Refused(what, "give another folder: --bundle /srv/bundles")
    if has_endpoint:
        what = "--endpoint is of a store of S3, and a host of bundles asks none"
        raise InvalidName(what, "leave --endpoint out")


def _text(
    source: Address,
    remote: str | None,
    endpoint: str | None,
    follow: Sequence[Ref],
    name: str | None,
) -> str:
    lines = HEADING + (f"name = {_quoted(name)}\n" if name else "")
    lines += f"\n[source]\n{source.kind} = {_quoted(source.text)}\n"
    no_remote = NO_REMOTE if source.kind == upstream.GIT else ""
    lines += f"remote = {_quoted(remote)}\n" if remote else no_remote
    if endpoint:
        lines += f"\n[source.options]\nendpointurl = {_quoted(endpoint)}\n"
    for ref in follow:
        lines += f"\n[follow.{_quoted(ref.model)}]\ntrack = {_quoted(ref.wanted.text)}\n"
    return lines if follow else lines + NO_MODEL


def _quoted(text: str) -> str:
    """A text in TOML: as in JSON, but for one letter (toml.io, version 1.0, strings)."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
