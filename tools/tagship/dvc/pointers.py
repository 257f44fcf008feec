"""Who tracks a path at a commit: a stage, a ``.dvc`` file, or Git; and the digests they give."""

import contextlib
import hashlib
import posixpath
from dataclasses import dataclass, replace
from typing import Any

from tagship.dvc import stages
from tagship.dvc.cache import GIT, LEGACY_MD5, MD5, Object
from tagship.dvc.stages import Stage
from tagship.errors import Corrupt, NotFound
from tagship.git import run, tree
from tagship.registry.project_files import LOCK_FILE, PIPELINE_FILE
from tagship.text import yaml

# https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md: the first line of a pointer; its size
LFS_HEAD, LFS_LARGEST = b"version https://git-lfs.github.com/spec/v1", 1024


@dataclass(frozen=True)
class Out:
    """A path that is tracked at a commit: by a stage's output, by a ``.dvc`` file, or by Git.

    Attributes:
        path: what was asked for, from the repository's top.
        within: the rest of ``path`` below a tracked folder; empty where the out is the path itself.
        objects: one DVC object, or one blob a file with its path below ``path`` in ``names``.
        pointer: the file in Git that holds the digest.
        stage: the stage that writes it, None for the others.
    """

    path: str
    objects: tuple[Object, ...]
    pointer: str
    within: str = ""
    names: tuple[str, ...] = ()
    executable: tuple[bool, ...] = (False,)
    stage: str | None = None

    @property
    def identity(self) -> str:
        """Equal for equal bytes."""
        if self.names:
            text = "\n".join(
                f"{n} {o.digest}" for n, o in zip(self.names, self.objects, strict=True)
            )
            return f"{GIT}:{hashlib.sha256(text.encode()).hexdigest()}"
        return f"{self.objects[0]}" + (f"/{self.within}" if self.within else "")


def pipeline_at(blobs: tree.Blobs, commit: str, folder: str, path: str) -> list[Stage]:
    """The stages of every dvc.lock from the artifact's folder up, and of its dvc.yaml's folder."""
    found: list[Stage] = []
    for where in dict.fromkeys([folder, "", *stages.parents(path)]):
        name = posixpath.join(where, LOCK_FILE)
        lock = blobs.read(commit, name)
        if lock is not None:
            pipeline = blobs.read(commit, posixpath.join(where, PIPELINE_FILE)) or b""
            found += stages.read(name, lock, pipeline)
    return found


def find_out(
    repository: run.Repository, blobs: tree.Blobs, commit: str, pipeline: list[Stage], path: str
) -> Out:
    """Who tracks a path: a stage, a ``.dvc`` file near it, Git, or a DVC file anywhere.

    Raises:
        NotFound: nobody does at this commit.
        Corrupt: what says so cannot be read, or the path is a link, or kept by Git LFS.
    """
    near = [f"{folder}.dvc" for folder in (path, *stages.parents(path))]
    found = _in_stages(pipeline, path) or _in_dvc_files(blobs, commit, near, path)
    if found and blobs.read(commit, path) is None:
        return found
    entries = blobs.entries(commit, path)
    if entries:  # a stage's output with cache: false is Git's to keep
        _check_no_pointers(repository, entries)
        return replace(git_out(path, entries), stage=found.stage if found else None)
    names = tree.paths(repository, commit)
    dvc_files = [name for name in names if name.endswith(".dvc")]
    locks = [name for name in names if posixpath.basename(name) == LOCK_FILE]
    others = [s for name in locks for s in pipeline_at(blobs, commit, posixpath.dirname(name), "")]
    found = _in_dvc_files(blobs, commit, dvc_files, path) or _in_stages(others, path)
    if found:
        return found
    raise NotFound(
        f"{path} is tracked by neither DVC nor Git in commit {commit[:10]}",
        f"dvc add {path}, or dvc repro; then commit what DVC wrote",
    )


def _in_stages(pipeline: list[Stage], path: str) -> Out | None:
    written = stages.writer(pipeline, path)
    if written is None:
        return None
    stage, out_path = written
    return _dvc_out(path, out_path, stage.outs[out_path], stage.pointer, stage.name)


def _in_dvc_files(blobs: tree.Blobs, commit: str, names: list[str], path: str) -> Out | None:
    for name in names:
        # one that cannot be read, and is not the model's own, is somebody else's trouble
        with contextlib.nullcontext() if name == f"{path}.dvc" else contextlib.suppress(Corrupt):
            found = _in_dvc_file(blobs, commit, name, path)
            if found:
                return found
    return None


def _in_dvc_file(blobs: tree.Blobs, commit: str, name: str, path: str) -> Out | None:
    data = blobs.read(commit, name)
    if data is None:
        return None
    content = yaml.parse(data, name)
    try:
        return _in_outs(content, name, path)
    except (AttributeError, KeyError, TypeError):
        raise Corrupt(f"{name} is not of DVC's form", f"write it again: dvc add {path}") from None


def _in_outs(content: dict[str, Any], name: str, path: str) -> Out | None:
    place = posixpath.join(posixpath.dirname(name), str(content.get("wdir") or ""))
    for out in content.get("outs") or ():
        out_path = stages.join(place, str(out["path"]))
        if stages.holds(out_path, path) and out.get("md5"):
            return _dvc_out(path, out_path, out, name, None)
    return None


def _dvc_out(path: str, out_path: str, out: dict[str, Any], pointer: str, stage: str | None) -> Out:
    digest, size, remote = str(out["md5"]), out.get("size"), out.get("remote")
    try:
        check_hex(digest.removesuffix(".dir"))
    except ValueError:
        told = digest if len(digest) < 64 else f"{digest[:64]}..."
        raise Corrupt(
            f"{pointer} has {told!r} for an md5", f"fix {pointer} and commit it"
        ) from None
    if not isinstance(size, int | None) or not isinstance(remote, str | None) or (size or 0) < 0:
        raise Corrupt(f"{pointer} is not of DVC's form", f"fix {pointer} and commit it")
    hash_name = MD5 if out.get("hash") == MD5 else LEGACY_MD5
    wanted = Object(hash_name, digest, size, remote)
    within = "" if path == out_path else posixpath.relpath(path, out_path)
    return Out(path, (wanted,), pointer, within, (), (bool(out.get("isexec")),), stage)


def _check_no_pointers(repository: run.Repository, entries: list[tree.Entry]) -> None:
    """Refuse what Git LFS keeps: the commit has a pointer of some hundred bytes, not the model."""
    small = [
        entry for entry in entries if entry.mode.startswith("100") and entry.size < LFS_LARGEST
    ]
    found = tree.small_blobs(repository, [entry.blob for entry in small]) if small else []
    for entry, data in zip(small, found, strict=True):
        if data.startswith(LFS_HEAD):
            raise Corrupt(
                f"{entry.path} is kept by Git LFS, which tagship does not read",
                f"git lfs untrack {entry.path} && git rm --cached {entry.path}"
                f" && dvc add {entry.path}",
            )


def git_out(path: str, entries: list[tree.Entry]) -> Out:
    """A path that Git tracks, with its files.

    Raises:
        Corrupt: one of them is a link or a submodule.
    """
    for entry in entries:
        if not entry.mode.startswith("100"):
            raise Corrupt(f"{entry.path} is a link or a submodule", "release regular files")
    return Out(
        path,
        tuple(Object(GIT, entry.blob, entry.size) for entry in entries),
        path,
        "",
        tuple("" if e.path == path else posixpath.relpath(e.path, path) for e in entries),
        tuple(entry.mode == "100755" for entry in entries),
    )


def check_hex(text: Any) -> str:
    """The text, where it is an md5 in hexadecimal.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(text, str) or len(text) != 32 or set(text) - set("0123456789abcdef"):
        raise ValueError(text)
    return text
