import assert from 'node:assert/strict';
import { networkInterfaces, type NetworkInterfaceInfo } from 'node:os';
import { watchMachine, type Machine, type MachineChange } from '../../src/engine/machineWatch.js';

const hour = 3_600_000;

function ipv4(address: string, more: Partial<NetworkInterfaceInfo> = {}): NetworkInterfaceInfo {
  return { address, netmask: '255.255.255.0', family: 'IPv4', mac: '', internal: false, cidr: null, ...more } as NetworkInterfaceInfo; // prettier-ignore
}
function ipv6(address: string): NetworkInterfaceInfo {
  return {
    address,
    netmask: 'ffff:ffff:ffff:ffff::',
    family: 'IPv6',
    mac: '',
    internal: false,
    cidr: null,
    scopeid: 0,
  };
}

type Network = ReturnType<Machine['interfaces']>;

const loopback = ipv4('127.0.0.1', { internal: true });
const home: Network = { lo: [loopback], wlan0: [ipv4('192.168.1.7'), ipv6('2001:db8:1:2:a:b:c:d'), ipv6('fe80::1')] };

/** A machine whose time goes on when it is told to. */
function makeMachine() {
  let time = 1_700_000_000_000;
  /** What is not the timers' time: sleep, and the clock being set. */
  let skew = 0;
  let network: Network | 'unknown' = home;
  const timers = new Set<{ due: number; act(): void }>();
  const told: string[] = [];
  const start = time;
  const machine: Machine = {
    now: () => time + skew,
    interfaces() {
      if (network === 'unknown') throw new Error('no such call');
      return network;
    },
    after(ms, act) {
      const timer = { due: time + ms, act };
      timers.add(timer);
      return () => timers.delete(timer);
    },
  };
  return {
    machine,
    timers,
    told,
    hear: (change: MachineChange) => void told.push(`${change} at ${(time - start) / 1000}`),
    /** Timers come `late` ms too late. */
    pass(ms: number, late = 0) {
      const until = time + ms;
      for (;;) {
        const [next] = [...timers].sort((a, b) => a.due - b.due);
        if (!next || next.due + late > until) break;
        timers.delete(next);
        time = next.due + late;
        next.act();
      }
      time = until;
    },
    /** The clock goes on, and the timers do not. */
    jump: (ms: number) => (skew += ms),
    become: (next: Network | 'unknown') => (network = next),
  };
}
type Made = ReturnType<typeof makeMachine>;

describe('the watch over this machine', () => {
  const cases: { title: string; run(made: Made): void; told: readonly string[] }[] = [
    { title: 'says nothing while nothing happens', run: ({ pass }) => pass(hour), told: [] },
    { title: 'says nothing of timers that are a little late', run: ({ pass }) => pass(60_000, 2900), told: [] },
    { title: 'takes a thread that stood still for seconds for one that slept', run: ({ pass }) => pass(7000, 4000), told: ['woke at 6'] }, // prettier-ignore
    {
      title: 'notices a sleep in which the timers stood still',
      run({ pass, jump }) {
        pass(5000);
        jump(8 * hour);
        pass(5000);
      },
      told: ['woke at 6'],
    },
    {
      title: 'notices a clock that is set an hour back, once',
      run({ pass, jump }) {
        pass(5000);
        jump(-hour);
        pass(hour);
      },
      told: ['woke at 6'],
    },
    {
      title: 'notices a clock that is set an hour forward, once',
      run({ pass, jump }) {
        pass(4500);
        jump(hour);
        pass(hour);
      },
      told: ['woke at 6'],
    },
    {
      title: 'says nothing of a clock that is set by a second',
      run({ pass, jump }) {
        for (const ms of [1000, -1000, 1000, -2000]) {
          jump(ms);
          pass(3000);
        }
      },
      told: [],
    },
    {
      title: 'tells of a network that has gone, and of another one that has come',
      run({ pass, become }) {
        pass(5000);
        become({ lo: [loopback] });
        pass(5000);
        become({ ...home, wlan0: [ipv4('10.0.0.9')] });
        pass(5000);
      },
      told: ['network at 7', 'network at 12'],
    },
    {
      title: 'tells of a VPN that has come, though all else is the same',
      run({ pass, become }) {
        become({ ...home, tun0: [ipv4('10.8.0.2', { netmask: '255.255.255.255' })] });
        pass(5000);
      },
      told: ['network at 3'],
    },
    {
      title: 'tells of a burst of changes once, when it is over',
      run({ pass, become }) {
        pass(2500);
        for (const last of [1, 2, 3]) {
          become({ wlan0: [ipv4(`10.0.0.${last}`)] });
          pass(1000);
        }
        pass(10_000);
      },
      told: ['network at 6'],
    },
    {
      title: 'tells of a network that came back, too: connections through it may have died',
      run({ pass, become }) {
        pass(1500);
        become({});
        pass(1000);
        become(home);
        pass(5000);
      },
      told: ['network at 4'],
    },
    {
      title: 'tells now and then of one that never settles',
      run({ pass, become }) {
        for (let last = 1; last <= 20; last++) {
          become({ wlan0: [ipv4(`10.0.0.${last}`)] });
          pass(1000);
        }
      },
      told: ['network at 7', 'network at 14'],
    },
    {
      title: 'says nothing of temporary addresses within the same network',
      run({ pass, become }) {
        for (const address of ['2001:db8:1:2:1111:2222:3333:4444', '2001:db8:1:2::9', '2001:db8:1:2:0:1:2:3']) {
          become({ lo: [loopback], wlan0: [ipv4('192.168.1.7'), ipv6('2001:db8:1:2:a:b:c:d'), ipv6(address)] });
          pass(5000);
        }
      },
      told: [],
    },
    {
      title: 'tells of another IPv6 network',
      run({ pass, become }) {
        become({ lo: [loopback], wlan0: [ipv4('192.168.1.7'), ipv6('2001:db8:1:3:a:b:c:d')] });
        pass(5000);
      },
      told: ['network at 3'],
    },
    {
      title: 'says nothing of containers’ interfaces, which have link-local addresses alone, nor of loopback',
      run({ pass, become }) {
        become({ ...home, lo: [], veth1: [ipv6('fe80::2'), ipv6('febf::3')] });
        pass(5000);
      },
      told: [],
    },
    {
      title: 'says nothing of the order in which the system names them',
      run({ pass, become }) {
        become({ wlan0: [...home['wlan0']!].reverse(), lo: [loopback] });
        pass(5000);
      },
      told: [],
    },
    {
      title: 'says nothing while the system does not tell',
      run({ pass, become }) {
        become('unknown');
        pass(5000);
        become(home);
        pass(5000);
      },
      told: [],
    },
    {
      title: 'tells both of a sleep from one network to another',
      run({ pass, jump, become }) {
        pass(1000);
        jump(hour);
        become({ wlan0: [ipv4('10.0.0.1')] });
        pass(5000);
      },
      told: ['woke at 2', 'network at 3'],
    },
  ];
  for (const { title, run, told } of cases)
    it(title, () => {
      const made = makeMachine();
      const end = watchMachine(made.hear, made.machine);
      run(made);
      assert.deepEqual(made.told, told);
      assert.equal(made.timers.size, 1);
      end();
      assert.equal(made.timers.size, 0);
    });

  it('says nothing more once it is ended, also by who hears it', () => {
    const made = makeMachine();
    const end = watchMachine((change) => {
      made.hear(change);
      end();
    }, made.machine);
    made.jump(hour);
    made.become({});
    made.pass(10_000);
    assert.deepEqual(made.told, ['woke at 2']);
    assert.equal(made.timers.size, 0);
  });

  it('looks at the real machine in a time that nobody notices, and keeps no process from its end', () => {
    const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const end = watchMachine(() => {});
    assert.equal(process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length, before);
    end();
    const start = performance.now();
    for (let times = 0; times < 20; times++) networkInterfaces();
    assert.ok((performance.now() - start) / 20 < 20);
  });
});
