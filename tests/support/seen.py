"""What a person sees in the browser: the top part of a box, layout shifts, and accessibility problems."""

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
MOST_SHIFTED = 0.01  # a tenth of a good value (web.dev, Cumulative Layout Shift)


def list_on_top(boxes: Locator) -> list[str]:
    """Returns for each <lazy-image>: picture, initials, preview or skeleton; `nothing` outside of the viewport."""
    found: list[str] = boxes.evaluate_all(ON_TOP)
    return found


def measure_shift(page: Page) -> float:
    """Returns the sum of the layout shifts since the navigation; requires the init script NOTE_SHIFTS."""
    return float(page.evaluate("shifted"))


def list_violations(page: Page) -> str:
    """Returns the report of axe, empty without violations."""
    found = Axe().run(page)
    return str(found.generate_report()) if found.violations_count else ""


def is_wider_than_the_screen(page: Page) -> bool:
    """Returns True if a person would have to scroll sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
