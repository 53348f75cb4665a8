// Our own resolver of ssh_config, with OpenSSH's as the judge: each file is given to both.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { readers } from '../../src/core/configKeywords.js';
import { ConfigError, printConfigLines, resolveConfig, type ConfigWorld } from '../../src/core/sshConfigFile.js';
import { createConfigWorld } from '../../src/engine/configWorld.js';
import { localUser, realForwards } from '../../src/engine/sshFiles.js';
import { run, runAll } from '../support/openSsh.js';

/** The lines and their order are those of this version. */
const isJudge = /^OpenSSH_9\.2p1 Debian/.test(spawnSync('ssh', ['-V'], { encoding: 'utf8' }).stderr ?? '');
const env = { ...process.env, MY_DIR: '/srv/keys', MY_PERCENT: '%h', SHELL: '/bin/sh' };

interface Case {
  title: string;
  /** The file, or several by name; the first is given with -F, and `@/` stands for their folder. */
  config: string | Record<string, string>;
  host?: string;
  options?: readonly (readonly [string, string])[];
}

describe('an ssh_config that our own resolver reads', () => {
  let folder: string;
  before(function () {
    if (!isJudge) this.skip();
    folder = mkdtempSync(join(tmpdir(), 'ssh-tunnels-config-'));
  });
  after(() => folder && rmSync(folder, { recursive: true }));

  function write(config: Case['config']): string {
    const files = typeof config === 'string' ? { config } : config;
    rmSync(folder, { recursive: true });
    mkdirSync(folder, { mode: 0o700 });
    for (const [name, text] of Object.entries(files)) {
      const file = join(folder, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text.replaceAll('@/', `${folder}/`));
      chmodSync(file, 0o600);
    }
    return join(folder, Object.keys(files)[0]!);
  }

  function askSsh({ host = 'web01', options = [] }: Case, file: string) {
    const given = options.flatMap(([keyword, value]) =>
      keyword === 'IdentityFile' ? ['-i', value] : ['-o', `${keyword}=${value}`],
    );
    return run('ssh', ['-G', '-F', file, ...given, '--', host], env);
  }

  function resolve({ host = 'web01', options = [] }: Case, configFile: string) {
    const user = { ...localUser(), env };
    const world = createConfigWorld(user, { abort: new AbortController().signal });
    return resolveConfig({ host, options, configFile }, world);
  }

  const tests: Case[] = [
    { title: 'nothing at all', config: '' },
    { title: 'an address', config: '', host: '127.1' },
    { title: 'a number as an address', config: '', host: '2130706433' },
    { title: 'an octal and a hexadecimal address', config: '', host: '0x7f.0.010.1' },
    { title: 'an IPv6 address, shortened', config: '', host: '2001:0db8:0000:0:0:0:0:0001' },
    { title: 'a mapped IPv4 address', config: '', host: '::FFFF:10.0.0.1' },
    { title: 'a HostName that is an address', config: 'HostName 127.000.1' },
    { title: 'a name in capitals', config: 'Host web01\nPort 1\nHost WEB01\nPort 2', host: 'WEB01' },
    { title: 'a host that Match compares in small letters', config: 'Match host WEB01\nPort 2\nMatch originalhost web*\nUser x', host: 'Web01' }, // prettier-ignore
    { title: 'patterns and negation', config: 'Host *.com !bad.com\nPort 1\nHost !web01 *\nPort 2\nHost web?? !x\nPort 3\nHost !web02\nUser no' }, // prettier-ignore
    {
      title: 'a negation in front',
      config: 'Host !web01 web*\nPort 1\nHost web* !web01\nPort 2\nHost web0* *\nPort 3',
    },
    { title: 'the first of many values', config: 'Port 1\nPort 2\nUser a\nUser b\nHostName %h.a\nHostName b\nCompression yes\nCompression no' }, // prettier-ignore
    {
      title: 'equals signs, blanks and tabs',
      config: 'Port=1\nUser = a\n\tHostName\t=\tb\t\nBindAddress= c  \n  ConnectTimeout =5\r\n',
    },
    { title: 'two equals signs', config: 'ProxyCommand==x\nLocalCommand = = y\nUser = =z\n' },
    { title: 'quotes', config: '"User" "a b"\nIdentityFile "/x y/%d"\nIdentityFile \'/single quoted\'\nIdentityFile /a" "b\nIdentityFile /x\\ y\nIdentityFile "a\\"b"\nIdentityFile \'a"b\'\nIdentityFile a\\b' }, // prettier-ignore
    { title: 'a keyword that ends with its quote', config: '"User"x\n"Port" 5\nHost"Name" z\n' },
    { title: 'comments', config: '# all\n  # more\nUser a # b\nPort 22 #c\nIdentityFile /x#y\nIdentityFile "/x #y" # z\nProxyCommand nc %h # %p\nHost web01 # web02\nUser z #' }, // prettier-ignore
    { title: 'line ends of Windows and a form feed', config: 'User a\r\nPort 22 \f\r\nHost *\r\nHostName b\r\n' },
    { title: 'a last line without an end, and an empty one', config: '\n\n   \nUser a\n\nPort 5' },
    { title: 'text behind a NUL', config: 'User a\0b\nPort 5\n' },
    { title: 'other names of options', config: 'DSAAuthentication no\nChallengeResponseAuthentication no\nKeepAlive no\nIdentityFile2 /x\nPubkeyAcceptedKeyTypes ssh-ed25519\nProtocolKeepAlives 7\nHostbasedKeyTypes ssh-rsa\nSmartcardDevice none' }, // prettier-ignore
    { title: 'options of old', config: 'Protocol 1,2\nCipher x y z\nUseRoaming no\nRSAAuthentication yes\nCompressionLevel 9\nUserKnownHostsFile2 a' }, // prettier-ignore
    {
      title: 'unknown options that are to be ignored',
      config: 'IgnoreUnknown Use*,foo\nUseKeychain yes\nFOO "a b" c\n',
    },
    { title: 'times', config: 'ConnectTimeout 1h30m\nServerAliveInterval 1W2D3h4M5s\nForwardX11Timeout 90' },
    { title: 'no time', config: 'ConnectTimeout none\nServerAliveInterval 0' },
    { title: 'flags in any case', config: 'BatchMode YES\nHashKnownHosts True\nIdentitiesOnly FALSE\nGatewayPorts No\nCheckHostIP yes' }, // prettier-ignore
    { title: 'the states of StrictHostKeyChecking: off', config: 'StrictHostKeyChecking off\nUpdateHostKeys ask\nVerifyHostKeyDNS ask' }, // prettier-ignore
    { title: 'the states of StrictHostKeyChecking: accept-new', config: 'StrictHostKeyChecking Accept-New\nPubkeyAuthentication host-bound\nAddressFamily INET6' }, // prettier-ignore
    { title: 'states of what a tunnel does not use', config: 'ControlMaster autoask\nControlPersist 10m\nTunnel yes\nTunnelDevice 3:any\nRequestTTY force\nSessionType none\nStdinNull yes\nAddKeysToAgent confirm 5m\nCompression no' }, // prettier-ignore
    { title: 'more of such states', config: 'AddKeysToAgent 1h\nControlPersist yes\nEscapeChar ^a\nFingerprintHash md5\nIPQoS 0x20 af11\nLogLevel debug1\nLogVerbose a b\nRekeyLimit 1.5G 1h\nSyslogFacility local3\nForwardAgent no' }, // prettier-ignore
    { title: 'and yet more', config: 'EscapeChar none\nIPQoS none\nRekeyLimit default none\nLogLevel QUIET\nXAuthLocation /x\nPKCS11Provider /p\nSecurityKeyProvider /s\nKbdInteractiveDevices a,b\nBindInterface eth0\nRequiredRSASize 2048\nEnableEscapeCommandline yes\nVisualHostKey yes' }, // prettier-ignore
    { title: 'a rekey limit in two lines', config: 'RekeyLimit 1K\nRekeyLimit 2M 30m' },
    { title: 'GSSAPI', config: 'GSSAPIAuthentication yes\nGSSAPIKeyExchange yes\nGSSAPIClientIdentity a\nGSSAPIServerIdentity b\nGSSAPIDelegateCredentials yes\nGSSAPITrustDNS yes\nGSSAPIRenewalForcesRekey yes\nForwardX11 yes\nForwardX11Trusted no' }, // prettier-ignore
    { title: 'identity and certificate files that add up', config: 'IdentityFile /a\nIdentityFile /b\nIdentityFile /a\nHost no\nIdentityFile /c\nHost *\nIdentityFile none\nCertificateFile /x\nCertificateFile ~/%h\nCertificateFile /x' }, // prettier-ignore
    { title: 'variables that are sent', config: 'SendEnv LANG LC_*\nSendEnv A -LANG\nSendEnv -X* B\nSetEnv A=1 "B=2 3" A=4\nSetEnv C=5' }, // prettier-ignore
    { title: 'known hosts in several files, with tokens and variables', config: 'UserKnownHostsFile ~/.ssh/kh_%h "/a b/%p" ${MY_DIR}/%%\nGlobalKnownHostsFile ~/x /y' }, // prettier-ignore
    { title: 'no known hosts', config: 'UserKnownHostsFile none\nGlobalKnownHostsFile none' },
    { title: 'the standard known hosts by name', config: 'UserKnownHostsFile ~/.ssh/known_hosts' },
    { title: 'no updates of host keys with DNS', config: 'VerifyHostKeyDNS yes' },
    { title: 'tokens of every kind in files', config: 'User bob\nPort 2222\nHostName %h.example.com\nHostKeyAlias Alias\nControlPath ~/c-%C-%L-%d-%h-%i-%k-%l-%n-%p-%r-%u-%%\nUserKnownHostsFile /x/%C ~/%k' }, // prettier-ignore
    { title: 'an agent by path', config: 'IdentityAgent ~/agent-%h-${MY_DIR}' },
    { title: 'an agent by variable', config: 'IdentityAgent $MY_DIR\nForwardAgent $MY_DIR' },
    { title: 'the agent of the environment', config: 'IdentityAgent SSH_AUTH_SOCK' },
    { title: 'no agent', config: 'IdentityAgent none' },
    {
      title: 'a variable that holds a token',
      config: 'IdentityAgent /x/${MY_PERCENT}\nRevokedHostKeys /r/${MY_PERCENT}',
    },
    { title: 'commands as they are', config: 'ProxyCommand ssh -W "[%h]:%p" jump  # not a comment\nLocalCommand echo %n\nRemoteCommand echo "%h" %r\nKnownHostsCommand /bin/x %H' }, // prettier-ignore
    { title: 'options set to none', config: 'ProxyCommand none\nControlPath none\nRevokedHostKeys None\nKnownHostsCommand NONE\nLocalCommand none\nRemoteCommand none\nPKCS11Provider none' }, // prettier-ignore
    { title: 'ProxyJump before ProxyCommand', config: 'ProxyJump a\nProxyCommand b' },
    { title: 'ProxyCommand before ProxyJump', config: 'ProxyCommand b\nProxyJump a' },
    { title: 'ProxyCommand none before ProxyJump', config: 'ProxyCommand none\nProxyJump a' },
    { title: 'ProxyJump none before ProxyCommand', config: 'ProxyJump none\nProxyCommand b' },
    { title: 'several jump hosts', config: 'ProxyJump bob@a:2222,ssh://carl@b:22,10.0.0.1' },
    { title: 'jump hosts with IPv6, and a comment', config: 'ProxyJump [::1]:22,%h # x' },
    { title: 'a jump host only for one', config: 'Host web01\nProxyJump none\nHost *\nProxyJump jump' },
    { title: 'a HostKeyAlias in capitals', config: 'HostKeyAlias WEB' },
    { title: 'BatchMode, which Debian keeps alive', config: 'BatchMode yes' },
    { title: 'forwards of every kind', config: 'LocalForward 8080 db:80\nLocalForward *:8081 [::1]:81\nLocalForward [::1]:8082 db:http\nLocalForward "localhost:8083" "db:83"\nRemoteForward 9000 localhost:90\nRemoteForward 9001\nRemoteForward :0 localhost:1\nDynamicForward 1080\nDynamicForward 127.0.0.1:1081' }, // prettier-ignore
    { title: 'forwards of sockets', config: 'LocalForward /tmp/%h.sock /run/%r\nLocalForward 8080 /run/db\nRemoteForward /tmp/x db:80\nDynamicForward 8080\nRemoteForward 80 /run/%%' }, // prettier-ignore
    { title: 'forwards twice', config: 'LocalForward 8080 db:80\nLocalForward 8080 db:80\nRemoteForward 1 a:1\nRemoteForward 1 a:1\nDynamicForward 5\nDynamicForward 5\nLocalForward 8080 db:81' }, // prettier-ignore
    { title: 'forwards with variables', config: 'LocalForward ${MY_DIR}/x db:80\nLocalForward 8080 db:80' },
    { title: 'forwards of several blocks', config: 'Host web*\nLocalForward 1 a:1\nHost other\nLocalForward 2 a:2\nHost *\nLocalForward 3 a:3' }, // prettier-ignore
    { title: 'forwards that are cleared', config: 'LocalForward 1 a:1\nRemoteForward 2 a:2\nDynamicForward 3\nClearAllForwardings yes' }, // prettier-ignore
    {
      title: 'what a remote SOCKS forward may reach',
      config: 'PermitRemoteOpen a:1 b:* [::1]:http\nPermitRemoteOpen c:3',
    },
    { title: 'nothing that it may reach', config: 'PermitRemoteOpen none' },
    { title: 'masks, even of a block that does not match', config: 'StreamLocalBindMask 0022\nHost no\nStreamLocalBindMask 0111\nSyslogFacility AUTH\nStreamLocalBindUnlink yes' }, // prettier-ignore
    { title: 'algorithms that are added', config: 'Ciphers +aes128-cbc,3des-cbc\nMACs +hmac-md5\nKexAlgorithms +diffie-hellman-group14-sha1\nHostKeyAlgorithms +ssh-rsa,ssh-dss\nPubkeyAcceptedAlgorithms +ssh-rsa*\nCASignatureAlgorithms +ssh-rsa' }, // prettier-ignore
    { title: 'algorithms that are removed', config: 'Ciphers -aes*,chacha*\nMACs -umac*,*etm*\nKexAlgorithms -*nistp*,sntrup*\nHostKeyAlgorithms -*cert*\nPubkeyAcceptedAlgorithms -sk-*\nHostbasedAcceptedAlgorithms -rsa*\nCASignatureAlgorithms -ecdsa*' }, // prettier-ignore
    { title: 'algorithms that come first', config: 'Ciphers ^aes256-gcm@openssh.com\nMACs ^hmac-sha2-512\nKexAlgorithms ^curve25519-sha256\nHostKeyAlgorithms ^ssh-rsa,rsa-*\nPubkeyAcceptedAlgorithms ^*ed25519*\nCASignatureAlgorithms ^rsa-sha2-256' }, // prettier-ignore
    { title: 'algorithms by name', config: 'Ciphers aes256-ctr,aes128-ctr,aes256-ctr\nMACs hmac-sha2-256\nKexAlgorithms ecdh-sha2-nistp256\nHostKeyAlgorithms ssh-ed25519,ecdsa-*\nPubkeyAcceptedAlgorithms *\nCASignatureAlgorithms *' }, // prettier-ignore
    { title: 'all algorithms removed', config: 'Ciphers -*\nHostKeyAlgorithms -*' },
    { title: 'Match with a list, negations and several criteria', config: 'Match host "db*,web*" !user root,x\nPort 1\nMatch user root,!bob originalhost *\nPort 2\nMatch !host web01\nPort 3\nMatch host !db,*\nPort 4' }, // prettier-ignore
    { title: 'Match all', config: 'Match !all\nPort 1\nMatch all\nPort 2' },
    { title: 'Match with equals signs and comments', config: 'Match host=web01 user=bob # more\nPort 1\nMatch host=web01#\nPort 2\nMatch host web01 # x\nPort 3' }, // prettier-ignore
    { title: 'Match by the user of a line before', config: 'User bob\nMatch user bob\nPort 1\nMatch localuser nobody-else\nPort 2' }, // prettier-ignore
    { title: 'Match by the host of a line before', config: 'HostName %h.example.com\nMatch host web01\nPort 1\nMatch host *.example.com\nPort 2' }, // prettier-ignore
    { title: 'Match final, which reads again', config: 'Match final host *.example.com\nPort 1\nMatch !final\nUser first\nHost web01\nHostName web01.example.com\nIdentityFile /a\nHost *.example.com\nIdentityFile /b\nLocalForward 1 a:1' }, // prettier-ignore
    { title: 'Match canonical, which does not', config: 'Match canonical\nPort 1\nMatch !canonical\nPort 2\nMatch canonical all\nUser x' }, // prettier-ignore
    { title: 'Match final all', config: 'Match final all\nPort 1\nMatch all\nUser a\nHost web01\nHostName B' },
    {
      title: 'Match exec',
      config: 'Match exec "test %h = web01"\nPort 1\nMatch exec false\nPort 2\nMatch !exec false\nUser u',
    },
    { title: 'Match exec with every token', config: 'Match exec "test %C%L%d%h%i%k%l%n%p%r%u%% != x"\nPort 1\nMatch user nobody-else exec "touch @/ran"\nPort 2' }, // prettier-ignore
    { title: 'CanonicalizeHostname with nothing to look up', config: 'CanonicalizeHostname yes\nCanonicalDomains none\nHost web01\nPort 5' }, // prettier-ignore
    { title: 'CanonicalizeHostname with an address', config: 'CanonicalizeHostname always\nCanonicalDomains example.com a-b.c\nHost 127.0.0.1\nPort 5', host: '127.1' }, // prettier-ignore
    { title: 'CanonicalizeHostname with too many dots', config: 'CanonicalizeHostname yes\nCanonicalizeMaxDots 0\nCanonicalDomains example.com', host: 'a.b' }, // prettier-ignore
    { title: 'CanonicalizeHostname behind a proxy', config: 'CanonicalizeHostname yes\nCanonicalDomains example.invalid\nProxyCommand x\nMatch canonical\nPort 7' }, // prettier-ignore
    {
      title: 'permitted names without the lookup',
      config: 'CanonicalizePermittedCNAMEs none\nCanonicalizeFallbackLocal no',
    },
    { title: 'Include with a path, a pattern and what is not there', config: { config: 'Include @/a @/conf.d/*.conf @/nope\nPort 9', a: 'User a\n', 'conf.d/2.conf': 'Port 2\n', 'conf.d/1.conf': 'Port 1\nUser b', 'conf.d/.hidden.conf': 'HostName no', 'conf.d/x': 'HostName no' } }, // prettier-ignore
    { title: 'Include with brackets and question marks', config: { config: 'Include @/[ab]? @/[!x]c @/d[0-9]/e', a1: 'User a', bc: 'Port 5', xc: 'Compression yes', 'd5/e': 'HostName d5' } }, // prettier-ignore
    { title: 'Include in a block that matches, with blocks of its own', config: { config: 'Host web01\nInclude @/a\nUser u\nHost *\nPort 9', a: 'Port 1\nHost nope\nHostName no\nHost *\nIdentityFile /a' } }, // prettier-ignore
    { title: 'Include in a block that does not match', config: { config: 'Host nope\nInclude @/a\nUser u\nHost *\nPort 9', a: 'Port 1\nHost *\nHostName no\nMatch all\nHostName no2' } }, // prettier-ignore
    {
      title: 'Include within Include',
      config: { config: 'Include @/a\nPort 3', a: 'Include @/b\nPort 2', b: 'Port 1' },
    },
    { title: 'Include of a folder', config: { config: 'Include @/d\nPort 3', 'd/a': 'Port 2' } },
    { title: 'Include in quotes', config: { config: 'Include "@/a b" @/c\\ d', 'a b': 'Port 2', 'c d': 'User x' } },
    { title: 'options of the command line first', config: 'Port 1\nUser a\nIdentityFile /a\nProxyJump j\nLocalForward 1 a:1', options: [['Port', '2'], ['User', 'b'], ['IdentityFile', '/etc/passwd'], ['ProxyCommand', 'x y'], ['Ciphers', '+3des-cbc'], ['UserKnownHostsFile', '"/a b" /c']] }, // prettier-ignore
    { title: 'jump hosts in every shape', config: 'ProxyJump a,u@b:22,[::1]:23,ssh://c:24/,u@[::2]' },
    { title: 'a HostKeyAlias beyond ASCII', config: 'HostKeyAlias ÄxY' },
    { title: 'an empty pattern behind one that takes the host away', config: 'Host !web01 ""\nPort 5\nHost *\nUser u' },
    { title: 'a hundred hosts, some of them twice', config: `${Array.from({ length: 100 }, (_, at) => `Host web0${at % 7} web0${at % 5}${at % 11 === 0 ? ' !web01' : ''}${at % 13 === 0 ? ' web*' : ''}\nSendEnv A${at}\nLocalForward ${at + 1} a:1\n${at % 9 === 0 ? 'SyslogFacility LOCAL3\nStreamLocalBindMask 0111\n' : ''}`).join('')}Host *\nPort 9` }, // prettier-ignore
    { title: 'an empty value in a file that is ignored', config: 'User a\n""\n=\n= =\n' },
  ];
  for (const one of tests)
    it(`has what ssh -G prints: ${one.title}`, async () => {
      const file = write(one.config);
      const { code, stdout, stderr } = await askSsh(one, file);
      assert.equal(code, 0, stderr);
      const resolved = await resolve(one, file);
      assert.deepEqual(printConfigLines(resolved).split('\n'), realForwards(stdout).split('\n'));
    });

  const refused: Case[] = [
    { title: 'an unknown option', config: 'User a\n\nFoo bar' },
    { title: 'an unknown option in an included file', config: { config: 'User a\nInclude @/a', a: '# x\nBar x' } },
    { title: 'an unknown option in a block that does not match', config: 'Host nope\n  Fooo x' },
    { title: 'an unknown option before IgnoreUnknown', config: 'Foo x\nIgnoreUnknown Foo' },
    { title: 'no value', config: 'Port' },
    { title: 'no value but a comment', config: 'Port # 22' },
    { title: 'an empty value', config: 'User ""' },
    { title: 'a quote that is not closed', config: 'User "a' },
    { title: 'a single quote that is not closed', config: "ProxyCommand it's" },
    { title: 'too many values', config: 'Port 22 23' },
    { title: 'too many values of a forward', config: 'LocalForward 1 a:1 2' },
    { title: 'too many values of DynamicForward', config: 'DynamicForward 1 2' },
    { title: 'port 0', config: 'Port 0' },
    { title: 'a port that is too high', config: 'Port 65536' },
    { title: 'a port that is none', config: 'Port 22x' },
    { title: 'a flag that is none', config: 'BatchMode maybe' },
    { title: 'a state that is none', config: 'StrictHostKeyChecking sometimes' },
    { title: 'a time that is none', config: 'ConnectTimeout 5x' },
    { title: 'a negative time', config: 'ServerAliveInterval -1' },
    { title: 'a number that is none', config: 'NumberOfPasswordPrompts many' },
    { title: 'a negative number', config: 'ServerAliveCountMax -1' },
    { title: 'an empty number', config: 'ConnectionAttempts ""' },
    { title: 'no attempt', config: 'ConnectionAttempts 0' },
    { title: 'an unknown cipher', config: 'Ciphers aes128-ctr,rot13' },
    { title: 'an unknown cipher that is added', config: 'Ciphers +rot13' },
    { title: 'an unknown MAC', config: 'MACs ^none' },
    { title: 'an unknown kex', config: 'KexAlgorithms *' },
    { title: 'an unknown host key', config: 'HostKeyAlgorithms ssh-foo' },
    { title: 'an unknown signature', config: 'PubkeyAcceptedAlgorithms +nope*' },
    { title: 'a forward without a target', config: 'LocalForward 8080' },
    { title: 'a forward that is none', config: 'LocalForward x y' },
    { title: 'a remote forward that is none', config: 'RemoteForward 80 db' },
    { title: 'a variable that is not set', config: 'IdentityAgent ${NOPE_NOT_SET}/x' },
    { title: 'a variable that is not set in known hosts', config: 'UserKnownHostsFile ${NOPE_NOT_SET}' },
    { title: 'a token that is none', config: 'ControlPath /x/%z' },
    { title: 'a token at the end', config: 'UserKnownHostsFile /x/%' },
    { title: 'a token of HostName that is none', config: 'HostName %p' },
    { title: 'a token of exec that is none', config: 'Match exec "true %z"\nPort 1' },
    { title: 'Match without criteria', config: 'Match' },
    { title: 'Match with nothing but a comment', config: 'Match # x' },
    { title: 'Match without a value', config: 'Match host' },
    { title: 'Match with an unknown criterion', config: 'Match weather fine' },
    { title: 'Match all with more', config: 'Match host a user b all' },
    { title: 'Match all before more', config: 'Match all host a' },
    { title: 'Host with an empty pattern', config: 'Host ""' },
    { title: 'Include with an empty path', config: 'Include ""' },
    { title: 'a file that includes itself', config: { config: 'Include @/config' } },
    { title: 'a jump host that is none', config: 'ProxyJump a,,b' },
    { title: 'a jump host behind a blank', config: 'ProxyJump a, b' },
    { title: 'a jump host with two ports', config: 'ProxyJump a:22:33' },
    { title: 'a jump host that is an address without brackets', config: 'ProxyJump ::1' },
    { title: 'a jump host that is an address in a URI', config: 'ProxyJump ssh://[::1]:22' },
    { title: 'a byte order mark', config: '\ufeffHost a' },
    { title: 'marks that nobody sees', config: 'AddressFamily i\u0001n' },
    { title: 'an unknown option in the block of another host', config: 'Host a\nPort 1\nHost b\nPort 2\nFoo x\nHost web01\nPort 3' }, // prettier-ignore
    { title: 'none among known hosts', config: 'UserKnownHostsFile a none' },
    { title: 'a domain that is none', config: 'CanonicalDomains -x' },
    { title: 'a CNAME rule that is none', config: 'CanonicalizePermittedCNAMEs a' },
    { title: 'a variable to set that is none', config: 'SetEnv A' },
    { title: 'a variable to send that is none', config: 'SendEnv A=1' },
    { title: 'a mask that is none', config: 'StreamLocalBindMask 8' },
    { title: 'an escape character that is none', config: 'EscapeChar ab' },
    { title: 'a log level that is none', config: 'LogLevel loud' },
    { title: 'a rekey limit that is too small', config: 'RekeyLimit 5' },
    { title: 'a rekey limit that is none', config: 'RekeyLimit x' },
    { title: 'a PermitRemoteOpen without a port', config: 'PermitRemoteOpen a' },
    { title: 'Host on the command line', config: '', options: [['Host', 'x']] },
    { title: 'Include on the command line', config: '', options: [['Include', '/x']] },
    { title: 'an unknown option on the command line', config: '', options: [['Foo', 'x']] },
    { title: 'a bad value on the command line', config: '', options: [['Port', 'x']] },
  ];
  for (const one of refused)
    it(`refuses what ssh refuses, in its words and with its place: ${one.title}`, async () => {
      const file = write(one.config);
      const { code, stderr } = await askSsh(one, file);
      assert.notEqual(code, 0);
      const error = await resolve(one, file).then(
        () => undefined,
        (error: unknown) => error,
      );
      assert.ok(error instanceof ConfigError, `${String(error)}; ssh: ${stderr}`);
      // What ssh says of a token or of no place at all is not compared.
      if (error.origin && stderr.includes(`line ${error.origin.line}:`)) assert.ok(stderr.includes(error.message.replace(/ \(.*\)$/, '')), `${error.message}; ssh: ${stderr}`); // prettier-ignore
      if (/line \d/.test(stderr)) assert.match(error.message, /line \d/);
    });

  it('reads random files as ssh does', async function () {
    this.timeout(120_000);
    const values = 'yes no none None ask any web01 * !web01 web* user host final all canonical originalhost root %h %% %d/x %z a,b a:1 /tmp/x ~/x 1 0 -1 +5 22 8080 65536 1h 5m30s 1K 0177 8 1.5 0x10 db:80 [::1]:80 +aes128-cbc -* ^ssh-rsa aes128-ctr ssh-* hmac-sha1 A=1 LANG -L* "a b" x"y"z a\\ b # #x = == "" ${MY_DIR} ${NOPE} host=web01 \' "'.split(' '); // prettier-ignore
    const names = ['Host', 'Match', 'IdentityFile', 'CertificateFile', 'SendEnv', 'SetEnv', 'ProxyCommand', 'GlobalKnownHostsFile', 'UserKnownHostsFile', 'CanonicalDomains', 'LogVerbose', 'PermitRemoteOpen', 'RekeyLimit', 'StreamLocalBindMask', 'LocalForward', 'RemoteForward', 'DynamicForward', 'Foo']; // prettier-ignore
    // What this ssh does not know, what needs a name server, and what it refuses without a command to run.
    const left = /^(tag|channeltimeout|obscurekeystroketiming|versionaddendum|warnweakcrypto|canonicalizehostname|forkafterauthentication)$/; // prettier-ignore
    const keywords = [...names, ...Object.keys(readers).filter((keyword) => !left.test(keyword))];
    const line = fc
      .tuple(
        fc.constantFrom('', '', '', '  ', '\t'),
        fc.constantFrom(...keywords),
        fc.constantFrom(' ', ' ', ' ', '=', ' = ', '\t', ' "'),
        fc.array(fc.constantFrom(...values), { maxLength: 3 }),
        fc.constantFrom('', '', '\r', ' # x'),
      )
      .map(([front, keyword, mark, words, end]) => front + keyword + mark + words.join(' ') + end);
    const seed = Number(process.env['SSH_TUNNELS_SEED'] ?? Date.now() % 2 ** 31);
    const world = (text: string): ConfigWorld => ({
      user: { ...localUser(), env },
      read: () => Promise.resolve({ kind: 'text', text, isOpen: false }),
      glob: () => Promise.resolve([]),
      addresses: () => [],
    });
    const ask = (text: string) =>
      resolveConfig({ host: 'web01', options: [], configFile: 'c' }, world(text)).then(
        printConfigLines,
        (error: unknown) => {
          assert.ok(error instanceof ConfigError, `${JSON.stringify(text)}: ${String(error)}`);
          return undefined;
        },
      );
    // Most lines are refused: files of those that are not say more.
    const lines = fc.sample(line, { numRuns: 4000, seed });
    const sound: string[] = [];
    for (const one of lines) if ((await ask(one)) !== undefined) sound.push(one);
    assert.ok(sound.length > 200, `${sound.length} lines are sound`);
    const long = fc.sample(fc.array(fc.constantFrom(...sound), { minLength: 5, maxLength: 15 }), {
      numRuns: 250,
      seed,
    });
    const files = [...lines.slice(0, 250), ...long.map((some) => some.join('\n'))];
    write('');
    files.forEach((text, index) => writeFileSync(join(folder, String(index)), text));
    const theirs = await runAll(
      files.map((_, index) => `(ssh -G -F '${join(folder, String(index))}' -- web01 </dev/null 2>/dev/null)`),
      env,
    );
    for (const [index, text] of files.entries()) {
      const { code, stdout } = theirs[index]!;
      const ours = await ask(text);
      assert.equal(ours !== undefined, code === 0, `seed ${seed}: ${JSON.stringify(text)}: ${stdout}`);
      if (ours !== undefined) assert.deepEqual(ours.split('\n'), realForwards(stdout).split('\n'), `seed ${seed}: ${JSON.stringify(text)}`); // prettier-ignore
    }
  });

  it('refuses a file that others can write to, when it is included', async () => {
    const file = write({ config: 'Include @/a', a: 'Port 5' });
    chmodSync(join(folder, 'a'), 0o622);
    assert.match((await askSsh({ title: '', config: '' }, file)).stderr, /Bad owner or permissions/);
    await assert.rejects(resolve({ title: '', config: '' }, file), /^Error: Bad owner or permissions on .*\/a$/); // prettier-ignore
  });

  it('takes what can’t be looked at for no match of an Include', async function () {
    // Only root can become somebody who may not look.
    if (process.getuid?.() !== 0) this.skip();
    const file = write({ config: 'Include @/closed/a @/closed/*\nPort 5', 'closed/a': 'Port 7' });
    chmodSync(folder, 0o755);
    chmodSync(join(folder, 'closed'), 0o700);
    process.seteuid!(65534);
    try {
      const world = createConfigWorld({ ...localUser(), env });
      assert.deepEqual(await world.glob(join(folder, 'closed/a')), []);
      assert.deepEqual(await world.glob(join(folder, 'closed/*')), []);
    } finally {
      process.seteuid!(0);
    }
    assert.deepEqual(
      printConfigLines(await resolve({ title: '', config: '' }, file)).match(/^port .*/m)?.[0],
      'port 7',
    );
  });

  it('opens no more folders for an Include than a person would mean', async () => {
    await assert.rejects(createConfigWorld(localUser()).glob('/proc/*/*/*/*/x'), ConfigError);
  });

  it('refuses a file of -F that is not there', async () => {
    const file = join(folder, 'nope');
    assert.match((await askSsh({ title: '', config: '' }, file)).stderr, /Can't open user config file/);
    await assert.rejects(resolve({ title: '', config: '' }, file), /^Error: Can't open user config file .*: No such file or directory$/); // prettier-ignore
  });
});
