"""docs/serve.md: its metrics, its examples for Prometheus and logrotate, and its lines."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from tagship.disk.appended import Appended
from tagship.serve.metrics import Metrics
from tagship.text import yaml
from tests.serve.seen import answered, facts, state
from tests.test_docs import DOCS, blocks, code, page, rows, section

TEXT = page("serve.md")
CONFIG, RULES = blocks(section(TEXT, "## Metrics"), "yaml")
(LOGROTATE,) = blocks(section(TEXT, "## Audit"), "conf")


@pytest.fixture
def exposed() -> dict[str, set[str]]:
    """The metrics of a server to which everything has happened, each with its labels."""
    metrics = Metrics(["churn"])
    metrics.swapped("churn", facts(), 0.1)
    metrics.refused("churn")
    metrics.answered(answered())
    for name in ("tagship_audit_failures", "tagship_access_lines_dropped"):
        metrics.failed(name)
    text, _ = metrics.exposition({"churn": state(facts(), refused="1.1.0")})
    return {
        family.name if family.type != "counter" else f"{family.name}_total": {
            label for sample in family.samples for label in sample.labels
        } - {"le"}
        for family in parse(text.decode())
    }  # fmt: skip


def test_the_page_has_every_metric_with_its_labels_and_no_other(
    exposed: dict[str, set[str]],
) -> None:
    table = rows(section(TEXT, "## Metrics"), "metric")
    assert {code(name)[0]: set(re.findall(r"\w+", labels)) for name, labels, _ in table} == exposed


def test_the_alerts_ask_for_metrics_and_labels_that_exist(exposed: dict[str, set[str]]) -> None:
    (group,) = yaml.parse(RULES.encode(), "serve.md")["groups"]
    assert len(group["rules"]) == 3
    named = "".join(rule["expr"] for rule in group["rules"])
    assert set(re.findall(r"tagship_\w+", named)) <= exposed.keys()
    labels = {label for of_metric in exposed.values() for label in of_metric}
    shown = "".join(rule["annotations"]["summary"] for rule in group["rules"])
    assert set(re.findall(r"\$labels\.(\w+)", shown)) <= labels | {"instance"}


def test_the_lines_on_the_page_are_of_the_form_that_is_written() -> None:
    (accessed,) = blocks(section(TEXT, "## Access lines"), "json")
    assert list(json.loads(accessed)) == [
        "at", "id", "client", "model", "version", "seq", "rows", "ms", "code",
    ]  # fmt: skip
    (audited,) = blocks(section(TEXT, "## Audit"), "json")
    schema = json.loads((DOCS / "schemas" / "audit.schema.json").read_bytes())
    jsonschema.validate(json.loads(audited), schema)


@pytest.fixture
def promtool(tmp_path: Path) -> Iterator[str]:
    """Prometheus' own check of its files, where it is installed."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed; it comes with Prometheus")
    (tmp_path / "prometheus.yml").write_text(re.sub(r"/etc/prometheus/", "", CONFIG))
    (tmp_path / "tagship_token").touch()
    (tmp_path / "tagship.rules.yml").write_text(RULES)
    yield program


def said(folder: Path, *command: str) -> str:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def series(name: str, values: str, **labels: str) -> dict[str, str]:
    inner = ",".join(f'{key}="{value}"' for key, value in {"instance": "i", **labels}.items())
    return {"series": f"{name}{{{inner}}}", "values": values}


def test_prometheus_reads_the_files_and_each_alert_fires(promtool: str, tmp_path: Path) -> None:
    said(tmp_path, promtool, "check", "config", "prometheus.yml")
    well = [
        series("up", "1x60", job="tagship"),
        series("tagship_ready", "1x60", model="churn"),
        series("tagship_requests_total", "0+60x60", model="churn", version="1.0.0", code="200"),
        series("tagship_audit_failures_total", "0x60"),
    ]
    requests = {"model": "churn", "version": "1.0.0", "code": "503"}
    ill = {
        "none": series("tagship_requests_total", "0+0.1x60", **requests),
        "ModelDoesNotAnswer": series("tagship_ready", "0x60", model="wine"),
        "VersionIsRefused": series("tagship_refused", "1x60", model="churn", version="1.1.0"),
        "AnswersAreLost": series("tagship_requests_total", "0+6x60", **requests),
    }
    tests = [(name, [*well, one]) for name, one in ill.items()]
    failures = series("tagship_audit_failures_total", "0x30 1x30")
    tests.append(("AnswersAreLost", [*well[:-1], failures]))
    names = ("ModelDoesNotAnswer", "VersionIsRefused", "AnswersAreLost")
    value: dict[str, Any] = {"rule_files": ["tagship.rules.yml"], "tests": []}
    count = 'count(ALERTS{alertname="%s",alertstate="firing"}) or vector(0)'
    for firing, inputs in tests:
        value["tests"] += [
            {
                "interval": "1m",
                "input_series": inputs,
                "promql_expr_test": [
                    {
                        "expr": count % name,
                        "eval_time": "35m",
                        "exp_samples": [{"labels": "{}", "value": int(name == firing)}],
                    }
                    for name in names
                ],
            }
        ]
    (tmp_path / "test.yml").write_text(json.dumps(value))
    assert "SUCCESS" in said(tmp_path, promtool, "test", "rules", "test.yml")


def test_logrotate_moves_the_file_and_the_server_goes_on_in_a_new_one(tmp_path: Path) -> None:
    program = shutil.which("logrotate", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("logrotate is not installed")
    log = tmp_path / "audit.jsonl"
    file = Appended(log, tmp_path / "models", "the audit")
    file.write(b"1\n")
    owner = f"{log.owner()} {log.group()}"
    config = LOGROTATE.replace("/var/log/tagship", str(tmp_path)).replace("tagship tagship", owner)
    config = re.sub(r"systemctl .*", f"touch {tmp_path}/signalled", config)
    (tmp_path / "logrotate.conf").write_text(config)
    (tmp_path / "logrotate.conf").chmod(0o644)
    command = (program, "--force", "--state", str(tmp_path / "state"), "logrotate.conf")
    said(tmp_path, *command)
    assert (tmp_path / "signalled").exists()
    file.reopen()  # what SIGHUP does
    file.write(b"2\n")
    file.close()
    assert (tmp_path / "audit.jsonl.1").read_bytes() == b"1\n"
    assert log.read_bytes() == b"2\n"
    assert log.stat().st_mode & 0o7777 == 0o600
