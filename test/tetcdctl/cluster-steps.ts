// Command lines about the members of a cluster, each given to tetcdctl and to a real etcdctl on a
// cluster of its own, of three members, with m1 as the leader.

import type { Like } from './steps.ts';

/**
 * In words, `{m1}` is an endpoint, `{id1}` a member's id, `{peer1}` its peer URL, `{all}` the endpoints
 * of all three, `{dead}` one that is not listening, `{new}` the id of the member added last, `{free}`
 * a peer URL that no member has.
 */
export interface ClusterStep {
  readonly args: readonly string[];
  /** Releases whose etcdctl does the same. Without it: all. */
  readonly like?: readonly Like[];
  /** Done before: m1 is made the leader again, or a learner is added, started and in sync. */
  readonly first?: 'lead' | 'learner';
}

const NEW: readonly Like[] = ['3.7'];
const NOT_34: readonly Like[] = ['3.5', '3.7'];

function steps(like: readonly Like[] | undefined, text: string): ClusterStep[] {
  const lines = text.split('\n').map((line) => line.trim());
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const [first] = /^\[(lead|learner)\] /.exec(line) ?? [''];
      const args = line.slice(first.length).split(' ');
      return {
        args: args.map((word) => (word === "''" ? '' : word)),
        ...(like === undefined ? {} : { like }),
        ...(first === '' ? {} : { first: first.slice(1, -2) as 'lead' | 'learner' }),
      };
    });
}

const LOOKING: readonly ClusterStep[] = [
  ...steps(
    undefined,
    `member list
    member list -w json
    --endpoints={all} member list
    --endpoints={dead},{m2} member list
    --endpoints={m3} member list -w json
    --endpoints={dead} member list --command-timeout 300ms
    endpoint status --cluster -w json
    endpoint --cluster status -w json
    --endpoints={all} endpoint status -w json
    --endpoints={dead} endpoint status --cluster --command-timeout 300ms
    --endpoints={dead} endpoint hashkv --cluster --command-timeout 300ms
    --endpoints={m1},{dead} endpoint status -w json --command-timeout 1s`,
  ),
  ...steps(
    NOT_34,
    `--endpoints={all} endpoint health
    endpoint health --cluster
    endpoint health --cluster -w json
    --endpoints={dead} endpoint health --cluster --command-timeout 300ms`,
  ),
  ...steps(
    NEW,
    `member list --consistency s
    member list --consistency l -w json
    member list -w json --hex
    member list -w fields
    member list -w fields --hex
    member list -w table
    member list -w protobuf
    endpoint status --cluster
    endpoint status --cluster -w fields
    endpoint status --cluster -w table
    endpoint status --cluster -w protobuf
    endpoint hashkv --cluster
    --endpoints={all} endpoint hashkv
    --endpoints={m1},{dead} endpoint hashkv --command-timeout 1s
    endpoint hashkv --cluster -w json
    endpoint hashkv --cluster -w fields
    endpoint hashkv --cluster -w table
    defrag
    defrag --cluster
    --endpoints={all} defrag
    --endpoints={m1},{dead} defrag --command-timeout 1s
    --endpoints={dead} defrag --cluster --command-timeout 300ms
    endpoint health --cluster -w fields
    endpoint health --cluster -w table
    --endpoints={m2},{dead} endpoint health --command-timeout 1s
    --endpoints={m2},{dead} endpoint health -w json --command-timeout 1s`,
  ),
];

const MOVING: readonly ClusterStep[] = [
  ...steps(
    undefined,
    `move-leader
    move-leader {id1} {id2}
    move-leader zz
    move-leader ''
    move-leader -- -5
    move-leader +5
    move-leader 0x10
    move-leader 10000000000000000
    --endpoints={m2},{m3} move-leader {id2}
    --endpoints={dead} move-leader {id2} --command-timeout 300ms
    --endpoints={dead},{m1} move-leader {id2} --command-timeout 300ms
    move-leader 1234
    move-leader {id1}
    --endpoints={all} move-leader {id2}
    [lead] --endpoints={all} move-leader {id3} -w json
    [lead] move-leader {id2} -w json --hex
    [lead] move-leader {id2} -w protobuf
    [lead] move-leader {id2} -w fields
    [lead] move-leader {id3} -w table`,
  ),
];

const CHANGING: readonly ClusterStep[] = [
  ...steps(
    undefined,
    `[lead] member add
    member add n4
    member add n4 --peer-urls=
    member add n4 http://127.0.0.1:1
    member add n4 HTTPS://a x http://b --peer-urls={free}
    member add n4 --peer-urls=127.0.0.1:1
    member add n4 --peer-urls=foo
    member add n4 --peer-urls=:1
    member add n4 --peer-urls={free},
    member add n4 --peer-urls=ftp://127.0.0.1:1
    member add n4 --peer-urls=http://127.0.0.1
    member add n4 --peer-urls=http://127.0.0.1:1/x
    member add n4 --peer-urls=http://127.0.0.1:1/
    member add n4 --peer-urls=http://127.0.0.1:x
    member add n4 --peer-urls=http:127.0.0.1:1
    member add n4 --peer-urls={peer2}
    member update
    member update {id3}
    member update {id3} {id2}
    member update zz --peer-urls={peer3}
    member update 1234 --peer-urls={free}
    member update {id3} --peer-urls={peer2}
    member update {id3} --peer-urls=foo
    member update {id3} --peer-urls={peer3}
    member update {id3} --peer-urls={peer3},http://127.0.0.1:1
    member list
    member update {id3} --peer-urls={peer3} -w json
    member remove
    member remove {id1} {id2}
    member remove zz
    member remove -- -1
    member remove 10000000000000000
    member remove 1234
    member promote
    member promote zz
    member promote 1234
    member promote {id2}
    member add n4 --peer-urls={free}
    member list
    member list -w json
    member promote {new}
    member remove {new}
    member remove {new}
    member list
    member add n5 --peer-urls={free} -w json
    member update {new} --peer-urls=http://127.0.0.1:1,http://127.0.0.1:2
    member list
    member remove {new} -w json
    member add n6 --learner --peer-urls={free} -w json
    member promote {new}
    member list
    member list -w json
    member add second --learner --peer-urls=http://127.0.0.1:1 -w json
    member remove {new}
    member add n7 --peer-urls={free} -w protobuf
    member update {new} --peer-urls={free} -w protobuf
    member remove {new} -w protobuf
    member add n8 --peer-urls={free} -w fields
    member update {new} --peer-urls={free} -w fields
    member remove {new} -w fields
    member add n9 --peer-urls={free} -w table
    member update {new} --peer-urls={free} -w table
    member remove {new} -w table
    [learner] member list
    endpoint status --cluster -w json
    --endpoints={m4} member list
    --endpoints={m4} get a
    --endpoints={m4} put a b
    member promote {new}
    member promote {new}
    member list
    --endpoints={m4} move-leader {new}
    --endpoints={m4},{m1} move-leader {new}
    --endpoints={m4} move-leader {id1}
    member remove {new}
    [learner] member promote {new}
    member remove {new}`,
  ),
  ...steps(
    NEW,
    `member add n4 --peer-urls={free} -w json --hex
    member update {new} --peer-urls={free} -w json --hex
    member remove {new} -w json --hex
    member add q"5\\ --learner --peer-urls={free}
    member list
    member remove {new}
    [learner] member promote {new} -w json
    member remove {new}
    [learner] --endpoints={m4} member list --consistency s
    member promote {new} --hex -w json
    member remove {new}
    [learner] member promote {new} -w protobuf
    member remove {new}
    [learner] member promote {new} -w fields
    member remove {new} --hex`,
  ),
];

export const CLUSTER_STEPS: readonly ClusterStep[] = [...LOOKING, ...MOVING, ...CHANGING];
