// Why a host is reached as it is, with real servers: what is told, that nothing is asked, and that nothing is left behind.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { printExplanation, type Explanation } from '../../src/core/explanation.js';
import { printSpec } from '../../src/core/forwardSpec.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { freePort, keygen, lockKey, startSshd, type Sshd } from '../support/sshd.js';

describe('explain', () => {
  const held = heldResources();
  let outer: Sshd;
  let inner: Sshd;
  let engine: EngineProbe;

  before(async () => {
    outer = await startSshd();
    inner = await startSshd();
  });
  beforeEach(() => (engine = probe(createEngine())));
  afterEach(() => engine.close());
  after(async () => {
    await Promise.all([outer.stop(), inner.stop()]);
    await eventually(() => assert.deepEqual(heldBeyond(held), []));
  });

  const explain = async (host: string, configFile: string): Promise<Explanation> => {
    const explanation = await engine.engine.explain(planned(host, [], { configFile }).host);
    // It asks nobody, and everybody has gone.
    assert.deepEqual(engine.kinds(), []);
    await eventually(() => assert.deepEqual([outer.sessions(), inner.sessions()].flat(), []));
    return explanation;
  };
  const fingerprintOf = (path: string) =>
    execFileSync('ssh-keygen', ['-lf', path], { encoding: 'utf8' }).split(' ')[1]!;
  const phasesOf = ({ hosts }: Explanation) => hosts.map(({ phases }) => phases.map(({ phase }) => phase));
  const wholeWay = ['connect', 'handshake', 'hostKey', 'authentication', 'ready'];

  it('tells of each host of the way its options with their lines, keys, known_hosts and the time of each phase', async () => {
    const config = outer.configPath('bastion');
    const lines = readFileSync(config, 'utf8').split('\n').length;
    const secret = 'LocalForward 5432 db:5432';
    appendFileSync(config, readFileSync(inner.configPath('web01', ['ProxyJump bastion', secret]), 'utf8'));
    const explanation = await explain('web01', config);
    assert.equal(explanation.failure, undefined);
    assert.deepEqual(phasesOf(explanation), [wholeWay, wholeWay]);
    const [bastion, web01] = explanation.hosts;
    assert.deepEqual([bastion?.name, web01?.name], ['bastion', 'web01']);
    assert.equal(web01?.server, `${inner.user}@127.0.0.1:${inner.port}`);
    const port = web01.options.find(({ keyword }) => keyword === 'port');
    assert.deepEqual(port, {
      keyword: 'port',
      value: String(inner.port),
      source: { kind: 'file', origin: { file: config, line: lines + 4 } },
    });
    assert.deepEqual(web01.options.find(({ keyword }) => keyword === 'batchmode')?.source, { kind: 'default' });
    assert.deepEqual(web01.identities, [
      { name: inner.keyPath, keyType: 'ssh-ed25519', fingerprint: fingerprintOf(inner.keyPath) },
    ]);
    assert.deepEqual(web01.knownHosts, {
      name: `[127.0.0.1]:${inner.port}`,
      lines: [
        {
          file: inner.knownHostsPath,
          line: 1,
          keyType: 'ssh-ed25519',
          fingerprint: fingerprintOf(`${inner.hostKeyPath}.pub`),
        },
      ],
    });
    assert.deepEqual(
      explanation.forwards.map(({ spec, origin }) => [printSpec(spec), origin.line]),
      [['-L 5432:db:5432', lines + 2]],
    );
  });

  it('says where a person would be asked, and remembers nothing', async () => {
    const known = join(outer.folder, 'known_to_nobody');
    for (const strict of ['ask', 'accept-new', 'no']) {
      const config = outer.configPath('web01', [`UserKnownHostsFile ${known}`, `StrictHostKeyChecking ${strict}`]);
      const explanation = await explain('web01', config);
      const [host] = explanation.hosts;
      if (strict === 'ask') {
        const key = `ssh-ed25519 ${fingerprintOf(`${outer.hostKeyPath}.pub`)}`;
        assert.deepEqual(host?.asked, [`whether the host key of [127.0.0.1]:${outer.port} is right (${key})`]);
        assert.equal(explanation.failure?.kind, 'hostKeyUnknown');
        assert.deepEqual(phasesOf(explanation), [['connect', 'handshake', 'hostKey']]);
      } else {
        assert.deepEqual([host?.asked, explanation.failure], [[], undefined]);
      }
      assert.equal(existsSync(known), false, strict);
    }
  });

  it('tells keys whose passphrase would be asked for, and files that are not there', async () => {
    const locked = join(outer.folder, 'locked');
    keygen(locked);
    lockKey(locked, 'hunter2hunter2');
    appendFileSync(outer.authorizedKeysPath, readFileSync(`${locked}.pub`));
    const missing = join(outer.folder, 'missing');
    const config = outer.configPath('web01', [`IdentityFile ${missing}`, `IdentityFile ${locked}`]);
    writeFileSync(config, readFileSync(config, 'utf8').replace(`  IdentityFile ${outer.keyPath}\n`, ''));
    const explanation = await explain('web01', config);
    const [host] = explanation.hosts;
    assert.deepEqual([host?.missing, host?.identities.map(({ name }) => name)], [[missing], [locked]]);
    assert.deepEqual(host?.asked, [`for the passphrase of ${locked}`]);
    assert.equal(explanation.failure?.kind, 'authFailed');
    assert.equal(phasesOf(explanation)[0]?.at(-1), 'authentication');
  });

  it('tells the agent’s keys, in the order in which they would be offered', async () => {
    const socket = join(outer.folder, 'agent.sock');
    const [, pid] = /SSH_AGENT_PID=(\d+)/.exec(execFileSync('ssh-agent', ['-s', '-a', socket], { encoding: 'utf8' }))!;
    try {
      const other = join(outer.folder, 'other');
      keygen(other);
      const env = { ...process.env, SSH_AUTH_SOCK: socket };
      for (const key of [other, outer.keyPath]) execFileSync('ssh-add', ['-q', key], { env, stdio: 'ignore' });
      const config = outer.configPath('web01', [`IdentityAgent ${socket}`, 'IdentitiesOnly no']);
      const [host] = (await explain('web01', config)).hosts;
      assert.ok(host?.agent && 'keys' in host.agent);
      assert.deepEqual(
        host.agent.keys.map((key) => key.fingerprint),
        [other, outer.keyPath].map(fingerprintOf),
      );
      assert.deepEqual(
        host.identities.map((key) => key.fingerprint),
        [outer.keyPath, other].map(fingerprintOf),
      );
      assert.equal(host.identities[0]?.note, `named by ${outer.keyPath}`);
    } finally {
      process.kill(Number(pid));
    }
    const gone = outer.configPath('web01', [`IdentityAgent ${join(outer.folder, 'no-agent')}`]);
    const [host] = (await explain('web01', gone)).hosts;
    assert.ok(host?.agent && 'failure' in host.agent);
    assert.deepEqual(host.notes, []);
  });

  it('tells how far it came where nobody answers, or the way leads in a circle', async () => {
    const closed = await freePort();
    const config = outer.configPath('bastion');
    appendFileSync(config, `Host web01\n  HostName 127.0.0.1\n  Port ${closed}\n  ProxyJump bastion\n`);
    appendFileSync(config, 'Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n');
    const refused = await explain('web01', config);
    assert.deepEqual(phasesOf(refused), [wholeWay, ['connect']]);
    assert.equal(refused.failure?.kind, 'hopRefused');
    const circle = await explain('a', config);
    assert.deepEqual([circle.hosts, circle.failure?.kind], [[], 'jumpLoop']);
  });

  it('asks ssh_config no more often than it must', async () => {
    const runs = join(outer.folder, 'runs');
    const config = outer.configPath('web01');
    appendFileSync(config, `Match originalhost web01 exec "echo x >> ${runs}"\n  Compression yes\n`);
    await explain('web01', config);
    // For the way, for the options, and once more for the lines that they stand in.
    assert.equal(readFileSync(runs, 'utf8').split('\n').length - 1, 3);
  });

  it('ends when it is called off', async () => {
    const started = join(outer.folder, 'started');
    const config = outer.configPath('web01', [`ProxyCommand sh -c "touch ${started}; sleep 60"`]);
    const abort = new AbortController();
    const rejected = assert.rejects(
      engine.engine.explain(planned('web01', [], { configFile: config }).host, abort.signal),
      { failure: { kind: 'cancelled' } },
    );
    await eventually(() => assert.ok(existsSync(started)));
    const since = performance.now();
    abort.abort();
    await rejected;
    assert.ok(performance.now() - since < 3000);
  });

  it('leaves out secrets and the home directory, be it ssh’s or $HOME', async () => {
    const config = outer.configPath('web01', [
      'IdentityFile ~/.ssh/no_such_key',
      'IdentityFile ${HOME}/.ssh/none_either',
      'ProxyCommand sh -c "exit 3" hunter2',
      'SetEnv TOKEN=hunter2',
    ]);
    const { homedir: home } = userInfo();
    const { HOME } = process.env;
    process.env['HOME'] = join(outer.folder, 'other-home');
    const explanation = await explain('web01', config).finally(() => {
      if (HOME === undefined) delete process.env['HOME'];
      else process.env['HOME'] = HOME;
    });
    const text = printExplanation(explanation, 'about');
    assert.match(text, /~\/\.ssh\/no_such_key/);
    assert.match(text, /\$HOME\/\.ssh\/none_either/);
    assert.match(text, /proxycommand +sh …/);
    assert.match(text, /setenv +TOKEN=…/);
    for (const secret of ['hunter2', `${home}/`, 'other-home']) assert.ok(!text.includes(secret), text);
    for (const key of [outer.keyPath, `${outer.keyPath}.pub`])
      assert.ok(!text.includes(readFileSync(key, 'utf8').split(' ')[1]!.slice(0, 40)));
  });
});
