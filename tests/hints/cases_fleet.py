"""Hints of ``tagship fleet``: of the place it reads, the roster, and the page it writes."""

from pathlib import Path

from tagship.text import clock
from tests.fleet import objects
from tests.fleet.objects import Shared
from tests.hints.trials import trial
from tests.workbench import Workbench


def _place(bench: Workbench) -> Path:
    return bench.repo.parent / "fleet"


def _shared(bench: Workbench) -> None:
    """A place with one host."""
    Shared(_place(bench)).put(objects.status(at=clock.stamp(clock.now())))


def _roster(bench: Workbench, text: str = "edge-1\n") -> None:
    (bench.repo.parent / "hosts").write_text(text)


_FROM, _OTHER = "fleet --from ../fleet", "give another name with -o FILE"


@trial("fleet.survey.of", command="fleet", by=_shared, again=_FROM)
def a_folder_that_is_no_host(bench: Workbench) -> None:
    pass


@trial("fleet.survey._check_known", command="fleet churn --from ../fleet",
       does="tagship sync, on a host", by=_shared)  # fmt: skip
def a_place_where_no_host_has_a_model(bench: Workbench) -> None:
    _place(bench).mkdir()


@trial("fleet.place.of", command="fleet --from ssh://host/fleet", does="give a folder", by=_shared,
       again=_FROM)  # fmt: skip
def a_place_of_another_kind(bench: Workbench) -> None:
    pass


@trial("carry.reach.store/2", command="fleet --from s3://bucket/a%20b", does="docs/settings.md",
       by=_shared, again=_FROM)  # fmt: skip
def a_place_that_obstore_does_not_reach(bench: Workbench) -> None:
    pass


@trial("fleet.place.unavailable", command=_FROM, does="ls -ld ../fleet", by=_shared)
def a_place_that_is_not_there(bench: Workbench) -> None:
    pass


@trial("fleet.roster.read", command=f"{_FROM} --roster ../hosts", does="write it",
       by=_roster)  # fmt: skip
def a_roster_that_is_not_there(bench: Workbench) -> None:
    _shared(bench)


@trial("fleet.roster.read/2", command=f"{_FROM} --roster ../hosts", does="one name in each line",
       by=_roster)  # fmt: skip
def a_roster_with_something_else(bench: Workbench) -> None:
    _shared(bench)
    _roster(bench, "edge 1\n")


@trial("fleet.roster.read/3", command=f"{_FROM} --roster ../hosts", does="one name in each line",
       by=_roster)  # fmt: skip
def a_roster_without_end(bench: Workbench) -> None:
    _shared(bench)
    _roster(bench, "#" * (2 << 20))


@trial("fleet.page.write", command=f"{_FROM} -o ../page.html", does=_OTHER,
       by=lambda _: None, again=f"{_FROM} -o ../other.html")  # fmt: skip
def a_page_that_is_a_link(bench: Workbench) -> None:
    _shared(bench)
    (bench.repo.parent / "page.html").symlink_to("elsewhere")


@trial("fleet.page.write/2", command=f"{_FROM} -o ../page.txt", does=_OTHER,
       by=lambda _: None, again=f"{_FROM} -o ../page.html")  # fmt: skip
def a_page_of_another_suffix(bench: Workbench) -> None:
    _shared(bench)
