// A newer OpenSSH than the system's: that of Debian testing, from the mirror that apt here is configured with. Its packages
// are unpacked into a folder, not installed, and its programs run with the C library that came with them.
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { madeFolder } from './madeFolder.js';
import type { SshdProgram } from './sshd.js';
import { repositoryRoot } from './vscodeServer.js';

export interface OpenSsh {
  /** As `ssh -V` prints it: `OpenSSH_10.0p2 Debian-7, OpenSSL ...`. */
  version: string;
  sshd: SshdProgram;
  /** The client's program. */
  ssh: string;
}

const folder = join(repositoryRoot, 'out', 'newerOpenSsh');
const timeLimitMs = 60_000;
const runFile = promisify(execFile);

/** The newer OpenSSH; made once, within a minute. Where it can't be had: why. */
export async function newerOpenSsh(): Promise<OpenSsh | { missing: string }> {
  try {
    await madeFolder(folder, fill);
    const program = (name: string) => join(folder, 'run', name);
    const { stderr } = await runFile(program('ssh'), ['-V']);
    return {
      version: stderr.trim(),
      ssh: program('ssh'),
      sshd: {
        command: [program('sshd')],
        config: [
          `SshdSessionPath "${program('sshd-session')}"`,
          `SshdAuthPath "${program('sshd-auth')}"`,
          // It turns away for a while whoever failed to log in, and all tests come from one address.
          'PerSourcePenalties no',
        ],
      },
    };
  } catch (error) {
    return { missing: `Debian testing's OpenSSH is not to be had here: ${firstLine(error)}` };
  }
}

async function fill(staging: string): Promise<void> {
  const signal = AbortSignal.timeout(timeLimitMs);
  const mirror = await debianMirror();
  const apt = join(staging, 'apt');
  const file = (name: string) => join(apt, name);
  for (const name of ['lists/partial', 'cache/archives/partial', 'sources'])
    await mkdir(file(name), { recursive: true });
  await writeFile(
    file('sources/testing.sources'),
    [
      ...['Types: deb', `URIs: ${mirror}`, 'Suites: testing', 'Components: main'],
      ...['Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg', ''],
    ].join('\n'),
  );
  // As if nothing were installed, so that all it needs is fetched.
  await writeFile(file('status'), '');
  const options = {
    'Dir::Etc::SourceList': '/dev/null',
    'Dir::Etc::SourceParts': file('sources'),
    'Dir::State::Lists': file('lists'),
    'Dir::State::Status': file('status'),
    'Dir::State::Extended_States': file('extended_states'),
    'Dir::Cache': file('cache'),
    'Acquire::Languages': 'none',
    'Acquire::Retries': '1',
    'Acquire::http::Timeout': '10',
    'APT::Update::Error-Mode': 'any',
  };
  const aptGet = (...args: readonly string[]) =>
    runFile(
      'apt-get',
      [...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]), '-qq', ...args],
      { signal },
    );
  await aptGet('update');
  await aptGet(
    // The lock is the system's, and only root can take it; nothing is installed here.
    ...['install', '--download-only', '--yes', '--no-install-recommends', '-o', 'Debug::NoLocking=1'],
    ...['openssh-server', 'openssh-client'],
  );
  const archives = (await readdir(file('cache/archives'))).filter((name) => name.endsWith('.deb'));
  for (const archive of archives)
    await runFile('dpkg-deb', ['--extract', join(file('cache/archives'), archive), staging], { signal });
  await rm(apt, { recursive: true });
  await writeRunners(staging);
}

/** What apt is told of this very Debian, wherever that is. */
async function debianMirror(): Promise<string> {
  const os = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  const codename = /^VERSION_CODENAME="?([^"\n]+)/m.exec(os)?.[1];
  if (!/^ID="?debian"?$/m.test(os) || codename === undefined) throw new Error('this is no Debian');
  const { stdout } = await runFile('apt-get', [
    ...['indextargets', '--no-release-info', '--format', '$(RELEASE) $(COMPONENT) $(REPO_URI)', 'Created-By: Packages'],
  ]);
  const mirror = stdout
    .split('\n')
    .map((line) => line.split(' '))
    .find(([release, component]) => release === codename && component === 'main')?.[2];
  if (mirror === undefined) throw new Error(`apt knows no mirror of Debian ${codename}`);
  return mirror;
}

/** Scripts that start each program with its own loader, also when sshd starts the next one. */
async function writeRunners(root: string): Promise<void> {
  const libraries = await first(root, ['usr/lib'], /-linux-gnu/);
  const loader = await first(root, ['usr/lib64', 'usr/lib'], /^ld-linux.*\.so/);
  await mkdir(join(root, 'run'));
  for (const path of ['usr/sbin/sshd', 'usr/bin/ssh', 'usr/lib/openssh/sshd-session', 'usr/lib/openssh/sshd-auth']) {
    const script = join(root, 'run', path.split('/').at(-1)!);
    const line = `exec "$root/${loader}" --library-path "$root/${libraries}" "$root/${path}" "$@"`;
    await writeFile(script, `#!/bin/sh\nroot="\${0%/*}/.."\n${line}\n`);
    await chmod(script, 0o755);
  }
}

async function first(root: string, folders: readonly string[], name: RegExp): Promise<string> {
  for (const folder of folders.filter((one) => existsSync(join(root, one)))) {
    const found = (await readdir(join(root, folder))).find((entry) => name.test(entry));
    if (found !== undefined) return `${folder}/${found}`;
  }
  throw new Error('the packages hold no C library');
}

/** The first error of a program's, past its warnings. */
function firstLine(error: unknown): string {
  if (error instanceof Error && error.name === 'AbortError') return `it took more than ${timeLimitMs / 1000} s`;
  const { stderr, message } = error as { stderr?: string; message: string };
  const lines = (stderr || message).trim().split('\n');
  return lines.find((line) => line.startsWith('E: ')) ?? lines[0]!;
}
