"""One bot without HTTP: its world, its scripted faults, its traffic, and the answer to a call."""

import re
import threading
from collections.abc import Callable

from faketelegram import botapi, messages
from faketelegram.botapi import Call
from faketelegram.fault_rules import FaultRules
from faketelegram.fields import FieldError
from faketelegram.replies import NOT_FOUND, UNAUTHORIZED, Reply
from faketelegram.traffic import Traffic
from faketelegram.updates import Update
from faketelegram.world import World

TOKEN = re.compile(r"[1-9][0-9]{0,15}:[A-Za-z0-9_-]{1,64}")
Wait = Callable[[threading.Event, float], bool]  # waits that many seconds for the event; True if it was set


class Backend:
    """The bot behind the listener and the control routes. FakeTelegram says what the fields mean."""

    def __init__(self, token: str, latency: float, connect_latency: float, wait: Wait) -> None:
        if not TOKEN.fullmatch(token):
            raise FieldError("token", "must look like 123456789:ABC-def")
        self.token = token
        self.latency = latency
        self.connect_latency = connect_latency
        self.wait = wait
        self.world = World(bot_id=int(token.partition(":")[0]))
        self.faults = FaultRules()
        self.traffic = Traffic()

    def answer(self, token: str, call: Call) -> Reply:
        """Answer as the world does, unless a fault is scripted for this call."""
        if not TOKEN.fullmatch(token):
            return NOT_FOUND
        if token != self.token:
            return UNAUTHORIZED
        subject = call.find_subject(self.world)
        return self.faults.apply(botapi.answer(self.world, call), call, subject, self.world)

    def write(self, user_id: int, text: str) -> Update:
        """Let a user of the world write to the bot; the next getUpdates returns the message."""
        return messages.write(self.world, user_id, text)

    def announce_photo(self, chat_id: int) -> Update:
        """Let the bot see the service message of a group or channel about its picture, as it is now."""
        return messages.announce_photo(self.world, chat_id)
