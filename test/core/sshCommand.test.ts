import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseDestination, printDestination } from '../../src/core/destination.js';
import { printConfigForward, printSpec, type ForwardSpec } from '../../src/core/forwardSpec.js';
import { printSshCommand } from '../../src/core/printSshCommand.js';
import { parseSshCommand } from '../../src/core/sshCommand.js';
import { printSshConfigBlock, printSshConfigBlocks } from '../../src/core/sshConfigBlock.js';
import { quoteShell } from '../../src/core/shellWords.js';
import { failureText } from '../../src/core/wording.js';
import { printForwardLines } from '../support/forwardLines.js';
import { mustParseSpec } from '../support/mustParseSpec.js';
import { hasOpenSsh, runAll } from '../support/openSsh.js';

const env = { HOME: '/home/ann', PORT: '8080' };

/** The command's tunnels as `destination forward`, and what was ignored and noted. */
function read(text: string): { tunnels: string[]; ignored?: readonly string[]; notes?: readonly string[] } {
  const result = parseSshCommand(text, env);
  assert.ok(result.ok, result.ok ? '' : failureText(result.failure));
  const { tunnels, ignored, notes } = result;
  return {
    tunnels: tunnels.map(({ destination, spec }) => `${printDestination(destination)} ${printSpec(spec)}`),
    ...(ignored.length > 0 && { ignored }),
    ...(notes.length > 0 && { notes }),
  };
}

describe('parseSshCommand', () => {
  const table: [what: string, text: string, ReturnType<typeof read>][] = [
    [
      'a whole command',
      'ssh -N -L 127.0.0.1:5000:db:5432 -J bastion user@machine',
      { tunnels: ['-J bastion user@machine -L 127.0.0.1:5000:db:5432'], ignored: ['-N'] },
    ],
    [
      'joined flags, several forwards, options behind the host, and a duplicate',
      'ssh -fNL8080:db:80 ann@web01 -R 1080 -p 2222 -D1081 -L 08080:db:http',
      { tunnels: ['ann@web01:2222 -L 8080:db:80', 'ann@web01:2222 -R 1080', 'ann@web01:2222 -D 1081'], ignored: ['-f', '-N'] }, // prettier-ignore
    ],
    [
      'quotes, variables and Unix sockets',
      `ssh -L "$PORT:[::1]:80" -L '\${HOME}/a b.sock:/run/db.sock' -i "$HOME/my key" -i $NOPE/k web01`,
      { tunnels: [8080, 0].map((port) => `-i '/home/ann/my key' -i '\${NOPE}/k' web01 -L ${port ? '8080:[::1]:80' : '/home/ann/a b.sock:/run/db.sock'}`) }, // prettier-ignore
    ],
    [
      'a prompt, a program with its path, and lines that go on',
      '$ /usr/bin/ssh \\\n>  -L 8080:db:80 \\\n> web01',
      { tunnels: ['web01 -L 8080:db:80'] },
    ],
    ['the prompt of root', '# ssh -L 80:db:80 web01', { tunnels: ['web01 -L 80:db:80'] }],
    ['prompts with names', '[ann@laptop ~]$ ssh -D 1080 web01', { tunnels: ['web01 -D 1080'] }],
    ['the prompt of zsh', '(venv) ann@laptop ~ % ssh -D 1080 web01', { tunnels: ['web01 -D 1080'] }],
    [
      'cmd',
      'C:\\Users\\ann>C:\\Windows\\System32\\OpenSSH\\ssh.exe -i C:\\Users\\ann\\key ^\r\n -L 8080:db:80 web01\r\n',
      { tunnels: ["-i 'C:\\Users\\ann\\key' web01 -L 8080:db:80"] },
    ],
    ['lines that an input has joined', 'ssh  \\  -L 8080:db:80  ^ -N ` web01', { tunnels: ['web01 -L 8080:db:80'], ignored: ['-N'] }], // prettier-ignore
    ['PowerShell', 'PS C:\\> ssh.exe -L 8080:db:80 `\n  web01', { tunnels: ['web01 -L 8080:db:80'] }],
    ['a web page', '```sh\nssh –L 8080:db:80 “web01”\n```', { tunnels: ['web01 -L 8080:db:80'] }],
    [
      'sudo, variables and autossh in front',
      'A=1 sudo -u ann autossh -M 0 -o "ServerAliveInterval 30" -R 8080:localhost:3000 web01 &',
      {
        tunnels: ['-o ServerAliveInterval=30 web01 -R 8080:localhost:3000'],
        ignored: ['“&”', '“A=” in front', '“sudo” in front', 'autossh (a lost connection is made again anyway)'],
      },
    ],
    [
      'no password of sshpass',
      'sshpass -p secret ssh -D 1080 web01',
      { tunnels: ['web01 -D 1080'], ignored: ['“sshpass” in front'] },
    ],
    [
      'several commands',
      'cd /tmp && ssh -L 1111:a:1 web01 > log 2>&1 & ssh -D 1080 web02 | tee x; sleep 5',
      {
        tunnels: ['web01 -L 1111:a:1', 'web02 -D 1080'],
        ignored: ['“> log”', '“2>&1”', '“&”', 'the command “cd /tmp”, which is not run', 'the command “tee x”, which is not run', 'the command “sleep 5”, which is not run'], // prettier-ignore
      },
    ],
    [
      'forwards of -o',
      `ssh -o LocalForward="8080 db:80" -oRemoteForward=1080 -o 'DynamicForward = 1081' -o 'LocalForward 9000 "/my sock"' web01`,
      { tunnels: ['-L 8080:db:80', '-R 1080', '-D 1081', '-L 9000:/my sock'].map((spec) => `web01 ${spec}`) },
    ],
    [
      'GatewayPorts, which opens what has no address',
      'ssh -g -L 8080:db:80 -L localhost:8081:db:80 -R 9000:a:1 -D 1080 -L /a:/b web01',
      { tunnels: ['-L *:8080:db:80', '-L localhost:8081:db:80', '-R 9000:a:1', '-D *:1080', '-L /a:/b'].map((spec) => `web01 ${spec}`) }, // prettier-ignore
    ],
    ['GatewayPorts of -o', 'ssh -o GatewayPorts=yes -D 1080 web01', { tunnels: ['web01 -D *:1080'] }],
    ['the first GatewayPorts of -o', 'ssh -o GatewayPorts=no -oGatewayPorts=yes -D 1080 h', { tunnels: ['h -D 1080'] }],
    [
      'ClearAllForwardings',
      'ssh -L 8080:db:80 -o ClearAllForwardings=yes -D 1 web01',
      { tunnels: [], notes: ['ClearAllForwardings leaves no forward'] },
    ],
    ['an automatic port, which is ours', 'ssh -L auto:db:80 web01', { tunnels: ['web01 -L auto:db:80'] }],
    [
      'what it has no use for',
      'ssh -4NCA -v -F none -S ctl -O forward -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o "SendEnv LANG" -o BatchMode=yes -o Cipher=x -o ProxyCommand=none -W a:1 -w 0:0 -D 1 web01 sleep 60', // prettier-ignore
      {
        tunnels: ['-4 web01 -D 1'],
        ignored: [
          '-N',
          '-C (nothing is compressed)',
          '-A (no agent is forwarded)',
          '-v',
          '-F none (ssh_config counts all the same; the setting “sshTunnels.sshConfigFile” names the file)',
          '-S ctl (tunnels to one host share a connection anyway)',
          '-O forward',
          '-o StrictHostKeyChecking=no (host keys are always checked)',
          '-o UserKnownHostsFile=/dev/null (host keys are always checked)',
          '-o SendEnv=LANG (there is no shell)',
          '-o BatchMode=yes (you are asked when there is something to ask)',
          '-o Cipher=x',
          '-W a:1 (no terminal is connected to a port)',
          '-w 0:0 (no network devices (tun) are made)',
          'the command “sleep 60”, which is not run',
        ],
      },
    ],
    [
      'a long command that is not run, without its marks',
      `ssh -D 1 web01 'echo "$(date)" \u202e and then something else that is long'`,
      { tunnels: ['web01 -D 1'], ignored: ['the command “echo "$(date)"   and then something els…”, which is not run'] }, // prettier-ignore
    ],
    [
      'a ProxyCommand that is a jump',
      `ssh -o ProxyCommand="ssh -q -p 2222 -W %h:%p ann@bastion" -D 1 web01`,
      { tunnels: ['-J ann@bastion:2222 web01 -D 1'], notes: ['ProxyCommand became -J ann@bastion:2222'] },
    ],
    [
      'a ProxyCommand that is a jump with netcat',
      `ssh -o 'ProxyCommand ssh bastion nc -w 5 %h %p' -D 1 web01`,
      { tunnels: ['-J bastion web01 -D 1'], notes: ['ProxyCommand became -J bastion'] },
    ],
    [
      'a heredoc, which is fed to ssh',
      'ssh -D 1 m1 <<EOF\nssh -L 5:db:6 m2\n"\nEOF\nssh -D 2 web01',
      { tunnels: ['m1 -D 1', 'web01 -D 2'], ignored: ['what is fed to ssh, which is not run here'] },
    ],
    [
      'a heredoc that makes a script',
      "cat <<'EOF' > run.sh\nssh -L 5:db:6 m2\nEOF\nsudo ssh -D 1 m1 bash -s <<-X\n\tssh -D 5 m3\n\tX",
      {
        tunnels: ['m1 -D 1'],
        ignored: ['what is fed to cat, which is not run here', '“> run.sh”', 'what is fed to ssh, which is not run here', '“sudo” in front', 'the command “bash -s”, which is not run', 'the command “cat”, which is not run'], // prettier-ignore
      },
    ],
    [
      'no ssh_config at all',
      'ssh -F /dev/null -D 1 web01',
      { tunnels: ['web01 -D 1'], ignored: ['-F /dev/null (ssh_config counts all the same; the setting “sshTunnels.sshConfigFile” names the file)'] }, // prettier-ignore
    ],
    ['a comment', 'ssh -D 1 web01 # the proxy', { tunnels: ['web01 -D 1'] }],
    ['what follows --', 'ssh -D 1 -- web01 -L 1:a:1', { tunnels: ['web01 -D 1'], ignored: ['the command “-L 1:a:1”, which is not run'] }], // prettier-ignore
    ['no forward', 'ssh ann@web01', { tunnels: [] }],
  ];
  for (const [what, text, expected] of table) it(`reads ${what}`, () => assert.deepEqual(read(text), expected));

  it('gives the host of a command without a forward', () => {
    const result = parseSshCommand('ssh -J bastion ann@web01:2222');
    assert.deepEqual(result.ok && result.destination, {
      host: 'web01',
      user: 'ann',
      port: 2222,
      options: [['ProxyJump', 'bastion']],
    });
  });

  const nested: [what: string, text: string, ReturnType<typeof read>][] = [
    [
      'as the tutorials have it',
      'ssh -L 4000:localhost:5000 ann@m1 ssh -L 5000:db:5432 bob@m2',
      { tunnels: ['-J ann@m1 bob@m2 -L 4000:db:5432'], notes: ['m2 is looked up by m1'] },
    ],
    [
      'in quotes, with ports, a terminal and the name of the first host',
      `ssh -t -p 2222 -L 127.0.0.1:4000:m1:5000 ann@m1 'ssh -N -p 2223 -L "5000:db:5432" m2'`,
      {
        tunnels: ['-J ann@m1:2222 m2:2223 -L 127.0.0.1:4000:db:5432'],
        ignored: ['-t (there is no terminal)', '-N'],
        notes: ['m2 is looked up by m1'],
      },
    ],
    [
      'three deep',
      `ssh -L 1111:localhost:2222 m1 "ssh -L 2222:localhost:3333 m2 'ssh -L 3333:db:5432 m3'"`,
      { tunnels: ['-J m1,m2 m3 -L 1111:db:5432'], notes: ['m3 is looked up by m2', 'm2 is looked up by m1'] },
    ],
    [
      'three deep without quotes',
      'ssh -L 1111:localhost:2222 m1 ssh -L 2222:localhost:3333 m2 ssh -L 3333:db:5432 m3',
      { tunnels: ['-J m1,m2 m3 -L 1111:db:5432'], notes: ['m3 is looked up by m2', 'm2 is looked up by m1'] },
    ],
    [
      'with jump hosts and keys of its own',
      'ssh -J a -i ~/k1 -L 1111:127.0.0.1:2222 m1 ssh -J b -i ~/k2 -4 -o ConnectTimeout=5 -g -L 2222:db:5432 m2',
      {
        tunnels: ['-J a,m1,b -o ConnectTimeout=5 m2 -L 1111:db:5432'],
        notes: [
          'b is looked up by m1',
          'IdentityFile ~/k2 is left out: it is on m1, and this machine logs in to m2 itself',
          'IdentityFile ~/k1 is left out: for a jump host such as m1 it is set in ssh_config',
        ],
      },
    ],
    [
      'with SOCKS and a Unix socket at the end',
      'ssh -L 1111:localhost:2222 -L 3333:/run/x:-1 -L 3333:/run/x m1 ssh -D 2222 -L /run/x:db:1 m2'.replace(' -L 3333:/run/x:-1', ''), // prettier-ignore
      { tunnels: ['-J m1 m2 -D 1111', '-J m1 m2 -L 3333:db:1'], notes: ['m2 is looked up by m1'] },
    ],
    [
      'the other way round',
      'ssh -R 9000:localhost:22 m1 ssh -R 8000:localhost:9000 m2',
      { tunnels: ['-J m1 m2 -R 8000:localhost:22'], notes: ['m2 is looked up by m1'] },
    ],
    [
      'not where the ports differ',
      'ssh -L 4000:localhost:5001 m1 ssh -L 5000:db:5432 m2',
      {
        tunnels: ['m1 -L 4000:localhost:5001'],
        notes: ['-L 5000:db:5432 is left out: it listens on m1, where nothing of ours runs'],
      },
    ],
    [
      'not where the addresses differ',
      'ssh -L 4000:127.0.0.1:5000 -L 4001:other:5000 m1 ssh -L [::1]:5000:db:5432 -R 1:localhost:2 m2',
      {
        tunnels: ['m1 -L 4000:127.0.0.1:5000', 'm1 -L 4001:other:5000'],
        notes: [
          '-L [::1]:5000:db:5432 is left out: it listens on m1, where nothing of ours runs',
          '-R 1:localhost:2 is left out: it leads to m1, where nothing of ours runs',
        ],
      },
    ],
    [
      'not a bare ssh, which is a command like any other',
      'ssh -L 4000:localhost:5000 m1 ssh -A m2',
      {
        tunnels: ['m1 -L 4000:localhost:5000'],
        ignored: ['-A (no agent is forwarded)', 'the command “ssh -A m2”, which is not run'],
      },
    ],
    [
      'beside other commands',
      `ssh -L 4000:localhost:5000 m1 'cd /x; ssh -L 5000:db:5432 m2'`,
      {
        tunnels: ['-J m1 m2 -L 4000:db:5432'],
        ignored: ['the command “cd /x”, which is not run'],
        notes: ['m2 is looked up by m1'],
      },
    ],
  ];
  for (const [what, text, expected] of nested)
    it(`joins an ssh inside an ssh: ${what}`, () => assert.deepEqual(read(text), expected));

  /** The text from where the failure points, and its words. */
  const refused: [text: string, from: string, words: RegExp][] = [
    ['', '', /no ssh command/],
    ['ssh', '', /host missing/],
    ['cat <<EOF > run.sh\nssh -D 1 m2\nEOF', 'cat <<EOF > run.sh\nssh -D 1 m2\nEOF', /expected ssh, not “cat”/],
    ['docker run -p 80:80 x', 'docker run -p 80:80 x', /expected ssh, not “docker”/],
    ['ssh -L 8080:db web01', ' web01', /target port missing, at character 15/],
    ['$ ssh -N -L "8080:my db:80" web01', ' db:80" web01', /a blank inside/],
    ['ssh -L 1:a\\:b web01', 'b web01', /“b” is not a target port/],
    ['ssh -L 8080:a:${NOPE} web01', '${NOPE} web01', /variable NOPE is not set/],
    ['ssh -L 8080:a:$NOPE web01', '$NOPE web01', /variable NOPE is not set/],
    ['ssh -o LocalForward="8080 db:x" web01', 'x" web01', /“x” is not a target port/],
    ['ssh -o LocalForward=8080:db:80 web01', ' web01', /target missing/],
    ['ssh -J a,b@ web01', ' web01', /host missing/],
    ['ssh -D 1 web01:x', 'x', /“x” is not a port/],
    ['ssh -D 1080', '', /host missing/],
    ['ssh -D', '-D', /-D needs a value/],
    ['ssh -Z web01', '-Z web01', /no option -Z/],
    ['ssh -fNZ web01', 'Z web01', /no option -Z/],
    ['ssh -P work web01', '-P work web01', /set it for this host in ssh_config/],
    ['ssh -o HostKeyAlias=b web01', 'HostKeyAlias=b web01', /HostKeyAlias .* set it for this host in ssh_config/],
    ['ssh -oStreamLocalBindUnlink=yes web01', 'StreamLocalBindUnlink=yes web01', /set it for this host in ssh_config/],
    ['ssh -F work.conf web01', '-F work.conf web01', /may mean another host; name it in the setting sshTunnels\.sshConfigFile/], // prettier-ignore
    ['ssh -NF~/x -D 1 web01', 'F~/x -D 1 web01', /-F can’t be set here/],
    ["ssh -D 1 m1 'ssh -F x -D 2 m2'", "-F x -D 2 m2'", /-F can’t be set here/],
    ['ssh -D 1 we\u202eb01', '\u202eb01', /an invisible character \(U\+202E\) inside the name, at character 12/],
    ['ssh -L 1:"d\u200bb":2 web01', '\u200bb":2 web01', /an invisible character \(U\+200B\) inside the forward/],
    ['ssh -o LocalForward="1 /\u2066x" web01', '\u2066x" web01', /an invisible character \(U\+2066\)/],
    ['ssh -O cancel -L 1:a:1 web01', '-O cancel -L 1:a:1 web01', /for an ssh that runs already/],
    ['ssh -o ProxyCommand="nc %h %p" web01', 'ProxyCommand="nc %h %p" web01', /ProxyCommand .* ssh_config/],
    ['ssh -o "ProxyCommand ssh -i k b -W %h:%p" web01', 'ProxyCommand ssh -i k b -W %h:%p" web01', /ProxyCommand .* ssh_config/], // prettier-ignore
    ['ssh -o CanonicalizeHostname=yes h', 'CanonicalizeHostname=yes h', /CanonicalizeHostname .* ssh_config/],
    ['ssh -o =x h', '=x h', /“=x” is not a value of -o/],
    ['ssh -L 1:"a:1 web01', '"a:1 web01', /no closing quote/],
    ['ssh -D 1 web01\\', '\\', /rest of the command is missing/],
    ['ssh -L 1:$(ip):1 web01', '$(ip):1 web01', /\$\( would run a command/],
    ["ssh -L 1:a:1 m1 'ssh -L 2:b m2'", " m2'", /target port missing/],
  ];
  for (const [text, from, words] of refused)
    it(`refuses “${text}”`, () => {
      const result = parseSshCommand(text, env);
      assert.ok(!result.ok);
      assert.match(failureText(result.failure), words);
      assert.ok('at' in result.failure && result.failure.text === text);
      assert.equal(text.slice(result.failure.at), from);
    });

  it('reads forwards as ssh does, however its words are quoted', async function () {
    if (!hasOpenSsh) this.skip();
    this.timeout(60_000);
    const words = fc.constantFrom<string[][]>(
      ['-L', '8080:db:80'], ['-L8080:[::1]:80'], ['-R', '1080'], ['-R', '0:a b:1'], ['-R*:9000:/x y'], ['-D', '[::]:1080'], ['-ND1081'], ['-L', '/a:/b'], ['-o', 'LocalForward=9001 "/c d"'], ['-o', 'RemoteForward 1082'], ['-oDynamicForward=1083'], ['-o', 'ClearAllForwardings=no'], ['-4'], ['-fNT'], ['-p', '2222'], ['-l', 'ann'], ['-J', 'b'], ['-o', 'ServerAliveInterval=5'], ['-F', '/dev/null'], ['-L', 'x'],
    ); // prettier-ignore
    const quoted = (word: string) =>
      fc.constantFrom(
        quoteShell(word),
        /["$`\\]/.test(word) ? quoteShell(word) : `"${word}"`,
        word.replace(/[^\w]/g, '\\$&'),
      );
    const line = fc
      .tuple(
        fc.array(words, { maxLength: 5 }),
        fc.constantFrom('web01', 'bob@web01'),
        fc.array(words, { maxLength: 2 }),
      )
      .chain(([front, host, behind]) =>
        fc.tuple(...[...front.flat(), host, ...behind.flat()].map(quoted), fc.constantFrom('', 'uptime', '-- ls')),
      )
      .map((words) => words.join(' ').trim());
    const lines = fc.sample(line, { numRuns: 150, seed: Number(process.env['SSH_TUNNELS_SEED'] ?? Date.now() % 2 ** 31) }); // prettier-ignore
    const theirs = await runAll(lines.map((line) => `ssh -G -F /dev/null ${line} </dev/null`));
    let same = 0;
    lines.forEach((line, index) => {
      const result = parseSshCommand(`ssh ${line}`);
      const { code, stdout } = theirs[index]!;
      // A blank in a host's name and a second -J are the two differences; the first is one of the grammar's.
      if (/a\\? b/.test(line) || (line.match(/-J|\\-J/g) ?? []).length > 1) return;
      assert.equal(result.ok, code === 0, `${line}\n${stdout.slice(0, 200)}`);
      if (!result.ok) return;
      same++;
      const sockets: readonly string[] = stdout.match(/^localforward (\S+) \/.*$|^localforward \/.*$/gm) ?? [];
      const bogus = sockets.map((line) => `dynamicforward ${line.split(' ')[1]}`);
      const lines = (stdout.match(/^(local|remote|dynamic)forward .*$/gm) ?? []).filter(
        (line) => !bogus.includes(line),
      );
      assert.deepEqual(
        printForwardLines(result.tunnels.map(({ spec }) => spec))
          .split('\n')
          .slice(0, -1),
        lines,
        line,
      );
      const value = (keyword: string) => new RegExp(`^${keyword} (.*)$`, 'm').exec(stdout)?.[1];
      const { host, user, port = 22, options = [] } = result.destination;
      assert.deepEqual([host, port], [value('host'), Number(value('port'))]);
      if (user !== undefined) assert.equal(user, value('user'));
      assert.equal(options.find(([keyword]) => keyword === 'ProxyJump')?.[1], value('proxyjump'));
    });
    assert.ok(same > 50, `${same} were accepted`);
  });

  it('refuses a text that nobody pastes on purpose, and quotes little of it', () => {
    assert.ok(parseSshCommand(`ssh -D 1 h ${'x'.repeat(16_373)}`).ok);
    const result = parseSshCommand(`ssh -D 1 h ${'x'.repeat(16_374)}`);
    assert.ok(!result.ok && result.failure.kind === 'badCommand');
    assert.deepEqual([result.failure.at, result.failure.problem], [16_384, { kind: 'tooLong' }]);
    assert.match(failureText(result.failure), /…”: longer than 16,384 characters; paste the ssh command alone/);
    assert.ok(failureText(result.failure).length < 500);
  });

  it('reads the longest texts before anybody waits for it', () => {
    const pieces = ['a', 'a ', '`', ' ', '\\', '\n', '\\\n', '$', '${', '[', ':', '"', "'", 'ssh ', 'ssh h ', 'ssh h "', 'ssh h;', 'ssh -D 1 h ', '-D 1 h ssh ', '-i a ', '-L 1:a:1 ', 'sudo ', 'C:\\', '<<E ', '<<E\n', '1', ',', '$ ', '- ', '~ % ', 'A=1 ', '-o a=', '%']; // prettier-ignore
    for (const front of ['', 'ssh -D 1 h ', 'ssh '])
      for (const piece of pieces) {
        const start = process.cpuUsage();
        parseSshCommand((front + piece.repeat(16_384)).slice(0, 16_384));
        const { user, system } = process.cpuUsage(start);
        assert.ok(user + system < 2_000_000, `${front}${piece} took ${user + system} µs`);
      }
  }).timeout(120_000);

  it('reads an ssh in eight others, and takes what is deeper for a command like any other', () => {
    const deep = (count: number) =>
      Array.from({ length: count }, (_, at) => `ssh -L ${at + 1}:localhost:${at + 2} m${at}`).join(' ');
    assert.deepEqual(read(deep(9)).ignored, undefined);
    assert.match(read(deep(10)).ignored![0]!, /^the command “ssh -L 10:localhost:11 m9”/);
  });

  it('never throws, and points into the text', () => {
    const piece = fc.constantFrom('ssh ', 'ssh ', ' -L ', '1:a:1', ' -o ', 'LocalForward=', ' -D1 ', 'h', ' m2 ', '"', "'", '\\', '\n', '$X', '`', '$(', '&', '|', ' > ', ' -J ', ',', '-', '#', '[', '\u00a0', '$ ', 'sudo '); // prettier-ignore
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.array(piece).map((pieces) => pieces.join('')),
        ),
        (text) => {
          const result = parseSshCommand(text);
          if (result.ok) return;
          assert.ok('at' in result.failure && result.failure.at >= 0 && result.failure.at <= text.length);
        },
      ),
      { numRuns: 5000 },
    );
  });
});

const plain = { noNullPrototype: true };

// What tunnels are made of, in all that has to be quoted.
const name = fc.constantFrom('db', '::1', '*', '', 'a b', 'ü', "it's", '$HOME', '${HOME}', 'a:b', '[x]', 'a/b', '~', '#', '-x', '%h').filter((name) => !name.includes(' ')); // prettier-ignore
const path = fc.constantFrom('/run/x', '/my dir/"x"', "~/it's", '/a:b', '/[x]', '/${HOME}', '/a\\', '\\ /', '/#x', ' /', './x', '-/x', '\\\\.\\pipe\\x'); // prettier-ignore
const port = fc.constantFrom(1024, 8080, 65535);
const unix = path.map((path) => ({ kind: 'unix' as const, path }));
const listen = fc.oneof(
  fc.record({ kind: fc.constant('tcp' as const), bind: fc.option(name, { nil: undefined }), port }, plain),
  unix,
);
const target = fc.oneof(
  fc.record({ kind: fc.constant('tcp' as const), host: name.filter((name) => name !== ''), port }, plain),
  unix,
);
const spec: fc.Arbitrary<ForwardSpec> = fc.oneof(
  fc.record({ kind: fc.constant('local' as const), listen, target }, plain),
  fc.record({ kind: fc.constant('remote' as const), listen, target: fc.oneof(target, fc.constant({ kind: 'socks' as const })) }, plain), // prettier-ignore
  fc.record({ kind: fc.constant('dynamic' as const), listen }, plain),
);
const specs = fc.uniqueArray(spec, { minLength: 1, maxLength: 4, selector: printSpec });
const destination = fc
  .tuple(
    fc.subarray(['-J a,ann@b:22', `-i "~/my keys/it's"`, '-i ~/.ssh/id', '-i C:\\Users\\x', `-o 'IdentityAgent="/a b"'`, '-6', '-b ::1', '-o ConnectTimeout=5', '-o HostName=real', '-p 2222']), // prettier-ignore
    fc.constantFrom('web01', 'ann@web01', '[::1]:22', "'CORP\\ann@web01'", 'a@b@web01', '-4 fe80::1%eth0'),
  )
  .map(([options, host]) => {
    const result = parseDestination(['-4', ...options, host].slice(options.length > 0 ? 1 : 0).join(' '));
    assert.ok(result.ok);
    return result.destination;
  });

describe('printSshCommand', () => {
  const table: [destination: string, specs: string[], text: string][] = [
    ['-J bastion user@machine', ['-L 127.0.0.1:5000:db:5432'], 'ssh -N -L 127.0.0.1:5000:db:5432 -J bastion user@machine'],
    ['web01:2222', ['-R 1080', '-D [::1]:1080'], "ssh -N -R 1080 -D '[::1]:1080' -p 2222 web01"],
    ['-i "~/my key" [::1]:22', ['-L 1:[/a b]'], "ssh -N -L '1:/a b' -p 22 -i '~/my key' ::1"],
  ]; // prettier-ignore
  for (const [where, written, text] of table)
    it(`prints ${text}`, () => {
      const result = parseDestination(where);
      assert.ok(result.ok);
      assert.equal(printSshCommand(result.destination, written.map(mustParseSpec)), text);
    });

  it('prints what reads back as the same tunnels', () => {
    const some = fc.uniqueArray(fc.oneof(spec, fc.constant(mustParseSpec('-L auto:db:80'))), {
      minLength: 1,
      selector: printSpec,
    });
    fc.assert(
      fc.property(destination, some, (destination, specs) => {
        const result = parseSshCommand(printSshCommand(destination, specs));
        assert.deepEqual(result, {
          ok: true,
          destination,
          tunnels: specs.map((spec) => ({ destination, spec })),
          ignored: ['-N'],
          notes: [],
        });
      }),
      { numRuns: 1000 },
    );
  });
});

describe('printSshConfigBlock', () => {
  it('prints a block', () => {
    const result = parseDestination('-J bastion -i "~/my key" ann@web01:2222');
    assert.ok(result.ok);
    assert.equal(
      printSshConfigBlock(
        result.destination,
        ['-L 127.0.0.1:5000:[/my db]', '-R 1080', '-D *:1080', '-L auto:db:80'].map(mustParseSpec),
        'my database!',
      ),
      `Host my-database
  HostName web01
  User ann
  Port 2222
  ProxyJump bastion
  IdentityFile "~/my key"
  LocalForward 127.0.0.1:5000 "/my db"
  RemoteForward 1080
  DynamicForward *:1080
  # choose a port: LocalForward auto db:80
`,
    );
    assert.equal(printSshConfigBlock({ host: 'web01' }, []), 'Host web01\n');
    assert.match(printSshConfigBlock({ host: 'fe80::1%eth0' }, [], '*'), /^Host fe80::1%eth0\n$/);
  });
});

describe('printSshConfigBlocks', () => {
  const groups = (hosts: readonly string[]) =>
    hosts.map((host, index) => {
      const result = parseDestination(host);
      assert.ok(result.ok);
      return { destination: result.destination, specs: [mustParseSpec(`-L ${8001 + index}:db:80`)] };
    });

  it('gives a further block of a host a name of its own', () => {
    assert.equal(
      printSshConfigBlocks(groups(['alice@web01', 'bob@web01:2222'])),
      `Host web01
  User alice
  LocalForward 8001 db:80

Host web01-bob
  HostName web01
  User bob
  Port 2222
  LocalForward 8002 db:80
`,
    );
    assert.equal(printSshConfigBlocks([]), '');
  });

  const table: [hosts: string[], names: string[]][] = [
    [['web01', 'web01:22', '-J a web01', '-J b web01'], ['web01', 'web01-22', 'web01-2', 'web01-3']],
    [['bob@web01', '-4 bob@web01', '-6 bob@web01:22'], ['web01', 'web01-bob', 'web01-22']],
    [['a@web01', 'bob@web01', 'web01-bob'], ['web01', 'web01-2', 'web01-bob']],
    [['web01', 'CORP\\bob@web01', 'bob@x@web01'], ['web01', 'web01-CORP-bob', 'web01-bob-x']],
    [['a@WEB01', 'b@web01', '[::1]', 'c@[::1]'], ['WEB01', 'web01-b', '::1', '::1-c']],
  ]; // prettier-ignore
  for (const [hosts, names] of table)
    it(`names the blocks of ${hosts.join(', ')}`, () =>
      assert.deepEqual(
        [...printSshConfigBlocks(groups(hosts)).matchAll(/^Host (.*)$/gm)].map(([, name]) => name),
        names,
      ));

  it('means to ssh under each name its own destination and forwards alone', async function () {
    if (!hasOpenSsh) this.skip();
    const some = groups(['alice@web01', 'bob@web01:2222', '-4 carol@web01', "'CORP\\dan@web01' -p 7", 'web01:9']);
    const block = printSshConfigBlocks(some);
    const names = [...block.matchAll(/^Host (.*)$/gm)].map(([, name]) => name!);
    const ran = await runAll(names.map((name) => `printf %s ${quoteShell(block)} | ssh -G -F /dev/stdin ${name}`));
    some.forEach(({ destination, specs }, index) => {
      const { code, stdout } = ran[index]!;
      assert.equal(code, 0, stdout);
      const value = (keyword: string) => new RegExp(`^${keyword} (.*)$`, 'm').exec(stdout)?.[1];
      assert.equal(value('hostname'), 'web01');
      assert.equal(value('port'), String(destination.port ?? 22));
      if (destination.user !== undefined) assert.equal(value('user'), destination.user);
      assert.deepEqual(stdout.match(/^localforward .*$/gm), specs.map(printConfigForward));
    });
  });
});

describe('printed commands and blocks', () => {
  it('mean to ssh what the tunnels are', async function () {
    if (!hasOpenSsh) this.skip();
    this.timeout(60_000);
    const isKnownToSsh = (spec: ForwardSpec) => !printSpec(spec).includes('pipe') && !printSpec(spec).includes('%h');
    const asked = fc.sample(fc.tuple(destination, specs.map((specs) => specs.filter(isKnownToSsh)), fc.constantFrom('web01', 'other')), 120); // prettier-ignore
    const shellEnv = { PATH: process.env['PATH'], HOME: '/home/ann' };
    const commands = await runAll(
      asked.map(([destination, specs]) => printSshCommand(destination, specs).replace('ssh -N', 'ssh -G -F /dev/null')),
      shellEnv,
    );
    const blocks = await runAll(
      asked.map(([destination, specs, name]) => {
        const block = printSshConfigBlock(destination, specs, name);
        return `printf %s ${quoteShell(block)} | ssh -G -F /dev/stdin ${/^Host (.*)$/m.exec(block)![1]}`;
      }),
      shellEnv,
    );
    asked.forEach(([destination, specs, name], index) => {
      for (const [what, { code, stdout }] of [
        ['command', commands[index]!],
        ['block', blocks[index]!],
      ] as const) {
        const said = `${what} ${printSshCommand(destination, specs)}\n${stdout.slice(0, 300)}`;
        assert.equal(code, 0, said);
        const lines: readonly string[] = stdout.match(/^(local|remote|dynamic)forward .*$/gm) ?? [];
        for (const spec of specs) assert.ok(lines.includes(printConfigForward(spec)), said);
        const value = (keyword: string) => new RegExp(`^${keyword} (.*)$`, 'm').exec(stdout)?.[1];
        const options = new Map(destination.options);
        const isNamed = what === 'block' && name !== destination.host;
        assert.equal(value('hostname'), options.get('HostName') ?? destination.host, said);
        assert.equal(value('host'), isNamed ? name : destination.host, said);
        assert.equal(value('port'), String(destination.port ?? 22), said);
        if (destination.user !== undefined) assert.equal(value('user'), destination.user, said);
        assert.equal(value('proxyjump'), options.get('ProxyJump'), said);
        if (options.has('IdentityAgent')) assert.equal(value('identityagent'), '/a b', said);
        if (options.has('BindAddress')) assert.equal(value('bindaddress'), '::1', said);
      }
    });
  });
});
