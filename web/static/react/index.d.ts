/** Types of index.js. */

import type { DetailedHTMLProps, ForwardRefExoticComponent, HTMLAttributes, RefAttributes } from 'react';
import type { LazyImageAttributes, LazyImage as LazyImageElement, LazyImageStatus } from '../lazy-image.js';

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

export const LazyImage: ForwardRefExoticComponent<LazyImageProps & RefAttributes<LazyImageElement>>;
