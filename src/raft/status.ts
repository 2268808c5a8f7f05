// The status of a node and, on the leader, of its followers.

import type { LogIndex, Term } from '../base/index.ts';
import type { Raft, Role } from './core/raft.ts';
import { ROLES } from './core/raft.ts';
import { hexId, type NodeId } from './ids.ts';
import type { Configuration, Progress } from './tracker/index.ts';

/** A copy of a node's own state, without the progress of other members; cheap enough for every call. */
export interface BasicStatus {
  readonly id: NodeId;
  readonly term: Term;
  readonly vote: NodeId;
  readonly commit: LogIndex;
  readonly applied: LogIndex;
  readonly lead: NodeId;
  readonly role: Role;
  readonly leadTransferee: NodeId;
}

/** A copy of the state of a node, with what a leader knows of the others. */
export interface Status extends BasicStatus {
  readonly config: Configuration;
  /** A copy of what the leader knows of every member, itself included; empty unless leader. */
  readonly progress: ReadonlyMap<NodeId, Progress>;
}

export function basicStatusOf(raft: Raft): BasicStatus {
  return {
    id: raft.id,
    term: raft.term,
    vote: raft.vote,
    commit: raft.log.committed,
    applied: raft.log.applied,
    lead: raft.lead,
    role: raft.role,
    leadTransferee: raft.leadTransferee,
  };
}

export function statusOf(raft: Raft): Status {
  const progress = new Map<NodeId, Progress>();
  if (raft.role === ROLES.LEADER) {
    const { ids, all } = raft.tracker;
    for (let i = 0; i < ids.length; i++) progress.set(ids[i]!, all[i]!.clone());
  }
  return { ...basicStatusOf(raft), config: raft.tracker.config, progress };
}

/** The JSON text that etcd shows under `raft.status` in its debug variables. */
export function statusToJson(status: Status): string {
  const progress = [...status.progress].map(
    ([id, p]) => `"${hexId(id)}":{"match":${p.match},"next":${p.next},"state":"${p.state}"}`,
  );
  return (
    `{"id":"${hexId(status.id)}","term":${status.term},"vote":"${hexId(status.vote)}",` +
    `"commit":${status.commit},"lead":"${hexId(status.lead)}","raftState":"${status.role}",` +
    `"applied":${status.applied},"progress":{${progress.join(',')}},` +
    `"leadtransferee":"${hexId(status.leadTransferee)}"}`
  );
}
