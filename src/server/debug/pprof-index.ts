// The page `/debug/pprof/`, in the form of Go's.

interface ProfileRow {
  readonly name: string;
  readonly description: string;
  /** Of what the profile lists; undefined where counting would mean to take it. */
  readonly count?: number;
}

const ROWS: readonly ProfileRow[] = [
  {
    name: 'allocs',
    description:
      'A sampling of all memory allocations, garbage included, during the seconds GET parameter ' +
      '(30 without it): V8 keeps no record of past ones.',
  },
  {
    name: 'block',
    description: 'Always empty: JavaScript runs on one thread, which blocks on no primitive.',
  },
  { name: 'cmdline', description: 'The command line of this process.' },
  {
    name: 'goroutine',
    description:
      'What is under way: open calls by method, and what the event loop waits for by kind. Use ' +
      'debug=2 as a query parameter for every handle of the event loop.',
  },
  {
    name: 'heap',
    description:
      'A sampling of memory allocations of live objects, since the comment of the profile says. You ' +
      'can specify the gc GET parameter to run a garbage collection before.',
  },
  { name: 'mutex', description: 'Always empty: JavaScript runs on one thread, without mutexes.' },
  {
    name: 'profile',
    description:
      'CPU profile of the thread that runs JavaScript. You can specify the duration in the seconds GET ' +
      'parameter. After you get the profile file, use the go tool pprof command to investigate it.',
  },
  { name: 'symbol', description: 'Always without symbols: profiles have their names in them.' },
  { name: 'threadcreate', description: 'Not there: Node.js keeps no record of it.' },
  { name: 'trace', description: "Not there: an execution trace is of Go's runtime." },
];

/** `counts` has the number of entries of the profiles that are easily counted. */
export function indexPage(counts: ReadonlyMap<string, number>): string {
  const rows = ROWS.map(
    ({ name }) =>
      `<tr><td>${counts.get(name) ?? ''}</td><td><a href='${name}?debug=1'>${name}</a></td></tr>`,
  );
  const descriptions = ROWS.map(
    ({ name, description }) => `<li><div class=profile-name>${name}: </div> ${description}</li>`,
  );
  return `<html>
<head>
<title>/debug/pprof/</title>
<style>
.profile-name{
	display:inline-block;
	width:6rem;
}
</style>
</head>
<body>
/debug/pprof/
<br>
<p>Set debug=1 as a query parameter to export in text format</p>
<br>
Types of profiles available:
<table>
<thead><td>Count</td><td>Profile</td></thead>
${rows.join('\n')}
</table>
<a href="goroutine?debug=2">every handle of the event loop</a>
<br>
<p>
Profile Descriptions:
<ul>
${descriptions.join('\n')}
</ul>
</p>
</body>
</html>`;
}
