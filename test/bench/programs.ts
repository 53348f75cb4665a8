// The two C programs of the benchmark, compiled into its temporary folder.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ensureSystemPackages, packageWith, sshPackages } from '../support/systemPackages.js';

/** Paths of what traffic.c and wire.c became. */
export interface Programs {
  traffic: string;
  wire: string;
}

/** Throws with what to install where there is no C compiler, or no OpenSSH. */
export function buildPrograms(folder: string): Programs {
  // The compiler and the headers of the C library are two packages; only a try tells of the latter.
  const headers = { name: 'libc6-dev', isThere: () => compile('#include <stdio.h>\n').status === 0 };
  ensureSystemPackages([...sshPackages, packageWith('gcc', 'cc')], [headers]);
  const build = (name: string) => {
    const path = join(folder, name);
    const { error, status, stderr } = compile(undefined, join(__dirname, `${name}.c`), '-o', path);
    if (error) throw new Error(`There is no C compiler (cc: ${error.message}). Please install gcc and libc6-dev.`);
    if (status !== 0) throw new Error(`cc could not compile ${name}.c:\n${stderr}`);
    return path;
  };
  return { traffic: build('traffic'), wire: build('wire') };
}

function compile(text: string | undefined, ...args: readonly string[]) {
  const source = text === undefined ? [] : ['-fsyntax-only', '-x', 'c', '-'];
  return spawnSync('cc', ['-O2', ...source, ...args], { input: text ?? '', encoding: 'utf8' });
}
