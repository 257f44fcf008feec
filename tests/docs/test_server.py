"""docs/server.md, from an empty machine to its removal: the page's own commands, in its order.

Not run: ``python3 -m venv`` and ``pip install``, which need a package index and minutes, and the
Dockerfile, which needs an image. Their parts that can be checked are.
"""

import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import conftest
from tests.docs import machine, pages
from tests.docs.machine import Machine
from tests.workbench import Result, Workbench

PAGE = pages.page("server.md")
SKIPPED = ("python3 -m venv", "/opt/tagship/bin/pip install")  # the harness has put them there
KEYS_OF_0_1_0 = (
    "seq", "id", "at", "action", "status", "model", "version", "tag", "tag_object", "commit",
    "directory", "previous", "actor", "host", "reason", "duration_s", "error",
)  # fmt: skip
REASON = machine.lacking()
needs_a_machine = pytest.mark.skipif(REASON is not None, reason=str(REASON))


def commands(heading: str, number: int | None = None) -> str:
    """The commands under a heading of the page, or of one of its blocks."""
    shells = pages.blocks(pages.section(PAGE, heading))
    text = "".join(shells) if number is None else shells[number]
    lines = [line for line in text.splitlines() if not line.startswith(SKIPPED)]
    return "\n".join(lines) + "\n"


def file(heading: str, language: str, number: int = 0) -> str:
    """A file that the page shows."""
    return pages.blocks(pages.section(PAGE, heading), language)[number]


@dataclass(frozen=True)
class Team:
    """The machine, and what the others of the team do elsewhere."""

    machine: Machine
    laptop: Path

    def publish(self, version: str) -> None:
        """Push the tag of a version; its bytes are in the bucket."""
        push = f"git -C {self.laptop} push --quiet {machine.ORIGIN} churn@v{version}"
        self.machine.run("root", push)

    def deploy(self, commands: str) -> str:
        return self.machine.run("deploy", commands)

    def live(self) -> str:
        return self.machine.run("root", "cat /srv/models/models/churn/current/model.bin")

    def events(self) -> list[dict[str, str]]:
        text = self.machine.run("root", "cat /srv/models/models/churn/deployment_history.json")
        value: list[dict[str, str]] = json.loads(text)
        return value


@pytest.fixture(scope="module")
def prepared(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.0.0, 1.1.0 and 1.2.0 were made on a laptop; the tag of 1.0.0 alone is on the Git remote."""
    folder = tmp_path_factory.mktemp("team")
    with conftest.prepared(template, folder) as bench:
        bench.manager.release()
        for number in (2, 3):
            bench.train(f"model {number}\n")
            bench.manager.release()
        bench.git("checkout", "--quiet", "churn@v1.0.0^{commit}", "--detach")
        config = "[core]\n    remote = store\n['remote \"store\"']\n    url = s3://models/dvc\n"
        (bench.repo / ".dvc/config").write_text(config)
        bench.commit("Keep the models in a bucket")
        bench.git("push", "--quiet", "origin", "HEAD:main", "churn@v1.0.0")
    return folder


@pytest.fixture(scope="module")
def team(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with machine.machine(tmp_path_factory.mktemp("machine"), prepared) as host:
        yield Team(host, prepared / "repo")


@pytest.fixture(scope="module")
def deployed(team: Team) -> str:
    """What the last of the first commands printed: everything up to a deployed model."""
    team.machine.run("root", commands("Install"))
    team.machine.run("root", "useradd --create-home ada; useradd --create-home app")
    team.deploy(commands("Credentials"))
    return team.deploy("umask 027\n" + commands("Deploy"))


@pytest.fixture(scope="module")
def readers(team: Team, deployed: str) -> None:
    """ada and app become members of the group."""
    outside = team.machine.login("ada", "ls /srv/models")
    assert (outside.code, outside.out) == (2, "")
    team.machine.run("root", commands("Readers", 0))


@pytest.fixture(scope="module")
def rolled_back(team: Team, deployed: str) -> str:
    """What ada's rollback printed, from 1.1.0 to 1.0.0."""
    team.publish("1.1.0")
    team.deploy("cd /srv/models; git fetch --quiet --tags; tagship deploy churn --retry --yes")
    home = "cd ~ada; chmod 700 .\n"  # which deploy cannot read
    return team.machine.run("root", home + commands("Who may roll back", 0))


def as_cron(team: Team, number: int = 0) -> Result:
    """Run the line of a block of the page as cron does: its environment, /bin/sh."""
    team.machine.run("root", commands("With a timer"))
    line = file("With cron", "cron", number).splitlines()[-1]
    *times, account, command = line.split(maxsplit=6)
    assert (len(times), account) == (5, "deploy")
    assert "%" not in command  # a newline to cron
    cron = (
        f"cd; exec env -i HOME=$HOME LOGNAME=deploy PATH=/usr/bin:/bin sh -c {shlex.quote(command)}"
    )
    return team.machine.login("deploy", cron)


@needs_a_machine
def test_the_page_leads_from_an_empty_machine_to_a_deployed_model(
    team: Team, deployed: str
) -> None:
    assert "churn 1.0.0 is live" in deployed
    assert "churn: in order, live 1.0.0, latest 1.0.0" in deployed
    assert team.live() == "model 1\n"


@needs_a_machine
def test_files_have_the_owners_and_modes_of_the_page(team: Team, deployed: str) -> None:
    listing = team.machine.run(
        "root",
        "stat --format='%U:%G %04a' /srv/models /srv/models/models/churn/versions/*"
        " /srv/models/models/churn/versions/*/* /srv/models/models/churn/deployment_history.json"
        " /home/deploy/.aws/credentials /home/deploy/.ssh /home/deploy/.ssh/id_ed25519",
    )
    assert listing.splitlines() == [
        "deploy:deploy 2750",
        "deploy:deploy 0555",
        "deploy:deploy 0444",
        "deploy:deploy 0444",
        "deploy:deploy 0644",
        "deploy:deploy 0600",
        "deploy:deploy 0700",
        "deploy:deploy 0600",
    ]
    assert "SECRET" not in team.machine.run("root", "cat /srv/models/.dvc/config.local")


@needs_a_machine
def test_a_folder_of_the_trainer_is_read_by_deploy_alone(team: Team, deployed: str) -> None:
    heading = "A DVC remote that is a folder"
    team.machine.run("root", "useradd --create-home trainer\n" + commands(heading))
    shared = pages.blocks(pages.section(PAGE, heading), "")[0].replace("git push", "")
    script = (
        "umask 027; git config --global user.name T; git config --global user.email t@example.com\n"
        "git init --quiet clone; cd clone; dvc init --quiet\n"
        "dvc remote add --quiet --default store /mnt/models\n"
        f"git add --all; git commit --quiet --message Start\n{shared}\n"
        "echo x > x; dvc add --quiet x; dvc push --quiet\n"
        "umask 077; echo y > y; dvc add --quiet y; dvc push --quiet\n"
    )
    team.machine.run("trainer", "cd; " + script)
    read = "find /mnt/models -type f -exec cat {} +"
    assert sorted(team.deploy(read).split()) == ["x", "y"]
    assert team.machine.login("ada", read).code == 1
    owned = team.machine.run("root", "find /mnt/models -type d -printf '%g %m\\n' | sort -u")
    assert owned.splitlines() == ["models 2750", "models 2775"]
    private = "chgrp -R trainer /mnt/models/*; chmod -R go-rwxs /mnt/models/*"
    team.machine.run("root", private)
    assert team.machine.login("deploy", read).code == 1
    for command in (
        "chgrp -R models /mnt/models", "chmod -R g+rX /mnt/models",
        "find /mnt/models -type d -exec chmod g+s {} +",
    ):  # fmt: skip
        assert f"`{command}`" in PAGE
        team.machine.run("root", command)
    assert sorted(team.deploy(read).split()) == ["x", "y"]


@needs_a_machine
def test_what_root_or_a_strict_umask_did_to_the_clone_is_undone(
    team: Team, deployed: str, readers: None
) -> None:
    fetch = "cd /srv/models; git fetch --quiet --tags"
    tag = "/srv/models/.git/refs/tags/tmp@v1.0.0"
    by_root = (
        "cd /srv/models; git -c user.name=A -c user.email=a tag -am A tmp@v1.0.0\n"
        f"chmod 600 {tag}; touch .git/FETCH_HEAD; chown root .git/FETCH_HEAD"
    )
    team.machine.run("root", by_root)
    assert "FETCH_HEAD" in team.machine.login("deploy", fetch).err
    team.machine.run("root", commands("Who owns what", 1))
    team.deploy(fetch)
    told = team.machine.login("ada", "cd /srv/models; tagship status")
    assert (told.code, "churn: unknown" in told.out) == (1, True)
    assert f"ada may not read {tag}" in told.out
    team.deploy(commands("Who owns what", 0))
    assert "unknown" not in team.machine.login("ada", "cd /srv/models; tagship status").out
    team.deploy("cd /srv/models; git tag --delete tmp@v1.0.0")


@needs_a_machine
def test_git_pull_brings_the_address_of_a_remote_that_the_team_moved(
    team: Team, deployed: str
) -> None:
    move = (
        f"git clone --quiet {machine.ORIGIN} ~/moved; cd ~/moved; echo '# moved' >> .dvc/config;"
        " git -c user.name=M -c user.email=m@example.com commit --quiet --all --message Move;"
        " git push --quiet origin HEAD:main; rm -rf ~/moved"
    )
    team.machine.run("root", move)
    as_cron(team)
    assert "moved" not in team.deploy("cat /srv/models/.dvc/config")
    team.deploy(f"cd /srv/models\n{commands('New versions', 1)}")
    assert "moved" in team.deploy("cat /srv/models/.dvc/config")


@needs_a_machine
def test_members_of_the_group_read_everything_and_change_nothing(team: Team, readers: None) -> None:
    assert "churn: in order, live 1.0.0" in team.machine.run("ada", commands("Readers", 1))
    before = team.events()
    for command in ("rollback churn --yes", "deploy churn --yes --force", "pin churn@1.0"):
        refused = team.machine.login("ada", f"tagship -C /srv/models {command}")
        assert refused.code == 1
        assert (
            "ada may not write to /srv/models/models/churn, which belongs to deploy" in refused.err
        )
    assert team.events() == before
    path = team.machine.run(
        "app",
        "/opt/tagship/bin/python -c 'import tagship;"
        ' print(tagship.resolve("churn", "/srv/models").path.read_text())\'',
    )
    assert path == "model 1\n\n"


@needs_a_machine
def test_a_right_to_write_for_the_group_lets_nobody_roll_back(team: Team, readers: None) -> None:
    folders = "/srv/models/models /srv/models/models/churn"
    team.machine.run("root", f"chmod g+w {folders}")
    refused = team.machine.login("ada", "tagship -C /srv/models rollback churn --yes")
    status = team.machine.login("deploy", "tagship -C /srv/models status")
    team.machine.run("root", f"chmod g-w {folders}")
    assert refused.err.startswith("error: ada may not write to /srv/models/models/churn/versions,")
    assert status.code == 3
    assert "can be written by its group" in status.out


@needs_a_machine
def test_git_pull_brings_no_tag_of_another_branch_and_git_fetch_tags_does(
    team: Team, deployed: str
) -> None:
    team.publish("1.1.0")
    team.deploy("cd /srv/models; git pull --quiet; test -z \"$(git tag --list '*1.1.0')\"")
    unknown = team.deploy("tagship -C /srv/models deploy churn --yes")
    assert "nothing to do, as far as this clone knows" in unknown
    assert "churn 1.1.0 is live (before: 1.0.0)" in team.deploy(commands("New versions", 0))


@needs_a_machine
def test_a_tag_that_was_moved_on_the_remote_is_told_and_stops_no_new_version(
    team: Team, deployed: str
) -> None:
    live = "tagship deploy churn@1.0.0 --yes; tagship resume churn || true"
    team.deploy(f"cd /srv/models; {live}")
    team.publish("1.1.0")
    there = f"git -C {machine.ORIGIN}"
    before = team.machine.run("root", f"{there} rev-parse churn@v1.0.0").strip()
    moved = f"{there} -c user.name=M -c user.email=m@example.com tag --force -m moved churn@v1.0.0"
    team.machine.run("root", f"{moved} main")
    news, again = as_cron(team), as_cron(team)
    team.machine.run("root", f"{there} update-ref refs/tags/churn@v1.0.0 {before}")
    assert "churn 1.1.0 is live" in news.out
    for result in (news, again):
        assert (result.code, "would clobber existing tag" in result.err) == (1, True)
    assert again.out == ""
    assert as_cron(team) == Result(0, "", "")


@needs_a_machine
def test_a_git_remote_that_does_not_answer_is_told_and_a_rollback_of_2_a_m_lasts(
    team: Team, deployed: str
) -> None:
    team.publish("1.1.0")
    as_cron(team)
    team.machine.run("root", f"mv {machine.ORIGIN} {machine.ORIGIN}.away")
    outage = as_cron(team)
    team.machine.run("root", f"mv {machine.ORIGIN}.away {machine.ORIGIN}")
    assert (outage.code, outage.out) == (128, "")
    assert outage.err.startswith("git fetch --tags: exit code 128\n")
    assert "churn 1.0.0 is live" in team.deploy(commands("At 2 a.m."))
    assert as_cron(team) == Result(0, "", "")
    assert team.live() == "model 1\n"
    team.deploy("cd /srv/models; tagship deploy churn --retry --yes")


@needs_a_machine
def test_a_member_rolls_back_as_deploy_and_is_in_the_history(team: Team, rolled_back: str) -> None:
    assert "churn 1.0.0 is live (before: 1.1.0)" in rolled_back
    event = team.events()[-1]
    assert (event["action"], event["reason"]) == ("rollback", "wrong on snow")
    assert event["actor"] == "ada as deploy"


@needs_a_machine
def test_the_cron_line_respects_a_rollback_and_speaks_only_of_news(
    team: Team, rolled_back: str
) -> None:
    assert as_cron(team) == Result(0, "", "")
    assert team.live() == "model 1\n"
    team.publish("1.2.0")
    news = as_cron(team)
    assert (news.code, news.err) == (0, "")
    assert "churn 1.2.0 is live (before: 1.0.0)" in news.out
    assert as_cron(team) == Result(0, "", "")


@needs_a_machine
def test_the_cron_line_is_silent_during_a_hold_and_complains_of_one_that_is_over(
    team: Team, deployed: str
) -> None:
    hold, resume = commands("Who may roll back", 1).splitlines()
    team.machine.run("root", hold)
    assert as_cron(team) == Result(3, "", "")
    path = "/srv/models/models/churn/deployment_history.json"
    team.machine.run("root", f"sed -i s/2099-12-01/2001-12-01/ {path}")
    complaint = as_cron(team)
    assert (complaint.code, complaint.out) == (3, "")
    assert "is over" in complaint.err
    team.machine.run("root", resume)
    assert as_cron(team).code == 0


@needs_a_machine
def test_the_cron_line_of_a_stage_deploys_its_version(team: Team, deployed: str) -> None:
    team.publish("1.1.0")
    team.deploy(
        "cd /srv/models; git fetch --quiet --tags; tagship deploy churn@1.1.0 --yes;"
        " tagship resume churn; git -c user.name=Ada -c user.email=ada@example.com"
        " tag --annotate --message x 'churn#prod#1' 'churn@v1.0.0^{commit}'"
    )
    assert "churn 1.0.0 is live (before: 1.1.0)" in as_cron(team, 1).out
    assert as_cron(team, 1) == Result(0, "", "")
    team.deploy("cd /srv/models; git tag --delete 'churn#prod#1'")


@needs_a_machine
def test_systemd_accepts_the_units_which_run_what_cron_runs(team: Team, deployed: str) -> None:
    service, timer = (file("With systemd", "ini", number) for number in (0, 1))
    for name, text in (("service", service), ("timer", timer)):
        team.machine.run("root", f"cat > /etc/systemd/system/tagship.{name} <<'END'\n{text}END")
    if shutil.which("systemd-analyze"):
        said = team.machine.run("root", "systemd-analyze verify /etc/systemd/system/tagship.*")
        assert "tagship" not in said
    [program] = [line.partition("=")[2] for line in service.splitlines() if "ExecStart" in line]
    assert file("With cron", "cron").splitlines()[-1].endswith(f" deploy {program}")


def test_the_extras_that_the_page_installs_exist() -> None:
    text = (pages.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    named = re.findall(r"tagship\[([a-z0-9,]+)\]", PAGE)
    assert {name for names in named for name in names.split(",")} <= set(extras)
    assert len(named) == 3  # install, upgrade, the image


def test_the_program_of_the_page_answers_with_the_live_version(bench: Workbench) -> None:
    catboost = pytest.importorskip("catboost")
    path = bench.repo / "models/churn/model.cbm"
    (bench.repo / "dvc.yaml").write_text("artifacts:\n  churn:\n    path: models/churn/model.cbm\n")
    for constant in (1.5, 2.5):
        model = catboost.CatBoostRegressor(iterations=1, verbose=False, allow_writing_files=False)
        model.fit([[0], [1]], [constant, constant + 1]).save_model(str(path))
        bench.track("models/churn/model.cbm")
        bench.commit()
        bench.release()
    bench.manager.deploy("1.0", smoke_test=False)
    [text] = pages.blocks(pages.section(PAGE, "How a program notices a new version"), "python")
    names: dict[str, Any] = {}
    exec(text.replace('"/srv/models"', repr(str(bench.repo))), names)
    program = names["Model"]("churn")
    answers = [program.predict([[0]])[0]]
    bench.manager.deploy("1.1", smoke_test=False)
    answers += [program.predict([[0]])[0], program.predict([[0]])[0]]
    bench.manager.rollback_to_version()
    answers.append(program.predict([[0]])[0])
    assert answers[0] == answers[3] != answers[1] == answers[2]


def test_a_newer_tagship_reads_the_history_of_0_1_0(shipped: Workbench) -> None:
    path = shipped.folder / "deployment_history.json"
    events = [{key: event[key] for key in KEYS_OF_0_1_0} for event in json.loads(path.read_bytes())]
    path.write_text(json.dumps(events, indent=2) + "\n")
    assert shipped.cli("rollback", "churn", "--yes").code == 0
    assert shipped.live() == "model 1\n"
    assert [event.seq for event in shipped.manager.get_deployment_history()] == [1, 2, 3]


@needs_a_machine
def test_a_backup_brings_history_pins_and_a_rollback_to_a_new_clone(
    team: Team, deployed: str
) -> None:
    team.publish("1.1.0")
    team.deploy(
        "cd /srv/models; git fetch --quiet --tags; tagship deploy churn --retry --yes;"
        " tagship rollback churn --to 1.0 --yes; tagship pin churn@1.0.0"
    )
    before = team.events()
    team.deploy(commands("Backup", 0))
    team.deploy("cd /srv/models; chmod -R u+w models; find . -mindepth 1 -delete")
    *first, deploy, _ = commands("Deploy").splitlines()
    team.deploy("\n".join(first))
    team.deploy(f"{commands('Backup', 1)}\n{deploy}")
    assert team.events()[: len(before)] == before
    assert team.live() == "model 1\n"
    assert "pinned" in team.deploy("tagship -C /srv/models list churn | grep 1.0.0")
    team.deploy("tagship -C /srv/models unpin churn@1.0.0")


@needs_a_machine
def test_after_the_removal_nothing_is_left(team: Team, readers: None) -> None:
    team.machine.run("root", "touch /etc/cron.d/tagship")
    team.machine.run("root", commands("Removal", 0))
    team.deploy(commands("Removal", 1))
    team.machine.run("root", commands("Removal", 2))
    left = team.machine.run(
        "root",
        "find /etc /home /opt /srv /usr/local/bin /var/tmp -path '*tagship*' -o -path '*deploy*'"
        " -o -path '/srv/*' -o -path '/var/tmp/*'; grep -c deploy /etc/passwd /etc/group || true;"
        " git config --system --get-all safe.directory",
    )
    assert left.splitlines() == ["/etc/passwd:0", "/etc/group:0", "/opt/models.git"]
