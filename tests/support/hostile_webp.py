"""A lossless WebP whose Huffman tables take hundreds of times the file's size (RFC 9649, 3.7)."""

from __future__ import annotations

import struct
from io import BytesIO

from PIL import Image

CODE_LENGTH_ORDER = (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9)
LENGTHS = {0: 0b00, 1: 0b10, 8: 0b01, 9: 0b11}  # of long codes, and their own codes of two bits
BLOCK = 4  # pixels; the smallest block that may have its own tables


class BitWriter:
    """Writes bits, the lowest first."""

    def __init__(self) -> None:
        self._value = 0
        self._length = 0
        self._whole = bytearray()

    def put(self, value: int, bits: int) -> None:
        self._value |= value << self._length
        self._length += bits
        while self._length >= 8:
            self._whole.append(self._value & 255)
            self._value >>= 8
            self._length -= 8

    def put_code_of_one(self, symbol: int) -> None:
        """Write a code for a single symbol, which then takes no bits."""
        self.put(0b101, 3)
        self.put(symbol, 8)

    def put_code_of_bytes(self, alphabet: int) -> None:
        """Write a code of 8 bits for the first 256 symbols."""
        self.put(0, 1)
        self.put(len(CODE_LENGTH_ORDER) - 4, 4)
        for length in CODE_LENGTH_ORDER:
            self.put(length in (0, 8), 3)
        self.put(0, 1)
        for symbol in range(alphabet):
            self.put(symbol < 256, 1)

    def put_long_code(self, alphabet: int, symbol: int) -> None:
        """Write a code of 9 bits for the first 256 symbols, but one bit for this one: tables behind the table."""
        lengths = [9] * 256 + [0] * (alphabet - 256)
        lengths[symbol], lengths[symbol ^ 1] = 1, 8
        self.put(0, 1)
        self.put(len(CODE_LENGTH_ORDER) - 4, 4)
        for length in CODE_LENGTH_ORDER:
            self.put(2 * (length in LENGTHS), 3)
        self.put(0, 1)
        self.put(sum(LENGTHS[length] << 2 * place for place, length in enumerate(lengths)), 2 * alphabet)

    def put_byte(self, value: int) -> None:
        self.put(int(f"{value:08b}"[::-1], 2), 8)

    def to_bytes(self) -> bytes:
        return bytes(self._whole) + bytes([self._value]) + bytes(8)


def webp_of_groups(side: int, groups: int, *, transforms: bool = False, long_codes: bool = False) -> bytes:
    """Returns a black square whose blocks of 4 by 4 pixels have their own tables, up to the number of groups."""
    size = struct.pack("<I", side - 1 | side - 1 << 14)  # no alpha, version 0
    stream = stream_of_groups(side, groups, transforms, long_codes)
    return riff(b"RIFF", b"WEBP" + riff(b"VP8L", b"\x2f" + size + stream))


def alpha_of_groups(side: int, groups: int) -> bytes:
    """A lossy picture with such a stream as its alpha channel."""
    out = BytesIO()
    Image.new("RGB", (side, side)).save(out, "WEBP")
    head = riff(b"VP8X", b"\x10\0\0\0" + struct.pack("<I", side - 1)[:3] * 2)
    return riff(b"RIFF", b"WEBP" + head + riff(b"ALPH", b"\1" + stream_of_groups(side, groups)) + out.getvalue()[12:])


def riff(name: bytes, content: bytes) -> bytes:
    """One chunk."""
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def stream_of_groups(
    side: int, groups: int, transforms: bool = False, long_codes: bool = False, step: int = 1
) -> bytes:
    """The stream of such a picture, from its transforms on. `step`: from the tables of a block to those of the next."""
    bits = BitWriter()
    for kind in (0, 1, 2) if transforms else ():  # predictor and cross color, with an image each; subtract green
        bits.put(1 | kind << 1, 3)
        if kind != 2:
            bits.put(0b0111, 3 + 1)  # one pixel for blocks of 512 by 512; no color cache
            for _ in range(5):
                bits.put_code_of_one(0)
    bits.put(0, 1 + 1)  # no further transform, no color cache
    bits.put(1, 1)  # groups, one per block of pixels
    bits.put(0, 3 + 1)
    bits.put_code_of_bytes(256 + 24)
    bits.put_code_of_bytes(256)
    for _ in range(3):
        bits.put_code_of_one(0)
    for block in range((side // BLOCK) ** 2):
        index = min(block * step, groups - 1)
        bits.put_byte(index & 255)
        bits.put_byte(index >> 8)
    for _ in range(groups):
        for alphabet, symbol in ((256 + 24, 0), (256, 0), (256, 0), (256, 255), (40, 0)):  # G, R, B, A, distance
            if long_codes and alphabet >= 256:
                bits.put_long_code(alphabet, symbol)
            else:
                bits.put_code_of_one(symbol)
    return bits.to_bytes() + bytes(side * side // 2 * long_codes)  # of the pixels, one bit for each color
