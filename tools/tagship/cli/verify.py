"""``tagship verify``. JSON: a list of ``Verification``."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from tagship.cli import output
from tagship.cli.options import Session, json_option, pass_session, ref_or_image_argument
from tagship.errors import TagshipError
from tagship.text import words

if TYPE_CHECKING:
    from tagship.inspect.verify import Verification
    from tagship.manager.workspace import Workspace
    from tagship.registry.refs import Ref

    Stays = Mapping[str, Mapping[str, str]]


@click.command()
@ref_or_image_argument
@json_option
@pass_session
def command(session: Session, ref: "Ref | str | None", as_json: bool) -> None:
    """Check deployed files against the checksums in the tag.

    IMAGE is an OCI image, oci:DIR or docker://HOST/NAME@sha256:... It is held to its tag.

    Exit code 1 if they differ.

    Example: tagship verify dl_model
    """
    workspace = session.workspace()
    verifications = [workspace.verify_image(ref)] if isinstance(ref, str) else workspace.verify(ref)
    text = looks(verifications, {} if isinstance(ref, str) else _stays(workspace, verifications))
    output.show(verifications, as_json, text)
    if any(verification.problems for verification in verifications):
        raise SystemExit(1)


def looks(verifications: Sequence["Verification"], stays: "Stays") -> str:
    """A line for each version, and one for each problem; how to fix one that is deployed here.

    Args:
        verifications: of the versions.
        stays: by model, why cleanup keeps each directory; models with nothing damaged have none.
    """
    lines = []
    for verification in verifications:
        state = _state(verification)
        size = f"{words.count(verification.files, 'file')}, {words.size(verification.size)}"
        place = f"{verification.model} {verification.directory}".rstrip()
        lines.append(f"{place} {state} ({size})")
        lines += [f"  {problem.path} {problem.what}" for problem in verification.problems]
    for model in sorted(stays):
        damaged = [each.directory for each in _damaged(verifications) if each.model == model]
        lines.append(f"  {'; '.join(_fixes(model, damaged, stays[model]))}")
    return output.text(lines) or "nothing is deployed here"


def _stays(workspace: "Workspace", verifications: Sequence["Verification"]) -> "Stays":
    """Why cleanup keeps each directory of the models with a damaged one; empty: it does not."""
    stays: dict[str, dict[str, str]] = {}
    for model in {each.model for each in _damaged(verifications)}:
        stays[model] = {}
        with contextlib.suppress(TagshipError, OSError):  # the question was another one
            plan = workspace.model(model).cleanup_old_versions(dry_run=True)
            stays[model] = {each.directory: each.why if each.keep else "" for each in plan.verdicts}
    return stays


def _damaged(verifications: Sequence["Verification"]) -> list["Verification"]:
    return [v for v in verifications if any(p.denied is None for p in v.problems)]


def _fixes(model: str, damaged: Sequence[str], stays: Mapping[str, str]) -> Iterator[str]:
    """What to do with damaged versions: one that is not live is no reason to make it live."""
    whys = {stays.get(directory, "kept") for directory in damaged}
    if "live" in whys:
        yield f"fix what is live: tagship status {model}"
    if "" in whys:
        yield f"remove what is damaged and replaced by now: tagship cleanup {model}"
    if whys - {"live", ""}:
        yield "what is not live is brought anew when it is deployed or rolled back to"


def _state(verification: "Verification") -> str:
    """Whether it is as it was released, as far as this account may read it."""
    if any(problem.denied is None for problem in verification.problems):
        return "is NOT as it was released"
    return "cannot be checked" if verification.problems else "is as it was released"
