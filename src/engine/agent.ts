// A client of an SSH agent (draft-ietf-sshm-ssh-agent). Keys and signatures pass untouched, so that certificates, security
// keys and smart cards work that nothing here knows how to sign with.
import { readdir } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { errorCode } from '../core/failure.js';
import { printable } from '../core/printable.js';
import { firstText } from '../core/userKey.js';
import { readWire, wireStrings, wireUint32 } from '../core/wire.js';

export interface AgentKey {
  blob: Buffer;
  comment: string;
}

/** What shows an agent to which host its signatures go: for keys added with `ssh-add -h`. */
export interface HostBinding {
  hostKey: Buffer;
  sessionId: Buffer;
  /** The host's signature of the session id. */
  signature: Buffer;
}

export interface Agent {
  keys(): Promise<AgentKey[]>;
  /** The signature's blob. Rejects with AgentRefused when the agent declines, or signs with another algorithm than asked. */
  sign(key: Buffer, data: Buffer, algorithm: string): Promise<Buffer>;
  close(): void;
}

/** The agent did not do what it was asked; it is there all the same. */
export class AgentRefused extends Error {}

/** Where Windows' own OpenSSH has its agent. */
const windowsAgentPipe = '\\\\.\\pipe\\openssh-ssh-agent';

const pipeFolder = '\\\\.\\pipe\\';

/** The pipe of the user's Pageant (PuTTY 0.77 and later) among the names of all pipes; undefined where none runs. */
export function pageantPipe(names: readonly string[], user: string): string | undefined {
  const name = names.find((other) => other.toLowerCase().startsWith(`pageant.${user.toLowerCase()}.`));
  return name === undefined ? undefined : `${pipeFolder}${name}`;
}

/** How long an agent may take to be connected and to be told the host, in milliseconds. */
const promptMs = 5_000;
/** How long to list its keys: a locked one may ask its user to unlock it. */
const listMs = 60_000;

export interface AgentOptions {
  /** The user of this machine: Pageant's pipe has the name. */
  user: string;
  /** Closes it. */
  ended: AbortSignal;
  /** What it is told before anything is asked of it. */
  binding?: HostBinding | undefined;
  /** Instead of 5 s, and of the minute for its list; in milliseconds. */
  promptMs?: number;
}

/**
 * Connects to the agent at a socket or pipe; at Windows' own pipe Pageant takes its place where it does not run. Rejects with
 * the system's error, or with ETIMEDOUT. A signature alone has no time limit: a person may have to touch a key.
 */
export async function openAgent(path: string, options: AgentOptions): Promise<Agent> {
  const { binding } = options;
  const agent = await connectAgent(path, options);
  if (!binding) return agent;
  try {
    await agent.bind(binding);
    return agent;
  } catch {
    // Windows' own agent hangs up at a request that it doesn't know; another one may not answer.
    agent.close();
    return connectAgent(path, options);
  }
}

async function connectAgent(path: string, options: AgentOptions): Promise<BindableAgent> {
  try {
    return agentOf(await connected(path, options), options);
  } catch (error) {
    const names = path === windowsAgentPipe && errorCode(error) === 'ENOENT' ? await readdir(pipeFolder).catch(() => []) : []; // prettier-ignore
    const pageant = pageantPipe(names, options.user);
    if (pageant === undefined) throw error;
    return agentOf(await connected(pageant, options), options);
  }
}

function connected(path: string, { ended, promptMs: limit = promptMs }: AgentOptions): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const stop = () => socket.destroy(new Error('ended'));
    const late = setTimeout(() => socket.destroy(timedOut()), limit);
    const settle = () => {
      clearTimeout(late);
      ended.removeEventListener('abort', stop);
    };
    socket.once('error', (error) => {
      settle();
      reject(error);
    });
    socket.once('connect', () => {
      settle();
      resolve(socket);
    });
    ended.addEventListener('abort', stop);
    if (ended.aborted) stop();
  });
}

function timedOut(): Error {
  return Object.assign(new Error('the agent does not answer'), { code: 'ETIMEDOUT' });
}

interface BindableAgent extends Agent {
  /** Tells it where what is signed goes. */
  bind(binding: HostBinding): Promise<void>;
}

const message = { failure: 5, success: 6, list: 11, keys: 12, sign: 13, signature: 14, extension: 27 };

/** Of one reply; OpenSSH's client takes no more. */
const mostBytes = 262_144;
const mostKeys = 2_048;

function agentOf(socket: Socket, { ended, promptMs: given }: AgentOptions): BindableAgent {
  /** Those who wait for a reply; the agent answers in order. */
  const waiting: { resolve(reply: Buffer): void; reject(error: Error): void }[] = [];
  let heard = Buffer.alloc(0);
  let end: Error | undefined;

  const finish = (error: Error) => {
    end ??= error;
    socket.destroy();
    ended.removeEventListener('abort', stop);
    for (const one of waiting.splice(0)) one.reject(end);
  };
  const stop = () => finish(new Error('ended'));
  ended.addEventListener('abort', stop);
  if (ended.aborted) stop();
  socket.on('error', finish);
  socket.on('close', () => finish(Object.assign(new Error('the agent hung up'), { code: 'ECONNRESET' })));
  socket.on('end', () => finish(Object.assign(new Error('the agent hung up'), { code: 'ECONNRESET' })));
  socket.on('data', (data) => {
    heard = Buffer.concat([heard, data]);
    while (heard.length >= 4) {
      const length = heard.readUInt32BE(0);
      if (length === 0 || length > mostBytes) return finish(malformed());
      if (heard.length < 4 + length) return;
      const reply = Buffer.from(heard.subarray(4, 4 + length));
      heard = Buffer.from(heard.subarray(4 + length));
      const one = waiting.shift();
      if (!one) return finish(malformed());
      one.resolve(reply);
    }
  });

  const ask = (request: Buffer) =>
    new Promise<Buffer>((resolve, reject) => {
      if (end) return reject(end);
      waiting.push({ resolve, reject });
      socket.write(wireStrings(request));
    });
  const askWithin = async (ms: number, request: Buffer) => {
    const late = setTimeout(() => finish(timedOut()), given ?? ms);
    return ask(request).finally(() => clearTimeout(late));
  };

  return {
    async keys() {
      const reply = await askWithin(listMs, Buffer.of(message.list));
      if (reply[0] !== message.keys) throw new AgentRefused('it did not list its keys');
      const keys = readWire(reply.subarray(1), (wire) => {
        const count = wire.uint32();
        if (count > mostKeys) wire.refuse();
        return Array.from({ length: count }, () => ({
          blob: wire.string(),
          comment: printable(wire.string().toString('utf8')),
        }));
      });
      if (!keys) throw malformed();
      return keys;
    },
    async sign(key, data, algorithm) {
      const request = [wireStrings(key, data), wireUint32(rsaFlags[algorithm] ?? 0)];
      const reply = await ask(Buffer.concat([Buffer.of(message.sign), ...request]));
      if (reply[0] !== message.signature) throw new AgentRefused('it did not sign');
      const signature = readWire(reply.subarray(1), (wire) => wire.string());
      // An old agent signs RSA with SHA-1 whatever it was asked for.
      if (!signature || firstText(signature) !== algorithm)
        throw new AgentRefused(`it does not sign with ${algorithm}`);
      return signature;
    },
    async bind({ hostKey, sessionId, signature }) {
      const isForwarded = Buffer.of(0);
      const content = wireStrings('session-bind@openssh.com', hostKey, sessionId, signature);
      // Whatever it answers: one that does not know it signs all the same.
      await askWithin(promptMs, Buffer.concat([Buffer.of(message.extension), content, isForwarded]));
    },
    close: () => finish(new Error('closed')),
  };
}

/** SSH_AGENT_RSA_SHA2_256 and _512. */
const rsaFlags: Readonly<Record<string, number>> = { 'rsa-sha2-256': 2, 'rsa-sha2-512': 4 };

function malformed(): Error {
  return Object.assign(new Error('the agent’s reply can’t be read'), { code: 'EPROTO' });
}
