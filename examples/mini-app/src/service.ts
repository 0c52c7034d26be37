/** The two routes of avatar-warmer that a Mini App needs. */

export interface Partner {
  id: number;
  name: string;
  joined_at: string;
  photo_status: 'ready' | 'warming' | 'unavailable' | 'none';
  photo_url: string | null;
  photo_srcset: string | null;
  photo_placeholder: string | null;
}

/** Where the service is; empty: where this page came from. Elsewhere: it must allow this page in CORS_ORIGINS. */
const SERVICE = document.querySelector<HTMLMetaElement>('meta[name=avatars]')?.content ?? '';
const PATIENCE = 10_000; // ms

async function ask<Answer>(path: string, initData: string, method = 'GET'): Promise<Answer> {
  const headers = { Authorization: `tma ${initData}` };
  const answer = await fetch(SERVICE + path, { method, headers, signal: AbortSignal.timeout(PATIENCE) });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status}`);
  return answer.json();
}

export function join(initData: string): Promise<Partner> {
  return ask('/api/partner/me', initData, 'POST');
}

export async function listRecent(initData: string): Promise<Partner[]> {
  return (await ask<{ partners: Partner[] }>('/api/partner/recent?limit=20', initData)).partners;
}
