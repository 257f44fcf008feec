"""Each store, as it is meant to be used: bytes go there and come back, by tagship and by DVC."""

import os
import random
import shutil
from pathlib import Path
from urllib.parse import unquote

from tests import workbench
from tests.stores import places, tamper, trials
from tests.stores.answers import LARGE, content, flipped
from tests.stores.tamper import Proxy
from tests.stores.trials import FOLDER, Shop

NAMES = ("part-{}.bin", "a b {}", "größe {}.txt", "deep/er/{}", "100%{}", "a+b{}", "x#{}?")


def cached(repo: Path) -> list[str]:
    """The objects in DVC's cache."""
    return [name for _, _, names in os.walk(repo / ".dvc/cache/files") for name in names]


def live(repo: Path, model: str = "churn") -> bytes:
    return (repo / "models" / model / "current/model.bin").read_bytes()


def elsewhere(repo: Path) -> None:
    """Forget the bytes, as on another host."""
    shutil.rmtree(repo / ".dvc/cache")


def test_what_dvc_pushed_is_deployed_and_fills_no_cache(shop: Shop) -> None:
    repo = shop.workspace(shop.server.address)
    ran = shop.deploy(repo).check()
    assert trials._noise(ran.result.err) == []
    assert live(repo) == content(2)
    assert cached(repo) == []


def test_what_tagship_pushed_is_pulled_by_dvc_and_deployed(shop: Shop) -> None:
    repo = shop.workspace(shop.server.address)
    data = random.Random(shop.place.name).randbytes(200_000)
    workbench.train(repo, data)
    ran = trials.tagship(repo, shop.environment, "release", "churn").check()
    assert "1 object pushed to the DVC remote" in ran.result.out
    elsewhere(repo)
    shop.deploy(repo).check()
    assert live(repo) == data
    (repo / workbench.PATH).unlink()
    trials.dvc(repo, shop.environment, "pull", f"{workbench.PATH}.dvc").check()
    assert (repo / workbench.PATH).read_bytes() == data


def test_a_second_release_of_the_same_bytes_pushes_nothing(shop: Shop) -> None:
    repo = shop.workspace(shop.server.address)
    (repo / ".dvc/cache/files/md5").mkdir(parents=True)
    workbench.train(repo, content(2))
    words = ("release", "churn", "--force", "--version", "9.0.0")
    ran = trials.tagship(repo, shop.environment, *words).check()
    assert "\n  0 objects pushed to the DVC remote" in ran.result.out


def folder(repo: Path, changed: int = 0) -> dict[str, bytes]:
    """Write and track a model that is a folder: its files, of which some are changed."""
    shutil.rmtree(repo / "bundle", ignore_errors=True)
    files = {
        name.format(number): random.Random(f"{name}{number}").randbytes(1000 * number)
        for name in NAMES
        for number in range(4)
    }
    for name in list(files)[1 : changed + 1]:
        files[name] += b"changed"
    for name, data in files.items():
        (repo / "bundle" / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / "bundle" / name).write_bytes(data)
    declared = (repo / "dvc.yaml").read_text()
    if "bundle" not in declared:
        added = "artifacts:\n  bundle:\n    path: bundle\n"
        (repo / "dvc.yaml").write_text(declared.replace("artifacts:\n", added))
    workbench.track(repo, "bundle")
    workbench.commit(repo, "Train a bundle")
    return files


def test_a_folder_goes_there_and_comes_back_and_only_what_is_new_is_fetched(shop: Shop) -> None:
    repo = shop.workspace(shop.server.address)

    def there_and_back(changed: int) -> Proxy:
        files = folder(repo, changed)
        trials.tagship(repo, shop.environment, "release", "bundle").check()
        elsewhere(repo)
        shutil.rmtree(repo / "bundle")
        with tamper.running(Proxy(shop.upstream, kind=shop.place.scheme)) as proxy:
            places.configure(repo, shop.place.options(proxy.address, FOLDER))
            shop.deploy(repo, "bundle").check()
        places.configure(repo, shop.place.options(shop.server.address, FOLDER))
        top = repo / "models/bundle/current/bundle"
        assert {
            path.relative_to(top).as_posix(): path.read_bytes()
            for path in top.rglob("*")
            if path.is_file()
        } == files
        return proxy

    assert len(data_of(there_and_back(0))) == 1 + 3 * len(NAMES) + 1  # the empty ones are one
    assert len(data_of(there_and_back(2))) == 1 + 2


def data_of(proxy: Proxy) -> set[str]:
    """The objects whose bytes were asked for."""
    found = (tamper.OBJECT.search(unquote(r.path)) for r in proxy.requests if r.is_data)
    return {each[0] for each in found if each}


def test_a_large_model_of_a_far_store_comes_in_ranges(shop: Shop) -> None:
    far = Proxy(shop.upstream, kind=shop.place.scheme, pace=trials.FAR)
    with tamper.running(far) as proxy:
        repo = shop.workspace(proxy.address)
        ran = shop.deploy(repo, "large").check()
    assert live(repo, "large") == content(3, LARGE)
    assert proxy.sent < 2 * LARGE
    ranges = [r for r in proxy.requests if r.is_data and {"range", "x-ms-range"} & r.headers.keys()]
    assert len(ranges) > 3
    assert ran.memory < trials.MEMORY


def test_a_large_model_is_pushed_whole(shop: Shop) -> None:
    repo = shop.workspace(shop.server.address)
    data = content(4, LARGE)
    (repo / "models/large").mkdir(exist_ok=True)
    (repo / "models/large/model.bin").write_bytes(data)
    workbench.track(repo, "models/large/model.bin")
    workbench.commit(repo, "Train another large model")
    trials.tagship(repo, shop.environment, "release", "large").check()
    elsewhere(repo)
    shop.deploy(repo, "large").check()
    assert live(repo, "large") == data


def test_other_commands_read_from_the_store_too(shop: Shop) -> None:
    repo = shop.workspace(shop.server.address)
    target = repo.parent / "exported"
    words = ("export", "churn@1.1.0", "--format", "huggingface", "-o", str(target))
    trials.tagship(repo, shop.environment, *words).check()
    assert content(2) in [p.read_bytes() for p in target.rglob("*") if p.is_file()]
    assert cached(repo) == []


def test_a_deploy_after_one_that_was_refused_succeeds(shop: Shop) -> None:
    with tamper.running(Proxy(shop.upstream, flipped, kind=shop.place.scheme)) as proxy:
        repo = shop.workspace(proxy.address)
        assert shop.deploy(repo).result.code == 1
        assert live(repo) == content(1)
        proxy.answer = tamper.honest
        shop.deploy(repo).check()
    assert live(repo) == content(2)
