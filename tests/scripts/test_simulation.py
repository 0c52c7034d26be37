"""The simulated service keeps the rules of the real one."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import simpy

from planning.costs import load_costs
from planning.duties import Duties
from planning.ledger import REFUSALS
from planning.scenarios import list_scenarios, sum_up
from planning.setup import Setup
from planning.simulation import World, build_world, play
from planning.tokens import Tokens, Verdict
from warmer.keys import Lane

SMALL = Setup(seconds=120, pictures=20_000, requests=200, is_cold=True, rewarm_partners=0, slice_seconds=10)
QUIET = replace(SMALL, requests=0.0, warm_first=0)


def take_all(tokens: Tokens, lane: Lane, takers: int, patience: float, seconds: float) -> list[Verdict]:
    """What so many threads are told, each of which takes again and again."""
    told: list[Verdict] = []

    def work() -> Generator[simpy.Event, Any, None]:
        while True:
            verdict, _ = yield from tokens.take(lane, patience)
            told.append(verdict)
            yield tokens.env.timeout(0.01)

    for _ in range(takers):
        tokens.env.process(work())
    tokens.env.run(until=tokens.env.now + seconds)
    return told


def make_tokens(rate: float = 12) -> Tokens:
    return Tokens(simpy.Environment(), rate, np.random.default_rng(1))


def ask_for(world: World, pictures: range) -> list[bool]:
    """The answers to requests for these, as they come in."""
    answers: list[bool] = []
    for picture in pictures:
        world.front.miss(picture, answers.append)
    return answers


def test_the_same_seed_gives_the_same_run() -> None:
    assert [one.counts for one in play(SMALL).slices] == [one.counts for one in play(SMALL).slices]
    assert [one.counts for one in play(SMALL).slices] != [one.counts for one in play(SMALL, seed=2).slices]


@pytest.mark.parametrize("takers", [1, 50])
def test_tokens_come_at_their_rate_after_one_burst(takers: int) -> None:
    told = take_all(make_tokens(), "hot", takers, patience=2, seconds=60)
    assert told.count("granted") == pytest.approx(12 + 60 * 12, abs=2)


@pytest.mark.parametrize(("lane", "burst"), [("hot", 12), ("warm", 8), ("rewarm", 4)])
def test_a_lane_leaves_its_part_of_the_burst_to_the_others(lane: Lane, burst: int) -> None:
    told = take_all(make_tokens(), lane, takers=1, patience=0, seconds=0.2)
    assert told.count("granted") == pytest.approx(burst + 0.2 * 12, abs=1)


def test_only_hot_waits_for_a_token_and_within_its_patience() -> None:
    assert "postponed" not in take_all(make_tokens(), "hot", takers=5, patience=2, seconds=10)
    assert "postponed" in take_all(make_tokens(), "hot", takers=50, patience=2, seconds=10)
    assert "postponed" in take_all(make_tokens(), "warm", takers=5, patience=2, seconds=10)


def test_nobody_gets_a_token_during_a_pause_not_even_who_waits() -> None:
    tokens = make_tokens()
    told = take_all(tokens, "hot", takers=5, patience=2, seconds=5)
    before = len(told)
    tokens.pause(10)
    tokens.env.run(until=tokens.env.now + 9)
    assert set(told[before:]) == {"paused"}


def test_an_earlier_turn_stays_and_a_later_one_is_hastened() -> None:
    duties = Duties(simpy.Environment())
    duties.set(1, 10)
    duties.set(2, 100)
    duties.schedule_by([1, 2], 20)
    duties.env.run(until=11)
    assert duties.take(10, 60) == [1]
    duties.env.run(until=21)
    assert duties.take(10, 60) == [2]


def test_what_is_due_comes_again_unless_it_is_settled() -> None:
    duties = Duties(simpy.Environment())
    duties.set(1, 0)
    duties.set(2, 0)
    assert sorted(duties.take(10, 60)) == [1, 2]
    duties.drop(2)
    duties.env.run(until=61)
    assert duties.take(10, 60) == [1]


def test_one_picture_is_fetched_once_however_many_ask() -> None:
    world = build_world(QUIET)
    first, second = ask_for(world, range(1)), ask_for(world, range(1))
    world.env.run(until=5)
    assert world.ledger.total("getFile") == 1
    assert first == second == [True]


def test_a_client_waits_no_longer_than_photo_wait() -> None:
    world = build_world(replace(QUIET, call_seconds=5))
    answers = ask_for(world, range(3))
    world.env.run(until=1.9)
    assert answers == []
    world.env.run(until=2.2)
    assert answers == [False] * 3


def test_no_more_wait_than_there_are_places() -> None:
    world = build_world(replace(QUIET, web_processes=1, places=4))
    answers = ask_for(world, range(10))
    assert answers == [False] * 6
    assert world.ledger.total("places") == 6


def test_a_full_hot_queue_refuses() -> None:
    world = build_world(replace(QUIET, hot_max=5, worker_processes=1, threads=2))
    ask_for(world, range(20))
    assert world.ledger.total("queue") == 20 - 5 - 2  # the two threads have one each


def test_a_waiting_client_goes_before_what_nobody_waits_for() -> None:
    world = build_world(replace(QUIET, worker_processes=1, threads=2, telegram_rate=1000, hot_max=100))
    world.crew.ask_all(range(100, 200))
    answers = ask_for(world, range(5))
    world.env.run(until=1.5)
    assert answers == [True] * 5


def test_what_finds_no_token_becomes_due_and_is_stored_later() -> None:
    world = build_world(replace(QUIET, pictures=100))
    world.crew.ask_all(range(100))
    world.env.run(until=3)
    assert not world.stock.are_stored(np.arange(100), world.env.now).all()
    world.env.run(until=30)
    assert world.stock.are_stored(np.arange(100), world.env.now).all()


@pytest.mark.parametrize("is_replicated", [True, False])
def test_a_lost_shard_comes_back_empty_unless_it_has_a_replica(is_replicated: bool) -> None:
    setup = replace(SMALL, is_cold=False, shards=4, loss_at=30.0, loss_seconds=5.0, is_replicated=is_replicated)
    outcomes = play(setup)
    assert outcomes.total("shard") > 100
    before, after = outcomes.slices[2].counts["misses"], outcomes.slices[4].counts["misses"]
    assert (after > 3 * max(before, 10)) is not is_replicated


def test_too_few_web_processes_turn_requests_away() -> None:
    assert play(replace(SMALL, requests=4000, web_processes=1, hit_us=1000, miss_us=1000)).total("web") > 1000
    assert play(replace(SMALL, requests=400, web_processes=1, hit_us=1000, miss_us=1000)).total("web") == 0


def test_every_refusal_and_every_answer_is_counted_once() -> None:
    ledger = play(replace(SMALL, seconds=300))
    served = sum(len(one.waits) for one in ledger.slices)
    refused = sum(ledger.total(name) for name in REFUSALS)
    assert ledger.total("misses") - served - refused <= 64  # that still wait


def test_a_change_of_a_scenario_is_another_setting() -> None:
    scenarios = list_scenarios(load_costs())
    assert [scenario.name for scenario in scenarios] == ["cold", "viral", "shard", "pause"]
    for scenario in scenarios:
        assert all(scenario.base.list_changes(setup) for setup in scenario.changes.values())


def test_a_short_hot_queue_serves_more_clients_of_a_cold_start() -> None:
    cold = replace(SMALL, seconds=120)
    long, short = (sum_up(one, play(one)) for one in (cold, replace(cold, hot_max=24)))
    assert short.served_share > 3 * long.served_share
    assert short.calls_per_second == pytest.approx(long.calls_per_second, rel=0.05)
