// How presets that have a `group` stand in the list.
import assert from 'node:assert/strict';
import { noConfigForwards } from '../../src/core/configForward.js';
import type { EngineEvent } from '../../src/core/engine.js';
import { connectionOf, defaultWaits } from '../../src/core/plan.js';
import { present, presetRowsOf, type PresetGroupRow } from '../../src/core/present.js';
import { presetTunnels, type Preset, type PresetScope } from '../../src/core/preset.js';
import { nothingWanted, tunnelId, wantTunnels } from '../../src/core/session.js';
import { emptySnapshot, reduce } from '../../src/core/snapshot.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

const workspace: PresetScope = { kind: 'workspace' };
const user: PresetScope = { kind: 'user' };
let port = 5000;
const preset = (name: string, group?: string, scope: PresetScope = workspace): Preset => ({
  name,
  destination: { host: name },
  forwards: [mustParseSpec(`-L ${port++}:db:5432`)],
  autoStart: false,
  scope,
  ...(group !== undefined && { group }),
});

/** Those presets that run, and what became of them. */
type Running = readonly (readonly [preset: Preset, state: 'ready' | 'connecting' | 'retrying' | 'failed'])[];

const events: Record<Running[number][1], (preset: Preset) => readonly EngineEvent[]> = {
  ready: (preset) => {
    const [tunnel] = presetTunnels(preset);
    const bound = [{ kind: 'tcp', address: '127.0.0.1', port: 1 }] as const;
    const here = { unbound: [], asked: 'machine', access: 'machine' } as const;
    return [
      { kind: 'connected', connection: connectionOf(tunnel!), server: 's' },
      { kind: 'listening', forward: tunnelId(tunnel!), run: 1, bound: [...bound], ...here },
    ];
  },
  connecting: (preset) => [{ kind: 'connecting', connection: connectionOf(presetTunnels(preset)[0]!), attempt: 1 }],
  retrying: (preset) => [
    {
      kind: 'connectionLost',
      connection: connectionOf(presetTunnels(preset)[0]!),
      failure: { kind: 'connectionLost', host: 'web01', reason: 'keepalive' },
      attempt: 1,
      retryAt: 5,
    },
  ],
  failed: (preset) => [
    {
      kind: 'connectionFailed',
      connection: connectionOf(presetTunnels(preset)[0]!),
      failure: { kind: 'connectFailed', host: 'web01', port: 22, code: 'ECONNREFUSED' },
    },
  ],
};

function presentedOf(presets: readonly Preset[], running: Running = [], trusted = true) {
  const tunnels = running.flatMap(([one]) => presetTunnels(one));
  const wanted = wantTunnels(nothingWanted, tunnels);
  const snapshot = running.flatMap(([one, state]) => events[state](one)).reduce(reduce, emptySnapshot);
  const session = { wanted, snapshot };
  const now = 0;
  return present({ session, presets, problems: [], trusted, config: noConfigForwards, waits: defaultWaits, now });
}

const told = (...given: Parameters<typeof presentedOf>) => {
  const group = presentedOf(...given).rows.at(-1);
  assert.ok(group?.kind === 'presets', 'presets come last');
  return group.rows.map((row) =>
    row.kind === 'presetGroup' ? [row.label, ...row.rows.map(({ label }) => label)].join(' > ') : row.label,
  );
};
const groupOf = (...given: Parameters<typeof presentedOf>): PresetGroupRow => {
  const [group] = presentedOf(...given).rows.flatMap((row) => (row.kind === 'presets' ? row.rows : []));
  assert.ok(group?.kind === 'presetGroup', 'the first row is a group');
  return group;
};

describe('groups of presets', () => {
  const [a, b, c] = [preset('a', 'G'), preset('b', 'G'), preset('c', 'G')];

  it('stand where their first preset does, with all the others', () => {
    assert.deepEqual(told([preset('x'), a, preset('y'), b]), ['x', 'G > a > b', 'y']);
    assert.deepEqual(told([preset('x'), preset('y')]), ['x', 'y']);
    assert.deepEqual(told([a, preset('z', 'H'), b]), ['G > a > b', 'H > z']);
  });

  it('are one row across settings files, and then tell in each row which file it is', () => {
    const mine = preset('mine', 'G', user);
    const group = groupOf([a, mine]);
    assert.deepEqual(
      group.rows.map(({ description }) => description),
      ['db:5432 via a · workspace', 'db:5432 via mine · user'],
    );
    const folders = [preset('p', undefined, { kind: 'folder', folder: 'api' }), preset('q', undefined, user)];
    assert.deepEqual(
      presetRowsOf(presentedOf(folders)).map(({ description }) => description),
      ['db:5432 via p · folder api', 'db:5432 via q · user'],
    );
    assert.deepEqual(
      presetRowsOf(presentedOf([a, preset('x', undefined, user)])).map(({ description }) => description),
      ['db:5432 via a', 'db:5432 via x'],
    );
  });

  const states: [what: string, running: Running, status: string, description: string, can: string][] = [
    ['stopped', [], 'stopped', '3 presets', 'start'],
    ['ready in part', [[a, 'ready']], 'stopped', '1 of 3 ready', 'start stop'],
    ['ready', [[a, 'ready'], [b, 'ready'], [c, 'ready']], 'ready', 'ready · 3 presets', 'stop'],
    ['connecting', [[a, 'ready'], [b, 'connecting'], [c, 'ready']], 'connecting', 'connecting · 2 of 3 ready', 'stop'],
    ['retrying', [[a, 'retrying'], [b, 'connecting']], 'retrying', 'retrying · 0 of 3 ready', 'start stop'],
    ['failed', [[a, 'ready'], [b, 'retrying'], [c, 'failed']], 'failed', 'failed · 1 of 3 ready', 'start stop'],
  ]; // prettier-ignore
  for (const [what, running, status, description, can] of states)
    it(`have the worst state of their presets, and count those that are ready: ${what}`, () => {
      const group = groupOf([a, b, c], running);
      const offered = [...(group.canStart ? ['start'] : []), ...(group.canStop ? ['stop'] : [])].join(' ');
      assert.deepEqual([group.status, group.description, offered], [status, description, can]);
    });

  it('are locked only when all their presets are', () => {
    const theirs = groupOf([a, b], [], false);
    assert.deepEqual([theirs.description, theirs.canStart], ['workspace not trusted · 2 presets', undefined]);
    assert.match(theirs.locked ?? '', /not trusted/);
    assert.match(theirs.tooltip.join('\n'), /^Group of presets: a, b\nThis workspace is not trusted/);
    const mixed = groupOf([a, preset('mine', 'G', user)], [], false);
    assert.deepEqual([mixed.locked, mixed.canStart, mixed.description], [undefined, true, '2 presets']);
  });
});
