// The host keys that a server says it has (OpenSSH PROTOCOL section 2.5), and which of them it proves.
import { readPublicKey, verifySignature, wholeStrings } from '../core/publicKey.js';
import { wireStrings } from '../core/wire.js';

export interface ProofContext {
  sessionId: Buffer;
  /** Asks the server for a proof of each key; `answer` gets what it sent, or undefined when it refused or is gone. */
  ask(blobs: readonly Buffer[], answer: (proofs: Buffer | undefined) => void): void;
}

/** More than any server has. */
const mostKeys = 64;

/**
 * Calls `proved` with the keys that the server has signed this session with, unless there is none. Certificates, damaged
 * keys and types that can't be checked here are not asked for; a list that names a key twice is not taken, as in ssh.
 */
export function proveHostKeys(
  named: readonly Buffer[],
  proved: (blobs: readonly Buffer[]) => void,
  { sessionId, ask }: ProofContext,
): void {
  const blobs = named
    .slice(0, mostKeys)
    .filter((blob) => readPublicKey(blob) !== undefined)
    .map((blob) => Buffer.from(blob));
  const isTwice = new Set(blobs.map((blob) => blob.toString('base64'))).size < blobs.length;
  if (blobs.length === 0 || isTwice) return;
  const session = Buffer.from(sessionId);
  ask(blobs, (answer) => {
    const proofs = answer && wholeStrings(answer);
    if (proofs?.length !== blobs.length) return;
    const sound = blobs.filter((blob, index) => {
      const data = wireStrings('hostkeys-prove-00@openssh.com', session, blob);
      return algorithmsOf(blob).some((algorithm) => verifySignature(blob, algorithm, data, proofs[index]!));
    });
    if (sound.length > 0) proved(sound);
  });
}

function algorithmsOf(blob: Buffer): readonly string[] {
  const { type } = readPublicKey(blob)!;
  return type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type];
}
