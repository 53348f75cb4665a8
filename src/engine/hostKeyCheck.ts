// Whether a server is who it says: known_hosts first, then a person, then nobody.
import { randomBytes } from 'node:crypto';
import { BlockList, isIPv6 } from 'node:net';
import type { Ask, HostKeyHint, LogLevel, Reply } from '../core/engine.js';
import { FailureError, errorCode, type Failure } from '../core/failure.js';
import { isCertificate, parseHostCertificate, type CertificateProblem } from '../core/hostCertificate.js';
import { revocationOf } from '../core/keyRevocationList.js';
import {
  fingerprint,
  judgeHostKey,
  missingHosts,
  orderKeyTypes,
  otherNamesOf,
  parseKnownHosts,
  planUpdate,
  printKnownHost,
  sharedLine,
  withoutLines,
  type HostKeyUpdate,
  type HostNames,
  type KnownHost,
  type ShownKey,
} from '../core/knownHosts.js';
import { knownHostsCommand } from '../core/knownHostsCommand.js';
import { blobType, leastRsaBits, plainBlob, readPublicKey, rsaBits } from '../core/publicKey.js';
import { randomArt } from '../core/randomArt.js';
import { knownHostsName, type HostConfig } from '../core/sshConfig.js';
import { provableKeys } from './hostKeyProofs.js';
import { askKnownHostsCommand } from './knownHostsCommand.js';
import { appendLines, readKnownHosts, readRevokedKeys, rewriteFile } from './knownHostsFiles.js';

export type Question = Ask extends infer One ? (One extends Ask ? Omit<One, 'id' | 'connection'> : never) : never;
export type AskUser = (question: Question) => Promise<Reply>;

export interface HostKeyCheck {
  /** Types of keys in the order in which the server is to be asked for them. */
  knownKeyTypes: readonly string[];
  /**
   * Resolves when the key or certificate is accepted; throws a FailureError otherwise. Nothing is stored yet. `address` is
   * the one that was connected to, where that was done without a proxy.
   */
  verify(blob: Buffer, address?: string): Promise<void>;
  /** The server has shown by its signature that the accepted key is its own: stores what is to be. */
  proven(): Promise<void>;
  /** What the server names as its keys over the accepted connection (hostkeys-00@openssh.com): UpdateHostKeys. */
  named(blobs: readonly Buffer[], prove: ProveKeys): Promise<void>;
}

/** Resolves with those of the keys that the server proves to have (hostkeys-prove-00@openssh.com). Never rejects. */
export type ProveKeys = (blobs: readonly Buffer[]) => Promise<readonly Buffer[]>;

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');

/** `accepted`: keys that were accepted in this run, for reconnects; what is accepted now is added. */
export async function createHostKeyCheck(
  config: HostConfig,
  ask: AskUser,
  accepted: Pick<Set<string>, 'has' | 'add'>,
  log: (text: string, level?: LogLevel) => void,
  signal: AbortSignal,
): Promise<HostKeyCheck> {
  const name = knownHostsName(config);
  const names: HostNames = {
    name,
    principal: config.hostKeyAlias ?? config.hostName.toLowerCase(),
    // HostKeyAlias has no port to leave out.
    ...(config.hostKeyAlias === undefined && config.port !== 22 && { bare: config.hostName }),
  };
  const userFiles = config.userKnownHostsFiles;
  // ssh writes to the first one; /dev/null there means: remember nothing.
  const file = userFiles[0] === '/dev/null' ? undefined : userFiles[0];
  const revoked = config.revokedHostKeysFile === undefined ? undefined : await readRevokedKeys(config.revokedHostKeysFile); // prettier-ignore
  const readEntries = () => readKnownHosts([...userFiles, ...config.globalKnownHostsFiles]);
  const printed = async (reason: 'ORDER' | 'HOSTNAME' | 'ADDRESS', searched: string, blob?: Buffer) => {
    if (config.knownHostsCommand === undefined) return [];
    const tokens = {
      ...config.tokens,
      H: searched,
      I: reason,
      t: blob ? blobType(blob) : 'NONE',
      f: blob ? fingerprint(plainOf(blob).plain) : 'NONE',
      K: blob ? blob.toString('base64') : 'NONE',
    };
    return askKnownHostsCommand(config.knownHostsCommand, tokens, signal, log);
  };
  const knownKeyTypes = orderKeyTypes([...(await readEntries()), ...(await printed('ORDER', name))], names);

  /** What was accepted, until it is proved; `hosts` are the names to remember it by. */
  let shown: { plain: Buffer; identity?: string; hosts: readonly string[] } | undefined;
  let isUpdatable = false;
  let addressName: string | undefined;

  const printLines = (hosts: readonly string[], blob: Buffer) =>
    config.hashKnownHosts
      ? hosts.map((host) => printKnownHost(host, blob, randomBytes(20))).join('')
      : printKnownHost(hosts.join(','), blob);

  return {
    knownKeyTypes,
    async verify(blob, address) {
      shown = undefined;
      const key = plainOf(blob, name);
      const facts = { host: name, keyType: blobType(key.plain), fingerprint: fingerprint(key.plain) };
      checkKey(name, key.plain, config.requiredRsaBits);
      const what = revoked && revocationOf(revoked, key.plain, key.certificate);
      if (what) throw new FailureError({ kind: 'hostKeyRevoked', what, ...factsOf(what, key, facts), file: config.revokedHostKeysFile! }); // prettier-ignore

      if (config.trustsLocalhost && address !== undefined && isLoopback(address)) {
        log(`The key of ${name} is taken as it is: it is at ${address}, and NoHostAuthenticationForLocalhost is set.`);
        return;
      }

      const lines = await printed('HOSTNAME', name, blob);
      // Another connection may have learnt it since this one began.
      const entries = await readEntries();
      const verdict = judgeHostKey(entries, names, key, Date.now(), config.algorithms.caSignature, lines);
      const lax = config.strictHostKeyChecking === 'no';
      if (verdict.kind === 'revoked') {
        const { entry, isAuthority } = verdict;
        const what = isAuthority ? 'authority' : 'key';
        throw new FailureError({ kind: 'hostKeyRevoked', what, ...factsOf(what, key, facts), file: entry.file, line: entry.line }); // prettier-ignore
      }
      if (verdict.kind === 'changed') {
        const { file, line, keyType: knownType } = verdict.entry;
        const shared = sharedLine(entries, name, address && withPort(address, config.port), file);
        throw new FailureError({ kind: 'hostKeyChanged', ...facts, file, line, knownType, lax, ...(shared && { shared }) }); // prettier-ignore
      }
      if (verdict.kind === 'certificateRefused')
        throw new FailureError(certificateFailure(names.principal, verdict.problem));
      if (verdict.kind === 'certified') return;

      const wanted = addressOf(config, address, name, key);
      const addressState = wanted === undefined ? undefined : judgeAddress(wanted, key, entries, await printed('ADDRESS', wanted, blob)); // prettier-ignore
      if (addressState?.kind === 'revoked')
        throw new FailureError({ kind: 'hostKeyRevoked', what: 'key', ...facts, file: addressState.entry.file, line: addressState.entry.line }); // prettier-ignore
      const isNewAddress = addressState?.kind === 'unknown';
      addressName = isNewAddress || addressState?.kind === 'known' ? wanted : undefined;
      const other = addressState?.kind === 'changed' ? addressState.entry : undefined;
      const conflict = (): Failure => {
        const { file, line } = other!;
        const shared = sharedLine(entries, wanted!, undefined, file);
        return { kind: 'hostAddressChanged', ...facts, address: wanted!, file, line, ...(shared && { shared }) };
      };
      if (other && (config.strictHostKeyChecking === 'yes' || config.strictHostKeyChecking === 'accept-new'))
        throw new FailureError(conflict());
      if (other && lax) log(`The key of ${name} is not the one that line ${other.line} of ${other.file} has for ${wanted}.`); // prettier-ignore

      if (verdict.kind === 'known') {
        isUpdatable = verdict.isExact && userFiles.includes(verdict.entry.file);
        if (addressState?.kind === 'known' && !userFiles.includes(addressState.entry.file)) isUpdatable = false;
        const isWritable = verdict.isExact && verdict.entry.file !== knownHostsCommand;
        shown = { plain: key.plain, hosts: isNewAddress && isWritable ? [wanted!] : [] };
        if (!other || lax) return;
      }
      const hosts = verdict.kind === 'known' ? [] : [name, ...(isNewAddress ? [wanted!] : [])];
      const identity = `${name} ${key.plain.toString('base64')}${other ? ` ${wanted}` : ''}`;
      if (verdict.kind === 'unknown' && config.strictHostKeyChecking === 'yes')
        throw new FailureError({ kind: 'hostKeyUnknown', ...facts, because: 'strict' });
      if (accepted.has(identity)) return;
      if (verdict.kind === 'unknown') {
        if (lax || config.strictHostKeyChecking === 'accept-new') {
          shown = { plain: key.plain, hosts };
          return;
        }
      }
      const reply = await ask({
        kind: 'hostKey',
        ...facts,
        art: randomArt(key.plain),
        ...(config.visualHostKey && { visual: true }),
        ...(key.certificate && { authority: fingerprint(key.certificate.authority) }),
        known: [
          ...(verdict.kind === 'unknown' ? verdict.authorities.map((entry) => hint('authority', entry)) : []),
          ...(other ? [{ ...hint('address', other), hosts: wanted! }] : []),
          ...(verdict.kind === 'unknown' ? otherNamesOf(entries, key.plain).slice(0, 8).map((entry) => hint('otherName', entry)) : []), // prettier-ignore
        ],
        ...(file !== undefined && verdict.kind === 'unknown' && { file }),
      });
      if (reply.kind !== 'hostKey') {
        const because = config.batchMode ? 'batch' : 'refused';
        throw new FailureError(other ? conflict() : { kind: 'hostKeyUnknown', ...facts, because });
      }
      const isRemembered = reply.accept === 'remember' && verdict.kind === 'unknown';
      if (verdict.kind === 'unknown') isUpdatable = isRemembered;
      shown = { plain: key.plain, identity, hosts: isRemembered ? hosts : [] };
    },

    async proven() {
      if (!shown) return;
      const { plain, identity, hosts } = shown;
      shown = undefined;
      if (identity !== undefined) accepted.add(identity);
      if (hosts.length === 0 || file === undefined) return;
      try {
        await appendLines(file, async () => {
          const left = missingHosts(await readKnownHosts([file]), hosts, plain);
          return left.length > 0 ? printLines(left, plain) : '';
        });
      } catch (error) {
        // As in ssh: the connection was allowed, the file is for the next time.
        log(
          `${file} could not be written (${errorCode(error)}): the key of ${hosts.join(' and ')} is not remembered, and is asked about again next time.`,
          'warning',
        );
      }
    },

    async named(blobs, prove) {
      if (!isUpdatable || file === undefined || config.updateHostKeys === 'no') return;
      isUpdatable = false;
      const keys = provableKeys(blobs).filter(
        (blob) => isAllowed(blob, config.algorithms.hostKey) && !isTooShort(blob, config.requiredRsaBits),
      );
      const now = await readKnownHosts(userFiles);
      const update = planUpdate(now, name, addressName, blobs, keys);
      if (!update) return;
      const { added, removed } = await provenOf(update, prove);
      if (added.length + removed.length === 0) return;
      if (config.updateHostKeys === 'ask') {
        log(`${name} has other keys than ${file}: ${added.length} new, ${removed.length} gone. With UpdateHostKeys ask nothing is changed here; connect once with ssh for it.`); // prettier-ignore
        return;
      }
      const hosts = [name, ...(addressName === undefined ? [] : [addressName])];
      const linesBeside = (now: readonly KnownHost[]) =>
        added
          .filter((blob) => missingHosts(now, [name], blob).length > 0)
          .map((blob) => printLines(hosts, blob))
          .join('');
      try {
        if (removed.length === 0) await appendLines(file, async () => linesBeside(await readKnownHosts([file])));
        else
          for (const one of new Set([file, ...removed.map((entry) => entry.file)])) {
            const gone = removed.filter((entry) => entry.file === one);
            await rewriteFile(one, (text) => {
              const found = stillThere(text, one, gone);
              const rest = withoutLines(text, new Set(found));
              return one === file ? withLines(rest, linesBeside(parseKnownHosts(text, one))) : rest;
            });
          }
      } catch (error) {
        log(
          `${file} could not be written (${errorCode(error)}): the new keys of ${name} are not remembered.`,
          'warning',
        );
        return;
      }
      for (const blob of added) log(`New key of ${name} in ${file}: ${blobType(blob)} ${fingerprint(blob)}`);
      for (const entry of removed)
        log(`Old key of ${name} removed from ${entry.file}: ${entry.keyType} ${fingerprint(Buffer.from(entry.key, 'base64'))}`); // prettier-ignore
    },
  };
}

/** What is left of an update when the server has been asked for proofs: as in ssh, nothing goes where one is missing. */
async function provenOf({ added, removed }: HostKeyUpdate, prove: ProveKeys): Promise<HostKeyUpdate> {
  if (added.length === 0) return { added, removed };
  const proved = await prove(added);
  return { added: proved, removed: proved.length === added.length ? removed : [] };
}

/** The lines, from 1, of those entries that the text still has where they were read or elsewhere. */
function stillThere(text: string, file: string, entries: readonly KnownHost[]): number[] {
  return parseKnownHosts(text, file)
    .filter((now) =>
      entries.some(({ hosts, key, marker }) => hosts === now.hosts && key === now.key && marker === now.marker),
    ) // prettier-ignore
    .map(({ line }) => line);
}

function withLines(text: string, lines: string): string {
  return text === '' || text.endsWith('\n') || lines === '' ? text + lines : `${text}\n${lines}`;
}

/** A certificate with its key, or a plain key. Throws a FailureError for a certificate that no authority can have made. */
function plainOf(blob: Buffer, host = ''): ShownKey {
  if (!isCertificate(blob)) return { plain: plainBlob(blob) };
  const certificate = parseHostCertificate(blob);
  if (certificate?.isSigned) return { plain: certificate.plainKey, certificate };
  const reason = certificate ? 'signature' : 'malformed';
  throw new FailureError({ kind: 'hostCertificateInvalid', host, reason, names: [] });
}

/** Throws a FailureError for what is no key, or none that is safe. */
function checkKey(host: string, plain: Buffer, requiredRsaBits: number): void {
  const bits = rsaBits(plain);
  if (bits !== undefined && bits < leastRsaBits)
    throw new FailureError({ kind: 'hostKeyTooShort', host, bits, least: leastRsaBits });
  if (bits !== undefined && isTooShort(plain, requiredRsaBits))
    throw new FailureError({ kind: 'hostKeyTooShort', host, bits, least: requiredRsaBits, isAsked: true });
  if (!readPublicKey(plain))
    throw new FailureError({ kind: 'handshakeFailed', host, detail: 'the host key can’t be read' });
}

function isTooShort(plain: Buffer, requiredRsaBits: number): boolean {
  const bits = rsaBits(plain);
  return bits !== undefined && bits < requiredRsaBits;
}

function factsOf<F extends { keyType: string; fingerprint: string }>(
  what: 'key' | 'certificate' | 'authority',
  { certificate }: ShownKey,
  facts: F,
): F {
  if (what !== 'authority' || !certificate) return facts;
  const { authority } = certificate;
  return { ...facts, keyType: blobType(authority), fingerprint: fingerprint(authority) };
}

function certificateFailure(host: string, problem: CertificateProblem): Failure {
  switch (problem.kind) {
    case 'expired':
      return { kind: 'hostCertificateExpired', host, until: problem.until };
    case 'notYetValid':
      return { kind: 'hostCertificateEarly', host, from: problem.from };
    case 'otherPrincipal':
      return { kind: 'hostCertificateForOthers', host, principals: problem.principals };
    case 'user':
      return { kind: 'hostCertificateInvalid', host, reason: 'user', names: [] };
    case 'options':
      return { kind: 'hostCertificateInvalid', host, reason: 'options', names: problem.names };
    case 'algorithm':
      return { kind: 'hostCertificateInvalid', host, reason: 'algorithm', names: [problem.name] };
  }
}

function isLoopback(address: string): boolean {
  const plain = withoutMapping(address);
  return loopback.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4');
}

/** An IPv4 address that is written as one of IPv6. */
function withoutMapping(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '');
}

/** An address as known_hosts has it. */
function withPort(address: string, port: number): string {
  const plain = withoutMapping(address);
  return port === 22 ? plain : `[${plain}]:${port}`;
}

/** The name under which CheckHostIP looks the address up; undefined where it doesn't: as in ssh. */
function addressOf(
  { checkHostIp, port }: HostConfig,
  address: string | undefined,
  name: string,
  { certificate }: ShownKey,
): string | undefined {
  if (!checkHostIp || address === undefined || certificate) return undefined;
  if (isLoopback(address)) return undefined;
  const written = withPort(address, port);
  return written === name ? undefined : written;
}

function judgeAddress(address: string, key: ShownKey, entries: readonly KnownHost[], printed: readonly KnownHost[]) {
  return judgeHostKey(entries, { name: address, principal: address }, { plain: key.plain }, 0, [], printed);
}

function hint(kind: HostKeyHint['kind'], { hosts, keyType, file, line }: KnownHost): HostKeyHint {
  return { kind, hosts: hosts.startsWith('|') ? '' : hosts, keyType, file, line };
}

/** Whether HostKeyAlgorithms, where it is narrowed, allows a key of this type. */
function isAllowed(blob: Buffer, algorithms: readonly string[] | undefined): boolean {
  const type = blobType(blob);
  const names = type === 'ssh-rsa' ? ['rsa-sha2-256', 'rsa-sha2-512', type] : [type];
  return names.some((name) => algorithms?.includes(name) ?? true);
}
