// Every sentence that a person reads about a tunnel. A failure becomes one sentence of what failed and where, and one
// of the next step.
import type { Access, BoundAddress, Listened } from './engine.js';
import type { AlgorithmUse, CommandProblem, DestinationProblem, Failure, SpecProblem } from './failure.js';
import { printEndpoint, type ForwardSpec, type Listen } from './forwardSpec.js';
import type { PortOwner } from './portOwner.js';
import { knownHostsCommand } from './knownHostsCommand.js';
import { machineName } from './machine.js';
import { printable, unseen } from './printable.js';
import type { ServerPort } from './serverPort.js';
import { quoteShell } from './shellWords.js';
import { t } from './translate.js';

/** What is wrong with a forward's text: `target port missing`. */
export function specProblem(problem: SpecProblem): string {
  switch (problem.kind) {
    case 'empty':
      return t('nothing to forward');
    case 'blank':
      return t('a blank inside the forward');
    case 'unseen':
      return t('{character} inside the forward', { character: unseenText(problem.character) });
    case 'option':
      return problem.option === ''
        ? t('expected -L, -R or -D first')
        : t('{option} is not -L, -R or -D', { option: problem.option });
    case 'bracket':
      return t('] missing');
    case 'bracketTail':
      return t('expected : after ]');
    case 'backslash':
      return t('nothing after the backslash');
    case 'quote':
      return t('a quote is not closed');
    case 'variable':
      return problem.name === ''
        ? t('no name between ${ and }')
        : t('environment variable {name} is not set', { name: problem.name });
    case 'variableSyntax':
      return t('} missing');
    case 'tooManyFields':
      return t('too many fields; write an IPv6 address in [brackets]');
    case 'listenPort':
      return t('{text} is not a port to listen on (1 to 65535)', { text: quoted(problem.text) });
    case 'listenPortZero':
      return t('port 0 can’t be listened on; name a port from 1 to 65535');
    case 'targetMissing':
      return t('target missing; write port:host:hostport');
    case 'targetHostMissing':
      return t('target host missing');
    case 'targetPortMissing':
      return t('target port missing');
    case 'targetPort':
      return t('{text} is not a target port (1 to 65535)', { text: quoted(problem.text) });
    case 'pathTooLong':
      return t('socket path longer than 107 characters');
    case 'hostTooLong':
      return t('host name too long');
  }
}

/** `an invisible character (U+202E)` */
function unseenText(character: string): string {
  const code = character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0');
  return t('an invisible character (U+{code})', { code });
}

export function destinationProblem(problem: DestinationProblem): string {
  switch (problem.kind) {
    case 'hostMissing':
      return t('host missing; write user@host or user@host:port');
    case 'userMissing':
      return t('user missing before @');
    case 'password':
      return t(
        'a password can’t stand here; it is asked for when it is needed. If the colon is a part of the user’s name, write it without ssh://',
      );
    case 'leadingDash':
      return t('a name can’t begin with -');
    case 'character':
      if (/[\t-\r]|\p{Zs}/u.test(problem.character)) return t('a blank inside the name');
      return unseen.test(problem.character)
        ? t('{character} inside the name', { character: unseenText(problem.character) })
        : t('{character} can’t be part of a name', { character: problem.character });
    case 'port':
      return t('{text} is not a port (1 to 65535)', { text: quoted(problem.text) });
    case 'bracket':
      return t('write an IPv6 address with a port as [address]:port');
    case 'path':
      return t('nothing may follow the host and port');
    case 'option':
      return optionProblem(problem);
    case 'optionValue':
      return problem.text === ''
        ? t('{option} needs a value', { option: problem.option })
        : t('{text} is not a value of {option}', { text: quoted(problem.text), option: problem.option });
    case 'jumpTwice':
      return t('-J may come once; write several jump hosts with commas, first hop first');
    case 'word':
      return t('nothing but options may stand beside the host; {text} is too much', { text: quoted(problem.text) });
    case 'quote':
      return t('closing quote missing');
    case 'backslash':
      return t('a backslash at the end, with nothing behind it');
  }
}

function optionProblem({ option, reason }: DestinationProblem & { kind: 'option' }): string {
  switch (reason) {
    case 'hostKey':
      return t('{option} can’t be set here: host keys are always checked', { option });
    case 'program':
      return t('{option} can’t be set here since it names a program to run; set it in your ssh_config', { option });
    case 'forward':
      return t('{option} is about forwards, not about the host; leave it out here', { option });
    case 'elsewhere':
      return t('{option} can’t be set here; set it for this host in ssh_config', { option });
    case 'configFile':
      return t(
        '{option} can’t be set here, since the file may mean another host; name it in the setting sshTunnels.sshConfigFile',
        { option },
      );
    case 'needless':
      return t('{option} says nothing about the host; leave it out here', { option });
    case 'unknown':
      return t('ssh has no option {option}', { option });
  }
}

export function commandProblem(problem: CommandProblem): string {
  switch (problem.kind) {
    case 'notSsh':
      return problem.word === '' ? t('no ssh command') : t('expected ssh, not {word}', { word: quoted(problem.word) });
    case 'quote':
      return t('no closing quote');
    case 'backslash':
      return t('a backslash at its end, so the rest of the command is missing');
    case 'substitution':
      return t('{text} would run a command; write what it comes to instead', { text: problem.text });
    case 'control':
      return t('-O {command} is for an ssh that runs already, and nothing would start', { command: problem.command });
    case 'tooLong':
      return t('longer than 16,384 characters; paste the ssh command alone');
    case 'shell':
      return t('commands are not run here, only forwards are added and cancelled');
    case 'line':
      return t('expected -L, -R, -D, -KL, -KR, -KD or ?');
    case 'cancelTarget':
      return t('a forward is cancelled by where it listens alone, such as -KL 8080');
  }
}

/**
 * What failed, where, and the next step, in one to three sentences. `holder` is the name of our own tunnel that has the
 * port.
 */
export function failureText(failure: Failure, holder?: string): string {
  switch (failure.kind) {
    case 'badSpec':
      return problemText(failure, specProblem(failure.problem));
    case 'badDestination':
      if (failure.problem.kind === 'password')
        return t('The host has a password in it: {problem}.', { problem: destinationProblem(failure.problem) });
      return problemText(failure, destinationProblem(failure.problem));
    case 'badCommand':
      return problemText(failure, commandProblem(failure.problem));
    case 'noForward':
      return t(
        'This command connects to {host} and forwards nothing. Add a forward to it, such as -L 8080:localhost:80.',
        { host: failure.host },
      );
    case 'noSuchForward':
      return failure.near.length > 0
        ? t('{line} cancels nothing, since nothing listens there. For the same port, write {choice}.', {
            line: failure.line,
            choice: choiceText(failure.near),
          })
        : t(
            '{line} cancels nothing, since nothing listens there. Write the kind, address and port of a forward that does.',
            { line: failure.line },
          );
    case 'notSupportedYet':
      return t('{what} is not supported yet by this version.', { what: failure.what });
    case 'sshConfig':
      return t('ssh_config can’t be used: {detail}', { detail: closed(failure.detail) });
    case 'jumpLoop':
      return t(
        '{host} can’t be reached: its jump hosts lead through {hop} again and again. Mend ProxyJump in ssh_config.',
        { host: failure.host, hop: failure.hop },
      );
    case 'hostNotFound':
      return t('{host} was not found. Check the name and your network or VPN.', { host: failure.host });
    case 'connectFailed':
      return connectText(withPort(failure), failure.code);
    case 'connectTimeout':
      return t('{address} did not answer within {seconds} s. Check the address and your network or VPN.', {
        address: withPort(failure),
        seconds: failure.seconds,
      });
    case 'hopRefused':
      return hopText(failure);
    case 'hop':
      return onTheWayText(failure);
    case 'proxyCommandFailed':
      return proxyCommandText(failure);
    case 'notSsh':
      // sshd's own words before it hangs up: too many connections (MaxStartups), or a penalty (PerSourcePenalties).
      if (/^Exceeded MaxStartups|^Not allowed at this time/.test(failure.said))
        return t('{address} takes no connection now (“{said}”). Try again later.', {
          address: withPort(failure),
          said: failure.said,
        });
      return t('{address} does not speak SSH (it said “{said}”). Check the port.', {
        address: withPort(failure),
        said: failure.said,
      });
    case 'handshakeFailed':
      return t('{host} and {machine} could not agree on a secure connection: {detail}', {
        host: failure.host,
        machine: machineName(),
        detail: closed(failure.detail),
      });
    case 'noCommonAlgorithm':
      return noCommonText(failure);
    case 'nothingToOffer':
      return t(
        '{option} in ssh_config leaves nothing to offer to {host}: it names {asked}, and possible here are {possible}. Add one of these.',
        {
          option: algorithmOptions[failure.use],
          host: failure.host,
          asked: failure.asked.join(', '),
          possible: failure.possible.join(', '),
        },
      );
    case 'hostKeyUnknown':
      return unknownKeyText(failure);
    case 'hostKeyChanged':
      return changedText(failure);
    case 'hostAddressChanged':
      return t(
        'The host key of {host} ({keyType} {fingerprint}) is not the one that line {line} of {file} has for its address {address}, and CheckHostIP asks for the same. The name may lead to a wrong machine, or the address may have been given to another one. {removal}',
        {
          host: failure.host,
          keyType: failure.keyType,
          fingerprint: failure.fingerprint,
          line: failure.line,
          file: failure.file,
          address: failure.address,
          removal: removalText(failure.address, failure),
        },
      );
    case 'hostKeyRevoked':
      return revokedText(failure);
    case 'hostKeyTooShort':
      return failure.isAsked
        ? t(
            'The host key of {host} is an RSA key of {bits} bits, and RequiredRSASize in ssh_config asks for at least {least}. Ask who runs the server for a new one.',
            { host: failure.host, bits: failure.bits, least: failure.least },
          )
        : t(
            'The host key of {host} is an RSA key of {bits} bits, which is not safe: at least {least} are needed. Ask who runs the server for a new one.',
            { host: failure.host, bits: failure.bits, least: failure.least },
          );
    case 'hostCertificateExpired':
      return t(
        'The certificate of {host} expired on {date}. Ask who runs the server to renew it; if it should still be valid, check the clock of {machine}.',
        { host: failure.host, date: dateText(failure.until), machine: machineName() },
      );
    case 'hostCertificateEarly':
      return t(
        'The certificate of {host} is not valid before {date}. Check the clock of {machine}, or ask who runs the server.',
        { host: failure.host, date: dateText(failure.from), machine: machineName() },
      );
    case 'hostCertificateForOthers':
      return failure.principals.length === 0
        ? t(
            'The certificate of {host} names no host, so it is for none. Ask who runs the server for one that names {host}.',
            { host: failure.host },
          )
        : t(
            'The certificate of {host} is for another host: it names {principals}. Connect by such a name, or set HostKeyAlias to it if this is that host.',
            { host: failure.host, principals: listText(failure.principals) },
          );
    case 'hostCertificateInvalid':
      return invalidCertificateText(failure);
    case 'revokedKeysUnreadable':
      return failure.code === 'INVALID'
        ? t(
            '{file}, which RevokedHostKeys names, is neither a list of public keys nor a key revocation list, so no server’s key can be checked. Mend the file.',
            { file: failure.file },
          )
        : t('{file}, which RevokedHostKeys names, can’t be read ({code}), so no server’s key can be checked.', {
            file: failure.file,
            code: failure.code,
          });
    case 'knownHostsCommandFailed':
      return t(
        'KnownHostsCommand failed ({program}: {detail}), so the server’s key can’t be checked. Mend it in ssh_config.',
        { program: failure.program, detail: failure.detail },
      );
    case 'knownHostsUnreadable':
      return t('{file} can’t be read ({code}), so the server’s key can’t be checked.', {
        file: failure.file,
        code: failure.code,
      });
    case 'authFailed':
      return authText(failure);
    case 'keyUnreadable':
      return failure.code === 'ENOENT'
        ? t('The key file {path} does not exist.', { path: failure.path })
        : t('The key file {path} can’t be read ({code}).', { path: failure.path, code: failure.code });
    case 'keyInvalid':
      return t('{path} is not a private key that can be used here.', { path: failure.path });
    case 'keyUnprotected':
      return t(
        'The key file {path} can be read by others (mode {mode}), so it is not used; “chmod 600 {path}” makes it yours alone.',
        { path: failure.path, mode: failure.mode.toString(8).padStart(4, '0') },
      );
    case 'passphraseWrong':
      return t('The passphrase of {path} was wrong.', { path: failure.path });
    case 'keyCipherUnknown':
      return failure.cipher
        ? t(
            '{path} is encrypted with {cipher}, which can’t be opened here. Add it to an SSH agent, or give it a passphrase anew with “ssh-keygen -p -f {path}”.',
            { path: failure.path, cipher: failure.cipher },
          )
        : t(
            '{path} is encrypted in a way that can’t be opened here. Add it to an SSH agent, or give it a passphrase anew with “ssh-keygen -p -f {path}”.',
            { path: failure.path },
          );
    case 'keyTooMuchWork':
      return t(
        '{path} takes too long to open: its passphrase is made into a key with more work than is done here. Add it to an SSH agent, or save it anew with less.',
        { path: failure.path },
      );
    case 'keyNeedsAgent':
      return t(
        '{path} points to a security key, which is used through an SSH agent alone: add it with “ssh-add {path}”.',
        { path: failure.path },
      );
    case 'keyTooShort':
      return t(
        '{key} is not used: it is an RSA key of {bits} bits, and RequiredRSASize in ssh_config asks for at least {least}.',
        { key: failure.key, bits: failure.bits, least: failure.least },
      );
    case 'keyTooLong':
      return t('{key} is not used, since it is longer than any server takes.', { key: failure.key });
    case 'keyNotAllowed':
      if (failure.wantsSha1)
        return t(
          '{key} is not used: RSA with SHA-1 (ssh-rsa), which is no longer safe, is not used here. Use a key of another type, such as Ed25519, or ask who runs the server to allow rsa-sha2-512.',
          { key: failure.key },
        );
      return t(
        '{key} is not used, since PubkeyAcceptedAlgorithms in ssh_config and the server leave no way to sign with it.',
        { key: failure.key },
      );
    case 'certificateUnusable':
      return certificateText(failure);
    case 'passwordExpired':
      return t(
        'The password of {user} on {host} has expired. Log in with ssh in a terminal to choose a new one, and start it again.',
        { user: failure.user, host: failure.host },
      );
    case 'answerNeeded':
      return t('{host} waits for you: {needed}. Start it to answer.', {
        host: failure.host,
        needed: neededText(failure),
      });
    case 'agentUnreachable':
      return t('The SSH agent at {path} can’t be reached ({code}).', { path: failure.path, code: failure.code });
    case 'signatureRefused':
      return t('The SSH agent did not sign with {key}.', { key: failure.key });
    case 'connectionLost':
      return lostText(failure);
    case 'portInUse':
      return portInUseText(failure, holder);
    case 'remoteHalf':
      return t('{address} on {host} is in use by something else. Stop it there, or choose another port.', {
        address: hostPort(failure.address, failure.port),
        host: failure.host,
      });
    case 'portForbidden':
      return failure.port < 1024
        ? t('{address} can’t be listened on: ports below 1024 are for administrators here. Choose a port above 1023.', {
            address: hostPort(failure.address, failure.port),
          })
        : t('{address} can’t be listened on: {machine} keeps it for something else. Choose another port.', {
            address: hostPort(failure.address, failure.port),
            machine: machineName(),
          });
    case 'addressUnavailable':
      return t(
        '{address} is not an address of {machine}, so nothing can listen there. Choose localhost or one of its addresses.',
        { address: failure.address, machine: machineName() },
      );
    case 'listenFailed':
      return t('{address} can’t be listened on ({code}). Choose another port.', {
        address: hostPort(failure.address, failure.port),
        code: failure.code,
      });
    case 'socketInUse':
      return t('A program listens on {path} already. Stop it, or choose another path.', { path: failure.path });
    case 'socketStale':
      return t(
        '{path} was left behind by a program that has ended. Remove the file, or set StreamLocalBindUnlink yes for this host in ssh_config.',
        { path: failure.path },
      );
    case 'socketBlocked':
      return t('{path} exists and is no socket, so nothing can listen there. Choose another path.', {
        path: failure.path,
      });
    case 'socketFailed':
      return socketText(failure);
    case 'remoteRefused':
      return remoteText(failure, holder);
    case 'targetFailed':
      return targetFailedText(failure);
    case 'targetNotPermitted':
      return t(
        '{target} may not be reached through this forward: PermitRemoteOpen in ssh_config does not name it. Add it there if it should.',
        { target: failure.target },
      );
    case 'channelRefused':
      return channelText(failure);
    case 'forwardsIncomplete':
      return failure.failures.map((each) => failureText(each)).join(' ');
    case 'workspaceUntrusted':
      return t('This workspace is not trusted, so its presets don’t start. Trust the workspace first.');
    case 'engineEnded':
      return t('The tunnel engine ended unexpectedly ({detail}). Start the tunnel again; the log has more.', {
        detail: failure.detail,
      });
    case 'cancelled':
      return t('Cancelled.');
    case 'unexpected':
      return t('Something unexpected went wrong: {detail} The log has more.', { detail: closed(failure.detail) });
  }
}

/** It was started again, with all tunnels. */
export function engineRestartedText(detail: string): string {
  return t('The tunnel engine ended unexpectedly ({detail}) and was started again; open connections were cut.', {
    detail,
  });
}

function connectText(address: string, code: string): string {
  switch (code) {
    case 'ECONNREFUSED':
      return t('{address} refused the connection. Check that an SSH server runs there and the port is right.', {
        address,
      });
    case 'ECONNRESET':
      return t(
        '{address} closed the connection before SSH began. Check that an SSH server runs there and lets you in.',
        {
          address,
        },
      );
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return t('{address} can’t be reached from this network. Check your network or VPN.', { address });
    default:
      return t('{address} can’t be connected to ({code}). Check the address and your network or VPN.', {
        address,
        code,
      });
  }
}

/** Most sentences name their host; those that know an address alone get the name that the user gave it. */
function onTheWayText({ hop, host, failure }: Failure & { kind: 'hop' }): string {
  const isNamed = 'host' in failure && failure.host === hop;
  const reason = failureText(failure);
  return isNamed
    ? t('On the way to {host}: {reason}', { host, reason })
    : t('On the way to {host}, at {hop}: {reason}', { host, hop, reason });
}

function proxyCommandText({ host, code, said }: Failure & { kind: 'proxyCommandFailed' }): string {
  if (typeof code === 'string' && code.startsWith('E'))
    return t('The ProxyCommand of {host} can’t be run ({code}). Check that your shell is where SHELL says.', {
      host,
      code,
    });
  const ended =
    code === undefined
      ? t('The ProxyCommand of {host} ended before SSH began.', { host })
      : typeof code === 'number'
        ? t('The ProxyCommand of {host} ended before SSH began (exit code {code}).', { host, code })
        : t('The ProxyCommand of {host} ended before SSH began ({code}).', { host, code });
  const last = said === '' ? [] : [t('Its last words: {said}', { said: closed(said) })];
  return [ended, ...last, t('Check it in ssh_config; the log has all that it said.')].join(' ');
}

function changedText(failure: Failure & { kind: 'hostKeyChanged' }): string {
  const { host, keyType, fingerprint, file, line, knownType } = failure;
  const values = { host, keyType, fingerprint, file, line, knownType };
  return [
    knownType === keyType
      ? t(
          'The host key of {host} has changed: it shows {keyType} {fingerprint}, but line {line} of {file} has another.',
          values,
        )
      : t(
          'The host key of {host} has changed: it shows {keyType} {fingerprint}, but line {line} of {file} has a key of another type, {knownType}.',
          values,
        ),
    t(
      'Somebody may be listening in, or the server was set up anew or got a new key, or another machine has this name or address now.',
    ),
    ...(failure.lax
      ? [
          t(
            'With StrictHostKeyChecking no, ssh would connect without forwards, and forwards are all that is wanted here.',
          ),
        ]
      : []),
    t('Ask who runs the server.'),
    removalText(host, failure),
  ].join(' ');
}

/** How to forget a key that is known to be old. */
function removalText(
  name: string,
  { file, shared }: Failure & { kind: 'hostKeyChanged' | 'hostAddressChanged' },
): string {
  if (file === knownHostsCommand) return t('The line is printed by KnownHostsCommand in ssh_config.');
  if (shared)
    return t(
      'If you know why it is another key, edit {file} by hand: line {line} there holds for other hosts, too ({hosts}), and ssh-keygen -R would remove it for all; then connect again.',
      { file, line: shared.line, hosts: quoted(shared.hosts) },
    );
  const command = ['ssh-keygen', '-R', quoteShell(name), '-f', quoteShell(file)].join(' ');
  return t('If you know why it is another key, “{command}” removes the old one; then connect again.', { command });
}

function revokedText(failure: Failure & { kind: 'hostKeyRevoked' }): string {
  const { host, keyType, fingerprint, file, line } = failure;
  const values = { host, keyType, fingerprint, file, line: line ?? '' };
  const marked = {
    key: () =>
      line === undefined
        ? t('The host key of {host} ({keyType} {fingerprint}) is marked as revoked by {file}.', values)
        : t('The host key of {host} ({keyType} {fingerprint}) is marked as revoked in line {line} of {file}.', values),
    certificate: () =>
      line === undefined
        ? t('The certificate of {host} ({keyType} {fingerprint}) is marked as revoked by {file}.', values)
        : t(
            'The certificate of {host} ({keyType} {fingerprint}) is marked as revoked in line {line} of {file}.',
            values,
          ),
    authority: () =>
      line === undefined
        ? t(
            'The authority that made the certificate of {host} ({keyType} {fingerprint}) is marked as revoked by {file}.',
            values,
          )
        : t(
            'The authority that made the certificate of {host} ({keyType} {fingerprint}) is marked as revoked in line {line} of {file}.',
            values,
          ),
  }[failure.what]();
  return `${marked} ${t('Do not connect; ask who runs the server.')}`;
}

function invalidCertificateText({ host, reason, names }: Failure & { kind: 'hostCertificateInvalid' }): string {
  switch (reason) {
    case 'malformed':
      return t('The certificate of {host} can’t be read. Somebody may be in between; ask who runs the server.', {
        host,
      });
    case 'signature':
      return t(
        'The certificate of {host} was not signed by the authority that it names. Somebody may be in between; ask who runs the server.',
        { host },
      );
    case 'user':
      return t(
        'The certificate of {host} is for a user and not for a host. Ask who runs the server for one for the host.',
        { host },
      );
    case 'options':
      return t(
        'The certificate of {host} has conditions that are not understood here ({names}). Ask who runs the server.',
        { host, names: names.join(', ') },
      );
    case 'algorithm':
      return t(
        'The certificate of {host} was signed with {names}, which CASignatureAlgorithms does not allow. Ask who runs the server for one with a newer signature.',
        { host, names: names.join() },
      );
  }
}

/** `5 March 2026, 14:30 UTC` */
function dateText(ms: number): string {
  const date = new Date(ms);
  // The name of the language whose dates are meant: a translation puts its own here.
  const day = date.toLocaleDateString(t('en-GB'), { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });
  return `${day}, ${date.toISOString().replace(/.*T(\d\d:\d\d).*/, '$1')} UTC`;
}

function listText(names: readonly string[]): string {
  const shown = names.slice(0, 5).map(printable);
  const more = names.length - shown.length;
  return more > 0 ? t('{names} and {more} more', { names: shown.join(', '), more }) : shown.join(', ');
}

function certificateText({ path, reason }: Failure & { kind: 'certificateUnusable' }): string {
  switch (reason) {
    case 'noKey':
      return t(
        'The certificate {path} is not used, since its private key was found neither in an agent nor in a file of IdentityFile.',
        { path },
      );
    case 'host':
      return t('The certificate {path} is not used, since it is a host’s.', { path });
    case 'invalid':
      return t('{path} is not a certificate that can be used here.', { path });
  }
}

function neededText({ what, path }: Failure & { kind: 'answerNeeded' }): string {
  switch (what) {
    case 'hostKey':
      return t('its host key is not known');
    case 'passphrase':
      return t('it needs the passphrase of {path}', { path: path ?? '' });
    case 'password':
      return t('it asks for your password');
    case 'interactive':
      return t('it asks for something that only you know, such as a code');
    case 'openToNetwork':
      return t('its tunnel would be open to the network');
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
  return [
    t('{host} did not let {user} in.', { host, user }),
    ...(detail ? [t('It said: {detail}', { detail: closed(detail) })] : []),
    ...(passed.length > 0 ? [t('It took {methods}, but wants more.', { methods: listOf(passed) })] : []),
    tried.length > 0 ? t('Tried: {tried}.', { tried: tried.join(', ') }) : t('There was nothing to try.'),
    ...(offered.length > 0 ? [t('The server accepts: {offered}.', { offered: offered.join(', ') })] : []),
    ...notes.map((note) => failureText(note)),
    ...(isBatch ? [t('BatchMode in ssh_config lets nobody be asked for a passphrase, password or code.')] : []),
    isUnfinished
      ? t(
          'It gave up before all was tried: name the right key with IdentityFile in ssh_config, and set IdentitiesOnly to yes.',
        )
      : notes.some(({ kind }) => kind === 'passphraseWrong')
        ? t('Start it again for another try.')
        : t('Check the user name and which key the server knows.'),
  ].join(' ');
}

/** `a`, `a or b` */
function choiceText(choices: readonly string[]): string {
  return choices.reduce((before, last) => t('{before} or {last}', { before, last }));
}

/** `a`, `a and b` */
export function listOf(names: readonly string[]): string {
  return names.reduce((before, last) => t('{before} and {last}', { before, last }));
}

function unknownKeyText({ host, keyType, fingerprint, because }: Failure & { kind: 'hostKeyUnknown' }): string {
  if (because === 'refused')
    return t('The host key of {host} was not accepted ({keyType} {fingerprint}).', { host, keyType, fingerprint });
  return because === 'strict'
    ? t(
        'The host key of {host} is not known ({keyType} {fingerprint}), and StrictHostKeyChecking asks for known ones only. Connect once with ssh to check and store it.',
        { host, keyType, fingerprint },
      )
    : t(
        'The host key of {host} is not known ({keyType} {fingerprint}), and BatchMode lets nobody be asked. Connect once with ssh to check and store it.',
        { host, keyType, fingerprint },
      );
}

function lostText({ host, reason, detail }: Failure & { kind: 'connectionLost' }): string {
  switch (reason) {
    case 'closed':
      return t('{host} closed the connection.', { host });
    case 'keepalive':
      return t('{host} no longer answers.', { host });
    case 'reset':
      return detail
        ? t('The connection to {host} broke ({detail}).', { host, detail })
        : t('The connection to {host} broke.', { host });
    case 'disconnected':
      return detail
        ? t('{host} ended the connection: {detail}', { host, detail: closed(detail) })
        : t('{host} ended the connection.', { host });
  }
}

function channelText({ target, host, refusal, detail }: Failure & { kind: 'channelRefused' }): string {
  const isPath = target.includes('/');
  switch (refusal) {
    case 'prohibited':
      return isPath
        ? t('{host} forbids forwarding to {target} (AllowStreamLocalForwarding). Ask who runs it.', { host, target })
        : t('{host} forbids forwarding to {target} (PermitOpen or AllowTcpForwarding). Ask who runs it.', {
            host,
            target,
          });
    case 'connectFailed':
      return unreachedText(target, host, unreachedBecause(detail), detail);
    case 'unknownType':
      return isPath
        ? t(
            '{host} can’t forward to Unix sockets such as {target}: its SSH server does not know how. Choose a host and port.',
            { host, target },
          )
        : t('{host} can’t forward to {target}: its SSH server does not know this kind of forward. Ask who runs it.', {
            host,
            target,
          });
    case 'resourceShortage':
      return t('{host} has no room for another connection to {target}. Close some, or try again later.', {
        host,
        target,
      });
    case 'other':
      return t('{host} did not open a connection to {target}{detail}. Try again, or ask who runs it.', {
        host,
        target,
        detail: inBrackets(detail),
      });
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
        ? t('Nobody listens on {target} on {viewer}. Start the service there.', { target, viewer })
        : t('{target} refused the connection, as {viewer} sees it. Check that the service runs there.', {
            target,
            viewer,
          });
    case 'notFound':
      return t('{name} was not found by {viewer}, where the name is looked up. Check the name.', { name, viewer });
    case 'lookupFailed':
      return t('{name} can’t be looked up on {viewer} at the moment. Try again, or write its address.', {
        name,
        viewer,
      });
    case 'timedOut':
      return t('{target} did not answer {viewer}. Check the address, and that no firewall is in between.', {
        target,
        viewer,
      });
    case 'noRoute':
      return t(
        '{target} can’t be reached: {viewer} has no route to it. Check the address, and the network or VPN of {viewer}.',
        { target, viewer },
      );
    case 'missing':
      return t('{target} does not exist on {viewer}. Check the path, and that the service runs.', { target, viewer });
    case 'denied':
      return isPath
        ? viewer === machineName()
          ? t('{target} on {viewer} may not be opened by you. Ask who runs the service.', { target, viewer })
          : t('{target} on {viewer} may not be opened by your user there. Ask who runs the service.', {
              target,
              viewer,
            })
        : t('{target} may not be connected to from {viewer} ({detail}). Ask who runs the firewall there.', {
            target,
            viewer,
            detail,
          });
    case 'silent':
      return isPath
        ? t(
            '{viewer} could not open {target} and does not say why. Check that the service runs, that your user there may open it, and that sshd allows it (AllowStreamLocalForwarding, AllowTcpForwarding, PermitOpen).',
            { viewer, target },
          )
        : t(
            '{viewer} could not connect to {target} and does not say why; most likely it has no route there. Check the address.',
            { viewer, target },
          );
    case 'other':
      return t('{target} can’t be reached from {viewer} ({detail}). Check the address.', { target, viewer, detail });
  }
}

type PortInUse = Failure & { kind: 'portInUse' };

function portInUseText({ address, port, owner }: PortInUse, holder: string | undefined): string {
  const values = { address: hostPort(address, port), machine: machineName() };
  if (holder !== undefined)
    return t(
      '{address} is already in use on {machine} by the tunnel {holder} of this window. Stop it, or choose another port.',
      { ...values, holder: quoted(holder) },
    );
  if (owner)
    return t('{address} is already in use on {machine} by {program}. Stop it, or choose another port.', {
      ...values,
      program: ownerText(owner),
    });
  return t('{address} is already in use on {machine}. Stop the program that uses it, or choose another port.', values);
}

function ownerText({ program, pid }: PortOwner): string {
  return t('{program} (pid {pid})', { program, pid });
}

function socketText({ path, code }: Failure & { kind: 'socketFailed' }): string {
  switch (code) {
    case 'ENOENT':
      return t('{path} can’t be listened on: its folder does not exist. Make the folder, or choose another path.', {
        path,
      });
    case 'EACCES':
    case 'EPERM':
      return t('{path} can’t be listened on: you may not write to its folder. Choose another path.', { path });
    default:
      return t('{path} can’t be listened on ({code}). Choose another path.', { path, code });
  }
}

function remoteText(
  { host, user, listen, inUse, isStale }: Failure & { kind: 'remoteRefused' },
  holder: string | undefined,
): string {
  if (listen.kind === 'unix' && isStale)
    return t(
      '{host} refused to listen on {path} again. Most likely the connection that was lost has left the socket’s file there, and the server does not replace it (StreamLocalBindUnlink no in its sshd_config). Remove the file there and start the tunnel again, or ask who runs {host} for StreamLocalBindUnlink yes.',
      { host, path: listen.path },
    );
  if (listen.kind === 'unix')
    return t(
      '{host} refused to listen on {path}. The file may be there already, its folder missing or not yours, or sshd forbids it (AllowStreamLocalForwarding, AllowTcpForwarding). Remove the file there, or choose another path.',
      { host, path: listen.path },
    );
  if (listen.port === 0)
    return isLoopback(listen.bind)
      ? t(
          '{host} refused to choose a port. It may forbid it (AllowTcpForwarding, PermitListen). Name a port that it permits, or ask who runs it.',
          { host },
        )
      : t(
          '{host} refused to choose a port on {bind}. It may forbid it (AllowTcpForwarding, PermitListen), or not have that address. Name a port that it permits, or ask who runs it.',
          { host, bind: shownBind(listen.bind) },
        );
  const place = listenText(listen);
  if (inUse && holder !== undefined)
    return t(
      '{place} is already in use on {host} by the tunnel {holder} of this window. Stop it, or choose another port.',
      { place, host, holder: quoted(holder) },
    );
  if (isStale)
    return t(
      '{place} on {host} is still held, most likely by the connection that was lost: its server has not noticed yet. It is asked for again until it is free; to have it sooner, end the old session there, or what else uses it. With ClientAliveInterval in its sshd_config the server notices sooner by itself.',
      { place, host },
    );
  if (inUse)
    return t(
      '{place} is already in use on {host}, perhaps by a connection of yours that broke and that it still holds. Stop what uses it there, or choose another port.',
      { place, host },
    );
  if (listen.port < 1024 && user !== 'root')
    return t('{host} refused to listen on {place}: ports below 1024 are for root there. Choose a port above 1023.', {
      host,
      place,
    });
  return t(
    '{host} refused to listen on {place}. It may forbid it (AllowTcpForwarding, PermitListen), or the port is taken there. Choose another one, or ask who runs it.',
    { host, place },
  );
}

function targetFailedText({ target, code }: Failure & { kind: 'targetFailed' }): string {
  return unreachedText(target, machineName(), unreachedByCode[code] ?? 'other', code);
}

function algorithmName(use: AlgorithmUse): string {
  switch (use) {
    case 'kex':
      return t('key exchange');
    case 'hostKey':
      return t('type of host key');
    case 'cipher':
      return t('cipher');
    case 'mac':
      return 'MAC';
  }
}

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
  const lists = t(
    '{host} and {machine} have no {algorithm} in common. The server has {theirs}; {machine} offers {ours}.',
    {
      host,
      machine: machineName(),
      algorithm: algorithmName(use),
      theirs: theirs.join(', ') || t('none'),
      ours: ours.join(', '),
    },
  );
  return `${lists} ${noCommonStep(theirs, option)}`;
}

function noCommonStep(theirs: readonly string[], option: string): string {
  if (theirs.length === 0 || !theirs.every((name) => outdated.test(name)))
    return t('Check {option} in ssh_config, or ask who runs the server to allow one of these.', { option });
  const askable = theirs.find((name) => weakButPossible.test(name));
  return askable === undefined
    ? t('The server is too old to be safe: ask who runs it to update it.')
    : t(
        'The server is too old to be safe: ask who runs it to update it, or allow it for this host alone, with {option} +{askable} in ssh_config.',
        { option, askable },
      );
}

function hopText({ hop, target, refusal, detail }: Failure & { kind: 'hopRefused' }): string {
  switch (refusal) {
    case 'prohibited':
      return t('{hop} forbids connecting on to {target}. Ask who runs it about AllowTcpForwarding and PermitOpen.', {
        hop,
        target,
      });
    case 'connectFailed':
      if (unreachedBecause(detail) === 'refused')
        return t(
          '{target} refused the connection, as {hop} sees it. Check that an SSH server runs there and the port is right.',
          { target, hop },
        );
      return t('{target} can’t be reached from {hop}{detail}. Check the name and the port.', {
        target,
        hop,
        detail: inBrackets(detail),
      });
    case 'unknownType':
      return t('{hop} offers no way on to {target}. Ask who runs it.', { hop, target });
    case 'resourceShortage':
      return t('{hop} has no room for another connection to {target}. Try again later.', { hop, target });
    case 'other':
      return t('{hop} did not connect on to {target}{detail}.', { hop, target, detail: inBrackets(detail) });
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
      return t('only you on {machine}', { machine });
    case 'machine':
      return listen === 'tcp'
        ? t('only {machine}', { machine })
        : t('you, and others on {machine} whom StreamLocalBindMask lets in', { machine });
    case 'network':
      return t('everyone on the network who reaches {machine}', { machine });
    case 'unknown':
      return listen === 'tcp'
        ? t('not known: {machine} decides (GatewayPorts in its sshd_config), and it could not be tried out', {
            machine,
          })
        : t('only your user on {machine}, unless StreamLocalBindMask in its sshd_config lets in others', { machine });
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

/** What a client on the listener’s machine connects to: a wildcard of one family is reached by that family’s loopback. */
export function clientHost(address: string): string {
  return { '0.0.0.0': '127.0.0.1', '::': '::1' }[address] ?? address;
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
    const alone = listened.asked === 'network' ? shownBind(spec.listen.bind) : host;
    return listened.isElsewhere
      ? t(
          '{host} opened it on all its addresses to the network, although you asked for {alone} alone (GatewayPorts yes in its sshd_config). Stop it in the other window if that must not be, and ask who runs {host} for GatewayPorts clientspecified.',
          { host, alone },
        )
      : t(
          '{host} opened it on all its addresses to the network, although you asked for {alone} alone (GatewayPorts yes in its sshd_config). Stop it if that must not be, and ask who runs {host} for GatewayPorts clientspecified.',
          { host, alone },
        );
  }
  if (listened.asked === 'network' && listened.access === 'machine')
    return t(
      'Only {host} itself can connect, not the network as you asked (GatewayPorts no in its sshd_config). Ask who runs {host} for GatewayPorts clientspecified, or leave out the bind address.',
      { host },
    );
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
    return [
      unboundText(failure, holder),
      ...(isLocalhost ? [t('A client of localhost:{port} may reach that instead.', { port: failure.port })] : []),
      t('Stop it, or choose another port.'),
    ].join(' ');
  });
  // A server does not tell all that it bound: only what we have tried is known.
  const own =
    kind === 'remote'
      ? t('On {host} {addresses} leads here.', { host, addresses: boundText(bound) })
      : t('Only {addresses} could be bound.', { addresses: boundText(bound) });
  return [own, ...said].join(' ');
}

function unboundText(failure: Failure & { kind: 'portInUse' | 'remoteHalf' }, holder: string | undefined): string {
  const address = hostPort(failure.address, failure.port);
  if (failure.kind === 'remoteHalf') return t('{address} there is in use by something else.', { address });
  if (holder !== undefined)
    return t('{address} is in use by the tunnel {holder} of this window.', { address, holder: quoted(holder) });
  return failure.owner
    ? t('{address} is in use by {program}.', { address, program: ownerText(failure.owner) })
    : t('{address} is in use by another program.', { address });
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
  const [machine, viewer] = isRemote ? [host, machineName()] : [machineName(), host];
  const address = listenText(spec.listen);
  const effect =
    spec.kind === 'dynamic' || spec.target.kind === 'socks'
      ? t('{address} on {machine} → SOCKS proxy, as {viewer} sees the network', { address, machine, viewer })
      : t('{address} on {machine} → {target}, as {viewer} sees it', {
          address,
          machine,
          target: printEndpoint(spec.target),
          viewer,
        });
  if (askedAccess(spec) !== 'network') return effect;
  return isRemote
    ? t('{effect}. Open to {host}’s network!', { effect, host })
    : t('{effect}. Open to the network!', { effect });
}

/** Where on a server something listens, and for a socket where it will be had here. */
export function serverPortText(found: ServerPort, { listen }: ForwardSpec, host: string): string {
  if (found.kind === 'tcp')
    return found.address === '*'
      ? t('all interfaces of {host}', { host })
      : t('{address} on {host}', { address: found.address, host });
  return listen.kind === 'tcp' && listen.port > 0
    ? t('Unix socket on {host}, at port {port} here', { host, port: listen.port })
    : t('Unix socket on {host}, at a free port here', { host });
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
  return t('“{text}”', { text: printable(text) });
}

function inBrackets(text: string): string {
  return text ? ` (${text})` : '';
}

function oneLine(text: string): string {
  return text.replace(/[\t-\r]/g, ' ');
}

/** What is wrong with a text, and at which of its characters. */
function problemText({ text, at }: { text: string; at: number }, problem: string): string {
  const values = { text: quoted(oneLine(text)), problem };
  if (text.length > 0 && at < text.length) return t('{text}: {problem}, at character {at}.', { ...values, at: at + 1 });
  return at > 0 ? t('{text}: {problem}, at the end.', values) : t('{text}: {problem}.', values);
}
