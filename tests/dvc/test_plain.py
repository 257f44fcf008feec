"""DVC's configuration as text tells it, compared with what DVC itself says of the same files."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagship.dvc import plain
from tests.dvc.conftest import LEVELS

USUAL = "[core]\n    remote = store\n['remote \"store\"']\n    url = s3://models/x\n"
LINES = [
    "[core]", "[cache]", "['remote \"store\"']", "['remote \"Store\"']", "['remote \"b\"']",
    "    remote = store", "    remote = Store", "analytics = false", "autostage = maybe",
    "    url = s3://models/x", "url = https://example.com/a", "url = azure://c/x", "url = gs://b",
    "url = ../folder", "url = s3://models/a b", "url = gopher://x", "url = s3://",
    "    endpointurl = http://127.0.0.1:9000", "region = eu-west-1", "profile = team",
    "access_key_id = AKIA", "secret_access_key = a/b+c==", "secret_access_key = a,b",
    "session_token = x%y", "use_ssl = false", "use_ssl = False", "ssl_verify = false",
    "ssl_verify = /ca.pem", "allow_anonymous_login = true", "read_timeout = 5", "read_timeout = 0",
    "read_timeout = 1.5", "connect_timeout = 7", "jobs = 4", "jobs = 0", "jobs = many",
    "account_name = a", "connection_string = AccountName=a;AccountKey=YQ==", "user = ada",
    "version_aware = true", "credentialpath = keys", "dir = /srv/cache", "dir = rel",
    "shared = group", "type = hardlink", "# note", "", "x", "JOBS = 4", "cache_regions = true",
]  # fmt: skip


def of_dvc(place: dict[str, Path]) -> tuple[Any, ...] | None:
    """By DVC: remotes without its defaults, the default remote, the cache, the host's remotes."""
    from dvc.config import Config, merge

    host: dict[str, Any] = {}
    try:
        config = Config(dvc_dir=str(place["repo"].parent))
        for level in ("system", "global", "local"):
            merge(host, config.load_one(level))
    except Exception:
        return None
    return _told(config, host)


def _told(whole: Any, host: Any) -> tuple[Any, ...]:
    defaults = {"use_ssl": True}
    remotes = {
        name: {
            key: value
            for key, value in options.items()
            if value is not False and (key, value) not in defaults.items()
        }
        for name, options in whole["remote"].items()
    }
    own = {name: dict(options) for name, options in host["remote"].items()}
    return remotes, whole["core"].get("remote"), whole["cache"].get("dir"), own


def of_tagship(place: dict[str, Path]) -> tuple[Any, ...] | None:
    known = plain.read(place["repo"].parents[1])
    return _told(*known) if known else None


@pytest.mark.parametrize(
    "local",
    [
        "", "['remote \"store\"']\n    access_key_id = A\n    secret_access_key = B/c+d==\n",
        "['remote \"store\"']\n    ssl_verify = false\n    read_timeout = 5\n",
        "['remote \"store\"']\n    endpointurl = http://127.0.0.1:9000\n[cache]\n    dir = /c\n",
    ],
)  # fmt: skip
def test_what_dvc_writes_of_a_store_is_understood(
    place: dict[str, Path],
    local: str,
) -> None:
    place["repo"].write_text(USUAL)
    place["local"].write_text(local)
    assert of_tagship(place) == of_dvc(place) is not None


def test_it_never_says_other_than_dvc(place: dict[str, Path]) -> None:
    @settings(max_examples=200)
    @given(st.dictionaries(st.sampled_from(LEVELS), st.lists(st.sampled_from(LINES), max_size=6)))
    def check(files: dict[str, list[str]]) -> None:
        for level, path in place.items():
            path.unlink(missing_ok=True)
            if level in files:
                text = "\n".join(files[level])
                path.write_text(USUAL + text if level == "repo" else text)
        answer = of_tagship(place)
        assert answer is None or answer == of_dvc(place)

    check()
