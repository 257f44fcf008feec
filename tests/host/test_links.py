"""Folders of a model that are links: which are allowed, and what helps with the others."""

import shlex

from tests.workbench import Workbench, run


def test_versions_that_were_moved_to_another_disk_are_moved_back(shipped: Workbench) -> None:
    versions, disk = shipped.folder / "versions", shipped.repo.parent / "big disk"
    versions.rename(disk)
    versions.symlink_to(disk)
    back = f"rm {versions} && mv {shlex.quote(str(disk))} {versions}"
    hint = f"move the versions back: {back}; for another disk, make {shipped.folder} a link"
    what = f"{versions} is a link to {disk}, and must not be a link"
    for command in ("status", "deploy churn@1.1.0 --force --yes"):
        shipped.refuses(command, what, hint)
    assert shipped.live() == "model 2\n"
    run(shipped.repo, "sh", "-c", back)
    assert shipped.cli("status").code == 0


def test_a_link_to_what_has_no_versions_is_removed_and_never_moved(bench: Workbench) -> None:
    versions, foreign = bench.folder / "versions", bench.repo.parent / "precious"
    foreign.mkdir()
    versions.symlink_to(foreign)
    bench.release()
    what = f"{versions} is a link to {foreign}, and must not be a link"
    bench.refuses("deploy churn --yes", what, f"remove it: rm {versions}")


def test_the_folder_of_a_model_may_be_a_link(shipped: Workbench) -> None:
    disk = shipped.repo.parent / "disk"
    shipped.folder.rename(disk)
    shipped.folder.symlink_to(disk)
    assert shipped.cli("status").code in (0, 3)
    assert shipped.cli("deploy", "churn@1.0.0", "--yes").code == 0
    assert shipped.live() == "model 1\n"
