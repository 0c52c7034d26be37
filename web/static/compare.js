// @ts-check
/**
 * The demo's comparison: the first four pictures again, cold, warm, or as the original did it. The clock is that of
 * this browser. It starts with the request of the list and stops for a picture when that is decoded.
 */

import { FIRST, LIMIT, ask, find, say, showPhoto, sleep } from './common.js';

/**
 * @typedef {import('./common.js').Partner} Partner
 * @typedef {{ started: number, took: (number | null)[] }} Run  in ms
 */

const NOTHING = { photo_url: null, photo_srcset: null, photo_placeholder: null };
const LOOKS = 40; // at the list, until everything is warm
const LOOK_EVERY = 250; // ms

/** @type {Record<string, string>} */
const WORDS = {
  cold: 'Cold: the list request started all four, before the browser asked for them.',
  warm: 'Warm: all four were stored before, and Telegram was not called.',
  original: 'Like the original: fetched when the browser asks; on a phone, a round trip later.',
};

/** The last run of each way. @type {Map<string, Run>} */
const runs = new Map();
const isCalm = matchMedia('(prefers-reduced-motion: reduce)');

/** Brings the service into the state to start from. @param {string} way @param {Record<string, string>} headers */
async function prepare(way, headers) {
  if (way !== 'warm') return ask('demo/empty', { method: 'POST', headers });
  for (let look = 0; look < LOOKS; look++) {
    /** @type {{ partners: Partner[] }} */
    const { partners } = await ask(`api/partner/recent?limit=${FIRST}`, { headers });
    if (partners.every((partner) => partner.photo_status !== 'warming')) return;
    await sleep(LOOK_EVERY);
  }
  throw new Error('the pictures did not become warm');
}

/**
 * The same picture under addresses that are new to the browser, so that it asks the service instead of its own cache.
 * @param {Partner} partner
 * @param {number} press
 */
function asNew(partner, press) {
  const sources = partner.photo_srcset?.split(', ').map((source) => source.replace(' ', `&press=${press} `));
  return { ...partner, photo_url: `${partner.photo_url}&press=${press}`, photo_srcset: sources?.join(', ') ?? null };
}

/** Returns the instant, in ms. @param {import('./lazy-image.js').LazyImage} image */
function waitUntilDecoded(image) {
  return /** @type {Promise<number>} */ (
    new Promise((resolve, reject) => {
      image.addEventListener('error', () => reject(new Error('a picture did not come')), { once: true });
      image.addEventListener('load', () => {
        const pictures = /** @type {NodeListOf<HTMLImageElement>} */ (image.shadowRoot?.querySelectorAll('.picture'));
        pictures[pictures.length - 1].decode().then(() => resolve(performance.now()), reject);
      }, { once: true });
    })
  );
}

/** Draws all bars on one scale: a picture that is still to come has the time until now. */
function draw() {
  const now = performance.now();
  /** @param {Run} run */
  const measure = (run) => run.took.map((ms) => ms ?? now - run.started);
  const longest = Math.max(1, ...[...runs.values()].flatMap(measure));
  for (const [way, run] of runs) {
    const times = measure(run);
    const rows = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(`[data-way=${way}] .measures p`));
    times.forEach((ms, place) => {
      rows[place].style.setProperty('--share', `${ms / longest}`);
      say(find('.ms', rows[place]), `${Math.round(ms)}`);
    });
    say(find(`[data-way=${way}] .total span`), `${Math.round(Math.max(...times))} ms`);
  }
}

/** Draws with every frame until the run is over. @param {string} way @param {Run} run */
function animate(way, run) {
  draw();
  const isOver = runs.get(way) !== run || run.took.every((ms) => ms !== null);
  if (!isOver && !isCalm.matches) requestAnimationFrame(() => animate(way, run));
}

/**
 * Loads and measures. Returns what it measured, in words.
 * @param {string} way
 * @param {Record<string, string>} headers
 * @param {(partners: Partner[]) => void} showPeople
 */
async function run(way, headers, showPeople) {
  const started = performance.now();
  const press = Date.now(); // in the addresses
  const path = way === 'original' ? 'demo/recent' : `api/partner/recent?limit=${LIMIT}`;
  /** @type {{ partners: Partner[] }} */
  const { partners } = await ask(path, { headers });
  showPeople(partners.map((partner, place) => (place < FIRST ? { ...partner, ...NOTHING } : partner)));
  /** @type {NodeListOf<import('./lazy-image.js').LazyImage>} */
  const images = document.querySelectorAll('#people-list lazy-image');
  const first = partners.slice(0, FIRST).filter((partner) => partner.photo_url);
  /** @type {Run} */
  const current = { started, took: first.map(() => null) };
  runs.set(way, current);
  animate(way, current);
  /** @param {Partner} partner @param {number} place */
  const load = async (partner, place) => {
    const image = images[partners.indexOf(partner)];
    const instant = waitUntilDecoded(image);
    showPhoto(image, partner.name, asNew(partner, press));
    current.took[place] = (await instant) - started;
    draw();
  };
  await Promise.all(first.map(load));
  const number = first.length === 1 ? '1 picture' : `${first.length} pictures`;
  return first.length ? `${number} in ${Math.round(Math.max(...current.took.map(Number)))} ms.` : 'No pictures.';
}

/** Leaves no figure of an earlier run, or of one that failed. @param {string} way */
function erase(way) {
  runs.delete(way);
  for (const row of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(`[data-way=${way}] .measures p`))) {
    row.style.removeProperty('--share');
    say(find('.ms', row), '–');
  }
  say(find(`[data-way=${way}] .total span`), '–');
}

/**
 * @param {string} way  cold, warm or original
 * @param {Record<string, string>} headers
 * @param {(partners: Partner[]) => void} showPeople
 */
export async function compare(way, headers, showPeople) {
  find('#compare .ways').ariaBusy = 'true';
  erase(way);
  try {
    await prepare(way, headers);
    say(find('#compare-note'), `${await run(way, headers, showPeople)} ${WORDS[way]}`);
  } catch (error) {
    erase(way);
    throw error;
  } finally {
    find('#compare .ways').ariaBusy = 'false';
  }
}
