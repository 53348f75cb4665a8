// Two windows that want the same tunnel: one has it, and the other says so and takes it over.
import assert from 'node:assert/strict';
import { eventually } from '../support/eventually.js';
import { inBothThemes } from '../support/extensionWindows.js';
import { freePort, killAll } from '../support/sshd.js';
import { fetchPage } from '../support/targets.js';
import { useWindowBench } from '../support/windowBench.js';
import type { View, Workbench } from '../support/workbench.js';

const page = 'the page behind web01';

describe('a tunnel that two windows want', () => {
  const bench = useWindowBench();
  let port: number;
  let first: View;
  let other: Workbench;
  let second: View;

  before(async () => {
    port = await freePort();
    const forward = `-L 127.0.0.1:${port}:localhost:${bench.webPort}`;
    await bench.open('two', {
      colorTheme: 'Default Dark Modern',
      settings: {
        'sshTunnels.sshConfigFile': bench.sshd.configPath('web01'),
        'sshTunnels.presets': [{ name: 'Shop page', host: 'web01', forwards: [forward] }],
      },
    });
    first = await bench.openView();
    other = await bench.openBeside('docs');
    second = await bench.openView();
    await other.widenSideBar(420);
  });

  /** What the rows of the connection and of its tunnel say. */
  const shows = (view: View, ...expected: [connection: RegExp, forward: RegExp]) =>
    eventually(async () => {
      const rows = await view.rows();
      for (const [at, text] of expected.entries()) assert.match(rows[at]?.description.split(' · ')[0] ?? '', text);
    });

  it('is shown as that of the other window where it was started later', async () => {
    await first.pressInline('Shop page', 'Start Preset');
    await shows(first, /^ready$/, /^ready$/);
    await second.pressInline('Shop page', 'Start Preset');
    await other.toast('is ready in another window.');
    await shows(second, /^ready in another window$/, /^ready in another window$/);
    const [connection, forward] = await second.rows();
    assert.deepEqual([connection!.icon, forward!.icon], ['multiple-windows', 'multiple-windows']);
    assert.equal(forward!.expanded, undefined);
    assert.deepEqual(await second.inlineActions('Shop page'), ['Open in Browser', 'Copy Address (Ctrl+C)', 'Stop']);
    const tooltip = await second.tooltip('Shop page');
    assert.match(
      tooltip,
      /Another window of VS Code runs it\. It is taken over here when that window stops it or closes\./,
    );
    assert.match(tooltip, /Stop takes it off this window alone\./);
    await inBothThemes(other, 'another-window');
  });

  it('is shown as retrying where the other window retries, which alone can be told to do so at once', async () => {
    const sessions = bench.sshd.sessions();
    await bench.sshd.stopListening();
    killAll(sessions);
    await shows(first, /^retrying (in|now)/, /^retrying (in|now)/);
    await shows(second, /^retrying in another window$/, /^retrying in another window$/);
    assert.deepEqual(await second.inlineActions('Shop page'), ['Stop']);
    await other.screenshot('retrying-in-another-window');
    await bench.sshd.start();
    await shows(second, /^ready in another window$/, /^ready in another window$/);
  });

  it('is taken over when the other window stops it', async () => {
    await first.press('Shop page', 'Delete');
    await shows(first, /^stopped$/, /^stopped$/);
    await shows(second, /^ready$/, /^ready$/);
    assert.equal(await fetchPage(port), page);
  });
});
