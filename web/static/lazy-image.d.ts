/** Types of lazy-image.js. */

/** The words of Radix' Avatar. */
export type LazyImageStatus = 'idle' | 'loading' | 'loaded' | 'error';

export interface LazyImageEventMap extends HTMLElementEventMap {
  statuschange: CustomEvent<{ status: LazyImageStatus }>;
}

/** Properties mirror the attributes, as they are written; null removes one. */
export class LazyImage extends HTMLElement {
  get src(): string;
  set src(url: string | null | undefined);
  get srcset(): string;
  set srcset(urls: string | null | undefined);
  /** Without it: the width of the box. */
  get sizes(): string;
  set sizes(lengths: string | null | undefined);
  get name(): string;
  set name(text: string | null | undefined);
  /** A data URI; anything else is ignored. */
  get placeholder(): string;
  set placeholder(preview: string | null | undefined);
  get loading(): string;
  set loading(when: 'lazy' | 'eager' | null | undefined);
  /** How long a loading picture shows no skeleton, in ms. */
  get delayMs(): number;
  set delayMs(ms: number | null | undefined);
  readonly status: LazyImageStatus;
  /** Begins again after an error; at any other time it does nothing. */
  retry(): void;

  addEventListener<Type extends keyof LazyImageEventMap>(
    type: Type,
    listener: (this: LazyImage, event: LazyImageEventMap[Type]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<Type extends keyof LazyImageEventMap>(
    type: Type,
    listener: (this: LazyImage, event: LazyImageEventMap[Type]) => unknown,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | EventListenerOptions,
  ): void;
}

/** What may be written in markup, for JSX and templates. */
export interface LazyImageAttributes {
  class?: string;
  src?: string;
  srcset?: string;
  sizes?: string;
  name?: string;
  placeholder?: string;
  loading?: 'lazy' | 'eager';
  'delay-ms'?: number;
}

/** The letters that stand for a name. */
export function initials(name: string): string;

/** Defines the element, under another name where its own is taken; does nothing on a server, or a second time. */
export function defineLazyImage(tag?: string): void;

declare global {
  interface HTMLElementTagNameMap {
    'lazy-image': LazyImage;
  }
}
