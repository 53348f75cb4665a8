import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { chromium, type Browser, type BrowserContext } from 'playwright-core';
import { madeFolder } from './madeFolder';
import { repositoryRoot } from './vscodeServer';

const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'];
flags.push(
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--font-render-hinting=none',
);

/** A headless Chromium: the one that CHROME_PATH names, else the one inside the npm package @sparticuz/chromium (Linux x64). */
export async function launchBrowser(): Promise<Browser> {
  const installed = process.env['CHROME_PATH'];
  if (installed) return chromium.launch({ executablePath: installed, args: flags });

  const folder = await unpackedChromium();
  const env = {
    ...process.env,
    LD_LIBRARY_PATH: join(folder, 'al2023/lib'),
    FONTCONFIG_PATH: folder,
    FONTCONFIG_FILE: await writeFontsConfig(folder),
  };
  return chromium.launch({ executablePath: join(folder, 'chromium'), env, args: flags });
}

/** VS Code in a browser keeps SecretStorage in memory, and loses it on reload, unless its server offers a key to seal it with. */
export async function persistSecrets(context: BrowserContext, port: number): Promise<void> {
  await context.addCookies([{ name: 'vscode-secret-key-path', value: '/mint-key', url: `http://localhost:${port}` }]);
  await context.route('**/mint-key', (route) =>
    route.fulfill({ status: 200, contentType: 'application/octet-stream', body: Buffer.alloc(32, 7) }),
  );
}

async function unpackedChromium(): Promise<string> {
  const manifest = await readFile(join(repositoryRoot, 'node_modules/@sparticuz/chromium/package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  return madeFolder(join(repositoryRoot, 'node_modules/.cache/chromium', version), async (staging) => {
    // It unpacks into $TMPDIR, takes whatever lies there already for its own, and brings NSS and fonts only when it believes
    // to be in that runtime: hence a process with an environment of its own.
    const program = "import chromium from '@sparticuz/chromium'; await chromium.executablePath();";
    const env = { ...process.env, TMPDIR: staging, AWS_LAMBDA_JS_RUNTIME: 'nodejs22.x' };
    await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { cwd: repositoryRoot, env });
  });
}

/**
 * The package's own fonts.conf lists folders of a Lambda only, and without a font all text has no width and VS Code stays empty.
 * Its Open Sans comes first, so that pictures look alike on every machine; those of the system add what it lacks.
 */
async function writeFontsConfig(folder: string): Promise<string> {
  const alias = (family: string, preferred: string) =>
    `<alias binding="strong"><family>${family}</family><prefer><family>${preferred}</family></prefer></alias>`;
  const path = join(folder, 'vscode-fonts.conf');
  await writeFile(
    path,
    [
      '<?xml version="1.0"?>',
      '<!DOCTYPE fontconfig SYSTEM "fonts.dtd">',
      '<fontconfig>',
      `<dir>${join(folder, 'fonts/fonts')}</dir>`,
      '<dir>/usr/share/fonts</dir>',
      `<cachedir>${join(folder, 'fonts-cache')}</cachedir>`,
      alias('system-ui', 'Open Sans'),
      alias('sans-serif', 'Open Sans'),
      alias('monospace', 'DejaVu Sans Mono'),
      '</fontconfig>',
      '',
    ].join('\n'),
  );
  return path;
}
