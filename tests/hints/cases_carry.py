"""Trials of the hints of capsules, and of the folder that carries them."""

from pathlib import Path

from tagship.carry.carrier import LARGEST_INDEX
from tests.hints.trials import trial
from tests.workbench import PATH, Workbench, track

RELEASE = "release churn --push --capsule"
ASSIGN = "assign churn@1.0.0 prod --push --capsule"


def _place(bench: Workbench) -> Path:
    return bench.repo.parent / "dvc-remote"


def _pushed(bench: Workbench) -> None:
    bench.release()
    bench.git("push", "--quiet", "--tags", "origin")


def _index(bench: Workbench, data: str) -> None:
    path = _place(bench) / "tagship" / "churn" / "index.json"
    path.parent.mkdir(parents=True)
    path.write_text(data)


def _set(bench: Workbench, name: str, *value: str) -> None:
    bench.dvc("remote", "modify", "--quiet", "--local", "store", name, *value)


def _unset(bench: Workbench) -> None:
    (bench.repo / ".dvc" / "config.local").unlink()


@trial(
    "carry.folder.Folder._open", "release.capsules.after_push", "release.publish.publish",
    command=RELEASE, does="namei -l", by=lambda bench: (_place(bench) / "tagship").unlink(),
)  # fmt: skip
def a_file_where_capsules_would_be(bench: Workbench) -> None:
    (_place(bench) / "tagship").write_text("")


@trial(
    "carry.folder.Folder._check_file", "release.capsules.after_push",
    command=RELEASE, does="mv ...;", shell=True,
)  # fmt: skip
def a_folder_where_an_index_would_be(bench: Workbench) -> None:
    (_place(bench) / "tagship" / "churn" / "index.json").mkdir(parents=True)


@trial(
    "carry.folder.Folder._check_there", command=RELEASE, does="mount it, or make it",
    by=lambda bench: _place(bench).mkdir(),
)  # fmt: skip
def a_model_in_git_and_no_folder_for_its_capsule(bench: Workbench) -> None:
    _place(bench).rmdir()
    bench.git("rm", "--quiet", "--cached", f"{PATH}.dvc")
    for name in (f"{PATH}.dvc", "models/churn/.gitignore"):
        (bench.repo / name).unlink()
    bench.commit()


@trial("carry.places", command=ASSIGN, does="give a folder", by=_unset)
def a_remote_that_carries_nothing(bench: Workbench) -> None:
    _pushed(bench)
    _set(bench, "url", "ssh://example.com/dvc")


@trial("release.capsules.place_of", command=ASSIGN, does="use a remote without version_aware",
       by=_unset)  # fmt: skip
def a_remote_that_keeps_files_by_their_paths(bench: Workbench) -> None:
    _pushed(bench)
    _set(bench, "url", "s3://bucket/dvc")
    _set(bench, "version_aware", "true")


@trial("release.capsules._index", command=lambda bench: bench.manager.publish_capsules(),
       does="remove tagship/churn/index.json",
       by=lambda bench: (_place(bench) / "tagship/churn/index.json").unlink())  # fmt: skip
def an_index_without_end(bench: Workbench) -> None:
    _pushed(bench)
    _index(bench, "{")
    with (_place(bench) / "tagship/churn/index.json").open("r+b") as file:
        file.truncate(LARGEST_INDEX + 1)


@trial("release.capsules._index/2", command=lambda bench: bench.manager.publish_capsules(),
       does="git fetch --tags")  # fmt: skip
def a_damaged_index_and_a_clone_without_a_tag(bench: Workbench) -> None:
    _pushed(bench)
    bench.git("tag", "--annotate", "--message", "x", "churn@v1.1.0-rc.1")
    bench.git("push", "--quiet", "--tags", "origin")
    _index(bench, "{")
    bench.git("tag", "--delete", "churn@v1.1.0-rc.1")


def _tracked(bench: Workbench) -> None:
    bench.git("rm", "--quiet", "--cached", PATH)
    track(bench.repo, PATH)
    bench.commit()


@trial("workspace.encapsulate.too_large", command=RELEASE, does="have DVC keep it", by=_tracked)
def a_large_model_in_git(bench: Workbench) -> None:
    for name in (f"{PATH}.dvc", "models/churn/.gitignore"):
        (bench.repo / name).unlink()
    with open(bench.repo / PATH, "wb") as file:
        file.truncate((64 << 20) + 1)
    bench.commit()
