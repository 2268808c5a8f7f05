// Proxies before a cluster: they know services and connections, and no member.

export type { ProxyLog } from './log.ts';
export { type GatewayEndpoint, startTcpGateway } from './tcp/tcp-gateway.ts';
