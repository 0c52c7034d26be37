/** One picture, and what was heard of it. */

import { createRef } from 'react';
import type { LazyImage as LazyImageElement } from 'avatar-warmer-lazy-image';
import { LazyImage, type LazyImageProps } from 'avatar-warmer-lazy-image/react';

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
