"""What a person sees in the browser: what lies on top in a box, how far things moved, what axe complains about."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page

NOTE_SHIFTS = """
  window.shifted = 0;
  new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.shifted += entry.value; })
    .observe({ type: 'layout-shift', buffered: true });
"""
ON_TOP = """(boxes) => boxes.map((box) => {
  const { x, y, width, height } = box.getBoundingClientRect();
  const top = box.shadowRoot.elementFromPoint(x + width / 2, y + height / 2);
  return top?.className === 'picture' && !top.naturalWidth ? 'broken' : top?.className ?? 'nothing';
})"""
MOST_SHIFTED = 0.02  # a fifth of what counts as good (web.dev, Cumulative Layout Shift)


def list_on_top(boxes: Locator) -> list[str]:
    """For each <lazy-image>: picture, initials, preview or skeleton; `nothing` outside of the viewport."""
    found: list[str] = boxes.evaluate_all(ON_TOP)
    return found


def measure_shift(page: Page) -> float:
    """The sum of the layout shifts since the navigation; wants NOTE_SHIFTS as an init script."""
    return float(page.evaluate("shifted"))


def list_violations(page: Page) -> str:
    """What axe finds, empty where that is nothing."""
    found = Axe().run(page)
    return str(found.generate_report()) if found.violations_count else ""


def is_wider_than_the_screen(page: Page) -> bool:
    """Whether a person would have to scroll sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
