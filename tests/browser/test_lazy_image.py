"""<lazy-image> in a real browser: what it shows at each moment, and what it requests from the server."""

from playwright.sync_api import Locator, Page, expect

from tests.conftest import make_picture
from tests.support.page_stub import NO_PHOTO, NOT_READY, PREVIEW, Answer, PageStub, add, has_status, until

PATIENCE = Answer(503, picture=b"", headers={"Retry-After": "20"})
NEVER = Answer(503, picture=b"", headers={"Retry-After": "600"})
GIVE_UP_AFTER_MS = 30_000
DEADLINE_AND_PAUSE = 2  # timers


def is_pulsing(image: Locator) -> bool:
    names: list[str] = image.evaluate("(host) => host.shadowRoot.getAnimations().map((one) => one.animationName)")
    return "pulse" in names


def pictures(image: Locator) -> list[str]:
    """The paths of the pictures in the box."""
    script = "(host) => [...host.shadowRoot.querySelectorAll('.picture')].map((one) => new URL(one.src).pathname)"
    found: list[str] = image.evaluate(script)
    return found


def test_the_preview_is_shown_before_the_picture(blank: Page, stub: PageStub) -> None:
    gate = stub.gate()
    stub.answers["/ann"] = [Answer(gate=gate)]
    image = add(blank, src="/ann", name="Ann", placeholder=PREVIEW)
    has_status(image, "loading")
    expect(image.locator(".preview")).to_be_visible()
    assert not is_pulsing(image), "a skeleton pulses behind the preview"
    gate.set()
    has_status(image, "loaded")
    expect(image.locator(".picture")).to_be_visible()
    expect(image.locator(".preview")).to_be_hidden()


def test_the_skeleton_pulses_only_while_the_picture_loads(blank: Page, stub: PageStub) -> None:
    gate = stub.gate()
    stub.answers["/ann"] = [Answer(gate=gate)]
    image = add(blank, src="/ann", name="Ann")
    has_status(image, "loading")
    assert is_pulsing(image)
    gate.set()
    has_status(image, "loaded")
    assert not is_pulsing(image)


def test_the_skeleton_does_not_pulse_with_reduced_motion(blank: Page, stub: PageStub) -> None:
    blank.emulate_media(reduced_motion="reduce")
    stub.answers["/ann"] = [Answer(gate=stub.gate())]
    image = add(blank, src="/ann", name="Ann")
    has_status(image, "loading")
    assert not is_pulsing(image)


def test_a_missing_picture_shows_initials_and_is_not_requested_again(blank: Page, stub: PageStub) -> None:
    stub.answers["/ann"] = [NO_PHOTO]
    image = add(blank, src="/ann", name="Ann Lee", placeholder=PREVIEW)
    has_status(image, "error")
    assert not is_pulsing(image)
    expect(image.locator(".initials")).to_be_visible()
    expect(image.locator(".initials")).to_have_text("AL")
    assert blank.evaluate("events") == ["loading", "error", "error"]
    calls = list(stub.calls)
    assert set(calls) == {"GET /ann"}  # a browser may repeat a GET (RFC 9110, 9.2.2)
    blank.evaluate("dispatchEvent(new Event('online'))")
    assert image.get_attribute("status") == "error"
    assert stub.calls == calls


def test_a_picture_that_is_not_ready_is_requested_again_and_then_shown(blank: Page, stub: PageStub) -> None:
    stub.answers["/ann"] = [NOT_READY, NOT_READY, Answer()]
    image = add(blank, src="/ann", name="Ann")
    has_status(image, "loaded")
    paused = [ms for ms in blank.evaluate("waits") if ms < GIVE_UP_AFTER_MS]
    assert len(paused) == 2, "it paused although the second HEAD found the picture ready"
    assert min(paused) >= 1000, "Retry-After: 1 was not honoured"
    assert stub.calls == ["GET /ann", "HEAD /ann", "HEAD /ann", "GET /ann"]
    assert blank.evaluate("events") == ["loading", "loaded", "load"]
    assert blank.evaluate("timers.size") == 0


def test_bytes_that_are_not_an_image_end_in_an_error(blank: Page, stub: PageStub) -> None:
    stub.answers["/ann"] = [Answer(picture=b"no picture")]
    has_status(add(blank, src="/ann", name="Ann"), "error")
    assert stub.calls.count("GET /ann") == 2


def test_a_picture_with_a_long_retry_after_shows_initials_until_the_network_returns(
    blank: Page, stub: PageStub
) -> None:
    stub.answers["/ann"] = [NEVER]
    image = add(blank, src="/ann", name="Ann")
    has_status(image, "error")
    stub.answers["/ann"] = [Answer()]
    blank.evaluate("dispatchEvent(new Event('online'))")
    has_status(image, "loaded")


def test_the_online_event_ends_the_pause_before_the_next_try(blank: Page, stub: PageStub) -> None:
    stub.answers["/ann"] = [PATIENCE]
    image = add(blank, src="/ann", name="Ann")
    until(lambda: blank.evaluate("timers.size") == DEADLINE_AND_PAUSE, "a pause before the next try")
    stub.answers["/ann"] = [Answer()]
    blank.evaluate("dispatchEvent(new Event('online'))")
    has_status(image, "loaded")


def test_a_picture_requested_offline_loads_when_the_network_returns(blank: Page, stub: PageStub) -> None:
    stub.answers["/ann"] = [Answer()]
    blank.context.set_offline(True)
    image = add(blank, src="/ann", name="Ann")
    until(lambda: blank.evaluate("timers.size") == DEADLINE_AND_PAUSE, "a pause before the next try")
    blank.context.set_offline(False)
    has_status(image, "loaded")


def test_a_removed_element_stops_its_timers_and_requests(blank: Page, stub: PageStub) -> None:
    stub.answers["/ann"] = [PATIENCE]
    image = add(blank, src="/ann", name="Ann")
    until(
        lambda: "HEAD /ann" in stub.calls and blank.evaluate("timers.size") == DEADLINE_AND_PAUSE,
        "a pause before the next try",
    )
    assert is_pulsing(image)
    blank.evaluate("window.removed = document.querySelector('lazy-image'); removed.remove()")
    assert blank.evaluate("[timers.size, removed.status, removed.shadowRoot.getAnimations().length]") == [0, "idle", 0]
    blank.evaluate("dispatchEvent(new Event('online'))")
    assert stub.calls == ["GET /ann", "HEAD /ann"]


def test_the_old_picture_stays_until_the_new_one_has_loaded(blank: Page, stub: PageStub) -> None:
    gate = stub.gate()
    stub.answers |= {"/old": [Answer()], "/new": [Answer(picture=make_picture(160, 160, "navy"), gate=gate)]}
    image = add(blank, src="/old", name="Ann")
    has_status(image, "loaded")
    image.evaluate("(host) => host.setAttribute('src', '/new')")
    has_status(image, "loading")
    assert pictures(image) == ["/old"]
    assert not is_pulsing(image)
    gate.set()
    has_status(image, "loaded")
    until(lambda: pictures(image) == ["/new"], "the new picture alone")


def test_a_new_source_stops_the_previous_download(blank: Page, stub: PageStub) -> None:
    stub.answers |= {"/slow": [Answer(gate=stub.gate())], "/new": [Answer()]}
    stopped: list[str] = []
    blank.on("requestfailed", lambda request: stopped.append(request.url.removeprefix(stub.url)))
    image = add(blank, src="/slow", name="Ann")
    has_status(image, "loading")
    image.evaluate("(host) => host.setAttribute('src', '/new')")
    has_status(image, "loaded")
    assert pictures(image) == ["/new"]
    assert stopped == ["/slow"]
    assert blank.evaluate("events") == ["loading", "idle", "loading", "loaded", "load"]


def test_the_element_requests_nothing_until_it_is_near_the_viewport(blank: Page, stub: PageStub) -> None:
    stub.answers |= {"/near": [Answer()], "/far": [Answer()]}
    blank.evaluate("document.body.append(Object.assign(document.createElement('div'), { id: 'gap' }))")
    blank.evaluate("document.querySelector('#gap').style.height = '3000px'")
    far = add(blank, src="/far", name="Far")
    blank.evaluate("document.body.prepend(document.createElement('lazy-image'))")
    near = blank.locator("lazy-image").first
    near.evaluate("(host) => host.setAttribute('src', '/near')")
    has_status(near, "loaded")
    assert stub.calls == ["GET /near"]
    has_status(far, "idle")
    assert not is_pulsing(far)
    far.scroll_into_view_if_needed()
    has_status(far, "loaded")


def test_the_smallest_picture_that_fills_the_box_is_loaded_without_a_layout_shift(blank: Page, stub: PageStub) -> None:
    for size in (80, 160, 320):
        stub.answers[f"/{size}"] = [
            Answer(picture=make_picture(size, size), gate=stub.gates[0] if stub.gates else stub.gate())
        ]
    image = add(blank, src="/160", srcset="/80 80w, /160 160w, /320 320w", name="Ann")
    before = image.bounding_box()
    stub.gates[0].set()
    has_status(image, "loaded")
    assert stub.calls == ["GET /80"]
    assert image.bounding_box() == before
    assert before is not None
    assert (before["width"], before["height"]) == (48, 48)
