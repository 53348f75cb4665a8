// Every kind of forward, who can reach it, and a live connection: clicked through, with each warning in a picture.
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { eventually } from '../support/eventually.js';
import { forwardPort, inBothThemes } from '../support/extensionWindows.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import { echo, exchange, fetchPage, startTarget, type Target } from '../support/targets.js';
import { useWindowBench } from '../support/windowBench.js';
import type { TreeRow, View, Workbench } from '../support/workbench.js';

describe('every kind of forward in a window', () => {
  const bench = useWindowBench();
  let window: Workbench;
  let tunnels: View;
  /** It opens every remote forward to the network. */
  let wide: Sshd;
  let service: Target;
  let presetPort: number;
  const clients = new Set<Socket>();
  const others = new Set<ReturnType<typeof createServer>>();

  before(async () => {
    wide = await startSshd({ config: ['GatewayPorts yes'] });
    service = await startTarget(echo);
    const config = bench.sshd.configPath('web01');
    appendFileSync(config, readFileSync(wide.configPath('shared-box'), 'utf8'));
    presetPort = await freePort();
    const shared = { name: 'Shared page', host: 'web01', forwards: [`-L *:${presetPort}:localhost:${bench.webPort}`] };
    window = await bench.open('forwards', {
      colorTheme: 'Default Dark Modern',
      settings: { 'sshTunnels.sshConfigFile': config },
      folderSettings: { 'sshTunnels.presets': [shared] },
    });
    tunnels = await bench.openView();
    // Wide enough for the words behind a row's name.
    await window.widenSideBar(560);
  });
  afterEach(() => {
    for (const socket of clients) socket.destroy();
    clients.clear();
    for (const server of others) server.close();
    others.clear();
  });
  after(async () => {
    await service.close();
    await wide.stop();
  });

  const rowOf = (label: string) =>
    eventually(async () => {
      const found = (await tunnels.rows()).find((row) => row.label === label);
      assert.ok(found, `no row ${label}: ${JSON.stringify((await tunnels.rows()).map((row) => row.label))}`);
      return found;
    });
  const becomes = (label: string, description: RegExp): Promise<TreeRow> =>
    eventually(async () => {
      const found = await rowOf(label);
      assert.match(found.description, description);
      return found;
    });
  /** A server of this machine that somebody else runs. */
  const occupy = async (host: string): Promise<number> => {
    const server = createServer().listen(0, host);
    others.add(server);
    await new Promise((listening) => server.once('listening', listening));
    return (server.address() as AddressInfo).port;
  };
  /** Empties the view: each story stands in its picture alone. */
  const clear = async () => {
    for (const host of ['web01', 'shared-box'])
      if ((await tunnels.rows()).some(({ label }) => label === host)) await tunnels.pressMenu(host, 'Remove');
    await eventually(async () => assert.equal((await tunnels.rows())[0]?.label, 'Presets'));
    await window.dismissToasts();
  };

  describe('open to the network', () => {
    let port: number;
    let label: string;

    before(async () => {
      port = await freePort();
      label = `*:${port} → localhost:${bench.webPort}`;
    });

    it('says who can connect while it is typed', async () => {
      const { quickInput } = window;
      await window.runCommand('SSH Tunnels: Forward Port');
      await quickInput.step('Forward Port (1/2)');
      await eventually(async () => assert.ok((await quickInput.items()).some((item) => item.label === 'web01')));
      await quickInput.pick('web01');
      await quickInput.step('Forward Port (2/2)');
      await quickInput.type(`-D 1080`);
      await eventually(async () =>
        assert.match(
          await quickInput.verdict(),
          /^arrow-right · -D 1080 · Only the machine that runs VS Code can connect\. · .*SOCKS proxy, as web01 sees/,
        ),
      );
      await quickInput.type('-L auto:/var/run/docker.sock');
      await eventually(async () =>
        assert.match(await quickInput.verdict(), /localhost:auto .*\/var\/run\/docker\.sock/),
      );
      await quickInput.type(`-L *:${port}:localhost:${bench.webPort}`);
      await eventually(async () =>
        assert.match(await quickInput.verdict(), /^broadcast · .*Everyone on the network who reaches/),
      );
      await window.screenshot('network-typed');
      await quickInput.accept();
    });

    it('asks first, and opens nothing when the question is left', async () => {
      const { message, detail, buttons } = await window.modal();
      assert.equal(message, `Open port ${port} on the machine that runs VS Code to the network?`);
      assert.match(detail, /Everyone on the network who reaches the machine that runs VS Code[^]*You are asked once/);
      assert.deepEqual(buttons, ['Cancel', 'Edit…', 'Open to the Network']);
      await window.screenshot('network-asked');
      await window.pressModal('Cancel');
      await becomes(label, /^stopped$/);
      assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED');
    });

    it('shows it by its own icon and words, and does not ask again', async () => {
      await tunnels.pressInline(label, 'Start');
      await window.modal();
      await window.pressModal('Open to the Network');
      const row = await becomes(label, /^ready, open to the network$/);
      assert.equal(row.icon, 'broadcast');
      await forwardPort(window, 'web01', `-L ${await freePort()}:localhost:${bench.webPort}`);
      await window.toast('is ready.');
      await inBothThemes(window, 'network-row');
      assert.match(
        await tunnels.tooltip(label),
        /Who can connect: everyone on the network who reaches the machine that runs VS Code/,
      );
      await tunnels.pressMenu(label, 'Restart');
      await window.toast(`(via web01) is ready. Open to the network.`);
      assert.equal(await fetchPage(port), 'the page behind web01');
      await clear();
    });
  });

  it('takes the consent to a preset, which says who can connect, for this one', async () => {
    await tunnels.pressInline('Shared page', 'Start Preset');
    const { detail } = await window.modal();
    assert.match(detail, /Who can connect: everyone on the network who reaches the machine that runs VS Code/);
    await window.screenshot('network-preset');
    await window.pressModal('Start');
    await window.toast('is ready. Open to the network.');
    assert.equal(await fetchPage(presetPort), 'the page behind web01');
    await clear();
  });

  describe('not as asked for', () => {
    it('warns when the server narrows a remote forward', async () => {
      const port = await freePort();
      await forwardPort(window, 'web01', `-R *:${port}:localhost:${bench.webPort}`);
      await window.modal();
      await window.pressModal('Open to the Network');
      const label = `on web01: *:${port} → localhost:${bench.webPort}`;
      const row = await becomes(label, /^ready, not open to the network$/);
      assert.equal(row.icon, 'warning');
      const toast = await window.toast('GatewayPorts');
      assert.equal(toast.severity, 'warning');
      await window.screenshot('remote-narrowed');
      assert.match(await tunnels.tooltip(label), /Who can connect: only web01[^]*GatewayPorts/);
      await clear();
    });

    it('warns when the server widens a remote forward, and stops it at once', async () => {
      const port = await freePort();
      await forwardPort(window, 'shared-box', `-R ${port}:localhost:${bench.webPort}`);
      const label = `on shared-box: localhost:${port} → localhost:${bench.webPort}`;
      const row = await becomes(label, /^ready, open to the network$/);
      assert.equal(row.icon, 'warning');
      const toast = await window.toast('GatewayPorts');
      assert.equal(toast.severity, 'warning');
      assert.ok(toast.buttons.includes('Stop'), JSON.stringify(toast.buttons));
      await window.screenshot('remote-widened');
      await window.pressToast('GatewayPorts', 'Stop');
      await becomes(label, /^stopped$/);
      await clear();
    });

    it('names the program that has the other half of localhost', async () => {
      const port = await occupy('127.0.0.1');
      await forwardPort(window, 'web01', `${port}:localhost:${bench.webPort}`);
      const label = `localhost:${port} → localhost:${bench.webPort}`;
      await becomes(label, /^ready, partly bound$/);
      const toast = await window.toast(`Only [::1]:${port} could be bound.`);
      assert.match(toast.text, new RegExp(`127\\.0\\.0\\.1:${port} is in use by .* \\(pid ${process.pid}\\)`));
      assert.deepEqual(toast.buttons, ['Use Next Free Port', 'Open in Browser', 'Copy Address']);
      await window.screenshot('half-bound');
      await clear();
    });

    it('offers the next free port when one is in use, and shows which it is', async () => {
      const port = await occupy('127.0.0.1');
      await forwardPort(window, 'web01', `127.0.0.1:${port}:localhost:${bench.webPort}`);
      const toast = await window.toast('is already in use on the machine that runs VS Code');
      assert.match(toast.text, new RegExp(`by .* \\(pid ${process.pid}\\)`));
      assert.deepEqual(toast.buttons, ['Use Next Free Port', 'Edit', 'Retry']);
      await window.screenshot('port-in-use');
      await window.pressToast('is already in use', 'Use Next Free Port');
      const ready = await window.toast('is ready');
      const real = Number(new RegExp(`It has port (\\d+) instead of ${port}`).exec(ready.text)?.[1]);
      assert.ok(real > port, ready.text);
      await becomes(
        `127.0.0.1:${real} → localhost:${bench.webPort}`,
        new RegExp(`^ready, port ${real} instead of ${port}$`),
      );
      assert.equal(await fetchPage(real), 'the page behind web01');
      await window.screenshot('next-free-port');
      await clear();
    });

    it('offers to stop our own tunnel that has the port', async () => {
      const port = await freePort();
      await forwardPort(window, 'web01', `127.0.0.1:${port}:localhost:${bench.webPort}`);
      await window.toast('is ready');
      await window.dismissToasts();
      await tunnels.select(`127.0.0.1:${port} → localhost:${bench.webPort}`);
      await window.pressToOpen('F2', 'input');
      await window.quickInput.step('Rename Tunnel');
      await window.quickInput.accept('Shop page');
      await forwardPort(window, 'web01', `127.0.0.1:${port}:localhost:${service.port}`);
      const toast = await window.toast('is already in use on the machine that runs VS Code by the tunnel “Shop page”');
      assert.deepEqual(toast.buttons, ['Stop “Shop page”', 'Use Next Free Port', 'Edit']);
      await window.screenshot('port-in-use-by-us');
      await window.pressToast('is already in use', 'Stop “Shop page”');
      await window.toast(`127.0.0.1:${port} → localhost:${service.port} (via web01) is ready.`);
      await becomes('Shop page', /^stopped/);
      await clear();
    });
  });

  describe('in use', () => {
    let port: number;
    const name = 'Service';

    before(async () => {
      port = await freePort();
      await forwardPort(window, 'web01', `-D 127.0.0.1:${port}`);
      await window.toast('is ready');
      await window.dismissToasts();
      await tunnels.select(`127.0.0.1:${port} → SOCKS`);
      await window.pressToOpen('F2', 'input');
      await window.quickInput.step('Rename Tunnel');
      await window.quickInput.accept(name);
      await becomes(name, /^ready/);
    });

    /** Through the proxy to the service, by SOCKS 5. */
    const stayThrough = async (): Promise<Socket> => {
      const socket = connect(port, '127.0.0.1');
      clients.add(socket);
      socket.on('error', () => {});
      const next = () => new Promise<Buffer>((got) => socket.once('data', got));
      socket.write(Buffer.from([5, 1, 0]));
      await next();
      socket.write(Buffer.from([5, 1, 0, 3, 9, ...Buffer.from('localhost'), service.port >> 8, service.port & 255]));
      await next();
      socket.write(Buffer.alloc(20_000));
      await next();
      return socket;
    };
    const connections = async () => (await tunnels.rows()).filter(({ level }) => level === 3);

    it('lists the connections with their bytes and age, and closes one', async () => {
      const [first] = [await stayThrough(), await stayThrough()];
      if (!(await rowOf(name)).expanded) await tunnels.toggle(name);
      await eventually(async () => assert.equal((await connections()).length, 2));
      const [row] = await connections();
      assert.match(row!.label, new RegExp(`^127\\.0\\.0\\.1:\\d+ → localhost:${service.port}$`));
      // Read again each second.
      await eventually(async () => assert.match((await connections())[0]!.description, /^↑ 20 KB ↓ 20 KB · [2-9] s$/));
      assert.deepEqual(await tunnels.inlineActions(row!.label), ['Close Connection']);
      await inBothThemes(window, 'connections');
      const label = `127.0.0.1:${first.localPort} → localhost:${service.port}`;
      await tunnels.pressInline(label, 'Close Connection');
      await eventually(async () => assert.equal((await connections()).length, 1));
      await eventually(() => assert.ok(first.destroyed));
      await window.screenshot('connection-closed');
    });

    it('shows a hundred of many connections, and says how many more there are', async () => {
      for (let count = 0; count < 120; count++) {
        const socket = connect(port, '127.0.0.1');
        socket.on('error', () => {});
        clients.add(socket);
      }
      await eventually(async () => assert.ok((await connections()).length > 10));
      await tunnels.select((await connections())[0]!.label);
      // To the end of the list, below which are the presets.
      await eventually(async () => {
        await window.page.keyboard.press('End');
        assert.ok((await tunnels.rows()).some(({ description }) => description === '20 more'));
      });
      await window.screenshot('connections-many');
      await window.page.keyboard.press('Home');
    });

    it('asks what becomes of connections before it stops, lets them finish, and cuts them when stopped again', async () => {
      const client = await stayThrough();
      await tunnels.pressInline(name, 'Stop');
      await window.quickInput.step(`1 connection is open through ${name}. Let it finish?`);
      assert.deepEqual(
        (await window.quickInput.items()).map((item) => item.label),
        ['Let It Finish', 'Cut It Now'],
      );
      await window.screenshot('stop-asked');
      await window.quickInput.dismiss();
      await becomes(name, /^ready/);
      await tunnels.pressInline(name, 'Stop');
      await window.quickInput.step('Let it finish?');
      await window.quickInput.pick('Let It Finish');
      await becomes(name, /^stopped, open connections finish/);
      assert.equal((await exchange(port, Buffer.from('x'))).end, 'ECONNREFUSED');
      assert.ok(!client.destroyed);
      assert.equal((await rowOf(name)).icon, 'debug-pause');
      await inBothThemes(window, 'draining');
      // Stop again: now.
      await tunnels.pressInline(name, 'Stop');
      await becomes(name, /^stopped ·/);
      await eventually(() => assert.ok(client.destroyed));
      await clear();
    });
  });
});
