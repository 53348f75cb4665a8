// Whether a server is who it says: known_hosts first, then a person, then nobody.
import type { Ask, Reply } from '../core/engine.js';
import { FailureError, errorCode } from '../core/failure.js';
import { blobType, fingerprint, judgeHostKey, knownKeyTypes } from '../core/knownHosts.js';
import { knownHostsName, type HostConfig } from '../core/sshConfig.js';
import { readKnownHosts, rememberHostKey } from './sshFiles.js';

export type Question = Ask extends infer One ? (One extends Ask ? Omit<One, 'id' | 'connection'> : never) : never;
export type AskUser = (question: Question) => Promise<Reply>;

export interface HostKeyCheck {
  knownKeyTypes: readonly string[];
  /** Resolves when the key is accepted; throws a FailureError otherwise. */
  verify(blob: Buffer): Promise<void>;
}

export async function createHostKeyCheck(
  config: HostConfig,
  ask: AskUser,
  log: (text: string) => void,
): Promise<HostKeyCheck> {
  const files = [...config.userKnownHostsFiles, ...config.globalKnownHostsFiles];
  const name = knownHostsName(config);
  const entries = await readKnownHosts(files);
  const [file] = config.userKnownHostsFiles;
  const remember = async (blob: Buffer) => {
    if (file === undefined || file === '/dev/null') return;
    try {
      await rememberHostKey(file, name, blob, config.hashKnownHosts);
    } catch (error) {
      // As in ssh: the connection was allowed, the file is for the next time.
      log(`${file} could not be written (${errorCode(error)}): the key of ${name} is not remembered.`);
    }
  };
  return {
    knownKeyTypes: knownKeyTypes(entries, name),
    async verify(blob) {
      const key = { host: name, keyType: blobType(blob), fingerprint: fingerprint(blob) };
      const verdict = judgeHostKey(entries, name, blob);
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
          if (strict === 'no' || strict === 'accept-new') return remember(blob);
          const known = verdict.others.map(({ keyType, file, line }) => ({ keyType, file, line }));
          const reply = await ask({ kind: 'hostKey', ...key, known, ...(file !== undefined && { file }) });
          if (reply.kind !== 'hostKey') throw new FailureError({ kind: 'hostKeyUnknown', ...key, strict: false });
          if (reply.accept === 'remember') await remember(blob);
        }
      }
    },
  };
}
