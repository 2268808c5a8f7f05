// Node identities. They are 64-bit and opaque, hence `bigint`; logs print them in hexadecimal.

/** Identity of a member of the group; never 0 and never one of the two local threads. */
export type NodeId = bigint;

/** No node: no leader known, no vote cast, no transfer under way. */
export const NONE: NodeId = 0n;
/** Target of MsgStorageAppend: the thread that writes log, hard state and snapshots to disk. */
export const LOCAL_APPEND_THREAD: NodeId = 0xffff_ffff_ffff_ffffn;
/** Target of MsgStorageApply: the thread that applies committed entries to the state machine. */
export const LOCAL_APPLY_THREAD: NodeId = 0xffff_ffff_ffff_fffen;

/** Whether `id` is one of the two local threads and so no member of the group. */
export function isLocalTarget(id: NodeId): boolean {
  return id === LOCAL_APPEND_THREAD || id === LOCAL_APPLY_THREAD;
}

/** The form in which logs name a node. */
export function hexId(id: NodeId): string {
  return id.toString(16);
}
