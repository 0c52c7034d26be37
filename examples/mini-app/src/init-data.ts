/** Telegram's signed launch data, without loading telegram-web-app.js from anybody. */

declare global {
  interface Window {
    Telegram?: { WebApp?: { initData?: string } };
  }
}

/**
 * It comes in the fragment and is a secret, so it leaves the address bar at once; the history entry keeps it for a
 * reload. A page that loads Telegram's own script after all finds it there.
 */
export function takeInitData(): string | null {
  const launched = new URLSearchParams(location.hash.slice(1)).get('tgWebAppData');
  if (launched) history.replaceState({ initData: launched }, '', location.pathname + location.search);
  return launched ?? window.Telegram?.WebApp?.initData ?? history.state?.initData ?? null;
}
