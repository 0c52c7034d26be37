// @ts-check
/**
 * <lazy-image src srcset sizes name placeholder>: a picture in a box that never moves.
 *
 * It shows, in this order: the blurred `placeholder` (a data URI) or a pulsing skeleton; the picture;
 * or, when there is none to be had, the initials of `name`. Loading starts near the viewport.
 * `status` (property, attribute, `statuschange` event) is idle, loading, loaded or error; `load` and
 * `error` are sent as from an <img>; `retry()` tries again after an error. The box and its look are set by
 * --lazy-image-size, --lazy-image-radius and --lazy-image-skeleton.
 *
 * @typedef {'idle' | 'loading' | 'loaded' | 'error'} Status
 */

import { Refused, loadPicture } from './load-picture.js';

const sheet = new CSSStyleSheet();
sheet.replaceSync(`
  :host { display: inline-block; position: relative; overflow: hidden; contain: content; vertical-align: middle;
    width: var(--lazy-image-size, 48px); height: var(--lazy-image-size, 48px);
    border-radius: var(--lazy-image-radius, 50%); }
  :host([hidden]), .preview:not([src]) { display: none; }
  .skeleton, .initials, img { position: absolute; inset: 0; width: 100%; height: 100%; }
  img { object-fit: cover; }
  .skeleton { background: var(--lazy-image-skeleton, color-mix(in srgb, currentColor 14%, transparent)); }
  .preview { filter: blur(calc(var(--lazy-image-size, 48px) / 12)); transform: scale(1.2); }
  .picture { animation: appear 240ms ease-out; }
  .initials { display: none; place-items: center; background: oklch(0.52 0.11 var(--hue)); color: #fff;
    user-select: none; font: 600 calc(var(--lazy-image-size, 48px) * 0.38) / 1 system-ui, sans-serif; }
  :host([status='error']) .initials,
  :host(:is(:not([src]), [src='']):is(:not([srcset]), [srcset=''])) .initials { display: grid; }
  /* Hidden only after the picture has faded in over it. */
  :host([status='loaded']) :is(.preview, .skeleton) { visibility: hidden; transition: visibility 0s 300ms; }
  /* Nothing pulses unseen, under a preview or under the picture before. */
  :host([status='loading']:not([placeholder^='data:'])) .skeleton:not(:has(~ .picture)) {
    animation: pulse 1.4s ease-in-out infinite; }
  @keyframes pulse { 50% { opacity: 0.4; } }
  @keyframes appear { from { opacity: 0; } }
  @media (prefers-reduced-motion: reduce) { .skeleton, .picture { animation: none !important; } }
`);

/** @param {string} word */
function firstGrapheme(word) {
  const bare = word.replace(/^\p{P}+(?=.)/u, '');
  if (!('Segmenter' in Intl)) return [...bare][0];
  const [first] = new Intl.Segmenter().segment(bare); // by grapheme: a family emoji stays whole
  return first.segment;
}

/** @param {string} name */
export function initials(name) {
  const words = name.split(/\s+/u).filter(Boolean);
  const letters = [...words.slice(0, 1), ...words.slice(1).slice(-1)].map(firstGrapheme);
  // Arabic letters would join into one shape that nobody knows as initials: a zero-width non-joiner parts them.
  return letters.join(/\p{Script=Arabic}/u.test(letters.join('')) ? '\u200c' : '').toLocaleUpperCase() || '?';
}

/** @param {string} name */
function hueOf(name) {
  let hash = 0;
  for (const character of name) hash = (Math.imul(hash, 31) + (character.codePointAt(0) ?? 0)) >>> 0;
  return hash % 360;
}

export class LazyImage extends HTMLElement {
  static observedAttributes = ['src', 'srcset', 'sizes', 'name', 'placeholder'];

  /** One observer for all: a hundred pictures cost one callback. */
  static #nearby = new IntersectionObserver(
    (entries) => {
      const boxes = entries.filter((entry) => entry.isIntersecting).map((entry) => entry.target);
      for (const box of /** @type {LazyImage[]} */ (boxes)) box.#start();
    },
    { rootMargin: '200px' },
  );

  #root = this.attachShadow({ mode: 'open' });
  #work = new AbortController();
  #refused = false;
  /** @type {Status} */
  #status = 'idle';

  constructor() {
    super();
    this.#root.adoptedStyleSheets = [sheet];
    this.#root.innerHTML =
      '<div class="skeleton"></div><img class="preview" alt=""><span class="initials" dir="auto"></span>';
  }

  get status() {
    return this.#status;
  }

  retry() {
    if (this.#status === 'error') this.#await();
  }

  connectedCallback() {
    this.setAttribute('status', this.#status); // a clone brings somebody else's
    this.#describe();
    addEventListener('online', this.#online);
    if (this.#status !== 'loaded') this.#await();
  }

  disconnectedCallback() {
    removeEventListener('online', this.#online);
    this.#stop();
  }

  /** @param {string} attribute @param {string | null} before @param {string | null} after */
  attributeChangedCallback(attribute, before, after) {
    if (before === after) return;
    if (attribute === 'src' || attribute === 'srcset') this.#await();
    else this.#describe();
  }

  #online = () => {
    if (!this.#refused) this.retry();
  };

  #describe() {
    if (!this.isConnected) return;
    const name = this.getAttribute('name') ?? '';
    const placeholder = this.getAttribute('placeholder') ?? '';
    const [, preview, letters] = /** @type {[HTMLElement, HTMLImageElement, HTMLElement]} */ ([...this.#root.children]);
    letters.textContent = initials(name);
    letters.style.setProperty('--hue', `${hueOf(name)}`);
    if (placeholder.startsWith('data:')) preview.src = placeholder;
    else preview.removeAttribute('src');
    this.setAttribute('role', name ? 'img' : 'none');
    this.setAttribute('aria-label', name);
  }

  /** Begins anew with what the attributes say now, as soon as the box is near the viewport. */
  #await() {
    this.#stop();
    this.#enter('idle');
    if (!this.getAttribute('src') && !this.getAttribute('srcset')) this.#clear();
    else if (this.isConnected) LazyImage.#nearby.observe(this);
  }

  async #start() {
    this.#stop();
    const { signal } = (this.#work = new AbortController());
    const [src, srcset, sizes] = ['src', 'srcset', 'sizes'].map((name) => this.getAttribute(name) ?? '');
    this.#enter('loading');
    try {
      this.#show(await loadPicture({ sizes: sizes || `${this.offsetWidth}px`, srcset, src }, signal));
    } catch (problem) {
      if (!signal.aborted) this.#fail(problem);
    }
  }

  #stop() {
    this.#work.abort();
    LazyImage.#nearby.unobserve(this);
    if (this.#status === 'loading') this.#enter('idle');
  }

  /** @param {HTMLImageElement} picture */
  async #show(picture) {
    const before = this.#root.querySelectorAll('.picture');
    this.#root.append(Object.assign(picture, { className: 'picture', alt: '', draggable: false }));
    this.#enter('loaded');
    this.dispatchEvent(new Event('load'));
    await Promise.allSettled(picture.getAnimations().map((animation) => animation.finished));
    before.forEach((old) => old.remove()); // only now is it covered
  }

  /** @param {unknown} problem */
  #fail(problem) {
    this.#refused = problem instanceof Refused;
    this.#clear();
    this.#enter('error');
    this.dispatchEvent(new Event('error'));
  }

  #clear() {
    this.#root.querySelectorAll('.picture').forEach((picture) => picture.remove());
  }

  /** @param {Status} status */
  #enter(status) {
    if (status === this.#status) return;
    this.#status = status;
    this.setAttribute('status', status);
    this.dispatchEvent(new CustomEvent('statuschange', { detail: { status } }));
  }
}

if (!customElements.get('lazy-image')) customElements.define('lazy-image', LazyImage);
