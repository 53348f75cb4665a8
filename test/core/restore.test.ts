import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseDestination } from '../../src/core/destination.js';
import { parsePresets, type Preset, type PresetScope } from '../../src/core/preset.js';
import {
  decideComeback,
  listTunnels,
  readTunnels,
  restoreQuestion,
  startAgain,
  stillStopped,
  stillWaiting,
  storeTunnels,
  type Kept,
} from '../../src/core/restore.js';
import {
  nothingWanted,
  removeTunnels,
  renameTunnel,
  restartTunnels,
  stopTunnels,
  wantTunnels,
  type NewTunnel,
  type Tunnel,
  type Wanted,
  type Wish,
} from '../../src/core/session.js';
import { emptySnapshot } from '../../src/core/snapshot.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

function tunnel(host: string, forward: string, more: Partial<NewTunnel> = {}): NewTunnel {
  const parsed = parseDestination(host);
  assert.ok(parsed.ok);
  return { destination: parsed.destination, spec: mustParseSpec(forward), ...more };
}

const db = tunnel('alice@web01', '-L 5432:db:5432');
const web = tunnel('-J gw web02', '-R 8080:localhost:3000', { label: 'Page', onDemand: true });
const proxy = tunnel('web01', '-D auto', { fromWorkspace: true });
const all = wantTunnels(nothingWanted, [db, web, proxy]);
const ids = all.tunnels.map(({ id }) => id);
const [dbId, webId, proxyId] = ids as [string, string, string];

const wished = (wish: Wish): Wanted => ({ ...all, tunnels: all.tunnels.map((one) => ({ ...one, wish })) });
const stored = (wanted: Wanted) => storeTunnels(wanted)?.tunnels.map(({ forward, run }) => [forward, run]);
const kept = (wanted: Wanted): readonly Kept[] => readTunnels(storeTunnels(wanted)).tunnels;

describe('the list of tunnels that is kept', () => {
  it('has each tunnel as people write it', () => {
    assert.deepEqual(storeTunnels(all), {
      version: 1,
      tunnels: [
        { host: 'alice@web01', forward: '-L 5432:db:5432', run: 'exact' },
        { host: '-J gw web02', forward: '-R 8080:localhost:3000', label: 'Page', onDemand: true, run: 'exact' },
        { host: 'web01', forward: '-D auto', fromWorkspace: true, run: 'exact' },
      ],
    });
  });

  it('leaves out what another extension opened for a while, until somebody else has asked for it, too', () => {
    const lent = wantTunnels(nothingWanted, [
      { ...db, heldBy: 'extension' },
      { ...proxy, heldBy: 'extension' },
    ]);
    assert.equal(storeTunnels(lent), undefined);
    assert.deepEqual(stored(wantTunnels(lent, [db])), [['-L 5432:db:5432', 'exact']]);
  });

  it('keeps what runs for a while for somebody else as the user left it: stopped', () => {
    const lent = wantTunnels(stopTunnels(wantTunnels(nothingWanted, [db]), [dbId]), [{ ...db, heldBy: 'task' }]);
    assert.equal(lent.tunnels[0]?.wish, 'exact');
    assert.deepEqual(stored(lent), [['-L 5432:db:5432', undefined]]);
    assert.deepEqual(stored(restartTunnels(lent, [dbId])), [['-L 5432:db:5432', 'exact']]);
  });

  it('is nothing when there is no tunnel', () => {
    assert.equal(storeTunnels(nothingWanted), undefined);
    assert.equal(storeTunnels(removeTunnels(all, ids)), undefined);
    assert.deepEqual(readTunnels(undefined), { tunnels: [], problems: [] });
  });

  it('tells how those ran that run or were lost, and not that others did', () => {
    for (const [wish, run] of [
      ['exact', 'exact'],
      ['nextFree', 'nextFree'],
      ['lost', 'exact'],
      ['drain', undefined],
      ['stop', undefined],
    ] as const)
      assert.deepEqual(stored(wished(wish))?.slice(0, 2), [
        ['-L 5432:db:5432', run],
        ['-R 8080:localhost:3000', run],
      ]);
  });

  it('keeps a stopped tunnel that the user made, and not one that its preset lists', () => {
    assert.deepEqual(stored(stopTunnels(all, ids)), [
      ['-L 5432:db:5432', undefined],
      ['-R 8080:localhost:3000', undefined],
    ]);
  });

  it('counts as running what nobody has been able to answer for', () => {
    const stopped = stopTunnels(all, ids);
    const unanswered = new Map([[dbId, 'nextFree'] as const, [proxyId, 'exact'] as const]);
    assert.deepEqual(
      storeTunnels(stopped, unanswered)?.tunnels.map(({ run }) => run),
      ['nextFree', undefined, 'exact'],
    );
  });

  it('reads as what was written', () => {
    assert.deepEqual(readTunnels(JSON.parse(JSON.stringify(storeTunnels(all)))), {
      tunnels: [
        { ...db, id: dbId, run: 'exact' },
        { ...web, id: webId, run: 'exact' },
        { ...proxy, id: proxyId, run: 'exact' },
      ],
      problems: [],
    });
  });

  const good = { host: 'web01', forward: '-D 1080' };
  for (const [what, value, problem] of [
    ['another version', { version: 2, tunnels: [good] }, /^The tunnels of the window before can’t be read: version/],
    ['no list', { version: 1, tunnels: 7 }, /can’t be read: tunnels/],
    ['a text', 'tunnels', /can’t be read/],
    ['null', null, /can’t be read/],
    ['an entry that is none', { version: 1, tunnels: [7] }, /^Tunnel 1 of the window before is left out/],
    [
      'a host that is none',
      { version: 1, tunnels: [{ ...good, host: 'a b' }] },
      /left out: host: a blank inside the name/,
    ],
    ['an option that runs a program', { version: 1, tunnels: [{ ...good, host: '-o ProxyCommand=x web01' }] }, /left out/], // prettier-ignore
    [
      'a forward that is none',
      { version: 1, tunnels: [{ ...good, forward: '-L 1' }] },
      /left out: forward: target port missing|left out: forward: target missing/,
    ],
    ['a variable', { version: 1, tunnels: [{ ...good, forward: '-D ${HOME}' }] }, /HOME is not set/],
    ['a label with hidden marks', { version: 1, tunnels: [{ ...good, label: 'a\u202eb' }] }, /left out: label/],
    ['another way to run', { version: 1, tunnels: [{ ...good, run: 'now' }] }, /left out: run/],
    ['a mark that is no mark', { version: 1, tunnels: [{ ...good, fromWorkspace: 'no' }] }, /left out: fromWorkspace/],
  ] as const)
    it(`says what is wrong with ${what}, and takes nothing from it`, () => {
      const { tunnels, problems } = readTunnels(value);
      assert.deepEqual(tunnels, []);
      assert.equal(problems.length, 1);
      assert.match(problems[0]!, problem);
    });

  it('still reads what stands beside a wrong entry, each once', () => {
    const { tunnels, problems } = readTunnels({ version: 1, tunnels: [{}, good, { ...good, run: 'exact' }] });
    assert.deepEqual(
      tunnels.map(({ id, run }) => [id, run]),
      [['web01 -D 1080', undefined]],
    );
    assert.equal(problems.length, 1);
  });

  it('never throws, whatever stands there', () => {
    const entry = fc.record({ host: fc.anything(), forward: fc.anything(), label: fc.anything(), run: fc.anything() });
    const list = fc.record({ version: fc.constantFrom(1, 2), tunnels: fc.array(fc.oneof(entry, fc.anything())) });
    fc.assert(fc.property(fc.oneof(list, fc.anything()), (value) => void readTunnels(value)));
  });
});

describe('what comes back of it', () => {
  const presets = (
    list: { name: string; host: string; forwards: string[]; autoStart?: boolean }[],
    scope: PresetScope = { kind: 'workspace' },
  ): readonly Preset[] => {
    const { presets, problems } = parsePresets(list, scope);
    assert.deepEqual(problems, []);
    return presets;
  };
  const comeback = (wanted: Wanted, allowed: readonly Preset[]) => {
    const { listed, ran, waiting } = decideComeback(kept(wanted), allowed);
    return { listed: listed.map(({ id }) => id), ran: [...ran], waiting: waiting.map(({ id }) => id) };
  };
  const proxyPreset = { name: 'Proxy', host: 'web01', forwards: ['-D auto'] };

  it('is all that the user had, with what ran', () => {
    const some = stopTunnels(restartTunnels(all, [webId], false, 'nextFree'), [dbId]);
    assert.deepEqual(comeback(some, presets([proxyPreset])), {
      listed: ids,
      ran: [
        [webId, 'nextFree'],
        [proxyId, 'exact'],
      ],
      waiting: [],
    });
  });

  it('is no workspace’s tunnel without a preset that may start and asks for just that', () => {
    for (const allowed of [
      [],
      presets([{ ...proxyPreset, host: 'web02' }]),
      presets([{ ...proxyPreset, forwards: ['-D 1080'] }]),
    ])
      assert.deepEqual(comeback(all, allowed).waiting, [proxyId]);
  });

  it('is a tunnel of a preset with variables while they come to the same', () => {
    const stored = { name: 'Proxy', host: '${input:server}', forwards: ['-D auto'] };
    const answered = (server: string) =>
      parsePresets([stored], { kind: 'workspace' }, { folders: [], env: {}, answers: () => ({ server }) }).presets;
    assert.deepEqual(comeback(all, answered('web01')).waiting, []);
    assert.deepEqual(comeback(all, answered('web02')).waiting, [proxyId]);
    assert.deepEqual(comeback(all, parsePresets([stored], { kind: 'workspace' }).presets).waiting, [proxyId]);
  });

  it('waits for a window in which a preset may start it, and is kept until then', () => {
    const first = decideComeback(kept(all), []);
    const listed = listTunnels(nothingWanted, first.listed);
    const { tunnels } = readTunnels(storeTunnels(listed, first.ran, first.waiting));
    assert.deepEqual(new Set(tunnels), new Set(kept(all)));
    const second = decideComeback(tunnels, presets([proxyPreset]));
    assert.deepEqual([second.ran.get(proxyId), second.waiting], ['exact', []]);
  });

  it('waits no more once it is on the list: what is done with it there counts', () => {
    const { waiting } = decideComeback(kept(all), []);
    assert.deepEqual(stillWaiting(nothingWanted, waiting), waiting);
    const stopped = stopTunnels(wantTunnels(nothingWanted, [proxy]), [proxyId]);
    assert.deepEqual(stillWaiting(stopped, waiting), []);
    assert.equal(storeTunnels(stopped, new Map(), waiting), undefined);
  });

  it('is no more of what may not start than one workspace ever had', () => {
    const many = Array.from({ length: 60 }, (_, at) => tunnel('web01', `-D ${1000 + at}`, { fromWorkspace: true }));
    const { waiting } = decideComeback(kept(wantTunnels(nothingWanted, many)), []);
    assert.deepEqual([waiting.length, waiting.at(-1)?.id], [50, 'web01 -D 1059']);
  });

  it('is nobody’s question where a preset starts it by itself', () => {
    const automatic = presets([
      { ...proxyPreset, autoStart: true },
      { name: 'DB', host: 'alice@web01', forwards: ['-L 5432:db:5432'], autoStart: true },
    ]);
    assert.deepEqual(comeback(all, automatic), { listed: ids, ran: [[webId, 'exact']], waiting: [] });
  });

  it('stands on the list stopped, before what is there already', () => {
    const other = tunnel('web03', '-D 1081');
    const listed = listTunnels(wantTunnels(nothingWanted, [other, db]), kept(all));
    assert.deepEqual(
      listed.tunnels.map(({ id, wish }) => [id, wish]),
      [
        [webId, 'stop'],
        [proxyId, 'stop'],
        ['web03 -D 1081', 'exact'],
        [dbId, 'exact'],
      ],
    );
  });

  it('runs as it ran, and the rest stays stopped', () => {
    const before = stopTunnels(restartTunnels(all, [webId], false, 'nextFree'), [proxyId]);
    const { listed, ran } = decideComeback(kept(before), []);
    const state = { wanted: listTunnels(nothingWanted, listed), snapshot: emptySnapshot };
    for (const automatic of [true, false]) {
      const { wanted, started } = startAgain(state, ran, automatic);
      assert.deepEqual(started, [dbId, webId]);
      assert.deepEqual(
        wanted.tunnels.map(({ id, wish, label, onDemand, automatic }) => ({ id, wish, label, onDemand, automatic })),
        [
          { id: dbId, wish: 'exact', label: undefined, onDemand: undefined, automatic },
          { id: webId, wish: 'nextFree', label: 'Page', onDemand: true, automatic },
        ],
      );
    }
  });

  it('leaves alone what the user has started, removed or renamed before the answer', () => {
    const { listed, ran } = decideComeback(kept(all), presets([proxyPreset]));
    const listedAgain = listTunnels(nothingWanted, listed);
    const since = renameTunnel(removeTunnels(wantTunnels(listedAgain, [db]), [proxyId]), webId, 'Mine');
    assert.deepEqual([...stillStopped(since, ran).keys()], [webId]);
    const { wanted, started } = startAgain({ wanted: since, snapshot: emptySnapshot }, ran, false);
    assert.deepEqual(started, [webId]);
    assert.equal(wanted.tunnels.find(({ id }) => id === webId)?.label, 'Mine');
    assert.equal(wanted.tunnels[0]?.run, since.tunnels[0]?.run);
  });

  it('is the same after any number of reloads that nobody answers', () => {
    const wish = fc.constantFrom<Wish>('exact', 'nextFree', 'drain', 'stop', 'lost');
    fc.assert(
      fc.property(fc.array(wish, { minLength: 3, maxLength: 3 }), (wishes) => {
        const wanted = { ...all, tunnels: all.tunnels.map((one, at): Tunnel => ({ ...one, wish: wishes[at]! })) };
        const first = kept(wanted);
        for (const allowed of [presets([proxyPreset]), []]) {
          const { listed, ran, waiting } = decideComeback(first, allowed);
          const next = readTunnels(storeTunnels(listTunnels(nothingWanted, listed), ran, waiting));
          assert.deepEqual(next.tunnels, first);
        }
      }),
    );
  });
});

describe('the question whether tunnels shall run again', () => {
  it('names a tunnel', () => {
    assert.equal(
      restoreQuestion(all.tunnels.slice(0, 1)),
      'A tunnel was running when this window closed: localhost:5432 → db:5432 (alice@web01). Start it again?',
    );
  });

  it('names up to three, and tells how many more', () => {
    assert.match(
      restoreQuestion(all.tunnels),
      /^3 tunnels were running when this window closed: .* \(alice@web01\), Page \(-J gw web02\) and .* \(web01\)\. Start them again\?$/,
    );
    assert.match(restoreQuestion([...all.tunnels, ...all.tunnels]), /\(web01\) and 3 more\. Start them again\?$/);
  });
});
