// The loop of a member that has others: what they forward, and what it tells them.

import { describe, expect, test } from 'vitest';
import { bytesFromUtf8 } from '../../base/index.ts';
import { raftpb } from '../../protocol/index.ts';
import { newEntry } from '../../raft/index.ts';
import { COMMIT_DELAY_MS, FORWARDED_MESSAGES_MAX } from '../limits.ts';
import { Rig } from './ready-loop.fixture.ts';

describe('a proposal of another member', () => {
  test('waits for a leader', () => {
    const rig = new Rig();
    rig.propose('own');
    rig.forward('theirs', 'theirs too');
    rig.endTurn();
    rig.lead();
    rig.endTurn();
    rig.completeAll();
    expect(rig.log()).toEqual(['', 'theirs', 'theirs too', 'own']);
  });

  test('waits for room in the log, as the own ones do', () => {
    const rig = new Rig(8).lead();
    rig.propose('123456');
    rig.endTurn();
    rig.forward('abc');
    rig.endTurn();
    expect(rig.events).toEqual(['append 2']);
    rig.completeAll();
    rig.applied();
    rig.endTurn();
    rig.completeAll();
    expect(rig.log()).toEqual(['', '123456', 'abc']);
  });

  test('waits while leadership is handed over, and goes to the next leader', () => {
    const { MsgAppResp, MsgTimeoutNow, MsgVote, MsgApp, MsgProp } = raftpb.MessageType;
    const rig = new Rig(Number.MAX_SAFE_INTEGER, [1n, 2n]).leadTwo();
    rig.loop.transferLeader(2n);
    rig.endTurn();
    rig.receive(MsgAppResp, { term: 1, index: 1 });
    rig.endTurn();
    rig.forward('theirs');
    rig.propose('own');
    rig.endTurn();
    expect(rig.events).toContain(`send ${MsgTimeoutNow} to 2`);
    expect(rig.appends).toEqual([]);
    const context = bytesFromUtf8('CampaignTransfer');
    rig.receive(MsgVote, { term: 2, index: 1, logTerm: 1, context });
    const entries = [newEntry(0, 2, 2, new Uint8Array(0))];
    rig.receive(MsgApp, { term: 2, index: 1, logTerm: 1, entries });
    rig.endTurn();
    rig.endTurn();
    const sent = rig.events.filter((event) => event === `send ${MsgProp} to 2`);
    expect(sent).toHaveLength(2);
  });

  test('is given up when its client has been answered', () => {
    const rig = new Rig();
    rig.forward('late');
    rig.nowMs = 10;
    rig.forward('in time');
    rig.loop.expire(9);
    rig.lead();
    rig.endTurn();
    rig.completeAll();
    expect(rig.log()).toEqual(['', 'in time']);
  });

  test('is dropped where so many wait', () => {
    const rig = new Rig();
    for (let i = 0; i <= FORWARDED_MESSAGES_MAX; i++) rig.forward('x');
    rig.lead();
    rig.endTurn();
    rig.completeAll();
    expect(rig.storage.lastIndex()).toBe(1 + FORWARDED_MESSAGES_MAX);
  });
});

describe('the commit index of a leader', () => {
  const { MsgApp, MsgAppResp } = raftpb.MessageType;
  const sends = `send ${MsgApp} to 2`;

  /** Entry `index` is on the disk here and there. */
  function commit(rig: Rig, index: number): void {
    rig.endTurn();
    rig.completeAll();
    rig.events.length = 0;
    rig.timers.length = 0;
    rig.receive(MsgAppResp, { term: 1, index });
    rig.endTurn();
  }

  test('is sent a delay after it rose, unless entries carry it before', () => {
    const rig = new Rig(Number.MAX_SAFE_INTEGER, [1n, 2n]).leadTwo();
    // The commit of the leader's first entry.
    rig.nowMs = COMMIT_DELAY_MS;
    rig.timers[0]!.callback();
    rig.propose('a');
    commit(rig, 2);
    expect(rig.events).not.toContain(sends);
    const [timer] = rig.timers;
    expect(timer!.delayMs).toBe(COMMIT_DELAY_MS);
    rig.nowMs += COMMIT_DELAY_MS / 2;
    rig.propose('b');
    commit(rig, 3);
    expect(rig.timers).toEqual([]);
    // Set for the first; the second has waited for half of it.
    rig.nowMs += COMMIT_DELAY_MS / 2;
    timer!.callback();
    expect(rig.events).not.toContain(sends);
    expect(rig.timers[0]!.delayMs).toBe(COMMIT_DELAY_MS / 2);
    rig.nowMs += COMMIT_DELAY_MS / 2;
    rig.timers[0]!.callback();
    expect(rig.events).toContain(sends);
  });

  test('is sent at once where another member answers the only proposal', () => {
    const rig = new Rig(Number.MAX_SAFE_INTEGER, [1n, 2n]).leadTwo();
    rig.forward('theirs');
    commit(rig, 2);
    expect(rig.events).toContain(sends);
    rig.propose('own');
    commit(rig, 3);
    expect(rig.events).not.toContain(sends);
  });

  test('waits for the entries that follow it, under load', () => {
    const rig = new Rig(Number.MAX_SAFE_INTEGER, [1n, 2n]).leadTwo();
    rig.forward('a');
    rig.endTurn();
    rig.forward('b');
    commit(rig, 2);
    expect(rig.events).not.toContain(sends);
    commit(rig, 3);
    expect(rig.events).toContain(sends);
  });
});
