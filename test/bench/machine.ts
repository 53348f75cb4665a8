// What the machine tells of itself and of processes, from /proc.
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { descendants } from '../support/sshd.js';

/** Linux counts for programs in hundredths of a second, whatever its own clock does. */
const tickSeconds = 0.01;

export interface MachineKind {
  cpu: string;
  cores: number;
  memoryGiB: number;
  kernel: string;
  node: string;
  openssh: string;
}

export function machineKind(): MachineKind {
  const all = cpus();
  const version = spawnSync('ssh', ['-V'], { encoding: 'utf8' }).stderr ?? '';
  return {
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release().split('-')[0]!,
    node: process.version,
    openssh: version.split(',')[0]!.trim(),
  };
}

/** Fields of /proc/pid/stat behind the name, which may hold blanks; none for a process that is gone. */
function statOf(pid: number): readonly number[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
  } catch {
    return [];
  }
}

/** Processor time of a process and its threads. */
export function cpuSeconds(pid: number): number {
  const stat = statOf(pid);
  return ((stat[11] ?? 0) + (stat[12] ?? 0)) * tickSeconds;
}

function memoryOf(pid: number, key: 'VmRSS' | 'VmHWM'): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`${key}:\\s+(\\d+)`).exec(text)![1]) / 1024;
}

/** Resident memory, in MiB. */
export const memoryMiB = (pid: number): number => memoryOf(pid, 'VmRSS');

/** The most that was resident since `forgetPeak`, in MiB. */
export const peakMiB = (pid: number): number => memoryOf(pid, 'VmHWM');

export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** Processor time of all, and of this process with all that it has started, also what has ended. */
function spent(): { all: number; own: number } {
  const [user = 0, nice = 0, system = 0, , , , , steal = 0] = readFileSync('/proc/stat', 'utf8')
    .split('\n')[0]!
    .split(/\s+/)
    .slice(1)
    .map(Number);
  let own = 0;
  for (const pid of [process.pid, ...descendants(process.pid)])
    own += statOf(pid)
      .slice(11, 15)
      .reduce((sum, ticks) => sum + ticks, 0);
  return { all: (user + nice + system + steal) * tickSeconds, own: own * tickSeconds };
}

/** Starts to count; the result tells how many cores other work has taken since. */
export function watchOtherWork(): () => number {
  const [begun, before] = [performance.now(), spent()];
  return () => {
    const after = spent();
    const seconds = (performance.now() - begun) / 1000;
    return Math.max(0, (after.all - before.all - (after.own - before.own)) / seconds);
  };
}

/** Cores of other work beside which a measurement is believed. */
export const quietCores = 0.12;

/** Waits until other work is little, for so long at most; how long it took, in ms. */
export async function untilQuiet(limitMs: number): Promise<number> {
  const begun = performance.now();
  while (performance.now() - begun < limitMs) {
    const otherWork = watchOtherWork();
    await sleep(250);
    if (otherWork() < quietCores) break;
  }
  return performance.now() - begun;
}
