// Lines to log once there is a logger: reading the configuration has no effects.

export interface LogNote {
  readonly level: 'info' | 'warn' | 'fatal';
  readonly msg: string;
  readonly fields: Readonly<Record<string, string | number | readonly string[]>>;
}
