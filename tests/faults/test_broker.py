"""Only the broker is away: hits, which never ask it, are served, and misses get 503 at once."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.conftest import wait_until
from tests.support.faults import DEADLINE, Figure, Stage, run_stage, suspended
from tests.support.redis_nodes import RedisServer


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("broker") / "redis") as broker:
        yield broker


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, broker: RedisServer) -> Iterator[Stage]:
    with run_stage(tmp_path_factory.mktemp("own-broker"), CELERY_BROKER_URL=broker.url) as stage:
        yield stage


def count_commands(broker: RedisServer) -> Counter[str]:
    """Returns the broker's command counts, without BRPOP, which only workers send and which counts when it ends."""
    stats = broker.client.info("commandstats")
    aside = ("cmdstat_info", "cmdstat_brpop")
    return Counter({name: one["calls"] for name, one in stats.items() if name not in aside})


@pytest.mark.parametrize("how", ["killed", "paused"])
def test_a_miss_gets_503_while_the_broker_is_away(stage: Stage, broker: RedisServer, figure: Figure, how: str) -> None:
    (hot,) = stage.warm(1).values()
    with suspended(stage.processes("worker", "worker2", "beat", "flower")):
        before = count_commands(broker)
        stage.keep_in_memory(hot)
        assert {stage.get(hot).status for _ in range(50)} == {200}
        assert count_commands(broker) - before == Counter()
    cold = list(stage.add_people(20).values())
    broker.process.send_signal(signal.SIGKILL if how == "killed" else signal.SIGSTOP)
    first = stage.get(cold[0])
    rest = [stage.get(file_id) for file_id in cold[1:]]
    hits = [stage.get(hot) for _ in range(50)]
    assert {answer.status for answer in hits} == {200}
    assert {(answer.status, answer.retry_after) for answer in (first, *rest)} == {(503, "1")}
    figure(f"broker {how}: the first miss gets 503", first.seconds)
    figure(f"broker {how}: the other misses get 503, median", sorted(answer.seconds for answer in rest)[len(rest) // 2])
    wait_until(lambda: stage.ask("/api/partner/recent").status == 200, DEADLINE)
    (user_id,) = (registered := stage.add_people(1))
    stage.register(registered)
    # All of these answers came before the broker is back.
    if how == "killed":
        broker.process.wait(10)
        broker.start()
    broker.process.send_signal(signal.SIGCONT)
    back_at = time.monotonic()
    wait_until(lambda: stage.get(cold[0]).status == 200, DEADLINE)
    figure(f"broker {how}: a miss is served again", time.monotonic() - back_at)
    wait_until(lambda: stage.is_ready(user_id), DEADLINE)
    figure(f"broker {how}: partners registered meanwhile are warm", time.monotonic() - back_at)
