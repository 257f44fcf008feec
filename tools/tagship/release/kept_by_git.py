"""What Git keeps of a model, where the commit has other bytes than the file that was tested."""

import posixpath
import shlex

from tagship.dvc.pointers import Blob
from tagship.dvc.snapshot import Snapshot
from tagship.errors import Refused
from tagship.git import worktree
from tagship.git.run import Repository


def check(repository: Repository, snapshot: Snapshot) -> list[str]:
    """Refuse a file that Git keeps through a filter, such as git-crypt: hosts get the filtered one.

    Returns:
        Which files Git converted otherwise, such as line ends: there are other bytes in the commit.

    Raises:
        Refused: an attribute names a filter for a file of the model.
    """
    blobs = {
        posixpath.join(posixpath.dirname(out.path), pointer.path): pointer.digest
        for out in snapshot.outs
        for pointer in out.pointers
        if isinstance(pointer, Blob)
    }
    if repository.bare or not blobs:
        return []
    for path, name in worktree.filters(repository, blobs).items():
        raise Refused(
            f"Git keeps {path} through the filter {name}: a deploy would have other bytes",
            f"give it to DVC: {_to_dvc(path)}, and commit",
        )
    return [
        f"{path} has other bytes in Git than here, as Git converts line ends: a deploy has Git's"
        f" (to keep it as it is: {_to_dvc(path)}, and commit)"
        for path in worktree.converted(repository, blobs)
    ]


def _to_dvc(path: str) -> str:
    name = shlex.quote(path)
    return f"git rm --cached {name} && dvc add {name}"
