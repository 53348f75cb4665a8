// The story of a teammate who opens a project that brings presets: looks at it in restricted mode, trusts it, starts one.
import assert from 'node:assert/strict';
import { axeFindings } from '../../support/axe.js';
import { freePort } from '../../support/sshd.js';
import { beginStory } from '../../support/story.js';
import { exchange, fetchPage } from '../../support/targets.js';
import { inEachEdition, useWindowBench } from '../../support/windowBench.js';

inEachEdition((edition, suffix, inTitle) => {
  describe(`a teammate, in the ${edition} VS Code`, () => {
    const bench = useWindowBench(edition);

    it('sees the project’s presets in restricted mode, where none starts, and starts one when the project is trusted', async () => {
      const [port, other] = [await freePort(), await freePort()];
      const target = `localhost:${bench.webPort}`;
      const presets = [
        { name: 'Dashboard', host: 'web01', forwards: [`-L ${port}:${target}`], description: 'Numbers of the shop' },
        { name: 'Search', host: 'web01', forwards: [`-L ${other}:${target}`], autoStart: true },
      ];
      const window = await bench.open('teammate', {
        trust: 'ask',
        colorTheme: 'Default Dark Modern',
        settings: { 'sshTunnels.sshConfigFile': bench.sshd.configPath('web01') },
        folderSettings: { 'sshTunnels.presets': presets },
      });
      const story = beginStory(window, `a teammate opens a workspace with presets${inTitle}`, `teammate${suffix}`);
      await window.answerTrust(false);
      const tunnels = await bench.openView();
      await bench.shows(
        'Presets · ',
        `Dashboard · workspace not trusted · ${target} via web01`,
        `Search · workspace not trusted · ${target} via web01`,
      );
      await story.picture();
      await tunnels.row('Dashboard').click();
      await window.toast('This workspace is not trusted, so its presets don’t start.');
      await story.picture();
      await story.aside(async () => {
        for (const closed of [port, other])
          assert.equal((await exchange(closed, Buffer.from('x'))).end, 'ECONNREFUSED');
      });
      await window.pressToast('This workspace is not trusted', 'Manage Workspace Trust');
      await window.page.getByRole('button', { name: 'Trust', exact: true }).first().click();
      // It starts with the workspace, and asks all the same.
      await window.toast('“Search” wants to start with this workspace.');
      await story.picture();
      await window.pressToast('wants to start', 'Not Now');
      await window.page.keyboard.press('Escape'); // the newest has the editor of trust lie over all else
      await tunnels.pressInline('Dashboard', 'Start Preset');
      const { message, detail } = await window.modal();
      assert.equal(message, 'Start “Dashboard” from the workspace settings?');
      assert.match(detail, new RegExp(`${port}.*${bench.webPort}`, 's'));
      await story.picture();
      await window.pressModal('Start');
      await window.toast('is ready');
      story.end();
      await window.screenshot(`story-teammate${suffix}-5`);
      assert.equal(await fetchPage(port), 'the page behind web01');
      assert.equal((await exchange(other, Buffer.from('x'))).end, 'ECONNREFUSED');

      // What is drawn as marks (“·”, “→”, a circle) is said in words.
      const exceptMarks = ['label-content-name-mismatch'];
      assert.deepEqual(await axeFindings(window.page, '.part.sidebar .pane-body', exceptMarks), []);
      // VS Code adds to some that they have actions.
      const said = (await tunnels.rows()).map(({ accessibleLabel }) =>
        accessibleLabel.replace(/, has actions$|\s+$/, ''),
      );
      assert.deepEqual(said.slice(1), [
        `Tunnel Dashboard, ready, localhost:${port} to ${target}`,
        'Presets',
        `Preset Dashboard, ready, ${target} via web01`,
        `Preset Search, ${target} via web01, stopped`,
      ]);
      assert.match(said[0] ?? '', /^SSH connection to web01, ready, /);
    });
  });
});
