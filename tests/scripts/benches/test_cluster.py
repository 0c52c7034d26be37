"""The benchmarked cluster spreads pictures as the service's own does."""

from __future__ import annotations

from benches.avatars import store_avatars
from benches.cluster import MASTERS, start_cluster
from benches.testbed import open_testbed
from warmer.redis_client.cluster import list_infos


def test_every_master_of_the_cluster_holds_pictures() -> None:
    with open_testbed() as testbed:
        redis = start_cluster(testbed)
        store_avatars(redis, testbed.keys, 24)
        held = [info["db0"]["keys"] for info in list_infos(redis, "keyspace")]
        assert len(held) == MASTERS
        assert min(held) > 0
