// Proxies before a cluster: they know services and connections, and no member.

export { startGrpcProxy } from './grpc-proxy.ts';
export type { ProxyLog } from './log.ts';
export { type GatewayEndpoint, startTcpGateway } from './tcp/tcp-gateway.ts';
