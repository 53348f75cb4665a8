// The story of README: F5 debugs a program against a database that only the bastion reaches. Its files are README’s own.
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { eventually } from '../../support/eventually.js';
import { startFaultyNetwork, whyNoFaultyNetwork, type FaultyNetwork } from '../../support/faultyNetwork.js';
import { startPostgres, whyNoPostgres, type Postgres } from '../../support/postgres.js';
import { readmeFiles } from '../../support/readmeFiles.js';
import { startSshd, type Machine, type Sshd } from '../../support/sshd.js';
import { beginStory } from '../../support/story.js';
import { repositoryRoot } from '../../support/vscodeServer.js';
import { useWindowBench } from '../../support/windowBench.js';
import type { Workbench } from '../../support/workbench.js';

const rows = `
create role reader login;
create database billing;
\\c billing
create table invoices (customer text, amount integer);
insert into invoices values ('Grace', 40), ('Ada', 12);
grant select on invoices to reader;
`;

describe('a database behind a bastion', function () {
  const bench = useWindowBench();
  let network: FaultyNetwork | undefined;
  let bastion: Sshd | undefined;
  let database: Postgres | undefined;
  let window: Workbench;
  let shop: string;

  before(async function () {
    const whyNot = whyNoFaultyNetwork() ?? whyNoPostgres();
    if (whyNot !== undefined) {
      console.log(`Skipped: ${whyNot}`);
      this.skip();
    }
    network = await startFaultyNetwork();
    database = await startPostgres(network.machine.command, rows);
    bastion = await startSshd({
      machine: withHosts(network.machine, join(bench.windows.tmp, 'hosts')),
      config: ['PermitOpen db.internal:5432'],
    });
    shop = join(bench.windows.tmp, 'debug/shop');
    for (const [path, content] of Object.entries(readmeFiles('Debug against a database behind a bastion'))) {
      mkdirSync(dirname(join(shop, path)), { recursive: true });
      writeFileSync(join(shop, path), content);
    }
    // As `npm install postgres` leaves it.
    mkdirSync(join(shop, 'node_modules'));
    symlinkSync(join(repositoryRoot, 'node_modules/postgres'), join(shop, 'node_modules/postgres'));
    window = await bench.open('debug', {
      trust: 'ask',
      builtin: ['ms-vscode.js-debug'],
      colorTheme: 'Default Dark Modern',
      settings: {
        'sshTunnels.sshConfigFile': bastion.configPath('bastion'),
        'terminal.integrated.tabs.hideCondition': 'never',
      },
    });
    await window.answerTrust(true);
    await bench.openView();
  });
  after(async () => {
    await bastion?.stop();
    await database?.stop();
    await network?.close();
  });

  it('is debugged against by F5 alone, and by nothing that a problem matcher or a wait would take', async () => {
    await bench.shows('Presets · ', 'Billing DB · db.internal:5432 via bastion');
    const story = beginStory(window, 'debug against the database', 'debug-database');
    await window.page.keyboard.press('F5');
    const asked = await window.modal();
    assert.equal(asked.message, 'Start “Billing DB” from the workspace settings?');
    await story.picture();
    await window.pressModal('Start');
    await eventually(async () => assert.match(await debugConsole(), /Ada owes 12[\s\S]*Grace owes 40/), 60_000);
    await story.picture();
    story.end();
    // Older ones show Run and Debug in its place.
    await bench.openView();
    // The task ends with the debugging, and the tunnel with it.
    await bench.shows('Presets · ', 'Billing DB · db.internal:5432 via bastion');
  });

  it('is not debugged against while it does not answer: the task says why, and fails', async () => {
    await database!.stop();
    database = undefined;
    const tasks = join(shop, '.vscode/tasks.json');
    writeFileSync(
      tasks,
      readFileSync(tasks, 'utf8').replace('"type": "tunnel",', '"type": "tunnel", "timeoutSeconds": 3,'),
    );
    appendFileSync(join(shop, 'invoices.js'), "require('node:fs').writeFileSync(__dirname + '/ran', '');\n");
    // While the debugging before ends, F5 does nothing.
    await window.page
      .locator('.part.statusbar.debugging, .debug-toolbar:visible')
      .first()
      .waitFor({ state: 'detached' });
    await window.page.keyboard.press('F5');
    const { text } = await window.toast('The task “Billing DB” has failed.');
    assert.match(text, /Not ready within 3 s\. .*db\.internal:5432/);
    await window.runCommand('Terminal: Focus Terminal');
    await window.screenshot('tunnel-task-failed');
    assert.equal(existsSync(join(shop, 'ran')), false);
  });

  it('is reached by a task that names the host itself, once the user has agreed to that', async () => {
    await window.dismissToasts();
    // The test before has stopped it.
    database ??= await startPostgres(network!.machine.command, rows);
    const task = { label: 'Reach it', type: 'tunnel', host: 'bastion', forward: '-L auto:db.internal:5432' };
    writeFileSync(join(shop, '.vscode/tasks.json'), JSON.stringify({ version: '2.0.0', tasks: [task] }));
    await eventually(async () => {
      await window.runCommand('Tasks: Run Task');
      await window.quickInput.type('Reach it');
      const offered = (await window.quickInput.items()).map(({ label }) => label);
      // It may not have read the file yet, and does not look again while the list is open.
      if (!offered.includes('Reach it')) await window.quickInput.dismiss();
      assert.ok(offered.includes('Reach it'), offered.join());
    }, 30_000);
    await window.quickInput.pick('Reach it');
    const { message, detail } = await window.modal();
    assert.equal(message, 'Start “Reach it” from the workspace’s tasks?');
    assert.match(detail, /db\.internal:5432, as bastion sees it/);
    await window.pressModal('Start');
    await eventually(async () => assert.match((await bench.rows())[1] ?? '', /^Reach it · ready/));
    await window.runCommand('Terminal: Focus Terminal'); // a task that does not fail leaves it hidden
    // The check mark: VS Code's own sign that a task in the background has done what others wait for.
    const tab = window.page.locator('.tabs-list .monaco-list-row', { hasText: 'Reach it' });
    await eventually(async () => assert.equal(await badgeOf('Reach it'), '\ueab2'));
    // Its middle is where its buttons come.
    await tab.click({ position: { x: 12, y: 10 } });
    await window.screenshot('tunnel-task-ready');
    await window.runCommand('Tasks: Terminate Task');
    await window.quickInput.pick('Reach it');
    await bench.shows('Presets · ', 'Billing DB · db.internal:5432 via bastion');
  });

  /** The codicon behind a terminal's name, which is drawn by a style alone. Its number is before the name. */
  const badgeOf = async (label: string) => {
    const icon = `.tabs-list [aria-label$="${label}"] .monaco-icon-label`;
    const content = `getComputedStyle(document.querySelector(${JSON.stringify(icon)}), '::after').content`;
    return (await window.page.evaluate<string>(content)).replaceAll('"', '');
  };
  const debugConsole = () => window.page.locator('.repl .monaco-list-rows').innerText();
});

/** A machine that knows the database by its name. */
function withHosts({ address, command }: Machine, file: string): Machine {
  writeFileSync(file, '127.0.0.1 localhost db.internal\n');
  const script = 'mount --bind "$0" /etc/hosts && exec "$@"';
  return { address, command: [...command, 'unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, file] };
}
