"""The state machine: commands in any order, each checked against the plain model."""

import json
import re
import shutil
import tempfile
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.machine import model as plain
from tests.machine.model import Expected, Model, Place, Tag, is_exact, key
from tests.machine.world import COMMITS, Result, World, content, copy, sealed
from tests.workbench import MODEL

NAME = re.compile(
    rf"{MODEL}(?:@v(?P<version>\d[^!#]*)|#{plain.STAGE}|@deprecated)(?P<cancel>!?)(?:#\d+)?"
)
STAGE = f"#{plain.STAGE}"
RULES = ("latest", "latest", STAGE, STAGE, "1", "2")
KILLED = ("rule", "rule", "exact", "exact", "back", "hold", "resume", "cleanup", "undeploy", "pin")
PICK = st.integers(0, 11)
FLAG = st.sampled_from([False, False, True])
FAILS = st.sampled_from(["", "", "", "", "smoke", "check"])


class Machine(RuleBasedStateMachine):
    """A host with a clone, another clone, and whoever works there."""

    templates: dict[bool, Path]  # by whether old versions are cleaned up after each deploy
    steps = 0

    @initialize(auto=st.booleans(), released=st.sampled_from([0, 2, 3, 3]))
    def begin(self, auto: bool, released: int) -> None:
        """A copy of a prepared repository, with some versions."""
        self.folder = Path(tempfile.mkdtemp(prefix="machine-", dir=self.templates[auto].parent))
        copy(self.templates[auto], self.folder / "host")
        self.world, self.model, self.auto = World(self.folder / "host"), Model(), auto
        self.sealed = sealed(self.world)
        self.sealed.__enter__()
        self.commits: dict[str, str] = {}  # by the id of a tag object that ever was here
        self.unused = [self.world.commits[number] for number in range(0, COMMITS, 2)]
        self.others = [self.world.commits[number] for number in range(1, COMMITS, 2)]
        self.pending = False
        self.world.script.append(f"# auto_cleanup: {auto}")
        for minor in range(released):
            self._make_tag(f"{MODEL}@v1.{minor}.0", self.unused.pop(0))

    def teardown(self) -> None:
        """Remove the copy."""
        if hasattr(self, "sealed"):
            self.sealed.__exit__(None, None, None)
            for path in self.folder.glob("host/repo/models/*/versions/*"):
                path.chmod(0o755)
            shutil.rmtree(self.folder, ignore_errors=True)

    def fail(self, what: str) -> None:
        """End with the commands that led here."""
        script = "\n".join(self.world.script)
        raise AssertionError(f"{what}\n\n{script}\n\nmodel: {self.model}")

    def check(self, holds: object, what: str) -> None:
        """Fail unless something holds."""
        if not holds:
            self.fail(what)

    # --- tags

    @precondition(lambda self: self.unused)
    @rule(push=FLAG, to=st.sampled_from(["", "", "", "--bump major", "--bump patch"]))
    def release(self, push: bool, to: str) -> None:
        """A release by the command."""
        self.world.train(self.world.commits.index(self.unused.pop(0)))
        before = set(self.model.versions) | set(self.model.objects)
        before |= {str(t.version) for t in self._tags_of("origin.git") if t.kind == plain.VERSION}
        result = self.world.cli(f"release {MODEL} {to} {'--push' if push else ''}")
        self.check(result.code == 0, f"the release failed: {result.text}")
        had = set(self.model.versions)
        self._read_tags()
        (version,) = set(self.model.versions) - had
        if not to:
            self.check(version == plain.next_minor(before), f"{version} after {sorted(before)}")
        self.check(all(key(version) > key(other) for other in before), f"{version} is not higher")
        if push:
            pushed = [t.version for t in self._tags_of("origin.git")]
            self.check(version in pushed, f"{version} is not in {pushed}")

    @precondition(lambda self: self.unused)
    @rule(kind=st.sampled_from(["minor", "minor", "patch", "major", "pre", "lower"]), pick=PICK)
    def tag(self, kind: str, pick: int) -> None:
        """A version tag of any number, as GTO makes it."""
        highest = max(self.model.versions, key=key, default="0.9.0")
        major, minor, patch, is_final, _ = key(highest)
        version = {
            "minor": plain.next_minor({highest}) if is_final else f"{major}.{minor}.{patch}",
            "patch": f"{major}.{minor}.{patch + 1}",
            "major": f"{major + 1}.0.0",
            "pre": f"{major}.{minor + 1}.0-rc.{pick}",
            "lower": f"0.{pick}.0" if pick % 2 else f"1.0.{pick + 1}",
        }[kind]
        if version not in self.model.versions:
            self._make_tag(f"{MODEL}@v{version}", self.unused.pop(0))

    @precondition(lambda self: self.model.versions)
    @rule(pick=PICK, cancel=FLAG)
    def assign(self, pick: int, cancel: bool) -> None:
        """A version gets the stage, or loses it."""
        tag = self.model.release(self._version(pick))
        assert tag is not None
        self.world.counter += 1
        counter = self.world.counter
        self._make_tag(f"{MODEL}#{plain.STAGE}{'!' if cancel else ''}#{counter}", tag.commit)

    @precondition(lambda self: self.model.versions)
    @rule(pick=PICK)
    def withdraw(self, pick: int) -> None:
        """A version is withdrawn."""
        version = self._version(pick)
        tag = self.model.release(version)
        assert tag is not None
        self.world.counter += 1
        self._make_tag(f"{MODEL}@v{version}!#{self.world.counter}", tag.commit)

    @precondition(lambda self: self.model.live)
    @rule()
    def withdraw_what_is_live(self) -> None:
        """The live version is withdrawn."""
        assert self.model.live is not None
        version = self.model.live.version
        if tag := self.model.release(version):
            self.world.counter += 1
            self._make_tag(f"{MODEL}@v{version}!#{self.world.counter}", tag.commit)

    @precondition(lambda self: self.model.versions)
    @rule(pick=PICK)
    def deprecate(self, pick: int) -> None:
        """The model is deprecated, until the next tag."""
        if pick == 0:
            tag = self.model.release(self._version(pick))
            assert tag is not None
            self.world.counter += 1
            self._make_tag(f"{MODEL}@deprecated#{self.world.counter}", tag.commit)

    @precondition(lambda self: self.model.versions and self.unused)
    @rule(pick=PICK, same=st.booleans())
    def move_tag(self, pick: int, same: bool) -> None:
        """A tag is made again, of the same commit or of another one."""
        version = self._version(pick)
        tag = self.model.release(version)
        assert tag is not None
        self._make_tag(f"{MODEL}@v{version}", tag.commit if same else self.unused.pop(0))

    @precondition(lambda self: self.model.objects)
    @rule()
    def set_tags_back(self) -> None:
        """Each moved tag is set to the object that was deployed here."""
        for version, identity in sorted(self.model.objects.items()):
            if self.model.is_moved(version):
                self.world.set_tag(f"{MODEL}@v{version}", identity)
        self._read_tags()

    @precondition(lambda self: self.others)
    @rule()
    def release_in_the_other_clone(self) -> None:
        """Somebody else releases."""
        self.world.train(self.world.commits.index(self.others.pop(0)), "other")
        result = self.world.cli(f"release {MODEL} --push", where="other")
        self.check(result.code == 0, f"the other release failed: {result.text}")

    @precondition(lambda self: len(self.others) < COMMITS // 2)
    @rule()
    def fetch(self) -> None:
        """The tags of origin come here; those that are here already stay."""
        before = dict(self.model.tags)
        self.world.fetch()
        self._read_tags()
        self.check(before.items() <= self.model.tags.items(), "a fetch changed a tag")

    # --- what goes live

    @rule(wish=st.sampled_from(RULES), force=FLAG, retry=FLAG, fails=FAILS)
    def deploy_by_rule(self, wish: str, force: bool, retry: bool, fails: str) -> None:
        """A deploy that names no exact version."""
        self._deploy(wish, force=force, retry=retry, fails=fails)

    @rule()
    def deploy(self) -> None:
        """The deploy of a cron line."""
        self._deploy("latest")

    @precondition(lambda self: self.model.before())
    @rule()
    def go_back(self) -> None:
        """The plain rollback."""
        self._rollback(None)

    @precondition(lambda self: self.model.versions)
    @rule(pick=PICK, force=FLAG, fails=FAILS)
    def deploy_exactly(self, pick: int, force: bool, fails: str) -> None:
        """A deploy of an exact version."""
        self._deploy(self._version(pick), force=force, fails=fails)

    def _deploy(
        self, wish: str, *, force: bool = False, retry: bool = False, fails: str = ""
    ) -> None:
        model, world, before = self.model, self.world, self.model.live
        expected = model.of_deploy(wish, force=force, retry=retry)
        on_disk = self._directories()
        result = self._run(self._deploy_command(wish, force, retry), expected, fails)
        if not expected.changes:
            if result.code == 0 and not is_exact(wish):
                model.rule = wish  # what it selects is live, and is followed from now on
            return
        assert expected.version is not None
        tag = model.release(expected.version)
        assert tag is not None
        if world.fails == "smoke":
            model.failed_test(expected.version, wish)
        elif world.fails == "check":
            model.taken_back(self._tried(result), wish, hold=False)
        else:
            if not (retry or is_exact(wish)):
                self._check_rollback_lasts(wish, before, expected.version)
            directory = self._switched(expected.version, result)
            model.deployed(Place(expected.version, directory, tag.identity), wish)
            if self.auto:
                self._check_kept(on_disk | {directory}, 2)
        world.fails = ""

    def _check_rollback_lasts(self, wish: str, before: Place | None, version: str) -> None:
        """After a rollback only a tag object that came after it changes what is live."""
        known = self.model.known
        if known is None or before is None or before.version == version:
            return
        if not wish.startswith("#") and not plain.fits(wish, before.version):
            return  # another range than that of what was gone back to
        if not self.model.is_active(before.version):
            return  # what was gone back to had been withdrawn before: the rule has its way
        later = {tag.identity for tag in self.model.tags.values()} - known
        self.check(later, f"{version} undoes the rollback to {before.version}")

    @rule(to=st.sampled_from(["", "", "exact", "exact", "1"]), pick=PICK, hold=FLAG, fails=FAILS)
    def rollback(self, to: str, pick: int, hold: bool, fails: str) -> None:
        """To the version before, to an exact one, or to one of a range."""
        if to == "exact" and self.model.versions:
            self._rollback(self._version(pick), hold=hold, fails=fails)
        elif to != "exact":
            self._rollback(to or None, hold=hold, fails=fails)

    def _rollback(self, target: str | None, *, hold: bool = False, fails: str = "") -> None:
        model, world = self.model, self.world
        on_disk = self._directories()
        expected = model.of_rollback(target, on_disk)
        if expected.kept and fails:  # it has no smoke test
            fails = "kept"
        result = self._run(self._rollback_command(target, hold), expected, fails)
        if result.code == 0 and not expected.changes:
            model.asked |= hold
        if not expected.changes:
            return
        assert expected.version is not None
        if world.fails == "smoke":
            model.failed_test(expected.version, "rollback")
        elif world.fails:
            model.taken_back(self._tried(result), "rollback", hold=hold)
        else:
            directory = self._switched(expected.version, result)
            self.check(expected.kept in ("", directory), f"{directory}, not {expected.kept}")
            identity = world.history()[-1]["tag_object"]
            model.rolled_back(Place(expected.version, directory, identity), hold=hold)
        world.fails = ""

    def _directories(self) -> set[str]:
        """Those that the next command finds: it first ends an undeploy that was killed."""
        world = self.world
        intent = world.intent() if self.pending and world.live() is None else None
        is_going = intent is not None and intent["action"] == "undeploy"
        return set() if is_going else world.directories()

    @rule(action=st.sampled_from(["hold", "resume", "resume"]))
    def hold_or_resume(self, action: str) -> None:
        """Somebody holds, or ends every hold."""
        model = self.model
        is_refused = model.is_new if action == "hold" else not model.held
        self._run(f"{action} {MODEL}", Expected((int(is_refused),)))
        if not is_refused:
            model.asked = action == "hold"
            model.implied = model.implied and model.asked

    # --- what goes away

    @precondition(lambda self: len(self.world.directories()) > 1)
    @rule(keep=st.integers(0, 3))
    def cleanup(self, keep: int) -> None:
        """Old versions are removed."""
        on_disk = self._directories()
        codes = (0,) if self.model.live else (0, 1)
        self._run(f"cleanup {MODEL} --keep {keep} --yes", Expected(codes))
        self._check_kept(on_disk, keep)

    @precondition(lambda self: self.model.versions)
    @rule(pick=PICK)
    def pin(self, pick: int) -> None:
        """A version is protected."""
        version = self._version(pick)
        fine = self.model.is_active(version) and version not in self.model.pins
        self._run(f"pin {MODEL}@{version}", Expected((0,) if fine else (1,)))
        self.model.pins |= {version} if fine else set()

    @precondition(lambda self: self.model.pins)
    @rule(pick=PICK)
    def unpin(self, pick: int) -> None:
        """A version is not protected any more."""
        version = sorted(self.model.pins)[pick % len(self.model.pins)]
        self._run(f"unpin {MODEL}@{version}", Expected())
        self.model.pins.discard(version)

    @rule(history=FLAG, force=FLAG, pick=PICK)
    def undeploy(self, history: bool, force: bool, pick: int) -> None:
        """Everything here is removed."""
        if pick > 3:
            return
        here, model = self.world.live() is not None, self.model
        codes = (1,) if model.pins and not force else (0,) if here else (0, 1)
        count = len(self.world.history())
        result = self._run(self._undeploy_command(history, force), Expected(codes))
        if result.code != 0:
            return
        self.check(not self.world.directories(), "versions are left")
        events = self.world.history()[count:]
        is_recorded = any(event["action"] == "undeploy" for event in events)
        self.check(is_recorded or history or not here, "no event says that nothing is live now")
        if is_recorded or history:
            model.undeployed(history=history)
        else:  # nothing was live: what failed last still has failed
            model.pins, model.damaged = set(), set()

    @precondition(lambda self: self.world.directories())
    @rule(pick=PICK)
    def damage(self, pick: int) -> None:
        """A byte changes."""
        names = sorted(self.world.directories() - self.model.damaged)
        if names:
            directory = names[pick % len(names)]
            self.world.damage(directory)
            self.model.damaged.add(directory)

    @rule(days=st.integers(1, 30))
    def set_clock_back(self, days: int) -> None:
        """The clock goes back."""
        self.world.script.append(f"# the clock goes back by {days} days")
        self.world.seconds -= days * 86400

    # --- killed runs

    @rule(
        kind=st.sampled_from(KILLED),
        at=st.integers(1, 60), wish=st.sampled_from(RULES), pick=PICK, flag=FLAG,
    )  # fmt: skip
    def kill(self, kind: str, at: int, wish: str, pick: int, flag: bool) -> None:
        """A command is killed; what is on disk says how far it came."""
        model, world = self.model, self.world
        if kind in ("exact", "pin") and not model.versions:
            return
        version = self._version(pick) if model.versions else ""
        command = {
            "rule": lambda: self._deploy_command(wish, flag, False),
            "exact": lambda: self._deploy_command(version, flag, False),
            "back": lambda: self._rollback_command(None, flag),
            "hold": lambda: f"hold {MODEL}",
            "resume": lambda: f"resume {MODEL}",
            "cleanup": lambda: f"cleanup {MODEL} --keep 1 --yes",
            "undeploy": lambda: self._undeploy_command(flag, True),
            "pin": lambda: f"pin {MODEL}@{version}",
        }[kind]()
        events, live = len(world.history()), world.live()
        cut = world.killed(command, at)
        self.pending = self.pending or cut
        self._reconcile(kind, version if kind == "exact" else wish, events, live, flag)
        if not cut:
            self._check_tidy()

    def _reconcile(self, kind: str, wish: str, count: int, live: str | None, flag: bool) -> None:
        """Bring the model to where the killed run came."""
        model, world = self.model, self.world
        history, intent = world.history(), world.intent()
        recorded = [event for event in history[count:] if event["status"] == "succeeded"]
        own = [e for e in recorded if e["action"] in ("deploy", "rollback", "hold", "resume")]
        # what a rule selects was live already
        followed = [event["rule"] for event in recorded if event["action"] == "follow"]
        model.rule = [model.rule, *followed][-1]
        if kind in ("rule", "exact", "back"):
            event = own[-1] if own else intent
            if event is None:
                return
            if own or (world.live() == event["directory"] != live):
                place = Place(event["version"], event["directory"], event["tag_object"])
                if kind == "back":
                    model.rolled_back(place, hold=flag)
                else:
                    model.deployed(place, wish)
            elif event.get("rule"):
                model.rule = event["rule"]
        elif kind == "undeploy" and world.live() is None:
            gone = flag and not (world.place / "deployment_history.json").exists()
            begun = [event["action"] for event in (*recorded, *([intent] if intent else []))]
            if gone or "undeploy" in begun:
                model.undeployed(history=gone)
        elif own and own[-1]["action"] in ("hold", "resume"):  # not what a killed run had begun
            model.asked = own[-1]["action"] == "hold"
            model.implied = model.implied and model.asked
        model.pins = world.pins()

    # --- what always holds

    @invariant()
    def in_order(self) -> None:
        """Live, bytes, history, leftovers and status are as the model has them."""
        if not hasattr(self, "world"):
            return
        Machine.steps += 1
        model, world = self.model, self.world
        model.back_at = world.back_at()
        directory = world.live()
        live = model.live.directory if model.live else None
        self.check(directory == live, f"{directory} is live, not {live}")
        if model.live:
            self._check_bytes(model.live)
        self._check_history()
        if not self.pending:
            self._check_tidy()
        self._check_status()

    def _check_bytes(self, place: Place) -> None:
        path = self.world.place / "current" / "model.bin"
        self.check(path.is_file(), f"{place.directory} is not whole")
        number = self.world.commits.index(self.commits[place.identity])
        if place.directory not in self.model.damaged:
            self.check(path.read_bytes() == content(number), f"the bytes of {place.directory}")

    def _check_history(self) -> None:
        events = self.world.history()
        numbers = [event["seq"] for event in events]
        self.check(numbers == sorted(set(numbers)), f"seq: {numbers}")
        identities = [event["id"] for event in events]
        self.check(len(set(identities)) == len(identities), f"ids: {identities}")

    def _check_tidy(self) -> None:
        left = self.world.left() if not self.pending else []
        self.check(not left, f"left: {left}")

    def _check_kept(self, on_disk: set[str], keep: int) -> None:
        gone = self.model.must_stay(on_disk, keep) - self.world.directories()
        self.check(not gone, f"removed: {gone}")

    def _check_status(self) -> None:
        result = self.world.cli(f"status {MODEL} --json")
        self.world.script.pop()
        if self.pending:
            self.check(result.code in (3, 4, 5, 0), f"status: {result}")
            return
        (row,) = json.loads(result.text)
        expected = self.model.desired(self.model.rule)
        self.check(row["desired"] == expected, f"desired: {row['desired']}, not {expected}: {row}")
        code = self.model.status()
        self.check(result.code == code, f"status: {result.code}, not {code}: {row}")

    # --- parts

    def _run(self, command: str, expected: Expected, fails: str = "") -> Result:
        self.world.fails = fails if expected.changes else ""
        if self.pending and self.world.fails:  # the next check is the one that was cut short
            self._mend()
        result = self.world.cli(command, note=self.world.fails)
        codes = (1,) if self.world.fails else expected.codes
        self.check(result.code in codes, f"{command}: {result.code}, not {codes}: {result.text}")
        if self.pending and result.code == 0:  # a command that runs no check leaves one to others
            self.pending = self.world.intent() is not None
        elif self.pending:
            self._mend()
        if not expected.changes or self.world.fails == "smoke":
            live = self.model.live
            directory = live.directory if live else None
            if not command.startswith("undeploy"):
                self.check(self.world.live() == directory, f"{command} changed what is live")
        return result

    def _mend(self) -> None:
        """End what was killed; the failure that is asked for is of the command alone."""
        fails, self.world.fails = self.world.fails, ""
        result = self.world.cli(f"cleanup {MODEL} --keep 1000 --yes")
        self.world.fails = fails
        self.pending = result.code != 0

    def _switched(self, version: str, result: Result) -> str:
        directory = self.world.live()
        self.check(directory, f"nothing is live: {result.text}")
        assert directory is not None
        self.check(directory.startswith(f"v{version}_"), f"{directory} is live, not {version}")
        self.model.damaged &= self.world.directories()
        self.check(directory not in self.model.damaged, f"damaged bytes are live: {directory}")
        return directory

    def _tried(self, result: Result) -> Place:
        """What went live, and was rejected: the last rejection, of the switch before it."""
        events = self.world.history()
        actions = [event["action"] for event in events[-3:]]
        self.check("reject" in actions, f"no rejection is recorded: {result.text}")
        last = max(at for at, event in enumerate(events) if event["action"] == "reject")
        event = events[last - 1]
        return Place(event["version"], event["directory"], event["tag_object"])

    def _version(self, pick: int) -> str:
        return self.model.versions[pick % len(self.model.versions)]

    def _deploy_command(self, wish: str, force: bool, retry: bool) -> str:
        name = f"'{MODEL}{wish}'" if wish.startswith("#") else f"{MODEL}@{wish}"
        name = MODEL if wish == "latest" and not force else name
        flags = ("--force " if force else "") + ("--retry " if retry else "")
        return f"deploy {name} {flags}--yes"

    def _rollback_command(self, target: str | None, hold: bool) -> str:
        to = f"--to {target} " if target else ""
        return f"rollback {MODEL} {to}{'--hold ' if hold else ''}--yes"

    def _undeploy_command(self, history: bool, force: bool) -> str:
        flags = ("--history " if history else "") + ("--force " if force else "")
        return f"undeploy {MODEL} {flags}--yes"

    def _make_tag(self, name: str, commit: str) -> None:
        identity, at = self.world.tag(name, commit)
        self._know(_parsed(name, identity, commit, at))

    def _know(self, *tags: Tag) -> None:
        for tag in tags:
            self.model.tags[tag.name] = tag
            self.commits[tag.identity] = tag.commit

    def _read_tags(self) -> None:
        self.model.tags.clear()
        self._know(*self._tags_of("repo"))

    def _tags_of(self, where: str) -> list[Tag]:
        return [_parsed(*row) for row in self.world.tags(where)]


def _parsed(name: str, identity: str, commit: str, at: int) -> Tag:
    match = NAME.fullmatch(name)
    assert match is not None, name
    version, cancel = match["version"], bool(match["cancel"])
    if version:
        kind = plain.WITHDRAWN if cancel else plain.VERSION
    elif "#prod" in name:
        kind = plain.UNASSIGN if cancel else plain.ASSIGN
    else:
        kind = plain.DEPRECATED
    return Tag(name, kind, version, commit, identity, at)


def with_templates(templates: dict[bool, Path]) -> type[Machine]:
    """A class of machines that copy these."""
    return type("Machine", (Machine,), {"templates": templates})
