// @ts-check
/**
 * <lazy-image src srcset sizes name placeholder delay-ms loading>: a picture in a box that never moves.
 *
 * It shows, in this order: the blurred `placeholder` (a data URI) or a pulsing skeleton; the picture; or, when there
 * is none to be had, the initials of `name`. A picture that the server is still fetching (503) is asked for again.
 * `status` (property, attribute, `statuschange` event) is idle, loading, loaded or error; `load` and `error` are sent
 * as from an <img>; `retry()` tries again after an error. All of it is one file, so that it can be copied.
 *
 * @typedef {'idle' | 'loading' | 'loaded' | 'error'} Status
 * @typedef {{ src: string, srcset: string, sizes: string, fetchPriority: string }} Source
 */

const RETRIES = 5;
const FIRST_PAUSE = 500; // ms; doubles with every retry
const UNTOLD_PAUSE = 1000; // ms; an <img> that failed hides `Retry-After`: our servers ask for this
const GIVE_UP_AFTER = 30_000; // ms; all tries and pauses together, and no skeleton pulses longer
const NOT_READY = [429, 502, 503, 504]; // "ask again later"; any other refusal is the answer

/**
 * Behind the initials, top and bottom: Telegram's seven, dark enough for white letters (a contrast of at least 4.5).
 */
const COLOURS = [
  ['#d44048', '#ba275c'], ['#bb5b02', '#ad411c'], ['#7b5ee9', '#8241c8'], ['#028844', '#067256'],
  ['#04828d', '#076d87'], ['#0078cf', '#355dc6'], ['#c64197', '#a3339e'],
];
/** Emoji and the letters of China, Japan and Korea: two of them in the usual size would reach over the rim. */
const WIDE = /[\p{Emoji_Presentation}\p{Extended_Pictographic}\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Hang}]/u;

const STYLE = `
  :host { display: inline-block; position: relative; overflow: hidden; vertical-align: middle; contain: content;
    container-type: inline-size; width: var(--lazy-image-size, 48px); height: var(--lazy-image-size, 48px);
    border-radius: var(--lazy-image-radius, 50%); }
  :host([hidden]), .preview:not([src]) { display: none; }
  .skeleton, .initials, img { box-sizing: border-box; position: absolute; inset: 0; width: 100%; height: 100%; }
  img { object-fit: cover; }
  .skeleton { background: var(--lazy-image-skeleton, color-mix(in srgb, currentColor 14%, transparent)); }
  .preview { filter: blur(8cqi); transform: scale(1.2); }
  .initials { display: none; place-items: center; color: #fff; user-select: none;
    background: linear-gradient(var(--top), var(--bottom)); font: 600 var(--letters) / 1 system-ui, sans-serif; }
  :host([status='error']) .initials,
  :host(:is(:not([src]), [src='']):is(:not([srcset]), [srcset=''])) .initials { display: grid; }
  /* Hidden only after the picture has faded in over it. */
  :host([status='loaded']) :is(.preview, .skeleton) { visibility: hidden; transition: visibility 0s 300ms; }
  :host([status='idle'][delay-ms]) .skeleton { visibility: hidden; }
  :host([status='loading']) .skeleton { animation: show 0s var(--delay) backwards; }
  @keyframes show { from { visibility: hidden; } }
  @keyframes pulse { 50% { opacity: 0.4; } }
  @keyframes appear { from { opacity: 0; } }
  @media (prefers-reduced-motion: no-preference) {
    .picture { animation: appear 240ms ease-out; }
    /* Nothing pulses unseen, under a preview or under the picture before; nor for ever, should the script stop. */
    :host([status='loading']:not([placeholder^='data:'])) .skeleton:not(:has(~ .picture)) {
      animation: show 0s var(--delay) backwards, pulse 1.4s ease-in-out var(--delay) 22; }
  }
  @media (forced-colors: active) {
    .skeleton, .initials { border: 1px solid CanvasText; border-radius: inherit; }
    .initials { background: Canvas; color: CanvasText; }
  }
  @media print { /* Backgrounds are often left out on paper, and nothing comes later. */
    :host(:not([status='loaded'])) .initials { display: grid; }
    .initials { border: 1px solid; border-radius: inherit; background: #fff; color: #000; }
  }
`;

/** The server's answer was final: asking again would give the same. */
class Refused extends Error {}

/**
 * Loads a picture with patience.
 * @param {Source} source
 * @param {AbortSignal} signal  leaves no timer, listener or download behind
 * @returns {Promise<HTMLImageElement>}
 */
async function loadPicture(source, signal) {
  const patience = new AbortController();
  const stop = () => patience.abort(signal.reason);
  signal.addEventListener('abort', stop);
  const late = setTimeout(() => patience.abort(new Error('not there in time')), GIVE_UP_AFTER);
  try {
    return await askAgain(source, patience.signal);
  } finally {
    clearTimeout(late);
    signal.removeEventListener('abort', stop);
  }
}

/**
 * After a picture did not come, only its headers are requested until it is there: one request for each `Retry-After`,
 * where a try of its own would be two.
 * @param {Source} source @param {AbortSignal} signal
 */
async function askAgain(source, signal) {
  const deadline = performance.now() + GIVE_UP_AFTER;
  for (let retries = 0, wasReady = false; ; wasReady = true) {
    const picture = new Image();
    const since = performance.now();
    if (await arrives(picture, source, signal)) return picture;
    signal.throwIfAborted();
    const status = readStatus(picture.currentSrc, since);
    if (status >= 400 && !NOT_READY.includes(status)) throw new Refused(`${status}`);
    let wait = status && status < 400 ? 0 : UNTOLD_PAUSE;
    for (let answer = null; !answer?.ok; retries++) {
      if (retries > RETRIES || performance.now() + wait > deadline) throw new Error('not ready in time');
      answer = await Question.about(picture.currentSrc, wait).getAnswer(signal);
      wait = pauseAfter(answer, retries);
    }
    if (wasReady && !NOT_READY.includes(status)) throw new Refused('the bytes are no picture');
  }
}

/** @param {HTMLImageElement} picture @param {Source} source @param {AbortSignal} signal @returns {Promise<boolean>} */
function arrives(picture, source, signal) {
  return new Promise((resolve) => {
    const cancel = () => {
      picture.removeAttribute('srcset');
      picture.removeAttribute('src'); // with both gone the download stops
      resolve(false);
    };
    picture.onload = picture.onerror = (event) => {
      signal.removeEventListener('abort', cancel);
      resolve(/** @type {Event} */ (event).type === 'load');
    };
    signal.addEventListener('abort', cancel);
    Object.assign(picture, source);
  });
}

/**
 * The status of the last answer. 0 if the browser does not tell: of another origin, or when its record is full.
 * @param {string} url @param {number} since  by performance.now()
 */
function readStatus(url, since) {
  const last = /** @type {PerformanceResourceTiming | undefined} */ (performance.getEntriesByName(url, 'resource').at(-1));
  return (last && last.startTime >= since && last.responseStatus) || 0;
}

/** A pause, and then a request for the headers alone. It ends when nobody waits for its answer any more. */
class Question {
  /** The open ones by URL: elements that show the same picture share them. @type {Map<string, Question>} */
  static #open = new Map();

  #waiting = 0;
  #work = new AbortController();
  #url;
  #answer;

  /** @param {string} url @param {number} wait  ms */
  constructor(url, wait) {
    const { signal } = this.#work;
    this.#url = url;
    this.#answer = pause(wait, signal).then(() => ask(url, signal)).finally(() => this.#close());
  }

  /** @param {string} url @param {number} wait  ms; only the first to ask decides */
  static about(url, wait) {
    const question = Question.#open.get(url) ?? new Question(url, wait);
    Question.#open.set(url, question);
    return question;
  }

  /** @param {AbortSignal} signal @returns {Promise<Response | null>} */
  async getAnswer(signal) {
    const left = new AbortController();
    /** @type {Promise<never>} */
    const aborted = new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { signal: left.signal });
    });
    this.#waiting++;
    try {
      return await Promise.race([this.#answer, aborted]);
    } finally {
      left.abort();
      if (!--this.#waiting) this.#close();
    }
  }

  #close() {
    this.#work.abort();
    if (Question.#open.get(this.#url) === this) Question.#open.delete(this.#url);
  }
}

/**
 * <img> does not tell why a picture did not come, so the server is asked, for the headers alone.
 * @param {string} url @param {AbortSignal} signal
 */
function ask(url, signal) {
  const headers = { Accept: 'image/avif,image/webp,*/*' }; // as <img> does: without it, another format would be made
  return fetch(url, { method: 'HEAD', cache: 'no-store', credentials: 'omit', headers, signal }).catch(() => null);
}

/**
 * How long to wait before the next try, in ms.
 * @param {Response | null} answer  null: no network, or no server just now
 * @param {number} retries
 */
function pauseAfter(answer, retries) {
  if (answer?.ok) return 0;
  if (answer && !NOT_READY.includes(answer.status)) throw new Refused(`${answer.status}`);
  const wished = 1000 * Number(answer?.headers.get('Retry-After')) || 0; // our servers send seconds, never a date
  return Math.max(FIRST_PAUSE * 2 ** retries, wished) * (1 + Math.random() / 4); // never earlier than wished
}

/** Sleeps. Being online again, or being aborted, ends it early. @param {number} ms @param {AbortSignal} signal */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      removeEventListener('online', end);
      signal.removeEventListener('abort', end);
      resolve(undefined);
    };
    const timer = setTimeout(end, ms);
    addEventListener('online', end);
    signal.addEventListener('abort', end);
  });
}

/** One for all names: making it takes longer than using it. @type {Intl.Segmenter | undefined} */
let segmenter;

/** @param {string} word */
function firstGrapheme(word) {
  const bare = word.replace(/^\p{P}+(?=.)/u, '');
  if (!('Segmenter' in Intl)) return [...bare][0];
  const [first] = (segmenter ??= new Intl.Segmenter()).segment(bare); // by grapheme: a family emoji stays whole
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
function coloursOf(name) {
  let hash = 0;
  for (const character of name) hash = (Math.imul(hash, 31) + (character.codePointAt(0) ?? 0)) >>> 0;
  return COLOURS[hash % COLOURS.length];
}

/** @template {keyof HTMLElementTagNameMap} T @param {T} tag @param {string} part */
function makePart(tag, part) {
  const element = document.createElement(tag);
  element.className = part;
  element.setAttribute('part', part);
  return element;
}

/** @type {CSSStyleSheet | undefined} */
let sheet;

/** One for all; made when the first element is, so that importing this works where no document is. */
function getSheet() {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
  }
  return sheet;
}

/** @param {Element} element @param {string} attribute @param {unknown} value */
function setOrRemove(element, attribute, value) {
  if (value === null || value === undefined) element.removeAttribute(attribute);
  else element.setAttribute(attribute, `${value}`);
}

const Base = globalThis.HTMLElement ?? /** @type {typeof HTMLElement} */ (class {}); // on a server there is none

export class LazyImage extends Base {
  static observedAttributes = ['src', 'srcset', 'sizes', 'name', 'placeholder', 'delay-ms', 'loading'];

  /** @type {IntersectionObserver | undefined} */
  static #observer;

  #root = this.attachShadow({ mode: 'open' });
  #skeleton = makePart('div', 'skeleton');
  #preview = makePart('img', 'preview');
  #initials = makePart('span', 'initials');
  #work = new AbortController();
  #refused = false;
  /** @type {Status} */
  #status = 'idle';
  /** What we made these attributes say. @type {Record<string, string | null>} */
  #said = { role: null, 'aria-label': null };

  constructor() {
    super();
    this.#root.adoptedStyleSheets = [getSheet()];
    this.#preview.alt = '';
    this.#initials.dir = 'auto';
    this.#initials.ariaHidden = 'true';
    this.#root.append(this.#skeleton, this.#preview, this.#initials);
  }

  /** One observer for all: a hundred pictures cost one callback. */
  static get #nearby() {
    return (LazyImage.#observer ??= new IntersectionObserver(
      (entries) => {
        const boxes = entries.filter((entry) => entry.isIntersecting).map((entry) => entry.target);
        for (const box of /** @type {LazyImage[]} */ (boxes)) box.#start(box.#work.signal);
      },
      { rootMargin: '200px' },
    ));
  }

  get status() {
    return this.#status;
  }

  get delayMs() {
    return Math.max(0, Number(this.getAttribute('delay-ms'))) || 0;
  }

  set delayMs(ms) {
    setOrRemove(this, 'delay-ms', ms);
  }

  retry() {
    if (this.#status === 'error') this.#await();
  }

  connectedCallback() {
    for (const property of PROPERTIES.filter((name) => Object.hasOwn(this, name))) {
      const value = Reflect.get(this, property); // set before the element was defined: it hides our own
      Reflect.deleteProperty(this, property);
      Reflect.set(this, property, value);
    }
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
    else if (attribute !== 'loading') this.#describe();
    else if (this.#status === 'idle') this.#await();
  }

  #online = () => {
    if (!this.#refused) this.retry();
  };

  #describe() {
    if (!this.isConnected) return;
    const name = this.getAttribute('name') ?? '';
    const placeholder = this.getAttribute('placeholder') ?? '';
    const letters = initials(name);
    const [top, bottom] = coloursOf(name);
    const looks = { '--top': top, '--bottom': bottom, '--letters': WIDE.test(letters) ? '31cqi' : '38cqi' };
    this.#initials.textContent = letters;
    for (const [property, value] of Object.entries(looks)) this.#initials.style.setProperty(property, value);
    this.#skeleton.style.setProperty('--delay', `${this.delayMs}ms`);
    setOrRemove(this.#preview, 'src', placeholder.startsWith('data:') ? placeholder : null);
    this.#say('aria-label', name || null);
    const isNamed = this.getAttribute('aria-label') || this.hasAttribute('aria-labelledby');
    this.#say('role', isNamed ? 'img' : 'none');
  }

  /** An author's own words stay: an attribute is ours as long as it says what we would. */
  #say(/** @type {string} */ attribute, /** @type {string | null} */ value) {
    const now = this.getAttribute(attribute);
    if (now !== null && now !== this.#said[attribute] && now !== value) return;
    this.#said[attribute] = value;
    setOrRemove(this, attribute, value);
  }

  /** Begins anew with what the attributes say now: at once, or as soon as the box is near the viewport. */
  #await() {
    this.#stop();
    this.#enter('idle');
    const { signal } = (this.#work = new AbortController());
    if (!this.getAttribute('src') && !this.getAttribute('srcset')) this.#clear();
    else if (!this.isConnected) return;
    else if (this.getAttribute('loading') !== 'eager') LazyImage.#nearby.observe(this);
    else queueMicrotask(() => this.#start(signal)); // src and srcset are often set one after the other
  }

  async #start(/** @type {AbortSignal} */ signal) {
    if (signal.aborted || this.#status !== 'idle') return; // taken away just before, or seen twice in one turn
    LazyImage.#nearby.unobserve(this);
    const [src, srcset, sizes] = ['src', 'srcset', 'sizes'].map((name) => this.getAttribute(name) ?? '');
    const fetchPriority = this.getAttribute('loading') === 'eager' ? 'high' : 'auto';
    this.#enter('loading');
    try {
      this.#show(await loadPicture({ fetchPriority, sizes: sizes || `${this.offsetWidth}px`, srcset, src }, signal));
    } catch (problem) {
      if (!signal.aborted) this.#fail(problem);
    }
  }

  #stop() {
    this.#work.abort();
    LazyImage.#nearby.unobserve(this);
    if (this.#status === 'loading') this.#enter('idle');
  }

  async #show(/** @type {HTMLImageElement} */ picture) {
    const before = this.#root.querySelectorAll('.picture');
    picture.setAttribute('part', 'picture');
    this.#root.append(Object.assign(picture, { className: 'picture', alt: '', draggable: false }));
    this.#enter('loaded');
    this.dispatchEvent(new Event('load'));
    await Promise.allSettled(picture.getAnimations().map((animation) => animation.finished));
    before.forEach((old) => old.remove()); // only now is it covered
  }

  #fail(/** @type {unknown} */ problem) {
    this.#refused = problem instanceof Refused;
    this.#clear();
    this.#enter('error');
    this.dispatchEvent(new Event('error'));
  }

  #clear() {
    this.#root.querySelectorAll('.picture').forEach((picture) => picture.remove());
  }

  #enter(/** @type {Status} */ status) {
    if (status === this.#status) return;
    this.#status = status;
    this.setAttribute('status', status);
    this.dispatchEvent(new CustomEvent('statuschange', { detail: { status } }));
  }
}

const REFLECTED = ['src', 'srcset', 'sizes', 'name', 'placeholder', 'loading'];
const PROPERTIES = [...REFLECTED, 'delayMs'];

for (const name of REFLECTED) {
  Object.defineProperty(LazyImage.prototype, name, {
    configurable: true,
    enumerable: true,
    get() {
      return this.getAttribute(name) ?? '';
    },
    set(value) {
      setOrRemove(this, name, value);
    },
  });
}

/** Defines the element, under another name where its own is taken; does nothing on a server, or a second time. */
export function defineLazyImage(tag = 'lazy-image') {
  if (!globalThis.customElements || customElements.get(tag)) return;
  // A class can have one name only.
  customElements.define(tag, tag === 'lazy-image' ? LazyImage : class extends LazyImage {});
}

defineLazyImage();
