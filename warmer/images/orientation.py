"""The EXIF orientation, the only part of the metadata that is used."""

from __future__ import annotations

import struct

UPRIGHT = 1
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ORIENTATION, _SHORT = 0x0112, 3  # a tag, and a type, of TIFF 6.0
_ENTRY_BYTES = 12


def read_orientation(exif: memoryview) -> int:
    """The orientation in this EXIF, 1 to 8, or 1 (upright) if it is missing or invalid.

    Only this tag of the first directory is read: entries can share one large value, and directories can point at each
    other in a circle.
    """
    blob = exif[6:] if bytes(exif[:6]) == b"Exif\0\0" else exif
    order = _ORDERS.get(bytes(blob[:4]))
    if order is None:
        return UPRIGHT
    try:
        (directory,) = struct.unpack_from(f"{order}I", blob, 4)
        (entries,) = struct.unpack_from(f"{order}H", blob, directory)
        for place in range(directory + 2, directory + 2 + entries * _ENTRY_BYTES, _ENTRY_BYTES):
            tag, kind, count, value = struct.unpack_from(f"{order}HHIH", blob, place)
            if (tag, kind, count) == (_ORIENTATION, _SHORT, 1):
                return value if 1 <= value <= 8 else UPRIGHT
    except struct.error:  # cut off
        pass
    return UPRIGHT
