"""A fake Telegram Bot API: a real HTTP server on loopback, for tests, demos and benchmarks.

    with FakeTelegram() as fake:
        fake.world.add_user(42, "Ann")
        fake.fail("getFile", "too-many-requests", retry_after=2)
        ...  # point any Bot API client at fake.url
        assert fake.calls["getFile"] == 2

The way of a request, a module a step:

    server      a connection is accepted, a request read       params     its parameters, however they were sent
    traffic     it is counted and logged                       botapi     the world answers it, and messages
    faultbook   is a fault scripted for it?                    faults     then the answer becomes another one
    wire        the answer goes out: whole, slowly, in part, or not at all

Behind it stand `world` (users, chats, files), `pictures` (how they look) and `users` (how they are written in JSON);
beside it `control`, the routes for people whose program runs in another process.
"""

from faketelegram.faults import FAULTS
from faketelegram.fields import FieldError, NobodyError
from faketelegram.server import TEST_TOKEN, FakeTelegram
from faketelegram.users import UserSpec, demo_users
from faketelegram.world import DRAWN, World

__all__ = [
    "DRAWN",
    "FAULTS",
    "TEST_TOKEN",
    "FakeTelegram",
    "FieldError",
    "NobodyError",
    "UserSpec",
    "World",
    "demo_users",
]
