"""The table: what a repository holds, and what ``deploy`` makes of it."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.hostile.sandbox import Sandbox
from tests.workbench import PATH

Spoil = Callable[[Sandbox], None]
OLD, NEW = "model 2\n", "model 3\n"  # of 1.1.0 and of 1.2.0


@dataclass(frozen=True)
class Case:
    """One hostile repository.

    Attributes:
        name: what is hostile.
        spoil: makes it so.
        refused: a piece of the error of ``deploy``; None where it goes on as if nothing were there.
        live: what is then live.
        reads: whether the commands that read go on too; None where some of them cannot.
        swept: one of many values in one place, after which only two commands that read are run.
        process: ``deploy`` runs in a process of its own: the case is about what one imports, what
            its environment holds, or which programs it starts.
    """

    name: str
    spoil: Spoil
    refused: str | None = None
    live: str = OLD
    reads: bool | None = True
    swept: bool = False
    process: bool = False


CASES: list[Case] = []


def case(
    name: str,
    refused: str | None = None,
    live: str = OLD,
    reads: bool | None = True,
    *,
    process: bool = False,
) -> Callable[[Spoil], Spoil]:
    """Put a function into the table."""

    def keep(spoil: Spoil) -> Spoil:
        CASES.append(Case(name, spoil, refused, live, reads, process=process))
        return spoil

    return keep


def rows(
    form: str, values: Iterable[Any], spoil: Callable[[Sandbox, Any], None], **expected: Any
) -> None:
    """The same with many values: a case each."""
    for value in values:
        told = repr(value) if len(repr(value)) < 50 else f"{repr(value)[:40]}..."
        CASES.append(Case(f"{form} {told}", partial(_spoil, spoil, value), swept=True, **expected))


def _spoil(spoil: Callable[[Sandbox, Any], None], value: Any, box: Sandbox) -> None:
    spoil(box, value)


def _committed(
    name: str, form: str = "{}", *, empty: bool = False
) -> Callable[[Sandbox, Any], None]:
    """A file of that text, committed; where ``empty``, DVC's cache lacks every object."""

    def spoil(box: Sandbox, text: Any) -> None:
        box.write(name, text if isinstance(text, bytes) else form.replace("{}", text))
        box.commit()
        if empty:
            shutil.rmtree(box.repo / ".dvc/cache")

    return spoil


# --- names of models


def _named(box: Sandbox, name: Any) -> None:
    """Another model of that name, a released version of it where Git takes such a tag."""
    both = {"churn": {"path": PATH}, str(name): {"path": PATH}}
    box.write("dvc.yaml", json.dumps({"artifacts": both}))
    box.commit()
    words = ["git", "update-ref", f"refs/tags/{name}@v1.0.0", "churn@v1.0.0"]
    subprocess.run(words, cwd=box.repo, capture_output=True, check=False)


rows(
    "a model of the name",
    ["../up", "/etc/up", ".git", ".GIT", ".git ", ".g\u200cit", "git~1/x", "a\nb", "a\x1b[2Jb",
     "m" * 300, "\u0441hurn", "-x", "--help", "..", "a/../../b", "x:../../y", "%2e%2e", ""],
    _named,
)  # fmt: skip


# --- tags


@case("a tag that begins with a dash")
def _(box: Sandbox) -> None:
    box.ref("refs/tags/-x@v1.0.0", box.head())
    box.ref("refs/tags/--upload-pack=x@v1.0.0", box.head())


@case("a tag that leads out of Git's own folder", reads=None)
def _(box: Sandbox) -> None:
    box.ref("refs/tags/../x@v1.0.0", box.head())


@case("tags that Git would not make: control characters, a lock")
def _(box: Sandbox) -> None:
    for name in ("churn@v9.0.0\x1b[2J", "churn@v9.0.0.lock", "churn@v9.0.0\x7f"):
        box.ref(f"refs/tags/{name}", box.head())


@case("a version of 5000 digits")
def _(box: Sandbox) -> None:
    for version in ("9" * 5000 + ".0.0", "1.2.0-" + "9" * 5000, "1.2.0-" + "a." * 2000 + "a"):
        box.ref(f"refs/tags/churn@v{version}", box.head())


@case("a counter of 200 digits", live=NEW)
def _(box: Sandbox) -> None:
    box.write("README", "x")
    _train(box)
    box.bench.git("tag", "--annotate", "--message=x", "churn@v1.2.0#" + "9" * 200)


@case("a message of 64 KB, without an end of line", live=NEW)
def _(box: Sandbox) -> None:
    box.tag_object(b"m" * 65536, _train(box))


@case("a message with control characters, bad UTF-8 and line ends of all kinds", live=NEW)
def _(box: Sandbox) -> None:
    box.tag_object(b"\x1b]0;x\x07\x1b[2J\r\x85\xff\xfe\xe2\x80\xa8\n\n\x9b31m", _train(box))


@case("a message with a NUL")
def _(box: Sandbox) -> None:
    box.tag_object(b"one\0two\0three", _train(box))
    box.bench.git("tag", "-d", "churn@v1.2.0")  # what Git makes of it is its own affair


@case("trailers that are no numbers and no end of brackets", live=NEW)
def _(box: Sandbox) -> None:
    text = "x\n\nSize: " + "9" * 6000 + "\nMetrics: " + "[" * 100_000 + "\n"
    box.tag_object(text.encode(), _train(box))


@case("trailers of the wrong kinds", live=NEW)
def _(box: Sandbox) -> None:
    box.tag_object(
        b'x\n\nSize: \xc2\xb2\nMetrics: {"a": [1], "b": {"c": NaN}, "": null}\n', _train(box)
    )


@case("a lightweight tag")
def _(box: Sandbox) -> None:
    box.bench.git("tag", "churn@v1.2.0", box.commit())


@case("a tag of a blob")
def _(box: Sandbox) -> None:
    box.tag_object(b"x", box.bench.git("rev-parse", "HEAD:README").strip(), "blob")


@case("a tag of a tree")
def _(box: Sandbox) -> None:
    box.tag_object(b"x", box.bench.git("rev-parse", "HEAD^{tree}").strip(), "tree")


@case("a tag whose commit is missing, as in a shallow clone", "missing object", reads=None)
def _(box: Sandbox) -> None:
    box.tag_object(b"x", "1" * 40)


@case("a ref that names a tag of another name")
def _(box: Sandbox) -> None:
    box.bench.git("symbolic-ref", "refs/tags/wine@v1.0.0", "refs/tags/churn@v1.0.0")
    box.bench.git("symbolic-ref", "refs/tags/churn@v7.0.0", "refs/heads/main")
    box.bench.git("symbolic-ref", "refs/tags/churn@v8.0.0", "refs/tags/nowhere")


@case("a tag file of rubbish")
def _(box: Sandbox) -> None:
    for name, text in {"churn@v7.0.0": "", "churn@v8.0.0": "rubbish\n"}.items():
        (box.repo / ".git/refs/tags" / name).write_text(text)


@case("a commit of the year ten billion", "is out of range", reads=None)
def _(box: Sandbox) -> None:
    tree = box.bench.git("rev-parse", "HEAD^{tree}").strip()
    who = "Ada <ada@example.com> 99999999999999999 +0000"
    text = f"tree {tree}\nparent {box.head()}\nauthor {who}\ncommitter {who}\n\nx\n"
    box.tag_object(b"x", box.loose("commit", text.encode()))


@case("a commit whose subject holds what Python takes for line ends", live=NEW)
def _(box: Sandbox) -> None:
    box.bench.git("commit", "--quiet", "--allow-empty", "--message", "a\x0cb\u2028c\x1ed\x85e")
    box.tag_object(b"x", _train(box))


@case(
    "a commit that says it is in UTF-16",
    "date of commit .* is out of range|cannot show",
    reads=None,
)
def _(box: Sandbox) -> None:
    box.bench.git("config", "i18n.commitEncoding", "UTF-16LE")
    box.tag_object(b"x", _train(box))


@case("Git is told to print UTF-16")
def _(box: Sandbox) -> None:
    for name in ("i18n.logOutputEncoding", "i18n.commitEncoding", "gui.encoding"):
        box.git_config(name, "UTF-16")


def _train(box: Sandbox) -> str:
    """What an honest author would release; its commit."""
    box.write(PATH, NEW)
    digest = box.stored(NEW.encode())
    box.write(f"{PATH}.dvc", f"outs:\n- md5: {digest}\n  hash: md5\n  size: 8\n  path: model.bin\n")
    return box.commit()


# --- paths of artifacts


def _declared(box: Sandbox, entry: Any) -> None:
    box.write("dvc.yaml", json.dumps({"artifacts": {"churn": entry}}))
    box.release()


def _placed(box: Sandbox, path: Any) -> None:
    _declared(box, {"path": path})


rows(
    "an artifact at",
    ["../x", "/etc/passwd", "a/../../x", ".git/config", ".dvc/config", ".GIT/config", ".git./x",
     ".git ./config", ".g\u200cit/config", "git~1/config", ".git::$INDEX_ALLOCATION/config", "",
     ".", "/", "C:/x", "\\\\host\\x", "a\0b", "a\nb", "a\x1b[2Jb", "a\x9bb", "x" * 256, "${HOME}"],
    _placed, refused="is not a path in the repository|has no path|cannot be resolved", reads=None,
)  # fmt: skip
rows(
    "an artifact at",
    ["models/churn/current/..", "models/churn", "models", "models/churn/versions/x",
     "models/churn/.tagship/lock", "models/churn/current/model.bin", "nowhere/at/all",
     "models/wine/versions/v1.0.0_20261120_120000/model.bin", "*", ":(glob)**", "--help"],
    _placed,
    refused="is where versions of churn are deployed|is tracked by neither|is a link or a sub"
    "|is not a path", reads=None,
)  # fmt: skip
rows(
    "an artifact whose entry is",
    [None, 7, [], "x", {"path": 7}, {"path": ["x"]}, {"path": PATH, "labels": 7},
     {"path": PATH, "meta": {"self_test": 7}}, {"path": PATH, "meta": {"self_test": "../x"}},
     {"path": PATH, "meta": {"self_test": "/dev/zero"}}],
    _declared,
    refused="has no path|labels is not a list|self_test is not a path|is not a path in",
    reads=None,
)  # fmt: skip


def _git_folder(box: Sandbox) -> None:
    box.write("plain/model.bin", "x")
    box.write("dvc.yaml", "artifacts:\n  churn:\n    path: plain/model.bin\n")


@case("an artifact that is a link in the tree", "is a link or a submodule", reads=None)
def _(box: Sandbox) -> None:
    _git_folder(box)
    box.link("plain/model.bin", "/etc/passwd")
    box.release()


@case("an artifact below a link in the tree", "is tracked by neither", reads=None)
def _(box: Sandbox) -> None:
    _git_folder(box)
    box.link("plain", box.victim)
    box.release()


@case("an artifact that is a submodule", "is a link or a submodule", reads=None)
def _(box: Sandbox) -> None:
    box.write("dvc.yaml", "artifacts:\n  churn:\n    path: plain\n")
    box.write(".gitmodules", '[submodule "x"]\n\tpath = plain\n\turl = ext::sh -c touch% x\n')
    box.bench.git("update-index", "--add", "--cacheinfo", f"160000,{box.head()},plain")
    box.bench.git("add", ".gitmodules", "dvc.yaml")
    box.bench.git("commit", "--quiet", "--message", "x")
    box.bench.git("tag", "--annotate", "--message=x", "churn@v1.2.0")


@case("a self-test beside the model under its name", "would be named model.bin", reads=None)
def _(box: Sandbox) -> None:
    entry = {"path": PATH, "meta": {"self_test": "other/model.bin"}}
    box.write("dvc.yaml", json.dumps({"artifacts": {"churn": entry}}))
    box.release()


@case("a model of the name metadata.json", "which is tagship's own", reads=None)
def _(box: Sandbox) -> None:
    _placed(box, "x/metadata.json")


@case("a name in Git that is no UTF-8", "is not a valid path in a version", reads=None)
def _(box: Sandbox) -> None:
    (box.repo / "plain").mkdir()
    name = box.repo / "plain" / b"\xff\xfe".decode("utf-8", "surrogateescape")
    name.write_text("x")
    _placed(box, "plain")


# --- lists of files


rows(
    "a list with a file at",
    ["../x", "../../../../victim/file", "/etc/x", "a/../../x", ".git/hooks/post-checkout",
     ".GIT/config", ".dvc/config", ".g\u200bit/x", "git~1/x", ".git /x", "a\\..\\..\\x", "", ".",
     "a//b", "a/", "a\0b", "a\nb", "\x1b]0;x\x07", "\x9b2J", "\ud800", "y" * 256, "z/" * 3000,
     "C:\\x", None, 7, ["x"], {"a": 1}],
    lambda box, path: box.listed([box.entry("good"), box.entry(path)]),
    refused="is not a valid path in a version|cannot be read", reads=None,
)  # fmt: skip
rows(
    "a list of the bytes",
    [b"", b"{}", b"null", b"[7]", b"[[]]", b'["x"]', b"\xff\xfe", b"[" * 200_000,
     b'[{"relpath": "x"}]', b'[{"md5": "d41d8cd98f00b204e9800998ecf8427e"}]', b"\x80\x04K\x01."],
    lambda box, data: box.listed(data),
    refused="cannot be read|is an empty folder|which DVC tracks", reads=None,
)  # fmt: skip
rows(
    "a list with the digest",
    ["", "../../../../victim/file", "x" * 32, "D" * 32, "a" * 31, "a" * 33, "a" * 32 + ".dir",
     "/etc/passwd", None, 7, ["a" * 32]],
    lambda box, md5: box.listed([{"md5": md5, "relpath": "x"}]),
    refused="cannot be read", reads=None,
)  # fmt: skip


@case("a list that names a file twice", "two things of the name 'x'", reads=None)
def _(box: Sandbox) -> None:
    box.listed([box.entry("x"), box.entry("x", b"second\n")])


@case("a list with a file and a folder of one name", "two things of the name 'x'", reads=None)
def _(box: Sandbox) -> None:
    box.listed([box.entry("x/y/z"), box.entry("x")])


@case("a list of 100,000 entries that all are one object which is not there", "neither", reads=None)
def _(box: Sandbox) -> None:
    shutil.rmtree(box.top / "dvc-remote/files", ignore_errors=True)
    box.listed([{"md5": "a" * 32, "relpath": f"{n // 1000}/{n}"} for n in range(100_000)])


@case("a list in which a file is a list again", live="[]")
def _(box: Sandbox) -> None:
    box.listed([box.entry("inner.dir", b"[]")])


# --- the files that DVC reads

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{two}: &{two} [{', '.join([f'*{one}'] * 9)}]\n"
    for one, two in zip("abcdefghij", "bcdefghijk", strict=True)
)
MERGE_BOMB = "a: &a {x: 1}\n" + "".join(
    f"{two}: &{two} {{<<: [{', '.join([f'*{one}'] * 9)}]}}\n"
    for one, two in zip("abcdefghij", "bcdefghijk", strict=True)
)
YAMLS: list[Any] = [
    "a: &a\n  b: *a\n",
    "[" * 10_000,
    "{a: " * 10_000,
    "- " * 10_000,
    "x: !!python/object/apply:os.system ['touch /tmp/x']\n",
    "x: !!python/name:os.system\n",
    "x: !<tag:yaml.org,2002:python/object/new:os.system> [x]\n",
    "x: 1\nx: 2\n",
    "\x00\x01\x02",
    b"\x80\x04\x95binary",
    b"\xff\xfex\x00",
    "7",
    "[]",
    "x: *nowhere\n",
    "%YAML 9.9\n---\nx: 1\n",
    "? [a, b]\n: c\n",
    "x: " + "9" * 5000,
    "&a *a",
    "\t",
]


def _yaml(name: str) -> Callable[[Sandbox, Any], None]:
    def spoil(box: Sandbox, text: Any) -> None:
        box.write(name, text)
        box.release()

    return spoil


_UNREADABLE = (
    "is not valid YAML|is not UTF-8|is not a YAML mapping|is not of DVC's form|declares no model"
)
rows("dvc.yaml is", YAMLS, _yaml("dvc.yaml"), refused=_UNREADABLE, reads=None)
rows("the model's .dvc is", YAMLS[:9], _yaml(f"{PATH}.dvc"), refused=_UNREADABLE + "|is tracked by"
     " neither", reads=None)  # fmt: skip
rows("dvc.lock is", YAMLS[1:5], _yaml("dvc.lock"), refused=_UNREADABLE, reads=None)
rows(
    "the model's .dvc says",
    ["outs: 7", "outs: [7]", "outs: {a: 1}", "outs: [{path: model.bin, md5: {a: 1}}]",
     "outs: [{path: [x], md5: " + "a" * 32 + "}]", "outs: [{path: model.bin, md5: ../../../x}]",
     "outs: [{path: model.bin, md5: abc}]", "outs: [{path: model.bin, md5: .dir}]",
     "outs: [{path: model.bin, md5: " + "a" * 32 + ", size: [1]}]",
     "outs: [{path: model.bin, md5: " + "a" * 32 + ", size: -1}]",
     "outs: [{path: model.bin, md5: " + "a" * 32 + ", remote: {a: 1}}]",
     "outs: [{path: model.bin, md5: " + "a" * 32 + ", remote: --x}]",
     "wdir: /etc\nouts: [{path: model.bin, md5: " + "a" * 32 + "}]",
     "wdir: [1]\nouts: [{path: model.bin, md5: " + "a" * 32 + "}]",
     "outs: [{path: model.bin, md5: " + "a" * 32 + ", hash: [1], isexec: [1]}]"],
    lambda box, text: box.pointed(str(text)),
    refused="is not of DVC's form|for an md5|is tracked by neither|in neither the DVC cache"
    "|remote '--x' doesn't exist", reads=None,
)  # fmt: skip
rows(
    "dvc.lock says",
    ["stages: 7", "stages: [x]", "stages: {x: 7}", "stages: {7: {}}", "stages: {x: {outs: 7}}",
     "stages: {x: {outs: [7]}}", "stages: {x: {outs: [{path: 7}]}}", "stages: {x: {deps: ab}}",
     "stages: {x: {cmd: [7]}}", "stages: {x: {params: 7}}", "stages: {x: {params: {a: 7}}}"],
    _yaml("dvc.lock"), refused="is not of DVC's form", reads=None,
)  # fmt: skip


@case("dvc.yaml has a byte order mark")
def _(box: Sandbox) -> None:
    box.write("dvc.yaml", b"\xef\xbb\xbf" + (box.repo / "dvc.yaml").read_bytes())
    box.release()


@case("dvc.yaml has aliases upon aliases (a billion laughs)", "is not valid YAML", reads=None)
def _(box: Sandbox) -> None:
    box.write("dvc.yaml", BOMB + (box.repo / "dvc.yaml").read_text())
    box.release()


@case("params.yaml has aliases upon aliases", "params.yaml is not valid YAML", reads=None)
def _(box: Sandbox) -> None:
    box.write("params.yaml", BOMB)
    box.release()


@case("params.yaml merges upon merges", "params.yaml is not valid YAML", reads=None)
def _(box: Sandbox) -> None:
    box.write("params.yaml", MERGE_BOMB)
    box.release()


@case("params.yaml has a number of 20,000 digits", "params.yaml is not valid YAML", reads=None)
def _(box: Sandbox) -> None:
    box.write("params.yaml", "train:\n  depth: 0x" + "f" * 20_000 + "\n")
    box.release()


@case("metrics.json has 100,000 brackets", "is not valid JSON", reads=None)
def _(box: Sandbox) -> None:
    box.write("metrics.json", "[" * 100_000)
    box.release()


# --- templates in dvc.yaml


def _templated(box: Sandbox, declared: Any) -> None:
    box.write("dvc.yaml", json.dumps({"artifacts": {"churn": {"path": "${p}"}}, **declared}))
    box.release()


def _param(box: Sandbox, value: Any) -> None:
    box.write("params.yaml", json.dumps({"p": value}))
    _templated(box, {})


rows(
    "a template that stands for",
    ["../x", "/etc/passwd", ".git/config", "${p}", "a\x1b[2Jb", "", "x" * 70_000, 7, None, ["a"],
     {"a": 1}],
    _param,
    refused="is not a path in the repository|has no path|cannot be resolved|is tracked by neither",
    reads=None,
)  # fmt: skip


def _vars(box: Sandbox, given: Any) -> None:
    box.link("link.yaml", box.victim / "data.json")
    _templated(box, {"vars": given})


rows(
    "vars of dvc.yaml are",
    [["/etc/passwd"], ["../victim/data.json"], [".git/config"], [".dvc/config"], ["link.yaml"],
     ["x:y:z"], ["\0"], ["a\nb"], 7, "x", [7], [{"p": "../x"}], {"p": "x"}],
    _vars,
    refused="cannot be resolved|is not a path in the repository", reads=None,
)  # fmt: skip


@case("values for templates are aliases upon aliases", "cannot be resolved", reads=None)
def _(box: Sandbox) -> None:
    box.write("bomb.yaml", BOMB)
    _templated(box, {"vars": ["bomb.yaml"]})


@case("values for templates are a program", "'m' is not|is tracked by neither", reads=None,
      process=True)  # fmt: skip
def _(box: Sandbox) -> None:
    box.write("conf.py", box.python("conf") + "p = 'm'\n")
    _templated(box, {"vars": ["conf.py"]})


@case("a matrix of a billion stages", live=NEW)
def _(box: Sandbox) -> None:
    many = list(range(1000))
    stage = {"matrix": {"a": many, "b": many, "c": many}, "cmd": "x", "outs": ["${item.a}"]}
    box.write("dvc.lock", "schema: '2.0'\nstages: {x@1-1-1: {cmd: x, outs: []}}\n")
    box.write("params.yaml", json.dumps({"p": PATH}))
    box.bench.train(NEW)
    _templated(box, {"stages": {"x": stage}})


@case("templates of templates of templates", live=NEW)
def _(box: Sandbox) -> None:
    box.write("params.yaml", json.dumps({"p": PATH, "long": "x" * 100_000}))
    box.write("dvc.lock", "schema: '2.0'\nstages: {x@0: {cmd: x, outs: []}}\n")
    stage = {"foreach": list(range(1000)), "do": {"cmd": "x", "outs": ["${long}" * 1000]}}
    box.bench.train(NEW)
    _templated(box, {"stages": {"x": stage}})


@case("dvc.yaml of 50 MB", "dvc.yaml is not valid YAML", reads=None)
def _(box: Sandbox) -> None:
    with open(box.repo / "dvc.yaml", "ab") as file:
        file.write(b"x: [" + b"1,\n" * 17_000_000 + b"]\n")
    box.release()


# --- the settings

rows(
    "params.yaml says tagship:",
    ['{root: "../victim"}', '{root: "/tmp"}', '{root: ".git"}', '{root: ".git/hooks"}',
     '{root: ".dvc"}', '{root: ".GIT"}', '{root: "a/../../victim"}', '{root: ""}', "{root: [x]}",
     '{root: "a\\0b"}', '{root: ".g\\u200cit"}', "{smoke_timeout: 1" + "0" * 400 + "}",
     "{smoke_timeout: .nan}", "{keep: 0}", "{keep: true}", "{better: {a: [1]}}", "{after_switch: "
     "[x]}", "7", "[x]", "{__class__: 1}", "{7: 1}"],
    _committed("params.yaml", "tagship: {}\n"),
    refused="may not be|is not a mapping|unknown key", reads=None,
)  # fmt: skip
rows(
    "params.yaml names the DVC remote",
    ["--x", "../x", "s3://evil", "http://127.0.0.1:9/"],
    _committed("params.yaml", "tagship:\n  dvc_remote: '{}'\n", empty=True),
    refused="doesn't exist", reads=None,
)  # fmt: skip


# --- DVC's configuration

STORE = "[core]\n    remote = store\n['remote \"store\"']\n    "


@case("the cache is moved into somebody else's folder")
def _(box: Sandbox) -> None:
    box.configured(f"{STORE}url = ../../dvc-remote\n[cache]\n    dir = {box.victim}\n")


@case("the cache is moved out of the repository by a relative path")
def _(box: Sandbox) -> None:
    box.configured(f"{STORE}url = ../../dvc-remote\n[cache]\n    dir = ../../victim\n")


@case("the cache is moved into .git")
def _(box: Sandbox) -> None:
    box.configured(f"{STORE}url = ../../dvc-remote\n[cache]\n    dir = ../.git/hooks\n")


@case("the cache is a link in the tree")
def _(box: Sandbox) -> None:
    box.link(".dvc/cache", box.victim)
    box.commit(".dvc/cache")


@case("a folder of the cache is a link in the tree")
def _(box: Sandbox) -> None:
    shutil.rmtree(box.repo / ".dvc/cache")
    box.link(".dvc/cache/files/md5", box.victim)
    box.commit(".dvc/cache")


@case("DVC's folder for what is temporary is a link in the tree")
def _(box: Sandbox) -> None:
    box.link(".dvc/tmp", box.victim)
    box.commit(".dvc/tmp")
    shutil.rmtree(box.repo / ".dvc/cache")


@case("DVC's configuration moves its databases, and wants locks by links, groups, staging")
def _(box: Sandbox) -> None:
    box.configured(
        f"[core]\n    remote = store\n    site_cache_dir = {box.victim}\n    hardlink_lock = true\n"
        "    autostage = true\n    analytics = true\n    check_update = true\n"
        "[cache]\n    type = hardlink,symlink\n    shared = group\n"
        f'[db "x"]\n    url = {box.victim}\n'
        "['remote \"store\"']\n    url = ../../dvc-remote\n    type = symlink\n"
        f"['machine \"m\"']\n    cloud = aws\n    startup_script = {box.canary('startup')}\n"
    )


@case("config.local is in Git, and says what only a host may say", "is in Git", reads=None)
def _(box: Sandbox) -> None:
    box.write(".dvc/config.local", f"[cache]\n    dir = {box.victim}\n")
    box.commit(".dvc/config.local")
    shutil.rmtree(box.repo / ".dvc/cache")


rows(
    "DVC's configuration is",
    ["[", "[[x]]", "x", "[core]\nremote = %(x)s\n", b"\xff\xfe\x00",
     "[cache]\ndir = a, b\n", "['remote \"x\"']\n", "remote = 1\n",
     "['remote \"store\"']\nurl = gopher://x/y\n", "[core]\nremote = %(remote)s\n",
     "[x" * 1000 + "]" * 1000],
    _committed(".dvc/config"),
    refused="DVC: ", reads=None,
)  # fmt: skip


rows(
    "DVC's configuration is odd, and nothing is asked of it:",
    ["[core]\nremote = a, b\n", "core = 1\n", "[core]\nremote = --x\n", ""],
    _committed(".dvc/config"), reads=None,
)  # fmt: skip


def _program(option: str, url: str = "s3://models/x") -> Spoil:
    def spoil(box: Sandbox) -> None:
        evil = box.canary(option)
        box.write("aws", f"[default]\ncredential_process = {evil}\n")
        value = evil if option == "bearer_token_command" else "../aws"
        box.configured(f"{STORE}url = {url}\n    {option} = {value}\n")

    return spoil


for _option, _url in {
    "credentialpath": "s3://models/x",
    "configpath": "s3://models/x",
    "bearer_token_command": "webdavs://127.0.0.1:9/x",
    "cert_path": "webdavs://127.0.0.1:9/x",
    "keyfile": "ssh://127.0.0.1:9/x",
    "gdrive_service_account_json_file_path": "gdrive://root/x",
}.items():
    CASES.append(
        Case(
            f"the remote's {_option} comes with the repository",
            _program(_option, _url),
            f"has the option {_option} from .dvc/config",
            reads=None,
            process=True,
        )
    )


# --- Git's configuration, as an archive would bring it


def _canaries(*names: str) -> Spoil:
    def spoil(box: Sandbox) -> None:
        for name in names:
            box.git_config(name, box.canary(name.replace("*", "x")))
        if any(name.startswith(("filter", "diff")) for name in names):
            box.write(".gitattributes", "* filter=x diff=x merge=x\n")
            box.commit()
        (box.repo / "README").write_text("edited\n")

    return spoil


for _names in (
    ("core.fsmonitor",),
    ("core.sshCommand", "core.gitProxy", "core.askPass", "credential.helper"),
    ("core.pager", "core.editor", "pager.log", "pager.show", "sequence.editor"),
    ("diff.external", "diff.x.textconv", "diff.x.command"),
    ("remote.origin.uploadpack", "remote.origin.receivepack", "core.alternateRefsCommand"),
    ("uploadpack.packObjectsHook", "interactive.diffFilter", "browser.x.cmd", "man.x.cmd"),
):
    CASES.append(Case(f"Git is told to run {', '.join(_names)}", _canaries(*_names), process=True))


@case("Git is told of filters", live=NEW, process=True)
def _(box: Sandbox) -> None:
    """The bytes come as they are committed: no smudge."""
    _git_folder(box)
    box.write("plain/model.bin", NEW)
    box.write(".gitattributes", "* filter=x ident eol=crlf working-tree-encoding=UTF-16\n")
    box.bench.git("-c", "core.attributesFile=/dev/null", "update-index", "--add", "--cacheinfo",
                  f"100644,{box.loose('blob', NEW.encode())},plain/model.bin")  # fmt: skip
    for name in ("dvc.yaml", ".gitattributes"):
        blob = box.loose("blob", (box.repo / name).read_bytes())
        box.bench.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
    box.bench.git("commit", "--quiet", "--message", "x")
    box.bench.git("tag", "--annotate", "--message=x", "churn@v1.2.0")
    for kind in ("clean", "smudge", "process"):
        box.git_config(f"filter.x.{kind}", box.canary(kind))


@case("Git is told to verify what it shows, by a program", process=True)
def _(box: Sandbox) -> None:
    signed = ("tree {}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\ngpgsig -----BEGIN PGP"
              " SIGNATURE-----\n x\n -----END PGP SIGNATURE-----\n\nx\n")  # fmt: skip
    tree = box.bench.git("rev-parse", "HEAD^{tree}").strip()
    commit = box.loose("commit", signed.format(tree).encode())
    box.bench.git("reset", "--quiet", "--soft", commit)
    for name in ("gpg.program", "gpg.ssh.program", "gpg.ssh.defaultKeyCommand", "gpg.x509.program"):
        box.git_config(name, box.canary(name))
    box.git_config("log.showSignature", "true")


@case("Git has a command for everything", process=True)
def _(box: Sandbox) -> None:
    for name in ("status", "show", "log", "rev-parse", "for-each-ref", "cat-file", "ls-files"):
        box.git_config(f"alias.{name}", f"!{box.canary(name)}")


@case("Git's addresses are rewritten to a program", process=True)
def _(box: Sandbox) -> None:
    box.git_config(f"url.ext::{box.canary('ext')} .insteadOf", "../origin.git")
    box.git_config("protocol.ext.allow", "always")
    box.git_config("remote.origin.vcs", "ext")


@case(
    "Git would fetch what it lacks by a program",
    "is tracked by neither|has no|Git lacks",
    reads=None,
    process=True,
)
def _(box: Sandbox) -> None:
    box.git_config("core.repositoryFormatVersion", "1")
    box.git_config("extensions.partialClone", "evil")
    box.git_config("remote.evil.url", f"ext::{box.canary('ext')} x")
    box.git_config("remote.evil.uploadpack", box.canary("uploadpack"))
    box.git_config("remote.evil.promisor", "true")
    box.git_config("protocol.ext.allow", "always")
    blob = box.bench.git("rev-parse", f"HEAD:{PATH}.dvc").strip()
    for pack in (box.repo / ".git/objects/pack").iterdir():
        pack.rename(box.top / pack.name)
    (kept,) = box.top.glob("pack-*.pack")
    with kept.open("rb") as objects:
        subprocess.run(["git", "unpack-objects", "-q"], cwd=box.repo, stdin=objects, check=True)
    (box.repo / ".git/objects" / blob[:2] / blob[2:]).unlink()


@case("Git includes a configuration from the work tree", process=True)
def _(box: Sandbox) -> None:
    box.write("evil.config", f"[core]\n\tfsmonitor = {box.canary('included')}\n")
    box.git_config("include.path", "../evil.config")
    box.git_config("includeIf.gitdir:/.path", "../evil.config")


HOOKS = ("applypatch-msg", "pre-applypatch", "post-applypatch", "pre-commit", "pre-merge-commit",
         "prepare-commit-msg", "commit-msg", "post-commit", "pre-rebase", "post-checkout",
         "post-merge", "pre-push", "pre-receive", "update", "proc-receive", "post-receive",
         "post-update", "reference-transaction", "push-to-checkout", "pre-auto-gc", "post-rewrite",
         "sendemail-validate", "fsmonitor-watchman", "post-index-change")  # fmt: skip


@case("there is every hook", process=True)
def _(box: Sandbox) -> None:
    hooks = box.repo / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for name in HOOKS:
        shutil.copy(box.canary(f"hook-{name}"), hooks / name)
    (box.repo / "README").write_text("edited\n")


@case("the hooks are in the work tree", process=True)
def _(box: Sandbox) -> None:
    for name in HOOKS:
        evil = box.canary(f"hook-{name}")
        box.write(f"hooks/{name}", (box.top / evil).read_bytes())
        (box.repo / "hooks" / name).chmod(0o755)
    box.commit()
    box.git_config("core.hooksPath", "hooks")


@case("Git's work tree is elsewhere", "git: |is in no|outside", reads=None, process=True)
def _(box: Sandbox) -> None:
    box.git_config("core.worktree", str(box.victim))


@case(".git is a file that leads elsewhere", process=True)
def _(box: Sandbox) -> None:
    (box.repo / ".git").rename(box.victim / "git")
    (box.repo / ".git").write_text(f"gitdir: {box.victim}/git\n")


@case("objects are replaced", process=True)
def _(box: Sandbox) -> None:
    """What the tag's commit says, not what is put in its place."""
    tagged = box.bench.git("rev-parse", "churn@v1.1.0^{commit}").strip()
    other = _train(box)
    box.bench.git("reset", "--quiet", "--hard", "HEAD~1")
    box.bench.git("replace", tagged, other)


@case("parents are grafted", process=True)
def _(box: Sandbox) -> None:
    (box.repo / ".git/info").mkdir(exist_ok=True)
    (box.repo / ".git/info/grafts").write_text(f"{box.head()} {'1' * 40}\n")


@case("objects are borrowed from elsewhere", process=True)
def _(box: Sandbox) -> None:
    (box.repo / ".git/objects/info").mkdir(exist_ok=True)
    alternates = f"{box.victim}\n/dev/zero\n/proc/self/fd\n{'x' * 5000}\n"
    (box.repo / ".git/objects/info/alternates").write_text(alternates)


@case("attributes and ignore rules of every kind", process=True)
def _(box: Sandbox) -> None:
    box.write(".gitattributes", "* export-subst export-ignore -text diff=x merge=x !a [attr]b c\n")
    box.write(".dvcignore", "*\n!" + "[" * 5000 + "\n")
    box.write("models/.gitignore", "*\n")
    box.commit()


# --- links in the tree


def _linked(name: str) -> Spoil:
    def spoil(box: Sandbox) -> None:
        box.link(name, box.victim / "file" if name.endswith(("lock", ".json")) else box.victim)
        box.commit(name)

    return spoil


for _name, _told in {
    "models": "models is a link in Git",
    "models/churn": "models/churn is a link in Git",
    "models/churn/versions": "is a link to",
    "models/churn/.tagship": "is a link to",
    "models/churn/.tagship/lock": "is a link to",
    "models/churn/.tagship/staging": "is a link to",
    "models/churn/.tagship/trash": "is a link to",
    "models/churn/current": "leads to",
}.items():
    CASES.append(Case(f"{_name} is a link in the tree", _linked(_name), _told, reads=None))


@case("a folder that an older version received files in is a link in the tree")
def _(box: Sandbox) -> None:
    (box.victim / "file").write_text("kept\n")
    _linked("models/churn/.tagship/incoming")(box)


@case("the history is a link in the tree", reads=None)
def _(box: Sandbox) -> None:
    (box.victim / "file").write_text("[]\n")
    _linked("models/churn/deployment_history.json")(box)


@case("what is left in the staging and the trash are links in the tree")
def _(box: Sandbox) -> None:
    for name in ("staging/x", "trash/x", "incoming/x"):
        box.link(f"models/churn/.tagship/{name}", box.victim)
    box.link("models/churn/.tagship/intent.json.0123456789ab.tmp", box.victim / "file")
    box.commit("models/churn/.tagship")


@case("the history in Git names directories that lead out", "history", reads=None)
def _(box: Sandbox) -> None:
    history = box.repo / "models/churn/deployment_history.json"
    events = json.loads(history.read_text())
    for event in events:
        event["directory"] = "../../../victim"
    history.write_text(json.dumps(events))
    box.commit("models/churn/deployment_history.json")


@case(
    "the intent in Git names a directory that leads out", "is not a valid intent file", reads=None
)
def _(box: Sandbox) -> None:
    event = json.loads((box.repo / "models/churn/deployment_history.json").read_text())[0]
    event |= {"id": "20990101_000000", "directory": "../../../victim"}
    box.write("models/churn/.tagship/intent.json", json.dumps({"event": event, "creates": True}))
    box.commit("models/churn/.tagship/intent.json")


# --- Python in the work tree

MODULES = ("tagship", "dvc", "git", "click", "catboost", "json", "ctypes", "sitecustomize",
           "usercustomize", "ruamel", "semver", "filelock")  # fmt: skip


@case(
    "modules of every name lie in the work tree",
    "is not a CatBoost model|is not",
    reads=None,
    process=True,
)
def _(box: Sandbox) -> None:
    """With a model that the smoke test looks at in a process of its own."""
    for name in MODULES:
        box.write(f"{name}.py", box.python(f"import-{name}"))
    box.write("x.pth", f"import os; {box.python('import-pth')}")
    box.write("evil.dist-info/METADATA", "Name: evil\nVersion: 1\n")
    box.write("evil.dist-info/entry_points.txt", "[tagship.loaders]\nbin = evil_loader:Loader\n")
    box.write("evil_loader.py", box.python("import-loader"))
    box.write("pyproject.toml", "[project.entry-points.'tagship.loaders']\nbin = 'evil_loader:X'\n")
    box.write("plain/model.cbm", "no model at all\n")
    box.write("dvc.yaml", "artifacts:\n  churn:\n    path: plain/model.cbm\n")
    box.release()


@case("programs of the names git and python lie in the work tree", process=True)
def _(box: Sandbox) -> None:
    for name in ("git", "python", "python3", "sh", "dvc", "ssh", "gpg"):
        box.write(name, (box.top / box.canary(f"path-{name}")).read_bytes())
        (box.repo / name).chmod(0o755)
    box.commit()
