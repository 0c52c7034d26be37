"""The scripted faults: rules for a method and a number of calls, in the order in which they were added."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from faketelegram import fields
from faketelegram.botapi import DOWNLOAD, METHODS, Call
from faketelegram.faults import FAULTS, Fault, Option, Options
from faketelegram.fields import FieldError
from faketelegram.replies import Reply
from faketelegram.world import World

ANY = "*"
FOREVER = "forever"


@dataclass
class Rule:
    """One fault for the next `left` matching calls (None: all). `user_id` and `file_id` narrow it to one of each."""

    method: str
    fault: Fault
    left: int | None = 1
    user_id: int | None = None
    file_id: str | None = None
    options: Options = field(default_factory=dict)

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> "Rule":
        """Read a rule from a JSON body, a switch or keyword arguments. Raises FieldError."""
        rest = dict(values)
        method = fields.text(rest.pop("method", ANY), "method")
        if method not in (*METHODS, DOWNLOAD, ANY):
            raise FieldError("method", f"{method!r} is none of {', '.join((*METHODS, DOWNLOAD, ANY))}")
        name = fields.text(rest.pop("fault", ""), "fault")
        fault = FAULTS.get(name)
        if fault is None:
            raise FieldError("fault", f"no fault is named {name!r}; there are {', '.join(FAULTS)}")
        if method != ANY and not fault.applies_to(method):
            raise FieldError("fault", f"{name} is not for {method}, only for {', '.join(fault.only)}")
        left = _times(rest.pop("times", 1))
        user_id, file_id = rest.pop("user_id", None), rest.pop("file_id", None)
        return cls(
            method,
            fault,
            left,
            None if user_id is None else fields.account_id(user_id, "user_id"),
            None if file_id is None else fields.text(file_id, "file_id"),
            {name: _option(fault, name, value) for name, value in rest.items()},
        )

    def matches(self, call: Call, user_id: int | None, file_id: str | None) -> bool:
        return (
            self.left != 0
            and self.method in (ANY, call.method)
            and self.fault.applies_to(call.method)
            and self.user_id in (None, user_id)
            and self.file_id in (None, file_id)
        )

    def as_json(self) -> dict[str, object]:
        said = {"method": self.method, "fault": self.fault.name, "times": FOREVER if self.left is None else self.left}
        narrowed = {"user_id": self.user_id, "file_id": self.file_id}
        return {**said, **{name: value for name, value in narrowed.items() if value is not None}, **self.options}


class FaultRules:
    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def add(self, rule: Rule) -> None:
        with self._lock:
            self._rules.append(rule)

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def rules(self) -> list[dict[str, object]]:
        """The rules that are not used up, as JSON."""
        with self._lock:
            return [rule.as_json() for rule in self._rules]

    def apply(self, reply: Reply, call: Call, subject: tuple[int | None, str | None], world: World) -> Reply:
        """The answer changed by the first rule that matches the call, or unchanged."""
        rule = self._take(call, *subject)
        return rule.fault.apply(reply, rule.options, call, world) if rule else reply

    def _take(self, call: Call, user_id: int | None, file_id: str | None) -> Rule | None:
        with self._lock:
            rule = next((rule for rule in self._rules if rule.matches(call, user_id, file_id)), None)
            if rule and rule.left is not None:
                rule.left -= 1
                if rule.left == 0:
                    self._rules.remove(rule)
            return rule


def _times(value: object) -> int | None:
    if value is None or value == FOREVER:
        return None
    times = fields.integer(value, "times")
    if times < 1:
        raise FieldError("times", f"must be at least 1, or {FOREVER!r}, not {times}")
    return times


def _option(fault: Fault, name: str, value: object) -> Option:
    """The option's value, in the type of its default."""
    if name not in fault.options:
        takes = f"has {', '.join(fault.options)}" if fault.options else "has no options"
        raise FieldError(name, f"is no option of {fault.name}, which {takes}")
    default = fault.options[name]
    if isinstance(default, float):
        return fields.seconds(value, name)
    if isinstance(default, int):
        number = fields.integer(value, name)
        if not 0 <= number <= 2**30:
            raise FieldError(name, f"must be from 0 to 2**30, not {number}")
        return number
    words = fields.text(value, name)
    if not words.isprintable() or not words.isascii():  # it goes into a header
        raise FieldError(name, "must be printable ASCII")
    return words
