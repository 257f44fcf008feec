"""The command line: parse, call, print. What it calls lies below; nothing else prints."""

import contextlib
import gc
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from tagship.errors import Interrupted, InvalidName, Refused, TagshipError, told
from tagship.text import escape

if TYPE_CHECKING:
    from tagship.cli.output import Document, Table
    from tagship.manager.model import ModelVersionManager
    from tagship.progress import Progress
    from tagship.registry.refs import Ref

# Each command imports what it needs: `tagship current` and `--help` must not pay for Git and DVC.

SHELLS = ("bash", "zsh", "fish")
FORMATS = ("huggingface", "cyclonedx", "mlflow")  # descriptions.FORMATS
ACTIONS = ("deploy", "rollback", "reject", "recover", "cleanup", "pin", "unpin")  # history.ACTIONS
MANY = 100_000  # objects made between two looks for garbage: a command ends before there is any


@dataclass
class Session:
    """The options before the command's name."""

    folder: Path = Path()
    verbose: bool = False


class Moment(click.ParamType[datetime]):
    """A date or a time, UTC where it names no zone."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The moment; a text that is none is wrong usage."""
        from tagship.text import clock

        try:
            return clock.moment(value)
        except InvalidName as error:
            self.fail(f"{error.message}; {error.hint}", param, ctx)


def _folder(ctx: click.Context) -> Path:
    """-C, for a command line that is still being typed."""
    return Path(ctx.find_root().params.get("folder") or ".")


def _complete_model(ctx: click.Context, _: click.Parameter, text: str) -> list[str]:
    from tagship.cli import complete

    return [name for name in complete.models(_folder(ctx)) if name.startswith(text)]


def _complete_ref(ctx: click.Context, _: click.Parameter, text: str) -> list[str]:
    from tagship.cli import complete

    return [name for name in complete.references(_folder(ctx), text) if name.startswith(text)]


def _complete_version(ctx: click.Context, _: click.Parameter, text: str) -> list[str]:
    from tagship.cli import complete

    model = ctx.params.get("model") or next(iter(ctx.args), "")  # args: before an open option
    known = complete.versions(_folder(ctx), model)
    return [version for version in known if version.startswith(text)]


pass_session = click.make_pass_decorator(Session)
model_argument = click.argument("model", shell_complete=_complete_model)
ref_argument = click.argument("model", metavar="MODEL[@VERSION]", shell_complete=_complete_ref)
optional_model_argument = click.argument("model", required=False, shell_complete=_complete_model)
exact_argument = click.argument("model", metavar="MODEL@VERSION", shell_complete=_complete_ref)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
reason_option = click.option("--reason", metavar="TEXT", help="Why, for the history.")
wait_option = click.option(
    "--wait", type=click.FloatRange(0), default=0, metavar="SECONDS",
    help="Wait for another command on the same model.",
)  # fmt: skip


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "-C", "folder", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".",
    metavar="DIR", help="Work in DIR instead of the working directory.",
)  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Show where an error comes from.")
@click.version_option(package_name="tagship", message="%(package)s %(version)s")
@pass_session
def cli(session: Session, folder: Path, verbose: bool) -> None:
    """Release, deploy and roll back machine-learning models with Git tags and DVC."""
    session.folder, session.verbose = folder, verbose


@cli.command()
@click.option("--model", metavar="NAME", help="Declare a model of this name in dvc.yaml.")
@click.option("--path", metavar="PATH", help="Its file or folder.")
@json_option
@pass_session
def init(session: Session, model: str | None, path: str | None, as_json: bool) -> None:
    """Prepare a Git and DVC repository.

    Ignore rules, and a first model.

    Example: tagship init --model churn --path models/churn/model.cbm
    """
    from tagship.release import init as release_init
    from tagship.workspace.find import find

    if (model is None) != (path is None):
        raise click.UsageError("--model and --path go together")
    source, host = find(session.folder)
    done = release_init.prepare(source, host.settings.root, model, path)
    files = " ".join(done.written)
    _show(
        done, as_json,
        f"wrote {files}; now: git add {files} && git commit" if files else "nothing to do",
    )  # fmt: skip


@cli.command()
@json_option
@pass_session
def models(session: Session, as_json: bool) -> None:
    """List the models: live version, latest version, size.

    Example: tagship models
    """
    from tagship.cli import output as cli_output
    from tagship.inspect import listing
    from tagship.workspace.find import find

    rows = listing.models(*find(session.folder))
    _warn([f"{row.model}: {row.note}" for row in rows if row.note])
    _show_table(rows, as_json, cli_output.models)


@cli.command()
@model_argument
@click.option("--bump", type=click.Choice(["minor", "major", "patch"]), default="minor",
              show_default=True, help="What the version goes up by.")  # fmt: skip
@click.option("--version", metavar="X", help="The version itself, such as 2.0.0-rc.1.")
@click.option("-m", "--message", metavar="TEXT", help="What is new, for the tag.")
@click.option("--push", is_flag=True, help="Push the tag to Git's remote.")
@click.option("--deploy", "then_deploy", is_flag=True, help="Deploy it here at once.")
@click.option("--force", is_flag=True, help="Release unchanged bytes, or the same commit, again.")
@json_option
@pass_session
def release(
    session: Session, model: str, bump: str, version: str | None, message: str | None,
    push: bool, then_deploy: bool, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Publish what HEAD has of MODEL as a version.

    Example: tagship release ml_model --bump minor -m "deeper trees" --push
    """
    from tagship.cli import output as cli_output
    from tagship.deploy import act

    with _manager(session, model) as manager:
        done = manager.release(bump=bump, version=version, message=message, push=push, force=force)
        _warn(done.warnings)
        if not then_deploy:
            return _show(done, as_json, cli_output.released(done))
        if not as_json:  # it is released, whatever becomes of the deploy
            _echo(cli_output.released(done))
        with act.interruptible(manager.store, (done.model, str(done.version))):
            outcome = manager.deploy(str(done.version), reason=message)
    _warn((*outcome.repaired, *outcome.warnings))
    return _show({"released": done, "deployed": outcome}, as_json, cli_output.outcome(outcome))


@cli.command()
@ref_argument
@yes_option
@click.option("--dry-run", is_flag=True, help="Show the plan, and do nothing.")
@click.option("--force", is_flag=True, help="Deploy what is live and intact again.")
@click.option("--smoke-test/--no-smoke-test", default=None, help="Load the model first.")
@reason_option
@wait_option
@json_option
@pass_session
def deploy(
    session: Session, model: str, yes: bool, dry_run: bool, force: bool, smoke_test: bool | None,
    reason: str | None, wait: float, as_json: bool,
) -> None:  # fmt: skip
    """Make a version live; the latest where none is named.

    Example: tagship deploy dl_model@1.2 --yes --reason "better on bare ground"
    """
    from tagship.cli import output as cli_output

    ref = _ref(model)
    with _manager(session, ref.model) as manager:
        wanted: str | Ref = ref
        if dry_run or not yes:
            plan = manager.plan(ref)
            if dry_run:
                return _show(plan, as_json, cli_output.plan(plan, again=force))
            if not plan.live or force:
                _confirm(cli_output.plan(plan), quiet=as_json)
            wanted = plan.version  # what was shown, whatever was released since
        outcome = manager.deploy(
            wanted, force=force, smoke_test=smoke_test, reason=reason, wait=wait
        )
    _warn((*outcome.repaired, *outcome.warnings))
    return _show(outcome, as_json, cli_output.outcome(outcome))


@cli.command()
@model_argument
@click.option("--to", "version", metavar="VERSION", shell_complete=_complete_version,
              help="A version, instead of the one before.")  # fmt: skip
@click.option("--verify", is_flag=True, help="Hash every byte of it first.")
@reason_option
@yes_option
@wait_option
@json_option
@pass_session
def rollback(
    session: Session, model: str, version: str | None, verify: bool, reason: str | None, yes: bool,
    wait: float, as_json: bool,
) -> None:  # fmt: skip
    """Make the last good version before the live one live.

    Example: tagship rollback ml_model --reason "wrong on snow" --yes
    """
    from tagship.cli import output as cli_output

    with _manager(session, model) as manager:
        if not yes:
            plan = manager.rollback_plan(version)
            if plan.source != plan.target or not plan.on_disk:
                _confirm(cli_output.rollback_plan(plan), quiet=as_json)
            version = plan.target.version  # what was shown, whatever a colleague has done since
        outcome = manager.rollback_to_version(version, reason=reason, verify=verify, wait=wait)
    _warn((*outcome.repaired, *outcome.warnings))
    _show(outcome, as_json, cli_output.outcome(outcome))


@cli.command()
@model_argument
@click.option("--path", is_flag=True, help="Print its real path instead.")
@json_option
@pass_session
def current(session: Session, model: str, path: bool, as_json: bool) -> None:
    """Print the live version of MODEL. Fast enough for a shell prompt.

    Example: tagship current ml_model --path
    """
    from tagship.host import project

    found = project.glance(model, session.folder)
    if found is None:
        from tagship.host import active

        found = active.current(model, session.folder)
    version, directory = found
    value = {"model": model, "version": version, "directory": directory}
    _show(value, as_json, str(directory) if path else version)


@cli.command(name="list")
@model_argument
@json_option
@pass_session
def list_(session: Session, model: str, as_json: bool) -> None:
    """List every version of MODEL, the newest first.

    Example: tagship list ml_model --json
    """
    from tagship.cli import output as cli_output
    from tagship.inspect import listing
    from tagship.registry import refs
    from tagship.workspace.find import find

    source, host = find(session.folder)
    name = refs.check_model(model)
    rows = listing.versions(source, host.store(name), name)
    if not rows:
        _warn([f"nothing is released yet: tagship release {model}"])
    _show_table(rows, as_json, cli_output.versions)


@cli.command()
@ref_argument
@json_option
@pass_session
def show(session: Session, model: str, as_json: bool) -> None:
    """Show all that is known of a version.

    Example: tagship show ml_model@1.1
    """
    from tagship.cli import output as cli_output

    ref = _ref(model)
    with _manager(session, ref.model) as manager:
        value = manager.show(ref)
    _show(value, as_json, cli_output.metadata(value))


@cli.command()
@optional_model_argument
@click.option("--all", "every", is_flag=True, help="All models, by time.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="The last N events.")
@click.option("--since", type=Moment(), metavar="TIME", help="Events that began then or later.")
@click.option("--action", "actions", type=click.Choice(ACTIONS), multiple=True,
              help="Events of this kind alone; may be given again.")  # fmt: skip
@click.option("--at", "moment", type=Moment(), metavar="TIME", help="What was live then, and why.")
@json_option
@pass_session
def history(
    session: Session, model: str | None, every: bool, limit: int | None, since: datetime | None,
    actions: tuple[str, ...], moment: datetime | None, as_json: bool,
) -> None:  # fmt: skip
    """Tell what happened to MODEL here: when, by whom, why.

    Example: tagship history ml_model --at 2026-11-20T12:00Z
    """
    from tagship.cli import output as cli_output
    from tagship.inspect import events as inspect_events
    from tagship.workspace.find import find

    if (model is None) != every:
        raise click.UsageError("name a model, or say --all")
    if moment and (limit or since or actions):
        raise click.UsageError("--at goes with no other choice of events")
    source, host = find(session.folder)
    names = (
        [_alone(model)]
        if model is not None
        else inspect_events.known_models(source.artifacts(), host.root)
    )
    pasts = {name: inspect_events.past_of(source, host, name) for name in names}
    if moment:
        then = [inspect_events.live_at(past, name, moment) for name, past in pasts.items()]
        return _show(then, as_json, cli_output.live_then(then))
    events = inspect_events.events(pasts.values(), limit, since, actions)
    if not events:
        _warn(["no such event on this host"])
    return _show_table(events, as_json, cli_output.histories if every else cli_output.history)


@cli.command()
@model_argument
@click.argument("before", required=False, shell_complete=_complete_version)
@click.argument("after", required=False, shell_complete=_complete_version)
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")
@json_option
@pass_session
def compare(
    session: Session, model: str, before: str | None, after: str | None, markdown: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Tell which of two versions is better, and why.

    Without versions: the live one and the latest, or the one before it.

    Example: tagship compare ml_model 1.0 1.1 --markdown
    """
    from tagship.cli import output as cli_output

    if markdown and as_json:
        raise click.UsageError("--json and --markdown do not go together")
    if after is None:  # one version is held against the live one
        before, after = None, before
    with _manager(session, model) as manager:
        found = manager.compare(before, after)
    if markdown:
        return _echo(cli_output.markdown(cli_output.comparison(found)))
    return _show_document(found, as_json, cli_output.comparison)


@cli.command()
@model_argument
@json_option
@pass_session
def why(session: Session, model: str, as_json: bool) -> None:
    """Tell where the live file comes from.

    Its deployment, tag, commit, author, data and parameters.

    Example: tagship why ml_model
    """
    from tagship.cli import output as cli_output
    from tagship.inspect import why as inspect_why

    found = inspect_why.why(_alone(model), session.folder)
    _show(found, as_json, cli_output.why(found))


@cli.command()
@optional_model_argument
@click.option("-o", "--output", type=click.Path(path_type=Path), default="report.html",
              show_default=True, metavar="FILE", help="The file.")  # fmt: skip
@json_option
@pass_session
def report(session: Session, model: str | None, output: Path, as_json: bool) -> None:
    """Write a page to show to others: one HTML file.

    Of MODEL, or of all models. It loads nothing from anywhere.

    Example: tagship report ml_model -o report.html
    """
    from tagship.report import collect, page
    from tagship.workspace.find import find

    names = [_alone(model)] if model is not None else []
    made = collect.collect(*find(session.folder), names)
    page.write(made, output)
    shown = [one.model for one in made.models]
    value = {"path": output.absolute(), "models": shown}
    _show(value, as_json, f"{output} shows {', '.join(shown) or 'no model'}")


@cli.command()
@ref_argument
@click.option("--format", "formats", type=click.Choice(FORMATS), multiple=True, required=True,
              help="Whose format; may be given again.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="DIR",
              help="Make DIR, with the version's files and the description.")  # fmt: skip
@json_option
@pass_session
def export(
    session: Session, model: str, formats: tuple[str, ...], output: Path | None, as_json: bool
) -> None:
    """Describe a version for MLflow, Hugging Face, ...

    Without -o the description is printed; with it, the version is copied beside it.

    Example: tagship export ml_model@1.1 --format mlflow -o ml_model-1.1
    """
    from tagship.cli import output as cli_output

    if output is None and not as_json and len(formats) > 1:
        raise click.UsageError("several formats need a folder: -o DIR")
    ref = _ref(model)
    with _manager(session, ref.model) as manager:
        done = manager.export(formats, ref, target=output)
    if as_json or output is not None:
        return _show(done, as_json, cli_output.exported(done))
    main = next(iter(done.descriptions.values()))
    return _echo(main.rstrip("\n"))


@cli.command()
@model_argument
@click.option("--keep", type=click.IntRange(1), metavar="N", help="Good versions that stay.")
@click.option("--dry-run", is_flag=True, help="Show what would go, and remove nothing.")
@yes_option
@reason_option
@wait_option
@json_option
@pass_session
def cleanup(
    session: Session, model: str, keep: int | None, dry_run: bool, yes: bool, reason: str | None,
    wait: float, as_json: bool,
) -> None:  # fmt: skip
    """Remove old versions of MODEL from this host.

    Their tags stay, so each can come back.

    The live version, the rollback target, pinned versions and those that a process has open stay.
    DVC's cache is DVC's: dvc gc --all-tags keeps what is released.

    Example: tagship cleanup ml_model --keep 3 --dry-run
    """
    from tagship.cli import output as cli_output

    with _manager(session, model) as manager:
        plan = manager.cleanup_old_versions(keep, dry_run=True)
        if not dry_run:
            if not yes:
                lines = _tabbed(cli_output.cleanup(plan)[1])
                _confirm("\n".join([lines, cli_output.cleaned(plan)]), quiet=as_json)
            plan = manager.cleanup_old_versions(keep, reason=reason, wait=wait)
    _warn(plan.repaired)
    if as_json:
        return _show(plan, True, "")
    _show_table(plan, False, cli_output.cleanup)
    return _echo(cli_output.cleaned(plan))


@cli.command()
@exact_argument
@reason_option
@wait_option
@json_option
@pass_session
def pin(session: Session, model: str, reason: str | None, wait: float, as_json: bool) -> None:
    """Protect a version from cleanup.

    Example: tagship pin ml_model@1.0.0 --reason "the audit of March"
    """
    ref = _ref(model, exact=True)
    with _manager(session, ref.model) as manager:
        done = manager.pin(ref, reason=reason, wait=wait)
    _warn(done.repaired)
    _show(done, as_json, f"{done.model} {done.version} is pinned: cleanup keeps it")


@cli.command()
@exact_argument
@reason_option
@wait_option
@json_option
@pass_session
def unpin(session: Session, model: str, reason: str | None, wait: float, as_json: bool) -> None:
    """Let cleanup have a version again.

    Example: tagship unpin ml_model@1.0.0
    """
    ref = _ref(model, exact=True)
    with _manager(session, ref.model) as manager:
        done = manager.unpin(ref, reason=reason, wait=wait)
    _warn(done.repaired)
    _show(done, as_json, f"{done.model} {done.version} is not pinned any more")


@cli.command()
@click.argument("model", metavar="[MODEL[@VERSION]]", required=False, shell_complete=_complete_ref)
@json_option
@pass_session
def verify(session: Session, model: str | None, as_json: bool) -> None:
    """Hash what is on disk, and hold it to its tag.

    Exit 1 if it differs.

    Example: tagship verify dl_model
    """
    from tagship.cli import output as cli_output
    from tagship.inspect import verify as inspect_verify
    from tagship.workspace.find import find

    ref = _ref(model) if model is not None else None
    found = inspect_verify.verify(*find(session.folder), ref, _progress())
    _show(found, as_json, cli_output.verification(found))
    if any(one.problems for one in found):
        raise SystemExit(1)


@cli.command()
@optional_model_argument
@json_option
@pass_session
def status(session: Session, model: str | None, as_json: bool) -> None:
    """Tell whether all is in order, and what mends it.

    Exit 0: in order; 3: behind or drifted; 5: broken.

    Example: tagship status ml_model
    """
    from tagship.cli import output as cli_output
    from tagship.inspect import status as inspect_status
    from tagship.workspace.find import find

    source, host = find(session.folder)
    known = sorted(source.artifacts()) if model is None else [_ref(model).model]
    names = [source.declared(name).model for name in known]
    found = [inspect_status.status(source, host, name) for name in names]
    values = [{**cli_output.plain(one), "state": one.state.name.lower()} for one in found]
    _show(values, as_json, cli_output.status(found))
    raise SystemExit(max((int(one.state) for one in found), default=0))


@cli.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Make the Tab key complete models and versions.

    bash and zsh, in ~/.bashrc or ~/.zshrc: eval "$(tagship completion bash)"

    fish: tagship completion fish > ~/.config/fish/completions/tagship.fish

    Example: tagship completion bash
    """
    from click.shell_completion import get_completion_class

    from tagship.cli import complete

    kind = get_completion_class(shell)
    if shell == "bash" or kind is None:
        return _echo(complete.BASH)
    return _echo(kind(cli, {}, "tagship", "_TAGSHIP_COMPLETE").source())


@cli.command()
@click.option("--model", metavar="NAME", help="Only this model.", shell_complete=_complete_model)
@click.option("--keep", is_flag=True, help="Keep the throw-away copy, and print its path.")
@pass_session
def demo(session: Session, model: str | None, keep: bool) -> None:
    """Show everything on a throw-away copy of the last commit.

    Train, release, deploy, train with better parameters, release, deploy, roll back. A report is
    left in the working directory.

    Example: tagship demo --model ml_model
    """
    from tagship.cli import demo as demos

    demos.run(session.folder, model=model, keep=keep, say=_echo)


def _ref(text: str, *, exact: bool = False) -> "Ref":
    from tagship.registry.refs import Ref

    if exact and "@" not in text:
        raise click.UsageError("name the version: MODEL@VERSION")
    return Ref.parse(text)


def _alone(text: str) -> str:
    """A model's name, for a command that does not take a version of it."""
    ref = _ref(text)
    if ref.model != text:
        raise click.UsageError(f"name the model alone: {ref.model}")
    return ref.model


@contextlib.contextmanager
def _manager(session: Session, model: str) -> Iterator["ModelVersionManager"]:
    """A manager whose long reads and copies show a bar, on a terminal."""
    from tagship.manager.model import ModelVersionManager

    yield ModelVersionManager(model, session.folder, _progress(), lambda line: _warn([line]))


def _progress() -> "Progress":
    from tagship import progress
    from tagship.cli import terminal

    return terminal.bar if _is_terminal(sys.stderr) else progress.silent


def _confirm(plan: str, *, quiet: bool) -> None:
    """Show the plan and ask; where nobody can answer, an explicit --yes is needed."""
    if not (_is_terminal(sys.stdin) and _is_terminal(sys.stdout)):
        raise Refused("there is no terminal to ask on, so nothing was done", "say --yes")
    _echo(plan, err=quiet)
    if not click.confirm("Go on?", err=quiet):
        raise Refused("nothing was done")


def _show(value: Any, as_json: bool, text: str) -> None:
    if as_json:
        from tagship.cli import output as cli_output

        return _echo(cli_output.as_json(value))
    if not _is_terminal(sys.stdout):
        return _echo(text)
    from tagship.cli import terminal

    return _print(terminal.fitted(escape.shown(text)))


def _show_table(value: Any, as_json: bool, table: Callable[[Any], "Table"]) -> None:
    _show_document(value, as_json, lambda one: [table(one)])


def _show_document(value: Any, as_json: bool, document: Callable[[Any], "Document"]) -> None:
    """Lines and tables; elsewhere than on a terminal a table is lines with tabs, and a heading."""
    if as_json:
        return _show(value, True, "")
    before: str | Table | None = None
    for part in document(value):
        if before is not None and not (isinstance(before, str) and isinstance(part, str)):
            _echo("")  # around a table
        before = part
        if isinstance(part, str):
            _show(None, False, escape.line(part))
            continue
        heading, rows = part
        if _is_terminal(sys.stdout):
            from rich.console import Console

            from tagship.cli import terminal

            Console().print(terminal.table(heading, rows), markup=False)
        else:
            _echo(_tabbed((heading, *rows)))
    return None


def _tabbed(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("\t".join(map(escape.line, row)) for row in rows)


def _echo(text: str, *, err: bool = False) -> None:
    """Print text that may hold anything."""
    _print(escape.shown(text), err=err)


def _print(text: str, *, err: bool = False) -> None:
    """Print; where nobody reads on (``tagship list m | head -1``), that is fine."""
    try:
        click.echo(text, err=err)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_terminal(stream: TextIO | None) -> bool:
    """Whether a standard stream is a terminal; a closed one is None."""
    return stream is not None and stream.isatty()


def _warn(lines: Sequence[str]) -> None:
    for line in lines:
        _complain(f"note: {line}")


def main() -> None:
    """Run, and turn whatever happens into a few lines and an exit code."""
    gc.set_threshold(MANY)
    session = Session()
    try:
        code = cli.main(standalone_mode=False, obj=session)
    except click.exceptions.Abort as error:
        newline = "\n" if _is_terminal(sys.stderr) else ""
        click.echo(f"{newline}interrupted", err=True)
        if isinstance(error.__cause__, Interrupted):
            _complain(f"note: {error.__cause__.message}")
            _complain(f"hint: {error.__cause__.hint}")
        os._exit(130)  # at once: a thread may still wait for a remote that does not answer
    except click.ClickException as error:
        words = io.StringIO()
        error.show(words)
        click.echo(escape.shown(words.getvalue()), err=True, nl=False)
        code = error.exit_code
    except TagshipError as error:
        _warn(error.repaired)
        _report(session, error, error.message, error.hint)
        code = 2 if isinstance(error, InvalidName) else 1
    except OSError as error:
        from tagship.disk import capacity

        what, hint = told(error)
        _report(session, error, what, capacity.hint(error, hint))
        code = 1
    except Exception as error:  # noqa: BLE001 - the last resort: a person must not see a traceback
        text = f"this should not have happened: {type(error).__name__}: {error}"
        _report(session, error, text, "tagship -v shows where; please report it")
        code = 1
    sys.exit(code)


def _report(session: Session, error: Exception, message: str, hint: str) -> None:
    if session.verbose:
        import traceback

        trace = "".join(traceback.format_exception(error))
        click.echo(escape.shown(trace), err=True, nl=False)
    _complain(f"error: {message}")
    if hint:
        _complain(f"hint: {hint}")


def _complain(text: str) -> None:
    line = escape.line(text)
    if _is_terminal(sys.stderr):
        from tagship.cli import terminal

        line = terminal.painted(line)
    click.echo(line, err=True)
