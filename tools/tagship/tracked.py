"""What a commit has of a model: outs, metrics, params, lineage, and the files behind them.

Everything is read from the commit with Git: opening a DVC repository at a revision is linear in its
``.dvc`` files, and one that cannot be read breaks it.
"""

import contextlib
import hashlib
import json
import math
import posixpath
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tagship import atomic, config, fields, git, manifest, stages
from tagship.errors import Corrupt, NotFound, Unavailable
from tagship.manifest import File, check_path
from tagship.objects import GIT, LEGACY_MD5, MD5, Cache, Fetcher, Object, bad_object, matches
from tagship.progress import Advance
from tagship.stages import Stage

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


@dataclass(frozen=True)
class Snapshot:
    """A model at a commit: what to release or deploy, and where it came from."""

    artifact: config.Artifact
    commit: str
    outs: tuple[Out, ...]
    makers: tuple[Stage, ...] = ()
    metric_outs: tuple[Out, ...] = ()
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """Equal for models of equal bytes (the self-test does not count)."""
        return self.outs[0].identity

    @property
    def dvc_objects(self) -> list[Object]:
        """What DVC keeps of the model: a list for each folder, and what lies in none."""
        return [one for out in self.outs for one in out.objects if one.hash_name != GIT]

    @property
    def pointers(self) -> list[str]:
        """The files in Git that say what the model's bytes are, and dvc.yaml, which names it."""
        pipeline = config.pipeline_of(self.artifact.model)[1]
        return sorted({pipeline, *(out.pointer for out in (*self.outs, *self.metric_outs))})

    @property
    def lineage(self) -> list[dict[str, Any]]:
        """The stages that made the model, first things first."""
        return [config.plain(stage.to_json()) for stage in self.makers]


@dataclass(frozen=True)
class TrackedFile:
    """One file to be put into a version directory: its path there, and what it must be."""

    path: str
    object: Object
    executable: bool = False


def snapshot(repository: git.Repository, blobs: git.Blobs, commit: str, model: str) -> Snapshot:
    """A model at a commit.

    Raises:
        NotFound: the commit declares no such model, or does not track its path.
        Corrupt: one of the files that say so cannot be read.
    """
    folder, name = config.pipeline_of(model)
    data = blobs.read(commit, name)
    declared = config.artifacts(data, folder) if data is not None else {}
    if model not in declared:
        raise NotFound(f"commit {commit[:10]} declares no model {model}", f"tagship list {model}")
    artifact = declared[model]
    _check_names(artifact)
    pipeline = pipeline_at(blobs, commit, folder, artifact.path)
    outs = tuple(find_out(repository, blobs, commit, pipeline, path) for path in artifact.paths)
    related = stages.related(pipeline, artifact.path)
    metric_paths = _metric_paths(blobs, commit, artifact, related, alone=len(declared) == 1)
    return Snapshot(
        artifact,
        commit,
        outs,
        tuple(stages.makers(pipeline, artifact.path)),
        tuple(_metric_outs(repository, blobs, commit, pipeline, metric_paths)),
        _params(blobs, commit, related),
    )


def _check_names(artifact: config.Artifact) -> None:
    """The model and its self-test lie side by side in a version directory, with our own files."""
    names = [posixpath.basename(path) for path in artifact.paths]
    if len(set(names)) < len(names):
        raise Corrupt(
            f"two files of {artifact.model} would be named {names[0]}",
            "give the artifact and its self-test names of their own",
        )
    for name in set(names).intersection(manifest.OWN):
        raise Corrupt(
            f"a file of {artifact.model} would be named {name}, which is tagship's own",
            "give it another name",
        )


def pipeline_at(blobs: git.Blobs, commit: str, folder: str, path: str) -> list[Stage]:
    """The stages of every dvc.lock from the artifact's folder up, and of its dvc.yaml's folder."""
    found: list[Stage] = []
    for where in dict.fromkeys([folder, "", *stages.parents(path)]):
        name = posixpath.join(where, config.LOCK_FILE)
        lock = blobs.read(commit, name)
        if lock is not None:
            pipeline = blobs.read(commit, posixpath.join(where, config.PIPELINE_FILE)) or b""
            found += stages.read(name, lock, pipeline)
    return found


def find_out(
    repository: git.Repository, blobs: git.Blobs, commit: str, pipeline: list[Stage], path: str
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
    entries = blobs.tree(commit, path)
    if entries:  # a stage's output with cache: false is Git's to keep
        _check_no_pointers(repository, entries)
        return replace(_git_out(path, entries), stage=found.stage if found else None)
    names = git.paths(repository, commit)
    dvc_files = [name for name in names if name.endswith(".dvc")]
    locks = [name for name in names if posixpath.basename(name) == config.LOCK_FILE]
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


def _in_dvc_files(blobs: git.Blobs, commit: str, names: list[str], path: str) -> Out | None:
    for name in names:
        # one that cannot be read, and is not the model's own, is somebody else's trouble
        with contextlib.nullcontext() if name == f"{path}.dvc" else contextlib.suppress(Corrupt):
            found = _in_dvc_file(blobs, commit, name, path)
            if found:
                return found
    return None


def _in_dvc_file(blobs: git.Blobs, commit: str, name: str, path: str) -> Out | None:
    data = blobs.read(commit, name)
    if data is None:
        return None
    content = config.parse(data, name)
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
        _hex(digest.removesuffix(".dir"))
    except ValueError:
        told = digest if len(digest) < 64 else f"{digest[:64]}..."
        raise Corrupt(
            f"{pointer} has {told!r} for an md5", f"mend {pointer} and commit it"
        ) from None
    if not isinstance(size, int | None) or not isinstance(remote, str | None) or (size or 0) < 0:
        raise Corrupt(f"{pointer} is not of DVC's form", f"mend {pointer} and commit it")
    hash_name = MD5 if out.get("hash") == MD5 else LEGACY_MD5
    wanted = Object(hash_name, digest, size, remote)
    within = "" if path == out_path else posixpath.relpath(path, out_path)
    return Out(path, (wanted,), pointer, within, (), (bool(out.get("isexec")),), stage)


def _check_no_pointers(repository: git.Repository, entries: list[git.Entry]) -> None:
    """Refuse what Git LFS keeps: the commit has a pointer of some hundred bytes, not the model."""
    small = [
        entry for entry in entries if entry.mode.startswith("100") and entry.size < LFS_LARGEST
    ]
    found = git.small_blobs(repository, [entry.blob for entry in small]) if small else []
    for entry, data in zip(small, found, strict=True):
        if data.startswith(LFS_HEAD):
            raise Corrupt(
                f"{entry.path} is kept by Git LFS, which tagship does not read",
                f"git lfs untrack {entry.path} && git rm --cached {entry.path}"
                f" && dvc add {entry.path}",
            )


def _git_out(path: str, entries: list[git.Entry]) -> Out:
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


def _metric_paths(
    blobs: git.Blobs, commit: str, artifact: config.Artifact, related: list[Stage], *, alone: bool
) -> dict[str, None]:
    """The metric files of the related stages, and those on dvc.yaml's top level that are theirs.

    Where no stage is related (a model from ``dvc add``), all of the top level's are taken if the
    model is alone in its dvc.yaml; else those that name it, or lie beside it.
    """
    folder, name = config.pipeline_of(artifact.model)
    top = config.parse(blobs.read(commit, name) or b"", name).get("metrics")
    paths = {path: None for stage in related for path in stage.metrics}
    outs = {path for stage in related for path in stage.outs}
    for path in (stages.join(folder, one) for one in stages.metric_files(top)):
        if any(stages.holds(out, path) for out in outs) or (
            not related and (alone or _is_named(artifact, path))
        ):
            paths[path] = None
    return paths


def _is_named(artifact: config.Artifact, path: str) -> bool:
    """``metrics/churn.json``, ``churn/metrics.json``, or a file in the folder of the artifact."""
    *folders, file = path.split("/")
    model = artifact.model.rpartition(":")[2]
    beside = posixpath.dirname(path) == posixpath.dirname(artifact.path) != ""
    return model in (*folders, posixpath.splitext(file)[0]) or beside


def _metric_outs(
    repository: git.Repository,
    blobs: git.Blobs,
    commit: str,
    pipeline: list[Stage],
    paths: Iterable[str],
) -> Iterator[Out]:
    for path in paths:
        entries = blobs.tree(commit, path)
        if entries:
            yield _git_out(path, entries)
        else:
            with contextlib.suppress(NotFound):  # declared, and not there at this commit
                yield find_out(repository, blobs, commit, pipeline, path)


def _params(blobs: git.Blobs, commit: str, related: list[Stage]) -> Any:
    if related:
        return config.plain({k: v for stage in related for k, v in stage.params.items()})
    whole = config.parse(blobs.read(commit, config.PARAMS_FILE) or b"", config.PARAMS_FILE)
    return config.plain({key: value for key, value in whole.items() if key != "deploy"})


def stale(taken: Snapshot, blobs: git.Blobs) -> list[str]:
    """What the commit has otherwise than when its stages made the model: files, and parameters.

    Compared are the files that Git keeps, and params.yaml, with what dvc.lock recorded.
    """
    params = config.parse(blobs.read(taken.commit, config.PARAMS_FILE) or b"", config.PARAMS_FILE)
    found: dict[str, None] = {}
    for stage in taken.makers:
        for path, md5 in stage.deps.items():
            data = None if md5 is None else blobs.read(taken.commit, path)
            if data is not None and md5 not in _md5s(data):
                found[path] = None
        for name, value in stage.params.items():
            if ":" not in name and _parameter(params, name) != value:
                found[f"{name} in {config.PARAMS_FILE}"] = None
    return list(found)


def _md5s(data: bytes) -> set[str]:
    """DVC 3's digest of a file, and DVC 2's, which knew one kind of line end."""
    return {
        hashlib.md5(text, usedforsecurity=False).hexdigest()
        for text in (data, data.replace(b"\r\n", b"\n"))
    }


def _parameter(params: dict[str, Any], dotted: str) -> Any:
    value: Any = params
    for part in dotted.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def metrics(taken: Snapshot, blobs: git.Blobs, cache: Cache) -> dict[str, Any]:
    """The model's metrics, flat (``valid.accuracy``), from JSON, YAML or TOML files.

    A metric file that neither Git nor this machine's cache holds is passed over.
    """
    found: dict[str, Any] = {}
    for out in taken.metric_outs:
        data = content(out, taken.commit, blobs, cache)
        if data is not None and not out.within:
            found.update(_flat(_values(data, out.path)))
    return found


def content(out: Out, commit: str, blobs: git.Blobs, cache: Cache) -> bytes | None:
    """The bytes of a small file at a commit; None where neither Git nor the cache here has them."""
    return blobs.read(commit, out.path) if out.names else cached(cache, out.objects[0])


def cached(cache: Cache, wanted: Object) -> bytes | None:
    """The bytes of a small object; None where the cache here has it not, or has others."""
    path = cache.path(wanted)
    if wanted.is_list or not path.is_file():
        return None
    data = path.read_bytes()
    return data if matches(wanted, path, hashlib.md5(data).hexdigest()) else None  # noqa: S324


def _values(data: bytes, name: str) -> Any:
    if name.endswith(".toml"):
        try:
            return tomllib.loads(data.decode())
        except ValueError:
            raise Corrupt(
                f"{name} is no readable TOML", "mend it, or write it again: dvc repro"
            ) from None
    if name.endswith(".json"):
        try:
            return fields.parse(data, strict=False)
        except ValueError:
            raise Corrupt(
                f"{name} is no readable JSON", "mend it, or write it again: dvc repro"
            ) from None
    return config.parse(data, name)


def _flat(value: Any) -> dict[str, Any]:
    """Numbers and texts of nested mappings; NaN and infinities, which JSON has not, as texts."""
    flat = config.flat(value) if isinstance(value, dict) else {}
    return {
        name: str(one) if isinstance(one, float) and not math.isfinite(one) else one
        for name, one in flat.items()
        if name and isinstance(one, int | float | str | bool)
    }


def files(taken: Snapshot, fetch: Fetcher) -> tuple[TrackedFile, ...]:
    """Every file of a version, lists of files opened; what the cache lacks is fetched.

    Raises:
        Corrupt: a list holds a path that leaves the version directory.
        Unavailable: an object is in neither cache nor remote.
    """
    return tuple(file for out in taken.outs for file in files_of(out, fetch))


def files_of(out: Out, fetch: Fetcher) -> Iterator[TrackedFile]:
    """The files of one out; those of a tracked folder from its list, which is hashed."""
    base = posixpath.basename(out.path)
    if out.names:
        for name, blob, executable in zip(out.names, out.objects, out.executable, strict=True):
            yield TrackedFile(
                check_path(posixpath.join(base, name) if name else base), blob, executable
            )
        return
    wanted = out.objects[0]
    if not wanted.is_list:
        yield TrackedFile(check_path(base), wanted, out.executable[0])
        return
    listed = 0
    for name, inner in _read_list(wanted, base, fetch):
        if stages.holds(out.within, name) if out.within else True:
            rest = posixpath.relpath(name, out.within) if out.within else name
            yield TrackedFile(check_path(base if rest == "." else f"{base}/{rest}"), inner)
            listed += 1
    if not listed:
        raise NotFound(f"{out.path} is not in the tracked folder", f"see {out.pointer}")


def _read_list(wanted: Object, name: str, fetch: Fetcher) -> list[tuple[str, Object]]:
    wanted = replace(wanted, size=None)
    fetch([wanted])
    path = fetch.cache.path(wanted)
    data = _bytes_of_list(wanted, path)
    if data is None:
        if fetch.offline:  # who only looks changes no cache
            raise bad_object(wanted, path)
        _fetch_again(wanted, f"the list of {name}", fetch)
        data = _bytes_of_list(wanted, path)
    if data is None:
        raise _restless(path)
    try:
        listed = [
            (check_path(_text(entry["relpath"])),
             Object(wanted.hash_name, _hex(entry["md5"]), None, wanted.remote))
            for entry in json.loads(data)
        ]  # fmt: skip
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Corrupt(
            f"the list of files {wanted} cannot be read", "release the model again"
        ) from None
    _check_apart([path for path, _ in listed], wanted)
    return listed


def _check_apart(names: list[str], wanted: Object) -> None:
    """Refuse a list that names a file twice, or a file and a folder alike."""
    folders = {above for name in names for above in stages.parents(name)}
    twice = {name for name, count in Counter(names).items() if count > 1} | (folders & set(names))
    if twice:
        raise Corrupt(
            f"the list of files {wanted} has two things of the name {min(twice)!r}",
            "release the model again",
        )


def _bytes_of_list(wanted: Object, path: Path) -> bytes | None:
    """What an object of the cache holds; None where it is not what its name says."""
    try:
        data = manifest.read(path)
    except manifest.Unreadable:
        return None
    return data if matches(wanted, path, hashlib.md5(data).hexdigest()) else None  # noqa: S324 - DVC's


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _hex(text: Any) -> str:
    if not isinstance(text, str) or len(text) != 32 or set(text) - set("0123456789abcdef"):
        raise ValueError(text)
    return text


def copy(
    file: TrackedFile,
    blobs: git.Blobs,
    fetch: Fetcher,
    target: Path,
    advance: Advance | None = None,
) -> File:
    """Put one file into a version directory, every byte hashed and compared.

    An object of the cache that has other bytes is dropped and fetched once more.

    Raises:
        Corrupt: the bytes are not what the commit says.
        Unavailable: they cannot be had.
    """
    atomic.make_folder(target.parent)
    if file.object.hash_name == GIT:
        blobs.write(file.object.digest, target)
        digests = manifest.digest(target, advance)
        if _blob_id(target) != file.object.digest:
            raise Corrupt(f"Git has other bytes for {file.path} than its commit says", "git fsck")
    else:
        digests = _copy_cached(file, fetch, target, advance)
    if file.executable:
        target.chmod(0o755)
    return File(file.path, digests.size, digests.md5, digests.sha256, file.executable)


def digest(file: TrackedFile, blobs: git.Blobs, fetch: Fetcher) -> File:
    """What ``copy`` would write, without a copy of what lies in the cache.

    Raises:
        Corrupt, Unavailable: as ``copy``.
    """
    if file.object.hash_name == GIT:  # Git's own are small
        with tempfile.TemporaryDirectory() as folder:
            return copy(file, blobs, fetch, Path(folder, "blob"))
    fetch([file.object])
    source = fetch.cache.path(file.object)
    digests = _hashed(file, fetch, source, lambda: manifest.digest(source))
    return File(file.path, digests.size, digests.md5, digests.sha256, file.executable)


def _copy_cached(
    file: TrackedFile, fetch: Fetcher, target: Path, advance: Advance | None
) -> manifest.Digests:
    def copied() -> manifest.Digests:
        target.unlink(missing_ok=True)
        return manifest.copy(fetch.cache.path(file.object), target, advance)

    return _hashed(file, fetch, target, copied)


def _hashed(
    file: TrackedFile, fetch: Fetcher, path: Path, read: Callable[[], manifest.Digests]
) -> manifest.Digests:
    """What ``read`` hashes of an object of the cache, which is at ``path`` then.

    Where the cache has other bytes, or none that can be read, it is fetched and read once more.
    """
    with contextlib.suppress(manifest.Unreadable):
        digests = read()
        if matches(file.object, path, digests.md5):
            return digests
    _fetch_again(file.object, file.path, fetch)
    digests = read()
    if not matches(file.object, path, digests.md5):
        raise _restless(fetch.cache.path(file.object))
    return digests


def _fetch_again(wanted: Object, name: str, fetch: Fetcher) -> None:
    """Drop a bad object of the cache, and fetch it once more."""
    fetch.cache.drop(wanted)
    try:
        fetch([wanted])
    except Unavailable as error:
        raise Corrupt(
            f"the DVC cache had other bytes for {name} than it was released with,"
            f" and they cannot be fetched again: {error.message}",
            "dvc push from a machine that has them, then try again",
        ) from None


def _restless(path: Path) -> Corrupt:
    return Corrupt(f"{path} changes while it is read", "look who writes into the DVC cache")


def _blob_id(path: Path) -> str:
    sha1 = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(manifest.BLOCK):
            sha1.update(block)
    return sha1.hexdigest()


def list_objects(taken: Snapshot, fetch: Fetcher) -> list[Object]:
    """Every DVC object that a version needs: lists, and the files in them."""
    lists = [one for out in taken.outs for one in out.objects if one.is_list]
    inner = [file.object for file in files(taken, fetch)]
    return [one for one in (*inner, *lists) if one.hash_name != GIT]
