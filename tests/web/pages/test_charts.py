"""Charts as SVG points and as text."""

from __future__ import annotations

from collections import Counter

from web.pages.charts import HEIGHT, PLANS, WIDTH, Plan, draw, draw_all
from web.pages.charts import format_value as shown
from web.pages.history import Figures, summarize
from web.pages.overview import Step

DUE = Plan("Due", "", {"subjects": lambda one: one.due})


def figures(*dues: int | None) -> list[Figures | None]:
    return [None if due is None else summarize(Counter({"due": due})) for due in dues]


def test_a_line_spans_the_width_and_starts_at_zero() -> None:
    chart = draw(DUE, figures(0, 5, 10))
    assert chart.lines[0].pieces == [f"0.0,{HEIGHT}.0 {WIDTH / 2},{HEIGHT / 2} {WIDTH}.0,0.0"]
    assert (chart.lowest, chart.highest) == ("0", "10")


def test_unknown_values_leave_a_gap() -> None:
    pieces = draw(DUE, figures(1, 2, None, None, 3, 4)).lines[0].pieces
    assert [len(piece.split()) for piece in pieces] == [2, 2]


def test_a_single_point_between_gaps_is_drawn_twice_to_be_visible() -> None:
    [piece] = draw(DUE, figures(None, 2, None)).lines[0].pieces
    assert len(set(piece.split())) == 1
    assert len(piece.split()) == 2


def test_a_constant_line_is_drawn() -> None:
    assert draw(DUE, figures(7, 7)).lines[0].pieces == [f"0.0,0.0 {WIDTH}.0,0.0"]
    assert draw(DUE, figures(0, 0)).lines[0].pieces == [f"0.0,{HEIGHT}.0 {WIDTH}.0,{HEIGHT}.0"]


def test_a_hit_rate_is_drawn_from_its_lowest_value() -> None:
    plan = next(plan for plan in PLANS if plan.title == "Hit rate")
    chart = draw(plan, [summarize(Counter({"hits": hits, "misses": 100 - hits})) for hits in (90, 98)])
    assert (chart.lowest, chart.highest) == ("90 %", "98 %")


def test_the_text_describes_the_chart() -> None:
    words = draw(DUE, figures(3, 9, 4)).words
    assert words == "Due, last 24 hours. subjects: lowest 3, highest 9, last 4."
    assert draw(DUE, figures(3, None)).words.endswith("last no data.")


def test_without_values_no_line_is_drawn() -> None:
    for chart in draw_all([Step(0, None)] * 3):
        assert chart.lines == []
        assert "no data" in chart.words


def test_a_chart_begins_with_the_first_figures_and_says_since_when() -> None:
    steps = [Step(0, None), Step(600, None), Step(1200, summarize(Counter({"due": 2}))), Step(1800, None)]
    steps.append(Step(2400, summarize(Counter({"due": 4}))))
    [chart] = [chart for chart in draw_all(steps, "since 12 min") if chart.title == "Scheduled"]
    assert chart.lines[0].pieces == [f"0.0,{HEIGHT / 2} 0.0,{HEIGHT / 2}", f"{WIDTH}.0,0.0 {WIDTH}.0,0.0"]
    assert chart.words.startswith("Scheduled, since 12 min. ")


def test_a_single_step_is_shown_in_words() -> None:
    steps = [Step(0, None), Step(600, summarize(Counter({"due": 4, "hits": 3, "misses": 1, "hit_ms:10": 5})))]
    shown = {chart.title: (chart.latest, chart.lines) for chart in draw_all(steps)}
    assert shown["Scheduled"] == ("4", [])
    assert shown["Hit rate"] == ("75 %", [])
    assert shown["Cached, response time"] == ("p50 7.5 ms, p99 9.9 ms", [])
    assert shown["Uncached, response time"] == ("", [])


def test_every_point_lies_inside_the_chart() -> None:
    names = ["requests", "hits", "misses", "errors", "hit_ms:5", "miss_ms:500", "calls", "failed_calls", "pauses"]
    names += ["warmings", "failures", "unavailable:none", "unavailable:too-big", "queue:hot", "due", "workers"]
    steps = [Step(0, summarize(Counter({name: (n * i) % 7 for i, name in enumerate(names)}))) for n in range(9)]
    for chart in draw_all(steps):
        for line in chart.lines:
            points = [point.split(",") for piece in line.pieces for point in piece.split()]
            assert all(0 <= float(x) <= WIDTH and 0 <= float(y) <= HEIGHT for x, y in points), chart.title


def test_values_are_formatted_with_their_unit() -> None:
    assert [shown(0.975, "%"), shown(1, "%"), shown(3.14, "ms"), shown(1528.4, "ms"), shown(12345, "")] == [
        "97.5 %", "100 %", "3.1 ms", "1,528 ms", "12,345",
    ]  # fmt: skip
    assert shown(None, "ms") == "–"
