import assert from 'node:assert/strict';
import fc from 'fast-check';
import { printSpec } from '../../src/core/forwardSpec.js';
import { forwardOf, readServerPorts, serverPortsCommand, type ServerPort } from '../../src/core/serverPort.js';

/** `*:8080 node`, `/run/docker.sock dockerd` */
function shown(port: ServerPort): string {
  const where = port.kind === 'tcp' ? `${port.address}:${port.port}` : port.path;
  return port.program === undefined ? where : `${where} ${port.program}`;
}

function read(sections: Readonly<Record<string, string>>): string[] {
  const output = Object.entries(sections).map(([name, text]) => `= ${name}\n${text}\n`);
  return readServerPorts(output.join('')).ports.map(shown);
}

describe('readServerPorts', () => {
  it('reads ss of iproute2 6, and puts the SSH server last', () => {
    const ss = `\
State  Recv-Q Send-Q Local Address:Port  Peer Address:PortProcess
LISTEN 0      128          0.0.0.0:22         0.0.0.0:*    users:(("sshd",pid=700,fd=3))
LISTEN 0      128        127.0.0.1:6010       0.0.0.0:*    users:(("sshd-session",pid=4242,fd=11))
LISTEN 0      511        127.0.0.1:18080      0.0.0.0:*    users:(("node",pid=11395,fd=21))
LISTEN 0      244        127.0.0.1:5432       0.0.0.0:*    users:(("postgres",pid=812,fd=6))
LISTEN 0      511                *:3000             *:*    users:(("MainThread",pid=11395,fd=22))
LISTEN 0      128             [::]:22            [::]:*    users:(("sshd",pid=700,fd=4))`;
    assert.deepEqual(read({ ss, 'ss-unix': '' }), [
      '*:3000 node',
      '127.0.0.1:5432 postgres',
      '127.0.0.1:18080 node',
      '*:22 sshd',
      '127.0.0.1:6010 sshd-session',
    ]);
  });

  it('reads ss of iproute2 5 for an ordinary user, who sees others’ ports without their programs', () => {
    const ss = `\
State     Recv-Q    Send-Q       Local Address:Port        Peer Address:Port    Process
LISTEN    0         4096         127.0.0.53%lo:53               0.0.0.0:*
LISTEN    0         70               127.0.0.1:33060            0.0.0.0:*
LISTEN    0         151              127.0.0.1:3306             0.0.0.0:*
LISTEN    0         511              127.0.0.1:9229             0.0.0.0:*        users:(("node",pid=3301,fd=18))
LISTEN    0         4096       10.0.0.5%eth0.5:9100             0.0.0.0:*
LISTEN    0         4096   [fe80::1:2:3]%wg0:51821                [::]:*
LISTEN    0         128                   [::]:22                  [::]:*        `;
    assert.deepEqual(read({ ss }), [
      '127.0.0.53:53',
      '127.0.0.1:3306',
      '10.0.0.5:9100',
      '127.0.0.1:9229 node',
      '127.0.0.1:33060',
      '*:22',
    ]);
  });

  it('reads ss of iproute2 4, where * is the wildcard of one family', () => {
    const ss = `\
State      Recv-Q Send-Q Local Address:Port               Peer Address:Port
LISTEN     0      128          *:80                       *:*                   users:(("nginx",pid=13,fd=6),("nginx",pid=12,fd=6))
LISTEN     0      128         :::80                      :::*                   users:(("nginx",pid=13,fd=7),("nginx",pid=12,fd=7))
LISTEN     0      100        ::1:25                      :::*                   users:(("master",pid=1234,fd=14))
LISTEN     0      100    127.0.0.1:25                       *:*                   users:(("master",pid=1234,fd=13))`;
    assert.deepEqual(read({ ss }), ['127.0.0.1:25 master', '*:80 nginx']);
  });

  it('folds the addresses of one program, and keeps another one that has the port elsewhere', () => {
    const line = (address: string, users: string) => `LISTEN 0 128 ${address} 0.0.0.0:* ${users}`;
    const by = (name: string, pid: number) => `users:(("${name}",pid=${pid},fd=3))`;
    const ss = [
      line('0.0.0.0:8080', by('docker-proxy', 10)),
      line('[::]:8080', by('docker-proxy', 11)),
      line('10.0.0.5:53', by('dnsmasq', 20)),
      line('127.0.0.1:53', by('dnsmasq', 20)),
      line('127.0.0.53:53', by('systemd-resolve', 21)),
      line('[::1]:8081', by('v6only', 30)),
      // The nearer one answers at localhost.
      line('0.0.0.0:9000', by('php-fpm', 40)),
      line('127.0.0.1:9000', by('minio', 41)),
      line('192.168.1.5:9000', ''),
    ].join('\n');
    assert.deepEqual(read({ ss }), [
      '127.0.0.1:53 dnsmasq',
      '127.0.0.53:53 systemd-resolve',
      '*:8080 docker-proxy',
      '::1:8081 v6only',
      '127.0.0.1:9000 minio',
    ]);
  });

  it('offers Unix sockets that have a path, the well-known ones first, and none of the system’s workings or agents', () => {
    const unix = `\
Netid State  Recv-Q Send-Q                                Local Address:Port    Peer Address:PortProcess
u_str LISTEN 0      511                                   /srv/shop/web.sock 7114599            * 0    users:(("gunicorn",pid=11395,fd=19))
u_str LISTEN 0      511    @nodeabs@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@ 7114600            * 0    users:(("node",pid=11395,fd=20))
u_str LISTEN 0      80                         /run/mysqld/mysqld.sock 18000                    * 0    users:(("mariadbd",pid=900,fd=33))
u_str LISTEN 0      244              /var/run/postgresql/.s.PGSQL.5432 21345                    * 0
u_str LISTEN 0      244                  /run/postgresql/.s.PGSQL.5432 21345                    * 0    users:(("postgres",pid=812,fd=7))
u_str LISTEN 0      4096                          /run/user/1000/bus 31000                      * 0    users:(("systemd",pid=1500,fd=9))
u_str LISTEN 0      128                   /tmp/ssh-XXXXab12/agent.4242 41000                    * 0    users:(("sshd",pid=4242,fd=9))
u_str LISTEN 0      4096                              /run/docker.sock 15000                    * 0    users:(("dockerd",pid=700,fd=4),("systemd",pid=1,fd=60))
u_seq LISTEN 0      4096                             /run/udev/control 15001                    * 0    users:(("systemd-udevd",pid=300,fd=3))
u_dgr UNCONN 0      0                                  /run/chrony.sock 15002                   * 0    users:(("chronyd",pid=301,fd=3))
u_str LISTEN 0      1                             /srv/with blank.sock 15003                    * 0    users:(("blank",pid=302,fd=3))
u_str LISTEN 0      1                          /srv/\${HOME}/percent%h.sock 15004                    * 0    users:(("odd",pid=303,fd=3))`;
    assert.deepEqual(read({ ss: '', 'ss-unix': unix }), [
      '/run/docker.sock dockerd',
      '/run/postgresql/.s.PGSQL.5432 postgres',
      '/run/mysqld/mysqld.sock mariadbd',
      '/srv/shop/web.sock gunicorn',
    ]);
  });

  it('reads lsof, and completes it from macOS’s netstat, which sees others’ ports', () => {
    const lsof = 'p612\ncControlCenter\nf10\ntIPv4\nn*:7000\nf11\ntIPv6\nn*:7000\np811\ncnode\nf21\ntIPv6\nn[::1]:5173';
    const unix = 'p700\ncDocker\nf3\ntunix\nn/Users/ann/.docker/run/docker.sock\nf4\ntunix\nn->0xc8d1a2b3';
    const netstat = `\
Active Internet connections (including servers)
Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)
tcp6       0      0  *.7000                 *.*                    LISTEN
tcp4       0      0  *.7000                 *.*                    LISTEN
tcp4       0      0  127.0.0.1.5432         *.*                    LISTEN
tcp6       0      0  ::1.5432               *.*                    LISTEN
tcp46      0      0  *.8080                 *.*                    LISTEN
tcp6       0      0  ::1.5173               *.*                    LISTEN
tcp4       0      0  *.22                   *.*                    LISTEN
udp4       0      0  *.5353                 *.*
Active LOCAL (UNIX) domain sockets
Address          Type   Recv-Q Send-Q            Inode             Conn             Refs          Nextref Addr
c8d1a2b3c4d5e6f7 stream      0      0 a1b2c3d4e5f60718                0                0                0 /private/tmp/.s.PGSQL.5432
c8d1a2b3c4d5e6f8 stream      0      0                0 c8d1a2b3c4d5e6f9                0                0 /private/tmp/.s.PGSQL.5433
c8d1a2b3c4d5e6fa dgram       0      0                0 c8d1a2b3c4d5e6fb                0 c8d1a2b3c4d5e6fc`;
    assert.deepEqual(read({ lsof, 'lsof-unix': unix, netstat }), [
      '::1:5173 node',
      '127.0.0.1:5432',
      '*:7000 ControlCenter',
      '*:8080',
      '/Users/ann/.docker/run/docker.sock Docker',
      '/private/tmp/.s.PGSQL.5432',
      '*:22',
    ]);
  });

  it('reads lsof of Linux, which tells a socket’s type and state', () => {
    const unix = [
      'p11395\ncnode\nf19\ntunix\nn/srv/web.sock type=STREAM',
      'f20\ntunix\nn/srv/new.sock type=STREAM (LISTEN)\nf21\ntunix\nn/srv/other.sock type=STREAM (CONNECTED)',
      'f22\ntunix\nn@abstract type=STREAM\nf23\ntunix\nntype=STREAM\nf24\ntunix\nn/srv/log type=DGRAM',
    ].join('\n');
    assert.deepEqual(read({ 'lsof-unix': unix }), ['/srv/new.sock node', '/srv/web.sock node']);
  });

  it('reads netstat of net-tools with its programs', () => {
    const netstat = `\
Active Internet connections (only servers)
Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name
tcp        0      0 0.0.0.0:22              0.0.0.0:*               LISTEN      700/sshd: /usr/sbin
tcp        0      0 127.0.0.1:18080         0.0.0.0:*               LISTEN      13453/node
tcp6       0      0 :::18081                :::*                    LISTEN      -
udp        0      0 0.0.0.0:68              0.0.0.0:*                           300/dhclient
Active UNIX domain sockets (only servers)
Proto RefCnt Flags       Type       State         I-Node   PID/Program name     Path
unix  2      [ ACC ]     STREAM     LISTENING     7125639  13453/node           /srv/web.sock
unix  2      [ ACC ]     STREAM     LISTENING     7125640  -                    /run/docker.sock
unix  2      [ ACC ]     SEQPACKET  LISTENING     7125641  1/init               /run/udev/control`;
    assert.deepEqual(read({ netstat }), [
      '127.0.0.1:18080 node',
      '*:18081',
      '/run/docker.sock',
      '/srv/web.sock node',
      '*:22 sshd',
    ]);
  });

  it('reads netstat of busybox, FreeBSD and Windows', () => {
    const busybox = `\
Proto Recv-Q Send-Q Local Address           Foreign Address         State
tcp        0      0 0.0.0.0:2024            0.0.0.0:*               LISTEN
tcp        0      0 127.0.0.1:18080         0.0.0.0:*               LISTEN
tcp        0      0 127.0.0.1:2298          127.0.0.1:39922         TIME_WAIT
tcp        0      0 :::18081                :::*                    LISTEN
unix  2      [ ACC ]     STREAM     LISTENING     7125639 /srv/web.sock`;
    assert.deepEqual(read({ netstat: busybox }), ['*:2024', '127.0.0.1:18080', '*:18081', '/srv/web.sock']);
    const freebsd = `\
Proto Recv-Q Send-Q Local Address          Foreign Address        (state)
tcp4       0      0 127.0.0.1.25           *.*                    LISTEN
tcp6       0      0 fe80::1%lo0.8443       *.*                    LISTEN
tcp4       0      0 10.0.0.5.6379          *.*                    LISTEN
Active UNIX domain sockets
Address          Type   Recv-Q Send-Q            Inode             Conn             Refs          Nextref Addr
fffff80003a4b000 stream      0      0 fffff80003c1d000                0                0                0 /var/run/redis/redis.sock`;
    assert.deepEqual(read({ netstat: freebsd }), ['127.0.0.1:25', '10.0.0.5:6379', '/var/run/redis/redis.sock']);
    const windows =
      '  TCP    0.0.0.0:135            0.0.0.0:0              LISTENING\r\n  TCP    [::1]:3000  [::]:0  LISTENING\r';
    assert.deepEqual(read({ netstat: windows }), ['*:135', '::1:3000']);
  });

  it('says which program answered', () => {
    assert.equal(readServerPorts('= ss\n\n= ss-unix\n\n').tool, 'ss');
    assert.equal(readServerPorts('= lsof\np1\n= netstat\n\n').tool, 'lsof');
    assert.equal(readServerPorts('= netstat\n\n').tool, 'netstat');
    assert.deepEqual(readServerPorts('This account is currently not available.\n'), { ports: [] });
  });

  it('keeps to what was read where the output is cut', () => {
    const output = '= ss\nLISTEN 0 128 127.0.0.1:80 0.0.0.0:* users:(("nginx",pid=1,fd=3))\nLISTEN 0 128 127.0.0.1:8';
    assert.deepEqual(readServerPorts(output).ports.map(shown), ['127.0.0.1:80 nginx']);
  });

  it('never throws, and offers only what can be forwarded and shown', () => {
    const word = fc.constantFrom(
      ...[
        '= ss\n',
        '= ss-unix\n',
        '= lsof\n',
        '= lsof-unix\n',
        '= netstat\n',
        'LISTEN 0 1 ',
        '127.0.0.1:80',
        ' 0.0.0.0:* ',
      ],
      ...[
        'users:(("',
        '",pid=7,fd=3))',
        'u_str LISTEN 0 1 /a',
        ' 12 * 0',
        'p1\n',
        'cx\n',
        'n*:99999',
        'n/srv/',
        '\u202e',
        '\n',
        ' ',
      ],
      ...['unix 2 [ ACC ] STREAM LISTENING 1 1/x /', 'tcp 0 0 ', '0.0.0.0:0', ' LISTEN', '${HOME}', '%h', ':'],
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(word, fc.string({ unit: 'binary', maxLength: 6 })), { maxLength: 40 }), (words) => {
        for (const port of readServerPorts(words.join('')).ports) {
          const text = shown(port);
          assert.doesNotMatch(text, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
          assert.ok(forwardOf(port));
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('is read in no time however long a line is, and however many there are', () => {
    const long = 250_000;
    const lines = (count: number, make: (at: number) => string) =>
      Array.from({ length: count }, (_, at) => make(at)).join('\n');
    for (const output of [
      `= ss-unix\nu_str LISTEN 0 1 /a${' '.repeat(long)}`,
      `= netstat\nunix 2 [ ACC ] STREAM LISTENING 1 1/${' /'.repeat(long / 2)}`,
      `= netstat\ntcp 0 0 ${'1.'.repeat(long / 2)}`,
      `= lsof-unix\np1\ncx\nn/${' type='.repeat(long / 6)}`,
      `= ss\n${'LISTEN 0 1 127.0.0.1:80 \n'.repeat(long / 25)}`,
      '= ss\n'.repeat(long / 5),
      `= lsof-unix\np1\ncx\n${lines(40_000, (at) => `n/${at.toString(36)}`)}`,
      `= ss-unix\n${lines(6500, (at) => `u_str LISTEN 0 1 /srv/${at}.sock ${at + 9} * 0`)}`,
      `= netstat\n${lines(9000, (at) => `tcp 0 0 1.0.${at >> 8}.${at & 255}:80 * LISTEN 1/p${at}`)}`,
    ]) {
      const started = performance.now();
      readServerPorts(output);
      assert.ok(performance.now() - started < 2000, output.slice(0, 20));
    }
  });
});

describe('forwardOf', () => {
  it('leads to localhost where that is what listens, else to the address', () => {
    const table: [ServerPort, string][] = [
      [{ kind: 'tcp', address: '127.0.0.1', port: 5432 }, '-L 5432:localhost:5432'],
      [{ kind: 'tcp', address: '*', port: 80 }, '-L 80:localhost:80'],
      [{ kind: 'tcp', address: '10.0.0.5', port: 9100 }, '-L 9100:10.0.0.5:9100'],
      [{ kind: 'tcp', address: '::1', port: 5173 }, '-L 5173:[::1]:5173'],
      [{ kind: 'unix', path: '/run/docker.sock' }, '-L auto:/run/docker.sock'],
      [{ kind: 'unix', path: '/run/postgresql/.s.PGSQL.5432' }, '-L 5432:/run/postgresql/.s.PGSQL.5432'],
    ];
    for (const [port, forward] of table) assert.equal(printSpec(forwardOf(port)!), forward);
  });
});

describe('serverPortsCommand', () => {
  it('has nothing in its quotes that a shell other than sh would read', () => {
    assert.match(serverPortsCommand, /^sh -c '[^'!\n]*'$/);
  });
});
