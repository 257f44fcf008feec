"""A DVC remote that is not a folder: S3, as a real HTTP server on this machine.

Also one that is ``version_aware``: it has the files by their paths, and DVC records their versions.
"""

import contextlib
import os
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tagship import Corrupt, Refused, Unavailable
from tests.workbench import PATH, Workbench, run


@pytest.fixture
def bucket(bench: Workbench) -> Iterator[Any]:
    """The remote of ``bench`` is a bucket ``models`` of a server on loopback."""
    pytest.importorskip("dvc_s3")
    moto = pytest.importorskip("moto.server")
    import boto3

    with contextlib.ExitStack() as stack:
        server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
        server.start()
        stack.callback(server.stop)
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            bench.monkeypatch.setenv(name, "sesame")
        bench.monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        bench.monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
        client = boto3.resource("s3", endpoint_url=url)
        reset = urllib.request.Request(f"{url}/moto-api/reset", method="POST")
        urllib.request.urlopen(reset).close()  # the server's state is this process's
        created = client.create_bucket(Bucket="models")
        bench.dvc("remote", "add", "--quiet", "--force", "--default", "store", "s3://models/churn")
        bench.dvc("remote", "modify", "--quiet", "--local", "store", "endpointurl", url)
        bench.commit("Keep the models in a bucket")
        yield created


def _empty_cache(bench: Workbench) -> None:
    shutil.rmtree(bench.repo / ".dvc/cache")


def test_a_release_goes_to_the_bucket_and_a_deploy_comes_from_it(
    bench: Workbench, bucket: Any
) -> None:
    bench.release()
    assert [stored.key.split("/")[:3] for stored in bucket.objects.all()] == [
        ["churn", "files", "md5"]
    ]
    _empty_cache(bench)
    bench.manager.deploy()
    assert bench.live() == "model 1\n"


def test_a_folder_goes_to_the_bucket_and_comes_from_it(bench: Workbench, bucket: Any) -> None:
    (bench.repo / "bundle").mkdir()
    for number in range(20):
        (bench.repo / f"bundle/part-{number}").write_text(f"part {number}\n")
    (bench.repo / "dvc.yaml").write_text("artifacts:\n  churn:\n    path: bundle\n")
    bench.track("bundle")
    bench.commit()
    assert bench.manager.release().pushed_objects == 21
    _empty_cache(bench)
    path = bench.manager.deploy().path / "bundle"
    assert {p.name: p.read_text() for p in path.iterdir()} == {
        f"part-{number}": f"part {number}\n" for number in range(20)
    }


def test_bytes_that_were_changed_in_the_bucket_never_enter_the_cache(
    bench: Workbench, bucket: Any
) -> None:
    bench.release()
    _empty_cache(bench)
    (stored,) = bucket.objects.all()
    stored.put(Body=b"model X\n")
    with pytest.raises(Corrupt, match="the DVC remote has other bytes for md5:"):
        bench.manager.deploy()
    assert not bench.current.is_symlink()
    assert [f for _, _, files in os.walk(bench.repo / ".dvc/cache/files") for f in files] == []


def test_what_the_bucket_lacks_is_named(bench: Workbench, bucket: Any) -> None:
    bench.release()
    _empty_cache(bench)
    bucket.objects.all().delete()
    with pytest.raises(Unavailable, match="is in neither the DVC cache nor the DVC remote"):
        bench.manager.deploy()


def test_a_bucket_that_does_not_answer_leaves_no_tag(bench: Workbench, bucket: Any) -> None:
    bench.dvc(
        "remote", "modify", "--quiet", "--local", "store", "endpointurl", "http://127.0.0.1:9"
    )
    bench.commit()
    with pytest.raises(Unavailable) as caught:
        bench.manager.release()
    assert "sesame" not in caught.value.message
    assert caught.value.hint == (
        "is http://127.0.0.1:9 reachable from here?"
        " If it is down, ask who runs it: what is live stays live, so change nothing."
        " If the address is wrong: dvc remote modify --local store endpointurl URL"
    )
    assert bench.git("tag") == ""


# --- version_aware


@pytest.fixture(params=["version_aware", "worktree"])
def versioned(request: pytest.FixtureRequest, bench: Workbench, bucket: Any) -> Any:
    """The bucket keeps versions, and DVC is told so in one of its two ways."""
    bucket.Versioning().enable()
    bench.dvc("remote", "modify", "--quiet", "store", request.param, "true")
    bench.commit("Keep versions")
    return bucket


@pytest.fixture
def aware(bench: Workbench, bucket: Any) -> Any:
    """The first of the two alone, for what does not differ."""
    bucket.Versioning().enable()
    bench.dvc("remote", "modify", "--quiet", "store", "version_aware", "true")
    bench.commit("Keep versions")
    return bucket


def folder(bench: Workbench) -> None:
    """The model is a folder, and a part of it an executable file."""
    (bench.repo / "bundle/deep").mkdir(parents=True)
    (bench.repo / "bundle/model.bin").write_text("bundled\n")
    (bench.repo / "bundle/deep/run.sh").write_text("echo hello\n")
    (bench.repo / "dvc.yaml").write_text("artifacts:\n  churn:\n    path: bundle\n")
    bench.track("bundle")
    bench.commit("Track a folder")


def pushed(bench: Workbench) -> None:
    """``dvc push``, and the versions that it recorded committed."""
    bench.dvc("push", "--quiet")
    bench.commit("Record the versions")


def elsewhere(bench: Workbench) -> Workbench:
    """A clone whose cache is empty; the address of the server is its own."""
    local = bench.repo / ".dvc/config.local"
    bench.git("push", "--quiet", "origin", "HEAD:main")
    run(bench.repo.parent, "git", "clone", "--quiet", "origin.git", "clone")
    clone = Workbench(bench.repo.parent / "clone", bench.monkeypatch, bench.capture)
    shutil.copyfile(local, clone.repo / ".dvc/config.local")
    return clone


def test_a_version_of_a_file_is_released_and_deployed_elsewhere(
    bench: Workbench, versioned: Any
) -> None:
    pushed(bench)
    released = bench.manager.release(push_branch=True)
    assert (released.pushed_objects, released.size, released.warnings) == (0, 8, ())
    bench.train("model 2\n")  # the remote has another file under the same path by now
    pushed(bench)
    bench.manager.release(push=True)
    clone = elsewhere(bench)
    clone.manager.deploy("1.0.0")
    assert clone.live() == "model 1\n"
    clone.manager.deploy("1.1.0")
    assert clone.live() == "model 2\n"


def test_a_version_of_a_folder_is_released_and_deployed_elsewhere(
    bench: Workbench, versioned: Any
) -> None:
    folder(bench)
    before = bench.manager.source.snapshot("HEAD", "churn").identity
    pushed(bench)
    assert "files:" in (bench.repo / "bundle.dvc").read_text()
    assert bench.manager.source.snapshot("HEAD", "churn").identity == before
    assert bench.manager.release(push=True).size == 19
    clone = elsewhere(bench)
    path = clone.manager.deploy().path / "bundle"
    assert {p.relative_to(path).as_posix(): p.read_text() for p in path.rglob("*.*")} == {
        "model.bin": "bundled\n", "deep/run.sh": "echo hello\n",
    }  # fmt: skip
    clone.manager.verify()


def test_outputs_of_a_stage_are_deployed_from_their_versions(bench: Workbench, aware: Any) -> None:
    (bench.repo / "dvc.yaml").write_text(
        "stages:\n  train:\n    cmd: mkdir -p out && echo model > out/model.bin\n    outs: [out]\n"
        "artifacts:\n  churn:\n    path: out/model.bin\n"
    )
    bench.dvc("repro", "--quiet")
    bench.commit()
    pushed(bench)
    bench.manager.release(push=True)
    clone = elsewhere(bench)
    clone.manager.deploy()
    assert clone.live() == "model\n"
    assert str(clone.manager.show().lineage[0]["outs"][0]["md5"]).endswith(".dir")


def test_a_model_of_a_dvc_repository_in_a_folder_is_found_by_its_path_there(
    bench: Workbench, aware: Any
) -> None:
    """``dvc init --subdir``: the paths in the remote are from that folder."""
    project = bench.repo / "team"
    project.mkdir()
    shutil.move(bench.repo / ".dvc", project / ".dvc")
    (project / "model.bin").write_text("of the team\n")
    Workbench(project, bench.monkeypatch, bench.capture).dvc("add", "--quiet", "model.bin")
    (project / "dvc.yaml").write_text("artifacts:\n  fraud:\n    path: model.bin\n")
    bench.commit()
    team = Workbench(project, bench.monkeypatch, bench.capture)
    team.dvc("push", "--quiet")
    bench.commit("Record the versions")
    assert [stored.key for stored in aware.objects.all()] == ["churn/model.bin"]
    assert team.cli("release", "team:fraud").code == 0
    shutil.rmtree(project / ".dvc/cache")
    result = team.cli("deploy", "team:fraud", "--yes")
    exclude = bench.repo / ".git/info/exclude"
    assert (result.code, result.err) == (
        0,
        f"note: Git now ignores deployed files in this clone, by {exclude}; for all clones: tagship"
        " init\n",
    )


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_dvc_push_has_not_recorded_is_told_by_the_name_of_the_remote(
    bench: Workbench, versioned: Any, kind: str
) -> None:
    place, pointer = PATH, f"{PATH}.dvc"
    if kind == "folder":
        folder(bench)
        place, pointer = "bundle", "bundle.dvc"
    bench.refuses(
        "release churn",
        f"the remote store is version_aware, and {pointer} has no version of {place} there, which"
        " dvc push records",
        f'dvc push {place} && git add {pointer} && git commit -m "..."',
    )
    bench.git("tag", "-m", "by GTO", "churn@v1.0.0")
    _empty_cache(bench)
    with pytest.raises(Unavailable, match="the remote store is version_aware, and the commit has"):
        bench.manager.deploy()
    assert list(versioned.objects.all()) == []


def test_a_folder_of_which_a_file_is_new_is_pushed_first(bench: Workbench, aware: Any) -> None:
    """DVC keeps the versions of the other files."""
    folder(bench)
    pushed(bench)
    (bench.repo / "bundle/new").write_text("new\n")
    bench.dvc("add", "--quiet", "bundle")
    bench.commit()
    with pytest.raises(Refused, match="has no version of bundle there"):
        bench.release()
    pushed(bench)
    assert bench.release() == "1.0.0"


def test_a_version_that_is_gone_from_the_bucket_is_not_released_and_not_deployed(
    bench: Workbench, aware: Any
) -> None:
    pushed(bench)
    bench.git("tag", "-m", "by GTO", "churn@v1.0.0")
    (version,) = aware.object_versions.all()
    version.delete()
    said = (
        "is in neither the DVC cache nor the DVC remote store, s3://models/churn:"
        f" {PATH} of version {version.id}"
    )
    with pytest.raises(Unavailable, match=said):
        bench.manager.release(version="2.0.0", force=True)
    _empty_cache(bench)
    with pytest.raises(Unavailable, match=said):
        bench.manager.deploy()


def test_a_version_with_other_bytes_than_its_md5_never_enters_the_cache(
    bench: Workbench, aware: Any
) -> None:
    pushed(bench)
    theirs = aware.Object(f"churn/{PATH}").put(Body=b"model X\n")["VersionId"]
    (ours,) = [version.id for version in aware.object_versions.all() if version.id != theirs]
    pointer = Path(bench.repo / f"{PATH}.dvc")
    pointer.write_text(pointer.read_text().replace(ours, theirs))
    bench.commit()
    bench.release()
    _empty_cache(bench)
    with pytest.raises(Corrupt, match="the DVC remote has other bytes for md5:"):
        bench.manager.deploy()
    assert [f for _, _, files in os.walk(bench.repo / ".dvc/cache/files") for f in files] == []


def test_a_versioned_remote_of_one_output_alone_is_used_for_it(
    bench: Workbench, aware: Any
) -> None:
    bench.dvc("remote", "add", "--quiet", "--default", "local", "../dvc-remote")
    pointer = bench.repo / f"{PATH}.dvc"
    pointer.write_text(pointer.read_text() + "  remote: store\n")
    bench.commit()
    pushed(bench)
    bench.release()
    _empty_cache(bench)
    bench.manager.deploy()
    assert bench.live() == "model 1\n"
    assert not any((bench.repo.parent / "dvc-remote").iterdir())


@pytest.mark.parametrize(
    "files",
    [
        "7", "[7]", "[{relpath: a}]", "[{relpath: ../a, md5: %s}]", "[{relpath: [a], md5: %s}]",
        "[{relpath: a, md5: x}]", "[{relpath: a, md5: %s}, {relpath: a, md5: %s}]",
        "[{relpath: a, md5: %s}, {relpath: a/b, md5: %s}]", "[{relpath: //a, md5: %s}]",
        "[{relpath: a, md5: %s, cloud: {store: {version_id: [1]}}}]",
    ],
)  # fmt: skip
def test_a_list_of_files_that_cannot_be_is_refused(bench: Workbench, files: str) -> None:
    listed = files.replace("%s", "a" * 32)
    (bench.repo / f"{PATH}.dvc").write_text(
        f"outs:\n- hash: md5\n  path: model.bin\n  files: {listed}\n"
    )
    bench.commit()
    result = bench.cli("release", "churn")
    assert result.code == 1
    assert "should not have happened" not in result.err
    assert bench.git("tag") == ""
