/** Takes over what the server has sent, or begins in an empty page. */

import { createRoot, hydrateRoot } from 'react-dom/client';
import { ref, scene, told } from './scene';

const place = document.querySelector('#app')!;
const root = place.firstElementChild ? hydrateRoot(place, scene()) : createRoot(place);
if (!place.firstElementChild) root.render(scene());

const show = (changes: Parameters<typeof scene>[0]) => root.render(scene(changes));
const leave = () => root.render(<p>nobody</p>);
Object.assign(window, { told, ref, show, leave });
