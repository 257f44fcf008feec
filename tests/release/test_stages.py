"""Stages, withdrawal and deprecation: tags that GTO reads, here and on the remote."""

import contextlib
import json
import shlex
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tagship import Refused, Unavailable
from tagship.errors import Interrupted
from tagship.git import bounded, remotes
from tagship.git.bounded import Limit
from tests import conftest, workbench
from tests.hosts import Following
from tests.workbench import Workbench, run

START = 1795176000  # the date of all that is committed and released


@pytest.fixture(scope="module")
def template_of_three(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("three")
    with conftest.prepared(template, folder) as bench:
        for number in range(3):
            bench.commit(f"{number}")
            bench.git("tag", "-a", "-m", f"churn 1.{number}.0", f"churn@v1.{number}.0")
        bench.git("push", "--quiet", "--tags", "origin", "main")
        workbench.slim(folder)
    yield folder


@pytest.fixture
def three(template_of_three: Path, copied: Callable[[Path], Workbench]) -> Workbench:
    """1.0.0, 1.1.0 and 1.2.0 are released and pushed."""
    return copied(template_of_three)


def does(bench: Workbench, command: str, text: str, notes: str = "") -> None:
    """The command ends well, and says just this."""
    assert bench.cli(*shlex.split(command)) == workbench.Result(0, text, notes)


def new_tags(at: Path) -> list[str]:
    """The tags of a repository that are not of a release, in alphabetical order."""
    names = run(at, "git", "tag", "--list").splitlines()
    return [name for name in names if not name.startswith("churn@v") or name.endswith("!")]


def origin(bench: Workbench) -> Path:
    return bench.repo.parent / "origin.git"


def published(bench: Workbench) -> list[str]:
    """Those on the remote, where each is the same object as here."""
    names = new_tags(origin(bench))
    for name in names:
        assert bench.git("rev-parse", name) == run(origin(bench), "git", "rev-parse", name)
    return names


def held(bench: Workbench) -> dict[str, list[str]]:
    """The stages that versions hold, and what is not available."""
    rows = bench.manager.list_versions()
    return {row.version: [*row.stages] if row.offered else ["gone"] for row in rows}


def is_leftover(key: str) -> bool:
    """The object of a tag that no ref has, and the file that Git writes to remove a ref."""
    return "/.git/objects/" in key or key.endswith("/packed-refs")


def gto(bench: Workbench, *arguments: str) -> str:
    """The gto of this Python's installation, in this process; what it prints."""
    from gto.cli import app

    bench.capture.readouterr()
    with contextlib.chdir(bench.repo):
        app.main([*arguments], standalone_mode=False)
    return bench.capture.readouterr().out


def commit_of(bench: Workbench, tag: str) -> str:
    return bench.git("rev-parse", f"refs/tags/{tag}^{{commit}}").strip()


def later(bench: Workbench, seconds: int) -> None:
    bench.monkeypatch.setenv("GIT_COMMITTER_DATE", f"{START + seconds} +0000")


# ---- as GTO does


def shape(bench: Workbench) -> list[tuple[str, ...]]:
    """Name, kind, target and its kind, of each tag but those of releases."""
    form = "%(refname:strip=2)%00%(objecttype)%00%(*objectname)%00%(*objecttype)"
    lines = bench.git("for-each-ref", f"--format={form}", "refs/tags").splitlines()
    return [tuple(line.split("\0")) for line in lines if "@v" not in line or "!" in line]


def test_the_tags_are_those_that_gto_makes_and_gto_shows_what_they_say(
    three: Workbench, tmp_path: Path
) -> None:
    """The same acts, by both, in clones of one repository."""
    ours, theirs = three, Workbench(tmp_path / "theirs", three.monkeypatch, three.capture)
    workbench.copy_tree(str(three.repo), str(theirs.repo))
    acts = [
        ("assign churn@1.0 prod", "assign churn --version v1.0.0 --stage prod"),
        ("assign churn@1.1.0 prod", "assign churn --version v1.1.0 --stage prod"),
        ("assign churn@v1.2.0 dev", "assign churn --version v1.2.0 --stage dev"),
        ("unassign churn prod --yes", "deprecate churn v1.1.0 prod"),
        ("withdraw churn@latest --yes", "deprecate churn v1.2.0"),
    ]
    for number, (tagship, other) in enumerate(acts, 1):
        later(ours, 10 * number)
        assert ours.cli(*tagship.split()).code == 0
        gto(theirs, *other.split())
    assert shape(ours) == shape(theirs)
    assert [name for name, *_ in shape(ours)] == [
        "churn#dev#3", "churn#prod!#4", "churn#prod#1", "churn#prod#2", "churn@v1.2.0!",
    ]  # fmt: skip
    assert json.loads(gto(ours, "show", "--json")) == json.loads(gto(theirs, "show", "--json"))
    assert held(ours) == {"1.0.0": ["prod"], "1.1.0": [], "1.2.0": ["gone"]}
    later(ours, 60)
    assert ours.cli("deprecate", "churn", "--yes").code == 0
    gto(theirs, "deprecate", "churn")
    assert shape(ours)[-2:] == shape(theirs)[-2:]


def test_in_one_second_the_later_act_counts_for_gto_too(three: Workbench) -> None:
    """Of two tags of one second GTO takes the one of the older version, whatever came last."""
    for version, stage in (("1.0", "prod"), ("1.2", "prod"), ("1.1", "prod"), ("1.1", "dev")):
        assert three.cli("assign", f"churn@{version}", stage).code == 0
    assert three.cli("unassign", "churn", "dev", "--yes").code == 0
    dates = three.git("for-each-ref", "--format=%(taggerdate:unix)", "refs/tags/churn#*")
    assert sorted(map(int, dates.split())) == [START + n for n in range(1, 6)]
    assert held(three) == {"1.0.0": [], "1.1.0": ["prod"], "1.2.0": []}
    shown = json.loads(gto(three, "show", "--json"))["churn"]
    assert (shown["version"], shown["stage"]) == ("v1.2.0", {"prod": "v1.1.0"})


def test_a_release_ends_a_deprecation_that_is_dated_ahead(three: Workbench) -> None:
    later(three, 600)
    assert three.cli("deprecate", "churn", "--yes").code == 0
    later(three, 0)
    three.train("model 4\n")
    done = three.cli("release", "churn")
    note = "note: churn@deprecated has a date in the future, 2026-11-20T12:10:00Z:"
    assert done.err == f"{note} this tag has the one after\n"
    dates = three.git("for-each-ref", "--sort=taggerdate", "--format=%(taggerdate:unix) %(refname)")
    last = dates.splitlines()[-1]
    assert last == f"{START + 601} refs/tags/churn@v1.3.0"
    assert three.cli("deploy", "churn", "--yes").code == 0
    assert three.manager.get_current_version().version == "1.3.0"  # type: ignore[union-attr] # it is live


def test_a_tag_from_a_clock_that_is_ahead_does_not_win(three: Workbench) -> None:
    later(three, 86400)
    three.git("tag", "-a", "-m", "x", "churn#prod#1", "churn@v1.0.0^{commit}")
    later(three, 0)
    does(
        three,
        "assign churn@1.1 prod",
        "churn 1.1.0 holds prod now, by the tag churn#prod#2\n  #prod: 1.0.0 -> 1.1.0\n"
        "  to push the tag: tagship assign churn@1.1.0 prod --push\n",
        "note: churn#prod#1 has a date in the future, 2026-11-21T12:00:00Z:"
        " this tag has the one after\n",
    )
    assert held(three)["1.1.0"] == ["prod"]


def test_after_the_last_date_there_is_none(three: Workbench) -> None:
    three.monkeypatch.setenv("GIT_COMMITTER_DATE", "@253402300799 +0000")
    three.git("tag", "-a", "-m", "x", "churn#prod#1", "churn@v1.0.0^{commit}")
    later(three, 0)
    three.refuses(
        "assign churn@1.1 prod",
        "the tag churn#prod#1 has the date 9999-12-31T23:59:59Z, and a later one can have none"
        " after it",
        "remove it here, and on each remote: git tag -d 'churn#prod#1'",
    )


# ---- each act, and what it says


def test_assign_and_promote(three: Workbench) -> None:
    does(
        three,
        "assign churn@1.0.0 staging --push -m 'the audit is done'",
        "churn 1.0.0 holds staging now, by the tag churn#staging#1\n"
        "  #staging: nothing -> 1.0.0\n  tag pushed to origin\n",
    )
    message = three.git("for-each-ref", "--format=%(contents)", "refs/tags/churn#staging#1")
    assert message == "churn 1.0.0 is assigned to staging\n\nthe audit is done\n\n"
    does(
        three,
        "assign churn#staging prod --push",
        "churn 1.0.0 holds prod now, by the tag churn#prod#2\n"
        "  #prod: nothing -> 1.0.0\n  tag pushed to origin\n",
        "note: prod is a new stage of churn; so far there is staging\n",
    )
    again = "churn 1.0.0 holds prod already, by the tag churn#prod#2: nothing to do\n"
    before = three.state()
    does(three, "assign churn@1.0.0 prod --push", again)
    does(three, "assign churn@1.0 prod", again)
    assert three.changes(before) == set()
    assert published(three) == ["churn#prod#2", "churn#staging#1"]
    assert three.manager.assign("1.0", "prod", force=True).tag == "churn#prod#3"


def test_unassign_gives_the_stage_back_and_says_so(three: Workbench) -> None:
    three.manager.assign("1.0", "prod", push=True)
    three.manager.assign("1.1", "prod", push=True)
    does(
        three,
        "unassign churn prod --dry-run",
        "unassign churn 1.1.0 from prod: churn#prod!#3\n  #prod: 1.1.0 -> 1.0.0\n",
    )
    three.refuses("unassign churn prod", "not a terminal: use --yes to skip the confirmation")
    does(
        three,
        "unassign churn prod --yes --push",
        "churn 1.1.0 does not hold prod any more, by the tag churn#prod!#3\n"
        "  #prod: 1.1.0 -> 1.0.0\n  tag pushed to origin\n",
    )
    change = three.manager.unassign("prod", push=True)
    assert (change.version, [m.after for m in change.moves]) == (change.version, [None])
    three.refuses(
        "unassign churn prod --yes",
        "no version of churn holds the stage prod",
        "tagship list churn",
    )
    assert published(three) == ["churn#prod!#3", "churn#prod!#4", "churn#prod#1", "churn#prod#2"]


def test_withdraw_says_what_takes_its_place(three: Workbench) -> None:
    three.manager.assign("1.1", "prod")
    three.manager.assign("1.2", "prod")
    does(
        three,
        "withdraw churn@1.2 --dry-run",
        "withdraw churn 1.2.0: churn@v1.2.0!\n  latest: 1.2.0 -> 1.1.0\n  #prod: 1.2.0 -> 1.1.0\n",
    )
    three.refuses("withdraw churn@1.2", "not a terminal: use --yes to skip the confirmation")
    does(
        three,
        "withdraw churn@1.2 --yes --push",
        "churn 1.2.0 is withdrawn, by the tag churn@v1.2.0!\n"
        "  latest: 1.2.0 -> 1.1.0\n  tag pushed to origin\n",
    )
    does(
        three,
        "withdraw churn@1.2.0 --push",
        "churn 1.2.0 is withdrawn already, by the tag churn@v1.2.0!: nothing to do\n",
    )
    does(
        three,
        "withdraw churn@1.0 --yes",
        "churn 1.0.0 is withdrawn, by the tag churn@v1.0.0!\n  latest: 1.1.0, as before\n"
        "  to push the tag: tagship withdraw churn@1.0.0 --push\n",
    )
    assert [line.split("\t")[:2] for line in three.cli("list", "churn").out.splitlines()[1:]] == [
        ["1.2.0", "withdrawn"], ["1.1.0", "#prod"], ["1.0.0", "withdrawn"],
    ]  # fmt: skip
    assert published(three) == ["churn@v1.2.0!"]


def test_deprecate_and_the_release_that_ends_it(three: Workbench) -> None:
    three.manager.assign("1.1", "prod", push=True)
    does(
        three,
        "deprecate churn --yes --push",
        "churn is deprecated, by the tag churn@deprecated\n  latest: 1.2.0 -> nothing\n"
        "  #prod: 1.1.0 -> nothing\n  tag pushed to origin\n",
    )
    does(
        three,
        "deprecate churn --yes",
        "churn is deprecated already, by the tag churn@deprecated: nothing to do\n",
    )
    what = "churn is deprecated, and any other tag would end that"
    hint = "to offer it again, release a version: tagship release churn"
    for command in ("assign churn@1.0 prod", "unassign churn prod", "withdraw churn@1.0"):
        three.refuses(f"{command} --yes" if "assign churn@" not in command else command, what, hint)
    later(three, 60)
    three.release("model 4\n")
    assert held(three) == {"1.0.0": [], "1.1.0": ["prod"], "1.2.0": [], "1.3.0": []}
    assert three.manager.deprecate().tag == "churn@deprecated#2"


def test_json_says_the_same(three: Workbench) -> None:
    printed = json.loads(three.cli("assign", "churn@1.1", "prod", "--push", "--json").out)
    assert printed == {
        "model": "churn", "action": "assign", "version": "1.1.0", "stage": "prod",
        "tag": "churn#prod#1", "commit": commit_of(three, "churn@v1.1.0"), "changed": True,
        "moves": [{"rule": "#prod", "before": None, "after": "1.1.0"}], "latest": "1.2.0",
        "pushed_to": "origin", "signed": False, "dry_run": False, "warnings": [],
        "capsule_in": None,
    }  # fmt: skip


def test_a_person_is_asked_and_nothing_else_is_done_than_was_shown(three: Workbench) -> None:
    shown = three.manager.withdraw("latest", dry_run=True)
    three.manager.withdraw("1.2.0")
    with pytest.raises(Refused, match="the tags of churn have changed meanwhile") as caught:
        three.manager.withdraw("latest", shown=shown)
    assert caught.value.hint == "tagship withdraw churn@1.1.0"
    assert new_tags(three.repo) == ["churn@v1.2.0!"]


def test_a_deploy_by_the_stage_follows_at_once(shipped: Workbench) -> None:
    shipped.manager.assign("1.0", "prod")
    assert shipped.cli("deploy", "churn#prod", "--yes").code == 0
    assert shipped.live() == "model 1\n"
    shipped.manager.assign("1.1", "prod")
    assert shipped.cli("deploy", "churn#prod", "--yes").code == 0
    assert shipped.live() == "model 2\n"
    shipped.manager.withdraw("1.1")
    assert shipped.cli("deploy", "churn#prod", "--yes").code == 0
    assert shipped.live() == "model 1\n"


def test_a_host_follows_what_was_pushed_at_its_next_pass(host: Following) -> None:
    """Assigned, taken back, withdrawn, deprecated; and a host itself has no work tree to tag in."""
    host.release("model 2\n")
    manager = host.bench.manager
    manager.assign("1.0", "prod", push=True)
    host.follow("#prod")
    live = [host.sync().code or host.live()]
    acts: list[Callable[[], object]] = [
        lambda: manager.assign("1.1", "prod", push=True),
        lambda: manager.unassign("prod", push=True),
        lambda: manager.assign("1.1", "prod", push=True),
        lambda: manager.withdraw("1.1", push=True),
    ]
    for act in acts:
        act()
        live.append(host.sync().code or host.live())
    assert live == ["model 1\n", "model 2\n", "model 1\n", "model 2\n", "model 1\n"]
    manager.deprecate(push=True)
    assert (host.sync().code, host.live()) == (3, "model 1\n")
    for command in ("assign churn@1.0 prod", "unassign churn prod --yes",
                    "withdraw churn@1.0 --yes", "deprecate churn --yes"):  # fmt: skip
        assert host.cli(*command.split()) == workbench.Result(
            1,
            "",
            f"error: {host.folder} is a host, which has no work tree to release from\n"
            f"hint: in a clone of its own: git clone file://{host.origin}\n",
        )


# ---- what is refused, before anything changes


@pytest.mark.parametrize(
    ("command", "error", "hint", "code"),
    [
        ("assign churn@1.9 prod", "churn has no version 1.9",
         "git fetch --tags; or: tagship list churn", 1),
        ("withdraw churn@2 --yes", "churn has no version 2",
         "git fetch --tags; or: tagship list churn", 1),
        ("assign churn#prod dev", "no version of churn holds the stage prod",
         "git fetch --tags; or: tagship list churn", 1),
        ("unassign churn prod --yes", "no version of churn holds the stage prod",
         "tagship list churn", 1),
        ("deprecate chrun --yes", "there is no model chrun",
         "did you mean churn?", 1),
    ],
)  # fmt: skip
def test_what_is_not_there_is_told(
    three: Workbench, command: str, error: str, hint: str, code: int
) -> None:
    three.refuses(command, error, hint, code)


STAGE = (
    "a name has letters, digits, '-', '_' and '/', and starts and ends with a letter or a digit,"
    " such as prod; 100 at most"
)


@pytest.mark.parametrize(
    "stage",
    [
        "#prod",
        "pr od",
        "prod!",
        "-prod",
        "prod/",
        "",
        "a.b",
        "p\nq",
        "prod#1",
        "prüf",
        "@",
        "x" * 101,
    ],
)
def test_a_stage_that_gto_would_not_read_is_none(three: Workbench, stage: str) -> None:
    before = three.state()
    for command in (("assign", "churn@1.0"), ("unassign", "--yes", "churn")):
        result = three.cli(*command, "--", stage)
        assert (result.code, result.out) == (2, "")
        assert result.err == f"error: {stage!r} is not the name of a stage\nhint: {STAGE}\n"
    assert three.changes(before) == set()


@pytest.mark.parametrize("command", ["assign churn prod", "withdraw churn --yes"])
def test_a_version_must_be_named(three: Workbench, command: str) -> None:
    result = three.cli(*command.split())
    assert (result.code, result.out) == (2, "")
    assert result.err.endswith("Error: name the version: MODEL@VERSION\n")


def test_a_withdrawn_version_gets_no_stage(three: Workbench) -> None:
    three.manager.withdraw("1.1.0")
    three.refuses(
        "assign churn@1.1.0 prod", "churn 1.1.0 was withdrawn",
        "choose another version: tagship list churn",
    )  # fmt: skip


def test_a_model_without_a_version_has_nothing_to_assign(bench: Workbench) -> None:
    hint = "git fetch --tags; or: tagship release churn"
    for command in ("withdraw churn@latest --yes", "assign churn@latest prod"):
        result = bench.cli(*command.split())
        assert (result.code, result.err.splitlines()[0]) == (
            1, "error: churn has no released version",
        ), hint  # fmt: skip
    bench.refuses("deprecate churn --yes", "churn has no released version", "tagship release churn")


def test_a_stage_that_gtos_settings_do_not_have_is_refused(three: Workbench) -> None:
    (three.repo / ".gto").write_text("stages: [dev, prod]\n")
    three.refuses(
        "assign churn@1.0 pord",
        ".gto has no stage pord",
        "choose one of dev, prod; or add it to .gto",
    )
    assert three.cli("assign", "churn@1.0", "dev").err == ""
    assert three.cli("assign", "churn@1.0", "prod").err == ""
    (three.repo / ".gto").write_text("stages: [dev\n")
    result = three.cli("assign", "churn@1.0", "dev")
    assert (result.code, ".gto is not valid YAML" in result.err) == (1, True)


def test_of_two_versions_of_one_commit_the_higher_would_hold_the_stage(three: Workbench) -> None:
    """A stage's tag points at a commit: a candidate and its final version are the same to it."""
    three.git("tag", "-a", "-m", "x", "churn@v1.3.0-rc.1", "churn@v1.2.0^{commit}")
    three.refuses(
        "assign churn@1.2.0 prod",
        "1.3.0-rc.1 is of the same commit as 1.2.0, and would hold prod: a stage belongs to a"
        " commit",
        "tagship assign churn@1.3.0-rc.1 prod",
    )
    result = three.cli("assign", "churn@1.3.0-rc.1", "prod")
    assert (result.code, result.err) == (
        0,
        "note: gto cannot read a stage of a commit with several versions: 1.2.0, 1.3.0-rc.1\n",
    )
    assert held(three)["1.3.0-rc.1"] == ["prod"]


def test_two_builds_of_one_version_are_two_to_withdraw(three: Workbench) -> None:
    for build, old in (("a", "1.1.0"), ("b", "1.0.0")):
        three.git("tag", "-a", "-m", "x", f"churn@v1.3.0+{build}", f"churn@v{old}^{{commit}}")
    three.git("push", "--quiet", "origin", "--tags")
    assert [m.after for m in three.manager.withdraw("1.3.0+b", push=True).moves] == ["1.3.0+a"]
    assert held(three)["1.3.0+a"] == []
    assert [move.after for move in three.manager.withdraw("1.3.0+a", push=True).moves] == ["1.2.0"]
    assert [version for version, state in held(three).items() if state == ["gone"]] == [
        "1.3.0+a", "1.3.0+b",
    ]  # fmt: skip


def test_without_a_name_git_makes_no_tag(three: Workbench) -> None:
    three.monkeypatch.delenv("GIT_COMMITTER_NAME")
    three.monkeypatch.delenv("GIT_COMMITTER_EMAIL")
    three.git("config", "user.useConfigOnly", "true")
    three.refuses(
        "withdraw churn@1.0 --yes", "Git does not know who you are",
        'git config user.name "Your Name" && git config user.email you@example.com',
    )  # fmt: skip


def test_a_stage_whose_name_is_a_folder_of_anothers_is_refused_by_git(three: Workbench) -> None:
    three.git("tag", "-a", "-m", "by gto assign --simple", "churn#prod", "churn@v1.0.0^{commit}")
    assert three.cli("assign", "churn@1.0", "prod/eu") == workbench.Result(
        1,
        "",
        "error: Git cannot keep the tag churn#prod/eu#1 beside churn#prod, which would be a"
        " folder\n"
        "hint: choose another name for the stage\n",
    )
    assert new_tags(three.repo) == ["churn#prod"]


# ---- the remote


def elsewhere(bench: Workbench) -> Workbench:
    """A clone on another machine."""
    run(bench.repo.parent, "git", "clone", "--quiet", "origin.git", "clone")
    return Workbench(bench.repo.parent / "clone", bench.monkeypatch, bench.capture)


def test_what_only_the_remote_has_is_fetched_first(three: Workbench) -> None:
    """A version, a stage, what is withdrawn: by a part of the tags nothing is decided."""
    other = elsewhere(three)
    other.manager.assign("1.2", "prod", push=True)
    for command in ("assign churn@1.0 prod", "unassign churn prod --yes --push",
                    "withdraw churn@1.0 --yes", "deprecate churn --yes"):  # fmt: skip
        three.refuses(
            command, "churn#prod#1 of origin is not in this clone", "git fetch --tags origin"
        )
    other.manager.withdraw("1.0", push=True)
    three.refuses(
        "assign churn@1.0 prod",
        "churn#prod#1 of origin is not in this clone, nor are 1 more",
        "git fetch --tags origin",
    )
    three.git("fetch", "--quiet", "--tags", "origin")
    assert three.manager.assign("1.1", "prod", push=True).tag == "churn#prod#2"


def test_a_tag_that_was_moved_is_told(three: Workbench) -> None:
    three.git("tag", "-f", "-a", "-m", "moved", "churn@v1.0.0", "churn@v1.1.0^{commit}")
    for command in ("assign churn@1.2 prod", "withdraw churn@1.0 --yes --push"):
        three.refuses(
            command,
            "the tag churn@v1.0.0 is another one on origin",
            "git fetch --tags --force origin",
        )


def test_what_is_not_pushed_is_not_built_upon(three: Workbench) -> None:
    """Others would see a stage without its version."""
    three.release("model 4\n")
    what, hint = "origin does not have the tag {}", "push it first: git push origin {}"
    for command in ("assign churn@1.3.0 prod", "assign churn@latest prod",
                    "withdraw churn@1.3 --yes"):  # fmt: skip
        three.refuses(f"{command} --push", what.format("churn@v1.3.0"), hint.format("churn@v1.3.0"))
    assert three.manager.assign("1.3.0", "dev").moves[0].after == "1.3.0"
    three.refuses(
        "unassign churn dev --yes --push", what.format("churn#dev#1"), hint.format("'churn#dev#1'")
    )
    assert [move.after for move in three.manager.withdraw("1.2", push=True).moves] == ["1.1.0"]


def test_what_was_made_without_push_is_pushed_later(three: Workbench) -> None:
    three.manager.assign("1.0", "prod", push=True)
    three.manager.assign("1.1", "prod")
    three.manager.unassign("prod")
    assert three.manager.assign("1.1", "prod").tag == "churn#prod#4"
    assert three.manager.assign("1.1", "prod", push=True).tag == "churn#prod#4"
    assert three.manager.withdraw("1.2").tag == "churn@v1.2.0!"
    assert three.manager.withdraw("1.2.0", push=True).pushed_to == "origin"
    assert published(three) == ["churn#prod#1", "churn#prod#4", "churn@v1.2.0!"]
    assert three.manager.deprecate().pushed_to is None
    assert three.manager.deprecate(push=True).pushed_to == "origin"
    assert new_tags(origin(three))[-2:] == ["churn@deprecated", "churn@v1.2.0!"]


def test_a_remote_that_does_not_answer_is_needed_to_push_alone(three: Workbench) -> None:
    three.git("remote", "set-url", "origin", "../nowhere.git")
    result = three.cli("assign", "churn@1.0", "prod")
    assert (result.code, result.err.startswith("note: the tags of origin could not be read")) == (
        0, True,
    )  # fmt: skip
    before = three.state()
    result = three.cli("assign", "churn@1.1", "prod", "--push")
    assert (result.code, result.out) == (1, "")
    assert three.changes(before) == set()


def hook(bench: Workbench, text: str) -> None:
    """A pre-receive hook of the remote."""
    file = origin(bench) / "hooks" / "pre-receive"
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize(
    "command",
    ["assign churn@1.1.0 prod --push", "withdraw churn@1.1.0 --yes --push",
     "deprecate churn --yes --push"],
)  # fmt: skip
def test_a_push_that_is_refused_leaves_no_tag(three: Workbench, command: str) -> None:
    hook(three, "echo 'stages are frozen' >&2; exit 1")
    before = three.state()
    result = three.cli(*command.split())
    assert (result.code, result.out) == (1, "")
    assert "origin did not accept the tag churn" in result.err
    assert "so it was deleted here again" in result.err
    again = command.replace(" --yes", "")
    assert result.err.splitlines()[-1].endswith(
        f"ask who runs origin, which does not accept it, then {again}".replace(
            "then ", "then tagship "
        )
    )
    assert new_tags(three.repo) == new_tags(origin(three)) == []
    assert {key for key in three.changes(before) if not is_leftover(key)} == set()


def test_two_who_assign_at_once_do_not_overwrite_each_other(three: Workbench) -> None:
    """The second push finds the name taken, by a tag that its look at the remote did not see."""
    other = elsewhere(three)
    hook(three, "exec cat > /dev/null")
    real = remotes.push

    def overtaken(*arguments: object, **options: object) -> None:
        three.monkeypatch.setattr(remotes, "push", real)
        other.manager.assign("1.2", "prod", push=True)
        real(*arguments, **options)  # type: ignore[arg-type]

    three.monkeypatch.setattr(remotes, "push", overtaken)
    with pytest.raises(Unavailable, match="so it was deleted here again") as caught:
        three.manager.assign("1.1", "prod", push=True)
    assert caught.value.hint == (
        "git fetch --tags origin, then tagship assign churn@1.1.0 prod --push"
    )
    assert new_tags(three.repo) == []
    three.git("fetch", "--quiet", "--tags", "origin")
    assert three.manager.assign("1.1", "prod", push=True).tag == "churn#prod#2"


def test_a_silent_remote_leaves_the_tag_and_the_command_that_pushes_it(three: Workbench) -> None:
    three.manager.assign("1.0", "prod", push=True)
    hook(three, "sleep 20")
    three.monkeypatch.setattr(remotes, "PUSH", Limit(silence=1))
    result = three.cli("unassign", "churn", "prod", "--yes", "--push")
    assert result.code == 1
    assert result.err.splitlines()[-2:] == [
        "error: " + result.err.splitlines()[-2].removeprefix("error: "),
        "hint: git push origin 'churn#prod!#2'",
    ]
    assert "it is not known whether origin has it" in result.err
    assert new_tags(three.repo) == ["churn#prod!#2", "churn#prod#1"]
    hook(three, "exit 0")
    assert three.manager.deprecate(dry_run=True).changed
    three.git("push", "--quiet", "origin", "churn#prod!#2")
    assert published(three) == ["churn#prod!#2", "churn#prod#1"]


def test_an_interrupted_push_tells_how_to_go_on(three: Workbench) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    real = bounded.act
    three.monkeypatch.setattr(remotes, "push", interrupt)
    with pytest.raises(Interrupted) as caught:
        three.manager.assign("1.1", "prod", push=True)
    assert caught.value.hint == "tagship assign churn@1.1.0 prod --push"
    assert new_tags(three.repo) == ["churn#prod#1"]
    three.monkeypatch.undo()
    assert real is bounded.act
    assert three.cli(*caught.value.hint.split()[1:]).code == 0
    assert published(three) == ["churn#prod#1"]


# ---- signatures


def test_stages_are_signed_where_git_signs_and_a_key_that_fails_leaves_nothing(
    three: Workbench, tmp_path: Path
) -> None:
    run(tmp_path, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "key")
    for name, value in (("gpg.format", "ssh"), ("tag.gpgSign", "true"),
                        ("user.signingKey", str(tmp_path / "key"))):  # fmt: skip
        three.git("config", name, value)
    does(
        three,
        "assign churn@1.0 prod",
        "churn 1.0.0 holds prod now, by the tag churn#prod#1\n  #prod: nothing -> 1.0.0\n"
        "  signed: tag\n  to push the tag: tagship assign churn@1.0.0 prod --push\n",
    )
    signature = three.git("for-each-ref", "--format=%(contents:signature)", "refs/tags/churn#*")
    assert signature.startswith("-----BEGIN SSH SIGNATURE-----")
    assert json.loads(gto(three, "show", "--json"))["churn"]["stage"] == {"prod": "v1.0.0"}
    three.git("config", "user.signingKey", str(tmp_path / "none"))
    before = three.state()
    result = three.cli("withdraw", "churn@1.0", "--yes", "--push")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("error: Git cannot sign the tag churn@v1.0.0!: ")
    assert {key for key in three.changes(before) if not is_leftover(key)} == set()


def test_a_stage_with_a_longer_name_than_a_carrier_takes_is_refused(
    bench: Workbench, tmp_path: Path
) -> None:
    """The tag that takes it back has a longer name, and goes with each bundle too."""
    model, fits = "c" * 144, "s" * 95  # with "#", "#1", and eight bytes to spare: 250
    file = bench.repo / "dvc.yaml"
    file.write_text(file.read_text().replace("  churn:", f"  {model}:"))
    bench.commit()
    bench.git("tag", "-a", "-m", "x", f"{model}@v1.0.0")
    told = bench.cli("assign", f"{model}@1.0.0", f"{fits}s")
    assert told.err == (
        f"error: the tag {model[:60]}... would have a longer name than hosts take\n"
        "hint: give the stage a name that is shorter by 1 character\n"
    )
    assert new_tags(bench.repo) == [f"{model}@v1.0.0"]
    assert bench.cli("assign", f"{model}@1.0.0", fits).code == 0
    assert bench.cli("unassign", model, fits, "--yes").code == 0
    told = bench.cli("bundle", f"{model}@1.0.0", "-o", str(tmp_path / "x.tar"))
    assert told.code == 0 and "  3 tags, " in told.out
