"""The simulated service follows the rules of the real one."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import simpy
from click.testing import CliRunner
from redis import Redis

from planning.budget import Budget, Verdict
from planning.check import compare
from planning.costs import load_costs
from planning.scenarios import list_scenarios, sum_up
from planning.schedule import Schedule
from planning.setup import Setup
from planning.simulate import main
from planning.simulation import Simulation, build_simulation, run_simulation
from planning.timeline import REFUSALS
from planning.trial import Trial, simulate
from warmer.deadline import JobContext
from warmer.errors import Paused, Postponed
from warmer.keys import Keys, Lane
from warmer.state import budget as real_budget

SMALL = Setup(seconds=120, pictures=20_000, requests=200, is_cold=True, rewarm_partners=0, slice_seconds=10)
QUIET = replace(SMALL, requests=0.0, warm_first=0)


def take_all(budget: Budget, lane: Lane, takers: int, patience: float, seconds: float) -> list[Verdict]:
    """Returns the verdicts of threads that take tokens repeatedly."""
    verdicts: list[Verdict] = []

    def work() -> Generator[simpy.Event, Any, None]:
        while True:
            verdict, _ = yield from budget.take(lane, patience)
            verdicts.append(verdict)
            yield budget.env.timeout(0.01)

    for _ in range(takers):
        budget.env.process(work())
    budget.env.run(until=budget.env.now + seconds)
    return verdicts


def make_budget(rate: float = 12) -> Budget:
    return Budget(simpy.Environment(), rate)


def ask_for(simulation: Simulation, pictures: range) -> list[bool]:
    """Request these pictures. Returns the list that collects the answers."""
    answers: list[bool] = []
    for picture in pictures:
        simulation.web.miss(picture, answers.append)
    return answers


def ask_simulated(budget: Budget, lane: Lane) -> tuple[Verdict, float]:
    """Returns the verdict for a thread that does not wait, and the seconds to wait."""
    with pytest.raises(StopIteration) as ended:
        next(budget.take(lane, 0))
    verdict: tuple[Verdict, float] = ended.value.value
    return verdict


def ask_real(budget: real_budget.Budget, lane: Lane) -> tuple[Verdict, float]:
    """The same from the service's own budget."""
    try:
        budget.take(JobContext.start(lane, 0))
    except Postponed as error:
        return "postponed", error.retry_after or 0.0
    except Paused as error:
        return "paused", error.retry_after or 0.0
    return "granted", 0.0


@pytest.mark.parametrize("rate", [1.0, 12.0])
def test_the_simulated_budget_answers_like_the_services_own(redis: Redis, keys: Keys, rate: float) -> None:
    simulated, rng = make_budget(rate), np.random.default_rng(7)
    real = real_budget.Budget(redis, keys, rate, clock=lambda: 1000 + float(simulated.env.now))
    lanes: tuple[Lane, ...] = ("hot", "warm", "rewarm")
    verdicts = set()
    for step in range(400):
        simulated.env.run(until=simulated.env.now + rng.exponential(0.9 / rate))
        if step == 200:
            simulated.pause(3)
            real.pause(3)
        lane = lanes[rng.integers(3)]
        (verdict, wait), (real_verdict, real_wait) = ask_simulated(simulated, lane), ask_real(real, lane)
        assert (step, lane, verdict) == (step, lane, real_verdict)
        assert wait == pytest.approx(real_wait, abs=0.002)  # Redis answers in whole milliseconds
        verdicts.add(verdict)
    assert verdicts == {"granted", "postponed", "paused"}


def test_the_same_seed_gives_the_same_run() -> None:
    assert [one.counts for one in run_simulation(SMALL).slices] == [one.counts for one in run_simulation(SMALL).slices]
    assert [one.counts for one in run_simulation(SMALL).slices] != [
        one.counts for one in run_simulation(SMALL, seed=2).slices
    ]


@pytest.mark.parametrize("takers", [1, 50])
def test_tokens_are_granted_at_their_rate_after_one_burst(takers: int) -> None:
    verdicts = take_all(make_budget(), "hot", takers, patience=2, seconds=60)
    assert verdicts.count("granted") == pytest.approx(3 + 60 * 12, abs=2)


def test_hot_and_warm_wait_for_a_token_within_their_patience_and_rewarm_does_not() -> None:
    assert "postponed" not in take_all(make_budget(), "hot", takers=12, patience=2, seconds=10)
    assert "postponed" in take_all(make_budget(), "hot", takers=50, patience=2, seconds=10)
    assert "postponed" not in take_all(make_budget(), "warm", takers=5, patience=2, seconds=10)
    assert "postponed" in take_all(make_budget(), "warm", takers=20, patience=2, seconds=10)
    assert "postponed" in take_all(make_budget(), "rewarm", takers=5, patience=2, seconds=10)


def test_no_lane_gets_a_token_during_a_pause_and_waiting_threads_end() -> None:
    budget = make_budget()
    verdicts = take_all(budget, "hot", takers=5, patience=2, seconds=5)
    before = len(verdicts)
    budget.pause(10)
    budget.env.run(until=budget.env.now + 9)
    assert set(verdicts[before:]) == {"paused"}


def test_schedule_by_moves_a_later_run_forward_and_keeps_an_earlier_one() -> None:
    schedule = Schedule(simpy.Environment())
    schedule.set(1, 10)
    schedule.set(2, 100)
    schedule.schedule_by([1, 2], 20)
    schedule.env.run(until=11)
    assert schedule.take(10, 60) == [1]
    schedule.env.run(until=21)
    assert schedule.take(10, 60) == [2]


def test_a_scheduled_picture_is_repeated_unless_it_is_cancelled() -> None:
    schedule = Schedule(simpy.Environment())
    schedule.set(1, 0)
    schedule.set(2, 0)
    assert sorted(schedule.take(10, 60)) == [1, 2]
    schedule.cancel(2)
    schedule.env.run(until=61)
    assert schedule.take(10, 60) == [1]


def test_one_picture_is_fetched_once_for_any_number_of_requests() -> None:
    simulation = build_simulation(QUIET)
    first, second = ask_for(simulation, range(1)), ask_for(simulation, range(1))
    simulation.env.run(until=5)
    assert simulation.timeline.total("getFile") == 1
    assert first == second == [True]


def test_a_client_waits_no_longer_than_photo_wait() -> None:
    simulation = build_simulation(replace(QUIET, call_seconds=5))
    answers = ask_for(simulation, range(3))
    simulation.env.run(until=1.9)
    assert answers == []
    simulation.env.run(until=2.2)
    assert answers == [False] * 3


def test_no_more_requests_wait_than_there_are_places() -> None:
    simulation = build_simulation(replace(QUIET, web_processes=1, places=4))
    answers = ask_for(simulation, range(10))
    assert answers == [False] * 6
    assert simulation.timeline.total("places") == 6


def test_a_full_hot_queue_refuses_requests() -> None:
    simulation = build_simulation(replace(QUIET, hot_max=5, worker_processes=1, threads=2))
    ask_for(simulation, range(20))
    assert simulation.timeline.total("queue") == 20 - 5 - 2  # the two threads have one task each


def test_a_waiting_client_is_served_before_eager_warming() -> None:
    simulation = build_simulation(replace(QUIET, worker_processes=1, threads=2, telegram_rate=1000, hot_max=100))
    simulation.workers.ask_all(range(100, 200))
    answers = ask_for(simulation, range(5))
    simulation.env.run(until=1.5)
    assert answers == [True] * 5


def test_a_picture_without_a_token_is_scheduled_and_stored_later() -> None:
    simulation = build_simulation(replace(QUIET, pictures=100))
    simulation.workers.ask_all(range(100))
    simulation.env.run(until=3)
    assert not simulation.photos.are_stored(np.arange(100), simulation.env.now).all()
    simulation.env.run(until=30)
    assert simulation.photos.are_stored(np.arange(100), simulation.env.now).all()


@pytest.mark.parametrize("is_replicated", [True, False])
def test_a_lost_shard_is_empty_afterwards_unless_it_has_a_replica(is_replicated: bool) -> None:
    setup = replace(SMALL, is_cold=False, shards=4, loss_at=30.0, loss_seconds=5.0, is_replicated=is_replicated)
    outcomes = run_simulation(setup)
    assert outcomes.total("shard") > 100
    before, after = outcomes.slices[2].counts["misses"], outcomes.slices[4].counts["misses"]
    assert (after > 3 * max(before, 10)) is not is_replicated


def test_too_few_web_processes_refuse_requests() -> None:
    assert run_simulation(replace(SMALL, requests=4000, web_processes=1, hit_us=1000, miss_us=1000)).total("web") > 1000
    assert run_simulation(replace(SMALL, requests=400, web_processes=1, hit_us=1000, miss_us=1000)).total("web") == 0


def test_every_refusal_and_every_answer_is_counted_once() -> None:
    timeline = run_simulation(replace(SMALL, seconds=300))
    served = sum(len(one.waits) for one in timeline.slices)
    refused = sum(timeline.total(name) for name in REFUSALS)
    assert timeline.total("misses") - served - refused <= 64  # requests that still wait


def test_every_change_of_a_scenario_changes_a_setting() -> None:
    scenarios = list_scenarios(load_costs())
    assert [scenario.name for scenario in scenarios] == ["cold", "viral", "shard", "pause"]
    for scenario in scenarios:
        assert scenario.base not in scenario.changes.values()


@pytest.mark.parametrize("hot_max", [24, 200])
def test_every_token_of_a_cold_start_serves_a_client_in_time(hot_max: int) -> None:
    cold = replace(SMALL, hot_max=hot_max)
    outcome = sum_up(cold, run_simulation(cold))
    assert outcome.served_share * outcome.misses >= 0.9 * outcome.calls_per_second * cold.seconds


def test_the_command_names_an_unknown_scenario() -> None:
    done = CliRunner().invoke(main, ["flood"])
    assert done.exit_code == 2
    assert "no scenario is named 'flood'" in done.output


def test_the_comparison_notices_another_rate() -> None:
    trial, costs = Trial(missed=100, warmed=60, flood_seconds=3, telegram_rate=20), load_costs()
    right, wrong = (simulate(one, costs) for one in (trial, replace(trial, telegram_rate=8.0)))
    off = {one.figure for one in compare(right, wrong) if not one.holds(0.45)}
    assert {"miss_seconds", "flood_served"} <= off
