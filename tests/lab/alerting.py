"""What Prometheus would make of a PE's metrics: they are recorded, and promtool judges them.

A second of the lab is a minute for Prometheus, so that the alert rules are used as they are. A
counter then grows 60 times slower per second than it did: a rate has to be so much higher.
"""

import http.client
import json
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.lab.fabric import Pe
from tests.lab.waiting import wait_until
from tests.promtool import promtool

RULES = Path(__file__).parents[2] / "deploy" / "monitoring" / "rules.yaml"
TEXT = RULES.read_text()
NAME = re.compile(r"\b(?:up|dualpath_\w+)")
ALERTS: dict[str, frozenset[str]] = {
    rule["alert"]: frozenset(NAME.findall(rule["expr"]))
    for rule in yaml.safe_load(TEXT)["groups"][0]["rules"]
}
"""The names that each alert uses."""
NAMES = frozenset[str]().union(*ALERTS.values())
BEFORE = 75  # minutes before the fault: the longest that a rule looks back here is an hour
EVERY_S = 1.0
SCRAPE_S = 5.0
SOCKET = "metrics.sock"

Sample = dict[str, float]
"""One scrape: the values of series, by name and labels as in input_series."""


class Recorder:
    """Scrapes a PE's controller each second until it is closed."""

    def __init__(self, pe: Pe) -> None:
        self.samples: list[Sample] = []
        self._pe = pe
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._thread.join()

    def is_up(self, since: int) -> bool:
        """Return whether the controller answered after that many samples."""
        return any(value for sample in self.samples[since:] for value in _up(sample))

    def wait_for(self, alert: str, begun: int, timeout_s: float) -> int:
        """Wait until an alert fires that was quiet at sample `begun`; return the minutes."""

        def fires() -> bool:
            first = max(0, begun - BEFORE)
            answer[:] = [judged(alert, self.samples[first:], begun - first)]
            return answer[0] == ""

        answer = [""]
        try:
            wait_until(fires, f"{alert} fires", timeout_s, every_s=2.0)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{answer[0]}") from None
        return len(self.samples) - begun

    def _run(self) -> None:
        due = time.monotonic()
        while not self._end.wait(max(0.0, due - time.monotonic())):
            self.samples.append(self._scraped())
            due += EVERY_S

    def _scraped(self) -> Sample:
        labels = f'{{instance="{self._pe.name}",job="dualpath"}}'
        try:
            text = _get(self._pe.plan.state / SOCKET)
        except (OSError, http.client.HTTPException):
            return {f"up{labels}": 0.0}
        return {f"up{labels}": 1.0, **_relevant(text, self._pe.name)}


def judged(alert: str, samples: Sequence[Sample], begun: int) -> str:
    """Return "" if an alert is quiet at minute `begun` and fires at the last, else promtool's text.

    The rules are those of `deploy/monitoring`, unchanged.
    """
    names = ALERTS[alert]
    present = {series for sample in samples for series in sample}
    series = sorted(it for it in present if it.partition("{")[0] in names)
    values = {name: " ".join(_value(sample, name) for sample in samples) for name in series}
    firing = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) > bool 0 or vector(0)'
    moments = ((begun, 0), (len(samples) - 1, 1))
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": text} for name, text in values.items()],
        "promql_expr_test": [
            {"expr": firing, "eval_time": f"{at}m", "exp_samples": [{"labels": "{}", "value": it}]}
            for at, it in moments
        ],
    }
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        shutil.copy(RULES, directory / "rules.yaml")
        whole = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]}
        (directory / "test.yaml").write_text(json.dumps(whole))
        done = subprocess.run(
            [promtool(), "test", "rules", "test.yaml"], cwd=name, capture_output=True, text=True
        )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _up(sample: Sample) -> list[float]:
    return [value for name, value in sample.items() if name.startswith("up{")]


def _value(sample: Sample, name: str) -> str:
    return f"{sample[name]:.17g}" if name in sample else "_"


def _get(path: Path) -> str:
    """Return the metrics. Raises OSError, HTTPException."""
    connection = http.client.HTTPConnection("localhost", timeout=SCRAPE_S)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.settimeout(SCRAPE_S)
    try:
        connection.sock.connect(str(path))
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def _relevant(text: str, instance: str) -> Sample:
    """Return the series that the rules use."""
    found: Sample = {}
    for family in text_string_to_metric_families(text):
        for name, labels, value, *_ in family.samples:
            if name in NAMES:
                words = ",".join(f'{k}="{v}"' for k, v in {**labels, "instance": instance}.items())
                found[f"{name}{{{words}}}"] = value
    return found
