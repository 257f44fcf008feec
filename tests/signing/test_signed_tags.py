"""Signed tags: Git signs, and a host's own host.toml says whose signature counts."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tagship import NotFound, Refused
from tagship.registry import tags
from tagship.workspace.find import find
from tests.workbench import Workbench, run

TAG = "churn@v1.0.0"
HINT = (
    "release a new version, signed: git config gpg.format ssh && git config user.signingKey KEY.pub"
    " && git config tag.gpgSign true"
)


@dataclass(frozen=True)
class Signers:
    """A host that asks for signatures, keys, and a repository whose Git signs with one of them."""

    bench: Workbench
    folder: Path  # the host's configuration

    def key(self, name: str) -> Path:
        """A new key; its public half, of the form ``ssh-ed25519 AAAA... name``."""
        path = self.folder / name
        if not path.exists():
            run(self.folder, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name)
        return path.with_name(f"{name}.pub")

    def allow(self, *lines: str) -> None:
        """Write allowed_signers."""
        (self.folder / "allowed_signers").write_text("".join(f"{line}\n" for line in lines))

    def line(self, name: str, options: str = 'namespaces="git"') -> str:
        """A line of allowed_signers."""
        kind, data, _ = self.key(name).read_text().split()
        return f"{name}@example.com {options} {kind} {data}"

    def demand(self, text: str = "") -> None:
        """Write host.toml."""
        default = 'require_signed = true\nallowed_signers = "allowed_signers"\n'
        (self.folder / "host.toml").write_text(text or default)

    def sign_with(self, name: str) -> None:
        """Configure Git."""
        self.bench.git("config", "gpg.format", "ssh")
        self.bench.git("config", "tag.gpgSign", "true")
        self.bench.git("config", "user.signingKey", str(self.key(name)))


@pytest.fixture
def signers(bench: Workbench, tmp_path: Path) -> Signers:
    folder = tmp_path / "home" / "tagship"
    folder.mkdir()
    new_signers = Signers(bench, folder)
    new_signers.allow(new_signers.line("ada"))
    new_signers.demand()
    new_signers.sign_with("ada")
    return new_signers


def fingerprint(signers: Signers, name: str) -> str:
    return run(signers.folder, "ssh-keygen", "-l", "-f", str(signers.key(name))).split()[1]


def test_what_an_allowed_key_signed_goes_live_and_its_signer_is_known(signers: Signers) -> None:
    bench = signers.bench
    released = bench.manager.release()
    assert released.signed == ("tag",)
    outcome = bench.manager.deploy()
    signer = f"ada@example.com ({fingerprint(signers, 'ada')})"
    assert bench.live() == "model 1\n"
    assert bench.manager.show().tag.signer == signer
    assert f"signed by:    {signer}" in bench.cli("show", "churn").out
    assert not bench.manager.verify()[0].problems
    assert outcome.event is not None


def test_without_a_policy_signed_and_unsigned_tags_go_live(signers: Signers) -> None:
    (signers.folder / "host.toml").unlink()
    signers.bench.ship()
    signers.bench.git("config", "tag.gpgSign", "false")
    signers.bench.ship("model 2\n")
    assert signers.bench.manager.show().tag.signer == ""


def unsigned(signers: Signers) -> None:
    signers.bench.git("config", "tag.gpgSign", "false")
    signers.bench.release()


def lightweight(signers: Signers) -> None:
    signers.bench.git("-c", "tag.gpgSign=false", "tag", TAG)


def unknown_key(signers: Signers) -> None:
    signers.sign_with("mallory")  # the tagger is Ada all the same
    signers.bench.release()


def other_namespace(signers: Signers) -> None:
    signers.allow(signers.line("ada", 'namespaces="file"'))
    signers.bench.release()


def expired(signers: Signers) -> None:
    signers.allow(signers.line("ada", 'namespaces="git",valid-before="20200101"'))
    signers.bench.release()


def not_yet_valid(signers: Signers) -> None:
    signers.allow(signers.line("ada", 'namespaces="git",valid-after="20900101"'))
    signers.bench.release()


def revoked(signers: Signers) -> None:
    shutil.copyfile(signers.key("ada"), signers.folder / "revoked")
    signers.demand(
        'require_signed = true\nallowed_signers = "allowed_signers"\nrevoked_keys = "revoked"\n'
    )
    signers.bench.release()


def revoked_by_list(signers: Signers) -> None:
    run(signers.folder, "ssh-keygen", "-q", "-k", "-f", "revoked", str(signers.key("ada")))
    signers.demand(
        'require_signed = true\nallowed_signers = "allowed_signers"\nrevoked_keys = "revoked"\n'
    )
    signers.bench.release()


def edited(signers: Signers) -> None:
    signers.bench.release()
    replace_object(signers, TAG, lambda text: text.replace("Metrics:", "metrics:"))


def of_pgp(signers: Signers) -> None:
    signers.bench.release()
    replace_object(signers, TAG, lambda text: text.replace("SSH SIGNATURE", "PGP SIGNATURE"))


def of_another_version(signers: Signers) -> None:
    signers.bench.release()
    signers.bench.train("model 2\n")
    signers.bench.git("update-ref", "refs/tags/churn@v9.9.9", TAG)


def around_a_signed_tag(signers: Signers) -> None:
    signers.bench.release()
    signers.bench.git("-c", "tag.gpgSign=false", "tag", "-f", "-a", "-m", "around", TAG, TAG)


def replace_object(signers: Signers, tag: str, change: Callable[[str], str]) -> None:
    """Let a tag's ref name an edited tag object."""
    text = signers.bench.git("cat-file", "tag", tag)
    result = subprocess.run(
        ["git", "hash-object", "-t", "tag", "-w", "--stdin"],
        cwd=signers.bench.repo, input=change(text), capture_output=True, text=True, check=True,
    )  # fmt: skip
    signers.bench.git("update-ref", f"refs/tags/{tag}", result.stdout.strip())


COUNTS_NOT = f"the tag {TAG} is not signed by a key that counts here: "
MATRIX: dict[str, tuple[Callable[[Signers], None], str]] = {
    "not signed": (unsigned, f"the tag {TAG} is not signed, and this host asks for it"),
    "lightweight": (lightweight, f"the tag {TAG} is here, but not as an annotated tag"),
    "signed by an unknown key": (unknown_key, COUNTS_NOT + "No principal matched."),
    "of a key for another namespace": (other_namespace, COUNTS_NOT),
    "of an expired key": (expired, COUNTS_NOT),
    "of a key that is not valid yet": (not_yet_valid, COUNTS_NOT),
    "of a revoked key": (revoked, COUNTS_NOT),
    "of a key in a revocation list": (revoked_by_list, COUNTS_NOT),
    "edited once it was signed": (edited, COUNTS_NOT),
    "not signed by SSH": (of_pgp, f"the tag {TAG} is signed, but not by SSH, and this host asks"),
    "another version's signed tag": (
        of_another_version,
        f"the tag churn@v9.9.9 holds the tag object of {TAG}",
    ),
    "a tag around a signed tag": (around_a_signed_tag, "churn has no released version"),
}


@pytest.mark.parametrize("case", MATRIX)
def test_a_tag_is_refused_that_is(case: str, signers: Signers) -> None:
    spoil, error = MATRIX[case]
    bench = signers.bench
    spoil(signers)
    before = bench.state()
    for command in ("deploy churn --yes", "deploy churn --dry-run"):
        result = bench.cli(*command.split())
        assert (result.code, result.out) == (1, "")
        assert result.err.startswith(f"error: {error}")
        assert "hint: " in result.err
        assert len(result.err.splitlines()) == 2
    not_found = "no released" in error or "not as an annotated" in error
    with pytest.raises(NotFound if not_found else Refused):
        bench.manager.deploy()
    assert not bench.current.is_symlink()
    assert bench.changes(before) == set()


def test_git_itself_takes_another_versions_signed_tag(signers: Signers) -> None:
    """Why the tag's own name is compared."""
    of_another_version(signers)
    signers.bench.git(
        "-c", f"gpg.ssh.allowedSignersFile={signers.folder / 'allowed_signers'}",
        "verify-tag", "churn@v9.9.9",
    )  # fmt: skip


def test_a_tag_that_is_signed_and_moved_is_refused(signers: Signers) -> None:
    bench = signers.bench
    bench.ship()
    before = bench.git("rev-parse", TAG).strip()
    bench.train("model 2\n")
    bench.git("tag", "--force", "--annotate", "--message", "again", TAG)
    now = bench.git("rev-parse", TAG).strip()
    bench.refuses(
        "deploy churn --yes --force",
        f"the tag {TAG} was moved since it was deployed here: it was {before[:10]}, and is"
        f" {now[:10]}",
        f"release a new version, or set the tag back: git tag -f {TAG} {before};"
        f" and on origin, if the tag was moved there too: git push --force origin {TAG}",
    )


def test_a_repository_does_not_choose_its_own_signers_nor_a_program(signers: Signers) -> None:
    """Its .git/config may say what it wants."""
    bench = signers.bench
    signers.sign_with("mallory")
    bench.release()
    canary = bench.repo / "ran"
    program = bench.repo / "check"
    program.write_text(f"#!/bin/sh\ntouch {canary}\necho 'Good \"git\" signature'\n")
    program.chmod(0o755)
    (bench.repo / "theirs").write_text(signers.line("mallory") + "\n")
    bench.git("config", "gpg.ssh.allowedSignersFile", str(bench.repo / "theirs"))
    bench.git("verify-tag", TAG)  # Git believes it
    for name in ("gpg.ssh.program", "gpg.program", "gpg.x509.program"):
        bench.git("config", name, str(program))
    result = bench.cli("deploy", "churn", "--yes")
    assert result.err.startswith("error: " + COUNTS_NOT)
    replace_object(signers, TAG, lambda text: text.replace("SSH SIGNATURE", "PGP SIGNATURE"))
    assert bench.cli("deploy", "churn", "--yes").code == 1
    repository = find(bench.repo)[0].repository
    (of_pgp,) = tags.read(repository)
    with pytest.raises(Refused):  # nor where it is asked of a signature that is none of SSH's
        tags.check_signed(repository, of_pgp, signers.folder / "allowed_signers", None)
    assert not canary.exists()


@pytest.mark.parametrize("how", ["in its work tree", "in .git", "through a link"])
def test_a_file_of_signers_in_the_repository_is_refused(how: str, signers: Signers) -> None:
    bench = signers.bench
    bench.release()
    inside = bench.repo / (".git" if how == "in .git" else "") / "allowed_signers"
    inside.write_text(signers.line("ada") + "\n")
    named = inside
    if how == "through a link":
        named = signers.folder / "link"
        named.symlink_to(inside)
    signers.demand(f'require_signed = true\nallowed_signers = "{named}"\n')
    bench.refuses(
        "deploy churn --yes",
        f"{named} lies in the repository: it cannot say whom this host trusts",
        f"keep it in {signers.folder} or /etc/tagship",
    )


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("require_signed = true\n", "require_signed needs allowed_signers, and host.toml has none"),
        ("requires_signed = true\n", "has an unknown key 'requires_signed'"),
        ('require_signed = "yes"\n', "require_signed in {file} may not be 'yes'"),
        ('allowed_signers = ["a"]\n', "allowed_signers in {file} may not be ['a']"),
        ("require_signed = \n", "is not valid TOML"),
        ('require_signed = true\nallowed_signers = "gone"\n', "gone is not a file"),
    ],
)
def test_a_policy_that_cannot_be_kept_refuses_everything(
    text: str, error: str, signers: Signers
) -> None:
    signers.bench.release()
    signers.demand(text)
    result = signers.bench.cli("deploy", "churn", "--yes")
    assert result.code == 1
    assert error.format(file=signers.folder / "host.toml") in result.err
    assert not signers.bench.current.is_symlink()


def test_what_the_machine_says_counts_more_than_what_the_user_says(
    signers: Signers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagship.signing.policy.SYSTEM", tmp_path / "etc")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "host.toml").write_text("require_signed = true\n")
    signers.demand('require_signed = false\nallowed_signers = "allowed_signers"\n')
    unsigned(signers)
    assert "is not signed" in signers.bench.cli("deploy", "churn", "--yes").err


def test_no_rollback_goes_to_a_version_that_may_not_go_live_any_more(signers: Signers) -> None:
    bench = signers.bench
    bench.ship()
    signers.sign_with("grace")
    signers.allow(signers.line("ada"), signers.line("grace"))
    bench.ship("model 2\n")
    signers.allow(signers.line("grace"))  # Ada has left
    result = bench.cli("rollback", "churn", "--yes")
    assert result.err.startswith("error: " + COUNTS_NOT)
    assert bench.live() == "model 2\n"
    signers.allow(signers.line("ada"), signers.line("grace"))
    assert bench.cli("rollback", "churn", "--yes").code == 0
    assert bench.live() == "model 1\n"


def test_a_rollback_where_nobody_asks_for_signatures_needs_no_git(signers: Signers) -> None:
    bench = signers.bench
    bench.ship()
    bench.ship("model 2\n")
    bench.git("tag", "--delete", TAG)
    result = bench.cli("rollback", "churn", "--yes")
    assert result.err == (
        f"error: the tag {TAG} is not in this clone, and this host requires a signature\n"
        "hint: git fetch --tags\n"
    )
    (signers.folder / "host.toml").unlink()
    assert bench.cli("rollback", "churn", "--yes").code == 0


def test_status_and_verify_tell_of_a_live_version_whose_key_was_revoked(signers: Signers) -> None:
    bench = signers.bench
    bench.ship()
    assert bench.cli("status", "churn").code == 0
    signers.allow(signers.line("grace"))
    result = bench.cli("status", "churn")
    assert result.code == 3
    assert f"is of a version that may not go live here: {COUNTS_NOT}" in result.out
    assert bench.cli("verify", "churn").code == 1


def test_a_key_that_git_cannot_use_leaves_no_tag(signers: Signers) -> None:
    signers.bench.git("config", "user.signingKey", str(signers.folder / "gone"))
    result = signers.bench.cli("release", "churn")
    assert result.code == 1
    assert result.err.startswith(f"error: Git cannot sign the tag {TAG}: ")
    assert "or do without: git config tag.gpgSign false\n" in result.err
    assert signers.bench.git("tag", "--list") == ""


@pytest.fixture
def gpg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A key of GnuPG's."""
    if shutil.which("gpg") is None:
        pytest.skip("gpg is not installed")
    home = tmp_path_factory.mktemp("g")  # the path of its socket must be short
    home.chmod(0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    monkeypatch.delenv("GPG_TTY", raising=False)
    name = "Ada <ada@example.com>"
    run(
        tmp_path, "gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", name,
        "ed25519", "sign", "never",
    )  # fmt: skip
    yield name
    subprocess.run(["gpgconf", "--kill", "all"], check=False, env=dict(os.environ))


def test_git_signs_with_gpg_where_it_is_configured_so(gpg: str, signers: Signers) -> None:
    bench = signers.bench
    bench.git("config", "gpg.format", "openpgp")
    bench.git("config", "user.signingKey", "ada@example.com")
    released = bench.manager.release()
    assert released.signed == ("tag",)
    bench.git("verify-tag", TAG)
    assert [release.metrics for release in bench.manager.list_versions()] == [{"accuracy": 0.75}]
    bench.refuses(
        "deploy churn --yes",
        f"the tag {TAG} is signed, but not by SSH, and this host asks for it",
        HINT,
    )
    (signers.folder / "host.toml").unlink()
    assert bench.cli("deploy", "churn", "--yes").code == 0


def test_a_release_says_what_it_signed(signers: Signers) -> None:
    result = signers.bench.cli("release", "churn")
    assert "\n  signed: tag\n" in result.out
