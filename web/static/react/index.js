'use client';
/**
 * The element of lazy-image.js for React 18 and 19. It is plain JavaScript: it runs without a build step.
 *
 * @typedef {import('../lazy-image.js').LazyImage} LazyImageElement
 * @typedef {import('./index.js').LazyImageProps} LazyImageProps
 */

import { createElement, forwardRef, useEffect, useImperativeHandle, useLayoutEffect, useRef } from 'react';
import '../lazy-image.js';

const useEffectBeforePaint = typeof document === 'undefined' ? useEffect : useLayoutEffect; // a server would warn

/** @type {import('react').ForwardRefRenderFunction<LazyImageElement, LazyImageProps>} */
const render = function LazyImage(props, ref) {
  const { srcSet, src, placeholder, delayMs, className, onLoad, onError, onStatusChange, ...others } = props;
  const inner = useRef(/** @type {LazyImageElement | null} */ (null));
  const getElement = () => /** @type {LazyImageElement} */ (inner.current);
  useImperativeHandle(ref, getElement);

  // React 18 knows no events of custom elements.
  useEffectBeforePaint(() => {
    const element = getElement();
    const listening = new AbortController();
    const { signal } = listening;
    element.addEventListener('load', (event) => onLoad?.(event), { signal });
    element.addEventListener('error', (event) => onError?.(event), { signal });
    element.addEventListener('statuschange', (event) => onStatusChange?.(event.detail.status), { signal });
    return () => listening.abort();
  }, [onLoad, onError, onStatusChange]);

  // An element that a server has sent may be done before React gets to it.
  useEffectBeforePaint(() => {
    const { status } = getElement();
    if (status !== 'idle') onStatusChange?.(status);
    if (status === 'loaded') onLoad?.(new Event('load'));
    if (status === 'error') onError?.(new Event('error'));
  }, []);

  /** @type {import('react').JSX.IntrinsicElements['lazy-image']} */
  const attributes = {
    ...others,
    ref: inner,
    class: className,
    src: src ?? undefined,
    srcset: srcSet ?? undefined,
    placeholder: placeholder ?? undefined,
    'delay-ms': delayMs,
    suppressHydrationWarning: true, // the element may have added its status and role by then
  };
  return createElement('lazy-image', attributes);
};

/** @type {typeof import('./index.js').LazyImage} */
export const LazyImage = forwardRef(render);
