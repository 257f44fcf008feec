"""Trials of the hints for a program that serves: ``load``, ``resolve`` and ``at``."""
# mypy: disable-error-code="func-returns-value"
# a lambda that does two things is a pair of what they return

import os
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from tagship import at, load
from tagship.serve import Settings, app, run
from tests.hints.cases_surfaces import nothing
from tests.hints.trials import trial
from tests.workbench import MODEL, Workbench, copy_tree


def _text(path: Path) -> str:
    return path.read_text()


def _plain(bench: Workbench) -> Path:
    """A copy of the folder of the models, with no repository around it."""
    return bench.repo.parent / "plain"


def _copy(bench: Workbench, *, link: bool = True) -> None:
    _plain(bench).mkdir(exist_ok=True)
    copy_tree(str(bench.folder), str(_plain(bench) / MODEL))
    if not link:
        (_plain(bench) / MODEL / "current").unlink()


def _copy_again(bench: Workbench) -> None:
    (_plain(bench) / MODEL / "current").symlink_to(os.readlink(bench.current))


def _served(bench: Workbench, **options: Any) -> Any:
    return load(MODEL, bench.repo, loader=_text, verify=True, **options)


def _serve_plain(bench: Workbench) -> Any:
    return load(MODEL, root=_plain(bench), loader=_text)


# --- the settings of a server


def _settings(**options: Any) -> Any:
    """Make settings of a server for the model."""
    return lambda _: Settings(**{"models": MODEL, **options})


@trial(
    "serve.bounds.read", command=_settings(poll=0), does="poll is seconds, from 0.001 on",
    by=nothing, again=_settings(poll=0.001),
)  # fmt: skip
def a_setting_out_of_bounds(_: Workbench) -> None: ...


@trial(
    "serve.bounds.check_name", command=_settings(allow_hosts=""), does="--allow-host '*'",
    by=nothing, again=_settings(allow_hosts="*"),
)  # fmt: skip
def an_empty_name_to_allow(_: Workbench) -> None: ...


@trial(
    "serve.bounds.check_name/2", command=_settings(allow_hosts="*.example.com"),
    does="--allow-host '*'", by=nothing, again=_settings(allow_hosts="*"),
)  # fmt: skip
def a_pattern_to_allow(_: Workbench) -> None: ...


@trial(
    "serve.bounds.check_name/3", command=_settings(allow_hosts="http://a.example"),
    does="--allow-host NAME", by=nothing, again=_settings(allow_hosts="a.example"),
)  # fmt: skip
def a_url_to_allow(_: Workbench) -> None: ...


@trial(
    "serve.settings.Settings.__post_init__", command=_settings(models=()),
    does="such as churn", by=nothing, again=_settings(models=["churn"]),
)  # fmt: skip
def no_model_to_serve(_: Workbench) -> None: ...


@trial(
    "serve.settings.Settings.__post_init__/2", command=_settings(audit_inputs=True),
    does="audit is the file", by=nothing, again=_settings(audit_inputs=True, audit="audit.jsonl"),
)  # fmt: skip
def inputs_without_an_audit(_: Workbench) -> None: ...


@trial(
    "serve.settings.Settings.__post_init__/3", command=_settings(audit="-"), does="--audit FILE",
    by=nothing, again=_settings(audit="audit.jsonl"),
)  # fmt: skip
def an_audit_to_standard_output(_: Workbench) -> None: ...


@trial(
    "serve.bounds._model", command=_settings(models="churn@1.0.0"),
    does="tagship serve churn --challenger churn@1.0.0", by=nothing,
    again=_settings(challengers="churn@1.0.0"),
)  # fmt: skip
def a_version_to_serve(_: Workbench) -> None: ...


@trial(
    "host.live.check_root", command=lambda b: load(MODEL, root=b.folder, loader=_text),
    base="shipped", does="name the folder above it: ...", by=nothing,
    again=lambda b: load(MODEL, root=b.folder.parent, loader=_text),
)  # fmt: skip
def the_folder_of_one_model(_: Workbench) -> None: ...


@trial(
    "serve.app", command=lambda b: app(MODEL, root=b.repo / "models", workers=2),
    does="tagship serve --workers 2", by=nothing,
    again=lambda b: app(MODEL, root=b.repo / "models"),
)  # fmt: skip
def an_app_with_workers(_: Workbench) -> None: ...


@trial(
    "serve.run", command=lambda _: run(FastAPI(), print), does='app = tagship.serve.app(["churn"])',
    by=nothing, again=lambda b: app(["churn"], root=b.repo / "models"),
)  # fmt: skip
def another_app(_: Workbench) -> None: ...


def _run_again(bench: Workbench) -> None:
    served = app(MODEL, root=bench.repo / "models")
    served.state.alone.close()
    run(served, print)


@trial(
    "serve.run/2", command=_run_again, does="make another: tagship.serve.app", by=nothing,
    again=lambda b: app(MODEL, root=b.repo / "models"),
)  # fmt: skip
def an_app_that_was_run(_: Workbench) -> None: ...


# --- where the models are


@trial(
    "host.live._no_folder", command=_serve_plain, base="shipped",
    does="name the folder of the models: root=", by=_copy,
)  # fmt: skip
def no_such_folder(_: Workbench) -> None: ...


@trial(
    "host.live._not_live", command=lambda b: load("chrun", root=_plain(b), loader=_text),
    base="shipped", does="there are: churn", by=nothing, again=_serve_plain,
)  # fmt: skip
def a_folder_without_the_model(bench: Workbench) -> None:
    _copy(bench)


@trial(
    "host.live._not_live/2", command=lambda b: load(MODEL, root=b.repo, loader=_text),
    base="shipped", does="name the folder of the models: ...", by=nothing,
    again=lambda b: load(MODEL, root=b.repo / "models", loader=_text),
)  # fmt: skip
def the_folder_of_the_workspace(_: Workbench) -> None: ...


@trial(
    "host.live._not_live/3", command=_serve_plain, base="shipped", does="cp -a", by=_copy_again,
)  # fmt: skip
def a_copy_without_its_link(bench: Workbench) -> None:
    _copy(bench, link=False)


@trial(
    "host.live._not_live/4", command="current churn --root models",
    does="tagship -C ... deploy churn",
    by=lambda b: b.manager.deploy(),
)  # fmt: skip
def nothing_live_in_the_folder_of_a_workspace(bench: Workbench) -> None:
    bench.release()
    bench.monkeypatch.chdir(bench.repo)


@trial(
    "host.link.obstructed", command=lambda b: load(MODEL, b.repo, loader=_text, fallback=False),
    base="shipped", does="mv ...", then="no version of churn is live",
)  # fmt: skip
def a_file_instead_of_the_folder_of_the_models(bench: Workbench) -> None:
    bench.git("rm", "-q", "-r", "--cached", "models")
    (bench.repo / "models").rename(bench.repo / "aside")
    (bench.repo / "models").write_text("a file\n")


@trial(
    "host.project.absolute", command=lambda b: load(MODEL, root=5, loader=_text),  # type: ignore[arg-type] # wrong
    base="shipped", does="give its path as text", by=_copy, again=_serve_plain,
)  # fmt: skip
def a_number_instead_of_a_folder(_: Workbench) -> None: ...


# --- a version that is kept


@trial(
    "registry.refs._not_text/2", command=lambda b: at(MODEL, b"1.0.0", b.repo),  # type: ignore[arg-type] # wrong
    base="shipped", does='give it as text: "1.2.0"', by=nothing,
    again=lambda b: at(MODEL, "1.0.0", b.repo),
)  # fmt: skip
def bytes_instead_of_a_version(_: Workbench) -> None: ...


@trial(
    "registry.models.check_model", command=lambda b: at(None, "1.0.0", b.repo),  # type: ignore[arg-type] # wrong
    base="shipped", does='give it as text: "churn"', by=nothing,
    again=lambda b: at("churn", "1.0.0", b.repo),
)  # fmt: skip
def nothing_instead_of_a_model(_: Workbench) -> None: ...


@trial(
    "host.live._kept", command=lambda b: at(MODEL, "#prod", b.repo), base="shipped",
    does="give 1.2.0", by=nothing, again=lambda b: at(MODEL, "1.1.0", b.repo),
)  # fmt: skip
def a_stage_instead_of_a_version(_: Workbench) -> None: ...


@trial(
    "host.live._kept/2", command=lambda b: at(MODEL, "2.0.0", b.repo), base="shipped",
    does="on disk: 1.0.0, 1.1.0", by=nothing, again=lambda b: at(MODEL, "1.0.0", b.repo),
)  # fmt: skip
def a_version_that_is_not_kept(_: Workbench) -> None: ...


@trial("host.live._kept/3", command=lambda b: at(MODEL, "1.0.0", b.repo))
def no_version_is_kept(bench: Workbench) -> None:
    bench.release()


@trial(
    "host.live.held_again", base="shipped", again=lambda b: at(MODEL, "1.0.0", b.repo)
)  # fmt: skip
def a_version_cleaned_up_after_it_was_resolved(bench: Workbench) -> Any:
    old = at(MODEL, "1.0.0", bench.repo)
    old.lock.close()
    bench.store.remove([old.directory.name])
    return lambda _: load(old, loader=_text)


# --- its bytes


def _write(path: Path, text: str) -> None:
    path.chmod(0o644)
    path.write_text(text)


@trial("host.metadata.again", command=_served, base="shipped")
def bytes_that_were_not_deployed(bench: Workbench) -> None:
    _write(bench.current.resolve() / "model.bin", "model 3\n")


@trial(
    "host.active._of_version", base="shipped", does="tagship verify churn@1.1.0",
    by=lambda b: b.cli("verify", "churn@1.1.0"), again="",
)  # fmt: skip
def bytes_that_change_while_they_are_loaded(bench: Workbench) -> Any:
    def change(path: Path) -> str:
        _write(path, "model 3\n")
        return path.read_text()

    return lambda b: load(MODEL, b.repo, loader=change, verify=True)


# --- how it is asked


@trial(
    "host.active.ActiveModel._known", base="shipped", does="use the framework's own: .model",
    command=lambda b: load(MODEL, b.repo, loader=_text).answer([1]), by=nothing,
    again=lambda b: load(MODEL, b.repo, loader=_text).model.upper(),
)  # fmt: skip
def a_model_of_no_framework(_: Workbench) -> None: ...
