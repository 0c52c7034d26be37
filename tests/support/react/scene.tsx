/** One picture, and what was heard of it. */

import { createRef } from 'react';
import { LazyImage, type LazyImageProps } from './LazyImage';
import type { LazyImage as LazyImageElement } from './lazy-image.js';

export const ref = createRef<LazyImageElement>();
export const told: string[] = [];

export function scene(changes: LazyImageProps = {}) {
  return (
    <LazyImage
      ref={ref}
      id="ann"
      name="Ann Lee"
      src="/ann"
      srcSet="/ann 160w"
      sizes="48px"
      placeholder="data:image/gif;base64,R0lGODlhAQABAIAAAP8AAP///ywAAAAAAQABAAACAkQBADs="
      delayMs={200}
      className="face"
      onLoad={(event) => told.push(event.type)}
      onError={(event) => told.push(event.type)}
      onStatusChange={(status) => told.push(status)}
      {...changes}
    />
  );
}
