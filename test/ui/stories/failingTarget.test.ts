// The story of a service that has gone down behind a tunnel that is up: the details tell which leg of the way it is.
import assert from 'node:assert/strict';
import { axeFindings } from '../../support/axe.js';
import { eventually } from '../../support/eventually.js';
import { beginStory } from '../../support/story.js';
import { bytes, echo, exchange, startTarget, type Target } from '../../support/targets.js';
import { freePort } from '../../support/sshd.js';
import { legsOf, webviewFrame } from '../../support/webview.js';
import { inEachEdition, useWindowBench } from '../../support/windowBench.js';
import type { View, Workbench } from '../../support/workbench.js';

inEachEdition((edition, suffix, inTitle) => {
  describe(`a target that fails, in the ${edition} VS Code`, () => {
    const bench = useWindowBench(edition);
    let window: Workbench;
    let tunnels: View;
    let service: Target;
    let port: number;

    before(async () => {
      service = await startTarget(echo);
      port = await freePort();
      window = await bench.open('failing-target', {
        colorTheme: edition === 'newest' ? 'Default Light Modern' : 'Default Dark Modern',
        settings: {
          'sshTunnels.sshConfigFile': bench.sshd.configPath('web01'),
          'sshTunnels.presets': [
            { name: 'Shop', host: 'web01', forwards: [`-L ${port}:127.0.0.1:${service.port}`], autoStart: true },
          ],
        },
      });
      tunnels = await bench.openView();
      await eventually(async () => assert.match((await bench.rows()).join('\n'), /^Shop · ready/m));
    });
    after(() => service.close());

    it('is found by a look at the details, and seen to be back', async () => {
      const servicePort = service.port;
      await service.close();
      // The person's own program.
      assert.equal((await exchange(port, bytes(10, 'x'))).end, 'ECONNRESET');
      const story = beginStory(window, `a failing target found by the details${inTitle}`, `failing-target${suffix}`);
      await eventually(async () => assert.match((await bench.rows()).join('\n'), /last connection failed/));
      await story.picture();
      await tunnels.select('Shop');
      const page = await webviewFrame(window.page, '.station');
      await eventually(async () => assert.deepEqual(await legsOf(page), ['ready', 'ready', 'ready', 'failed']));
      await page.locator('.leg[data-status=failed]').scrollIntoViewIfNeeded();
      await story.picture();
      await story.aside(async () => {
        assert.match((await page.locator('.leg .why:visible').allInnerTexts()).join(' '), /as web01 sees it/);
        service = await startTarget(echo, { host: '127.0.0.1', port: servicePort });
        assert.deepEqual((await exchange(port, bytes(10, 'x'))).received, bytes(10, 'x'));
      });
      await eventually(async () => assert.deepEqual(await legsOf(page), ['ready', 'ready', 'ready', 'ready']));
      await story.picture();
      const told = story.end();
      assert.ok(told.seconds < 60, `${told.seconds} s`);
      assert.deepEqual(await axeFindings(page), []);
    });
  });
});
