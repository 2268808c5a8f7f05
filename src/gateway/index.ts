// JSON over HTTP for every method of the table of services.

export { type GatewayOptions, JsonGateway } from './gateway.ts';
