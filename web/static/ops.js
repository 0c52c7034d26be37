// @ts-check
/** Refreshes the page of operators in place. Without this script, the page has a link that loads it again. */

const EVERY = 30_000; // ms
const PATIENCE = 10_000; // ms that an answer may take

/** @template {Element} T @param {string} selector @param {ParentNode} [within] @returns {T} */
const find = (selector, within = document) => /** @type {T} */ (within.querySelector(selector));

/**
 * Changes only what differs, so that focus and scroll position stay, and a screen reader says only what is new.
 * @param {ChildNode} shown
 * @param {ChildNode} fresh
 */
function update(shown, fresh) {
  if (shown.isEqualNode(fresh)) return;
  const isAlike = shown.nodeName === fresh.nodeName && shown.childNodes.length === fresh.childNodes.length;
  if (!isAlike || !(shown instanceof Element) || !(fresh instanceof Element) || !shown.firstChild) {
    shown.replaceWith(fresh);
    return;
  }
  for (const { name } of [...shown.attributes]) if (!fresh.hasAttribute(name)) shown.removeAttribute(name);
  for (const { name, value } of fresh.attributes) shown.setAttribute(name, value);
  const next = [...fresh.childNodes];
  [...shown.childNodes].forEach((child, place) => update(child, next[place]));
}

/** @param {string} problem nothing if the page is up to date */
function tell(problem) {
  const words = problem ? `Not refreshed: ${problem}.` : `Refreshed every ${EVERY / 1000} s.`;
  const place = find('#refreshed');
  if (place.textContent !== words) place.textContent = words;
}

let isOver = false;

async function refresh() {
  // A URL with a login in it, as in the address bar, may not be fetched.
  const url = location.origin + location.pathname;
  try {
    const answer = await fetch(url, { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE) });
    isOver = answer.status === 401 || answer.status === 403; // or the browser would ask for a password again and again
    if (isOver) return tell('the key is no longer valid, open the page again');
    if (!answer.ok) return tell(`the service answers ${answer.status}`);
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
    document.title = fresh.title;
    update(find('#as-of'), find('#as-of', fresh));
    update(find('main'), find('main', fresh));
    tell('');
  } catch {
    tell('the service does not answer');
  }
}

async function refreshAlways() {
  while (!isOver) {
    await new Promise((resolve) => setTimeout(resolve, EVERY));
    if (!document.hidden) await refresh();
  }
}

addEventListener('visibilitychange', () => {
  if (!document.hidden && !isOver) refresh();
});
tell('');
refreshAlways();
