"""The pages of docs/, held against the program: what they promise is what it does."""

import ast
import importlib
import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest

import tagship
from tagship import ModelVersionManager, TagshipError, Workspace
from tagship.cli.main import cli
from tagship.loaders.selftest import SelfTest
from tagship.registry import artifacts
from tagship.registry import settings as tool_settings
from tagship.text import clock, yaml
from tagship.workspace import rollout
from tests.workbench import PATH, Workbench

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *DOCS.glob("decisions/*.md"), *ROOT.glob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = (".py", ".md", ".json", ".yaml", ".lock", ".toml")  # in the call trees, no code
BY_ITSELF = "What goes live by itself"
GENERAL = ("Names", "Global options", "Output", "Exit codes", BY_ITSELF)  # of cli.md: no commands
LATER = ("passed_over", "rule", "until", "gated", "image")  # of an event: older histories lack them
SCHEMAS = {
    "metadata": DOCS / "schemas" / "metadata.schema.json",
    "history": DOCS / "schemas" / "history.schema.json",
}
AUDITED = (
    '{"schema":1,"at":"2026-11-20T12:00:00.500Z","id":"r-1","model":"churn","version":"1.1.0",'
    '"seq":2,"generation":1,"sha256":null,"rows":1,"ms":0.7,"outputs":'
    '[{"name":"output-0","datatype":"FP64","shape":[1],"data":[0.5]}]}\n'
)


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [body for tag, body in FENCE.findall(text) if tag == language]


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", text)


def headings(text: str, level: int) -> list[str]:
    return re.findall(rf"^{'#' * level} (.+)$", prose(text), re.MULTILINE)


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next of the same level or a higher one."""
    level = heading.partition(" ")[0]
    assert f"\n{heading}\n" in text, heading
    rest = text.partition(f"\n{heading}\n")[2]
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str, first: str) -> list[list[str]]:
    """The cells below the heading line of the first table whose first column is ``first``."""
    lines = iter(text.splitlines())
    table = []
    for line in lines:
        if line.startswith(f"| {first} |"):
            assert next(lines).startswith("|---")
            break
    for line in lines:
        if not line.startswith("|"):
            break
        cells = re.split(r"(?<!\\)\|", line.strip("|"))
        table.append([cell.strip().replace("\\|", "|") for cell in cells])
    return table


def code(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)


# ---- cli.md


def options(command: click.Command) -> set[str]:
    """Every spelling of every option, ``--help`` aside, which every command has.

    Those of a group, but for ``tagship`` itself, are the options of its commands.
    """
    if isinstance(command, click.Group) and command is not cli:
        return {name for inner in command.commands.values() for name in options(inner)}
    spelled = [
        name
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    ]
    return {name for name in spelled if name.startswith("-")}


def documented_options(text: str) -> set[str]:
    return {
        form.split()[0]
        for cells in rows(text, "option")
        for form in code(cells[0])
        if form.startswith("-")
    }


def test_the_cli_page_has_every_command_and_no_other() -> None:
    commands = [name for name in headings(page("cli.md"), 2) if name not in GENERAL]
    assert sorted(commands) == sorted(cli.commands)


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_the_cli_page_has_every_option_of_a_command_and_no_other(name: str) -> None:
    text = section(page("cli.md"), f"## {name}")
    assert documented_options(text) == options(cli.commands[name])


def test_the_cli_page_has_every_global_option_and_no_other() -> None:
    text = section(page("cli.md"), "## Global options")
    assert documented_options(text) == options(cli) | {"-h", "--help"}


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_the_cli_page_shows_each_command_with_its_exit_codes(name: str) -> None:
    text = section(page("cli.md"), f"## {name}")
    assert any(f"$ tagship {name}" in block for block in blocks(text, "console"))
    assert "\nExit codes: 0" in text


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_page_names_a_command_or_an_option_that_does_not_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    shells = [body for language, body in FENCE.findall(text) if language in ("", "console", "sh")]
    unknown = []
    for snippet in [*shells, *code(prose(text))]:
        for name, rest in re.findall(
            r"(?<!from )(?<!-u )\btagship(?: -C \S+| -v)* ([a-z][a-z-]*)([^\n|&;]*)", snippet
        ):
            named = set(re.findall(r"(?<=\s)--?[a-zA-Z][\w-]*", rest))
            known = options(cli.commands[name]) if name in cli.commands else None
            if known is None or not named <= known | {"--help", "-h"}:
                unknown.append(f"tagship {name}{rest}")
    assert unknown == []


def test_the_cli_page_has_no_stray_option() -> None:
    known = options(cli).union(
        *(options(command) for command in cli.commands.values()), ("-h", "--help")
    )
    named = {form.split()[0] for form in code(prose(page("cli.md")))}
    assert {form for form in named if re.match("--?[a-zA-Z]", form)} <= known


# ---- the JSON of each command

KINDS = {
    "text": (str,),
    "whole number": (int,),
    "number": (int, float),
    "yes/no": (bool,),
    "object": (dict,),
    "list": (list,),
    "map": (dict,),
    "as metadata": (dict, list),
    "as passed over": (dict,),
    "value": (str, int, float, bool, dict, list, type(None)),
}
# what lies in these is described elsewhere
CLOSED = ("map", "as metadata", "as passed over", "value")


def documented_json(heading: str) -> dict[str, str]:
    """Key to type, of a table in cli.md; ``as `release` `` stands for that command's keys."""
    types: dict[str, str] = {}
    for key, kind, _ in rows(section(page("cli.md"), f"### JSON of {heading}"), "key"):
        inner = re.fullmatch(r"as `([a-z]+)`( or null)?", kind)
        if inner is None:
            types[code(key)[0]] = kind
            continue
        other = {name.removeprefix("[]."): of for name, of in documented_json(inner[1]).items()}
        if key == "(all)":
            types.update(other)
        else:
            types[code(key)[0]] = f"object{inner[2] or ''}"
            types.update({f"{code(key)[0]}.{name}": of for name, of in other.items()})
    return types


def keys(value: Any, closed: set[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of a JSON value, as the tables spell it, with what it holds."""
    if isinstance(value, list):
        for inner in value:
            yield from keys(inner, closed, f"{prefix}[]")
    elif isinstance(value, dict):
        for key, inner in value.items():
            name = f"{prefix}.{key}" if prefix else key
            yield name, inner
            if name not in closed:
                yield from keys(inner, closed, name)


def is_of_kind(value: Any, kind: str) -> bool:
    allowed = KINDS[kind.removesuffix(" or null")]
    if value is None:
        return kind.endswith(" or null")
    return isinstance(value, allowed) and (bool in allowed or not isinstance(value, bool))


def printed_json(bench: Workbench) -> dict[str, list[Any]]:
    """What each command prints in the course of a story, by the heading of its table."""
    printed: dict[str, list[Any]] = {}

    def say(heading: str, *arguments: str, code: int = 0) -> None:
        result = bench.cli(*arguments, "--json")
        assert result.code == code, result.err
        printed.setdefault(heading, []).append(json.loads(result.out))

    say("init", "init")
    say("models", "models")
    say("release", "release", "churn")
    say("show", "show", "churn")
    bench.git("push", "--quiet", "origin", "churn@v1.0.0")
    host, places = bench.repo.parent / "host", ("origin.git", "dvc-remote")
    git, remote = (str(bench.repo.parent / name) for name in places)
    say("host init", "host", "init", str(host), "--git", git, "--remote", remote,
        "--follow", "churn")  # fmt: skip
    say("fetch", "-C", str(host), "fetch")
    say("sync", "-C", str(host), "sync")
    say("fleet", "-C", str(host), "fleet")
    say("deploy --dry-run", "deploy", "churn", "--dry-run")
    say("deploy", "deploy", "churn", "--yes", "--reason", "the first")
    say("deploy", "deploy", "churn")
    _train_in_a_stage(bench)
    say("release --deploy", "release", "churn", "--deploy")
    say("deploy --dry-run", "deploy", "churn@1.0", "--dry-run")
    say("history --at", "history", "churn", "--at", clock.now().isoformat())
    say("rollback", "rollback", "churn", "--yes")
    say("deploy --dry-run", "deploy", "churn@1.1.0", "--dry-run")  # rolled back
    say("deploy", "deploy", "churn", "--yes")  # passes it over
    say("deploy --dry-run", "deploy", "churn", "--dry-run")
    say("status", "status")
    say("hold", "hold", "churn")
    say("resume", "resume", "churn")
    say("pin", "pin", "churn@1.1")
    say("list", "list", "churn")
    say("unpin", "unpin", "churn@1.1")
    say("show", "show", "churn")
    say("models", "models")
    say("current", "current", "churn")
    say("cleanup", "cleanup", "churn", "--keep", "1", "--yes")
    say("rollback", "rollback", "churn", "--to", "1.1", "--yes")  # gone: checked out again
    say("why", "why", "churn")
    audited = bench.repo.parent / "audit.jsonl"
    audited.write_text(AUDITED)
    say("audit", "audit", str(audited), "--id", "r-1")
    say("compare", "compare", "churn", "1.0")
    say("compare", "compare", "churn", "1.0", "1.1")
    say("report", "report", "-o", str(bench.repo.parent / "report.html"))
    say("assign", "assign", "churn@1.0", "prod")
    say("unassign", "unassign", "churn", "prod", "--yes")
    say("export", "export", "churn", "--format", "huggingface")
    say("export", "export", "churn", "--format", "cyclonedx", "-o", str(bench.repo.parent / "out"))
    image = str(bench.repo.parent / "image")
    say("export --format oci", "export", "churn", "--format", "oci", "-o", image)
    say("unpack", "unpack", f"oci:{image}", str(bench.repo.parent / "unpacked"))
    carried, place = str(bench.repo.parent / "x.tar"), str(bench.repo.parent / "place")
    say("bundle", "bundle", "churn@1.0", "-o", carried)
    say("unbundle", "unbundle", carried, place, "--yes")
    say("deploy", "deploy", "churn@1.0", "--yes")
    bench.current.resolve().chmod(0o755)
    (bench.current / "stray").touch()
    say("verify", "verify", code=1)
    say("withdraw", "withdraw", "churn@1.1", "--yes")
    say("deprecate", "deprecate", "churn", "--yes")
    say("undeploy", "undeploy", "churn", "--dry-run")
    say("history", "history", "churn")
    say("history --at", "history", "--all", "--at", "2026-11-20")
    say("init", "init", "--model", "other", "--path", "models/other/model.bin")
    return printed


def _train_in_a_stage(bench: Workbench) -> None:
    """Another model, from a stage of dvc.yaml that reads a file and a parameter."""
    (bench.repo / "data.txt").write_text("model 2\n")
    (bench.repo / "params.yaml").write_text("train:\n  depth: 6\n")
    (bench.repo / "dvc.yaml").write_text(
        "stages:\n  train:\n    cmd: cp data.txt models/churn/model.bin\n"
        "    deps: [data.txt]\n    params: [train.depth]\n    outs: [models/churn/model.bin]\n"
        "artifacts:\n  churn: {path: models/churn/model.bin}\n"
    )
    (bench.repo / f"{PATH}.dvc").unlink()
    bench.dvc("repro", "--quiet")
    bench.commit("Train it in a stage")


def test_the_json_tables_are_what_the_commands_print(bench: Workbench) -> None:
    printed = printed_json(bench)
    tables = [name.removeprefix("JSON of ") for name in headings(page("cli.md"), 3)]
    assert sorted(printed) == sorted(tables)
    wrong = {}
    for heading, values in printed.items():
        table = documented_json(heading)
        closed = {key for key, kind in table.items() if kind.removesuffix(" or null") in CLOSED}
        seen = [pair for value in values for pair in keys(value, closed)]
        lacking = set(table) - {key for key, _ in seen}
        unknown = {key for key, _ in seen} - set(table)
        other = {key: value for key, value in seen if not is_of_kind(value, table.get(key, "text"))}
        if lacking or unknown or other:
            wrong[heading] = {"not printed": lacking, "not in the page": unknown, "type": other}
    assert wrong == {}


def test_what_was_passed_over_has_its_table(shipped: Workbench) -> None:
    shipped.manager.rollback_to_version()
    printed = json.loads(shipped.cli("deploy", "churn", "--json").out)["passed_over"]
    table = rows(section(page("cli.md"), f"## {BY_ITSELF}"), "key")
    assert [code(key)[0] for key, _, _ in table] == list(printed)


def test_every_command_with_json_has_its_table() -> None:
    speaking = {name for name, command in cli.commands.items() if "--json" in options(command)}
    tables = {name.removeprefix("JSON of ") for name in headings(page("cli.md"), 3)}
    assert {name.partition(" ")[0] for name in tables} == speaking


# ---- settings.md


def test_the_settings_page_has_every_key_with_its_default_and_no_other() -> None:
    table = rows(section(page("settings.md"), "## `tagship:` in params.yaml"), "key")
    text = "".join(f"{code(key)[0]}: {code(default)[0]}\n" for key, default, _ in table)
    defaults = tool_settings.Settings()
    assert yaml.parse(text.encode(), "settings.md") == {
        field.name: getattr(defaults, field.name) for field in fields(tool_settings.Settings)
    }


def test_the_settings_pages_examples_are_read() -> None:
    examples = blocks(page("settings.md"), "yaml") + blocks(page("self_test.md"), "yaml")
    settings, *declared = (text.encode() for text in examples)
    assert tool_settings.parse(settings).demo == {"churn": {"train.depth": 6}}
    tests = [model.self_test for text in declared for model in artifacts.parse(text).values()]
    assert tests == [None, "models/ml_model/self_test.json", "models/churn/self_test.json"]


# ---- self_test.md


def test_the_rollout_pages_example_and_its_keys_are_those_that_are_read() -> None:
    params = yaml.parse(blocks(page("rollout.md"), "yaml")[0].encode(), "rollout.md")
    found = rollout.parse(tool_settings.rollout_in(params, "rollout.md"))
    assert (len(found.canary), len(found.steps), found.need, found.brake) == (2, 2, 2, 1)
    assert tuple(code(cells[0])[0] for cells in rows(page("rollout.md"), "key")) == rollout.KEYS


def test_the_self_test_page_shows_a_self_test(tmp_path: Path) -> None:
    path = tmp_path / "self_test.json"
    path.write_text(blocks(page("self_test.md"), "json")[0], encoding="utf-8")
    test = SelfTest.read(path)
    assert test.differences(test.outputs) == []
    assert [key for cells in rows(page("self_test.md"), "key") for key in code(cells[0])] == list(
        json.loads(path.read_bytes())
    )


# ---- python.md


def public_methods(kind: type) -> set[str]:
    return {
        name for name, value in vars(kind).items() if callable(value) and not name.startswith("_")
    }


def test_the_python_page_has_every_method_and_no_other() -> None:
    methods = public_methods(ModelVersionManager)
    text = page("python.md")
    titles = " ".join(headings(section(text, "## ModelVersionManager"), 3))
    assert set(re.split(r",? ", titles)) == methods
    calls = set(re.findall(r"\bmanager\.(\w+)\(", "".join(blocks(text, "python"))))
    assert calls == methods


def test_the_python_page_has_every_method_of_a_workspace_and_no_other() -> None:
    text = section(page("python.md"), "## Workspace")
    calls = set(re.findall(r"\bworkspace\.(\w+)\(", "".join(blocks(text, "python"))))
    assert calls == public_methods(Workspace)


def test_the_python_page_has_every_public_name() -> None:
    text = page("python.md")
    assert [name for name in tagship.__all__ if not re.search(rf"\b{name}\b", text)] == []


def test_the_python_page_has_every_error_and_no_other() -> None:
    table = [code(cells[0])[0] for cells in rows(page("python.md"), "class")]
    exported = (getattr(tagship, name) for name in tagship.__all__)
    errors = [e for e in exported if isinstance(e, type) and issubclass(e, TagshipError)]
    assert sorted(table) == sorted(error.__name__ for error in errors)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_python_in_a_page_compiles(path: Path) -> None:
    for number, block in enumerate(blocks(path.read_text(encoding="utf-8"), "python")):
        compile(block, f"{path.name}, block {number}", "exec", flags=ast.PyCF_ONLY_AST)


# ---- architecture.md, lines.md


def named_in_trees() -> list[str]:
    """``package.module.function`` and ``package.module.Class.method`` in the call trees."""
    texts = [page("architecture.md"), page("lines.md")]
    trees = "\n".join(part for text in texts for part in (*blocks(text, ""), *code(prose(text))))
    rooms = "|".join(path.stem for path in (ROOT / "tools" / "tagship").iterdir())
    names = re.findall(rf"(?<![\w./])((?:{rooms})(?:\.[A-Za-z_]\w*)+)(?![\w/])", trees)
    return sorted({name for name in names if not name.endswith(FILES)})


@pytest.mark.parametrize("name", named_in_trees())
def test_what_the_call_trees_name_exists(name: str) -> None:
    parts = name.split(".")
    thing: Any = importlib.import_module(f"tagship.{parts[0]}")
    for length, part in enumerate(parts[1:], 2):
        if not hasattr(thing, part):  # a module that nobody has imported yet
            importlib.import_module("tagship." + ".".join(parts[:length]))
        thing = getattr(thing, part)


def test_the_architecture_page_is_short_and_has_every_package() -> None:
    text = page("architecture.md")
    assert len(text.splitlines()) <= 150
    rooms = {path.parent.name for path in (ROOT / "tools" / "tagship").glob("*/__init__.py")}
    described = section(text, "## Packages")
    named = set(re.findall(r"^- (.+?): ", described, re.MULTILINE))
    packages = {word.strip("*") for words in named for word in words.split(", ")}
    assert packages == rooms


def test_the_example_of_a_loader_works_from_a_package_of_its_own(
    bench: Workbench, tmp_path: Path
) -> None:
    text = page("loaders.md")
    project = tomllib.loads(blocks(text, "toml")[0])["project"]
    site = tmp_path / "site"
    info = site / "tagship_linear-1.0.0.dist-info"  # as an installer writes it
    info.mkdir(parents=True)
    (site / "tagship_linear.py").write_text(blocks(text, "python")[0], encoding="utf-8")
    (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    [(group, entries)] = project["entry-points"].items()
    lines = [f"{name} = {where}" for name, where in entries.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]) + "\n")

    (bench.folder / "model.linear").write_text(
        '{"weights": [[0.5, -1.0], [-0.5, 1.0]], "bias": [0.25, -0.25]}'
    )
    (bench.folder / "self_test.json").write_text(
        '{"schema": 1, "inputs": [[1.0, 2.0]], "outputs": [[-1.25, 1.25]],'
        ' "tolerance": {"absolute": 0, "relative": 0}}'
    )
    (bench.repo / "dvc.yaml").write_text(
        "artifacts:\n  churn:\n    path: models/churn/model.linear\n"
        "    meta:\n      self_test: models/churn/self_test.json\n"
    )
    bench.commit("Keep the model in Git")
    result = bench.process("release", "churn", "--deploy", environment={"PYTHONPATH": str(site)})
    assert (result.code, result.err) == (0, "")
    assert "smoke test:    passed: 1 answers as released" in result.out
    metadata = json.loads((bench.current / "metadata.json").read_bytes())
    assert metadata["framework"] == "linear"
    assert metadata["architecture"] == {"classes": 2, "features": 2}


# ---- schemas


def schema(name: str) -> dict[str, Any]:
    value = json.loads(SCHEMAS[name].read_bytes())
    assert isinstance(value, dict)
    return value


def validate(name: str, value: Any) -> None:
    jsonschema.Draft202012Validator(schema(name)).validate(value)


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every schema in a schema."""
    if isinstance(value, dict):
        if "type" in value or "$ref" in value or "const" in value or "anyOf" in value:
            yield value
        for inner in value.values():
            yield from objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from objects(inner)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one_is_strict_and_describes_every_field(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))
    for part in objects(schema(name)):
        properties = part.get("properties", {})
        assert isinstance(properties, dict)
        if properties:
            assert part["additionalProperties"] is False
            later = LATER if "rule" in properties else ()
            assert sorted([*part["required"], *later]) == sorted(properties)
        assert [key for key, field in properties.items() if not field.get("description")] == []


@pytest.mark.parametrize(
    ("name", "block"), [("metadata", 0), ("history", 1)], ids=["metadata", "history"]
)
def test_the_schemas_page_shows_real_files_and_every_key(name: str, block: int) -> None:
    text = page("schemas.md")
    validate(name, json.loads(blocks(text, "json")[block]))
    described = schema(name)
    title = f"## {described['title']}"
    table = [key for cells in rows(section(text, title), "key") for key in code(cells[0])]
    fields_of = described.get("properties") or described["items"]["properties"]
    assert sorted(table) == sorted(fields_of)


def history_of(bench: Workbench) -> list[dict[str, Any]]:
    value = json.loads((bench.folder / "deployment_history.json").read_bytes())
    assert isinstance(value, list)
    return value


@pytest.mark.live
def test_a_history_of_everything_fits_its_schema(bench: Workbench) -> None:
    bench.ship("model 2\n")
    bench.manager.rollback_to_version(reason="wrong on snow")
    bench.manager.hold(reason="the audit of March")
    bench.manager.resume()
    bench.manager.pin("1.1", reason="the audit of March")
    bench.manager.unpin("1.1")
    bench.release("model 3\n")
    shutil.rmtree(bench.repo / ".dvc" / "cache")
    shutil.rmtree(bench.repo.parent / "dvc-remote", ignore_errors=True)
    with pytest.raises(tagship.Unavailable):
        bench.manager.deploy("1.2")
    (bench.folder / ".tagship" / "staging" / "left").mkdir()
    bench.manager.cleanup_old_versions(keep=1)
    bench.manager.undeploy(reason="the host is retired")
    events = history_of(bench)
    validate("history", events)
    assert [(event["action"], event["status"]) for event in events] == [
        ("deploy", "succeeded"),
        ("deploy", "succeeded"),
        ("rollback", "succeeded"),
        ("hold", "succeeded"),
        ("resume", "succeeded"),
        ("pin", "succeeded"),
        ("unpin", "succeeded"),
        ("deploy", "failed"),
        ("recover", "succeeded"),
        ("cleanup", "succeeded"),
        ("undeploy", "succeeded"),
    ]
    for key in set(events[0]) - set(LATER):
        with pytest.raises(jsonschema.ValidationError):
            validate("history", [{k: v for k, v in events[0].items() if k != key}])
    validate("history", [{k: v for k, v in events[0].items() if k not in LATER}])
    with pytest.raises(jsonschema.ValidationError):
        validate("history", [{**events[0], "more": 1}])


def test_the_metadata_of_a_deployed_model_fits_its_schema(bench: Workbench) -> None:
    (bench.repo / "data.txt").write_text("a,b\n")
    (bench.repo / f"{PATH}.dvc").unlink()
    (bench.repo / "dvc.yaml").write_text(
        "stages:\n  train:\n    cmd: cp data.txt models/churn/model.bin\n"
        "    deps: [data.txt]\n    params: [train.depth]\n    outs: [models/churn/model.bin]\n"
        "artifacts:\n  churn:\n    path: models/churn/model.bin\n    type: model\n"
        "metrics:\n  - metrics.json\n"
    )
    bench.dvc("repro", "--quiet")
    bench.commit("Train it in a stage")
    bench.ship()
    value = json.loads((bench.current / "metadata.json").read_bytes())
    validate("metadata", value)
    assert value["lineage"][0]["deps"][0]["path"] == "data.txt"
    for key in value:
        with pytest.raises(jsonschema.ValidationError):
            validate("metadata", {k: v for k, v in value.items() if k != key})
    with pytest.raises(jsonschema.ValidationError):
        validate("metadata", {**value, "more": 1})


# ---- links


def slug(heading: str) -> str:
    """The anchor that a heading gets in a Git host's rendering."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def links() -> list[tuple[str, str]]:
    return [
        (path.relative_to(ROOT).as_posix(), target)
        for path in PAGES
        for target in re.findall(r"\]\(([^)\s]+)\)", prose(path.read_text(encoding="utf-8")))
        if not re.match(r"[a-z]+:", target)
    ]


@pytest.mark.parametrize(("name", "target"), links())
def test_a_relative_link_leads_to_something(name: str, target: str) -> None:
    file, _, anchor = target.partition("#")
    path = (ROOT / name).parent / file if file else ROOT / name
    assert path.exists()
    if anchor:
        text = path.read_text(encoding="utf-8")
        assert anchor in [slug(title) for level in range(1, 5) for title in headings(text, level)]
