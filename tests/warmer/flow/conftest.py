"""People whose pictures follow their profiles."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from faketelegram import FakeTelegram
from tests.conftest import make_picture, next_id
from tests.support.backoff import end_backoffs
from tests.support.people import outdate
from tests.support.steps import replace_steps
from tests.warmer.flow.outages import add_pictures, add_subject, warm
from warmer.deadline import JobContext
from warmer.flow.profile import refresh_profile
from warmer.flow.steps import FlowSteps
from warmer.keys import Lane, Subject
from warmer.photo import FilePath, PhotoSize, Rendering, SourceImage
from warmer.state.lease import Lease
from warmer.state.person import Person
from warmer.wiring import WorkerContext

TEAL, RED = make_picture(), make_picture(color="red")


@pytest.fixture
def user_id(telegram: FakeTelegram) -> int:
    telegram.world.add_user(user_id := next_id(), "Ann", picture=TEAL)
    return user_id


@pytest.fixture
def partner_id(context: WorkerContext, user_id: int) -> int:
    """A registered partner whose picture follows the profile."""
    context.people.register(user_id, "Ann", None)
    return user_id


@pytest.fixture
def file_ids(telegram: FakeTelegram) -> list[str]:
    return add_pictures(telegram)


def follow(context: WorkerContext, user_id: int, lane: Lane = "warm", steps: FlowSteps | None = None) -> str:
    end_backoffs(context.redis)
    return str(refresh_profile(user_id, JobContext.start(lane, 0), steps or context.steps))


def mark_old(context: WorkerContext, user_id: int) -> None:
    outdate(context.redis, context.keys, user_id)


def show_and_change(context: WorkerContext, telegram: FakeTelegram, user_id: int) -> str:
    """Show the picture, then change it in Telegram. Returns the file id that is shown."""
    follow(context, user_id)
    shown = context.people.get(user_id).shown[0]
    telegram.world.change_photo(user_id, RED)
    mark_old(context, user_id)
    return shown


def get_partner(context: WorkerContext, partner_id: int) -> Person:
    person = context.people.get(partner_id)
    assert person.is_registered
    return person


def meanwhile(context: WorkerContext, step: str, happens: Callable[[], object]) -> FlowSteps:
    """Returns the steps with an event at the end of one of them."""

    def look_up_profile(user_id: int, job: JobContext) -> list[PhotoSize]:
        sizes = context.steps.look_up_profile(user_id, job)
        happens()
        return sizes

    def fetch(lease: Lease, job: JobContext, path: FilePath | None) -> SourceImage:
        source = context.steps.fetch(lease, job, path)
        happens()
        return source

    def put(lease: Lease, rendering: Rendering) -> None:
        context.steps.put(lease, rendering)
        happens()

    steps: dict[str, Callable[..., object]] = {"look_up_profile": look_up_profile, "fetch": fetch, "put": put}
    return replace_steps(context.steps, **{step: steps[step]})


STEPS = ("look_up_profile", "fetch", "put")


@pytest.fixture(params=STEPS)
def step(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def rare_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A further probe goes out only after `pass_time`, also on a machine that takes seconds for a job."""
    monkeypatch.setattr("warmer.state.budget.PROBE_SECONDS", 600)


@pytest.fixture
def good(context: WorkerContext, telegram: FakeTelegram) -> str:
    """A partner's picture that is stored: Telegram has given it before."""
    file_id = add_pictures(telegram)[0]
    context.people.register(41, "Good", file_id)
    assert warm(context, file_id).kind == "done"
    return file_id


@pytest.fixture
def fall_ill(telegram: FakeTelegram) -> Callable[[str], list[Subject]]:
    """Adds four subjects of a call that fails for each of them alone."""

    def add(call: str) -> list[Subject]:
        subjects = []
        for _ in range(4):
            subject, narrowed = add_subject(telegram, call)
            telegram.fail(call, "internal-error", times=None, **narrowed)
            subjects.append(subject)
        return subjects

    return add
