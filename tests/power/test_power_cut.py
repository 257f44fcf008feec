"""A power cut in the middle of a deploy, and right after exit code 0: on ext4, xfs and btrfs.

A power cut is tried by copying the disk: an image file behind a loop device. The copy has what the
file system handed to the device, and nothing of what the kernel still had in memory. It is mounted,
as after the cut, and looked at. What this cannot show is a disk that says that it has written what
it has not, or that writes in another order: such a disk breaks the file systems themselves.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.crash import cases
from tests.power import cut
from tests.power.cut import EXIT, LATER, Moment, Trial
from tests.power.image import Unusable

BYTES, HISTORY, FOLDERS = r"/staging/[^/]+/[^/]+$", r"\.deployment_history\.json", "/$"
TRIALS = (
    Trial("ext4", "deploy"),
    Trial("xfs", "deploy"),
    Trial("btrfs", "first deploy"),
    Trial("btrfs", "deploy", FOLDERS, during=False),
    Trial("ext4", "deploy", BYTES, during=False),
    Trial("xfs", "deploy", HISTORY, during=False),
    Trial("ext4", "unbundle"),
    Trial("btrfs", "first unbundle"),
)


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Trial, list[Moment] | str]]:
    """What came of each trial: the moments, or why it cannot be made here."""
    folder = tmp_path_factory.mktemp("power")

    def attempt(number: int) -> list[Moment] | str:
        trial = TRIALS[number]
        try:
            return cut.cut(trial, folder / trial.case, folder / str(number))
        except Unusable as error:
            return str(error)

    with cases.sealed(folder):
        for case in sorted({trial.case for trial in TRIALS}):
            cases.build(cases.named(case), folder / case)
        with ThreadPoolExecutor(len(TRIALS)) as pool:  # each waits for its disk
            yield dict(zip(TRIALS, pool.map(attempt, range(len(TRIALS))), strict=True))


def moments(tried: dict[Trial, list[Moment] | str], trial: Trial) -> list[Moment]:
    outcome = tried[trial]
    if isinstance(outcome, str):
        pytest.skip(outcome)
    return outcome


@pytest.mark.parametrize("trial", TRIALS[:3], ids=lambda trial: f"{trial.kind}, {trial.case}")
def test_a_power_cut_leaves_the_old_or_the_new_version_whole_and_the_next_command_mends_it(
    tried: dict[Trial, list[Moment] | str], trial: Trial
) -> None:
    cuts = moments(tried, trial)
    assert {moment.name: moment.problems for moment in cuts if moment.problems} == {}
    lives = [moment.live for moment in cuts]
    assert lives == sorted(lives, key=["old", "new"].index)
    # the intent, each file, the version's folder before the switch; the history behind it
    assert (lives.count("old"), lives.count("new")) >= (5, 4)


@pytest.mark.parametrize("trial", TRIALS[6:], ids=lambda trial: f"{trial.kind}, {trial.case}")
def test_a_power_cut_leaves_nothing_of_a_bundle_or_all_of_it(
    tried: dict[Trial, list[Moment] | str], trial: Trial
) -> None:
    cuts = moments(tried, trial)
    assert {moment.name: moment.problems for moment in cuts if moment.problems} == {}
    lives = [moment.live for moment in cuts]
    assert lives == sorted(lives, key=["old", "new"].index)
    assert lives[0] == "old"
    assert cuts[-2:] == [Moment(EXIT, "new", []), Moment(LATER, "new", [])]


@pytest.mark.parametrize("trial", TRIALS[:3], ids=lambda trial: f"{trial.kind}, {trial.case}")
def test_exit_code_0_survives_a_power_cut(
    tried: dict[Trial, list[Moment] | str], trial: Trial
) -> None:
    assert moments(tried, trial)[-2:] == [Moment(EXIT, "new", []), Moment(LATER, "new", [])]


@pytest.mark.parametrize(("trial", "shown"), [
    (TRIALS[3], "current is not as the command left it"),
    (TRIALS[4], "versions/: versions/v1.1.0_ID/metadata.json "),
    (TRIALS[5], "deployment_history.json is not a valid history file, line 1"),
], ids=["folders on btrfs", "files on ext4", "history on xfs"])  # fmt: skip
def test_a_copy_shows_what_was_not_synced(
    tried: dict[Trial, list[Moment] | str], trial: Trial, shown: str
) -> None:
    """Where a file system hides it, the order of the calls shows it: tests/crash.

    Later it may be written all the same: whoever calls sync(1) on the machine does it for all.
    """
    at_exit = moments(tried, trial)[0]
    assert (at_exit.name, at_exit.problems[0][: len(shown)]) == (EXIT, shown)
