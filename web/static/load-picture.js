// @ts-check
/** Loads a picture with patience: one that the server is still fetching (503) is asked for again. */

const RETRIES = 5;
const FIRST_PAUSE = 500; // ms; doubles with every retry
const GIVE_UP_AFTER = 30_000; // ms; all tries and pauses together
const NOT_READY = [429, 502, 503, 504]; // "ask again later"; any other refusal is the answer

/** The server's answer was final: asking again would give the same. */
export class Refused extends Error {}

/**
 * @typedef {{ sizes: string, srcset: string, src: string }} Source
 * @param {Source} source
 * @param {AbortSignal} signal  leaves no timer, listener or download behind
 * @returns {Promise<HTMLImageElement>}
 */
export async function loadPicture(source, signal) {
  const deadline = performance.now() + GIVE_UP_AFTER;
  for (let retries = 0, before = null; ; retries++) {
    const picture = new Image();
    if (await arrives(picture, source, signal)) return picture;
    const answer = await ask(picture.currentSrc, signal);
    if (answer?.ok && before?.ok) throw new Refused('the bytes are no picture');
    const wait = pauseAfter(answer, retries);
    if (retries === RETRIES || performance.now() + wait > deadline) throw new Error('not ready in time');
    signal.throwIfAborted();
    await pause(wait, signal);
    signal.throwIfAborted();
    before = answer;
  }
}

/**
 * @param {HTMLImageElement} picture
 * @param {Source} source
 * @param {AbortSignal} signal
 * @returns {Promise<boolean>}
 */
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
 * <img> does not tell why a picture did not come, so the server is asked once more, for the headers alone.
 * @param {string} url
 * @param {AbortSignal} signal
 */
function ask(url, signal) {
  return fetch(url, { method: 'HEAD', cache: 'no-store', credentials: 'omit', signal }).catch(() => null);
}

/**
 * How long to wait before the next try, in ms.
 * @param {Response | null} answer  null: no network, or no server just now
 * @param {number} retries
 */
function pauseAfter(answer, retries) {
  if (answer?.ok) return 0; // it became ready in the meantime
  if (answer && !NOT_READY.includes(answer.status)) throw new Refused(`${answer.status}`);
  const wished = 1000 * Number(answer?.headers.get('Retry-After')) || 0; // our servers send seconds, never a date
  return Math.max(FIRST_PAUSE * 2 ** retries, wished) * (1 + Math.random() / 4); // never earlier than wished
}

/**
 * Sleeps. Being online again, or being aborted, ends it early.
 * @param {number} ms
 * @param {AbortSignal} signal
 */
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
