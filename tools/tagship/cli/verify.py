"""``tagship verify``. JSON: a list of ``Verification``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tagship.cli import output
from tagship.cli.options import Session, json_option, pass_session, ref_or_image_argument
from tagship.text import words

if TYPE_CHECKING:
    from tagship.inspect.verify import Verification
    from tagship.registry.refs import Ref


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
    text = looks(verifications, is_image=isinstance(ref, str))
    output.show(verifications, as_json, text)
    if any(verification.problems for verification in verifications):
        raise SystemExit(1)


def looks(verifications: Sequence["Verification"], *, is_image: bool = False) -> str:
    """A line for each version, and one for each problem; how to fix one that is deployed here."""
    lines = []
    for verification in verifications:
        state = _state(verification)
        size = f"{words.count(verification.files, 'file')}, {words.size(verification.size)}"
        place = f"{verification.model} {verification.directory}".rstrip()
        lines.append(f"{place} {state} ({size})")
        lines += [f"  {problem.path} {problem.what}" for problem in verification.problems]
    damaged = {v.model for v in verifications if any(p.denied is None for p in v.problems)}
    lines += [_hint(model) for model in sorted(damaged) if not is_image]
    return output.text(lines) or "nothing is deployed here"


def _hint(model: str) -> str:
    """What to do with a damaged version: one that is not live is no reason to make it live."""
    return (
        f"  fix what is live: tagship status {model}; another version that is damaged is brought"
        " anew when it is deployed or rolled back to"
    )


def _state(verification: "Verification") -> str:
    """Whether it is as it was released, as far as this account may read it."""
    if any(problem.denied is None for problem in verification.problems):
        return "is NOT as it was released"
    return "cannot be checked" if verification.problems else "is as it was released"
