// @ts-check
/** Who joined last: names at once, pictures as they come. */

import { Refusal, ask, find, say, showPhoto, sleep } from './common.js';

/** @typedef {import('./common.js').Partner} Partner */

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
  find('#people-empty').toggleAttribute('hidden', partners.length > 0);
  const count = `${partners.length} ${partners.length === 1 ? 'person' : 'people'}, newest first`;
  say(find('#people-state'), partners.length ? count : '');
}

/** @param {Partner} partner */
function showMe(partner) {
  say(find('#me strong'), partner.name);
  showPhoto(find('#me lazy-image'), partner.name, partner);
  find('#me').removeAttribute('hidden');
}

/** @param {string} initData */
async function showList(initData) {
  const headers = { Authorization: `tma ${initData}` };
  const me = await ask('api/partner/me', { method: 'POST', headers });
  showMe(me);
  const refresh = async () => {
    /** @type {Partner[]} */
    const partners = (await ask('api/partner/recent?limit=100', { headers })).partners;
    showPeople(partners);
    partners.filter((partner) => partner.id === me.id).forEach(showMe);
    return partners.some((partner) => partner.photo_status === 'warming');
  };
  if (await refresh()) watch(refresh);
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
export async function openPeople(initData) {
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

