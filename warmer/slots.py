"""Names that belong into a given slot of a Redis Cluster."""

from __future__ import annotations

from array import array
from binascii import crc_hqx
from functools import cache

SLOTS = 16_384  # of a Redis Cluster; the slot of a key is the CRC16 of its hash tag, modulo this


def move_to_slot_of(subject: str, name: bytes) -> str:
    """The name with a suffix that brings it into the slot of the subject.

    CRC16 is linear: that of the whole is that of the suffix, exclusive or that of the name followed by zeros.
    """
    wanted = crc_hqx(subject.encode(), 0) ^ crc_hqx(bytes(4), crc_hqx(name, 0))
    return (name + _spell_suffix(_list_suffixes()[wanted % SLOTS])).decode()


@cache
def _list_suffixes() -> array[int]:
    """The number of the suffix that belongs into each slot: there is one for each."""
    numbers = array("H", bytes(2 * SLOTS))
    for number in range(SLOTS):
        numbers[crc_hqx(_spell_suffix(number), 0) % SLOTS] = number
    return numbers


def _spell_suffix(number: int) -> bytes:
    """Four characters from `@` to `O` for 16 bits."""
    return bytes(ord("@") + (number >> shift & 15) for shift in (12, 8, 4, 0))
