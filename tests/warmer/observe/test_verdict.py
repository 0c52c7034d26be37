"""The verdict: what is wrong, since when, and what to do first."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from faketelegram import FakeTelegram
from tests.support.cli_parts import send_heartbeat
from tests.support.running import ROOT
from warmer.observe import rates
from warmer.observe.checks import LOADING, STATES, Health
from warmer.observe.rates import Rule
from warmer.observe.verdict import COMMANDS, Observed, Verdict, find_runbook, make_verdict
from warmer.state.budget import Trouble
from warmer.state.outbox import DeadEvent, Undelivered
from warmer.state.stats import list_minutes
from warmer.state.workers import WorkerStatus
from warmer.wiring import WorkerContext

AT = 1_800_000_030  # half a minute after a full one
MINUTE = AT // 60
RUNBOOK = "docs/runbook.md"
WELL = Health(dict.fromkeys(STATES, "ok"), can_read=True, workers=[WorkerStatus("w", "ok")])


def make_health(checks: dict[str, str], **parts: Any) -> Health:
    return replace(WELL, checks=WELL.checks | checks, **parts)


def make_minutes(**ago: dict[str, int]) -> list[Counter[str]]:
    """An hour of empty minutes, except `_5={…}` five minutes ago, and so on."""
    minutes = [Counter[str]() for _ in range(60)]
    for name, fields in ago.items():
        minutes[-1 - int(name[1:])].update(fields)
    return minutes


def judge(health: Health, minutes: list[Counter[str]] | None = None, webhook: Undelivered | None = None) -> Verdict:
    return make_verdict(Observed(health, minutes or [], AT, webhook), RUNBOOK)


def test_without_a_fault_all_is_well() -> None:
    verdict = judge(WELL)
    assert (verdict.is_well, verdict.sentence, verdict.link, verdict.others) == (True, "All is well.", "", ())


ILL = [
    ({"redis": "away"}, {"can_read": False}, "RedisAway", "Redis is away"),
    ({"redis": "away"}, {"reason": "it is full"}, "RedisAway", "Redis takes no writes (it is full)"),
    (
        {"redis": "away"},
        {"can_read": False, "reason": LOADING},
        "RedisAway",
        "Redis is away (it still loads its data): p",
    ),
    ({"redis": "denied"}, {"denied": ("+eval",)}, "RightsMissing", "Redis denies +eval"),
    ({"broker": "away"}, {}, "BrokerAway", "The broker is away"),
    ({"broker": "denied"}, {}, "RightsMissing", "The broker denies a right"),
    ({"broker": "denied"}, {"broker_denied": ("&v2:*",)}, "RightsMissing", "The broker denies &v2:*"),
    ({"bot": "unauthorized"}, {}, "TokenRefused", "Telegram refuses the bot token"),
    ({"bot": "logged_out"}, {}, "TokenRefused", "The bot is logged out"),
    ({"bot": "unreachable"}, {"workers": [WorkerStatus("w", "unreachable")]}, "TelegramUnreachable", "Telegram is unr"),
    ({"bot": "unreachable"}, {"trouble": Trouble(("download",))}, "TelegramUnreachable", "Telegram answers getMe, but"),
    ({"worker": "missing"}, {"workers": []}, "WorkersGone", "No worker is alive"),
    ({"worker": "fewer"}, {"silent": {"w2": AT - 90}}, "WorkersFewer", "The worker w2 is gone"),
    ({"beat": "missing"}, {}, "BeatMissing", "Beat is not running"),
    ({}, {"trouble": Trouble(pause_seconds=9.0)}, "TelegramPauses", "Telegram asked for a pause"),
]


@pytest.mark.parametrize(("checks", "parts", "fault", "begins"), ILL)
def test_each_fault_is_told_with_a_link_into_the_runbook(
    checks: dict[str, str], parts: dict[str, Any], fault: str, begins: str
) -> None:
    verdict = judge(make_health(checks, **parts))
    assert (verdict.is_well, verdict.fault, verdict.link) == (False, fault, f"{RUNBOOK}#{fault.lower()}")
    assert verdict.sentence.startswith(begins)
    assert verdict.hurts
    assert verdict.hurts in verdict.sentence
    assert verdict.command == COMMANDS[fault]


def test_every_word_of_a_check_except_unknown_has_a_verdict() -> None:
    told = {(check, word) for checks, *_ in ILL for check, word in checks.items()}
    assert told == {(check, word) for check, words in STATES.items() for word in words} - {
        (check, word) for check in STATES for word in ("ok", "unknown")
    }


def test_the_command_is_the_first_one_of_the_runbooks_section() -> None:
    text = (ROOT / RUNBOOK).read_text("utf-8")
    first = dict(re.findall(r"^## (\w+)\n\n\*\*Look first\.\*\* `([^`]+)`", text, re.MULTILINE))
    assert {name: first.get(name) for name in COMMANDS} == COMMANDS


def test_of_several_faults_the_one_that_hurts_most_comes_first() -> None:
    verdict = judge(
        make_health({"beat": "missing", "broker": "away", "worker": "fewer"}, silent={"w2": AT - 90}), make_minutes()
    )
    assert verdict.fault == "BrokerAway"
    assert [(other.fault, other.link) for other in verdict.others] == [
        ("BeatMissing", f"{RUNBOOK}#beatmissing"),
        ("WorkersFewer", f"{RUNBOOK}#workersfewer"),
    ]


def test_while_redis_loads_its_data_nobody_is_told_to_start_it_again() -> None:
    verdict = judge(make_health({"redis": "away"}, can_read=False, reason=LOADING))
    assert verdict.sentence.endswith("; wait until it has loaded them.")


def test_several_lost_workers_are_named_together() -> None:
    verdict = judge(make_health({"worker": "fewer"}, silent={"w3": AT - 60, "w2": AT - 90}))
    assert verdict.sentence.startswith("The workers w2, w3 are gone, since ")
    assert verdict.sentence.endswith("; start them again.")


def test_a_pause_of_getme_is_a_pause_and_no_unreachable_telegram() -> None:
    paused = {"workers": [WorkerStatus("w", "unreachable")], "trouble": Trouble(pause_seconds=9.0)}
    verdict = judge(make_health({"bot": "unreachable"}, **paused))
    assert (verdict.fault, verdict.others) == ("TelegramPauses", ())


def test_a_queue_that_was_long_for_five_minutes_is_a_fault_since_then() -> None:
    long = {"queue:warm": 500, "queue:rewarm": 900}
    minutes = make_minutes(_7={"queue:warm": 99}, _5=long, _4=long, _3=long, _2=long)
    assert judge(WELL, minutes).is_well
    minutes[-2].update(long)
    verdict = judge(WELL, minutes)
    assert (verdict.fault, verdict.since) == ("QueuePilesUp", 60 * (MINUTE - 5))
    assert verdict.sentence.startswith("500 jobs wait in warm, since ")
    minutes[-1].update({"queue:warm": 0})
    assert judge(WELL, minutes).is_well


# Since when


def test_a_worker_is_gone_since_its_last_heartbeat() -> None:
    silent = {"w2": AT - 90, "w3": AT - 60}
    assert judge(make_health({"worker": "fewer"}, silent=silent)).since == AT - 90
    assert judge(make_health({"worker": "missing"}, workers=[], silent=silent)).since == AT - 60


def test_workers_that_said_goodbye_are_gone_since_the_minute_of_their_last_sample() -> None:
    verdict = judge(make_health({"worker": "missing"}, workers=[]), make_minutes(_9={"workers": 2}, _2={"requests": 1}))
    assert verdict.since == 60 * (MINUTE - 8)


def test_of_a_killed_worker_and_one_that_said_goodbye_later_the_later_counts() -> None:
    verdict = judge(
        make_health({"worker": "missing"}, workers=[], silent={"w": AT - 3000}), make_minutes(_9={"workers": 1})
    )
    assert verdict.since == 60 * (MINUTE - 8)


def test_beat_is_missing_since_the_minute_of_its_last_round() -> None:
    missing = make_health({"beat": "missing"})
    assert judge(missing, make_minutes(_5={"due": 7}, _1={"requests": 1})).since == 60 * (MINUTE - 4)
    assert judge(missing, make_minutes(_0={"due": 7})).since == AT
    assert judge(missing, make_minutes()).since is None


def test_an_outage_of_redis_began_when_the_process_noticed_it_unless_it_looked_late() -> None:
    away = make_health({"redis": "away"}, noticed={"redis": AT - 40})
    assert judge(away).since == AT - 40
    assert judge(away, make_minutes(_1={"requests": 1})).since == AT - 40
    assert judge(away, make_minutes(_30={"requests": 1})).since == 60 * (MINUTE - 29)
    unwatched = make_health({"redis": "away"}, noticed={"redis": AT - 3000})
    assert judge(unwatched, make_minutes(_5={"requests": 1})).since == 60 * (MINUTE - 4), "figures refute the notice"


def test_the_broker_is_away_since_the_queues_were_counted_last() -> None:
    assert judge(make_health({"broker": "away"}), make_minutes(_7={"queue:hot": 0})).since == 60 * (MINUTE - 6)


def test_an_unknown_beginning_is_left_out() -> None:
    verdict = judge(make_health({"bot": "unauthorized"}))
    assert verdict.since is None
    assert "since" not in verdict.sentence


def test_a_beginning_of_another_day_is_told_with_its_date() -> None:
    def tell(ago: int) -> str:
        return judge(make_health({"bot": "unauthorized"}, trouble=Trouble(halted_since=AT - ago))).sentence

    assert re.search(r", since \d\d:\d\d UTC: ", tell(3600))
    assert re.search(r", since \d{4}-\d\d-\d\d \d\d:\d\d UTC: ", tell(86_400))


# Errors


def test_errors_above_the_target_are_a_fault_since_their_first_minute() -> None:
    bad = {"requests": 100, "errors": 5}
    minutes = make_minutes(_19=bad, _9=bad, _6={"requests": 50}, _4=bad, _3={}, _2=bad, _1=bad, _0=bad)
    verdict = judge(WELL, minutes)
    assert (verdict.fault, verdict.since) == ("ErrorsHigh", 60 * (MINUTE - 4))
    assert verdict.sentence.startswith("5% of the photo requests fail, since ")


@pytest.mark.parametrize(
    "now", [{"requests": 100, "errors": 1}, {"requests": 21, "errors": 4}, {"requests": 30, "errors": 0}]
)
def test_few_errors_and_errors_of_a_minute_ago_are_none(now: dict[str, int]) -> None:
    assert judge(WELL, make_minutes(_2={"due": 1}, _1={"requests": 100, "errors": 50}, _0=now)).is_well


def test_few_requests_count_with_those_of_the_minute_before() -> None:
    minutes = make_minutes(_2={"due": 1}, _1={"requests": 50, "errors": 5}, _0={"requests": 10})
    assert (judge(WELL, minutes).fault, judge(WELL, minutes).since) == ("ErrorsHigh", 60 * (MINUTE - 1))
    assert judge(WELL, make_minutes(_2={"due": 1}, _1={"requests": 5, "errors": 5}, _0={"requests": 4})).is_well


def test_errors_that_were_written_after_an_outage_of_redis_are_none_of_now() -> None:
    assert judge(WELL, make_minutes(_6={"requests": 100}, _0={"requests": 600, "errors": 500})).is_well


def test_errors_of_the_night_are_another_outage_than_those_of_the_morning() -> None:
    bad = {"requests": 100, "errors": 50}
    verdict = judge(WELL, make_minutes(_40=bad, _2={"due": 1}, _1=bad, _0=bad))
    assert verdict.since == 60 * (MINUTE - 1)


# By the rules of the alerts


def make_even(number: int, fields: dict[str, int]) -> list[Counter[str]]:
    """Two hours of minutes. The last `number` whole ones have these fields, and nothing was counted before."""
    minutes = [Counter[str]() for _ in range(121)]
    for bucket in minutes[-1 - number : -1]:
        bucket.update(fields)
    return minutes


# The alert, its rule, and the figures of a minute: just enough, and just too few.
RULES = [
    ("MissesShed", rates.SHED, {"shed": 7}, {"shed": 6}),
    ("HitRateLow", rates.HITS, {"hits": 13, "misses": 2}, {"hits": 27, "misses": 3}),
    ("HitRateLow", rates.HITS, {"misses": 7}, {"misses": 6}),
    ("CachedSlow", rates.CACHED, {"hit_ms:100": 98, "hit_ms:200": 2}, {"hit_ms:100": 99, "hit_ms:200": 1}),
    ("CachedSlow", rates.CACHED, {"hit_ms:200": 7}, {"hit_ms:5000": 6}),
    ("UncachedSlow", rates.UNCACHED, {"miss_ms:1000": 1}, {"miss_ms:500": 1}),
]


@pytest.mark.parametrize(("fault", "rule", "enough", "too_little"), RULES)
def test_a_rule_of_an_alert_holds_in_both_windows_for_its_time(
    fault: str, rule: Rule, enough: dict[str, int], too_little: dict[str, int]
) -> None:
    assert judge(WELL, make_even(120, too_little)).is_well
    verdict = judge(WELL, make_even(120, enough))
    assert (verdict.fault, verdict.others) == (fault, ())
    assert judge(WELL, make_even(rule.lasts, enough)).is_well
    over = make_even(120, enough)
    for bucket in over[-1 - rule.short_window :]:
        bucket.clear()
    assert judge(WELL, over).is_well


def test_a_few_requests_of_a_quiet_hour_say_nothing() -> None:
    quiet = {"requests": 1, "misses": 1, "miss_ms:5000": 1}
    minutes = make_minutes(_50=quiet, _30=quiet, _10=quiet, _2={"requests": 1, "hits": 1, "hit_ms:5000": 1})
    assert judge(WELL, minutes).is_well


def test_refused_misses_are_a_fault_although_few_of_all_requests_fail() -> None:
    flood = {"requests": 6000, "hits": 5970, "misses": 30, "errors": 30, "shed": 30}
    verdict = judge(WELL, make_even(10, flood))
    assert verdict.fault == "MissesShed"
    assert verdict.sentence.startswith("30 misses a minute are refused at once, because too many requests wait, since ")


def test_pauses_again_and_again_are_a_fault_also_between_them() -> None:
    minutes = make_minutes(_50={"pauses": 2}, _20={"pauses": 1}, _8={"pauses": 1})
    verdict = judge(WELL, minutes)
    assert (verdict.fault, verdict.command) == ("TelegramPauses", "avatar-warmer diagnose")
    assert verdict.sentence.startswith("Telegram asked for 4 pauses within an hour, since ")
    minutes[-1 - 8].clear()
    assert judge(WELL, minutes).is_well
    minutes[-1 - 20].update({"pauses": 1})
    assert judge(WELL, minutes).is_well, "none within ten minutes"


def test_a_schedule_that_was_late_for_ten_minutes_is_a_fault() -> None:
    minutes = make_even(9, {"late": 700})
    assert judge(WELL, minutes).is_well
    minutes[-11].update({"late": 301})
    verdict = judge(WELL, minutes)
    assert (verdict.fault, verdict.since) == ("RewarmsLate", 60 * (MINUTE - 10))
    assert verdict.sentence.startswith("The schedule is 11 min late, since ")


# The webhook


def test_a_receiver_that_wants_no_more_events_is_a_fault() -> None:
    stopped = Undelivered(is_stopped=True, failures=4)
    verdict = judge(WELL, make_even(60, {"events:failed": 1}), stopped)
    assert (verdict.fault, verdict.command, verdict.others) == ("WebhookStopped", "avatar-warmer webhook", ())


def test_events_that_were_given_up_are_a_fault_since_the_first_of_them() -> None:
    dead = [DeadEvent(f"user:{number}", "photo.changed", "", AT - ago) for number, ago in enumerate((60, 600))]
    verdict = judge(WELL, [], Undelivered(dead=dead))
    assert (verdict.fault, verdict.since) == ("WebhookGivesUp", AT - 600)
    assert verdict.sentence.startswith("Events of 2 ids were given up, since ")


def test_a_receiver_that_took_no_event_for_half_an_hour_is_a_fault() -> None:
    failing = Undelivered(failures=7)
    minutes = make_minutes(_40={"events:delivered": 2}, _30={"events:failed": 5}, _1={"events:failed": 2})
    verdict = judge(WELL, minutes, failing)
    assert (verdict.fault, verdict.since) == ("WebhookFails", 60 * (MINUTE - 30))
    assert judge(WELL, minutes, Undelivered()).is_well
    minutes[-1 - 29].update({"events:delivered": 1})
    assert judge(WELL, minutes, failing).is_well


# With what workers write


def read(context: WorkerContext) -> Verdict:
    _, minutes = list_minutes(context.redis, context.keys, 60)
    context.redis.set(context.keys.beat, "1")
    return make_verdict(Observed(context.health.take(), minutes, context.redis.time()[0]), RUNBOOK)


def test_a_refused_token_is_told_since_the_first_refusal(context: WorkerContext, telegram: FakeTelegram) -> None:
    telegram.fail("getMe", "unauthorized", times=None)
    send_heartbeat(context)
    context.redis.hset(context.keys.budget, "halted_at", first := context.redis.time()[0] - 600)
    send_heartbeat(context, "w2")
    assert (read(context).fault, read(context).since) == ("TokenRefused", first)
    telegram.clear_faults()
    send_heartbeat(context)
    send_heartbeat(context, "w2")
    assert read(context).is_well
    telegram.fail("getMe", "unauthorized", times=None)
    send_heartbeat(context)
    assert (read(context).since or 0) > first, "the halt before counts"


def test_an_unreachable_telegram_is_told_since_the_first_call_without_an_answer(
    context: WorkerContext, telegram: FakeTelegram
) -> None:
    send_heartbeat(context)
    assert read(context).is_well
    context.budget.begin_outage("download")
    context.redis.hset(context.keys.budget, "ill:download", first := context.redis.time()[0] - 300)
    verdict = read(context)
    assert (verdict.fault, verdict.since) == ("TelegramUnreachable", first)
    assert "download fails for every picture" in verdict.sentence
    context.budget.end_outage("download")
    telegram.fail("getMe", "bad-gateway", times=None)
    send_heartbeat(context)
    now = context.redis.time()[0]
    verdict = read(context)
    assert verdict.sentence.startswith("Telegram is unreachable, since ")
    assert now - 60 < (verdict.since or 0) <= now


def test_an_outage_that_an_earlier_release_has_noted_has_no_beginning(context: WorkerContext) -> None:
    send_heartbeat(context)
    context.budget.begin_outage("download")
    context.redis.hset(context.keys.budget, "ill:download", "1")
    assert (read(context).fault, read(context).since) == ("TelegramUnreachable", None)


def test_the_runbook_is_on_the_site_of_the_documentation_or_at_the_service() -> None:
    assert find_runbook("https://docs.example/a", "https://avatars.example") == "https://docs.example/a/runbook.html"
    assert find_runbook("", "https://avatars.example/a") == "https://avatars.example/a/docs/runbook.md"
    assert find_runbook("", "") == "docs/runbook.md"
