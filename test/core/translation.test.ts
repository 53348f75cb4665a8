import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EngineEvent } from '../../src/core/engine.js';
import { eventText } from '../../src/core/eventText.js';
import type { Failure } from '../../src/core/failure.js';
import { machineName, usePlace } from '../../src/core/machine.js';
import { clientRows } from '../../src/core/present.js';
import { useTranslations } from '../../src/core/translate.js';
import { accessText, effectText, failureText } from '../../src/core/wording.js';
import { mustParseSpec } from '../support/mustParseSpec.js';
import { sentencesOf } from '../support/sentences.js';

const root = join(import.meta.dirname, '../..');
const readJson = (path: string) => JSON.parse(readFileSync(join(root, path), 'utf8')) as Record<string, string>;

/** Files that are made to be pasted elsewhere, or that speak to programs. */
const notForPeople: Readonly<Record<string, string>> = {
  'core/algorithmName.ts': 'names of algorithms',
  'core/commandLine.ts': 'the terminal’s program',
  'core/configAlgorithms.ts': 'ssh’s own messages',
  'core/configKeywords.ts': 'ssh’s keywords',
  'core/configMatch.ts': 'ssh’s own messages',
  'core/destinationOption.ts': 'ssh’s keywords',
  'core/diagnostics.ts': 'Copy Diagnostics',
  'core/eventText.ts': 'the log',
  'core/explanation.ts': 'Explain Connection',
  'core/knownHostsCommand.ts': 'made in the engine’s thread, as ssh says it',
  'core/logFolding.ts': 'the log',
  'core/puttyKey.ts': 'a file format',
  'core/redaction.ts': 'Copy Diagnostics',
  'core/sandboxPage.ts': 'HTML around sentences that are given',
  'core/serverPort.ts': 'a script for a server',
  'core/socks.ts': 'answers to clients of a proxy',
  'core/sshConfigBlock.ts': 'ssh’s keywords',
  'core/sshConfigFile.ts': 'ssh’s own messages',
  'core/sshWords.ts': 'letters of options',
};

/** Texts that are no sentences for a person, or that stay as they are. */
const asTheyAre: Readonly<Record<string, readonly string[]>> = {
  'core/configDocument.ts': ['LocalForward', 'RemoteForward', 'DynamicForward'],
  'core/failureNotes.ts': ['forward …', 'connection …'],
  'core/forwardSpec.ts': ['…forward …'],
  'core/nestedSsh.ts': ['IdentityFile', 'IdentityAgent', 'BindAddress', 'AddressFamily', 'ProxyJump'],
  'core/plan.ts': ['IdentityFile'],
  'core/preset.ts': ['Array'],
  'core/presetDraft.ts': ['forward …', 'forward 0'],
  'core/presetImport.ts': ['-L …:localhost:…'],
  // As VS Code names copies of files in every language.
  'core/presetList.ts': ['… copy', '… copy …'],
  'core/presetVariables.ts': [
    '${workspaceFolder}, ${workspaceFolder:name}, ${env:NAME}, ${input:name}',
    'IdentityFile',
    'IdentityAgent',
    'HostName',
  ],
  'core/prompt.ts': ['… on … addresses'],
  // For the log.
  'core/restore.ts': [
    'a mark that nobody sees',
    'The tunnels of the window before can’t be read: …',
    'Tunnel … of the window before is left out: …',
    'host: …',
    'forward: …',
  ],
  'core/wording.ts': ['KexAlgorithms', 'HostKeyAlgorithms', 'Ciphers'],
  'ui/configEditor.ts': ['SSH Tunnels'],
  'ui/details.ts': ["default-src 'none'; script-src 'nonce-…'; style-src …"],
  // Facts of Copy Diagnostics, and its document's name.
  'ui/diagnostics.ts': [
    '/SSH Tunnels Diagnostics',
    'VS Code',
    'in a browser',
    'on a desktop',
    'Remote',
    'Workspace',
    'not trusted',
    '… of the user',
    '… of the workspace',
    '… problems',
  ],
  'ui/explain.ts': ['/Explain …'],
  'ui/extensionApi.ts': ['TunnelError'],
  'ui/log.ts': ['SSH Tunnels'],
  'ui/presetEditor.ts': ['SSH Tunnels'],
  'ui/presetForm.ts': [
    'forward 0',
    'new …',
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6" fill="…"/></svg>',
    '-L 5432:db:5432',
  ],
  // For the log.
  'ui/secrets.ts': ['… was not stored', '… was not read', '… was not forgotten'],
  'ui/statusBar.ts': ['SSH Tunnels'],
  'ui/terminalVariables.ts': ['New terminals have no variables of “…”: those of “…” have the same names'],
  'ui/tunnelTasks.ts': ['… target'],
  // Names of styles.
  'webview/details.ts': ['line …'],
  'webview/plot.ts': ['11px …'],
  // Facts of Copy Diagnostics.
  'onDemand.ts': [
    'remote machine',
    'SSH Tunnels',
    '…, at the side of the …',
    'Node',
    'System',
    'SSH Tunnels …, VS Code …, … …',
  ],
};

/** All but the engine and the terminal's program. */
const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .map((path) => path.replaceAll('\\', '/'))
  .filter((path) => /^(?:core|ui|webview)\/.*\.ts$|^(?:extension|onDemand)\.ts$/.test(path));

describe('the sentences of the interface', () => {
  const german = readJson('l10n/bundle.l10n.de.json');
  const sources = new Map(files.map((file) => [file, sentencesOf(join(root, 'src', file), file)]));
  const said = [...sources.values()].flatMap((source) => source.said);

  it('stand where t is called, so that all can be found', () => {
    assert.ok(said.length > 500, String(said.length));
    assert.deepEqual(
      [...sources.values()].flatMap(({ unwritten }) => unwritten),
      [],
    );
  });

  it('get a value for each of their places', () => {
    assert.deepEqual(
      said.filter(({ key, values }) => values && String(placesOf(key)) !== String([...values].sort())),
      [],
    );
  });

  it('all go through t, but for what is made to be pasted elsewhere', () => {
    const left = [...sources].flatMap(([file, { untranslated }]) =>
      file in notForPeople ? [] : untranslated.filter(({ text }) => !asTheyAre[file]?.includes(text) && !isPage(text)),
    );
    assert.deepEqual(left, []);
  });

  it('have no exception that is not needed', () => {
    const untranslated = (file: string) => sources.get(file)?.untranslated.map(({ text }) => text) ?? [];
    assert.deepEqual(
      [
        ...Object.keys(notForPeople).filter((file) => untranslated(file).length === 0),
        ...Object.entries(asTheyAre).flatMap(([file, texts]) =>
          texts.filter((text) => !untranslated(file).includes(text)).map((text) => `${file}: ${text}`),
        ),
      ],
      [],
    );
  });

  it('are all said in German, and nothing else is', () => {
    const keys = new Set(said.map(({ key }) => key));
    assert.deepEqual(
      [...keys].filter((key) => !(key in german)),
      [],
      'without a translation',
    );
    assert.deepEqual(
      Object.keys(german).filter((key) => !keys.has(key) && !isForm(key, german)),
      [],
      'said nowhere',
    );
  });

  it('have the same places in German', () => {
    assert.deepEqual(
      Object.entries(german).filter(([key, text]) => !isForm(key, german) && !samePlaces(key, text)),
      [],
    );
  });

  it('are inflected by forms that the values have', () => {
    const used = Object.values(german).flatMap((text) => [...text.matchAll(/\{\w+:(\w+)\}/g)].map(([, form]) => form));
    const known = Object.keys(german).flatMap((key) => (isForm(key, german) ? [key.split(':').at(-1)] : []));
    assert.deepEqual([...new Set(used)].sort(), [...new Set(known)].sort());
  });

  it('close the quotation marks that they open', () => {
    const counts = (text: string) => ['„', '“', '”'].map((mark) => text.split(mark).length - 1);
    assert.deepEqual(
      Object.values(german).filter((text) => {
        const [low, high, english] = counts(text);
        return low !== high || english !== 0;
      }),
      [],
    );
  });
});

describe('German', () => {
  before(() => useTranslations(readJson('l10n/bundle.l10n.de.json')));
  after(() => {
    useTranslations(undefined);
    usePlace({ kind: 'here' });
  });

  const spec = mustParseSpec('-R 8080:localhost:3000');
  const inUse: Failure = { kind: 'portInUse', address: '127.0.0.1', port: 80 };
  const refused: Failure = { kind: 'targetFailed', target: '/x.sock', code: 'EACCES' };

  it('inflects the machine that it speaks of', () => {
    assert.equal(effectText(spec, 'web01'), 'localhost:8080 auf web01 → localhost:3000, aus Sicht von diesem Computer');
    assert.equal(accessText('network', machineName(), 'tcp'), 'alle im Netzwerk, die diesen Computer erreichen');
    assert.match(failureText(inUse), /^127\.0\.0\.1:80 wird auf diesem Computer schon verwendet\./);
    assert.match(failureText(refused), /^\/x\.sock auf diesem Computer darf von Ihnen nicht geöffnet werden\./);
    usePlace({ kind: 'remote', remote: 'container' });
    assert.equal(effectText(spec, 'web01'), 'localhost:8080 auf web01 → localhost:3000, aus Sicht von dem Container');
    assert.equal(accessText('machine', machineName(), 'tcp'), 'nur der Container');
    usePlace({ kind: 'remote', remote: 'named', name: 'web02' });
    assert.match(failureText(inUse), /^127\.0\.0\.1:80 wird auf web02 schon verwendet\./);
  });

  it('writes dates and numbers as Germans do', () => {
    const expired: Failure = { kind: 'hostCertificateExpired', host: 'web01', until: Date.UTC(2026, 2, 5, 14, 30) };
    assert.match(failureText(expired), /am 5\. März 2026, 14:30 UTC abgelaufen/);
    const client = { id: 1, peer: '', sent: 1500, received: 999_600, since: 0 };
    assert.equal(clientRows('f', [client], 7_200_000)[0]!.description, '↑ 1,5 KB ↓ 1 MB · 2 Std.');
  });

  it('leaves the log English', () => {
    const failed = { kind: 'connectionFailed', connection: 'web01', failure: { kind: 'hostNotFound', host: 'web01' } };
    assert.match(eventText(failed as EngineEvent, 0)!.text, /web01 was not found\. Check the name/);
  });
});

describe('the texts of package.json', () => {
  const english = readJson('package.nls.json');
  const german = readJson('package.nls.de.json');
  const manifest = readFileSync(join(root, 'package.json'), 'utf8');

  it('are named by the keys of package.nls.json, and by no other', () => {
    const named = [...manifest.matchAll(/"%([^"%]+)%"/g)].map(([, key]) => key!);
    assert.deepEqual([...new Set(named)].sort(), Object.keys(english).sort());
  });

  it('stand nowhere else', () => {
    const shown = [
      'title',
      'description',
      'markdownDescription',
      'contents',
      'altText',
      'patternErrorMessage',
      'label',
    ];
    const left = textsIn(JSON.parse(manifest)).filter(
      ([key, text]) => shown.includes(key) && /\p{L}\s\p{L}/u.test(text),
    );
    assert.deepEqual(
      left.map(([, text]) => text).filter((text) => !text.startsWith('%') && !/^SSH Tunnels$|^-|^\["-/.test(text)),
      [],
    );
  });

  it('are all said in German, in the same order', () => {
    assert.deepEqual(Object.keys(german), Object.keys(english));
  });

  it('have the same commands, links, code and variables in German', () => {
    // What comes first in another order is the same.
    const marks = (text = '') => (text.match(/\]\([^)]+\)|`[^`]+`|\$\{[^}]+\}|\$\([\w-]+\)|\n/g) ?? []).sort();
    for (const [key, text] of Object.entries(english)) assert.deepEqual(marks(german[key]), marks(text), key);
  });
});

/** Each text with its key. What language models read is English, and what a snippet writes is an example. */
function textsIn(value: unknown, key = ''): [key: string, text: string][] {
  if (typeof value === 'string') return [[key, value]];
  if (typeof value !== 'object' || value === null || ['inputSchema', 'body'].includes(key)) return [];
  return Object.entries(value).flatMap(([name, inner]) => textsIn(inner, Array.isArray(value) ? key : name));
}

/** The frame of a webview; the sentences in it are sent to it. */
function isPage(text: string): boolean {
  return text.startsWith('<!DOCTYPE html>');
}

function placesOf(text: string): string[] {
  return [...new Set([...text.matchAll(/\{(\w+)(?::\w+)?\}/g)].map(([, name]) => name!))].sort();
}

function samePlaces(key: string, text: string): boolean {
  return String(placesOf(key)) === String(placesOf(text));
}

/** An inflected value, `dieser Computer:dat`. */
function isForm(key: string, bundle: Readonly<Record<string, string>>): boolean {
  const value = /^(.*):(?:dat|acc|Nom)$/.exec(key)?.[1];
  return value !== undefined && Object.values(bundle).includes(value);
}
