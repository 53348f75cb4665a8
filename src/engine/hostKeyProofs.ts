// The host keys that a server says it has (OpenSSH PROTOCOL section 2.5), and which of them it proves.
import { plainBlob, readPublicKey, verifySignature, wholeStrings } from '../core/publicKey.js';
import { wireStrings } from '../core/wire.js';

export interface ProofContext {
  sessionId: Buffer;
  /** Asks the server for a proof of each key; `answer` gets what it sent, or undefined when it refused or is gone. */
  ask(blobs: readonly Buffer[], answer: (proofs: Buffer | undefined) => void): void;
}

/** More than any server has. */
const mostKeys = 64;

/**
 * Of the blobs that a server named as its keys, those that it can be asked to prove: no certificates, damaged keys and types
 * that can't be checked here. None of a list that names one twice, as in ssh.
 */
export function provableKeys(named: readonly Buffer[]): readonly Buffer[] {
  const blobs = named.slice(0, mostKeys).filter((blob) => readPublicKey(blob) !== undefined);
  const isTwice = new Set(blobs.map((blob) => plainBlob(blob).toString('base64'))).size < blobs.length;
  return isTwice ? [] : blobs;
}

/** Resolves with those of the keys that the server has signed this session with; none when it does not answer to all. */
export function proveHostKeys(blobs: readonly Buffer[], { sessionId, ask }: ProofContext): Promise<readonly Buffer[]> {
  const session = Buffer.from(sessionId);
  return new Promise((resolve) => {
    ask(blobs, (answer) => {
      const proofs = answer && wholeStrings(answer);
      if (proofs?.length !== blobs.length) return resolve([]);
      const sound = blobs.filter((blob, index) => {
        const data = wireStrings('hostkeys-prove-00@openssh.com', session, blob);
        return algorithmsOf(blob).some((algorithm) => verifySignature(blob, algorithm, data, proofs[index]!));
      });
      resolve(sound);
    });
  });
}

function algorithmsOf(blob: Buffer): readonly string[] {
  const type = readPublicKey(blob)?.type;
  return type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : type === undefined ? [] : [type];
}
