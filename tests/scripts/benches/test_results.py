"""The benchmark's own arithmetic; its measurements are not tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benches import hits, load, peers_env, report, rivals
from benches.record import Record
from benches.results import Measurement, Part, Recorder, Row, make_row, percentile

ROOT = Path(__file__).resolve().parents[3]
MET = Row("hit", "thumbor", measured=4.2, target=4.0, low=4.1, high=4.3, times=3).follow(None)
MISSED = Row("304", "photo bytes", measured=17.0, target=0.0, is_floor=False, unit="B", note="one look")
RATE = Measurement("hit", "thumbor", "requests/s", 1290, 1200, 1300, 3)
PART = Part("hits", [RATE], [MET, MISSED], ["nginx: missing"], "2026-11-30", 12.0)
FAILED = {"storm": "2026-11-29: ValueError: answered 503"}
RECORD = Record({"memory": "4 GiB"}, {"Python": "3.11"}, ["libvips: no network"], [PART], FAILED)
TOLD = {"requests": 3000, "bytes": 18_000_000, "microseconds": 3_000_000, "p50": 2500, "p99": 9000}
WELL = {"connect": 0, "read": 0, "write": 0, "timeout": 0, "status": 0}


def told(**errors: int) -> str:
    return f"Running 3s test @ http://127.0.0.1:1\n{json.dumps({**TOLD, **WELL, **errors})}\n"


def record_rates(**values: float) -> Recorder:
    """Returns one round of the part `hits` by contestant."""
    recorder = Recorder()
    for who, value in values.items():
        recorder.note("hit", getattr(rivals, who), {hits.RATE: value})
    recorder.note("304", rivals.OURS, {hits.RATE: 500, hits.FROM_REDIS: 24})
    recorder.note(hits.PACED, rivals.OURS, {"p99 ms": 3.0})
    return recorder


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


def test_ratios_compare_each_round_and_a_missing_peer_has_no_row() -> None:
    rows = hits.make_rows(record_rates(OURS=400, GRANIAN=800, CEILING=500, THUMBOR=100))
    assert [(row.against, row.measured) for row in rows] == [
        ("gunicorn, constant answer", 0.8),
        ("thumbor", 4.0),
        ("its own hit", 1.25),
        ("photo bytes from Redis", 0.0),
        ("p99", 3.0),
    ]


def test_a_row_has_the_median_of_its_rounds_their_range_and_their_number() -> None:
    row = make_row("hit", "thumbor", [3.0, 9.0, 4.0], 5.0)
    assert (row.measured, row.low, row.high, row.times) == (4.0, 3.0, 9.0, 3)
    assert make_row("answered 200", "", [400.0, 399.0], 400, min).measured == 399.0


def test_a_target_that_holds_is_raised_to_a_tenth_beyond_what_was_reached() -> None:
    assert Row("", "", measured=20.0, target=5.0).follow(None).raised == pytest.approx(22.0)
    assert Row("", "", measured=11.0, target=20.0, is_floor=False).follow(None).raised == pytest.approx(10.0)


def test_a_missed_target_is_not_raised_and_none_is_raised_beyond_what_is_possible() -> None:
    assert Row("", "", measured=4.0, target=5.0).follow(None).raised is None
    assert Row("", "", measured=400, target=400, limit=400).follow(None).raised == 400
    assert Row("", "", measured=1.05, target=1.2, is_floor=False, limit=1.0).follow(None).raised == 1.0


@pytest.mark.parametrize(("measured", "raised"), [(6.0, 7.2), (7.1, 7.2), (4.0, 7.2), (8.0, 8.8)])
def test_a_raised_target_stays_until_a_run_reaches_it(measured: float, raised: float) -> None:
    last = Row("", "", measured=6.5, target=5.0, raised=7.2)
    assert Row("", "", measured=measured, target=5.0).follow(last).raised == pytest.approx(raised)


@pytest.mark.parametrize(
    ("rounds", "trend"), [([4.9, 5.1, 5.8], "fell"), ([5.1, 6.0], ""), ([6.9, 7.0], "rose"), ([9.0], "")]
)
def test_a_row_rose_or_fell_if_all_its_rounds_are_outside_the_range_of_the_last_run(
    rounds: list[float], trend: str
) -> None:
    last = make_row("hit", "thumbor", [5.9, 6.6, 6.8], 5.0)
    assert make_row("hit", "thumbor", rounds, 5.0).follow(last).trend == trend


def test_only_runs_on_the_same_kind_of_machine_are_compared() -> None:
    last = Part("hits", rows=[make_row("hit", "thumbor", [5.9, 6.8], 5.0).follow(None)], machine="two cores")
    for machine, trend in (("two cores", "fell"), ("eight cores", "")):
        now = Part("hits", rows=[make_row("hit", "thumbor", [5.1, 5.2], 5.0)], machine=machine)
        now.follow(last)
        assert [row.trend for row in now.rows] == [trend]


def test_the_table_says_what_changed_since_the_last_run() -> None:
    last = make_row("hit", "p99", [1.0, 2.0], 9.0, is_floor=False).follow(None)
    for rounds, words in (
        ([3.0, 5.0], "holds; rose from 1.5 ms, worse; raised to ≤ 1.36 ms"),
        ([0.5, 0.6], "holds; fell from 1.5 ms, better; reached the raised ≤ 1.36 ms; raised to ≤ 0.5 ms"),
        ([10.0, 12.0], "**MISS**; rose from 1.5 ms, worse: not explained yet"),
    ):
        row = make_row("hit", "p99", rounds, 9.0, is_floor=False, unit="ms").follow(last)
        assert report.make_table([row], {}).splitlines()[-1].endswith(f"| 2 | {words} |")


def test_a_row_that_no_run_can_better_says_why() -> None:
    row = make_row("crowd", "answered 200", [400.0, 400.0], 400, unit="", limit=400, limit_reason="all are answered")
    assert report.make_table([row.follow(row.follow(None))], {}).endswith(
        "| holds; no run can better it, since all are answered |\n"
    )


def test_figures_without_a_spread_say_so() -> None:
    recorder = Recorder()
    recorder.note("storm", "ours", {"PUTs/s": 383.0})
    recorder.count("render", "ours", {"bytes": 2132})
    assert [report.show_measurement(one) for one in recorder.list_measurements()] == [
        "| storm | ours | PUTs/s | 383 | no spread | 1 |",
        "| render | ours | bytes | 2,132 | counted | 1 |",
    ]
    assert "| 5 × | no spread | 1 |" in report.make_table([make_row("storm", "", [5.0], 4.0)], {})


def test_ratios_of_blocks_compare_their_medians() -> None:
    recorder = Recorder()
    for ours, theirs in ((1.0, 2.0), (9.0, 2.0), (2.0, 2.0), (4.0, 8.0), (4.0, 8.0), (8.0, 8.0)):
        recorder.note("open", "ours", {"ms": ours})
        recorder.note("open", "theirs", {"ms": theirs})
    assert recorder.list_ratios("ms", ("open", "ours"), ("open", "theirs"), 2) == [1.0, 0.5]


def test_the_table_shows_held_and_missed_targets() -> None:
    table = report.make_table([MET, MISSED], {}).splitlines()
    assert table[2:] == [
        "| hit | thumbor | ≥ 4 × | 4.2 × | 4.1 – 4.3 | 3 | holds; raised to ≥ 4.62 × |",
        "| 304 | photo bytes | ≤ 0 B | 17 B | – | – | **MISS**: one look |",
    ]


def test_a_note_explains_a_miss_and_is_not_shown_beside_a_target_that_holds() -> None:
    notes = {"304 | photo bytes": "the picture is read twice", "hit | thumbor": "it is slow"}
    table = report.make_table([MET, MISSED], notes)
    assert "**MISS**: one look; the picture is read twice |" in table
    assert "it is slow" not in table


def test_a_miss_without_any_explanation_says_so_and_a_moonshot_is_none() -> None:
    table = report.make_table([Row("a", "b", 1, 2), Row("c", "d", 1, 2, is_moonshot=True)], {"c | d": "far"})
    assert "**MISS**: not explained yet |" in table
    assert "| moonshot, not reached: far |" in table


def test_a_note_that_belongs_to_no_row_is_found() -> None:
    assert report.list_stray_notes(RECORD, {"hit | thumbor": "", "hit | somebody": ""}) == ["hit | somebody"]


def test_the_page_shows_measurements_dates_skipped_peers_and_failed_parts() -> None:
    page = report.make_page(RECORD, {})
    for line in (
        "- memory: 4 GiB",
        "Measured on 2026-11-30, in 12 s.",
        "| hit | thumbor | requests/s | 1,290 | 1,200 – 1,300 | 3 |",
        "- libvips: no network",
        "- hits: nginx: missing",
    ):
        assert f"\n{line}\n" in page
    assert page.endswith("- storm failed on 2026-11-29: ValueError: answered 503\n")


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
        "there are hits, waiting, cold, open-app, first-four, storm, render, memory, scale, "
        "report, round-trips, switch-interval\n"
    )


def test_a_percentile_is_one_of_the_measured_values() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert (percentile(values, 50), percentile(values, 99), percentile([7.0], 99)) == (50.0, 99.0, 7.0)


def test_rounds_become_a_median_with_its_range() -> None:
    recorder = Recorder()
    for rate in (30.0, 10.0, 20.0):
        recorder.note("cold", "a peer", {"photos/s": rate})
    assert recorder.list_measurements() == [Measurement("cold", "a peer", "photos/s", 20.0, 10.0, 30.0, 3)]


def test_a_figure_that_was_not_measured_raises_an_error() -> None:
    recorder = Recorder()
    recorder.note("cold", "a peer", {"photos/s": 1.0})
    assert not recorder.has("cold", "another peer")
    with pytest.raises(KeyError):
        recorder.median("cold", "a peer", "p50 ms")
