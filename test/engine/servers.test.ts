// What "reaches every host that ssh reaches" means: real servers of several makes, and for each row the real ssh, which has
// to get there, or to be refused, with the same ssh_config.
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { Socket } from 'node:net';
import { failureText } from '../../src/core/wording.js';
import { createEngine } from '../../src/engine/reconciler.js';
import { accountEnvironment, accountPassword, whyNoAccount } from '../support/account.js';
import { startAgent, type Agent } from '../support/agent.js';
import { makeAuthority, type Authority, type Terms } from '../support/certificates.js';
import { heldBeyond, heldResources, planned, probe, type EngineProbe } from '../support/engineProbe.js';
import { eventually } from '../support/eventually.js';
import { run } from '../support/openSsh.js';
import {
  dropbear,
  installedOpenSsh,
  newestOpenSsh,
  serverMakes,
  type ReadyMake,
  type ServerMake,
} from '../support/serverMakes.js';
import {
  freePort,
  hostKeyTypes,
  keygen,
  knownHostsLine,
  publicKey,
  startSshd,
  type SshServer,
} from '../support/sshd.js';
import {
  bytes,
  connectThrough,
  connectTo,
  digest,
  echo,
  readToEnd,
  startTarget,
  type Target,
} from '../support/targets.js';

const userKeys = {
  ed25519: [],
  'ecdsa-256': ['-t', 'ecdsa', '-b', '256'],
  'ecdsa-384': ['-t', 'ecdsa', '-b', '384'],
  'ecdsa-521': ['-t', 'ecdsa', '-b', '521'],
  'rsa-3072': ['-t', 'rsa', '-b', '3072'],
} as const;

/** What all servers share: keys that may log in, who signs certificates, an agent, what stands behind the tunnels. */
interface World {
  file(name: string): string;
  authority: Authority;
  agent: Agent;
  /** Has one key, and its certificate. */
  agentOfSigned: Agent;
  target: Target;
}

interface Row {
  title: string;
  /** Servers that it isn't for. */
  except?: (make: ServerMake) => boolean;
  /** Lines of sshd_config, of a server of its own; the others share one. */
  server?: (world: World, folder: string) => readonly string[];
  /** The same for dropbear: arguments. */
  dropbear?: readonly string[];
  /** The user has a password, and gives it. */
  password?: true;
  /** known_hosts, where it isn't the server's keys. */
  known?: (world: World, server: SshServer) => string;
  /** The key that logs in, instead of `ed25519`; nobody else's may. */
  identity?: string;
  /** Lines of ssh_config, which win over those that reach the server. */
  client?: (world: World, server: SshServer) => readonly string[];
  /** Bytes each way. */
  amount?: number;
}

/** A row that doesn't get there. */
interface RefusedRow extends Row {
  says: RegExp;
  /** It ends before the server could learn anything about the user. */
  asksNothing: boolean;
}

const notDropbear = ({ isOpenSsh }: ServerMake) => !isOpenSsh;
const hostKeyAlgorithms = {
  ed25519: 'ssh-ed25519',
  ecdsa: 'ecdsa-sha2-nistp256',
  rsa: 'rsa-sha2-512,rsa-sha2-256',
};
const offersOnly = (keyword: string, algorithm: string, more: Partial<Row> = {}): Row => ({
  title: `${keyword} ${algorithm} alone`,
  except: notDropbear,
  server: () => [`${keyword} ${algorithm}`],
  ...more,
});

const reached: readonly Row[] = [
  ...hostKeyTypes.map((type) => ({
    title: `an ${type} host key`,
    client: () => [`HostKeyAlgorithms ${hostKeyAlgorithms[type]}`],
  })),
  ...Object.keys(userKeys).map((name) => ({ title: `the user’s ${name} key`, identity: name })),
  ...Object.keys(userKeys).map((name) => ({
    title: `the user’s ${name} key in the agent`,
    identity: `agent-${name}.pub`,
    client: ({ agent }: World) => [`IdentityAgent ${agent.socketPath}`],
  })),
  {
    title: 'two keys, one after the other',
    except: notDropbear,
    server: () => ['AuthenticationMethods publickey,publickey'],
    client: ({ file }) => [`IdentityFile ${file('rsa-3072')}`],
  },
  {
    title: 'two keys of the agent, one after the other',
    except: notDropbear,
    server: () => ['AuthenticationMethods publickey,publickey'],
    identity: 'agent-ed25519.pub',
    client: ({ agent, file }) => [`IdentityAgent ${agent.socketPath}`, `IdentityFile ${file('agent-ecdsa-256.pub')}`],
  },
  {
    title: 'the user’s certificate',
    except: notDropbear,
    server: ({ authority }) => [`TrustedUserCAKeys ${authority.keyPath}.pub`],
    identity: 'signed',
  },
  {
    title: 'the user’s certificate in the agent',
    except: notDropbear,
    server: ({ authority }) => [`TrustedUserCAKeys ${authority.keyPath}.pub`],
    identity: 'none',
    client: ({ agentOfSigned }) => [`IdentityAgent ${agentOfSigned.socketPath}`, 'IdentitiesOnly no'],
  },
  {
    title: 'a password',
    password: true,
    server: () => ['PasswordAuthentication yes'],
    dropbear: [],
    identity: 'none',
    client: () => ['PreferredAuthentications password'],
  },
  {
    title: 'a key and a password',
    password: true,
    server: () => ['PasswordAuthentication yes', 'AuthenticationMethods publickey,password'],
    dropbear: ['-t'],
  },
  {
    title: 'a host certificate of a known authority',
    except: notDropbear,
    server: hostCertificate(),
    known: knowsAuthority,
  },
  offersOnly('KexAlgorithms', 'mlkem768x25519-sha256', { except: (make) => make !== newestOpenSsh }),
  ...['curve25519-sha256', 'ecdh-sha2-nistp384', 'diffie-hellman-group14-sha256', 'diffie-hellman-group16-sha512'].map(
    (name) => offersOnly('KexAlgorithms', name),
  ),
  ...['rsa-sha2-256', 'rsa-sha2-512'].map((name) =>
    offersOnly('HostKeyAlgorithms', name, {
      server: ({ file }) => [`HostKey ${file('rsa-3072')}`, `HostKeyAlgorithms ${name}`],
      known: ({ file }, { port }) => knownHostsLine(port, publicKey(file('rsa-3072.pub'))),
    }),
  ),
  ...['chacha20-poly1305@openssh.com', 'aes256-gcm@openssh.com', 'aes128-ctr'].map((name) =>
    offersOnly('Ciphers', name),
  ),
  {
    title: 'new keys every quarter of a megabyte',
    except: notDropbear,
    server: () => ['RekeyLimit 256K'],
    amount: 5_000_000,
  },
  {
    title: 'a ProxyCommand',
    client: ({ file }, server) => {
      const way = server.configPath('way', [`IdentityFile ${file('ed25519')}`]);
      return [`ProxyCommand ssh -F ${way} -o BatchMode=yes -W %h:%p way`];
    },
  },
];

const refused: readonly RefusedRow[] = [
  {
    title: 'an unknown key',
    known: () => '',
    client: () => ['StrictHostKeyChecking yes'],
    says: /is not known .* StrictHostKeyChecking asks for known ones only/,
    asksNothing: true,
  },
  {
    title: 'an unknown key that nobody may be asked about',
    known: () => '',
    client: () => ['BatchMode yes'],
    says: /was not accepted|is not known/,
    asksNothing: true,
  },
  {
    title: 'a changed key',
    known: ({ file }, { port }) => knownHostsLine(port, publicKey(file('ed25519.pub'))),
    client: () => ['HostKeyAlgorithms ssh-ed25519'],
    says: /has changed: .* line 1 of .*known_hosts has another/,
    asksNothing: true,
  },
  {
    title: 'a changed key, even where it needn’t be known',
    known: ({ file }, { port }) => knownHostsLine(port, publicKey(file('ed25519.pub'))),
    client: () => ['StrictHostKeyChecking accept-new', 'HostKeyAlgorithms ssh-ed25519'],
    says: /has changed: .* line 1 of .*known_hosts has another/,
    asksNothing: true,
  },
  {
    title: 'a revoked key',
    known: (_, server) => hostKeyLines(server) + hostKeyLines(server, '@revoked'),
    says: /is marked as revoked in line 2 of/,
    asksNothing: true,
  },
  ...(['expired', 'not yet'] as const).map((validity) => ({
    title: `a host certificate that is ${validity === 'expired' ? 'expired' : 'not valid yet'}`,
    except: notDropbear,
    server: hostCertificate({ validity }),
    known: knowsAuthority,
    says: { expired: /^The certificate of 127\.0\.0\.1 expired on/, 'not yet': /is not valid before/ }[validity],
    asksNothing: true,
  })),
  {
    title: 'a host certificate of another host',
    except: notDropbear,
    server: hostCertificate({ principals: ['web02'] }),
    known: knowsAuthority,
    says: /is for another host: it names web02/,
    asksNothing: true,
  },
  {
    title: 'a host certificate of an authority that isn’t known',
    except: notDropbear,
    server: hostCertificate(),
    known: ({ file }, { port }) => knownHostsLine(port, publicKey(file('ed25519.pub')), '@cert-authority'),
    client: () => ['StrictHostKeyChecking yes'],
    says: /is not known .* StrictHostKeyChecking asks for known ones only/,
    asksNothing: true,
  },
  {
    title: 'a user whom it doesn’t know',
    client: () => ['User nobody-of-this-name'],
    says: /did not let nobody-of-this-name in/,
    asksNothing: false,
  },
  { title: 'a key that it doesn’t know', identity: 'stranger', says: /did not let/, asksNothing: false },
  ...(['expired', 'not yet'] as const).map((validity) => ({
    title: `a user’s certificate that is ${validity === 'expired' ? 'expired' : 'not valid yet'}`,
    except: notDropbear,
    server: ({ authority }: World) => [`TrustedUserCAKeys ${authority.keyPath}.pub`],
    identity: `signed-${validity === 'expired' ? 'expired' : 'not-yet'}`,
    says: /did not let/,
    asksNothing: false,
  })),
  {
    title: 'a user’s certificate of somebody else',
    except: notDropbear,
    server: ({ authority }) => [`TrustedUserCAKeys ${authority.keyPath}.pub`],
    identity: 'signed-other',
    says: /did not let/,
    asksNothing: false,
  },
  {
    title: 'one factor where two are asked for',
    except: notDropbear,
    server: () => ['AuthenticationMethods publickey,publickey'],
    says: /It took .*ed25519, but wants more/,
    asksNothing: false,
  },
];

function hostCertificate(terms: Terms = {}): Row['server'] {
  return ({ authority }, folder) => [
    `HostCertificate ${authority.signHost(join(folder, 'host_ed25519.pub'), { principals: ['127.0.0.1'], ...terms })}`,
  ];
}

function knowsAuthority({ authority }: World, { port }: SshServer): string {
  return knownHostsLine(port, authority.publicKey, '@cert-authority');
}

function hostKeyLines({ folder, port }: SshServer, mark?: string): string {
  return hostKeyTypes
    .map((type) => join(folder, `host_${type}.pub`))
    .filter((path) => existsSync(path))
    .map((path) => knownHostsLine(port, publicKey(path), mark))
    .join('');
}

/** Where a cell's tunnel listens, and where its target is. */
interface Ends {
  port: number;
  path: string;
  target: { port: number; path: string };
}

interface Cell {
  title: string;
  forward(ends: Ends): string;
  open(ends: Ends): Promise<Socket>;
  /** Of those who speak of Unix sockets on the server. */
  openSshAlone?: true;
}

const toPort = ({ port }: Ends) => connectTo({ port, host: '127.0.0.1' });
const toPath = ({ path }: Ends) => connectTo({ path });
const throughProxy = ({ port, target }: Ends) =>
  connectThrough({ port, host: '127.0.0.1' }, 'SOCKS5', 'localhost', target.port);
const cells: readonly Cell[] = [
  { title: '-L', forward: ({ port, target }) => `-L ${port}:localhost:${target.port}`, open: toPort },
  {
    title: '-L from a Unix socket',
    forward: ({ path, target }) => `-L ${path}:localhost:${target.port}`,
    open: toPath,
  },
  {
    title: '-L to a Unix socket',
    forward: ({ port, target }) => `-L ${port}:${target.path}`,
    open: toPort,
    openSshAlone: true,
  },
  { title: '-R', forward: ({ port, target }) => `-R ${port}:localhost:${target.port}`, open: toPort },
  { title: '-R to a Unix socket', forward: ({ port, target }) => `-R ${port}:${target.path}`, open: toPort },
  {
    title: '-R from a Unix socket',
    forward: ({ path, target }) => `-R ${path}:localhost:${target.port}`,
    open: toPath,
    openSshAlone: true,
  },
  { title: '-D', forward: ({ port }) => `-D ${port}`, open: throughProxy },
  { title: '-R as a proxy', forward: ({ port }) => `-R ${port}`, open: throughProxy },
];

describe('a host that ssh reaches', function () {
  this.timeout(30_000);
  const world = {} as World;
  let folder: string;
  let heldBefore: string[];
  const engines: EngineProbe[] = [];

  before(async function () {
    // A newer OpenSSH may have to be fetched.
    this.timeout(90_000);
    heldBefore = heldResources();
    folder = mkdtempSync(join(tmpdir(), 'servers-'));
    const file = (name: string) => join(folder, name);
    for (const [name, args] of Object.entries(userKeys)) keygen(file(name), ...args);
    const [agent, agentOfSigned, target] = await Promise.all([
      startAgent(),
      startAgent(),
      startTarget(echo),
      newestOpenSsh.prepare(),
    ]);
    for (const name of Object.keys(userKeys)) {
      agent.add(file(name));
      // Names a key of the agent, and has no private key beside it.
      copyFileSync(file(`${name}.pub`), file(`agent-${name}.pub`));
    }
    const authority = makeAuthority(folder);
    const principals = [userInfo().username];
    keygen(file('stranger'));
    const sign = (name: string, terms: Terms) => {
      keygen(file(name));
      authority.signUser(file(`${name}.pub`), terms);
    };
    sign('signed', { principals });
    sign('signed-expired', { principals, validity: 'expired' });
    sign('signed-not-yet', { principals, validity: 'not yet' });
    sign('signed-other', { principals: ['somebody-else'] });
    writeFileSync(file('askpass'), `#!/bin/sh\necho ${accountPassword}\n`, { mode: 0o700 });
    agentOfSigned.add(file('signed'));
    Object.assign(world, { file, agent, agentOfSigned, target, authority });
  });
  after(async () => {
    await Promise.all([world.agent.stop(), world.agentOfSigned.stop(), world.target.close()]);
    rmSync(folder, { recursive: true, force: true });
    await eventually(() => assert.deepEqual(heldBeyond(heldBefore), []));
  });

  /** Goes to a host with its forwards; why not, where it didn't get there. */
  async function dial(
    configFile: string,
    forwards: readonly string[],
    destination = 'web01',
  ): Promise<string | undefined> {
    const engine = probe(createEngine(), (ask) =>
      ask.kind === 'password' ? { kind: 'secret', secret: accountPassword } : { kind: 'cancel' },
    );
    engines.push(engine);
    engine.engine.apply({ connections: [planned(destination, forwards, { configFile, reconnect: false })] });
    return eventually(() => {
      const failed = engine.events.find(({ kind }) =>
        ['connectionFailed', 'connectionLost', 'listenFailed'].includes(kind),
      );
      if (failed && 'failure' in failed && failed.failure) return failureText(failed.failure);
      assert.equal(engine.events.filter(({ kind }) => kind === 'listening').length, forwards.length);
      return undefined;
    });
  }

  const asked = () => engines.flatMap(({ events }) => events.filter(({ kind }) => kind === 'asked'));

  /** Why ssh doesn't get there with the same configuration, where it doesn't; the password is typed for it. */
  async function sshSays(
    ssh: string,
    configFile: string,
    { destination = 'web01', password = false } = {},
  ): Promise<string | undefined> {
    const env = { ...process.env, SSH_ASKPASS: world.file('askpass'), SSH_ASKPASS_REQUIRE: 'force' };
    const options = password ? ['-o', 'NumberOfPasswordPrompts=1'] : ['-o', 'BatchMode=yes'];
    const { code, stderr } = await run(ssh, ['-F', configFile, ...options, destination, 'true'], env);
    return code === 0 ? undefined : stderr.trim();
  }

  async function carries(open: () => Promise<Socket>, length: number): Promise<void> {
    const sent = bytes(length, 'there and back');
    const socket = await open();
    socket.end(sent);
    const { received, end } = await readToEnd(socket);
    assert.equal(end, 'end');
    assert.equal(digest(received), digest(sent));
  }

  for (const make of serverMakes)
    describe(`of ${make.name}`, () => {
      let ready: ReadyMake;
      let shared: SshServer;
      const own: SshServer[] = [];

      const start = async (options: Parameters<ReadyMake['start']>[0]) => {
        const server = await ready.start(options);
        // None but these, so that a row can't get there with another key than its own.
        const keys = Object.keys(userKeys).map((name) => readFileSync(world.file(`${name}.pub`), 'utf8'));
        writeFileSync(server.authorizedKeysPath, keys.join(''));
        return server;
      };

      before(async function () {
        const prepared = await make.prepare();
        if (prepared.kind === 'missing') {
          console.log(`      ${prepared.why}`);
          this.skip();
        }
        ready = prepared.make;
        shared = await start({ hostKeys: hostKeyTypes });
      });
      afterEach(async () => {
        for (const engine of engines.splice(0)) await engine.close();
        for (const server of own.splice(0)) {
          await eventually(() => assert.deepEqual(server.sessions(), []));
          await server.stop();
        }
      });
      after(async () => {
        if (!ready) return;
        await eventually(() => assert.deepEqual(shared.sessions(), []));
        await shared.stop();
      });

      /** The server of a row, and an ssh_config in which it is `web01`. */
      async function serve(row: Row): Promise<{ server: SshServer; configFile: string }> {
        const isOwn = row.server !== undefined || row.known !== undefined;
        const config = (folder: string) => row.server?.(world, folder) ?? [];
        const env = row.password && accountEnvironment(mkdtempSync(join(folder, 'account-')));
        const options = { config, ...(row.dropbear && { args: row.dropbear }), ...(env && { env }) };
        const server = isOwn ? await start(options) : shared;
        if (isOwn) own.push(server);
        if (row.known) writeFileSync(server.knownHostsPath, row.known(world, server));
        const identity = row.identity === 'none' ? 'none' : world.file(row.identity ?? 'ed25519');
        const lines = [...(row.client?.(world, server) ?? []), `IdentityFile ${identity}`];
        return { server, configFile: server.configPath('web01', lines) };
      }
      const forward = async () => {
        const port = await freePort();
        return { port, text: `-L 127.0.0.1:${port}:127.0.0.1:${world.target.port}` };
      };

      describe('carries 5 MB each way, bit for bit, with', () => {
        const forwards = cells.filter((cell) => make.isOpenSsh || !cell.openSshAlone);
        const ends = new Map<Cell, Ends>();
        let engine: EngineProbe | undefined;
        let unixTarget: Target;

        before(async () => {
          const target = { port: world.target.port, path: join(shared.folder, 'target.sock') };
          unixTarget = await startTarget(echo, { path: target.path });
          for (const [index, cell] of forwards.entries())
            ends.set(cell, { port: await freePort(), path: join(shared.folder, `listen${index}.sock`), target });
          const configFile = shared.configPath('web01', [`IdentityFile ${world.file('ed25519')}`]);
          const texts = [...ends].map(([cell, its]) => cell.forward(its));
          const why = await dial(configFile, texts);
          engine = engines.pop();
          assert.equal(why, undefined);
        });
        after(async () => {
          await engine?.close();
          await unixTarget.close();
        });

        for (const cell of forwards) it(cell.title, () => carries(() => cell.open(ends.get(cell)!), 5_000_000));
      });

      for (const row of reached.filter(({ except }) => !except?.(make)))
        it(`is reached with ${row.title}, and by ssh`, async function () {
          if (row.password && whyNoAccount() !== undefined) this.skip();
          const { configFile } = await serve(row);
          const { port, text } = await forward();
          const [ours, theirs] = await Promise.all([dial(configFile, [text]), sshSays(ready.ssh, configFile, row)]);
          assert.deepEqual({ ours, theirs }, { ours: undefined, theirs: undefined });
          await carries(() => connectTo({ port, host: '127.0.0.1' }), row.amount ?? 100_000);
        });

      for (const row of refused.filter(({ except }) => !except?.(make)))
        it(`is not reached with ${row.title}, nor by ssh`, async () => {
          const { server, configFile } = await serve(row);
          const knownBefore = readFileSync(server.knownHostsPath, 'utf8');
          const logBefore = server.log().length;
          const [ours, theirs] = await Promise.all([
            dial(configFile, [(await forward()).text]),
            sshSays(ready.ssh, configFile),
          ]);
          assert.notEqual(theirs, undefined, 'ssh gets there');
          assert.match(ours ?? 'it gets there', row.says);
          assert.deepEqual(asked(), []);
          assert.equal(readFileSync(server.knownHostsPath, 'utf8'), knownBefore);
          const attempts = () =>
            /userauth-request|Pubkey auth|user '|nonexistent user/.test(server.log().slice(logBefore));
          if (row.asksNothing) assert.equal(attempts(), false, server.log());
          else await eventually(() => assert.equal(attempts(), true, server.log()));
        });
    });

  it('is reached through three servers of different make with ProxyJump, and by ssh', async () => {
    const makes = [installedOpenSsh, dropbear, newestOpenSsh];
    const servers: SshServer[] = [];
    for (const make of makes) {
      const prepared = await make.prepare();
      // Two of one make where another can't be had.
      const ready = prepared.kind === 'ready' ? prepared.make : { start: startSshd };
      servers.push(await ready.start({}));
    }
    const blocks = servers.map((server, hop) =>
      readFileSync(server.configPath(`hop${hop}`, hop === 0 ? [] : [`ProxyJump hop${hop - 1}`]), 'utf8'),
    );
    const configFile = world.file('config_of_hops');
    writeFileSync(configFile, blocks.join(''), { mode: 0o600 });
    const port = await freePort();
    const [ours, theirs] = await Promise.all([
      dial(configFile, [`-L ${port}:localhost:${world.target.port}`], 'hop2'),
      sshSays('ssh', configFile, { destination: 'hop2' }),
    ]);
    assert.deepEqual({ ours, theirs }, { ours: undefined, theirs: undefined });
    await carries(() => connectTo({ port, host: '127.0.0.1' }), 5_000_000);
    for (const engine of engines.splice(0)) await engine.close();
    for (const server of servers) {
      await eventually(() => assert.deepEqual(server.sessions(), []));
      await server.stop();
    }
  });
});
