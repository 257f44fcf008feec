"""What keeps this account from a file or a folder, in words, and the command that changes it.

An account that may not read something cannot tell how it is: that is no fault of what it asks for.
"""

import contextlib
import errno
import fcntl
import grp
import os
import pwd
import re
import shlex
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

from tagship import errors
from tagship.errors import Forbidden, Refused, TagshipError

GIT_MODE = "core.sharedRepository 0640"  # of what Git makes: its group may read, and not write
AS_OWNER = "run the command as the account that owns it"
WORKSPACE = (".dvc", "tagship.toml", ".tagship")  # a work tree, a host, and a model's folder
DENIED = (errno.EACCES, errno.EPERM)
_GETFLAGS = 0x80086601  # FS_IOC_GETFLAGS of Linux, <linux/fs.h>, on 64-bit machines
_FLAGS = {"i": 0x10, "a": 0x20}  # FS_IMMUTABLE_FL, FS_APPEND_FL
_WAYS = {"enter": os.X_OK, "read": os.R_OK, "change": os.W_OK, "write to": os.W_OK | os.X_OK}


def account(uid: int | None = None) -> str:
    """The name of an account, by default of the one that runs this process; else its number."""
    uid = os.geteuid() if uid is None else uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def in_words(uid: int | None = None) -> str:
    """The same in a sentence: there is an account ``nobody``, who is somebody."""
    name = account(uid)
    return f"the account {name}" if name == "nobody" else name


def forbidden(error: BaseException) -> Forbidden | None:
    """The error as ``Forbidden`` where it means that this account may not read something."""
    if isinstance(error, Forbidden):
        return error
    if not isinstance(error, OSError) or error.errno not in DENIED or error.filename is None:
        return None
    path = Path(os.fsdecode(error.filename)).absolute()
    return _to_read(path) or Forbidden(*_explained(path, error))


def forbidden_to_group(error: BaseException) -> Forbidden | None:
    """The same of a place that several accounts use, such as a remote: its group is to read it.

    Its owner is another account with a workspace of its own, so no command runs here as that one.
    """
    denied = forbidden(error)
    if denied is None or not isinstance(error, OSError):
        return denied
    path = _nearest(Path(os.fsdecode(error.filename)).absolute())
    owner = path.stat().st_uid
    if owner in (0, os.geteuid()) or denied.hint != _as_owner(path):
        return denied
    top = next(p for p in (path, *path.parents) if p.parent.stat().st_uid != owner)
    return Forbidden(denied.message, _to_group(top))


def _nearest(path: Path) -> Path:
    """The first folder on the way that this account may not enter, or the thing itself."""
    on_the_way = (folder for folder in reversed(path.parents) if obstacle(folder, "enter"))
    return next(on_the_way, path)


def _to_group(top: Path) -> str:
    where, gid = shlex.quote(str(top)), top.stat().st_gid
    if gid not in {os.getegid(), *os.getgroups()}:
        return f"let a group of {account()} in, with chgrp and chmod: namei -l {where}"
    folders = f"sudo find {where} -type d -exec chmod g+s {{}} +"
    return f"sudo chgrp -R {_group(gid)} {where} && sudo chmod -R g+rX {where} && {folders}"


def _group(gid: int) -> str:
    try:
        return shlex.quote(grp.getgrgid(gid).gr_name)
    except KeyError:
        return str(gid)


def explain(error: TagshipError | OSError) -> tuple[str, str]:
    """The message and the hint of an error; of a denial, what is denied and who can change it."""
    if isinstance(error, OSError) and error.errno in DENIED and error.filename is not None:
        return _explained(Path(os.fsdecode(error.filename)).absolute(), error)
    return errors.explain(error)


def who_else_writes(path: Path, status: os.stat_result | None = None) -> str:
    """Who besides root and this account may change something that is there; empty if nobody.

    In a folder with the sticky bit, such as /tmp, everybody has only what is their own.

    Args:
        path: what is there.
        status: of it, where it is open.
    """
    status = status or path.lstat()
    if status.st_uid not in (0, os.geteuid()):
        return in_words(status.st_uid)
    is_sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    if is_sticky or not status.st_mode & 0o022:
        return ""
    return "everybody" if status.st_mode & 0o002 else "its group"


def refuse_others(paths: Iterable[Path], so: str) -> None:
    """Refuse what another account can write to.

    Args:
        paths: what is there.
        so: what such an account could do, to end the sentence.

    Raises:
        Refused: with the command that helps.
    """
    for path in paths:
        if who := who_else_writes(path):
            where = shlex.quote(str(path))
            raise Refused(
                f"{who} can write to {path}, and so {so}",
                f"chmod go-w {where}; or, if it is not yours: ls -ld {where}",
            )


def umask() -> int:
    """The umask of this process, which is asked for without a change of it where Linux says it."""
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text()
        if line := re.search(r"^Umask:\s*([0-7]+)$", status, re.MULTILINE):
            return int(line[1], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def is_own(path: Path) -> bool:
    """Whether something belongs to this account, so that it may set its mode, or replace it."""
    return path.lstat().st_uid == os.geteuid()


def cannot_write(folder: Path) -> tuple[str, str] | None:
    """What keeps this account from making files in a folder, and what helps; None if nothing."""
    what = obstacle(folder, "write to")
    return (what, _give_back(folder)) if what else None


def cannot_read(path: Path, git_dir: Path | None = None) -> Forbidden | None:
    """What keeps this account from reading something, and what helps; None if nothing.

    Args:
        path: what is to be read.
        git_dir: the folder of Git that it is in; None if it is in none.
    """
    denied = _to_read(path.absolute())
    if denied is not None and git_dir is not None:
        return Forbidden(denied.message, _to_share(path, git_dir) or denied.hint)
    return denied


def cannot_change(file: Path) -> tuple[str, str] | None:
    """What keeps this account from writing to a file, and what helps; None if nothing."""
    what = obstacle(file, "change")
    return (what, _give_back(file)) if what else None


def obstacle(path: Path, way: str) -> str:
    """Why this account may not enter, read, or write to something that is there; else empty."""
    if os.access(path, _WAYS[way], effective_ids=True):
        return ""
    if way in ("change", "write to") and _is_read_only(path):
        return f"{path} is on a file system that is mounted read-only"
    status = path.stat()
    mode = f"mode {stat.S_IMODE(status.st_mode):04o}"
    owner = in_words(status.st_uid)
    return f"{in_words()} may not {way} {path}, which belongs to {owner} ({mode})"


def by_root(folder: Path) -> str:
    """The note where root makes files in a folder of another account; empty where nobody does."""
    owner = folder.stat().st_uid
    if os.geteuid() != 0 or owner == 0:
        return ""
    name, give = in_words(owner), _chown(folder, owner)
    return f"root works in a folder of {name}, who may not change what root made: {give}"


def give_back(top: Path) -> str:
    """The command that gives all in a folder to its owner, or who has to run the command."""
    owner = top.stat().st_uid
    return _chown(top, owner) if owner == os.geteuid() else _as_owner(top)


def mixed(top: Path) -> str:
    """The same of a folder of this account that has folders of another one; else empty."""
    uids = {os.lstat(folder).st_uid for folder, _, _ in os.walk(top)}
    return give_back(top) if uids - {os.geteuid()} else ""


def keeps(top: Path) -> tuple[str, str] | None:
    """What keeps this account from removing a tree, and what helps; None if nothing is known.

    Looked for before anything is removed: a version stays whole, or goes.
    """
    if top.is_symlink():
        return None
    device = top.lstat().st_dev
    for folder, _, names in os.walk(top):
        status = os.lstat(folder)
        if os.geteuid() not in (0, status.st_uid):
            what = f"{_within(folder, top)} belongs to {in_words(status.st_uid)}"
            return what, _give_back(Path(folder))
        if status.st_dev != device:
            what = f"{_within(folder, top)} is another file system"
            return what, f"umount {shlex.quote(folder)}"
        for path in (folder, *(os.path.join(folder, name) for name in names)):  # noqa: PTH118
            if flags := _flags(path):
                return f"{_within(path, top)} is {_named(flags)}", _clear(top)
    return None


def _within(path: str, top: Path) -> str:
    return "it" if Path(path) == top else Path(path).relative_to(top).as_posix()


def why_kept(path: Path, error: OSError) -> tuple[str, str]:
    """Why something could not be removed from its folder, and what helps.

    Args:
        path: what was to be removed, or to be moved away.
        error: what the system said.
    """
    if not os.path.lexists(path):
        return explain(error)
    above = path.parent.stat()
    if (path.is_dir() and not path.is_symlink()) and (known := keeps(path)):
        return known
    if flags := _flags(str(path.parent)):
        return f"{path.parent} is {_named(flags)}", _clear(path.parent)
    if error.errno in DENIED and not os.access(path.parent, os.W_OK, effective_ids=True):
        return obstacle(path.parent, "write to"), _give_back(path.parent)
    if error.errno in DENIED and above.st_mode & stat.S_ISVTX and above.st_uid != os.geteuid():
        owner = in_words(path.lstat().st_uid)
        what = f"{path} belongs to {owner}, and {path.parent} has the sticky bit"
        return what, _chown(path, os.geteuid())
    return explain(error)


def _explained(path: Path, error: OSError) -> tuple[str, str]:
    to_read = _to_read(path)
    if to_read is not None:
        return to_read.message, to_read.hint
    folder = path if path.is_dir() else path.parent
    for place in (path, folder):
        if os.path.lexists(place) and (flags := _flags(str(place))):
            return f"{place} is {_named(flags)}", _clear(place)
    if denied := cannot_write(folder):
        return denied
    if path.exists() and os.geteuid() not in (0, path.stat().st_uid):
        owner = in_words(path.stat().st_uid)
        return f"{in_words()} may not change {path}, which belongs to {owner}", _give_back(path)
    return errors.explain(error)


def _to_read(path: Path) -> Forbidden | None:
    """What keeps this account from reading something: a folder on the way, or the thing itself."""
    for folder in reversed(path.parents):
        if what := obstacle(folder, "enter"):
            return Forbidden(what, _to_own(folder))
    if not os.path.lexists(path) or path.is_symlink():
        return None
    what = obstacle(path, "read") or (obstacle(path, "enter") if path.is_dir() else "")
    return Forbidden(what, _to_own(path)) if what else None


def _to_share(path: Path, git_dir: Path) -> str:
    """What lets a group read a folder of Git; empty where that would not help this account."""
    status, owner = path.stat(), git_dir.stat().st_uid
    if status.st_uid != owner:
        return _chown(git_dir, owner)
    mine = {os.getegid(), *os.getgroups()}
    if owner == os.geteuid() or status.st_gid not in mine or status.st_mode & stat.S_IRGRP:
        return ""
    where, sudo = shlex.quote(str(git_dir)), f"sudo -u {_sudo_name(owner)}"
    # gitrepository-layout(5): an octal number counts under any umask; "group" may also write
    return f"{sudo} chmod -R g+rX {where} && {sudo} git -C {where} config {GIT_MODE}"


def _to_own(path: Path) -> str:
    """What helps to read: something of another account in our folder is to be ours again."""
    if path.parent.stat().st_uid == os.geteuid():
        return _give_back(path)
    group = _readers(path.stat())
    join = f"sudo usermod --append --groups {group} {account()}, and log in again"
    return (
        f"become a reader, by its group: {join}; or {_as_owner(path)}" if group else _as_owner(path)
    )


def _readers(status: os.stat_result) -> str:
    """The group that may read something, where this account is no member; empty for root's."""
    needed = 0o050 if stat.S_ISDIR(status.st_mode) else 0o040
    is_member = status.st_gid in (os.getegid(), *os.getgroups())
    if is_member or status.st_gid == 0 or status.st_mode & needed != needed:
        return ""
    try:
        return grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        return ""


def _as_owner(path: Path) -> str:
    """To run the command as the owner shows everything; a secret may be in what is not shown.

    Not as root, who would only read: what is root's alone to change is ``_give_back``'s.
    """
    name = _sudo_name(path.stat().st_uid)
    if name != "root":
        return f"{AS_OWNER}: sudo -u {name} tagship ..."
    where = shlex.quote(str(path))
    return f"let a group of {account()} in, with chgrp and chmod: namei -l {where}"


def _sudo_name(uid: int) -> str:
    name = account(uid)
    return shlex.quote(f"#{name}") if name.isdecimal() else name


def _give_back(path: Path) -> str:
    """Something of another account in the midst of what is ours, or of what is all of its own."""
    owner, around = path.stat().st_uid, path.parent.stat().st_uid
    if _is_read_only(path):
        return f"findmnt --target {shlex.quote(str(path))}; to write there: mount it with rw"
    if owner == os.geteuid():
        return f"chmod u+rwx {shlex.quote(str(path))}"
    if owner != around:
        return _chown(path, around)
    of_owner = [above for above in path.parents if above.stat().st_uid != owner]
    is_roots = owner == 0 and _is_in_workspace(path)  # a workspace of root, or a stray thing in one
    if of_owner and (is_roots or of_owner[0].stat().st_uid == os.geteuid()):  # whose it is again
        top = of_owner[0] / path.relative_to(of_owner[0]).parts[0]
        return _chown(top, of_owner[0].stat().st_uid)
    return f"{AS_OWNER}: sudo -u root tagship ..." if is_roots else _as_owner(path)


def _is_in_workspace(path: Path) -> bool:
    """Whether one account alone changes it: who else could write there would be no safe reader."""
    return any((folder / mark).exists() for folder in (path, *path.parents) for mark in WORKSPACE)


def _is_read_only(path: Path) -> bool:
    """Whether the file system of something that is there cannot be written to, by any account."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _chown(path: Path, uid: int) -> str:
    return f"sudo chown -R {account(uid)} {shlex.quote(str(path))}"


def _flags(path: str) -> str:
    """The flags of chattr(1) that forbid to change or remove something; also for root."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        (flags,) = struct.unpack("l", fcntl.ioctl(descriptor, _GETFLAGS, bytes(8)))
    except OSError:  # this file system has none
        return ""
    finally:
        os.close(descriptor)
    return "".join(letter for letter, bit in _FLAGS.items() if flags & bit)


def _named(flags: str) -> str:
    return "immutable (chattr +i)" if "i" in flags else "append-only (chattr +a)"


def _clear(path: Path) -> str:
    return f"sudo chattr -R -ia {shlex.quote(str(path))}"
