// Bytes per second each way and connections of the last minutes, in the colours of the theme.
import './language.js';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { DetailsTexts } from '../core/details.js';
import type { TrafficSeries } from '../core/engine.js';

export interface Plot {
  show(series: TrafficSeries, texts: DetailsTexts): void;
}

const height = 130;
const units = ['B', 'KB', 'MB', 'GB', 'TB'];

export function createPlot(place: HTMLElement): Plot {
  let drawn: uPlot | undefined;
  let last: { series: TrafficSeries; texts: DetailsTexts } | undefined;

  const width = () => Math.max(place.clientWidth, 120);
  const data = ({ sent, received, open }: TrafficSeries): uPlot.AlignedData => {
    const minutes = sent.map((_, index) => (index + 1 - sent.length) / 60);
    return [minutes, [...sent], [...received], [...open]];
  };
  const draw = () => {
    drawn?.destroy();
    drawn = undefined;
    if (!last || place.clientWidth === 0) return;
    drawn = new uPlot(options(width(), last.texts), data(last.series), place);
  };
  // A theme is told by the classes of the body, and its colours are the page's.
  const themes = new MutationObserver(draw);
  themes.observe(document.body, { attributes: true, attributeFilter: ['class'] });
  themes.observe(document.documentElement, { attributes: true, attributeFilter: ['style'] });
  new ResizeObserver(() => {
    if (!drawn) draw();
    else if (drawn.width !== width()) drawn.setSize({ width: width(), height });
  }).observe(place);

  return {
    show(series, texts) {
      const isSame = JSON.stringify(series) === JSON.stringify(last?.series);
      last = { series, texts };
      if (!drawn) draw();
      else if (!isSame) drawn.setData(data(series));
    },
  };
}

function options(width: number, texts: DetailsTexts): uPlot.Options {
  const style = getComputedStyle(document.body);
  const color = (...names: readonly string[]) =>
    names.map((name) => style.getPropertyValue(`--vscode-${name}`).trim()).find((value) => value !== '') ?? style.color;
  const text = color('foreground');
  const grid = color('contrastBorder', 'editorIndentGuide-background1', 'panel-border');
  const font = `11px ${style.fontFamily}`;
  const axis = { stroke: text, font, grid: { stroke: grid, width: 0.5 }, ticks: { show: false } };
  const bytes = (value: number): string => {
    let unit = 0;
    for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
    return `${value.toLocaleString(texts.locale, { maximumFractionDigits: 1 })} ${units[unit]}`;
  };
  return {
    width,
    height,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 4, 0, 0],
    scales: {
      x: { time: false, range: [-5, 0] },
      bytes: { range: (_, __, most) => [0, Math.max(most * 1.1, 10)] },
      count: { range: (_, __, most) => [0, Math.max(Math.ceil(most * 1.5), 4)] },
    },
    axes: [
      {
        ...axis,
        size: 24,
        splits: () => [-5, -4, -3, -2, -1, 0],
        values: (_, splits) =>
          splits.map((at) => (at === -5 ? `−5 ${texts.minutes}` : `${Math.abs(at) > 0 ? `−${-at}` : '0'}`)),
      },
      { ...axis, scale: 'bytes', size: 52, space: 36, values: (_, splits) => splits.map(bytes) },
      {
        ...axis,
        scale: 'count',
        side: 1,
        size: 24,
        space: 36,
        grid: { show: false },
        values: (_, splits) => splits.map((count) => (Number.isInteger(count) ? String(count) : '')),
      },
    ],
    series: [
      {},
      { scale: 'bytes', stroke: color('charts-blue'), width: 1.5, points: { show: false } },
      { scale: 'bytes', stroke: color('charts-orange'), width: 1.5, dash: [6, 3], points: { show: false } },
      { scale: 'count', stroke: text, width: 1, dash: [1, 3], points: { show: false } },
    ],
  };
}
