import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { eventually } from '../support/eventually.js';
import { freePort, startSshd, type Sshd } from '../support/sshd.js';
import { echo, exchange, startTarget, type Target } from '../support/targets.js';
import { extensionUnderTest } from './extensionUnderTest.js';

describe('tasks of type tunnel inside VS Code', () => {
  const { activate, configure, run, forwards, presets, notices, lastNotice, become, removeAll } = extensionUnderTest();
  let sshd: Sshd;
  let service: Target;
  let ports: { echo: number; closed: number };
  let closed: number;
  /** How often somebody has come to the target. */
  let visits = 0;

  before(async () => {
    await activate();
    sshd = await startSshd();
    service = await startTarget((socket) => {
      visits++;
      echo(socket);
    });
    await configure('sshConfigFile', sshd.configPath('web01'));
    ports = { echo: await freePort(), closed: await freePort() };
    closed = await freePort();
    // Of the user, who needs no consent: a test inside VS Code can’t answer a modal question.
    await configure('presets', [
      {
        name: 'Echo',
        host: 'web01',
        forwards: [`-L ${ports.echo}:localhost:${service.port}`],
        terminalVariables: true,
      },
      { name: 'Closed', host: 'web01', forwards: [`-L ${ports.closed}:localhost:${closed}`] },
      { name: 'Auto', host: 'web01', forwards: [`-L auto:localhost:${service.port}`] },
    ]);
    await eventually(() => assert.equal(presets().length, 3));
  });
  afterEach(async () => {
    for (const execution of vscode.tasks.taskExecutions) execution.terminate();
    await eventually(() => assert.equal(vscode.tasks.taskExecutions.length, 0));
    await removeAll();
  });
  after(async () => {
    await configure('presets', undefined);
    await configure('sshConfigFile', undefined);
    await service.close();
    await sshd.stop();
  });

  const taskOf = async (name: string): Promise<vscode.Task> => {
    const task = (await vscode.tasks.fetchTasks({ type: 'tunnel' })).find((one) => one.name === name);
    assert.ok(task, `there is a task ${name}`);
    return task;
  };
  /** As tasks.json has it, whose label and type are all that a user writes of it. */
  const withDefinition = (task: vscode.Task, more: object): vscode.Task => {
    const changed = new vscode.Task(
      { ...task.definition, ...more },
      vscode.TaskScope.Workspace,
      task.name,
      task.source,
      task.execution,
      task.problemMatchers,
    );
    changed.isBackground = true;
    return changed;
  };
  const ended = (execution: vscode.TaskExecution) =>
    new Promise<void>((resolve) => {
      const listening = vscode.tasks.onDidEndTask((event) => {
        if (event.execution !== execution) return;
        listening.dispose();
        resolve();
      });
    });
  /** Starts a task, and waits until it has tried the target. */
  const begin = async (name: string): Promise<vscode.TaskExecution> => {
    const before = visits;
    const execution = await vscode.tasks.executeTask(await taskOf(name));
    await eventually(() => assert.ok(visits > before, 'the task has tried its target'));
    return execution;
  };
  const answers = async (port: number) =>
    assert.equal(String((await exchange(port, Buffer.from('ping'))).received), 'ping');

  it('are there for each preset, in the background, with a matcher that tells when they are ready', async () => {
    const tasks = await vscode.tasks.fetchTasks({ type: 'tunnel' });
    assert.deepEqual(
      tasks.map(({ name, source, isBackground, problemMatchers }) => ({ name, source, isBackground, problemMatchers })),
      ['Echo', 'Closed', 'Auto'].map((name) => ({
        name,
        source: 'tunnel',
        isBackground: true,
        problemMatchers: ['$ssh-tunnel'],
      })),
    );
  });

  it('stop with the end of the task what the task has started', async () => {
    const execution = await begin('Echo');
    await become('ready');
    await answers(ports.echo);
    execution.terminate();
    await eventually(() => assert.deepEqual(forwards(), []));
    await eventually(async () => assert.equal((await exchange(ports.echo, Buffer.from('x'))).end, 'ECONNREFUSED'));
  });

  it('leave a tunnel that ran before', async () => {
    const preset = { name: 'Echo', scope: { kind: 'user' } };
    await run('startPreset', { kind: 'preset', preset });
    await become('ready');
    const execution = await begin('Echo');
    const over = ended(execution);
    execution.terminate();
    await over;
    await become('ready');
    await answers(ports.echo);
  });

  it('leave what was asked for by hand, or for launch.json, while they ran', async () => {
    const preset = { name: 'Echo', scope: { kind: 'user' } };
    for (const ask of [
      () => run('startPreset', { kind: 'preset', preset }),
      () => run('localPort', { preset: 'Echo' }),
    ]) {
      const execution = await begin('Echo');
      await become('ready');
      await ask();
      const over = ended(execution);
      execution.terminate();
      await over;
      await answers(ports.echo);
      await become('ready');
      await removeAll();
    }
  });

  it('end when their tunnel is stopped', async () => {
    const execution = await begin('Echo');
    const over = ended(execution);
    await become('ready');
    await run('stop', { kind: 'forward', id: forwards()[0]!.id });
    await over;
  });

  it('fail after their time when the target does not answer, and say why', async () => {
    const execution = await vscode.tasks.executeTask(withDefinition(await taskOf('Closed'), { timeoutSeconds: 2 }));
    await ended(execution);
    assert.match(lastNotice(), /^The task “Closed” has failed\. Not ready within 2 s\. .* refused the connection/);
    await eventually(() => assert.deepEqual(forwards(), []));
  });

  it('say what is wrong with them', async () => {
    const execution = await vscode.tasks.executeTask(withDefinition(await taskOf('Echo'), { preset: 'Nothing' }));
    await ended(execution);
    assert.match(lastNotice(), /No preset is called “Nothing”/);
    assert.deepEqual(forwards(), []);
  });

  it('have the port of a preset given to launch.json, once the preset is ready', async () => {
    assert.equal(await run('localPort', { preset: 'Echo' }), String(ports.echo));
    await answers(ports.echo);
    assert.equal(await run('localPort', { preset: 'Echo' }), String(ports.echo));
    await become('ready');
    // The one that runs.
    assert.equal(await run('localPort'), String(ports.echo));
    await removeAll();
    const port = Number(await run('localPort', { preset: 'Auto' }));
    await answers(port);
  });

  it('have the port given to a launch configuration by its preLaunchTask, which then takes over', async () => {
    const port = Number(await run('localPort', { type: 'node', preLaunchTask: 'tunnel: Auto' }));
    await answers(port);
    const execution = await begin('Auto');
    await become('ready');
    assert.equal(Number(await run('localPort', { type: 'node', preLaunchTask: 'Auto' })), port);
    const over = ended(execution);
    await answers(port);
    await run('stop', { kind: 'forward', id: forwards()[0]!.id });
    await over;
  });

  it('refuse in words to tell the port of what is no preset, or has failed', async () => {
    const before = notices().length;
    assert.equal(await run('localPort', { preset: 'Nothing' }), undefined);
    assert.ok(notices().length > before, 'it is said');
    assert.match(lastNotice(), /No preset is called “Nothing”/);
    const blocked = await startTarget(echo);
    const presetsBefore = vscode.workspace.getConfiguration('sshTunnels').get<object[]>('presets')!;
    await configure('presets', [
      ...presetsBefore,
      { name: 'Taken', host: 'web01', forwards: [`-L 127.0.0.1:${blocked.port}:localhost:80`] },
    ]);
    await eventually(() => assert.equal(presets().length, 4));
    assert.equal(await run('localPort', { preset: 'Taken' }), undefined);
    assert.match(lastNotice(), /^There is no port of “Taken”\. .*in use/);
    await configure('presets', presetsBefore);
    await blocked.close();
  });

  it('have new terminals know the port while the preset is ready that asks for it', async () => {
    const environment = async (): Promise<string> => {
      const terminal = vscode.window.createTerminal({ shellPath: '/bin/sh', name: 'environment' });
      try {
        const file = vscode.Uri.joinPath(vscode.Uri.file(process.env['SSH_TUNNELS_TEST_TMP']!), `env-${Date.now()}`);
        terminal.sendText(`env > '${file.fsPath}.part' && mv '${file.fsPath}.part' '${file.fsPath}'`);
        return await eventually(async () => String(await vscode.workspace.fs.readFile(file)));
      } finally {
        terminal.dispose();
      }
    };
    await run('startPreset', { kind: 'preset', preset: { name: 'Echo', scope: { kind: 'user' } } });
    await become('ready');
    assert.match(await environment(), new RegExp(`^SSH_TUNNEL_ECHO_PORT=${ports.echo}$`, 'm'));
    await removeAll();
    await eventually(async () => assert.doesNotMatch(await environment(), /SSH_TUNNEL_/));
  });
});
