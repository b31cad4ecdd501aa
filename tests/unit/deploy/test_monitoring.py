"""Alerts and dashboards ask for metrics that exist, and each alert has a test and a runbook."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.monitoring.dashboards import DASHBOARDS, HERE, rendered
from tests.architecture import ROOT
from tests.fakes.metrics import live_metrics
from tests.promtool import promtool

MONITORING = ROOT / "deploy" / "monitoring"
RUNBOOK = (ROOT / "docs" / "ALERTS.md").read_text()
RULES: list[dict[str, Any]] = yaml.safe_load((MONITORING / "rules.yaml").read_text())["groups"][0][
    "rules"
]
OF_A_HISTOGRAM = re.compile(r"_(bucket|sum|count)$")
OF_THE_PROCESS = re.compile(r"dualpath_process_(cpu_seconds_total|resident_memory_bytes)")
# A name is followed by neither a quote nor a letter: job=~".*dualpath.*" is a value.
NAME = re.compile(r"\bdualpath_\w+")


OPERATOR = (ROOT / "controller" / "operator" / "progress.py").read_text()


async def known() -> set[str]:
    """Return the names that controllers and operators serve."""
    found = set(re.findall(r"# TYPE (dualpath_\w+)", OPERATOR))
    for name, (type_, _) in (await live_metrics()).items():
        found |= {f"{name}_{part}" for part in ("bucket", "sum", "count")}
        if type_ != "histogram":
            found.add(name)
    return found


async def strange(expression: str) -> list[str]:
    """Return the names in PromQL that nobody serves."""
    names = set(NAME.findall(expression)) - await known()
    return sorted(name for name in names if not OF_THE_PROCESS.fullmatch(name))


def tool() -> str:
    try:
        return promtool()
    except FileNotFoundError as error:
        pytest.skip(str(error))


def run(*arguments: str, where: Path = MONITORING) -> str:
    done = subprocess.run([tool(), *arguments], cwd=where, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
async def test_an_alert_asks_for_metrics_that_exist_and_has_a_runbook(rule: dict[str, Any]) -> None:
    assert await strange(rule["expr"]) == []
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"]["runbook"] == f"docs/ALERTS.md#{rule['alert'].lower()}"
    section = RUNBOOK.split(f"\n## {rule['alert']}\n")[1].split("\n## ")[0]
    waits = f"for {rule['for']}" if "for" in rule else "at once"
    assert section.startswith(f"\n*{rule['labels']['severity']}*, {waits}. ")
    assert "\n- " in section, "it says nothing to do"


def test_every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    tests = yaml.safe_load((MONITORING / "tests.yaml").read_text())["tests"]
    assert [test["name"] for test in tests] == [rule["alert"] for rule in RULES]
    for test in tests:
        values = [it["exp_samples"][0]["value"] for it in test["promql_expr_test"]]
        assert values == [0, 1], test["name"]


def test_promtool_accepts_the_rules_and_their_tests() -> None:
    assert f"{len(RULES)} rules found" in run("check", "rules", "rules.yaml")
    assert "SUCCESS" in run("test", "rules", "tests.yaml")


def test_the_rules_of_the_operator_are_the_same() -> None:
    theirs = yaml.safe_load((MONITORING / "kubernetes" / "rules.yaml").read_text())
    assert theirs["spec"]["groups"][0]["rules"] == RULES


def test_the_podmonitor_selects_the_pods_of_controllers() -> None:
    monitor = yaml.safe_load((MONITORING / "kubernetes" / "podmonitor.yaml").read_text())
    nodes = list(yaml.safe_load_all((ROOT / "deploy" / "node" / "node.yaml").read_text()))
    pod = next(it for it in nodes if it["kind"] == "DaemonSet")["spec"]["template"]
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    assert wanted <= pod["metadata"]["labels"].items()
    assert "controller" in [it["name"] for it in pod["spec"]["containers"]]


@pytest.mark.parametrize("board", DASHBOARDS, ids=lambda board: board.name)
async def test_a_dashboard_is_as_written_and_asks_for_metrics_that_exist(board: Any) -> None:  # noqa: ANN401
    text = (HERE / f"{board.name}.json").read_text()
    assert text == rendered(board), "run python -m deploy.monitoring.dashboards"
    page = json.loads(text)
    for panel in page["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for target in panel["targets"]:
            assert await strange(target["expr"]) == [], panel["title"]
    queries = [it["query"]["query"] for it in page["templating"]["list"][1:]]
    assert [await strange(query) for query in queries] == [[] for _ in queries]


def test_promtool_accepts_the_queries_of_dashboards(tmp_path: Path) -> None:
    queries = [q for board in DASHBOARDS for panel in board.panels for q, _ in panel.queries]
    rules = [
        {"record": f"panel:{at}", "expr": query.replace("$__rate_interval", "5m")}
        for at, query in enumerate(queries)
    ]
    (tmp_path / "panels.yaml").write_text(
        yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]})
    )
    assert "SUCCESS" in run("check", "rules", "panels.yaml", where=tmp_path)
