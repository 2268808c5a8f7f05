// Bounds of the proxies: value, reason, and what happens at the bound.

/** Time for a connection to an endpoint of the gateway. Reached: the endpoint counts as failed. */
export const ENDPOINT_CONNECT_TIMEOUT_MS = 5000;

/** Connections through the gateway, at two descriptors each. Reached: one more is closed at once. */
export const GATEWAY_CONNECTIONS_MAX = 20_000;
