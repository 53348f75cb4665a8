// Secrets go in everywhere, and nothing that is shown, logged, kept or copied has one of them.
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuthContext } from 'ssh2';
import { noConfigForwards } from '../../src/core/configForward.js';
import { parseDestination } from '../../src/core/destination.js';
import { printDiagnostics } from '../../src/core/diagnostics.js';
import type { Ask, EngineEvent, Reply } from '../../src/core/engine.js';
import { eventText } from '../../src/core/eventText.js';
import { printExplanation } from '../../src/core/explanation.js';
import { failureOf, type Failure } from '../../src/core/failure.js';
import type { Logged } from '../../src/core/logFolding.js';
import { defaultWaits, requestFor } from '../../src/core/plan.js';
import { parsePresets } from '../../src/core/preset.js';
import { present } from '../../src/core/present.js';
import { readTunnels, storeTunnels } from '../../src/core/restore.js';
import { createSession, wantTunnels, type NewTunnel } from '../../src/core/session.js';
import { tunnelState } from '../../src/core/snapshot.js';
import { failureText } from '../../src/core/wording.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { framed, identitiesAnswer, makeSecurityKey, startFakeAgent, string } from '../support/fakeAgent.js';
import { startForgedServer } from '../support/forgedServer.js';
import { mustParseSpec } from '../support/mustParseSpec.js';
import { freePort, keygen, lockKey, publicKey, startSshd, type Sshd } from '../support/sshd.js';

/** What may stand for a secret in a text: itself, as JSON has it, in hex, and in base64 wherever in a longer text it stood. */
function formsOf(secret: string | Buffer): string[] {
  const bytes = Buffer.from(secret as string);
  const inBase64 = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
  });
  const hex = bytes.toString('hex');
  const plain = typeof secret === 'string' ? [secret, JSON.stringify(secret).slice(1, -1)] : [];
  const urlSafe = inBase64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'));
  return [...plain, ...inBase64, ...urlSafe, hex, hex.toUpperCase(), hex.match(/../g)!.join(':')];
}

function holds(text: string, secret: string | Buffer): boolean {
  return formsOf(secret).some((form) => text.includes(form));
}

function assertHasNone(text: string, secrets: readonly (string | Buffer)[]): void {
  assert.ok(text.length > 100, 'there is something to search');
  const found = secrets.findIndex((secret) => holds(text, secret));
  const at = found < 0 ? -1 : formsOf(secrets[found]!).map((form) => text.indexOf(form)).find((at) => at >= 0)!; // prettier-ignore
  assert.equal(
    found,
    -1,
    found < 0 ? '' : `secret ${found} stands in “${text.slice(Math.max(0, at - 200), at + 100)}”`,
  );
}

describe('the search for secrets', () => {
  it('finds each form of one', () => {
    const secret = 'open sesame "?~';
    for (const before of ['', 'a', 'ab'])
      for (const encoding of ['base64', 'base64url', 'hex'] as const)
        assert.equal(holds(`x ${Buffer.from(`${before}${secret}z`).toString(encoding)} y`, secret), true, encoding);
    assert.equal(holds(JSON.stringify({ secret }), secret), true);
    assert.equal(holds('close sesame', secret), false);
    assert.throws(() => assertHasNone(`${'-'.repeat(100)}${secret}`, [secret]));
  });
});

describe('a secret', function () {
  let heldBefore: string[];
  let folder: string;
  let sshd: Sshd;
  const closers: (() => unknown)[] = [];
  const file = (name: string) => join(folder, name);

  before(async () => {
    heldBefore = heldResources();
    folder = mkdtempSync(join(tmpdir(), 'secrets-'));
    sshd = await startSshd();
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });
  after(async () => {
    await sshd.stop();
    rmSync(folder, { recursive: true, force: true });
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  let configs = 0;
  const configOf = (
    lines: readonly string[],
    server: { port: number; user: string; knownHostsPath: string } = sshd,
  ) => {
    const path = file(`config-${++configs}`);
    const set = new Set(lines.map((line) => line.split(' ', 1)[0]));
    const more = ['IdentityAgent none', 'IdentityFile none'].filter((line) => !set.has(line.split(' ', 1)[0]));
    const way = ['HostName 127.0.0.1', `Port ${server.port}`, `User ${server.user}`];
    const known = [`UserKnownHostsFile ${server.knownHostsPath}`, 'GlobalKnownHostsFile /dev/null'];
    writeFileSync(path, ['Host web01', ...lines, ...more, ...way, ...known, ''].join('\n'), { mode: 0o600 });
    return path;
  };
  const forged = async (logIn: (context: AuthContext) => void): Promise<string> => {
    const server = await startForgedServer(() => {}, { logIn });
    closers.push(() => server.close());
    return server.configPath;
  };

  /** Starts a tunnel, waits for what becomes of it, and gives that with all that is shown, logged, kept and copied of it. */
  const everythingOf = async (
    configFile: string,
    answer: (ask: Ask, count: number) => Reply = () => ({ kind: 'cancel' }),
  ): Promise<{ state: string; asks: number; text: string }> => {
    const engine = createEngine();
    closers.push(() => engine.close());
    const session = createSession(engine, () => configFile);
    const events: EngineEvent[] = [];
    const log: Logged[] = [];
    let asks = 0;
    const shown: string[] = [];
    session.onChange((state, event) => {
      const at = Date.now();
      if (event) events.push(event);
      const line = event && eventText(event, at);
      if (line) log.push({ ...line, at, event });
      if (event?.kind === 'asked') session.answer(event.ask, answer(event.ask, ++asks));
      const waits = { trusted: true, config: noConfigForwards, waits: defaultWaits, now: at };
      shown.push(JSON.stringify(present({ session: state, presets: [], problems: [], ...waits })));
    });
    const destination = mustParse('web01');
    const tunnel: NewTunnel = { destination, spec: mustParseSpec(`-L ${await freePort()}:127.0.0.1:1`) };
    session.update((wanted) => wantTunnels(wanted, [tunnel]));
    const state = await eventually(() => {
      const { kind } = tunnelState(session.state.wanted.tunnels[0]!, session.state.snapshot);
      assert.match(kind, /ready|failed|stopped/);
      return kind;
    });
    const diagnostics = printDiagnostics({
      ...{ versions: [], settings: [], session: session.state, engineEnds: [], log, now: Date.now() },
      names: { hosts: new Set<string>(), users: new Set<string>() },
    });
    const explained = await engine.explain(requestFor([], destination, configFile)).then(
      (explanation) => printExplanation(explanation, ''),
      (error: unknown) => failureText(failureOf(error)),
    );
    const parts = [JSON.stringify(events), ...log.map(({ text }) => text), ...failuresIn(events).map((failure) => failureText(failure)), ...shown, diagnostics, JSON.stringify(storeTunnels(session.state.wanted)), explained]; // prettier-ignore
    return { state, asks, text: parts.join('\n') };
  };
  const mustParse = (text: string) => {
    const parsed = parseDestination(text);
    assert.ok(parsed.ok);
    return parsed.destination;
  };
  const failuresIn = (value: unknown): Failure[] =>
    typeof value !== 'object' || value === null
      ? []
      : Object.entries(value).flatMap(([name, inner]: [string, unknown]) => [
          ...(name === 'failure' ? [inner as Failure] : []),
          ...failuresIn(inner),
        ]);

  const secret = (text: string): Reply => ({ kind: 'secret', secret: text });
  const right = 'right-Zwölf "Boxkämpfer"';
  const wrong = 'wrong-hunter2+/=';

  describe('that is a password', () => {
    const byPassword = (context: AuthContext) => {
      if (context.method === 'password' && context.password === right) context.accept();
      else context.reject(['password']);
    };
    it('shows nowhere when it was right in the end', async () => {
      const { state, asks, text } = await everythingOf(await forged(byPassword), (_, count) =>
        secret(count === 1 ? wrong : right),
      );
      assert.deepEqual([state, asks], ['ready', 2]);
      assertHasNone(text, [right, wrong]);
    });

    it('shows nowhere when it was wrong', async () => {
      const { state, asks, text } = await everythingOf(await forged(byPassword), () => secret(wrong));
      assert.deepEqual([state, asks], ['failed', 3]);
      assertHasNone(text, [wrong]);
    });
  });

  describe('that answers a round of questions', () => {
    const byRound = (context: AuthContext) => {
      if (context.method !== 'keyboard-interactive') return context.reject(['keyboard-interactive']);
      const prompts = [
        { prompt: 'Password: ', echo: false },
        { prompt: 'Code: ', echo: true },
      ];
      context.prompt(prompts, 'Login', 'Look at your phone', ([password, code]) => {
        if (password === right && code === 'code-8472-1138') context.accept();
        else context.reject(['keyboard-interactive']);
      });
    };
    const answers = (...given: string[]): Reply => ({ kind: 'answers', answers: given });
    it('shows nowhere, right or wrong', async () => {
      const good = await everythingOf(await forged(byRound), (_, count) =>
        answers(count === 1 ? wrong : right, 'code-8472-1138'),
      );
      assert.deepEqual([good.state, good.asks], ['ready', 2]);
      assertHasNone(good.text, [right, wrong, 'code-8472-1138']);
      const bad = await everythingOf(await forged(byRound), () => answers(wrong, 'code-0000-0000'));
      assert.equal(bad.state, 'failed');
      assertHasNone(bad.text, [wrong, 'code-0000-0000']);
    });
  });

  describe('of a key', () => {
    /** The lines of a private key's file that no public key has, and its seed. */
    const partsOf = (path: string): (string | Buffer)[] => {
      const lines = readFileSync(path, 'utf8').trim().split('\n').slice(2, -1);
      const all = Buffer.from(readFileSync(path, 'utf8').replace(/-----.*-----|\s/g, ''), 'base64');
      const own = Buffer.from(publicKey(`${path}.pub`).split(' ')[1]!, 'base64').subarray(-32);
      const at = all.lastIndexOf(own);
      assert.ok(at > 0 && lines.length > 2, 'it is an unencrypted key of OpenSSH');
      return [...lines.slice(0, -1), all.subarray(at - 32, at)];
    };
    it('shows nowhere, nor does its passphrase, right or wrong', async () => {
      const path = file('locked');
      keygen(path);
      const parts = partsOf(path);
      appendFileSync(sshd.authorizedKeysPath, `${publicKey(`${path}.pub`)}\n`);
      lockKey(path, right);
      const config = configOf([`IdentityFile ${path}`, 'PreferredAuthentications publickey']);
      const good = await everythingOf(config, (_, count) => secret(count === 1 ? wrong : right));
      assert.deepEqual([good.state, good.asks], ['ready', 2]);
      assertHasNone(good.text, [right, wrong, ...parts]);
      const bad = await everythingOf(config, () => secret(wrong));
      assert.equal(bad.state, 'failed');
      assertHasNone(bad.text, [wrong, ...parts]);
    });

    it('shows nowhere when its file can’t be read, or is not taken', async () => {
      const path = file('broken');
      keygen(path);
      const parts = partsOf(path);
      const refused = await everythingOf(configOf([`IdentityFile ${path}`, 'PreferredAuthentications publickey']));
      assert.equal(refused.state, 'failed');
      assertHasNone(refused.text, parts);
      writeFileSync(path, readFileSync(path, 'utf8').replace(/AAAA/, 'AAAB'), { mode: 0o600 });
      const broken = await everythingOf(configOf([`IdentityFile ${path}`, 'PreferredAuthentications publickey']));
      assert.equal(broken.state, 'failed');
      assertHasNone(broken.text, parts);
    });

    it('shows nowhere as what an agent signs with it, taken or not', async () => {
      const key = makeSecurityKey('ed25519');
      appendFileSync(sshd.authorizedKeysPath, `${key.line}\n`);
      for (const isGood of [true, false]) {
        const signatures: Buffer[] = [];
        const agent = await startFakeAgent((request, socket) => {
          if (request[0] === 11) return void socket.write(identitiesAnswer(key.blob));
          if (request[0] !== 13) return void socket.write(framed(5));
          const blobLength = request.readUInt32BE(1);
          const dataAt = 5 + blobLength;
          const data = request.subarray(dataAt + 4, dataAt + 4 + request.readUInt32BE(dataAt));
          const signature = key.sign(isGood ? data : Buffer.from('something else'));
          signatures.push(signature);
          socket.write(framed(14, string(signature)));
        });
        closers.push(() => agent.close());
        const config = configOf([`IdentityAgent ${agent.socketPath}`, 'PreferredAuthentications publickey']);
        const { state, text } = await everythingOf(config);
        assert.equal(state, isGood ? 'ready' : 'failed');
        assert.ok(signatures.length > 0, 'it was asked to sign');
        // What comes before is the name of its type.
        assertHasNone(text, signatures.map((signature) => signature.subarray(-64))); // prettier-ignore
      }
    });
  });

  describe('that stands in ssh_config', () => {
    const token = 'token=s3cr3t-Gh9Kq2';
    const key = () => [`IdentityFile ${sshd.keyPath}`, 'IdentitiesOnly yes', 'PreferredAuthentications publickey'];
    const script = (name: string, ...lines: string[]): string => {
      const path = file(name);
      writeFileSync(path, ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o700 });
      return path;
    };
    const withoutSsh = async (work: () => Promise<void>): Promise<void> => {
      process.env['SSH_TUNNELS_NO_SSH'] = '1';
      try {
        await work();
      } finally {
        delete process.env['SSH_TUNNELS_NO_SSH'];
      }
    };
    const relay = () => {
      writeFileSync(file('relay.js'), 'const s = require("node:net").connect(process.argv[2], "127.0.0.1"); process.stdin.pipe(s).pipe(process.stdout); s.on("close", () => process.exit());'); // prettier-ignore
      return `${process.execPath} ${file('relay.js')} %p`;
    };

    it('as an argument of ProxyCommand shows nowhere, whether that connects, fails or is none', async () => {
      for (const [command, state] of [
        [`${relay()} --${token}`, 'ready'],
        [`${script('denied', 'echo denied >&2', 'exit 1')} --${token}`, 'failed'],
        [`${file('missing')} --${token}`, 'failed'],
        [`true --${token} )`, 'failed'],
        [`true --${token} '`, 'failed'],
        [`true --${token} ${'x'.repeat(400)} )`, 'failed'],
      ] as const) {
        const found = await everythingOf(configOf([`ProxyCommand ${command}`, ...key()]));
        assert.equal(found.state, state, `${command}\n${found.text}`);
        assertHasNone(found.text, [token]);
      }
    });

    it('as a variable, or an argument of another program, shows nowhere', async () => {
      process.env['SECRET_OF_TEST'] = `env-${token}`;
      const lines = [`SetEnv TOKEN=${token}`, 'SendEnv SECRET_OF_TEST', `LocalCommand echo ${token}`, 'PermitLocalCommand no', `KnownHostsCommand ${script('knows', 'exit 0')} ${token}`]; // prettier-ignore
      const run = async () => {
        const { state, text } = await everythingOf(configOf([...lines, ...key()]));
        assert.equal(state, 'ready', text);
        assertHasNone(text, [token]);
      };
      try {
        await run();
        await withoutSsh(run);
      } finally {
        delete process.env['SECRET_OF_TEST'];
      }
    });

    it('shows nowhere when its line can’t be read, nor as an argument of a Match exec', async () => {
      const run = async () => {
        for (const line of [`ProxyCommand x --${token} "`, `SetEnv ${token.replace('=', '-')}`]) {
          const { state, text } = await everythingOf(configOf([line, ...key()]));
          assert.equal(state, 'failed');
          assertHasNone(text, [token, token.replace('=', '-')]);
        }
        const config = configOf(key());
        appendFileSync(config, `Match exec "false --${token}"\n  Compression yes\n`);
        const { state, text } = await everythingOf(config);
        assert.equal(state, 'ready', text);
        assertHasNone(text, [token]);
      };
      await run();
      await withoutSsh(run);
    });
  });

  it('in a destination is refused, and neither shown nor kept', () => {
    const text = `ssh://ann:${encodeURIComponent(wrong)}@web01`;
    const parsed = parseDestination(text);
    assert.ok(!parsed.ok);
    const { presets, problems } = parsePresets([{ name: 'x', host: text, forwards: ['-D 1080'], password: wrong, description: 1 }], { kind: 'user' }); // prettier-ignore
    const read = readTunnels({
      version: 1,
      tunnels: [{ host: text, forward: '-D 1080', label: wrong, password: wrong }],
    });
    assert.deepEqual([presets.length, read.tunnels.length], [0, 0]);
    const said = [failureText(parsed.failure), JSON.stringify(problems), ...read.problems].join('\n');
    assertHasNone(said, [wrong, encodeURIComponent(wrong)]);
  });
});
