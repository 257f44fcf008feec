"""Pointers: what a commit promises of a file; and who tracks a path, DVC or Git."""

import contextlib
import functools
import hashlib
import posixpath
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tagship.disk import files as disk_files
from tagship.dvc import pipeline, stages
from tagship.dvc.stages import Stages
from tagship.errors import Corrupt, NotFound
from tagship.git import tree
from tagship.registry.project_files import LOCK_FILE
from tagship.text import yaml
from tagship.text.paths import check_path

MD5, LEGACY_MD5 = "md5", "md5-dos2unix"  # DVC's names of a hash; the second is that of DVC 2
# https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md: first line and size of an LFS pointer
LFS_HEAD, LFS_LARGEST = b"version https://git-lfs.github.com/spec/v1", 1024


@dataclass(frozen=True)
class Blob:
    """A file that Git keeps.

    Attributes:
        path: in the version directory.
        digest: Git's id of the blob.
        size: in bytes.
        executable: whether the commit has it so.
    """

    path: str
    digest: str
    size: int
    executable: bool = False

    @property
    def md5(self) -> str:
        """Empty: Git records none."""
        return ""

    def matches(self, path: Path, md5: str) -> bool:  # noqa: ARG002 - as of Cached
        """Whether the file at ``path`` has the bytes of the blob."""
        sha1 = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
        with open(path, "rb") as file:
            while block := file.read(disk_files.BLOCK):
                sha1.update(block)
        return sha1.hexdigest() == self.digest


@dataclass(frozen=True)
class Cached:
    """A file or folder that DVC keeps, as an object in its cache and its remotes.

    Attributes:
        path: in the version directory.
        digest: DVC's; that of a folder ends in ``.dir``, and its object lists the files.
        size: in bytes, of a folder that of its files; None where DVC did not record it.
        executable: whether DVC recorded it so.
        remote: the only remote that has it; None for DVC's default.
        legacy: hashed by DVC 2, which made line ends LF before, and kept elsewhere.
        within: the part of a tracked folder that is meant, also of a file in there; empty for all
            of it.
        push: whether it may go to a remote; ``push: false`` says not.
        place: from the repository's top; a ``version_aware`` remote has it there.
        version: its version in such a remote, once ``dvc push`` recorded it.
        members: the files of a folder whose ``files:`` list them, paths relative to the folder.
        share: of a file whose own size is not recorded, the digest of its folder, and the bytes of
            all files in there.
    """

    path: str
    digest: str
    size: int | None = None
    executable: bool = False
    remote: str | None = None
    legacy: bool = False
    within: str = ""
    push: bool = True
    place: str = ""
    version: str | None = None
    members: tuple["Cached", ...] = ()
    share: tuple[str, int] | None = None

    def __str__(self) -> str:
        return f"{self.hash_name}:{self.digest}"

    @property
    def hash_name(self) -> str:
        """DVC's name of the hash."""
        return LEGACY_MD5 if self.legacy else MD5

    @property
    def key(self) -> tuple[str, str | None]:
        """Equal for pointers to the same object, whatever their paths."""
        return str(self), self.remote

    @property
    def is_folder(self) -> bool:
        """Whether the object is JSON, one ``{"md5", "relpath"}`` a file."""
        return self.digest.endswith(".dir")

    @property
    def has_version(self) -> bool:
        """Whether ``dvc push`` recorded where a ``version_aware`` remote has it, all of it."""
        if self.is_folder:
            return bool(self.members) and all(member.version for member in self.members)
        return self.version is not None

    @property
    def md5(self) -> str:
        """The plain md5 of the bytes; empty where DVC recorded another digest."""
        return "" if self.legacy else self.digest

    def matches(self, path: Path, md5: str) -> bool:
        """Whether the file at ``path``, whose plain md5 is ``md5``, is the object."""
        if self.is_folder or not self.legacy:
            return md5 == self.digest.removesuffix(".dir")
        # DVC 2 hashed text with its line ends made LF; DVC knows what it calls text
        from dvc_data.hashfile.hash import file_md5
        from dvc_objects.fs import LocalFileSystem

        return bool(file_md5(str(path), LocalFileSystem(), name=LEGACY_MD5) == self.digest)


Pointer = Blob | Cached


@dataclass(frozen=True)
class Out:
    """A path that is tracked at a commit: by a stage's output, by a ``.dvc`` file, or by Git.

    Attributes:
        path: from the repository's top.
        pointers: one of DVC, or one blob a file of Git.
        recorded_in: the file in Git that holds the digest.
        stage: the stage that writes it, None for the others.
    """

    path: str
    pointers: tuple[Pointer, ...]
    recorded_in: str
    stage: str | None = None

    @property
    def in_git(self) -> bool:
        """Whether Git keeps the bytes, and not DVC."""
        return isinstance(self.pointers[0], Blob)

    @property
    def file(self) -> Pointer | None:
        """The pointer where the path is one file; None where it is a folder."""
        pointer = self.pointers[0]
        if isinstance(pointer, Cached):
            return None if pointer.is_folder else pointer
        return pointer if pointer.path == posixpath.basename(self.path) else None

    @property
    def identity(self) -> str:
        """Equal for equal bytes."""
        pointer = self.pointers[0]
        if isinstance(pointer, Cached):
            return f"{pointer}/{pointer.within}" if pointer.within else f"{pointer}"
        base = posixpath.basename(self.path)
        names = [pointer.path.removeprefix(base).removeprefix("/") for pointer in self.pointers]
        text = "\n".join(
            f"{name} {pointer.digest}" for name, pointer in zip(names, self.pointers, strict=True)
        )
        return f"git:{hashlib.sha256(text.encode()).hexdigest()}"


def stages_at(blobs: tree.Blobs, commit: str, folder: str, path: str) -> list[Stages]:
    """The stages of every dvc.lock from the artifact's folder up, and of its dvc.yaml's folder."""
    read = functools.partial(blobs.read, commit)
    folders = dict.fromkeys([folder, "", *stages.parents(path)])
    recorded = (pipeline.recorded(read, where) for where in folders)
    return [of_lock for of_lock in recorded if of_lock]


def find_out(blobs: tree.Blobs, commit: str, recorded: list[Stages], path: str) -> Out:
    """Find who tracks a path: a stage, a ``.dvc`` file near it, Git, or a DVC file anywhere.

    Raises:
        NotFound: neither DVC nor Git tracks it at this commit.
        Corrupt: the file that records it cannot be read; or it is a link, or kept by Git LFS; or
            a stage that may write it cannot be resolved.
    """
    near = [f"{folder}.dvc" for folder in (path, *stages.parents(path))]
    out = _in_stages(recorded, path) or _in_dvc_files(blobs, commit, near, path)
    if out and blobs.read(commit, path) is None:
        return out
    entries = blobs.entries(commit, path)
    _check_whole(blobs, commit, recorded, path, [entry.path for entry in entries])
    if entries:  # Git keeps a stage's output with cache: false
        _check_not_lfs(blobs, entries)
        return replace(git_out(path, entries), stage=out.stage if out else None)
    names = [named.path for named in blobs.ending(commit, ".dvc", LOCK_FILE)]
    dvc_files = [name for name in names if name.endswith(".dvc")]
    locks = [name for name in names if posixpath.basename(name) == LOCK_FILE]
    others = [s for name in locks for s in stages_at(blobs, commit, posixpath.dirname(name), "")]
    out = _in_dvc_files(blobs, commit, dvc_files, path) or _in_stages(others, path)
    if out:
        return out
    for of_lock in (*recorded, *others):
        for problem in of_lock.problems:
            raise problem
    raise NotFound(
        f"{path} is tracked by neither DVC nor Git in commit {commit[:10]}",
        f"dvc add {path}, or dvc repro; then commit what DVC wrote",
    )


def _check_whole(
    blobs: tree.Blobs, commit: str, recorded: list[Stages], path: str, kept: list[str]
) -> None:
    """Refuse a folder that DVC tracks in parts, of which Git has a ``.gitignore`` at most.

    Raises:
        Corrupt: with the parts that Git does not keep.
    """
    locks = [posixpath.dirname(name) for name in kept if posixpath.basename(name) == LOCK_FILE]
    inner = [of_lock for folder in locks for of_lock in stages_at(blobs, commit, folder, "")]
    outs = {out for of_lock in (*recorded, *inner) for stage in of_lock for out in stage.outs}
    files = {name.removesuffix(".dvc"): name for name in kept if name.endswith(".dvc")}
    parts = sorted(
        out
        for out in outs.union(files)
        if out.startswith(f"{path}/") and not any(stages.holds(out, name) for name in kept)
    )
    if parts:
        named = " ".join(files[part] for part in parts if part in files)
        by_git = (
            f"git rm -r --cached {shlex.quote(path)}"  # DVC takes no folder of which Git has a file
        )
        raise Corrupt(
            f"DVC tracks {path} in parts: {', '.join(parts[:3])}{', ...' if parts[3:] else ''}",
            f"dvc remove {named} && {by_git} && dvc add {path}"
            if named
            else f"make it one output of its stage (outs: [{path}]), then: {by_git} && dvc repro",
        )


def _in_stages(recorded: list[Stages], path: str) -> Out | None:
    written = stages.writer(recorded, path)
    if written is None:
        return None
    stage, out_path = written
    return _dvc_out(path, out_path, stage.outs[out_path], stage.recorded_in, stage.name)


def _in_dvc_files(blobs: tree.Blobs, commit: str, names: list[str], path: str) -> Out | None:
    for name in names:
        # only the model's own .dvc file has to be readable
        with contextlib.nullcontext() if name == f"{path}.dvc" else contextlib.suppress(Corrupt):
            out = _in_dvc_file(blobs, commit, name, path)
            if out:
                return out
    return None


def _in_dvc_file(blobs: tree.Blobs, commit: str, name: str, path: str) -> Out | None:
    data = blobs.read(commit, name)
    if data is None:
        return None
    content = yaml.parse(data, name)
    try:
        return _in_outs(content, name, path)
    except (AttributeError, KeyError, TypeError):
        again = f"write it again: rm {shlex.quote(name)} && dvc add {shlex.quote(path)}"
        raise Corrupt(f"{name} is not of DVC's form", again) from None


def _in_outs(content: dict[str, Any], name: str, path: str) -> Out | None:
    folder = posixpath.join(posixpath.dirname(name), str(content.get("wdir") or ""))
    for out in content.get("outs") or ():
        out_path = stages.join(folder, str(out["path"]))
        if stages.holds(out_path, path) and stages.digest(out):
            return _dvc_out(path, out_path, out, name, None)
    return None


def _dvc_out(path: str, out_path: str, out: dict[str, Any], name: str, stage: str | None) -> Out:
    pointer, members = _cached(out, name), _members(out, name)
    if members:
        sizes = [member.size for member in members]
        size = None if None in sizes else sum(size or 0 for size in sizes)
        pointer = replace(pointer, size=size, members=members)
    pointer = replace(
        pointer,
        path=posixpath.basename(path),
        place=out_path,
        within="" if path == out_path else posixpath.relpath(path, out_path),
    )
    return Out(path, (pointer,), name, stage)


def _cached(out: dict[str, Any], name: str) -> Cached:
    """The pointer of an entry of DVC's, as far as the entry alone tells.

    Raises:
        Corrupt: it is not of DVC's form.
    """
    digest, size, remote = str(stages.digest(out)), out.get("size"), out.get("remote")
    push, version = out.get("push", True), _version(out.get("cloud"))
    hint = f"fix {name} and commit it"
    try:
        check_hex(digest.removesuffix(".dir"))
    except ValueError:
        text = digest if len(digest) < 64 else f"{digest[:64]}..."
        raise Corrupt(f"{name} has {text!r} for an md5", hint) from None
    texts = isinstance(remote, str | None) and isinstance(version, str | None)
    if not (texts and isinstance(size, int | None) and isinstance(push, bool)) or (size or 0) < 0:
        raise Corrupt(f"{name} is not of DVC's form", hint)
    is_legacy = out.get("hash") != MD5
    return Cached(
        "", digest, size, bool(out.get("isexec")), remote, is_legacy, push=push, version=version
    )


def _version(cloud: Any) -> Any:
    """Of the first remote that is named, as DVC takes it (``merge_file_meta_from_cloud``)."""
    recorded = next(iter(cloud.values()), None) if isinstance(cloud, dict) else None
    version = recorded.get("version_id") if isinstance(recorded, dict) else None
    return str(version) if isinstance(version, int) else version  # Google counts generations


def _members(out: dict[str, Any], name: str) -> tuple[Cached, ...]:
    """The files that ``files:`` of a folder lists, as ``dvc push`` to a versioned remote writes it.

    Raises:
        Corrupt: it is not of DVC's form, or a path leads out of the folder.
    """
    of_all = {"hash": out.get("hash"), "remote": out.get("remote"), "push": out.get("push", True)}
    return tuple(
        replace(_cached({**entry, **of_all}, name), path=check_path(entry["relpath"]))
        for entry in stages.listed(out)
    )


def _check_not_lfs(blobs: tree.Blobs, entries: list[tree.Entry]) -> None:
    """Refuse what Git LFS keeps: the commit has a pointer of some hundred bytes, not the model."""
    small = [
        entry for entry in entries if entry.mode.startswith("100") and entry.size < LFS_LARGEST
    ]
    contents = blobs.small([entry.blob for entry in small]) if small else []
    for entry, data in zip(small, contents, strict=True):
        if data.startswith(LFS_HEAD):
            raise Corrupt(
                f"{entry.path} is kept by Git LFS, which tagship does not read",
                f"git lfs untrack {shlex.quote(entry.path)}"
                f" && git rm --cached {shlex.quote(entry.path)}"
                f" && dvc add {shlex.quote(entry.path)}",
            )


def git_out(path: str, entries: list[tree.Entry]) -> Out:
    """A path that Git tracks, with its files.

    Raises:
        Corrupt: one of them is a link or a submodule.
    """
    return Out(path, tuple(_blobs(path, entries)), path)


def _blobs(path: str, entries: list[tree.Entry]) -> Iterator[Blob]:
    above = posixpath.dirname(path)
    for entry in entries:
        if not entry.mode.startswith("100"):
            raise Corrupt(
                f"{entry.path} is a link or a submodule",
                "put a regular file in its place, and commit",
            )
        name = entry.path.removeprefix(f"{above}/")
        yield Blob(name, entry.blob, entry.size, entry.mode == "100755")


def check_hex(text: Any) -> str:
    """The text, where it is an md5 in hexadecimal.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(text, str) or len(text) != 32 or set(text) - set("0123456789abcdef"):
        raise ValueError(text)
    return text
