import assert from 'node:assert/strict';
import { FailureError, type Failure } from '../../src/core/failure.js';
import { createHolds } from '../../src/core/holds.js';
import {
  removeTunnels,
  restartTunnels,
  startTunnels,
  stopTunnels,
  tunnelId,
  wantTunnels,
  type NewTunnel,
} from '../../src/core/session.js';
import { mustParseSpec } from '../support/mustParseSpec.js';
import { silentSession } from '../support/silentSession.js';

const db: NewTunnel = { destination: { host: 'web01' }, spec: mustParseSpec('-L 5432:db:5432') };
const site: NewTunnel = { destination: { host: 'web01' }, spec: mustParseSpec('-L 8080:localhost:80') };
const [dbId, siteId] = [tunnelId(db), tunnelId(site)];

function sessionWithHolds() {
  const { session, tell, listens } = silentSession();
  const find = (id: string) => session.state.wanted.tunnels.find((tunnel) => tunnel.id === id);
  const connects = () => tell({ kind: 'connected', connection: 'web01', server: 'web01:22' });
  const fails = (failure: Failure) => tell({ kind: 'connectionFailed', connection: 'web01', failure });
  const wishes = () => session.state.wanted.tunnels.map(({ id, wish }) => [id, wish]);
  return {
    session,
    holds: createHolds(session),
    find,
    listens: (id: string) => listens(id, { kind: 'tcp', address: '127.0.0.1', port: 5432 }),
    connects,
    fails,
    wishes,
  };
}

const kindOf = (ready: Promise<void>) =>
  ready.then(
    () => 'ready',
    (error: unknown) => (error instanceof FailureError ? error.failure.kind : String(error)),
  );
const settled = async (ready: Promise<void>) => Promise.race([kindOf(ready), Promise.resolve().then(() => 'waits')]);

describe('tunnels that are held for a while', () => {
  it('are ready when all of them are, and leave the list with their hold', async () => {
    const { holds, listens, connects, wishes, find } = sessionWithHolds();
    const hold = holds.hold([db, site], 'extension');
    assert.deepEqual(hold.tunnels, [dbId, siteId]);
    assert.ok(find(dbId)?.heldBy && find(siteId)?.heldBy, 'they are marked');
    connects();
    listens(dbId);
    assert.equal(await settled(hold.ready), 'waits');
    listens(siteId);
    assert.equal(await kindOf(hold.ready), 'ready');
    hold.release();
    assert.deepEqual(wishes(), []);
  });

  it('end with the last of several holds, and a hold counts once', async () => {
    const { holds, listens, connects, wishes } = sessionWithHolds();
    const [first, second] = [holds.hold([db], 'extension'), holds.hold([db], 'extension')];
    connects();
    listens(dbId);
    assert.deepEqual(await Promise.all([kindOf(first.ready), kindOf(second.ready)]), ['ready', 'ready']);
    first.release();
    first.release();
    assert.deepEqual(wishes(), [[dbId, 'exact']]);
    second.release();
    assert.deepEqual(wishes(), []);
  });

  it('are shared with the user who has them already, and left alone', async () => {
    const { session, holds, listens, connects, wishes, find } = sessionWithHolds();
    session.update((wanted) => wantTunnels(wanted, [db]));
    connects();
    listens(dbId);
    const hold = holds.hold([db], 'extension');
    assert.equal(await kindOf(hold.ready), 'ready');
    assert.equal(find(dbId)?.heldBy, undefined);
    hold.release();
    assert.deepEqual(wishes(), [[dbId, 'exact']]);
  });

  it('stay when the user asks for the same meanwhile, or starts them again', () => {
    const asked = sessionWithHolds();
    const hold = asked.holds.hold([db], 'extension');
    asked.session.update(() => startTunnels(asked.session.state, [db]).wanted);
    assert.equal(asked.find(dbId)?.heldBy, undefined);
    hold.release();
    assert.deepEqual(asked.wishes(), [[dbId, 'exact']]);

    const restarted = sessionWithHolds();
    const another = restarted.holds.hold([db], 'extension');
    restarted.session.update((wanted) => restartTunnels(wanted, [dbId]));
    assert.equal(restarted.find(dbId)?.heldBy, undefined);
    another.release();
    assert.deepEqual(restarted.wishes(), [[dbId, 'exact']]);
  });

  it('are stopped but stay on the list where the user had stopped them', () => {
    const { session, holds, wishes } = sessionWithHolds();
    session.update((wanted) => stopTunnels(wantTunnels(wanted, [db]), [dbId]));
    const hold = holds.hold([db], 'extension');
    assert.deepEqual(wishes(), [[dbId, 'exact']]);
    hold.release();
    assert.deepEqual(wishes(), [[dbId, 'stop']]);
  });

  it('are not ended by one who only shared them when somebody else has opened them since', () => {
    const { session, holds, wishes } = sessionWithHolds();
    session.update((wanted) => wantTunnels(wanted, [db]));
    const sharing = holds.hold([db], 'extension');
    session.update((wanted) => stopTunnels(wanted, [dbId]));
    const opening = holds.hold([db], 'extension');
    sharing.release();
    assert.deepEqual(wishes(), [[dbId, 'exact']]);
    opening.release();
    assert.deepEqual(wishes(), [[dbId, 'stop']]);
  });

  it('are not ended by an older hold once they were taken off the list and opened again', () => {
    const { session, holds, wishes, find } = sessionWithHolds();
    const before = holds.hold([db], 'extension');
    session.update((wanted) => removeTunnels(wanted, [dbId]));
    const after = holds.hold([db], 'task');
    before.release();
    assert.deepEqual(wishes(), [[dbId, 'exact']]);
    assert.equal(find(dbId)?.heldBy, 'task');
    const beside = holds.hold([db], 'extension');
    after.release();
    assert.deepEqual(wishes(), [[dbId, 'exact']]);
    beside.release();
    assert.deepEqual(wishes(), []);
  });

  it('are only lent where the user had stopped them: they stay once the user asks for them, too', () => {
    const { session, holds, wishes, find } = sessionWithHolds();
    session.update((wanted) => stopTunnels(wantTunnels(wanted, [db]), [dbId]));
    const hold = holds.hold([db], 'task');
    assert.deepEqual([find(dbId)?.lentTo, find(dbId)?.heldBy], ['task', undefined]);
    session.update(() => startTunnels(session.state, [db]).wanted);
    assert.equal(find(dbId)?.lentTo, undefined);
    hold.release();
    assert.deepEqual(wishes(), [[dbId, 'exact']]);
  });

  it('stay lent when a second hold starts them again, and are stopped with the last', () => {
    const { session, holds, wishes, find, fails } = sessionWithHolds();
    session.update((wanted) => stopTunnels(wantTunnels(wanted, [db]), [dbId]));
    const first = holds.hold([db], 'task');
    fails({ kind: 'hostNotFound', host: 'web01' });
    const second = holds.hold([db], 'extension');
    assert.equal(find(dbId)?.lentTo, 'task');
    first.release();
    assert.deepEqual(wishes(), [[dbId, 'exact']]);
    second.release();
    assert.deepEqual(wishes(), [[dbId, 'stop']]);
    assert.equal(find(dbId)?.lentTo, undefined);
  });

  it('are stopped and not taken off where the user asked for them and stopped them between two holds', () => {
    const { session, holds, wishes } = sessionWithHolds();
    const before = holds.hold([db], 'extension');
    session.update(() => startTunnels(session.state, [db]).wanted);
    session.update((wanted) => stopTunnels(wanted, [dbId]));
    const after = holds.hold([db], 'task');
    before.release();
    assert.deepEqual(wishes(), [[dbId, 'exact']]);
    after.release();
    assert.deepEqual(wishes(), [[dbId, 'stop']]);
  });

  it('are the user’s when they are kept, also for others who hold them', async () => {
    const { session, holds, listens, connects, wishes, find } = sessionWithHolds();
    session.update((wanted) => stopTunnels(wantTunnels(wanted, [site]), [siteId]));
    const [kept, other] = [holds.hold([db, site], 'extension'), holds.hold([db, site], 'extension')];
    connects();
    listens(dbId);
    listens(siteId);
    assert.equal(await kindOf(kept.ready), 'ready');
    kept.keep();
    kept.release();
    other.release();
    assert.deepEqual(wishes(), [
      [siteId, 'exact'],
      [dbId, 'exact'],
    ]);
    assert.equal(find(dbId)?.heldBy, undefined);
  });

  it('tell why they failed, and not of a failure from before', async () => {
    const { session, holds, fails } = sessionWithHolds();
    session.update((wanted) => wantTunnels(wanted, [db]));
    fails({ kind: 'hostNotFound', host: 'web01' });
    const hold = holds.hold([db], 'extension');
    assert.equal(await settled(hold.ready), 'waits');
    fails({ kind: 'authFailed', user: 'bob', host: 'web01', tried: [] } as unknown as Failure);
    assert.equal(await kindOf(hold.ready), 'authFailed');
  });

  it('are called off by a stop of the user, by a cancelled question and by their own release', async () => {
    const stopped = sessionWithHolds();
    const first = stopped.holds.hold([db], 'extension');
    stopped.session.update((wanted) => stopTunnels(wanted, [dbId]));
    assert.equal(await kindOf(first.ready), 'cancelled');

    const refused = sessionWithHolds();
    const second = refused.holds.hold([db], 'extension');
    refused.fails({ kind: 'cancelled' });
    assert.equal(await kindOf(second.ready), 'cancelled');
    second.release();
    assert.deepEqual(refused.wishes(), []);

    const shared = sessionWithHolds();
    shared.session.update((wanted) => wantTunnels(wanted, [db]));
    const third = shared.holds.hold([db], 'extension');
    third.release();
    assert.equal(await kindOf(third.ready), 'cancelled');
    assert.deepEqual(shared.wishes(), [[dbId, 'exact']]);
  });
});
