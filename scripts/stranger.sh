#!/usr/bin/env bash
# What a newcomer does with the README's two commands, in a clone that has nothing beside it, no
# ../shared and no real etcd: start, put and get, stop, test.
#
#   scripts/stranger.sh            of npm test the suites that look for something outside the clone,
#                                  and that all others can be loaded: about a minute
#   scripts/stranger.sh --whole    all of npm test
#
# Takes what is committed. Needs bash, git, Node.js, npm and pgrep.
set -euo pipefail

whole=false
case ${1-} in
  '') ;;
  --whole) whole=true ;;
  *) echo "usage: scripts/stranger.sh [--whole]" >&2; exit 2 ;;
esac
repository=$(cd "$(dirname "$0")/.." && pwd)
temporary=$(mktemp -d)
server=
end() {
  [ -z "$server" ] || kill -KILL -- "-$server" 2>/dev/null || true
  rm -rf "$temporary"
}
trap end EXIT

# A path with all programs but those that tests look for, and no settings of those who develop this.
mkdir "$temporary/bin" "$temporary/cache"
IFS=: read -ra directories <<<"$PATH"
for directory in "${directories[@]}"; do
  ln -s -t "$temporary/bin" "$directory"/* 2>/dev/null || true
done
rm -f "$temporary"/bin/{etcd,etcdctl,etcdutl,h2load}
export PATH="$temporary/bin" XDG_CACHE_HOME="$temporary/cache"
while read -r name; do unset "$name"; done < <(compgen -e | grep -E '^(TETCD_|ETCD|CI$)' || true)

step() { printf '\n-- stranger: %s\n' "$*"; }

# Below the range from which the system chooses by itself.
free_port() {
  node -e '
    const from = 20_000 + Math.floor(Math.random() * 12_000);
    const attempt = (port) => {
      const server = require("node:net").createServer();
      server.once("error", () => attempt(port + 1));
      server.listen(port, "127.0.0.1", () => server.close(() => console.log(port)));
    };
    attempt(from);'
}

step "git clone"
git clone --quiet --no-local "$repository" "$temporary/clone/tetcd"
cd "$temporary/clone/tetcd"
client=http://127.0.0.1:$(free_port)
peer=http://127.0.0.1:$(free_port)
flags=(
  "--listen-client-urls=$client" "--advertise-client-urls=$client"
  "--listen-peer-urls=$peer" "--initial-advertise-peer-urls=$peer" "--initial-cluster=default=$peer"
)

step "npm ci && npm start"
npm ci --no-audit --no-fund
# In a process group of its own, so that nothing of it outlives this script.
set -m
npm start -- "${flags[@]}" </dev/null >"$temporary/log" 2>&1 &
server=$!
set +m
for ((tries = 0; ; tries++)); do
  grep -q 'ready to serve client requests' "$temporary/log" && break
  if ((tries == 600)) || ! kill -0 "$server" 2>/dev/null; then
    cat "$temporary/log"
    echo "the server does not start" >&2
    exit 1
  fi
  sleep 0.2
done
grep -v '^{' "$temporary/log"

step "put and get"
ctl=(node dist/bin/tetcdctl.js "--endpoints=$client")
[ "$("${ctl[@]}" put greeting hello)" = OK ]
[ "$("${ctl[@]}" get greeting --print-value-only)" = hello ]
ls -d default.etcd

step "stop"
kill -TERM "$(pgrep -g "$server" -f '^node dist/bin/tetcd.js')"
# Servers end by the signal that they were stopped with.
status=0
wait "$server" || status=$?
if [ "$status" != 143 ] || ! grep -q '"closed etcd server"' "$temporary/log"; then
  tail -n 20 "$temporary/log"
  echo "npm start ended with $status" >&2
  exit 1
fi
server=

if [ "$whole" = true ]; then
  step "npm test"
  npm test </dev/null
else
  outside='describeWith|sharedData|testWithReference|testEveryFile|systemProgram'
  mapfile -t suites < <(grep -lE "$outside" -r src --include='*.test.ts')
  step "npm test -- test/tidy.test.ts ${suites[*]}"
  npm test -- --project=units test/tidy.test.ts "${suites[@]}" </dev/null
  step "every suite that starts programs can be loaded"
  npx vitest list --project=programs --project=timed >"$temporary/suites" 2>&1 || { cat "$temporary/suites"; exit 1; }
fi

step "the same from an archive, without git"
rm -rf .git
npx vitest run --project=units test/tidy.test.ts </dev/null
