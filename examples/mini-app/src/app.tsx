/** Signs in, and shows who joined last. */

import { LazyImage } from 'avatar-warmer-lazy-image/react';
import { StrictMode, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import './app.css';
import { takeInitData } from './init-data';
import { type Partner, join, listRecent } from './service';

const FIRST_SCREEN = 4; // pictures that do not wait until they are seen; the service has warmed as many
const REFRESH_AFTER = 2000; // ms, while a picture is not there yet
const REFRESHES = 15;

function People({ partners }: { partners: Partner[] }) {
  return (
    <ul>
      {partners.map((partner, place) => (
        <li key={partner.id}>
          <LazyImage
            aria-hidden // the name stands beside it
            name={partner.name}
            src={partner.photo_url}
            srcSet={partner.photo_srcset}
            sizes="48px"
            placeholder={partner.photo_placeholder}
            loading={place < FIRST_SCREEN ? 'eager' : 'lazy'}
            delayMs={200}
          />
          <span dir="auto">{partner.name}</span>
        </li>
      ))}
    </ul>
  );
}

function usePartners(initData: string) {
  const [partners, setPartners] = useState<Partner[]>();
  const [problem, setProblem] = useState<Error>();
  useEffect(() => {
    let timer = 0;
    let isGone = false;
    const refresh = async (left: number) => {
      const list = await listRecent(initData);
      if (isGone) return;
      setPartners(list);
      const isWarming = list.some((partner) => partner.photo_status === 'warming');
      if (isWarming && left) timer = window.setTimeout(() => refresh(left - 1).catch(setProblem), REFRESH_AFTER);
    };
    join(initData).then(() => refresh(REFRESHES)).catch(setProblem);
    return () => {
      isGone = true;
      clearTimeout(timer);
    };
  }, [initData]);
  return { partners, problem };
}

function App({ initData }: { initData: string }) {
  const { partners, problem } = usePartners(initData);
  if (partners) return <People partners={partners} />;
  return <p role="status">{problem ? 'The list could not be loaded. Open this app again.' : 'Loading…'}</p>;
}

const initData = takeInitData();
createRoot(document.querySelector('#app')!).render(
  <StrictMode>
    <h1>Who joined last</h1>
    {initData ? <App initData={initData} /> : <p>Open this page inside Telegram.</p>}
  </StrictMode>,
);
