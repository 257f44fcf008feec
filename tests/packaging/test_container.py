"""packaging/container: the image is built without a network, and follows as any other account."""

import os
import shutil
import time
from pathlib import Path

from tests.docs import pages
from tests.hosts import Following
from tests.packaging.container import podman

ACCOUNT = 12345


def own(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.lchown(path, ACCOUNT, ACCOUNT)


def serve(host: Following) -> Path:
    """Copy the servers' folders for the account: Git takes no repository of another one."""
    served = host.top / "served"
    shutil.rmtree(served, ignore_errors=True)
    for folder in (host.origin, host.remote):
        shutil.copytree(folder, served / folder.name)
    own(served)
    return served


def test_a_container_of_another_account_with_a_read_only_root_follows(
    image: str, host: Following
) -> None:
    folder = host.top / "volume"
    folder.mkdir(mode=0o750)
    own(folder)
    served = serve(host)
    host.top.chmod(0o755)
    commands = pages.blocks(pages.section(pages.page("hosts.md"), "In a container"))
    assert "podman run" in commands[1]

    def tagship(*arguments: str, code: int = 0) -> str:
        volumes = ("--volume", f"{folder}:/srv/models", "--volume", f"{served}:{served}:ro")
        done = podman("run", "--rm", "--network", "none", "--read-only", "--user",
                      f"{ACCOUNT}:{ACCOUNT}", *volumes, image, *arguments, check=False)  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    git, remote = f"file://{served}/origin.git", f"{served}/dvc-remote"
    tagship("host", "init", "/srv/models", "--git", git, "--remote", remote, "--follow", "churn")
    assert tagship("sync") == "churn: in order, live 1.0.0\n  1.0.0 is live\n"
    assert (folder / "churn/current/model.bin").read_text() == "model 1\n"
    assert (folder / "churn/current").readlink().parts[0] == "versions"
    assert {path.lstat().st_uid for path in folder.rglob("*")} == {ACCOUNT}
    host.release("model 2\n")
    serve(host)
    tagship("sync")
    assert tagship("current", "churn") == "1.1.0\n"
    tagship("rollback", "churn", "--yes")
    assert "1.0.0 is live" in tagship("sync") or tagship("current", "churn") == "1.0.0\n"


def test_by_itself_it_makes_a_pass_each_five_minutes_as_an_account_without_rights(
    image: str, host: Following
) -> None:
    shown = podman("image", "inspect", "--format",
                   "{{.Config.User}} {{.Config.WorkingDir}} {{.Config.Entrypoint}} {{.Config.Cmd}}",
                   image).stdout  # fmt: skip
    assert shown == "tagship /srv/models [tagship] [sync --every 300]\n"
    name = podman("run", "--detach", "--network", "none", image).stdout.strip()
    end = time.monotonic() + 60
    while "there is no tagship.toml in /srv/models" not in (said := _logs(name)):
        assert time.monotonic() < end, said
        time.sleep(0.2)
    assert "Traceback" not in said
    podman("stop", "--time", "60", name)
    code = podman("inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip()
    assert code == "130"  # not 137: it was not killed


def _logs(name: str) -> str:
    told = podman("logs", name)
    return told.stdout + told.stderr
