// As much of a raft member as it takes to be one, for tests of the transport: it grants every vote,
// takes every append that fits its log, and can stand for election itself.

import { RECEIPTS, type Receipt } from '../../src/peer/index.ts';
import { type Member, TestHost } from '../../src/peer/rig.fixture.ts';
import { raftpb } from '../../src/protocol/index.ts';

const { MessageType } = raftpb;

export class Follower extends TestHost {
  term = 0;
  readonly entries: raftpb.Entry[] = [];
  commit = 0;
  /** Index and term that a snapshot stands for. */
  snapshot = { index: 0, term: 0 };
  member: Member | undefined;
  /** Makes a member that was silent so far reachable. */
  rejoin: () => Promise<void> = async () => {};
  /** What arrived while a vote was asked for. */
  readonly votes: raftpb.Message[] = [];

  get lastIndex(): number {
    return this.entries.at(-1)?.index ?? this.snapshot.index;
  }

  get lastTerm(): number {
    return this.termAt(this.lastIndex) ?? 0;
  }

  termAt(index: number): number | undefined {
    if (index === this.snapshot.index) return this.snapshot.term;
    return this.entries.find((entry) => entry.index === index)?.term;
  }

  override receive(message: raftpb.Message): Receipt {
    const receipt = super.receive(message);
    if (receipt === RECEIPTS.ACCEPTED) this.#step(message);
    return receipt;
  }

  send(to: bigint, init: raftpb.MessageInit): void {
    const from = this.member!.id;
    this.member!.transport.send(raftpb.MessageCodec.create({ term: this.term, ...init, to, from }));
  }

  #step(message: raftpb.Message): void {
    const { type, from, term } = message;
    if (type !== MessageType.MsgPreVote && term > this.term) this.term = term;
    switch (type) {
      case MessageType.MsgPreVote:
        this.send(from, { type: MessageType.MsgPreVoteResp, term });
        break;
      case MessageType.MsgVote:
        this.send(from, { type: MessageType.MsgVoteResp });
        break;
      case MessageType.MsgVoteResp:
      case MessageType.MsgPreVoteResp:
        this.votes.push(message);
        break;
      case MessageType.MsgHeartbeat:
        this.send(from, { type: MessageType.MsgHeartbeatResp, context: message.context });
        break;
      case MessageType.MsgApp:
        this.#append(message);
        break;
      case MessageType.MsgSnap: {
        const { index, term: snapshotTerm } = message.snapshot!.metadata!;
        this.snapshot = { index, term: snapshotTerm };
        this.entries.length = 0;
        this.send(from, { type: MessageType.MsgAppResp, index });
        break;
      }
    }
  }

  #append(message: raftpb.Message): void {
    if (this.termAt(message.index) !== message.logTerm) {
      this.send(message.from, {
        type: MessageType.MsgAppResp,
        index: message.index,
        reject: true,
        rejectHint: Math.min(this.lastIndex, message.index),
        logTerm: this.lastTerm,
      });
      return;
    }
    const kept = this.entries.filter((entry) => entry.index <= message.index);
    this.entries.splice(0, this.entries.length, ...kept, ...message.entries);
    this.commit = Math.max(this.commit, message.commit);
    this.send(message.from, { type: MessageType.MsgAppResp, index: this.lastIndex });
  }
}
