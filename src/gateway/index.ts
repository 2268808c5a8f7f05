// JSON over HTTP for every method of the table of services.

export { JsonGateway } from './gateway.ts';
export { wantsWebSocket } from './socket-exchange.ts';
