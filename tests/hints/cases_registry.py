"""Trials of the hints of ``registry``, ``signing`` and ``text``."""
# mypy: disable-error-code="func-returns-value"
# a lambda that does two things is a pair of what they return

from pathlib import Path

from tagship.registry import tags
from tagship.registry.refs import TagName
from tests.hints.trials import edit, edit_and_commit, train_again, trial, write
from tests.workbench import PATH, Workbench, run

# --- names and versions


def nothing(_: Workbench) -> None:
    """Only the command is another one."""


@trial(
    "registry.models.check_model/2",
    command="list 'my model'",
    does="a name has letters",
    by=nothing,
    again="list churn",
)
def a_name_with_a_blank(_: Workbench) -> None: ...


@trial(
    "registry.refs.check_new_model",
    command="init --model Other --path other.bin",
    does="use lower-case letters",
    by=nothing,
    again="init --model other --path other.bin",
)
def a_name_in_upper_case(bench: Workbench) -> None:
    write(bench, "other.bin", "m\n")


@trial(
    "registry.refs.Wanted.parse",
    command="show churn@newest",
    does="latest",
    base="shipped",
    by=nothing,
    again="show churn@latest",
)
def a_version_that_is_none(_: Workbench) -> None: ...


@trial(
    "registry.refs.check_version",
    command="release churn --version one",
    does="1.2.0",
    by=nothing,
    again="release churn --version 1.2.0",
)
def a_number_that_is_none(_: Workbench) -> None: ...


@trial("registry.refs.no_such_version", command="deploy churn --yes", does="tagship release churn")
def nothing_released(_: Workbench) -> None: ...


@trial(
    "registry.refs.no_such_version/2",
    command="deploy churn@1.2.0 --yes",
    base="shipped",
    does="tagship list churn",
    again="deploy churn@1.1.0 --yes",
)
def no_such_version(_: Workbench) -> None: ...


@trial(
    "registry.artifacts.unknown_model",
    command="list chrun",
    does="did you mean churn?",
    by=nothing,
    again="list churn",
)
def a_name_mistyped(_: Workbench) -> None: ...


@trial(
    "registry.artifacts.unknown_model/2",
    command="list other",
    does="there are: churn",
    by=nothing,
    again="list churn",
)
def a_name_that_is_none(_: Workbench) -> None: ...


@trial(
    "registry.artifacts.unknown_model/3",
    command="release other",
    does="tagship init --model NAME --path PATH",
    fill={"NAME": "other", "PATH": "other.bin"},
    again=lambda b: (b.track("other.bin"), b.commit(), b.manager, b.cli("release", "other")),
)
def no_model_at_all(bench: Workbench) -> None:
    write(bench, "dvc.yaml", "stages: {}\n")
    write(bench, "other.bin", "m\n")
    bench.commit()


# --- dvc.yaml


def declared(bench: Workbench, entry: str) -> None:
    write(bench, "dvc.yaml", f"artifacts:\n  churn: {entry}\n")
    bench.commit()


@trial(
    "registry.artifacts._as_written",
    command="init --model churn --path other.bin",
    does="write the path of churn out in dvc.yaml",
    by=edit("dvc.yaml", "models/${name}/model.bin", "other.bin"),
)
def a_path_that_is_a_template(bench: Workbench) -> None:
    declared(bench, "{path: 'models/${name}/model.bin', type: model}")


@trial(
    "registry.artifacts.read",
    command="release churn",
    does="fix dvc.yaml and commit it",
    by=edit_and_commit("dvc.yaml", "[1]", f"{{churn: {{path: {PATH}}}}}"),
)
def artifacts_that_are_a_list(bench: Workbench) -> None:
    write(bench, "dvc.yaml", "artifacts: [1]\n")
    bench.commit()


@trial(
    "registry.artifacts._artifact",
    command="release churn",
    does="in dvc.yaml, and commit",
    by=edit_and_commit("dvc.yaml", "{", f"{{path: {PATH}, "),
)
def a_model_without_path(bench: Workbench) -> None:
    declared(bench, "{type: model}")


@trial(
    "registry.artifacts._artifact/2",
    command="release churn",
    does="in dvc.yaml, and commit",
    by=edit_and_commit("dvc.yaml", "[1]", "README"),
)
def a_self_test_that_is_a_list(bench: Workbench) -> None:
    declared(bench, f"{{path: {PATH}, meta: {{self_test: [1]}}}}")


@trial(
    "registry.artifacts._artifact/3",
    command="release churn",
    does="in dvc.yaml, and commit",
    by=edit_and_commit("dvc.yaml", "labels: 1", "labels: [one]"),
)
def labels_that_are_a_number(bench: Workbench) -> None:
    declared(bench, f"{{path: {PATH}, labels: 1}}")


@trial(
    "registry.artifacts._from_top",
    command="release churn",
    does="fix dvc.yaml and commit it",
    by=edit_and_commit("dvc.yaml", "/models", "models"),
)
def a_path_from_the_root(bench: Workbench) -> None:
    declared(bench, f"{{path: /{PATH}}}")


@trial(
    "registry.artifacts.check_not_old",
    command="release old",
    does="move it to artifacts: in dvc.yaml, commit",
    by=edit_and_commit("dvc.yaml", "  churn", "  old"),
)
def a_model_in_artifacts_yaml(bench: Workbench) -> None:
    write(bench, "artifacts.yaml", f"old: {{path: {PATH}}}\n")
    bench.commit()


@trial(
    "text.yaml.parse",
    command="release churn",
    does="fix dvc.yaml and commit it",
    by=edit_and_commit("dvc.yaml", "artifacts: [", "artifacts:"),
)
def a_dvc_yaml_that_is_no_yaml(bench: Workbench) -> None:
    edit("dvc.yaml", "artifacts:", "artifacts: [")(bench)
    bench.commit()


@trial(
    "text.encoded.error",
    command="release churn --force",
    does="save params.yaml as UTF-8",
    by=lambda bench: write(bench, "params.yaml", "who: café\n"),
)
def settings_in_another_encoding(bench: Workbench) -> None:
    (bench.repo / "params.yaml").write_bytes("who: café\n".encode("latin-1"))


@trial(
    "text.yaml.parse/2",
    command="release churn",
    does="fix dvc.yaml and commit it",
    by=edit_and_commit("dvc.yaml", "[1]", f"artifacts: {{churn: {{path: {PATH}}}}}"),
)
def a_dvc_yaml_that_is_a_list(bench: Workbench) -> None:
    write(bench, "dvc.yaml", "[1]\n")
    bench.commit()


@trial(
    "text.conflicts.error",
    command="release churn",
    does="choose one of the two sides",
    by=edit_and_commit(
        "dvc.yaml", "<<<<<<< HEAD\n  # ours\n=======\n  # theirs\n>>>>>>> x\n", "  # ours\n"
    ),
)
def markers_in_dvc_yaml(bench: Workbench) -> None:
    text = (bench.repo / "dvc.yaml").read_text()
    marked = "<<<<<<< HEAD\n  # ours\n=======\n  # theirs\n>>>>>>> x\n"
    write(bench, "dvc.yaml", text.replace("metrics:", f"{marked}metrics:"))


@trial(
    "text.clock.moment",
    command="history churn --since yesterday",
    base="shipped",
    does="2026-11-20",
    by=nothing,
    again="history churn --since 2026-11-20",
)
def a_date_that_is_none(_: Workbench) -> None: ...


@trial(
    "text.clock.moment/2",
    command="history churn --since 0001-01-01T00:00+14:00",
    base="shipped",
    does="a year of our time",
    by=nothing,
    again="history churn --since 2026-11-20",
)
def a_date_out_of_range(_: Workbench) -> None: ...


# --- tags


@trial(
    "registry.catalog.Catalog.find/2",
    command="deploy churn@1.0.0 --yes",
    base="shipped",
    does="...churn@deprecated",
    by=lambda b: b.git("tag", "-d", "churn@deprecated"),
    loses="churn@deprecated",
)
def a_model_deprecated(bench: Workbench) -> None:
    bench.git("tag", "--annotate", "churn@deprecated", "--message", "x")


@trial(
    "registry.catalog.Catalog.find/3",
    command="deploy churn@1.0.0 --yes",
    base="shipped",
    does="tagship list churn",
    again="deploy churn@1.1.0 --yes",
)
def a_version_withdrawn(bench: Workbench) -> None:
    bench.git("tag", "--annotate", "churn@v1.0.0!", "churn@v1.0.0^{}", "--message", "x")


@trial(
    "registry.catalog.Catalog.find",
    command="deploy 'churn#prod' --yes",
    base="shipped",
    does="tagship list churn",
    again="deploy churn@1.0.0 --yes",
)
def a_stage_that_nobody_holds(_: Workbench) -> None: ...


@trial("registry.tags", command="release churn")
def no_user_of_git(bench: Workbench) -> None:
    for role in ("AUTHOR", "COMMITTER"):
        for what in ("NAME", "EMAIL"):
            bench.monkeypatch.delenv(f"GIT_{role}_{what}")
    bench.git("config", "--global", "user.useConfigOnly", "true")


@trial("registry.tags.check_can_tag/2", command="release churn", does="git tag -d churn@v1.0.0")
def a_lightweight_tag(bench: Workbench) -> None:
    bench.git("tag", "churn@v1.0.0")


def create(bench: Workbench) -> None:
    source = bench.manager.source
    name = TagName.parse("churn@v1.1.0")
    assert name is not None
    tags.create(source.repository, name, "HEAD", "again")


@trial(
    "registry.tags.create",
    command=create,
    base="shipped",
    does="release another version",
    by=train_again,
    again="release churn",
)
def a_tag_that_came_meanwhile(_: Workbench) -> None: ...


@trial(
    "registry.tags.check_can_tag",
    command="release churn --version 1.0.0",
    does="release another version",
    by=nothing,
    again="release churn --version 1.0.1",
)
def a_tag_of_no_commit(bench: Workbench) -> None:
    bench.git("tag", "--annotate", "churn@v1.0.0", "HEAD^{tree}", "--message", "x")


@trial("registry.tags._cannot_sign", command="release churn", does="git config tag.gpgSign false")
def a_key_that_git_cannot_sign_with(bench: Workbench) -> None:
    bench.git("config", "gpg.format", "ssh")
    bench.git("config", "tag.gpgSign", "true")
    bench.git("config", "user.signingKey", "/nowhere/key.pub")


@trial(
    "git.worktree.committer",
    command="release churn",
    by=lambda bench: bench.monkeypatch.delenv("GIT_COMMITTER_DATE"),
)
def a_date_that_git_cannot_read(bench: Workbench) -> None:
    bench.monkeypatch.setenv("GIT_COMMITTER_DATE", "garbage")


@trial("registry.tags._cannot_sign", command="release churn", does="git config tag.gpgSign false")
def no_key_that_git_could_sign_with(bench: Workbench) -> None:
    bench.git("config", "gpg.format", "ssh")
    bench.git("config", "tag.gpgSign", "true")


# --- signatures


def home(bench: Workbench) -> Path:
    folder = bench.repo.parent / "home" / "tagship"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def configure(bench: Workbench, text: str) -> None:
    (home(bench) / "host.toml").write_text(text)


def key(bench: Workbench, name: str, kind: str = "ecdsa") -> Path:
    run(home(bench), "ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", name)
    return home(bench) / name


def allow(bench: Workbench, name: str) -> None:
    public = Path(f"{home(bench) / name}.pub").read_text()
    (home(bench) / "allowed_signers").write_text(f'ada@example.com namespaces="git" {public}')


def sign_with(bench: Workbench, name: str) -> None:
    bench.git("config", "gpg.format", "ssh")
    bench.git("config", "tag.gpgSign", "true")
    bench.git("config", "user.signingKey", f"{home(bench) / name}.pub")


DEMAND = 'require_signed = true\nallowed_signers = "allowed_signers"\n'


def release_again(bench: Workbench) -> None:
    bench.release("signed\n")


@trial(
    "signing.policy.Policy.check_tag",
    command="deploy churn@1.2.0 --yes",
    base="shipped",
    does="git tag -d churn@v1.2.0",
    loses="churn@v1.2.0",
    again=lambda b: (b.train("model 3\n"), b.ship()),
)
def a_tag_that_is_a_copy(bench: Workbench) -> None:
    bench.git("update-ref", "refs/tags/churn@v1.2.0", "churn@v1.1.0")


@trial(
    "signing.policy.Policy.check_tag/2",
    command="deploy churn --yes",
    shell=True,
    does="git config gpg.format ssh ... true",
    fill={"KEY.pub": "../home/tagship/ada.pub"},
    again=lambda b: (release_again(b), b.manager.deploy()),
)
def a_tag_that_is_not_signed(bench: Workbench) -> None:
    key(bench, "ada")
    allow(bench, "ada")
    bench.release()
    configure(bench, DEMAND)


@trial(
    "registry.tags.check_signed/2",
    command="deploy churn --yes",
    does="who may sign is in ...",
    by=lambda b: allow(b, "mallory"),
)
def a_tag_signed_by_another(bench: Workbench) -> None:
    for name in ("ada", "mallory"):
        key(bench, name)
    allow(bench, "ada")
    sign_with(bench, "mallory")
    bench.release()
    configure(bench, DEMAND)


@trial(
    "registry.tags.check_signed",
    command="deploy churn --yes",
    does="...host.toml",
    by=lambda b: allow(b, "ada"),
)
def a_file_of_signers_that_is_gone(bench: Workbench) -> None:
    key(bench, "ada")
    sign_with(bench, "ada")
    bench.release()
    configure(bench, DEMAND)


@trial(
    "signing.policy.Policy.check_files",
    command="deploy churn --yes",
    does="release a new version, with signing_key in the host.toml",
    by=lambda b: (configure(b, 'model_keys = "ada.pub"\nsigning_key = "ada"\n'), release_again(b)),
)
def files_that_are_not_signed(bench: Workbench) -> None:
    key(bench, "ada")
    bench.release()
    configure(bench, 'model_keys = "ada.pub"\n')


@trial(
    "signing.policy.Policy.check_files/2",
    command="deploy churn --yes",
    does="the keys that do are in ...",
    by=lambda b: Path(home(b) / "ada.pub").write_text(Path(home(b) / "mallory.pub").read_text()),
)
def files_signed_by_another(bench: Workbench) -> None:
    for name in ("ada", "mallory"):
        key(bench, name)
    configure(bench, 'model_keys = "ada.pub"\nsigning_key = "mallory"\n')
    bench.release()


@trial(
    "signing.policy.read",
    command="deploy churn --yes",
    does="add allowed_signers to host.toml",
    by=lambda b: configure(b, DEMAND),
)
def no_signers(bench: Workbench) -> None:
    key(bench, "ada")
    allow(bench, "ada")
    sign_with(bench, "ada")
    bench.release()
    configure(bench, "require_signed = true\n")


@trial(
    "signing.policy._values/3",
    command="deploy churn --yes",
    does="fix ...host.toml",
    by=lambda b: configure(b, ""),
)
def a_host_toml_that_is_none(bench: Workbench) -> None:
    bench.release()
    configure(bench, "require signed")


@trial(
    "signing.policy._values/4",
    command="deploy churn --yes",
    does="there are: require_signed",
    by=lambda b: configure(b, "require_signed = false\n"),
)
def a_host_toml_with_another_key(bench: Workbench) -> None:
    bench.release()
    configure(bench, "require_signature = false\n")


@trial(
    "signing.policy._values/5",
    command="deploy churn --yes",
    does="it is true or false",
    by=lambda b: configure(b, "require_signed = false\n"),
)
def a_host_toml_with_a_wrong_value(bench: Workbench) -> None:
    bench.release()
    configure(bench, "require_signed = 0\n")


@trial(
    "signing.policy._values/2",
    command="deploy churn --yes",
    does="write it in UTF-8",
    by=lambda b: configure(b, ""),
)
def a_host_toml_that_cannot_be_read(bench: Workbench) -> None:
    bench.release()
    (home(bench) / "host.toml").write_bytes(b"\xff")


@trial(
    "signing.policy._check_outside",
    command="deploy churn --yes",
    does="keep it in ...",
    by=lambda b: (allow(b, "ada"), configure(b, DEMAND)),
)
def signers_in_the_repository(bench: Workbench) -> None:
    key(bench, "ada")
    sign_with(bench, "ada")
    write(bench, "signers", "x\n")
    bench.release()
    configure(bench, f'require_signed = true\nallowed_signers = "{bench.repo}/signers"\n')


@trial("signing.keys._private", command="release churn", does="ssh-keygen ...")
def no_signing_key(bench: Workbench) -> None:
    configure(bench, 'signing_key = "ada"\n')


@trial("signing.keys._private/3", command="release churn", does="chmod 600 ...")
def a_signing_key_that_others_read(bench: Workbench) -> None:
    key(bench, "ada").chmod(0o644)
    configure(bench, 'signing_key = "ada"\n')


@trial(
    "signing.keys._private/4",
    command="release churn",
    does="ssh-keygen ...",
    again=lambda b: (configure(b, 'signing_key = "ada.new"\n'), b.release()),
)
def a_signing_key_of_another_kind(bench: Workbench) -> None:
    key(bench, "ada", "ed25519")
    configure(bench, 'signing_key = "ada"\n')


@trial(
    "signing.keys.trusted",
    command="deploy churn --yes",
    does="cat KEY.pub >> ...",
    fill={"KEY": "../home/tagship/ada"},
)
def keys_that_are_gone(bench: Workbench) -> None:
    key(bench, "ada")
    configure(bench, 'model_keys = "keys"\nsigning_key = "ada"\n')
    bench.release()


@trial(
    "signing.keys.trusted/3",
    command="deploy churn --yes",
    does="cat KEY.pub >> ...",
    fill={"KEY": "../home/tagship/ada"},
)
def keys_that_are_empty(bench: Workbench) -> None:
    key(bench, "ada")
    configure(bench, 'model_keys = "keys"\nsigning_key = "ada"\n')
    (home(bench) / "keys").write_text("# none\n")
    bench.release()


@trial(
    "signing.keys.trusted/2",
    command="deploy churn --yes",
    does="ssh-keygen ...",
    fill={"KEY": "../home/tagship/new"},
    again=lambda b: (
        configure(b, 'model_keys = "bob.pub"\nsigning_key = "new"\n'),
        release_again(b),
        b.manager.deploy(),
    ),
)
def keys_of_another_kind(bench: Workbench) -> None:
    key(bench, "ada")
    key(bench, "bob", "ed25519")
    configure(bench, 'model_keys = "bob.pub"\nsigning_key = "ada"\n')
    bench.release()


@trial(
    "signing.keys.check", command="deploy churn --yes", does="release churn again", by=release_again
)
def a_signature_of_other_files(bench: Workbench) -> None:
    key(bench, "ada")
    configure(bench, 'signing_key = "ada"\n')
    bench.release()
    message = bench.git("for-each-ref", "--format=%(contents)", "refs/tags/churn@v1.0.0")
    bench.train("model 2\n")
    bench.git(
        "tag",
        "--annotate",
        "--cleanup=verbatim",
        "churn@v1.1.0",
        "--message",
        message.strip().replace("churn 1.0.0", "churn 1.1.0"),
    )
