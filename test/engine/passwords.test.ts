// Which secret goes to whom, what is remembered of it, and what happens when nobody is there.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuthContext, Connection } from 'ssh2';
import type { Ask, EngineEvent, Reply } from '../../src/core/engine.js';
import type { Failure } from '../../src/core/failure.js';
import type { PlannedConnection } from '../../src/core/plan.js';
import { failureText } from '../../src/core/wording.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { startForgedServer, type ForgedServer } from '../support/forgedServer.js';
import { freePort, keygen, lockKey } from '../support/sshd.js';

describe('a secret', () => {
  let heldBefore: string[];
  let folder: string;
  const closers: (() => unknown)[] = [];

  before(() => (heldBefore = heldResources()));
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'passwords-'))));
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
    rmSync(folder, { recursive: true, force: true });
  });
  after(() => eventually(() => assert.deepEqual(heldBeyond(heldBefore), [])));

  const forged = async (
    logIn: (context: AuthContext, connection: Connection) => void,
    serve: (connection: Connection) => void = () => {},
  ): Promise<ForgedServer> => {
    const server = await startForgedServer(serve, { logIn });
    closers.push(() => server.close());
    return server;
  };
  const portOf = ({ configPath }: ForgedServer) => Number(/Port (\d+)/.exec(readFileSync(configPath, 'utf8'))![1]);
  const cut = ({ connections }: ForgedServer) => {
    for (const connection of connections) connection.end();
  };
  /** An ssh_config of these hosts, none of which is known yet. */
  const configOf = (hosts: Readonly<Record<string, readonly string[]>>): string => {
    const path = join(folder, 'config');
    const common = ['HostName 127.0.0.1', 'User ann', 'IdentityAgent none', 'IdentityFile none'];
    const known = [`UserKnownHostsFile ${join(folder, 'known_hosts')}`, 'GlobalKnownHostsFile /dev/null'];
    const blocks = Object.entries(hosts).flatMap(([host, lines]) => [`Host ${host}`, ...lines]);
    writeFileSync(path, [...blocks, 'Host *', ...common, ...known, 'StrictHostKeyChecking accept-new', ''].join('\n'), { mode: 0o600 }); // prettier-ignore
    return path;
  };
  const start = async (
    host: string,
    configFile: string,
    answer?: (ask: Ask, count: number) => Reply,
  ): Promise<EngineProbe & { plan: PlannedConnection }> => {
    let count = 0;
    const engine = probe(createEngine(), answer && ((ask) => answer(ask, ++count)));
    closers.push(() => engine.close());
    const plan = planned(host, [`-L ${await freePort()}:127.0.0.1:1`], { configFile });
    engine.engine.apply({ connections: [plan] });
    return Object.assign(engine, { plan });
  };
  const isEnd = ({ kind }: EngineEvent) => kind === 'connected' || kind === 'connectionFailed';
  const outcome = async (engine: EngineProbe): Promise<Failure | undefined> => {
    await eventually(() => assert.ok(engine.events.some(isEnd)), 15_000);
    const end = engine.events.find(isEnd)!;
    return end.kind === 'connectionFailed' ? end.failure : undefined;
  };
  const comesUp = async (...args: Parameters<typeof start>) => {
    const engine = await start(...args);
    const failure = await outcome(engine);
    assert.equal(failure && failureText(failure), undefined);
    return engine;
  };
  const proven = ({ events }: EngineProbe) =>
    events.flatMap((event) => (event.kind === 'connected' ? [event.proven?.map((name) => name.split(/[: ]/, 1)[0])] : [])); // prettier-ignore
  const asksOf = ({ events }: EngineProbe) => events.flatMap((event) => (event.kind === 'asked' ? [event.ask] : []));
  /** Kind, attempt, and whether the answer may be kept. */
  const asked = (engine: EngineProbe) =>
    asksOf(engine).map((ask) => [ask.kind, 'attempt' in ask && ask.attempt, 'keepAs' in ask]);
  /** Lets in who has this password; notes which were sent. */
  const password = (right: string, sent: string[]) => (context: AuthContext) => {
    if (context.method !== 'password') return context.reject(['password']);
    sent.push(context.password);
    if (context.password === right) context.accept();
    else context.reject(['password']);
  };
  const secret = (text: string): Reply => ({ kind: 'secret', secret: text });
  const answers = (...given: readonly string[]): Reply => ({ kind: 'answers', answers: given });
  const interactive = (
    context: AuthContext,
    ask: (context: Extract<AuthContext, { method: 'keyboard-interactive' }>) => void,
  ) => {
    if (context.method === 'keyboard-interactive') ask(context);
    else context.reject(['keyboard-interactive']);
  };
  const hidden = (prompt: string) => [{ prompt, echo: false }];

  it('is given to the server that it was given for, and not to another one at the same address', async () => {
    const sent: { gw: string[]; inner: string[] } = { gw: [], inner: [] };
    const inner = await forged(password('of-inner', sent.inner));
    const gateway = await forged(password('of-gw', sent.gw), (connection) =>
      connection.on('tcpip', (accept) => {
        const channel = accept();
        const onward = connect(portOf(inner), '127.0.0.1');
        for (const end of [channel, onward]) end.on('error', () => {});
        channel.pipe(onward).pipe(channel);
      }),
    );
    // Behind the gateway, its own address is the inner machine's.
    const port = `Port ${portOf(gateway)}`;
    const config = configOf({
      gw: ['HostKeyAlias gw', port],
      inner: ['HostKeyAlias inner', port, 'ProxyJump gw'],
    });
    const engine = await comesUp('inner', config, (ask) =>
      secret(ask.kind === 'password' && ask.alias === 'gw' ? 'of-gw' : 'of-inner'),
    );
    assert.deepEqual(sent, { gw: ['of-gw'], inner: ['of-inner'] });
    assert.deepEqual(asked(engine), [['password', 1, true], ['password', 1, true]]); // prettier-ignore
    const names = asksOf(engine).map((ask) => ask.kind === 'password' && ask.keepAs);
    assert.equal(new Set(names).size, 2);
    assert.deepEqual(proven(engine), [['password', 'password']]);
  });

  it('is asked for as one that was refused, when the remembered one is', async () => {
    for (const method of ['password', 'keyboard-interactive'] as const) {
      let right = 'first';
      const server = await forged((context) => {
        if (context.method !== method) return context.reject([method]);
        const judge = (given: string) => (given === right ? context.accept() : context.reject([method]));
        if (context.method === 'password') judge(context.password);
        else if (context.method === 'keyboard-interactive')
          context.prompt(hidden('Password: '), ([given]) => judge(given!));
      });
      const engine = await comesUp('web01', server.configPath, (ask) =>
        ask.kind === 'password' ? secret(right) : answers(right),
      );
      right = 'second';
      engine.skip();
      engine.engine.apply({ connections: [{ ...engine.plan, run: 1 }] });
      await engine.next('connected');
      const kind = method === 'password' ? 'password' : 'interactive';
      assert.deepEqual(asked(engine), [[kind, 1, true], [kind, 2, true]]); // prettier-ignore
    }
  });

  it('that is asked for twice in one login is not kept: the second may be a code', async () => {
    const given: string[] = [];
    const server = await forged((context) =>
      interactive(context, (round) =>
        round.prompt(hidden('Password: '), ([first]) => {
          given.push(first!);
          round.prompt(hidden('Password: '), ([second]) => {
            given.push(second!);
            if (first === 'pass-phrase' && second === '123456') context.accept();
            else context.reject(['keyboard-interactive']);
          });
        }),
      ),
    );
    const engine = await comesUp('web01', server.configPath, (_, count) => answers(['pass-phrase', 'wrong', 'pass-phrase', '123456'][count - 1]!)); // prettier-ignore
    assert.deepEqual(asked(engine), [
      ['interactive', 1, true],
      ['interactive', 1, false],
      ['interactive', 2, true],
      ['interactive', 2, false],
    ]);
    assert.deepEqual(proven(engine), [undefined]);
    given.length = 0;
    engine.skip();
    cut(server);
    const { failure } = await engine.next('connectionFailed');
    assert.deepEqual(failure, { kind: 'answerNeeded', host: 'web01', what: 'interactive' });
    assert.deepEqual(given, []);
  });

  it('that is asked for again in a second step is another one', async () => {
    const sent: string[] = [];
    const server = await forged((context) => {
      if (context.method !== 'password') return context.reject(['password']);
      sent.push(context.password);
      if (sent.length === 1) context.reject(['password'], true);
      else context.accept();
    });
    const engine = await comesUp('web01', server.configPath, (_, count) => secret(`step-${count}`));
    assert.deepEqual(sent, ['step-1', 'step-2']);
    assert.deepEqual(asked(engine), [['password', 1, true], ['password', 1, false]]); // prettier-ignore
  });

  it('that was wrong is not told to be right when another method lets the user in', async () => {
    const key = join(folder, 'locked');
    keygen(key);
    lockKey(key, 'right');
    const server = await forged((context) => {
      if (context.method === 'publickey' || (context.method === 'password' && context.password === 'right'))
        context.accept();
      else context.reject(['publickey', 'password']);
    });
    const config = configOf({ web01: [`Port ${portOf(server)}`, `IdentityFile ${key}`, 'NumberOfPasswordPrompts 2'] });
    const engine = await comesUp('web01', config, (ask) => secret(ask.kind === 'password' ? 'right' : 'wrong'));
    assert.deepEqual(asked(engine), [['passphrase', 1, true], ['passphrase', 2, true], ['password', 1, true]]); // prettier-ignore
    assert.deepEqual(proven(engine), [['password']]);
  });

  it('that is left empty for a key leads on to the next method', async () => {
    const key = join(folder, 'locked');
    keygen(key);
    lockKey(key, 'right');
    const server = await forged((context) => {
      if (context.method === 'password') context.accept();
      else if (context.method === 'publickey') context.accept();
      else context.reject(['publickey', 'password']);
    });
    const config = configOf({ web01: [`Port ${portOf(server)}`, `IdentityFile ${key}`] });
    const engine = await comesUp('web01', config, (ask) => secret(ask.kind === 'password' ? 'right' : ''));
    assert.deepEqual(asked(engine), [['passphrase', 1, true], ['password', 1, true]]); // prettier-ignore
  });

  it('is not asked for by more than 32 questions at once', async () => {
    const most = (count: number) =>
      forged((context) =>
        interactive(context, (round) =>
          round.prompt(
            Array.from({ length: count }, () => ({ prompt: 'x', echo: true })),
            () => context.accept(),
          ),
        ),
      );
    const engine = await comesUp('web01', (await most(32)).configPath, () => answers(...Array<string>(32).fill('y')));
    assert.equal(asked(engine).length, 1);
    const refused = await start('web01', (await most(33)).configPath);
    const failure = await outcome(refused);
    assert.match(failure ? failureText(failure) : '', /more than 32 questions/);
    assert.deepEqual(asked(refused), []);
  });

  it('is not drowned in what a server tells: the same once, and eight texts at most', async () => {
    const server = await forged((context) =>
      interactive(context, (round) => {
        const tell = (left: number) => {
          if (left === 0) context.accept();
          else round.prompt([], '', `Push ${left >> 1} sent`, () => tell(left - 1));
        };
        tell(40);
      }),
    );
    const engine = await comesUp('web01', server.configPath);
    const said = engine.events.flatMap((event) => (event.kind === 'serverSaid' ? [event.text] : []));
    assert.deepEqual(
      said,
      [20, 19, 18, 17, 16, 15, 14, 13].map((number) => `Push ${number} sent`),
    );
  });

  it('tells which host of the way said something', async () => {
    const inner = await forged((context) => context.accept());
    const gateway = await forged(
      (context) => interactive(context, (round) => round.prompt([], '', 'I am the gateway', () => context.accept())),
      (connection) =>
        connection.on('tcpip', (accept) => {
          const channel = accept();
          const onward = connect(portOf(inner), '127.0.0.1');
          for (const end of [channel, onward]) end.on('error', () => {});
          channel.pipe(onward).pipe(channel);
        }),
    );
    const config = configOf({
      gw: [`Port ${portOf(gateway)}`],
      inner: [`Port ${portOf(inner)}`, 'ProxyJump gw'],
    });
    const engine = await comesUp('inner', config);
    assert.deepEqual(
      engine.events.filter(({ kind }) => kind === 'serverSaid'),
      [{ kind: 'serverSaid', connection: 'inner', host: 'gw', about: 'login', text: 'I am the gateway' }],
    );
  });

  describe('while nobody is there', () => {
    it('is not called for by a round of questions of which nothing is known', async () => {
      const methods: string[] = [];
      const server = await forged((context) => {
        methods.push(context.method);
        interactive(context, (round) => round.prompt([], '', 'Push sent', () => context.accept()));
      });
      const engine = await comesUp('web01', server.configPath);
      methods.length = 0;
      cut(server);
      const { failure } = await engine.next('connectionFailed');
      assert.deepEqual(failure, { kind: 'answerNeeded', host: 'web01', what: 'interactive' });
      assert.deepEqual(methods, ['none']);
    });

    it('goes no further than to what waits for a person elsewhere, which is told in the log alone', async () => {
      let pushes = false;
      const server = await forged((context) =>
        interactive(context, (round) =>
          round.prompt(hidden('Password: '), () =>
            pushes ? round.prompt([], '', 'Push sent', () => context.accept()) : context.accept(),
          ),
        ),
      );
      const engine = await comesUp('web01', server.configPath, () => answers('pass-phrase'));
      pushes = true;
      cut(server);
      const { failure } = await engine.next('connectionFailed');
      assert.deepEqual(failure, { kind: 'answerNeeded', host: 'web01', what: 'interactive' });
      assert.deepEqual(
        engine.events.flatMap((event) => (event.kind === 'serverSaid' ? [event.about, event.text] : [])),
        ['banner', 'Push sent'],
      );
    });
  });

  describe('that a server does not answer', () => {
    const original = globalThis.setTimeout;
    /** Minutes are milliseconds here. */
    const quicken = (seconds: number) => {
      const quick = (run: () => void, ms?: number) => original(run, ms === seconds * 1000 ? 200 : ms);
      globalThis.setTimeout = Object.assign(quick, original);
      closers.push(() => (globalThis.setTimeout = original));
    };

    it('ends the login after five minutes', async () => {
      quicken(300);
      const server = await forged((context) => {
        if (context.method !== 'password') context.reject(['password']);
      });
      const failure = await outcome(await start('web01', server.configPath, () => secret('x')));
      assert.ok(failure?.kind === 'connectTimeout' && failure.seconds === 300, JSON.stringify(failure));
      cut(server);
    });

    it('is given again in the background after a minute', async () => {
      quicken(60);
      let logins = 0;
      const server = await forged((context) => {
        if (context.method !== 'password') return context.reject(['password']);
        if (++logins !== 2) context.accept();
      });
      const engine = await comesUp('web01', server.configPath, () => secret('x'));
      engine.skip();
      cut(server);
      await engine.next('connectionLost');
      const { failure } = await engine.next('connectionLost');
      assert.ok(failure.kind === 'connectTimeout' && failure.seconds === 60, JSON.stringify(failure));
      await engine.next('connected', 15_000);
      assert.equal(asked(engine).length, 1);
    });
  });
});
