// @ts-check
/**
 * The page at /: who joined last, for a visitor who is signed in; for any other, which bot this is.
 * All of it is one file: each further one would be a request before the first name is shown.
 */

import './lazy-image.js';
import { FIRST, LIMIT, Refusal, ask, find, say, showPhoto, sleep } from './common.js';

/** @typedef {import('./common.js').Partner} Partner */

const WATCH_FOR = 120_000; // ms
const LOOK_EVERY = 60_000; // ms

const COLOUR = /^#[\da-f]{6}$/i;

const { lang } = document.documentElement;
const relative = new Intl.RelativeTimeFormat(lang); // "yesterday" may be 47 hours ago
const exact = new Intl.DateTimeFormat(lang, { dateStyle: 'medium', timeStyle: 'short' });
/** In seconds. @type {[Intl.RelativeTimeFormatUnit, number][]} */
const UNITS = [
  ['year', 31_557_600], ['month', 2_629_800], ['week', 604_800], ['day', 86_400], ['hour', 3600], ['minute', 60],
];

/** @param {string} instant */
function ago(instant) {
  const seconds = Math.max(0, (Date.now() - Date.parse(instant)) / 1000); // a clock that is slow says "just now" too
  const [unit, length] = UNITS.find(([, length]) => seconds >= length) ?? ['minute', Infinity];
  return length === Infinity ? 'just now' : relative.format(-Math.floor(seconds / length), unit);
}

/** @type {Map<number, HTMLLIElement>} */
const rows = new Map();

/** @returns {HTMLLIElement} */
function newRow() {
  /** @type {HTMLTemplateElement} */
  const template = find('#person');
  return find('li', document.importNode(template.content, true));
}

/** @param {Partner} partner @param {number} place */
function rowOf(partner, place) {
  const row = rows.get(partner.id) ?? newRow();
  rows.set(partner.id, row);
  /** @type {HTMLTimeElement} */
  const time = find('time', row);
  time.dateTime = partner.joined_at;
  time.title = exact.format(new Date(partner.joined_at));
  say(time, ago(partner.joined_at));
  say(find('.name', row), partner.name);
  /** @type {import('./lazy-image.js').LazyImage} */
  const image = find('lazy-image', row);
  image.loading = place < FIRST ? 'eager' : 'lazy';
  showPhoto(image, partner.name, partner);
  if (partner.photo_status === 'ready') image.retry(); // it may have lost patience before
  return row;
}

/** Rows stay where and what they are; only what changed is touched. @param {Partner[]} partners */
function showPeople(partners) {
  const list = find('#people-list');
  const ids = new Set(partners.map((partner) => partner.id));
  for (const [id, row] of rows) {
    if (ids.has(id)) continue;
    row.remove();
    rows.delete(id);
  }
  partners.forEach((partner, place) => {
    const row = rowOf(partner, place);
    if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
  });
  const number = partners.length === 1 ? '1 person' : `${partners.length} people`;
  say(find('#people-state'), partners.length ? `${number}, newest first` : 'No people yet');
}

/** @param {Partner} partner */
function showMe(partner) {
  say(find('#me strong'), partner.name);
  showPhoto(find('#me lazy-image'), partner.name, partner);
  find('#me').removeAttribute('hidden');
}

/**
 * The list with the person as registered: the service may have read it before the registration.
 * @param {Partner[]} partners
 * @param {Partner} me
 */
function withMe(partners, me) {
  const place = partners.findIndex((partner) => partner.id === me.id);
  if (place >= 0) return partners.with(place, me);
  const newer = partners.filter((partner) => partner.joined_at > me.joined_at).length;
  return partners.toSpliced(newer, 0, me).slice(0, LIMIT);
}

/** The visitor, once registered. @type {Partner | null} */
let me = null;
/** The list on the screen. @type {Partner[] | null} */
let shown = null;
/** The registration; null before the first one and after one that failed. @type {Promise<void> | null} */
let joining = null;
let watching = false;
/** The last request of the list. @type {Promise<{ partners: Partner[] }> | null} */
let listing = null;
let comparing = false; // the demo loads pictures and measures: another list would warm them

/** @param {Partner[]} partners */
function show(partners) {
  shown = partners;
  if (comparing) return;
  showPeople(partners);
  partners.filter((partner) => partner.id === me?.id).forEach(showMe);
}

/** @param {Record<string, string>} headers */
async function list(headers) {
  if (comparing) return;
  const before = me; // a list that is requested after the registration includes the visitor
  listing = ask(`api/partner/recent?limit=${LIMIT}`, { headers });
  const { partners } = await listing;
  show(me && !before ? withMe(partners, me) : partners);
}

/** Registers the visitor. Tries again ever less often, unless the sign-in has expired. @param {Record<string, string>} headers */
async function join(headers) {
  for (let wait = 2000; !me; wait *= 2) {
    try {
      me = /** @type {Partner} */ (await ask('api/partner/me', { method: 'POST', headers }));
    } catch (error) {
      if (isExpired(error) || wait > WATCH_FOR) throw error;
      await sleep(wait);
    }
  }
  showMe(me);
  if (shown) show(withMe(shown, me));
}

/** Requests the list ever less often, while a picture is warming. @param {Record<string, string>} headers */
async function watch(headers) {
  const isWarming = () => shown?.some((partner) => partner.photo_status === 'warming');
  if (watching) return;
  watching = true;
  const end = performance.now() + WATCH_FOR;
  for (let wait = 1000; isWarming() && performance.now() < end; wait = Math.min(wait * 1.4, 5000)) {
    await sleep(wait);
    await list(headers).catch(() => {}); // the list that is shown stays good
  }
  watching = false;
}

/** Requests the list once a minute while the page is visible: pictures change. @param {Record<string, string>} headers */
async function follow(headers) {
  for (let expired = false; !expired;) {
    await sleep(LOOK_EVERY);
    if (document.hidden || !shown) continue;
    await list(headers).catch((error) => { expired = isExpired(error); }); // the list that is shown stays good
    watch(headers);
  }
}

/** @param {unknown} error */
const isExpired = (error) => error instanceof Refusal && error.status === 401;

/** @param {unknown} error */
function showProblem(error) {
  const words = isExpired(error)
    ? 'Telegram’s sign-in is no longer valid. Close this app and open it again.'
    : 'The list could not be loaded. Check the connection, then try again.';
  say(find('#people-problem p'), words);
  find('#people-problem').toggleAttribute('hidden', false);
}

/** The list neither waits for the registration nor fails with it. @param {Record<string, string>} headers */
async function loadPeople(headers) {
  const problem = find('#people-problem');
  problem.toggleAttribute('hidden', true);
  find('#people-list').ariaBusy = 'true';
  say(find('#people-state'), 'Loading…');
  joining ??= join(headers);
  joining.then(() => watch(headers), (error) => {
    joining = null;
    if (isExpired(error)) showProblem(error);
  });
  try {
    await list(headers);
    watch(headers);
  } catch (error) {
    say(find('#people-state'), '');
    if (problem.hasAttribute('hidden')) showProblem(error); // else it says that the sign-in has expired
  }
  find('#people-list').ariaBusy = 'false'; // and the foot is shown where it stays
}

/** The control of the demo; its script is loaded when it is first used. @param {Record<string, string>} headers */
function offerComparison(headers) {
  const buttons = /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll('#compare button'));
  /** @param {boolean} isOn */
  const setComparing = (isOn) => {
    comparing = isOn;
    for (const button of buttons) button.ariaDisabled = `${isOn}`;
  };
  /** @param {string} way */
  const run = async (way) => {
    if (comparing) return;
    setComparing(true);
    say(find('#compare-note'), 'Loading…');
    try {
      await listing?.catch(() => {}); // it warms, too
      const { compare } = await import('./compare.js');
      await compare(way, headers, showPeople);
      setComparing(false);
    } catch {
      setComparing(false);
      say(find('#compare-note'), 'That did not work. Check that the demo is still running, then try again.');
      if (shown) show(shown); // the run has taken its pictures away
    }
  };
  for (const button of buttons) button.addEventListener('click', () => run(button.value));
}

/** @param {string} initData */
async function openPeople(initData) {
  const headers = { Authorization: `tma ${initData}` };
  offerComparison(headers);
  find('#people-problem button').addEventListener('click', () => {
    /** @type {HTMLElement} */ (find('#people-title')).focus(); // the button is about to go
    loadPeople(headers);
  });
  find('#people').removeAttribute('hidden');
  follow(headers);
  await loadPeople(headers);
}

async function openBot() {
  if (find('#look-up')) (await import('./look-up.js')).takeIds(); // before anybody can press its button
  find('#bot').removeAttribute('hidden');
}

/**
 * Takes over the colours of Telegram, under the names that its own script gives them; page.css uses them.
 * @param {string} text  JSON, from the address: anybody may have written it
 */
function applyTheme(text) {
  const { style } = document.documentElement;
  /** @type {Record<string, unknown>} */
  const theme = JSON.parse(text);
  const colours = Object.entries(theme).filter(([name, colour]) => /^[a-z_]+$/.test(name) && COLOUR.test(`${colour}`));
  if (!['bg_color', 'text_color'].every((name) => colours.some(([known]) => known === name))) return;
  for (const [name, colour] of colours) style.setProperty(`--tg-theme-${name.replaceAll('_', '-')}`, `${colour}`);
  const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(`${theme.bg_color}`.slice(at, at + 2), 16));
  style.colorScheme = 0.3 * red + 0.6 * green + 0.1 * blue < 128 ? 'dark' : 'light';
  document.documentElement.toggleAttribute('data-telegram', true);
}

/**
 * Telegram hands over its signed init data and its colours in the fragment. Init data is a secret, so it leaves the
 * address bar at once; the history entry keeps both, out of sight, for a reload.
 */
function takeInitData() {
  const launched = new URLSearchParams(location.hash.slice(1));
  const [initData, theme] = ['tgWebAppData', 'tgWebAppThemeParams'].map((name) => launched.get(name));
  if (initData) history.replaceState({ initData, theme }, '', location.pathname + location.search);
  try {
    if (history.state?.theme) applyTheme(history.state.theme);
  } catch {} // no JSON: the page keeps its own colours
  return document.body.dataset.initData ?? history.state?.initData ?? null;
}

const initData = takeInitData();
if (initData) openPeople(initData);
else openBot();
