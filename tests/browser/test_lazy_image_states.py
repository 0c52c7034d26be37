"""How <lazy-image> waits, gives up and is configured: delay-ms, the deadline, properties, other element names."""

from playwright.sync_api import Locator, Page, expect

from tests.support.page_stub import NO_PHOTO, NOT_READY, PREVIEW, Answer, PageStub, add, has_status, stop_clock, until

LONG = "600000"  # ms
SHIFTS = """
  window.shifts = 0;
  new PerformanceObserver((list) => { for (const entry of list.getEntries()) shifts += entry.value; })
    .observe({ type: 'layout-shift', buffered: true });
"""


def skeleton(image: Locator) -> Locator:
    return image.locator(".skeleton")


def test_with_a_delay_the_skeleton_is_hidden_at_first(blank: Page, stub: PageStub) -> None:
    stub.answers["/ann"] = [Answer(gate=stub.gate())]
    image = add(blank, src="/ann", name="Ann", **{"delay-ms": LONG})
    expect(skeleton(image)).to_be_hidden()
    has_status(image, "loading")
    expect(skeleton(image)).to_be_hidden()


def test_after_the_delay_a_slow_picture_shows_its_skeleton(blank: Page, stub: PageStub) -> None:
    stub.answers["/ann"] = [Answer(gate=stub.gate())]
    image = add(blank, name="Ann", **{"delay-ms": "300"})
    script = """(host) => new Promise((resolve) => {
      host.addEventListener('statuschange', () => {
        const [show] = host.shadowRoot.getAnimations().filter((one) => one.animationName === 'show');
        const hidden = getComputedStyle(host.shadowRoot.querySelector('.skeleton')).visibility;
        show.finished.then(() => resolve([show.effect.getTiming().delay, hidden]));
      });
      host.src = '/ann';
    })"""
    assert image.evaluate(script) == [300, "hidden"]
    expect(skeleton(image)).to_be_visible()


def test_the_delay_also_applies_with_reduced_motion(blank: Page, stub: PageStub) -> None:
    blank.emulate_media(reduced_motion="reduce")
    stub.answers["/ann"] = [Answer(gate=stub.gate())]
    image = add(blank, src="/ann", name="Ann", **{"delay-ms": LONG})
    has_status(image, "loading")
    expect(skeleton(image)).to_be_hidden()


def test_a_delay_does_not_hide_the_preview_or_final_initials(blank: Page, stub: PageStub) -> None:
    stub.answers |= {"/ann": [Answer(gate=stub.gate())], "/none": [NO_PHOTO]}
    delay = {"delay-ms": LONG}
    expect(add(blank, src="/ann", placeholder=PREVIEW, **delay).locator(".preview")).to_be_visible()
    expect(add(blank, src="/none", name="Bo", **delay).locator(".initials")).to_be_visible()
    expect(add(blank, name="Cy", **delay).locator(".initials")).to_be_visible()


def test_a_picture_that_never_answers_ends_in_an_error_after_30_seconds(blank: Page, stub: PageStub) -> None:
    stopped: list[str] = []
    blank.on("requestfailed", lambda request: stopped.append(request.url.removeprefix(stub.url)))
    stop_clock(blank)
    stub.answers["/ann"] = [Answer(gate=stub.gate())]
    image = add(blank, src="/ann", name="Ann")
    has_status(image, "loading")
    blank.clock.run_for(29_000)
    has_status(image, "loading")
    blank.clock.run_for(1500)
    has_status(image, "error")
    expect(image.locator(".initials")).to_be_visible()
    assert image.evaluate("(host) => host.shadowRoot.getAnimations().length") == 0
    until(lambda: stopped == ["/ann"], "the download is stopped")


def has_passed(page: Page) -> bool:
    """Advance the page's clock by a quarter of a second. Returns True."""
    page.clock.run_for(250)
    return True


def test_a_status_request_that_never_answers_ends_in_an_error_after_30_seconds(blank: Page, stub: PageStub) -> None:
    stop_clock(blank)
    stub.answers["/ann"] = [Answer(503, picture=b""), Answer(503, picture=b"", gate=stub.gate())]
    image = add(blank, src="/ann", name="Ann")
    until(lambda: has_passed(blank) and "HEAD /ann" in stub.calls, "a HEAD request for the status")
    blank.clock.run_for(30_500)
    has_status(image, "error")


def test_while_a_picture_is_not_ready_only_its_headers_are_requested(blank: Page, stub: PageStub) -> None:
    stub.answers["/ann"] = [NOT_READY]
    image = add(blank, src="/ann", name="Ann")
    until(lambda: stub.calls.count("HEAD /ann") >= 3, "further HEAD requests")
    stub.answers["/ann"] = [Answer()]
    has_status(image, "loaded")
    first, *between, last = stub.calls
    assert (first, set(between), last) == ("GET /ann", {"HEAD /ann"}, "GET /ann")


def test_a_picture_that_timed_out_is_requested_again_when_the_network_returns(blank: Page, stub: PageStub) -> None:
    stop_clock(blank)
    stub.answers["/ann"] = [Answer(gate=stub.gate())]
    image = add(blank, src="/ann", name="Ann")
    has_status(image, "loading")
    blank.clock.run_for(30_500)
    has_status(image, "error")
    stub.answers["/ann"] = [Answer()]
    blank.evaluate("dispatchEvent(new Event('online'))")
    has_status(image, "loaded")


def test_the_pulse_ends_shortly_after_the_deadline_even_if_the_script_stops(blank: Page, stub: PageStub) -> None:
    stub.answers["/ann"] = [Answer(gate=stub.gate())]
    image = add(blank, src="/ann", name="Ann")
    has_status(image, "loading")
    script = """(host) => host.shadowRoot.getAnimations()
      .filter((one) => one.animationName === 'pulse').map((one) => one.effect.getComputedTiming().endTime)"""
    [end] = image.evaluate(script)
    assert 30_000 <= end <= 35_000, "ms, not close to the deadline"


def test_retry_requests_a_missing_picture_again(blank: Page, stub: PageStub) -> None:
    stub.answers["/ann"] = [NO_PHOTO]
    image = add(blank, src="/ann", name="Ann")
    has_status(image, "error")
    stub.answers["/ann"] = [Answer()]
    image.evaluate("(host) => host.retry()")
    has_status(image, "loaded")


def test_an_eager_picture_loads_far_from_the_viewport(blank: Page, stub: PageStub) -> None:
    stub.answers |= {"/80": [Answer()], "/far": [Answer()]}
    blank.evaluate("document.body.style.paddingTop = '9000px'")
    image = add(blank, loading="eager", name="Ann")
    image.evaluate("(host) => { host.src = '/far'; host.srcset = '/80 80w'; }")
    has_status(image, "loaded")
    assert stub.calls == ["GET /80"]
    assert blank.evaluate("events") == ["loading", "loaded", "load"], (
        "src and srcset set together caused more than one request"
    )
    assert image.evaluate("(host) => host.shadowRoot.querySelector('.picture').fetchPriority") == "high"


def test_neither_preview_nor_picture_shifts_the_layout(blank: Page, stub: PageStub) -> None:
    gate = stub.gate()
    stub.answers["/ann"] = [Answer(gate=gate)]
    image = add(blank, src="/ann", name="Ann", placeholder=PREVIEW)
    blank.evaluate(
        "document.body.append(' Ann Lee', Object.assign(document.createElement('p'), { textContent: 'below' }))"
    )
    below = blank.locator("p")
    before = below.bounding_box()
    blank.evaluate(f"() => {{ {SHIFTS} }}")
    gate.set()
    has_status(image, "loaded")
    expect(image.locator(".preview")).to_be_hidden()
    assert (below.bounding_box(), blank.evaluate("shifts")) == (before, 0)


def test_properties_mirror_the_attributes(blank: Page) -> None:
    image = add(blank)
    script = """(host) => {
      const names = ['src', 'srcset', 'sizes', 'name', 'placeholder', 'loading'];
      for (const name of names) host[name] = name;
      host.delayMs = 250;
      const set = [...names, 'delay-ms'].map((name) => host.getAttribute(name));
      host.setAttribute('delay-ms', 'soon');
      const read = [...names.map((name) => host[name]), host.delayMs];
      for (const name of names) host[name] = null;
      host.delayMs = undefined;
      return [set, read, [...names, 'delay-ms'].filter((name) => host.hasAttribute(name))];
    }"""
    names = ["src", "srcset", "sizes", "name", "placeholder", "loading"]
    assert image.evaluate(script) == [[*names, "250"], [*names, 0], []]


def test_an_element_registered_under_another_name_takes_over_properties_set_before(blank: Page, stub: PageStub) -> None:
    stub.answers["/ann"] = [Answer()]
    blank.evaluate(
        """async () => {
          const early = document.createElement('my-avatar');
          Object.assign(early, { src: '/ann', name: 'Ann Lee', delayMs: 100 });
          document.body.append(early);
          const { defineLazyImage } = await import('/static/lazy-image.js');
          defineLazyImage('my-avatar');
          defineLazyImage('my-avatar');
        }"""
    )
    avatar = blank.locator("my-avatar")
    has_status(avatar, "loaded")
    assert avatar.evaluate("(host) => [host.getAttribute('delay-ms'), host.getAttribute('name')]") == ["100", "Ann Lee"]


def test_a_second_copy_of_the_script_leaves_the_first_element_alone_and_can_register_another_name(
    blank: Page, stub: PageStub
) -> None:
    stub.answers["/ann"] = [Answer()]
    taken = """async () => {
      const first = customElements.get('lazy-image');
      const copy = await import('/static/lazy-image.js?copy');
      copy.defineLazyImage('other-image');
      const other = document.createElement('other-image');
      document.body.append(other);
      other.src = '/ann';
      return [customElements.get('lazy-image') === first, other instanceof copy.LazyImage, other instanceof first];
    }"""
    assert blank.evaluate(taken) == [True, True, False]
    has_status(blank.locator("other-image"), "loaded")


def test_a_moved_element_keeps_its_picture(blank: Page, stub: PageStub) -> None:
    stub.answers["/ann"] = [Answer()]
    image = add(blank, src="/ann", name="Ann")
    has_status(image, "loaded")
    image.evaluate("(host) => document.body.append(document.createElement('p'), host)")
    has_status(image, "loaded")
    expect(image.locator(".picture")).to_be_visible()
    assert stub.calls == ["GET /ann"]
