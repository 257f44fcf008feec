"""ModelVersionManager: all that the command line can do with one model, as methods.

Each method imports what it calls, so that a command does not wait for the modules of the others.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagship.errors import Corrupt, Forbidden, InvalidName, NotFound, TagshipError
from tagship.progress import Progress, Tell, nobody, silent
from tagship.registry.refs import Ref, TagName, Wanted, check_model, check_text

if TYPE_CHECKING:
    from tagship.deploy.act import Options, Outcome
    from tagship.deploy.cleanup import Cleanup, Pinned
    from tagship.deploy.hold import Holding
    from tagship.deploy.plan import Plan, RollbackPlan
    from tagship.deploy.undeploy import Undeployed
    from tagship.export.bundle import Bundled
    from tagship.export.export import Exported
    from tagship.export.oci import Exported as ExportedImage
    from tagship.host.history import Event
    from tagship.host.live import Live
    from tagship.host.metadata import Metadata
    from tagship.host.store import Store
    from tagship.inspect.compare import Comparison
    from tagship.inspect.events import LiveThen
    from tagship.inspect.listing import VersionRow
    from tagship.inspect.status import Status
    from tagship.inspect.verify import Verification
    from tagship.inspect.why import Why
    from tagship.loaders.selftest import Report
    from tagship.release.capsules import Published
    from tagship.release.orders import Order
    from tagship.release.publish import Released, ReleasePlan
    from tagship.release.stages import StageChange
    from tagship.workspace.host import Host
    from tagship.workspace.source import Source


@dataclass(frozen=True)
class Shipped:
    """What was released, and what its deploy did."""

    released: "Released"
    deployed: "Outcome"


class ModelVersionManager:
    """Releases, deploys and rolls back one model.

    Args:
        model: its name under ``artifacts:`` in dvc.yaml.
        start: a folder in the workspace; the working directory by default.
        progress: is told what is fetched, copied, hashed and pushed, and the bytes of it.
        tell: is told whom is waited for, such as who holds a lock; and what this clone may lack.

    Raises:
        InvalidName: not a valid model name.

    Every method raises NotFound where ``start`` is in no Git or DVC repository.
    """

    def __init__(
        self, model: str, start: Path | str = ".", progress: Progress = silent, tell: Tell = nobody
    ) -> None:
        self.model = check_model(model)
        self.start = Path(start)
        self.progress, self.tell = progress, tell

    @cached_property
    def _places(self) -> "tuple[Source, Host]":
        """Found by the first method that needs more than what is live."""
        from tagship.workspace import find

        return find.find(self.start, self.tell)

    @cached_property
    def _view(self) -> "tuple[Source, Host]":
        """The same for methods that change nothing: they answer while params.yaml is merged."""
        from tagship.workspace import find

        return find.look(self.start, self.tell)

    @property
    def source(self) -> "Source":
        """Where versions come from."""
        return self._places[0]

    @property
    def _work_tree(self) -> "Source":
        """The same, to commit and to release there.

        Raises:
            Refused: this is a host, without a work tree.
        """
        self.source.check_work_tree()
        return self.source

    @property
    def host(self) -> "Host":
        """Where versions go."""
        return self._places[1]

    @property
    def _store(self) -> "Store":
        """The model's folder on this host.

        Raises:
            Refused: on the way there Git has put a link.
        """
        return self.host.store(self.model)

    @property
    def _from_anywhere(self) -> Path:
        """Where the models are found; named, so that TAGSHIP_ROOT does not count.

        Raises:
            NotFound: the working directory is gone.
        """
        from tagship.host import project

        return project.absolute(self.start)

    def release(
        self,
        *,
        bump: str = "minor",
        version: str | None = None,
        message: str | None = None,
        push: bool = False,
        push_branch: bool = False,
        force: bool = False,
        capsule: bool | None = None,
    ) -> "Released":
        """Publish what HEAD has of the model as its next version. See ``publish.release``.

        Args:
            bump: ``minor``, ``major`` or ``patch``.
            version: the version itself, instead of a bump.
            message: what is new, for the tag.
            push: push the tag to Git's remote.
            push_branch: push the tag, and HEAD's branch where the remote has not the commit on it.
            force: release bytes that equal the last version's, or a commit that carries a version.
            capsule: beside the objects, write what a host needs that asks no Git server; None for
                what the settings say.
        """
        from tagship.release import publish

        check_text(version)
        options = publish.Options(
            bump,
            version,
            message,
            push or push_branch,
            force,
            self.progress,
            self._known_versions(),
            self.tell,
            push_branch,
            self._capsule(capsule),
            self._capsule_to,
        )
        return publish.release(self._work_tree, self.model, options, self.host.policy.signing_key)

    def _capsule(self, given: bool | None) -> bool:
        return bool(self.host.settings.capsule) if given is None else given

    @property
    def _capsule_to(self) -> str:
        """The place that the settings name; empty for the DVC remote."""
        setting = self.host.settings.capsule
        return setting if isinstance(setting, str) else ""

    def publish_capsules(self) -> "Published":
        """Add the capsules that the model's DVC remote lacks, of all tags on Git's remote.

        ``release`` and what makes other tags do so with ``capsule``. See ``capsules.publish``.
        """
        from tagship.release import capsules

        return capsules.publish(
            self._work_tree, self.model, to=self._capsule_to, tell=self.tell, progress=self.progress
        )

    def _known_versions(self) -> tuple[str, ...]:
        """The versions that the history of this host names; none where it cannot be read."""
        from tagship.host import journal

        try:
            return tuple(sorted(journal.events(self._store).versions()))
        except (Corrupt, Forbidden, OSError):  # a release does not need this host
            return ()

    def release_plan(
        self, *, bump: str = "minor", version: str | None = None, push: bool = False,
        push_branch: bool = False, force: bool = False, capsule: bool | None = None,
    ) -> "ReleasePlan":  # fmt: skip
        """What ``release`` would publish. Touches nothing. See ``publish.plan``.

        Raises:
            AlreadyReleased: nothing; its ``version`` says which one has what HEAD has.
        """
        from tagship.release import publish

        check_text(version)
        options = publish.Options(
            bump,
            version,
            None,
            push or push_branch,
            force,
            deployed=self._known_versions(),
            tell=self.tell,
            push_branch=push_branch,
            capsule=self._capsule(capsule),
            capsule_to=self._capsule_to,
        )
        return publish.plan(self._work_tree, self.model, options)

    def plan(self, version: str | Ref | None = None, *, retry: bool = False) -> "Plan":
        """What ``deploy`` would change. See ``plan.of_deploy``."""
        from tagship.deploy import plan as deploy_plan

        ref = self._open(version)
        return deploy_plan.of_deploy(self.source, self.host, ref, self.progress, retry=retry)

    def deploy(
        self,
        version: str | Ref | None = None,
        *,
        force: bool = False,
        retry: bool = False,
        plan: "Plan | None" = None,
        smoke_test: bool | None = None,
        reason: str | None = None,
        wait: float = 0,
        gate: bool = True,
    ) -> "Outcome":
        """Make a version live. See ``deploy.deploy``.

        Args:
            version: an exact one; or a rule (``latest``, ``1.2``, ``#prod``), which passes over
                what was rolled back or failed here. None: what the host follows, else the latest.
            force: deploy again what is live and intact.
            retry: deploy what the rule selects even if it is blocked.
            plan: what ``plan`` said, and somebody has confirmed: no other version is deployed.
            smoke_test: load the model first; None for what the settings say.
            reason: why, for the history.
            wait: seconds to wait for another act on the model.
            gate: measure the gate that tagship.toml has for the model; False: it counts as good.

        Raises:
            Held: the model is held, and ``version`` is a rule.
            Refused: by now it would be another version than the plan says.
            TagshipError: as for ``deploy.deploy``.
        """
        from tagship.deploy import act
        from tagship.deploy import deploy as deploys

        options = act.Options(
            force, smoke_test, reason, wait, self.progress, retry=retry,
            shown=plan.version if plan else None, gate=gate, tell=self.tell,
        )  # fmt: skip
        outcome = deploys.deploy(self.source, self.host, self._open(version), options)
        if outcome.event is not None and outcome.event.gated:
            return self._watched(outcome, options)
        return self._cleaned(outcome) if outcome.event else outcome

    def release_and_deploy(
        self,
        *,
        bump: str = "minor",
        version: str | None = None,
        message: str | None = None,
        push: bool = False,
        push_branch: bool = False,
        force: bool = False,
        capsule: bool | None = None,
        smoke_test: bool | None = None,
        reason: str | None = None,
        announce: "Callable[[Released], object] | None" = None,
    ) -> Shipped:
        """Release what HEAD has of the model, and deploy just that.

        Args:
            bump, version, message, push, push_branch, force, capsule: as for ``release``.
            smoke_test, reason: as for ``deploy``.
            announce: is called with the release, before the deploy begins.

        Raises:
            Interrupted: it was interrupted after the release.
            TagshipError: as for ``release`` and ``deploy``; the release stays.
        """
        from tagship.deploy import act

        released = self.release(
            bump=bump, version=version, message=message, push=push, push_branch=push_branch,
            force=force, capsule=capsule,
        )  # fmt: skip
        if announce is not None:
            announce(released)
        with act.interruptible(self._store, (self.model, str(released.version))):
            outcome = self.deploy(str(released.version), smoke_test=smoke_test, reason=reason)
        return Shipped(released, outcome)

    def deploy_model(
        self,
        source: Any = None,
        *,
        bump: str = "minor",
        message: str | None = None,
        push: bool = False,
        push_branch: bool = False,
        smoke_test: bool | None = None,
        reason: str | None = None,
    ) -> "Outcome":
        """Release and deploy, in one call, from a notebook or a script.

        Args:
            source: a version or tag to deploy (the latest by default); or the path of a model file
                or folder, or a trained model: it is saved where its artifact lives, tracked by DVC,
                committed (just that), released, and deployed.
            bump: ``minor``, ``major`` or ``patch``.
            message: what is new, for the commit and the tag.
            push, push_branch: as for ``release``.
            smoke_test: load the model before it goes live; None for what the settings say.
            reason: why, for the history.

        Raises:
            Refused: a stage of the pipeline writes this artifact: run ``dvc repro`` instead.
            TagshipError: as for ``release`` and ``deploy``.
        """
        from tagship.release import add_model

        if source is None or (isinstance(source, str) and self._is_version(source)):
            return self.deploy(source or None, smoke_test=smoke_test, reason=reason)
        text = message or f"Train {self.model}"
        add_model.check_in(self._work_tree, self._store, self.model, source, text)
        return self.release_and_deploy(
            bump=bump, message=message, push=push, push_branch=push_branch, smoke_test=smoke_test,
            reason=reason,
        ).deployed  # fmt: skip

    def get_current_version(self) -> "Live | None":
        """The live version; None where nothing is deployed yet.

        Its directory is not kept from a cleanup: ``tagship.resolve`` does that.

        Raises:
            Refused, Corrupt: ``current`` is not a link of ours, or dangles.
        """
        from tagship.host.live import resolve

        start = self._from_anywhere
        try:
            with resolve(self.model, start) as live:
                return live
        except NotFound:
            return None

    def list_versions(self) -> "list[VersionRow]":
        """Every version that a tag carries, lowest first."""
        from tagship.inspect import listing

        source, host = self._view
        return listing.versions(source, host.store(self.model), self.model, self.tell)

    def show(self, version: str | Ref = "latest") -> "Metadata":
        """All that is known of a version, deployed or not."""
        from tagship.git.tree import MissingBlobs
        from tagship.inspect import find

        (source, host), ref = self._view, self._ref(version)
        try:
            return find.show(source, host.store(self.model), ref)
        except MissingBlobs as error:
            try:  # who may act on this host fetches them
                own = self.source
            except (TagshipError, OSError):
                raise error from None
            return find.show(own, host.store(self.model), ref)

    def rollout(self, version: str | Ref = "latest") -> dict[str, Any] | None:
        """Which hosts take a version first, as its tag has it; None where it says nothing."""
        from tagship.inspect import find

        return find.staging(self._view[0], self._ref(version))

    def rollback_to_version(
        self, version: str | None = None, *, reason: str | None = None, verify: bool = False,
        hold: "bool | datetime | str" = False, wait: float = 0,
    ) -> "Outcome":  # fmt: skip
        """Roll back to the previous good version, or to the one given.

        Args:
            version: instead of the previous good one.
            reason: why, for the history.
            verify: hash every byte of it first; else only the files that were touched.
            hold: let nothing go live by itself afterwards; or when that should end.
            wait: seconds to wait for another act on the model.
        """
        from tagship.deploy import act
        from tagship.deploy import deploy as deploys
        from tagship.deploy.hold import end_of

        selector = None if version is None else self._ref(version).wanted
        to = f" --to {version}" if version else ""
        again = f"tagship rollback {self.model}{to} --hold --until"
        end = end_of(None if hold is True else _moment(hold), again) if hold else None
        options = act.Options(
            reason=reason, verify=verify, wait=wait, progress=self.progress, hold=end,
            tell=self.tell,
        )  # fmt: skip
        self._check_deployed()
        return deploys.rollback(self.source, self.host, self.model, selector, options)

    def rollback_plan(self, version: str | None = None) -> "RollbackPlan":
        """What ``rollback_to_version`` would go back to. Touches nothing."""
        from tagship.deploy import plan as deploy_plan

        selector = None if version is None else self._ref(version).wanted
        self._check_deployed()
        return deploy_plan.of_rollback(self.source, self._store, self.model, selector)

    def cleanup_old_versions(
        self, keep: int | None = None, *, dry_run: bool = False, plan: "Cleanup | None" = None,
        reason: str | None = None, wait: float = 0,
    ) -> "Cleanup":  # fmt: skip
        """Remove old versions from this host. See ``cleanup.cleanup``.

        Args:
            keep: good versions that stay; None for what the settings say.
            dry_run: only the plan, of what would be removed.
            plan: such a plan, which somebody has confirmed: nothing else is removed.
            reason: why, for the history.
            wait: seconds to wait for another act on the model.

        Raises:
            Refused: by now more would be removed than the plan says; nothing is.
        """
        from tagship.deploy import act, cleanup

        self._check_present()
        options = act.Options(reason=reason, wait=wait, tell=self.tell)
        return cleanup.cleanup(
            self.host, self.model, keep, dry_run=dry_run, plan=plan, options=options
        )

    def undeploy(
        self, *, history: bool = False, force: bool = False, dry_run: bool = False,
        plan: "Undeployed | None" = None, reason: str | None = None, wait: float = 0,
    ) -> "Undeployed":  # fmt: skip
        """Remove everything of the model that is deployed on this host. See ``undeploy.undeploy``.

        Args:
            history: remove the history too.
            force: remove pinned versions too.
            dry_run: only the plan, of what would be removed.
            plan: such a plan, which somebody has confirmed: nothing else is removed.
            reason: why, for the history.
            wait: seconds to wait for another act on the model.

        Raises:
            Refused: a process uses a version, one is pinned, or more would go than the plan says.
            Unavailable: a directory cannot be removed; the others are.
        """
        from tagship.deploy import act, undeploy

        options = act.Options(force, reason=reason, wait=wait, tell=self.tell)
        return undeploy.undeploy(
            self.source, self.host, self.model, with_history=history, dry_run=dry_run, plan=plan,
            options=options,
        )  # fmt: skip

    def export(
        self, formats: Iterable[str], version: str | Ref = "latest", *,
        target: Path | str | None = None,
    ) -> "Exported":  # fmt: skip
        """Describe a version in the formats of others, and copy it with that to ``target``.

        Args:
            formats: such as ``mlflow``; see ``choices.formats``.
            version: as for ``deploy``.
            target: a new folder; None for the descriptions alone.

        Raises:
            TagshipError: as for ``export.export``.
        """
        from tagship.export import export as exports

        folder = None if target is None else Path(target)
        return exports.export(
            self.source, self.host, self._ref(version), list(formats), folder, self.progress,
            self.tell,
        )  # fmt: skip

    def export_image(
        self, target: Path | str | None = None, version: str | Ref = "latest", *,
        push: str | None = None, force: bool = False,
    ) -> "ExportedImage":  # fmt: skip
        """Write the OCI image of a version as a layout, push it to a registry, or both.

        Args:
            target: a folder that does not exist, or is empty.
            version: as for ``deploy``.
            push: ``HOST/NAME:TAG``; without a tag it is the version.
            force: the tag may name another image by now.

        Raises:
            TagshipError: as for ``oci.export`` and ``push.push``.
        """
        from tagship.export import oci

        ref, folder = self._ref(version), None if target is None else Path(target)
        if push is not None:
            from tagship.export import push as pushes

            options = pushes.Options(folder, force, self.progress, self.tell)
            return pushes.push(self.source, self.host, ref, push, options)
        if folder is None:
            raise InvalidName("an image needs a place", "give target, push, or both")
        return oci.export(self.source, self.host, ref, folder, self.progress, self.tell)

    def bundle(self, target: Path | str, version: str | Ref = "latest") -> "Bundled":
        """Write a version into one file, to carry to where no network goes.

        Args:
            target: the file; there is none of this name.
            version: as for ``deploy``.

        Raises:
            TagshipError: as for ``bundle.bundle``.
        """
        from tagship.export import bundle

        ref = self._ref(version)
        return bundle.bundle(self.source, self.host, ref, Path(target), self.progress, self.tell)

    def image_digest(self, version: str | Ref = "latest") -> str:
        """The digest of the OCI image of a version, ``sha256:HEX``; all its bytes are read.

        Raises:
            TagshipError: as for ``oci.digest``.
        """
        from tagship.export import oci

        return oci.digest(self.source, self.host, self._ref(version), self.progress, self.tell)

    def report(self, path: Path | str = "report.html") -> Path:
        """Write a page that shows the model to others: one HTML file, which loads nothing.

        Raises:
            Refused: ``path`` is no file, or what draws is not installed.
            NotFound: there is no such model, or no such folder.
        """
        from tagship.report import collect, page

        page.write(collect.collect(self.source, self.host, [self.model]), Path(path))
        return Path(path)

    def hold(
        self, until: datetime | str | None = None, *, reason: str | None = None, wait: float = 0
    ) -> "Holding":
        """Let nothing go live by itself. See ``hold.hold``; a text as for ``since`` below."""
        from tagship.deploy import act
        from tagship.deploy import hold as holds

        self._check_deployed()
        options = act.Options(reason=reason, wait=wait, tell=self.tell)
        return holds.hold(self._store, self.model, _moment(until), options)

    def resume(self, *, reason: str | None = None, wait: float = 0) -> "Holding":
        """End a hold. See ``hold.resume``."""
        from tagship.deploy import act
        from tagship.deploy import hold as holds

        self._check_present()
        options = act.Options(reason=reason, wait=wait, tell=self.tell)
        return holds.resume(self._store, self.model, options)

    def pin(self, version: str | Ref, *, reason: str | None = None, wait: float = 0) -> "Pinned":
        """Protect a version from cleanup."""
        from tagship.deploy import act, cleanup

        number = str(self.source.release(self._ref(version)).version)
        options = act.Options(reason=reason, wait=wait, tell=self.tell)
        return cleanup.pin(self._store, self.model, number, options)

    def unpin(self, version: str | Ref, *, reason: str | None = None, wait: float = 0) -> "Pinned":
        """Remove the cleanup protection from a version."""
        from tagship.deploy import act, cleanup

        options = act.Options(reason=reason, wait=wait, tell=self.tell)
        ref = self._ref(version)
        self.source.catalog(self.model)  # a model that does not exist is told first
        return cleanup.unpin(self._store, ref, options)

    def assign(
        self, version: str | Ref, stage: str, *, message: str | None = None, push: bool = False,
        force: bool = False, capsule: bool | None = None,
    ) -> "StageChange":  # fmt: skip
        """Assign a version to a stage, such as ``prod``; who follows it gets that version.

        Args:
            version: as for ``deploy``.
            stage: its name.
            message: why, for the tag.
            push: push the tag to Git's remote.
            force: assign it again, where it holds the stage: a host that was rolled back from
                it follows a new assignment.
            capsule: as for ``release``, of the tag.

        Raises:
            TagshipError: as for ``stages.plan`` and ``stages.carry_out``.
        """
        order = self._order("assign", self._ref(version).wanted, stage, force=force)
        return self._change(order, message, push=push, capsule=capsule)

    def unassign(
        self, stage: str, *, message: str | None = None, push: bool = False,
        capsule: bool | None = None, dry_run: bool = False, shown: "StageChange | None" = None,
    ) -> "StageChange":  # fmt: skip
        """Take a stage from the version that holds it: the one before it holds it again.

        Args:
            stage, message, push, capsule: as for ``assign``.
            dry_run: change nothing.
            shown: what a dry run returned, and somebody has confirmed: nothing else is done.
        """
        order = self._order("unassign", stage=stage)
        return self._change(
            order, message, push=push, capsule=capsule, dry_run=dry_run, shown=shown
        )

    def withdraw(
        self, version: str | Ref, *, message: str | None = None, push: bool = False,
        capsule: bool | None = None, dry_run: bool = False, shown: "StageChange | None" = None,
    ) -> "StageChange":  # fmt: skip
        """Withdraw a version: no rule selects it any more. Arguments as for ``unassign``."""
        order = self._order("withdraw", self._ref(version).wanted)
        return self._change(
            order, message, push=push, capsule=capsule, dry_run=dry_run, shown=shown
        )

    def deprecate(
        self, *, message: str | None = None, push: bool = False, capsule: bool | None = None,
        dry_run: bool = False, shown: "StageChange | None" = None,
    ) -> "StageChange":  # fmt: skip
        """Deprecate the model: none of its versions is available. Arguments as for ``unassign``."""
        order = self._order("deprecate")
        return self._change(
            order, message, push=push, capsule=capsule, dry_run=dry_run, shown=shown
        )

    def _order(
        self, verb: str, wanted: Wanted | None = None, stage: str | None = None, *,
        force: bool = False,
    ) -> "Order":  # fmt: skip
        from tagship.release import orders

        action = next(action for action, name in orders.VERBS.items() if name == verb)
        return orders.Order(self.model, action, wanted, stage, force)

    def _change(
        self, order: "Order", message: str | None, *, push: bool, capsule: bool | None,
        dry_run: bool = False, shown: "StageChange | None" = None,
    ) -> "StageChange":  # fmt: skip
        from tagship.release import stages

        source = self._work_tree
        written = self._capsule(capsule)
        plan = stages.plan(
            source, order, push=push, capsule=written, capsule_to=self._capsule_to, tell=self.tell
        )
        if dry_run:
            return stages.changed(plan, dry_run=True)
        if shown is not None:
            stages.check_same(shown, plan)
        return stages.carry_out(source, plan, message, self.tell)

    def get_deployment_history(
        self,
        limit: int | None = None,
        *,
        since: datetime | str | None = None,
        actions: Iterable[str] = (),
    ) -> "list[Event]":
        """What happened to the model on this host, oldest first.

        Args:
            limit: only the last ``limit`` events.
            since: only events that began then or later; a text is ISO 8601, in UTC without a zone.
            actions: only events of these actions, such as ``rollback``.

        Raises:
            NotFound: there is no such model, and nothing ever happened to it.
            InvalidName: ``since`` is no date.
            Corrupt: the history cannot be read.
        """
        from tagship.inspect import events

        first = _moment(since)
        past = events.past_of(*self._view, self.model)
        return events.events([past], limit or None, first, actions)

    def live_at(self, moment: datetime | str) -> "LiveThen":
        """What was live on this host at a moment, and why; a text as in ``since`` above."""
        from tagship.inspect import events
        from tagship.text import clock

        then = clock.moment(moment) if isinstance(moment, str) else moment
        past = events.past_of(*self._view, self.model)
        return events.live_at(past, self.model, then)

    def compare(self, first: str | None = None, second: str | None = None) -> "Comparison":
        """Which of two versions is better, and what changed.

        Args:
            first: a version. Without versions: the live one and the latest, or the one before it.
            second: another one. With one version alone: the live one and that.

        Raises:
            NotFound, Refused: there is no such version, or nothing is live.
        """
        from tagship.inspect import compare as inspect_compare

        before, after = (None, first) if second is None else (first, second)
        old, new = (None if text is None else self._ref(text).wanted for text in (before, after))
        better = self.host.settings.better
        return inspect_compare.compare(self.source, self._store, self.model, old, new, better)

    def why(self) -> "Why":
        """The origin of the live version: tag, commit, author, data, parameters."""
        from tagship.inspect import why as inspect_why

        return inspect_why.why(self.model, self._from_anywhere)

    def verify(self, version: str | Ref | None = None) -> "list[Verification]":
        """Check deployed files against the checksums in the tag; all on disk by default."""
        from tagship.inspect import verify as inspect_verify

        ref = Ref(self.model) if version is None else self._ref(version)
        return inspect_verify.verify(*self._view, ref, self.progress)

    def status(self) -> "Status":
        """Whether the model is in order, and the commands that fix it."""
        from tagship.inspect import status as inspect_status

        source, host = self._view
        source.declared(self.model)
        return inspect_status.status(source, host, self.model)

    def self_test(self, version: str | None = None) -> "Report":
        """Load the live version, or another one on disk, and run its self-test on it.

        A process of its own does it, in at most ``smoke_timeout`` seconds.

        Raises:
            NotFound: nothing is live, or that version is not on disk here.
            SelfTestFailed: it does not load, or does not answer as it was released.
        """
        from tagship.host.live import resolve
        from tagship.inspect import verify as inspect_verify

        if version is None:
            directory = resolve(self.model, self._from_anywhere).directory
        else:
            ref = self._ref(version)
            directory = inspect_verify.directory_of(self.source, self._store, ref)
        return inspect_verify.self_test(directory, self.host.settings.smoke_timeout)

    def _check_deployed(self) -> None:
        from tagship.workspace import find

        find.check_deployed(self.source, self.host, self.model)

    def _check_present(self) -> None:
        from tagship.workspace import find

        find.check_present(self.source, self.host, self.model)

    def _ref(self, version: str | Ref) -> Ref:
        if isinstance(version, Ref):
            return version
        check_text(version)
        return Ref(self.model, Wanted.parse(version, self.model), is_named=True)

    def _open(self, version: str | Ref | None) -> Ref:
        return Ref(self.model) if version is None else self._ref(version)

    def _is_version(self, text: str) -> bool:
        if TagName.parse(text):
            return True
        try:
            self._ref(text)
        except TagshipError:
            return False
        return not Path(text).exists()

    def _watched(self, outcome: "Outcome", options: "Options") -> "Outcome":
        """The gate of what went live on a host."""
        from tagship.deploy import follow
        from tagship.workspace.mirrored import Mirrored

        source = self.source
        if not isinstance(source, Mirrored):
            return outcome
        return follow.by_hand(source, self.host, outcome, options)

    def _cleaned(self, outcome: "Outcome") -> "Outcome":
        """Step 10: a version that is live stays live, whatever becomes of the cleanup."""
        from tagship.deploy import cleanup

        if not self.host.settings.auto_cleanup:
            return outcome
        return cleanup.after(self.host, outcome)


def _moment(when: datetime | str | None) -> datetime | None:
    """A time that is given as text, or as such; a text is ISO 8601, in UTC without a zone."""
    from tagship.text import clock

    return clock.moment(when) if isinstance(when, str) else when
