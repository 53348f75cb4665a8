import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseDestination, printDestination } from '../../src/core/destination.js';
import { parseSpec, printSpec } from '../../src/core/forwardSpec.js';
import {
  fillPreset,
  needsTrust,
  parsePresets,
  presetFingerprint,
  presetTunnels,
  printPreset,
  type PresetScope,
  type PresetWorld,
} from '../../src/core/preset.js';
import { fillForward, fillHost, inputsOf, type Answers, type VariableWorld } from '../../src/core/presetVariables.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

const shop = { name: 'shop', path: '/home/bob/my shop' };
const api = { name: 'api', path: 'C:\\work\\api' };
const world: VariableWorld = {
  folders: [shop],
  env: { HOST: 'web01', PORT: '2222', EMPTY: '', SECRET: 's3cr3t word' },
};

describe('a variable in a forward', () => {
  const filled = (text: string, answers: Answers = {}, where = world) => {
    const result = fillForward(text, where, answers);
    return result.kind === 'filled' ? printSpec(result.value) : result;
  };
  const message = (text: string, answers: Answers = {}, where = world) => {
    const result = fillForward(text, where, answers);
    return result.kind === 'wrong' ? result.problems.map(({ message }) => message).join('; ') : result.kind;
  };

  it('stands for a folder, something of the environment or an answer', () => {
    assert.equal(filled('-L ${workspaceFolder}/db.sock:${env:HOST}:5432'), '-L /home/bob/my shop/db.sock:web01:5432');
    assert.equal(filled('-L ${workspaceFolder:shop}/a:/b'), '-L /home/bob/my shop/a:/b');
    assert.equal(filled('-L ${env:PORT}:${input:db}:5432', { db: 'db1' }), '-L 2222:db1:5432');
    assert.equal(filled('-D ${input:port}', { port: 'auto' }), '-D auto');
    assert.equal(filled('-L 2375:${input:target}', { target: '/var/run/docker.sock' }), '-L 2375:/var/run/docker.sock');
  });

  it('stands for the folder whose settings they are, in a workspace of several', () => {
    const folders = [shop, api];
    assert.equal(filled('-L ${workspaceFolder}/a:/b', {}, { folders, folder: shop }), '-L /home/bob/my shop/a:/b');
    assert.match(message('-L ${workspaceFolder}/a:/b', {}, { folders }), /several folders.*\$\{workspaceFolder:shop\}/);
    assert.deepEqual(fillForward('-L [${workspaceFolder:api}/a]:/b', { folders }), {
      kind: 'filled',
      value: {
        kind: 'local',
        listen: { kind: 'unix', path: 'C:\\work\\api/a' },
        target: { kind: 'unix', path: '/b' },
      },
    });
  });

  it('is data, whatever marks it has', () => {
    assert.equal(filled('-L 80:${input:host}:80', { host: '::1' }), '-L 80:[::1]:80');
    assert.equal(filled('-L 80:[${input:host}]:80', { host: '::1' }), '-L 80:[::1]:80');
    assert.equal(filled('-L 80:${input:path}', { path: '/a:1:[b]\\' }), '-L 80:/a\\:1\\:\\[b\\]\\\\');
    assert.equal(filled('-R 80:${input:path}', { path: '/${HOME}' }), '-R 80:/$\\{HOME}');
    assert.match(message('-L ${input:listen}:db:5432', { listen: '0.0.0.0:8080' }), /“0.0.0.0:8080” is not a port to/);
    assert.match(message('-L 80:${input:host}:80', { host: 'a b' }), /a blank inside/);
    assert.match(message('-L ${input:bind}:80:db:80', { bind: '' }), /nothing is answered/);
  });

  it('may not hold what nobody sees, or nothing', () => {
    assert.match(message('-L 80:${input:host}:80', { host: 'a\nb' }), /a mark in it that nobody sees/);
    assert.match(message('-L 80:${env:EMPTY}:80'), /EMPTY is not set/);
    assert.match(message('-L 80:${env:NOWHERE}:80'), /NOWHERE is not set/);
  });

  it('is named with its place where it is not known', () => {
    assert.deepEqual(fillForward('-L 80:${file}:80', world), {
      kind: 'wrong',
      problems: [
        {
          at: 6,
          length: 7,
          message:
            '${file} is not known here; the variables of presets are ${workspaceFolder}, ${workspaceFolder:name}, ${env:NAME}, ${input:name}',
        },
      ],
    });
    assert.match(message('-L ${HOME}/a:/b'), /write \$\{env:HOME\}/);
    assert.match(message('-L 80:${input:a b}:80'), /needs a name/);
    assert.match(message('-L 80:${workspaceFolder:api}:80'), /no folder called “api”/);
    assert.match(message('-L ${workspaceFolder}/a:/b', {}, { folders: [] }), /no folder is open/);
    assert.equal(message('-L 80:${}:80'), 'no name between ${ and }');
    assert.equal(message('-L 80:${x:80'), '} missing');
  });

  it('is one of a few, so that no text takes long to read', () => {
    assert.equal(message(`-L 80:${'${env:HOST}'.repeat(21)}:80`), 'more than 20 variables in one text');
    const began = performance.now();
    assert.equal(message(`-L 80:${'${'.repeat(200_000)}:80`), '} missing');
    assert.notEqual(fillHost('${env:HOST}'.repeat(20_000), world).kind, 'filled');
    assert.ok(performance.now() - began < 2000, 'too slow');
  });

  it('leaves the forward unfilled until it is answered, but tells at once what can’t become right', () => {
    assert.deepEqual(fillForward('-L ${input:port}:${input:target}', world), { kind: 'unfilled' });
    assert.deepEqual(fillForward('-L 5432:${env:HOST}:80', { folders: [] }), { kind: 'unfilled' });
    assert.equal(message('-L 5432:db:${input:port}:x:y'), 'too many fields; write an IPv6 address in [brackets]');
    assert.equal(message('-L ${input:all}'), 'target missing; write port:host:hostport');
  });

  it('never has what the environment holds in a problem', () => {
    assert.equal(message('-L 80:db:${env:SECRET}'), 'a blank inside the forward');
    assert.equal(message('-L 80:db:x${env:HOST}'), '“x${env:HOST}” is not a target port (1 to 65535)');
  });

  it('makes no other field, bracket or escape than the text without it has', () => {
    const value = fc.oneof(
      fc.string({ minLength: 1 }),
      fc.string({ unit: fc.constantFrom(...':[]\\/ *-$@{}a1\n'), minLength: 1 }),
      fc.constantFrom('::1', '*', '0', '/x', '80:evil:80', ']:80', '\\', '${HOME}', 'auto', '0.0.0.0:80'),
    );
    const templates = [
      ['-L 5432:${input:x}:5432', 'host'],
      ['-L [${input:x}]:5432:db:5432', 'bind'],
      ['-L ${input:x}:5432:db:5432', 'bind'],
      ['-R 5432:a${input:x}b:5432', 'host'],
      ['-D ${input:x}:1080', 'bind'],
    ] as const;
    let read = 0;
    fc.assert(
      fc.property(value, fc.constantFrom(...templates), (x, [text, part]) => {
        const result = fillForward(text, world, { x });
        if (result.kind !== 'filled') return;
        read++;
        const spec = result.value;
        const given = text.includes('a${') ? `a${x}b` : x;
        if (part === 'bind') {
          assert.ok(spec.listen.kind === 'tcp', 'a socket');
          assert.equal(spec.listen.bind, given);
        } else {
          assert.ok(spec.kind !== 'dynamic' && spec.target.kind === 'tcp', 'no TCP target');
          assert.deepEqual(spec.target, { kind: 'tcp', host: given, port: 5432 });
        }
        const again = parseSpec(printSpec(spec));
        assert.ok(again.ok, printSpec(spec));
        assert.deepEqual(again.spec, spec);
      }),
      { numRuns: 3000 },
    );
    assert.ok(read > 100, `${read} of them read`);
  });
});

describe('a variable in a host', () => {
  const filled = (text: string, answers: Answers = {}, where = world) => {
    const result = fillHost(text, where, answers);
    return result.kind === 'filled' ? printDestination(result.value) : result;
  };
  const message = (text: string, answers: Answers = {}, where = world) => {
    const result = fillHost(text, where, answers);
    return result.kind === 'wrong' ? result.problems.map(({ message }) => message).join('; ') : result.kind;
  };

  it('stands for a user, a name or address, a port, or a part of these', () => {
    assert.equal(filled('${input:who}@${env:HOST}.example:${env:PORT}', { who: 'bob' }), 'bob@web01.example:2222');
    assert.equal(filled('${input:host}', { host: '::1' }), '[::1]');
    assert.equal(filled('ssh://${input:host}:${input:port}', { host: 'web', port: '22' }), 'web:22');
    assert.equal(filled('${input:who}@web', { who: 'bob@example.com' }), 'bob@example.com@web');
    assert.equal(filled('web50001-${input:n}', { n: '7' }), 'web50001-7');
  });

  it('stands for what an option says, with blanks too', () => {
    assert.equal(
      filled('-i ${workspaceFolder}/100%.key -J ${input:hop} web', { hop: 'bastion' }),
      "-J bastion -i '/home/bob/my shop/100%.key' web",
    );
    assert.equal(filled('-i "${workspaceFolder}/key" web'), "-i '/home/bob/my shop/key' web");
    assert.equal(filled('-p ${env:PORT} -l ${input:who} web', { who: 'bob' }), 'bob@web:2222');
    assert.equal(filled('-o ConnectTimeout=${input:s} web', { s: '5' }), '-o ConnectTimeout=5 web');
  });

  it('has its marks kept from being replaced once more by ssh', () => {
    assert.equal(filled('-i ${input:key} web', { key: '/a/%h' }), '-i /a/%%h web');
    assert.match(message('-i ${input:key} web', { key: '/a/${HOME}' }), /one part of the host alone/);
  });

  it('is no other part of the host, and no option', () => {
    const one = /one part of the host alone/;
    assert.match(message('${input:host}', { host: 'bob@web' }), one);
    assert.match(message('${input:host}', { host: 'web:22' }), one);
    assert.match(message('-J ${input:hop} web', { hop: 'a,b' }), one);
    assert.match(message('-J ${input:hop} web', { hop: 'a@b' }), one);
    assert.match(message('${input:host}', { host: '-oProxyCommand=x' }), /ProxyCommand can’t be set here/);
    assert.match(message('${input:host}', { host: '-4' }), /host missing/);
    assert.match(message('-4 ${input:host}', { host: '-J x' }), /host missing/);
    assert.match(message('${input:host}', { host: 'web -J x' }), one);
    assert.equal(message('web:${input:port}', { port: '22x' }), '“22x” is not a port (1 to 65535)');
    assert.match(message('web${input:x}', { x: '\n' }), /nobody sees/);
    assert.match(message('-o ${input:x} web', { x: 'ProxyCommand=x' }), /is not a value of -o/);
    assert.match(message('-${input:x} web', { x: 'A' }), /ssh has no option/);
  });

  it('leaves to ssh what ssh knows', () => {
    assert.equal(filled("-i '${HOME}/.ssh/key' web"), "-i '${HOME}/.ssh/key' web");
    assert.match(message('-i ${userHome}/key web'), /\$\{userHome\} is not known here/);
    assert.match(message('${HOME}'), /can’t be part of a name/);
  });

  it('is named with its place', () => {
    assert.deepEqual(fillHost('bob@${env:NOWHERE}:22', world), {
      kind: 'wrong',
      problems: [
        {
          at: 4,
          length: 14,
          message:
            'the environment variable NOWHERE is not set; set it where VS Code is started, or write what it stands for',
        },
      ],
    });
    const result = fillHost('${input:who}@web:x', world);
    assert.deepEqual(result, { kind: 'wrong', problems: [{ at: 17, message: '“x” is not a port (1 to 65535)' }] });
  });

  it('leaves the host unfilled until it is answered or may be read', () => {
    assert.deepEqual(fillHost('${input:who}@${env:HOST}', world), { kind: 'unfilled' });
    assert.deepEqual(fillHost('${env:HOST}', { folders: [] }), { kind: 'unfilled' });
  });

  it('changes nothing but its own part', () => {
    const value = fc.oneof(
      fc.string({ minLength: 1 }),
      fc.string({ unit: fc.constantFrom(...'@:,[]-= "\'$%/\\oJab1\n'), minLength: 1 }),
      fc.constantFrom('::1', '-J x', 'a@b', 'a:1', 'a,b', '-oProxyCommand=x', "' -J x '", '%h', '50001'),
    );
    let read = 0;
    fc.assert(
      fc.property(
        value,
        fc.constantFrom(
          'bob@${input:x}:22',
          '${input:x}@web:22',
          '-J ${input:x} -4 bob@web:22',
          '-i "${input:x}" bob@web',
        ),
        (x, text) => {
          // prettier-ignore
          const result = fillHost(text, world, { x });
          if (result.kind !== 'filled') return;
          read++;
          const sample = parseDestination(text.replace('${input:x}', 'sample'));
          assert.ok(sample.ok, text);
          const put = (one: string) =>
            one.replace('sample', () => (text.startsWith('-i') ? x.replaceAll('%', '%%') : x));
          const { host, user, port, options } = sample.destination;
          assert.deepEqual(result.value, {
            host: put(host),
            ...(user !== undefined && { user: put(user) }),
            ...(port !== undefined && { port }),
            ...(options && { options: options.map(([keyword, one]) => [keyword, put(one)]) }),
          });
        },
      ),
      { numRuns: 3000 },
    );
    assert.ok(read > 100, `${read} of them read`);
  });
});

describe('the inputs of a preset', () => {
  const stored = {
    name: 'DB',
    host: '${input:who}@${env:HOST}',
    forwards: ['-L 5432:${input:db}:5432'],
    inputs: { db: { description: 'Which database?', default: 'staging', options: ['staging', 'prod'] } },
  };
  const read = (world: PresetWorld) => parsePresets([stored], { kind: 'workspace' }, world);

  it('are asked in the order in which they stand, by their names where nothing is told', () => {
    const [preset] = read(world).presets;
    assert.deepEqual(preset?.questions, [{ id: 'who' }, { id: 'db', ...stored.inputs.db }]);
    assert.deepEqual(inputsOf(['${input:b} ${input:a}', '${input:b}${env:x}']), ['b', 'a']);
  });

  it('leave a preset without tunnels until they are answered', () => {
    const { presets, problems } = read(world);
    assert.deepEqual(problems, []);
    assert.equal(presets[0]?.isUnfilled, true);
    assert.deepEqual(presetTunnels(presets[0]), []);
    const filled = fillPreset(presets[0], world, { who: 'bob', db: 'prod' });
    assert.ok(filled.ok, 'not filled');
    assert.deepEqual(presetTunnels(filled.preset), [
      {
        destination: { host: 'web01', user: 'bob' },
        spec: mustParseSpec('-L 5432:prod:5432'),
        label: 'DB',
        fromWorkspace: true,
      },
    ]);
    const half = fillPreset(presets[0], world, { who: 'bob' });
    assert.ok(half.ok && half.preset.isUnfilled, 'filled by half the answers');
    assert.deepEqual(fillPreset(presets[0], world, { who: 'bob', db: 'a b' }), {
      ok: false,
      message: 'a blank inside the forward',
    });
  });

  it('are filled by what was last answered, and are forgotten where it fits no more', () => {
    const answered = (answers: Answers) => read({ ...world, answers: () => answers }).presets[0]!;
    assert.deepEqual(answered({ who: 'bob', db: 'prod' }).destination, { host: 'web01', user: 'bob' });
    assert.equal(answered({ who: 'bob', db: 'a b' }).isUnfilled, true);
    assert.equal(answered({ who: '', db: 'prod' }).isUnfilled, true);
  });

  it('make it another preset with every answer, as the environment does', () => {
    const one = read({ ...world, answers: () => ({ who: 'bob', db: 'prod' }) }).presets[0]!;
    const other = read({ ...world, answers: () => ({ who: 'bob', db: 'staging' }) }).presets[0]!;
    const moved = read({ ...world, env: { HOST: 'evil' }, answers: () => ({ who: 'bob', db: 'prod' }) }).presets[0]!;
    assert.equal(new Set([one, other, moved].map(presetFingerprint)).size, 3);
  });

  it('are written as they stand, and read back to the same', () => {
    for (const where of [world, { ...world, answers: () => ({ who: 'bob', db: 'prod' }) }, { folders: [] }]) {
      const [preset] = read(where).presets;
      assert.deepEqual(printPreset(preset!), stored);
      assert.deepEqual(parsePresets([printPreset(preset!)], preset!.scope, where).presets, [preset]);
    }
  });
});

describe('presets of a workspace that is not trusted', () => {
  it('read nothing of the environment, and show what is written', () => {
    const stored = { name: 'DB', host: '${env:HOST}', forwards: ['-L 5432:db:5432'] };
    const { presets, problems } = parsePresets([stored], { kind: 'workspace' }, { folders: [] });
    assert.deepEqual(problems, []);
    assert.deepEqual(presets[0]?.forwards, []);
    assert.deepEqual(presets[0]?.written, { host: stored.host, forwards: stored.forwards });
  });

  it('have its folders stand for nothing, also in the user’s own presets', () => {
    const folders = [{ name: 'db', path: '/tmp/theirs' }];
    for (const variable of ['workspaceFolder', 'workspaceFolder:db', 'workspaceFolder:other']) {
      const stored = { name: 'DB', host: 'web01', forwards: [`-L \${${variable}}/x.sock:db:5432`] };
      const { presets, problems } = parsePresets([stored], { kind: 'user' }, { folders, isUntrusted: true, env: {} });
      assert.deepEqual(problems, []);
      assert.deepEqual(presets[0]?.forwards, []);
      assert.equal(presets[0]?.isUnfilled, true);
      assert.equal(needsTrust(presets[0]), true);
    }
  });

  it('do not keep the user’s own waiting that are about nothing of it', () => {
    const needs = (host: string, forward: string, scope: PresetScope = { kind: 'user' }) => {
      const [preset] = parsePresets([{ name: 'DB', host, forwards: [forward] }], scope).presets;
      return needsTrust(preset!);
    };
    assert.equal(needs('web01', '-L 5432:db:5432'), false);
    assert.equal(needs('${input:host}', '-L 5432:${input:workspaceFolder}:5432'), false);
    assert.equal(needs('web01', '-L 5432:db:5432', { kind: 'folder', folder: 'shop' }), true);
  });
});
