// Whether a server is who it says: known_hosts first, then a person, then nobody.
import type { Ask, Reply } from '../core/engine.js';
import { FailureError, errorCode } from '../core/failure.js';
import { blobType, fingerprint, judgeHostKey, judgeWithoutPort, knownKeyTypes } from '../core/knownHosts.js';
import { knownHostsName, type HostConfig } from '../core/sshConfig.js';
import { readKnownHosts, rememberHostKey } from './sshFiles.js';

export type Question = Ask extends infer One ? (One extends Ask ? Omit<One, 'id' | 'connection'> : never) : never;
export type AskUser = (question: Question) => Promise<Reply>;

export interface HostKeyCheck {
  knownKeyTypes: readonly string[];
  /** Resolves when the key is accepted; throws a FailureError otherwise. */
  verify(blob: Buffer): Promise<void>;
}

/** `accepted`: keys that were accepted in this run, for reconnects; what is accepted now is added. */
export async function createHostKeyCheck(
  config: HostConfig,
  ask: AskUser,
  accepted: Pick<Set<string>, 'has' | 'add'>,
  log: (text: string) => void,
): Promise<HostKeyCheck> {
  const files = [...config.userKnownHostsFiles, ...config.globalKnownHostsFiles];
  const name = knownHostsName(config);
  const entries = await readKnownHosts(files);
  // ssh writes to the first one; /dev/null there means: remember nothing.
  const [first] = config.userKnownHostsFiles;
  const file = first === '/dev/null' ? undefined : first;
  // HostKeyAlias has no port to leave out.
  const bareHost = config.hostKeyAlias === undefined && config.port !== 22 ? config.hostName : undefined;
  const remember = async (blob: Buffer) => {
    if (file === undefined) return;
    try {
      await rememberHostKey(file, name, blob, config.hashKnownHosts);
    } catch (error) {
      // As in ssh: the connection was allowed, the file is for the next time.
      log(`${file} could not be written (${errorCode(error)}): the key of ${name} is not remembered.`);
    }
  };
  return {
    knownKeyTypes: [name, ...(bareHost === undefined ? [] : [bareHost])].flatMap((host) =>
      knownKeyTypes(entries, host),
    ),
    async verify(blob) {
      const key = { host: name, keyType: blobType(blob), fingerprint: fingerprint(blob) };
      const exact = judgeHostKey(entries, name, blob);
      const verdict = bareHost === undefined ? exact : judgeWithoutPort(entries, exact, bareHost, blob);
      const identity = `${name} ${blob.toString('base64')}`;
      switch (verdict.kind) {
        case 'known':
          return;
        case 'revoked':
        case 'changed': {
          const { file, line } = verdict.entry;
          throw new FailureError({
            kind: verdict.kind === 'revoked' ? 'hostKeyRevoked' : 'hostKeyChanged',
            ...key,
            file,
            line,
          });
        }
        case 'unknown': {
          const strict = config.strictHostKeyChecking;
          if (strict === 'yes') throw new FailureError({ kind: 'hostKeyUnknown', ...key, strict: true });
          if (accepted.has(identity)) return;
          if (strict === 'no' || strict === 'accept-new') {
            accepted.add(identity);
            return remember(blob);
          }
          const known = verdict.others.map(({ keyType, file, line }) => ({ keyType, file, line }));
          const reply = await ask({ kind: 'hostKey', ...key, art: '', known, ...(file !== undefined && { file }) });
          if (reply.kind !== 'hostKey') throw new FailureError({ kind: 'hostKeyUnknown', ...key, strict: false });
          accepted.add(identity);
          if (reply.accept === 'remember') await remember(blob);
        }
      }
    },
  };
}
