// The states as shapes: the colour only helps.
import type { LegStatus } from '../core/details.js';

const namespace = 'http://www.w3.org/2000/svg';
const circle = 'M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13z';

/** In a square of 16; what is `filled` has the mark cut out. */
const shapes: Readonly<Record<LegStatus, { filled?: string; lines?: string }>> = {
  ready: { filled: `${circle}M4.3 8.3l1-1l1.9 1.9l3.9-3.9l1 1l-4.9 4.9z` },
  failed: { filled: `${circle}M4.7 5.7l1-1l2.3 2.3l2.3-2.3l1 1l-2.3 2.3l2.3 2.3l-1 1l-2.3-2.3l-2.3 2.3l-1-1l2.3-2.3z` },
  connecting: { lines: 'M13.8 6.5a6 6 0 0 0-11-1.5M2.2 9.5a6 6 0 0 0 11 1.5M2.6 2v3.2h3.2M13.4 14v-3.2h-3.2' },
  retrying: { lines: `${circle}M8 4.5v4l2.5 1.5` },
  stopped: { lines: circle },
  idle: { lines: `${circle}M6.3 5.5v5M9.7 5.5v5` },
  unknown: { lines: `${circle}M6.2 6.4a1.8 1.8 0 1 1 2.6 1.6q-.8.4-.8 1.4M8 11.2v.4` },
  waiting: { lines: 'M3 8h.01M8 8h.01M13 8h.01' },
};

/** Draws the shape of a state, unless it is there already. */
export function setIcon(place: HTMLElement, status: LegStatus): void {
  if (place.dataset.status === status) return;
  place.dataset.status = status;
  const drawing = document.createElementNS(namespace, 'svg');
  drawing.setAttribute('viewBox', '0 0 16 16');
  drawing.setAttribute('aria-hidden', 'true');
  const { filled, lines } = shapes[status];
  const path = document.createElementNS(namespace, 'path');
  path.setAttribute('d', filled ?? lines ?? '');
  path.setAttribute('class', filled === undefined ? 'lines' : 'filled');
  drawing.append(path);
  place.replaceChildren(drawing);
}
