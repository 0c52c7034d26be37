// @ts-check
/** The page at /: who joined last, for whoever is signed in; for anybody else, which bot this is. */

import './lazy-image.js';
import { openBot } from './look-up.js';
import { openPeople } from './people.js';

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
