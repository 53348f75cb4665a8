import assert from 'node:assert/strict';
import type { Ask } from '../../src/core/engine.js';
import type { Preset } from '../../src/core/preset.js';
import {
  consentPrompt,
  hostKeyPrompt,
  keyTypeText,
  networkConsentKey,
  networkPrompt,
  quotable,
  roundPrompts,
  secretPrompt,
  stopPrompt,
  waitingText,
} from '../../src/core/prompt.js';
import { mustParseSpec } from '../support/mustParseSpec.js';

const hostKey: Ask & { kind: 'hostKey' } = {
  id: '1',
  connection: 'web01',
  kind: 'hostKey',
  host: '[10.0.0.5]:2222',
  keyType: 'ssh-ed25519',
  fingerprint: 'SHA256:abc',
  art: '',
  known: [],
};

describe('the words of a question', () => {
  it('name the host as typed and as known_hosts will have it, with type and fingerprint', () => {
    assert.deepEqual(hostKeyPrompt(hostKey), {
      title: 'Connect to web01 ([10.0.0.5]:2222) for the first time?',
      detail: 'It shows an Ed25519 key:\nSHA256:abc\n\nCompare it with what the server’s administrator gave you.',
    });
    assert.equal(
      hostKeyPrompt({ ...hostKey, connection: 'web01', host: 'web01' }).title,
      'Connect to web01 for the first time?',
    );
  });

  it('are stronger when an authority or another key was expected', () => {
    const place = { keyType: 'ssh-rsa', file: '/k', line: 3 };
    for (const [hint, text] of [
      [{ kind: 'authority', hosts: '*.example.com', ...place }, /an RSA key for \*\.example\.com \(line 3 of \/k\)/],
      [{ kind: 'address', hosts: '192.0.2.7', ...place }, /192\.0\.2\.7 with an RSA key \(line 3 of \/k\)/],
    ] as const) {
      const { title, detail } = hostKeyPrompt({ ...hostKey, known: [hint] });
      assert.match(title, /shows a key that is not expected/);
      assert.match(detail, text);
      assert.match(detail, /Accept only if/);
    }
  });

  it('say that a certificate is a stranger’s, and by which other names the key is known', () => {
    assert.match(
      hostKeyPrompt({ ...hostKey, authority: 'SHA256:ca' }).detail,
      /authority that is not known.*SHA256:ca/,
    );
    const other = { kind: 'otherName', hosts: 'web01.lan', keyType: 'ssh-ed25519', file: '/k', line: 3 } as const;
    const { title, detail } = hostKeyPrompt({ ...hostKey, known: [other] });
    assert.match(title, /for the first time/);
    assert.match(detail, /The same key is known as web01\.lan \(line 3 of \/k\)/);
  });

  it('tell each type of key in words', () => {
    assert.deepEqual(['ssh-ed25519', 'ecdsa-sha2-nistp384', 'ssh-rsa', 'x\u202ey', 'toString'].map(keyTypeText), [
      'an Ed25519 key',
      'an ECDSA key (P-384)',
      'an RSA key',
      'a key of type x?y',
      'a key of type toString',
    ]);
  });

  it('say for what a secret is, and that the last one was wrong', () => {
    assert.deepEqual(secretPrompt({ id: '1', connection: 'web01', kind: 'passphrase', path: '/id', attempt: 1 }), {
      title: 'Passphrase of /id',
      detail: 'Unlocks the key to connect to web01. Leave it empty to go on without this key.',
    });
    const password = { id: '1', connection: 'web01', kind: 'password', user: 'alice', host: '::1', port: 22 } as const;
    assert.deepEqual(secretPrompt({ ...password, attempt: 2 }), {
      title: 'Password of alice on [::1]:22',
      detail: 'The last one was wrong. Logs in to connect to web01.',
    });
    assert.equal(secretPrompt({ ...password, attempt: 1, alias: 'gw' }).detail, 'Logs in to gw to connect to web01.');
    assert.equal(secretPrompt({ ...password, attempt: 1, alias: 'web01' }).detail, 'Logs in to connect to web01.');
  });

  it('tell what a server says from what we say, for each prompt of a round', () => {
    const round: Ask & { kind: 'interactive' } = {
      id: '1',
      connection: 'web01',
      kind: 'interactive',
      user: 'alice',
      host: '10.0.0.5',
      port: 22,
      attempt: 1,
      name: 'Two factors',
      instruction: 'Choose one:\n\n 1. Push',
      prompts: [
        { text: 'Option: ', echo: true },
        { text: 'Code: ', echo: false },
      ],
    };
    assert.deepEqual(roundPrompts(round), [
      {
        title: 'Log in as alice on 10.0.0.5:22 (1 of 2)',
        detail: 'Logs in to connect to web01. The server says: “Two factors Choose one: 1. Push Option:”',
        question: 'Option:',
        isHidden: false,
      },
      {
        title: 'Log in as alice on 10.0.0.5:22 (2 of 2)',
        detail: 'Logs in to connect to web01. The server says: “Two factors Choose one: 1. Push Code:”',
        question: 'Code:',
        isHidden: true,
      },
    ]);
    const again = roundPrompts({ ...round, attempt: 2, prompts: [{ text: 'Code: ', echo: false }] });
    assert.equal(again[0]!.title, 'Log in as alice on 10.0.0.5:22');
    assert.match(again[0]!.detail, /^It asks again: the last try was refused\. /);
    assert.equal(waitingText(round), 'web01 waits for your answer to log in as alice on 10.0.0.5:22.');
  });

  it('keep a server’s words inside their quotation marks, and behind ours', () => {
    const spoof = 'Hello.” Logs in to connect to web01. "Passphrase of ~/.ssh/id_ed25519„:';
    const [prompt] = roundPrompts({
      ...{ id: '1', connection: 'web01', kind: 'interactive', user: 'alice', host: '10.0.0.5', port: 22, attempt: 1 },
      ...{ name: spoof, instruction: 'y'.repeat(9_000), prompts: [{ text: `${spoof}\n${spoof}`, echo: false }] },
    });
    const [, ours, said] = /^(.*? The server says: )“([^]*)”$/.exec(prompt!.detail)!;
    assert.equal(ours, 'Logs in to connect to web01. The server says: ');
    for (const text of [said!, prompt!.question]) {
      assert.doesNotMatch(text, /["“”„\n]/);
      assert.ok(text.length <= 300, `${text.length} characters`);
    }
    assert.equal(quotable(' a\n\n b “c” '), 'a b ’c’');
    assert.doesNotMatch(quotable(`a${'😀'.repeat(300)}`), /\p{Cs}/u);
    assert.doesNotMatch(quotable('😀'.repeat(300)), /\p{Cs}/u);
  });

  it('say what still waits for an answer', () => {
    const ask = { id: '1', connection: 'web01', attempt: 1 };
    assert.equal(waitingText({ ...ask, kind: 'passphrase', path: '/id' }), 'web01 waits for the passphrase of /id.');
    assert.equal(
      waitingText({ ...ask, kind: 'password', user: 'alice', host: '10.0.0.5', port: 2222 }),
      'web01 waits for the password of alice on 10.0.0.5:2222.',
    );
  });

  it('say what a preset of the workspace opens, and for whom', () => {
    const preset: Preset = {
      name: 'DB',
      destination: { host: 'web01' },
      forwards: [mustParseSpec('-L 5432:db:5432'), mustParseSpec('-L *:80:db:80')],
      autoStart: false,
      scope: { kind: 'workspace' },
    };
    const { title, detail } = consentPrompt(preset);
    assert.equal(title, 'Start “DB” from the workspace settings?');
    assert.match(detail, /localhost:5432 on this machine → db:5432, as web01 sees it\n.*only this machine/);
    assert.match(detail, /\*:80 on this machine → db:80, as web01 sees it.*\n.*everyone on the network/);
  });

  it('say whom the consent to a remote forward lets in, on its server', () => {
    const preset: Preset = {
      name: 'Demo',
      destination: { host: 'web01' },
      forwards: [mustParseSpec('-R *:8080:localhost:3000'), mustParseSpec('-R /run/a.sock:localhost:3000')],
      autoStart: true,
      scope: { kind: 'folder', folder: 'api' },
    };
    assert.equal(
      consentPrompt(preset).detail,
      [
        'It connects to web01 over SSH with your keys and opens:',
        '• *:8080 on web01 → localhost:3000, as this machine sees it. Open to web01’s network!',
        '   Who can connect: everyone on the network who reaches web01',
        '• /run/a.sock on web01 → localhost:3000, as this machine sees it',
        '   Who can connect: only you on web01',
        '',
        'It will start with this workspace from now on. You are asked once, and again when it has changed.',
      ].join('\n'),
    );
  });
});

describe('the consent to a preset', () => {
  const preset: Preset = {
    name: 'Page',
    destination: { host: 'web01' },
    forwards: [mustParseSpec('-L 8080:localhost:80')],
    autoStart: false,
    scope: { kind: 'workspace' },
  };
  const last = (more: Partial<Preset>) =>
    consentPrompt({ ...preset, ...more })
      .detail.split('\n')
      .at(-1);
  const once = 'You are asked once, and again when it has changed.';

  it('is told what comes after it opens', () => {
    assert.equal(last({}), once);
    assert.equal(
      last({ afterOpen: 'browser', terminalVariables: true }),
      `When you start it, its address is opened in the browser. New terminals are told its ports. ${once}`,
    );
    assert.match(last({ afterOpen: 'simpleBrowser' }) ?? '', /Simple Browser/);
    assert.match(last({ afterOpen: 'copy' }) ?? '', /copied to the clipboard/);
  });
});

describe('the question before a forward is opened to the network', () => {
  const ask = (spec: string, addresses: readonly string[] = []) =>
    ({
      id: '1',
      connection: 'bob@web01',
      kind: 'openToNetwork',
      forward: `bob@web01 ${spec}`,
      spec: mustParseSpec(spec),
      addresses,
    }) as const;
  const keep = (machine: string) => `To keep it to ${machine} itself, leave out the bind address or write localhost.`;
  const login = 'They need no login: it is yours on bob@web01 that is used.';
  const once = '\n\nYou are asked once for this forward.';

  const table: [spec: string, addresses: readonly string[], title: string, detail: string][] = [
    ['-L *:8080:db:80', ['0.0.0.0', '::'], 'Open port 8080 on this machine to the network?', `It will listen on 0.0.0.0 and ::. Everyone on the network who reaches this machine could then connect to db:80 through bob@web01. ${login} ${keep('this machine')}`], // prettier-ignore
    ['-L 8080:db:80', ['0.0.0.0', '::'], 'Open port 8080 on this machine to the network?', `It will listen on 0.0.0.0 and ::. Everyone on the network who reaches this machine could then connect to db:80 through bob@web01. ${login} ssh_config asks for it (GatewayPorts yes). To keep it to this machine itself, write localhost as the bind address.`], // prettier-ignore
    ['-D 192.0.2.7:1080', ['192.0.2.7'], 'Open port 1080 on this machine to the network?', `It will listen on 192.0.2.7. Everyone on the network who reaches this machine could then connect to everything that bob@web01 reaches. ${login} ${keep('this machine')}`], // prettier-ignore
    ['-R *:8080:localhost:3000', [], 'Open port 8080 on bob@web01 to the network?', `Everyone on the network who reaches bob@web01 could then connect to localhost:3000 through this machine. ${keep('bob@web01')}`], // prettier-ignore
    ['-R *:0', [], 'Open a free port on bob@web01 to the network?', `Everyone on the network who reaches bob@web01 could then connect to everything that this machine reaches. ${keep('bob@web01')}`], // prettier-ignore
  ];
  for (const [spec, addresses, title, detail] of table)
    it(`says who gets to where by ${spec} at ${addresses.join(' and ') || 'the server'}`, () =>
      assert.deepEqual(networkPrompt(ask(spec, addresses)), { title, detail: detail + once }));

  it('is remembered by the forward, and asked again when all addresses are opened instead of some', () => {
    const key = (spec: string, ...addresses: string[]) => networkConsentKey(ask(spec, addresses));
    const named = '-L dev.test:80:db:80';
    assert.equal(key(named, '192.0.2.7'), key(named, '192.0.2.8', '198.51.100.1'));
    assert.equal(key('-L *:80:db:80', '0.0.0.0', '::'), key('-L *:80:db:80', '0.0.0.0'));
    const apart = [
      key(named, '192.0.2.7'),
      key(named, '192.0.2.7', '::'),
      key('-L *:80:db:80', '0.0.0.0'),
      key('-L 80:db:80', '0.0.0.0'),
      key('-R *:80:db:80'),
    ];
    assert.equal(new Set(apart).size, apart.length);
  });
});

describe('the question before tunnels are stopped', () => {
  const detail = 'New connections are refused at once either way.';

  it('offers to let open connections finish first, and to cut them', () =>
    assert.deepEqual(stopPrompt(['Billing DB'], 3), {
      title: '3 connections are open through Billing DB. Let them finish?',
      detail,
      choices: [
        { how: 'drain', label: 'Let Them Finish', description: 'They go on to the end' },
        { how: 'stop', label: 'Cut Them Now', description: 'A transfer that is under way breaks off' },
      ],
    }));

  it('counts one connection, and several tunnels', () => {
    assert.deepEqual(stopPrompt(['Billing DB'], 1), {
      title: '1 connection is open through Billing DB. Let it finish?',
      detail,
      choices: [
        { how: 'drain', label: 'Let It Finish', description: 'It goes on to the end' },
        { how: 'stop', label: 'Cut It Now', description: 'A transfer that is under way breaks off' },
      ],
    });
    assert.equal(stopPrompt(['a', 'b'], 7).title, '7 connections are open through 2 tunnels. Let them finish?');
  });
});
