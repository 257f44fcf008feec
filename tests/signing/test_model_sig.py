"""model.sig: a version's files, signed together with the version that they are."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import model_signing
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagship import Corrupt, Refused
from tagship.disk.files import File
from tagship.host import metadata
from tagship.signing import keys, statement
from tagship.signing.statement import Signature, Statement
from tests.workbench import PATH, Workbench, run

TAG = "churn@v1.0.0"
# Two texts of one MD5 sum, 79054025255fb1a26e4bc422aef54eb4: Xiaoyun Wang and Hongbo Yu, "How to
# Break MD5 and Other Hash Functions", EUROCRYPT 2005. They differ in the six bytes below.
TWIN = bytes.fromhex(
    "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f89"
    "55ad340609f4b30283e488832571415a085125e8f7cdc99fd91dbdf280373c5b"
    "d8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
)
OTHER_TWIN = bytes(
    byte ^ (0x80 if place in (19, 45, 59, 83, 109, 123) else 0) for place, byte in enumerate(TWIN)
)


@dataclass(frozen=True)
class Host:
    """A machine with a signing key, and one that asks for signatures: here they are the same."""

    bench: Workbench
    folder: Path

    def key(self, name: str, *options: str) -> Path:
        """A new key of OpenSSH's; ``name.pub`` is its public half."""
        kind = options or ("-t", "ecdsa")
        run(self.folder, "ssh-keygen", "-q", *kind, "-N", "", "-f", name)
        return self.folder / name

    def configure(self, **values: str) -> None:
        """Write host.toml."""
        text = "".join(f'{key} = "{value}"\n' for key, value in values.items())
        (self.folder / "host.toml").write_text(text)

    def signature(self, tag: str = TAG) -> list[str]:
        """The lines of a tag that hold its signature of the files."""
        return [
            line for line in self.bench.git("cat-file", "tag", tag).splitlines() if "Model-" in line
        ]

    def retag(self, tag: str, change: Callable[[str], str]) -> None:
        """Make the tag again with another message."""
        message = self.bench.git("cat-file", "tag", tag).partition("\n\n")[2]
        self.bench.git("tag", "--force", "-a", "--cleanup=verbatim", "-m", change(message), tag)


@pytest.fixture
def host(bench: Workbench, tmp_path: Path) -> Host:
    folder = tmp_path / "home" / "tagship"
    folder.mkdir()
    new_host = Host(bench, folder)
    new_host.key("model_key")
    new_host.configure(signing_key="model_key", model_keys="model_key.pub")
    return new_host


def oms_accepts(host: Host, directory: Path, key: str = "model_key") -> bool:
    """What OpenSSF's own tool says of a version directory."""
    pem = host.folder / f"{key}.pem"
    pem.write_text(
        run(host.folder, "ssh-keygen", "-e", "-m", "PKCS8", "-f", str(host.folder / f"{key}.pub"))
    )
    config = model_signing.verifying.Config()  # type: ignore[no-untyped-call] # it has no types
    checker = config.use_elliptic_key_verifier(public_key=pem)
    try:
        checker.verify(directory, directory / "model.sig")
    except Exception:
        return False
    return True


@pytest.mark.parametrize("bits", ["256", "384", "521"])
def test_a_signed_version_is_accepted_by_the_model_signing_tool(bits: str, host: Host) -> None:
    host.key("other", "-t", "ecdsa", "-b", bits)
    host.configure(signing_key="other", model_keys="other.pub")
    released = host.bench.manager.release()
    assert released.signed == ("files",)
    path = host.bench.manager.deploy().path
    assert sorted(file.name for file in path.iterdir()) == [
        "metadata.json",
        "model.bin",
        "model.sig",
    ]
    assert oms_accepts(host, path, "other")
    assert not oms_accepts(host, path)  # another key
    assert not host.bench.manager.verify()[0].problems
    path.chmod(0o755)
    (path / "more").write_text("")
    assert not oms_accepts(host, path, "other")


def test_pem_keys_do_as_well(host: Host) -> None:
    host.key("pem", "-t", "ecdsa", "-m", "PEM")
    public = run(host.folder, "ssh-keygen", "-e", "-m", "PKCS8", "-f", "pem.pub")
    other = (host.folder / "model_key.pub").read_text()
    (host.folder / "keys").write_text(f"# ours\n{public}\n{other}")
    host.configure(signing_key="pem", model_keys="keys")
    host.bench.ship()
    assert host.bench.live() == "model 1\n"


def test_the_statement_says_which_version_of_which_model_at_which_commit(host: Host) -> None:
    path = host.bench.manager.deploy(host.bench.release()).path
    bundle = json.loads((path / "model.sig").read_bytes())
    assert bundle["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    payload = json.loads(statement.decoded(bundle["dsseEnvelope"]["payload"]))
    commit = host.bench.git("rev-parse", "HEAD").strip()
    sha256 = metadata.read(path).files[0].sha256
    assert payload["subject"][0]["name"] == "churn@1.0.0"
    assert payload["predicate"]["release"] == {
        "model": "churn", "version": "1.0.0", "commit": commit,
    }  # fmt: skip
    assert payload["predicate"]["resources"] == [
        {"name": "model.bin", "algorithm": "sha256", "digest": sha256}
    ]


def test_a_tracked_folder_and_gits_own_files_are_signed_too(host: Host) -> None:
    bench = host.bench
    bench.git("rm", "--quiet", "--cached", "models/churn/model.bin.dvc")
    (bench.repo / "models/churn/model.bin.dvc").unlink()
    (bench.repo / PATH).unlink()
    (bench.repo / PATH / "sub").mkdir(parents=True)
    (bench.repo / PATH / "weights").write_text("weights\n")
    (bench.repo / PATH / "sub" / "config").write_text("config\n")
    bench.track(PATH)
    (bench.repo / "models/churn/test.json").write_text("not asked for\n")
    (bench.repo / "dvc.yaml").write_text(
        "artifacts:\n  churn:\n    path: models/churn/model.bin\n    type: model\n"
        "    meta:\n      self_test: models/churn/test.json\n"
    )
    bench.commit()
    bench.release()
    path = bench.manager.deploy(smoke_test=False).path
    names = ["model.bin/sub/config", "model.bin/weights", "test.json"]
    assert [file.path for file in metadata.read(path).files] == names
    assert oms_accepts(host, path)


def of_another_version(host: Host) -> None:
    """Version 1's bundle beside the files of version 2."""
    bench = host.bench
    bench.release()
    bench.release("model 2\n")
    old, new = host.signature(), host.signature("churn@v1.1.0")
    host.retag("churn@v1.1.0", lambda text: text.replace("\n".join(new), "\n".join(old)))


def of_another_version_with_the_same_bytes(host: Host) -> None:
    """Replay: what was signed as 1.0.0 comes as 1.1.0."""
    bench = host.bench
    bench.release()
    bench.manager.release(force=True)
    old, new = host.signature(), host.signature("churn@v1.1.0")
    host.retag("churn@v1.1.0", lambda text: text.replace("\n".join(new), "\n".join(old)))


def of_another_key(host: Host) -> None:
    host.key("mallory")
    host.configure(signing_key="mallory", model_keys="model_key.pub")
    host.bench.release()


def with_another_key_named(host: Host) -> None:
    """Mallory's signature under the name of a key that counts."""
    ours = f"Model-Key: {next(iter(keys.trusted(host.folder / 'model_key.pub')))}"
    of_another_key(host)
    host.retag(TAG, lambda text: text.replace(host.signature()[0], ours))


def none(host: Host) -> None:
    host.configure(model_keys="model_key.pub")
    host.bench.release()


def garbled(host: Host) -> None:
    host.bench.release()
    host.retag(TAG, lambda text: text.replace("Model-Signature: M", "Model-Signature: !"))


def without_a_key(host: Host) -> None:
    host.bench.release()
    host.retag(TAG, lambda text: text.replace(host.signature()[0] + "\n", ""))


def of_other_bytes_with_the_same_md5(host: Host) -> None:
    """DVC's cache knows bytes by MD5 alone."""
    host.bench.train(TWIN)
    host.bench.release()
    cached = next((host.bench.repo / ".dvc/cache/files/md5/79").iterdir())
    cached.chmod(0o644)
    cached.write_bytes(OTHER_TWIN)
    cached.chmod(0o444)


FITS_NOT = "is not of these files as this version"
MATRIX: dict[str, tuple[Callable[[Host], None], str]] = {
    "of another version": (of_another_version, FITS_NOT),
    "of another version with the same bytes": (of_another_version_with_the_same_bytes, FITS_NOT),
    "of a key that does not count": (
        of_another_key,
        "are signed by a key that does not count here",
    ),
    "of a key under another's name": (with_another_key_named, FITS_NOT),
    "missing": (none, "are not signed, and this host asks for it"),
    "no base64": (garbled, FITS_NOT),
    "without a key": (without_a_key, FITS_NOT),
    "of other bytes with the same MD5": (of_other_bytes_with_the_same_md5, FITS_NOT),
}


@pytest.mark.parametrize("case", MATRIX)
def test_files_do_not_go_live_whose_signature_is(case: str, host: Host) -> None:
    spoil, error = MATRIX[case]
    bench = host.bench
    spoil(host)
    result = bench.cli("deploy", "churn", "--yes")
    assert result.code == 1
    assert error in result.err
    assert "hint: " in result.err
    assert not bench.current.is_symlink()
    assert list((bench.folder / "versions").iterdir()) == []
    assert bench.actions()[-1][:2] == ("deploy", "failed")


@pytest.mark.parametrize("case", [case for case, (_, error) in MATRIX.items() if error == FITS_NOT])
def test_a_signature_has_to_fit_where_no_key_is_asked_for(case: str, host: Host) -> None:
    MATRIX[case][0](host)
    host.configure()
    assert FITS_NOT in host.bench.cli("deploy", "churn", "--yes").err
    assert not host.bench.current.is_symlink()


def test_without_a_signature_other_bytes_of_one_md5_go_live(host: Host) -> None:
    """What the signature is for: nothing that DVC or the tag says tells the two apart."""
    host.configure()
    of_other_bytes_with_the_same_md5(host)
    host.bench.manager.deploy()
    assert (host.bench.current / "model.bin").read_bytes() == OTHER_TWIN


def live_problems(bench: Workbench) -> list[tuple[str, str]]:
    """What ``verify`` says of the directory that is live."""
    problems = {
        verification.directory: verification.problems for verification in bench.manager.verify()
    }
    return [(problem.path, problem.what) for problem in problems[bench.current.resolve().name]]


@pytest.mark.parametrize("how", ["another version's", "gone", "a link", "of no version"])
def test_status_and_verify_name_a_model_sig_that_is(how: str, host: Host) -> None:
    bench = host.bench
    bench.ship()
    first = bench.current.resolve()
    bench.ship("model 2\n")
    live = bench.current.resolve()
    if how == "of no version":
        host.configure()
        bench.ship("model 3\n")
        live = bench.current.resolve()
    live.chmod(0o755)
    (live / "model.sig").unlink(missing_ok=True)
    if how == "a link":
        (live / "model.sig").symlink_to(first / "model.sig")
    elif how != "gone":
        (live / "model.sig").write_bytes((first / "model.sig").read_bytes())
        (live / "model.sig").chmod(0o444)
    live.chmod(0o555)
    what = {
        "gone": "is missing",
        "a link": "cannot be read: Too many levels of symbolic links",
        "another version's": "is not the signature of this version",
        "of no version": "is not of this version",
    }[how]
    assert live_problems(bench) == [("model.sig", what)]
    assert not oms_accepts(host, live)
    assert f"model.sig {what}" in bench.cli("status", "churn").out
    bench.cli("deploy", "churn", "--yes", "--force")
    assert not live_problems(bench)


def test_a_rollback_makes_a_version_anew_whose_model_sig_is_damaged(host: Host) -> None:
    bench = host.bench
    bench.ship()
    first = bench.current.resolve()
    bench.ship("model 2\n")
    (first / "model.sig").chmod(0o644)
    (first / "model.sig").write_text("{}")
    bench.manager.rollback_to_version()
    assert bench.current.resolve() != first
    assert oms_accepts(host, bench.current.resolve())


def test_a_version_whose_signature_was_edited_into_its_metadata_is_found(host: Host) -> None:
    """metadata.json and model.sig agree with each other, and not with the tag."""
    host.configure()
    host.bench.ship()
    live = host.bench.current.resolve()
    described = metadata.read(live)
    host.key("mallory")
    signature = keys.sign(described.statement, host.folder / "mallory")
    message = "\n".join([described.tag.message, *signature.trailers()])
    live.chmod(0o755)
    (live / "metadata.json").unlink()
    metadata.write(live, replace(described, tag=replace(described.tag, message=message)))
    for name in ("metadata.json", "model.sig"):
        (live / name).chmod(0o444)
    live.chmod(0o555)
    problems = host.bench.manager.verify()[0].problems
    assert [(problem.path, problem.what) for problem in problems] == [
        ("metadata.json", f"has another signature than {TAG}")
    ]


@pytest.mark.parametrize(
    ("options", "mode", "error"),
    [
        (("-t", "ed25519"), 0o600, "cannot be used: it is not an ECDSA key"),
        (("-t", "rsa"), 0o600, "cannot be used: it is not an ECDSA key"),
        (("-t", "ecdsa"), 0o644, "others can read the signing key"),
        (("-t", "ecdsa", "-N", "secret"), 0o600, "cannot be used: "),
    ],
)
def test_a_release_is_refused_with_a_key(
    options: tuple[str, ...], mode: int, error: str, host: Host
) -> None:
    command = ["ssh-keygen", "-q", "-N", "", *options, "-f", str(host.folder / "bad")]
    subprocess.run(command, check=True)
    (host.folder / "bad").chmod(mode)
    host.configure(signing_key="bad")
    result = host.bench.cli("release", "churn")
    assert result.code == 1
    assert error in result.err
    assert "hint: " in result.err
    assert host.bench.git("tag", "--list") == ""


@pytest.mark.parametrize("how", ["other bytes", "a folder"])
def test_what_is_wrong_in_the_cache_is_fetched_again_before_it_is_signed(
    how: str, host: Host
) -> None:
    bench = host.bench
    bench.dvc("push", "--quiet")
    (cached,) = (path for path in (bench.repo / ".dvc/cache").rglob("*") if path.is_file())
    cached.unlink()
    cached.mkdir() if how == "a folder" else cached.write_bytes(b"MODEL 1\n")
    bench.ship()
    assert bench.live() == "model 1\n"
    assert oms_accepts(host, bench.current.resolve())


@pytest.mark.parametrize("text", ["", "# none\n", "ssh-ed25519 AAAA x\n", "rubbish\n", None])
def test_a_file_of_keys_is_refused_that_holds(text: str | None, host: Host) -> None:
    host.bench.release()
    host.configure(model_keys="keys")
    if text is not None:
        (host.folder / "keys").write_text(text)
    result = host.bench.cli("deploy", "churn", "--yes")
    assert result.code == 1
    assert f"{host.folder / 'keys'} " in result.err
    assert not host.bench.current.is_symlink()


def test_no_file_of_a_model_may_be_named_model_sig(bench: Workbench) -> None:
    (bench.repo / "models/churn/model.sig").write_text("{}")
    text = (bench.repo / "dvc.yaml").read_text()
    test = "    meta:\n      self_test: models/churn/model.sig\nmetrics"
    (bench.repo / "dvc.yaml").write_text(text.replace("metrics", test, 1))
    bench.commit()
    bench.refuses(
        "release churn",
        "a file of churn would be named model.sig, which is tagship's own",
        "rename that file, and its path in dvc.yaml",
    )


digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
files = st.lists(
    st.builds(File, st.text(min_size=1), st.just(1), st.just(""), digests),
    max_size=5,
    unique_by=lambda file: file.path,
)


@given(files, st.randoms(use_true_random=False))
def test_the_order_of_the_files_does_not_matter(files: list[File], random: object) -> None:
    statement = Statement("churn", "1.0.0", "c" * 40, tuple(files))
    files.reverse()
    assert statement.payload() == Statement("churn", "1.0.0", "c" * 40, tuple(files)).payload()


@given(files, files)
def test_two_statements_are_the_same_bytes_only_where_they_say_the_same(
    some: list[File], others: list[File]
) -> None:
    first, other = (Statement("churn", "1.0.0", "c" * 40, tuple(x)) for x in (some, others))
    same = {file.path: file.sha256 for file in some} == {f.path: f.sha256 for f in others}
    assert (first.payload() == other.payload()) is same
    assert first.payload() != replace(first, version="1.0.1").payload()


@given(st.text(), st.text())
def test_no_text_in_a_tag_does_more_than_not_fit(key: str, value: str) -> None:
    with pytest.raises(Corrupt):
        keys.check(Statement("churn", "1.0.0", "c" * 40, ()), Signature(key, value))


def test_a_file_of_keys_that_is_not_there_is_refused() -> None:
    with pytest.raises(Refused):
        keys.trusted(Path("gone"))
