// Every sentence that a person reads about a tunnel. A failure becomes one sentence of what failed and where, and one
// of the next step.
import type { Access, BoundAddress, Listened } from './engine.js';
import type { AlgorithmUse, CommandProblem, DestinationProblem, Failure, SpecProblem } from './failure.js';
import { printEndpoint, type ForwardSpec, type Listen } from './forwardSpec.js';
import type { PortOwner } from './portOwner.js';
import { knownHostsCommand } from './knownHosts.js';
import { machineName } from './machine.js';
import { printable, unseen } from './printable.js';
import type { ServerPort } from './serverPort.js';
import { quoteShell } from './shellWords.js';

/** What is wrong with a forward's text: `target port missing`. */
export function specProblem(problem: SpecProblem): string {
  switch (problem.kind) {
    case 'empty':
      return 'nothing to forward';
    case 'blank':
      return 'a blank inside the forward';
    case 'unseen':
      return `${unseenText(problem.character)} inside the forward`;
    case 'option':
      return problem.option === '' ? 'expected -L, -R or -D first' : `${problem.option} is not -L, -R or -D`;
    case 'bracket':
      return '] missing';
    case 'bracketTail':
      return 'expected : after ]';
    case 'backslash':
      return 'nothing after the backslash';
    case 'quote':
      return 'a quote is not closed';
    case 'variable':
      return problem.name === '' ? 'no name between ${ and }' : `environment variable ${problem.name} is not set`;
    case 'variableSyntax':
      return '} missing';
    case 'tooManyFields':
      return 'too many fields; write an IPv6 address in [brackets]';
    case 'listenPort':
      return `${quoted(problem.text)} is not a port to listen on (1 to 65535)`;
    case 'listenPortZero':
      return 'port 0 can’t be listened on; name a port from 1 to 65535';
    case 'targetMissing':
      return 'target missing; write port:host:hostport';
    case 'targetHostMissing':
      return 'target host missing';
    case 'targetPortMissing':
      return 'target port missing';
    case 'targetPort':
      return `${quoted(problem.text)} is not a target port (1 to 65535)`;
    case 'pathTooLong':
      return 'socket path longer than 107 characters';
    case 'hostTooLong':
      return 'host name too long';
  }
}

/** `an invisible character (U+202E)` */
function unseenText(character: string): string {
  return `an invisible character (U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')})`;
}

export function destinationProblem(problem: DestinationProblem): string {
  switch (problem.kind) {
    case 'hostMissing':
      return 'host missing; write user@host or user@host:port';
    case 'userMissing':
      return 'user missing before @';
    case 'password':
      return 'a password can’t stand here; it is asked for when it is needed. If the colon is a part of the user’s name, write it without ssh://';
    case 'leadingDash':
      return 'a name can’t begin with -';
    case 'character':
      if (/[\t-\r]|\p{Zs}/u.test(problem.character)) return 'a blank inside the name';
      return unseen.test(problem.character)
        ? `${unseenText(problem.character)} inside the name`
        : `${problem.character} can’t be part of a name`;
    case 'port':
      return `${quoted(problem.text)} is not a port (1 to 65535)`;
    case 'bracket':
      return 'write an IPv6 address with a port as [address]:port';
    case 'path':
      return 'nothing may follow the host and port';
    case 'option':
      return optionProblem(problem);
    case 'optionValue':
      return problem.text === ''
        ? `${problem.option} needs a value`
        : `${quoted(problem.text)} is not a value of ${problem.option}`;
    case 'jumpTwice':
      return '-J may come once; write several jump hosts with commas, first hop first';
    case 'word':
      return `nothing but options may stand beside the host; ${quoted(problem.text)} is too much`;
    case 'quote':
      return 'closing quote missing';
    case 'backslash':
      return 'a backslash at the end, with nothing behind it';
  }
}

function optionProblem({ option, reason }: DestinationProblem & { kind: 'option' }): string {
  switch (reason) {
    case 'hostKey':
      return `${option} can’t be set here: host keys are always checked`;
    case 'program':
      return `${option} can’t be set here since it names a program to run; set it in your ssh_config`;
    case 'forward':
      return `${option} is about forwards, not about the host; leave it out here`;
    case 'elsewhere':
      return `${option} can’t be set here; set it for this host in ssh_config`;
    case 'configFile':
      return `${option} can’t be set here, since the file may mean another host; name it in the setting sshTunnels.sshConfigFile`;
    case 'needless':
      return `${option} says nothing about the host; leave it out here`;
    case 'unknown':
      return `ssh has no option ${option}`;
  }
}

export function commandProblem(problem: CommandProblem): string {
  switch (problem.kind) {
    case 'notSsh':
      return problem.word === '' ? 'no ssh command' : `expected ssh, not ${quoted(problem.word)}`;
    case 'quote':
      return 'no closing quote';
    case 'backslash':
      return 'a backslash at its end, so the rest of the command is missing';
    case 'substitution':
      return `${problem.text} would run a command; write what it comes to instead`;
    case 'control':
      return `-O ${problem.command} is for an ssh that runs already, and nothing would start`;
    case 'tooLong':
      return 'longer than 16,384 characters; paste the ssh command alone';
    case 'shell':
      return 'commands are not run here, only forwards are added and cancelled';
    case 'line':
      return 'expected -L, -R, -D, -KL, -KR, -KD or ?';
    case 'cancelTarget':
      return 'a forward is cancelled by where it listens alone, such as -KL 8080';
  }
}

/**
 * What failed, where, and the next step, in one to three sentences. `holder` is the name of our own tunnel that has the
 * port.
 */
export function failureText(failure: Failure, holder?: string): string {
  switch (failure.kind) {
    case 'badSpec':
      return `${quoted(oneLine(failure.text))}: ${specProblem(failure.problem)}${place(failure)}.`;
    case 'badDestination':
      if (failure.problem.kind === 'password')
        return `The host has a password in it: ${destinationProblem(failure.problem)}.`;
      return `${quoted(oneLine(failure.text))}: ${destinationProblem(failure.problem)}${place(failure)}.`;
    case 'badCommand':
      return `${quoted(oneLine(failure.text))}: ${commandProblem(failure.problem)}${place(failure)}.`;
    case 'noForward':
      return `This command connects to ${failure.host} and forwards nothing. Add a forward to it, such as -L 8080:localhost:80.`;
    case 'noSuchForward':
      return failure.near.length > 0
        ? `${failure.line} cancels nothing, since nothing listens there. For the same port, write ${failure.near.join(' or ')}.`
        : `${failure.line} cancels nothing, since nothing listens there. Write the kind, address and port of a forward that does.`;
    case 'notSupportedYet':
      return `${failure.what} is not supported yet by this version.`;
    case 'sshConfig':
      return `ssh_config can’t be used: ${closed(failure.detail)}`;
    case 'jumpLoop':
      return `${failure.host} can’t be reached: its jump hosts lead through ${failure.hop} again and again. Mend ProxyJump in ssh_config.`;
    case 'hostNotFound':
      return `${failure.host} was not found. Check the name and your network or VPN.`;
    case 'connectFailed':
      return `${withPort(failure)} ${connectReason(failure.code)}`;
    case 'connectTimeout':
      return `${withPort(failure)} did not answer within ${failure.seconds} s. Check the address and your network or VPN.`;
    case 'hopRefused':
      return hopText(failure);
    case 'hop':
      return onTheWayText(failure);
    case 'proxyCommandFailed':
      return proxyCommandText(failure);
    case 'notSsh':
      // sshd's own words before it hangs up: too many connections (MaxStartups), or a penalty (PerSourcePenalties).
      if (/^Exceeded MaxStartups|^Not allowed at this time/.test(failure.said))
        return `${withPort(failure)} takes no connection now (“${failure.said}”). Try again later.`;
      return `${withPort(failure)} does not speak SSH (it said “${failure.said}”). Check the port.`;
    case 'handshakeFailed':
      return `${failure.host} and ${machineName()} could not agree on a secure connection: ${closed(failure.detail)}`;
    case 'noCommonAlgorithm':
      return noCommonText(failure);
    case 'nothingToOffer':
      return `${algorithmOptions[failure.use]} in ssh_config leaves nothing to offer to ${failure.host}: it names ${failure.asked.join(', ')}, and possible here are ${failure.possible.join(', ')}. Add one of these.`;
    case 'hostKeyUnknown':
      return unknownKeyText(failure);
    case 'hostKeyChanged':
      return changedText(failure);
    case 'hostAddressChanged':
      return `The host key of ${failure.host} (${failure.keyType} ${failure.fingerprint}) is not the one that line ${failure.line} of ${failure.file} has for its address ${failure.address}, and CheckHostIP asks for the same. The name may lead to a wrong machine, or the address may have been given to another one. ${removalText(failure.address, failure)}`;
    case 'hostKeyRevoked':
      return revokedText(failure);
    case 'hostKeyTooShort':
      return `The host key of ${failure.host} is an RSA key of ${failure.bits} bits, ${failure.isAsked ? `and RequiredRSASize in ssh_config asks for at least ${failure.least}` : `which is not safe: at least ${failure.least} are needed`}. Ask who runs the server for a new one.`;
    case 'hostCertificateExpired':
      return `The certificate of ${failure.host} expired on ${dateText(failure.until)}. Ask who runs the server to renew it; if it should still be valid, check the clock of ${machineName()}.`;
    case 'hostCertificateEarly':
      return `The certificate of ${failure.host} is not valid before ${dateText(failure.from)}. Check the clock of ${machineName()}, or ask who runs the server.`;
    case 'hostCertificateForOthers':
      return failure.principals.length === 0
        ? `The certificate of ${failure.host} names no host, so it is for none. Ask who runs the server for one that names ${failure.host}.`
        : `The certificate of ${failure.host} is for another host: it names ${listText(failure.principals)}. Connect by such a name, or set HostKeyAlias to it if this is that host.`;
    case 'hostCertificateInvalid':
      return invalidCertificateText(failure);
    case 'revokedKeysUnreadable':
      return failure.code === 'INVALID'
        ? `${failure.file}, which RevokedHostKeys names, is neither a list of public keys nor a key revocation list, so no server’s key can be checked. Mend the file.`
        : `${failure.file}, which RevokedHostKeys names, can’t be read (${failure.code}), so no server’s key can be checked.`;
    case 'knownHostsCommandFailed':
      return `KnownHostsCommand failed (${failure.program}: ${failure.detail}), so the server’s key can’t be checked. Mend it in ssh_config.`;
    case 'knownHostsUnreadable':
      return `${failure.file} can’t be read (${failure.code}), so the server’s key can’t be checked.`;
    case 'authFailed':
      return authText(failure);
    case 'keyUnreadable':
      return failure.code === 'ENOENT'
        ? `The key file ${failure.path} does not exist.`
        : `The key file ${failure.path} can’t be read (${failure.code}).`;
    case 'keyInvalid':
      return `${failure.path} is not a private key that can be used here.`;
    case 'keyUnprotected':
      return `The key file ${failure.path} can be read by others (mode ${failure.mode.toString(8).padStart(4, '0')}), so it is not used; “chmod 600 ${failure.path}” makes it yours alone.`;
    case 'passphraseWrong':
      return `The passphrase of ${failure.path} was wrong.`;
    case 'keyCipherUnknown':
      return `${failure.path} is encrypted ${failure.cipher ? `with ${failure.cipher}, which` : 'in a way that'} can’t be opened here. Add it to an SSH agent, or give it a passphrase anew with “ssh-keygen -p -f ${failure.path}”.`;
    case 'keyTooMuchWork':
      return `${failure.path} takes too long to open: its passphrase is made into a key with more work than is done here. Add it to an SSH agent, or save it anew with less.`;
    case 'keyNeedsAgent':
      return `${failure.path} points to a security key, which is used through an SSH agent alone: add it with “ssh-add ${failure.path}”.`;
    case 'keyTooShort':
      return `${failure.key} is not used: it is an RSA key of ${failure.bits} bits, and RequiredRSASize in ssh_config asks for at least ${failure.least}.`;
    case 'keyTooLong':
      return `${failure.key} is not used, since it is longer than any server takes.`;
    case 'keyNotAllowed':
      if (failure.wantsSha1)
        return `${failure.key} is not used: RSA with SHA-1 (ssh-rsa), which is no longer safe, is not used here. Use a key of another type, such as Ed25519, or ask who runs the server to allow rsa-sha2-512.`;
      return `${failure.key} is not used, since PubkeyAcceptedAlgorithms in ssh_config and the server leave no way to sign with it.`;
    case 'certificateUnusable':
      return certificateText(failure);
    case 'passwordExpired':
      return `The password of ${failure.user} on ${failure.host} has expired. Log in with ssh in a terminal to choose a new one, and start it again.`;
    case 'answerNeeded':
      return `${failure.host} waits for you: ${neededText(failure)}. Start it to answer.`;
    case 'agentUnreachable':
      return `The SSH agent at ${failure.path} can’t be reached (${failure.code}).`;
    case 'signatureRefused':
      return `The SSH agent did not sign with ${failure.key}.`;
    case 'connectionLost':
      return lostText(failure);
    case 'portInUse':
      return `${hostPort(failure.address, failure.port)} is already in use on ${machineName()}${byOwner(failure, holder)}. ${stopOwner(failure, holder)}, or choose another port.`;
    case 'remoteHalf':
      return `${hostPort(failure.address, failure.port)} on ${failure.host} is in use by something else. Stop it there, or choose another port.`;
    case 'portForbidden':
      return failure.port < 1024
        ? `${hostPort(failure.address, failure.port)} can’t be listened on: ports below 1024 are for administrators here. Choose a port above 1023.`
        : `${hostPort(failure.address, failure.port)} can’t be listened on: ${machineName()} keeps it for something else. Choose another port.`;
    case 'addressUnavailable':
      return `${failure.address} is not an address of ${machineName()}, so nothing can listen there. Choose localhost or one of its addresses.`;
    case 'listenFailed':
      return `${hostPort(failure.address, failure.port)} can’t be listened on (${failure.code}). Choose another port.`;
    case 'socketInUse':
      return `A program listens on ${failure.path} already. Stop it, or choose another path.`;
    case 'socketStale':
      return `${failure.path} was left behind by a program that has ended. Remove the file, or set StreamLocalBindUnlink yes for this host in ssh_config.`;
    case 'socketBlocked':
      return `${failure.path} exists and is no socket, so nothing can listen there. Choose another path.`;
    case 'socketFailed':
      return socketText(failure);
    case 'remoteRefused':
      return remoteText(failure, holder);
    case 'targetFailed':
      return targetFailedText(failure);
    case 'targetNotPermitted':
      return `${failure.target} may not be reached through this forward: PermitRemoteOpen in ssh_config does not name it. Add it there if it should.`;
    case 'channelRefused':
      return channelText(failure);
    case 'forwardsIncomplete':
      return failure.failures.map((each) => failureText(each)).join(' ');
    case 'workspaceUntrusted':
      return 'This workspace is not trusted, so its presets don’t start. Trust the workspace first.';
    case 'engineEnded':
      return `The tunnel engine ended unexpectedly (${failure.detail}). Start the tunnel again; the log has more.`;
    case 'cancelled':
      return 'Cancelled.';
    case 'unexpected':
      return `Something unexpected went wrong: ${closed(failure.detail)} The log has more.`;
  }
}

/** It was started again, with all tunnels. */
export function engineRestartedText(detail: string): string {
  return `The tunnel engine ended unexpectedly (${detail}) and was started again; open connections were cut.`;
}

function connectReason(code: string): string {
  switch (code) {
    case 'ECONNREFUSED':
      return 'refused the connection. Check that an SSH server runs there and the port is right.';
    case 'ECONNRESET':
      return 'closed the connection before SSH began. Check that an SSH server runs there and lets you in.';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'can’t be reached from this network. Check your network or VPN.';
    default:
      return `can’t be connected to (${code}). Check the address and your network or VPN.`;
  }
}

/** Most sentences name their host; those that know an address alone get the name that the user gave it. */
function onTheWayText({ hop, host, failure }: Failure & { kind: 'hop' }): string {
  const isNamed = 'host' in failure && failure.host === hop;
  return `On the way to ${host}${isNamed ? '' : `, at ${hop}`}: ${failureText(failure)}`;
}

function proxyCommandText({ host, code, said }: Failure & { kind: 'proxyCommandFailed' }): string {
  const last = said === '' ? '' : ` Its last words: ${closed(said)}`;
  if (typeof code === 'string' && code.startsWith('E'))
    return `The ProxyCommand of ${host} can’t be run (${code}). Check that your shell is where SHELL says.`;
  const how = code === undefined ? '' : typeof code === 'number' ? ` (exit code ${code})` : ` (${code})`;
  return `The ProxyCommand of ${host} ended before SSH began${how}.${last} Check it in ssh_config; the log has all that it said.`;
}

function changedText(failure: Failure & { kind: 'hostKeyChanged' }): string {
  const { host, keyType, fingerprint, file, line, knownType } = failure;
  const has = knownType === keyType ? 'another' : `a key of another type, ${knownType}`;
  const lax = failure.lax
    ? ' With StrictHostKeyChecking no, ssh would connect without forwards, and forwards are all that is wanted here.'
    : '';
  return `The host key of ${host} has changed: it shows ${keyType} ${fingerprint}, but line ${line} of ${file} has ${has}. Somebody may be listening in, or the server was set up anew or got a new key, or another machine has this name or address now.${lax} Ask who runs the server. ${removalText(host, failure)}`;
}

/** How to forget a key that is known to be old. */
function removalText(
  name: string,
  { file, shared }: Failure & { kind: 'hostKeyChanged' | 'hostAddressChanged' },
): string {
  if (file === knownHostsCommand) return 'The line is printed by KnownHostsCommand in ssh_config.';
  if (shared)
    return `If you know why it is another key, edit ${file} by hand: line ${shared.line} there holds for other hosts, too (${quoted(shared.hosts)}), and ssh-keygen -R would remove it for all; then connect again.`;
  const command = ['ssh-keygen', '-R', quoteShell(name), '-f', quoteShell(file)].join(' ');
  return `If you know why it is another key, “${command}” removes the old one; then connect again.`;
}

function revokedText(failure: Failure & { kind: 'hostKeyRevoked' }): string {
  const { host, keyType, fingerprint, file, line } = failure;
  const what = {
    key: `The host key of ${host} (${keyType} ${fingerprint})`,
    certificate: `The certificate of ${host} (${keyType} ${fingerprint})`,
    authority: `The authority that made the certificate of ${host} (${keyType} ${fingerprint})`,
  }[failure.what];
  const where = line === undefined ? `by ${file}` : `in line ${line} of ${file}`;
  return `${what} is marked as revoked ${where}. Do not connect; ask who runs the server.`;
}

function invalidCertificateText({ host, reason, names }: Failure & { kind: 'hostCertificateInvalid' }): string {
  const why = {
    malformed: 'can’t be read',
    signature: 'was not signed by the authority that it names',
    user: 'is for a user and not for a host',
    options: `has conditions that are not understood here (${names.join(', ')})`,
    algorithm: `was signed with ${names.join()}, which CASignatureAlgorithms does not allow`,
  }[reason];
  const next = {
    malformed: 'Somebody may be in between; ask who runs the server.',
    signature: 'Somebody may be in between; ask who runs the server.',
    user: 'Ask who runs the server for one for the host.',
    options: 'Ask who runs the server.',
    algorithm: 'Ask who runs the server for one with a newer signature.',
  }[reason];
  return `The certificate of ${host} ${why}. ${next}`;
}

/** `5 March 2026, 14:30 UTC` */
function dateText(ms: number): string {
  const date = new Date(ms);
  const day = date.toLocaleDateString('en-GB', { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });
  return `${day}, ${date.toISOString().replace(/.*T(\d\d:\d\d).*/, '$1')} UTC`;
}

function listText(names: readonly string[]): string {
  const shown = names.slice(0, 5).map(printable);
  return names.length > shown.length ? `${shown.join(', ')} and ${names.length - shown.length} more` : shown.join(', ');
}

function certificateText({ path, reason }: Failure & { kind: 'certificateUnusable' }): string {
  switch (reason) {
    case 'noKey':
      return `The certificate ${path} is not used, since its private key was found neither in an agent nor in a file of IdentityFile.`;
    case 'host':
      return `The certificate ${path} is not used, since it is a host’s.`;
    case 'invalid':
      return `${path} is not a certificate that can be used here.`;
  }
}

function neededText({ what, path }: Failure & { kind: 'answerNeeded' }): string {
  switch (what) {
    case 'hostKey':
      return 'its host key is not known';
    case 'passphrase':
      return `it needs the passphrase of ${path}`;
    case 'password':
      return 'it asks for your password';
    case 'interactive':
      return 'it asks for something that only you know, such as a code';
    case 'openToNetwork':
      return 'its tunnel would be open to the network';
  }
}

function authText({
  user,
  host,
  tried,
  passed = [],
  offered,
  notes,
  detail,
  isUnfinished,
  isBatch,
}: Failure & { kind: 'authFailed' }): string {
  const taken = passed.length > 0 ? ` It took ${passed.join(' and ')}, but wants more.` : '';
  const what = tried.length > 0 ? ` Tried: ${tried.join(', ')}.` : ' There was nothing to try.';
  const accepts = offered.length > 0 ? ` The server accepts: ${offered.join(', ')}.` : '';
  const why = notes.map((note) => ` ${failureText(note)}`).join('');
  const said = detail ? ` It said: ${closed(detail)}` : '';
  const batch = isBatch ? ' BatchMode in ssh_config lets nobody be asked for a passphrase, password or code.' : '';
  const next = isUnfinished
    ? 'It gave up before all was tried: name the right key with IdentityFile in ssh_config, and set IdentitiesOnly to yes.'
    : notes.some(({ kind }) => kind === 'passphraseWrong')
      ? 'Start it again for another try.'
      : 'Check the user name and which key the server knows.';
  return `${host} did not let ${user} in.${said}${taken}${what}${accepts}${why}${batch} ${next}`;
}

function unknownKeyText({ host, keyType, fingerprint, because }: Failure & { kind: 'hostKeyUnknown' }): string {
  const key = `(${keyType} ${fingerprint})`;
  if (because === 'refused') return `The host key of ${host} was not accepted ${key}.`;
  const why =
    because === 'strict' ? 'StrictHostKeyChecking asks for known ones only' : 'BatchMode lets nobody be asked';
  return `The host key of ${host} is not known ${key}, and ${why}. Connect once with ssh to check and store it.`;
}

function lostText({ host, reason, detail }: Failure & { kind: 'connectionLost' }): string {
  switch (reason) {
    case 'closed':
      return `${host} closed the connection.`;
    case 'keepalive':
      return `${host} no longer answers.`;
    case 'reset':
      return `The connection to ${host} broke${detail ? ` (${detail})` : ''}.`;
    case 'disconnected':
      return `${host} ended the connection${detail ? `: ${closed(detail)}` : '.'}`;
  }
}

function channelText({ target, host, refusal, detail }: Failure & { kind: 'channelRefused' }): string {
  const isPath = target.includes('/');
  switch (refusal) {
    case 'prohibited':
      return `${host} forbids forwarding to ${target} (${isPath ? 'AllowStreamLocalForwarding' : 'PermitOpen or AllowTcpForwarding'}). Ask who runs it.`;
    case 'connectFailed':
      return unreachedText(target, host, unreachedBecause(detail), detail);
    case 'unknownType':
      return isPath
        ? `${host} can’t forward to Unix sockets such as ${target}: its SSH server does not know how. Choose a host and port.`
        : `${host} can’t forward to ${target}: its SSH server does not know this kind of forward. Ask who runs it.`;
    case 'resourceShortage':
      return `${host} has no room for another connection to ${target}. Close some, or try again later.`;
    case 'other':
      return `${host} did not open a connection to ${target}${detail ? ` (${detail})` : ''}. Try again, or ask who runs it.`;
  }
}

/** Why a target could not be connected to; `silent`: whoever tried does not say. */
type Unreached =
  'refused' | 'notFound' | 'lookupFailed' | 'timedOut' | 'noRoute' | 'missing' | 'denied' | 'silent' | 'other';

/**
 * What sshd says of a target that it can't connect to is all that tells why: strerror(3), or gai_strerror(3) of glibc,
 * musl and BSD for a name. A Unix socket, or a network that it has no route to, is an "open failed" (channels.c).
 */
const saidByServer: readonly (readonly [RegExp, Unreached])[] = [
  [/refused/i, 'refused'],
  [/timed out/i, 'timedOut'],
  [/no route to host|network is (unreachable|down)|host is down|can't assign requested address/i, 'noRoute'],
  [/temporary failure in name resolution|^try again$/i, 'lookupFailed'],
  [/name or service not known|servname provided|no address associated|name does not resolve|no such host/i, 'notFound'],
  [/no such file or directory/i, 'missing'],
  [/permission denied|not permitted/i, 'denied'],
  [/^(open failed)?$/i, 'silent'],
];

function unreachedBecause(detail: string): Unreached {
  return saidByServer.find(([said]) => said.test(detail.trim()))?.[1] ?? 'other';
}

/** The codes of this machine's system. */
const unreachedByCode: Readonly<Record<string, Unreached>> = {
  ECONNREFUSED: 'refused',
  ENOTFOUND: 'notFound',
  EAI_AGAIN: 'lookupFailed',
  ETIMEDOUT: 'timedOut',
  EHOSTUNREACH: 'noRoute',
  ENETUNREACH: 'noRoute',
  EHOSTDOWN: 'noRoute',
  ENOENT: 'missing',
  EACCES: 'denied',
  EPERM: 'denied',
};

/** `viewer` is the machine that tried: a server's name, or ours, see machineName. */
function unreachedText(target: string, viewer: string, why: Unreached, detail: string): string {
  const isPath = target.includes('/');
  const name = target.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  switch (why) {
    case 'refused':
      return isPath
        ? `Nobody listens on ${target} on ${viewer}. Start the service there.`
        : `${target} refused the connection, as ${viewer} sees it. Check that the service runs there.`;
    case 'notFound':
      return `${name} was not found by ${viewer}, where the name is looked up. Check the name.`;
    case 'lookupFailed':
      return `${name} can’t be looked up on ${viewer} at the moment. Try again, or write its address.`;
    case 'timedOut':
      return `${target} did not answer ${viewer}. Check the address, and that no firewall is in between.`;
    case 'noRoute':
      return `${target} can’t be reached: ${viewer} has no route to it. Check the address, and the network or VPN of ${viewer}.`;
    case 'missing':
      return `${target} does not exist on ${viewer}. Check the path, and that the service runs.`;
    case 'denied':
      return isPath
        ? `${target} on ${viewer} may not be opened by ${viewer === machineName() ? 'you' : 'your user there'}. Ask who runs the service.`
        : `${target} may not be connected to from ${viewer} (${detail}). Ask who runs the firewall there.`;
    case 'silent':
      return isPath
        ? `${viewer} could not open ${target} and does not say why. Check that the service runs, that your user there may open it, and that sshd allows it (AllowStreamLocalForwarding, AllowTcpForwarding, PermitOpen).`
        : `${viewer} could not connect to ${target} and does not say why; most likely it has no route there. Check the address.`;
    case 'other':
      return `${target} can’t be reached from ${viewer} (${detail}). Check the address.`;
  }
}

type PortInUse = Failure & { kind: 'portInUse' };

/** Who has a port, as the end of a clause: ` by node (pid 4242)`. */
function byOwner({ owner }: PortInUse, holder: string | undefined): string {
  if (holder !== undefined) return ` by the tunnel ${quoted(holder)} of this window`;
  return owner ? ` by ${ownerText(owner)}` : '';
}

function stopOwner({ owner }: PortInUse, holder: string | undefined): string {
  return holder !== undefined || owner ? 'Stop it' : 'Stop the program that uses it';
}

function ownerText({ program, pid }: PortOwner): string {
  return `${program} (pid ${pid})`;
}

function socketText({ path, code }: Failure & { kind: 'socketFailed' }): string {
  switch (code) {
    case 'ENOENT':
      return `${path} can’t be listened on: its folder does not exist. Make the folder, or choose another path.`;
    case 'EACCES':
    case 'EPERM':
      return `${path} can’t be listened on: you may not write to its folder. Choose another path.`;
    default:
      return `${path} can’t be listened on (${code}). Choose another path.`;
  }
}

function remoteText(
  { host, user, listen, inUse, isStale }: Failure & { kind: 'remoteRefused' },
  holder: string | undefined,
): string {
  if (listen.kind === 'unix' && isStale)
    return `${host} refused to listen on ${listen.path} again. Most likely the connection that was lost has left the socket’s file there, and the server does not replace it (StreamLocalBindUnlink no in its sshd_config). Remove the file there and start the tunnel again, or ask who runs ${host} for StreamLocalBindUnlink yes.`;
  if (listen.kind === 'unix')
    return `${host} refused to listen on ${listen.path}. The file may be there already, its folder missing or not yours, or sshd forbids it (AllowStreamLocalForwarding, AllowTcpForwarding). Remove the file there, or choose another path.`;
  if (listen.port === 0)
    return `${host} refused to choose a port${isLoopback(listen.bind) ? '' : ` on ${shownBind(listen.bind)}`}. It may forbid it (AllowTcpForwarding, PermitListen)${isLoopback(listen.bind) ? '' : ', or not have that address'}. Name a port that it permits, or ask who runs it.`;
  const place = listenText(listen);
  if (inUse && holder !== undefined)
    return `${place} is already in use on ${host} by the tunnel ${quoted(holder)} of this window. Stop it, or choose another port.`;
  if (isStale)
    return `${place} on ${host} is still held, most likely by the connection that was lost: its server has not noticed yet. It is asked for again until it is free; to have it sooner, end the old session there, or what else uses it. With ClientAliveInterval in its sshd_config the server notices sooner by itself.`;
  if (inUse)
    return `${place} is already in use on ${host}, perhaps by a connection of yours that broke and that it still holds. Stop what uses it there, or choose another port.`;
  if (listen.port < 1024 && user !== 'root')
    return `${host} refused to listen on ${place}: ports below 1024 are for root there. Choose a port above 1023.`;
  return `${host} refused to listen on ${place}. It may forbid it (AllowTcpForwarding, PermitListen), or the port is taken there. Choose another one, or ask who runs it.`;
}

function targetFailedText({ target, code }: Failure & { kind: 'targetFailed' }): string {
  return unreachedText(target, machineName(), unreachedByCode[code] ?? 'other', code);
}

const algorithmNames: Readonly<Record<AlgorithmUse, string>> = {
  kex: 'key exchange',
  hostKey: 'type of host key',
  cipher: 'cipher',
  mac: 'MAC',
};
const algorithmOptions: Readonly<Record<AlgorithmUse, string>> = {
  kex: 'KexAlgorithms',
  hostKey: 'HostKeyAlgorithms',
  cipher: 'Ciphers',
  mac: 'MACs',
};

/** What OpenSSH left out of its own lists long ago. */
const outdated = /sha1|md5|ripemd|-96|-cbc|arcfour|^ssh-(?:rsa|dss)$/;
/** What engine/algorithms offers of these when it is asked to. */
const weakButPossible =
  /^(?:diffie-hellman-group(?:1|14|-exchange)-sha1|ssh-rsa|aes(?:128|192|256)-cbc|3des-cbc|hmac-(?:sha1-96|md5|md5-96))$/;

function noCommonText({ host, use, ours, theirs }: Failure & { kind: 'noCommonAlgorithm' }): string {
  const option = algorithmOptions[use];
  const lists = `${host} and ${machineName()} have no ${algorithmNames[use]} in common. The server has ${theirs.join(', ') || 'none'}; ${machineName()} offers ${ours.join(', ')}.`;
  if (theirs.length === 0 || !theirs.every((name) => outdated.test(name)))
    return `${lists} Check ${option} in ssh_config, or ask who runs the server to allow one of these.`;
  const askable = theirs.find((name) => weakButPossible.test(name));
  const otherwise =
    askable === undefined ? '' : `, or allow it for this host alone, with ${option} +${askable} in ssh_config`;
  return `${lists} The server is too old to be safe: ask who runs it to update it${otherwise}.`;
}

function hopText({ hop, target, refusal, detail }: Failure & { kind: 'hopRefused' }): string {
  switch (refusal) {
    case 'prohibited':
      return `${hop} forbids connecting on to ${target}. Ask who runs it about AllowTcpForwarding and PermitOpen.`;
    case 'connectFailed':
      if (unreachedBecause(detail) === 'refused')
        return `${target} refused the connection, as ${hop} sees it. Check that an SSH server runs there and the port is right.`;
      return `${target} can’t be reached from ${hop}${detail ? ` (${detail})` : ''}. Check the name and the port.`;
    case 'unknownType':
      return `${hop} offers no way on to ${target}. Ask who runs it.`;
    case 'resourceShortage':
      return `${hop} has no room for another connection to ${target}. Try again later.`;
    case 'other':
      return `${hop} did not connect on to ${target}${detail ? ` (${detail})` : ''}.`;
  }
}

/** Where a forward listens, as asked: `localhost:5432`, `*:5432`. */
export function listenText(listen: Listen): string {
  if (listen.kind === 'unix') return listen.path;
  const port = listen.port === 0 ? 'auto' : String(listen.port);
  return hostPort(shownBind(listen.bind), port);
}

function shownBind(bind: string | undefined): string {
  return bind === '' ? '*' : (bind ?? 'localhost');
}

export function targetText(spec: ForwardSpec): string {
  if (spec.kind === 'dynamic' || spec.target.kind === 'socks') return 'SOCKS';
  return printEndpoint(spec.target);
}

/** Who may connect to a listener of `machine`, as the rest of `Who can connect: `. */
export function accessText(access: Access | 'unknown', machine: string, listen: Listen['kind']): string {
  switch (access) {
    case 'user':
      return `only you on ${machine}`;
    case 'machine':
      return listen === 'tcp' ? `only ${machine}` : `you, and others on ${machine} whom StreamLocalBindMask lets in`;
    case 'network':
      return `everyone on the network who reaches ${machine}`;
    case 'unknown':
      return listen === 'tcp'
        ? `not known: ${machine} decides (GatewayPorts in its sshd_config), and it could not be tried out`
        : `only your user on ${machine}, unless StreamLocalBindMask in its sshd_config lets in others`;
  }
}

/** Who may connect by what is written: ssh_config's GatewayPorts and StreamLocalBindMask may say otherwise. */
export function askedAccess({ listen }: ForwardSpec): Access {
  if (listen.kind === 'unix') return 'user';
  return isLoopback(listen.bind) ? 'machine' : 'network';
}

export function isLoopback(bind: string | undefined): boolean {
  return bind === undefined || /^(localhost|127(\.\d+){3}|::1)$/i.test(bind);
}

/** What came of listening, here or in another window. */
type ListenedSomewhere = Listened & { isElsewhere?: true };

/** More can connect than was asked for: a server's GatewayPorts yes opens every remote forward on all its addresses. */
export function isWider({ listen }: ForwardSpec, { bound, asked, access }: ListenedSomewhere): boolean {
  if (access !== 'network' || listen.kind === 'unix') return false;
  const isOneAddress = !['', '*', '0.0.0.0', '::'].includes(listen.bind ?? '');
  return asked !== 'network' || (isOneAddress && bound.some(isWildcard));
}

/** What to say of a listener on `host` when who can connect is not who was to. */
function accessProblem(spec: ForwardSpec, listened: ListenedSomewhere, host: string): string | undefined {
  if (spec.listen.kind === 'unix') return undefined;
  if (isWider(spec, listened)) {
    const wanted = listened.asked === 'network' ? `${shownBind(spec.listen.bind)} alone` : `${host} alone`;
    const stop = listened.isElsewhere ? 'Stop it in the other window' : 'Stop it';
    return `${host} opened it on all its addresses to the network, although you asked for ${wanted} (GatewayPorts yes in its sshd_config). ${stop} if that must not be, and ask who runs ${host} for GatewayPorts clientspecified.`;
  }
  if (listened.asked === 'network' && listened.access === 'machine')
    return `Only ${host} itself can connect, not the network as you asked (GatewayPorts no in its sshd_config). Ask who runs ${host} for GatewayPorts clientspecified, or leave out the bind address.`;
  return undefined;
}

/** What could not be bound although it was asked for. `holderOf` names our own tunnel that has a port. */
function unboundProblem(
  { kind, listen }: ForwardSpec,
  { bound, unbound }: ListenedSomewhere,
  host: string,
  holderOf: (failure: Failure) => string | undefined,
): string | undefined {
  if (unbound.length === 0) return undefined;
  const isLocalhost = listen.kind === 'tcp' && ['', '*', 'localhost'].includes(listen.bind?.toLowerCase() ?? '');
  const said = unbound.map((failure) => {
    const holder = holderOf(failure);
    if (failure.kind !== 'portInUse' && failure.kind !== 'remoteHalf') return failureText(failure);
    const client = isLocalhost ? ` A client of localhost:${failure.port} may reach that instead.` : '';
    if (failure.kind === 'remoteHalf')
      return `${hostPort(failure.address, failure.port)} there is in use by something else.${client} Stop it, or choose another port.`;
    return `${hostPort(failure.address, failure.port)} is in use${byOwner(failure, holder) || ' by another program'}.${client} Stop it, or choose another port.`;
  });
  // A server does not tell all that it bound: only what we have tried is known.
  const own =
    kind === 'remote' ? `On ${host} ${boundText(bound)} leads here.` : `Only ${boundText(bound)} could be bound.`;
  return [own, ...said].join(' ');
}

/**
 * What the user should know of a tunnel although it is ready, a sentence or two each. `host` names its server, `holderOf`
 * the tunnel of ours that has a port.
 */
export function listenedProblems(
  spec: ForwardSpec,
  listened: ListenedSomewhere,
  host: string,
  holderOf: (failure: Failure) => string | undefined = () => undefined,
): string[] {
  return [unboundProblem(spec, listened, host, holderOf), accessProblem(spec, listened, host)].flatMap(
    (problem) => problem ?? [],
  );
}

function isWildcard(bound: BoundAddress): boolean {
  return bound.kind === 'tcp' && ['0.0.0.0', '::', '*'].includes(bound.address);
}

/** What a forward will do, for the line below an input: `127.0.0.1:5000 on this machine → db:5432, as web01 sees it`. */
export function effectText(spec: ForwardSpec, host: string): string {
  const isRemote = spec.kind === 'remote';
  const [listener, viewer] = isRemote ? [host, machineName()] : [machineName(), host];
  const end =
    spec.kind === 'dynamic' || spec.target.kind === 'socks'
      ? `SOCKS proxy, as ${viewer} sees the network`
      : `${printEndpoint(spec.target)}, as ${viewer} sees it`;
  const open = askedAccess(spec) === 'network' ? `. Open to ${isRemote ? `${host}’s` : 'the'} network!` : '';
  return `${listenText(spec.listen)} on ${listener} → ${end}${open}`;
}

/** Where on a server something listens, and for a socket where it will be had here. */
export function serverPortText(found: ServerPort, { listen }: ForwardSpec, host: string): string {
  if (found.kind === 'tcp') return found.address === '*' ? `all interfaces of ${host}` : `${found.address} on ${host}`;
  const port = listen.kind === 'tcp' && listen.port > 0 ? `port ${listen.port}` : 'a free port';
  return `Unix socket on ${host}, at ${port} here`;
}

/** The addresses really bound: `127.0.0.1:5432, [::1]:5432`. */
export function boundText(bound: readonly BoundAddress[]): string {
  return bound.map((one) => (one.kind === 'unix' ? one.path : hostPort(one.address, one.port))).join(', ');
}

/** `127.0.0.1:80`, `[::1]:80`. */
export function hostPort(host: string, port: number | string): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function withPort({ host, port }: { host: string; port: number }): string {
  return hostPort(host, port);
}

/** The words of a server or a program as the end of a sentence. */
function closed(text: string): string {
  return `${text.trim().replace(/[.\s]+$/, '')}.`;
}

function quoted(text: string): string {
  return `“${printable(text)}”`;
}

function oneLine(text: string): string {
  return text.replace(/[\t-\r]/g, ' ');
}

function place({ text, at }: { text: string; at: number }): string {
  return text.length > 0 && at < text.length ? `, at character ${at + 1}` : at > 0 ? ', at the end' : '';
}
