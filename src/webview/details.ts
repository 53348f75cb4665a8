// The page of the Tunnel Details view: shows what the extension sends, and says what was pressed. What comes from servers and
// settings is set as text alone.
import type { Details, DetailsAction, DetailsClient, DetailsTexts, Station } from '../core/details.js';
import './details.css';
import { createPlot } from './plot.js';
import { setIcon } from './statusIcon.js';

declare function acquireVsCodeApi(): { postMessage(message: unknown): void };

interface Shown {
  texts: DetailsTexts;
  details?: Details;
}

const host = acquireVsCodeApi();
const page = document.getElementById('details')!;

const nothing = make('p', 'nothing');
const body = make('div', 'details');
const title = make('h1');
title.tabIndex = -1;
const stateIcon = make('span', 'icon');
const stateText = make('span');
const state = make('p', 'state');
// The one thing that is read out when it changes.
state.setAttribute('role', 'status');
state.append(stateIcon, stateText);
const problem = make('p', 'problem');
const actions = make('div', 'actions');
const notes = make('ul', 'notes');
const path = section('ol', 'path');
const traffic = section('div', 'traffic');
const figure = make('div', 'plot');
figure.setAttribute('role', 'img');
const plot = createPlot(figure);
const legend = make('ul', 'legend');
const totals = make('p', 'totals');
traffic.content.append(figure, legend, totals);
const connections = section('div', 'connections');
const noConnections = make('p', 'none');
const table = make('table');
const head = make('tr');
const rows = make('tbody');
const more = make('p', 'none');
const tableHead = make('thead');
tableHead.append(head);
table.append(tableHead, rows);
connections.content.append(noConnections, table, more);
const failures = section('ul', 'failures');
body.append(title, state, problem, actions, notes);
body.append(path.element, traffic.element, connections.element, failures.element);
page.append(nothing, body);

let subject = '';

addEventListener('message', ({ data }: MessageEvent<Shown>) => show(data));
host.postMessage({ kind: 'ready' });

function show({ texts, details }: Shown): void {
  setText(nothing, texts.nothing);
  nothing.hidden = details !== undefined;
  body.hidden = details === undefined;
  if (!details) return;
  subject = details.subject;
  setText(title, details.title);
  setIcon(stateIcon, details.status);
  setText(stateText, details.state);
  setText(problem, details.problem ?? '');
  problem.hidden = details.problem === undefined;
  list(
    notes,
    details.notes,
    (note) => note,
    () => make('li'),
    setText,
  );
  const hadFocus = document.hasFocus() && actions.contains(document.activeElement);
  list(actions, details.actions, ({ id }) => id, ({ id }) => button(() => act(id)), (node, { label }) => setText(node, label)); // prettier-ignore
  // As for the rows of connections: the button that had the focus is gone.
  if (hadFocus && !actions.contains(document.activeElement)) (actions.querySelector('button') ?? title).focus();
  showPath(details.path, texts);
  showTraffic(details.traffic, texts);
  showConnections(details.clients, texts);
  setText(failures.heading, texts.failures);
  failures.element.hidden = details.failures.length === 0;
  list(
    failures.content,
    details.failures,
    // Two may have failed in the same millisecond.
    (_, index) => String(index),
    failureItem,
    (node, failure) => {
      const [time, text] = node.children as unknown as [HTMLElement, HTMLElement];
      setText(time, new Date(failure.at).toLocaleTimeString(texts.locale));
      setText(text, failure.text);
    },
  );
}

function showPath(stations: readonly Station[], texts: DetailsTexts): void {
  setText(path.heading, texts.path);
  list(path.content, stations, ({ kind, label }, index) => `${index} ${kind} ${label}`, stationItem, (node, station) => {
    const [place, leg] = node.children as unknown as [HTMLElement, HTMLElement];
    const [label, detail] = place.children as unknown as [HTMLElement, HTMLElement];
    setText(label, station.label);
    setText(detail, station.detail ?? '');
    leg.hidden = !station.leg;
    if (!station.leg) return;
    const { status, text, sentence, problem } = station.leg;
    const [icon, words, spoken, why] = leg.children as unknown as [HTMLElement, HTMLElement, HTMLElement, HTMLElement];
    leg.dataset.status = status;
    setIcon(icon, status);
    setText(words, text);
    setText(spoken, sentence);
    setText(why, problem ?? '');
    why.hidden = problem === undefined;
  }); // prettier-ignore
}

function stationItem({ kind }: Station): HTMLElement {
  const item = make('li', 'station');
  item.dataset.kind = kind;
  const place = make('div', 'place');
  place.append(make('span', 'label'), make('span', 'detail'));
  const leg = make('div', 'leg');
  const words = make('span', 'words');
  // The sentence says the same, and from where to where.
  words.setAttribute('aria-hidden', 'true');
  leg.append(make('span', 'icon'), words, make('span', 'spoken'), make('p', 'why'));
  item.append(place, leg);
  return item;
}

function showTraffic(shown: Details['traffic'], texts: DetailsTexts): void {
  traffic.element.hidden = !shown;
  if (!shown) return;
  setText(traffic.heading, texts.traffic);
  figure.setAttribute('aria-label', shown.summary);
  setText(totals, shown.totals);
  const names = [['sent', `↑ ${texts.sent}`], ['received', `↓ ${texts.received}`], ['open', texts.open]] as const; // prettier-ignore
  list(legend, names, ([kind]) => kind, legendItem, (node, [, name]) => setText(node.lastElementChild as HTMLElement, name)); // prettier-ignore
  plot.show(shown.series, texts);
}

function legendItem([kind]: readonly [string, string]): HTMLElement {
  const item = make('li');
  const line = make('span', `line ${kind}`);
  item.append(line, make('span'));
  return item;
}

function showConnections(shown: Details['clients'], texts: DetailsTexts): void {
  connections.element.hidden = !shown;
  if (!shown) return;
  setText(connections.heading, texts.connections);
  setText(noConnections, texts.noConnections);
  noConnections.hidden = shown.rows.length > 0;
  table.hidden = shown.rows.length === 0;
  setText(more, shown.more ?? '');
  more.hidden = shown.more === undefined;
  list(head, [texts.from, texts.bytes, texts.age, texts.close], (_, index) => String(index), columnHead, setText);
  const focused = [...rows.children].findIndex((row) => row.contains(document.activeElement));
  list(
    rows,
    shown.rows,
    ({ id }) => String(id),
    clientRow,
    (row, client) => {
      const [from, bytes, age, close] = [...row.children] as [HTMLElement, HTMLElement, HTMLElement, HTMLElement];
      const [peer, target] = from.children as unknown as [HTMLElement, HTMLElement];
      setText(peer, client.peer);
      setText(target, client.target === undefined ? '' : `→ ${client.target}`);
      const [sent, received] = bytes.children as unknown as [HTMLElement, HTMLElement];
      setText(sent, client.waits ?? `↑ ${client.sent}`);
      setText(received, client.waits === undefined ? `↓ ${client.received}` : '');
      setText(age, client.age);
      const button = close.firstElementChild as HTMLElement;
      setText(button, texts.close);
      if (button.ariaLabel !== client.closeLabel) button.ariaLabel = client.closeLabel;
    },
  );
  // The row that had the focus is gone: its neighbour has it, so that the next key does not begin at the top again.
  if (focused >= 0 && !rows.contains(document.activeElement)) {
    const next = rows.children[Math.min(focused, rows.children.length - 1)];
    (next?.querySelector('button') ?? connections.heading).focus();
  }
}

function columnHead(): HTMLElement {
  const cell = make('th');
  cell.setAttribute('scope', 'col');
  return cell;
}

function clientRow({ id }: DetailsClient): HTMLElement {
  const row = make('tr');
  const cells = [make('td'), make('td'), make('td'), make('td')] as const;
  cells[0].append(make('div'), make('div', 'detail'));
  cells[1].append(make('div'), make('div'));
  cells[3].append(button(() => host.postMessage({ kind: 'close', subject, client: id })));
  row.append(...cells);
  return row;
}

function failureItem(): HTMLElement {
  const item = make('li');
  item.append(make('time'), make('span'));
  return item;
}

function act(action: DetailsAction): void {
  host.postMessage({ kind: 'action', subject, action });
}

function section(tag: 'ol' | 'ul' | 'div', name: string) {
  const element = make('section', name);
  const heading = make('h2');
  heading.tabIndex = -1;
  const content = make(tag);
  element.append(heading, content);
  return { element, heading, content };
}

function button(pressed: () => void): HTMLElement {
  const made = document.createElement('button');
  made.type = 'button';
  made.addEventListener('click', pressed);
  return made;
}

function make(tag: string, name = ''): HTMLElement {
  const made = document.createElement(tag);
  if (name !== '') made.className = name;
  return made;
}

function setText(node: HTMLElement, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

/** Makes the children of `parent` those of the items; what stays keeps its element, and so the focus. */
function list<T>(
  parent: HTMLElement,
  items: readonly T[],
  keyOf: (item: T, index: number) => string,
  create: (item: T) => HTMLElement,
  update: (node: HTMLElement, item: T) => void,
): void {
  const keys = items.map(keyOf);
  const known = new Map(([...parent.children] as HTMLElement[]).map((node) => [node.dataset.key, node]));
  for (const [key, node] of known) if (!keys.includes(key!)) node.remove();
  items.forEach((item, index) => {
    const node = known.get(keys[index]) ?? create(item);
    node.dataset.key = keys[index];
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
    update(node, item);
  });
}
