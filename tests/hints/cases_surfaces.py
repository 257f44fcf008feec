"""Trials of the hints of ``loaders``, ``export``, ``report``, ``workspace`` and ``inspect``."""
# mypy: disable-error-code="func-returns-value"
# a lambda that does two things is a pair of what they return

import gzip
import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from tagship import Workspace, at, load, notebook, resolve
from tagship.disk import home
from tagship.loaders import selftest
from tests.hints.trials import edit, edit_and_commit, remove_tree, trial, write
from tests.workbench import PATH, Workbench


def nothing(_: Workbench) -> None:
    """Only the command is another one."""


# --- loaders


def modelled(bench: Workbench, name: str, data: bytes) -> None:
    """The model is a file of that name; released, and live without a smoke test."""
    (bench.repo / "models/churn/model.bin.dvc").unlink()
    (bench.folder / name).write_bytes(data)
    edit("dvc.yaml", PATH, f"models/churn/{name}")(bench)
    bench.track(f"models/churn/{name}")
    bench.commit()
    bench.release()


def live(bench: Workbench, name: str, data: bytes) -> None:
    modelled(bench, name, data)
    bench.manager.deploy(smoke_test=False)
    (bench.folder / name).unlink()  # so that the fallback does not answer


def train_catboost(bench: Workbench) -> None:
    """What a user does who trains again, and releases it."""
    import catboost

    model = catboost.CatBoostClassifier(
        iterations=2, depth=2, verbose=False, allow_writing_files=False
    )
    model.fit([[float(i), i % 3] for i in range(12)], [i % 2 for i in range(12)])
    path = bench.folder / "model.cbm"
    path.unlink(missing_ok=True)
    model.save_model(str(path))
    bench.track("models/churn/model.cbm")
    bench.commit()
    bench.release()


def serve(bench: Workbench) -> Any:
    return load("churn", bench.repo)


DEPLOY = "deploy churn --yes"


@trial(
    "loaders.need",
    command=serve,
    does="did you mean .cbm?",
    by=lambda b: (
        edit("dvc.yaml", "model.cbmm", "model.cbm")(b),
        train_catboost(b),
        b.manager.deploy(),
    ),
)
def a_suffix_mistyped(bench: Workbench) -> None:
    live(bench, "model.cbmm", b"m\n")


@trial(
    "loaders.need/2",
    command=serve,
    does="there are loaders for ...",
    by=lambda b: (
        edit("dvc.yaml", "model.xyz", "model.cbm")(b),
        train_catboost(b),
        b.manager.deploy(),
    ),
)
def a_suffix_of_no_loader(bench: Workbench) -> None:
    live(bench, "model.xyz", b"m\n")


def dumped() -> bytes:
    import io

    import joblib

    buffer = io.BytesIO()
    joblib.dump({"a": 1}, buffer)
    return buffer.getvalue()


@trial(
    "loaders.need/3",
    command=serve,
    does="allow_pickle=True",
    by=nothing,
    again=lambda b: load("churn", b.repo, allow_pickle=True),
)
def a_pickle(bench: Workbench) -> None:
    live(bench, "model.joblib", dumped())


@trial(
    "loaders.load",
    command=lambda b: load("churn", b.repo),
    does="save the model as one file",
    by=lambda b: (shutil.rmtree(b.folder / "model.cbm"), train_catboost(b), b.manager.deploy()),
)
def a_model_that_is_a_folder(bench: Workbench) -> None:
    (bench.repo / "models/churn/model.bin.dvc").unlink()
    write(bench, "models/churn/model.cbm/a", "a\n")
    edit("dvc.yaml", PATH, "models/churn/model.cbm")(bench)
    bench.track("models/churn/model.cbm")
    bench.commit()
    bench.release()
    bench.manager.deploy(smoke_test=False)


@trial("loaders.unlike/2", command=DEPLOY, does="train and release it again", by=train_catboost)
def a_model_that_is_empty(bench: Workbench) -> None:
    in_process(bench)
    modelled(bench, "model.cbm", b"")


@trial(
    "loaders.unlike",
    command=DEPLOY,
    does="save the model in that format: model.save_model",
    by=train_catboost,
)
def a_model_of_another_format(bench: Workbench) -> None:
    in_process(bench)
    modelled(bench, "model.cbm", b"{}\n")


@trial(
    "loaders.catboost.CatBoostLoader.check",
    command=DEPLOY,
    does="train and release it again",
    by=train_catboost,
)
def a_model_cut_short(bench: Workbench) -> None:
    in_process(bench)
    modelled(bench, "model.cbm", b"CBM1\x00\xff\x00\x00")


def in_process(bench: Workbench) -> None:
    """The smoke test here, and not in a process of its own: the trial sees which hint was made."""

    def run(model: Path, self_test: Path | None, _: float) -> selftest.Report:
        return selftest.check(model, self_test)

    bench.monkeypatch.setattr(selftest, "run", run)


@trial(
    "loaders.selftest.check/2", command=DEPLOY, does="train and release it again", by=train_catboost
)
def a_model_that_does_not_load(bench: Workbench) -> None:
    in_process(bench)
    modelled(bench, "model.cbm", b"CBM1\x04\x00\x00\x00abcdef")


@trial(
    "loaders.selftest.check",
    command=DEPLOY,
    does="deploy with --no-smoke-test",
    by=nothing,
    again="deploy churn --yes --no-smoke-test",
)
@trial(
    "loaders.selftest.check",
    command=DEPLOY,
    does='pip install "tagship[catboost]"',
    by=lambda b: b.monkeypatch.undo() or in_process(b),
    again="",
)
def an_extra_that_is_missing(bench: Workbench) -> None:
    in_process(bench)
    edit("dvc.yaml", PATH, "models/churn/model.cbm")(bench)
    train_catboost(bench)
    bench.monkeypatch.setitem(sys.modules, "catboost", None)


def tested(bench: Workbench, text: str) -> None:
    """A model with a self-test."""
    in_process(bench)
    write(
        bench,
        "dvc.yaml",
        "artifacts:\n  churn:\n    path: models/churn/model.cbm\n"
        "    meta: {self_test: test.json}\n",
    )
    write(bench, "test.json", text)
    train_catboost(bench)


TOLERANCE = '"tolerance": {"absolute": 1e-6, "relative": 1e-6}'
GOOD = f'{{"schema": 1, "inputs": [[1.0, 1.0]], "outputs": [[0.5, 0.5]], {TOLERANCE}}}'
WIDE = GOOD.replace('"absolute": 1e-6', '"absolute": 1')


def another_test(bench: Workbench) -> None:
    write(bench, "test.json", WIDE)
    bench.commit()
    bench.manager.release(force=True)


@trial("loaders.selftest.SelfTest.parse", command=DEPLOY, does="docs/self_test.md", by=another_test)
def a_self_test_that_is_none(bench: Workbench) -> None:
    tested(bench, "{}")


@trial(
    "loaders.selftest.SelfTest.parse/2", command=DEPLOY, does="docs/self_test.md", by=another_test
)
def a_self_test_of_another_schema(bench: Workbench) -> None:
    tested(bench, GOOD.replace('"schema": 1', '"schema": 2'))


@trial(
    "loaders.selftest.answered", command=DEPLOY, does="train and release it again", by=another_test
)
def a_model_that_does_not_answer(bench: Workbench) -> None:
    tested(bench, GOOD.replace("[[1.0, 1.0]]", '[["a", []]]'))


@trial(
    "loaders.selftest.compare",
    command=DEPLOY,
    does="compare the framework's version",
    by=another_test,
)
def a_model_that_answers_otherwise(bench: Workbench) -> None:
    tested(bench, GOOD.replace("0.5, 0.5", "0.9, 0.1"))


@trial(
    "loaders.selftest._run_to_end",
    command=DEPLOY,
    again="deploy churn@1.0.0 --yes",
    does="smoke_timeout",
    by=edit("params.yaml", "0.001", "60"),
)
def a_smoke_test_that_takes_long(bench: Workbench) -> None:
    edit("dvc.yaml", PATH, "models/churn/model.cbm")(bench)
    write(bench, "params.yaml", "tagship: {smoke_timeout: 0.001}\n")
    train_catboost(bench)


@trial(
    "loaders.of_model",
    command=lambda b: b.manager.deploy_model({"a": 1}),
    does="give the file's path",
    by=lambda b: write(b, "new.bin", "new\n"),
    again=lambda b: b.manager.deploy_model(b.repo / "new.bin"),
)
def a_model_that_no_loader_saves(_: Workbench) -> None: ...


@trial(
    "release.add_model._save/3",
    does="declare a path that ends in .cbm in dvc.yaml",
    command=lambda b: b.manager.deploy_model(fitted()),
    by=edit_and_commit("dvc.yaml", "model.bin", "model.cbm"),
)
def a_path_of_another_framework(_: Workbench) -> None: ...


def fitted() -> Any:
    import catboost

    model = catboost.CatBoostClassifier(
        iterations=2, depth=2, verbose=False, allow_writing_files=False
    )
    return model.fit([[float(i), i % 3] for i in range(12)], [i % 2 for i in range(12)])


@trial("host.active._fallback", command=serve, does="dvc pull")
def nothing_live_and_nothing_pulled(bench: Workbench) -> None:
    edit("dvc.yaml", PATH, "models/churn/model.cbm")(bench)
    train_catboost(bench)
    bench.manager.release(push=True)
    (bench.folder / "model.cbm").unlink()
    (bench.repo / "models/churn/model.bin.dvc").unlink()


@trial(
    "host.active._loaded",
    command=serve,
    does='pip install "tagship[catboost]"',
    by=lambda b: b.monkeypatch.delitem(sys.modules, "catboost"),
)
def an_extra_that_is_missing_to_load(bench: Workbench) -> None:
    edit("dvc.yaml", PATH, "models/churn/model.cbm")(bench)
    train_catboost(bench)
    bench.manager.deploy()
    (bench.folder / "model.cbm").unlink()
    bench.monkeypatch.setitem(sys.modules, "catboost", None)


@trial(
    "host.active._loaded/2",
    command=serve,
    does="train and release it again",
    by=lambda b: (train_catboost(b), b.manager.deploy()),
)
@trial("host.active._loaded/2", command=serve, does="tagship verify churn", again="")
def a_live_model_that_does_not_load(bench: Workbench) -> None:
    live(bench, "model.cbm", b"CBM1\x04\x00\x00\x00abcdef")


# --- export

OUT = "export churn --format cyclonedx -o"


@trial(
    "export.target.check",
    command=f"{OUT} .git/out",
    base="shipped",
    does="-o ../export",
    by=nothing,
    again=f"{OUT} ../export",
)
def an_export_into_git(_: Workbench) -> None: ...


@trial("export.target.check_place", command=f"{OUT} a/b/c", base="shipped")
def an_export_into_no_folder(_: Workbench) -> None: ...


@trial(
    "export.target.check/2",
    command=f"{OUT} .",
    base="shipped",
    folder="new",
    does="-o ./export",
    by=nothing,
    again=f"{OUT} ./export",
)
def an_export_into_this_folder(bench: Workbench) -> None:
    (bench.repo / "new").mkdir()


@trial(
    "export.target.check/3",
    command=f"{OUT} new",
    base="shipped",
    does="give a folder that does not exist",
    by=nothing,
    again=f"{OUT} other",
)
def an_export_into_a_folder_in_use(bench: Workbench) -> None:
    write(bench, "new/file", "x\n")


def an_image(bench: Workbench) -> None:
    bench.manager.export_image(bench.repo / "image")


def two_images(bench: Workbench) -> None:
    """The layout has the image of 1.0.0 as well, under another name."""
    an_image(bench)
    index = json.loads((bench.repo / "image/index.json").read_bytes())
    manifest = bench.repo / "image/blobs/sha256" / index["manifests"][0]["digest"][7:]
    data = manifest.read_bytes() + b"\n"
    other = {**index["manifests"][0], "size": len(data)}
    other["digest"] = f"sha256:{hashlib.sha256(data).hexdigest()}"
    (manifest.parent / other["digest"][7:]).write_bytes(data)
    write(
        bench, "image/index.json", json.dumps({**index, "manifests": [*index["manifests"], other]})
    )


def verify_first_image(bench: Workbench) -> Any:
    index = json.loads((bench.repo / "image/index.json").read_bytes())
    name = index["manifests"][0]["digest"]
    return Workspace(bench.repo).verify_image(f"oci:{bench.repo}/image@{name}")


trial(
    "manager.model.ModelVersionManager.export_image",
    command=lambda bench: bench.manager.export_image(),
    base="shipped",
    does="give target",
    by=nothing,
    again=lambda bench: bench.manager.export_image(bench.repo / "image"),
)(nothing)
trial(
    "export.image_places.parse/2",
    command="verify oci:./image@sha256:12",
    base="shipped",
    does="give oci:DIR",
    by=nothing,
    again="verify oci:./image",
)(an_image)
trial(
    "export.layout.Layout._manifest",
    command=f"verify oci:./image@sha256:{'0' * 64}",
    base="shipped",
    again="verify oci:./image",
)(an_image)
trial(
    "export.layout.Layout._manifest/2",
    command="verify oci:./image",
    base="shipped",
    does="name one by @DIGEST",
    by=nothing,
    again=verify_first_image,
)(two_images)


@trial(
    "export.export._check_names",
    command="export churn --format cyclonedx -o out",
    does="choose another format",
    by=nothing,
    again="export churn --format huggingface -o out",
)
def an_export_of_a_file_of_that_name(bench: Workbench) -> None:
    (bench.repo / "models/churn/model.bin.dvc").unlink()
    edit("dvc.yaml", PATH, "bom.cdx.json")(bench)
    write(bench, "bom.cdx.json", "{}\n")
    bench.track("bom.cdx.json")
    bench.commit()
    bench.release()


@trial(
    "export.formats.check",
    command=lambda b: b.manager.export(["other"]),
    base="shipped",
    does="there are: ...",
    by=nothing,
    again=lambda b: b.manager.export(["huggingface"]),
)
def a_format_that_is_none(_: Workbench) -> None: ...


@trial(
    "export.formats.check/2",
    command="export churn --format mlflow",
    base="shipped",
    does="the formats that do: ...",
    by=nothing,
    again="export churn --format huggingface",
)
def a_format_that_does_not_take_it(_: Workbench) -> None: ...


@trial(
    "export.mlflow._flavor",
    command="export churn --format mlflow",
    does="tagship deploy churn@1.0.0",
)
def a_model_that_was_never_loaded(bench: Workbench) -> None:
    edit("dvc.yaml", PATH, "models/churn/model.cbm")(bench)
    train_catboost(bench)


# --- report


@trial(
    "report.page",
    command="report churn",
    base="shipped",
    does='pip install "tagship[report]"',
    by=lambda b: b.monkeypatch.delitem(sys.modules, "jinja2"),
)
def a_report_without_its_extra(bench: Workbench) -> None:
    bench.monkeypatch.setitem(sys.modules, "jinja2", None)


@trial(
    "report.page.write",
    command="report churn -o models",
    base="shipped",
    does="with -o FILE",
    by=nothing,
    again="report churn -o other.html",
)
def a_report_to_a_folder(_: Workbench) -> None: ...


@trial(
    "report.page.write/2",
    command="report churn -o report.pdf",
    base="shipped",
    does="with -o FILE",
    by=nothing,
    again="report churn -o other.html",
)
def a_report_of_another_kind(_: Workbench) -> None: ...


@trial("report.page.write/3", command="report churn -o a/b/report.html", base="shipped")
def a_report_to_no_folder(_: Workbench) -> None: ...


# --- workspace


@trial(
    "workspace.find._project",
    command=lambda b: b.manager.__class__("churn", "nowhere").status(),
    does="give one with -C DIR",
    by=nothing,
    again="-C . status churn",
    base="shipped",
)
def a_folder_that_is_none(_: Workbench) -> None: ...


@trial("workspace.find._refuse", command="verify churn", does="tagship deploy churn")
def a_model_never_deployed(bench: Workbench) -> None:
    bench.release()


@trial("workspace.host.Host.store", command="deploy churn --yes", does="git rm models/churn")
def a_link_in_git(bench: Workbench) -> None:
    (bench.repo / f"{PATH}.dvc").unlink()
    edit("dvc.yaml", PATH, "m.bin")(bench)
    write(bench, "m.bin", "m\n")
    bench.track("m.bin")
    remove_tree(bench.folder)
    bench.folder.symlink_to("../elsewhere")
    (bench.repo / "elsewhere").mkdir()
    bench.commit()
    bench.git("tag", "--annotate", "churn@v1.0.0", "--message", "by GTO")


@trial(
    "workspace.source.Source.check_apart",
    command="init --model other --path models/other",
    does="keep the model in a folder or file below it: models/other/data",
    by=nothing,
    again="init --model other --path models/other/data",
)
def a_model_where_it_is_deployed(_: Workbench) -> None: ...


@trial(
    "workspace.absent.lacking",
    "workspace.absent.hint",
    command="status churn",
    does="tagship release churn",
    then="deploy churn",
)
def nothing_is_released(_: Workbench) -> None: ...


@trial(
    "workspace.absent._not_annotated/2",
    command="deploy churn --yes",
    base="shipped",
    does="git fetch --tags --force",
)
def a_tag_made_lightweight_by_ci(bench: Workbench) -> None:
    bench.git("push", "--quiet", "origin", "--tags")
    bench.git("tag", "--force", "churn@v1.1.0", "churn@v1.1.0^{}")
    bench.git("checkout", "--quiet", "--detach", "churn@v1.1.0")


@trial(
    "workspace.absent._not_annotated",
    command="deploy churn --yes",
    base="shipped",
    does="git tag -d churn@v9.0.0",
    loses="churn@v9.0.0",
)
def a_tag_made_by_mistake(bench: Workbench) -> None:
    bench.git("remote", "remove", "origin")
    bench.git("tag", "churn@v9.0.0")
    bench.git("checkout", "--quiet", "--detach", "churn@v9.0.0")


@trial(
    "workspace.absent._not_annotated",
    command="deploy churn --yes",
    does="git tag -f ...",
    fill={"...": "annotated"},
)
def a_lightweight_tag_without_a_remote(bench: Workbench) -> None:
    bench.git("remote", "remove", "origin")
    bench.git("tag", "churn@v1.0.0")


@trial(
    "workspace.checkout.why_no_project",
    command="status churn",
    does="git clone ... FOLDER",
    fill={"FOLDER": "../clone"},
    again="-C ../clone models",
)
def a_clone_that_is_bare(bench: Workbench) -> None:
    shutil.rmtree(bench.repo)
    shutil.copytree(bench.repo.parent / "origin.git", bench.repo)


@trial("workspace.checkout._no_branch", command="models", does="git switch main")
def a_clone_of_a_head_that_names_no_branch(bench: Workbench) -> None:
    shutil.rmtree(bench.repo)
    (bench.repo.parent / "origin.git" / "HEAD").write_text("ref: refs/heads/trunk\n")
    from tests.workbench import run

    run(bench.repo.parent, "git", "clone", "--quiet", "origin.git", "repo")


@trial("workspace.checkout._check_out", command="models", does="git checkout HEAD")
def a_clone_without_checkout(bench: Workbench) -> None:
    cloned(bench, "--no-checkout")


@trial(
    "workspace.checkout._check_out/2",
    command="models",
    does="git sparse-checkout add .dvc",
    then="",
)
def a_clone_that_is_sparse(bench: Workbench) -> None:
    cloned(bench, "--sparse")


@trial("workspace.checkout._check_out/3", command="models", does="git checkout HEAD -- .dvc")
def a_clone_without_the_folder_of_dvc(bench: Workbench) -> None:
    cloned(bench)
    shutil.rmtree(bench.repo / ".dvc")


def cloned(bench: Workbench, *options: str) -> None:
    from tests.workbench import run

    shutil.rmtree(bench.repo)
    run(bench.repo.parent, "git", "clone", "--quiet", *options, "origin.git", "repo")


# --- inspect


@trial("inspect.compare._live", command="compare churn", does="tagship deploy churn")
def nothing_live_to_compare(bench: Workbench) -> None:
    bench.release()
    bench.release("model 2\n")


@trial(
    "inspect.events.events",
    command=lambda b: Workspace(b.repo).history(limit=0),
    base="shipped",
    does="give 1 or more",
    by=nothing,
    again=lambda b: Workspace(b.repo).history(limit=1),
)
def a_limit_of_none(_: Workbench) -> None: ...


@trial(
    "inspect.events.live_at",
    command="history churn --at 2999-01-01",
    base="shipped",
    does="tagship current churn",
    again="",
)
def a_moment_in_the_future(_: Workbench) -> None: ...


@trial(
    "inspect.find.undeclared",
    command="status churn",
    base="shipped",
    does="declare it again under artifacts: in dvc.yaml and commit",
    by=edit_and_commit("dvc.yaml", "other:", "churn:"),
)
def a_live_model_that_left_dvc_yaml(bench: Workbench) -> None:
    edit_and_commit("dvc.yaml", "churn:", "other:")(bench)


@trial(
    "inspect.verify.directory_of",
    command=lambda b: b.manager.self_test("1.2.0"),
    base="shipped",
    does="tagship deploy churn@1.2.0",
)
def a_version_not_here(bench: Workbench) -> None:
    bench.release("model 3\n")


@trial(
    "inspect.verify.verify",
    command="verify churn@1.2.0",
    base="shipped",
    does="tagship deploy churn@1.2.0",
)
def a_version_to_verify_that_is_not_here(bench: Workbench) -> None:
    bench.release("model 3\n")


# --- manager and notebook


@trial(
    "registry.refs._not_text",
    command=lambda b: b.manager.deploy(1.1),
    base="shipped",
    does='put it in quotes, as in "1.10"',
    by=nothing,
    again=lambda b: b.manager.deploy("1.1"),
)
def a_version_that_is_a_number(_: Workbench) -> None: ...


@trial(
    "manager.workspace.Workspace.init",
    does="give both",
    command=lambda b: Workspace(b.repo).init(model="other"),
    by=lambda b: write(b, "m.bin", "m\n"),
    again="init --model other --path m.bin",
)
def a_name_without_path(_: Workbench) -> None: ...


def cell(bench: Workbench, confirm: bool | None = None) -> object:
    return notebook.deploy("churn", confirm=confirm, start=bench.repo)


@trial(
    "notebook.deploy",
    command=cell,
    does='deploy("churn", confirm=True)',
    by=nothing,
    again=lambda b: cell(b, confirm=True),
)
def a_cell_that_nobody_can_answer(bench: Workbench) -> None:
    bench.release()


# --- inspect.audit


def _audited(bench: Workbench, name: str, identity: str) -> Path:
    line = (
        f'{{"schema":1,"at":"2026-11-20T12:00:00.500Z","id":"{identity}","model":"churn",'
        '"version":"1.0.0","seq":1,"generation":1,"sha256":null,"rows":1,"ms":1,"outputs":[]}\n'
    )
    path = bench.repo.parent / name
    path.write_text(line)
    return path


def _rotated(bench: Workbench) -> None:
    path = _audited(bench, "audit.jsonl.2.gz", "r-1")
    path.write_bytes(gzip.compress(path.read_bytes()))


@trial(
    "inspect.audit.decisions/2",
    command="audit ../audit.jsonl --id r-1",
    does="zcat FILE.2.gz | tagship audit - --id r-1",
    fill={"FILE": "../audit.jsonl"},
    again="",
)
def an_answer_that_is_in_an_older_file(bench: Workbench) -> None:
    _audited(bench, "audit.jsonl", "r-2")
    _rotated(bench)


@trial(
    "inspect.audit.decisions",
    command=lambda bench: Workspace(bench.repo).audit(
        _audited(bench, "audit.jsonl", "r-1"), identity="r-1", limit=0
    ),
    does="give 1 or more",
    by=nothing,
    again=lambda bench: Workspace(bench.repo).audit(
        _audited(bench, "audit.jsonl", "r-1"), identity="r-1", limit=1
    ),
)
def no_answers_at_all(bench: Workbench) -> None:
    pass


# --- images that are unpacked


@trial(
    "export.target.check/2",
    command="unpack oci:../image .",
    base="shipped",
    folder="new",
    does="give a new one: tagship unpack IMAGE ./export",
    by=nothing,
    again="unpack oci:../image ./export",
)
def an_image_into_this_folder(bench: Workbench) -> None:
    an_image(bench)
    (bench.repo / "new").mkdir()


def unpacked(bench: Workbench) -> None:
    """The files of 1.0.0, as an image has them."""
    an_image(bench)
    Workspace(bench.repo).unpack_image(f"oci:{bench.repo}/image", bench.repo / "unpacked")


@trial(
    "host.settings._unpacked",
    command="verify",
    base="shipped",
    folder="../unpacked",
    does="TAGSHIP_ROOT=... tagship current churn",
    shell=True,
    again="",
)
def unpacked_elsewhere(bench: Workbench) -> None:
    an_image(bench)
    elsewhere = bench.repo.parent / "unpacked"
    Workspace(bench.repo).unpack_image(f"oci:{bench.repo}/image", elsewhere)


def damaged(bench: Workbench) -> None:
    unpacked(bench)
    (bench.repo / "unpacked/model.bin").chmod(0o644)
    (bench.repo / "unpacked/model.bin").write_text("model !\n")


def unpack_again(bench: Workbench) -> None:
    remove_tree(bench.repo / "unpacked")
    Workspace(bench.repo).unpack_image(f"oci:{bench.repo}/image", bench.repo / "unpacked")


def load_unpacked(bench: Workbench, model: str = "churn") -> object:
    return load(model, root=bench.repo / "unpacked", loader=Path.read_text, verify=True)


trial(
    "host.metadata.renewal",
    command=load_unpacked,
    base="shipped",
    does="bring it again: tagship unpack IMAGE DIR",
    by=unpack_again,
)(damaged)
trial(
    "host.live._whole",
    command=lambda bench: load_unpacked(bench, "fraud"),
    base="shipped",
    does="name churn",
    by=nothing,
    again=load_unpacked,
)(unpacked)
trial(
    "host.live._of_whole",
    command=lambda bench: at("churn", "2.0.0", root=bench.repo / "unpacked"),
    base="shipped",
    does="on disk: ...",
    by=nothing,
    again=load_unpacked,
)(unpacked)


def write_image_again(bench: Workbench) -> None:
    remove_tree(bench.repo / "image")
    an_image(bench)


@trial(
    "export.layout.Layout.again",
    command="unpack oci:./image unpacked",
    base="shipped",
    does="write it again, into a new folder: tagship export MODEL@VERSION --format oci -o DIR",
    by=write_image_again,
)
def an_image_with_other_bytes(bench: Workbench) -> None:
    an_image(bench)
    for path in (bench.repo / "image/blobs/sha256").iterdir():
        path.write_bytes(path.read_bytes().replace(b"model 2", b"model !"))


@trial(
    "export.unpack.unpack",
    command="unpack oci:./image unpacked",
    base="shipped",
    does="set model_keys in host.toml instead",
    by=lambda bench: policy(bench).unlink(),
)
def signed_tags_are_asked_for(bench: Workbench) -> None:
    an_image(bench)
    policy(bench).parent.mkdir(parents=True, exist_ok=True)
    policy(bench).write_text('require_signed = true\nallowed_signers = "signers"\n')


def policy(_: Workbench) -> Path:
    """What this account asks for."""
    folder = home.configuration()
    assert folder is not None
    return folder / "tagship" / "host.toml"


@trial(
    "errors.of_gone_folder",
    command=lambda _: resolve("churn"),
    base="shipped",
    by=lambda bench: bench.monkeypatch.chdir(bench.repo),
)
def a_working_directory_that_is_gone(bench: Workbench) -> None:
    folder = bench.repo / "gone"
    folder.mkdir()
    bench.monkeypatch.chdir(folder)
    folder.rmdir()
