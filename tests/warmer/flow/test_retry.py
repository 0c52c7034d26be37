"""The retry policy has one rule for each error."""

from __future__ import annotations

import pytest

from tests.warmer.test_errors import LEAVES
from warmer import errors
from warmer.errors import Permanent, Postponed, TemporarilyUnavailable, Transient, Unreachable, UpstreamFailed
from warmer.flow.retry import NEGATIVE_CACHE_SECONDS, RETRIES, choose_delay, get_negative_cache_seconds, get_retry
from warmer.telegram.client import PathExpired


def test_every_error_that_the_work_can_raise_has_a_rule_or_a_class_that_has_one() -> None:
    rules = (*NEGATIVE_CACHE_SECONDS, *RETRIES)
    raised = [kind for kind in LEAVES if issubclass(kind, Permanent | Transient)]
    assert raised
    assert [kind for kind in raised if not issubclass(kind, rules)] == []


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [("NoPhoto", 600), ("InvalidFileId", 86_400), ("TooBig", 86_400), ("Crashed", 3600), ("GaveUp", 3600)],
)
def test_a_permanent_error_enters_the_negative_cache_for_its_time(kind: str, seconds: int) -> None:
    assert get_negative_cache_seconds(getattr(errors, kind)("m")) == seconds


def test_an_error_of_another_module_follows_the_rule_of_its_class() -> None:
    assert get_retry(PathExpired("m")) == RETRIES[Unreachable]


def test_temporarily_unavailable_is_tried_three_times_and_other_failures_twenty() -> None:
    tries = [get_retry(kind("m")).max_tries for kind in (TemporarilyUnavailable, UpstreamFailed, Postponed)]
    assert tries == [3, 20, None]


def test_only_errors_that_are_no_failure_wait_as_long_as_they_say() -> None:
    assert choose_delay(Postponed("m", retry_after=40), RETRIES[Postponed], 0, min) == 40
    assert choose_delay(UpstreamFailed("m"), RETRIES[UpstreamFailed], 3, min) == pytest.approx(0.8 * 8)
