"""The settings of a server: each value that none can have is refused, and said in words."""

from pathlib import Path
from typing import Any

import pytest

from tagship.errors import InvalidName, NotFound, Refused
from tagship.serve import app, bounds, deployed
from tagship.serve.settings import Settings
from tests.serve.shelf import Shelf

BAD: dict[str, tuple[Any, ...]] = {
    "models": (None, 3, [3], [""]),
    "start": (None, 3),
    "root": (3,),
    "host": ("", None, 3),
    "port": (-1, 65536, "80", True, 1.5),
    "workers": (0, 257),
    "isolate": ("proces", "", True),
    "challengers": (3, ["churn"], [("churn",)], [("churn", "")], [("churn", 1.0)]),
    "allow_hosts": (None, [3]),
    "token_file": (3,),
    "access_log": (3,),
    "audit": (3,),
    "audit_inputs": ("yes", None),
    "max_body": (0, -1, 1.5, float("inf")),
    "max_bodies": (0,),
    "max_rows": (-1,),
    "request_timeout": (0, -1, "1", None, float("nan"), float("inf"), True),
    "header_timeout": (0,),
    "body_timeout": (0,),
    "idle_timeout": (0,),
    "stop_timeout": (-1,),
    "max_connections": (0,),
    "threads": (0,),
    "poll": (0,),
}


def settings(**options: Any) -> Settings:
    return Settings(**{"models": ("churn",), **options})


def test_each_setting_has_a_bound() -> None:
    assert set(BAD) == set(Settings.__dataclass_fields__)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
)
def test_a_value_that_no_server_can_have_is_refused_and_the_hint_says_which_can(
    name: str, value: Any
) -> None:
    with pytest.raises(Refused) as caught:
        settings(**{name: value})
    assert caught.value.message == f"{name} cannot be {value!r}"
    assert caught.value.hint.startswith(f"{name} is ")


def test_text_is_taken_as_what_it_says() -> None:
    options: dict[str, Any] = {
        "models": "churn", "start": "a", "root": "b", "token_file": "c", "audit": "d",
        "access_log": Path("e"), "allow_hosts": "models.example", "challengers": "churn@1.0.0",
        "host": "[::1]", "poll": 1,
    }  # fmt: skip
    assert Settings(**options) == Settings(
        ("churn",), Path("a"), Path("b"), token_file=Path("c"), audit=Path("d"), access_log="e",
        allow_hosts=("models.example",), challengers=(("churn", "1.0.0"),), host="::1", poll=1.0,
    )  # fmt: skip


def test_what_is_named_twice_counts_once() -> None:
    twice = settings(models=["a", "b", "a"], challengers=["a@1.0.0", ("a", "1.0.0")])
    assert (twice.models, twice.challengers) == (("a", "b"), (("a", "1.0.0"),))


def test_a_challenger_that_can_have_no_such_name_is_refused() -> None:
    with pytest.raises(InvalidName):
        settings(challengers=["-@1.0.0"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"models": ()}, "no model is named"),
        ({"audit_inputs": True}, "audit_inputs needs an audit"),
        ({"audit": "-"}, "the audit cannot be standard output"),
    ],
)
def test_what_is_of_no_use_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        settings(**options)


def test_a_model_with_a_version_is_refused_and_the_hint_serves_it() -> None:
    with pytest.raises(Refused, match="is served, and not a version that is named") as caught:
        settings(models="churn@1.0.0")
    assert "tagship serve churn --challenger churn@1.0.0 serves" in caught.value.hint


@pytest.mark.parametrize("models", ["churn", []])
def test_the_folder_of_one_model_is_not_that_of_all(shelf: Shelf, models: Any) -> None:
    shelf.ship("1.0.0")
    folder = shelf.root / "churn"
    with pytest.raises(NotFound, match="is the folder of one model") as caught:
        app(models or deployed(folder, folder), root=folder)
    assert caught.value.hint == f"name the folder above it: {shelf.root}"
    assert deployed(shelf.root, shelf.root) == ("churn",)


def test_a_challenger_alone_is_a_model(shelf: Shelf) -> None:
    served = app([], root=str(shelf.root), challengers=["churn@1.0.0"])
    assert list(served.state.slots) == ["churn"]
    assert list(app("churn", root=shelf.root).state.slots) == ["churn"]


def test_an_app_has_no_workers(shelf: Shelf) -> None:
    with pytest.raises(Refused, match="an app is one process") as caught:
        app("churn", root=shelf.root, workers=4)
    assert caught.value.hint == "tagship serve --workers 4"


def test_a_bound_reads_what_it_gave() -> None:
    given = settings(challengers=["churn@1.0.0"], allow_hosts="a", audit="b", access_log="-")
    for name in BAD:
        value = getattr(given, name)
        assert value is None or bounds.read(name, value) == value
