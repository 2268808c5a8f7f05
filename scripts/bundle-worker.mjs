// The file of a thread, for a bundle. It is made on its own, with all that it imports: a chunk shared with
// the bundle could be the bundle's own beginning, which would run again in the thread.

import { basename, dirname, join } from 'node:path';
import { rolldown } from 'rolldown';

/** Text by which the module that starts the thread names its file. */
const startsOf = (worker) => `'./${basename(worker)}'`;

/** Puts `worker` beside those chunks of `output`, in `directory`, which start it by its name. */
export async function bundleWorker(
  worker,
  directory,
  output,
  { external = [], format = 'esm' } = {},
) {
  const quoted = [startsOf(worker), startsOf(worker).replaceAll("'", '"')];
  const starters = output.filter(
    (file) => file.type === 'chunk' && quoted.some((text) => file.code.includes(text)),
  );
  const folders = [...new Set(starters.map(({ fileName }) => dirname(fileName)))];
  if (folders.length !== 1) {
    throw new Error(`chunks in ${folders.length} folders start ${worker}: there has to be one`);
  }
  const made = await rolldown({ input: worker, platform: 'node', external });
  await made.write({
    file: join(directory, folders[0], basename(worker)),
    format,
    strict: true,
    comments: false,
  });
  await made.close();
}
