import assert from 'node:assert/strict';
import fc from 'fast-check';
import { commandLineFailure, parseArguments, type TunnelCommand } from '../../src/core/commandLine.js';
import { printSpec } from '../../src/core/forwardSpec.js';
import { printForwardLines } from '../support/forwardLines.js';
import { askEach, hasOpenSsh, run } from '../support/openSsh.js';

const env = { HOME: '/home/ann' };

function parse(...words: string[]): TunnelCommand {
  const parsed = parseArguments(words, env);
  assert.ok(parsed.kind === 'command', parsed.kind === 'refused' ? commandLineFailure(parsed) : parsed.kind);
  return parsed.command;
}

/** The forwards, as ssh's options. */
const specs = (...words: string[]) => parse(...words).specs.map(printSpec);
const options = (...words: string[]) => parse('-L', '1:a:1', 'host', ...words).host.options;

describe('parseArguments', () => {
  it('takes every kind of forward, each once, in the order written', () => {
    assert.deepEqual(
      specs('-L8080:db:80', '-R', '1080', '-NTD', '*:1080', 'host', '-R0:/run/x', '-L', '08080:db:http', '-L/a:/b'),
      ['-L 8080:db:80', '-R 1080', '-D *:1080', '-R 0:/run/x', '-L /a:/b'],
    );
  });

  it('takes forwards in the two-word form of ssh_config, too', () => {
    assert.deepEqual(
      specs('-o', 'LocalForward=8080 [::1]:80', '-oremoteforward 1080', '-o', 'DynamicForward = 1081', 'host'),
      ['-L 8080:[::1]:80', '-R 1080', '-D 1081'],
    );
  });

  it('resolves ${VARIABLES} of the environment, and takes auto for no port: ssh has none', () => {
    assert.deepEqual(specs('-L', '${HOME}/x:db:80', 'host'), ['-L /home/ann/x:db:80']);
    assert.match(refusal('-L', 'auto:db:80', 'host'), /“auto” is not a port/);
  });

  it('hands on what is about the host, the first value of each first', () => {
    assert.deepEqual(options('-p', '2222', '-lbob', '-i', '/a b', '-J', 'x,y', '-o', 'HostName=real'), [
      ['Port', '2222'],
      ['User', 'bob'],
      ['IdentityFile', '/a b'],
      ['ProxyJump', 'x,y'],
      ['HostName', 'real'],
    ]);
    assert.deepEqual(options('-o', 'AddressFamily=any', '-4', '-6', '-b', '::1', '-g', '-o', 'gatewayports=no'), [
      ['GatewayPorts', 'yes'],
      ['BindAddress', '::1'],
      ['AddressFamily', 'inet6'],
      ['AddressFamily', 'inet'],
      ['AddressFamily', 'any'],
      ['gatewayports', 'no'],
    ]);
    assert.deepEqual(options('-o', 'IdentityFile="/a b"', '-o', 'UserKnownHostsFile="/a b" /c'), [
      ['IdentityFile', '/a b'],
      ['UserKnownHostsFile', '"/a b" /c'],
    ]);
  });

  it('knows the config file, -v and -G, and passes over what means nothing without a command', () => {
    assert.deepEqual(parse('-NTnqakxvG', '-F', 'none', 'bob@host:22'), {
      host: { destination: { host: 'host', user: 'bob', port: 22 }, options: [], configFile: 'none' },
      specs: [],
      verbose: true,
      print: true,
    });
    assert.equal(parse('-L', '1:a:1', 'host').print, false);
  });

  it('leaves it to ssh_config whether forwards are cleared, and whether there are any', () => {
    assert.deepEqual(specs('-o', 'ClearAllForwardings=yes', '-R', '1', 'host'), ['-R 1']);
    assert.deepEqual(options('-o', 'ClearAllForwardings=yes'), [['ClearAllForwardings', 'yes']]);
    assert.deepEqual(specs('host'), []);
  });

  const refusal = (...words: string[]) => {
    const parsed = parseArguments(words, env);
    assert.ok(parsed.kind === 'refused', parsed.kind);
    return commandLineFailure(parsed);
  };
  const refused: [words: string[], error: RegExp][] = [
    [['-f', 'host'], /^-f is not supported yet$/],
    [['-C', 'host'], /^-C is not supported yet$/],
    [['-W', 'a:1', 'host'], /^-W is not supported yet$/],
    [['-o', 'RemoteCommand=x', 'host'], /^-o RemoteCommand=x is not supported yet$/],
    [['-Z', 'host'], /^unknown option -Z\nusage: /],
    [['-o', '=x', 'host'], /^unknown option -o =x\n/],
    [['host', '-R'], /^-R needs a value\n/],
    [['-b', '', 'host'], /^-b needs a value\n/],
    [['-o', 'LocalForward=8080:db:80', 'host'], /^-o LocalForward=8080:db:80: “8080:db:80”: target missing/],
    [['-D', '1080:x:1', 'host'], /^-D 1080:x:1: “1080:x:1”: too many fields/],
    [['-g', '-L', '1:a:1'], /^destination missing\n/],
    [['-R', '1', 'host', 'ls', '-L', '1:a:1'], /^ls: no command is run/],
    [['-R', '1', '--', 'host', '-v'], /^-v: no command is run/],
  ];
  for (const [words, error] of refused) it(`refuses ${words.join(' ')}`, () => assert.match(refusal(...words), error));

  it('says how it is used', () => {
    const parsed = parseArguments(['-h'], env);
    assert.ok(parsed.kind === 'help');
    assert.match(parsed.text, /^usage: tunnel /);
  });
});

describe('the forwards of a command line', () => {
  it('are those that ssh -G prints for the same words', async function () {
    if (!hasOpenSsh) this.skip();
    this.timeout(60_000);
    const words = fc.constantFrom<string[][]>(
      ['-L', '8080:db:80'], ['-L08080:db:http'], ['-L', '*:9000:[::1]:80'], ['-R', '1080'], ['-R/a:/b'], ['-R', '0:a:1'], ['-D', '[::1]:1080'], ['-ND1080'], ['-g'], ['-4'], ['-o', 'LocalForward=8080 db:80'], ['-o', 'LocalForward 9001 "[a]:b":80'], ['-o', 'RemoteForward=1081'], ['-oRemoteForward=9002 /x y'], ['-o', 'DynamicForward=:1083'], ['-o', 'ClearAllForwardings=no'], ['-o', 'ClearAllForwardings=yes'], ['-v'], ['-p', '22'], ['-L', '1:x'], ['--'],
    ); // prettier-ignore
    const some = fc.array(words, { maxLength: 6 });
    const lines = fc.tuple(some, some).map(([front, behind]) => [...front.flat(), 'host', ...behind.flat()]);
    const asked = fc.sample(lines, {
      numRuns: 200,
      seed: Number(process.env['SSH_TUNNELS_SEED'] ?? Date.now() % 2 ** 31),
    });
    const theirs = await askEach(asked, (words) => run('ssh', ['-G', '-F', '/dev/null', ...words]));
    let same = 0;
    asked.forEach((words, index) => {
      const { code, stdout } = theirs[index]!;
      const ours = parseArguments(['-G', ...words], env);
      // Behind -- or a second host stands a command, which ssh takes and we don't.
      if (ours.kind === 'refused' && ours.reason.kind === 'command') return;
      assert.equal(ours.kind === 'command', code === 0, words.join(' '));
      if (ours.kind !== 'command') return;
      same++;
      const lines = stdout.match(/^(local|remote|dynamic)forward .*$\n/gm)?.join('') ?? '';
      const { specs, host } = ours.command;
      const isCleared = host.options.find(([keyword]) => keyword === 'ClearAllForwardings')?.[1] === 'yes';
      assert.equal(printForwardLines(isCleared ? [] : specs), lines, words.join(' '));
    });
    assert.ok(same > 60, `${same} were accepted`);
  });

  it('takes the user and port that come first, as ssh does', () => {
    const given = (text: string) => {
      const read = parseArguments([...text.split(' '), '-N'], {});
      assert.ok(read.kind === 'command', text);
      const { destination, options } = read.command.host;
      return [destination.user, destination.port, ...options.map((option) => option.join())];
    };
    assert.deepEqual(given('-l lu me@web01'), [undefined, undefined, 'User,lu']);
    assert.deepEqual(given('me@web01 -l lu'), ['me', undefined, 'User,lu']);
    assert.deepEqual(given('-o user=ou me@web01:9'), [undefined, 9, 'user,ou']);
    assert.deepEqual(given('-p 8 ssh://web01:9'), [undefined, undefined, 'Port,8']);
    assert.deepEqual(given('ssh://me@web01:9 -p 8'), ['me', 9, 'Port,8']);
  });

  it('refuses what ssh refuses of a jump behind a ProxyCommand, and of two files in one IdentityFile', () => {
    for (const words of [
      ['-o', 'ProxyCommand=x', '-J', 'a', 'web01'],
      ['-o', 'IdentityFile=~/a b', 'web01'],
    ])
      assert.equal(parseArguments(words, {}).kind, 'refused', words.join(' '));
    for (const words of [
      ['-J', 'a', '-o', 'ProxyCommand=x', 'web01'],
      ['-o', 'IdentityFile="~/a b"', 'web01'],
    ])
      assert.equal(parseArguments(words, {}).kind, 'command', words.join(' '));
  });
});
