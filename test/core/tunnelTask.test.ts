import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { printSpec } from '../../src/core/forwardSpec.js';
import type { Preset } from '../../src/core/preset.js';
import { unseen } from '../../src/core/printable.js';
import { consentPrompt } from '../../src/core/prompt.js';
import { tunnelId } from '../../src/core/session.js';
import {
  defaultTimeoutSeconds,
  isTaskNamed,
  readTunnelTask,
  taskFailedText,
  taskLine,
  taskMatcher,
  taskPlace,
  taskPreset,
  taskType,
  tunnelLine,
} from '../../src/core/tunnelTask.js';
import { mustParseSpec } from '../support/mustParseSpec.js';
import { silentSession } from '../support/silentSession.js';

const manifest = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
  contributes: {
    taskDefinitions: { type: string; properties: Record<string, { default?: unknown }> }[];
    problemMatchers: { name: string; pattern: { regexp: string }; background: Record<string, string> }[];
  };
};
const preset = (name: string, scope: Preset['scope']): Preset => ({
  name,
  destination: { host: 'bastion' },
  forwards: [mustParseSpec('-L 5432:db:5432')],
  autoStart: false,
  scope,
});
const read = (given: object) => readTunnelTask({ type: 'tunnel', ...given });

describe('a task of type tunnel', () => {
  it('is a preset, or a host with one forward or several', () => {
    const waits = { waitsForTarget: true, timeoutSeconds: 60, endsWithDebugging: false };
    assert.deepEqual(read({ preset: 'Billing DB' }), {
      ok: true,
      value: { tunnels: { kind: 'preset', name: 'Billing DB' }, ...waits },
    });
    assert.deepEqual(read({ host: 'bastion', forward: '-L 1:db:2', waitForTarget: false, endWithDebugging: true }), {
      ok: true,
      value: {
        tunnels: { kind: 'forwards', host: 'bastion', forwards: ['-L 1:db:2'] },
        waitsForTarget: false,
        timeoutSeconds: 60,
        endsWithDebugging: true,
      },
    });
    const several = read({ host: 'bastion', forward: ['-L 1:db:2', '-D 3'], timeoutSeconds: 5 });
    assert.deepEqual(several.ok && [several.value.tunnels, several.value.timeoutSeconds], [
      { kind: 'forwards', host: 'bastion', forwards: ['-L 1:db:2', '-D 3'] },
      5,
    ]);
  });

  it('says which field is wrong, or what is missing', () => {
    const messages = [
      {},
      { preset: 'a', host: 'b', forward: '-D 1' },
      { host: 'b' },
      { preset: 7 },
      { host: 'b', forward: [] },
      { preset: 'a', timeoutSeconds: 0 },
      { preset: 'a\u202e' },
    ].map((given) => {
      const task = read(given);
      return task.ok ? 'ok' : task.message;
    });
    const incomplete = 'A tunnel task needs a “preset”, or a “host” and a “forward”. Correct it in tasks.json.';
    const wrong = (field: string) => `The task’s “${field}” is wrong. Correct it in tasks.json.`;
    assert.deepEqual(messages, [
      incomplete,
      incomplete,
      incomplete,
      wrong('preset'),
      wrong('forward'),
      wrong('timeoutSeconds'),
      wrong('preset'),
    ]);
  });

  it('never throws, whatever stands in tasks.json', () => {
    fc.assert(
      fc.property(fc.anything(), fc.anything(), (one, other) => {
        for (const given of [one, { preset: one }, { host: one, forward: other }])
          assert.equal(typeof readTunnelTask(given).ok, 'boolean');
      }),
    );
  });

  it('takes the first preset of its name, and a host and forwards as a preset of its own place', () => {
    const presets = [preset('DB', { kind: 'workspace' }), preset('DB', { kind: 'user' })];
    const of = (given: object) => {
      const task = read(given);
      assert.ok(task.ok, JSON.stringify(task));
      return taskPreset(task.value, 'My task', { kind: 'workspace' }, presets);
    };
    assert.deepEqual(of({ preset: ' DB ' }), { ok: true, value: presets[0] });
    assert.deepEqual(of({ preset: 'Nothing' }), {
      ok: false,
      message: 'No preset is called “Nothing”. Correct the name, or add it to the setting sshTunnels.presets.',
    });
    const own = of({ host: 'alice@bastion', forward: ['-L 5432:db:5432', '-D 1080'] });
    assert.ok(own.ok, JSON.stringify(own));
    assert.deepEqual(
      [own.value.name, own.value.scope, own.value.forwards.map(printSpec)],
      ['My task', { kind: 'workspace' }, ['-L 5432:db:5432', '-D 1080']],
    );
    const bad = of({ host: 'bastion', forward: 'nonsense' });
    assert.ok(!bad.ok && bad.message.length > 10, JSON.stringify(bad));
  });

  it('is the one that preLaunchTask names by its label, or by what defines it', () => {
    const database = { name: 'Database', definition: { type: 'tunnel', host: 'web01', forward: '5432:db:5432' } };
    const both = { name: 'Both', definition: { type: 'tunnel', host: 'web01', forward: ['1:a:1', '2:a:2'] } };
    const preset = { name: 'Billing', definition: { type: 'tunnel', preset: 'Billing', timeoutSeconds: 5 } };
    const named = (given: unknown) => [database, both, preset].filter((task) => isTaskNamed(given, task));
    assert.deepEqual(named('Database'), [database]);
    assert.deepEqual(named('tunnel: Billing'), [preset]);
    assert.deepEqual(named({ type: 'tunnel', host: 'web01', forward: '5432:db:5432' }), [database]);
    assert.deepEqual(named({ type: 'tunnel', host: 'web01', forward: ['1:a:1', '2:a:2'] }), [both]);
    assert.deepEqual(named({ type: 'tunnel', preset: 'Billing' }), [preset]);
    for (const other of [
      { type: 'npm', preset: 'Billing' },
      { type: 'tunnel', host: 'web01' },
      'npm: Billing',
      null,
      7,
    ])
      assert.deepEqual(named(other), []);
  });

  it('is named in the question before its tunnels, and when it fails, by what can be seen of its label alone', () => {
    const task = read({ host: 'bastion', forward: '-L 5432:db:5432' });
    assert.ok(task.ok, JSON.stringify(task));
    const label = 'DB\u202e” from your user settings?\r\nIt opens nothing.\u0007';
    const own = taskPreset(task.value, label, { kind: 'workspace' }, []);
    assert.ok(own.ok, JSON.stringify(own));
    assert.equal(own.value.name, 'DB?” from your user settings???It opens nothing.?');
    const { title, detail } = consentPrompt(own.value, taskPlace(task.value));
    assert.equal(title, `Start “${own.value.name}” from the workspace’s tasks?`);
    assert.doesNotMatch(`${title}${detail.replaceAll('\n', '')}`, unseen);
    assert.equal(taskFailedText(label, 'Why.'), `The task “${own.value.name}” has failed. Why.`);
  });

  it('has nothing of the environment filled into its forwards', () => {
    const task = read({ host: 'bastion', forward: '-L 5432:${HOME}:5432' });
    assert.ok(task.ok, JSON.stringify(task));
    assert.equal(taskPreset(task.value, 'x', { kind: 'workspace' }, []).ok, false);
  });

  it('is declared as it is read, with a matcher that knows the marks of its lines', () => {
    const [declared] = manifest.contributes.taskDefinitions;
    assert.equal(declared?.type, taskType);
    assert.deepEqual(
      [declared.properties['waitForTarget']?.default, declared.properties['timeoutSeconds']?.default],
      [true, defaultTimeoutSeconds],
    );
    const [matcher] = manifest.contributes.problemMatchers;
    assert.ok(matcher, 'a matcher is declared');
    assert.equal(`$${matcher.name}`, taskMatcher);
    const begins = new RegExp(matcher.background['beginsPattern']!);
    const ends = new RegExp(matcher.background['endsPattern']!);
    const marks = (['○', '✔', '✖', '■', ' '] as const).map((mark) => taskLine(mark, 'x'));
    assert.deepEqual(marks.map((line) => begins.test(line)), [true, false, false, false, false]); // prettier-ignore
    assert.deepEqual(marks.map((line) => ends.test(line)), [false, true, false, false, false]); // prettier-ignore
    for (const line of marks) assert.equal(new RegExp(matcher.pattern.regexp).test(line), false);
  });

  it('writes nothing to its terminal that a server could have put there to be seen as something else', () => {
    assert.equal(taskLine('○', 'a\u001b[2J\r\n✔ ready'), '○ a?[2J??✔ ready');
  });

  it('tells how its tunnel stands', () => {
    const tunnel = { destination: { host: 'bastion' }, spec: mustParseSpec('-L auto:db:5432'), label: 'DB' };
    const { session, tell, listens } = silentSession([tunnel]);
    const line = () => tunnelLine(session.state.wanted.tunnels[0]!, session.state);
    assert.equal(line(), 'DB: connecting');
    tell({ kind: 'connected', connection: 'bastion', server: 'bastion:22' });
    listens(tunnelId(tunnel), { kind: 'tcp', address: '127.0.0.1', port: 4711 });
    assert.equal(line(), 'DB: listening on localhost:4711');
    const failure = { kind: 'connectTimeout', host: 'bastion', port: 22, seconds: 3 } as const;
    tell({ kind: 'connectionLost', connection: 'bastion', failure, attempt: 1, retryAt: 0 });
    assert.match(line()!, /^DB: retrying\. .*bastion/);
    tell({ kind: 'connectionFailed', connection: 'bastion', failure });
    assert.match(line()!, /^DB: failed\. .*bastion/);
  });
});
