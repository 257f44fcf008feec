"""Host: where versions go. A folder for each model, the settings of today, and whom to trust."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tagship.errors import Refused
from tagship.git import tree, worktree
from tagship.host import project as host_project
from tagship.host.store import Store
from tagship.registry import refs
from tagship.registry.refs import Wanted
from tagship.registry.settings import Settings

if TYPE_CHECKING:
    from tagship.signing.policy import Policy


@dataclass(frozen=True)
class Host:
    """A folder that versions are deployed to.

    Attributes:
        root: holds one folder for each model.
        settings: those in the work tree, not those of a deployed version.
        within: the DVC repository that contains ``root``; a link or a policy in it may come from a
            commit. None on a host without a work tree.
        rules: what selects the version of a model, where that is the host's to say.
        gated: the models that have a gate to pass once they are live.
        is_for_reading: for who changes nothing, who may be another account than who acts here.
    """

    root: Path
    settings: Settings
    within: Path | None
    rules: Mapping[str, Wanted] = field(default_factory=dict)
    gated: frozenset[str] = frozenset()
    is_for_reading: bool = False

    @cached_property
    def policy(self) -> "Policy":
        """What this host requires, and signs with; never read from the repository.

        Raises:
            Refused: one of its files cannot be used; or another account can write to it, and this
                one acts by it.
        """
        from tagship.signing import policy

        top = host_project.find_top(self.within or self.root)
        return policy.read(top, is_for_reading=self.is_for_reading)

    def models_with(self, *names: str) -> set[str]:
        """The models whose folders have something of one of these names."""
        paths = (path for name in names for path in self.root.glob(f"*/{name}"))
        models = (unquote(path.parent.name) for path in paths)
        return {model for model in models if refs.is_model(model)}

    def store(self, model: str) -> Store:
        """The model's folder on this host.

        Raises:
            Refused: a part of its path is a link that Git tracks.
        """
        folder = self.root / refs.folder_name(model)
        if self.within is None:
            return Store(folder)
        above = folder.relative_to(self.within).parents[:-1]
        for path in (self.within / part for part in (folder.relative_to(self.within), *above)):
            if path.is_symlink():  # an untracked one is the operator's, say to another disk
                name = path.relative_to(self.within).as_posix()
                if worktree.index(self.within, name).get(name) == tree.LINK:
                    raise Refused(
                        f"{name} is a link in Git, to {path.readlink()}",
                        f"git rm {shlex.quote(name)}",
                    )
        return Store(folder)
