"""The capacity model: its arithmetic, its options, and the three assumptions with the most influence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from click.testing import CliRunner
from redis import Redis

from planning.capacity import main
from planning.costs import Work, load_costs, save_costs
from planning.inputs import BadInput, Inputs, read_inputs
from planning.measure import Meter
from planning.model import make_plan
from planning.popularity import Popularity
from planning.sensitivity import rank_inputs

COSTS = load_costs()
MILLION = read_inputs(partners=1_000_000)


BAD: list[dict[str, object]] = [{"partners": 0}, {"zipf": 5}, {"hit_ratio": 1}, {"photo_ttl": "soon"}, {"busy": "nan"}]


@pytest.mark.parametrize("given", BAD)
def test_a_bad_input_is_named_by_its_option(given: dict[str, object]) -> None:
    option = "--" + next(iter(given)).replace("_", "-")
    with pytest.raises(BadInput, match=f"^{option}: "):
        read_inputs(**given)


def test_the_command_names_a_bad_option_and_fails() -> None:
    done = CliRunner().invoke(main, ["--shard-gb", "none"])
    assert done.exit_code == 1
    assert "Error: --shard-gb: " in done.output


def test_the_command_shows_one_table_and_three_assumptions() -> None:
    done = CliRunner().invoke(main, ["--partners", "2000000"])
    assert "2,000,000 partners" in done.output
    assert "Redis memory to buy" in done.output
    assert "  3. --" in done.output
    assert "  4. --" not in done.output


def test_the_command_prints_the_same_as_json() -> None:
    told = json.loads(CliRunner().invoke(main, ["--json", "--partners", "1000000"]).output)
    assert told["inputs"]["partners"] == 1_000_000
    assert told["plan"]["redis_shards"] == make_plan(MILLION, COSTS).redis_shards
    assert len(told["influences"]) == 3


def test_every_assumption_is_an_option_with_a_description() -> None:
    shown = CliRunner().invoke(main, ["--help"]).output
    assert [name for name, field in Inputs.model_fields.items() if not field.description] == []
    assert [name for name in Inputs.model_fields if f"--{name.replace('_', '-')}" not in shown] == []


def test_saved_costs_can_be_loaded_again(tmp_path: Path) -> None:
    save_costs(COSTS, tmp_path / "costs.json")
    assert load_costs(tmp_path / "costs.json") == COSTS


def test_redis_holds_all_records_and_the_pictures_that_clients_request() -> None:
    plan, memory = make_plan(read_inputs(partners=100_000, zipf=0, rewarm_partners=0), COSTS), COSTS.memory
    asked = 0.2 * 12 / 86_400 * 604_800  # requests for each picture within its TTL
    picture = 3 * (memory.variant_bytes + memory.variant_overhead) + memory.preview
    expected = 100_000 * (memory.record + memory.shown_by + asked / (1 + asked) * picture)
    assert plan.redis_gb == pytest.approx(expected / 1e9, rel=0.01)


def test_a_miss_and_a_check_cost_one_call_each_and_a_new_partner_two() -> None:
    given = read_inputs(partners=100_000, hit_ratio=0.9, churn_per_year=0, joins_per_day=0.01, peak_factor=1)
    misses, joins = 0.1 * 0.2 * 100_000 * 12 / 86_400, 100_000 * 0.01 / 86_400
    assert make_plan(given, COSTS).telegram_calls == pytest.approx(misses + 2 * joins + 1000 / 21_600)


def test_commands_decide_the_shards_if_they_need_more_than_memory() -> None:
    plan = make_plan(read_inputs(partners=1_000_000, shard_ops=100), COSTS)
    assert plan.redis_shards == np.ceil(plan.redis_commands / 100)
    assert plan.redis_servers == 2 * plan.redis_shards


def test_a_rate_below_that_of_expiring_pictures_is_not_enough() -> None:
    assert make_plan(MILLION, COSTS).is_rate_enough
    assert not make_plan(read_inputs(partners=10_000_000), COSTS).is_rate_enough
    assert not make_plan(read_inputs(partners=10_000_000), COSTS).can_all_be_warm


def test_slower_hits_need_more_web_processes() -> None:
    dearer = replace(COSTS, redis_hit=replace(COSTS.redis_hit, web_us=100 * COSTS.redis_hit.web_us))
    assert make_plan(MILLION, dearer).web_processes > make_plan(MILLION, COSTS).web_processes


def test_slow_calls_need_more_threads() -> None:
    slow = read_inputs(partners=10_000_000, upstream_seconds=5)
    assert make_plan(slow, COSTS).worker_processes > make_plan(read_inputs(partners=10_000_000), COSTS).worker_processes


def test_an_influence_is_the_effect_of_doubling() -> None:
    for one in rank_inputs(MILLION, COSTS):
        doubled = read_inputs(**{**MILLION.model_dump(), one.name: 2 * one.value})
        ratio = getattr(make_plan(doubled, COSTS), one.result) / getattr(make_plan(MILLION, COSTS), one.result)
        assert one.change == pytest.approx(ratio, rel=0.001)


def test_influences_are_sorted_by_weight() -> None:
    weights = [one.weight for one in rank_inputs(MILLION, COSTS, number=100)]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] > 2 * weights[5]


@pytest.mark.parametrize("exponent", [0.0, 0.8, 1.0, 1.3])
def test_draws_follow_the_popularity_rates(exponent: float) -> None:
    popularity = Popularity(1000, exponent)
    drawn = np.bincount(popularity.draw(np.random.default_rng(1), 200_000), minlength=1000)
    rates = popularity.list_rates(200_000)
    assert rates.sum() == pytest.approx(200_000)
    assert drawn[:10].sum() == pytest.approx(rates[:10].sum(), rel=0.05)
    assert drawn[500:].sum() == pytest.approx(rates[500:].sum(), rel=0.05)


@pytest.mark.parametrize("exponent", [0.0, 0.8, 1.0])
def test_binned_ranks_give_the_same_result_as_single_ranks(exponent: float) -> None:
    popularity = Popularity(50_000, exponent)
    asked = popularity.list_rates(100) * 600
    misses, stored = popularity.split(100, 600)
    assert stored == pytest.approx((asked / (1 + asked)).sum(), rel=0.01)
    assert misses == pytest.approx((asked / (1 + asked)).sum() / 600, rel=0.01)


def test_a_cache_keeps_as_many_pictures_as_fit() -> None:
    popularity = Popularity(10_000, 0.8)
    age = popularity.find_age(1000, room=500, age_seconds=60)
    assert popularity.split(1000, age)[1] == pytest.approx(500, rel=0.01)
    assert popularity.find_age(1000, room=10_001, age_seconds=60) == 60


def test_a_meter_counts_the_cost_of_a_piece_of_work(redis: Redis) -> None:
    meter = Meter(redis, psutil.Process(), [])
    work = meter.measure(1000, lambda: [redis.set("counted", "x" * 100) for _ in range(1000)])
    assert work.commands == pytest.approx(1, abs=0.05)
    assert 100 < work.redis_bytes_in < 200
    assert work.web_us > 1


def test_a_meter_leaves_out_the_cost_of_an_idle_service(redis: Redis) -> None:
    meter = Meter(redis, psutil.Process(), [])
    meter.idle = Work(commands=1e9)
    assert meter.measure(1, redis.ping).commands == 0
