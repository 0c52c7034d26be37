"""The page registers its visitor while it loads the list: in which order, and what a failure of one changes."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_page import PROBLEM, open_signed_in, partner, script_list
from tests.support.page_stub import Answer, PageStub, stop_clock, until


@pytest.mark.parametrize("late", ["me", "recent"])
def test_an_expired_sign_in_is_named_whatever_else_fails_before_or_after(page: Page, stub: PageStub, late: str) -> None:
    statuses = {"me": 401, "recent": 503}
    for name, status in statuses.items():
        stub.answers[f"/api/partner/{name}"] = [Answer(status, json=PROBLEM)]
    stub.answers[f"/api/partner/{late}"][0].gate = gate = stub.gate()
    open_signed_in(page, stub)
    expect(page.get_by_role("alert")).to_be_visible()
    gate.set()
    expect(page.locator("#people-list")).to_have_attribute("aria-busy", "false")
    expect(page.get_by_role("alert")).to_contain_text("sign-in is no longer valid")


def test_the_list_is_shown_before_the_registration_is_answered(page: Page, stub: PageStub) -> None:
    script_list(stub, [partner(1, "Ann"), partner(2, "Bo")])
    stub.answers["/api/partner/me"][0].gate = gate = stub.gate()
    people = open_signed_in(page, stub)
    expect(people).to_contain_text(["Ann", "Bo"])
    expect(page.locator("#people-list")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#me")).to_be_hidden()
    gate.set()
    expect(page.locator("#me")).to_contain_text("Signed in as Ann")


def test_a_registration_that_fails_leaves_the_list_and_is_tried_again(page: Page, stub: PageStub) -> None:
    stop_clock(page)
    script_list(stub, [partner(2, "Bo")], [partner(1, "Ann"), partner(2, "Bo")])
    registered = Answer(json=partner(1, "Ann", "warming"))
    stub.answers["/api/partner/me"] = [Answer(503, json=PROBLEM), Answer(429, json=PROBLEM), registered]
    people = open_signed_in(page, stub)
    expect(people).to_contain_text(["Bo"])
    expect(page.locator("#me")).to_be_hidden()

    def is_shown(text: str) -> bool:
        page.clock.run_for(1000)
        assert page.get_by_role("alert").is_hidden()
        return text in page.locator("main").inner_text()

    until(lambda: is_shown("Ann"), "the visitor is registered")
    until(lambda: is_shown("Ann") and stub.calls.count("GET /api/partner/recent") == 2, "the list is requested again")
    assert stub.calls.count("POST /api/partner/me") == 3


def test_one_registration_is_enough_for_every_try_of_the_list(page: Page, stub: PageStub) -> None:
    script_list(stub, [partner(1, "Ann")])
    refusals = [Answer(503, json=PROBLEM) for _ in range(2)]
    stub.answers["/api/partner/recent"] = [*refusals, Answer(json={"partners": [partner(2, "Bo")]})]
    people = open_signed_in(page, stub)
    for _ in refusals:
        expect(page.locator("#me")).to_contain_text("Ann")
        page.get_by_role("button", name="Try again").click()
    expect(people).to_contain_text(["Bo"])
    expect(people).to_have_count(1)  # it was requested after the registration: she has left since
    assert stub.calls.count("POST /api/partner/me") == 1


@pytest.mark.parametrize("late", ["me", "recent"])
def test_a_list_read_before_the_registration_shows_the_person_in_the_right_place(
    page: Page, stub: PageStub, late: str
) -> None:
    for me, shown in ((1, [1, 2, 3]), (3, [2, 3, 4]), (5, [2, 3, 5])):
        script_list(stub, [partner(ident) for ident in (2, 3, 4, 5) if ident in shown and ident != me])
        stub.answers["/api/partner/me"] = [Answer(json=partner(me))]
        stub.answers[f"/api/partner/{late}"][0].gate = gate = stub.gate()
        people = open_signed_in(page, stub)
        if late == "me":
            expect(people).to_have_count(2)
        else:
            expect(page.locator("#me")).to_be_visible()
        gate.set()
        expect(people.locator(".name")).to_have_text([f"Person {ident}" for ident in shown])
        expect(people.locator("lazy-image[status=loaded]")).to_have_count(3)


def test_a_list_from_which_the_last_person_leaves_says_that_it_is_empty(page: Page, stub: PageStub) -> None:
    stop_clock(page)
    script_list(stub, [partner(1, "Ann", "warming")], [])
    people = open_signed_in(page, stub)
    expect(page.locator("#me")).to_be_visible()
    expect(page.locator("#people-state")).to_have_text("1 person, newest first")
    page.clock.run_for(1500)
    expect(people).to_have_count(0)
    expect(page.locator("#people-state")).to_have_text("No people yet")


def test_the_persons_own_row_shows_what_the_registration_answered(page: Page, stub: PageStub) -> None:
    script_list(stub, [partner(2), partner(1, "Ann before")])
    stub.answers["/api/partner/me"] = [Answer(json=partner(1, "Ann now"))]
    expect(open_signed_in(page, stub).locator(".name")).to_have_text(["Person 2", "Ann now"])


def test_a_person_older_than_a_full_list_is_not_added(page: Page, stub: PageStub) -> None:
    script_list(stub, [partner(ident) for ident in range(1, 101)])
    stub.answers |= {f"/photo/{ident}": [Answer()] for ident in range(1, 101)}
    stub.answers["/api/partner/me"] = [Answer(json=partner(500, "Ann"))]
    people = open_signed_in(page, stub)
    expect(page.locator("#me")).to_contain_text("Ann")
    expect(people).to_have_count(100)
    expect(people.last).to_contain_text("Person 100")
