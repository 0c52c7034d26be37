// @ts-check
/** What every part of the page does: find an element, say something, show a photo, ask the service. */

/**
 * @typedef {{ photo_url: string | null, photo_srcset: string | null, photo_placeholder: string | null }} Photo
 * @typedef {Photo & { id: number, name: string, joined_at: string, photo_status: string }} Partner
 * @typedef {Photo & { id: number, status: string }} LookUp
 * @typedef {import('./lazy-image.js').LazyImage} LazyImage
 */

export const LIMIT = 100; // rows
export const FIRST = 4; // rows that every screen shows: their pictures wait for no layout
const PATIENCE = 10_000; // ms that a request may take

/** @template {Element} T @param {string} selector @param {ParentNode} [within] @returns {T} */
export const find = (selector, within = document) => /** @type {T} */ (within.querySelector(selector));

/** @param {number} ms @param {AbortSignal} [signal] */
export const sleep = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => clearTimeout(timer)); // and whoever waits is forgotten
  });

/** The server said no; the message is its own. */
export class Refusal extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** @param {string} path relative to the page, which may stand under any path @param {RequestInit} [options] */
export async function ask(path, options) {
  const answer = await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE), ...options });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refusal(answer.status, body.detail ?? body.title ?? '');
  return body;
}

/** @param {LazyImage} image @param {string} name @param {Photo} photo */
export function showPhoto(image, name, photo) {
  const attributes = { name, placeholder: photo.photo_placeholder, srcset: photo.photo_srcset, src: photo.photo_url };
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) image.removeAttribute(attribute);
    else image.setAttribute(attribute, value);
  }
}

/**
 * Rewrites only what differs: a screen reader says every rewritten status again.
 * @param {Element} element
 * @param {string} text
 */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

