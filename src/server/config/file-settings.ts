// Settings of a configuration file that no flag stands for, by the path of their key.

import { boolFlag, intFlag, listFlag, stringFlag } from './flag-types.ts';

const ROW = { group: 'misc', help: '' } as const;

export const FILE_SETTINGS = {
  'client-transport-security.allowed-cn': listFlag(ROW),
  'client-transport-security.skip-client-san-verification': boolFlag(false, ROW),
  'discovery-config.client.max-request-bytes': intFlag(0, ROW),
  'discovery-config.client.max-recv-bytes': intFlag(0, ROW),
  'discovery-config.client.secure.server-name': stringFlag('', ROW),
  'discovery-config.client.auth.token': stringFlag('', ROW),
} as const;
