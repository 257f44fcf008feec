"""A tag on a commit that cannot be read, or that has no such model, while HEAD is in order."""

import pytest

from tests.workbench import Workbench


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        ("<<<<<<< HEAD\n", "dvc.yaml is not valid YAML, line 8, at churn@v1.5.0 (commit {})"),
        (
            "<<<<<<< a\n=======\n>>>>>>> b\n",
            "dvc.yaml has conflict markers, line 7, at churn@v1.5.0 (commit {})",
        ),
        (None, "commit {} declares no model churn, at churn@v1.5.0"),
    ],
)
def test_the_tag_is_named_and_not_the_work_tree(
    bad: str | None, what: str, shipped: Workbench
) -> None:
    file = shipped.repo / "dvc.yaml"
    good = file.read_text()
    file.write_text(good + bad if bad else "artifacts: {}\n")
    shipped.commit()
    shipped.git("tag", "-a", "-m", "by hand", "churn@v1.5.0")
    commit = shipped.git("rev-parse", "--short=10", "HEAD").strip()
    if bad:  # HEAD itself is to be fixed
        assert "conflict markers" in shipped.cli("deploy", "churn", "--dry-run").err or (
            shipped.cli("deploy", "churn", "--dry-run").err.endswith("fix dvc.yaml and commit it\n")
        )
    file.write_text(good)
    shipped.commit()
    error = what.format(commit)
    hint = "release a good one, or take it back: tagship withdraw churn@1.5.0"
    for command in (
        "deploy churn --yes", "deploy churn --dry-run", "show churn", "show churn@1.5.0",
        "compare churn", "export churn@1.5.0 --format huggingface",
    ):  # fmt: skip
        shipped.refuses(command, error, hint)
    assert shipped.live() == "model 2\n"
    assert shipped.cli("withdraw", "churn@1.5.0", "--yes").code == 0
    assert shipped.cli("deploy", "churn", "--yes").code == 0
    shipped.refuses("show churn@1.5.0", error, "tagship list churn")
