/** The directory of a path; whose names are to be synced after a change of one. */
export function directoryOf(path: string): string {
  const slash = Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\'));
  if (slash < 0) return '.';
  return slash === 0 ? path.slice(0, 1) : path.slice(0, slash);
}
