"""The versions that tags make, by GTO's rules; and GTO itself asked about the same tags."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tagship.errors import NotFound, Refused, TagshipError, Unavailable
from tagship.git import run as git_run
from tagship.registry import catalog
from tagship.registry import tags as registry_tags
from tagship.registry.catalog import Catalog
from tagship.registry.refs import Ref, TagName, Wanted
from tagship.registry.tags import Tag
from tests.workbench import Workbench, run

# What follows the model's name in a tag, and the commit; one a minute, in this order. Then the
# versions that come of it: "!" is not on offer any more, and in brackets are the stages.
STORIES: dict[str, tuple[list[str], str]] = {
    "registered": (["@v1.10.0 a", "@v1.0.0 b", "@v1.9.0 c"], "1.0.0 1.9.0 1.10.0"),
    "numbered": (["@v1.0.0#1 a", "@v1.1.0#2 b"], "1.0.0 1.1.0"),
    "prereleased": (["@v1.0.0 a", "@v1.1.0-rc.1 b"], "1.0.0 1.1.0-rc.1"),
    "deregistered": (["@v1.0.0 a", "@v1.1.0 b", "@v1.1.0! b"], "1.0.0 1.1.0!"),
    "deregistered-numbered": (["@v1.0.0#1 a", "@v1.0.0!#2 a"], "1.0.0!"),
    "deregistered-early": (["@v1.0.0! a", "@v1.0.0 a"], "1.0.0"),
    "registered-again": (["@v1.0.0 a", "@v1.0.0! a", "@v1.0.0#3 a"], "1.0.0"),
    "deprecated": (["@v1.0.0 a", "#prod a", "@deprecated a"], "deprecated 1.0.0!"),
    "deprecated-numbered": (["@v1.0.0 a", "@deprecated#4 a"], "deprecated 1.0.0!"),
    "deprecated-and-back": (["@v1.0.0 a", "@deprecated a", "@v1.1.0 b"], "1.0.0 1.1.0"),
    "assigned": (["@v1.0.0 a", "#prod a", "@v1.1.0 b", "#dev b"], "1.0.0[prod] 1.1.0[dev]"),
    "assigned-twice": (["@v1.0.0 a", "#prod a", "#dev a"], "1.0.0[dev prod]"),
    "assigned-first": (["#prod a", "@v1.0.0 a"], "1.0.0[prod]"),
    "moved": (["@v1.0.0 a", "#prod#1 a", "@v1.1.0 b", "#prod#2 b"], "1.0.0 1.1.0[prod]"),
    "moved-back": (
        ["@v1.0.0 a", "#prod#1 a", "@v1.1.0 b", "#prod#2 b", "#prod#3 a"],
        "1.0.0[prod] 1.1.0",
    ),
    "moved-by-time": (
        ["@v1.0.0 a", "#prod#2 a", "@v1.1.0 b", "#prod#1 b"],
        "1.0.0 1.1.0[prod]",
    ),
    "unassigned": (["@v1.0.0 a", "#prod#1 a", "#prod!#2 a"], "1.0.0"),
    "unassigned-and-back": (
        ["@v1.0.0 a", "#prod#1 a", "@v1.1.0 b", "#prod#2 b", "#prod!#3 b"],
        "1.0.0[prod] 1.1.0",
    ),
    "unassigned-elsewhere": (["@v1.0.0 a", "#prod#1 a", "#prod!#2 b"], "1.0.0[prod]"),
    "deregistered-holder": (
        ["@v1.0.0 a", "#prod#1 a", "@v1.1.0 b", "#prod#2 b", "@v1.1.0! b"],
        "1.0.0[prod] 1.1.0!",
    ),
    "versionless-holder": (["@v1.0.0 a", "#prod#1 a", "#prod#2 b"], "1.0.0"),
}


def tag(bench: Workbench, name: str, commit: str = "HEAD", minute: int = 0) -> None:
    """An annotated tag, so many minutes after one o'clock: after all commits."""
    bench.monkeypatch.setenv("GIT_COMMITTER_DATE", f"2026-11-20T13:{minute:02}:00Z")
    bench.git("tag", "--annotate", "--message", "a tag", name, commit)


def tag_object(bench: Workbench, name: str, headers: bytes, message: bytes = b"hi\n") -> None:
    """A tag that ``git tag`` would not make."""
    data = headers + b"\n" + message
    result = subprocess.run(
        ["git", "hash-object", "-t", "tag", "--literally", "-w", "--stdin"],
        cwd=bench.repo,
        input=data,
        capture_output=True,
        check=True,
    )
    bench.git("update-ref", f"refs/tags/{name}", result.stdout.decode().strip())


def headers(bench: Workbench, name: str, tagger: bytes) -> bytes:
    head = bench.git("rev-parse", "HEAD").strip()
    return f"object {head}\ntype commit\ntag {name}\n".encode() + tagger


TAGGER = b"tagger Ada <ada@example.com> 1795179600 +0000\n"


def tell(bench: Workbench, model: str, story: list[str]) -> None:
    """Make the tags of a story on commits a, b, c (made when they are first asked for)."""
    for minute, line in enumerate(story):
        name, _, commit = line.partition(" ")
        tag(bench, model + name, f"refs/heads/{commit}", minute)


@pytest.fixture
def commits(bench: Workbench) -> Workbench:
    """Three commits, on the branches a, b and c."""
    for name in "abc":
        bench.commit(name)
        bench.git("branch", name)
    return bench


def read(bench: Workbench) -> dict[str, Catalog]:
    return catalog.read(registry_tags.read(git_run.find(bench.repo)))


def short(model_catalog: Catalog) -> str:
    """A catalog as in a story."""
    words = ["deprecated"] if model_catalog.deprecated else []
    for release in model_catalog.releases:
        stages = f"[{' '.join(release.stages)}]" if release.stages else ""
        words.append(f"{release.version}{'' if release.active else '!'}{stages}")
    return " ".join(words)


@pytest.mark.parametrize("name", STORIES)
def test_tags_make_versions(commits: Workbench, name: str) -> None:
    story, expected = STORIES[name]
    tell(commits, "m", story)
    assert {model: short(model_catalog) for model, model_catalog in read(commits).items()} == {
        "m": expected
    }


def test_gto_makes_the_same_versions_of_the_same_tags(commits: Workbench) -> None:
    # GTO gives the stage to the commit itself, as we cannot: there is nothing to deploy by
    names = [name for name in STORIES if name != "versionless-holder"]
    for name in names:
        tell(commits, name, STORIES[name][0])
    tell(commits, "sub=m", STORIES["assigned"][0])
    gto = Path(sys.executable).with_name("gto")
    theirs = json.loads(run(commits.repo, str(gto), "show", "--json"))
    ours = {}
    for model, model_catalog in read(commits).items():
        held = {
            stage: f"v{release.version}"
            for release in model_catalog.releases
            for stage in release.stages
        }
        if not model_catalog.deprecated:  # which GTO does not show
            ours[model] = {
                "version": f"v{model_catalog.offered[-1].version}"
                if model_catalog.offered
                else None,
                "stage": {"dev": held.get("dev"), "prod": held.get("prod")},
                "registered": True,
                "active": True,
            }
    assert ours == theirs


def test_each_model_has_its_own_versions(commits: Workbench) -> None:
    for number, name in enumerate(["m@v1.0.0", "sub=m@v2.0.0", "a/m@v3.0.0", "other#prod"]):
        tag(commits, name, minute=number)
    catalogs = read(commits)
    assert {model: short(model_catalog) for model, model_catalog in catalogs.items()} == {
        "m": "1.0.0",
        "sub:m": "2.0.0",
        "a/m": "3.0.0",
        "other": "",
    }
    tags = registry_tags.read(git_run.find(commits.repo))
    assert {model: catalog.of(tags, model) for model in catalogs} == catalogs
    assert catalog.of(tags, "unknown") == Catalog("unknown")


def test_two_builds_of_one_version_are_two_releases(commits: Workbench) -> None:
    tell(commits, "m", ["@v1.0.0+a a", "@v1.0.0+b b"])
    model_catalog = read(commits)["m"]
    assert short(model_catalog) == "1.0.0+a 1.0.0+b"
    assert str(model_catalog.find(Ref.parse("m@1.0.0+b")).version) == "1.0.0+b"


def test_in_one_second_the_cancelling_tag_wins(commits: Workbench) -> None:
    for name in ["l@v1.0.0!", "l@v1.0.0#1", "m@v1.0.0", "m#prod!#1", "m#prod#2", "n@deprecated",
                 "n@v1.0.0"]:  # fmt: skip
        tag(commits, name)
    catalogs = read(commits)
    assert {model: short(model_catalog) for model, model_catalog in catalogs.items()} == {
        "l": "1.0.0!",
        "m": "1.0.0",
        "n": "deprecated 1.0.0!",
    }


def test_other_peoples_tags_are_passed_over(commits: Workbench) -> None:
    tag(commits, "m@v1.0.0")
    expected = read(commits)
    commits.git("tag", "m@v1.1.0")  # lightweight
    for name in ["v1.2.0", "m@1.3.0", "m@v1.4", "m@v01.5.0", "m@latest", "-m@v1.6.0", "m@created"]:
        commits.git("update-ref", f"refs/tags/{name}", commits.git("rev-parse", "m@v1.0.0").strip())
    tag(commits, "m@v1.7.0", "HEAD:README")  # of a file
    tag(commits, "m@v1.8.0", "m@v1.0.0")  # of a tag
    catalogs = read(commits)
    assert catalogs == expected
    assert short(catalogs["m"]) == "1.0.0"


@pytest.mark.parametrize(
    "tagger",
    [
        pytest.param(b"", id="no tagger"),
        pytest.param(b"tagger Ada <ada@example.com>\n", id="no date"),
        pytest.param(b"tagger Ada <ada@example.com> 99999999999999 +0000\n", id="too late"),
        pytest.param(b"tagger Ada <ada@example.com> -5 +0000\n", id="before 1970"),
    ],
)
def test_a_tag_without_a_date_that_can_be_breaks_nothing(commits: Workbench, tagger: bytes) -> None:
    tag(commits, "m@v1.0.0")
    tag_object(commits, "m@v1.1.0", headers(commits, "m@v1.1.0", tagger))
    assert short(read(commits)["m"]) == "1.0.0"


MESSAGE = b'm 1.0.0\n\nwarmer\n\nMetrics: {"accuracy": 0.75}\nSize: 12\n'


def test_a_message_says_metrics_and_size(commits: Workbench) -> None:
    tag_object(commits, "m@v1.0.0", headers(commits, "m@v1.0.0", TAGGER), MESSAGE)
    (release,) = read(commits)["m"].releases
    assert (release.metrics, release.size) == ({"accuracy": 0.75}, 12)


def test_a_signature_is_no_part_of_the_message(commits: Workbench) -> None:
    signature = b"-----BEGIN PGP SIGNATURE-----\n\niHUEABYK\n=abcd\n-----END PGP SIGNATURE-----\n"
    tag_object(commits, "m@v1.0.0", headers(commits, "m@v1.0.0", TAGGER), MESSAGE + signature)
    (release,) = read(commits)["m"].releases
    assert release.tag.message == MESSAGE.decode()
    assert (release.metrics, release.size) == ({"accuracy": 0.75}, 12)


def test_a_message_in_another_encoding_is_text_that_can_be_written(commits: Workbench) -> None:
    tag_object(commits, "m@v1.0.0", headers(commits, "m@v1.0.0", TAGGER), b"w\xe4rmer\n")
    (release,) = read(commits)["m"].releases
    assert release.tag.message == "w\N{REPLACEMENT CHARACTER}rmer\n"


@pytest.mark.parametrize(
    "message", ["", "m 1.0.0", "Metrics: {\nSize: many", "Metrics: [1]\nSize: ²", "Metrics:\nSize:"]
)
def test_anybody_elses_message_says_neither(commits: Workbench, message: str) -> None:
    name = "m@v1.0.0"
    tag_object(commits, name, headers(commits, name, TAGGER), f"a\n\n{message}\n".encode())
    (release,) = read(commits)["m"].releases
    assert (release.metrics, release.size) == (None, None)


RELEASED = [
    "@v1.0.0 a", "#prod a", "@v1.1.0 b", "@v1.2.0 c", "@v1.2.0! c", "@v2.0.0-rc.1 c", "@v3.0.0 c",
    "@v3.0.0! c",
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("m", "1.1.0"),
        ("m@1", "1.1.0"),
        ("m@1.0", "1.0.0"),
        ("m@v1.0.0", "1.0.0"),
        ("m@2.0.0-rc.1", "2.0.0-rc.1"),
        ("m#prod", "1.0.0"),
    ],
)
def test_what_is_asked_for_is_found_among_what_is_on_offer(
    commits: Workbench, text: str, version: str
) -> None:
    tell(commits, "m", RELEASED)
    model_catalog = read(commits)["m"]
    assert str(model_catalog.find(Ref.parse(text)).version) == version
    assert [str(version) for version in model_catalog.taken] == [
        "1.0.0",
        "1.1.0",
        "1.2.0",
        "2.0.0-rc.1",
        "3.0.0",
    ]
    assert model_catalog.latest is not None
    assert str(model_catalog.latest.version) == "1.1.0"


@pytest.mark.parametrize(
    ("story", "text", "kind", "message", "hint"),
    [
        pytest.param(
            RELEASED, "m@1.9", NotFound, "m has no version 1.9", "tagship list m", id="not there"
        ),
        pytest.param(
            RELEASED, "m@2", NotFound, "m has no version 2", "tagship list m", id="pre-release only"
        ),
        pytest.param(
            [], "m", NotFound, "m has no released version", "tagship release m", id="no tag"
        ),
        pytest.param(
            RELEASED,
            "m@1.2.0",
            Refused,
            "m 1.2.0 was withdrawn",
            "choose another version: tagship list m",
            id="deregistered",
        ),
        pytest.param(
            RELEASED,
            "m@3",
            Refused,
            "m 3.0.0 was withdrawn",
            "choose another version: tagship list m",
            id="all that fit deregistered",
        ),
        pytest.param(
            STORIES["deprecated"][0],
            "m",
            Refused,
            "m is deprecated",
            "if it counts again: git tag -d m@deprecated",
            id="deprecated",
        ),
        pytest.param(
            RELEASED,
            "m#dev",
            NotFound,
            "no version of m holds the stage dev",
            "tagship list m",
            id="unknown stage",
        ),
        pytest.param(
            STORIES["deprecated"][0],
            "m#prod",
            NotFound,
            "no version of m holds the stage prod",
            "tagship list m",
            id="stage of a deprecated model",
        ),
        pytest.param(
            ["@v1.0.0 a", "#prod a", "@v1.0.0! a"],
            "m#prod",
            NotFound,
            "no version of m holds the stage prod",
            "tagship list m",
            id="stage of a deregistered version",
        ),
    ],
)
def test_what_is_not_on_offer_is_told_with_what_helps(
    commits: Workbench, story: list[str], text: str, kind: type[TagshipError], message: str,
    hint: str,
) -> None:  # fmt: skip
    tell(commits, "m", story)
    model_catalog = catalog.of(registry_tags.read(git_run.find(commits.repo)), "m")
    with pytest.raises(kind) as caught:
        model_catalog.find(Ref.parse(text))
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_git_gives_the_tags_of_one_model_and_of_no_other(bench: Workbench) -> None:
    """In whatever folder, with whatever stage: all that GTO's grammar lets a tag be."""
    ours = ["churn@v1.0.0", "churn@v1.0.0!", "churn@v2.0.0-rc.1+b", "churn#prod", "churn#a/b/c!#3"]
    others = ["churn2@v1.0.0", "x/churn@v1.0.0", "sub=churn@v1.0.0", "churn/x@v1.0.0"]
    for name in (*ours, "churn@deprecated", *others):
        bench.git("tag", "--annotate", "--message", "x", "--end-of-options", name)
    repository = git_run.find(bench.repo)
    names = {str(tag.name) for tag in registry_tags.read(repository, "churn")}
    assert names == {*ours, "churn@deprecated"}
    assert [str(tag.name) for tag in registry_tags.read(repository, "sub:churn")] == [
        "sub=churn@v1.0.0"
    ]
    assert [str(tag.name) for tag in registry_tags.read(repository, "x/churn")] == [
        "x/churn@v1.0.0"
    ]
    every = [tag for tag in registry_tags.read(repository) if tag.name.model == "churn"]
    assert every == registry_tags.read(repository, "churn")


def test_a_long_answer_of_git_is_read_whole(commits: Workbench) -> None:
    """Longer than a pipe, with characters of several bytes wherever a part of it ends."""
    words = "a€😀" * 30_000
    for number in range(3):
        name = f"m@v1.{number}.0"
        tag_object(commits, name, headers(commits, name, TAGGER), words.encode())
    tag_object(commits, "m@v2.0.0", headers(commits, "m@v2.0.0", TAGGER), b"\xe2\x82 \xff \xf0\x9f")
    messages = {
        str(tag.name): tag.message for tag in registry_tags.read(git_run.find(commits.repo))
    }
    broken = "\N{REPLACEMENT CHARACTER}"
    assert messages == {
        **{f"m@v1.{number}.0": words for number in range(3)},
        "m@v2.0.0": f"{broken} {broken} {broken}",
    }


def test_however_much_git_complains_of_the_tags_are_read(commits: Workbench) -> None:
    """More than a pipe holds: Git would wait for its reader, and its reader for Git."""
    tag(commits, "m@v1.0.0")
    for number in range(2000):
        (commits.repo / ".git" / "refs" / "tags" / f"{number:0100}").write_text("broken\n")
    assert [str(tag.name) for tag in registry_tags.read(git_run.find(commits.repo))] == ["m@v1.0.0"]


def test_git_that_ends_with_an_error_has_told_of_no_tag(commits: Workbench) -> None:
    """Also where the first tags of its answer came before the error."""
    for number in range(300):
        name = f"m@v1.{number}.0"
        tag_object(commits, name, headers(commits, name, TAGGER), b"m" * 1000)
    ref = commits.repo / ".git" / "refs" / "tags" / "m@v2.0.0"
    ref.write_text("1" * 40 + "\n")
    with pytest.raises(Unavailable) as caught:
        registry_tags.read(git_run.find(commits.repo))
    assert caught.value.message == f"git: missing object {'1' * 40} for refs/tags/m@v2.0.0"
    assert caught.value.hint == (
        "git fetch --refetch --tags --force; if that does not help: git fsck"
    )


@pytest.mark.parametrize(
    ("annotated", "lightweight", "asked", "name"),
    [
        ([], ["m@v1.0.0"], "latest", "m@v1.0.0"),
        (["m@v1.0.0"], ["m@v1.1.0"], "latest", "m@v1.1.0"),
        (["m@v1.1.0"], ["m@v1.0.0"], "latest", None),
        (["m@v1.1.0"], ["m@v1.0.0"], "1.0", "m@v1.0.0"),
        (["m@v1.1.0"], ["m@v1.0.0"], "1.0.0", "m@v1.0.0"),
        (["m@v1.1.0"], ["m@v1.0.0"], "1.1.0", None),
        (["m@v1.0.0"], ["m@v2.0.0-rc.1"], "latest", None),
        (["m@v1.0.0"], ["m#prod#1"], "#prod", "m#prod#1"),
        (["m@v1.0.0"], ["m#prod#1"], "latest", None),
        (["m@v1.0.0", "m#prod#1"], ["m#prod#2"], "#prod", None),
        ([], ["m@v1.0.0!", "m@deprecated", "other@v9.0.0"], "latest", None),
    ],
)
def test_a_lightweight_tag_is_named_where_it_would_be_meant(
    annotated: list[str], lightweight: list[str], asked: str, name: str | None
) -> None:
    names = [TagName.parse(text) for text in lightweight]
    at = datetime(2026, 11, 20, tzinfo=UTC)
    tags = [
        Tag(parsed, "a" * 40, "c" * 40, "Ada", at, "", text)
        for text in annotated
        if (parsed := TagName.parse(text))
    ]
    known = catalog.of(tags, "m", [parsed for parsed in names if parsed])
    chosen = known.not_annotated(Wanted.parse(asked, "m"))
    assert (str(chosen) if chosen else None) == name


# --- which tags decide, beside that of the version: a host may ask for their signatures

START = datetime(2026, 11, 20, 13, tzinfo=UTC)
COMMITS = {"1.0.0": "a", "1.1.0": "b", "1.2.0": "c", "1.3.0-rc.1": "d"}


def decided_by(track: str, *tags: str) -> list[str]:
    """The tags that decide after some more; each is ``name commit minute``, made at that minute."""
    made = [*(f"m@v{version} {commit} 0" for version, commit in COMMITS.items()), *tags]
    known = catalog.of([_made(*text.split()) for text in made], "m")
    rule = Wanted.parse(track, "m")
    release = known.selected(rule)
    return [] if release is None else sorted(str(t.name) for t in known.deciding(rule, release))


def _made(name: str, commit: str, minute: str) -> Tag:
    parsed = TagName.parse(name)
    assert parsed is not None
    at = START + timedelta(minutes=int(minute))
    return Tag(parsed, f"id of {name}", commit, "Ada", at, "", name)


@pytest.mark.parametrize(
    ("track", "tags", "deciding"),
    [
        ("latest", [], []),
        ("latest", ["m@v1.2.0! c 1"], ["m@v1.2.0!"]),
        ("latest", ["m@v1.2.0! c 1", "m@v1.1.0! b 1"], ["m@v1.1.0!", "m@v1.2.0!"]),
        ("latest", ["m@v1.2.0! c 1", "m@v1.2.0!#2 c 2"], ["m@v1.2.0!#2"]),  # the last counts
        ("latest", ["m@v1.0.0! a 1"], []),  # a lower one changes nothing
        ("latest", ["m@v1.3.0-rc.1! d 1"], []),  # no rule selects it
        ("1.1", ["m@v1.2.0! c 1"], []),
        ("1.2.0", [], []),  # an exact version
        ("#prod", ["m#prod#1 a 1"], ["m#prod#1"]),
        ("#prod", ["m#prod#1 a 1", "m#prod#2 b 2"], ["m#prod#2"]),
        ("#prod", ["m#prod#1 a 1", "m#prod#2 b 2", "m@v1.1.0! b 3"], ["m#prod#1", "m@v1.1.0!"]),
        # dated before the assignment that counts then
        ("#prod", ["m#prod#1 a 5", "m#prod#2 b 6", "m@v1.1.0! b 3"], ["m#prod#1", "m@v1.1.0!"]),
        ("#prod", ["m#prod#1 a 1", "m#prod#2 b 2", "m#prod!#3 b 3"], ["m#prod!#3", "m#prod#1"]),
        (
            "#prod",
            ["m#prod#1 a 1", "m#prod#2 b 2", "m#prod#3 c 3", "m#prod!#4 b 4", "m#prod!#5 c 5"],
            ["m#prod!#4", "m#prod!#5", "m#prod#1"],
        ),
        ("#prod", ["m#prod#1 a 1", "m@v1.2.0! c 2"], ["m#prod#1"]),  # it never held the stage
        ("#prod", ["m#prod#1 b 1", "m#prod!#2 b 2", "m#prod#3 a 3"], ["m#prod#3"]),
        ("#prod", ["m#dev#1 b 1", "m#prod#1 a 1", "m#dev!#2 b 2"], ["m#prod#1"]),
    ],
)
def test_the_tags_that_decide(track: str, tags: list[str], deciding: list[str]) -> None:
    assert decided_by(track, *tags) == deciding
