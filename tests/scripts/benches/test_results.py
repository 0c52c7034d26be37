"""The benchmark's own arithmetic; its measurements are not tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benches import hits, load, peers_env, report, rivals
from benches.results import Measurement, Part, Recorder, Row, percentile

ROOT = Path(__file__).resolve().parents[3]
MET = Row("hit", "thumbor", measured=4.2, target=4.0)
MISSED = Row("304", "photo bytes", measured=17.0, target=0.0, is_floor=False, unit="B", note="one look")
PART = Part("hits", [Measurement("hit", "thumbor", "requests/s", 1290, 1200, 1300)], [MET, MISSED], ["nginx: missing"])
TOLD = {"requests": 3000, "bytes": 18_000_000, "microseconds": 3_000_000, "p50": 2500, "p99": 9000}
WELL = {"connect": 0, "read": 0, "write": 0, "timeout": 0, "status": 0}


def told(**errors: int) -> str:
    return f"Running 3s test @ http://127.0.0.1:1\n{json.dumps({**TOLD, **WELL, **errors})}\n"


def rates(**values: float) -> list[Measurement]:
    """Returns measurements of the part `hits` by contestant."""
    found = [Measurement("hit", getattr(rivals, who), hits.RATE, value, value, value) for who, value in values.items()]
    from_redis = Measurement("304", rivals.OURS, hits.FROM_REDIS, 24, 24, 24)
    return [*found, Measurement("304", rivals.OURS, hits.RATE, 500, 500, 500), from_redis]


def test_a_floor_holds_from_its_target_up_and_a_ceiling_up_to_its_target() -> None:
    assert Row("", "", 1.0, 1.0).holds
    assert not Row("", "", 0.99, 1.0).holds
    assert Row("", "", 1.0, 1.0, is_floor=False).holds
    assert not Row("", "", 1.01, 1.0, is_floor=False).holds


def test_the_output_of_wrk_is_parsed() -> None:
    assert load.parse(told()) == load.Load(3000, rate=1000.0, p50=2.5, p99=9.0, bytes_each=6000.0)


@pytest.mark.parametrize("error", load.ERRORS)
def test_a_round_with_an_error_is_rejected(error: str) -> None:
    with pytest.raises(load.BrokenRound, match=f"2 × {error}"):
        load.parse(told(**{error: 2}))


def test_a_round_without_an_answer_is_rejected() -> None:
    for output in ("unable to connect\n", json.dumps(TOLD | WELL | {"requests": 0})):
        with pytest.raises(load.BrokenRound):
            load.parse(output)


def test_ratios_compare_medians_and_a_missing_peer_has_no_row() -> None:
    rows = hits.make_rows(rates(OURS=400, GRANIAN=800, CEILING=500, THUMBOR=100))
    assert [(row.against, row.measured) for row in rows] == [
        ("gunicorn, constant answer", 0.8),
        ("thumbor", 4.0),
        ("its own hit", 1.25),
        ("photo bytes from Redis", 0.0),
    ]


def test_the_table_shows_held_and_missed_targets() -> None:
    table = report.make_table([MET, MISSED]).splitlines()
    assert table[2:] == [
        "| hit | thumbor | ≥ 4 × | 4.2 × | holds |",
        "| 304 | photo bytes | ≤ 0 B | 17 B | **MISS**: one look |",
    ]


def test_the_page_shows_measurements_and_skipped_peers() -> None:
    page = report.make_page([PART], ["libvips: no network"], {"memory": "4 GiB"}, {"Python": "3.11"})
    for line in ("- memory: 4 GiB", "| hit | thumbor | requests/s | 1,290 | 1,200 – 1,300 |", "- libvips: no network"):
        assert f"\n{line}\n" in page
    assert page.endswith("- hits: nginx: missing\n")


def test_the_requirements_of_every_peer_are_pinned() -> None:
    groups = peers_env.read_groups(peers_env.REQUIREMENTS.read_text("utf-8"))
    assert set(groups) == {"original", "libvips", "thumbor", "curl"}
    assert all(" == " in line for lines in groups.values() for line in lines)


def test_an_unknown_part_is_rejected_in_one_line() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "benches"), "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "avatar-warmer: no part is named 'nonsense': "
        "there are hits, cold, open-app, render, memory, scale, first-four, round-trips\n"
    )


def test_a_percentile_is_one_of_the_measured_values() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert (percentile(values, 50), percentile(values, 99), percentile([7.0], 99)) == (50.0, 99.0, 7.0)


def test_rounds_become_a_median_with_its_range() -> None:
    recorder = Recorder()
    for rate in (30.0, 10.0, 20.0):
        recorder.note("cold", "a peer", {"photos/s": rate})
    assert recorder.list_measurements() == [Measurement("cold", "a peer", "photos/s", 20.0, 10.0, 30.0)]


def test_a_figure_that_was_not_measured_raises_an_error() -> None:
    recorder = Recorder()
    recorder.note("cold", "a peer", {"photos/s": 1.0})
    assert not recorder.has("cold", "another peer")
    with pytest.raises(KeyError):
        recorder.median("cold", "a peer", "p50 ms")
