"""Sections 2, 5 and 8 of the contract as plain lists and sets: what each command must come to.

Written from the contract, not from the code, and it imports nothing of tagship: what is blocked is
a set that rollbacks add to and exact versions take from, not a reading of the history.
"""

import re
from dataclasses import dataclass, field

VERSION, WITHDRAWN, ASSIGN, UNASSIGN, DEPRECATED = (
    "version", "withdrawn", "assign", "unassign", "deprecated",
)  # fmt: skip
STAGE = "prod"


@dataclass(frozen=True)
class Tag:
    """A tag object: ``at`` is its date in seconds, ``identity`` its id."""

    name: str
    kind: str
    version: str | None
    commit: str
    identity: str
    at: int


@dataclass(frozen=True)
class Place:
    """A version on disk; ``identity`` is the id of the tag object that it came from."""

    version: str
    directory: str
    identity: str


@dataclass(frozen=True)
class Expected:
    """What a command must come to.

    Attributes:
        codes: the exit codes that are right.
        version: what is live afterwards, if it succeeds.
        changes: whether it makes something live, and an event of that.
        kept: the directory that it uses; empty if it makes one.
    """

    codes: tuple[int, ...] = (0,)
    version: str | None = None
    changes: bool = False
    kept: str = ""


def key(version: str) -> tuple[int, int, int, bool, str]:
    """The order of versions, as far as the machine makes them."""
    number, _, pre = version.partition("-")
    major, minor, patch = map(int, number.split("."))
    return major, minor, patch, not pre, pre


def is_exact(wish: str) -> bool:
    """Whether a text is a whole version; else it is a rule."""
    return re.fullmatch(r"\d+\.\d+\.\d+(-\S+)?", wish) is not None


def fits(rule: str, version: str) -> bool:
    """Whether a version is in the range of a rule that is no stage."""
    return rule == "latest" or version.startswith(f"{rule}.")


@dataclass
class Model:
    """A host and its clone.

    Attributes:
        tags: by name, those of this clone.
        live: what ``current`` means.
        places: whatever was live and good, in the order in which it last went live.
        line: the good versions up to the live one.
        blocked: ids of tag objects that do not go live by themselves.
        asked: a person asked for a hold.
        implied: a deploy of another version than the desired one holds.
        failed: the version that was tried and taken back since the last success.
        back: what is live was gone back to.
        known: the ids of all tag objects that were here at the last rollback by hand.
        back_at: when the last rollback took effect, in seconds as those of tags.
        rule: the one that was followed last.
        objects: by version, the tag object that it was last deployed from here.
        tried: each version and tag object that was live here, or failed.
        pins: versions.
        damaged: directories in which a byte was changed.
    """

    tags: dict[str, Tag] = field(default_factory=dict)
    live: Place | None = None
    places: list[Place] = field(default_factory=list)
    line: list[Place] = field(default_factory=list)
    blocked: set[str] = field(default_factory=set)
    asked: bool = False
    implied: bool = False
    failed: str | None = None
    back: bool = False
    known: set[str] | None = None
    back_at: float = 0
    rule: str = "latest"
    objects: dict[str, str] = field(default_factory=dict)
    tried: set[tuple[str, str]] = field(default_factory=set)
    pins: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)

    # --- what the tags say (GTO's grammar)

    @property
    def ordered(self) -> list[Tag]:
        """By date."""
        return sorted(self.tags.values(), key=lambda tag: tag.at)

    @property
    def deprecated(self) -> bool:
        """Whether the last tag says so."""
        return bool(self.tags) and self.ordered[-1].kind == DEPRECATED

    def release(self, version: str) -> Tag | None:
        """The tag of a version, withdrawn or not."""
        tags = (tag for tag in self.ordered if (tag.kind, tag.version) == (VERSION, version))
        return next(tags, None)

    @property
    def versions(self) -> list[str]:
        """All that have a tag, lowest first."""
        names = {tag.version for tag in self.tags.values() if tag.kind == VERSION}
        return sorted((name for name in names if name), key=key)

    def is_active(self, version: str) -> bool:
        """Whether it is neither withdrawn nor deprecated, nor lacks its tag."""
        about = [t for t in self.ordered if t.version == version and t.kind in (VERSION, WITHDRAWN)]
        return bool(about) and about[-1].kind == VERSION and not self.deprecated

    def assignment(self) -> Tag | None:
        """The tag that assigned the stage to who holds it."""
        withdrawn = {
            tag.commit
            for version in self.versions
            if (tag := self.release(version)) and not self._stands(version)
        }
        holders: dict[str, Tag] = {}
        for tag in self.ordered:
            if tag.kind in (ASSIGN, UNASSIGN) and tag.commit not in withdrawn:
                holders.pop(tag.commit, None)
                if tag.kind == ASSIGN:
                    holders[tag.commit] = tag
        return list(holders.values())[-1] if holders and not self.deprecated else None

    def _stands(self, version: str) -> bool:
        about = [t for t in self.ordered if t.version == version and t.kind in (VERSION, WITHDRAWN)]
        return about[-1].kind == VERSION

    def holder(self) -> str | None:
        """The version that holds the stage."""
        tag = self.assignment()
        if tag is None:
            return None
        commits = {version: self.release(version) for version in self.versions}
        return next((v for v, t in commits.items() if t and t.commit == tag.commit), None)

    # --- section 8: what is desired

    @property
    def held(self) -> bool:
        """Whether nothing goes live by itself."""
        return self.asked or self.implied

    def select(self, rule: str, blocked: set[str]) -> str | None:
        """What a rule selects, without what is withdrawn, deprecated or blocked."""
        if rule.startswith("#"):
            tag, version = self.assignment(), self.holder()
            is_free = tag is not None and tag.identity not in blocked
            return version if is_free and version and self.is_active(version) else None
        free = (v for v in self.versions if self.is_active(v) and "-" not in v and fits(rule, v))
        return max(
            (v for v in free if (tag := self.release(v)) and tag.identity not in blocked),
            key=key, default=None,
        )  # fmt: skip

    def desired(self, rule: str) -> str | None:
        """What should be live; None where nothing that the rule selects may be."""
        best = self.select(rule, self.blocked)
        if self.live is None:
            return best
        version = self.live.version
        stays = self.back and self.is_active(version)
        if rule.startswith("#"):
            return version if best is None and stays else best
        is_lower = best is None or key(best) < key(version)
        if is_lower and (fits(rule, version) or self._is_left(rule, best)):
            if self.release(version) is None:  # tags are missing in this clone
                return None
            return version if stays else best
        return best

    def _is_left(self, rule: str, best: str | None) -> bool:
        """Whether a rule was followed until a rollback, and has nothing new since."""
        tag = self.release(best) if best else None
        return self.back and rule == self.rule and (tag is None or tag.at <= self.back_at)

    def is_moved(self, version: str) -> bool:
        """Whether the tag is another than at the last deployment here."""
        before, tag = self.objects.get(version), self.release(version)
        return before is not None and tag is not None and tag.identity != before

    # --- what commands come to

    @property
    def is_new(self) -> bool:
        """Whether nothing ever was live here, as far as the history goes back."""
        return not self.objects

    def of_deploy(self, wish: str, *, force: bool = False, retry: bool = False) -> Expected:
        """A deploy of an exact version, or by a rule."""
        version: str | None = wish
        if not is_exact(wish):
            if self.held:
                return Expected((3,) if self.select(wish, set()) else (1, 3))
            if self.select(wish, set()) is None:
                return Expected((1,))
            version = self.select(wish, set()) if retry else self.desired(wish)
        if version is None or not self.is_active(version) or self.is_moved(version):
            return Expected((1,))
        tag, live = self.release(version), self.live
        assert tag is not None
        is_live = live is not None and (live.version, live.identity) == (version, tag.identity)
        if is_live and live and live.directory not in self.damaged and not force:
            return Expected(version=version)
        return Expected(version=version, changes=True)

    def of_rollback(self, to: str | None, on_disk: set[str]) -> Expected:
        """A rollback; ``on_disk`` are the directories that are here."""
        if self.is_new:
            return Expected((1,))
        target = self.before() if to is None else self._named(to)
        if target is None:
            return Expected((1,))
        if target.directory in on_disk - self.damaged:
            is_live = self.live is not None and target.directory == self.live.directory
            return Expected((0,), target.version, not is_live, target.directory)
        if not self.is_active(target.version) or self.is_moved(target.version):
            return Expected((1,))
        return Expected((0,), target.version, changes=True)

    def before(self) -> Place | None:
        """The last good version before the live one."""
        if self.live is None:
            return self.line[-1] if self.line else None
        places = self.line
        at = [i for i, place in enumerate(places) if place.version == self.live.version]
        others = [p for p in places[: at[-1] if at else None] if p.version != self.live.version]
        return others[-1] if others else None

    def _named(self, to: str) -> Place | None:
        places = {place.version: place for place in self.places}
        if is_exact(to):
            new = Place(to, "", "") if self.release(to) else None
            return places.get(to, new)
        fitting = [v for v in places if "-" not in v and fits(to, v)]
        if fitting:
            return places[max(fitting, key=key)]
        version = self.select(to, set())
        return Place(version, "", "") if version else None

    # --- what happened

    def deployed(self, place: Place, wish: str) -> None:
        """A deploy made this live."""
        if is_exact(wish):
            again = self.live is not None and self.live.version == place.version
            self.implied = self.implied if again else self._is_other(place)
        else:
            self.implied, self.rule = False, wish
        self._goes_live(place)
        self.line.append(place)
        self.back, self.known = False, None

    def _is_other(self, place: Place) -> bool:
        """Whether what is deployed by hand is not what is desired."""
        return self.select(self.rule, self.blocked - self._unblocked(place)) != place.version

    def _unblocked(self, place: Place) -> set[str]:
        """The tag objects that count again once a version went live."""
        tag = self.release(place.version)
        commit = tag.commit if tag and tag.identity == place.identity else None
        assigned = {
            t.identity for t in self.tags.values() if t.kind == ASSIGN and t.commit == commit
        }
        return assigned | {place.identity}

    def _goes_live(self, place: Place) -> None:
        self.blocked -= self._unblocked(place)
        self.places = [other for other in self.places if other != place] + [place]
        self.objects[place.version] = place.identity
        self.tried.add((place.version, place.identity))
        self.live, self.failed = place, None

    def rolled_back(self, place: Place, *, hold: bool = False, by_hand: bool = True) -> None:
        """A rollback made this live, or repaired what is live: then nobody went back."""
        is_repair = by_hand and self.live is not None and self.live.version == place.version
        self._cut(place)
        self.line.append(place)
        if is_repair:
            self._goes_live(place)
            self.asked |= hold
            return
        self._block_above(place.version)
        self._goes_live(place)
        self.back = True
        self.known = {tag.identity for tag in self.tags.values()}
        self.known |= {identity for _, identity in self.tried}
        if by_hand:
            self.implied = False
            self.asked |= hold

    def _cut(self, place: Place) -> None:
        """Cut the line before a version, and take out each version that is gone back from."""
        at = [i for i, other in enumerate(self.line) if other.version == place.version]
        left = {other.version for other in (self.line[at[-1] :] if at else [])}
        left |= {self.live.version} if self.live else set()
        line = self.line[: at[-1] if at else None]
        self.line = [other for other in line if other.version not in left - {place.version}]

    def _block_above(self, version: str) -> None:
        for tag in self.tags.values():
            above = tag.kind == VERSION and tag.version and key(tag.version) > key(version)
            if above or tag.kind == ASSIGN:
                self.blocked.add(tag.identity)
        # their tags may have moved since, and be set back
        self.blocked |= {i for tried, i in self.tried if key(tried) > key(version)}

    def failed_test(self, version: str, wish: str) -> None:
        """The smoke test failed: what was live is live."""
        tag = self.release(version)
        assert tag is not None
        self.tried.add((version, tag.identity))
        self.blocked |= self._tried(Place(version, "", tag.identity), wish)
        self.failed = version
        if not is_exact(wish) and wish != "rollback":
            self.rule = wish

    def taken_back(self, tried: Place, wish: str, *, hold: bool) -> None:
        """What went live failed its check: what was live before is live again."""
        before = self.live
        implied, places = self.implied, [place for place in self.places if place != tried]
        if not is_exact(wish) and wish != "rollback":
            self.rule = wish
        self.objects[tried.version] = tried.identity
        self.tried.add((tried.version, tried.identity))
        if wish == "rollback":  # its event cut the line, and passed over what is above
            self._cut(tried)
            self._block_above(tried.version)
        if before is None:
            self.line = [place for place in self.line if place != tried]
            self.live, self.back, self.known, self.implied = None, False, None, False
        else:
            self.line = [place for place in self.line if place != tried]
            blocked = set(self.blocked)
            self.rolled_back(before, by_hand=False)
            self.blocked |= blocked  # nobody named the version that was gone back to
            places = [place for place in self.places if place != tried]
            self.implied = implied
        self.places = places
        self.blocked |= self._tried(tried, wish)
        self.failed = tried.version
        self.asked |= hold

    def undeployed(self, *, history: bool) -> None:
        """Nothing is here any more."""
        if history:
            fresh = Model(tags=self.tags)
            self.__dict__.update(fresh.__dict__)
        else:
            self.live, self.back, self.known, self.failed = None, False, None, None
            self.implied = False
            self.pins, self.damaged = set(), set()

    def _tried(self, place: Place, wish: str) -> set[str]:
        """The tag objects of what failed: no rule tries it again, nor a stage that it has."""
        tag, assignment = self.release(place.version), self.assignment()
        is_own = tag is not None and assignment is not None and tag.commit == assignment.commit
        return {place.identity} | (
            {assignment.identity} if is_own and assignment and wish != "rollback" else set()
        )

    # --- status

    def status(self) -> int:
        """The exit code of ``status``."""
        codes = {0}
        version = self.desired(self.rule)
        live = self.live
        if self.held:
            codes.add(3)
        # what was not withdrawn may stay where the rule selects nothing at all
        stays = live is None or (version is None and self.is_active(live.version))
        if live is not None and live.version != version and not stays:
            codes.add(3)
        if live is None and (version is not None or any("-" not in v for v in self._offered)):
            codes.add(3)
        if version is None and self.select(self.rule, set()):
            codes.add(3)
        if version is not None and self.is_moved(version):
            codes.add(3)
        if live is not None:
            tag = self.release(live.version)
            if live.directory in self.damaged or tag is None or tag.identity != live.identity:
                codes.add(3)
        failed = self.release(self.failed) if self.failed else None
        if failed and self.is_active(str(self.failed)) and failed.identity in self.blocked:
            codes.add(4)
        return max(codes)

    @property
    def _offered(self) -> list[str]:
        return [version for version in self.versions if self.is_active(version)]

    def must_stay(self, on_disk: set[str], keep: int) -> set[str]:
        """The directories of those that were here that a cleanup must leave."""
        target = self.before()
        stays = {place.directory for place in (self.live, target) if place}
        stays |= {place.directory for place in self.places if place.version in self.pins}
        newest = {
            place.version: place.directory for place in self.places if place.directory in on_disk
        }
        last: dict[str, None] = {}
        for place in self.places:
            if place.directory in on_disk:
                last.pop(place.version, None)
                last[place.version] = None
        stays |= {newest[version] for version in list(last)[-keep:]} if keep else set()
        return stays & on_disk


def next_minor(versions: set[str]) -> str:
    """The number after the highest one so far."""
    if not versions:
        return "1.0.0"
    major, minor, _, is_final, _ = key(max(versions, key=key))
    return f"{major}.{minor + is_final}.0"
