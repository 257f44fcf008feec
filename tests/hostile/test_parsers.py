"""Whatever the text, a parser gives a value or one of the errors that a person is told."""

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from semver import Version

from tagship.dvc import cache as dvc_cache
from tagship.dvc import credentials, pointers, stages
from tagship.errors import TagshipError
from tagship.registry import artifacts, catalog, refs, settings, tags
from tagship.text import paths, redact, yaml
from tests.workbench import MODEL, Workbench

TEXT = st.text(max_size=200)
NAMES = ("path", "md5", "outs", "deps", "stages", "artifacts", "deploy", "tagship", "cmd",
         "params", "wdir", "remote", "size", "hash", "isexec", "metrics", "plots", "do", "a",
         "model.bin", "a" * 32, "root", "keep", "better", "smoke_timeout", "git_remote", "meta",
         "self_test", "labels")  # fmt: skip
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.sampled_from(NAMES)
    | st.sampled_from(["../x", "/etc/x", "a" * 32 + ".dir", "\ud800", "1" * 5000])
)  # fmt: skip
JSON: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | TEXT, inner, max_size=5)
    ),
    max_leaves=25,
)
MAPPING = st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6)
YAML_BITS = st.lists(
    st.sampled_from(["&a ", "*a", "<<: ", "- ", "? ", ": ", "[", "]", "{", "}", "\n", "  ", "x",
                     "!!", "!!binary ", "!!set ", "!!timestamp ", "!!omap ", "0x", "9" * 40,
                     "2001-01-01", "'", '"', "\\", "|\n", "%YAML 1.1\n", "---\n", "#", "\t", ".nan",
                     "~", "a: b\n", "artifacts:\n", "outs:\n", "\ufeff", "\x00", "é"]),
    max_size=40,
).map("".join)  # fmt: skip


def _told(function: Any, *arguments: Any) -> Any:
    """A value or an error of ours; anything else fails the test."""
    with contextlib.suppress(TagshipError):
        return function(*arguments)
    return None


def _dump(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "replace")


@given(
    TEXT | st.sampled_from(["churn@" + "9" * 5000, "v" + "1." * 5000, "churn@v1.0.0-" + "0" * 5000])
)
@example("9" * 5000)
def test_a_name_a_tag_a_version(text: str) -> None:
    _told(refs.Ref.parse, text)
    _told(refs.TagName.parse, text)
    _told(refs.check_version, text)
    _told(refs.Wanted.parse, text, MODEL)
    assert refs.is_model(text) in (True, False)


@pytest.mark.parametrize("text", ["a" * 200_000, "a-" * 100_000, "a/" * 100_000 + "!", "a@v1.0.0-"
                                  + "a." * 50_000 + "!", "x://" * 50_000, "x" * 200_000,
                                  "x://" + "y" * 200_000, "x.+-" * 50_000])  # fmt: skip
def test_no_text_takes_long(text: str) -> None:
    """Each is a second at most; a pattern that starts again at each letter needs minutes."""
    _told(refs.Ref.parse, text)
    _told(refs.TagName.parse, text)
    redact.text(text)
    paths.is_path(text)


@given(TEXT | st.text(alphabet="./\\ :~gitdvcGITA\x00\u200c\ud800"))
def test_a_path_that_is_taken_stays_below(text: str) -> None:
    if paths.is_path(text):
        whole = Path("/top", text)
        assert whole.is_relative_to("/top") and ".." not in whole.parts
        assert text.encode() and not {".git", ".dvc"} & {one.lower() for one in whole.parts}


@given(st.binary(max_size=300) | YAML_BITS.map(str.encode) | JSON.map(_dump) | MAPPING.map(_dump))
def test_dvc_yaml_params_yaml_dvc_lock(data: bytes) -> None:
    _told(yaml.parse, data, "x.yaml")
    _told(artifacts.parse, data)
    _told(settings.parse, data)
    _told(stages.read, "dvc.lock", data, b"stages: {a: {}, outs: {}}")
    _told(stages.read, "dvc.lock", b"stages: {a: {}, outs: {}}", data)
    value = _told(yaml.parse, data, "x.yaml")
    if value is not None:
        json.dumps(_told(yaml.plain, value), allow_nan=False)


@given(MAPPING, st.lists(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6), max_size=3))
def test_a_dvc_lock_and_a_dvc_file_of_the_right_form(content: Any, outs: Any) -> None:
    lock = {"stages": {"a": {**content, "outs": outs}}}
    for stage in _told(stages.read, "dvc.lock", _dump(lock), b"stages: {a: {}}") or ():
        stages.makers([stages.Stages([stage])], "model.bin")
        stages.related([stages.Stages([stage])], "model.bin")
        for path, out in stage.outs.items():
            if out.get("md5"):
                _told(pointers._dvc_out, path, path, out, "dvc.lock", "a")
    for out in outs:
        if out.get("md5"):
            found = _told(pointers._dvc_out, "x", "x", out, "x.dvc", None)
            assert found is None or len(found.pointers[0].digest.removesuffix(".dir")) == 32


@given(TEXT, JSON)
def test_the_trailers_of_a_tag(text: str, value: Any) -> None:
    name, at = refs.TagName.parse("churn@v1.0.0"), datetime.now(UTC)
    assert name is not None
    message = f"{text}\n\nSize: {text}\nMetrics: {json.dumps(value)}\n"
    release = catalog.Release(Version(1), tags.Tag(name, "", "", "", at, message, "", ""))
    assert release.size is None or release.size >= 0
    assert release.metrics is None or isinstance(release.metrics, dict)


OPTIONS = st.dictionaries(
    st.sampled_from(
        [
            *credentials.ADDRESSES,
            *credentials.SECRETS,
            *credentials.ASKED,
            *credentials.GUARDS,
            "account_name",
        ]
    ),
    TEXT | st.sampled_from(["http://a:b@c:99999999/x", "http://[::1", "s3://x", "ssh://", "true"])
    | st.booleans() | st.integers(),
    max_size=6,
)  # fmt: skip


@given(OPTIONS, st.dictionaries(TEXT, OPTIONS, max_size=3))
def test_the_options_of_a_remote(remote: Any, host: Any) -> None:
    _told(credentials.check, "store", remote, host, {"AWS_ENDPOINT_URL": "http://["})
    credentials.check("store", remote, {"any": remote}, {})  # all of it is the host's own


def test_lists_of_files(bench: Workbench) -> None:
    """The list is an object of the cache, so each example is written there."""
    content = bench.manager.source.content(offline=True)
    entry = st.fixed_dictionaries({}, optional={"md5": JSON | st.just("a" * 32), "relpath": JSON})

    @given(st.binary(max_size=200) | JSON.map(_dump) | st.lists(entry, max_size=4).map(_dump))
    def check(data: bytes) -> None:
        import hashlib

        pointer = pointers.Cached("bundle", hashlib.md5(data).hexdigest() + ".dir")
        path = content.cache.path(pointer)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        for file in _told(content.listing, pointer) or ():
            assert file.path == "bundle" or file.path.startswith("bundle/")
            assert paths.is_path(file.path)

    check()


def test_the_configuration_of_dvc(bench: Workbench) -> None:
    bits = ["[core]\n", "remote = x\n", "['remote \"x\"']\n", "url = s3://x\n", "url = ../x\n", "[",
            "]", "=", "%(x)s", "$x", "\n", '"""', "'", "dir = ", "[cache]\n", "[[x]]\n", "a, b",
            "\x00", "\\", "#", "[db]\n", "[machine]\n", "jobs = 0\n", "é"]  # fmt: skip

    @given(st.lists(st.sampled_from(bits), max_size=20).map("".join) | st.text(max_size=100))
    def check(text: str) -> None:
        (bench.repo / ".dvc/config").write_bytes(text.encode("utf-8", "replace"))
        _told(dvc_cache.of_project, bench.repo)

    check()
