"""The board of Grafana asks for gauges that are there, and Prometheus looks where Ray tells its machines."""

import inspect
import json
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import yaml
from deployment_files import FOLDER, PAGE, ROOT
from ray._private.ray_constants import PROMETHEUS_SERVICE_DISCOVERY_FILE
from ray.dashboard.modules.reporter import reporter_agent

from cluster.slot_gauges import ABOUT
from study.driver import study_gauges

BOARD = json.loads((FOLDER / "grafana_board.json").read_text())
OURS = {f"ray_{name}" for name in {**ABOUT, **study_gauges.ABOUT}}


def asked() -> set[str]:
    """The gauges that the board asks for."""
    expressions = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]
    return {name for one in expressions for name in re.findall(r"\bray_\w+", one)}


def test_the_board_asks_for_gauges_that_we_or_ray_export() -> None:
    of_ray = {
        f"ray_{name}" for name in re.findall(r'"(node_\w+)": Gauge\(', inspect.getsource(reporter_agent))
    }
    assert asked() <= OURS | of_ray
    assert asked() & of_ray >= {"ray_node_gpus_utilization", "ray_node_gram_used"}


def test_the_board_shows_each_gauge_of_ours_and_the_page_tells_it() -> None:
    assert OURS - asked() <= {"ray_slots_granted"}
    for name in OURS:
        assert f"`{name}`" in PAGE, name


def test_panels_have_places_of_their_own_and_ask_the_source_that_a_person_chooses() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in BOARD["panels"]]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(places)
    (source,) = BOARD["templating"]["list"]
    for panel in BOARD["panels"]:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${" + source["name"] + "}"}
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24


def test_prometheus_reads_the_file_in_which_ray_tells_its_machines() -> None:
    (scrape,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    (files,) = scrape["file_sd_configs"]
    assert files["files"] == [f"/tmp/ray/{PROMETHEUS_SERVICE_DISCOVERY_FILE}"]


def test_the_lines_of_the_page_send_the_board() -> None:
    if shutil.which("jq") is None or shutil.which("curl") is None:
        pytest.skip("needs jq and curl")
    sent: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/api/dashboards/db"
            sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as grafana:
        threading.Thread(target=grafana.serve_forever, daemon=True).start()
        (lines,) = re.findall(r"^jq .*\n  curl .*$", PAGE, re.MULTILINE)
        here = lines.replace("GRAFANA:3000", f"127.0.0.1:{grafana.server_port}")
        here = here.replace("--user admin ", "--user admin:password ")  # else it asks
        subprocess.run(["bash", "-euo", "pipefail", "-c", here], cwd=ROOT, check=True)
        grafana.shutdown()
    (content,) = sent
    assert content == {"dashboard": BOARD, "overwrite": True}
