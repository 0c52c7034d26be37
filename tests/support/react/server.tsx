/** Prints the markup, as a server without a document would. */

import { renderToString } from 'react-dom/server';
import { scene } from './scene';

console.log(renderToString(scene()));
