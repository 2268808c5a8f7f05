// An example of each command, in an order in which all of them can be run one after the other: first on a
// member, then on a cluster with a learner; those of `tetcdutl` in a directory with what a stopped member has
// left (m1.etcd, backup.db). The tests run them as they stand.

type Examples = Readonly<Record<string, string>>;

const TETCDCTL: Examples = {
  put: `
tetcdctl put app/color green
tetcdctl put app/shape round`,
  get: `
tetcdctl get app/color
tetcdctl get app/ --prefix --keys-only`,
  txn: `
tetcdctl txn <<'END'
value("app/color") = "green"

put app/color blue

get app/color

END`,
  watch: `
timeout -s INT 2 tetcdctl watch app/ --prefix --rev=1 -- sh -c 'echo "$ETCD_WATCH_KEY"' || true`,
  del: `
tetcdctl del app/shape --prev-kv`,
  compaction: `
revision=$(tetcdctl get app/color --write-out=fields | sed -n 's/^"Revision" : //p')
tetcdctl compaction "$revision" --physical`,
  'lease grant': `
tetcdctl lease grant 60`,
  'lease list': `
tetcdctl lease list`,
  'lease timetolive': `
lease=$(tetcdctl lease grant 60 | cut -d' ' -f2)
tetcdctl put session alive --lease="$lease"
tetcdctl lease timetolive "$lease" --keys`,
  'lease keep-alive': `
lease=$(tetcdctl lease grant 60 | cut -d' ' -f2)
tetcdctl lease keep-alive "$lease" --once`,
  'lease revoke': `
lease=$(tetcdctl lease grant 60 | cut -d' ' -f2)
tetcdctl lease revoke "$lease"`,
  lock: `
tetcdctl lock nightly --ttl=10 -- sh -c 'echo "holds $ETCD_LOCK_KEY"'`,
  elect: `
timeout -s INT 2 tetcdctl elect leader "$HOSTNAME" || true`,
  'make-mirror': `
timeout -s INT 2 tetcdctl make-mirror 127.0.0.1:22379 --prefix=app/ --dest-prefix=copy/ || true`,
  'endpoint health': `
tetcdctl endpoint health`,
  'endpoint status': `
tetcdctl endpoint status --write-out=table`,
  'endpoint hashkv': `
tetcdctl endpoint hashkv --write-out=table`,
  'alarm list': `
tetcdctl alarm list`,
  'alarm disarm': `
tetcdctl alarm disarm`,
  defrag: `
tetcdctl defrag`,
  'snapshot save': `
tetcdctl snapshot save backup.db`,
  'check datascale': `
tetcdctl check datascale --load=s --auto-compact`,
  'check perf': `
tetcdctl check perf --load=s --auto-compact`,
  'downgrade validate': `
tetcdctl downgrade validate 3.6`,
  'downgrade enable': `
tetcdctl downgrade enable 3.6`,
  'downgrade cancel': `
tetcdctl downgrade cancel`,
  'user add': `
tetcdctl user add root:secret
tetcdctl user add alice:hidden`,
  'role add': `
tetcdctl role add reader`,
  'role grant-permission': `
tetcdctl role grant-permission reader read app/ --prefix`,
  'role get': `
tetcdctl role get reader`,
  'role list': `
tetcdctl role list`,
  'user grant-role': `
tetcdctl user grant-role root root
tetcdctl user grant-role alice reader`,
  'user get': `
tetcdctl user get alice --detail`,
  'user list': `
tetcdctl user list`,
  'user passwd': `
echo another | tetcdctl user passwd alice --interactive=false`,
  'auth enable': `
tetcdctl auth enable`,
  'auth status': `
tetcdctl --user=root:secret auth status`,
  'auth disable': `
tetcdctl --user=root:secret auth disable`,
  'user revoke-role': `
tetcdctl user revoke-role alice reader`,
  'user delete': `
tetcdctl user delete alice`,
  'role revoke-permission': `
tetcdctl role revoke-permission reader app/ --prefix`,
  'role delete': `
tetcdctl role delete reader`,
  options: `
tetcdctl options`,
  version: `
tetcdctl version`,
  help: `
tetcdctl help lease grant`,
  completion: `
source <(tetcdctl completion bash)`,
  'member list': `
tetcdctl member list --write-out=table`,
  'member promote': `
learner=$(tetcdctl member list | sed -n 's/,.*, true$//p')
tetcdctl member promote "$learner"`,
  'move-leader': `
other=$(tetcdctl endpoint status | sed -n 's/^[^,]*, \\([^,]*\\),.*, false, false,.*/\\1/p')
tetcdctl move-leader "$other"`,
  'member add': `
tetcdctl member add m9 --peer-urls=http://127.0.0.1:12380 --learner`,
  'member update': `
id=$(tetcdctl member list | sed -n 's/, unstarted,.*//p')
tetcdctl member update "$id" --peer-urls=http://127.0.0.1:12390`,
  'member remove': `
id=$(tetcdctl member list | sed -n 's/, unstarted,.*//p')
tetcdctl member remove "$id"`,
};

const TETCDUTL: Examples = {
  'snapshot status': `
tetcdutl snapshot status backup.db --write-out=table`,
  hashkv: `
tetcdutl hashkv backup.db`,
  'snapshot restore': `
tetcdutl snapshot restore backup.db --data-dir=restored`,
  check: `
tetcdutl check --data-dir=m1.etcd`,
  preflight: `
tetcdutl preflight --data-dir=m1.etcd`,
  'dump log': `
tetcdutl dump log m1.etcd --from=2 --kind=put`,
  'dump db': `
tetcdutl dump db m1.etcd --bucket=members`,
  'dump snap': `
newest=$(ls m1.etcd/member/snap/*.snap | tail -1)
tetcdutl dump snap "$newest"`,
  recover: `
tetcdutl recover m1.etcd --data-dir=recovered --name=m1
tetcdutl recover m1.etcd --data-dir=recovered --name=m1 --write`,
  backup: `
tetcdutl backup --data-dir=m1.etcd --backup-dir=copy`,
  defrag: `
tetcdutl defrag --data-dir=m1.etcd`,
  migrate: `
tetcdutl migrate --data-dir=m1.etcd --target-version=3.7`,
  version: `
tetcdutl version`,
  help: `
tetcdutl help snapshot restore`,
  completion: `
source <(tetcdutl completion bash)`,
};

const TETCD = {
  // A member, which no command names.
  '': 'tetcd --name=m1 --data-dir=m1.etcd',
  'gateway start': `
tetcd gateway start --endpoints=127.0.0.1:2379 --listen-addr=127.0.0.1:12380`,
  'grpc-proxy start': `
tetcd grpc-proxy start --endpoints=127.0.0.1:2379 --listen-addr=127.0.0.1:12379`,
};

export const EXAMPLES = { tetcd: TETCD, tetcdctl: TETCDCTL, tetcdutl: TETCDUTL } as const;
