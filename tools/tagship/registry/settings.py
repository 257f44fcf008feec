"""The settings: the ``tagship:`` section of params.yaml, which was ``deploy:`` before."""

import difflib
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from tagship.errors import Refused
from tagship.progress import Tell, nobody
from tagship.registry.metrics import DIRECTIONS
from tagship.registry.project_files import PARAMS_FILE, ROOT
from tagship.text import choose, redact, words, yaml
from tagship.text.paths import is_path
from tagship.text.table import shown

SECTION, OLD_SECTION = "tagship", "deploy"
ROLLOUT = "rollout"  # a key of ``tagship:`` that counts at the tag
INSTALLED = "installed"  # a smoke test only where its framework is
LONGEST = 365 * 86400  # seconds that anything may take


@dataclass(frozen=True)
class Settings:
    """The settings in params.yaml.

    Attributes:
        root: the folder that holds a folder per model, relative to the repository's top.
        keep: how many good versions cleanup keeps.
        auto_cleanup: clean up after each successful deploy.
        smoke_test: load each model, and run its self-test, before it goes live; ``installed``:
            where the framework is installed here.
        smoke_timeout: seconds that the smoke test may take.
        after_switch: what is checked once the version is live: ``files`` (the link, and every
            file's size and mode) or ``self_test`` (that, and the self-test, through the link).
        git_remote, dvc_remote: where tags and bytes go; None for Git's ``origin``, DVC's default.
        fetch_limit: bytes that a file may have which is fetched, and whose size no commit records.
        demo: for each model, dotted parameters of params.yaml, and the values that ``tagship demo``
            trains with: the better one, or the first and the better one.
        better: which way a metric is better, by its name: ``higher``, ``lower``, ``neither``.
        min_free: bytes that stay free on the disk: what would leave less is not fetched.
        rollout: which hosts take a version first. It counts at the tag of each version, and not in
            the work tree: see ``workspace.rollout``, which reads it.
        capsule: beside the objects, write what a host needs that asks no Git server; or the address
            of another place, which gets that and the objects.
    """

    root: str = ROOT
    keep: int = 5
    auto_cleanup: bool = True
    smoke_test: bool | str = True
    smoke_timeout: float = 300.0
    after_switch: str = "files"
    git_remote: str | None = None
    dvc_remote: str | None = None
    fetch_limit: int | str = "100 GB"
    demo: Mapping[str, Any] = field(default_factory=dict)
    better: Mapping[str, str] = field(default_factory=dict)
    min_free: int | str = 0
    rollout: Any = None
    capsule: bool | str = False

    @property
    def fetch_limit_bytes(self) -> int:
        """``fetch_limit`` as a number."""
        return words.bytes_in(self.fetch_limit) or int(self.fetch_limit)

    @property
    def min_free_bytes(self) -> int:
        """``min_free`` as a number."""
        return words.bytes_in(self.min_free) or int(self.min_free)


def sections(params: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the sections of a params.yaml that have settings of tagship. Pure.

    ``tagship:`` counts whatever it has. ``deploy:`` may well be the user's own: it counts if it
    has keys, and all of them are ours.
    """
    old = params.get(OLD_SECTION)
    is_ours = isinstance(old, Mapping) and bool(old) and _names(OLD_SECTION).issuperset(old)
    has = {SECTION: bool(params.get(SECTION)), OLD_SECTION: is_ours}
    return tuple(name for name, counts in has.items() if counts)


def _names(section: str) -> set[str]:
    """The keys of a section; one that came after its old name is none of that."""
    names = {field.name for field in fields(Settings)}
    return names - {ROLLOUT} if section == OLD_SECTION else names


def rollout_in(params: Mapping[str, Any], file: str) -> Any:
    """What a params.yaml has under ``tagship: rollout:``; None where it has nothing.

    Raises:
        Refused: ``tagship:`` is no mapping, or has the key in another spelling.
    """
    given = params.get(SECTION)
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise Refused(f"{SECTION}: in {file} is not a mapping", f"fix {PARAMS_FILE}")
    for key in given:
        if key not in _names(SECTION) and difflib.get_close_matches(str(key).lower(), [ROLLOUT], 1):
            raise Refused(
                f"{SECTION}: in {file} has an unknown key {key!r}", choose.near(key, [ROLLOUT])
            )
    return given.get(ROLLOUT)


def section(params: Mapping[str, Any]) -> str:
    """The name of the section that counts.

    Raises:
        Refused: two have settings of tagship.
    """
    names = sections(params)
    if len(names) > 1:
        both = " and ".join(f"{name}:" for name in names)
        raise Refused(
            f"{both} in {PARAMS_FILE} both have settings of tagship",
            f"move all of them to {SECTION}:, and remove {OLD_SECTION}:",
        )
    return names[0] if names else SECTION


def parse(data: bytes, tell: Tell = nobody) -> Settings:
    """The settings that a params.yaml holds; the defaults where it has none.

    Args:
        data: the file.
        tell: is told that the section should be renamed, or is not read.

    Raises:
        Corrupt: the file is not YAML.
        Refused: an unknown key, or a value of the wrong kind; or settings in two sections.
    """
    params = yaml.parse(data, PARAMS_FILE)
    name = section(params)
    given = params.get(name) or {}
    if not isinstance(given, dict):
        raise Refused(f"{name}: in {PARAMS_FILE} is not a mapping", f"fix {PARAMS_FILE}")
    for key, value in given.items():
        _check_key(name, key)
        check(f"{name}.{key} in {PARAMS_FILE}", key, value)
    if name == OLD_SECTION:
        tell(f"the section {name}: in {PARAMS_FILE} is now {SECTION}: rename it")
    if not sections(params) and (others := _others(params.get(OLD_SECTION))):
        are = "is not a setting" if len(others) == 1 else "are not settings"
        tell(
            f"{OLD_SECTION}: in {PARAMS_FILE} is not read, since {', '.join(others)} {are} of"
            f" tagship; settings go under {SECTION}:"
        )
    return Settings(**given)


def _others(old: Any) -> list[str]:
    """The keys of ``deploy:`` that are not ours, where some are: somebody expects it to be read."""
    names = _names(OLD_SECTION)
    if not isinstance(old, Mapping) or names.isdisjoint(old):
        return []
    return [str(key) for key in old if key not in names]


def root(params: Mapping[str, Any]) -> str:
    """The folder of the models, whatever else is wrong in the section.

    Raises:
        Refused: it is no folder in the repository; or two sections differ in it.
    """
    names = sections(params) or (SECTION,)
    given = [_root_in(params.get(name)) for name in names]
    name = names[0] if all(other == given[0] for other in given) else section(params)
    check(f"{name}.root in {PARAMS_FILE}", "root", given[0])
    return str(given[0])


def _root_in(section: Any) -> Any:
    return section.get("root", ROOT) if isinstance(section, Mapping) else ROOT


def _check_key(section: str, key: Any) -> None:
    """Refuse a key that is none, with the nearest."""
    names = [field.name for field in fields(Settings) if field.name in _names(section)]
    if key not in names:
        what = f"{section}: in {PARAMS_FILE} has an unknown key {key!r}"
        raise Refused(what, choose.near(str(key), names))


def _is_place(value: Any) -> bool:
    """Whether it is an absolute path or an address, without a password."""
    is_address = isinstance(value, str) and ("://" in value or value.startswith("/"))
    return is_address and redact.text(value) == value


def check(where: str, key: str, value: Any, hint: str = "see docs/settings.md") -> None:
    """Refuse the value of a setting that is none.

    Args:
        where: the setting and its file, for the error.
        key: its name.
        value: what is given.
        hint: where its values are explained.

    Raises:
        Refused: it is none.
    """
    is_count = isinstance(value, int) and not isinstance(value, bool)
    allowed = {
        "root": isinstance(value, str) and is_path(posixpath.normpath(value)),
        "keep": is_count and value >= 1,
        "auto_cleanup": isinstance(value, bool),
        "capsule": isinstance(value, bool) or _is_place(value),
        "smoke_test": isinstance(value, bool) or value == INSTALLED,
        "smoke_timeout": (is_count or isinstance(value, float)) and 0 < value < LONGEST,
        "after_switch": value in ("files", "self_test"),
        "git_remote": value is None or isinstance(value, str),
        "dvc_remote": value is None or isinstance(value, str),
        "fetch_limit": (is_count and value > 0) or words.bytes_in(value) is not None,
        "min_free": (is_count and value >= 0) or words.bytes_in(value) is not None,
        "demo": isinstance(value, dict),
        "better": isinstance(value, dict) and all(way in DIRECTIONS for way in value.values()),
        ROLLOUT: True,  # a wrong one stops no rollback: a release refuses it
    }
    if not allowed[key]:
        raise Refused(f"{where} may not be {shown(value)}", hint)
