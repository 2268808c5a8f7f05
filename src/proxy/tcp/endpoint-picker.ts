// Which endpoint of a gateway gets the next connection: of those that are not known to fail, those of
// the lowest priority number; among them by weight, or in turn (RFC 2782).

import type { Entropy } from '../../env/index.ts';

/** Where connections go, as an SRV record describes it. */
export interface GatewayEndpoint {
  /** Host name or IP address. */
  readonly host: string;
  readonly port: number;
  /** 0 to 65535; the lowest is used first. Default 0. */
  readonly priority?: number;
  /** 0 to 65535: the share of connections within the priority. Default 0: in turn. */
  readonly weight?: number;
}

/** An endpoint, and whether it is used. */
export class PickedEndpoint {
  readonly host: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
  /** `host:port`. */
  readonly name: string;
  /** False from a failure to connect until an attempt of the monitor succeeds. */
  active = true;

  constructor({ host, port, priority = 0, weight = 0 }: GatewayEndpoint) {
    this.host = host;
    this.port = port;
    this.priority = priority;
    this.weight = weight;
    this.name = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  }
}

/** Of a hundred connections, those for endpoints without weight beside others that have one. */
const UNWEIGHTED_PERCENT = 1;

export class EndpointPicker {
  readonly endpoints: readonly PickedEndpoint[];
  readonly #entropy: Entropy;
  #turn = 0;

  constructor(endpoints: readonly GatewayEndpoint[], entropy: Entropy) {
    this.endpoints = endpoints.map((endpoint) => new PickedEndpoint(endpoint));
    this.#entropy = entropy;
  }

  /** Undefined while none is active. */
  pick(): PickedEndpoint | undefined {
    const active = this.endpoints.filter((endpoint) => endpoint.active);
    const priority = Math.min(...active.map((endpoint) => endpoint.priority));
    const best = active.filter((endpoint) => endpoint.priority === priority);
    const weighted = best.filter(({ weight }) => weight > 0);
    const others = best.filter(({ weight }) => weight === 0);
    if (weighted.length === 0) return this.#inTurn(others);
    if (others.length > 0 && this.#below(100) < UNWEIGHTED_PERCENT) return this.#inTurn(others);
    let chosen = this.#below(weighted.reduce((sum, { weight }) => sum + weight, 0));
    return weighted.find(({ weight }) => {
      chosen -= weight;
      return chosen < 0;
    });
  }

  #inTurn(endpoints: readonly PickedEndpoint[]): PickedEndpoint | undefined {
    return endpoints[this.#turn++ % endpoints.length];
  }

  /** 0 to `bound` - 1, each as likely as the others but for 2^-16. */
  #below(bound: number): number {
    const bytes = this.#entropy.bytes(6);
    const number = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
    return Math.floor((number / 2 ** 48) * bound);
  }
}
