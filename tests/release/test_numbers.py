"""The number of a release, and whether it is new, where tags are not in this clone."""

from pathlib import Path

import pytest
from semver import Version

from tagship.errors import Refused
from tagship.registry.catalog import Catalog
from tagship.registry.refs import TagName
from tagship.registry.tags import RemoteTag
from tagship.release import numbers
from tests.workbench import Workbench, run


def shallow(bench: Workbench, tmp_path: Path) -> Workbench:
    """A clone of one commit without tags, as CI makes it."""
    run(tmp_path, "git", "clone", "--quiet", "--depth=1", "--no-tags",
        f"file://{tmp_path}/origin.git", "ci")  # fmt: skip
    return Workbench(tmp_path / "ci", bench.monkeypatch, bench.capture)


def push(bench: Workbench) -> None:
    bench.git("push", "--quiet", "origin", "main", "--tags")


def change_docs(bench: Workbench) -> None:
    (bench.repo / "README").write_text(bench.git("rev-parse", "HEAD"))
    bench.commit()
    push(bench)


def remote_tag(*, annotated: bool = True) -> RemoteTag:
    return RemoteTag("a" * 40, "b" * 40, annotated)


@pytest.mark.parametrize(
    ("theirs", "elsewhere"),
    [
        (["m@v1.0.0"], ["1.0.0"]),
        (["m@v1.0.0#3"], ["1.0.0"]),
        (["m@v1.0.0", "m@v1.1.0", "m@v1.1.0!"], ["1.0.0"]),
        (["m@v1.0.0", "m@v1.0.0!#2"], []),
        (["m#prod", "m@deprecated"], []),
    ],
)
def test_versions_of_the_remote_alone(theirs: list[str], elsewhere: list[str]) -> None:
    names = {TagName.parse(text): remote_tag() for text in theirs}
    known = numbers.Known(Catalog("m"), "origin", {n: t for n, t in names.items() if n})
    assert [str(version) for version in known.elsewhere] == elsewhere


def test_a_lightweight_tag_of_the_remote_takes_a_number_and_is_no_version() -> None:
    name = TagName.parse("m@v1.0.0")
    assert name
    known = numbers.Known(Catalog("m"), "origin", {name: remote_tag(annotated=False)})
    assert known.elsewhere == {}
    assert numbers.next_version(known, "minor") == (Version(1, 1), [])


@pytest.mark.parametrize(
    ("theirs", "deployed", "following", "notes"),
    [
        ([], [], "1.0.0", 0),
        ([], ["1.3.0"], "1.4.0", 1),
        (["m@v1.3.0"], ["1.3.0"], "1.4.0", 0),
        (["m@v2.0.0"], ["1.3.0"], "2.1.0", 0),
        (["m@v1.0.0"], ["1.3.0", "1.2.0"], "1.4.0", 1),
        ([], ["1.3.0-rc.1"], "1.3.0", 1),
    ],
)
def test_the_next_number_is_above_what_was_deployed(
    theirs: list[str], deployed: list[str], following: str, notes: int
) -> None:
    names = {TagName.parse(text): remote_tag() for text in theirs}
    known = numbers.Known(
        Catalog("m"), "origin", {n: t for n, t in names.items() if n},
        tuple(map(Version.parse, deployed)),
    )  # fmt: skip
    version, told = numbers.next_version(known, "minor")
    assert (str(version), len(told)) == (following, notes)


def test_a_number_that_was_deployed_here_is_not_given_again(shipped: Workbench) -> None:
    shipped.git("tag", "--delete", "churn@v1.1.0")
    shipped.train("model 3\n")
    shipped.refuses(
        "release churn --version 1.1.0",
        "churn 1.1.0 was deployed here, from a tag that is not in this clone",
        "git fetch --tags; or: release another version",
    )
    released = shipped.manager.release()
    assert str(released.version) == "1.2.0"
    assert released.warnings == (
        "1.1.0 was deployed here, and its tag is neither in this clone nor on a remote",
    )


def test_an_unreadable_history_hinders_no_release(shipped: Workbench) -> None:
    (shipped.folder / "deployment_history.json").write_text("[")
    assert shipped.release("model 3\n") == "1.2.0"


def test_pushes_that_change_only_the_docs_make_no_version(bench: Workbench, tmp_path: Path) -> None:
    bench.manager.release(push=True)
    change_docs(bench)
    ci = shallow(bench, tmp_path)
    refs = ci.git("for-each-ref")
    told = ci.cli("release", "churn", "--push")
    assert (told.code, told.out) == (1, "")
    assert told.err == (
        "error: the bytes of churn are those of 1.0.0, which origin has\n"
        "hint: train it again; or deploy it: git fetch --tags && tagship deploy churn@1.0.0\n"
    )
    assert ci.git("for-each-ref") == refs
    assert not (ci.repo / ".git/FETCH_HEAD").exists()
    assert ci.cli("release", "churn", "--push", "--force").code == 0
    assert ci.git("tag") == "churn@v1.1.0\n"


def test_other_bytes_are_released_from_a_clone_of_one_commit(
    bench: Workbench, tmp_path: Path
) -> None:
    bench.manager.release(push=True)
    bench.train("model 2\n")
    bench.dvc("push", "--quiet")
    push(bench)
    ci = shallow(bench, tmp_path)
    assert str(ci.manager.release(push=True).version) == "1.1.0"


def test_a_tag_of_gto_has_no_digest_so_it_must_be_fetched(bench: Workbench, tmp_path: Path) -> None:
    bench.git("tag", "--annotate", "--message=Registering", "churn@v1.0.0")
    change_docs(bench)
    ci = shallow(bench, tmp_path)
    with pytest.raises(Refused, match="is not in this clone, and may have the same bytes") as error:
        ci.manager.release()
    assert error.value.hint.startswith("git fetch --tags;")
    ci.git("fetch", "--quiet", "--tags")
    with pytest.raises(Refused, match=r"the bytes of churn are those of 1\.0\.0"):
        ci.manager.release()


def test_a_full_clone_without_the_tag_compares_with_its_commit(bench: Workbench) -> None:
    bench.git("tag", "--annotate", "--message=Registering", "churn@v1.0.0")
    change_docs(bench)
    bench.git("tag", "--delete", "churn@v1.0.0")
    with pytest.raises(Refused, match=r"the bytes of churn are those of 1\.0\.0, which origin"):
        bench.manager.release()
    assert not (bench.repo / ".git/shallow").exists()


def test_a_full_clone_stays_one_where_it_fetches_a_tag(bench: Workbench, tmp_path: Path) -> None:
    """Somebody released from a branch that this clone has not fetched."""
    run(tmp_path, "git", "clone", "--quiet", "origin.git", "other")
    other = Workbench(tmp_path / "other", bench.monkeypatch, bench.capture)
    (other.repo / "README").write_text("theirs\n")
    other.commit()
    bench.dvc("push", "--quiet")
    other.manager.release(push=True)
    change_docs(bench)
    with pytest.raises(Refused, match=r"the bytes of churn are those of 1\.0\.0, which origin has"):
        bench.manager.release()
    assert not (bench.repo / ".git/shallow").exists()
    assert "promisor" not in (bench.repo / ".git/config").read_text()


def test_a_partial_clone_compares_with_the_digest_in_the_tag(
    bench: Workbench, tmp_path: Path
) -> None:
    run(tmp_path / "origin.git", "git", "config", "uploadpack.allowFilter", "true")
    bench.manager.release(push=True)
    data = (bench.repo / "models/churn/model.bin").read_bytes()
    bench.train("model 2\n")
    bench.train(data)
    (bench.repo / "dvc.yaml").write_text((bench.repo / "dvc.yaml").read_text() + "# more\n")
    bench.commit()
    push(bench)
    run(tmp_path, "git", "clone", "--quiet", "--filter=blob:none",
        f"file://{tmp_path}/origin.git", "partial")  # fmt: skip
    partial = Workbench(tmp_path / "partial", bench.monkeypatch, bench.capture)
    partial.refuses(
        "release churn",
        "the bytes of churn are those of 1.0.0",
        "train it again, or release them again with --force",
    )


def test_a_tag_that_is_another_one_on_the_remote_is_told(bench: Workbench) -> None:
    bench.manager.release(push=True)
    bench.git("tag", "--force", "--annotate", "--message=mine", "churn@v1.0.0", "HEAD")
    bench.train("model 2\n")
    assert bench.manager.release().warnings == (
        "the tag churn@v1.0.0 is another one on origin: git fetch --tags --force",
    )


def test_a_fork_does_not_begin_anew(bench: Workbench, tmp_path: Path) -> None:
    bench.manager.release(push=True)
    run(tmp_path, "git", "clone", "--quiet", "--bare", "origin.git", "fork.git")
    run(tmp_path / "fork.git", "git", "tag", "--delete", "churn@v1.0.0")
    bench.git("tag", "--delete", "churn@v1.0.0")
    bench.git("remote", "rename", "origin", "upstream")
    bench.git("remote", "add", "origin", "../fork.git")
    bench.train("model 2\n")
    bench.refuses(
        "release churn",
        "origin has no version of churn, but upstream has 1.0.0",
        "git fetch --tags upstream; or begin anew: tagship release churn --version 1.0.0",
    )
    bench.git("fetch", "--quiet", "--tags", "upstream")
    assert bench.release() == "1.1.0"


@pytest.mark.parametrize("where", ["here", "on the remote alone"])
@pytest.mark.parametrize("what", ["the same commit", "another commit with the same model"])
def test_a_job_may_say_that_a_release_of_nothing_is_no_error(
    bench: Workbench, where: str, what: str
) -> None:
    bench.manager.release(push=True)
    if what != "the same commit":
        (bench.repo / "notes.txt").write_text("x\n")
        bench.commit()
    if where != "here":
        bench.git("tag", "--delete", "churn@v1.0.0")
    same = "this commit carries churn 1.0.0 already"
    if what != "the same commit":
        same = "the bytes of churn are those of 1.0.0"
        same += "" if where == "here" else ", which origin has"
    result = bench.cli("release", "churn", "--push", "--if-changed")
    assert (result.code, result.out) == (0, f"nothing to release: {same}\n")
    assert bench.cli("release", "churn", "--deploy", "--if-changed", "--json").out == "null\n"
    assert bench.cli("release", "churn", "--push").code == 1
    bench.train("model 2\n")
    assert "churn 1.1.0 is released" in bench.cli("release", "churn", "--if-changed").out


@pytest.mark.parametrize("what", ["the last", "one before"])
def test_the_bytes_of_a_withdrawn_version_are_not_released_again_by_themselves(
    bench: Workbench, what: str
) -> None:
    bench.release()
    bench.release("model 2\n")
    if what == "one before":
        bench.release("model 3\n")
        bench.manager.withdraw("1.2.0")
        bench.train("model 2\n")
    bench.manager.withdraw("1.1.0")
    (bench.repo / "notes.txt").write_text("x\n")
    bench.commit()
    told = "the bytes of churn are those of 1.1.0, which was withdrawn"
    bench.refuses("release churn", told, "train it again, or release them again with --force")
    assert bench.cli("release", "churn", "--if-changed").out == f"nothing to release: {told}\n"
    assert bench.cli("release", "churn", "--force").code == 0


def test_nor_are_those_of_one_that_only_the_remote_has(bench: Workbench) -> None:
    manager = bench.manager
    manager.release(push=True)
    bench.train("model 2\n")
    manager.release(push=True)
    manager.withdraw("1.1.0", push=True)
    bench.git("tag", "--delete", "churn@v1.1.0", "churn@v1.1.0!")
    told = "the bytes of churn are those of 1.1.0, which was withdrawn"
    (bench.repo / "notes.txt").write_text("x\n")
    bench.commit()
    assert bench.cli("release", "churn", "--if-changed").out == f"nothing to release: {told}\n"
    bench.train("model 3\n")
    assert bench.release() == "1.2.0"


def test_a_job_that_pushes_fails_where_the_last_version_was_never_pushed(bench: Workbench) -> None:
    bench.release()
    (bench.repo / "notes.txt").write_text("x\n")
    bench.commit()
    told = bench.cli("release", "churn", "--push", "--if-changed")
    assert (told.code, "git push origin churn@v1.0.0" in told.err) == (1, True)
    assert bench.cli("release", "churn", "--if-changed").code == 0
    bench.git("push", "--quiet", "origin", "churn@v1.0.0")
    assert bench.cli("release", "churn", "--push", "--if-changed").code == 0


def test_with_several_remotes_and_no_origin_the_numbers_do_not_begin_anew(
    shipped: Workbench, tmp_path: Path
) -> None:
    push(shipped)
    run(tmp_path, "git", "clone", "--quiet", "--no-tags", "--origin=gitlab", "origin.git", "ci")
    clone = Workbench(tmp_path / "ci", shipped.monkeypatch, shipped.capture)
    clone.git("remote", "add", "github", "../origin.git")
    clone.train("model 3\n")
    what = "Git has several remotes (github, gitlab), and none of them is origin"
    hint = "name the one with the tags, in params.yaml: tagship: {git_remote: github}"
    for command in ("release churn", "release churn --push", "assign churn@1.0.0 prod --push"):
        clone.refuses(command, what, hint)
    assert clone.git("tag") == ""
    (clone.repo / "params.yaml").write_text("tagship: {git_remote: gitlab}\n")
    clone.commit()
    result = clone.cli("release", "churn", "--push-branch")
    assert result.code == 0, result.err
    assert "churn 1.2.0 is released" in result.out
    assert "tag pushed to gitlab" in result.out
    clone.git("fetch", "--quiet", "--tags", "gitlab")
    for command in ("assign churn@1.2.0 prod --push", "withdraw churn@1.2.0 --yes --push"):
        assert "gitlab" in clone.cli(*command.split()).out
