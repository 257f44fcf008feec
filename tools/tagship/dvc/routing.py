"""Which of DVC's remotes an object goes to and comes from, as DVC chooses. Pure.

An output's own ``remote:`` comes first, then the default, ``core.remote`` (dvc 3.67,
``dvc/data_cloud.py``). The setting ``dvc_remote`` takes the place of the default, as ``-r NAME``
does; but ``dvc push -r`` leaves out outputs that name another remote, and a version needs them all.
"""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tagship.dvc.config import DvcConfig
from tagship.dvc.pointers import Cached
from tagship.errors import NotFound, Refused, Unavailable
from tagship.text import redact


@dataclass(frozen=True)
class Routes:
    """The remotes that DVC's configuration has.

    Attributes:
        versioned: whether each is ``version_aware`` (``worktree`` remotes are), by its name, which
            DVC has in lower case.
        default: the remote of what names none; None where there is no default.
        has_all: as of ``DvcConfig``.
    """

    versioned: Mapping[str, bool]
    default: str | None
    has_all: bool = False

    def exist(self, pointers: Iterable[Cached]) -> bool:
        """Whether there is any remote: configured, or named by a setting or an output."""
        return bool(self.versioned or self.default or any(pointer.remote for pointer in pointers))

    def of(self, pointer: Cached) -> str:
        """The name of an object's remote.

        Raises:
            NotFound: no remote is configured, none is the default, or not the one that is named.
        """
        name = pointer.remote or self.default
        if self.has_all and name is not None and name.lower() not in self.versioned:
            name = self.default
        if name is None:
            raise self._no_default()
        if name.lower() not in self.versioned:
            what = f"{pointer.path} names it" if pointer.remote else "it would be the default"
            shown = redact.text(name)
            raise NotFound(
                f"the DVC remote '{shown}' doesn't exist; {what}",
                f"dvc remote add {shlex.quote(shown)} URL",
            )
        return name

    def _no_default(self) -> NotFound:
        if not self.versioned:
            return NotFound(
                "DVC has no remote",
                "dvc remote add -d NAME URL; or git pull, once .dvc/config is committed where it"
                " has one",
            )
        names = sorted(self.versioned)
        name = names[0] if len(names) == 1 else "NAME"
        return NotFound(
            f"no DVC remote is the default; there {'is' if len(names) == 1 else 'are'}"
            f" {redact.text(', '.join(names))}",
            f"dvc remote default {redact.text(name)}",
        )

    def is_versioned(self, pointer: Cached) -> bool:
        """Whether its remote keeps files by their paths, in versions, and not by their digest."""
        return self.versioned[self.of(pointer).lower()]

    def takes(self, pointer: Cached) -> bool:
        """Whether an object may be pushed, by its digest, to a remote that is configured."""
        name = pointer.remote or self.default
        return pointer.push and name is not None and self.versioned.get(name.lower()) is False

    def check_push(self, pointer: Cached, recorded_in: str) -> None:
        """Refuse what may not go to a remote, or what only ``dvc push`` can bring there.

        Args:
            pointer: the object.
            recorded_in: the file that holds its digest.

        Raises:
            NotFound: as for ``of``.
            Refused: ``push: false``; or a versioned remote without a recorded version.
        """
        if not pointer.push:
            name = recorded_in.replace("dvc.lock", "dvc.yaml")
            raise Refused(
                f"{pointer.place} has push: false in {name}: no other machine could fetch it",
                f"remove push: false from {name} and commit it",
            )
        if self.is_versioned(pointer) and not pointer.has_version:
            place = shlex.quote(pointer.place)
            raise Refused(
                f"the remote {self.of(pointer)} is version_aware, and {recorded_in} has no version"
                f" of {pointer.place} there, which dvc push records",
                f'dvc push {place} && git add {recorded_in} && git commit -m "..."',
            )

    def no_version(self, pointer: Cached) -> Unavailable:
        """The error for an object of a versioned remote whose version no commit records."""
        return Unavailable(
            f"the remote {self.of(pointer)} is version_aware, and the commit has no version of"
            f" {pointer.place} there, which dvc push records",
            "dvc push, commit what it changed, and release again",
        )


def of(config: DvcConfig, named: str | None) -> Routes:
    """The remotes of a configuration.

    Args:
        config: DVC's.
        named: the remote that the setting ``dvc_remote`` names; None for DVC's default.
    """
    versioned = {name.lower(): _is_versioned(config, name) for name in config.whole["remote"]}
    default = named or config.whole["core"].get("remote")
    return Routes(versioned, default, config.has_all)


def _is_versioned(config: DvcConfig, name: str) -> bool:
    from dvc.config import ConfigError

    try:
        options = config.remote(name)
    except (ConfigError, KeyError):  # it builds on a remote that is not there: told when it is used
        return False
    return bool(options.get("version_aware") or options.get("worktree"))
