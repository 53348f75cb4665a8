// One lease of a tunnel: of all windows that want it one has it, and the others hear from that one until it lets go or dies.
// Whoever wants it listens under a name of its own and then looks who else does: of two that begin at once at least one sees
// the other. It yields to those whose names go before its own, and to one that has it; it has it when nobody is left.
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from '../core/failure.js';
import { isDead, type LeaseRoom, type Place } from './leaseRoom.js';

export interface Lease {
  /** Wants it, until told otherwise. */
  contend(): void;
  /** What all who want it hear of it while it is had; a line of text. */
  tell(word: string): void;
  /** Wants it no more, and lets go of it with a last word; goes on hearing from whoever has it. */
  observe(lastWord?: string): void;
  /** Lets go of it. */
  close(): Promise<void>;
}

export interface LeaseListener {
  /** It is had. */
  onOwned(): void;
  /** Another one has it and says so, told when it changes; undefined: it says nothing any more, or nothing that can be read. */
  onHeard(word: string | undefined): void;
  /** It can't be known who has it; that is the end of the lease. */
  onBroken(error: unknown): void;
}

/** How long one may be silent who is to say how the tunnel stands, in milliseconds, and one who has said it. */
const silenceMs = 1000;
const laterSilenceMs = 6000;
/** How often whoever has it says the same again: silence tells of one that is frozen. */
const repeatMs = 2500;
/** How often one who only observes looks for one that has it. */
const lookMs = 1000;
/** Between two tries for what is about to go. */
const pauseMs = 50;
/** Tries to connect to one that neither answers nor is dead. */
const mostTries = 40;
/** Of what one says, and of what one does not take: bytes. */
const longestLine = 256 * 1024;
/** How long who hears the last word may take to read it. */
const lastWordMs = 200;

export function openLease(room: LeaseRoom, identity: string, listener: LeaseListener): Lease {
  const key = room.keyOf(identity);
  /** What was said to each. */
  const listeners = new Map<Socket, Place>();
  const closing = new AbortController();
  let wanted = false;
  let owned = false;
  let word = '';
  /** The mode has changed. */
  let wake = () => {};
  let followed: Socket | undefined;
  /** Since when nobody has proven to be a window, on the clock of `performance`. */
  let unprovenSince = performance.now();

  const changed = (ms?: number) =>
    new Promise<void>((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(() => wake(), ms);
      wake = () => {
        clearTimeout(timer);
        wake = () => {};
        resolve();
      };
      if (closing.signal.aborted) wake();
    });
  const pause = () => sleep(pauseMs, undefined, { signal: closing.signal }).catch(() => {});

  const say = (socket: Socket, place: Place) => {
    // It is frozen, or has other things to do than to listen.
    if (socket.writableLength > longestLine) socket.destroy();
    else socket.write(`${room.seal(word, place)}\n`);
    place.count++;
  };
  const sayToAll = () => listeners.forEach((place, socket) => say(socket, place));
  const sockets = new Set<Socket>();
  const welcome = (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => {
      sockets.delete(socket);
      listeners.delete(socket);
    });
    const listens = (challenge: string | undefined) => {
      const place = { key, challenge, count: 0 };
      listeners.set(socket, place);
      if (owned) say(socket, place);
    };
    const challenges = room.challenge() !== undefined;
    if (!challenges) listens(undefined);
    let told = '';
    socket.on('data', (data) => {
      told += data.toString('latin1');
      if (challenges && /^[0-9a-f]{0,32}$/.test(told)) return;
      if (challenges && /^[0-9a-f]{32}\n$/.test(told)) listens(told.trimEnd());
      // There is nothing else to say to one that has it.
      else socket.destroy();
    });
  };
  /** All that have been said to them is with them, or with the system. */
  const dismiss = () => {
    for (const socket of [...sockets]) {
      const late = setTimeout(() => socket.destroy(), lastWordMs);
      socket.on('close', () => clearTimeout(late));
      socket.end(() => socket.destroy());
    }
  };

  /** Listens to another one until it is gone; whether it was there. `heard` is called before what is heard is told. */
  const follow = async (name: string, connected: () => void, heard: () => void): Promise<boolean> => {
    for (let tries = 0; !closing.signal.aborted; tries++) {
      const socket = room.connectTo(name);
      followed = socket;
      const place = { key, challenge: room.challenge(), count: 0 };
      /** What was told last. */
      let told: { word: string | undefined } | undefined;
      const tell = (word: string | undefined) => {
        if (told && told.word === word) return;
        told = { word };
        listener.onHeard(word);
      };
      let silent = setTimeout(() => tell(undefined), silenceMs);
      // A stranger may have taken the name of what no window has now.
      const left = wanted ? Math.max(0, unprovenSince + room.unprovenMs - performance.now()) : room.unprovenMs;
      const unproven = left === Infinity ? undefined : setTimeout(() => socket.destroy(), left);
      let isProven = false;
      let isConnected = false;
      let code = '';
      socket.on('error', (error) => (code = errorCode(error)));
      socket.on('connect', () => {
        isConnected = true;
        if (place.challenge !== undefined) socket.write(`${place.challenge}\n`);
        connected();
      });
      onLines(socket, (line) => {
        const said = line === undefined ? undefined : room.unseal(line, place);
        place.count++;
        clearTimeout(silent);
        silent = setTimeout(() => tell(undefined), laterSilenceMs);
        if (said !== undefined) {
          isProven = true;
          clearTimeout(unproven);
        }
        heard();
        tell(said);
      });
      await new Promise((resolve) => socket.once('close', resolve));
      clearTimeout(silent);
      clearTimeout(unproven);
      followed = undefined;
      if (isProven) unprovenSince = performance.now();
      if (isConnected && wanted && performance.now() - unprovenSince >= room.unprovenMs)
        throw new Error('another program answers in the place of a window');
      if (isConnected) return true;
      if (code === 'ENOENT') return false;
      if (isDead(code)) {
        room.bury(name);
        return false;
      }
      if (tries >= mostTries) throw new Error(`who has a tunnel can’t be asked (${code})`);
      await pause();
    }
    return false;
  };

  const contend = async () => {
    const contender = await room.enter(key, welcome);
    let isIn = true;
    let repeating: NodeJS.Timeout | undefined;
    const leave = () => {
      if (isIn) contender?.leave();
      isIn = false;
      dismiss();
    };
    try {
      for (const rival of room.contenders(key)) {
        if (rival === contender?.name) continue;
        const begun = performance.now();
        const goesFirst = !contender || rival < contender.name;
        const wasThere = await follow(rival, () => goesFirst && leave(), leave);
        if (!wanted || closing.signal.aborted) return;
        if (isIn) continue;
        // One that is soon gone may come back as soon.
        if (wasThere && performance.now() - begun < pauseMs) await pause();
        return;
      }
      if (!contender) return await pause();
      if (!wanted || closing.signal.aborted) return;
      owned = true;
      listener.onOwned();
      sayToAll();
      repeating = setInterval(sayToAll, repeatMs);
      while (owned && !closing.signal.aborted) await changed();
    } finally {
      clearInterval(repeating);
      owned = false;
      leave();
    }
  };

  const look = async () => {
    const ignore = () => {};
    for (const name of room.contenders(key)) if (await follow(name, ignore, ignore)) break;
    if (!wanted) await changed(lookMs);
  };

  const run = async () => {
    while (!closing.signal.aborted) await (wanted ? contend() : look());
  };
  let running: Promise<void> | undefined;
  const begin = () => {
    running ??= run().catch((error: unknown) => {
      if (!closing.signal.aborted) listener.onBroken(error);
    });
  };

  return {
    contend() {
      if (!wanted) unprovenSince = performance.now();
      wanted = true;
      begin();
      wake();
    },
    tell(next) {
      if (next === word) return;
      word = next;
      if (owned) sayToAll();
    },
    observe(lastWord) {
      if (owned && lastWord !== undefined) {
        word = lastWord;
        sayToAll();
      }
      wanted = false;
      owned = false;
      begin();
      wake();
    },
    async close() {
      closing.abort();
      followed?.destroy();
      wake();
      await running;
      await Promise.all([...sockets].map((socket) => new Promise((closed) => socket.once('close', closed))));
    },
  };
}

/** Calls for every line of what a socket says; undefined for one that is too long. */
function onLines(socket: Socket, onLine: (line: string | undefined) => void): void {
  let rest = '';
  let isTooLong = false;
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      onLine(isTooLong ? undefined : line);
      isTooLong = false;
    }
    if (rest.length <= longestLine) return;
    rest = '';
    isTooLong = true;
  });
}
