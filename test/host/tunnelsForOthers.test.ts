import assert from 'node:assert/strict';
import { createServer, type AddressInfo } from 'node:net';
import * as vscode from 'vscode';
import { languageModelTools } from '../../src/ui/contributions.js';
import type { OpenTunnel, TunnelError, TunnelSpec } from '../../src/ui/api.js';
import { eventually } from '../support/eventually.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import { echo, exchange, startTarget, type Target } from '../support/targets.js';
import { extensionUnderTest } from './extensionUnderTest.js';

describe('what other extensions, language models and links get inside VS Code', () => {
  const { activate, access, api, configure, run, forwards, presets, lastNotice, become, removeAll } =
    extensionUnderTest();
  let sshd: Sshd;
  let service: Target;

  before(async () => {
    await activate();
    sshd = await startSshd();
    service = await startTarget(echo);
    await configure('sshConfigFile', sshd.configPath('web01'));
  });
  afterEach(async () => {
    await configure('presets', undefined);
    await removeAll();
  });
  after(async () => {
    await configure('sshConfigFile', undefined);
    await service.close();
    await sshd.stop();
  });

  const saysBack = async (port: number, text: string) =>
    assert.equal(String((await exchange(port, Buffer.from(text))).received), text);
  const refusal = async (spec: TunnelSpec, cancel?: vscode.CancellationToken): Promise<TunnelError> => {
    try {
      (await api().openTunnel(spec, cancel)).dispose();
    } catch (error) {
      assert.ok(error instanceof Error, String(error));
      return error as TunnelError;
    }
    throw new Error('it was opened');
  };

  describe('the API', () => {
    it('has a version, and can’t be changed', () => {
      assert.equal(api().apiVersion, 1);
      assert.ok(Object.isFrozen(api()), 'it is frozen');
    });

    it('opens a tunnel and says where it really listens, lists it, tells of changes, and closes it', async () => {
      const states: string[] = [];
      const listening = api().onDidChange(() => states.push(api().tunnels()[0]?.state ?? 'none'));
      const forward = `-L auto:localhost:${service.port}`;
      const tunnel = await api().openTunnel({ host: 'web01', forward, label: ' For a test ' });
      assert.equal(tunnel.host, '127.0.0.1');
      await saysBack(tunnel.port, 'through the API');
      const [info] = api().tunnels();
      assert.deepEqual(
        [info?.label, info?.host, info?.kind, info?.state, info?.target],
        ['For a test', 'web01', 'local', 'ready', `localhost:${service.port}`],
      );
      assert.deepEqual(tunnel.tunnels, [info]);
      assert.match(forwards()[0]?.tooltip.join('\n') ?? '', /^Another extension opened it/m);
      assert.deepEqual(access().kept(), undefined, 'it is not for the next window');
      tunnel.dispose();
      tunnel.dispose();
      await eventually(() => assert.deepEqual(api().tunnels(), []));
      await eventually(async () => assert.equal((await exchange(tunnel.port, Buffer.from('x'))).end, 'ECONNREFUSED'));
      listening.dispose();
      assert.equal(states[0], 'connecting');
      assert.ok(states.includes('ready') && states.at(-1) === 'none', states.join(', '));
    });

    it('shares one tunnel among those who opened it, and closes it with the last', async () => {
      const spec = { host: 'web01', forward: `-L ${await freePort()}:localhost:${service.port}` };
      const [first, second] = await Promise.all([api().openTunnel(spec), api().openTunnel(spec)]);
      assert.equal(forwards().length, 1);
      first.dispose();
      await saysBack(second.port, 'still here');
      second.dispose();
      await eventually(() => assert.deepEqual(forwards(), []));
    });

    it('shares a tunnel of the user, and leaves it', async () => {
      const forward = `-L ${await freePort()}:localhost:${service.port}`;
      await run('forwardPort', { host: 'web01', forward });
      await become('ready');
      const tunnel: OpenTunnel = await api().openTunnel({ host: 'web01', forward });
      tunnel.dispose();
      await saysBack(tunnel.port, 'the user’s');
      assert.deepEqual(
        forwards().map(({ status }) => status),
        ['ready'],
      );
    });

    it('leaves one that the user has asked for meanwhile', async () => {
      const forward = `-L ${await freePort()}:localhost:${service.port}`;
      const tunnel = await api().openTunnel({ host: 'web01', forward });
      await run('forwardPort', { host: 'web01', forward });
      tunnel.dispose();
      await saysBack(tunnel.port, 'the user’s by now');
    });

    it('opens a preset of the user with all its tunnels', async () => {
      const forwards = [`-L auto:localhost:${service.port}`, '-D auto'];
      await configure('presets', [{ name: 'Two', host: 'web01', forwards }]);
      await eventually(() => assert.equal(presets().length, 1));
      const tunnel = await api().openTunnel({ preset: 'Two' });
      assert.deepEqual(
        tunnel.tunnels.map(({ kind, state }) => [kind, state]),
        [
          ['local', 'ready'],
          ['dynamic', 'ready'],
        ],
      );
      await saysBack(tunnel.port, 'by a preset');
      tunnel.dispose();
      await eventually(() => assert.deepEqual(api().tunnels(), []));
    });

    it('has a preset’s inputs asked for once by all who open it meanwhile', async () => {
      const inputs = { port: { default: String(service.port) } };
      await configure('presets', [{ name: 'Asks', host: 'web01', forwards: ['-L auto:localhost:${input:port}'], inputs }]); // prettier-ignore
      await eventually(() => assert.equal(presets().length, 1));
      let isOver = false;
      const opening = Promise.all([api().openTunnel({ preset: 'Asks' }), api().openTunnel({ preset: 'Asks' })]);
      void opening.catch(() => {}).finally(() => (isOver = true));
      // The box of its input, with the default in it: a second one would be left open.
      await eventually(async () => {
        if (forwards().length > 0 || isOver) return;
        await vscode.commands.executeCommand('workbench.action.acceptSelectedQuickOpenItem');
        assert.equal(forwards().length, 1);
      });
      const [first, second] = await opening;
      assert.equal(first.port, second.port);
      await saysBack(second.port, 'asked once');
      first.dispose();
      second.dispose();
      await eventually(() => assert.deepEqual(forwards(), []));
    });

    it('says what went wrong by a code and a sentence, and leaves nothing behind', async () => {
      const taken = await startTarget(() => {});
      const inUse = await refusal({ host: 'web01', forward: `-L 127.0.0.1:${taken.port}:localhost:1` });
      await taken.close();
      assert.deepEqual([inUse.name, inUse.code], ['TunnelError', 'portInUse']);
      assert.match(inUse.message, new RegExp(`^127\\.0\\.0\\.1:${taken.port} is already in use on `));
      const unknown = await refusal({ preset: 'No such' });
      assert.deepEqual([unknown.code, unknown.message], ['noSuchPreset', 'No preset is called “No such”.']);
      assert.equal((await refusal({ host: '-oProxyCommand=x', forward: '80' })).code, 'badDestination');
      assert.equal((await refusal({ host: 'web01', forward: '0' })).code, 'badSpec');
      assert.equal((await refusal({} as TunnelSpec)).name, 'TypeError');
      await eventually(() => assert.deepEqual(forwards(), []));
    });

    it('has the user asked before the network is let in', async () => {
      // VS Code shows no dialog to a test: that is a no.
      const error = await refusal({ host: 'web01', forward: `-L *:${await freePort()}:localhost:${service.port}` });
      assert.equal(error.code, 'cancelled');
      await eventually(() => assert.deepEqual(forwards(), []));
    });

    it('is called off by its token', async () => {
      const source = new vscode.CancellationTokenSource();
      // Nobody answers at this port, but the connection is taken.
      const silent = createServer(() => {}).listen(0, '127.0.0.1');
      await new Promise((listening) => silent.once('listening', listening));
      const { port } = silent.address() as AddressInfo;
      const opening = refusal({ host: `x@127.0.0.1:${port}`, forward: 'auto:localhost:1' }, source.token);
      await become('connecting');
      source.cancel();
      assert.equal((await opening).code, 'cancelled');
      await eventually(() => assert.deepEqual(forwards(), []));
      silent.close();
    });
  });

  describe('the tools of language models', () => {
    const textOf = (result: vscode.LanguageModelToolResult | null | undefined) =>
      (result?.content ?? []).map((part) => (part as vscode.LanguageModelTextPart).value).join('');
    const invoke = (name: string, input: object) =>
      vscode.lm.invokeTool(name, { input, toolInvocationToken: undefined });
    const { token } = new vscode.CancellationTokenSource();
    /** As VS Code does it, with a yes of the user. */
    const open = async (input: object): Promise<string> => {
      const tool = access().openByAgent;
      const prepared = await tool.prepareInvocation({ input }, token);
      assert.ok(prepared?.confirmationMessages, 'the user is asked');
      return textOf(await tool.invoke({ input, toolInvocationToken: undefined }, token));
    };

    it('are known to VS Code with their words', () => {
      for (const name of Object.values(languageModelTools)) {
        const tool = vscode.lm.tools.find((one) => one.name === name);
        assert.ok(tool?.description && tool.inputSchema, name);
      }
    });

    it('list tunnels, hosts and presets, without a question', async () => {
      await configure('presets', [
        { name: 'Mine', host: 'web01', forwards: ['5432'].map((port) => `-L ${port}:db:1`) },
      ]);
      await eventually(() => assert.equal(presets().length, 1));
      const list = JSON.parse(textOf(await invoke(languageModelTools.list, {}))) as Record<string, unknown>;
      assert.deepEqual(list['tunnels'], []);
      assert.deepEqual(list['hosts'], ['web01']);
      assert.equal((list['presets'] as { name: string }[])[0]?.name, 'Mine');
    });

    it('open a tunnel when VS Code has asked', async () => {
      // Its own question of a tool VS Code answers in a test by itself, with a yes; test/ui presses the buttons.
      const result = await invoke(languageModelTools.open, { host: 'web01', forward: 'auto:localhost:1' });
      assert.match(textOf(result), /is ready.* Connect to localhost:\d+\.$/);
    });

    it('refuse a host that is not in ssh_config without asking anybody', async () => {
      const invoking = async () => invoke(languageModelTools.open, { host: 'ann@web01', forward: '80' });
      await assert.rejects(invoking, /“ann@web01” is not a host of ssh_config/);
      const direct = access().openByAgent.invoke({ input: { host: 'x', forward: '80' }, toolInvocationToken: undefined }, token); // prettier-ignore
      assert.match(textOf(await direct), /“x” is not a host of ssh_config/);
      assert.deepEqual(forwards(), []);
    });

    it('open a forward of loopback that stays the user’s, and say where to connect', async () => {
      const port = await freePort();
      const text = await open({ host: 'web01', forward: `${port}:localhost:${service.port}` });
      assert.match(text, new RegExp(`is ready.* Connect to localhost:${port}\\.$`));
      await saysBack(port, 'by an agent');
      assert.equal(
        forwards()[0]?.tooltip.some((line) => line.startsWith('Another extension')),
        false,
      );
    });

    it('say in words why a tunnel could not be opened, and leave nothing behind', async () => {
      const taken = await startTarget(() => {});
      const text = await open({ host: 'web01', forward: `-L 127.0.0.1:${taken.port}:localhost:1` });
      await taken.close();
      assert.match(text, /is already in use on /);
      await eventually(() => assert.deepEqual(forwards(), []));
    });

    it('open what was asked for twice at once', async () => {
      const input = { host: 'web01', forward: `${await freePort()}:localhost:${service.port}` };
      const answers = await Promise.all([open(input), open(input)]);
      for (const answer of answers) assert.match(answer, / is ready\..* Connect to localhost:\d+\.$/);
    });

    it('tell nothing of what a preset’s variables stand for', async () => {
      await configure('presets', [{ name: 'Mine', host: 'web01', forwards: ['-L auto:${env:HOME}/none.sock'] }]);
      await eventually(() => assert.equal(presets().length, 1));
      assert.match(await open({ preset: 'Mine' }), /^Mine is ready\. Connect to localhost:\d+\.$/);
      const path = `${process.env['HOME']}/none.sock`;
      assert.ok(forwards()[0]!.tooltip.join().includes(path), 'its row tells the user');
      const text = textOf(await invoke(languageModelTools.list, {}));
      const { tunnels } = JSON.parse(text) as { tunnels: { preset?: string; state: string }[] };
      assert.deepEqual(tunnels.map(({ preset, state }) => [preset, state]), [['Mine', 'ready']]); // prettier-ignore
      assert.ok(!text.includes(path), text);
    });

    it('open nothing else than what the user was shown', async () => {
      const preset = (port: number) => [{ name: 'Mine', host: 'web01', forwards: [`-L ${port}:localhost:1`] }];
      await configure('presets', preset(await freePort()));
      await eventually(() => assert.equal(presets().length, 1));
      const input = { preset: 'Mine' };
      const tool = access().openByAgent;
      await tool.prepareInvocation({ input }, token);
      const other = await freePort();
      await configure('presets', preset(other));
      await eventually(() => assert.match(JSON.stringify(presets()), new RegExp(String(other))));
      const asked = await tool.invoke({ input, toolInvocationToken: undefined }, token);
      assert.match(textOf(asked), /^What it would open has changed/);
      const unasked = await tool.invoke({ input, toolInvocationToken: undefined }, token);
      assert.match(textOf(unasked), /^What it would open has changed/, 'one yes is for one call');
      assert.deepEqual(forwards(), []);
    });
  });

  describe('links', () => {
    const follow = (link: string) =>
      vscode.commands.executeCommand('vscode.open', vscode.Uri.parse(`${vscode.env.uriScheme}://ssh-tunnels.ssh-tunnels${link}`)); // prettier-ignore

    it('that can’t be used say so, and start nothing', async function () {
      // On a desktop the system opens it, in whichever VS Code that is.
      if (vscode.env.uiKind === vscode.UIKind.Desktop) this.skip();
      await follow('/forward?host=-oProxyCommand%3Dx&forward=80');
      await eventually(() => assert.match(lastNotice(), /^The link can’t be used\. /));
      await follow('/preset?name=No%20such%20%26%20one');
      await eventually(() => assert.match(lastNotice(), /^No preset is called “No such ”/));
      assert.deepEqual(forwards(), []);
    });
  });
});
