"""Hints of a staged rollout: of ``rollout:`` in params.yaml, and of a turn that has not come."""

from tagship.manager.agent import Agent
from tagship.registry import settings
from tagship.text import yaml
from tagship.workspace import rollout
from tests.hints.cases_follow import SRV, follows, place
from tests.hints.trials import trial
from tests.workbench import Workbench

STEPS = "steps: [{share: 100%, after: 1h}]"


def _write(bench: Workbench, text: str) -> None:
    (bench.repo / "params.yaml").write_text(text)


def _right(bench: Workbench) -> None:
    """The user corrects the file."""
    _write(bench, f"tagship: {{rollout: {{{STEPS}}}}}\n")


def _read(bench: Workbench) -> object:
    """What a release reads first, of the file as it would be committed."""
    values = yaml.parse((bench.repo / "params.yaml").read_bytes(), "params.yaml")
    return rollout.parse(settings.rollout_in(values, "params.yaml"))


def _wrong(name: str, hint: str, text: str, does: str) -> None:
    def arrange(bench: Workbench) -> None:
        _write(bench, text if text.startswith("tagship") else f"tagship: {{rollout: {{{text}}}}}\n")

    arrange.__name__ = f"a_rollout_with_{name}"
    trial(hint, command=_read, does=does, by=_right)(arrange)


_PATH = "workspace.rollout."
for each in (
    ("no_section", "registry.settings.rollout_in", "tagship: [rollout]\n", "fix params.yaml"),
    ("a_program", f"{_PATH}_check_no_program", f"{STEPS}, run: x", "docs/gates.md"),
    ("a_canary_that_is_no_host", f"{_PATH}parse", f"{STEPS}, canary: [a], hosts: [b]",
     "a is not among the hosts"),
    ("one_canary_as_a_text", f"{_PATH}_names", f"{STEPS}, canary: a", "a list of names of hosts"),
    ("a_canary_twice", f"{_PATH}_names/2", f"{STEPS}, canary: [a, a]", "a is there twice"),
    ("no_steps", f"{_PATH}_steps", "canary: [a]", "give a list"),
    ("steps_that_go_down", f"{_PATH}_steps/2",
     "steps: [{share: 100%, after: 1h}, {share: 50%, after: 2h}]", "a higher share"),
    ("a_last_step_that_leaves_hosts_out", f"{_PATH}_steps/3", "steps: [{share: 9%, after: 1h}]",
     "the share 100%"),
    ("a_share_of_nothing", f"{_PATH}_step", "steps: [{share: 0%, after: 1h}]", "10%"),
    ("a_time_without_a_unit", f"{_PATH}_step/2", "steps: [{share: 100%, after: 4}]", "30m"),
    ("a_number_without_its_word", f"{_PATH}_count", f"{STEPS}, brake: 2", "2 failed"),
):  # fmt: skip
    _wrong(*each)


@trial("deploy.plan.check_turn", command="deploy churn --yes", folder=SRV, again="")
def a_version_that_waits_for_its_turn(bench: Workbench) -> None:
    follows(bench)
    _right(bench)
    bench.train("model 2\n")
    bench.manager.release(push=True)
    Agent(place(bench)).sync()
