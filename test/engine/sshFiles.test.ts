import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { parseDestination } from '../../src/core/destination.js';
import { printSpec } from '../../src/core/forwardSpec.js';
import type { HostRequest } from '../../src/core/plan.js';
import {
  explainOptions,
  localUser,
  readConfigForwards,
  resolveOptions,
  resolveRoute,
} from '../../src/engine/sshFiles.js';
import { hasOpenSsh } from '../support/openSsh.js';

const ended = new AbortController().signal;

/** Does it with ssh out of sight. */
async function withoutSsh<T>(act: () => Promise<T>): Promise<T> {
  process.env['SSH_TUNNELS_NO_SSH'] = '1';
  try {
    return await act();
  } finally {
    delete process.env['SSH_TUNNELS_NO_SSH'];
  }
}

describe('resolveRoute', () => {
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'ssh-tunnels-'))));
  after(() => rmSync(folder, { recursive: true }));

  for (const withSsh of [true, false])
    it(`honours the options of a destination, with blanks in their values, ${withSsh ? 'through' : 'without'} ssh -G`, async () => {
      const key = join(folder, 'my key');
      const config = join(folder, 'config');
      writeFileSync(key, '');
      writeFileSync(config, 'Host bastion\n  Port 2222\nHost *\n  ConnectTimeout 7\n');
      const read = parseDestination(
        `-J ann@bastion -i "${key}" -o 'IdentityAgent="/my agent/socket"' -b 127.0.0.1 -4 -o ServerAliveInterval=9 bob@web01:2200`,
      );
      assert.ok(read.ok);
      const route = await resolveRoute(
        { destination: read.destination, options: [], configFile: withSsh ? config : 'none' },
        new AbortController().signal,
        () => {},
      );
      assert.deepEqual(
        route.map(({ hostName, user, port }) => [hostName, user, port]),
        [
          ['bastion', 'ann', withSsh ? 2222 : 22],
          ['web01', 'bob', 2200],
        ],
      );
      const { identityFiles, identityAgent, bindAddress, addressFamily, serverAliveInterval } = route[1]!;
      assert.deepEqual(
        { identityFiles, identityAgent, bindAddress, addressFamily, serverAliveInterval },
        {
          identityFiles: [key],
          identityAgent: '/my agent/socket',
          bindAddress: '127.0.0.1',
          addressFamily: 4,
          serverAliveInterval: 9,
        },
      );
      assert.equal(route[1]!.connectTimeout === 7, withSsh);
    });
});

for (const withSsh of [true, false])
  describe(`the options of a host, ${withSsh ? 'through ssh -G' : 'by our own resolver'}`, () => {
    let folder: string;
    let configFile: string;
    before(function () {
      if (withSsh && !hasOpenSsh) this.skip();
      folder = mkdtempSync(join(tmpdir(), 'ssh-tunnels-'));
      configFile = join(folder, 'config');
    });
    after(() => folder && rmSync(folder, { recursive: true }));

    const log: string[] = [];
    const request = (text: string, more: Partial<HostRequest> = {}): HostRequest => {
      writeFileSync(configFile, text);
      return { destination: { host: 'web01' }, options: [], configFile, ...more };
    };
    const resolve = (text: string, more: Partial<HostRequest> = {}) => {
      log.length = 0;
      const act = () => resolveOptions(request(text, more), ended, (line) => log.push(line));
      return withSsh ? act() : withoutSsh(act);
    };
    const route = (text: string, more?: Partial<HostRequest>) => {
      const act = () => resolveRoute(request(text, more), ended, () => {});
      return withSsh ? act() : withoutSsh(act);
    };

    for (const { title, text, more = {}, seconds } of [
      { title: 'ours where nobody set one', text: '', seconds: 15 },
      { title: 'ours in the background, too', text: 'BatchMode yes', seconds: 15 },
      { title: 'the one of the user', text: 'ServerAliveInterval 7', seconds: 7 },
      { title: 'none where the user wants none', text: 'Host web*\n  ServerAliveInterval 0', seconds: 0 },
      { title: 'ours where only another host has none', text: 'Host db*\n  ServerAliveInterval 0', seconds: 15 },
      {
        title: 'that of the settings where ssh_config has none',
        text: '',
        more: { keepaliveSeconds: 40 },
        seconds: 40,
      },
      { title: 'none where the settings turn it off', text: 'Host db*\n  ServerAliveInterval 9', more: { keepaliveSeconds: 0 }, seconds: 0 }, // prettier-ignore
      { title: 'the one of the user, whatever the settings say', text: 'ServerAliveInterval 7', more: { keepaliveSeconds: 40 }, seconds: 7 }, // prettier-ignore
      { title: 'none by its older name', text: 'ProtocolKeepAlives 0', seconds: 0 },
      { title: 'none on the command line', text: '', more: { options: [['ServerAliveInterval', '0']] as const }, seconds: 0 }, // prettier-ignore
      { title: 'none where a program has its say', text: 'Match exec true\n  ServerAliveInterval 0', seconds: 0 },
      { title: 'ours where a program says no', text: 'Match exec false\n  ServerAliveInterval 0', seconds: 15 },
    ])
      it(`have a keepalive, which is ${title}`, async () => {
        const act = () => resolveRoute(request(text, more), ended, () => {});
        const [{ serverAliveInterval } = { serverAliveInterval: NaN }] = await (withSsh ? act() : withoutSsh(act));
        assert.equal(serverAliveInterval, seconds);
      });

    it('ask a program of a Match exec once where none bears on the keepalive', async () => {
      const ran = join(folder, 'ran_once');
      await route(`Match exec "echo x >> ${ran}"\n  Port 7\n`);
      assert.equal(readFileSync(ran, 'utf8'), 'x\n');
    });

    it('run a Match exec of the user’s own file, but not for a workspace', async () => {
      const ran = join(folder, 'ran');
      const config = `Match exec "touch ${ran}"\n  Port 7\nHost *\n  User bob\n`;
      const { options } = await resolve(config, { fromWorkspace: true });
      assert.deepEqual([options.get('port'), options.get('user')], [['22'], ['bob']]);
      assert.equal(existsSync(ran), false);
      assert.deepEqual(log, [`web01 comes from a workspace: Match exec (${configFile} line 1) counts as not matched.`]);
      assert.deepEqual((await resolve(config)).options.get('port'), ['7']);
      assert.equal(existsSync(ran), true);
    });

    it('run none for a workspace in what a block that does not match includes', async () => {
      const ran = join(folder, 'included');
      writeFileSync(join(folder, 'more'), `Match all\nMatch exec "touch ${ran}"\n  Port 7\n`, { mode: 0o600 });
      for (const config of [
        `Include ${folder}/more`,
        `Host *\nInclude ${folder}/mor?`,
        `Match final all\nInclude ${folder}/more`,
      ]) {
        // prettier-ignore
        assert.deepEqual((await resolve(config, { fromWorkspace: true })).options.get('port'), ['22'], config);
        assert.equal(existsSync(ran), false, config);
      }
    });

    it('are the same for a workspace where there is no Match exec', async () => {
      const config = 'Host web*\n  Port 7\n  LocalForward 8080 db:80\n';
      const facts = async (more: Partial<HostRequest>) => {
        const { options, forwards } = await resolve(config, more);
        return [options.get('port'), options.get('hostname'), forwards];
      };
      assert.deepEqual(await facts({ fromWorkspace: true }), await facts({}));
      assert.deepEqual(log, []);
    });

    it('tell the forwards, and none that ssh -G makes up', async () => {
      const { forwards } = await resolve('LocalForward 8080 /run/a%%b\nLocalForward "/tmp/x y" db:80\nRemoteForward 1080\nRemoteForward :9 /z\nDynamicForward 8080'); // prettier-ignore
      assert.deepEqual(forwards.map(printSpec).sort(), ['-D 8080', '-L /tmp/x y:db:80', '-L 8080:/run/a%%b', '-R 1080', '-R :9:/z']); // prettier-ignore
    });

    it('narrow no algorithms where nobody asked for it', async () => {
      const [plain] = await route('Port 22');
      assert.deepEqual(
        Object.keys(plain!.algorithms).filter((use) => !['pubkey', 'caSignature'].includes(use)),
        [],
      );
      const [narrow] = await route('KexAlgorithms curve25519-sha256\nCiphers -aes128-ctr');
      assert.deepEqual(narrow!.algorithms.kex, ['curve25519-sha256']);
      assert.ok(narrow!.algorithms.cipher!.length > 2 && !narrow!.algorithms.cipher!.includes('aes128-ctr'));
    });

    it('narrow algorithms wherever somebody asked for it', async () => {
      writeFileSync(join(folder, 'narrowing'), 'ciphers aes256-ctr\n', { mode: 0o600 });
      const narrowed: readonly (readonly [config: string, more?: Partial<HostRequest>])[] = [
        ['"Ciphers" aes256-ctr'],
        [`Include ${folder}/narrowing`],
        [`Match exec true\n  Include ${folder}/narrowing`],
        ['Match originalhost web01\n  Ciphers=aes256-ctr\nHost *\n  Port 22'],
        ['Port 22', { options: [['ciphers', 'aes256-ctr']] }],
      ];
      for (const [config, more] of narrowed) {
        const [narrow] = await route(config, more);
        assert.deepEqual(narrow!.algorithms.cipher, ['aes256-ctr'], config);
        assert.equal(narrow!.algorithms.kex, undefined, config);
      }
      const [other] = await route('Host db*\n  Ciphers aes256-ctr');
      assert.equal(other!.algorithms.cipher, undefined);
    });

    it('leave out an identity file that is not there, and say so', async () => {
      const { options } = await resolve('IdentityFile /a', { options: [['IdentityFile', '/nowhere/key']] });
      assert.deepEqual(options.get('identityfile'), ['/a']);
      assert.deepEqual(log, ['The identity file /nowhere/key is left out: there is none.']);
    });

    it('say of each value where it comes from', async () => {
      const act = () =>
        explainOptions(
          request('Host web*\n  User bob\n  IdentityFile /a\n', { options: [['Port', '7']] }),
          ended,
          () => {},
        );
      const lines = await (withSsh ? act() : withoutSsh(act));
      const source = (keyword: string) => lines.find((line) => line.keyword === keyword)?.source;
      assert.deepEqual(source('user'), { kind: 'file', origin: { file: configFile, line: 2 } });
      assert.deepEqual(source('identityfile'), { kind: 'file', origin: { file: configFile, line: 3 } });
      assert.deepEqual(source('port'), { kind: 'given' });
      assert.deepEqual(source('batchmode'), { kind: 'default' });
    });

    it('are refused with the file and line', async () => {
      await assert.rejects(resolve('\n\nPort x'), { failure: { kind: 'sshConfig', detail: `${configFile} line 3: Bad port 'x'.` } }); // prettier-ignore
      await assert.rejects(resolve('RSAAuthentication yes\nFoo x'), {
        failure: { kind: 'sshConfig', detail: `${configFile}: line 2: Bad configuration option: foo.` },
      });
    });
  });

describe('localUser', () => {
  it('has the home that ssh goes by, whatever HOME says', () => {
    const { HOME } = process.env;
    process.env['HOME'] = join(tmpdir(), 'elsewhere');
    try {
      assert.equal(localUser().home, userInfo().homedir);
    } finally {
      if (HOME === undefined) delete process.env['HOME'];
      else process.env['HOME'] = HOME;
    }
  });
});

describe('what a workspace asks for', () => {
  it('is not put to ssh, which may read other files', async function () {
    if (process.platform === 'win32') this.skip();
    const folder = mkdtempSync(join(tmpdir(), 'ssh-tunnels-'));
    const ran = join(folder, 'ran');
    writeFileSync(join(folder, 'ssh'), `#!/bin/sh\ntouch ${ran}\necho host web01\n`, { mode: 0o755 });
    writeFileSync(join(folder, 'config'), 'Port 7\n');
    const { PATH } = process.env;
    process.env['PATH'] = `${folder}:${PATH ?? ''}`;
    try {
      const request = { destination: { host: 'web01' }, options: [], configFile: join(folder, 'config') };
      const { options } = await resolveOptions({ ...request, fromWorkspace: true }, ended, () => {});
      assert.deepEqual(options.get('port'), ['7']);
      assert.equal(existsSync(ran), false);
      await resolveOptions(request, ended, () => {});
      assert.equal(existsSync(ran), true);
    } finally {
      process.env['PATH'] = PATH;
      rmSync(folder, { recursive: true });
    }
  });
});

describe('readConfigForwards', () => {
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'ssh-tunnels-'))));
  after(() => rmSync(folder, { recursive: true }));

  it('lists the forwards of each host by name, with all blocks that match it, and runs nothing', async () => {
    const file = join(folder, 'config');
    const more = join(folder, 'more');
    const ran = join(folder, 'ran');
    writeFileSync(more, 'Host db\n  RemoteForward 9000 localhost:90\n', { mode: 0o600 });
    writeFileSync(
      file,
      `Host web01 web02 *.old !x\n  LocalForward 8080 /run/%h\nHost web02\n  ClearAllForwardings yes\nHost *\nInclude ${more}\nInclude ${folder}/none*\nMatch exec "touch ${ran}"\n  DynamicForward 1\nHost *\n  CanonicalizeHostname yes\n  CanonicalDomains example.invalid\n  CanonicalizeFallbackLocal no\n  DynamicForward 1080\n`,
    );
    const { forwards, problems, files } = await readConfigForwards(file);
    assert.deepEqual(
      forwards.map(({ host, spec, origin }) => [host, printSpec(spec), origin.file, origin.line]),
      [
        ['web01', '-L 8080:/run/%h', file, 2],
        ['web01', '-D 1080', file, 14],
        ['db', '-R 9000:localhost:90', more, 2],
        ['db', '-D 1080', file, 14],
      ],
    );
    assert.deepEqual(problems, []);
    assert.deepEqual(files, [file, more, `${folder}/none*`]);
    assert.equal(existsSync(ran), false);
  });

  it('has the line that ssh would refuse once, and no forwards', async () => {
    const file = join(folder, 'config');
    writeFileSync(file, 'Host a b\n  LocalForward 80 x\nHost c\n  LocalForward 1 a:1\n');
    const { forwards, problems, files } = await readConfigForwards(file);
    assert.deepEqual(forwards, []);
    assert.deepEqual(problems, [{ origin: { file, line: 2 }, message: 'Bad forwarding specification.' }]);
    assert.deepEqual(files, [file]);
  });

  it('lists a thousand hosts soon, and lets tunnels have their turn', async function () {
    this.timeout(10_000);
    const file = join(folder, 'thousand');
    const host = (at: number) => `Host h${at}\n  HostName 10.0.0.${at % 256}\n  LocalForward ${at + 1} x:1\n`;
    writeFileSync(file, `${Array.from({ length: 1000 }, (_, at) => host(at)).join('')}Host *\n  Port 22\n`);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const started = performance.now();
    const { forwards } = await readConfigForwards(file);
    clearInterval(timer);
    assert.equal(forwards.length, 1000);
    assert.ok(performance.now() - started < 4000);
    assert.ok(turns >= 5, String(turns));
  });

  it('reads files once for all who ask meanwhile, and again only when something has changed', async () => {
    const file = join(folder, 'steady');
    const more = join(folder, 'steady.d');
    mkdirSync(more);
    const write = (path: string, text: string) => {
      writeFileSync(path, text, { mode: 0o600 });
      utimesSync(path, 1_000_000_000, 1_000_000_000);
    };
    write(file, `Include ${more}/*\nHost a\n  LocalForward 1 x:1\n`);
    const [one, other] = await Promise.all([readConfigForwards(file), readConfigForwards(file)]);
    assert.equal(one, other);
    assert.equal(await readConfigForwards(file), one);
    write(join(more, 'new'), 'Host b\n  LocalForward 2 x:1\n');
    const grown = await readConfigForwards(file);
    assert.deepEqual(grown.forwards.map(({ host }) => host), ['a', 'b']); // prettier-ignore
    write(file, 'Host c\n  LocalForward 3 x:1\n');
    assert.deepEqual((await readConfigForwards(file)).forwards.map(({ host }) => host), ['c']); // prettier-ignore
  });

  it('tells of a line that ssh would refuse where there is no forward, too', async () => {
    const file = join(folder, 'config');
    writeFileSync(file, 'Host a\n  Foo x\n');
    assert.deepEqual((await readConfigForwards(file)).problems.map(({ origin }) => origin.line), [2]); // prettier-ignore
  });

  it('has nothing of a file that is not there but its name', async () =>
    assert.deepEqual(await readConfigForwards(join(folder, 'nope')), { forwards: [], problems: [], files: [join(folder, 'nope')] })); // prettier-ignore
});
