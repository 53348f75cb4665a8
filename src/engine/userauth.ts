// The requests of user authentication (RFC 4252, RFC 4256), each with the server's answer. What is tried, and when, is
// engine/authentication's.
import { FailureError } from '../core/failure.js';
import type { HostBinding } from './agent.js';
import { wireStrings, wireUint32 } from '../core/wire.js';

export interface Round {
  name: string;
  instruction: string;
  prompts: readonly { text: string; echo: boolean }[];
}

/** What a server says to a request; the texts are its own. */
export type AuthAnswer =
  | { kind: 'success' }
  /** `methods`: those that can go on (RFC 4252 section 5.1). `partial`: the request was right, and another one is wanted. */
  | { kind: 'failure'; methods: readonly string[]; partial: boolean }
  | { kind: 'keyOk'; algorithm: string; blob: Buffer }
  | { kind: 'passwordChange'; prompt: string }
  | ({ kind: 'round' } & Round);

/** The connection as authentication sees it: keys are exchanged, and the host's key is accepted. */
export interface AuthTransport {
  user: string;
  sessionId: Buffer;
  /** Its server-sig-algs (RFC 8308); absent: it said nothing. */
  serverAlgorithms: readonly string[] | undefined;
  binding: HostBinding | undefined;
  /** Aborted when the connection is gone. */
  ended: AbortSignal;
  /**
   * Sends a message and resolves with the server's answer; rejects when the connection ends before. `method` is that of a
   * request, undefined for the reply to a round.
   */
  send(payload: Buffer, method: AuthMethod | undefined): Promise<AuthAnswer>;
}

export type AuthMethod = 'none' | 'publickey' | 'password' | 'keyboard-interactive';

export interface UserAuth {
  none(): Promise<AuthAnswer>;
  /** Asks whether the server would take a key: `keyOk` when it would. Rejects with keyTooLong, without a name, as `signedKey` does. */
  offerKey(algorithm: string, blob: Buffer): Promise<AuthAnswer>;
  /** `sign` is called with what is to be signed (RFC 4252 section 7), and gives the signature's blob. */
  signedKey(algorithm: string, blob: Buffer, sign: (data: Buffer) => Promise<Buffer>): Promise<AuthAnswer>;
  password(password: string): Promise<AuthAnswer>;
  interactive(): Promise<AuthAnswer>;
  respond(answers: readonly string[]): Promise<AuthAnswer>;
}

const userauthRequest = 50;
const userauthInfoResponse = 61;

/** What fits into one packet of every server (RFC 4253 section 6.1: 35000 bytes with all around it). */
const longestMessage = 32_768;

export function createUserAuth(transport: AuthTransport): UserAuth {
  const { user, sessionId } = transport;
  const send = (payload: Buffer, method: AuthMethod | undefined) => {
    if (payload.length > longestMessage)
      throw new FailureError({ kind: 'unexpected', detail: 'what logs in is longer than 32 KiB' });
    return transport.send(payload, method);
  };
  const head = (method: AuthMethod) =>
    Buffer.concat([Buffer.of(userauthRequest), wireStrings(user, 'ssh-connection', method)]);
  const keyRequest = (isSigned: boolean, algorithm: string, blob: Buffer) =>
    Buffer.concat([head('publickey'), Buffer.of(isSigned ? 1 : 0), wireStrings(algorithm, blob)]);
  const sendKey = (payload: Buffer) => {
    if (payload.length > longestMessage) throw new FailureError({ kind: 'keyTooLong', key: '' });
    return transport.send(payload, 'publickey');
  };
  return {
    none: () => send(head('none'), 'none'),
    offerKey: async (algorithm, blob) => sendKey(keyRequest(false, algorithm, blob)),
    async signedKey(algorithm, blob, sign) {
      const request = keyRequest(true, algorithm, blob);
      const signature = await sign(Buffer.concat([wireStrings(sessionId), request]));
      return sendKey(Buffer.concat([request, wireStrings(signature)]));
    },
    password: (password) => send(Buffer.concat([head('password'), Buffer.of(0), wireStrings(password)]), 'password'),
    // No language, no submethods (RFC 4256 section 3.1).
    interactive: () => send(Buffer.concat([head('keyboard-interactive'), wireStrings('', '')]), 'keyboard-interactive'),
    respond: (answers) =>
      send(
        Buffer.concat([Buffer.of(userauthInfoResponse), wireUint32(answers.length), wireStrings(...answers)]),
        undefined,
      ),
  };
}
