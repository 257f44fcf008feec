"""host.toml: which signatures this host requires, and the key that it signs with.

A file of the repository never says whom to trust. host.toml is in the user's configuration
(``~/.config/tagship/host.toml``) and in ``/etc/tagship``, whose values take precedence.
"""

import contextlib
import hashlib
import os
from dataclasses import dataclass, replace
from dataclasses import fields as fields_of
from pathlib import Path
from typing import Any, get_type_hints

from tagship.disk import access, home
from tagship.errors import NotTrusted, Refused, hint_of
from tagship.git import run
from tagship.registry import tags
from tagship.signing.statement import Signature, Statement
from tagship.text import toml
from tagship.text.table import shown

FILE = "host.toml"
SYSTEM = Path("/etc/tagship")


@dataclass(frozen=True)
class Policy:
    """The values of host.toml. A relative path is relative to the file that has it.

    Attributes:
        require_signed: a tag is deployed only if a key of ``allowed_signers`` signed it.
        allowed_signers: who may sign, in the form of ssh-keygen(1).
        revoked_keys: public keys, or a revocation list of ssh-keygen.
        model_keys: public keys; a version is deployed only if one of them signed its files.
        signing_key: the private key that ``release`` signs a version's files with.
    """

    require_signed: bool = False
    allowed_signers: Path | None = None
    revoked_keys: Path | None = None
    model_keys: Path | None = None
    signing_key: Path | None = None

    @property
    def asks(self) -> bool:
        """Whether a signature is required."""
        return self.require_signed or self.model_keys is not None

    @property
    def fingerprint(self) -> str:
        """A digest of all that the checks depend on besides what is checked, the keys included."""
        digest = hashlib.sha256(repr(self).encode())
        for file in (self.allowed_signers, self.revoked_keys, self.model_keys):
            data = b""
            with contextlib.suppress(OSError):
                data = file.read_bytes() if file is not None else b""
            digest.update(hashlib.sha256(data).digest())
        return digest.hexdigest()

    def check_tag(self, repository: run.Repository, tag: tags.Tag) -> str:
        """Check that a tag may be deployed on this host.

        Returns:
            Who signed it, by the name in ``allowed_signers``; empty if no signature is required.

        Raises:
            NotTrusted: it points to the tag object of another tag; or it must be signed, and is
                not, or not by an accepted key.
        """
        if tag.own_name != str(tag.name):
            raise NotTrusted(
                f"the tag {tag.name} holds the tag object of {tag.own_name}",
                f"remove it: git tag -d {tag.name}; then: tagship release {tag.name.model}",
            )
        if not self.require_signed or self.allowed_signers is None:
            return ""
        if not tag.signature.startswith(tags.SSH_SIGNATURE):
            how = "is signed, but not by SSH" if tag.signature else "is not signed"
            raise NotTrusted(
                f"the tag {tag.name} {how}, and this host asks for it",
                "release a new version, signed: git config gpg.format ssh && git config"
                " user.signingKey KEY.pub && git config tag.gpgSign true",
            )
        return tags.check_signed(repository, tag, self.allowed_signers, self.revoked_keys)

    def check_files(self, statement: Statement, signature: Signature | None) -> None:
        """Check that the files of a version may be deployed here. A signature must always match.

        Raises:
            Corrupt: the signature is of another version, or of other bytes.
            NotTrusted: they must be signed, and are not, or not by an accepted key.
        """
        name = f"{statement.model} {statement.version}"
        if signature is None:
            if self.model_keys is None:
                return
            raise NotTrusted(
                f"the files of {name} are not signed, and this host asks for it",
                f"release a new version, with signing_key in the {FILE} of who releases",
            )
        from tagship.signing import keys  # imports cryptography: only if there is a signature

        keys.check(statement, signature)
        if self.model_keys is not None and signature.key not in keys.trusted(self.model_keys):
            raise NotTrusted(
                f"the files of {name} are signed by a key that does not count here:"
                f" {signature.fingerprint}",
                f"the keys that do are in {self.model_keys}",
            )


def read(top: Path, *, is_for_reading: bool = False) -> Policy:
    """This host's policy.

    Args:
        top: the work tree of the repository: no file of the policy may be in it.
        is_for_reading: nothing is done by it: others may write to its files.

    Raises:
        Refused: host.toml cannot be read, is in the repository, or has an unknown key or a wrong
            value; or another account can write to it, or to a file that it names.
    """
    policy = Policy()
    for folder in filter(None, (_of_user(), SYSTEM)):
        values = _values(folder / FILE, top)
        if not is_for_reading:
            paths = (each for each in values.values() if isinstance(each, Path))
            _check_own(folder / FILE, *paths)
        policy = replace(policy, **values)
    if policy.require_signed and policy.allowed_signers is None:
        raise Refused(
            f"require_signed needs allowed_signers, and {FILE} has none",
            f"add allowed_signers to {FILE}: docs/signing.md has an example",
        )
    return policy


def _of_user() -> Path | None:
    """The folder of this account; None where it has no home."""
    folder = home.configuration()
    return folder / "tagship" if folder else None


def _values(file: Path, top: Path) -> dict[str, Any]:
    try:
        data = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):  # HOME=/dev/null, of an account without one
        return {}
    except OSError as error:
        whose = "" if file.parent == SYSTEM else "set HOME to this account's own; or "
        what = f"{file} cannot be read: {error.strerror}"
        raise Refused(what, whose + hint_of(error)) from None
    _check_outside(file, top)
    try:
        given = toml.parse(data)
    except UnicodeDecodeError as error:
        raise Refused(f"{file} cannot be read: {error}", "write it in UTF-8") from None
    except ValueError as error:
        hint = f"fix {file}: docs/signing.md has an example"
        raise Refused(f"{file} is not valid TOML: {error}", hint) from None
    known = [field.name for field in fields_of(Policy)]
    for key, value in given.items():
        if key not in known:
            raise Refused(f"{file} has an unknown key {key!r}", "there are: " + ", ".join(known))
        kind = bool if get_type_hints(Policy)[key] is bool else str
        if not isinstance(value, kind) or value == "":
            what = "true or false" if kind is bool else "the path of a file"
            raise Refused(f"{key} in {file} may not be {shown(value)}", f"it is {what}")
    return {
        key: value if isinstance(value, bool) else _path(value, file, top)
        for key, value in given.items()
    }


def _path(text: str, file: Path, top: Path) -> Path:
    try:
        path = file.parent / Path(text).expanduser()
    except RuntimeError:
        hint = f"write the whole path in {file}, or set HOME"
        raise Refused(f"{file} names {text}, and there is no such home", hint) from None
    _check_outside(path, top)
    return path


def _check_own(*files: Path) -> None:
    """Refuse files that another account can change or replace: by a link to one, too."""
    for file in filter(os.path.lexists, files):
        real, folder = file.resolve(), file.parent.resolve()
        places = dict.fromkeys((real, *real.parents, folder, *folder.parents))
        there = (each for each in places if each.exists())
        access.refuse_others(there, "choose whom this host trusts")


def _check_outside(path: Path, top: Path) -> None:
    """Files of the repository come from others: they must not say whom to trust."""
    if path.resolve().is_relative_to(top.resolve()):
        raise Refused(
            f"{path} lies in the repository: it cannot say whom this host trusts",
            f"keep it in {' or '.join(str(folder) for folder in (_of_user(), SYSTEM) if folder)}",
        )
