"""``tagship host``: a host without a work tree. JSON of ``init``: ``NewHost``."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tagship.cli import output
from tagship.cli.options import Session, json_option, pass_session, reference

if TYPE_CHECKING:
    from tagship.registry.refs import Ref
    from tagship.workspace.new_host import NewHost


@click.group()
def command() -> None:
    """Prepare a host that follows the tags of a repository, without a clone of it.

    Example: tagship host init /srv/models --git ssh://git@git.example.com/team/models.git
    --remote s3://bucket/dvc --follow churn#prod
    """


@command.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--git", metavar="URL", help="Where the repository is.")
@click.option(
    "--index", metavar="ADDRESS",
    help="Instead of --git: the store or the folder with what release --capsule writes.",
)  # fmt: skip
@click.option(
    "--bundle", metavar="FOLDER", help="Instead of --git: the folder that tagship unbundle fills."
)
@click.option("--remote", metavar="URL", help="Where its DVC remote is: s3://bucket/path.")
@click.option("--endpoint", metavar="URL", help="The S3 server, if it is not Amazon's.")
@click.option(
    "--follow", metavar="MODEL[@VERSION|#STAGE]", type=reference, multiple=True,
    help="A model, and what selects its version; may be given more than once.",
)  # fmt: skip
@click.option("--name", metavar="TEXT", help="The name of this host, if not the machine's.")
@json_option
@pass_session
def init(
    session: Session, folder: Path, git: str | None, index: str | None, bundle: str | None,
    remote: str | None, endpoint: str | None, follow: "tuple[Ref, ...]", name: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Make DIR the folder of a host: write its tagship.toml.

    Where it hears of versions is one of --git, --index and --bundle. Without a Git server, --index
    names the store that has the bytes too.

    Nothing is fetched yet. No password belongs into an address: Git has credential helpers and
    keys, and the keys of a store come from the environment or a profile.

    Example: tagship host init /srv/models --git https://git.example.com/team/models.git --remote
    s3://bucket/dvc --follow churn@^1.2
    """
    agent = session.agent(session.folder / folder)
    made = agent.init(
        git, index=index, bundle=bundle, remote=remote, endpoint=endpoint, follow=follow, name=name
    )
    output.show_done(made, as_json, looks(made, has_bundles=bundle is not None))


def looks(made: "NewHost", *, has_bundles: bool = False) -> str:
    """What was written, and what to do next."""
    where = shlex.quote(str(made.file.parent))
    if not made.models:
        return output.text([f"wrote {made.file}; now name the models to follow in it"])
    first = f"tagship -C {where} unbundle FILE; then: " if has_bundles else ""
    return output.text([f"wrote {made.file}; now: {first}tagship -C {where} sync"])
