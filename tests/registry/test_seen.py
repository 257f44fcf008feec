"""Which tags a host follows, in GTO's grammar."""

from tagship.git.mirror import Changes
from tagship.registry import seen
from tagship.registry.refs import TagName


def tag(text: str) -> TagName:
    name = TagName.parse(text)
    assert name is not None
    return name


def test_a_model_is_its_versions_and_its_stages() -> None:
    assert seen.patterns(["churn"]) == ["churn@*", "churn#*"]


def test_a_model_of_a_folder_is_written_as_in_its_tags() -> None:
    assert seen.patterns(["team/a:churn", "x"]) == [
        "team/a=churn@*", "team/a=churn#*", "x@*", "x#*",
    ]  # fmt: skip


def test_no_model_has_no_patterns() -> None:
    assert seen.patterns([]) == []


def test_changes_are_of_tags_in_the_grammar_alone() -> None:
    changes = Changes(
        ("churn#prod#1", "churn@nightly", "churn@v1.0.0", "churn@v1.0.0\udcff"),
        ("a=churn@v2.0.0",), ("churn@v1.0", "churn@deprecated"), ("churn#prod/a!#3", "churn@"),
    )  # fmt: skip
    assert seen.of(changes) == seen.Seen(
        (tag("churn#prod#1"), tag("churn@v1.0.0")),
        (tag("a=churn@v2.0.0"),),
        (tag("churn@deprecated"),),
        (tag("churn#prod/a!#3"),),
    )
