"""packaging/container: the image is built without a network, and follows as any other account."""

import os
import shutil
import subprocess
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


LATE = """\
import datetime, time

class Late(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(days=4000)

datetime.datetime = Late
now = time.time
time.time = lambda: now() + 4000 * 86400
"""
# Another account, umask, clock, time zone, locale, host name, order of a set; another file system.
MACHINES = {
    "tmpfs": (
        "umask 077", ACCOUNT, "--tmpfs=/out:mode=1777", "--hostname=first",
        "--env=TZ=Pacific/Kiritimati", "--env=LC_ALL=C", "--env=PYTHONHASHSEED=1",
    ),
    "overlayfs": (
        "umask 000", 0, "--hostname=second", "--env=TZ=America/Nome", "--env=LC_ALL=C.UTF-8",
        "--env=PYTHONHASHSEED=2", "--env=PYTHONPATH=/late",
    ),
}  # fmt: skip


def test_a_version_has_the_same_image_in_containers_that_have_nothing_in_common(
    image: str, host: Following
) -> None:
    late = host.top / "late"
    late.mkdir()
    (late / "sitecustomize.py").write_text(LATE)
    late.chmod(0o755)
    served = serve(host)
    host.top.chmod(0o755)
    outside = host.bench.manager.export_image(host.top / "image")
    digests, marks = {}, {}
    for kind, (umask, account, *options) in MACHINES.items():
        script = (
            f"set -e; {umask}; mkdir -p /out/home; export HOME=/out/home; cd /out\n"
            f"git config --global safe.directory '*'\n"
            f"git clone --quiet file://{served}/origin.git clone; cd clone\n"
            f"dvc remote modify --quiet --local store url {served}/dvc-remote 2>/dev/null\n"
            "tagship export churn --format oci -o /out/image >/dev/null\n"
            "stat --file-system --format %T /out/image; stat --format %a /out/image/blobs\n"
            "python3 -c 'import datetime; print(datetime.datetime.now().year)'\n"
            "cd /out/image; find . -type f | sort | xargs sha256sum"
        )
        done = podman(
            "run", "--rm", "--network", "none", *map(str, options),
            "--user", f"{account}:{account}",
            "--volume", f"{served}:{served}:ro", "--volume", f"{late}:/late:ro",
            "--entrypoint", "sh", image, "-c", script,
        )  # fmt: skip
        system, mode, year, *lines = done.stdout.splitlines()
        assert system == kind
        digests[kind], marks[kind] = lines, (mode, int(year))
    assert marks["tmpfs"][0] != marks["overlayfs"][0]
    assert marks["overlayfs"][1] - marks["tmpfs"][1] in (10, 11)
    here = subprocess.run(
        ["sh", "-c", "find . -type f | sort | xargs sha256sum"], cwd=host.top / "image",
        capture_output=True, text=True, check=True, env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
    ).stdout.splitlines()  # fmt: skip
    assert digests["tmpfs"] == digests["overlayfs"] == here
    assert any(outside.digest.removeprefix("sha256:") in line for line in here)
