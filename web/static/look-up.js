// @ts-check
/** Where allowed, a try with one's own id. */

import { Refusal, ask, find, say, showPhoto, sleep } from './common.js';

const LOOK_FOR = 15_000; // ms
const ID = /^[1-9]\d{0,14}$/; // of a person: a group or channel has a negative one
const NOBODY = { photo_url: null, photo_srcset: null, photo_placeholder: null };

/** @type {Record<string, string>} */
const WORDS = {
  warming: 'Asking Telegram for your picture…',
  ready: 'This is what the bot sees.',
  none: 'There is no photo, or Telegram’s privacy settings hide it from the bot.',
  unavailable: 'Telegram did not hand over the picture. Try again in a while.',
  malformed: 'A Telegram id is a number, such as 123456789.',
  late: 'The picture is late: Telegram may be slow. Try again in a moment.',
};

/** @param {import('./common.js').Photo} photo */
function showFace(photo) {
  showPhoto(find('#look-up-face lazy-image'), 'Your picture', photo);
  find('#look-up-face').toggleAttribute('data-shown', Boolean(photo.photo_url));
}

/** @param {string} words @param {boolean} isError */
function report(words, isError) {
  find('#look-up-state').toggleAttribute('data-error', isError);
  say(find('#look-up-state'), words);
}

/** @param {string} text @param {AbortSignal} signal */
async function lookUp(text, signal) {
  const id = Number(text);
  const options = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ id }) };
  const end = performance.now() + LOOK_FOR;
  for (;;) {
    /** @type {import('./common.js').LookUp} */
    const found = await ask('try', options);
    if (signal.aborted) return;
    const late = found.status === 'warming' && performance.now() > end;
    showFace(found);
    report(WORDS[late ? 'late' : found.status], late || found.status === 'unavailable');
    if (found.status !== 'warming' || late) return;
    await sleep(1000, signal);
  }
}

export function takeIds() {
  let current = new AbortController();
  find('#look-up').addEventListener('submit', async (event) => {
    event.preventDefault();
    current.abort();
    const { signal } = (current = new AbortController());
    /** @type {HTMLInputElement} */
    const field = find('#look-up-id');
    showFace(NOBODY); // the face of the try before
    const text = field.value.trim();
    const isId = ID.test(text);
    field.setAttribute('aria-invalid', `${!isId}`);
    report(WORDS[isId ? 'warming' : 'malformed'], !isId);
    if (!isId) return;
    try {
      await lookUp(text, signal);
    } catch (error) {
      if (signal.aborted) return;
      const said = error instanceof Refusal && error.message;
      report(said || 'The service did not answer. Try again.', true);
    }
  });
}

