// @ts-check
/** The page at /: who joined last, for whoever is signed in; for anybody else, which bot this is. */

import './lazy-image.js';
import { Refusal, ask, find, say, showPhoto, sleep } from './common.js';

/** @typedef {import('./common.js').Partner} Partner */

const LIMIT = 100; // rows
const WATCH_FOR = 120_000; // ms
const FIRST = 4; // rows that every screen shows: their pictures wait for no layout

const relative = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: 'auto' });
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
  time.title = new Date(partner.joined_at).toLocaleString(document.documentElement.lang);
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
  say(find('#people-state'), `${partners.length} ${partners.length === 1 ? 'person' : 'people'}, newest first`);
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

/** @param {string} initData */
async function showList(initData) {
  const headers = { Authorization: `tma ${initData}` };
  const join = async () => {
    /** @type {Partner} */
    const me = await ask('api/partner/me', { method: 'POST', headers });
    showMe(me);
    return me;
  };
  /** @returns {Promise<Partner[]>} */
  const list = async () => (await ask(`api/partner/recent?limit=${LIMIT}`, { headers })).partners;
  const [me, partners] = await Promise.all([join(), list()]);
  /** Tells whether a picture is warming. @param {Partner[]} partners */
  const show = (partners) => {
    showPeople(partners);
    partners.filter((partner) => partner.id === me.id).forEach(showMe);
    return partners.some((partner) => partner.photo_status === 'warming');
  };
  if (show(withMe(partners, me))) watch(async () => show(await list()));
}

/** Asks again, ever less often, while a picture is warming. @param {() => Promise<boolean>} refresh */
async function watch(refresh) {
  const end = performance.now() + WATCH_FOR;
  let warming = true;
  for (let wait = 1000; warming && performance.now() < end; wait = Math.min(wait * 1.4, 5000)) {
    await sleep(wait);
    warming = await refresh().catch(() => true); // the list that is shown stays good
  }
}

/** @param {string} initData */
async function openPeople(initData) {
  const problem = find('#people-problem');
  const button = find('button', problem);
  const attempt = async () => {
    problem.toggleAttribute('hidden', true);
    find('#people-list').ariaBusy = 'true';
    say(find('#people-state'), 'Loading…');
    try {
      await showList(initData);
    } catch (error) {
      say(find('#people-state'), '');
      const expired = error instanceof Refusal && error.status === 401;
      const words = expired
        ? 'Telegram’s sign-in is no longer valid. Close this app and open it again.'
        : 'The list could not be loaded. Check the connection, then try again.';
      say(find('p', problem), words);
      problem.toggleAttribute('hidden', false);
    }
    find('#people-list').ariaBusy = 'false'; // and the foot is shown where it stays
  };
  button.addEventListener('click', () => {
    /** @type {HTMLElement} */ (find('#people-title')).focus(); // the button is about to go
    attempt();
  });
  find('#people').removeAttribute('hidden');
  await attempt();
}

async function openBot() {
  if (find('#look-up')) (await import('./look-up.js')).takeIds(); // before anybody can press its button
  find('#bot').removeAttribute('hidden');
}

/**
 * Telegram hands its signed init data over in the fragment. It is a secret, so it leaves the address bar at once;
 * the history entry keeps it, out of sight, for a reload.
 */
function takeInitData() {
  const launched = new URLSearchParams(location.hash.slice(1)).get('tgWebAppData');
  if (launched) history.replaceState({ initData: launched }, '', location.pathname + location.search);
  return document.body.dataset.initData ?? history.state?.initData ?? null;
}

const initData = takeInitData();
if (initData) openPeople(initData);
else openBot();
