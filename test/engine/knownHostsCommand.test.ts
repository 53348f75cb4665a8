import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { failureOf } from '../../src/core/failure.js';
import { failureText } from '../../src/core/wording.js';
import { askKnownHostsCommand } from '../../src/engine/knownHostsCommand.js';
import { heldBeyond, heldResources } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';

describe('the program of a KnownHostsCommand', () => {
  let folder: string;
  let heldBefore: string[];
  const logged: string[] = [];

  before(() => {
    heldBefore = heldResources();
    folder = mkdtempSync(join(tmpdir(), 'known-hosts-command-'));
  });
  afterEach(async () => {
    logged.length = 0;
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });
  after(() => rmSync(folder, { recursive: true }));

  const key = `ssh-ed25519 ${Buffer.concat([Buffer.of(0, 0, 0, 11), Buffer.from('ssh-ed25519'), Buffer.of(0, 0, 0, 32), Buffer.alloc(32, 7)]).toString('base64')}`; // prettier-ignore
  function ask(lines: readonly string[], signal = new AbortController().signal, limitMs?: number) {
    const path = join(folder, 'command');
    writeFileSync(path, ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o700 });
    return askKnownHostsCommand(path, {}, signal, (text) => logged.push(text), limitMs);
  }
  const failure = async (asking: Promise<unknown>) => {
    const found = await asking.then(
      () => assert.fail('it ended well'),
      (error: unknown) => failureOf(error),
    );
    return found.kind === 'knownHostsCommandFailed' ? found.detail : found.kind;
  };
  /** What it and the child that it starts are called, once both run. */
  const withChild = [`sleep 1000 & echo $! > "$0.child"`, 'echo up >&2', 'wait'];
  function isGone(): boolean {
    const pid = readFileSync(join(folder, 'command.child'), 'utf8').trim();
    assert.match(pid, /^\d+$/);
    // One that has ended and that nobody has heard of yet has no command line.
    const path = `/proc/${pid}/cmdline`;
    return !existsSync(path) || readFileSync(path, 'utf8') === '';
  }

  it('is heard to its end, and its standard error is logged', async () => {
    const found = await ask([`echo 'web01 ${key}'`, 'echo a word >&2']);
    assert.equal(found.length, 1);
    assert.deepEqual(logged, ['KnownHostsCommand: a word']);
  });

  const ends: [title: string, lines: string[], detail: string][] = [
    ['its exit code', ['exit 3'], 'exit code 3'],
    ['the signal that ended it', ['kill -TERM $$'], 'SIGTERM'],
    ['that it printed too much', ['yes'], 'it printed more than 1 MB'],
  ];
  for (const [title, lines, detail] of ends)
    it(`fails with ${title}`, async () => {
      assert.equal(await failure(ask([`echo 'web01 ${key}'`, ...lines])), detail);
    });

  it('fails with the system’s error when it can’t be run', async () => {
    const missing = askKnownHostsCommand(join(folder, 'none'), {}, new AbortController().signal, () => {});
    assert.equal(await failure(missing), 'ENOENT');
  });

  it('is ended with all that it has started when it is called off', async () => {
    const abort = new AbortController();
    const asking = ask(withChild, abort.signal);
    await eventually(() => assert.deepEqual(logged, ['KnownHostsCommand: up']));
    abort.abort();
    assert.equal(await failure(asking), 'cancelled');
    assert.equal(isGone(), true);
  });

  it('is ended with all that it has started when it takes too long, and says so', async () => {
    const asking = ask(withChild, undefined, 1000);
    assert.equal(await failure(asking), 'it took longer than 1 seconds');
    assert.equal(isGone(), true);
    await assert.rejects(asking, (error) => /KnownHostsCommand failed .*it took longer/.test(failureText(failureOf(error)))); // prettier-ignore
  });

  it('is not begun when it is called off before', async () => {
    assert.equal(await failure(ask(['touch "$0.begun"'], AbortSignal.abort())), 'cancelled');
    assert.equal(existsSync(join(folder, 'command.begun')), false);
  });
});
