'use client';
/** The element of lazy-image.js for React 18 and 19. Copy lazy-image.js and lazy-image.d.ts with it. */

import { forwardRef, useEffect, useImperativeHandle, useLayoutEffect, useRef } from 'react';
import type { DetailedHTMLProps, HTMLAttributes } from 'react';
import './lazy-image.js';
import type { LazyImageAttributes, LazyImage as LazyImageElement, LazyImageStatus } from './lazy-image.js';

declare module 'react' {
  namespace JSX {
    interface IntrinsicElements {
      'lazy-image': DetailedHTMLProps<HTMLAttributes<LazyImageElement>, LazyImageElement> & LazyImageAttributes;
    }
  }
}

type OtherProps = Omit<HTMLAttributes<LazyImageElement>, 'onLoad' | 'onError' | 'placeholder' | 'children'>;

export interface LazyImageProps extends OtherProps {
  name?: string;
  src?: string | null;
  srcSet?: string | null;
  sizes?: string;
  /** A data URI. */
  placeholder?: string | null;
  loading?: 'lazy' | 'eager';
  /** How long a loading picture shows no skeleton, in ms. */
  delayMs?: number;
  onLoad?: (event: Event) => void;
  onError?: (event: Event) => void;
  onStatusChange?: (status: LazyImageStatus) => void;
}

const useEffectBeforePaint = typeof document === 'undefined' ? useEffect : useLayoutEffect; // a server would warn

export const LazyImage = forwardRef<LazyImageElement, LazyImageProps>(function LazyImage(props, ref) {
  const { srcSet, src, placeholder, delayMs, className, onLoad, onError, onStatusChange, ...others } = props;
  const inner = useRef<LazyImageElement>(null);
  useImperativeHandle(ref, () => inner.current!);

  // React 18 knows no events of custom elements.
  useEffectBeforePaint(() => {
    const element = inner.current!;
    const listening = new AbortController();
    const { signal } = listening;
    element.addEventListener('load', (event) => onLoad?.(event), { signal });
    element.addEventListener('error', (event) => onError?.(event), { signal });
    element.addEventListener('statuschange', (event) => onStatusChange?.(event.detail.status), { signal });
    return () => listening.abort();
  }, [onLoad, onError, onStatusChange]);

  // An element that a server has sent may be done before React gets to it.
  useEffectBeforePaint(() => {
    const { status } = inner.current!;
    if (status !== 'idle') onStatusChange?.(status);
    if (status === 'loaded') onLoad?.(new Event('load'));
    if (status === 'error') onError?.(new Event('error'));
  }, []);

  return (
    <lazy-image
      {...others}
      ref={inner}
      class={className}
      src={src ?? undefined}
      srcset={srcSet ?? undefined}
      placeholder={placeholder ?? undefined}
      delay-ms={delayMs}
      suppressHydrationWarning // the element may have added its status and role by then
    />
  );
});
