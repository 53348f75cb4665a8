// The story of somebody who never read a manual and wants a port of a server: from the icon in the activity bar to a ready tunnel.
import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { eventually } from '../../support/eventually.js';
import { beginStory, type Story } from '../../support/story.js';
import { fetchPage } from '../../support/targets.js';
import { inEachEdition, useWindowBench } from '../../support/windowBench.js';
import type { Workbench } from '../../support/workbench.js';

inEachEdition((edition, suffix, inTitle) => {
  describe(`a newcomer, in the ${edition} VS Code`, () => {
    const bench = useWindowBench(edition);
    // An address of its own, as that of a machine behind the server: its port is still free at localhost.
    const dashboard = createServer((_request, response) => response.end('the dashboard'));
    let target: string;
    let window: Workbench;
    let story: Story;

    before(async () => {
      await new Promise<void>((listening) => dashboard.listen(0, '127.0.0.2', listening));
      target = `127.0.0.2:${(dashboard.address() as AddressInfo).port}`;
      const config = bench.sshd.configPath('web01', [
        `UserKnownHostsFile ${join(bench.sshd.folder, `known_by_newcomer_${edition}`)}`,
      ]);
      appendFileSync(config, 'Host bastion\n  HostName 192.0.2.1\n');
      window = await bench.open('newcomer', {
        colorTheme: 'Default Dark Modern',
        settings: { 'sshTunnels.sshConfigFile': config },
      });
    });
    after(() => dashboard.close());

    it('has the first tunnel in under thirty seconds, by what is on the screen', async () => {
      story = beginStory(window, `first tunnel by a newcomer${inTitle}`, `newcomer${suffix}`);
      await story.picture();
      const tunnels = await bench.openView();
      await tunnels.welcome();
      await story.picture();
      await tunnels.pressWelcome('Forward Port');
      await window.quickInput.step('Forward Port (1/2)');
      await eventually(async () =>
        assert.ok(
          (await window.quickInput.items()).some(({ label }) => label === 'web01'),
          'the host is offered',
        ),
      );
      await story.picture();
      await window.quickInput.pick('web01');
      await window.quickInput.step('Forward Port (2/2)');
      await window.quickInput.type(target);
      await eventually(async () => assert.match(await window.quickInput.verdict(), /as web01 sees it/));
      await story.picture();
      await window.quickInput.accept();
      const { message } = await window.modal();
      assert.match(message, /web01/);
      await story.picture();
      await window.pressModal('Accept and Remember');
      await window.toast('is ready');
      const told = story.end();
      await window.screenshot(`story-newcomer${suffix}-6`);
      assert.equal(await fetchPage(Number(target.split(':')[1])), 'the dashboard');
      assert.ok(told.seconds < 30, `${told.seconds} s`);
    });
  });
});
