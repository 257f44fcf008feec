"""The role of packaging/ansible, run on this machine below a folder of its own."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tagship.text import yaml
from tests.workbench import Workbench

ROOT = Path(__file__).parents[2]
ANSIBLE = ROOT / "packaging" / "ansible"
needs_ansible = pytest.mark.skipif(
    shutil.which("ansible-playbook") is None or os.geteuid() != 0,
    reason="needs ansible-playbook, and root",
)


def wheel(folder: Path) -> Path:
    """A wheel of tagship that needs nothing: as ``pip wheel --no-deps`` makes it."""
    path, info = folder / "tagship-0.1.0-py3-none-any.whl", "tagship-0.1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted((ROOT / "tools/tagship").rglob("*.py")):
            archive.write(file, file.relative_to(ROOT / "tools"))
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tagship\nVersion: 0.1.0\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
                         "Generator: test\nTag: py3-none-any\n")  # fmt: skip
        program = "[console_scripts]\ntagship = tagship.cli.main:program\n"
        archive.writestr(f"{info}/entry_points.txt", program)
        archive.writestr(f"{info}/RECORD", "")
    return path


def play(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["ansible-playbook", "--inventory", "localhost,", *arguments],
        cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        env=os.environ | {"ANSIBLE_ROLES_PATH": str(ANSIBLE / "roles"), "LC_ALL": "C.UTF-8",
                          "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCAL_TEMP": str(folder / "local")},
    )  # fmt: skip


@needs_ansible
def test_the_example_is_a_playbook(tmp_path: Path) -> None:
    checked = play(tmp_path, "--syntax-check", str(ANSIBLE / "example.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@needs_ansible
@pytest.mark.released
def test_the_role_makes_a_host_that_follows_and_a_second_run_changes_nothing(
    bench: Workbench, tmp_path: Path
) -> None:
    bench.git("push", "--quiet", "origin", "churn@v1.0.0")
    prefix = tmp_path / "machine"
    playbook = [{
        "hosts": "all", "connection": "local", "gather_facts": False, "roles": ["tagship_host"],
        "vars": {
            "ansible_python_interpreter": sys.executable,
            "ansible_remote_tmp": str(tmp_path / "remote"),
            "tagship_host_python": sys.executable, "tagship_host_wheel": str(wheel(tmp_path)),
            "tagship_host_pip_options": ["--no-index", "--no-deps"], "tagship_host_extras": [],
            "tagship_host_account": "root", "tagship_host_make_account": False,
            "tagship_host_prefix": str(prefix), "tagship_host_timer": False,
            "tagship_host_name": "edge-1", "tagship_host_git": f"file://{tmp_path}/origin.git",
            "tagship_host_remote": str(tmp_path / "dvc-remote"),
            "tagship_host_remote_options": {"verify": True}, "tagship_host_deploy": {"keep": 3},
            "tagship_host_follow": {"churn": {"track": "^1.0"}},
            "tagship_host_window": {"days": ["mon"], "start": "00:00", "length": "7d"},
            "tagship_host_keys": {"aws": "[default]\n", "environment": "NO_PROXY=*\n"},
        },
    }]  # fmt: skip
    (tmp_path / "play.yml").write_text(json.dumps(playbook))
    first, second = (play(tmp_path, "play.yml") for _ in range(2))
    assert first.returncode == 0, first.stdout + first.stderr
    assert second.returncode == 0, second.stdout + second.stderr
    assert " changed=0 " in second.stdout
    keys = prefix / "etc/tagship/srv-models"
    assert {path.name: path.stat().st_mode & 0o777 for path in keys.iterdir()} == {
        "aws": 0o600,
        "environment": 0o600,
    }
    drop_ins = prefix / "etc/systemd/system/tagship-sync@srv-models.service.d"
    assert {path.name for path in drop_ins.iterdir()} == {
        "account.conf",
        "environment.conf",
        "s3.conf",
    }
    installed = [path for path in sys.path if path.endswith("site-packages")]
    synced = subprocess.run(
        [prefix / "usr/local/bin/tagship", "-C", prefix / "srv/models", "sync"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(installed)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (synced.returncode, synced.stderr) == (0, "")
    assert synced.stdout == "churn: in order, live 1.0.0\n  1.0.0 is live\n"


@pytest.mark.parametrize(
    "given, source",
    [
        ({"tagship_host_git": "file:///git"}, {"git": "file:///git"}),
        ({"tagship_host_index": "s3://models/dvc"}, {"index": "s3://models/dvc"}),
    ],
)
def test_the_role_writes_where_versions_come_from(
    given: dict[str, str], source: dict[str, str]
) -> None:
    jinja2 = pytest.importorskip("jinja2")
    role = ANSIBLE / "roles" / "tagship_host"
    file = role / "defaults" / "main.yml"
    defaults = yaml.plain(yaml.parse(file.read_bytes(), file.name))
    environment = jinja2.Environment(trim_blocks=True)
    environment.filters["to_json"] = lambda value, **_: json.dumps(value)
    template = environment.from_string((role / "templates" / "tagship.toml.j2").read_text())
    values = defaults | {"tagship_host_name": "edge-1", "tagship_host_follow": {"churn": {}}}
    written = tomllib.loads(template.render(values | given))
    assert written["source"] == source
    assert written["follow"] == {"churn": {}}
