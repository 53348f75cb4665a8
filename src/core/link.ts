// Links of the form vscode://ssh-tunnels.ssh-tunnels/…: anyone can write one, so they fill in a form or show a row, and start
// nothing.
import { parseDestination, printDestination } from './destination.js';
import { parseAnswer } from './forwardSpec.js';
import { printable, unseen } from './printable.js';
import { t } from './translate.js';
import { failureText } from './wording.js';

export type Link =
  | { kind: 'forward'; host: string; forward: string }
  | { kind: 'preset'; name: string }
  | { kind: 'view' }
  | { kind: 'refused'; reason: string };

/** UTF-16 units of a value; no host, forward or name that a person writes is longer. */
const longest = 300;
/** And of all of them, with their names. */
const longestQuery = 2000;

/** Reads a link by its path and query, both decoded once as VS Code does it: a value can’t have `&` in it. */
export function readLink(path: string, query: string): Link {
  const word = path.replace(/^\/|\/$/g, '');
  if (word !== 'forward' && word !== 'preset') return { kind: 'view' };
  if (query.length > longestQuery) return refuse(t('The link is too long.'));
  const values = new Map<string, string>();
  for (const part of query.split('&')) {
    const [name = '', ...rest] = part.split('=');
    if (values.has(name)) return refuse(t('The link says “{name}” twice.', { name: printable(name) }));
    values.set(name, rest.join('='));
  }
  for (const name of word === 'preset' ? ['name'] : ['host', 'forward']) {
    const value = values.get(name) ?? '';
    if (value.trim() === '') return refuse(t('The link does not say “{name}”.', { name }));
    if (value.length > longest) return refuse(t('“{name}” in the link is too long.', { name }));
    if (unseen.test(value)) return refuse(t('“{name}” in the link has a mark that nobody sees.', { name }));
  }
  return word === 'preset' ? { kind: 'preset', name: values.get('name')! } : readForward(values);
}

function readForward(values: ReadonlyMap<string, string>): Link {
  const [host, forward] = [values.get('host')!.trim(), values.get('forward')!.trim()];
  const destination = parseDestination(host);
  if (!destination.ok) return refuse(failureText(destination.failure));
  if (destination.destination.options)
    return refuse(t('A link can’t have options for its host, only a name or user@host:port.'));
  // What a variable comes to is nobody else’s to send anywhere.
  if (forward.includes('$')) return refuse(t('A forward in a link can’t have variables.'));
  const read = parseAnswer(forward);
  if (!read.ok) return refuse(failureText(read.failure));
  return { kind: 'forward', host: printDestination(destination.destination), forward };
}

function refuse(reason: string): Link {
  return { kind: 'refused', reason };
}
