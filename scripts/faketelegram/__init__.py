"""A fake Telegram Bot API: a real HTTP server on loopback, for tests, demos and benchmarks.

    with FakeTelegram() as fake:
        fake.world.add_user(42, "Ann")
        fake.fail("getFile", "too-many-requests", retry_after=2)
        ...  # point any Bot API client at fake.url
        assert fake.calls["getFile"] == 2

The way of a request, one module per step:

    listener     accepts a connection, reads a request        params     reads its parameters, however they were sent
    traffic      counts and logs the call                     botapi     answers it, with `messages` and `bot_settings`
    fault_rules  looks for a fault scripted for it            faults     replaces the answer if there is one
    wire         sends the answer: whole, slowly, in part, or not at all

`backend` holds the state of one bot, and `server` puts it on a socket. Behind them stand `world` (users, chats, files),
`pictures` (how they look) and `users` (how JSON describes them). `control` is the Python API over HTTP, for programs
in another process.
"""

from faketelegram.faults import FAULTS
from faketelegram.fields import FieldError, UnknownAccountError
from faketelegram.server import TEST_TOKEN, FakeTelegram
from faketelegram.users import UserSpec, demo_users
from faketelegram.world import DRAWN, World

__all__ = [
    "DRAWN",
    "FAULTS",
    "TEST_TOKEN",
    "FakeTelegram",
    "FieldError",
    "UnknownAccountError",
    "UserSpec",
    "World",
    "demo_users",
]
