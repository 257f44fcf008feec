"""Names and tags: what may stand in one, and that text and value are each other's inverse."""

import re
from typing import Any
from urllib.parse import unquote

import pytest
from gto.tag import parse_name
from hypothesis import example, given
from hypothesis import strategies as st
from semver import Version

from tagship.errors import InvalidName, TagshipError
from tagship.registry import models as registry_models
from tagship.registry import refs
from tagship.registry.refs import Action, Ref, TagName, Wanted

DIGIT = "\N{ARABIC-INDIC DIGIT ONE}"
names = st.from_regex(registry_models.NAME, fullmatch=True)
folders = st.from_regex(registry_models.FOLDER, fullmatch=True).filter(lambda n: ".." not in n)
models = names | st.builds("{}:{}".format, folders, names)
versions = st.from_regex(re.compile(refs.SEMVER, re.ASCII), fullmatch=True).filter(Version.is_valid)
some_versions = st.lists(
    st.builds(
        Version,
        *[st.integers(0, 3)] * 3,
        prerelease=st.sampled_from([None, "0", "rc.1"]),
        build=st.sampled_from([None, "a", "b"]),
    ),
    max_size=6,
)
tags = st.builds(
    "{}{}{}".format,
    models.map(lambda model: model.replace(":", "=")),
    st.sampled_from(["@deprecated", "@created"])
    | st.builds("@v{}{}".format, versions, st.sampled_from(["", "!"]))
    | st.builds("#{}{}".format, names, st.sampled_from(["", "!"])),
    st.from_regex("(#[0-9]{1,3})?", fullmatch=True),
)
# Near misses too: made of what tags are made of, in any order.
pieces = st.sampled_from([
    "m", "sub/", "=", ":", "@", "v", "1.0.0", "01", ".", "-rc.1", "+b", "#", "prod", "!", "3",
    "@v1.0.0", "#prod", "@deprecated", "@created", "@latest", "-", "_", " ", "é", DIGIT,
])  # fmt: skip
texts = st.lists(pieces, min_size=1, max_size=7).map("".join)


def as_gto_says(tag: TagName | None) -> dict[str, Any]:
    """Our value in the form of GTO's parser."""
    if tag is None:
        return {}
    said = {
        "name": tag.model,
        "action": tag.action.value,
        "version": f"v{tag.version}" if tag.version is not None else None,
        "stage": tag.stage,
        "counter": None if tag.counter is None else int(tag.counter),
    }
    return {key: value for key, value in said.items() if value is not None}


def gto_says(text: str) -> dict[str, Any]:
    said = parse_name(text, raise_on_fail=False)
    return {**said, "action": said["action"].value} if "action" in said else dict(said)


@given(tags | texts)
@example("m@v1.0.0#01")
def test_a_tag_and_its_text_are_inverses(text: str) -> None:
    tag = TagName.parse(text)
    assert tag is None or str(tag) == text


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("m@v1.2.0", "register m 1.2.0"),
        ("m@v1.2.0#3", "register m 1.2.0 number 3"),
        ("m@v1.2.0!", "deregister m 1.2.0"),
        ("m@v1.2.0!#4", "deregister m 1.2.0 number 4"),
        ("m@v2.0.0-rc.1+b.7", "register m 2.0.0-rc.1+b.7"),
        ("m#prod", "assign m prod"),
        ("m#prod#3", "assign m prod number 3"),
        ("m#prod!#4", "unassign m prod number 4"),
        ("m@deprecated", "deprecate m"),
        ("m@deprecated#5", "deprecate m number 5"),
        ("m@created", "create m"),
        ("a/b_c-d@v1.0.0", "register a/b_c-d 1.0.0"),
        ("sub.dir/x=m@v1.0.0", "register sub.dir/x:m 1.0.0"),
    ],
)
def test_every_form_of_gto_is_read(text: str, meaning: str) -> None:
    tag = TagName.parse(text)
    assert tag is not None
    words: list[object] = [tag.action, tag.model, tag.version or tag.stage]
    words += ["number", tag.counter] if tag.counter is not None else []
    assert " ".join(str(word) for word in words if word is not None) == meaning


@pytest.mark.parametrize("text", [
    "m", "m@1.2.0", "m@v1.2", "m@V1.2.0", "m@v01.2.0", "m@v1.0.0-01", "m@v1.0.0-", "m.x@v1.0.0",
    "-m@v1.0.0", "m_@v1.0.0", "m@v1.0.0#", "m@v1.0.0#-1", "m@v1.0.0!!", "m@deprecated!", "m#",
    "m#prod-", "é@v1.0.0", "m@v1.0.0 ", "@v1.0.0", "sub:m@v1.0.0", "a=b=m@v1.0.0", "release-1.0",
])  # fmt: skip
def test_what_gto_does_not_read_is_no_tag(text: str) -> None:
    assert TagName.parse(text) is None


@given(tags | texts)
@example("m@v1.0.0!#4")
@example("sub=m#prod")
def test_gto_reads_each_tag_as_we_do(text: str) -> None:
    ours = TagName.parse(text)
    if text.isascii() and (ours is None or ours.action is not Action.CREATE):
        assert as_gto_says(ours) == gto_says(text)


@pytest.mark.parametrize(
    ("text", "theirs", "ours"),
    [
        pytest.param("m@created", {"name": "m"}, "m@created", id="has no action, and breaks GTO"),
        pytest.param(
            "m@v1.0.0\n",
            {"name": "m", "version": "v1.0.0", "action": "register"},
            "None",
            id="ends with a newline, which no ref can",
        ),
        pytest.param(
            f"m@v1{DIGIT}.0.0",
            {"name": "m", "version": f"v1{DIGIT}.0.0", "action": "register"},
            "None",
            id="has digits that SemVer does not know",
        ),
    ],
)
def test_gto_is_not_followed_where_a_tag(text: str, theirs: dict[str, str], ours: str) -> None:
    assert gto_says(text) == theirs
    assert str(TagName.parse(text)) == ours


@given(models, st.none() | versions.map(Version.parse) | names)
@example("sub:m", "prod")
def test_a_reference_and_its_text_are_inverses(model: str, what: Version | str | None) -> None:
    if isinstance(what, str):
        ref = Ref(model, Wanted(stage=what))
    else:
        ref = Ref(model, Wanted(exact=what))
    assert Ref.parse(str(ref)) == ref


@pytest.mark.parametrize(
    ("text", "expected", "written"),
    [
        ("m", Ref("m"), "m@latest"),
        ("m@latest", Ref("m"), "m@latest"),
        ("m@1", Ref("m", Wanted(prefix=(1,))), "m@1"),
        ("m@v1.2", Ref("m", Wanted(prefix=(1, 2))), "m@1.2"),
        ("m@1.2.0", Ref("m", Wanted(exact=Version(1, 2))), "m@1.2.0"),
        ("m@v1.2.0", Ref("m", Wanted(exact=Version(1, 2))), "m@1.2.0"),
        ("m@v1.2.0#3", Ref("m", Wanted(exact=Version(1, 2))), "m@1.2.0"),
        ("m@1.0.0-rc.1", Ref("m", Wanted(exact=Version(1, 0, 0, "rc.1"))), "m@1.0.0-rc.1"),
        ("m@1.0.0+b", Ref("m", Wanted(exact=Version(1, 0, 0, None, "b"))), "m@1.0.0+b"),
        ("m#prod", Ref("m", Wanted(stage="prod")), "m#prod"),
        ("m#prod#3", Ref("m", Wanted(stage="prod")), "m#prod"),
        ("m@m@v1.2.0", Ref("m", Wanted(exact=Version(1, 2))), "m@1.2.0"),
        ("sub:m@1.2.0", Ref("sub:m", Wanted(exact=Version(1, 2))), "sub:m@1.2.0"),
        ("sub=m@v1.2.0", Ref("sub:m", Wanted(exact=Version(1, 2))), "sub:m@1.2.0"),
        ("sub=m#prod", Ref("sub:m", Wanted(stage="prod")), "sub:m#prod"),
    ],
)
def test_a_reference_is_read_as_the_command_line_gives_it(
    text: str, expected: Ref, written: str
) -> None:
    assert Ref.parse(text) == expected
    assert str(expected) == written


NAME_HINT = "a name has letters, digits, '-' and '_', and starts and ends with a letter or a digit"
VERSION_HINT = "give 1.2.0, 1.2, 1, latest, or a tag such as m@v1.2.0"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "'' is not a model name", NAME_HINT),
        ("my model", "'my model' is not a model name", NAME_HINT),
        ("_m", "'_m' is not a model name", NAME_HINT),
        ("m/", "'m/' is not a model name", NAME_HINT),
        ("../m", "'../m' is not a model name", NAME_HINT),
        ("a/../b:m", "'a/../b:m' is not a model name", NAME_HINT),
        ("m.x@1", "'m.x' is not a model name", NAME_HINT),
        ("m\n", "'m\\n' is not a model name", NAME_HINT),
        ("m@", "'' is not a version of m", VERSION_HINT),
        ("m@newest", "'newest' is not a version of m", VERSION_HINT),
        ("m@01", "'01' is not a version of m", VERSION_HINT),
        ("m@1.2.3.4", "'1.2.3.4' is not a version of m", VERSION_HINT),
        ("m@1.0.0\n", "'1.0.0\\n' is not a version of m", VERSION_HINT),
        (f"m@1{DIGIT}", f"'1{DIGIT}' is not a version of m", VERSION_HINT),
        ("m@v1.0.0!", "'v1.0.0!' is not a version of m", VERSION_HINT),
        ("m@deprecated", "'deprecated' is not a version of m", VERSION_HINT),
        ("m@x@v1.0.0", "'x@v1.0.0' is not a version of m", VERSION_HINT),
    ],
)
def test_a_reference_that_cannot_be_is_refused(text: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidName) as caught:
        Ref.parse(text)
    assert (caught.value.message, caught.value.hint) == (message, hint)


TAGGED = ["0.9.0", "1.0.0", "1.2.0", "1.2.3", "1.10.0", "2.0.0-rc.1", "3.0.0+a", "3.0.0+b"]


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("1", "1.10.0"),
        ("1.2", "1.2.3"),
        ("v1.2", "1.2.3"),
        ("0", "0.9.0"),
        ("1.2.0", "1.2.0"),
        ("1.3", "None"),
        ("1.0.1", "None"),
        ("2", "None"),
        ("2.0", "None"),
        ("2.0.0", "None"),
        ("2.0.0-rc.1", "2.0.0-rc.1"),
        ("3.0.0+b", "3.0.0+b"),
        ("3.0.0", "None"),
        ("latest", "3.0.0+a"),
    ],
)
def test_of_all_versions_the_highest_that_was_asked_for_is_selected(
    text: str, selected: str
) -> None:
    assert str(Wanted.parse(text, "m").select(map(Version.parse, TAGGED))) == selected


@given(some_versions, st.sampled_from(["latest", "0", "1", "0.0"]))
def test_a_prerelease_is_only_selected_by_its_whole_name(
    versions: list[Version], text: str
) -> None:
    selected = Wanted.parse(text, "m").select(versions)
    assert selected is None or selected.prerelease is None


@pytest.mark.parametrize(
    ("existing", "bump", "following"),
    [
        ([], "minor", "1.0.0"),
        ([], "major", "1.0.0"),
        ([], "patch", "1.0.0"),
        (["1.0.0"], "minor", "1.1.0"),
        (["1.0.0"], "patch", "1.0.1"),
        (["1.4.2"], "major", "2.0.0"),
        (["1.9.0", "1.10.0"], "minor", "1.11.0"),
        (["2.0.0-rc.1"], "minor", "2.0.0"),
        (["2.0.0-rc.1"], "major", "2.0.0"),
        (["2.0.0-rc.1"], "patch", "2.0.0"),
        (["2.0.0-rc.1", "2.0.0"], "minor", "2.1.0"),
        (["2.1.0-rc.1"], "major", "3.0.0"),
        (["2.0.1-rc.1"], "minor", "2.1.0"),
        (["1.0.0+a"], "minor", "1.1.0"),
    ],
)
def test_the_next_version_follows_the_highest(
    existing: list[str], bump: str, following: str
) -> None:
    assert str(refs.next_version(map(Version.parse, existing), bump)) == following


@given(some_versions, st.sampled_from(["major", "minor", "patch"]))
def test_no_version_is_ever_given_twice(existing: list[Version], bump: str) -> None:
    following = refs.next_version(existing, bump)
    assert all(following > version for version in existing)


@pytest.mark.parametrize(
    ("text", "version"),
    [("1.2.0", "1.2.0"), ("v1.2.0", "1.2.0"), ("1.2", "1.2.0"), ("2.0.0-rc.1+b", "2.0.0-rc.1+b")],
)
def test_a_version_for_a_release_is_a_whole_one(text: str, version: str) -> None:
    assert str(refs.check_version(text)) == version


@pytest.mark.parametrize("text", ["", "latest", "1.2.3.4", "01.0.0", "1.0.0-01", "vv1", "1.0.0\n"])
def test_no_other_text_is_a_version_for_a_release(text: str) -> None:
    with pytest.raises(InvalidName) as caught:
        refs.check_version(text)
    assert caught.value.message == f"{text!r} is not a SemVer 2.0.0 version"
    assert caught.value.hint == "give it as 1.2.0"


@pytest.mark.parametrize("text", ["m", "ml_model", "dl-model2", "1"])
def test_a_new_model_has_a_plain_name(text: str) -> None:
    assert refs.check_new_model(text) == text


@pytest.mark.parametrize("text", ["", "Churn", "a/b", "sub:m", "m_", "-m", "m.x", "é", "m\n"])
def test_a_new_model_has_no_other_name(text: str) -> None:
    with pytest.raises(InvalidName) as caught:
        refs.check_new_model(text)
    assert caught.value.message == f"{text!r} is not a valid name for a new model"
    assert caught.value.hint == "use lower-case letters, digits, '-' and '_', such as ml_model"


@given(models)
def test_each_model_has_a_folder_of_its_own_one_path_component_long(model: str) -> None:
    folder = refs.folder_name(model)
    assert unquote(folder) == model
    assert "/" not in folder


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("m", "m has no released version", "tagship release m"),
        ("m@1.9.0", "m has no version 1.9.0", "tagship list m"),
        ("m@2", "m has no version 2", "tagship list m"),
    ],
)
def test_a_version_without_a_tag_is_told_with_what_helps(
    text: str, message: str, hint: str
) -> None:
    error: TagshipError = refs.no_such_version(Ref.parse(text))
    assert (error.message, error.hint) == (message, hint)
