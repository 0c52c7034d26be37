"""The prefix code groups of a lossless WebP stream, counted before libwebp allocates tables for them (RFC 9649, 3).

A stream of a few kilobytes may ask for 65,536 groups, and their number stands inside compressed data: in the entropy
image, behind the images of the transforms. Only these are read here, never the picture itself.
"""

from __future__ import annotations

MAX_COUNTED_PIXELS = 100_000  # of all these images together; libwebp's encoder writes at most 65,000 in our limits
DENSE_GROUPS = 1000  # up to here libwebp keeps a group for every number below the highest, used or not

_PREDICTOR, _CROSS_COLOR, _COLOR_INDEXING = 0, 1, 3  # and 2, "subtract green", which brings no image
_LENGTH_CODES, _CACHE_CODES = 256, 280  # where they begin in the alphabet of green
_CODE_LENGTH_ORDER = (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
_REPEATS = {16: (2, 3), 17: (3, 3), 18: (7, 11)}  # extra bits, and the fewest repeats
_MAX_CODE_BITS, _MAX_CACHE_BITS = 15, 11

Code = tuple[list[int], int]  # a table of `symbol << 4 | bits`, and the mask of its index


def count_groups(stream: memoryview, width: int, height: int) -> int | None:
    """The groups that libwebp builds for this stream, or None for a broken stream or one with too much to read here.

    The stream starts at its first transform.
    """
    try:
        return _GroupCounter(stream).count(width, height)
    except (ValueError, IndexError):
        return None


class _GroupCounter:
    """Reads bits, the lowest of each byte first."""

    def __init__(self, stream: memoryview) -> None:
        self._stream = stream
        self._place = 0  # in bits
        self._pixels_left = MAX_COUNTED_PIXELS

    def count(self, width: int, height: int) -> int:
        seen = set[int]()
        while self._read(1):
            kind = self._read(2)
            if kind in seen:
                raise ValueError("a transform twice")
            seen.add(kind)
            if kind in (_PREDICTOR, _CROSS_COLOR):
                self._read_blocks(width, height)
            elif kind == _COLOR_INDEXING:
                colors = self._read(8) + 1
                width = _divide(width, 8 if colors <= 2 else 4 if colors <= 4 else 2 if colors <= 16 else 1)
                self._read_image(colors)
        self._read_cache_size()
        if not self._read(1):
            return 1
        groups = self._read_blocks(width, height)
        return max(groups) + 1 if max(groups) < DENSE_GROUPS else len(groups)

    def _read_blocks(self, width: int, height: int) -> set[int]:
        """The values in an image that has one pixel for each block of the picture."""
        side = 1 << 2 + self._read(3)
        return self._read_image(_divide(width, side) * _divide(height, side))

    def _read_image(self, pixels: int) -> set[int]:
        """The values in red and green of an image's pixels.

        Back references and the colour cache only repeat values, or the zero that the cache is filled with. So neither
        distances nor positions matter.
        """
        self._pixels_left -= pixels
        if self._pixels_left < 0:
            raise ValueError("too much to read")
        cache_size = self._read_cache_size()
        green, red, blue, alpha, distance = map(self._read_code, (_CACHE_CODES + cache_size, 256, 256, 256, 40))
        values = {0}
        while pixels > 0:
            symbol = self._read_symbol(green)
            if symbol < _LENGTH_CODES:
                values.add(self._read_symbol(red) << 8 | symbol)
                self._read_symbol(blue)
                self._read_symbol(alpha)
                pixels -= 1
            elif symbol < _CACHE_CODES:
                pixels -= self._read_number(symbol - _LENGTH_CODES)
                self._read_number(self._read_symbol(distance))
            else:
                pixels -= 1
        return values

    def _read_number(self, prefix: int) -> int:
        """A length or a distance."""
        if prefix < 4:
            return prefix + 1
        bits = prefix - 2 >> 1
        return (2 + (prefix & 1) << bits) + self._read(bits) + 1

    def _read_cache_size(self) -> int:
        if not self._read(1):
            return 0
        bits = self._read(4)
        if not 1 <= bits <= _MAX_CACHE_BITS:
            raise ValueError("a color cache of no known size")
        return 1 << bits

    def _read_code(self, alphabet: int) -> Code:
        lengths = [0] * alphabet
        if not self._read(1):
            self._read_code_lengths(lengths)
            return _build_code(lengths)
        has_two = self._read(1)
        lengths[self._read(8 if self._read(1) else 1)] = 1
        if has_two:
            lengths[self._read(8)] = 1
        return _build_code(lengths)

    def _read_code_lengths(self, lengths: list[int]) -> None:
        own = [0] * len(_CODE_LENGTH_ORDER)
        for symbol in _CODE_LENGTH_ORDER[: self._read(4) + 4]:
            own[symbol] = self._read(3)
        code = _build_code(own)
        symbols_left = 2 + self._read(2 + 2 * self._read(3)) if self._read(1) else len(lengths)
        place, previous = 0, 8
        while place < len(lengths) and symbols_left:
            symbols_left -= 1
            length = self._read_symbol(code)
            repeats = 1
            if length in _REPEATS:
                bits, fewest = _REPEATS[length]
                repeats = fewest + self._read(bits)
                length = previous if length == 16 else 0
            if place + repeats > len(lengths):
                raise ValueError("more code lengths than symbols")
            lengths[place : place + repeats] = [length] * repeats
            place += repeats
            previous = length or previous

    def _read_symbol(self, code: Code) -> int:
        table, mask = code
        place = self._place
        found = table[int.from_bytes(self._stream[place >> 3 : (place >> 3) + 3], "little") >> (place & 7) & mask]
        self._advance(found & 15)
        return found >> 4

    def _read(self, bits: int) -> int:
        place = self._place
        self._advance(bits)
        return int.from_bytes(self._stream[place >> 3 : (place >> 3) + 4], "little") >> (place & 7) & (1 << bits) - 1

    def _advance(self, bits: int) -> None:
        self._place += bits
        if self._place > 8 * len(self._stream):
            raise ValueError("its codes are cut off")


def _build_code(lengths: list[int]) -> Code:
    """The canonical code of these lengths; one symbol alone takes no bits."""
    symbols = sorted((length, symbol) for symbol, length in enumerate(lengths) if length)
    if len(symbols) == 1:
        return [symbols[0][1] << 4], 0
    if sum(1 << _MAX_CODE_BITS - length for length, _ in symbols) != 1 << _MAX_CODE_BITS:
        raise ValueError("a code that is not complete")
    longest = symbols[-1][0]
    table = [0] * (1 << longest)
    code, before = 0, 0
    for length, symbol in symbols:
        code <<= length - before
        start = int(f"{code:0{length}b}"[::-1], 2)  # the stream has a code's first bit lowest
        table[start :: 1 << length] = [symbol << 4 | length] * (1 << longest - length)
        code, before = code + 1, length
    return table, (1 << longest) - 1


def _divide(pixels: int, side: int) -> int:
    """Rounded up."""
    return -(-pixels // side)
