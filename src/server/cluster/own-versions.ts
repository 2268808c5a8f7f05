// The versions that this member reports: its release, the cluster version, the storage version.

import { formatStoredVersion, SERVER_RELEASE } from '../../membership/index.ts';
import type { StateMachineOwner } from '../consensus/state-machine-owner.ts';
import type { StoreView } from '../consensus/store-view.ts';

/** Versions as text. */
export interface Versions {
  readonly server: string;
  /** `not_decided` until the cluster has agreed on one. */
  readonly cluster: string;
  /** `unknown` while the backend has none. */
  readonly storage: string;
}

export interface OwnVersionsParts {
  readonly store: StoreView<'cluster'> & Pick<StateMachineOwner, 'storageVersion'>;
}

export function ownVersions({ store: { machine, storageVersion } }: OwnVersionsParts): Versions {
  const { version } = machine.cluster;
  return {
    server: SERVER_RELEASE,
    cluster: version === undefined ? 'not_decided' : formatStoredVersion(version),
    storage: storageVersion === undefined ? 'unknown' : formatStoredVersion(storageVersion),
  };
}
