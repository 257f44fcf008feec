"""From a file or a trained model to a commit: save it, have DVC track it, commit just that."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from tagship import loaders
from tagship.disk import atomic
from tagship.dvc import repo
from tagship.dvc.pointers import Out
from tagship.errors import NotFound, Refused
from tagship.git import commits, worktree
from tagship.host.link import VERSIONS
from tagship.host.store import PRIVATE, Store
from tagship.release import merges
from tagship.workspace.source import Source


@dataclass(frozen=True)
class _Kept:
    """What was there before, to put back when the commit does not come about."""

    path: Path
    backup: Path | None

    def restore(self) -> None:
        if self.path.is_dir() and not self.path.is_symlink():
            shutil.rmtree(self.path)
        else:
            self.path.unlink(missing_ok=True)
        if self.backup is not None:
            shutil.move(self.backup, self.path)


def check_in(source: Source, store: Store, model: str, trained: object, message: str) -> str:
    """Put a model where its artifact lives, and commit it; whatever else is changed stays so.

    Args:
        source: the repository.
        store: the model's folder here: what is replaced is kept in it until it is committed.
        model: its name under ``artifacts:``.
        trained: the path of a file or folder, or a trained model that a loader can save.
        message: for the commit.

    Returns:
        The id of the commit.

    Raises:
        NotFound: there is no such model or file, or no loader for such an object.
        Refused: a stage of the pipeline writes this artifact; or a merge is not finished; or the
            folder contains what it would become, or deployments.
        Unavailable: DVC or Git refuses it; then the files are as they were.
    """
    source.check_owner(model, f"status {model}")
    artifact = source.declared(model)
    merges.check(source, commits.commit(source.repository, "HEAD").id, model)
    out = _tracked(source, model)
    if out is not None and out.stage is not None:
        raise Refused(
            f"{artifact.path} is written by the stage {out.stage}",
            f"dvc repro {out.stage}, commit what changed, then: tagship release {model} --deploy",
        )
    target = source.repository.top / artifact.path
    if isinstance(trained, str | Path):
        _check_apart(Path(trained), target, store)
    by_git = out is not None and out.in_git
    kept = [target] if by_git else [target, *repo.pointer_files(target)]
    backups = store.private / "checkin"
    shutil.rmtree(backups, ignore_errors=True)
    saved = [_keep(path, backups) for path in kept]
    top = source.repository.top
    try:
        _save(trained, target)
        names = [target] if by_git else repo.add(source.project, target)
        commit = worktree.commit_only(
            source.repository, [str(n.relative_to(top)) for n in names if n.exists()], message
        )
    except BaseException:
        for file in saved:
            file.restore()
        worktree.unstage(
            source.repository, [str(path.relative_to(top)) for path in kept[0 if by_git else 1 :]]
        )
        raise
    finally:
        shutil.rmtree(backups, ignore_errors=True)
    return commit


def _check_apart(path: Path, target: Path, store: Store) -> None:
    """Refuse a path that would be copied into itself, or removed before it is copied.

    Args:
        path: of what is given.
        target: where the model lives.
        store: the model's folder here, beside those of the others.
    """
    given, ours = path.resolve(), target.resolve()
    root = store.folder.parent.resolve()
    deployed = [f / name for f in (root, *root.glob("*/")) for name in (VERSIONS, PRIVATE)]
    for inner in (ours, *filter(Path.is_dir, deployed)):
        if given == inner == ours:
            continue
        if inner.is_relative_to(given):
            raise Refused(
                f"{given} contains {inner.relative_to(given)}, and cannot become {target.name}",
                "give the model's own file or folder",
            )
        if given.is_relative_to(inner) and (given.is_dir() or inner == ours):
            raise Refused(
                f"{given} is in {inner}, and cannot become {target.name}",
                "copy it to a folder of its own, and give that",
            )


def _tracked(source: Source, model: str) -> Out | None:
    head = commits.commit(source.repository, "HEAD").id
    try:
        return source.snapshot(head, model).outs[0]
    except NotFound:  # declared, and its first version is just coming
        return None


def _keep(path: Path, backups: Path) -> _Kept:
    """Copy what is there aside; a copy, since DVC may have linked it to its cache."""
    if not path.exists():
        return _Kept(path, None)
    atomic.make_folder(backups)
    backup = backups / path.name
    if path.is_dir():
        shutil.copytree(path, backup)
    else:
        shutil.copy2(path, backup)
    return _Kept(path, backup)


def _save(trained: object, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(trained, str | Path):
        path = Path(trained)
        if not path.exists():
            raise NotFound(
                f"there is no file {path}", "give the path of the model's file or folder"
            )
        if path.resolve() == target.resolve():
            return
        if path.is_file() and path.suffix != target.suffix:
            raise Refused(
                f"{path.name} cannot become {target.name}: the artifact is a {target.suffix} file",
                f"save it as {target.suffix}, or declare another path in dvc.yaml",
            )
        _remove(target)
        if path.is_dir():
            shutil.copytree(path, target)
        else:
            shutil.copyfile(path, target)
        return
    loader = loaders.of_model(trained)
    if target.suffix not in loader.suffixes:
        raise Refused(
            f"{target.name} cannot hold a model of {loader.framework}, which is kept as"
            f" {loader.suffixes[0]}",
            f"declare a path that ends in {loader.suffixes[0]} in dvc.yaml",
        )
    _remove(target)
    loader.save(trained, target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
