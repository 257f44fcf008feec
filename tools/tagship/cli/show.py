"""``tagship show``. JSON: ``Metadata``, as in ``metadata.json``; and ``rollout``, ``oci``."""

from typing import TYPE_CHECKING, Any

import click

from tagship.cli import output
from tagship.cli.options import Session, json_option, pass_session, ref_argument
from tagship.text import words

if TYPE_CHECKING:
    from tagship.host.metadata import Metadata
    from tagship.registry.refs import Ref


@click.command()
@ref_argument
@click.option(
    "--oci",
    "as_image",
    is_flag=True,
    help="Show the digest of its OCI image, too; reads every byte.",
)
@json_option
@pass_session
def command(session: Session, ref: "Ref", as_image: bool, as_json: bool) -> None:
    """Show the metadata of a version.

    Example: tagship show ml_model@1.1
    """
    manager = session.manager(ref.model)
    metadata, rollout = manager.show(ref), manager.rollout(ref)
    values = {**output.plain(metadata), "smoke_test": metadata.smoke_test or None}
    if rollout is not None:
        values = {**values, "rollout": rollout}
    if as_image:
        values = {**values, "oci": manager.image_digest(ref)}
    output.show(values, as_json, looks(metadata, rollout, values.get("oci")))


def looks(
    metadata: "Metadata", rollout: "dict[str, Any] | None" = None, image: str | None = None
) -> str:
    """Tag, commit, deployment, rollout, files, architecture, metrics, params, lineage."""
    tag, commit, deployed = metadata.tag, metadata.commit, metadata.deployment
    signature = metadata.signature
    lines = [
        f"{metadata.model} {metadata.version}",
        f"  tag:          {tag.name} ({tag.object[:10]}), {words.moment(tag.at)} UTC",
        f"  tagger:       {tag.tagger}",
        *([f"  signed by:    {tag.signer}"] if tag.signer else ()),
        *([f"  files signed: {signature.fingerprint}"] if signature else ()),
        f"  commit:       {commit.id[:10]} {output.subject(commit.message)}",
        f"  author:       {commit.author}, {words.moment(commit.at)} UTC",
        f"  deployed:     {f'{deployed.id} by {deployed.actor}' if deployed else 'no'}",
        f"  framework:    {metadata.framework or _no_framework(metadata)}",
        f"  smoke test:   {metadata.smoke_test or '-'}",
        f"  size:         {words.size(metadata.size)}",
        *([f"  OCI image:    {image}"] if image else ()),
    ]
    lines += output.section("rollout", _rollout(rollout or {}))
    files = {file.path: f"{words.size(file.size)}  md5 {file.md5}" for file in metadata.files}
    stages = {stage["stage"]: stage["command"] for stage in metadata.lineage}
    lines += output.section("files", files)
    lines += output.section("architecture", metadata.architecture or {})
    lines += output.section("metrics", metadata.metrics)
    lines += output.section("params", metadata.params)
    lines += output.section("lineage", stages)
    return output.text(lines + output.section("tools", metadata.tools))


def _no_framework(metadata: "Metadata") -> str:
    """Why the framework is not known."""
    if metadata.deployment is None:
        return "not known until it is deployed"
    return f"not known, as the smoke test was {metadata.smoke_test or 'not run'}"


def _rollout(values: dict[str, Any]) -> dict[str, str]:
    """A line for each key of a rollout."""
    steps = [f"{step['share']} after {step['after']}" for step in values.get("steps", [])]
    lists = {
        key: ", ".join(value)
        for key, value in values.items()
        if isinstance(value, list) and key != "steps"
    }
    texts = {key: value for key, value in values.items() if isinstance(value, str)}
    return {**lists, **({"steps": ", ".join(steps)} if steps else {}), **texts}
