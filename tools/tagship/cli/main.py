"""The command line: the group of commands, and what becomes of an error.

A command is a module beside this one, with its options and how its result looks. It parses, calls
``tagship.manager``, and prints.
"""

import atexit
import contextlib
import errno
import gc
import importlib
import io
import os
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from tagship.cli import meant, options, output
from tagship.cli.options import Session, pass_session
from tagship.errors import Interrupted, InvalidName, NoProject, NotFound, TagshipError
from tagship.text import escape

# The modules here that are no command.
PARTS = ("__init__", "complete", "ending", "main", "meant", "options", "output", "terminal")
ANSWERING = ("serve",)  # answers the requests that it has first, by handlers of its own
ANSWERED = (0, 3, 4, 5)  # exit codes of a command that printed what was asked for
MANY = 100_000  # objects made between two looks for garbage: a command ends before there is any


class Commands(Mapping[str, click.Command]):
    """The commands by name: ``command`` of each module here, imported when it is asked for."""

    @cached_property
    def _names(self) -> tuple[str, ...]:
        modules = (path.stem for path in Path(__file__).parent.iterdir() if path.suffix == ".py")
        return tuple(sorted(name for name in modules if name not in PARTS))

    def __iter__(self) -> Iterator[str]:
        """In alphabetical order, as ``--help`` lists them."""
        return iter(self._names)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._names)

    def __getitem__(self, name: str) -> click.Command:
        """Import one."""
        if name not in self._names:
            raise KeyError(name)
        command: click.Command = importlib.import_module(f"tagship.cli.{name}").command
        return command


class Program(click.Group):
    """The commands, of which each ends by a signal as by Ctrl+C."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named.

        Raises:
            click.Abort: a signal ended it. Its cause has what to say of that, if anything.
        """
        ending = ctx.ensure_object(Session).ending
        try:
            return super().invoke(ctx)
        except (Exception, KeyboardInterrupt) as error:
            if ending.signal is None:
                raise
            raise click.Abort from error
        finally:
            ending.stop()


@click.group(
    cls=Program,
    commands=Commands(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "-C", "folder", type=click.Path(path_type=Path, exists=True, file_okay=False, readable=False),
    default=".",
    envvar="TAGSHIP_ROOT", show_envvar=True,
    metavar="DIR", help="Work in DIR instead of the working directory.",
)  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Show a traceback with an error.")
@click.version_option(package_name="tagship", message="%(package)s %(version)s")
@pass_session
def cli(session: Session, folder: Path, verbose: bool) -> None:
    """Release, deploy and roll back machine-learning models with Git tags and DVC."""
    context = click.get_current_context()
    if context.invoked_subcommand not in ANSWERING:
        session.ending.watch()
    source = context.get_parameter_source("folder")
    session.folder, session.verbose = folder, verbose
    session.root = folder if source is ParameterSource.ENVIRONMENT else None
    if not os.access(folder, os.X_OK):  # in words of its own: whose it is, and its group
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def program() -> None:
    """``main`` as a program: it ends though a thread still waits for a silent remote."""
    try:
        main()
    except SystemExit as end:
        _leave_at_once(int(end.code or 0))
        raise


def main() -> None:
    """Run, and turn whatever happens into a few lines and an exit code.

    Raises:
        SystemExit: always, with the exit code.
    """
    gc.set_threshold(MANY)
    atexit.register(gc.freeze)  # nor is it looked for at the exit, which frees all the memory
    output.open_streams()
    session = Session()
    try:
        sys.exit(_written(_run(session)))
    finally:
        output.discard()


def _leave_at_once(code: int) -> None:
    """Exit where a thread still waits for a remote that does not answer: Python would wait too."""
    threading, progress = (sys.modules.get(name) for name in ("threading", "tagship.progress"))
    if threading is None or progress is None:  # not imported: there is no such thread
        return
    if any(thread.name == progress.WAITING for thread in threading.enumerate()):
        output.discard()
        if sys.stderr is not None:
            sys.stderr.flush()
        os._exit(code)


def _run(session: Session) -> int:
    """The exit code of the command."""
    try:
        code: int | None = cli.main(prog_name="tagship", standalone_mode=False, obj=session)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code or 0
    except click.exceptions.Abort as error:
        # after SIGHUP, its terminal is gone; and a later signal ends it at once
        with contextlib.suppress(OSError, KeyboardInterrupt):
            _report_interrupt(session, error.__cause__)
        session.ending.leave()  # at once: a thread may still wait for a silent remote
    except click.ClickException as error:
        words = io.StringIO()
        error.show(words)
        click.echo(escape.shown(words.getvalue()), err=True, nl=False)
        if isinstance(error, click.UsageError) and (hint := meant.of_usage(error, sys.argv[1:])):
            output.complain(f"hint: {options.there(session.folder, hint)}")
        return error.exit_code
    except TagshipError as error:
        output.warn(error.repaired)
        _report(session, error, *_explained(error, session.folder))
        return error.exit_code
    except SystemExit as end:  # with the worst of what it shows, as status does
        return int(end.code or 0)
    except OSError as error:
        return _of_system(session, error)
    except Exception as error:  # noqa: BLE001 - the last resort: a person must not see a traceback
        text = f"this should not have happened: {type(error).__name__}: {error}"
        _report(session, error, text, "tagship -v shows where; please report it")
        return 1


def _of_system(session: Session, error: OSError) -> int:
    """The exit code for an error of the operating system, which is told."""
    if output.is_of_echo(error):
        output.lose(error)
        return 0
    from tagship.manager import failures

    _report(session, error, *failures.explain(error))
    return 1


def _written(code: int) -> int:
    """The exit code, or another one where standard output could not be written."""
    lost = output.unwritten()
    if lost:
        output.complain(f"error: {lost}")
    return output.UNWRITTEN if lost and code in ANSWERED else code


def _explained(error: TagshipError, folder: Path) -> tuple[str, str]:
    """The message and the hint: what reads a host's folder alone knows nothing of clones."""
    if isinstance(error, NoProject):
        from tagship.manager import failures

        error = failures.of_clone(error)
    elif isinstance(error, InvalidName | NotFound):
        hint = meant.of_name(error.message, sys.argv[1:], folder)
        return error.message, hint or error.hint
    return error.message, error.hint


def _report_interrupt(session: Session, cause: BaseException | None) -> None:
    """Say that the command was interrupted, and how far it came where that is known."""
    newline = "\n" if output.is_terminal(sys.stderr) else ""
    click.echo(f"{newline}{session.ending.words}", err=True)
    if isinstance(cause, Interrupted | TagshipError):
        output.complain(f"note: {cause.message}")
        if cause.hint:
            output.complain(f"hint: {options.there(session.folder, cause.hint)}")


def _report(session: Session, error: Exception, message: str, hint: str) -> None:
    if session.verbose:
        import traceback

        trace = "".join(traceback.format_exception(error))
        click.echo(escape.shown(trace), err=True, nl=False)
    output.complain(f"error: {message}")
    if hint:
        output.complain(f"hint: {options.there(session.folder, hint)}")
        top = options.steps_to(session.folder, ".git")
        if top and options.FROM_TOP.search(hint):
            output.complain(f"note: paths are relative to the top of the repository: cd {top}")
