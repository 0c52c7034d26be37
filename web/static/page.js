// @ts-check
/** The page at /: the people who joined last for a signed-in user, else the bot of this service. */

import './lazy-image.js';
import { openBot } from './look-up.js';
import { openPeople } from './people.js';

/**
 * Telegram passes its signed init data in the fragment. It is a secret, so remove it from the address bar at once;
 * the history entry keeps it for a reload.
 */
function takeInitData() {
  const launched = new URLSearchParams(location.hash.slice(1)).get('tgWebAppData');
  if (launched) history.replaceState({ initData: launched }, '', location.pathname + location.search);
  return document.body.dataset.initData ?? history.state?.initData ?? null;
}

const initData = takeInitData();
if (initData) openPeople(initData);
else openBot();
