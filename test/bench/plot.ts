// Throughput as lines, in SVG: a panel for each direction. On a background of its own, since it is seen on light and dark.
import type { PeerName } from './peers.js';
import { spreadOf, type Curve, type Results } from './results.js';

export interface Plot {
  file: string;
  of: Curve['of'];
  title: string;
  xLabel: string;
  /** `log` where the values lie far apart. */
  scale: 'log' | 'linear';
}

export const plots: readonly Plot[] = [
  {
    file: 'throughput-by-round-trip.svg',
    of: 'round trip',
    title: 'Throughput of one stream by round trip',
    xLabel: 'round trip, ms (0 is loopback)',
    scale: 'log',
  },
  {
    file: 'throughput-by-streams.svg',
    of: 'streams',
    title: 'Throughput of many streams together, on loopback',
    xLabel: 'streams at once',
    scale: 'linear',
  },
];

const lines: Partial<
  Record<PeerName, { label: string; colour: string; dash: string; shape: 'disc' | 'square' | 'tip' }>
> = {
  openssh: { label: 'OpenSSH', colour: '#b3470c', dash: '7 4', shape: 'square' },
  'openssh-gcm': { label: 'OpenSSH, aes128-gcm', colour: '#61676f', dash: '2 4', shape: 'tip' },
  ours: { label: 'SSH Tunnels', colour: '#0a5fc2', dash: '', shape: 'disc' },
};

const panelSize = { width: 300, height: 220 };
const margin = { left: 66, top: 104, right: 26, bottom: 76, between: 62 };
const width = margin.left + 2 * panelSize.width + margin.between + margin.right;
const height = margin.top + panelSize.height + margin.bottom;

const directions = [
  { direction: 'from', title: 'from the server' },
  { direction: 'to', title: 'to the server' },
] as const;

type Attributes = Record<string, string | number>;

function element(name: string, attributes: Attributes, content?: string): string {
  const written = Object.entries(attributes).map(([key, value]) => {
    const text = typeof value === 'number' ? String(Math.round(value * 10) / 10) : value;
    return ` ${key}="${text}"`;
  });
  return content === undefined ? `<${name}${written.join('')}/>` : `<${name}${written.join('')}>${content}</${name}>`;
}

function text(content: string, x: number, y: number, more: Attributes = {}): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return element('text', { x, y, ...more }, escaped);
}

function marker(shape: 'disc' | 'square' | 'tip', x: number, y: number, fill: string): string {
  switch (shape) {
    case 'disc':
      return element('circle', { cx: x, cy: y, r: 4, fill });
    case 'square':
      return element('rect', { x: x - 3.5, y: y - 3.5, width: 7, height: 7, fill });
    case 'tip':
      return element('path', { d: `M${x - 4.5} ${y + 3.5}h9l-4.5 -8z`, fill });
  }
}

/** Round numbers that hold all values, the axis’ ends among them. */
function ticksFor(values: readonly number[], scale: Plot['scale']): number[] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (scale === 'linear') {
    const rough = high / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough)!;
    const count = Math.ceil(high / step);
    return Array.from({ length: count + 1 }, (_, i) => i * step);
  }
  const steps = Array.from({ length: 8 }, (_, power) => [1, 2, 5].map((factor) => factor * 10 ** (power - 2))).flat();
  const first = steps.findLastIndex((step) => step <= low);
  return steps.slice(Math.max(0, first), steps.findIndex((step) => step >= high) + 1);
}

/** Nothing where nothing was measured for it. */
export function plotSvg(plot: Plot, results: Results): string | undefined {
  const curves = results.curves.filter(({ of }) => of === plot.of);
  const xs = [...new Set(curves.flatMap(({ points }) => points.map(({ x }) => x)))].toSorted((a, b) => a - b);
  const shown = curves.map((curve) => ({
    ...curve,
    points: curve.points.flatMap(({ x, ys }) => {
      const spread = spreadOf(ys);
      return spread ? [{ x, y: spread.median }] : [];
    }),
  }));
  const values = shown.flatMap(({ points }) => points.map(({ y }) => y));
  if (values.length === 0) return undefined;
  const ticks = ticksFor(values, plot.scale);
  const place = (value: number) => (plot.scale === 'log' ? Math.log(value) : value);
  const [bottom, top] = [place(ticks[0]!), place(ticks.at(-1)!)];
  const yOf = (value: number) => margin.top + panelSize.height * (1 - (place(value) - bottom) / (top - bottom));

  const panel = ({ direction, title }: (typeof directions)[number], index: number) => {
    const left = margin.left + index * (panelSize.width + margin.between);
    const xOf = (x: number) => left + (panelSize.width * (xs.indexOf(x) + 0.4)) / (xs.length - 0.2);
    const base = margin.top + panelSize.height;
    const grid = ticks.flatMap((tick) => [
      element('line', { x1: left, x2: left + panelSize.width, y1: yOf(tick), y2: yOf(tick), stroke: '#dfe2e6' }),
      text(String(Number(tick.toPrecision(3))), left - 8, yOf(tick) + 4, { 'text-anchor': 'end', class: 'tick' }),
    ]);
    const marks = xs.flatMap((x) => [
      element('line', { x1: xOf(x), x2: xOf(x), y1: base, y2: base + 4, stroke: '#7a8088' }),
      text(String(x), xOf(x), base + 19, { 'text-anchor': 'middle', class: 'tick' }),
    ]);
    const drawn = shown
      .filter((curve) => curve.direction === direction)
      .flatMap(({ peer, points }) => {
        const line = lines[peer];
        if (!line) return [];
        const at = points.map(({ x, y }) => [xOf(x), yOf(y)] as const);
        const path = at.map(([x, y], i) => `${i ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');
        return [
          element('path', {
            d: path,
            fill: 'none',
            stroke: line.colour,
            'stroke-width': peer === 'ours' ? 2.6 : 2,
            ...(line.dash && { 'stroke-dasharray': line.dash }),
          }),
          ...at.map(([x, y]) => marker(line.shape, Math.round(x * 10) / 10, Math.round(y * 10) / 10, line.colour)),
        ];
      });
    return [
      ...grid,
      element('line', { x1: left, x2: left + panelSize.width, y1: base, y2: base, stroke: '#7a8088' }),
      ...marks,
      ...drawn,
      text(title, left, margin.top - 14, { class: 'panel' }),
      text(plot.xLabel, left + panelSize.width / 2, base + 42, { 'text-anchor': 'middle' }),
    ];
  };

  let legendX = margin.left;
  const legend = results.peers.flatMap((peer) => {
    const line = lines[peer];
    if (!line || !shown.some((curve) => curve.peer === peer)) return [];
    const x = legendX;
    legendX += 60 + line.label.length * 6.6;
    return [
      element('line', {
        ...{ x1: x, x2: x + 30, y1: 54, y2: 54, stroke: line.colour, 'stroke-width': 2.2 },
        ...(line.dash && { 'stroke-dasharray': line.dash }),
      }),
      marker(line.shape, x + 15, 54, line.colour),
      text(line.label, x + 37, 58),
    ];
  });
  const { machine, rounds, date } = results;
  const yTitle = text(`MiB a second${plot.scale === 'log' ? ', logarithmic' : ''}`, 0, 0, {
    'text-anchor': 'middle',
    transform: `translate(18 ${margin.top + panelSize.height / 2}) rotate(-90)`,
  });
  const source = `${rounds === 1 ? 'one round' : `medians of ${rounds} rounds`}, ${date}, ${machine.cores} cores of ${machine.cpu}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${plot.title}</title>`,
    '<style>text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,"Open Sans",sans-serif;fill:#1f2328}' +
      '.tick{font-size:12px;fill:#4d545c}.panel{font-weight:600}.title{font-size:16px;font-weight:600}</style>',
    element('rect', { width, height, rx: 8, fill: '#ffffff' }),
    element('rect', { x: 0.5, y: 0.5, width: width - 1, height: height - 1, rx: 8, fill: 'none', stroke: '#c9ced4' }),
    text(plot.title, margin.left, 30, { class: 'title' }),
    text(source, width - margin.right, height - 12, { 'text-anchor': 'end', class: 'tick' }),
    ...legend,
    ...directions.flatMap(panel),
    yTitle,
    '</svg>',
    '',
  ].join('\n');
}
