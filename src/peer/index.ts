// Member to member: raft messages, snapshots and small requests over HTTP/1.1. Start with `types.ts`.

export { parsePeerUrl } from './address.ts';
export { type PeerEnv, requestPeer } from './peer-request.ts';
export { createPeerTransport } from './transport.ts';
export {
  type OutgoingSnapshot,
  type PeerHost,
  type PeerLog,
  type PeerMetrics,
  type PeerRequest,
  type PeerResponse,
  type PeerTransport,
  RECEIPTS,
  type Receipt,
  SENDERS,
  type Sender,
} from './types.ts';
