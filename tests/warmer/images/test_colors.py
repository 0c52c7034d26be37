"""Variants are upright, have the right colours in sRGB, and contain no metadata."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from tests.conftest import make_picture
from tests.support.hostile_pictures import BLUE, GREEN, RED, WHITE, save
from tests.support.rendering import BLACK, Color, color_at, is_near, open_variant, rainbow, run, swap_profile
from warmer.formats import FORMATS


def make_wide_profile() -> bytes:
    """A profile with other primaries, in which red is not the red of sRGB."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ"))
    return profile.tobytes()


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
def test_a_colour_profile_is_applied(fmt: str) -> None:
    data = save(Image.new("RGB", (64, 64), RED), fmt, icc_profile=swap_profile())
    assert is_near(color_at(open_variant(data), 0.5, 0.5), BLUE, 24)


def test_a_colour_profile_does_not_change_transparency() -> None:
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((*RED, 255), (0, 0, 32, 64))
    shown = open_variant(save(image, icc_profile=swap_profile()))
    assert is_near(color_at(shown, 0.2, 0.5), BLUE, 24)
    assert is_near(color_at(shown, 0.8, 0.5), WHITE)


@pytest.mark.parametrize("profile", [b"nonsense", bytes(200), make_wide_profile()])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_an_unsuitable_profile_is_ignored(profile: bytes, mode: str) -> None:
    data = save(Image.new(mode, (64, 64)), "JPEG", icc_profile=profile)
    assert open_variant(data).size == (80, 80)


def test_cmyk_keeps_its_colours() -> None:
    data = save(Image.new("CMYK", (64, 64), (0, 255, 255, 0)), "JPEG")
    assert is_near(color_at(open_variant(data), 0.5, 0.5), RED, 16)


@pytest.mark.parametrize(("value", "shown"), [(0, 0), (32_768, 128), (65_535, 255)])
def test_16_bits_per_channel_keep_their_brightness(value: int, shown: int) -> None:
    image = Image.new("I;16", (64, 64), value)
    assert is_near(color_at(open_variant(save(image)), 0.5, 0.5), (shown,) * 3, 3)


@pytest.mark.parametrize(
    ("mode", "color", "shown"),
    [
        ("L", 128, (128,) * 3),
        ("1", 1, WHITE),
        ("LA", (0, 255), BLACK),
        ("LA", (0, 0), WHITE),
        ("RGBA", (255, 0, 0, 0), WHITE),
        ("RGBA", (255, 0, 0, 255), RED),
        ("RGBA", (0, 0, 0, 128), (127,) * 3),
    ],
)
def test_transparent_pixels_become_white(mode: str, color: Any, shown: Color) -> None:
    assert is_near(color_at(open_variant(make_picture(mode=mode, color=color, fmt="PNG")), 0.5, 0.5), shown)


@pytest.mark.parametrize("fmt", ["PNG", "WEBP"])
def test_an_animation_gives_its_first_frame(fmt: str) -> None:
    frames = [Image.new("RGB", (64, 64), color) for color in (RED, BLUE, GREEN)]
    data = save(frames[0], fmt, save_all=True, append_images=frames[1:], duration=100)
    shown = open_variant(data)
    assert is_near(color_at(shown, 0.5, 0.5), RED, 20)
    assert getattr(shown, "n_frames", 1) == 1


@pytest.mark.parametrize("out", FORMATS)
@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
def test_variants_contain_no_metadata(fmt: str, out: str) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "secret-exif", 1
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "secret-text")
    own: dict[str, dict[str, Any]] = {"JPEG": {"comment": b"secret-comment"}, "PNG": {"pnginfo": text}, "WEBP": {}}
    data = save(rainbow(100, 100), fmt, exif=exif, xmp=b"<x>secret-xmp</x>", icc_profile=swap_profile(), **own[fmt])
    assert b"secret" in data
    shown = open_variant(data, out)
    assert not {"exif", "icc_profile", "xmp", "comment", "photoshop"} & set(shown.info)
    assert not shown.getexif()
    assert b"secret" not in run(data, out, (80,)).variants[0].body
