"""What a model file is, by its bytes and not by its name: nothing else reaches a framework."""

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import shutil
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tagship import Corrupt, Refused, SelfTestFailed, TagshipError, load, loaders
from tagship.loaders import archive, selftest
from tests.workbench import Workbench

FRAMEWORKS = ("catboost", "keras", "tensorflow", "joblib", "h5py")
HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(100)
HINT = "train and release it again; its sender may mean harm"


class Trap:
    """Unpickled, it leaves a trace."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("trap",)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real models: model.cbm, model.keras, words.keras (with a vocabulary), lambda.keras."""
    catboost, keras = pytest.importorskip("catboost"), pytest.importorskip("keras")
    folder = tmp_path_factory.mktemp("models")
    trees = catboost.CatBoostClassifier(2, depth=2, verbose=False, allow_writing_files=False)
    trees.fit([[1.0, 2.0], [3.0, 4.0], [0.0, 1.0]], [0, 1, 0]).save_model(folder / "model.cbm")
    rows, layers = keras.layers.Input((2,)), keras.layers
    keras.Sequential([rows, layers.Dense(3)]).save(folder / "model.keras")
    keras.Sequential([rows, layers.Lambda(lambda x: x * 2)]).save(folder / "lambda.keras")
    words = layers.TextVectorization()
    words.adapt(["sun and rain"])
    text = layers.Input((1,), dtype="string")
    keras.Sequential([text, words]).save(folder / "words.keras")
    return folder


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder to work in, and every framework an import error: who wants one is caught."""
    for name in FRAMEWORKS:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(path: Path) -> TagshipError:
    """How a file is refused, the same by the smoke test and by ``load``'s door."""
    loader = loaders.need(path)
    with pytest.raises((Refused, Corrupt)) as caught:
        loaders.load(loader, path)
    with pytest.raises(type(caught.value)) as again:
        selftest.check(path, None)
    assert again.value.message == caught.value.message
    return caught.value


# --- another kind of file under a good name


def _zipped(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        zipped.writestr(name, data)
    return buffer.getvalue()


PICKLES = {f"protocol {number}": pickle.dumps(Trap(), number) for number in range(6)}
PACKED = {
    "gzip": gzip.compress(PICKLES["protocol 4"]),
    "zlib": zlib.compress(PICKLES["protocol 4"], 3),
    "zlib 9": zlib.compress(PICKLES["protocol 4"], 9),
    "bz2": bz2.compress(PICKLES["protocol 4"]),
    "xz": lzma.compress(PICKLES["protocol 4"]),
    "lzma": lzma.compress(PICKLES["protocol 4"], lzma.FORMAT_ALONE),
}
A_PICKLE, COMPRESSED = "a pickle", "compressed data, as joblib writes it"
DISGUISES = {
    **{name: (data, A_PICKLE) for name, data in PICKLES.items()},
    "protocol 0 of a list": (pickle.dumps([Trap()], 0), A_PICKLE),
    **{name: (data, COMPRESSED) for name, data in PACKED.items()},
    "HDF5": (HDF5, "HDF5"),
    "another text": (b"import os\n", "nothing known"),
    "random bytes": (b"\x00\x01\x02\x03" * 9, "nothing known"),
}


@pytest.mark.parametrize("suffix", [".cbm", ".keras"])
@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_file_that_is_not_what_its_name_says_reaches_no_framework(
    blocked: Path, suffix: str, disguise: str
) -> None:
    data, what = DISGUISES[disguise]
    path = blocked / f"model{suffix}"
    path.write_bytes(data)
    error = refusal(path)
    kind = {".cbm": "CatBoost model", ".keras": "Keras 3 model"}[suffix]
    assert error.message == f"{path.name} is not a {kind}: it begins like {what}"
    assert isinstance(error, Corrupt if what == "nothing known" else Refused)
    assert error.hint.startswith("save the model in that format: model.save")
    assert not (blocked / "trap").exists()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("model.cbm", _zipped("data.pkl", PICKLES["protocol 4"]),
         "model.cbm is not a CatBoost model: it begins like a zip archive"),
        ("model.keras", _zipped("data.pkl", PICKLES["protocol 4"]),
         "model.keras is not as Keras 3 writes a model: 'data.pkl' does not belong in it"),
        ("model.keras", b"CBM1\x00\x00\x00\x00",
         "model.keras is not a Keras 3 model: it begins like a CatBoost model"),
        ("model.cbm", b"", "model.cbm is empty"),
        ("model.keras", b"", "model.keras is empty"),
        ("model.cbm", b"CBM1", "model.cbm is cut short"),
        ("model.keras", b"PK\x03\x04" + bytes(40),
         "model.keras is not as Keras 3 writes a model: it is damaged"),
    ],
)  # fmt: skip
def test_so_does_none_of_these(blocked: Path, name: str, data: bytes, message: str) -> None:
    path = blocked / name
    path.write_bytes(data)
    if message.endswith("cut short"):
        path.write_bytes(b"CBM1\x10\x00\x00\x00" + bytes(15))
    assert refusal(path).message == message


@pytest.mark.parametrize("name", ["model.cbm", "model.keras"])
def test_a_folder_is_no_model_file(blocked: Path, name: str) -> None:
    """Keras would load a folder with a config.json in it."""
    (blocked / name).mkdir()
    (blocked / name / "config.json").write_text("{}")
    assert refusal(blocked / name).message == f"{name} is not a regular file"


# --- archives that are nearly a Keras model

Member = tuple[str, bytes]
CONFIG: Member = ("config.json", b"{}")
METADATA: Member = ("metadata.json", b'{"keras_version": "3.15.1"}')
WEIGHTS: Member = ("model.weights.h5", HDF5)
GOOD: tuple[Member, ...] = (METADATA, CONFIG, WEIGHTS)


def pack(
    path: Path,
    *members: Member,
    change: Callable[[zipfile.ZipInfo], None] = lambda member: None,
    method: int = zipfile.ZIP_STORED,
) -> Path:
    """An archive of these members; ``change`` is given each before it is written."""
    with zipfile.ZipFile(path, "w", method) as zipped:
        for name, data in members:
            member = zipfile.ZipInfo(name)
            member.compress_type = method
            change(member)
            zipped.writestr(member, data)
    return path


def renamed(path: Path, old: bytes, new: bytes) -> Path:
    """The same archive with other names of the same length in its headers."""
    path.write_bytes(path.read_bytes().replace(old, new))
    return path


def test_an_archive_with_the_members_of_keras_passes(tmp_path: Path) -> None:
    archive.check(pack(tmp_path / "m.keras", *GOOD))
    archive.check(pack(tmp_path / "packed.keras", *GOOD, method=zipfile.ZIP_DEFLATED))
    words = ("assets/layers/text/vocabulary.txt", b"sun\n")
    archive.check(pack(tmp_path / "words.keras", *GOOD, words))


@pytest.mark.parametrize(
    "name",
    [
        "../evil.py", "assets/../../vocabulary.txt", "assets/a/../vocabulary.txt", "/etc/passwd",
        "assets//vocabulary.txt", "C:/vocabulary.txt", "assets\\..\\vocabulary.txt", "extra",
        "assets/", "assets/vocabulary.txt", "assets/a/evil.py", "assets/a/data.pkl",
        "assets/a/vocabulary.txt/", "assets/.git/vocabulary.txt", "assets/a\n/vocabulary.txt",
        "Config.json", "CONFIG.JSON", "config.json ", "./config.json", "model.weights.npz",
        "model.weights.h5/x", "__MACOSX/config.json",
    ],
)  # fmt: skip
def test_a_member_of_another_name_is_refused(blocked: Path, name: str) -> None:
    path = pack(blocked / "model.keras", *GOOD, (name, b"x"))
    error = refusal(path)
    assert error.message == (
        f"model.keras is not as Keras 3 writes a model: {name!r} does not belong in it"
    )
    assert error.hint == HINT


def _link(member: zipfile.ZipInfo) -> None:
    if member.filename == "config.json":
        member.external_attr = (stat.S_IFLNK | 0o777) << 16


def _device(member: zipfile.ZipInfo) -> None:
    if member.filename == "config.json":
        member.external_attr = (stat.S_IFIFO | 0o666) << 16


def _lied(path: Path, *, directory: bool, local: bool, by: int) -> Path:
    """Another unpacked size of the weights in the directory, in their own header, or in both."""
    data = bytearray(path.read_bytes())
    size = struct.pack("<I", len(HDF5))
    for magic, offset, applies in ((b"PK\x03\x04", 22, local), (b"PK\x01\x02", 24, directory)):
        place = data.rfind(magic) + offset
        assert data[place : place + 4] == size
        if applies:
            data[place : place + 4] = struct.pack("<I", len(HDF5) + by)
    path.write_bytes(data)
    return path


DEFLATED, TOO = zipfile.ZIP_DEFLATED, "is packed in a way that Keras does not use"
ZEROS: Member = ("model.weights.h5", HDF5 + bytes(1 << 20))
ARCHIVES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "one is missing": (lambda p: pack(p, METADATA, CONFIG), "'model.weights.h5' is missing"),
    "one twice": (
        lambda p: renamed(pack(p, *GOOD, ("cOnfig.json", b"{}")), b"cOnfig.json", b"config.json"),
        "'config.json' is in it 2 times",
    ),
    "two that differ in case": (
        lambda p: pack(p, *GOOD, *((f"assets/{letter}/vocabulary.txt", b"") for letter in "aA")),
        "two of its names differ in case alone",
    ),
    "a name with a NUL": (
        lambda p: renamed(pack(p, METADATA, ("config.jsonXpkl", b"{}"), WEIGHTS),
                          b"config.jsonXpkl", b"config.json\0pkl"),
        "'config.json\\x00pkl' does not belong in it",
    ),
    "a link": (lambda p: pack(p, *GOOD, change=_link), "'config.json' is not a regular file"),
    "a pipe": (lambda p: pack(p, *GOOD, change=_device), "'config.json' is not a regular file"),
    "packed by bzip2": (
        lambda p: pack(p, *GOOD, method=zipfile.ZIP_BZIP2), f"'metadata.json' {TOO}"
    ),
    "packed by lzma": (lambda p: pack(p, *GOOD, method=zipfile.ZIP_LZMA), f"'metadata.json' {TOO}"),
    "weights that are a pickle": (
        lambda p: pack(p, METADATA, CONFIG, ("model.weights.h5", PICKLES["protocol 4"])),
        "'model.weights.h5' is something else",
    ),
    "packed weights that are a pickle": (
        lambda p: pack(p, METADATA, CONFIG, ("model.weights.h5", PICKLES["protocol 4"]),
                       method=DEFLATED),
        "'model.weights.h5' is something else",
    ),
    "a config that is a pickle": (
        lambda p: pack(p, METADATA, ("config.json", PICKLES["protocol 0"]), WEIGHTS),
        "'config.json' is something else",
    ),
    "a bomb": (
        lambda p: pack(p, METADATA, CONFIG, ZEROS, method=DEFLATED),
        "'model.weights.h5' unpacks to more than 100 times its size",
    ),
    "a bomb that says it is small": (
        lambda p: _lied(pack(p, METADATA, CONFIG, WEIGHTS, method=DEFLATED),
                        directory=True, local=True, by=-1),
        "'model.weights.h5' unpacks to another size than it says",
    ),
    "less than it says": (
        lambda p: _lied(pack(p, METADATA, CONFIG, WEIGHTS, method=DEFLATED),
                        directory=True, local=True, by=1),
        "'model.weights.h5' unpacks to another size than it says",
    ),
    "stored, and another size": (
        lambda p: _lied(pack(p, *GOOD), directory=True, local=True, by=-1),
        "'model.weights.h5' has another size than it says",
    ),
    "the directory alone lies": (
        lambda p: _lied(pack(p, *GOOD), directory=True, local=False, by=-1),
        "'model.weights.h5' has two headers that differ",
    ),
    "the header alone lies": (
        lambda p: _lied(pack(p, *GOOD), directory=False, local=True, by=-1),
        "'model.weights.h5' has two headers that differ",
    ),
    "bytes between": (
        lambda p: _with_a_gap(pack(p, *GOOD)), "there are bytes between its members"
    ),
    "bytes before": (
        lambda p: _joined(_zipped("x", b"") + PICKLES["protocol 4"], pack(p, *GOOD)),
        "'metadata.json' does not lie where the one before it ends",
    ),
    "bytes behind": (
        lambda p: _joined(pack(p, *GOOD), PICKLES["protocol 4"]), "there are bytes behind it"
    ),
    "a comment": (lambda p: _commented(pack(p, *GOOD)), "there are bytes behind it"),
    "cut short": (lambda p: _cut(pack(p, *GOOD)), "it is damaged"),
    "garbage where a packed member is": (
        lambda p: _garbled(pack(p, METADATA, CONFIG, WEIGHTS, method=DEFLATED)), "it is damaged"
    ),
}  # fmt: skip


def _with_a_gap(path: Path) -> Path:
    """A pickle hidden between the last member and the directory."""
    data = path.read_bytes()
    place = data.index(b"PK\x01\x02")
    hidden = PICKLES["protocol 4"]
    end = bytearray(data[place:])
    end[-6:-2] = struct.pack("<I", place + len(hidden))
    path.write_bytes(data[:place] + hidden + end)
    return path


def _joined(first: Path | bytes, second: Path | bytes) -> Path:
    """A file before or behind an archive, in the archive's place."""
    parts = [part if isinstance(part, bytes) else part.read_bytes() for part in (first, second)]
    path = first if isinstance(first, Path) else second
    assert isinstance(path, Path)
    path.write_bytes(b"".join(parts))
    return path


def _commented(path: Path) -> Path:
    with zipfile.ZipFile(path, "a") as zipped:
        zipped.comment = PICKLES["protocol 4"]
    return path


def _cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-30])
    return path


def _garbled(path: Path) -> Path:
    data = path.read_bytes()
    place = data.index(b"model.weights.h5") + len("model.weights.h5")
    path.write_bytes(data[:place] + b"\xff" * 4 + data[place + 4 :])
    return path


@pytest.mark.parametrize("case", ARCHIVES)
def test_an_archive_that_keras_did_not_write_is_refused(blocked: Path, case: str) -> None:
    make, what = ARCHIVES[case]
    error = refusal(make(blocked / "model.keras"))
    assert error.message == f"model.keras is not as Keras 3 writes a model: {what}"
    assert isinstance(error, Refused)


def test_members_that_share_their_bytes_are_refused(blocked: Path) -> None:
    """David Fifield's bomb: many entries of the directory, one packed member behind all of them."""
    path = pack(blocked / "model.keras", *GOOD)
    data = bytearray(path.read_bytes())
    place = data.rfind(b"PK\x01\x02")
    data[place + 42 : place + 46] = bytes(4)  # the weights lie where metadata.json lies
    path.write_bytes(data)
    assert "'model.weights.h5' does not lie where the one before it ends" in refusal(path).message


def _says(name: str, size: int, packed: int) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.file_size, member.compress_size = size, packed
    return member


@pytest.mark.parametrize(
    ("member", "what"),
    [
        (_says("model.weights.h5", 65 << 30, 1 << 30), "it unpacks to 69,793,218,560 bytes"),
        (_says("model.weights.h5", 101, 1), "'model.weights.h5' unpacks to more than 100 times its"
                                            " size"),
        (_says("config.json", 65 << 20, 1 << 20), "'config.json' has 68,157,440 bytes"),
        (_says("config.json", 5, 9 << 30), "'config.json' says that it is larger than the archive"),
        (_says("model.weights.h5", 64 << 30, 1 << 30), ""),
    ],
)  # fmt: skip
def test_what_an_archive_may_unpack_to_has_limits(member: zipfile.ZipInfo, what: str) -> None:
    assert archive.sizes([member], 8 << 30) == what


def test_an_archive_has_no_endless_list_of_members() -> None:
    many = [f"assets/{number}/vocabulary.txt" for number in range(archive.MAX_MEMBERS)]
    assert archive.names([*archive.BEGINNINGS, *many]) == "it has too many members"
    assert archive.names([*archive.BEGINNINGS, *many[:-3]]) == ""


# --- real files, and what a host does with them


def test_real_models_are_loaded(models: Path) -> None:
    for name in ("model.cbm", "model.keras", "words.keras"):
        assert selftest.check(models / name, None).verdict == "passed"


def test_a_real_archive_that_was_packed_again_is_loaded(models: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(models / "words.keras") as zipped:
        members = [(name, zipped.read(name)) for name in zipped.namelist()]
    path = pack(tmp_path / "packed.keras", *members, method=zipfile.ZIP_DEFLATED)
    assert selftest.check(path, None).verdict == "passed"


@pytest.mark.parametrize("version", ["3.13.1", "3.12.0", "3.9", "2.15.0", ""])
def test_an_old_keras_gets_no_file(
    models: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    import keras

    monkeypatch.setattr(keras, "__version__", version)
    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("was given it"))
    error = refusal(models / "model.keras")
    assert error.message == f"Keras {version} may run code that is in a model file"
    assert error.hint == 'pip install "keras>=3.13.2"'


@pytest.mark.parametrize("version", ["3.13.2", "3.14.0.dev1", "4.0"])
def test_a_newer_keras_gets_it(models: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    import keras

    monkeypatch.setattr(keras, "__version__", version)
    assert selftest.check(models / "model.keras", None).verdict == "passed"


def test_safe_mode_stays_on_where_a_program_turned_it_off(models: Path) -> None:
    """``enable_unsafe_deserialization`` is stronger than the argument ``safe_mode=True``."""
    import keras
    from keras.src.backend.common import global_state

    keras.config.enable_unsafe_deserialization()
    try:
        with pytest.raises(SelfTestFailed, match=r"lambda\.keras does not load: .*[Ll]ambda"):
            selftest.check(models / "lambda.keras", None)
    finally:
        global_state.set_global_attribute("safe_mode_saving", None)


def _release(bench: Workbench, source: Path | bytes, name: str) -> None:
    target = bench.folder / name
    target.unlink(missing_ok=True)
    if isinstance(source, bytes):
        target.write_bytes(source)
    else:
        shutil.copyfile(source, target)
    (bench.repo / "dvc.yaml").write_text(f"artifacts:\n  churn:\n    path: models/churn/{name}\n")
    bench.commit()
    bench.manager.release()


@pytest.mark.parametrize("name", ["model.cbm", "model.keras"])
def test_a_pickle_in_disguise_never_goes_live_and_is_never_loaded(
    bench: Workbench, models: Path, name: str
) -> None:
    """In a deploy, ``self-test``'s question, an export and ``load``, live or not."""
    _release(bench, models / "model.cbm", "model.cbm")
    bench.manager.deploy()
    live = bench.current.readlink()
    _release(bench, PACKED["zlib"], name)
    kind = {"model.cbm": "CatBoost model", "model.keras": "Keras 3 model"}[name]
    said = f"{name} is not a {kind}: it begins like {COMPRESSED}"
    with pytest.raises(Refused) as caught:
        bench.manager.deploy()
    assert caught.value.message == said
    assert bench.current.readlink() == live
    with pytest.raises(Refused, match="it begins like compressed data"):
        bench.manager.export(["cyclonedx"], target=bench.repo.parent / "out")
    bench.cli("deploy", "churn", "--yes", "--no-smoke-test")
    with pytest.raises(Refused) as caught:
        bench.manager.self_test()
    assert caught.value.message == said
    with pytest.raises(TagshipError, match="begins like compressed data, as joblib writes it; and"):
        load("churn", bench.repo)
    assert list(bench.repo.rglob("trap")) == []


def test_a_refused_file_costs_no_import_of_its_framework(tmp_path: Path) -> None:
    for name in ("model.cbm", "model.keras"):
        (tmp_path / name).write_bytes(PICKLES["protocol 5"])
    code = (
        "import sys, json, contextlib; from pathlib import Path\n"
        "from tagship.loaders import selftest\n"
        "for name in ('model.cbm', 'model.keras'):\n"
        "    with contextlib.suppress(Exception): selftest.check(Path(name), None)\n"
        "print(json.dumps([m for m in sys.argv[1:] if m in sys.modules]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, *FRAMEWORKS, "numpy"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(result.stdout) == []


def test_a_loader_of_another_package_needs_no_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Plain:
        """The Protocol as it was before."""

        framework, suffixes, safe, requirement = "plain", (".plain",), True, "plain"

        def load(self, path: Path) -> str:
            return path.read_text()

        def describe(self, model: str) -> dict[str, Any]:
            return {"length": len(model)}

        def predict(self, model: str, inputs: Any) -> Any:
            return inputs

        def accepts(self, model: object) -> bool:
            return False

        def save(self, model: str, path: Path) -> None:
            path.write_text(model)

    monkeypatch.setattr(loaders, "known", lambda: (Plain(),))
    (tmp_path / "model.plain").write_text("abc")
    assert selftest.check(tmp_path / "model.plain", None).architecture == {"length": 3}
