"""Checks of values from outside; an error names the field of the bad value.

ValueError
└── FieldError             a field holds a value that cannot be used
LookupError
└── UnknownAccountError    no user or chat has this id
"""

MAX_ID = 2**52  # Telegram's own promise: ids fit into 52 bits


class FieldError(ValueError):
    """A field holds a value that cannot be used."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem

    def inside(self, where: str) -> "FieldError":
        """Return this error with a longer path: `first_name` becomes `[3].first_name`."""
        return FieldError(f"{where}.{self.field}", self.problem)


class UnknownAccountError(LookupError):
    """No user or chat has this id."""

    def __init__(self, account_id: int) -> None:
        super().__init__(f"id: no user or chat has the id {account_id}")


def integer(value: object, field: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.removeprefix("-").isdecimal() and value.isascii() and len(value) <= 20:
        return int(value)
    raise FieldError(field, f"must be a whole number, not {value!r}")


def account_id(value: object, field: str = "id") -> int:
    number = integer(value, field)
    if number == 0 or abs(number) >= MAX_ID:
        raise FieldError(field, f"must be between 1 and 2**52, or negative for a group or channel, not {number}")
    return number


def seconds(value: object, field: str) -> float:
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except ValueError:
        number = -1.0
    if not 0 <= number < 86_400:  # also refuses nan
        raise FieldError(field, f"must be a number of seconds from 0 to 86399, not {value!r}")
    return number


def text(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise FieldError(field, f"must be a text, not {value!r}")
    return value


def flag(value: object, field: str) -> bool:
    if not isinstance(value, bool):
        raise FieldError(field, f"must be true or false, not {value!r}")
    return value
