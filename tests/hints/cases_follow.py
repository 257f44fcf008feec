"""Hints on a host without a work tree: of its tagship.toml, and of what it follows."""

import contextlib
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tagship.host import agent
from tagship.manager.agent import Agent
from tagship.manager.model import ModelVersionManager
from tagship.text import clock
from tagship.workspace import host_file
from tests.hints.cases_registry import DEMAND, allow, configure, home, key, sign_with
from tests.hints.trials import trial
from tests.workbench import Workbench

SRV = "../srv"  # from the top of the repository
SYNC = f"-C {SRV} sync"


def place(bench: Workbench) -> Path:
    """The folder of the host."""
    return bench.repo.parent / "srv"


def write(bench: Workbench, text: str) -> None:
    """A tagship.toml of this text."""
    place(bench).mkdir(exist_ok=True)
    (place(bench) / "tagship.toml").write_text(text)


def source(bench: Workbench, more: str = "") -> str:
    """The text of a tagship.toml that follows the origin."""
    top = bench.repo.parent
    return f'[source]\ngit = "{top}/origin.git"\nremote = "{top}/dvc-remote"\n{more}'


def follows(bench: Workbench, more: str = "[follow.churn]\n") -> None:
    """A host that follows churn; its server gives single files."""
    for name in ("allowFilter", "allowAnySHA1InWant"):
        origin = str(bench.repo.parent / "origin.git")
        subprocess.run(["git", "-C", origin, "config", f"uploadpack.{name}", "true"], check=True)
    write(bench, source(bench, more))


def right(bench: Workbench) -> None:
    """The user corrects the file."""
    follows(bench)


def _release(bench: Workbench, model: str = "") -> None:
    """A release that the host can see."""
    bench.release(model or None)
    bench.git("push", "--quiet", "--tags", "origin")


def read(bench: Workbench) -> object:
    """What every command that changes something reads first."""
    return host_file.read(place(bench))


def _wrong(name: str, hints: tuple[str, ...], text: str, does: str) -> None:
    """A file with a value that may not be; whoever reads the hint corrects it."""

    def arrange(bench: Workbench) -> None:
        write(bench, text if text.startswith("[source]") else source(bench, text))

    arrange.__name__ = f"a_host_file_with_{name}"
    trial(*hints, command=read, does=does, by=right)(arrange)


_PATH, _REPORTS = "workspace.host_file.", "workspace.reports."
for each in (
    ("no_toml", (f"{_PATH}parse",), "[follow", "fix"),
    ("a_number_for_a_text", ("workspace.remotes.text",), "[source]\ngit = 1\n", "a text in quotes"),
    ("two_sources", (f"{_PATH}_address",), '[source]\ngit = "/x"\nindex = "/y"\n', "name one"),
    ("a_bundle_in_a_store", (f"{_PATH}_address/2",), '[source]\nbundle = "s3://b/c"\n',
     "an absolute path"),
    ("a_password", ("workspace.remotes.url",), '[source]\ngit = "/x"\nremote = "https://a:b@c/d"\n',
     "without a password"),
    ("a_relative_remote", ("workspace.remotes.url/2",), '[source]\ngit = "/x"\nremote = "dvc"\n',
     '"s3://bucket/dvc"'),
    ("a_secret", ("workspace.remotes.options",), '[source.options]\npassword = "x"\n',
     "the environment"),
    ("a_list_for_an_option", ("workspace.remotes.options/2",), "[source.options]\nregion = []\n",
     "one value"),
    ("a_wrong_setting", (f"{_PATH}_settings",), "[deploy]\nkeep = 0\n", "docs/hosts.md"),
    ("no_name_of_a_model", (f"{_PATH}_follow",), '[follow."a b"]\n', "[follow.churn]"),
    ("no_rule", (f"{_PATH}_follow/2",), '[follow.churn]\ntrack = "new"\n', "#prod"),
    ("no_place_of_reports", (f"{_REPORTS}_status",), '[report]\nstatus = "https://x/y"\n',
     "give a folder, or s3://"),
    ("a_relative_roster", (f"{_REPORTS}_path",), '[report]\nroster = "hosts"\n',
     "an absolute path"),
    ("a_shell_to_notify", (f"{_REPORTS}_command",), '[report]\nnotify = "mail ada"\n',
     "a list of words"),
    ("a_relative_program", (f"{_REPORTS}_command/2",), '[report]\nnotify = ["mail"]\n',
     "the absolute path"),
):  # fmt: skip
    _wrong(*each)


@trial(f"{_PATH}_check_bundles", command=read, does="give another folder", by=right)
def a_host_file_with_bundles_in_its_own_folder(bench: Workbench) -> None:
    write(bench, f'[source]\nbundle = "{place(bench)}/bundles"\n[follow.churn]\n')


@trial(f"{_REPORTS}parse", command=read, does='name = "edge-1"', by=right)
def a_host_whose_name_no_file_can_have(bench: Workbench) -> None:
    write(bench, 'name = "edge 1"\n' + source(bench, '[report]\nstatus = "/srv/fleet"\n'))


@trial(f"{_PATH}look", command=read, does="a few lines", by=right)
def a_host_file_that_is_too_long(bench: Workbench) -> None:
    write(bench, source(bench) + "#" * (2 << 20))


def _alone(bench: Workbench) -> None:
    """The host gets a folder of its own."""
    (place(bench) / ".dvc").rmdir()


@trial(f"{_PATH}check_own", command=read, does="host init DIR", by=_alone)
def a_host_file_in_a_dvc_repository(bench: Workbench) -> None:
    follows(bench)
    (place(bench) / ".dvc").mkdir()


@trial(f"{_PATH}check_own/2", command=read, folder=SRV)
def a_host_file_that_git_tracks(bench: Workbench) -> None:
    follows(bench)
    for words in (("init", "--quiet"), ("add", "tagship.toml")):
        subprocess.run(["git", *words], cwd=place(bench), check=True)


def _no_link(bench: Workbench) -> None:
    (place(bench) / "other.toml").replace(place(bench) / "tagship.toml")


@trial(f"{_PATH}check_own/3", command=read, does="the file itself", by=_no_link)
def a_host_file_that_is_a_link(bench: Workbench) -> None:
    follows(bench)
    file = place(bench) / "tagship.toml"
    file.rename(place(bench) / "other.toml")
    file.symlink_to("other.toml")


@trial("disk.access.refuse_others", command=read, does="chmod go-w ...tagship.toml")
def a_host_file_that_everybody_can_write_to(bench: Workbench) -> None:
    follows(bench)
    (place(bench) / "tagship.toml").chmod(0o666)


def _fetch(bench: Workbench) -> object:
    return Agent(place(bench)).fetch()


@trial("workspace.mirrored.Mirrored.fetch", command=_fetch, does="[follow.MODEL]", by=right)
def a_host_that_follows_nothing(bench: Workbench) -> None:
    follows(bench, "")


@trial(
    "workspace.upstream.Server.work_tree",
    command=f"-C {SRV} release churn",
    does="git clone ...git",
    again="",
    folder=".",
)
def a_release_on_a_host(bench: Workbench) -> None:
    follows(bench)
    bench.monkeypatch.chdir(bench.repo)


def _carried(bench: Workbench) -> Path:
    """A host that follows the place of what is released with --capsule."""
    _release(bench)
    remote = bench.repo.parent / "dvc-remote"
    write(bench, f'[source]\nindex = "{remote}"\n[follow.churn]\n')
    bench.monkeypatch.chdir(bench.repo)
    return remote


@trial(
    "workspace.place.Place.work_tree",
    command=f"-C {SRV} release churn",
    does="--capsule",
    by=lambda bench: bench.train("model 2\n"),
    again="release churn --push --capsule",
)
def a_release_on_a_host_of_a_place(bench: Workbench) -> None:
    _carried(bench)


@trial(
    "manager.agent.Agent.fetch", command="fetch", does="tagship release churn --push --capsule;",
    folder=SRV, by=lambda bench: bench.cli("release", "churn", "--push", "--capsule"),
)  # fmt: skip
def an_index_that_is_damaged(bench: Workbench) -> None:
    file = _carried(bench) / "tagship" / "churn" / "index.json"
    bench.manager.publish_capsules()
    Agent(place(bench)).sync()
    file.write_text("{")


@trial(
    "workspace.mirrored.Mirrored.unread_index", command="deploy churn --yes", folder=SRV,
    does="tagship release churn --push --capsule; then: tagship fetch",
    by=lambda bench: (bench.cli("release", "churn", "--push", "--capsule"),
                      Agent(place(bench)).fetch()),
)  # fmt: skip
def a_deploy_where_no_index_could_be_read(bench: Workbench) -> None:
    file = _carried(bench) / "tagship" / "churn" / "index.json"
    bench.manager.publish_capsules()
    file.write_text("{")
    Agent(place(bench)).sync()


@trial("workspace.new_host.address", command="host init ../new", folder=".", again="",
       does="tagship host init DIR --git URL", fill={"DIR": "../new", "URL": "/x.git"})  # fmt: skip
def a_host_without_a_source(bench: Workbench) -> None:
    pass


def _as_who_acts_here(bench: Workbench) -> None:
    (place(bench) / "tagship.toml").chmod(0o644)
    assert bench.cli_in(place(bench), "deploy", "churn@1.0.0", "--dry-run").code == 0


@trial("workspace.mirrored.Mirrored.tagged", command="show churn@1.0.0", folder=SRV,
       does="tagship deploy churn@1.0.0 --dry-run", by=_as_who_acts_here)  # fmt: skip
def a_version_of_which_a_reader_finds_the_tag_alone(bench: Workbench) -> None:
    _release(bench)
    _release(bench, "model 2\n")
    follows(bench)
    Agent(place(bench)).sync()
    (place(bench) / "tagship.toml").chmod(0o666)


@trial(
    "workspace.mirrored.Mirrored.find",
    command="deploy churn --yes",
    does="tagship fetch",
    folder=SRV,
)
def a_deploy_before_the_first_fetch(bench: Workbench) -> None:
    _release(bench)
    follows(bench)


@trial("workspace.condition.live", command="sync", folder=SRV)
def a_live_file_that_was_changed_on_a_host(bench: Workbench) -> None:
    _release(bench)
    follows(bench)
    Agent(place(bench)).sync()
    file = (place(bench) / "churn" / "current").resolve() / "model.bin"
    file.chmod(0o644)
    file.write_text("changed\n")
    file.chmod(0o444)


@trial("workspace.step._behind", command="status churn", folder=SRV)
def a_version_that_the_host_has_not_yet(bench: Workbench) -> None:
    _release(bench)
    follows(bench)
    Agent(place(bench)).sync()
    _release(bench, "model 2\n")
    Agent(place(bench)).fetch()


@trial(
    "workspace.desired.nothing_selected",
    command="status churn",
    does="tagship list churn",
    again="list churn",
    folder=SRV,
)
def a_rule_that_no_version_fits(bench: Workbench) -> None:
    _release(bench)
    follows(bench, '[follow.churn]\ntrack = "#prd"\n')
    Agent(place(bench)).sync()


@trial(
    "workspace.desired.nothing_selected", command="sync", does="tagship list churn",
    again="list churn", folder=SRV,
)  # fmt: skip
def a_stage_with_a_typing_error(bench: Workbench) -> None:
    _release(bench)
    right(bench)
    Agent(place(bench)).sync()
    follows(bench, '[follow.churn]\ntrack = "#prd"\n')


@trial("workspace.step._nothing_desired", command="status churn", folder=SRV)
def a_host_whose_only_version_was_taken_back(bench: Workbench) -> None:
    _release(bench)
    follows(bench, '[follow.churn.gate]\ncommand = ["/bin/false"]\npass = "1 of 1"\nwatch = "0s"\n')
    Agent(place(bench)).sync()
    right(bench)


def _brought(bench: Workbench) -> None:
    (bench.repo.parent / "away").rename(bench.repo.parent / "dvc-remote")
    Agent(place(bench)).sync(retry=True)


@trial("workspace.step._tried_again", command="status churn", folder=SRV,
       does="tagship sync churn --retry", by=_brought)  # fmt: skip
def a_host_whose_store_is_away(bench: Workbench) -> None:
    _release(bench)
    right(bench)
    (bench.repo.parent / "dvc-remote").rename(bench.repo.parent / "away")
    Agent(place(bench)).sync()


@trial("workspace.step._undeployed", command="status churn", folder=SRV)
def a_host_from_which_all_was_undeployed(bench: Workbench) -> None:
    _release(bench)
    right(bench)
    Agent(place(bench)).sync()
    with contextlib.chdir(place(bench)):
        ModelVersionManager("churn").undeploy()


def _pushed_again(bench: Workbench) -> None:
    bench.git("push", "--quiet", "origin", "--tags")
    Agent(place(bench)).fetch()


@trial("workspace.step._nothing_desired/2", command="status churn", folder=SRV,
       does="tagship fetch", by=_pushed_again)  # fmt: skip
def a_host_that_lost_its_mirror_and_whose_server_lost_the_tags(bench: Workbench) -> None:
    _release(bench)
    right(bench)
    Agent(place(bench)).sync()
    shutil.rmtree(place(bench) / ".tagship" / "mirror.git")
    bench.git("push", "--quiet", "--delete", "origin", "churn@v1.0.0")
    Agent(place(bench)).sync()


def _withdrawn_signed(bench: Workbench) -> None:
    bench.manager.withdraw("99.0.0", push=True)


@trial("workspace.step._instead", command="sync", folder=SRV,
       does="withdraw churn@99.0.0", by=_withdrawn_signed)  # fmt: skip
def a_host_that_requires_signed_tags_and_is_shown_another(bench: Workbench) -> None:
    key(bench, "ada")
    allow(bench, "ada")
    sign_with(bench, "ada")
    configure(bench, DEMAND)
    _release(bench)
    right(bench)
    Agent(place(bench)).sync()
    unsigned = ("-c", "tag.gpgSign=false", "tag", "-a", "-m", "x", "churn@v99.0.0")
    bench.git(*unsigned)
    bench.git("push", "--quiet", "origin", "churn@v99.0.0")
    Agent(place(bench)).sync()


def _released(bench: Workbench) -> None:
    later = clock.now() + timedelta(minutes=1)
    bench.monkeypatch.setenv("GIT_COMMITTER_DATE", later.isoformat(timespec="seconds"))
    bench.train("model 2\n")
    bench.manager.release(push=True)
    Agent(place(bench)).sync()


@trial("workspace.facts._of_upstream/2", command="sync", folder=SRV,
       does="tagship release churn", by=_released)  # fmt: skip
def a_host_that_requires_a_signed_deprecation(bench: Workbench) -> None:
    key(bench, "ada")
    allow(bench, "ada")
    sign_with(bench, "ada")
    configure(bench, DEMAND)
    _release(bench)
    right(bench)
    Agent(place(bench)).sync()
    bench.git("-c", "tag.gpgSign=false", "tag", "-a", "-m", "x", "churn@deprecated")
    bench.git("push", "--quiet", "origin", "churn@deprecated")


@trial("workspace.mirrored.Mirrored.find/2", command="deploy churn@1.0.0 --yes", folder=SRV,
       does="tagship release churn", by=_released, again="sync")  # fmt: skip
def a_model_deprecated_that_a_host_follows(bench: Workbench) -> None:
    _release(bench)
    right(bench)
    Agent(place(bench)).sync()
    bench.manager.deprecate(push=True)
    Agent(place(bench)).sync()


@trial("inspect.find.unfollowed", command="status churn", folder=SRV,
       does="add [follow.churn] to tagship.toml", by=right)  # fmt: skip
def a_model_that_is_followed_no_more(bench: Workbench) -> None:
    _release(bench)
    right(bench)
    Agent(place(bench)).sync()
    follows(bench, "[follow.spam]\n")


def _mounted(bench: Workbench) -> None:
    bench.git("push", "--quiet", "origin", "--tags")


@trial("workspace.mirrored.Mirrored.emptied", command="sync", folder=SRV,
       does="is it mounted", by=_mounted)  # fmt: skip
def a_host_whose_server_has_nothing_any_more(bench: Workbench) -> None:
    _release(bench)
    right(bench)
    Agent(place(bench)).sync()
    bench.git("push", "--quiet", "--delete", "origin", "churn@v1.0.0")


@trial("workspace.facts._of_upstream", command="sync", folder=SRV,
       does="tagship fetch --accept churn@v2.0.0", again="sync")  # fmt: skip
def a_host_whose_server_has_other_tags_alone(bench: Workbench) -> None:
    a_host_whose_server_has_nothing_any_more(bench)
    bench.train("model 2\n")
    bench.manager.release(version="2.0.0", push=True)


def _signed_again(bench: Workbench) -> None:
    key(bench, "bob")
    allow(bench, "bob")
    sign_with(bench, "bob")
    bench.train("model 2\n")
    bench.manager.release(push=True)
    Agent(place(bench)).sync()


@trial("workspace.condition.fix", command="sync", folder=SRV,
       does="release a version that is signed", by=_signed_again)  # fmt: skip
def a_host_whose_live_version_was_signed_by_a_key_that_is_revoked(bench: Workbench) -> None:
    key(bench, "ada")
    allow(bench, "ada")
    sign_with(bench, "ada")
    configure(bench, DEMAND)
    _release(bench)
    right(bench)
    Agent(place(bench)).sync()
    (home(bench) / "allowed_signers").write_text("")


def _names_spam(bench: Workbench) -> None:
    follows(bench, "[follow.churn]\n[follow.spam]\n")


def _another(bench: Workbench) -> None:
    bench.train("model 2\n")
    bench.manager.release(push=True)
    Agent(place(bench)).sync()


@trial("workspace.step._another/2", command="status", folder=SRV,
       does="release another one where the model is released", by=_another)  # fmt: skip
def a_host_whose_only_version_is_withdrawn(bench: Workbench) -> None:
    _release(bench)
    right(bench)
    Agent(place(bench)).sync()
    bench.manager.withdraw("1.0.0", push=True)
    Agent(place(bench)).sync()


def _assigned(bench: Workbench) -> None:
    bench.manager.assign("1.1.0", "prod", push=True)
    Agent(place(bench)).sync()


@trial("workspace.step._another", command="status", folder=SRV,
       does="tagship assign churn@1.1.0 prod", by=_assigned)  # fmt: skip
def a_host_whose_stage_has_a_withdrawn_version_alone(bench: Workbench) -> None:
    _release(bench)
    bench.manager.assign("1.0.0", "prod", push=True)
    follows(bench, '[follow.churn]\ntrack = "#prod"\n')
    Agent(place(bench)).sync()
    bench.train("model 2\n")
    bench.manager.release(push=True)
    bench.manager.withdraw("1.0.0", push=True)
    Agent(place(bench)).sync()


@trial(
    "workspace.mirrored.not_followed",
    command="sync spam",
    folder=SRV,
    does="add [follow.spam] to tagship.toml",
    by=_names_spam,
    again="fetch",  # a pass waits until somebody publishes it
)
def a_model_that_is_not_followed(bench: Workbench) -> None:
    follows(bench)


@trial(
    "manager.agent.Agent._places",
    command="sync",
    folder=SRV,
    does="tagship host init . --git URL",
    by=right,
)
def a_sync_where_there_is_no_host(bench: Workbench) -> None:
    _release(bench)
    place(bench).mkdir()


def _init(*follow: str) -> Callable[[Workbench], object]:
    def command(bench: Workbench) -> object:
        return Agent(place(bench)).init(str(bench.repo.parent / "origin.git"), follow=follow)

    return command


def _of_bundles(name: str, endpoint: str | None = None) -> Callable[[Workbench], object]:
    def command(bench: Workbench) -> object:
        folder = bench.repo.parent / name
        return Agent(place(bench)).init(bundle=str(folder), endpoint=endpoint, follow=["churn"])

    return command


@trial("workspace.new_host._check_place", command=_of_bundles("x.tar"), does="give a folder",
       by=lambda _: None, again=_of_bundles("bundles"))  # fmt: skip
def a_bundle_for_the_folder_of_bundles(bench: Workbench) -> None:
    (bench.repo.parent / "x.tar").write_text("")


@trial(
    "workspace.new_host._check_place/2", command=lambda b: _of_bundles(place(b).name)(b),
    does="give another folder", by=lambda _: None, again=_of_bundles("bundles"),
)  # fmt: skip
def bundles_in_the_folder_of_the_host(bench: Workbench) -> None:
    del bench


@trial(
    "workspace.new_host._check_place/3", command=_of_bundles("bundles", "http://h.example"),
    does="leave --endpoint out", by=lambda _: None, again=_of_bundles("bundles"),
)  # fmt: skip
def an_endpoint_of_bundles(bench: Workbench) -> None:
    del bench


@trial(
    "workspace.new_host.make",
    command=_init("churn", "churn#prod"),
    does="one version of a model",
    by=lambda _: None,
    again=_init("churn"),
)
def a_host_that_follows_a_model_twice(bench: Workbench) -> None:
    del bench


@trial("workspace.new_host._check_utf8", command=_of_bundles("caf\udce9"), does="of ASCII",
       by=lambda _: None, again=_of_bundles("bundles"))  # fmt: skip
def a_place_whose_path_is_no_utf8(bench: Workbench) -> None:
    del bench


@trial("workspace.new_host.make/2", command=_init("churn"), does="edit it", by=right, again=read)
def a_host_that_is_there_already(bench: Workbench) -> None:
    follows(bench)


@trial("workspace.new_host.make/3", command=_init("churn"), does="a folder of its own",
       by=lambda b: shutil.rmtree(b.repo.parent / ".dvc"))  # fmt: skip
def a_host_in_a_repository(bench: Workbench) -> None:
    (bench.repo.parent / ".dvc").mkdir()


@trial(
    "deploy.follow.by_hand",
    command="deploy churn@1.1.0 --yes",
    folder=SRV,
    again="",
)
def a_deploy_by_hand_whose_gate_fails(bench: Workbench) -> None:
    _release(bench)
    gate = 'gate = {command = ["/bin/false"], watch = 0, pass = "1 of 1"}\n'
    follows(bench)
    Agent(place(bench)).sync()
    follows(bench, f"[follow.churn]\n{gate}")
    _release(bench, "model 2\n")
    Agent(place(bench)).fetch()


def _moved(bench: Workbench) -> None:
    """1.0.0 was live, and 1.1.0 is; the server has moved the tags of both."""
    _release(bench)
    follows(bench)
    Agent(place(bench)).sync()
    _release(bench, "model 2\n")
    Agent(place(bench)).sync()
    for name in ("churn@v1.0.0", "churn@v1.1.0"):
        bench.git("tag", "--force", "--annotate", "--message", "again", name, f"{name}^{{}}")
        bench.git("push", "--quiet", "--force", "origin", name)


@trial("workspace.moved.accepting", command="status churn", folder=SRV, again="sync",
       does="tagship fetch --accept churn@v1.1.0")  # fmt: skip
def a_tag_that_the_server_has_moved(bench: Workbench) -> None:
    _moved(bench)
    Agent(place(bench)).fetch(["churn@v1.0.0"])


@trial(
    "workspace.moved.check/3",
    command="deploy churn@1.0.0 --yes",
    folder=SRV,
    does="tagship fetch --accept churn@v1.0.0",
)
def a_tag_that_moved_before_the_mirror_was_made_anew(bench: Workbench) -> None:
    _moved(bench)
    shutil.rmtree(place(bench) / ".tagship" / "mirror.git")
    Agent(place(bench)).fetch()


@trial("deploy.accept.accept", command="fetch --accept churn@v1.0.0", folder=SRV, again="")
def a_tag_that_was_not_moved(bench: Workbench) -> None:
    _release(bench)
    follows(bench)


@trial(
    "deploy.accept.named", command="fetch --accept churn", folder=SRV,
    does="churn@v1.2.0", by=lambda _: None, again="fetch",
)  # fmt: skip
def what_is_no_tag(bench: Workbench) -> None:
    follows(bench)


@trial("inspect.status._fetch_findings", command="status churn", folder=SRV)
def tags_that_are_late(bench: Workbench) -> None:
    _release(bench)
    follows(bench)
    Agent(place(bench)).sync()
    state = agent.read(place(bench))
    agent.write(place(bench), replace(state, fetched_at="2020-01-01T00:00:00Z"))


@trial(f"{_PATH}_check_state", command=read, does="chmod -R go-w ...tagship")
def a_host_whose_mirror_everybody_can_write_to(bench: Workbench) -> None:
    follows(bench)
    (place(bench) / ".tagship").mkdir()
    (place(bench) / ".tagship").chmod(0o777)
