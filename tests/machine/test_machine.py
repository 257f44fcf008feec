"""A sample of the machine's stories; ``make crash-test`` tells many more."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.stateful import run_state_machine_as_test

from tests import conftest
from tests.machine import world
from tests.machine.machine import Machine, with_templates
from tests.machine.model import Model, Place, Tag

SAMPLE = settings(
    max_examples=10, stateful_step_count=25, deadline=None, derandomize=True, database=None,
    phases=[Phase.generate], verbosity=Verbosity.quiet, print_blob=False,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[type[Machine]]:
    """Machines on copies of repositories that are built once."""
    folder = tmp_path_factory.mktemp("machine")
    with pytest.MonkeyPatch.context() as patched:
        conftest._seal(patched, folder)
        templates = {
            auto: world.prepare(folder / f"template-{auto}", auto=auto) for auto in (False, True)
        }
    yield with_templates(templates)


def test_every_command_does_what_the_contract_says(machine: type[Machine]) -> None:
    run_state_machine_as_test(machine, settings=SAMPLE)


# --- stories that the code or the model once had wrong


@pytest.fixture
def story(machine: type[Machine]) -> Iterator[Callable[..., Machine]]:
    """Begin a story: whether versions are cleaned up after each deploy, and how many there are."""
    begun: list[Machine] = []

    def begin(*, auto: bool = False, released: int = 2) -> Machine:
        begun.append(machine())
        begun[-1].begin(auto=auto, released=released)
        return begun[-1]

    yield begin
    for entry in begun:
        entry.teardown()


@pytest.mark.parametrize("at", [2, 12, 22, 31, 39, 41])
def test_a_first_deploy_is_killed_and_then_rolled_back(
    story: Callable[..., Machine], at: int
) -> None:
    """Folders; a link on trial; the intent; the directory; live; in the history."""
    told = story()
    told.kill(kind="exact", at=at, wish="latest", pick=0, flag=False)
    assert told.pending
    steps: tuple[Callable[[], None], ...] = (
        lambda: told.rollback(to="1", pick=0, hold=True, fails=""),  # once as it was left,
        lambda: told.rollback(to="exact", pick=1, hold=True, fails=""),  # then recovered
        lambda: told.hold_or_resume(action="hold"),
        lambda: told.hold_or_resume(action="resume"),
        told.deploy,
    )
    for step in steps:
        step()
        told.in_order()


def test_a_version_is_pinned_before_the_first_deploy(story: Callable[..., Machine]) -> None:
    told = story()
    told.pin(pick=0)
    told.rollback(to="1", pick=0, hold=True, fails="")
    told.hold_or_resume(action="hold")
    told.deploy_by_rule(wish="1", force=False, retry=False, fails="smoke")
    told.rollback(to="exact", pick=0, hold=False, fails="")
    told.in_order()


def test_an_undeploy_is_killed_once_nothing_is_live(story: Callable[..., Machine]) -> None:
    """The hold that it ends stops no deploy, also before it is recovered."""
    told = story()
    told.deploy_exactly(pick=0, force=False, fails="")
    told.kill(kind="undeploy", at=20, wish="latest", pick=0, flag=False)
    assert (told.pending, told.world.live()) == (True, None)
    told.in_order()
    told.deploy()
    told.in_order()


def test_a_rule_is_left_for_a_version_outside_of_it(story: Callable[..., Machine]) -> None:
    """Its version failed once it was live; only what is new of that rule goes live by it."""
    told = story()
    told.deploy_by_rule(wish="1", force=False, retry=False, fails="")
    told.tag(kind="major", pick=0)
    told.deploy_by_rule(wish="2", force=False, retry=False, fails="check")
    told.in_order()
    told.deploy_by_rule(wish="2", force=False, retry=False, fails="")
    told.in_order()
    told.set_clock_back(days=1)
    told.tag(kind="minor", pick=0)
    told.in_order()


def test_another_rule_is_followed_by_a_run_that_is_killed_then(
    story: Callable[..., Machine],
) -> None:
    told = story()
    told.deploy()
    told.assign(pick=1, cancel=False)
    told.kill(kind="rule", at=9, wish="#prod", pick=0, flag=False)
    assert (told.pending, told.model.rule) == (True, "#prod")
    told.withdraw_what_is_live()
    told.kill(kind="rule", at=26, wish="#prod", pick=0, flag=False)
    told.pin(pick=0)
    told.in_order()


def test_a_damaged_version_is_repaired_by_a_rollback_to_itself(
    story: Callable[..., Machine],
) -> None:
    """Nobody went back from anything: what was held stays held, and nothing is blocked."""
    told = story()
    told.deploy_exactly(pick=0, force=False, fails="")
    assert (told.model.live, told.model.implied) != (None, False)
    told.damage(pick=0)
    told.rollback(to="exact", pick=0, hold=False, fails="")
    told.in_order()
    told.hold_or_resume(action="resume")
    told.in_order()
    told.deploy()
    told.in_order()


def test_an_undeploy_is_ended_before_a_rollback(story: Callable[..., Machine]) -> None:
    """The directory that is still there goes away first; the version is checked out again."""
    told = story()
    told.deploy()
    told.kill(kind="undeploy", at=10, wish="latest", pick=0, flag=False)
    assert (told.pending, told.world.live(), len(told.world.directories())) == (True, None, 1)
    told.set_clock_back(days=1)
    told.rollback(to="", pick=0, hold=False, fails="")
    told.in_order()


def test_a_deploy_is_killed_and_then_the_undeploy_too(story: Callable[..., Machine]) -> None:
    """The undeploy first records the deploy that was killed."""
    told = story()
    told.kill(kind="exact", at=36, wish="latest", pick=1, flag=False)
    told.kill(kind="undeploy", at=18, wish="latest", pick=0, flag=False)
    assert (told.pending, told.world.live(), told.model.live) == (True, None, None)
    told.in_order()
    told.deploy()
    told.in_order()


def test_a_deploy_is_killed_before_its_check_and_the_next_version_fails_its_test(
    story: Callable[..., Machine],
) -> None:
    told = story(released=3)
    told.deploy()
    told.kill(kind="exact", at=27, wish="latest", pick=1, flag=False)
    assert told.pending
    told.rollback(to="exact", pick=0, hold=False, fails="smoke")
    told.in_order()


def test_what_a_rollback_passed_over_stays_blocked_although_its_check_fails(
    story: Callable[..., Machine],
) -> None:
    """Somebody passed over 1.1.0 by hand: it does not take the place of 1.2.0 by itself."""
    told = story(released=3)
    told.deploy()
    told.rollback(to="exact", pick=0, hold=False, fails="check")
    told.in_order()
    told.withdraw_what_is_live()
    told.in_order()
    told.deploy()
    told.in_order()


def test_a_tag_is_set_back_to_what_a_rollback_left(story: Callable[..., Machine]) -> None:
    """It had moved before the rollback, so no tag named the object that was live."""
    told = story()
    told.deploy()
    told.move_tag(pick=1, same=False)
    told.rollback(to="exact", pick=0, hold=False, fails="")
    told.set_tags_back()
    told.in_order()
    told.deploy()
    told.in_order()


def _released(*versions: str) -> Model:
    model = Model()
    for at, version in enumerate(versions):
        tag = Tag(f"m@v{version}", "version", version, f"c{at}", f"t{version}", at)
        model.tags[tag.name] = tag
    return model


def _place(version: str) -> Place:
    return Place(version, f"v{version}", f"t{version}")


def test_the_model_blocks_what_a_rollback_passes_over() -> None:
    model = _released("1.0.0", "1.1.0", "1.2.0")
    model.deployed(_place("1.2.0"), "latest")
    model.rolled_back(_place("1.0.0"))
    assert (model.desired("latest"), model.status()) == ("1.0.0", 0)
    model.deployed(_place("1.1.0"), "1.1.0")
    assert (model.desired("latest"), model.held) == ("1.1.0", False)


def test_the_model_holds_after_a_deploy_of_another_version() -> None:
    model = _released("1.0.0", "1.1.0")
    model.deployed(_place("1.0.0"), "1.0.0")
    assert (model.held, model.of_deploy("latest").codes, model.status()) == (True, (3,), 3)
    model.deployed(_place("1.1.0"), "1.1.0")
    assert (model.held, model.status()) == (False, 0)
